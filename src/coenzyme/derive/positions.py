"""Primal values at a place in the reverse sweep: read back, computed again, or carried into a loop.

A value is provided at the level of the loop it was defined in. A use in a nested loop reads it from a
stack slot that is filled just before the reverse of that nested loop starts (LLVM turns the slot into a
register). Within one inverse block a value is provided once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from coenzyme.analysis.tape import Keep, field_size
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.scopes import Scopes, Side
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Instruction, Load, Phi
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I1, I8, I64, PTR, IntType, Type
from coenzyme.ir.values import Value

__all__ = ["Position", "ReverseValues"]


@dataclass
class Position:
    """A place in the reverse sweep: the loop it belongs to, where to insert, what is at hand."""

    loop: Loop | None
    builder: Builder
    known: dict[Value, Value] = field(default_factory=dict[Value, Value])


class ReverseValues:
    """Provides primal values in the reverse sweep.

    Parameters
    ----------
    plan
        How each value is provided.
    make_slot
        Makes a stack slot of a type in the function's entry.
    """

    def __init__(self, plan: ReversePlan, scopes: Scopes, make_slot: Callable[[Type, str], Value]) -> None:
        self.plan = plan
        self.scopes = scopes
        self.make_slot = make_slot
        self.stored: dict[Value, Value] = {}
        """Slot of each value kept by ``Keep.SLOT``."""
        self.index: dict[Loop, Value] = {}
        """Slot of each loop's current index in the reverse sweep."""
        self.base: dict[Loop, Value] = {}
        """Slot of the address of a counted loop's whole frame, or of one iteration's record."""
        self.beside: dict[tuple[Loop, Loop], Value] = {}
        """Slot of the address of the frame that a loop, the first, shares with one beside it."""
        self.available: dict[Value, Value] = {}
        """Values that are at hand everywhere, such as arguments under another name."""
        self.late: dict[Value, Value] = {}
        """Slots of the shadows that the reverse sweep of an iteration allocates."""
        self.carried: dict[tuple[Value, Loop], Value] = {}
        self.again: dict[Load, Value] = {}
        """The loads that read the primal's memory again, with the primal's own pointers."""
        self.requests: list[tuple[Value, Loop]] = []

    def get(self, value: Value, at: Position) -> Value:
        """Return `value` as it was in the primal, at `at`."""
        if value in self.available:
            return self.available[value]
        if not isinstance(value, Instruction):
            return value
        if value in at.known:
            return at.known[value]
        if value in self.late:
            at.known[value] = at.builder.load(PTR, self.late[value])
            return at.known[value]
        assert value.block is not None
        home = self.plan.shape.loop_of(value.block)
        if home is not at.loop:
            result = at.builder.load(value.type, self._carry(value, home, at.loop))
        else:
            result = self._provide(value, home, at)
        at.known[value] = result
        return result

    def _carry(self, value: Value, home: Loop | None, loop: Loop | None) -> Value:
        """Return the slot by which `value` comes into the loop inside `home` that contains `loop`."""
        child = loop
        while child is not None and child.parent is not home:
            child = child.parent
        assert child is not None, f"%{value.name} is not visible here"
        key = (value, child)
        if key not in self.carried:
            self.carried[key] = self.make_slot(value.type, f"{value.name}.carried")
            self.requests.append(key)
        return self.carried[key]

    def _provide(self, value: Instruction, home: Loop | None, at: Position) -> Value:
        match self.plan.keep(value):
            case Keep.INDEX:
                assert home is not None
                return at.builder.load(I64, self.index[home])
            case Keep.SLOT:
                return at.builder.load(value.type, self.stored[value])
            case Keep.TAPE:
                assert home is not None
                return self._read_tape(value, home, at)
            case Keep.SHARED:
                assert home is not None
                return self._read_beside(value, home, at)
            case Keep.EITHER:
                assert home is not None
                return self._repeat(value, at, self._tape_address(value, home, at))
            case Keep.RECURRENCE:
                assert isinstance(value, Phi)
                assert home is not None
                return self._advance(value, home, at)
            case Keep.RECOMPUTE:
                return self._repeat(value, at)

    def _repeat(self, value: Instruction, at: Position, otherwise: Value | None = None) -> Value:
        """Compute `value` again; where the function's facts do not hold, read it at `otherwise`."""
        pointer = None
        store = self.plan.stored.get(value)
        if store is not None:
            pointer = store.pointer
            twin: Instruction = Load(value.type, self.get(pointer, at), align=store.align)
        else:
            twin = clone_instruction(value, {o: self.get(o, at) for o in value.operands})
            if isinstance(value, Load):
                pointer = value.pointer
        twin.name = f"{value.name}.again"
        if otherwise is not None:
            assert self.plan.facts is not None
            here = at.builder.select(self.get(self.plan.facts, at), twin.operands[0], otherwise)
            twin.set_operand(0, here)
        at.builder.insert(twin)
        if isinstance(twin, Load):
            assert pointer is not None
            self.again[twin] = pointer
            if otherwise is not None:
                self.scopes.mark(twin, Side.TAPE, pointer)
            elif value not in self.plan.mirrored:
                self.scopes.mark(twin, Side.PRIMAL, pointer)
        return twin

    def _advance(self, phi: Phi, home: Loop, at: Position) -> Value:
        recurrence = self.plan.recurrences[phi]
        start, step = self.get(recurrence.start, at), self.get(recurrence.step, at)
        index: Value = at.builder.load(I64, self.index[home])
        type = step.type
        assert isinstance(type, IntType)
        if type.width < I64.width:
            index = at.builder.cast("trunc", index, type)
        elif type.width > I64.width:
            index = at.builder.cast("zext", index, type)
        advance = at.builder.mul(index, step)
        if recurrence.element is None:
            return at.builder.add(start, advance)
        return at.builder.gep(recurrence.element, start, [advance])

    def field_address(self, value: Value, loop: Loop, at: Position, base: Value, index: Value) -> Value:
        """Return where the tape holds `value` of iteration `index`, the frame being at `base`.

        The frame of a counted loop holds the iterations' values of each field side by side.
        """
        frame = self.plan.tape.frames[loop]
        position = frame.fields.index(value)
        offset = frame.offsets[position]
        last = self.plan.shape.counted[loop].last
        if last is None:
            return at.builder.gep(I8, base, [const_int(I64, offset)])
        count = at.builder.add(self.get_last(loop, at), const_int(I64, 1))
        start = at.builder.mul(count, const_int(I64, offset))
        within = at.builder.mul(index, const_int(I64, field_size(value.type)))
        column = at.builder.gep(I8, base, [start])
        return at.builder.gep(I8, column, [within])

    def get_last(self, loop: Loop, at: Position) -> Value:
        """Return the bound of the index of `loop`, a value of the level around it."""
        last = self.plan.shape.counted[loop].last
        assert last is not None
        return self.get(last, at)

    def _tape_address(self, value: Instruction, home: Loop, at: Position) -> Value:
        base: Value = at.builder.load(PTR, self.base[home])
        around = self.plan.hoisted.get(home)
        if around is not None:
            facts = None if self.plan.facts is None else self.get(self.plan.facts, at)
            indices = [at.builder.load(I64, self.index[loop]) for loop in around]
            counts = [at.builder.add(self.get_last(loop, at), const_int(I64, 1)) for loop in (*around, home)]
            base = self.frame_in_nest(home, base, indices, counts, facts, at.builder)
        index = at.builder.load(I64, self.index[home])
        return self.field_address(value, home, at, base, index)

    def _read_beside(self, value: Instruction, home: Loop, at: Position) -> Value:
        """Read `value` from the frame of another loop."""
        column = self.plan.columns[value]
        base = at.builder.load(PTR, self.beside[column.loop, home])
        own: Value = at.builder.load(I64, self.index[home])
        start: Value = const_int(I64, column.offset)
        if column.downward:
            start = at.builder.add(self.get_last(column.loop, at), start)
        index = at.builder.sub(start, own) if column.downward else at.builder.add(start, own)
        return self._read_field(value, at, self.field_address(column.load, column.loop, at, base, index))

    def frame_in_nest(
        self,
        loop: Loop,
        base: Value,
        indices: Sequence[Value],
        counts: Sequence[Value],
        facts: Value | None,
        at: Builder,
    ) -> Value:
        """Return the frame of a loop whose nest has one place at `base`, by the indices of the loops around.

        `counts` says how often these loops run, and last the loop itself.
        """
        number: Value = const_int(I64, 0)
        for index, count in zip(indices, counts, strict=False):
            number = at.add(at.mul(number, count), index)
        size = at.mul(counts[-1], self.frame_size(loop, facts, at))
        return at.gep(I8, base, [at.mul(number, size)])

    def frame_size(self, loop: Loop, facts: Value | None, at: Builder) -> Value:
        """Return how many bytes of tape an iteration of `loop` has, `facts` being whether they hold."""
        frame = self.plan.tape.frames[loop]
        full = const_int(I64, frame.size)
        return full if facts is None else at.select(facts, const_int(I64, frame.least), full)

    def _read_tape(self, value: Instruction, home: Loop, at: Position) -> Value:
        return self._read_field(value, at, self._tape_address(value, home, at))

    def _read_field(self, value: Instruction, at: Position, address: Value) -> Value:
        if value.type == I1:
            byte = at.builder.load(I8, address, align=1)
            self.scopes.mark(byte, Side.TAPE)
            return at.builder.cast("trunc", byte, I1)
        result = at.builder.load(value.type, address, align=min(8, field_size(value.type)))
        self.scopes.mark(result, Side.TAPE)
        return result

    def write_tape(self, builder: Builder, value: Value, address: Value) -> None:
        """Write `value` to the tape."""
        if value.type == I1:
            value = builder.cast("zext", value, I8)
        store = builder.store(value, address, align=min(8, field_size(value.type)))
        self.scopes.mark(store, Side.TAPE)
