"""Zero shadows: values shaped like a primal, with every float set to zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from coenzyme.api.containers import is_container
from coenzyme.api.memory import zero_like
from coenzyme.api.source import implements
from coenzyme.api.trees.kinds import find_kind
from coenzyme.api.trees.shadows import Zeros, clear_fields, has_numbers
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
        A number, an array, an instance of a jitclass or a StructRef, a `numba.typed` container, or whatever
        :mod:`coenzyme.trees <coenzyme.api.trees>` takes apart: lists, dicts, tuples, dataclasses and other
        objects with fields, sparse and masked arrays, types that were registered. An object that occurs twice
        has one shadow; shadows of objects refer to each other as these do, in circles too. Shadows of views
        of one array are views of one array.

    Returns
    -------
    object
        A value of the type of `x`. Integers, strings and everything else without a derivative are those of
        `x`.

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
    return cast(T, Zeros(x).of(x))


@implements(make_zero)
def _make_zero_in_numba(x: Any) -> Any:
    return lambda x: _zero_like(x)  # noqa: PLW0108 - Numba wants a function


def make_zero_into(dx: Any) -> None:
    """Set every float of a shadow to zero, in place.

    Parameters
    ----------
    dx
        An array, or a tree of arrays and numbers such as `make_zero` makes. Integers and other constants stay
        as they are.

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
    _clear(dx, set())


def _clear(dx: Any, seen: set[int]) -> None:
    pending: list[Any] = [dx]
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        kind = find_kind(value)
        if isinstance(value, np.ndarray) and kind is None:
            _clear_array(cast(Array, value))
        elif is_container(value):
            container: Any = value
            for key in list(container) if isinstance(value, Mapping) else range(len(container)):
                if _is_number(container[key]):
                    container[key] = make_zero(container[key])
                else:
                    _clear(container[key], seen)
        elif kind is not None:
            parts = kind.take_apart(value)
            for label, part in zip(parts.labels, parts.values, strict=True):
                if label in parts.constant:
                    continue
                if _is_number(part) and kind.filled:
                    kind.put(value, label, make_zero(part))
                else:
                    pending.append(part)
        elif _is_number(value):
            raise ActivityError(
                "a number cannot be changed in place",
                function="make_zero_into",
                argument="dx",
                remedy="use make_zero, which returns a new value",
            )


def _clear_array(array: Array) -> None:
    if not has_numbers(array):
        return
    if not array.flags.writeable:
        raise ShadowError(
            "the shadow is read-only", function="make_zero_into", argument="dx", remedy="pass a copy"
        )
    if array.dtype.kind in "fc":
        array[...] = 0
    clear_fields(array)


def _is_number(x: Any) -> bool:
    return isinstance(x, (float, complex, np.inexact))


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
