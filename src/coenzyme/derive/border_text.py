"""Takes the nests of :mod:`coenzyme.derive.borders` apart, in place.

Before the nest come copies of it: one for the cells inside, and one for each end of the rows between the
first and the last. The nest itself then visits the first and the last row, or, where the copies were not
allowed to run, all rows. (Where the rows at the borders are like the others, it does not run where the
copies have.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.induction import Recurrence
from coenzyme.derive.borders import Borders, Region
from coenzyme.derive.normalise import Shape
from coenzyme.ir.builder import FALSE, TRUE, Builder, const_int
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Block, Instruction, Phi, Select, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I64
from coenzyme.ir.values import Value

__all__ = ["take_borders_apart"]

_SHORTEST = 8
"""Rows with fewer cells inside are swept as they stand."""
_LARGEST_INDEX = 1 << 23
_LARGEST_STEP = 1 << 38
"""Products of numbers up to these, and a few of them together, do not wrap."""


def take_borders_apart(borders: Borders, shape: Shape) -> set[Block]:
    """Take a nest apart, and return the headers of what it consists of now.

    `shape` is not that of the function any more.
    """
    return _Splitter(borders, shape).run()


class _Splitter:
    def __init__(self, borders: Borders, shape: Shape) -> None:
        self.borders = borders
        self.shape = shape
        self.function = shape.function
        self.outer, self.inner = borders.outer, borders.inner
        preheader = self.outer.preheader
        assert preheader is not None
        self.before = preheader
        ((_, self.after),) = self.outer.exiting_edges
        last = shape.counted[self.outer].last
        assert last is not None
        self.outer_last: Value = last

    def run(self) -> set[Block]:
        first, last = self.borders.ends
        at = Builder.before(self.before.terminator)
        self.inner_last = _emit(self.borders.inner_last, at)
        final = at.sub(self.outer_last, const_int(I64, int(self.borders.rows)))
        inner_final = at.sub(self.inner_last, const_int(I64, int(last)))
        allowed = self._allowed(at)
        zero = const_int(I64, 0)
        copies = [self._copy("inside", self.borders.inside, final)]
        copies[0].shorten(int(first), inner_final)
        if first:
            copies.append(self._copy("first", self.borders.first, final))
            copies[-1].keep_one(zero)
        if last:
            copies.append(self._copy("last", self.borders.last, final))
            copies[-1].keep_one(self.inner_last)
        # What is done once a row is done by one of them.
        for copy in copies[: -1 if len(copies) > 1 else 0]:
            copy.drop_stores()
        for copy in copies:
            copy.settle()
        self._join(copies, allowed)
        return {self.outer.header, *(copy.blocks[self.outer.header] for copy in copies)}

    def _allowed(self, at: Builder) -> Value:
        """Compute whether there are cells inside, and no two iterations write one cell."""
        fewest = _SHORTEST - 1 + sum(self.borders.ends)
        result = at.icmp("uge", self.inner_last, const_int(I64, fewest))
        result = at.and_(result, at.icmp("uge", self.outer_last, const_int(I64, 2)))
        for last in (self.outer_last, self.inner_last):
            result = at.and_(result, at.icmp("ult", last, const_int(I64, _LARGEST_INDEX)))
        for block, target in self.borders.ways.items():
            condition = block.terminator.operands[0]
            leads = target is block.terminator.targets[0]
            result = at.and_(result, condition if leads else at.not_(condition))
        for row in self.borders.stored:
            step = _emit(row.step, at)
            extent = at.mul(self.inner_last, const_int(I64, row.slope))
            extent = at.add(extent, const_int(I64, row.spread))
            result = at.and_(result, at.icmp("ult", step, const_int(I64, _LARGEST_STEP)))
            result = at.and_(result, at.icmp("sge", step, extent))
        return result

    def _copy(self, name: str, region: Region, final: Value) -> _Copy:
        return _Copy(self.borders, self.shape, name, region, final)

    def _join(self, copies: Iterable[_Copy], allowed: Value) -> None:
        """Let the copies run one after the other where that is allowed, then, or instead, the nest."""
        last: Block | None = None
        entry: Block | None = None
        for copy in copies:
            if last is None:
                entry = copy.entry
            else:
                Builder(last).branch(copy.entry)
            last = copy.exit
        assert last is not None
        assert entry is not None
        nest = self.function.add_block(Block(f"{self.outer.header.name}.rest"))
        self.before.terminator.erase()
        Builder(self.before).cond_branch(allowed, entry, nest)
        for phi in self.outer.header.phis:
            phi.incoming = [nest if block is self.before else block for block in phi.incoming]
        if self.borders.rows:
            Builder(last).branch(nest)
            self._leave_rows(allowed, Builder(nest))
        else:
            self._skip(last)
        Builder(nest).branch(self.outer.header)

    def _leave_rows(self, allowed: Value, at: Builder) -> None:
        """Let the nest visit the first and the last row only where the copies have visited the others."""
        one = const_int(I64, 1)
        stride = at.select(allowed, self.outer_last, one)
        final = at.select(allowed, one, self.outer_last)
        latch, header = self.outer.latch, self.outer.header
        assert latch is not None
        counter = Phi(I64, (), f"{header.name}.row")
        moves = [
            (phi, self._recurrence(phi), at.mul(self._recurrence(phi).step, stride)) for phi in header.phis
        ]
        latch.terminator.erase()
        end = Builder(latch)
        for phi, recurrence, step in moves:
            phi.set_operand(phi.incoming.index(latch), _advance(recurrence, phi, step, end))
        header.insert(0, counter)
        counter.add_incoming(const_int(I64, 0), at.block)
        counter.add_incoming(end.add(counter, one), latch)
        end.cond_branch(end.icmp("eq", counter, final), self.after, header)

    def _skip(self, last: Block) -> None:
        """Go past the nest after the block `last`; the loop is still the only way to where it leaves to."""
        latch = self.outer.latch
        assert latch is not None
        exit = self.function.add_block(Block(f"{self.outer.header.name}.done"))
        latch.terminator.replace_target(self.after, exit)
        Builder(exit).branch(self.after)
        Builder(last).branch(self.after)
        for phi in self.after.phis:
            value = phi.value_from(latch)
            phi.incoming = [exit if block is latch else block for block in phi.incoming]
            phi.add_incoming(value, last)

    def _recurrence(self, phi: Phi) -> Recurrence:
        return _recurrence(self.borders, self.shape, self.outer, phi)


class _Copy:
    """A copy of the nest, over the rows between the first and the last."""

    def __init__(self, borders: Borders, shape: Shape, name: str, region: Region, final: Value) -> None:
        self.borders = borders
        self.shape = shape
        self.region = region
        outer = borders.outer
        function = shape.function
        self.blocks = {b: Block(f"{b.name}.{name}") for b in outer.ordered_blocks}
        self.entry = Block(f"{outer.header.name}.{name}.enter")
        self.exit = Block(f"{outer.header.name}.{name}.leave")
        for block in (self.entry, *self.blocks.values(), self.exit):
            function.add_block(block)
        ((_, after),) = outer.exiting_edges
        assert outer.preheader is not None
        around = {**self.blocks, outer.preheader: self.entry, after: self.exit}
        self.values: dict[Value, Value] = {}
        for block, twin in self.blocks.items():
            for instruction in block.instructions:
                self.values[instruction] = twin.append(clone_instruction(instruction, {}, around))
        for instruction in list(self.values.values()):
            assert isinstance(instruction, Instruction)
            for index, operand in enumerate(instruction.operands):
                if operand in self.values:
                    instruction.set_operand(index, self.values[operand])
        for block, target in borders.ways.items():
            self._go(self.blocks[block], self.blocks[target])
        start = const_int(I64, int(borders.rows))
        self._limit(outer, start, final, self.entry, self.exit, lambda value: value)
        Builder(self.entry).branch(self.blocks[outer.header])

    @staticmethod
    def _go(block: Block, target: Block) -> None:
        """Let `block` always go to `target`."""
        for other in block.successors:
            if other is not target:
                for phi in other.phis:
                    place = phi.incoming.index(block)
                    kept = [pair for n, pair in enumerate(phi.pairs) if n != place]
                    phi.drop_operands()
                    phi.incoming.clear()
                    for value, origin in kept:
                        phi.add_incoming(value, origin)
        block.terminator.erase()
        Builder(block).branch(target)

    def _limit(
        self,
        loop: Loop,
        start: Value,
        final: Value,
        entry: Block,
        exit: Block,
        twin: Callable[[Value], Value],
    ) -> None:
        """Let the copy of `loop` run from one index to another."""
        assert loop.latch is not None
        header, latch = self.blocks[loop.header], self.blocks[loop.latch]
        at = Builder(entry) if not entry.instructions else Builder.before(entry.terminator)
        for phi in loop.header.phis:
            own = self.values[phi]
            assert isinstance(own, Phi)
            recurrence = _recurrence(self.borders, self.shape, loop, phi)
            distance = at.mul(twin(recurrence.step), start)
            begin = _advance(recurrence, twin(recurrence.start), distance, at)
            own.set_operand(own.incoming.index(entry), begin)
        latch.terminator.erase()
        end = Builder(latch)
        index = self.values[self.shape.counted[loop].index]
        end.cond_branch(end.icmp("eq", index, final), exit, header)

    def shorten(self, start: int, final: Value) -> None:
        """Let the inner loop run from index `start` to `final`."""
        inner = self.borders.inner
        assert inner.preheader is not None
        ((_, after),) = inner.exiting_edges
        entry = self.blocks[inner.preheader]
        self._limit(inner, const_int(I64, start), final, entry, self.blocks[after], self._twin)

    def keep_one(self, index: Value) -> None:
        """Let one iteration of the inner loop take the place of all."""
        inner = self.borders.inner
        assert inner.preheader is not None
        body = self.blocks[inner.header]
        at = Builder.before(self.blocks[inner.preheader].terminator)
        for phi in inner.header.phis:
            own = self.values[phi]
            assert isinstance(own, Phi)
            recurrence = _recurrence(self.borders, self.shape, inner, phi)
            distance = at.mul(self._twin(recurrence.step), index)
            own.replace_all_uses_with(_advance(recurrence, self._twin(recurrence.start), distance, at))
            own.erase()
        ((_, after),) = inner.exiting_edges
        body.terminator.erase()
        Builder(body).branch(self.blocks[after])

    def drop_stores(self) -> None:
        """Leave out what is stored once a row."""
        inside = self.blocks[self.borders.inner.header]
        for block in self.blocks.values():
            if block is not inside:
                for store in [i for i in block.instructions if isinstance(i, Store)]:
                    store.erase()

    def settle(self) -> None:
        """Replace what is settled by its truth, and drop what nobody needs then."""
        for condition, truth in self.region.settled.items():
            own = self.values[condition]
            for user in list(own.users):
                if isinstance(user, Select) and user.operands[0] is own and user.block is not None:
                    user.replace_all_uses_with(user.operands[1 if truth else 2])
                    user.erase()
            own.replace_all_uses_with(TRUE if truth else FALSE)
        for block in reversed(self.blocks.values()):
            for instruction in block.instructions[::-1]:
                needed = instruction.is_terminator or isinstance(instruction, Phi | Store)
                if not needed and not instruction.users:
                    instruction.erase()

    def _twin(self, value: Value) -> Value:
        return self.values.get(value, value)


def _recurrence(borders: Borders, shape: Shape, loop: Loop, phi: Phi) -> Recurrence:
    if phi is shape.counted[loop].index:
        return Recurrence(phi, const_int(I64, 0), const_int(I64, 1))
    return borders.recurrences[phi]


def _advance(recurrence: Recurrence, value: Value, distance: Value, at: Builder) -> Value:
    """Move a value of a recurrence by a number of its elements."""
    if recurrence.element is None:
        return at.add(value, distance)
    return at.gep(recurrence.element, value, [distance])


def _emit(polynomial: Polynomial, at: Builder) -> Value:
    total: Value = const_int(I64, 0)
    for monomial, factor in polynomial.terms.items():
        term: Value = const_int(I64, factor)
        for value in monomial:
            term = at.mul(term, value)
        total = at.add(total, term)
    return total
