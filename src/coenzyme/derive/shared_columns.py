"""Numbers that one loop has taped, and that another one beside it has loaded from the same cells.

A step that sums up ``r[k - i] * y[i]`` and then stores ``y[i] + alpha * y[k - i]`` reads the same y twice,
and tapes it twice, once for each loop. Where nobody writes to it in between, the later loop's reverse sweep
reads the column of the earlier one: that is still on its tape, at the top, for it is swept back later.

What must hold: both loops run once in each iteration of the loop around them, the earlier one first and each
of its iterations to the end; the cells of the later one are among those of the earlier one, in the same or
in the opposite order; nobody writes to the object from the beginning of the one to the end of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.objects import Objects
from coenzyme.analysis.overwritten import Aliasing, may_overlap, written_objects
from coenzyme.analysis.tape import Keep, TapePlan
from coenzyme.derive.normalise import Shape
from coenzyme.ir.instructions import Block, Instruction, Load
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Value

__all__ = ["Column", "find_shared_columns"]


@dataclass(frozen=True)
class Column:
    """Where a value is on the tape of another loop.

    Attributes
    ----------
    load
        The load that is taped, in `loop`.
    offset
        To be added to the index of the reading loop for that of `loop`.
    downward
        The index of the reading loop is taken from the last one of `loop` instead.
    """

    load: Load
    loop: Loop
    offset: int
    downward: bool


def find_shared_columns(
    shape: Shape, objects: Objects, polynomials: Polynomials, aliasing: Aliasing, tape: TapePlan
) -> Mapping[Value, Column]:
    """Return the values that need not be taped, for another loop tapes them."""
    search = _Search(shape, objects, polynomials, aliasing)
    taped = {v for v, how in tape.keep.items() if how is Keep.TAPE and isinstance(v, Load)}
    loads = [i for b in shape.exits.live for i in b.instructions if isinstance(i, Load) and i in taped]
    found: dict[Value, Column] = {}
    sources: list[Load] = []
    for load in loads:
        if not search.is_counted(load):
            continue
        column = next((c for s in sources if (c := search.find(s, load)) is not None), None)
        if column is not None:
            found[load] = column
        elif search.runs_in_every_iteration(load):
            sources.append(load)
    return found


class _Search:
    def __init__(self, shape: Shape, objects: Objects, polynomials: Polynomials, aliasing: Aliasing) -> None:
        self.shape = shape
        self.objects = objects
        self.polynomials = polynomials
        self.aliasing = aliasing

    def loop_of(self, load: Load) -> Loop:
        """Return the loop of a load that is taped."""
        assert load.block is not None
        loop = self.shape.loop_of(load.block)
        assert loop is not None
        return loop

    def is_counted(self, load: Load) -> bool:
        """Whether the loop of `load` runs whole iterations, as many as is known before."""
        loop = self.loop_of(load)
        counted = self.shape.counted[loop]
        return counted.last is not None and [a for a, _ in counted.edges] == [loop.latch]

    def runs_in_every_iteration(self, load: Load) -> bool:
        """Whether there is a number for each iteration."""
        loop = self.loop_of(load)
        assert load.block is not None
        assert loop.latch is not None
        return self.shape.dominators.dominates(load.block, loop.latch)

    def find(self, source: Load, load: Load) -> Column | None:
        """Return where `load` finds what `source` has taped, if it does."""
        first, second = self.loop_of(source), self.loop_of(load)
        if first is second or first.parent is not second.parent or source.type != load.type:
            return None
        if first.preheader is None or second.preheader is None:
            return None
        if not self.shape.dominators.dominates(first.preheader, second.preheader):
            return None
        found = self._index(source, load)
        if found is None or self._is_written(load, first, second):
            return None
        return Column(source, first, *found)

    def _index(self, source: Load, load: Load) -> tuple[int, bool] | None:
        """Return the offset and direction by which `source` reads what `load` reads."""
        first, second = self.loop_of(source), self.loop_of(load)
        one, other = self.shape.counted[first], self.shape.counted[second]
        assert one.last is not None
        assert other.last is not None
        a = self.polynomials.of(source.pointer).split(one.index)
        b = self.polynomials.of(load.pointer).split(other.index)
        if a is None or b is None:
            return None
        values = {v for part in (*a, *b) for v in part.values}
        inside = first.blocks | second.blocks
        if any(isinstance(v, Instruction) and v.block in inside for v in values):
            return None
        slope, back = a[0].constant, b[0].constant
        if not slope or back is None or abs(back) != abs(slope):
            return None
        distance, downward = b[1] - a[1], back == -slope
        last, end = self.polynomials.of(one.last), self.polynomials.of(other.last)
        if downward:
            distance -= last.scaled(slope)
        bytes_apart = distance.constant
        if bytes_apart is None or bytes_apart % slope:
            return None
        offset = bytes_apart // slope
        return (offset, downward) if _lies_within(last - end, offset, downward) else None

    def _is_written(self, load: Load, first: Loop, second: Loop) -> bool:
        """Whether the memory of `load` may be written from `first` on to the end of `second`."""
        read = self.objects.of(load.pointer)
        blocks = first.blocks | second.blocks | (self._after(first) & self._before(second))
        return not read or any(
            may_overlap(item, other, self.aliasing)
            for block in blocks
            for instruction in block.instructions
            for item in written_objects(instruction, self.objects)
            for other in read
        )

    def _after(self, loop: Loop) -> set[Block]:
        """Return what an iteration of the loop around `loop` may run after it."""
        header = None if loop.parent is None else loop.parent.header
        return _reach([loop.header], self.shape.flow.successors, header)

    def _before(self, loop: Loop) -> set[Block]:
        """Return what an iteration of the loop around `loop` may run before it."""
        header = None if loop.parent is None else loop.parent.header
        return _reach([loop.header], self.shape.flow.predecessors, header)


def _lies_within(longer: Polynomial, offset: int, downward: bool) -> bool:
    """Whether the indices reached are all indices of the earlier loop, which has `longer` iterations more."""
    more = longer.constant
    if more is None:
        return False
    return offset <= 0 <= more + offset if downward else 0 <= offset <= more


def _reach(start: Iterable[Block], edges: Mapping[Block, Iterable[Block]], stop: Block | None) -> set[Block]:
    found: set[Block] = set()
    pending = list(start)
    while pending:
        block = pending.pop()
        if block not in found:
            found.add(block)
            if block is not stop:
                pending.extend(edges[block])
    return found
