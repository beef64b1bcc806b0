"""Shadows that only the reverse sweep has: those of memory that an iteration of a loop allocates for itself.

The temporary of an array expression in a loop lives for one iteration. A shadow that the forward sweep made
beside it would be cleared there, and wait with those of all other iterations until the reverse sweep comes
back to it. But cotangents are all that it will hold, and the forward sweep has none: so the reverse sweep of
the iteration allocates it when it begins and frees it when it is through, and what one iteration has freed
the next one finds in the cache. The temporary itself is not held either, unless it is read again.
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
        The primal's allocating calls, by the block at whose inverse an iteration's reverse sweep allocates
        the shadows; in their order.
    twins
        What the forward sweep would allocate for them.
    addresses
        What is computed from those: computed again in the reverse sweep, never taped.
    counts
        The changes of their reference counts, which nobody needs.
    """

    allocations: Mapping[Block, tuple[Call, ...]] = field(default_factory=dict[Block, "tuple[Call, ...]"])
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


def find_late_shadows(shape: Shape, lanes: Sequence[Shadows], recurrences: Collection[Phi]) -> LateShadows:
    """Return the shadows that the reverse sweep of an iteration can allocate for itself.

    Parameters
    ----------
    recurrences
        The header phis that advance by a fixed step.
    """
    found: dict[Block, list[Call]] = {}
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
            uses = [_follow(s.allocations[call], loop, s, recurrences) for s in lanes]
            if any(use is None for use in uses):
                continue
            assert uses[0] is not None
            shadowed = [p for p, twin in lanes[0].pointers.items() if twin in uses[0].addresses or p is call]
            end = _find_end(block, loop, shape, shadowed)
            if end is None:
                continue
            found.setdefault(end, []).append(call)
            twins.update(s.allocations[call] for s in lanes)
            for use in uses:
                assert use is not None
                addresses |= use.addresses
                counts |= use.counts
    allocations = {end: tuple(calls) for end, calls in found.items()}
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


def _find_end(block: Block, loop: Loop, shape: Shape, pointers: Collection[Value]) -> Block | None:
    """Return the block that ends each iteration that runs `block`, and after which nobody uses `pointers`.

    The reverse sweep of such an iteration passes its inverse first, and that of no other iteration does.
    """
    latch = loop.latch
    if latch is None or latch not in shape.live or not shape.dominators.dominates(block, latch):
        return None
    after = _reachable(block, loop)
    leaving = [source for source, _ in shape.counted[loop].edges if source is block or source in after]
    users = {user.block for pointer in pointers for user in pointer.users}
    end: Block | None = latch
    while end is not None and shape.dominators.dominates(block, end):
        if shape.loop_of(end) is loop and all(shape.dominators.dominates(end, source) for source in leaving):
            return end if users.isdisjoint(_reachable(end, loop)) else None
        end = shape.dominators.immediate[end]
    return None


def _reachable(start: Block, loop: Loop) -> set[Block]:
    """Return the blocks that an iteration of `loop` may run after `start`."""
    seen: set[Block] = set()
    pending = [start]
    while pending:
        for following in pending.pop().successors:
            if following in loop.blocks and following is not loop.header and following not in seen:
                seen.add(following)
                pending.append(following)
    return seen


def _follow(twin: Instruction, loop: Loop, shadows: Shadows, recurrences: Collection[Phi]) -> _Uses | None:
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
