"""Where the payload of a list has its header, which is no data.

Numba lays the payload of a local list out as its size, its capacity and a flag, then the items. A list is
the only counted block with floats in it whose payload may grow.
"""

from __future__ import annotations

from coenzyme.analysis.objects import MemoryObject, Objects, Storage, called_effect, is_growth
from coenzyme.ir.instructions import Call, Cast, Freeze, GetElementPtr
from coenzyme.ir.types import I8
from coenzyme.ir.values import ConstantInt, Value
from coenzyme.rules import Allocation, Effect, find_memory_rule

__all__ = ["is_container", "is_list_header", "is_resizable"]

_HEADER = 24
"""Bytes: two sizes of 8, and a flag."""


def is_list_header(pointer: Value, objects: Objects) -> bool:
    """Whether `pointer` certainly points into the header of the payload of a list."""
    offset = 0
    while isinstance(pointer, GetElementPtr | Cast | Freeze):
        if isinstance(pointer, GetElementPtr):
            indices = pointer.operands[1:]
            index = indices[0]
            if pointer.source_type != I8 or len(indices) != 1 or not isinstance(index, ConstantInt):
                return False
            offset += index.value
        pointer = pointer.operands[0]
    if not isinstance(pointer, Call) or not 0 <= offset < _HEADER:
        return False
    if called_effect(pointer) is not Effect.MEMINFO_DATA and not is_growth(pointer):
        return False
    found = objects.of(pointer)
    return bool(found) and all(_has_header(item) for item in found)


def _has_header(item: MemoryObject) -> bool:
    return is_resizable(item) and not is_container(item)


def is_container(item: MemoryObject) -> bool:
    """Whether `item` is a typed list or dictionary that was made here."""
    origin = item.origin
    return (
        item.storage is Storage.HEAP
        and isinstance(origin, Call)
        and called_effect(origin) is Effect.CONTAINER
    )


def is_resizable(item: MemoryObject) -> bool:
    """Whether the payload of a block can be given another size."""
    if item.storage is not Storage.HEAP or not isinstance(item.origin, Call):
        return False
    if is_container(item):
        return True
    rule = find_memory_rule(item.origin.callee_name or "")
    return isinstance(rule, Allocation) and rule.resizable
