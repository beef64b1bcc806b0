"""Emits the nests of :mod:`coenzyme.derive.rows`: the sweep at one row of the shadows at a time.

At row r, the copy for offset d is the adjoint of the body in iteration r - d. Where all these are iterations
of the nest, the copies run side by side, and what they add to the row is summed in registers. At the other
rows, those at the borders, the copies whose iteration there is run one after the other, and add to memory.
When a row of what the nest overwrites has been read for the last time, its cotangents are cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.tape import field_size
from coenzyme.derive.accumulations import clears_shadow
from coenzyme.derive.adjoints import Adjoints
from coenzyme.derive.context import Context
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.rows import Offset, RowNest, Span
from coenzyme.derive.scopes import Side
from coenzyme.derive.shadows import Shadows
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Block, Instruction, Load, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I1, I8, I64, Type
from coenzyme.ir.values import Value

__all__ = ["RowText"]

_LARGEST_SLOPE = 1 << 38
_LARGEST_INDEX = 1 << 23
"""Products of numbers up to these, and a few of them together, do not wrap."""


class _RowValues(ReverseValues):
    """Primal values in the iteration of a copy; those from outside the nest are the sweep's own."""

    def __init__(self, sweep: ReverseValues, nest: RowNest) -> None:
        super().__init__(sweep.plan, sweep.scopes, sweep.make_slot)
        self.sweep = sweep
        self.loops = nest.loops
        self.stored, self.available = sweep.stored, sweep.available
        self.again, self.base = sweep.again, sweep.base
        self.index = {**sweep.index, **{loop: self.make_slot(I64, "row.index") for loop in nest.loops}}

    def _carry(self, value: Value, home: Loop | None, loop: Loop | None) -> Value:
        while loop is not None and loop.parent is not home:
            loop = loop.parent
        return (super() if loop in self.loops else self.sweep)._carry(value, home, loop)


class _RowAdjoints(Adjoints):
    """The adjoint of the body for one offset, in one lane: it adds for the loads of that offset only."""

    def __init__(
        self,
        context: Context,
        plan: ReversePlan,
        shadows: Shadows,
        values: ReverseValues,
        make_slot: Callable[[Type, str], Value],
        nest: RowNest,
        outside: Adjoints | None,
    ) -> None:
        super().__init__(context, plan, shadows, values, make_slot)
        self.nest = nest
        self.outside = outside
        """Where adjoints of values from outside the nest are; None in the copies that leave those alone."""
        self.own: frozenset[Load] = frozenset()
        self.cells: _Cells | None = None
        """The registers that take what is added; None where it goes to memory."""

    def add(self, value: Value, amount: Value, at: Position, flags: tuple[str, ...] = ()) -> None:
        """Add `amount` to the adjoint of `value`, where it has one."""
        if isinstance(value, Instruction) and value.block is self.nest.body:
            super().add(value, amount, at, flags)
        elif self.outside is not None:
            self.outside.add(value, amount, at, flags)

    def _emit_load(self, load: Load, at: Position) -> None:
        bar = self.take(load, at)
        if load not in self.own:
            return
        if self.cells is not None:
            self.cells.add(load, bar, at)
            return
        _add_to_memory(self, load, self.shadow_address(load.pointer, load.type, at), bar, at)

    def _emit_store(self, store: Store, at: Position) -> None:
        if not clears_shadow(store, self.plan.activity, self.plan.contents):
            return
        if self.plan.activity.is_active(store.value):
            shadow = self.shadow_address(store.pointer, store.value.type, at)
            bar = at.builder.load(store.value.type, shadow, align=store.align)
            self.values.scopes.mark(bar, Side.SHADOW, store.pointer, self.shadows.lane)
            self.add(store.value, bar, at)

    def clear(self, store: Store, at: Position) -> None:
        """Clear the cotangent that `store` takes."""
        shadow = self.shadow_address(store.pointer, store.value.type, at)
        cleared = at.builder.store(zero(store.value.type), shadow, align=store.align)
        self.values.scopes.mark(cleared, Side.SHADOW, store.pointer, self.shadows.lane)


class _Cells:
    """The cells of one row, in one lane, that are not complete yet."""

    def __init__(self, nest: RowNest, plan: ReversePlan, make_slot: Callable[[Type, str], Value]) -> None:
        self.plan = plan
        self.windows = nest.windows
        self.window_of = {load: window for window in nest.windows for load in window.shifts}
        self.slots = {
            window: {
                shift: make_slot(window.reading(window.first).type, "row.cell")
                for shift in range(window.first, window.last + 1)
            }
            for window in nest.windows
        }

    def add(self, load: Load, bar: Value, at: Position) -> None:
        """Add `bar` to the cell that `load` reads."""
        window = self.window_of[load]
        slot = self.slots[window][window.shifts[load]]
        at.builder.store(at.builder.fadd(at.builder.load(load.type, slot), bar), slot)

    def advance(self, adjoints: Callable[[Load], tuple[Adjoints, Position]]) -> None:
        """Give the cells that no later iteration reaches to memory; the others move on."""
        for window in self.windows:
            slots = self.slots[window]
            load = window.reading(window.first)
            lane, at = adjoints(load)
            address = lane.shadow_address(load.pointer, load.type, at)
            amount = at.builder.load(load.type, slots[window.first])
            _add_to_memory(lane, load, address, amount, at)
            pending = [at.builder.load(load.type, slots[s]) for s in range(window.first + 1, window.last + 1)]
            for slot, value in zip(slots.values(), [*pending, self.plan.nothing(load.type)], strict=True):
                at.builder.store(value, slot)

    def flush(self, adjoints: Callable[[Load], tuple[Adjoints, Position]]) -> None:
        """Give what is left to memory, after the last iteration and at its index."""
        for window in self.windows:
            load = window.reading(window.first)
            lane, at = adjoints(load)
            nearest = lane.shadow_address(load.pointer, load.type, at)
            for distance, slot in enumerate(list(self.slots[window].values())[:-1], 1):
                address = at.builder.gep(I8, nearest, [const_int(I64, distance * window.stride)])
                _add_to_memory(lane, load, address, at.builder.load(load.type, slot), at)
                at.builder.store(self.plan.nothing(load.type), slot)


def _add_to_memory(lane: Adjoints, load: Load, address: Value, amount: Value, at: Position) -> None:
    """Add `amount` to the shadow of what `load` reads, which is at `address`."""
    old = at.builder.load(load.type, address, align=load.align)
    new = at.builder.store(at.builder.fadd(old, amount), address, align=load.align)
    for access in (old, new):
        lane.values.scopes.mark(access, Side.SHADOW, load.pointer, lane.shadows.lane)


@dataclass
class _Copy:
    """The adjoint of the body for one offset."""

    offset: Offset
    values: ReverseValues
    lanes: list[_RowAdjoints]
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
        """Compute whether each loop runs the next, and no two iterations store to one cell."""
        builder = at.builder
        result: Value = const_int(I1, 1)
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
        values = _RowValues(self.values, nest)
        first = offset == nest.distances[0]
        lanes = [
            _RowAdjoints(
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
        self._sweep(nest, copies, last, whole, done, gathers=True)
        for copy in copies:
            block, following = self.new_block("row.part"), self.new_block("row.border")
            Builder(border).cond_branch(guards[copy.offset], block, following)
            self._sweep(nest, [copy], last, block, following, gathers=False)
            border = following
        Builder(border).branch(done)
        clearing = self.new_block("row.clear")
        Builder(done).cond_branch(guards[copies[-1].offset], clearing, leave)
        self._clear(nest, copies[-1], last, clearing, leave)

    def _sweep(
        self,
        nest: RowNest,
        copies: Sequence[_Copy],
        last: Value,
        start: Block,
        leave: Block,
        *,
        gathers: bool,
    ) -> None:
        """Emit the inner loop with the adjoints of `copies`, from `start` to `leave`."""
        inner = nest.loops[-1]
        head, exit, body = self._inner_loop(copies, start)
        at = {copy.offset: Position(inner, body) for copy in copies}
        cells = [_Cells(nest, self.plan, self.make_slot) if gathers else None for _ in self.lanes]
        for number, registers in enumerate(cells):
            for copy in copies:
                lane = copy.lanes[number]
                lane.cells = registers
                for instruction in reversed(self.plan.instructions[nest.body]):
                    if not instruction.is_terminator:
                        lane.emit(instruction, at[copy.offset])
            if registers is not None:
                registers.advance(self._finder(nest, copies, number, at))
        self._close(copies, body, last, head, exit)
        out = Builder(exit)
        at = {copy.offset: Position(inner, out) for copy in copies}
        for number, registers in enumerate(cells):
            if registers is not None:
                registers.flush(self._finder(nest, copies, number, at))
        out.branch(leave)

    def _clear(self, nest: RowNest, copy: _Copy, last: Value, start: Block, leave: Block) -> None:
        """Emit the inner loop that clears the cotangents of a row."""
        head, exit, body = self._inner_loop([copy], start)
        at = Position(nest.loops[-1], body)
        for lane in copy.lanes:
            for store in nest.stores:
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
