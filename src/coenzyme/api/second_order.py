"""Second derivatives: products with the Hessian, forward over reverse, and the Hessian itself.

Source: Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from inspect import Parameter
from typing import Any, ClassVar

import numba
from numba.core import types
from numba.core.errors import NumbaError

from coenzyme.api.calls import Call, Operands, add_derivative, entry_of, implementation, in_force
from coenzyme.api.copying import copy_into
from coenzyme.api.functions import Compiled, as_dispatcher, call, name_of
from coenzyme.api.gradient import GradientCall
from coenzyme.api.invoke import invoke, only_reads, resolve_sharing
from coenzyme.api.jacobian import CHUNK, Direction, JacobianCall, normalise_chunk_size
from coenzyme.api.memory import same_shape
from coenzyme.api.quick import known_product, remember_product
from coenzyme.api.sharing import Sharing, add_alias_checks, refuse_written
from coenzyme.api.source import Source
from coenzyme.api.structure import argument_name, arrange, check_argnums, leaves_of, tree_of
from coenzyme.api.sweeps import PushforwardCall, add_refusal, add_tangents, pair_up, positional
from coenzyme.api.tangents import check_no_tangent, copied, tangent_for, varied_positions
from coenzyme.api.transforms import Transform, normalise_argnums
from coenzyme.errors import ActivityError, CoenzymeError, ShadowError
from coenzyme.frontends.program import Mode

__all__ = [
    "Hessian",
    "HessianCall",
    "HessianProductCall",
    "Linearization",
    "Product",
    "gradient_and_hvp",
    "hessian",
    "hvp",
    "hvp_into",
    "linearize",
]


class Product(Enum):
    """What a product with the Hessian comes with."""

    ALONE = "the product is returned"
    WITH_GRADIENT = "the gradient and the product are returned"
    INTO = "the product is written into memory that the caller passes"


@dataclass(frozen=True)
class HessianProductCall(Call):
    """The Hessian of a function by its first argument, times a vector: the pushforward of its gradient.

    The compiled function takes the arguments of the user's function, then the vector, then the memory to
    write into, if there is any.

    Parameters
    ----------
    function
        The function.
    count
        How many arguments it is given.
    product
        What is returned.
    sharing
        What is known of arguments in one memory.
    """

    function: Compiled
    count: int
    product: Product
    sharing: Sharing = Sharing.REFUSED
    label: ClassVar[str] = "hvp"

    def parameters(self) -> Sequence[Parameter]:
        """Return the primals, then what goes with them."""
        return [*positional("x", self.count), *positional("v", 1 + (self.product is Product.INTO))]

    def primals(self, argtypes: tuple[types.Type, ...]) -> int | None:
        """Return how many of the arguments come first, for the user's function."""
        return self.count

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        name, argument = name_of(self.function), argument_name(self.function, 0)
        kinds, count = argtypes[: self.count], self.count
        arrange(self.function, kinds, frozenset({0}))  # complains in terms of the user's function
        gradient = entry_of(GradientCall(self.function, (0,), True, False, False, sharing=self.sharing))
        arrangement = arrange(gradient, kinds, frozenset({0}))
        source = Source(arrangement.defaults)
        add_alias_checks(source, arrangement, self.sharing)
        tree = arrangement.trees[0]
        pairs = pair_up(tree, f"a{count}", argtypes[count], function=name, argument=argument)
        tangents = add_tangents(source, tree, pairs, function=name, argument=argument)
        outcome = add_derivative(
            source, arrangement, Mode.FORWARD, Operands(tangents), return_active=True, sharing=self.sharing
        )
        match self.product:
            case Product.ALONE:
                source.add(f"return {outcome.tangent}")
            case Product.WITH_GRADIENT:
                source.add(f"return {outcome.primal}, {outcome.tangent}")
            case Product.INTO:
                self._store(source, outcome.tangent, kinds[0], argtypes[-1])
        return implementation(source, self.function, len(argtypes))

    def _store(self, source: Source, product: str, kind: types.Type, out: types.Type) -> None:
        name = name_of(self.function)
        tree = tree_of(kind, product, differentiated=True)
        if any(leaf.differentiated and not leaf.is_array for leaf in leaves_of(tree)):
            raise ActivityError(
                f"a product of type {kind} cannot be written in place",
                function=name,
                argument="out",
                remedy="use hvp, which returns it",
            )
        error = ShadowError(
            "the memory for the product differs in shape from the argument",
            function=name,
            argument="out",
            remedy="make it with make_zero(x)",
        )
        pairs = pair_up(tree, f"a{self.count + 1}", out, function=name, argument="out")
        for path, place in pairs.items():
            add_refusal(source, f"{source.name('same_shape', same_shape)}({path}, {place})", error)
        for path, place in pairs.items():
            source.add(f"{source.name('copy_into', copy_into)}({place}, {path})")


def hvp(f: Callable[..., Any], x: Any, v: Any, *args: Any) -> Any:
    """Return the Hessian of ``f(x, *args)`` with respect to `x`, times `v`.

    Parameters
    ----------
    f
        A function that returns a real number.
    x
        The point: a number, an array of any shape, or a tuple of these.
    v
        The vector, shaped like `x`.
    *args
        The other arguments of `f`, which are not differentiated.

    Returns
    -------
    object
        The product, shaped and typed like `x`.

    Raises
    ------
    ActivityError
        If the arguments do not fit the function, or `x` or the value has no second derivative.
    ShadowError
        If `v` is not shaped like `x`.

    See Also
    --------
    hvp_into : write the product into an array.
    gradient_and_hvp : return the gradient too, which costs nothing.

    Notes
    -----
    The reverse sweep of the gradient is differentiated forward: the cost is a few evaluations of `f`, however
    many entries `x` has. What `f` writes into its arguments is written, once.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> cz.hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([  6., 120.])
    """
    return _product(f, x, v, args, Product.ALONE)


def hvp_into(out: Any, f: Callable[..., Any], x: Any, v: Any, *args: Any) -> None:
    """Write the Hessian of ``f(x, *args)`` with respect to `x`, times `v`, into `out`.

    Parameters
    ----------
    out
        The memory to write into: an array, or a tuple of arrays, shaped and typed like `x`.
    f, x, v, *args
        As for `hvp`.

    Raises
    ------
    ActivityError
        As for `hvp`; and if `x` holds a number outside an array, whose product cannot be written in place.
    ShadowError
        If `out` or `v` is not shaped like `x`.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> out = np.empty(2)
    >>> cz.hvp_into(out, lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    >>> out
    array([  6., 120.])
    """
    _product(f, x, v, args, Product.INTO, out)


def gradient_and_hvp(f: Callable[..., Any], x: Any, v: Any, *args: Any) -> tuple[Any, Any]:
    """Return the gradient of ``f(x, *args)`` with respect to `x`, and its Hessian times `v`.

    Parameters
    ----------
    f, x, v, *args
        As for `hvp`.

    Returns
    -------
    tuple
        ``(gradient, product)``, both shaped and typed like `x`.

    Raises
    ------
    CoenzymeError
        As for `hvp`.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> cz.gradient_and_hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    (array([ 3., 12.]), array([  6., 120.]))
    """
    return _product(f, x, v, args, Product.WITH_GRADIENT)


def _product(f: object, x: Any, v: Any, args: Sequence[Any], product: Product, *out: Any) -> Any:
    refused = None
    given = (x, *args, v, *out)
    quick = known_product(product, f, given)
    if quick is not None:
        try:
            return quick(*given)
        except (CoenzymeError, NumbaError, TypeError) as error:
            refused = error
    function = as_dispatcher(f)
    vector = tangent_for(function, 0, x, v)
    request = HessianProductCall(function, 1 + len(args), product)
    result = invoke(
        request, (x, *args, vector, *out), {}, given=(x, *args), differentiated=(0,), refused=refused
    )
    remember_product(product, f, given, entry_of(request))
    return result


@dataclass(frozen=True)
class HessianCall(Call):
    """The Hessian of a function: the Jacobian, by columns, of its Jacobian by rows."""

    function: Compiled
    argnums: tuple[int, ...]
    single: bool
    chunk: int = CHUNK
    sharing: Sharing = Sharing.REFUSED
    label: ClassVar[str] = "hessian"

    def primals(self, argtypes: tuple[types.Type, ...]) -> int | None:
        """Return how many of the arguments come first, for the user's function."""
        return len(argtypes)

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        check_argnums(self.function, self.argnums, len(argtypes))
        arrange(self.function, argtypes, frozenset(self.argnums))  # complains about the user's function
        inner = JacobianCall(
            self.function, self.argnums, self.single, Direction.REVERSE, chunk=1, sharing=self.sharing
        )
        outer = replace(inner, function=entry_of(inner), direction=Direction.FORWARD, chunk=self.chunk)
        return outer.implement(argtypes)


class Hessian(Transform):
    """The Hessian of a function, made by `hessian`."""

    made_by = "Hessian"


def hessian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, chunk_size: int | None = None
) -> Hessian:
    """Return the Hessian of `f`: a function of the same arguments.

    Parameters
    ----------
    f
        A function that returns a number, an array or a tuple of them.
    argnums
        The position of the argument to differentiate, or a tuple of positions.
    chunk_size
        As for `jacobian`.

    Returns
    -------
    Hessian
        A function whose result has the shape of the value, followed by that of the argument, twice. A tuple
        of tuples of results where `argnums` is a tuple; where the argument or the value is a tuple, tuples
        stand in their places as in the result of `jacobian`.

    Raises
    ------
    ActivityError
        If `f` cannot be called, or, when the Hessian is called, if an argument or the value has no second
        derivative.

    See Also
    --------
    hvp : the product with one vector, without the matrix.

    Notes
    -----
    Each column is a product with the Hessian, forward over reverse: the cost is a few evaluations of `f` for
    each entry of the arguments. What `f` writes into its arguments is written once.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> cz.hessian(lambda x: x[0] ** 2 * x[1])(np.array([2.0, 3.0]))
    array([[6., 4.],
           [4., 0.]])
    """
    function = as_dispatcher(f)
    chunk = normalise_chunk_size(chunk_size, function)
    chosen, single = normalise_argnums(function, argnums)
    return Hessian(HessianCall(function, chosen, single, chunk), chosen[0] if single else chosen)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Linearization]:
    """Return the value of `f`, and the linear function that maps tangents of its arguments to that of it.

    Parameters
    ----------
    f
        The function.
    *primals
        Its arguments.

    Returns
    -------
    tuple
        ``(y, f_jvp)``. ``f_jvp(*tangents)`` takes a tangent for each argument, None for integers and other
        constants, and returns the tangent of `y`. It can be called many times.

    Raises
    ------
    ActivityError
        If the arguments do not fit the function, or have no derivative.

    Notes
    -----
    The arguments are copied here, so that the derivative is at the point of this call whatever happens to
    them later. Each call of `f_jvp` evaluates `f` again, beside its tangent.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> y, f_jvp = cz.linearize(lambda x: x * x, np.array([1.0, 2.0]))
    >>> y
    array([1., 4.])
    >>> f_jvp(np.array([1.0, 0.0])), f_jvp(np.array([0.0, 1.0]))
    (array([2., 0.]), array([0., 4.]))
    """
    function = as_dispatcher(f)
    varied = varied_positions(function, primals)
    refuse_written(resolve_sharing(function, primals, varied), function)
    saved = tuple(copied(primal) for primal in primals)
    y = call(function, function, primals, {})
    return y, Linearization(function, saved, varied)


class Linearization:
    """The map from tangents of the arguments to the tangent of the value, made by `linearize`."""

    def __init__(self, function: Compiled, primals: tuple[Any, ...], varied: Sequence[int]) -> None:
        self._function = function
        self._primals = primals
        self._varied = varied
        self._request = PushforwardCall(function, len(primals), len(varied))
        self._reads = only_reads(function, tuple(numba.typeof(primal) for primal in primals))

    def __call__(self, *tangents: Any) -> Any:
        """Return the tangent of the value along the tangents, one for each argument."""
        function, primals = self._function, self._primals
        if len(tangents) != len(primals):
            raise ActivityError(
                f"there are {len(primals)} arguments and {len(tangents)} tangents",
                function=name_of(function),
                remedy="give one tangent for each argument, None for integers and other constants",
            )
        for i in set(range(len(primals))).difference(self._varied):
            check_no_tangent(function, i, primals[i], tangents[i])
        kept = [tangent_for(function, i, primals[i], tangents[i]) for i in self._varied]
        point = primals if self._reads else [copied(primal) for primal in primals]
        return call(entry_of(in_force(self._request)), function, (*point, *kept), {}, given=primals)[1]

    def __repr__(self) -> str:
        return f"<linearization of {name_of(self._function)}>"
