"""Emits the chains of :mod:`coenzyme.derive.chains` for one lane: two registers for each.

One holds what the iteration before has handed on; the other what this one hands on to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coenzyme.derive.chains import Chain
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.scopes import Side
from coenzyme.ir.instructions import Load, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import Type
from coenzyme.ir.values import Value

__all__ = ["ChainText"]


@dataclass(frozen=True)
class _Registers:
    handed: Value
    handing: Value


class ChainText:
    """The registers of one lane's chains.

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
        self._known: dict[Chain, _Registers] = {}

    def add(self, load: Load, bar: Value, at: Position) -> None:
        """Hand `bar` on to the next iteration, whose store takes what `load` adds."""
        slot = self._registers(self.plan.chains.of_load[load]).handing
        at.builder.store(at.builder.fadd(at.builder.load(load.type, slot), bar), slot)

    def take(self, store: Store, bar: Value, at: Position) -> Value:
        """Return `bar`, which was in memory for `store`, with what the iteration before has handed on."""
        slot = self._registers(self.plan.chains.of_store[store]).handed
        return at.builder.fadd(bar, at.builder.load(store.value.type, slot))

    def advance(self, loop: Loop, at: Position) -> None:
        """Let what was handed on be there for the next iteration."""
        for chain in self.plan.chains.of_loop.get(loop, ()):
            registers, type = self._registers(chain), chain.store.value.type
            at.builder.store(at.builder.load(type, registers.handing), registers.handed)
            at.builder.store(self.plan.nothing(type), registers.handing)

    def flush(self, loop: Loop, at: Position) -> None:
        """Give what no iteration of `loop` is left to take to memory, at the last iteration's index."""
        for chain in self.plan.chains.of_loop.get(loop, ()):
            slot, load = self._registers(chain).handed, chain.loads[0]
            address = self.shadow_address(load.pointer, load.type, at)
            amount = at.builder.load(load.type, slot)
            old = at.builder.load(load.type, address, align=load.align)
            new = at.builder.store(at.builder.fadd(old, amount), address, align=load.align)
            for access in (old, new):
                self.values.scopes.mark(access, Side.SHADOW, load.pointer, self.lane)
            at.builder.store(self.plan.nothing(load.type), slot)

    def _registers(self, chain: Chain) -> _Registers:
        if chain not in self._known:
            type, name = chain.store.value.type, chain.loads[0].name
            handed, handing = self.make_slot(type, f"{name}.handed"), self.make_slot(type, f"{name}.handing")
            self._known[chain] = _Registers(handed, handing)
        return self._known[chain]
