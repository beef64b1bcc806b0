"""Values that are constants to differentiation, whatever they were computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from coenzyme.api.source import Source, implements
from coenzyme.api.structure import Leaf, holds_floats, rebuild, tree_of
from coenzyme.api.validation import rebuild_tuple
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.numba_target import IRContext

__all__ = ["ignore_derivatives"]

T = TypeVar("T")

_SYMBOLS = {types.float64: "coenzyme.constant.f64", types.float32: "coenzyme.constant.f32"}


def ignore_derivatives(x: T) -> T:
    """Return `x` as a constant: its value, with no derivative.

    Parameters
    ----------
    x
        A number, an array, or tuples and lists of them.

    Returns
    -------
    object
        A value equal to `x`. Arrays of floats are copied: what is written into the copy later is an ordinary
        value again. What has no derivative anyway is returned as it is.

    Raises
    ------
    UnsupportedIRError
        In compiled code, for other containers that hold floats.

    Notes
    -----
    Outside of a function that is differentiated this only copies.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.grad(lambda x: x * cz.ignore_derivatives(x))(3.0)
    3.0
    """
    if isinstance(x, np.ndarray):
        array = cast(npt.NDArray[Any], x)
        return cast(T, array.copy(order="K")) if array.dtype.kind in "fc" else x
    if isinstance(x, tuple):
        parts = cast(tuple[Any, ...], x)
        return cast(T, rebuild_tuple(parts, [ignore_derivatives(part) for part in parts]))
    if isinstance(x, list):
        return cast(T, [ignore_derivatives(part) for part in cast(list[Any], x)])
    return x


@intrinsic
def constant(typing_context: Any, x: Any) -> Any:
    """Return a float as it is; where it is lowered to be differentiated, through a call that says so."""
    if x not in _SYMBOLS:
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not isinstance(context, IRContext):
            return args[0]
        kind = ir.FunctionType(args[0].type, (args[0].type,))
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, _SYMBOLS[x]), args)

    return x(x), generate


_constant: Any = constant  # an intrinsic: it takes one parameter less than its definition


@implements(ignore_derivatives)
def _ignore_in_numba(x: Any) -> Callable[..., Any]:
    kind = types.unliteral(x)
    if not holds_floats(kind):
        return lambda x: x
    match kind:
        case types.Float():
            return lambda x: _constant(x)  # noqa: PLW0108 - Numba wants a function
        case types.Complex():
            return lambda x: complex(_constant(x.real), _constant(x.imag))
        case types.Array():
            return _copy_array
        case types.List():
            return lambda x: [ignore_derivatives(part) for part in x]
        case types.BaseTuple():
            return _ignore_parts(kind)
        case _:
            raise UnsupportedIRError(
                f"the derivatives of a value of type {kind} cannot be ignored as a whole",
                function="ignore_derivatives",
                remedy="pass the numbers and arrays in it, one by one",
            )


def _copy_array(x: Any) -> Any:
    copy = np.empty_like(x)
    for index, value in np.ndenumerate(x):
        copy[index] = ignore_derivatives(value)
    return copy


def _ignore_parts(kind: types.BaseTuple) -> Callable[..., Any]:
    source = Source()
    ignore = source.name("ignore", ignore_derivatives)

    def part(leaf: Leaf) -> str:
        return f"{ignore}({leaf.path})" if leaf.differentiated else leaf.path

    tree = tree_of(kind, "x", differentiated=True)
    source.add(f"return {rebuild(tree, part, source)}")
    return source.function("ignore_derivatives", "x")
