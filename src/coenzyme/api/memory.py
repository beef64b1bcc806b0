"""What compiled code needs to make and check shadows: allocation, checks of layout, casts.

Everything here is called from compiled code only, from the functions that `glue` generates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic, register_jitable
from numba.np.arrayobj import make_array
from numpy.lib.stride_tricks import as_strided

from coenzyme.api.source import implements
from coenzyme.api.structure import zero_of
from coenzyme.errors import ActivityError, ShadowError

__all__ = ["as_type", "copy_like", "mirrors", "overlap", "same_layout", "same_shape", "zero_like"]

_OVERLAPS_ITSELF = str(
    ActivityError(
        "an array that is differentiated visits the same memory at several indices",
        remedy="pass a copy of it, x.copy()",
    )
)


@intrinsic
def as_type(typing_context: Any, value: Any, kind: Any) -> Any:
    """Return `value` as the Numba type `kind`: a number is cast, an array keeps its memory and strides."""
    target = kind.instance_type
    if isinstance(target, types.Array):
        fits = isinstance(value, types.Array) and value.ndim == target.ndim and value.dtype == target.dtype
    else:
        fits = isinstance(target, types.Float) and isinstance(
            value, (types.Integer, types.Float, types.Boolean)
        )
    if not fits:
        raise ShadowError(
            f"a value of type {value} stands for the shadow of one of type {target}",
            remedy="give the shadow the dtype and the number of dimensions of its primal",
        )

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(target, types.Array):
            # Layout and mutability are facts of the type alone: the structure in memory is the same.
            return impl_ret_borrowed(context, builder, target, args[0])
        return context.cast(builder, args[0], signature.args[0], target)

    return target(value, kind), generate


def zero_like(x: Any) -> Any:
    """Return zeros in the shape, dtype and strides of `x`, to be used in compiled code."""
    raise NotImplementedError


@implements(zero_like)
def _zero_like(x: Any) -> Callable[..., Any] | None:
    if isinstance(x, types.Array):
        if x.layout in "CF":
            return lambda x: np.zeros_like(x)  # noqa: PLW0108 - Numba wants a function
        return _zeros_with_strides
    if isinstance(x, types.Float):
        zero = zero_of(x)
        return lambda x: zero
    return None


def _zeros_with_strides(x: Any) -> Any:
    low, high = _reach(x)
    if x.size > 0 and _overlaps_itself(x):
        raise ActivityError(_OVERLAPS_ITSELF)
    buffer = np.zeros((high - low) // x.itemsize + 1, x.dtype)
    return as_strided(buffer[-low // x.itemsize :], x.shape, x.strides)


@register_jitable
def _reach(x: Any) -> tuple[int, int]:
    """Return the byte offsets of the lowest and highest entries from the first one."""
    low, high = 0, 0
    if x.size > 0:
        for k in range(x.ndim):
            step = (x.shape[k] - 1) * x.strides[k]
            if step < 0:
                low += step
            else:
                high += step
    return low, high


@register_jitable
def _overlaps_itself(x: Any) -> bool:
    """Return False only if no two indices share memory: each stride steps over what smaller ones cover."""
    for k in range(x.ndim):
        stride = abs(x.strides[k])
        covered = x.itemsize
        for j in range(x.ndim):
            other = abs(x.strides[j])
            if other < stride or (other == stride and j < k):
                covered += (x.shape[j] - 1) * other
        if x.shape[k] > 1 and stride < covered:
            return True
    return False


def copy_like(x: Any) -> Any:
    """Return a copy of `x` with its type and strides; what cannot be written is returned itself."""
    raise NotImplementedError


@implements(copy_like)
def _copy_like(x: Any) -> Callable[..., Any]:
    if not isinstance(x, types.Array) or not x.mutable:
        return lambda x: x

    def copied(x: Any) -> Any:
        copy = zero_like(x)
        copy[...] = x
        return copy

    return copied


@intrinsic
def same_shape(typing_context: Any, x: Any, y: Any) -> Any:
    """Return whether two arrays of equal rank have equal shapes; numbers have none and always agree."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not isinstance(x, types.Array):
            return context.get_constant(types.boolean, True)
        shapes = [_facts(context, builder, kind, value)[0] for kind, value in zip((x, y), args, strict=True)]
        equal = [builder.icmp_signed("==", a, b) for a, b in zip(*shapes, strict=True)]
        return _all(context, builder, equal)

    return types.boolean(x, y), generate


@intrinsic
def same_layout(typing_context: Any, x: Any, y: Any) -> Any:
    """Return whether an index means the same place in two arrays: equal shapes, and strides that matter."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not isinstance(x, types.Array):
            return context.get_constant(types.boolean, True)
        one = context.get_constant(types.intp, 1)
        (x_shape, x_strides, _), (y_shape, y_strides, _) = (
            _facts(context, builder, kind, value) for kind, value in zip((x, y), args, strict=True)
        )
        empty = _any(context, builder, [builder.icmp_signed("<", n, one) for n in x_shape])
        tests: list[Any] = []
        for n, m, s, t in zip(x_shape, y_shape, x_strides, y_strides, strict=True):
            free = builder.or_(empty, builder.icmp_signed("==", n, one))
            tests.append(builder.icmp_signed("==", n, m))
            tests.append(builder.or_(free, builder.icmp_signed("==", s, t)))
        return _all(context, builder, tests)

    return types.boolean(x, y), generate


@intrinsic
def overlap(typing_context: Any, x: Any, y: Any) -> Any:
    """Return whether the extents of two arrays in memory meet."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (x_low, x_high, x_empty), (y_low, y_high, y_empty) = (
            _extent(context, builder, kind, value) for kind, value in zip((x, y), args, strict=True)
        )
        apart = _any(
            context,
            builder,
            [
                x_empty,
                y_empty,
                builder.icmp_signed(">=", x_low, y_high),
                builder.icmp_signed(">=", y_low, x_high),
            ],
        )
        return builder.not_(apart)

    return types.boolean(x, y), generate


@intrinsic
def mirrors(typing_context: Any, x: Any, y: Any, dx: Any, dy: Any) -> Any:
    """Return whether two shadows lie to each other in memory as their primals do."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = [
            _facts(context, builder, kind, value)[2] for kind, value in zip((x, y, dx, dy), args, strict=True)
        ]
        return builder.icmp_signed("==", builder.sub(at[1], at[0]), builder.sub(at[3], at[2]))

    return types.boolean(x, y, dx, dy), generate


def _facts(context: Any, builder: Any, kind: types.Array, value: Any) -> tuple[list[Any], list[Any], Any]:
    """Return the shape, the strides and the address of an array as LLVM values."""
    array = make_array(kind)(context, builder, value)
    shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
    strides = cgutils.unpack_tuple(builder, array.strides, kind.ndim)
    return shape, strides, builder.ptrtoint(array.data, context.get_value_type(types.intp))


def _extent(context: Any, builder: Any, kind: types.Array, value: Any) -> tuple[Any, Any, Any]:
    """Return the first address of an array, the one after its last, and whether it is empty."""
    shape, strides, low = _facts(context, builder, kind, value)
    zero, one = context.get_constant(types.intp, 0), context.get_constant(types.intp, 1)
    item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    high = builder.add(low, context.get_constant(types.intp, item))
    for n, stride in zip(shape, strides, strict=True):
        step = builder.mul(builder.sub(n, one), stride)
        down = builder.icmp_signed("<", step, zero)
        low = builder.add(low, builder.select(down, step, zero))
        high = builder.add(high, builder.select(down, zero, step))
    return low, high, _any(context, builder, [builder.icmp_signed("<", n, one) for n in shape])


def _all(context: Any, builder: Any, tests: list[Any]) -> Any:
    return reduce(builder.and_, tests, context.get_constant(types.boolean, True))


def _any(context: Any, builder: Any, tests: list[Any]) -> Any:
    return reduce(builder.or_, tests, context.get_constant(types.boolean, False))
