"""The tape of loops: asked for in the forward sweep, found and given back in the reverse sweep.

A counted loop has one frame for all its iterations, before the outermost loop in whose nest it has its place;
another has a record for each iteration.
"""

from __future__ import annotations

from collections.abc import Callable

from coenzyme.analysis.tape import Keep, field_size
from coenzyme.derive.context import Context
from coenzyme.derive.hoisting import compute_outside
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.runtime import STACK
from coenzyme.derive.safety import Guard
from coenzyme.derive.side_by_side import hide_origin
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import Instruction, Phi
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I1, I8, I64, PTR, Type
from coenzyme.ir.values import Value

__all__ = ["Frames"]

MOST_ITERATIONS = 1 << 44
"""A loop that runs more often than this cannot be taped; as many records do not overflow 64 bits."""


class Frames:
    """Emits what the loops of one function do with their tape.

    Parameters
    ----------
    values
        Is told where frames are.
    make_slot
        Makes a stack slot of a type in the function's entry.
    guards
        Is extended by what may not be granted.
    """

    def __init__(
        self,
        context: Context,
        plan: ReversePlan,
        values: ReverseValues,
        make_slot: Callable[[Type, str], Value],
        guards: list[Guard],
    ) -> None:
        self.context = context
        self.plan = plan
        self.shape = plan.shape
        self.values = values
        self.make_slot = make_slot
        self.guards = guards
        self.stacks: dict[Loop, Value] = {}
        """The slot of the stack on which each loop's tape lies."""

    def prepare(self) -> None:
        """Make the slots of the stacks, and of the addresses of frames."""
        for loop in self.shape.counted:
            if self.plan.frame(loop) is not None:
                self.values.base[loop] = self.make_slot(PTR, f"{loop.header.name}.frame")
                self.stacks[loop] = self.make_slot(STACK, f"{loop.header.name}.stack")
        for value, column in self.plan.columns.items():
            assert isinstance(value, Instruction)
            assert value.block is not None
            loop = self.shape.loop_of(value.block)
            if loop is not None and (column.loop, loop) not in self.values.beside:
                slot = self.make_slot(PTR, f"{column.loop.header.name}.frame.beside")
                self.values.beside[column.loop, loop] = slot

    def push_frames(self, loop: Loop) -> None:
        """Write what `loop` tapes, in the forward sweep."""
        frame = self.plan.frame(loop)
        counted = self.shape.counted[loop]
        assert frame is not None
        base, count = self._push_nest(loop) if counted.last is not None else (self._push_record(loop), None)
        for value, offset in zip(frame.fields, frame.offsets, strict=True):
            assert isinstance(value, Instruction)
            at = Builder.after(value)
            if count is not None and len(loop.blocks) == 1 and self.plan.hides:
                # LLVM carries what it has loaded to the next iteration, and vectorises that if it is not
                # stored before the next load.
                at = Builder.before(loop.header.terminator)
            if isinstance(value, Phi) and value.block is loop.header and count is None:
                assert isinstance(base, Instruction)
                at = Builder(loop.header, loop.header.instructions.index(base) + 1)
            if count is None:
                address = at.gep(I8, base, [const_int(I64, offset)])
            else:
                column = at.gep(I8, base, [at.mul(count, const_int(I64, offset))])
                within = at.mul(counted.index, const_int(I64, field_size(value.type)))
                address = at.gep(I8, column, [within])
            if self.plan.keep(value) is Keep.EITHER:
                assert self.plan.facts is not None
                nowhere = self.make_slot(value.type, f"{value.name}.untaped")
                address = at.select(self.plan.facts, nowhere, address)
            self.values.write_tape(at, value, address)

    def _push_record(self, loop: Loop) -> Value:
        """Ask for the tape of one iteration of `loop`, at its beginning."""
        at = Builder(loop.header, len(loop.header.phis))
        return self._push(loop, self.values.frame_size(loop, self.plan.facts, at), at)

    def _push(self, loop: Loop, size: Value, at: Builder) -> Value:
        """Ask for some bytes on the tape of `loop`."""
        base = at.call(self.context.require("coenzyme.tape.push"), [self.stacks[loop], size])
        assert isinstance(base, Instruction)
        self.guards.append(Guard(base, Status.TAPE_EXHAUSTED))
        return base

    def _push_nest(self, loop: Loop) -> tuple[Value, Value]:
        """Ask for the tape of all iterations of `loop`, before the first loop in whose nest it has its place.

        Return where it is in this run of the loop, and how many iterations that has.
        """
        around = self.plan.hoisted.get(loop, ())
        loops = (*around, loop)
        outermost = loops[0]
        assert outermost.preheader is not None
        assert loop.preheader is not None
        at = Builder.before(outermost.preheader.terminator)
        # More iterations than memory has bytes: ask for what is never granted, not for a wrapped product.
        absurd: Value = const_int(I1, 0)
        total: Value = const_int(I64, 1)
        for part in reversed(loops):
            last = compute_outside(self._last_of(part), outermost.blocks, at, lambda value: value)
            room: Value = const_int(I64, MOST_ITERATIONS)
            if part is not loop:
                none = at.icmp("eq", total, const_int(I64, 0))
                room = at.udiv(room, at.select(none, const_int(I64, 1), total))
            absurd = at.or_(absurd, at.icmp("ugt", last, room))
            total = at.mul(total, at.add(last, const_int(I64, 1)))
        size = at.mul(total, self.values.frame_size(loop, self.plan.facts, at))
        base = self._push(loop, at.select(absurd, const_int(I64, 1 << 62), size), at)
        base = self._hidden(base, at)
        at = Builder.before(loop.preheader.terminator)
        counts = [at.add(self._last_of(part), const_int(I64, 1)) for part in loops]
        if around:
            indices = [self.shape.counted[part].index for part in around]
            base = self.values.frame_in_nest(loop, base, indices, counts, self.plan.facts, at)
        return base, counts[-1]

    def _last_of(self, loop: Loop) -> Value:
        """Return the last index of a counted loop."""
        last = self.shape.counted[loop].last
        assert last is not None
        return last

    def placed_at(self, loop: Loop) -> list[Loop]:
        """Return the loops whose tape has its place from before `loop` to after it."""
        found = [inner for inner, around in self.plan.hoisted.items() if around[0] is loop]
        counted = self.shape.counted[loop].last is not None
        if counted and self.plan.frame(loop) is not None and loop not in self.plan.hoisted:
            found.append(loop)
        return found

    def pop_record(self, loop: Loop, at: Position) -> None:
        """Find the tape of the iteration before, of a `loop` that is not counted."""
        frame = self.plan.frame(loop)
        assert frame is not None
        pop = self.context.require("coenzyme.tape.pop")
        record = at.builder.call(pop, [self.stacks[loop], self._frame_size(loop, at)])
        at.builder.store(record, self.values.base[loop])

    def _frame_size(self, loop: Loop, at: Position) -> Value:
        """Return how many bytes of tape an iteration of `loop` has, in the reverse sweep."""
        facts = None if self.plan.facts is None else self.values.get(self.plan.facts, at)
        return self.values.frame_size(loop, facts, at.builder)

    def pop_nest(self, loop: Loop, at: Position) -> None:
        """Find what has its place on the tape from before `loop` on."""
        for inner in self.placed_at(loop):
            pop = self.context.require("coenzyme.tape.pop")
            size = self._frame_size(inner, at)
            for part in (*self.plan.hoisted.get(inner, ()), inner):
                last = compute_outside(
                    self._last_of(part), loop.blocks, at.builder, lambda value: self.values.get(value, at)
                )
                size = at.builder.mul(size, at.builder.add(last, const_int(I64, 1)))
            base = at.builder.call(pop, [self.stacks[inner], size])
            at.builder.store(self._hidden(base, at.builder), self.values.base[inner])

    def trim_nest(self, loop: Loop, at: Builder) -> None:
        """Give back what :meth:`pop_nest` has found."""
        for inner in self.placed_at(loop):
            at.call(self.context.require("coenzyme.tape.trim"), [self.stacks[inner]])

    def _hidden(self, base: Value, at: Builder) -> Value:
        """Return the address of a frame so that it is not seen to be one of two, as where the tape grows."""
        return hide_origin(self.context.module, base, at) if self.plan.hides else base

    def find_frames_beside(self, loop: Loop, at: Position) -> None:
        """Note where the frames are that `loop` reads, of loops that are swept back later."""
        for (other, reader), slot in self.values.beside.items():
            if reader is loop:
                count = at.builder.add(self.values.get_last(other, at), const_int(I64, 1))
                size = at.builder.mul(count, self._frame_size(other, at))
                peek = self.context.require("coenzyme.tape.peek")
                at.builder.store(at.builder.call(peek, [self.stacks[other], size]), slot)
