"""Shadows of several directions side by side, and the blocks in which their tangents are vectors."""

from __future__ import annotations

from dataclasses import dataclass, field

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.objects import MemoryObject, called_effect
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import Alloca, Block, Call, GetElementPtr, Instruction
from coenzyme.ir.types import I64, ArrayType, Type
from coenzyme.ir.values import ConstantInt, Value
from coenzyme.rules import Allocation, Effect, find_memory_rule

__all__ = ["NOT_INTERLEAVED", "TRANSFERS", "Interleaving"]

TRANSFERS = (Effect.MEMSET, Effect.MEMCPY, Effect.MEMMOVE)

_LINE = 64
"""Bytes of a cache line."""


@dataclass(frozen=True)
class Interleaving:
    """What several directions have in common.

    Attributes
    ----------
    width
        How many directions there are.
    interleaved
        The objects with one shadow for all directions: what is b bytes into the object has its tangents
        width·b bytes into the shadow, side by side.
    blocks
        The blocks in which tangents are vectors.
    """

    width: int = 1
    activity: Activity | None = None
    interleaved: frozenset[MemoryObject] = frozenset()
    blocks: frozenset[Block] = field(default_factory=frozenset[Block])

    def has(self, pointer: Value) -> bool:
        """Whether the memory behind `pointer` has one shadow for all directions."""
        if not self.interleaved or self.activity is None:
            return False
        targets = self.activity.objects.of(pointer)
        return bool(targets) and self.interleaved.issuperset(targets)

    def serves_all(self, instruction: Instruction) -> bool:
        """Whether what `instruction` does to a shadow is done once for all directions."""
        if isinstance(instruction, Call) and called_effect(instruction) in TRANSFERS:
            return self.has(instruction.operands[0]) and not self.is_mixed(instruction)
        if isinstance(instruction, Call) and any(self.has(a) for a in instruction.arguments):
            return True
        return instruction.type.is_pointer and self.has(instruction)

    def is_mixed(self, call: Call) -> bool:
        """Whether `call` copies between shadows of which one serves all directions and one does not."""
        if called_effect(call) is Effect.MEMSET:
            return False
        target, source = call.operands[:2]
        if self.has(target):
            return not self.has(source) and self.activity is not None and self.activity.has_shadow(source)
        return self.has(source)

    def widen(self, twin: Instruction) -> list[Instruction]:
        """Let an instruction on the shadow reach as far as all directions take; return what was added."""
        match twin:
            case Alloca():
                twin.allocated_type = ArrayType(self.width, twin.allocated_type)
                twin.align = max(twin.align, _LINE)
            case GetElementPtr():
                twin.source_type = _scaled(twin.source_type, len(twin.operands) > 2, self.width)
                if "inbounds" not in twin.flags:
                    twin.flags = ()
            case Call():
                return self._widen_call(twin)
            case _:
                pass
        return []

    def _widen_call(self, twin: Call) -> list[Instruction]:
        effect = called_effect(twin)
        position = 2
        if effect is Effect.ALLOCATION:
            rule = find_memory_rule(twin.callee_name or "")
            assert isinstance(rule, Allocation)
            position = rule.size[0]
            if rule.alignment is not None:
                alignment = twin.operands[rule.alignment]
                if isinstance(alignment, ConstantInt) and 0 < alignment.value < _LINE:
                    twin.set_operand(rule.alignment, const_int(alignment.type, _LINE))
        elif effect not in TRANSFERS:
            return []
        size = Builder.before(twin).mul(twin.operands[position], const_int(I64, self.width))
        twin.set_operand(position, size)
        return [size] if isinstance(size, Instruction) else []


def _scaled(type: Type, indexed: bool, width: int) -> Type:
    """Return the type over which a ``getelementptr`` with the same indices reaches `width` times as far."""
    if indexed and isinstance(type, ArrayType):
        return ArrayType(type.count, _scaled(type.element, indexed, width))
    return ArrayType(width, type)


NOT_INTERLEAVED = Interleaving()
