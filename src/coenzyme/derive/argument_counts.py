"""Reference counts of arguments that a function gives back as it got them are not kept.

Numba counts a reference for every name that an array has for a while: each row of a matrix that a loop looks
at is counted up and down, atomically, and the derivative would do the same for every shadow. Its caller
holds a reference of its own all the time, so that what a function counts on its arguments matters only as a
sum; where that is zero on every way to a normal return, nothing is counted. On the other ways nothing is
left behind then, which is less than what Numba leaves.
Source: S. Ullrich & L. de Moura, "Counting immutable beans" (IFL 2019), whose references are borrowed.
"""

from __future__ import annotations

from collections.abc import Mapping

from coenzyme.analysis.exits import normal_statuses
from coenzyme.analysis.objects import called_effect, is_error_slot, is_internal_call
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.instructions import (
    Block,
    Call,
    Cast,
    ExtractValue,
    Freeze,
    Function,
    Instruction,
    Module,
    Phi,
    Return,
    Select,
)
from coenzyme.ir.types import VOID
from coenzyme.ir.values import Argument, ConstantInt, ConstantNull, Value
from coenzyme.rules import Allocation, BlockKind, Deallocation, Effect, ReferenceCount, find_memory_rule

__all__ = ["drop_argument_counts"]

_OPAQUE = frozenset({Effect.UNKNOWN, Effect.OUTSIDE, Effect.CONTAINER, Effect.STRUCTURE})


def drop_argument_counts(module: Module) -> None:
    """Remove the counts on arguments of functions of `module` that come to nothing, in place.

    Where anything might drop a reference that a caller holds, which only code can that reaches into what
    others made, nothing is removed.
    """
    functions = [f for f in module.functions.values() if not f.is_declaration]
    if not all(_drops_only_its_own(function) for function in functions):
        return
    for function in functions:
        if any(is_error_slot(a) for a in function.arguments):
            counts = _counts_of_arguments(function)
            if counts:
                _drop(function, counts)


def _drops_only_its_own(function: Function) -> bool:
    """Whether `function` drops no references but to its arguments and to blocks that it allocated."""
    for call in function.instructions():
        if not isinstance(call, Call) or is_internal_call(call):
            continue
        if called_effect(call) in _OPAQUE:
            return False
        match find_memory_rule(call.callee_name or ""):
            case ReferenceCount(meminfo=operand, change=-1):
                if not _is_own(call.operands[operand]):
                    return False
            case Deallocation(kind=BlockKind.MEMINFO):
                return False
            case _:
                pass
    return True


def _is_own(block: Value) -> bool:
    """Whether `block` is an argument or was allocated here, without a destructor."""
    pending, seen = [block], set[Value]()
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        match value:
            case Argument() | ConstantNull():
                pass
            case Phi():
                pending.extend(value.operands)
            case Select():
                pending.extend(value.operands[1:])
            case Call():
                rule = find_memory_rule(value.callee_name or "")
                if not isinstance(rule, Allocation) or rule.destructor is not None:
                    return False
            case _:
                return False
    return True


def _counts_of_arguments(function: Function) -> dict[Argument, dict[Instruction, int]]:
    """Return what is counted on each argument, for those of which all counts are in sight."""
    found: dict[Argument, dict[Instruction, int]] = {}
    for argument in function.arguments:
        counts: dict[Instruction, int] = {}
        for user in argument.users:
            rule = find_memory_rule(user.callee_name or "") if isinstance(user, Call) else None
            if isinstance(rule, ReferenceCount):
                counts[user] = rule.change
            elif isinstance(user, Phi | Select | Freeze | Cast | ExtractValue):
                break
        else:
            if counts and all(count.type == VOID for count in counts):
                found[argument] = counts
    return found


def _drop(function: Function, counts: Mapping[Argument, Mapping[Instruction, int]]) -> None:
    flow = ControlFlow(function)
    normal = _normal_edges(flow)
    live = _live_blocks(flow, normal)
    for found in counts.values():
        if _come_to_nothing(found, flow, live, normal):
            for count in found:
                count.erase()


def _normal_edges(flow: ControlFlow) -> dict[Block, set[Block] | None]:
    """Return the blocks that may return normally, with the predecessors from which they do; None for all."""
    found: dict[Block, set[Block] | None] = {}
    for block in flow.reverse_postorder:
        last = block.terminator
        if not isinstance(last, Return):
            continue
        status = last.operands[0] if last.operands else None
        if isinstance(status, Phi) and status.block is block:
            found[block] = {source for value, source in status.pairs if not _is_error(value)}
        elif status is None or not _is_error(status):
            found[block] = None
    return found


def _is_error(status: Value) -> bool:
    return isinstance(status, ConstantInt) and status.value not in normal_statuses


def _live_blocks(flow: ControlFlow, normal: Mapping[Block, set[Block] | None]) -> set[Block]:
    """Return the blocks from which a normal return can be reached."""
    live = set(normal)
    pending = list(normal)
    while pending:
        block = pending.pop()
        sources = normal.get(block)
        for predecessor in flow.predecessors[block]:
            if predecessor not in live and (sources is None or predecessor in sources):
                live.add(predecessor)
                pending.append(predecessor)
    return live


def _come_to_nothing(
    counts: Mapping[Instruction, int],
    flow: ControlFlow,
    live: set[Block],
    normal: Mapping[Block, set[Block] | None],
) -> bool:
    """Whether the sum of `counts` is zero on all ways to a normal return."""
    change = dict.fromkeys(flow.reverse_postorder, 0)
    for count, by in counts.items():
        if count.block in change:
            change[count.block] += by
    before: dict[Block, int] = {flow.entry: 0}
    pending = [flow.entry]
    while pending:
        block = pending.pop()
        after = before[block] + change[block]
        if block in normal and after:
            return False
        for target in flow.successors[block]:
            sources = normal.get(target)
            if target not in live or (sources is not None and block not in sources):
                continue
            if target not in before:
                before[target] = after
                pending.append(target)
            elif before[target] != after:
                return False
    return True
