"""Reference counts that come to nothing are not kept.

Numba counts a reference for every name that an array has for a while: each row of a matrix that a loop looks
at is counted up and down, atomically, and the derivative would do the same for every shadow.

The caller holds a reference to an *argument* all the time, so that what a function counts on its arguments
matters only as a sum; where that is zero on every way to a normal return, nothing is counted. On the other
ways nothing is left behind then, which is less than what Numba leaves.

A block that the function *allocates*, and shows to nobody or returns, has one reference to begin with, and is
freed where the last one is dropped. Where the number of references is known at every place, nothing is
counted but that: the block is freed where it was.

One drop may serve several blocks: LLVM merges the ends of branches into one, which drops what a phi has
chosen. It goes where it can be left out for all of them.
Source: S. Ullrich & L. de Moura, "Counting immutable beans" (IFL 2019), whose references are borrowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from coenzyme.analysis.objects import called_effect, is_error_slot, is_internal_call
from coenzyme.derive.reference_paths import Counts, Paths, change_of, count_rule
from coenzyme.ir.instructions import (
    Call,
    Cast,
    Compare,
    ExtractValue,
    Freeze,
    Function,
    GetElementPtr,
    Instruction,
    Module,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.types import VOID
from coenzyme.ir.values import Argument, ConstantNull, Value
from coenzyme.rules import (
    Allocation,
    BlockKind,
    Deallocation,
    Effect,
    MemInfoData,
    ReferenceCount,
    find_memory_rule,
)

__all__ = ["drop_reference_counts"]

_OPAQUE = frozenset({Effect.UNKNOWN, Effect.OUTSIDE, Effect.CONTAINER, Effect.STRUCTURE})

Owner: TypeAlias = Argument | Call
"""An argument, or the call that allocates a block."""


def drop_reference_counts(module: Module) -> None:
    """Remove the counts in functions of `module` that come to nothing, in place.

    Where anything might drop a reference that a caller holds, which only code can that reaches into what
    others made, the counts on arguments stay.
    """
    functions = [f for f in module.functions.values() if not f.is_declaration]
    borrowed = all(_drops_only_its_own(function) for function in functions)
    for function in functions:
        if any(is_error_slot(a) for a in function.arguments):
            _drop(function, borrowed=borrowed)


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


def _drop(function: Function, *, borrowed: bool) -> None:
    owners: list[Owner] = [a for a in function.arguments if a.type.is_pointer] if borrowed else []
    owners += [i for i in function.instructions() if isinstance(i, Call) and _is_plain_allocation(i)]
    found = {owner: counts for owner in owners if (counts := _counts_of(owner)) is not None}
    if not any(True for counts in found.values() for _ in counts.all()):
        return
    paths = Paths(function)
    superfluous: dict[Owner, set[Call]] = {}
    for owner, counts in found.items():
        if isinstance(owner, Argument):
            extra = set(counts.all()) if paths.come_to_nothing(counts) else set[Call]()
        else:
            extra = paths.before_last(owner, counts)
        # Of one block all counts go, but for those that free it, or none.
        superfluous[owner] = extra
    for count in _agreed(found, superfluous):
        count.erase()


def _agreed(found: Mapping[Owner, Counts], superfluous: dict[Owner, set[Call]]) -> set[Call]:
    """Return the counts that can be left out for all blocks that they count on."""
    shared = {count for counts in found.values() for group in counts.merged.values() for count in group}
    while True:
        kept = {count for count in shared if not _serves(count, superfluous)}
        lost = [owner for owner, extra in superfluous.items() if extra & kept]
        if not lost:
            return set().union(*superfluous.values())
        for owner in lost:
            superfluous[owner] = set()


def _serves(count: Call, superfluous: Mapping[Owner, set[Call]]) -> bool:
    """Whether a merged count can be left out for whatever its phi has chosen."""
    rule = count_rule(count)
    assert rule is not None
    phi = count.operands[rule.meminfo]
    return not isinstance(phi, Phi) or all(
        isinstance(value, ConstantNull)
        or (isinstance(value, (Argument, Call)) and count in superfluous.get(value, ()))
        for value in phi.operands
    )


def _is_plain_allocation(call: Call) -> bool:
    """Whether `call` allocates a block that nothing happens to but that it is freed in the end."""
    rule = find_memory_rule(call.callee_name or "")
    return (
        isinstance(rule, Allocation)
        and rule.kind is BlockKind.MEMINFO
        and rule.destructor is None
        and not rule.resizable
    )


def _counts_of(owner: Owner) -> Counts | None:
    """Return what is counted on a block, None unless all counts are in sight."""
    found = Counts()
    for user in owner.users:
        rule = count_rule(user)
        if rule is not None:
            assert isinstance(user, Call)
            if user.type != VOID or user.block is None:
                return None
            found.direct.setdefault(user.block, []).append(user)
        elif isinstance(user, Phi):
            counts = _merged_counts(user)
            if counts is None or user.block is None:
                return None
            for source in {block for value, block in user.pairs if value is owner}:
                found.merged.setdefault((source, user.block), []).extend(counts)
        elif not _is_harmless(user, owner):
            return None
    for block, counts in found.direct.items():
        counts.sort(key=block.instructions.index)
    return found


def _is_harmless(user: Instruction, owner: Owner) -> bool:
    """Whether `user`, which counts nothing, hides no counts; what callers do to arguments is known."""
    if isinstance(user, Select | Freeze | Cast | ExtractValue):
        return False
    return isinstance(owner, Argument) or _looks_only(user) or _returns(user, owner)


def _merged_counts(phi: Phi) -> list[Call] | None:
    """Return the counts on what `phi` chooses, None unless they stand beside it and are all that there is."""
    counts: list[Call] = []
    for user in phi.users:
        if count_rule(user) is not None:
            if user.type != VOID or user.block is not phi.block:
                return None
            assert isinstance(user, Call)
            # Only drops are counted early without harm.
            if change_of(user) > 0:
                return None
            counts.append(user)
        elif not _looks_only(user):
            return None
    return counts


def _looks_only(user: Instruction) -> bool:
    """Whether `user` asks where a block is, and keeps no reference to it."""
    if isinstance(user, Call):
        return isinstance(find_memory_rule(user.callee_name or ""), MemInfoData)
    return isinstance(user, Compare)


def _returns(user: Instruction, block: Call) -> bool:
    """Whether `user` makes a block the result of the function, or a part of it, which nobody reads again."""
    if not isinstance(user, Store) or user.value is not block:
        return False
    slot = user.pointer.operands[0] if isinstance(user.pointer, GetElementPtr) else user.pointer
    if not isinstance(slot, Argument) or slot.index != 0:
        return False
    pending: list[Value] = [slot]
    while pending:
        place = pending.pop()
        for other in place.users:
            if isinstance(other, GetElementPtr):
                pending.append(other)
            elif not (isinstance(other, Store) and other.value is not place) and not _fills(other, place):
                return False
    return True


def _fills(user: Instruction, place: Value) -> bool:
    return isinstance(user, Call) and called_effect(user) is Effect.MEMSET and user.operands[0] is place
