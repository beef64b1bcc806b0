"""Copies from one array into another, in compiled code.

What Numba makes of ``x[...] = y`` holds an error message with both shapes in it. To compile that message
takes longer than all the rest, and the shapes have been compared before.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import load_item, make_array, store_item

from coenzyme.errors import ShadowError

__all__ = ["copy_into"]


@intrinsic
def copy_into(typing_context: Any, target: Any, source: Any) -> Any:
    """Copy the elements of an array into another one of the same shape and dtype, in other memory."""
    if not target.mutable:
        raise ShadowError(
            f"the memory to write into is read-only, of type {target}", remedy="make it with make_zero(x)"
        )

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = (target, source)
        arrays = [make_array(kind)(context, builder, value) for kind, value in zip(kinds, args, strict=True)]
        shapes, strides = (
            [cgutils.unpack_tuple(builder, getattr(array, part), target.ndim) for array in arrays]
            for part in ("shape", "strides")
        )
        with cgutils.loop_nest(builder, shapes[0], context.get_value_type(types.intp)) as indices:
            into, from_ = (
                cgutils.get_item_pointer2(context, builder, array.data, shape, steps, kind.layout, indices)
                for array, shape, steps, kind in zip(arrays, shapes, strides, kinds, strict=True)
            )
            store_item(context, builder, target, load_item(context, builder, source, from_), into)
        return context.get_dummy_value()

    return types.none(target, source), generate
