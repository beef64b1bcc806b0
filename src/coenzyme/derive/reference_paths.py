"""How many references there are to a block, on all ways through a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from coenzyme.analysis.exits import normal_statuses
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.instructions import Block, Call, Function, Instruction, Phi, Return
from coenzyme.ir.values import ConstantInt, Value
from coenzyme.rules import ReferenceCount, find_memory_rule

__all__ = ["Counts", "Paths", "change_of", "count_rule"]

_LOST = -(1 << 20)
"""Fewer references than none: something else is going on."""


@dataclass
class Counts:
    """All that is counted on one block.

    Attributes
    ----------
    direct
        Counts on the block itself, by the block of code that they stand in.
    merged
        Counts on a phi that is the block if control comes from the first to the second block of code, where
        they stand.
    """

    direct: dict[Block, list[Call]] = field(default_factory=dict[Block, "list[Call]"])
    merged: dict[tuple[Block, Block], list[Call]] = field(
        default_factory=dict[tuple[Block, Block], "list[Call]"]
    )

    def all(self) -> Iterable[Call]:
        """Yield all of them."""
        for group in (self.direct, self.merged):
            for counts in group.values():
                yield from counts

    def in_order(self, block: Block) -> list[Call]:
        """Return those that stand in a block of code, in their order."""
        merged = (count for (_, target), group in self.merged.items() if target is block for count in group)
        found = {*self.direct.get(block, ()), *merged}
        return sorted(found, key=block.instructions.index)

    def entering(self, source: Block, target: Block) -> int:
        """Return what is counted where control comes from one block of code to another."""
        return sum(change_of(count) for count in self.merged.get((source, target), ()))


def count_rule(user: Instruction) -> ReferenceCount | None:
    """Return what `user` counts, None if it counts nothing."""
    rule = find_memory_rule(user.callee_name or "") if isinstance(user, Call) else None
    return rule if isinstance(rule, ReferenceCount) else None


def change_of(count: Call) -> int:
    """Return what `count` adds to the number of references."""
    rule = count_rule(count)
    assert rule is not None
    return rule.change


class Paths:
    """How many references there are on the ways through one function."""

    def __init__(self, function: Function) -> None:
        self.flow = ControlFlow(function)
        self.normal = _normal_edges(self.flow)
        self.live = _live_blocks(self.flow, self.normal)

    def come_to_nothing(self, counts: Counts) -> bool:
        """Whether the sum of `counts` is zero on all ways to a normal return."""

        def through(block: Block, before: int) -> int:
            return before + sum(change_of(count) for count in counts.direct.get(block, ()))

        start = {self.flow.entry: 0}
        sums = self.propagate(start, through, counts)
        return sums is not None and not any(
            through(block, before) for block, before in sums.items() if block in self.normal
        )

    def before_last(self, allocation: Call, counts: Counts) -> set[Call]:
        """Return all of `counts` but those that free the block; none where not everything is known."""
        home = allocation.block
        assert home is not None
        if home not in self.live or any(target is home for _, target in counts.merged):
            return set()

        def through(block: Block, before: int) -> int:
            return _number_after(1 if block is home else before, counts.direct.get(block, ()))

        sums = self.propagate({home: 0}, through, counts)
        if sums is None:
            return set()
        # A reference that is left belongs to the caller, who gets the block as the result.
        if any(through(block, before) > 1 for block, before in sums.items() if block in self.normal):
            return set()
        last: set[Call] = set()
        for block, before in self.propagate_to_errors(sums, through, counts).items():
            after = through(block, before)
            if before < 0 or after < 0:
                return set()
            if after == 0:
                ending = counts.in_order(block)
                # A merged drop is counted where its block of code begins: it must not be the last one there.
                if ending and ending[-1] not in counts.direct.get(block, ()):
                    return set()
                last.update(ending[-1:])
        return set(counts.all()) - last

    def propagate(
        self, start: Mapping[Block, int], through: Callable[[Block, int], int], counts: Counts
    ) -> dict[Block, int] | None:
        """Return the number of references where each block of code on a way to a normal return begins.

        None where two ways that meet differ in it.
        """
        before = dict(start)
        pending = list(start)
        while pending:
            block = pending.pop()
            after = through(block, before[block])
            for target in self.flow.successors[block]:
                sources = self.normal.get(target)
                if target not in self.live or (sources is not None and block not in sources):
                    continue
                number = after + counts.entering(block, target)
                if target not in before:
                    before[target] = number
                    pending.append(target)
                elif before[target] != number:
                    return None
        return before

    def propagate_to_errors(
        self, before: Mapping[Block, int], through: Callable[[Block, int], int], counts: Counts
    ) -> dict[Block, int]:
        """Return `before`, and the numbers on the way to an error, where all ways that meet agree in them."""
        found: dict[Block, int | None] = dict(before)
        pending = list(before)
        while pending:
            block = pending.pop()
            number = found[block]
            after = None if number is None else through(block, number)
            for target in self.flow.successors[block]:
                if target in self.live:
                    continue
                entering = None if after is None else after + counts.entering(block, target)
                if target not in found:
                    found[target] = entering
                elif found[target] in (None, entering):
                    continue
                else:
                    found[target] = None
                pending.append(target)
        return {block: number for block, number in found.items() if number is not None}


def _number_after(number: int, counts: Iterable[Call]) -> int:
    """Return how many references there are behind some counts; `_LOST` if they go on when there are none."""
    for count in counts:
        number = number + change_of(count) if number > 0 else _LOST
    return number


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
