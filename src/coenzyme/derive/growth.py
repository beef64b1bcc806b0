"""Counted blocks whose payload grows: local lists.

A payload that grows moves, and what it held moves with it: an element keeps its offset. In the reverse sweep
the payload is where the last growth has put it, so that addresses in it are computed again from the block,
never taped. For the offsets to stay valid, no payload shrinks before the reverse sweep is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coenzyme.analysis.objects import (
    MemoryObject,
    Objects,
    Storage,
    called_effect,
    is_growth,
    is_internal_call,
    passed_pointers,
)
from coenzyme.analysis.payload import is_resizable
from coenzyme.derive.context import Context
from coenzyme.derive.runtime import GROW
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import (
    Block,
    Call,
    Cast,
    Freeze,
    Function,
    GetElementPtr,
    Instruction,
    Phi,
    Select,
)
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.values import Value
from coenzyme.rules import Effect

_SHRINKING = "NRT_MemInfo_varsize_realloc"
"""Gives a payload a smaller size too; what typed containers grow by does not."""

__all__ = ["find_movable", "keep_payloads", "merge_payload_addresses"]


def merge_payload_addresses(function: Function) -> None:
    """Ask for the address of a payload again where LLVM merged answers to that question."""
    forest: LoopForest | None = None
    for block in function.blocks:
        for phi in block.phis:
            calls = [o for o in phi.operands if isinstance(o, Call) and _asks(o)]
            if len(calls) < len(phi.operands) or not phi.operands:
                continue
            blocks = {_uncopied(call.operands[0]) for call in calls}
            asking = next((c for c in calls if called_effect(c) is Effect.MEMINFO_DATA), None)
            if len(blocks) == 1 and asking is not None:
                forest = forest or LoopForest(function)
                again = clone_instruction(asking, {})
                again.name = f"{phi.name}.payload"
                again.set_operand(0, _counted_block(phi, forest))
                block.insert(len(block.phis), again)
                phi.replace_all_uses_with(again)
                phi.erase()


def _uncopied(value: Value) -> Value:
    while isinstance(value, Phi) and len(set(value.operands)) == 1:
        value = value.operands[0]
    return value


def _counted_block(phi: Phi, forest: LoopForest) -> Value:
    """Return the block whose payload's address `phi` merges; out of a loop it comes by a phi."""
    assert phi.block is not None
    entries = [(call.operands[0], origin) for call, origin in phi.pairs if isinstance(call, Call)]
    (value, _), *others = entries
    home = value.block if isinstance(value, Instruction) else None
    loop = None if home is None else forest.loop_of[home]
    if all(other is value for other, _ in others) and (loop is None or phi.block in loop):
        return value
    copy = Phi(value.type, entries, f"{phi.name}.block")
    phi.block.insert(0, copy)
    return copy


def _asks(call: Call) -> bool:
    return called_effect(call) is Effect.MEMINFO_DATA or is_growth(call)


def keep_payloads(context: Context, live: Iterable[Block]) -> None:
    """Let the calls that give payloads another size never make one smaller, and clear what they add."""
    for block in live:
        for instruction in block.instructions:
            if isinstance(instruction, Call) and instruction.callee_name == _SHRINKING:
                instruction.set_operand(len(instruction.operands) - 1, context.require(GROW))


def find_movable(
    live: Iterable[Block], objects: Objects, primal_of: Mapping[Value, Value], context: Context
) -> frozenset[Value]:
    """Return the addresses in payloads that may move until the reverse sweep.

    Parameters
    ----------
    primal_of
        The primal instruction that an instruction on shadows goes with.
    """
    instructions = [i for block in live for i in block.instructions]
    growing: set[MemoryObject] = set()
    for instruction in instructions:
        if is_growth(instruction) and instruction not in primal_of:
            growing |= objects.of(instruction.operands[0])
        elif is_internal_call(instruction):
            assert isinstance(instruction, Call)
            growing |= {o for o in objects.reachable(passed_pointers(instruction)) if is_resizable(o)}
    movable: set[Value] = set()
    changed = True
    while changed:
        changed = False
        for instruction in instructions:
            if instruction in movable or not instruction.type.is_pointer:
                continue
            if _moves(instruction, objects, growing, primal_of) or (
                isinstance(instruction, GetElementPtr | Cast | Freeze | Select | Phi)
                and any(o in movable for o in instruction.operands)
            ):
                if isinstance(instruction, Phi):
                    message = "one of several places in a list that grows is chosen"
                    raise context.unsupported(instruction, message)
                movable.add(instruction)
                changed = True
    return frozenset(movable)


def _moves(
    instruction: Instruction,
    objects: Objects,
    growing: set[MemoryObject],
    primal_of: Mapping[Value, Value],
) -> bool:
    """Whether `instruction` gives the address of a payload that may move later."""
    if not isinstance(instruction, Call) or not _asks(instruction):
        return False
    primal = primal_of.get(instruction, instruction)
    assert isinstance(primal, Call)
    return any(item in growing or not _stays(item) for item in objects.of(primal.operands[0]))


def _stays(item: MemoryObject) -> bool:
    """Whether the payload of a block stays where it is unless this function moves it."""
    return item.storage in (Storage.HEAP, Storage.GLOBAL)
