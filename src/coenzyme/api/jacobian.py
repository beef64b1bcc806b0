"""Jacobians of functions between numbers and arrays, column by column or row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, Literal

import numpy as np
from numba.core import types

from coenzyme import engine
from coenzyme.api.calls import Call, Operands, add_derivative, cast, implementation, tuple_of
from coenzyme.api.functions import Compiled, as_dispatcher, bind, call, name_of
from coenzyme.api.gradient import GradientCall
from coenzyme.api.invoke import invoke
from coenzyme.api.memory import copy_like, zero_like
from coenzyme.api.sharing import Sharing, add_alias_checks, refuse_written
from coenzyme.api.source import Source, implements
from coenzyme.api.structure import Arrangement, Leaf, argument_name, arrange, check_argnums, one_of, zero_of
from coenzyme.api.sweeps import check_return
from coenzyme.api.tangents import copied
from coenzyme.api.transforms import Transform, argnums_as_tuple, normalise_argnums
from coenzyme.errors import ActivityError, UnsupportedIRError
from coenzyme.frontends.program import Mode

__all__ = ["Jacobian", "JacobianCall", "jacfwd", "jacobian", "jacrev"]


class Direction(Enum):
    """How a Jacobian is built."""

    AUTO = "auto"
    FORWARD = "forward"
    REVERSE = "reverse"


def store_column(jacobian: Any, column: int, values: Any) -> None:
    """Write a number, or the entries of an array, down a column of a matrix, in compiled code."""
    raise NotImplementedError


@implements(store_column)
def _store_column(jacobian: Any, column: Any, values: Any) -> Callable[..., None]:
    if not isinstance(values, types.Array):

        def store_number(jacobian: Any, column: Any, values: Any) -> None:
            jacobian[0, column] = values

        return store_number

    def store_array(jacobian: Any, column: Any, values: Any) -> None:
        for row, value in enumerate(values.flat):
            jacobian[row, column] = value

    return store_array


@dataclass(frozen=True)
class JacobianCall(Call):
    """The Jacobian of a function from numbers and arrays to a number or an array.

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
    """

    function: Compiled
    argnums: tuple[int, ...]
    single: bool
    direction: Direction
    sharing: Sharing = Sharing.REFUSED
    label: ClassVar[str] = "jacobian"

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        check_argnums(self.function, self.argnums, len(argtypes))
        arrangement = arrange(self.function, argtypes, frozenset(self.argnums))
        restype = engine.primal(arrangement.function, arrangement.types)
        self._check_types(arrangement, restype)
        if isinstance(restype, types.Float) and self.direction is not Direction.FORWARD:
            return GradientCall(
                self.function, self.argnums, self.single, False, False, self.sharing
            ).implement(argtypes)
        source = Source(arrangement.defaults)
        add_alias_checks(source, arrangement, self.sharing, {})
        refuse_written(self.sharing, self.function)
        copies = _add_copies(source, arrangement)
        paths = ", ".join(leaf.path for leaf in arrangement.leaves)
        source.add(f"y = {source.name('function', arrangement.function)}({paths})")
        if self.direction is Direction.REVERSE and isinstance(restype, types.Array):
            parts = _add_rows(source, arrangement, self._leaves(arrangement), copies, restype)
        else:
            parts = [
                _add_columns(source, arrangement, leaf, copies, restype) for leaf in self._leaves(arrangement)
            ]
        result = parts[0] if self.single else tuple_of(parts)
        source.add(f"return {result}")
        return implementation(source, self.function, len(argtypes))

    def _leaves(self, arrangement: Arrangement) -> list[Leaf]:
        chosen = [arrangement.trees[i] for i in self.argnums]
        return [tree for tree in chosen if isinstance(tree, Leaf)]

    def _check_types(self, arrangement: Arrangement, restype: types.Type) -> None:
        name = name_of(self.function)
        for i in self.argnums:
            if not isinstance(arrangement.trees[i], Leaf):
                raise UnsupportedIRError(
                    "a Jacobian is not taken with respect to a tuple",
                    function=name,
                    argument=argument_name(self.function, i),
                    remedy="pass its parts as arguments of their own, or use vjp and jvp",
                )
        check_return(restype, name)
        if not isinstance(restype, (types.Float, types.Array)):
            raise ActivityError(
                f"a Jacobian needs a function that returns a number or an array, and it returns {restype}",
                function=name,
                remedy="return an array, or use vjp and jvp",
            )


def _add_copies(source: Source, arrangement: Arrangement) -> dict[str, str]:
    """Add copies of the arrays that the function can write, and return their names by path."""
    copies: dict[str, str] = {}
    for leaf in arrangement.leaves:
        if isinstance(leaf.kind, types.Array) and leaf.kind.mutable:
            copies[leaf.path] = source.variable("saved")
            source.add(f"{copies[leaf.path]} = {source.name('copy_like', copy_like)}({leaf.path})")
    return copies


def _fresh(source: Source, copies: dict[str, str]) -> dict[str, str]:
    """Return expressions for arguments that one evaluation may write to."""
    return {path: f"{source.name('copy_like', copy_like)}({saved})" for path, saved in copies.items()}


def _add_columns(
    source: Source, arrangement: Arrangement, leaf: Leaf, copies: dict[str, str], restype: types.Type
) -> str:
    """Add a loop of pushforwards along the entries of one argument, and return the Jacobian's expression."""
    tangents: dict[str, str] = {}
    for other in arrangement.leaves:
        if other.differentiated:
            zero = f"{source.name('zero_like', zero_like)}({other.path})"
            tangents[other.path] = zero if other.is_array else source.name("zero", zero_of(other.kind))
    if not leaf.is_array:
        tangents[leaf.path] = source.name("one", one_of(leaf.kind))
        operands = Operands(tangents, values=_fresh(source, copies))
        return add_derivative(source, arrangement, Mode.FORWARD, operands, return_active=True).tangent
    tangents[leaf.path] = source.variable("tangent")
    matrix, k = source.variable("jacobian"), source.variable("k")
    array = isinstance(restype, types.Array)
    rows, shape = ("y.size", "y.shape + ") if array else ("1", "")
    dtype = source.name("dtype", np.dtype(str(restype.dtype if array else restype)))
    source.add(f"{matrix} = {source.name('empty', np.empty)}(({rows}, {leaf.path}.size), {dtype})")
    source.add(f"for {k} in range({leaf.path}.size):")
    source.add(f"{tangents[leaf.path]} = {source.name('zero_like', zero_like)}({leaf.path})", depth=1)
    source.add(f"{tangents[leaf.path]}.flat[{k}] = 1.0", depth=1)
    operands = Operands(tangents, values=_fresh(source, copies))
    outcome = add_derivative(source, arrangement, Mode.FORWARD, operands, return_active=True, depth=1)
    source.add(f"{source.name('store_column', store_column)}({matrix}, {k}, {outcome.tangent})", depth=1)
    return f"{matrix}.reshape({shape}{leaf.path}.shape)"


def _add_rows(
    source: Source,
    arrangement: Arrangement,
    leaves: Sequence[Leaf],
    copies: dict[str, str],
    restype: types.Array,
) -> list[str]:
    """Add a loop of pullbacks along the entries of the value, and return an expression for each Jacobian."""
    matrices = {leaf.path: source.variable("jacobian") for leaf in leaves}
    dtype = source.name("dtype", np.dtype(str(restype.dtype)))
    for leaf in leaves:
        size = f"{leaf.path}.size" if leaf.is_array else "1"
        source.add(f"{matrices[leaf.path]} = {source.name('empty', np.empty)}(({size}, y.size), {dtype})")
    k, seed = source.variable("k"), source.variable("seed")
    source.add(f"for {k} in range(y.size):")
    source.add(f"{seed} = {source.name('zero_like', zero_like)}(y)", depth=1)
    source.add(f"{seed}.flat[{k}] = 1.0", depth=1)
    operands = Operands(None, cast(source, seed, restype), _fresh(source, copies))
    outcome = add_derivative(source, arrangement, Mode.REVERSE, operands, return_active=True, depth=1)
    for leaf in leaves:
        store = source.name("store_column", store_column)
        source.add(f"{store}({matrices[leaf.path]}, {k}, {outcome.adjoint(leaf)})", depth=1)
    shapes = {leaf.path: f"y.shape + {leaf.path}.shape" if leaf.is_array else "y.shape" for leaf in leaves}
    ascontiguous = source.name("ascontiguousarray", np.ascontiguousarray)
    return [f"{ascontiguous}({matrices[leaf.path]}.T).reshape({shapes[leaf.path]})" for leaf in leaves]


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
        shapes = tuple((type(x), getattr(x, "shape", None), getattr(x, "dtype", None)) for x in given)
        request = self._by_shape.get(shapes)
        if request is None:
            value = call(function, function, [copied(x) for x in given], {})
            inputs = sum(np.size(given[i]) for i in chosen if i < len(given))
            direction = Direction.FORWARD if inputs <= np.size(value) else Direction.REVERSE
            request = self._by_shape[shapes] = replace(self.request, direction=direction)
        return request


def jacobian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    mode: Literal["auto", "forward", "reverse"] = "auto",
) -> Jacobian:
    """Return the Jacobian of `f`: a function of the same arguments.

    Parameters
    ----------
    f
        A function that returns a number or an array.
    argnums
        The position of the argument to differentiate, a number or an array, or a tuple of positions.
    mode
        ``"forward"`` takes one sweep for each entry of the arguments, ``"reverse"`` one for each entry of the
        value, ``"auto"`` the cheaper of the two.

    Returns
    -------
    Jacobian
        A function whose result has the shape of the value followed by that of the argument; a tuple of
        results where `argnums` is one.

    Raises
    ------
    ActivityError
        If `f` cannot be called, or, when the Jacobian is called, if an argument or the value has no
        derivative.

    Notes
    -----
    What `f` writes into its arguments is written once; the sweeps run on copies. ``"auto"``
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
    chosen, single = normalise_argnums(function, argnums)
    return Jacobian(JacobianCall(function, chosen, single, direction), chosen[0] if single else chosen)


def jacfwd(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Jacobian:
    """Return the Jacobian of `f`, built column by column in forward mode.

    Parameters
    ----------
    f, argnums
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
    return jacobian(f, argnums, "forward")


def jacrev(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Jacobian:
    """Return the Jacobian of `f`, built row by row in reverse mode.

    Parameters
    ----------
    f, argnums
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
    return jacobian(f, argnums, "reverse")
