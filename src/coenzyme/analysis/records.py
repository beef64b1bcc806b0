"""Which loads from typed containers read integers, though there are floats in the same memory.

The items of a container have one size, and an offset in them means one thing: in a list of pairs of a count
and a number, what lies 0, 16, 32, … bytes from the start are counts. Objects have no fields, so that a load
of such a count looks like one of memory in which active numbers lie. It is none where no float is ever loaded
from, or stored to, its offset modulo the size, and no bits of one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import gcd

from coenzyme.analysis.content import carries_floats
from coenzyme.analysis.objects import MemoryObject, Objects, Storage, called_effect, is_growth
from coenzyme.ir.instructions import Binary, Call, Cast, Freeze, GetElementPtr, Instruction, Load, Store
from coenzyme.ir.types import I8, FloatType, IntType, Type
from coenzyme.ir.values import Argument, ConstantInt, Value
from coenzyme.rules import Effect, find_container_rule

__all__ = ["Records", "find_records"]

_PAYLOADS = ("coenzyme.list.items", "coenzyme.dict.entries")


@dataclass(frozen=True)
class _Access:
    """A load or store: its offset, the bytes it takes, and whether it is one of floats."""

    offset: int
    size: int
    floats: bool
    stored: Value | None


@dataclass
class _Record:
    """The accesses to one container; `step` divides the distance of any two items."""

    step: int = 0
    accesses: list[_Access] = field(default_factory=list[_Access])
    known: bool = True

    def meets(self, a: _Access, b: _Access) -> bool:
        """Whether two accesses may be to the same bytes of an item."""
        distance = b.offset - a.offset
        if self.step:
            distance %= self.step
            return distance < a.size or distance + b.size > self.step
        return -b.size < distance < a.size


class Records:
    """Result of :func:`find_records`."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._records: dict[MemoryObject, _Record] = {}

    def is_integer(self, load: Load, varied: Collection[Value]) -> bool:
        """Whether `load` certainly reads an integer that is no float's bits.

        Parameters
        ----------
        varied
            The values that depend on what is differentiated.
        """
        if not load.type.is_int:
            return False
        targets = self._objects.of(load.pointer)
        return bool(targets) and all(self._holds_integer(load, item, varied) for item in targets)

    def _holds_integer(self, load: Load, item: MemoryObject, varied: Collection[Value]) -> bool:
        record = self._records.get(item)
        own = _access(load)
        if record is None or not record.known or own is None:
            return False
        return not any(
            record.meets(own[0], other)
            and (other.floats or (other.stored is not None and other.stored in varied))
            for other in record.accesses
        )

    def note(self, instruction: Load | Store) -> None:
        """Add an access."""
        found = _access(instruction)
        for item in self._objects.of(instruction.pointer):
            record = self._records.setdefault(item, _Record(known=_is_flat_container(item)))
            if found is None:
                record.known = False
                continue
            record.accesses.append(found[0])
            record.step = gcd(record.step, found[1])

    def forget(self, pointers: Iterable[Value]) -> None:
        """Note that all that `pointers` lead to is accessed in other ways."""
        for item in self._objects.reachable(pointers):
            self._records.setdefault(item, _Record()).known = False


def find_records(instructions: Iterable[Instruction], objects: Objects) -> Records:
    """Return how the items of the containers are accessed."""
    records = Records(objects)
    for instruction in instructions:
        if isinstance(instruction, Load | Store):
            records.note(instruction)
        elif isinstance(instruction, Call) and not _keeps_items(instruction):
            records.forget(a for a in instruction.arguments if a.type.is_pointer)
    return records


def _keeps_items(call: Call) -> bool:
    """Whether `call` neither reads nor writes the items of a container."""
    effect = called_effect(call)
    return (
        find_container_rule(call.callee_name or "") is not None
        or is_growth(call)
        or effect in (Effect.MEMINFO_DATA, Effect.REFERENCE_COUNT, Effect.ALLOCATION)
    )


def _is_flat_container(item: MemoryObject) -> bool:
    """Whether `item` may be one container; what accesses say of it decides."""
    if item.storage is Storage.HEAP:
        return isinstance(item.origin, Call) and called_effect(item.origin) is Effect.CONTAINER
    return item.storage is Storage.ARGUMENT and isinstance(item.origin, Argument)


def _access(instruction: Load | Store) -> tuple[_Access, int] | None:
    """Return where in the items of a container `instruction` reads or writes, and a step between items."""
    type = instruction.type if isinstance(instruction, Load) else instruction.value.type
    size = _size(type)
    pointer, offset, step = instruction.pointer, 0, 0
    while isinstance(pointer, GetElementPtr | Cast | Freeze):
        if isinstance(pointer, GetElementPtr):
            unit = _size(pointer.source_type)
            if len(pointer.operands) != 2 or unit is None:
                return None
            constant, stride = _scaled(pointer.operands[1])
            offset += unit * constant
            step = gcd(step, unit * stride)
        pointer = pointer.operands[0]
    if size is None or not isinstance(pointer, Call) or pointer.callee_name not in _PAYLOADS:
        return None
    stored = instruction.value if isinstance(instruction, Store) else None
    return _Access(offset, size, carries_floats(type), stored), step


def _scaled(index: Value) -> tuple[int, int]:
    """Return numbers such that `index` is the first plus some multiple of the second."""
    if isinstance(index, ConstantInt):
        return index.value, 0
    if isinstance(index, Binary) and isinstance(index.operands[1], ConstantInt):
        by = index.operands[1].value
        constant, stride = _scaled(index.operands[0])
        match index.opcode:
            case "add":
                return constant + by, stride
            case "mul":
                return constant * by, stride * by
            case "shl":
                return constant << by, stride << by
            case _:
                return 0, 1
    return 0, 1


def _size(type: Type) -> int | None:
    match type:
        case IntType():
            return 1 if type == I8 else -(-type.width // 8)
        case FloatType():
            return type.size
        case _:
            return 8 if type.is_pointer else None
