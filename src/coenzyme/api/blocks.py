"""Copies and sums of whole arrays in compiled code, in fewer operations than array expressions compile to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable
from numba.np.arrayobj import make_array

__all__ = ["add_into", "assign", "copy_block"]


@intrinsic
def copy_block(typing_context: Any, target: Any, row: Any, source: Any, from_row: Any, size: Any) -> Any:
    """Copy row number `from_row` of `source` to row number `row` of `target`.

    Parameters
    ----------
    target, source
        Arrays of one dtype, without gaps, seen as rows of `size` entries.
    row, from_row, size
        Integers.
    """
    if target.dtype != source.dtype or "A" in (target.layout, source.layout):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = context.get_value_type(types.intp)
        item = word(context.get_abi_sizeof(context.get_data_type(target.dtype)))
        length = builder.mul(context.cast(builder, args[4], size, types.intp), item)
        places: list[Any] = []
        for kind, value, number, number_kind in (
            (target, args[0], args[1], row),
            (source, args[2], args[3], from_row),
        ):
            data = make_array(kind)(context, builder, value).data
            offset = builder.mul(context.cast(builder, number, number_kind, types.intp), length)
            places.append(cgutils.pointer_add(builder, data, offset))
        cgutils.raw_memcpy(builder, places[0], places[1], length, 1)
        return context.get_dummy_value()

    return types.none(target, row, source, from_row, size), generate


@register_jitable
def assign(target: Any, source: Any) -> None:
    """Copy the entries of an array into one of the same shape."""
    for index in np.ndindex(target.shape):
        target[index] = source[index]


@register_jitable
def add_into(target: Any, source: Any) -> None:
    """Add the entries of an array to those of one of the same shape."""
    for index in np.ndindex(target.shape):
        target[index] += source[index]
