"""Values that advance by a fixed step round a loop, and how often a loop runs.

A loop counts its header's executions from 0: its *last index* is the number of the iteration in which
it is left. Where one exit compares a recurrence against a loop-invariant bound, that number is a
formula of values known before the loop starts.
Source: Bachmann, Wang & Zima, "Chains of recurrences" (ISSAC 1994), the affine case.
"""

from __future__ import annotations

from dataclasses import dataclass

from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block, Branch, Compare, GetElementPtr, Instruction, Phi
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import Type
from coenzyme.ir.values import ConstantInt, Value

__all__ = [
    "NEGATED",
    "NEGATED_SIGNED",
    "CountedExit",
    "Recurrence",
    "find_counted_exit",
    "find_recurrence",
    "is_invariant",
]


@dataclass(frozen=True)
class Recurrence:
    """``phi`` is ``start + i·step`` in iteration i; a pointer advances by ``step`` elements of `element`."""

    phi: Phi
    start: Value
    step: Value
    element: Type | None = None


@dataclass(frozen=True)
class CountedExit:
    """The loop stays while ``(start + offset + i·step) predicate bound``, tested in block `exiting`."""

    exiting: Block
    target: Block
    start: Value
    offset: int
    step: int
    predicate: str
    bound: Value


_SWAPPED = {
    "eq": "eq",
    "ne": "ne",
    "slt": "sgt",
    "sgt": "slt",
    "sle": "sge",
    "sge": "sle",
    "ult": "ugt",
    "ugt": "ult",
    "ule": "uge",
    "uge": "ule",
}
NEGATED = {
    "eq": "ne",
    "ne": "eq",
    "slt": "sge",
    "sge": "slt",
    "sgt": "sle",
    "sle": "sgt",
    "ult": "uge",
    "uge": "ult",
    "ugt": "ule",
    "ule": "ugt",
}
"""What holds of two integers where a predicate does not."""
NEGATED_SIGNED = {a: b for a, b in NEGATED.items() if not a.startswith("u")}
_UPWARD = {"slt", "sle", "ult", "ule", "ne"}
_DOWNWARD = {"sgt", "sge", "ugt", "uge", "ne"}


def is_invariant(value: Value, loop: Loop) -> bool:
    """Whether `value` is the same in every iteration of `loop` because it is defined outside."""
    return not isinstance(value, Instruction) or value.block not in loop.blocks


def find_recurrence(phi: Phi, loop: Loop) -> Recurrence | None:
    """Return how `phi`, in the header of `loop`, advances, or None where the step is not fixed."""
    if phi.block is not loop.header or loop.preheader is None or loop.latch is None:
        return None
    start, following = phi.value_from(loop.preheader), phi.value_from(loop.latch)
    match following:
        case Instruction(opcode="add") if phi in following.operands:
            step = following.operands[1 if following.operands[0] is phi else 0]
            if step is not phi and is_invariant(step, loop):
                return Recurrence(phi, start, step)
        case GetElementPtr() if following.operands[0] is phi and len(following.operands) == 2:
            step = following.operands[1]
            if is_invariant(step, loop):
                return Recurrence(phi, start, step, following.source_type)
        case _:
            pass
    return None


def find_counted_exit(
    loop: Loop, edges: list[tuple[Block, Block]], dominators: Dominators
) -> CountedExit | None:
    """Return an exit of `loop` that bounds the number of iterations by a formula, if there is one.

    Parameters
    ----------
    edges
        The exiting edges to consider.
    """
    assert loop.latch is not None
    for exiting, target in edges:
        if dominators.dominates(exiting, loop.latch):
            found = _counted(loop, exiting, target)
            if found is not None:
                return found
    return None


def _counted(loop: Loop, exiting: Block, target: Block) -> CountedExit | None:
    branch = exiting.terminator
    if not isinstance(branch, Branch) or not branch.operands or branch.targets[0] is branch.targets[1]:
        return None
    condition = branch.operands[0]
    if not isinstance(condition, Compare) or condition.opcode != "icmp":
        return None
    if condition.block not in loop.blocks:
        return None
    predicate = condition.predicate
    for index in (0, 1):
        counter, bound = condition.operands[index], condition.operands[1 - index]
        if index:
            predicate = _SWAPPED[predicate]
        if not counter.type.is_int or not is_invariant(bound, loop):
            continue
        stay = NEGATED[predicate] if branch.targets[0] is target else predicate
        found = _affine(counter, loop)
        if found is not None and _terminates(stay, found[2]):
            return CountedExit(exiting, target, found[0], found[1], found[2], stay, bound)
    return None


def _affine(value: Value, loop: Loop) -> tuple[Value, int, int] | None:
    """Return (start, offset, step) such that value = start + offset + i·step in iteration i."""
    offset = 0
    while isinstance(value, Instruction) and value.opcode == "add" and not isinstance(value, Phi):
        constant = value.operands[1]
        if not isinstance(constant, ConstantInt):
            return None
        offset += constant.value
        value = value.operands[0]
    if not isinstance(value, Phi) or value.block is not loop.header:
        return None
    recurrence = find_recurrence(value, loop)
    if recurrence is None or not isinstance(recurrence.step, ConstantInt):
        return None
    return recurrence.start, offset, recurrence.step.value


def _terminates(stay: str, step: int) -> bool:
    if step == 0 or stay == "eq":
        return False
    if stay == "ne":
        return abs(step) == 1
    return stay in (_UPWARD if step > 0 else _DOWNWARD)
