"""Zero shadows: values shaped like a primal, with every float set to zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from coenzyme.api.containers import is_container, zeros_in
from coenzyme.api.instances import is_object, zero_instances
from coenzyme.api.memory import zero_like
from coenzyme.api.source import implements
from coenzyme.errors import ActivityError, ShadowError

__all__ = ["copy_with_strides", "make_zero", "make_zero_into", "zeros_with_strides"]

T = TypeVar("T")

_zero_like: Any = zero_like  # an intrinsic: it takes one parameter less than its definition
Array = npt.NDArray[Any]


def make_zero(x: T) -> T:
    """Return a zero shadow of `x`: its structure, shapes, dtypes and strides, with every float 0.

    Parameters
    ----------
    x
        A number, an array, an instance of a jitclass or a StructRef, or tuples, lists and dicts of them,
        `numba.typed` ones too. An object that occurs twice has one shadow; shadows of instances refer to each
        other as these do.

    Returns
    -------
    object
        A value of the type of `x`. Integers, strings and everything else without a derivative are those of
        `x`.

    Raises
    ------
    ShadowError
        If an array visits the same memory at several indices.

    See Also
    --------
    make_zero_into : set an existing shadow to zero.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> cz.make_zero(np.array([1.0, 2.0]))
    array([0., 0.])
    >>> cz.make_zero({"rate": 3.0, "steps": 10})
    {'rate': 0.0, 'steps': 10}
    """
    return cast(T, _make_zero(x, {}))


def _identity(x: Array) -> tuple[Any, ...]:
    """Return what two arrays share if they are one: a container makes a new object of an item each time."""
    return x.__array_interface__["data"][0], x.shape, x.strides, x.dtype.str


def _make_zero(x: Any, seen: dict[Any, Any]) -> Any:
    if isinstance(x, np.ndarray):
        key = _identity(cast(Array, x))
        found = seen.get(key)
        if found is None:
            found = seen[key] = _make_zero_array(cast(Array, x))
        return found
    if isinstance(x, (float, complex, np.inexact)):
        return type(x)(0)
    if is_container(x):
        found = seen.get(x._opaque.data)
        if found is None:
            found = seen[x._opaque.data] = zeros_in(x, lambda item: _make_zero(item, seen))
        return found
    if isinstance(x, tuple):
        parts = [_make_zero(part, seen) for part in cast(tuple[Any, ...], x)]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    if isinstance(x, list):
        return [_make_zero(part, seen) for part in cast(list[Any], x)]
    if isinstance(x, Mapping):
        return {key: _make_zero(part, seen) for key, part in cast(Mapping[Any, Any], x).items()}
    if is_object(x):
        return zero_instances(x, lambda value, shadow: _make_zero_of_field(value, seen, shadow), seen)
    return x


def _make_zero_array(x: Array) -> Array:
    if x.dtype.kind in "fc":
        return zeros_with_strides(x)
    if _has_float_fields(x.dtype):
        zero = copy_with_strides(x)
        _clear_fields(zero)
        return zero
    return x


def _has_float_fields(dtype: np.dtype[Any]) -> bool:
    fields = (dtype.fields or {}).values()
    return any(kind.base.kind in "fc" or _has_float_fields(kind.base) for kind, *_ in fields)


def _clear_fields(records: Array) -> None:
    """Set the floats in an array of records to zero."""
    for name in records.dtype.names or ():
        field = records[name]
        if field.dtype.kind in "fc":
            field[...] = 0
        else:
            _clear_fields(field)


def _make_zero_of_field(x: Any, seen: dict[Any, Any], shadow: Callable[[Any], Any]) -> Any:
    """Return the shadow of what a field holds; `shadow` gives that of an instance."""
    if is_object(x):
        return shadow(x)
    if isinstance(x, tuple):
        parts = [_make_zero_of_field(part, seen, shadow) for part in cast(tuple[Any, ...], x)]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return _make_zero(x, seen)


@implements(make_zero)
def _make_zero_in_numba(x: Any) -> Any:
    return lambda x: _zero_like(x)  # noqa: PLW0108 - Numba wants a function


def make_zero_into(dx: Any) -> None:
    """Set every float of a shadow to zero, in place.

    Parameters
    ----------
    dx
        An array, or tuples, lists and dicts of arrays. Integers and other constants stay as they are.

    Raises
    ------
    ActivityError
        If a float stands where it cannot be replaced: alone or in a tuple.
    ShadowError
        If an array is read-only.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> dx = np.array([1.0, 2.0])
    >>> cz.make_zero_into(dx)
    >>> dx
    array([0., 0.])
    """
    if isinstance(dx, np.ndarray):
        array = cast(Array, dx)
        if array.dtype.kind in "fc" or _has_float_fields(array.dtype):
            if not array.flags.writeable:
                raise ShadowError(
                    "the shadow is read-only", function="make_zero_into", argument="dx", remedy="pass a copy"
                )
            if array.dtype.kind in "fc":
                array[...] = 0
            _clear_fields(array)
    elif isinstance(dx, tuple):
        for part in cast(tuple[Any, ...], dx):
            make_zero_into(part)
    elif isinstance(dx, (list, dict)) or is_container(dx):
        container = cast(Any, dx)
        for key in list(container) if isinstance(dx, Mapping) else range(len(container)):
            if isinstance(container[key], (float, complex, np.inexact)):
                container[key] = make_zero(container[key])
            else:
                make_zero_into(container[key])
    elif isinstance(dx, (float, complex, np.inexact)):
        raise ActivityError(
            "a number cannot be changed in place",
            function="make_zero_into",
            argument="dx",
            remedy="use make_zero, which returns a new value",
        )


def zeros_with_strides(x: Array) -> Array:
    """Return zeros in the shape, dtype and strides of `x`.

    Raises
    ------
    ShadowError
        If `x` visits the same memory at several indices.
    """
    if x.flags.c_contiguous or x.flags.f_contiguous:
        return np.zeros(x.shape, x.dtype, order="C" if x.flags.c_contiguous else "F")
    reach = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
    low = sum(r for r in reach if r < 0)
    high = sum(r for r in reach if r > 0)
    covered = x.itemsize
    for stride, n in sorted((abs(s), n) for n, s in zip(x.shape, x.strides, strict=True) if n > 1):
        if stride < covered:
            raise ShadowError(
                "the array visits the same memory at several indices, and so would its shadow",
                remedy="pass a copy of the array, x.copy()",
            )
        covered += (n - 1) * stride
    buffer = np.zeros(high - low + x.itemsize, np.uint8)
    first = buffer[-low : -low + x.itemsize].view(x.dtype)
    return as_strided(first, x.shape, x.strides)


def copy_with_strides(x: Array) -> Array:
    """Return a copy of `x` with its strides."""
    copy = zeros_with_strides(x)
    copy[...] = x
    return copy
