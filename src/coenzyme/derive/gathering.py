"""Emits the sums and windows of :mod:`coenzyme.derive.accumulations` for one lane.

A window's registers hold what the cells in reach have been given so far. At the end of each iteration the
cell that no further iteration reaches goes to memory, and the others move on by one.
"""

from __future__ import annotations

from collections.abc import Callable

from coenzyme.derive.accumulations import Sum, Window
from coenzyme.derive.emission import flags_of_sum
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.scopes import Side
from coenzyme.ir.builder import const_int
from coenzyme.ir.instructions import Load
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I8, I64, Type
from coenzyme.ir.values import Value

__all__ = ["ANY_ORDER", "Gathering"]

ANY_ORDER = ("reassoc",)
"""The flag of an addition to an adjoint over the iterations of a loop, whose order is ours to choose."""


class Gathering:
    """The registers of one lane's sums and windows.

    Parameters
    ----------
    lane
        The number of the lane.
    shadow_address
        Gives the address of the shadow behind a pointer of the primal.
    """

    def __init__(
        self,
        plan: ReversePlan,
        values: ReverseValues,
        lane: int,
        make_slot: Callable[[Type, str], Value],
        shadow_address: Callable[[Value, Type, Position], Value],
    ) -> None:
        self.plan = plan
        self.values = values
        self.lane = lane
        self.make_slot = make_slot
        self.shadow_address = shadow_address
        self._sums: dict[Sum, Value] = {}
        self._windows: dict[Window, dict[int, Value]] = {}

    def add(self, load: Load, bar: Value, at: Position) -> None:
        """Add `bar` to what the cell that `load` reads is to be given."""
        group = self.plan.accumulations.group_of[load]
        if isinstance(group, Sum):
            slot, flags = self._sum(group), ANY_ORDER
        else:
            slot, flags = self._cells(group)[group.shifts[load]], ()
        flags += flags_of_sum(load)
        at.builder.store(at.builder.fadd(at.builder.load(load.type, slot), bar, flags=flags), slot)

    def advance(self, loop: Loop, at: Position) -> None:
        """Let the cells of the windows of `loop` move on by an iteration."""
        for group in self.plan.accumulations.groups.get(loop, ()):
            if isinstance(group, Window):
                self._advance(group, at)

    def flush(self, loop: Loop, at: Position) -> None:
        """Give what is left in registers to memory, after the last iteration and at its index."""
        for group in self.plan.accumulations.groups.get(loop, ()):
            if isinstance(group, Sum):
                load, slot = group.loads[0], self._sum(group)
                self._give(load, self.shadow_address(load.pointer, load.type, at), slot, at)
                at.builder.store(self.plan.nothing(load.type), slot)
            else:
                self._flush(group, at)

    def _sum(self, group: Sum) -> Value:
        if group not in self._sums:
            load = group.loads[0]
            self._sums[group] = self.make_slot(load.type, f"{load.name}.sum")
        return self._sums[group]

    def _cells(self, window: Window) -> dict[int, Value]:
        if window not in self._windows:
            load = window.reading(window.last)
            self._windows[window] = {
                shift: self.make_slot(load.type, f"{load.name}.cell")
                for shift in range(window.first, window.last + 1)
            }
        return self._windows[window]

    def _is_upward(self, window: Window) -> bool:
        return window.loop in self.plan.accumulations.orderless

    def _complete(self, window: Window) -> int:
        """Return the shift of the cell that no later iteration of the reverse sweep reaches."""
        return window.first if self._is_upward(window) else window.last

    def _advance(self, window: Window, at: Position) -> None:
        cells = self._cells(window)
        done = self._complete(window)
        load = window.reading(done)
        self._give(load, self.shadow_address(load.pointer, load.type, at), cells[done], at)
        step = -1 if self._is_upward(window) else 1
        pending = {shift: at.builder.load(load.type, slot) for shift, slot in cells.items() if shift != done}
        for shift, slot in cells.items():
            at.builder.store(pending.get(shift - step, self.plan.nothing(load.type)), slot)

    def _flush(self, window: Window, at: Position) -> None:
        cells = self._cells(window)
        done = self._complete(window)
        load = window.reading(done)
        nearest = self.shadow_address(load.pointer, load.type, at)
        step = -1 if self._is_upward(window) else 1
        for shift, slot in cells.items():
            # The cells have moved on, though no iteration follows.
            distance = shift - step - done
            if window.first <= shift - step <= window.last:
                address = at.builder.gep(I8, nearest, [const_int(I64, distance * window.stride)])
                self._give(load, address, slot, at)
            at.builder.store(self.plan.nothing(load.type), slot)

    def _give(self, load: Load, address: Value, slot: Value, at: Position) -> None:
        amount = at.builder.load(load.type, slot)
        old = at.builder.load(load.type, address, align=load.align)
        new = at.builder.store(at.builder.fadd(old, amount), address, align=load.align)
        for access in (old, new):
            self.values.scopes.mark(access, Side.SHADOW, load.pointer, self.lane)
