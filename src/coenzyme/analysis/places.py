"""Places in memory: an abstract object, and how far into it."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, TypeAlias

from coenzyme.ir.instructions import Binary, GetElementPtr
from coenzyme.ir.types import ArrayType, FloatType, IntType, StructType, Type
from coenzyme.ir.values import ConstantInt, Value

if TYPE_CHECKING:
    from coenzyme.analysis.objects import MemoryObject

__all__ = [
    "WORD",
    "Place",
    "constant_offset",
    "offset_and_step",
    "scaled",
    "shift",
    "size_of",
    "struct_offsets",
]

Place: TypeAlias = "tuple[MemoryObject, int | None]"
"""An object with an offset in bytes, None where that is not known."""

WORD = 8
"""Bytes of a pointer."""


def size_of(type: Type) -> tuple[int, int] | None:
    """Return the size and the alignment of `type` in memory, or None where they are not known."""
    match type:
        case IntType() if type.width <= 8 * WORD:
            size = next(s for s in (1, 2, 4, 8) if type.width <= 8 * s)
            return size, size
        case FloatType() if type.name in ("float", "double", "x86_fp80"):
            return type.size, type.size
        case ArrayType():
            inner = size_of(type.element)
            return None if inner is None else (inner[0] * type.count, inner[1])
        case StructType():
            offsets = _offsets(type)
            return None if offsets is None else offsets[1]
        case _:
            return (WORD, WORD) if type.is_pointer else None


def _offsets(type: StructType) -> tuple[list[int], tuple[int, int]] | None:
    """Return the offset of each field, and the size and alignment of the whole."""
    found: list[int] = []
    end, largest = 0, 1
    for element in type.elements:
        inner = size_of(element)
        if inner is None:
            return None
        size, align = (inner[0], 1) if type.packed else inner
        end = -(-end // align) * align
        found.append(end)
        end += size
        largest = max(largest, align)
    return found, (-(-end // largest) * largest, largest)


def struct_offsets(type: StructType) -> list[int]:
    """Return the offset of each field of a struct whose size is known."""
    offsets = _offsets(type)
    assert offsets is not None
    return offsets[0]


def offset_and_step(address: GetElementPtr) -> tuple[int, int]:
    """Return numbers such that `address` lies behind its base by the first plus a multiple of the second."""
    known = size_of(address.source_type)
    if known is None:
        return 0, 1
    total, step = 0, 0
    type: Type = address.source_type
    scale = known[0]
    for number, index in enumerate(address.operands[1:]):
        if number:
            if isinstance(type, StructType):
                offsets = _offsets(type)
                if offsets is None or not isinstance(index, ConstantInt):
                    return 0, 1
                total += offsets[0][index.value]
                type = type.elements[index.value]
                continue
            inner = size_of(type.element) if isinstance(type, ArrayType) else None
            if not isinstance(type, ArrayType) or inner is None:
                return 0, 1
            type, scale = type.element, inner[0]
        constant, stride = scaled(index)
        total += scale * constant
        step = gcd(step, scale * stride)
    return total, step


def scaled(index: Value) -> tuple[int, int]:
    """Return numbers such that `index` is the first plus some multiple of the second."""
    if isinstance(index, ConstantInt):
        return index.value, 0
    if isinstance(index, Binary) and isinstance(index.operands[1], ConstantInt):
        by = index.operands[1].value
        constant, stride = scaled(index.operands[0])
        match index.opcode:
            case "add":
                return constant + by, stride
            case "mul":
                return constant * by, stride * by
            case "shl" if by >= 0:
                return constant << by, stride << by
            case _:
                pass
    return 0, 1


def constant_offset(address: GetElementPtr) -> int | None:
    """Return how many bytes `address` lies behind its base, or None where that varies."""
    indices = address.operands[1:]
    known = size_of(address.source_type)
    if known is None or not indices or not isinstance(indices[0], ConstantInt):
        return None
    total = indices[0].value * known[0]
    type: Type = address.source_type
    for index in indices[1:]:
        if not isinstance(index, ConstantInt):
            return None
        if isinstance(type, StructType):
            offsets = _offsets(type)
            assert offsets is not None
            total += offsets[0][index.value]
            type = type.elements[index.value]
        elif isinstance(type, ArrayType):
            inner = size_of(type.element)
            assert inner is not None
            total += index.value * inner[0]
            type = type.element
        else:
            return None
    return total


def shift(place: Place, by: int | None) -> Place:
    """Return the place `by` bytes further."""
    item, offset = place
    return (item, None if offset is None or by is None else offset + by)
