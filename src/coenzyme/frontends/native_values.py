"""Structs and complex numbers that a native function takes or returns by value, as tuples and numbers.

The function that is called takes pointers to them (`coenzyme.frontends.c_wrapper`): to memory of the call.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir as llvmir
from numba.core import cgutils, types
from numba.np import numpy_support

from coenzyme.frontends.c_types import CPointer, CScalar, CValue, Kind, fits_into, read_type

__all__ = ["load_value", "new_slot", "numba_type_of", "store_value", "value_problem", "value_type"]

_ALIGNMENT = 16


def numba_type_of(scalar: CScalar) -> Any:
    """Return the Numba type of a number."""
    return numpy_support.from_dtype(scalar.dtype)


def value_type(value: CValue) -> Any:
    """Return the Numba type of a struct or complex number: of a struct, a tuple of the numbers in it."""
    if isinstance(value.content, CScalar):
        return numba_type_of(value.content)
    return types.BaseTuple.from_types([numba_type_of(kind) for _, kind in value.scalars])


def value_problem(value: CValue, given: Any) -> tuple[str, str] | None:
    """Return why a value of a Numba type cannot be passed, and what to do; None where it can."""
    wanted = value.content
    given = types.unliteral(given)
    if isinstance(wanted, CScalar):
        return None if isinstance(given, types.Number) else (f"{given}", "pass a number")
    if isinstance(given, types.Record):
        found = read_type(types.Array(given, 1, "C"))
        fits = isinstance(found, CPointer) and fits_into(found.target, wanted)  # type: ignore[arg-type]
        return None if fits else (f"{given}", "give the record the struct's dtype, with align=True")
    numbers = list(_numbers(given)) if isinstance(given, types.BaseTuple) else []
    kinds = [kind for _, kind in value.scalars]
    if len(numbers) != len(kinds) or not all(map(_is_number, kinds, numbers)):
        described = ", ".join(map(str, kinds))
        return f"{given}", f"pass a tuple with the numbers of the struct in their order: ({described})"
    return None


def _is_number(wanted: CScalar, given: Any) -> bool:
    match wanted.kind:
        case Kind.FLOAT:
            return isinstance(given, types.Float | types.Integer | types.Boolean)
        case Kind.COMPLEX:
            return isinstance(given, types.Number)
        case _:
            fits = isinstance(given, types.Integer | types.Boolean)
            # A literal integer has the type of Python's.
            return fits and (not isinstance(given, types.Integer) or wanted.is_integer)


def _numbers(given: Any) -> Iterator[Any]:
    """Yield the types of the items of a tuple, those of tuples in it instead of these."""
    for item in given:
        if isinstance(item, types.BaseTuple):
            yield from _numbers(item)
        else:
            yield types.unliteral(item)


def new_slot(builder: Any, value: CValue) -> Any:
    """Return the address of memory for a struct or complex number, all zero."""
    size = value.content.size
    slot = cgutils.alloca_once(builder, llvmir.ArrayType(llvmir.IntType(8), size))
    slot.align = _ALIGNMENT
    address = builder.bitcast(slot, cgutils.voidptr_t)
    cgutils.memset(builder, address, llvmir.IntType(64)(size), 0)
    return address


def store_value(context: Any, builder: Any, given: Any, kind: Any, value: CValue) -> Any:
    """Return the address of a copy of a value of Numba type `kind` in C's layout."""
    if isinstance(kind, types.Record):
        return builder.bitcast(given, cgutils.voidptr_t)  # the function copies it
    slot = new_slot(builder, value)
    single = [(given, kind)] if isinstance(value.content, CScalar) else _items(builder, given, kind)
    for (offset, scalar), (item, found) in zip(value.scalars, single, strict=True):
        target = numba_type_of(scalar)
        stored = context.get_value_as_data(builder, target, context.cast(builder, item, found, target))
        builder.store(stored, _at(builder, slot, offset, stored.type))
    return slot


def _items(builder: Any, given: Any, kind: Any) -> Iterator[tuple[Any, Any]]:
    for number, item in enumerate(kind):
        value = builder.extract_value(given, number)
        if isinstance(item, types.BaseTuple):
            yield from _items(builder, value, item)
        else:
            yield value, item


def load_value(context: Any, builder: Any, slot: Any, value: CValue, kind: Any) -> Any:
    """Return what stands in memory as a value of Numba type `kind`, which is `value_type` of it."""
    items: list[Any] = []
    for offset, scalar in value.scalars:
        target = numba_type_of(scalar)
        address = _at(builder, slot, offset, context.get_data_type(target))
        items.append(context.data_model_manager[target].load_from_data_pointer(builder, address))
    return items[0] if isinstance(value.content, CScalar) else context.make_tuple(builder, kind, items)


def _at(builder: Any, slot: Any, offset: int, llvm_type: Any) -> Any:
    address = builder.gep(slot, [llvmir.IntType(64)(offset)], inbounds=True)
    return builder.bitcast(address, llvm_type.as_pointer())
