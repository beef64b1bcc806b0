"""The adjoint of the body of a nest in one iteration of a row, and the cells of a row in registers.

Used by :mod:`coenzyme.derive.row_text`, which makes a copy for each distance between rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coenzyme.derive.accumulations import Window, clears_shadow
from coenzyme.derive.adjoints import Adjoints
from coenzyme.derive.context import Context
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.rows import RowNest
from coenzyme.derive.scopes import Side
from coenzyme.derive.shadows import Shadows
from coenzyme.ir.builder import const_int, zero
from coenzyme.ir.instructions import Instruction, Load, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I8, I64, Type
from coenzyme.ir.values import Value

__all__ = ["Cells", "RowAdjoints", "RowValues"]


class RowValues(ReverseValues):
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


class RowAdjoints(Adjoints):
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
        self.cells: Cells | None = None
        """The registers that take what is added; None where cotangents are brought up to date."""

    def add(self, value: Value, amount: Value, at: Position, flags: tuple[str, ...] = ()) -> None:
        """Add `amount` to the adjoint of `value`, where it has one."""
        if isinstance(value, Instruction) and value.block is self.nest.body:
            super().add(value, amount, at, flags)
        elif self.outside is not None:
            self.outside.add(value, amount, at, flags)

    def _emit_load(self, load: Load, at: Position) -> None:
        bar = self.take(load, at)
        if self.cells is None:
            if load in self.nest.updated.values():
                self._set(load.pointer, bar, at, load.align)
        elif load in self.own:
            self.cells.add(load, bar, at)

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
        self._set(store.pointer, zero(store.value.type), at, store.align)

    def _set(self, pointer: Value, value: Value, at: Position, align: int) -> None:
        shadow = self.shadow_address(pointer, value.type, at)
        access = at.builder.store(value, shadow, align=align)
        self.values.scopes.mark(access, Side.SHADOW, pointer, self.shadows.lane)


class Cells:
    """The cells of one row, in one lane, that are not complete yet."""

    def __init__(
        self, windows: Sequence[Window], plan: ReversePlan, make_slot: Callable[[Type, str], Value]
    ) -> None:
        self.plan = plan
        self.windows = windows
        self.window_of = {load: window for window in windows for load in window.shifts}
        self.slots = {
            window: {
                shift: make_slot(window.reading(window.first).type, "row.cell")
                for shift in range(window.first, window.last + 1)
            }
            for window in windows
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
