"""Loads of what the iteration before has stored, in the forward sweep: the value comes round in a register.

In ``p[j] = c / (a * p[j - 1] + b)`` each iteration waits for what the one before has sent through memory.
LLVM forwards it only where it knows that no other store of the loop comes in between, and that the loop has
one way out; the engine knows more of what pointers lead to. The reverse sweep has been planned and emitted
with the load, which it may do again: only the forward sweep goes without.
Source: Callahan, Carr & Kennedy, "Improving register allocation for subscripted variables" (PLDI 1990).
"""

from __future__ import annotations

from collections.abc import Callable

from coenzyme.analysis.affine import Polynomials
from coenzyme.analysis.overwritten import may_overlap, written_objects
from coenzyme.analysis.tape import field_size
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.recurrences import move_between_iterations
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Instruction, Load, Phi, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I64
from coenzyme.ir.values import Value

__all__ = ["forward_stores"]

_ADDRESS = ("getelementptr", "add", "sub", "mul", "shl", "or", "sext", "zext", "trunc", "bitcast", "freeze")


def forward_stores(plan: ReversePlan, mark: Callable[[Load, Value], None]) -> None:
    """Take out of the emitted forward sweep the loads of what the iteration before has stored, in place.

    Parameters
    ----------
    mark
        Is told of each new load of the primal's memory, with the primal's own pointer.
    """
    for loop in plan.shape.counted:
        if not loop.children and loop.header.function is not None:
            _Forwarding(plan, loop, mark).run()


class _Forwarding:
    def __init__(self, plan: ReversePlan, loop: Loop, mark: Callable[[Load, Value], None]) -> None:
        self.plan = plan
        self.loop = loop
        self.mark = mark
        self.dominators = plan.shape.dominators
        self.polynomials: Polynomials = plan.polynomials
        self.order: dict[Instruction, int] = {}
        for block in loop.ordered_blocks:
            for instruction in plan.instructions.get(block, ()):
                if instruction.block is block:
                    self.order[instruction] = len(self.order)

    def run(self) -> None:
        """Replace the loads of the loop."""
        stores = [i for i in self.order if isinstance(i, Store) and self._is_in_every_iteration(i)]
        if not stores:
            return
        for load in [i for i in self.order if isinstance(i, Load)]:
            if not load.users or load.ordering or load.flags or not self._comes_before_all_exits(load):
                continue
            store = next((s for s in stores if self._is_of_iteration_before(load, s)), None)
            if store is not None:
                self._replace(load, store)

    def _is_in_every_iteration(self, store: Store) -> bool:
        latch, block = self.loop.latch, store.block
        assert latch is not None
        assert block is not None
        return not store.ordering and not store.flags and self.dominators.dominates(block, latch)

    def _comes_before_all_exits(self, load: Load) -> bool:
        """Whether the first iteration, come what may, runs `load`: its memory is there."""
        block, latch = load.block, self.loop.latch
        assert block is not None
        assert latch is not None
        leaving = [latch, *(source for source, _ in self.loop.exiting_edges)]
        return all(self.dominators.dominates(block, source) for source in leaving)

    def _is_of_iteration_before(self, load: Load, store: Store) -> bool:
        if load.type != store.value.type or not (load.type.is_float or load.type.is_int):
            return False
        address = self.polynomials.of(load.pointer)
        moved = move_between_iterations(address, self.loop, self.plan.shape.counted[self.loop].index)
        if moved is None or address + moved != self.polynomials.of(store.pointer):
            return False
        # Where the store comes first, this iteration's comes in between: it must be to another cell.
        distance = moved.constant
        apart = distance is not None and abs(distance) >= field_size(load.type)
        if not apart and self.order[load] > self.order[store]:
            return False
        targets = self.plan.activity.objects.of(load.pointer)
        return bool(targets) and not any(
            other is not store and self._may_write(other, load) for other in self.order
        )

    def _may_write(self, instruction: Instruction, load: Load) -> bool:
        objects = self.plan.activity.objects
        return any(
            may_overlap(written, read, self.plan.aliasing)
            for written in written_objects(instruction, objects)
            for read in objects.of(load.pointer)
        )

    def _replace(self, load: Load, store: Store) -> None:
        preheader, latch = self.loop.preheader, self.loop.latch
        assert preheader is not None
        assert latch is not None
        at = Builder.before(preheader.terminator)
        known: dict[Value, Value] = {self.plan.shape.counted[self.loop].index: const_int(I64, 0)}
        first = self._at_start(load.pointer, known, at)
        if first is None:
            return
        start = at.load(load.type, first, align=load.align, name=f"{load.name}.first")
        assert isinstance(start, Load)
        self.mark(start, load.pointer)
        phi = Phi(load.type, [(start, preheader), (store.value, latch)], f"{load.name}.stored")
        self.loop.header.insert(0, phi)
        load.replace_all_uses_with(phi)
        load.erase()

    def _at_start(self, value: Value, known: dict[Value, Value], at: Builder) -> Value | None:
        """Return an address of the first iteration, computed before the loop, or None."""
        if not isinstance(value, Instruction) or value.block not in self.loop.blocks:
            return value
        if value in known:
            return known[value]
        if isinstance(value, Phi):
            if value.block is not self.loop.header or self.loop.preheader is None:
                return None
            return value.value_from(self.loop.preheader)
        if value.opcode not in _ADDRESS:
            return None
        operands = {o: self._at_start(o, known, at) for o in value.operands}
        found = {o: new for o, new in operands.items() if new is not None}
        if len(found) < len(operands):
            return None
        known[value] = at.insert(clone_instruction(value, found))
        return known[value]
