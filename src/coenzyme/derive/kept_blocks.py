"""Which blocks of memory the reverse sweep needs after the primal has given them back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.objects import (
    MemoryObject,
    Objects,
    Storage,
    called_effect,
    is_internal_call,
    passed_pointers,
)
from coenzyme.analysis.payload import is_container
from coenzyme.analysis.tape import Keep, TapePlan
from coenzyme.derive.blas import Copies, read_again
from coenzyme.derive.normalise import Shape
from coenzyme.derive.releasing import is_release
from coenzyme.derive.shadows import Shadows
from coenzyme.ir.instructions import Call, Load, Store
from coenzyme.ir.values import Value
from coenzyme.rules import Allocation, BlockKind, Deallocation, Effect, find_memory_rule

__all__ = ["find_kept"]

_ELSEWHERE = (Storage.ARGUMENT, Storage.REACHED, Storage.RETURNED)
"""Where memory is that a function has not allocated itself."""


def find_kept(  # noqa: PLR0913, PLR0917 - the results of the analyses
    shape: Shape,
    activity: Activity,
    shadows: Shadows,
    tape: TapePlan,
    stored: Mapping[Value, Store],
    copies: Copies,
    read_again_by_calls: Collection[Value],
    late: Collection[Call],
    *,
    is_callee: bool,
) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
    """Return the allocations that have a shadow or that the reverse sweep reads again, and their frees.

    A block is freed by the reverse of the function that allocates it, wherever it is freed in the primal:
    a callee keeps what others may free, and nobody frees what comes from elsewhere.
    """
    objects = activity.objects
    needed: set[MemoryObject] = set()
    for value, how in tape.keep.items():
        if how in (Keep.RECOMPUTE, Keep.EITHER) and (value in stored or isinstance(value, Load)):
            access = stored.get(value, value)
            assert isinstance(access, Load | Store)
            needed |= set(objects.of(access.pointer))
    shadowed = [call for call in shadows.allocations if call not in late]
    for pointer in [*shadowed, *read_again_by_calls]:
        needed |= set(objects.of(pointer))
    # A typed container is freed by the block that counts the references to it.
    inner = {o for o in needed if is_container(o)}
    needed |= {holder for holder, held in objects.contents.items() if not held.isdisjoint(inner)}
    calls = [
        i
        for block in shape.exits.live
        for i in block.instructions
        if isinstance(i, Call) and i not in shadows.mirrored
    ]
    for call in calls:
        if called_effect(call) is Effect.BLAS:
            pointers = [call.operands[o.pointer] for o in read_again(call, activity)]
            needed.update(o for p in pointers if (call, p) not in copies for o in objects.of(p))
    if is_callee:
        counted = {o for c in calls if _is_counted(c) for o in objects.of(c)}
        needed |= _escaping(calls, objects) - counted
    # Where the function fails, too: what is kept is released there.
    freeing = [
        (i, set(objects.of(_freed_block(i))))
        for i in shape.function.instructions()
        if isinstance(i, Call) and called_effect(i) is Effect.DEALLOCATION and i not in shadows.mirrored
    ]
    needed.update(o for _, targets in freeing for o in targets if o.storage in _ELSEWHERE)
    # A call that may free a block we keep frees nothing: then all that it may free is kept.
    changed = True
    while changed:
        changed = False
        for _, targets in freeing:
            if not targets <= needed and not targets.isdisjoint(needed):
                needed |= targets
                changed = True
    kept = tuple(
        c
        for c in calls
        if called_effect(c) is Effect.ALLOCATION
        and any(o in needed and o.storage is Storage.HEAP for o in objects.of(c))
    )
    withheld = [c for c, targets in freeing if not targets.isdisjoint(needed)]
    # What hangs on a block is freed by the reverse of whoever has allocated it, too.
    withheld += [c for c in calls if is_release(c) and any(activity.has_shadow(a) for a in c.arguments)]
    return kept, tuple(withheld)


def _is_counted(call: Call) -> bool:
    """Whether `call` allocates a block that counts references: it lives as long as there is one."""
    rule = find_memory_rule(call.callee_name or "")
    return isinstance(rule, Allocation) and rule.kind is BlockKind.MEMINFO


def _escaping(calls: Iterable[Call], objects: Objects) -> set[MemoryObject]:
    """Return the objects that functions kept out of line, or the caller, may get hold of."""
    found: set[MemoryObject] = set()
    pending = [
        item
        for holder, held in objects.contents.items()
        if holder.storage not in (Storage.STACK, Storage.HEAP)
        for item in held
    ]
    pending += [o for c in calls if is_internal_call(c) for o in objects.reachable(passed_pointers(c))]
    while pending:
        item = pending.pop()
        if item not in found:
            found.add(item)
            pending.extend(objects.contents.get(item, ()))
    return found


def _freed_block(call: Call) -> Value:
    """Return the block that a freeing `call` frees."""
    rule = find_memory_rule(call.callee_name or "")
    assert isinstance(rule, Deallocation)
    return call.operands[rule.block]
