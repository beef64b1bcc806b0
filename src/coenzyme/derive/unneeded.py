"""Forward sweeps without what nobody asks for.

Where the caller does not need what the function leaves in an array, or returns, the forward sweep computes
for the reverse sweep alone: for what that reads again, what is on the tape, what decides branches. Stores to
memory that none of these reads are dropped, and with them, when LLVM has looked at what is left, whole loops.
An object is read when a load whose value counts reads it; a load counts where its value does: linear code,
whose reverse sweep needs no value at all, drops out although each step reads what the one before wrote.
Source: Hascoët & Araya-Polo, "The adjoint data-flow analyses" (2006), on adjoint-live code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from coenzyme.analysis.objects import MemoryObject, Storage, called_effect
from coenzyme.analysis.overwritten import may_overlap
from coenzyme.derive.plan import ReversePlan
from coenzyme.ir.instructions import Call, Function, Instruction, Load, Store
from coenzyme.ir.values import Value
from coenzyme.rules import Effect

__all__ = ["drop_unneeded"]

_BOOKKEEPING = (
    Effect.ALLOCATION,
    Effect.DEALLOCATION,
    Effect.REFERENCE_COUNT,
    Effect.MEMINFO_DATA,
)
_PURE_CALLS = (Effect.DIFFERENTIABLE, Effect.ZERO_DERIVATIVE, Effect.MEMINFO_DATA)
_EFFECTS = ("store", "call", "atomicrmw", "cmpxchg", "fence")


def drop_unneeded(
    plan: ReversePlan,
    again: Mapping[Load, Value],
    elsewhere: Collection[MemoryObject],
) -> None:
    """Remove from an emitted derivative the stores of the forward sweep that serve nobody, in place.

    Parameters
    ----------
    again
        The loads by which the reverse sweep reads the primal's memory, with the primal's own pointers.
    elsewhere
        What functions read that the reverse sweep calls.
    """
    if plan.unneeded:
        _Sweep(plan, again, elsewhere).run()


class _Sweep:
    def __init__(
        self, plan: ReversePlan, again: Mapping[Load, Value], elsewhere: Collection[MemoryObject]
    ) -> None:
        self.plan = plan
        self.elsewhere = elsewhere
        self.objects = plan.activity.objects
        self.function: Function = plan.shape.function
        self.primal = [
            i
            for block, instructions in plan.instructions.items()
            if block in self.function.blocks
            for i in instructions
            if i.block is not None and i not in plan.mirrored
        ]
        self.reads: dict[Instruction, set[MemoryObject]] = {}
        self.writers: dict[MemoryObject, list[Instruction]] = {}
        self.writes: dict[Instruction, set[MemoryObject]] = {}
        self.live: set[Instruction] = set()
        self.needed: set[MemoryObject] = set()
        self.pending: list[Instruction] = []
        for instruction in self.primal:
            self._describe(instruction)
        for twin, pointer in again.items():
            self.reads[twin] = set(self.objects.of(pointer))

    def run(self) -> None:
        """Mark what counts, and remove the stores that do not."""
        for instruction in self.function.instructions():
            if self._is_root(instruction):
                self._mark(instruction)
        for item in self.elsewhere:
            self._need(item)
        while self.pending:
            instruction = self.pending.pop()
            for operand in instruction.operands:
                if isinstance(operand, Instruction):
                    self._mark(operand)
            for item in self.reads.get(instruction, ()):
                self._need(item)
        for instruction in self.writes:
            if instruction not in self.live:
                instruction.erase()

    def _describe(self, instruction: Instruction) -> None:
        """Note what a primal instruction reads, and whether it writes what may turn out to be unneeded."""
        of = self.objects.of
        written: set[MemoryObject] = set()
        match instruction:
            case Load():
                self.reads[instruction] = set(of(instruction.pointer))
            case Store():
                written = set(of(instruction.pointer))
            case Call():
                effect = called_effect(instruction)
                if effect in (Effect.MEMCPY, Effect.MEMMOVE, Effect.MEMSET):
                    written = set(of(instruction.operands[0]))
                    if effect is not Effect.MEMSET:
                        self.reads[instruction] = set(of(instruction.operands[1]))
                elif effect not in _BOOKKEEPING:
                    pointers = [a for a in instruction.arguments if a.type.is_pointer]
                    self.reads[instruction] = set(self.objects.reachable(pointers))
            case _:
                pass
        if written and all(self._may_go(item) for item in written):
            self.writes[instruction] = written
            for item in written:
                self.writers.setdefault(item, []).append(instruction)

    def _may_go(self, item: MemoryObject) -> bool:
        """Whether nobody but this function needs what is in `item`."""
        if item in self.plan.unneeded:
            return True
        if item.storage not in (Storage.STACK, Storage.HEAP) or self.objects.contents.get(item):
            return False
        return not any(item in held for held in self.objects.contents.values())

    def _is_root(self, instruction: Instruction) -> bool:
        if instruction in self.writes:
            return False
        if isinstance(instruction, Call):
            return called_effect(instruction) not in _PURE_CALLS
        return instruction.is_terminator or instruction.opcode in _EFFECTS

    def _mark(self, instruction: Instruction) -> None:
        if instruction not in self.live:
            self.live.add(instruction)
            self.pending.append(instruction)

    def _need(self, item: MemoryObject) -> None:
        if item in self.needed:
            return
        self.needed.add(item)
        for other, writers in self.writers.items():
            if may_overlap(item, other, self.plan.aliasing):
                for writer in writers:
                    self._mark(writer)
