"""How far into an object a pointer may point that runs over an array: an offset, and multiples of a step.

Source: Granger, "Static analysis of arithmetical congruences", Int. J. Computer Math. 30 (1989).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

from coenzyme.analysis.objects import MemoryObject, Objects
from coenzyme.analysis.places import offset_and_step
from coenzyme.ir.instructions import Cast, Freeze, Function, GetElementPtr, Phi, Select
from coenzyme.ir.values import Value

__all__ = ["Stride", "Strides"]


@dataclass(frozen=True)
class Stride:
    """The offsets ``offset + k·step`` for all integers k; of step 0, `offset` alone."""

    offset: int
    step: int

    def join(self, other: Stride) -> Stride:
        """Return what contains both."""
        step = gcd(self.step, other.step, self.offset - other.offset)
        return Stride(self.offset % step if step else self.offset, step)

    def shift(self, offset: int, step: int) -> Stride:
        """Return the sums of these and of ``offset + k·step``."""
        whole = gcd(self.step, step)
        return Stride((self.offset + offset) % whole if whole else self.offset + offset, whole)

    def meets(self, size: int, other: Stride, other_size: int) -> bool:
        """Whether `size` bytes at one of these places may overlap with bytes at one of the `other`."""
        step = gcd(self.step, other.step)
        distance = other.offset - self.offset
        if step == 0:
            return -other_size < distance < size
        distance %= step
        return distance < size or distance + other_size > step


_ANYWHERE = Stride(0, 1)


class Strides:
    """The strides of all pointers of a function, found when they are first asked for."""

    def __init__(self, function: Function, objects: Objects) -> None:
        self._function = function
        self._objects = objects
        self._found: dict[Value, dict[MemoryObject, Stride]] | None = None

    def of(self, pointer: Value) -> Mapping[MemoryObject, Stride]:
        """Return how far into which objects `pointer` may point."""
        if self._found is None:
            self._found = {}
            while self._improve(self._found):
                pass
        return self._found.get(pointer) or self._base(pointer)

    def _improve(self, found: dict[Value, dict[MemoryObject, Stride]]) -> bool:
        changed = False
        for instruction in self._function.instructions():
            if not instruction.type.is_pointer:
                continue
            new: dict[MemoryObject, Stride] = dict(found.get(instruction, {}))
            before = dict(new)
            match instruction:
                case GetElementPtr():
                    offset, step = offset_and_step(instruction)
                    for item, stride in self._operand(instruction.operands[0], found).items():
                        _add(new, item, stride.shift(offset, step))
                case Phi():
                    for operand in instruction.operands:
                        for item, stride in self._operand(operand, found).items():
                            _add(new, item, stride)
                case Select():
                    for operand in instruction.operands[1:]:
                        for item, stride in self._operand(operand, found).items():
                            _add(new, item, stride)
                case Freeze():
                    new = dict(self._operand(instruction.operands[0], found))
                case Cast() if instruction.operands[0].type.is_pointer:
                    new = dict(self._operand(instruction.operands[0], found))
                case _:
                    new = self._base(instruction)
            if new != before:
                found[instruction] = new
                changed = True
        return changed

    def _operand(
        self, operand: Value, found: Mapping[Value, dict[MemoryObject, Stride]]
    ) -> dict[MemoryObject, Stride]:
        known = found.get(operand)
        if known is not None:
            return known
        return {} if isinstance(operand, GetElementPtr | Phi | Select) else self._base(operand)

    def _base(self, pointer: Value) -> dict[MemoryObject, Stride]:
        new: dict[MemoryObject, Stride] = {}
        for item, offset in self._objects.places_of(pointer):
            _add(new, item, _ANYWHERE if offset is None else Stride(offset, 0))
        return new


def _add(found: dict[MemoryObject, Stride], item: MemoryObject, stride: Stride) -> None:
    found[item] = found[item].join(stride) if item in found else stride
