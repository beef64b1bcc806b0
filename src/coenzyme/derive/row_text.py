"""Emits the nests of :mod:`coenzyme.derive.rows`: the sweep at one row of the shadows at a time.

At row r, the copy for offset d is the adjoint of the body in iteration r - d. Where all these are iterations
of the nest, the copies run side by side, and what they add to the row is summed in registers. At the other
rows, those at the borders, the copies whose iteration there is run one after the other.
When a row of what the nest overwrites has been read for the last time, its cotangents are cleared; of what it
updates, they are those of what was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.tape import field_size
from coenzyme.derive.adjoints import Adjoints
from coenzyme.derive.context import Context
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.row_copies import Cells, RowAdjoints, RowValues
from coenzyme.derive.row_offsets import Offset
from coenzyme.derive.rows import RowNest, Span
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Block, Instruction, Load
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I1, I64, Type
from coenzyme.ir.values import Value

__all__ = ["SHORTEST", "RowText"]

SHORTEST = 12
"""Rows of fewer cells are swept the plain way: what is done once a row would cost more than is saved."""

_LARGEST_SLOPE = 1 << 38
_LARGEST_INDEX = 1 << 23
"""Products of numbers up to these, and a few of them together, do not wrap."""


@dataclass
class _Copy:
    """The adjoint of the body for one offset."""

    offset: Offset
    values: ReverseValues
    lanes: list[RowAdjoints]
    entries: dict[Loop, Position]
    """Where the copy comes to each loop of the nest, from the level around it."""


class RowText:
    """Emits the gathered nests of one function.

    Parameters
    ----------
    values
        Primal values in the rest of the reverse sweep.
    lanes
        The adjoints of the rest of the reverse sweep.
    new_block
        Adds a block.
    make_slot
        Makes a stack slot.
    """

    def __init__(
        self,
        context: Context,
        plan: ReversePlan,
        values: ReverseValues,
        lanes: Sequence[Adjoints],
        new_block: Callable[[str], Block],
        make_slot: Callable[[Type, str], Value],
    ) -> None:
        self.context = context
        self.plan = plan
        self.values = values
        self.lanes = lanes
        self.new_block = new_block
        self.make_slot = make_slot

    def emit(self, nest: RowNest, at: Position, leave: Block) -> Position:
        """Emit `nest` from `at` to `leave`, and return where the plain way begins."""
        lasts = [self._last(nest, loop, at) for loop in nest.loops]
        plain, gathered = self.new_block("rows.plain"), self.new_block("rows")
        at.builder.cond_branch(self._holds(nest, lasts, at), gathered, plain)
        start = Position(at.loop, Builder(gathered))
        copies = [self._copy(nest, offset) for offset in nest.distances]
        self._rows(nest, copies, lasts, start, leave)
        for copy in copies:
            self._fill_carried(nest, copy)
        return Position(at.loop, Builder(plain))

    # -- what has to hold

    def _last(self, nest: RowNest, loop: Loop, at: Position) -> Value:
        """Compute the last index of `loop` from values from outside the nest."""
        last = self.plan.shape.counted[loop].last
        assert last is not None
        return self._outside(last, nest, at)

    def _outside(self, value: Value, nest: RowNest, at: Position) -> Value:
        if not isinstance(value, Instruction) or value.block not in nest.outermost.blocks:
            return self.values.get(value, at)
        return at.builder.insert(
            clone_instruction(value, {o: self._outside(o, nest, at) for o in value.operands})
        )

    def _holds(self, nest: RowNest, lasts: Sequence[Value], at: Position) -> Value:
        """Compute whether it pays, each loop runs the next, and no two iterations store to one cell."""
        builder = at.builder
        result = builder.icmp("uge", lasts[-1], const_int(I64, SHORTEST - 1))
        for value, expected in nest.conditions:
            found = self.values.get(value, at)
            result = builder.and_(result, found if expected else builder.not_(found))
        for last in lasts:
            result = builder.and_(result, builder.icmp("ult", last, const_int(I64, _LARGEST_INDEX)))
        for store in nest.stores:
            reach: Value = const_int(I64, field_size(store.value.type))
            # What the loops inside move the address by, and the size of the cell, is less than one step.
            for slope, last in zip(nest.slopes[store][::-1], lasts[::-1], strict=True):
                step = self._polynomial(slope, at)
                result = builder.and_(result, builder.icmp("ult", step, const_int(I64, _LARGEST_SLOPE)))
                result = builder.and_(result, builder.icmp("sge", step, reach))
                reach = builder.add(reach, builder.mul(step, last))
        for spans in nest.apart:
            (first, first_end), (second, second_end) = (self._ends(span, lasts, at) for span in spans)
            before, after = builder.icmp("ule", first_end, second), builder.icmp("ule", second_end, first)
            result = builder.and_(result, builder.or_(before, after))
            for slope in (slope for span in spans for slope in span.slopes):
                step = self._polynomial(slope, at)
                result = builder.and_(result, builder.icmp("ult", step, const_int(I64, _LARGEST_SLOPE)))
        return result

    def _ends(self, span: Span, lasts: Sequence[Value], at: Position) -> tuple[Value, Value]:
        """Compute where a span begins, and where it ends, if its slopes are not negative."""
        start = self._polynomial(span.start, at)
        end = at.builder.add(start, const_int(I64, span.size))
        for slope, last in zip(span.slopes, lasts, strict=True):
            end = at.builder.add(end, at.builder.mul(self._polynomial(slope, at), last))
        return start, end

    def _polynomial(self, polynomial: Polynomial, at: Position) -> Value:
        total: Value = const_int(I64, 0)
        for monomial, factor in polynomial.terms.items():
            term: Value = const_int(I64, factor)
            for part in monomial:
                value = self.values.get(part, at)
                if value.type.is_pointer:
                    value = at.builder.cast("ptrtoint", value, I64)
                term = at.builder.mul(term, value)
            total = at.builder.add(total, term)
        return total

    # -- copies of the body

    def _copy(self, nest: RowNest, offset: Offset) -> _Copy:
        values = RowValues(self.values, nest)
        first = offset == nest.distances[0]
        lanes = [
            RowAdjoints(
                self.context, self.plan, lane.shadows, values, self.make_slot, nest, lane if first else None
            )
            for lane in self.lanes
        ]
        for lane in lanes:
            lane.own = frozenset(load for load, its in nest.offsets.items() if its == offset)
        return _Copy(offset, values, lanes, {})

    def _fill_carried(self, nest: RowNest, copy: _Copy) -> None:
        """At the entry of each loop, store the values that its inside reads."""
        done = 0
        while done < len(copy.values.requests):
            value, loop = copy.values.requests[done]
            done += 1
            position = copy.entries[loop]
            provider = self.values if loop is nest.outermost else copy.values
            position.builder.store(provider.get(value, position), copy.values.carried[value, loop])

    # -- the loops

    def _rows(
        self, nest: RowNest, copies: Sequence[_Copy], lasts: Sequence[Value], at: Position, leave: Block
    ) -> None:
        """Emit the outer loops, over the rows that anything is added to."""
        outer = nest.loops[:-1]
        guards: dict[Offset, Value] = {copy.offset: const_int(I1, 1) for copy in copies}
        exit = leave
        for level, loop in enumerate(outer):
            column = [copy.offset[level] for copy in copies]
            slot = self.make_slot(I64, "row")
            head, latch = self.new_block("row"), self.new_block("row.next")
            for copy in copies:
                copy.entries[loop] = Position(at.loop, at.builder)
            at.builder.store(const_int(I64, min(column)), slot)
            branch = at.builder.branch(head)
            at.builder.position_before(branch)
            at = Position(loop, Builder(head))
            row = at.builder.load(I64, slot)
            for copy in copies:
                guards[copy.offset] = self._align(copy, level, loop, row, lasts[level], guards, at)
            following = Builder(latch)
            final = following.add(lasts[level], const_int(I64, max(column)))
            following.store(following.add(row, const_int(I64, 1)), slot)
            following.cond_branch(following.icmp("sge", row, final), exit, head)
            exit = latch
        self._row(nest, copies, guards, lasts[-1], at, exit)

    @staticmethod
    def _align(
        copy: _Copy,
        level: int,
        loop: Loop,
        row: Value,
        last: Value,
        guards: dict[Offset, Value],
        at: Position,
    ) -> Value:
        """Set the index of a copy, always that of an iteration, and return whether it is its own."""
        builder = at.builder
        wanted = builder.sub(row, const_int(I64, copy.offset[level]))
        positive = builder.select(builder.icmp("slt", wanted, const_int(I64, 0)), const_int(I64, 0), wanted)
        index = builder.select(builder.icmp("slt", last, positive), last, positive)
        builder.store(index, copy.values.index[loop])
        return builder.and_(guards[copy.offset], builder.icmp("eq", index, wanted))

    def _row(
        self,
        nest: RowNest,
        copies: Sequence[_Copy],
        guards: dict[Offset, Value],
        last: Value,
        at: Position,
        leave: Block,
    ) -> None:
        """Emit what is done at one row."""
        for copy in copies:
            copy.entries[nest.loops[-1]] = Position(at.loop, at.builder)
        inside: Value = const_int(I1, 1)
        for guard in guards.values():
            inside = at.builder.and_(inside, guard)
        whole, border, done = (self.new_block(f"row.{name}") for name in ("whole", "border", "done"))
        branch = at.builder.cond_branch(inside, whole, border)
        at.builder.position_before(branch)
        self._sweep(nest, copies, last, whole, done)
        for copy in copies:
            block, following = self.new_block("row.part"), self.new_block("row.border")
            Builder(border).cond_branch(guards[copy.offset], block, following)
            self._sweep(nest, [copy], last, block, following)
            border = following
        Builder(border).branch(done)
        clearing = self.new_block("row.clear")
        Builder(done).cond_branch(guards[copies[-1].offset], clearing, leave)
        self._clear(nest, copies[-1], last, clearing, leave)

    def _sweep(self, nest: RowNest, copies: Sequence[_Copy], last: Value, start: Block, leave: Block) -> None:
        """Emit the inner loop with the adjoints of `copies`, from `start` to `leave`."""
        inner = nest.loops[-1]
        head, exit, body = self._inner_loop(copies, start)
        at = {copy.offset: Position(inner, body) for copy in copies}
        windows = nest.windows_at([copy.offset for copy in copies])
        cells = [Cells(windows, self.plan, self.make_slot) for _ in self.lanes]
        for number, registers in enumerate(cells):
            for copy in copies:
                lane = copy.lanes[number]
                lane.cells = registers
                self._body(nest, lane, at[copy.offset])
            registers.advance(self._finder(nest, copies, number, at))
        self._close(copies, body, last, head, exit)
        out = Builder(exit)
        at = {copy.offset: Position(inner, out) for copy in copies}
        for number, registers in enumerate(cells):
            registers.flush(self._finder(nest, copies, number, at))
        out.branch(leave)

    def _body(self, nest: RowNest, lane: RowAdjoints, at: Position) -> None:
        """Emit the adjoint of the body."""
        for instruction in reversed(self.plan.instructions[nest.body]):
            if not instruction.is_terminator:
                lane.emit(instruction, at)

    def _clear(self, nest: RowNest, copy: _Copy, last: Value, start: Block, leave: Block) -> None:
        """Emit the inner loop that leaves in a row the cotangents of what was there before the nest."""
        head, exit, body = self._inner_loop([copy], start)
        at = Position(nest.loops[-1], body)
        for lane in copy.lanes:
            lane.cells = None
            if nest.updated:
                self._body(nest, lane, at)
            for store in nest.stores:
                if store not in nest.updated:
                    lane.clear(store, at)
        self._close([copy], body, last, head, exit)
        Builder(exit).branch(leave)

    @staticmethod
    def _finder(
        nest: RowNest, copies: Sequence[_Copy], number: int, at: dict[Offset, Position]
    ) -> Callable[[Load], tuple[Adjoints, Position]]:
        by_offset = {copy.offset: copy for copy in copies}

        def find(load: Load) -> tuple[Adjoints, Position]:
            offset = nest.offsets[load]
            return by_offset[offset].lanes[number], at[offset]

        return find

    def _inner_loop(self, copies: Sequence[_Copy], start: Block) -> tuple[Block, Block, Builder]:
        """Begin the inner loop upwards from 0; return its head, its exit, and where its body goes."""
        head, exit = self.new_block("row.cells"), self.new_block("row.end")
        at = Builder(start)
        for copy in copies:
            at.store(const_int(I64, 0), copy.values.index[copy.lanes[0].nest.loops[-1]])
        at.branch(head)
        return head, exit, Builder(head)

    def _close(self, copies: Sequence[_Copy], body: Builder, last: Value, head: Block, exit: Block) -> None:
        """End the body of the inner loop."""
        back = self.new_block("row.cells.next")
        slots = [copy.values.index[copy.lanes[0].nest.loops[-1]] for copy in copies]
        index = body.load(I64, slots[0])
        body.cond_branch(body.icmp("eq", index, last), exit, back)
        at = Builder(back)
        for slot in slots:
            at.store(at.add(index, const_int(I64, 1)), slot)
        at.branch(head)
