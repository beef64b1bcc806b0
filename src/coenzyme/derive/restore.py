"""Turn floats that were moved as integers back into floats.

LLVM writes a copy of eight bytes as the load and store of an ``i64``, a cleared element as the store of an
integer zero, and may merge such values in phis and selects. Where such a web begins or ends in memory that
holds floats, or in the bits of a float, and is only moved, it is rewritten in the float type; so it is with
pointers. What is left, arithmetic on the bits, is refused where it is active.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coenzyme.analysis.content import Contents, find_contents
from coenzyme.analysis.objects import MemoryObject, is_described
from coenzyme.analysis.points_to import find_objects
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Cast, Freeze, Function, Instruction, Load, Phi, Select, Store
from coenzyme.ir.tbaa import Accessed, accessed
from coenzyme.ir.types import F32, F64, PTR, FloatType, IntType, Type
from coenzyme.ir.values import Argument, ConstantFloat, ConstantInt, ConstantNull, Poison, Undef, Value

__all__ = ["restore_floats"]

_MOVED_AS: tuple[tuple[int, Type], ...] = ((64, F64), (32, F32), (64, PTR))
"""What is moved as integers of which width."""
_FLOAT_OF = {64: F64, 32: F32}
_MOST_ROUNDS = 8
_CONVERSIONS = ("bitcast", "ptrtoint", "inttoptr")
_BYTES = {64: ("<q", "<d"), 32: ("<i", "<f")}


def restore_floats(function: Function, elements: Mapping[Argument, Type]) -> None:
    """Rewrite the webs of moved bits in `function`, in place."""
    for _ in range(_MOST_ROUNDS):
        # What has become a float in one place may show that others are.
        contents = find_contents(function, find_objects(function, {}, elements), elements)
        memory = _memory_of(function, contents)
        found = False
        for width, type in _MOVED_AS:
            if isinstance(type, FloatType):
                _restore_constants(function, contents, width)
            for web in _find_webs(function, memory, width, type):
                _rewrite(web, type)
                found = True
        if not found:
            break


def _holds_only(contents: Contents, access: Load | Store, type: Type) -> bool:
    said = accessed(access)
    if said is not None:
        return said is Accessed.POINTER if type.is_pointer else said.value == str(type)
    content = contents.at(access.pointer)
    if type.is_pointer:
        return content.pointers and not content.floats
    return content.floats == {type} and not content.pointers


@dataclass(frozen=True)
class _Memory:
    """What lies in the memory of a function.

    Attributes
    ----------
    open
        Objects in which there may be anything, as far as it is moved: nobody computes with integers there.
    """

    contents: Contents
    open: frozenset[MemoryObject]

    def holds_only(self, access: Load | Store, type: Type) -> bool:
        """Whether what `access` reads or overwrites is of `type`, and nothing else is there."""
        return _holds_only(self.contents, access, type)

    def may_hold(self, access: Load, type: Type) -> bool:
        """Whether nothing speaks against it that what `access` reads is of `type`."""
        if accessed(access) is not None or not self.is_open(access):
            return self.holds_only(access, type)
        content = self.contents.at(access.pointer)
        return not content.floats if type.is_pointer else content.floats <= {type} and not content.pointers

    def is_open(self, access: Load | Store) -> bool:
        """Whether what is moved through the memory of `access` may be anything."""
        return self.open.issuperset(self.contents.objects.of(access.pointer))


def _memory_of(function: Function, contents: Contents) -> _Memory:
    objects = contents.objects
    if not objects.is_foreign:
        return _Memory(contents, frozenset())
    found, counted = set[MemoryObject](), set[MemoryObject]()
    for access in function.instructions():
        if not isinstance(access, Load | Store):
            continue
        moved: Value = access if isinstance(access, Load) else access.value
        if isinstance(moved.type, IntType):
            targets = objects.of(access.pointer)
            found |= {o for o in targets if not is_described(o, objects)}
            if accessed(access) is Accessed.INTEGER or not _is_only_moved(moved):
                counted |= targets
    return _Memory(contents, frozenset(found - counted))


def _is_only_moved(value: Value) -> bool:
    """Whether nobody computes with `value`, and it is no result of a computation."""
    if not isinstance(value, Instruction):
        return isinstance(value, ConstantInt) and value.value == 0
    return all(
        isinstance(member, Load | Phi | Select | Freeze)
        or (isinstance(member, Cast) and member.opcode in _CONVERSIONS)
        for member in _grow(value)
    ) and all(
        isinstance(user, Phi | Select | Freeze | Store) or user.opcode in _CONVERSIONS
        for member in _grow(value)
        for user in member.users
    )


def _as_float(constant: ConstantInt, type: FloatType) -> ConstantFloat:
    """Return the float with the bits of `constant`."""
    assert isinstance(constant.type, IntType)
    whole, real = _BYTES[constant.type.width]
    return ConstantFloat(type, struct.unpack(real, struct.pack(whole, constant.value))[0])


def _restore_constants(function: Function, contents: Contents, width: int) -> None:
    type = _FLOAT_OF[width]
    for instruction in function.instructions():
        if (
            isinstance(instruction, Store)
            and isinstance(instruction.value, ConstantInt)
            and instruction.value.type == IntType(width)
            and _holds_only(contents, instruction, type)
            and _is_number(instruction.value, width)
        ):
            instruction.set_operand(0, _as_float(instruction.value, type))


def _is_number(constant: ConstantInt, width: int) -> bool:
    """Whether the bits of `constant` are a number: those of a NaN may not survive being spelled."""
    value = _as_float(constant, _FLOAT_OF[width]).value
    return value == value  # noqa: PLR0124 - a NaN is not


def _find_webs(function: Function, memory: _Memory, width: int, type: Type) -> Iterable[set[Instruction]]:
    done = set[Instruction]()
    for instruction in list(function.instructions()):
        if instruction in done or instruction.type != IntType(width):
            continue
        if not isinstance(instruction, Load) and instruction.opcode not in _CONVERSIONS:
            continue
        web = _grow(instruction)
        done |= web
        if any(_tells(member, memory, type) for member in web) and all(
            _is_moved(member, web, memory, type) for member in web
        ):
            yield web


def _tells(member: Instruction, memory: _Memory, type: Type) -> bool:
    """Whether `member`, or where it goes, shows that it is of `type`."""
    if isinstance(member, Load) and memory.holds_only(member, type):
        return True
    if isinstance(member, Cast) and member.opcode in _CONVERSIONS and member.operands[0].type == type:
        return True
    return any(
        (
            isinstance(user, Store)
            and user.value is member
            and memory.holds_only(user, type)
            and memory.is_open(user)
        )
        or (user.opcode in _CONVERSIONS and user.type == type)
        for user in member.users
    )


def _grow(start: Instruction) -> set[Instruction]:
    """Return the values that the bits of `start` are merged with."""
    web: set[Instruction] = set()
    pending = [start]
    while pending:
        member = pending.pop()
        if member in web:
            continue
        web.add(member)
        neighbours: list[Value] = [u for u in member.users if isinstance(u, Phi | Select | Freeze)]
        if isinstance(member, Phi | Select | Freeze):
            neighbours += member.operands
        pending.extend(n for n in neighbours if isinstance(n, Instruction) and n.type == start.type)
    return web


def _is_moved(member: Instruction, web: set[Instruction], memory: _Memory, type: Type) -> bool:
    """Whether `member` comes from floats and goes nowhere but to floats."""
    match member:
        case Load():
            comes = memory.may_hold(member, type)
        case Cast():
            comes = member.opcode in _CONVERSIONS and member.operands[0].type == type
        case Phi() | Freeze():
            comes = all(_is_source(o, web, type) for o in member.operands)
        case Select():
            comes = all(_is_source(o, web, type) for o in member.operands[1:])
        case _:
            comes = False
    return comes and all(
        user in web
        or (isinstance(user, Store) and user.value is member and user.pointer is not member)
        or (user.opcode in _CONVERSIONS and user.type == type)
        for user in member.users
    )


def _is_source(value: Value, web: set[Instruction], type: Type) -> bool:
    if isinstance(value, ConstantInt):
        if type.is_pointer:
            return value.value == 0
        assert isinstance(value.type, IntType)
        return _is_number(value, value.type.width)
    return value in web or isinstance(value, Undef | Poison)


def _rewrite(web: set[Instruction], type: Type) -> None:
    new: dict[Value, Value] = {}
    for member in web:
        new[member] = member.operands[0] if isinstance(member, Cast) else _twin(member, type)
    for member in web:
        _connect(member, new, type)
        for user in list(member.users):
            if user in web:
                continue
            if isinstance(user, Store):
                user.replace_operand(member, new[member])
            elif user.opcode in _CONVERSIONS:
                user.replace_all_uses_with(new[member])
                user.erase()
    for member in web:
        if member.block is not None:
            member.block.instructions.remove(member)
            member.block = None
    for member in web:
        member.drop_operands()


def _twin(member: Instruction, type: Type) -> Instruction:
    """Return a copy of `member` of the float type, in front of it."""
    twin = clone_instruction(member, {})
    twin.type = type
    block = member.block
    assert block is not None
    return block.insert(block.instructions.index(member), twin)


def _connect(member: Instruction, new: Mapping[Value, Value], type: Type) -> None:
    """Let the copy of a phi, select or freeze use the copies of its operands."""
    twin = new[member]
    if not isinstance(twin, Phi | Select | Freeze) or isinstance(member, Cast):
        return
    for index, operand in enumerate(twin.operands):
        if operand in new:
            twin.set_operand(index, new[operand])
        elif operand.type == member.type:
            if isinstance(operand, ConstantInt):
                twin.set_operand(
                    index, _as_float(operand, type) if isinstance(type, FloatType) else ConstantNull()
                )
            elif isinstance(operand, Undef | Poison):
                twin.set_operand(index, operand.__class__(type))
