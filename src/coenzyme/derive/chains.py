"""Adjoints that a recurrence through memory hands from one iteration of the reverse sweep to the next.

In ``x[i] = f(x[i - 1])`` the reverse sweep of an iteration takes what is in the shadow of ``x[i]`` and adds
to that of ``x[i - 1]``, where the next iteration takes it: a load and a store of one cell, each waiting for
the other. What goes to that cell stays in a register instead, until it is taken.

What must hold, for the cell that a load reads in one iteration and a store writes in the one before: nobody
takes out of its shadow between the adjoint of the load and that of the store. Others may add to it there;
what they add lies in memory, and is taken with what is in the register.
Source: Callahan, Carr & Kennedy, "Improving register allocation for subscripted variables" (PLDI 1990),
scalar replacement across iterations, here of adjoints.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomials
from coenzyme.analysis.content import Contents
from coenzyme.analysis.objects import called_effect
from coenzyme.analysis.overwritten import Aliasing, may_overlap
from coenzyme.analysis.tape import field_size
from coenzyme.derive.accumulations import HARMLESS, Accumulations, clears_shadow
from coenzyme.derive.normalise import Shape
from coenzyme.derive.recurrences import move_between_iterations
from coenzyme.ir.instructions import Call, Instruction, Load, Store
from coenzyme.ir.loops import Loop

__all__ = ["Chain", "Chains", "find_chains"]


@dataclass(frozen=True, eq=False)
class Chain:
    """Loads of the cell that the iteration before has stored: what they add, the store of that one takes."""

    loop: Loop
    store: Store
    loads: tuple[Load, ...]


@dataclass(frozen=True)
class Chains:
    """Result of :func:`find_chains`: the chains, by their loads, stores and loops."""

    of_load: Mapping[Load, Chain] = field(default_factory=dict[Load, Chain])
    of_store: Mapping[Store, Chain] = field(default_factory=dict[Store, Chain])
    of_loop: Mapping[Loop, tuple[Chain, ...]] = field(default_factory=dict[Loop, "tuple[Chain, ...]"])


def find_chains(
    shape: Shape,
    activity: Activity,
    contents: Contents,
    polynomials: Polynomials,
    aliasing: Aliasing,
    accumulations: Accumulations,
) -> Chains:
    """Return the chains of all innermost loops that run downwards in the reverse sweep.

    Parameters
    ----------
    accumulations
        What the reverse sweeps of those loops sum up otherwise, and which of them run upwards.
    """
    of_load: dict[Load, Chain] = {}
    of_store: dict[Store, Chain] = {}
    of_loop: dict[Loop, tuple[Chain, ...]] = {}
    for loop in shape.counted:
        if loop in accumulations.orderless or not _runs_whole_iterations(loop, shape):
            continue
        found = _Search(loop, shape, activity, contents, polynomials, aliasing, accumulations.group_of).run()
        for chain in found:
            of_store[chain.store] = chain
            of_load.update(dict.fromkeys(chain.loads, chain))
        if found:
            of_loop[loop] = found
    return Chains(of_load, of_store, of_loop)


def _runs_whole_iterations(loop: Loop, shape: Shape) -> bool:
    """Whether `loop` is an innermost one that is left at the end of an iteration, and calls nobody."""
    counted = shape.counted[loop]
    if loop.children or counted.last is None or [a for a, _ in counted.edges] != [loop.latch]:
        return False
    return not any(
        isinstance(i, Call) and called_effect(i) not in HARMLESS
        for block in loop.blocks & shape.live
        for i in block.instructions
    )


class _Search:
    def __init__(
        self,
        loop: Loop,
        shape: Shape,
        activity: Activity,
        contents: Contents,
        polynomials: Polynomials,
        aliasing: Aliasing,
        taken: Collection[Load],
    ) -> None:
        self.loop = loop
        self.shape = shape
        self.activity = activity
        self.polynomials = polynomials
        self.aliasing = aliasing
        self.index = shape.counted[loop].index
        self.order: dict[Instruction, int] = {}
        self.loads: list[Load] = []
        self.stores: list[Store] = []
        """All that take something out of a shadow."""
        for block in (b for b in loop.ordered_blocks if b in shape.live):
            for instruction in block.instructions:
                self.order[instruction] = len(self.order)
                if isinstance(instruction, Load):
                    if activity.is_active(instruction) and instruction not in taken:
                        self.loads.append(instruction)
                elif isinstance(instruction, Store) and clears_shadow(instruction, activity, contents):
                    self.stores.append(instruction)

    def run(self) -> tuple[Chain, ...]:
        """Return the chains of the loop."""
        found: list[Chain] = []
        for store in self.stores:
            if not self._is_plain(store) or not self.activity.is_active(store.value):
                continue
            if any(other is not store and self._may_meet(other, store) for other in self.stores):
                continue
            loads = tuple(load for load in self.loads if self._reads_what_was_stored(load, store))
            if loads:
                found.append(Chain(self.loop, store, loads))
        return tuple(found)

    def _is_plain(self, access: Load | Store) -> bool:
        """Whether `access` is to a float that has a shadow, in every iteration."""
        assert self.loop.latch is not None
        assert access.block is not None
        type = access.type if isinstance(access, Load) else access.value.type
        every = self.shape.dominators.dominates(access.block, self.loop.latch)
        return type.is_float and every and not self.activity.is_partial(access.pointer)

    def _reads_what_was_stored(self, load: Load, store: Store) -> bool:
        """Whether `load` reads where `store` has written in the iteration before."""
        if not self._is_plain(load) or load.type != store.value.type:
            return False
        address = self.polynomials.of(load.pointer)
        moved = move_between_iterations(address, self.loop, self.index)
        if moved is None or address + moved != self.polynomials.of(store.pointer):
            return False
        if set(self.activity.objects.of(load.pointer)) != set(self.activity.objects.of(store.pointer)):
            return False
        # Where the store comes first, its adjoint comes in between: it must take another cell.
        distance = moved.constant
        apart = distance is not None and abs(distance) >= field_size(load.type)
        return apart or self.order[load] < self.order[store]

    def _may_meet(self, a: Store, b: Store) -> bool:
        of = self.activity.objects.of
        return any(may_overlap(x, y, self.aliasing) for x in of(a.pointer) for y in of(b.pointer))
