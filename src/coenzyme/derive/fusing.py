"""Forward and reverse sweep in one loop, where a loop's iterations are run again and nothing waits for them.

A loop that only adds up terms, and whose iterations the reverse sweep runs again, need not be run before:
what comes after it in the function is differentiated without the sum where the sum enters linearly. The
forward sweep leaves the loop out; the reverse sweep, which runs each iteration and at once its adjoint, adds
up the terms; and what depends on the sum, up to the function's result, is computed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coenzyme.analysis.passes import Pass
from coenzyme.derive.calls import ReverseCalls
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.replay import stands_alone
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Alloca, Binary, Block, Call, Instruction, Load, Phi, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I32, Type
from coenzyme.ir.values import Constant, Value

__all__ = ["Fusion", "find_fusions", "fuse"]

_LINEAR = ("fadd", "fsub", "fmul", "fneg")
_FUSED = ("llvm.fmuladd.", "llvm.fma.")


@dataclass(frozen=True)
class Fusion:
    """A loop of the forward sweep that can be left out.

    Attributes
    ----------
    sums
        For each sum, its phi, the addition and the place of the term.
    late
        What depends on the sums, in order.
    """

    call: Call
    loop: Loop
    sums: tuple[tuple[Phi, Instruction, Value], ...]
    late: tuple[Instruction, ...]


def find_fusions(plan: ReversePlan, calls: ReverseCalls) -> list[Fusion]:
    """Return the loops that the forward sweep can leave out."""
    if Pass.FUSE not in plan.passes:
        return []
    found = (_find_fusion(plan, call) for call in calls.pair_of if stands_alone(call))
    return [fusion for fusion in found if fusion is not None]


def _find_fusion(plan: ReversePlan, call: Call) -> Fusion | None:
    shape = plan.shape
    assert call.block is not None
    loop = shape.loop_of(call.block)
    if loop is None or loop.parent is not None or len(loop.blocks) != 1 or plan.frame(loop) is not None:
        return None
    if loop not in plan.accumulations.orderless:
        return None
    block = loop.header
    sums: list[tuple[Phi, Instruction, Value]] = []
    for phi in block.phis:
        if phi is shape.counted[loop].index or phi in plan.recurrences:
            continue
        addition = phi.value_from(block)
        terms = [o for o in addition.operands if o is not phi] if isinstance(addition, Binary) else []
        if len(terms) != 1 or not isinstance(terms[0], Load) or not isinstance(terms[0].pointer, Alloca):
            return None
        assert isinstance(addition, Instruction)
        sums.append((phi, addition, terms[0].pointer))
    own = {i for i in block.instructions}
    late = _find_late(plan, [i for _, i, _ in sums], own)
    if late is None or any(isinstance(i, Store) for i in own):
        return None
    needed = {v for values in plan.required.values() for v in values} | set(plan.tape.keep)
    if not needed.isdisjoint(late) or not needed.isdisjoint(i for sum in sums for i in sum[:2]):
        return None
    return Fusion(call, loop, tuple(sums), late)


def _find_late(
    plan: ReversePlan, sums: Iterable[Instruction], own: set[Instruction]
) -> tuple[Instruction, ...] | None:
    """Return what depends on `sums` outside their loop, in order, where all that can wait."""
    shape = plan.shape
    ending = [block for block in shape.exits.kinds if block in shape.live]
    if len(ending) != 1:
        return None
    found: set[Instruction] = set()
    pending = [user for i in sums for user in i.users if user not in own]
    while pending:
        instruction = pending.pop()
        if instruction in found:
            continue
        block = instruction.block
        if block is None or block not in shape.live or shape.loop_of(block) is not None:
            return None
        match instruction:
            case Store():
                result = instruction.pointer is shape.function.arguments[0]
                if not result or not shape.dominators.dominates(block, ending[0]):
                    return None
            case Phi():
                pass
            case Call() if (instruction.callee_name or "").startswith(_FUSED):
                pass
            case _ if instruction.opcode not in _LINEAR:
                return None
            case _:
                pass
        found.add(instruction)
        pending.extend(instruction.users)
    order = [i for block in shape.flow.reverse_postorder for i in block.instructions if i in found]
    return tuple(order)


def fuse(
    fusion: Fusion, again: Call, finish: Block, prologue: list[Instruction], *, result_needed: bool
) -> None:
    """Leave the loop out of the forward sweep of an emitted derivative.

    Parameters
    ----------
    again
        The call in the reverse sweep that runs an iteration and its adjoint.
    finish
        The block at the end of the reverse sweep.
    prologue
        Instructions that will stand at the start of the function.
    result_needed
        Whether what depends on the sums is wanted.
    """
    loop = fusion.loop
    assert loop.preheader is not None
    totals: dict[Value, Value] = {}
    for phi, addition, place in fusion.sums:
        total = _slot(prologue, phi.type)
        Builder.before(loop.preheader.terminator).store(phi.value_from(loop.preheader), total)
        at = Builder.after(again)
        term = at.load(phi.type, place)
        at.store(at.fadd(at.load(phi.type, total), term, flags=addition.flags), total)
        totals[addition] = total
    if result_needed:
        _compute_late(fusion, totals, finish, prologue)
    starts = {addition: phi.value_from(loop.preheader) for phi, addition, _ in fusion.sums}
    _leave_out(loop, starts)


def _slot(prologue: list[Instruction], type: Type) -> Value:
    slot = Alloca(type, const_int(I32, 1), "late")
    prologue.append(slot)
    return slot


def _compute_late(
    fusion: Fusion, totals: Mapping[Value, Value], finish: Block, prologue: list[Instruction]
) -> None:
    """Compute again, in `finish`, what depends on the sums."""
    at = Builder(finish, 0)
    known: dict[Value, Value] = {}
    late_values = set(fusion.late)

    def late(value: Value) -> Value:
        """Return `value` in the finishing block: a sum, what depends on one, or what was there before."""
        if isinstance(value, Constant) or not isinstance(value, Instruction):
            return value
        if value not in known:
            if value in totals:
                known[value] = at.load(value.type, totals[value])
            else:
                slot = _slot(prologue, value.type)
                Builder.after(value).store(value, slot)
                known[value] = at.load(value.type, slot)
        return known[value]

    for instruction in fusion.late:
        if isinstance(instruction, Phi):
            changed = [v in totals or v in late_values for v in instruction.operands]
            known[instruction] = _late_phi(instruction, changed, late, at, prologue)
            continue
        twin = clone_instruction(instruction, {o: late(o) for o in instruction.operands})
        at.insert(twin)
        known[instruction] = twin


def _late_phi(
    phi: Phi,
    changed: Sequence[bool],
    late: Callable[[Value], Value],
    at: Builder,
    prologue: list[Instruction],
) -> Value:
    """Return what `phi` is once the sums are there, which are among the operands that have `changed`."""
    block = phi.block
    assert block is not None
    usual, way = _slot(prologue, phi.type), _slot(prologue, I32)
    number = Phi(I32, [(const_int(I32, n), b) for n, b in enumerate(phi.incoming)], "way")
    block.insert(0, number)
    first = Builder(block, len(block.phis))
    first.store(number, way)
    first.store(phi, usual)
    result: Value = at.load(phi.type, usual)
    taken = at.load(I32, way)
    for n, value in enumerate(phi.operands):
        if changed[n]:
            result = at.select(at.icmp("eq", taken, const_int(I32, n)), late(value), result)
    return result


def _leave_out(loop: Loop, starts: Mapping[Instruction, Value]) -> None:
    """Let the forward sweep go past `loop`; what the sums would be, nobody reads."""
    block = loop.header
    assert loop.preheader is not None
    (target,) = loop.exit_blocks
    for phi in target.phis:
        for position, origin in enumerate(phi.incoming):
            if origin is block:
                value = phi.operands[position]
                phi.set_operand(
                    position, starts[value] if isinstance(value, Instruction) and value in starts else value
                )
                phi.incoming[position] = loop.preheader
    loop.preheader.terminator.replace_target(block, target)
    for instruction in block.instructions:
        instruction.drop_operands()
    assert block.function is not None
    block.function.blocks.remove(block)
