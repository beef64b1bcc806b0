"""Scalars as bits: how many there are, where they lie, and their moves between types.

Precondition: pointers have 64 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.types import FloatType, IntType, PointerType, Type
from coenzyme.ir.values import Value

__all__ = ["alignment_at", "bytes_of", "from_bits", "join_bits", "to_bits", "width_of"]

_WIDTHS = {"half": 16, "bfloat": 16, "float": 32, "double": 64}
_POINTER_WIDTH = 64


def width_of(type: Type) -> int | None:
    """Return how many bits a scalar has; None where an array of them is not dense, or nothing is known."""
    match type:
        case IntType():
            return type.width
        case FloatType():
            return _WIDTHS.get(type.name)
        case PointerType():
            return _POINTER_WIDTH
        case _:
            return None


def bytes_of(type: Type) -> int | None:
    """Return how many bytes each scalar of an array takes, or None where it does not take whole ones."""
    width = width_of(type)
    return width // 8 if width is not None and width >= 8 and width & (width - 1) == 0 else None


def alignment_at(whole: int, offset: int) -> int:
    """Return the alignment that is known `offset` bytes into what is aligned to `whole`; 0 if none is.

    Examples
    --------
    >>> alignment_at(32, 8), alignment_at(32, 16), alignment_at(4, 8)
    (8, 16, 4)
    """
    return min(whole, offset & -offset) if offset else whole


def to_bits(at: Builder, value: Value) -> Value:
    """Return the bits of a scalar as an integer."""
    width = width_of(value.type)
    assert width is not None
    return at.cast("ptrtoint" if value.type.is_pointer else "bitcast", value, IntType(width))


def from_bits(at: Builder, bits: Value, type: Type) -> Value:
    """Return the scalar of `type` that has these bits."""
    return at.cast("inttoptr" if type.is_pointer else "bitcast", bits, type)


def join_bits(at: Builder, parts: Sequence[Value], type: Type) -> Value:
    """Return the scalar of `type` whose bits are those of `parts` side by side, the lowest first."""
    total, width = width_of(type), width_of(parts[0].type)
    assert total is not None
    assert width is not None
    integer = IntType(total)
    whole: Value | None = None
    for k, part in enumerate(parts):
        bits = at.cast("zext", to_bits(at, part), integer)
        if k:
            bits = at.shl(bits, const_int(integer, k * width))
        whole = bits if whole is None else at.or_(whole, bits)
    assert whole is not None
    return from_bits(at, whole, type)
