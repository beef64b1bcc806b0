"""Jacobians of functions between numbers and arrays, column by column or row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numba.core import types

from coenzyme import engine
from coenzyme.api.calls import Call, implementation
from coenzyme.api.columns import Sweeps, add_copies, check_complex
from coenzyme.api.functions import Compiled, as_dispatcher, bind, call, name_of
from coenzyme.api.gradient import GradientCall
from coenzyme.api.invoke import invoke
from coenzyme.api.sharing import Sharing, add_alias_checks, refuse_written
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.structure import Arrangement, Leaf, arrange, check_argnums, leaves_of, rebuild, tree_of
from coenzyme.api.sweeps import check_return
from coenzyme.api.tangents import copied, has_floats
from coenzyme.api.transforms import Transform, argnums_as_tuple, normalise_argnums
from coenzyme.errors import ActivityError, CoenzymeError

__all__ = ["CHUNK", "Jacobian", "JacobianCall", "jacfwd", "jacobian", "jacrev"]


MOST = 16
"""A sweep follows no more directions: the code of each is compiled."""

CHUNK = 8
"""How many directions one sweep follows by default: of 4, 8 and 16 the quickest for most functions."""


class Direction(Enum):
    """How a Jacobian is built."""

    AUTO = "auto"
    FORWARD = "forward"
    REVERSE = "reverse"


@dataclass(frozen=True)
class JacobianCall(Call):
    """The Jacobian of a function from numbers, arrays and tuples to such.

    The function itself runs on the arguments; derivatives are taken on copies, as each evaluation may write
    to them.

    Parameters
    ----------
    function
        The function.
    argnums
        The arguments to differentiate.
    single
        Return the Jacobian itself, not a tuple with one entry.
    direction
        Column by column, row by row, or whichever the types decide; column by column from arrays to arrays.
    holomorphic
        Whether complex values are differentiated by complex arguments.
    chunk
        How many directions one sweep follows.
    sharing
        What is known of arguments in one memory.
    """

    function: Compiled
    argnums: tuple[int, ...]
    single: bool
    direction: Direction
    holomorphic: bool = False
    chunk: int = CHUNK
    sharing: Sharing = Sharing.REFUSED
    label: ClassVar[str] = "jacobian"

    def primals(self, argtypes: tuple[types.Type, ...]) -> int | None:
        """Return how many of the arguments come first, for the user's function."""
        return len(argtypes)

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        check_argnums(self.function, self.argnums, len(argtypes))
        arrangement = arrange(self.function, argtypes, frozenset(self.argnums))
        restype = engine.primal(arrangement.function, arrangement.types)
        self._check_value(restype)
        real = isinstance(restype, types.Float) and not self.holomorphic
        if real and self.direction is not Direction.FORWARD:
            call = GradientCall(self.function, self.argnums, self.single, False, False)
            return replace(call, sharing=self.sharing).implement(argtypes)
        source = Source(arrangement.defaults)
        reads = _only_reads(arrangement)
        if not reads:
            add_alias_checks(source, arrangement, self.sharing)
            refuse_written(self.sharing, self.function)
        name = name_of(self.function)
        paths = ", ".join(leaf.path for leaf in arrangement.leaves)
        trees = [arrangement.trees[i] for i in self.argnums]
        leaves = {leaf.path: leaf for tree in trees for leaf in leaves_of(tree) if leaf.differentiated}
        copies = {} if reads else add_copies(source, arrangement)
        reverse = self.direction is Direction.REVERSE
        value = leaves_of(tree_of(restype, "y", differentiated=True))
        # What is written is written once, and rows are made for a value whose size is known.
        evaluated = reverse or not reads or not all(leaf.differentiated for leaf in value)
        if evaluated:
            source.add(f"y = {source.name('function', arrangement.function)}({paths})")
        sweeps = Sweeps(
            source,
            arrangement,
            restype,
            copies,
            self.holomorphic,
            self.chunk,
            evaluated=evaluated,
            reads=reads,
        )
        chosen = list(leaves.values())
        check_complex(sweeps.outputs, chosen, name, holomorphic=self.holomorphic)
        blocks = sweeps.rows(chosen) if reverse else sweeps.columns(chosen)

        def by_arguments(out: Leaf) -> str:
            if not out.differentiated:
                return out.path
            parts = [
                rebuild(t, lambda leaf: blocks.get((out.path, leaf.path), leaf.path), source) for t in trees
            ]
            return parts[0] if self.single else tuple_of(parts)

        source.add(f"return {rebuild(tree_of(restype, 'y', differentiated=True), by_arguments, source)}")
        return implementation(source, self.function, len(argtypes))

    def _check_value(self, restype: types.Type) -> None:
        name = name_of(self.function)
        if not check_return(restype, name):
            raise ActivityError(
                "a Jacobian needs a function that returns something, and it returns None",
                function=name,
                remedy="return the value to differentiate, or use autodiff with a shadow for the output",
            )
        for leaf in leaves_of(tree_of(restype, "y", differentiated=True)):
            if leaf.differentiated and not isinstance(leaf.kind, (types.Float, types.Complex, types.Array)):
                raise ActivityError(
                    f"a Jacobian needs a function that returns numbers and arrays, and it returns {restype}",
                    function=name,
                    remedy="return an array, or use vjp and jvp",
                )


class Jacobian(Transform):
    """The Jacobian of a function, made by `jacobian`, `jacfwd` or `jacrev`."""

    made_by = "Jacobian"
    request: JacobianCall

    def __init__(self, request: JacobianCall, argnums: int | tuple[int, ...]) -> None:
        super().__init__(request, argnums)
        self._by_shape: dict[tuple[Any, ...], JacobianCall] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the Jacobian at these arguments."""
        function, chosen = self.request.function, argnums_as_tuple(self.argnums)
        given = bind(function, args, kwargs)
        request = self.request
        if request.direction is Direction.AUTO:
            request = self._choose(function, given, chosen)
        return invoke(request, args, kwargs, given=given, differentiated=chosen)

    def _choose(self, function: Compiled, given: tuple[Any, ...], chosen: tuple[int, ...]) -> JacobianCall:
        """Return the request in the direction with fewer sweeps at the shapes of these arguments."""
        shapes = tuple(_shape_of(x) for x in given)
        request = self._by_shape.get(shapes)
        if request is None:
            value = call(function, function, [copied(x) for x in given], {})
            inputs = sum(_size_of(given[i]) for i in chosen if i < len(given))
            direction = Direction.FORWARD if inputs <= _size_of(value) else Direction.REVERSE
            request = self._by_shape[shapes] = replace(self.request, direction=direction)
        return request


def _only_reads(arrangement: Arrangement) -> bool:
    """Whether the function writes to none of its arguments, and draws no random numbers."""
    try:
        effects = engine.effects(arrangement.function, arrangement.types)
    except CoenzymeError:
        return False
    return effects.written == frozenset() and not effects.draws


def _shape_of(x: Any) -> Any:
    """Return what decides how many sweeps a Jacobian takes, to look it up by."""
    if isinstance(x, tuple):
        return tuple(_shape_of(part) for part in cast(tuple[Any, ...], x))
    return type(x), getattr(x, "shape", None), getattr(x, "dtype", None)


def _size_of(x: Any) -> int:
    """Return how many numbers with a derivative a value holds."""
    if isinstance(x, tuple):
        return sum(_size_of(part) for part in cast(tuple[Any, ...], x))
    return int(np.size(x)) if has_floats(x) else 0


def normalise_chunk_size(chunk_size: object, function: Compiled) -> int:
    """Return how many directions one sweep follows.

    Raises
    ------
    ActivityError
        Unless it is None or a positive integer.
    """
    if chunk_size is None:
        return CHUNK
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, (int, np.integer)) or chunk_size < 1:
        raise ActivityError(
            f"chunk_size is {chunk_size!r}",
            function=name_of(function),
            remedy="pass the largest number of directions to follow in one sweep, at least 1, or None",
        )
    return min(int(chunk_size), MOST)


def jacobian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    mode: Literal["auto", "forward", "reverse"] = "auto",
    chunk_size: int | None = None,
    holomorphic: bool = False,
) -> Jacobian:
    """Return the Jacobian of `f`: a function of the same arguments.

    Parameters
    ----------
    f
        A function that returns a number, an array or a tuple of them.
    argnums
        The position of the argument to differentiate, or a tuple of positions.
    mode
        ``"forward"`` takes one sweep for each entry of the arguments, ``"reverse"`` one for each entry of the
        value, ``"auto"`` the cheaper of the two.
    chunk_size
        The largest number of directions to follow in one sweep, 8 if it is None, and never more than 16. A
        sweep of several directions shares the work that they have in common, takes more memory, and compiles
        more slowly. The result does not depend on it but for rounding.
    holomorphic
        The function is a holomorphic function of complex arguments: the result is its complex derivative.

    Returns
    -------
    Jacobian
        A function whose result has the shape of the value followed by that of the argument; a tuple of
        results where `argnums` is one. Where the value is a tuple, a tuple with one such result for each of
        its parts; where the argument is one, a tuple stands in the place of each of those.

    Raises
    ------
    ActivityError
        If `f` cannot be called, or, when the Jacobian is called, if an argument or the value has no
        derivative.

    Notes
    -----
    Of a real value and a complex argument x + iy the entry is the gradient ∂/∂x + i ∂/∂y, as for `grad`; of a
    complex value and a real argument it is the complex derivative.

    Where `f` writes into its arguments, it is run on them once, and the sweeps run on copies. ``"auto"``
    evaluates `f` on copies once for each new choice of shapes; from ``@njit`` code it goes forward where both
    sides are arrays.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> cz.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    function = as_dispatcher(f)
    try:
        direction = Direction(mode)
    except ValueError:
        raise ActivityError(
            f"the mode of a Jacobian is {mode!r}",
            function=name_of(function),
            remedy="pass 'auto', 'forward' or 'reverse'",
        ) from None
    chunk = normalise_chunk_size(chunk_size, function)
    chosen, single = normalise_argnums(function, argnums)
    request = JacobianCall(function, chosen, single, direction, bool(holomorphic), chunk)
    return Jacobian(request, chosen[0] if single else chosen)


def jacfwd(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    chunk_size: int | None = None,
    holomorphic: bool = False,
) -> Jacobian:
    """Return the Jacobian of `f`, built column by column in forward mode.

    Parameters
    ----------
    f, argnums, chunk_size, holomorphic
        As for `jacobian`.

    Returns
    -------
    Jacobian
        As for `jacobian`.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> cz.jacfwd(lambda t: np.array([t, t * t]))(3.0)
    array([1., 6.])
    """
    return jacobian(f, argnums, "forward", chunk_size, holomorphic)


def jacrev(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    chunk_size: int | None = None,
    holomorphic: bool = False,
) -> Jacobian:
    """Return the Jacobian of `f`, built row by row in reverse mode.

    Parameters
    ----------
    f, argnums, chunk_size, holomorphic
        As for `jacobian`.

    Returns
    -------
    Jacobian
        As for `jacobian`.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> cz.jacrev(lambda x: x[:-1] * x[1:])(np.array([1.0, 2.0, 3.0]))
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    return jacobian(f, argnums, "reverse", chunk_size, holomorphic)
