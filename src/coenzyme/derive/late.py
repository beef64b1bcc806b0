"""Shadows that only the reverse sweep has: those of memory that an iteration of a loop allocates for itself.

The temporary of an array expression in a loop lives for one iteration. A shadow that the forward sweep made
beside it would be cleared there, and wait with those of all other iterations until the reverse sweep comes
back to it. But cotangents are all that it will hold, and the forward sweep has none: so the reverse sweep of
the iteration allocates it when it begins and frees it when it is through, and what one iteration has freed the
next one finds in the cache. The temporary itself is not held either, unless the reverse sweep reads it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from coenzyme.analysis.objects import called_effect
from coenzyme.derive.normalise import Shape
from coenzyme.derive.shadows import Shadows
from coenzyme.ir.instructions import Block, Call, Cast, Freeze, GetElementPtr, Instruction, Phi, Select
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Value
from coenzyme.rules import Allocation, BlockKind, Effect, find_memory_rule

__all__ = ["LateShadows", "find_late_shadows"]


@dataclass(frozen=True)
class LateShadows:
    """Result of :func:`find_late_shadows`.

    Attributes
    ----------
    allocations
        The primal's allocating calls, by the loop in an iteration of which they stand, in their order.
    twins
        What the forward sweep would allocate for them.
    addresses
        What is computed from those: computed again in the reverse sweep, never taped.
    counts
        The changes of their reference counts, which nobody needs.
    """

    allocations: Mapping[Loop, tuple[Call, ...]] = field(default_factory=dict[Loop, "tuple[Call, ...]"])
    twins: frozenset[Value] = frozenset()
    addresses: frozenset[Value] = frozenset()
    counts: frozenset[Instruction] = frozenset()

    @property
    def calls(self) -> frozenset[Call]:
        """The primal's allocating calls."""
        return frozenset(call for calls in self.allocations.values() for call in calls)

    def erase(self) -> None:
        """Take out of the forward sweep what it does not need, once the reverse sweep is emitted."""
        for count in self.counts:
            count.erase()
        pending = [v for v in (*self.addresses, *self.twins) if isinstance(v, Instruction)]
        for value in pending:
            value.drop_operands()
        for value in pending:
            value.erase()


def find_late_shadows(
    shape: Shape, lanes: Sequence[Shadows], recurrences: Collection[Phi]
) -> LateShadows:
    """Return the shadows that the reverse sweep of an iteration can allocate for itself.

    Parameters
    ----------
    recurrences
        The header phis that advance by a fixed step.
    """
    found: dict[Loop, list[Call]] = {}
    twins: set[Value] = set()
    addresses: set[Value] = set()
    counts: set[Instruction] = set()
    for block in shape.exits.live:
        loop = shape.loop_of(block)
        if loop is None:
            continue
        for call in block.instructions:
            if not isinstance(call, Call) or call not in lanes[0].allocations or not _is_plain(call):
                continue
            if not _runs_in_each_iteration(block, loop, shape):
                continue
            uses = [_follow(s.allocations[call], loop, s, recurrences) for s in lanes]
            if any(use is None for use in uses):
                continue
            found.setdefault(loop, []).append(call)
            twins.update(s.allocations[call] for s in lanes)
            for use in uses:
                assert use is not None
                addresses |= use.addresses
                counts |= use.counts
    allocations = {loop: tuple(calls) for loop, calls in found.items()}
    return LateShadows(allocations, frozenset(twins), frozenset(addresses), frozenset(counts))


@dataclass
class _Uses:
    addresses: set[Value] = field(default_factory=set[Value])
    counts: set[Instruction] = field(default_factory=set[Instruction])


def _is_plain(call: Call) -> bool:
    """Whether `call` allocates a block that only counts references, and whose payload stays where it is."""
    rule = find_memory_rule(call.callee_name or "")
    return (
        isinstance(rule, Allocation)
        and rule.kind is BlockKind.MEMINFO
        and rule.destructor is None
        and not rule.resizable
    )


def _runs_in_each_iteration(block: Block, loop: Loop, shape: Shape) -> bool:
    """Whether an iteration has run `block` if, and only if, its reverse sweep begins at the latch's inverse."""
    latch = loop.latch
    if latch is None or latch not in shape.live or not shape.dominators.dominates(block, latch):
        return False
    exiting = {source for source, _ in shape.counted[loop].edges} - {latch}
    seen: set[Block] = {block}
    pending = [block]
    while pending:
        current = pending.pop()
        if current in exiting:
            return False
        for following in current.successors:
            if following in loop.blocks and following is not loop.header and following not in seen:
                seen.add(following)
                pending.append(following)
    return True


def _follow(
    twin: Instruction, loop: Loop, shadows: Shadows, recurrences: Collection[Phi]
) -> _Uses | None:
    """Return what is made of a shadow's address, or None where that outlives the iteration."""
    uses = _Uses()
    pending: list[Value] = [twin]
    while pending:
        value = pending.pop()
        for user in value.users:
            if user in uses.addresses or user in uses.counts:
                continue
            if user not in shadows.mirrored:
                return None
            if isinstance(user, Call) and called_effect(user) is Effect.REFERENCE_COUNT:
                uses.counts.add(user)
                continue
            if user.block is None or user.block not in loop.blocks:
                return None
            match user:
                case GetElementPtr() | Cast() | Freeze() | Select() if user.type.is_pointer:
                    pass
                case Phi() if user in recurrences and user.block is not loop.header:
                    pass
                case Call() if called_effect(user) is Effect.MEMINFO_DATA:
                    pass
                case _:
                    return None
            uses.addresses.add(user)
            pending.append(user)
    return uses
