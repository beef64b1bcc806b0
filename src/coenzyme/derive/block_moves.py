"""Find out what ``memcpy`` and its kin move where floats, pointers and integers lie side by side.

A block of a few fields becomes a load and a store of each; what is moved by a larger one is noted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import replace

from coenzyme.analysis.layouts import Layout, Layouts
from coenzyme.analysis.objects import called_effect, is_described
from coenzyme.analysis.points_to import find_objects
from coenzyme.ir.builder import Builder, zero
from coenzyme.ir.instructions import Call, Function, Load, Store
from coenzyme.ir.tbaa import Accessed, note_accessed
from coenzyme.ir.types import F32, F64, I8, FloatType, IntType, Type
from coenzyme.ir.values import Argument, ConstantFloat, ConstantInt, Value
from coenzyme.rules import Effect
from coenzyme.rules.carrying import CARRY

__all__ = ["resolve_block_moves"]

_MOST_FIELDS = 32
_ALIGN = re.compile(r"\balign (\d+)")
_TRANSFERS = (Effect.MEMCPY, Effect.MEMMOVE, Effect.MEMSET)


def resolve_block_moves(function: Function, elements: Mapping[Argument, Type], *, at_last: bool) -> bool:
    """Take the moves of small mixed blocks in `function` apart, and note the layouts of others, in place.

    Parameters
    ----------
    at_last
        Whether what is moved as an integer has been found out: before, it may be anything.

    Returns
    -------
    bool
        Whether there may be more that is moved as an integer.
    """
    calls = [
        i
        for i in function.instructions()
        if isinstance(i, Call) and called_effect(i) in _TRANSFERS and Layout.attached_to(i) is None
    ]
    changed = False
    if not calls:
        return changed
    objects = find_objects(function, {}, elements)
    layouts = Layouts(function, objects)
    for call in calls:
        pointers = call.operands[:1] if called_effect(call) is Effect.MEMSET else call.operands[:2]
        if all(is_described(item, objects) for pointer in pointers for item in objects.of(pointer)):
            continue
        layout = layouts.of(call)
        if layout is None or (layout.vague and not at_last):
            continue
        if layout.is_private:
            layout = replace(layout, vague=frozenset())
        if not layout.vague:
            layout.attach_to(call)
        size = call.operands[2]
        small = isinstance(size, ConstantInt) and size.value == layout.step and call.callee_name != CARRY
        if small and len(layout.fields) <= _MOST_FIELDS and not isinstance(layout.only_type, FloatType):
            _take_apart(call, layout)
            changed = True
    return changed


def _take_apart(call: Call, layout: Layout) -> None:
    sets = called_effect(call) is Effect.MEMSET
    if sets and not isinstance(call.operands[1], ConstantInt):
        return
    target = call.operands[0]
    at = Builder.before(call)
    at.metadata = {kind: text for kind, text in call.metadata.items() if kind == "dbg"}
    values: list[Value] = []
    for offset, type in layout.fields:
        if sets:
            byte = call.operands[1]
            assert isinstance(byte, ConstantInt)
            value = _filled(type, byte.value & 0xFF)
            if value is None:
                return
        else:
            source = at.gep(I8, call.operands[1], [offset]) if offset else call.operands[1]
            value = at.load(type, source, align=_alignment(call, 1, offset))
            _note(value, type, offset, layout)
        values.append(value)
    for (offset, type), value in zip(layout.fields, values, strict=True):
        place = at.gep(I8, target, [offset]) if offset else target
        _note(at.store(value, place, align=_alignment(call, 0, offset)), type, offset, layout)
    if call.users:
        call.replace_all_uses_with(target)
    call.erase()


def _note(access: Load | Store, type: Type, offset: int, layout: Layout) -> None:
    if isinstance(type, IntType):
        if offset not in layout.vague:
            note_accessed(access, Accessed.INTEGER)
    elif type in (F32, F64):
        note_accessed(access, Accessed.FLOAT if type == F32 else Accessed.DOUBLE)


def _alignment(call: Call, operand: int, offset: int) -> int:
    """Return how `offset` bytes behind an operand are aligned."""
    match = _ALIGN.search(call.argument_attributes[operand])
    align = 1 if match is None else int(match.group(1))
    while offset % align:
        align //= 2
    return min(align, 16)


def _filled(type: Type, byte: int) -> Value | None:
    """Return the value of `type` all of whose bytes are `byte`, if it can be spelled."""
    if byte == 0:
        return zero(type)
    match type:
        case IntType():
            return ConstantInt(type, int.from_bytes(bytes([byte]) * (type.width // 8), "little"))
        case FloatType():
            size, form = (4, "<f") if type == F32 else (8, "<d")
            value = struct.unpack(form, bytes([byte]) * size)[0]
            return ConstantFloat(type, value) if value == value else None  # noqa: PLR0124 - not a NaN
        case _:
            return None
