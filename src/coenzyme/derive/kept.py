"""What the reverse sweep needs and the program would give back: held, and given back by the reverse sweep.

Blocks of memory and their shadows, copies of operands, records of calls. What is still held where the
derivative ends, however it ends, is given back there.
"""

from __future__ import annotations

from collections.abc import Callable

from coenzyme.analysis.objects import Storage
from coenzyme.derive.calls import Derivatives, ReverseCalls
from coenzyme.derive.context import Context
from coenzyme.derive.deferred import find_deferred
from coenzyme.derive.limit import push_kept
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.runtime import DESTROY, KEEP_STACK
from coenzyme.derive.safety import Guard, clear_payload
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder
from coenzyme.ir.instructions import Block, Call, Function, Instruction
from coenzyme.ir.types import PTR, VOID, FunctionType, Type
from coenzyme.ir.values import ConstantNull, Value
from coenzyme.rules import Allocation, BlockKind, find_memory_rule

__all__ = ["Kept"]

_SHADOWS = "shadows"
"""Key of the stack of shadows that are counted blocks."""
_DEFERRED = "deferred"
"""Key of the stack of shadows of the caller's that the function has let go of."""


def _allocation_of(call: Call) -> Allocation:
    """Return the row of an allocating `call`."""
    rule = find_memory_rule(call.callee_name or "")
    assert isinstance(rule, Allocation)
    return rule


class Kept:
    """Emits what holds on to memory of one function, and gives it back.

    Parameters
    ----------
    calls
        The derivatives of functions kept out of line.
    make_slot
        Makes a stack slot of a type in the function's entry.
    guards
        Is extended by what may not be granted.
    give_up
        Returns the block by which the reverse sweep ends where it is not granted memory.
    """

    def __init__(
        self,
        context: Context,
        plan: ReversePlan,
        calls: ReverseCalls | None,
        values: ReverseValues,
        make_slot: Callable[[Type, str], Value],
        guards: list[Guard],
        give_up: Callable[[], Block],
    ) -> None:
        self.context = context
        self.module = context.module
        self.plan = plan
        self.calls = calls
        self.function = plan.shape.function
        self.values = values
        self.make_slot = make_slot
        self.guards = guards
        self.give_up = give_up
        self.stacks: dict[str, Value] = {}
        """For each function that gives memory back, the stack of the blocks it is to give back."""
        self.record_stacks: dict[Function, Value] = {}
        """For each function that discards the records of a callee, the stack of those in wait."""

    def prepare(self) -> None:
        """Make the slots of the stacks, and of the shadows that are allocated late."""
        for call in self.plan.kept:
            release = _allocation_of(call).release
            if release not in self.stacks:
                self.stacks[release] = self.make_slot(KEEP_STACK, "kept.blocks")
        for twin in self.plan.late.twins:
            self.values.late[twin] = self.make_slot(PTR, f"{twin.name}.late")
        shadowed = self.plan.lanes[0].allocations
        counted = [c for c in shadowed if _allocation_of(c).kind is BlockKind.MEMINFO]
        if any(call in self.plan.kept for call in counted):
            self.stacks[_SHADOWS] = self.make_slot(KEEP_STACK, "kept.shadows")
        if self.plan.copies and "free" not in self.stacks:
            self.stacks["free"] = self.make_slot(KEEP_STACK, "kept.blocks")

    def keep(self) -> None:
        """Hold on to all that is needed, in the forward sweep."""
        for call in self.plan.kept:
            self._keep_block(call)
        for copy in self.plan.copies.values():
            self._keep_copy(copy)
        self._keep_records()
        self._defer_releases()

    def _keep_block(self, call: Call) -> None:
        """Hold on to the block that `call` returns, and to its shadows, for the reverse sweep to drop."""
        rule = _allocation_of(call)
        increase = self.module.declare("NRT_incref", FunctionType(VOID, (PTR,)))
        late = self.plan.late.calls
        twins = [s.allocations[call] for s in self.plan.lanes if call in s.allocations and call not in late]
        self.guards.extend(Guard(twin, Status.TAPE_EXHAUSTED, clear=call) for twin in twins)
        for block in (call, *twins):
            at = Builder.after(block)
            if rule.kind is BlockKind.MEMINFO:
                at.call(increase, [block])
            pushed = push_kept(
                self.context, at, self._keep_stack(call, is_shadow=block is not call), block, call
            )
            self.guards.append(Guard(pushed, Status.TAPE_EXHAUSTED))

    def _keep_stack(self, call: Call, *, is_shadow: bool) -> Value:
        """Return the stack that holds what `call` allocates, or its shadow."""
        rule = _allocation_of(call)
        if is_shadow and rule.kind is BlockKind.MEMINFO:
            return self.stacks[_SHADOWS]
        return self.stacks[rule.release]

    def _keep_copy(self, copy: Call) -> None:
        """Hold on to the copy of an operand until the reverse sweep has read it."""
        pushed = push_kept(self.context, Builder.after(copy), self.stacks["free"], copy, copy)
        self.guards.append(Guard(copy, Status.TAPE_EXHAUSTED))
        self.guards.append(Guard(pushed, Status.TAPE_EXHAUSTED))

    def _defer_releases(self) -> None:
        """Let go of the caller's shadows at the end only."""
        live = self.plan.shape.exits.live
        deferred = [c for lane in self.plan.lanes for c in find_deferred(live, self.plan.activity, lane)]
        for call in deferred:
            if _DEFERRED not in self.stacks:
                self.stacks[_DEFERRED] = self.make_slot(KEEP_STACK, "deferred.shadows")
            before = Builder.before(call)
            pushed = push_kept(self.context, before, self.stacks[_DEFERRED], call.operands[0], None)
            self.guards.append(Guard(pushed, Status.TAPE_EXHAUSTED))
            call.erase()

    def drop_copies(self, call: Call, at: Position) -> None:
        """Free the copies that were made for `call`."""
        drop = self.context.require("coenzyme.keep.drop.free")
        for reader, _ in self.plan.copies:
            if reader is call:
                at.builder.call(drop, [self.stacks["free"]])

    def drop_kept(self, call: Call, at: Position) -> None:
        """Drop what :meth:`_keep_block` held."""
        drop = self.context.require(f"coenzyme.keep.drop.{_allocation_of(call).release}")
        for shadows in self.plan.lanes:
            if call in shadows.allocations and call not in self.plan.late.calls:
                at.builder.call(drop, [self._keep_stack(call, is_shadow=True)])
        at.builder.call(drop, [self._keep_stack(call, is_shadow=False)])

    def allocate_late(self, block: Block, at: Position) -> None:
        """Allocate the shadows that there are from the inverse of `block` on, and clear them."""
        for call in self.plan.late.allocations.get(block, ()):
            for shadows in self.plan.lanes:
                arguments = [self.values.get(argument, at) for argument in call.arguments]
                assert isinstance(call.callee, Function)
                shadow = at.builder.call(call.callee, arguments)
                assert isinstance(shadow, Call)
                at.builder.store(shadow, self.values.late[shadows.allocations[call]])
                granted = self.function.add_block(Block(f"{call.name}.shadow.granted"))
                refused = at.builder.icmp("eq", shadow, ConstantNull())
                at.builder.cond_branch(refused, self.give_up(), granted)
                at.builder = Builder(granted)
                clear_payload(self.module, shadow, shadow, at.builder)

    def free_late(self, call: Call, at: Position) -> None:
        """Free what :meth:`allocate_late` allocated for `call`."""
        for shadows in self.plan.lanes:
            slot = self.values.late[shadows.allocations[call]]
            self._decref(slot, at.builder)
            at.builder.store(ConstantNull(), slot)

    def _decref(self, slot: Value, at: Builder) -> None:
        """Let go of the counted block whose address is in `slot`, if there is one."""
        at.call(self.module.declare("NRT_decref", FunctionType(VOID, (PTR,))), [at.load(PTR, slot)])

    def record_stack(self, pair: Derivatives) -> Value:
        """Return the stack of the records of one callee."""
        assert pair.discard is not None
        if pair.discard not in self.record_stacks:
            self.record_stacks[pair.discard] = self.make_slot(PTR, "records")
        return self.record_stacks[pair.discard]

    def _keep_records(self) -> None:
        """Hold on to the records of calls until their reverse sweeps run."""
        if self.calls is None:
            return
        push = self.context.require("coenzyme.records.push")
        for call, record in self.calls.record_of.items():
            assert isinstance(record, Instruction)
            Builder.after(record).call(push, [self.record_stack(self.calls.pair_of[call]), record])

    def drop_late(self, at: Builder) -> None:
        """Free the late shadows that there are."""
        for slot in self.values.late.values():
            self._decref(slot, at)

    def release_records(self, at: Builder) -> None:
        """Give back the records of calls whose reverse sweeps have not run."""
        for discard, stack in self.record_stacks.items():
            release = self.context.require(f"coenzyme.records.release.{discard.name}")
            at.call(release, [stack])

    def release(self, at: Builder, shadows: str = "NRT_decref") -> None:
        """Give back what is kept.

        The primal lets go of nothing when it raises; shadows, which nobody else has seen, end here.
        """
        for name, stack in self.stacks.items():
            how = {_SHADOWS: shadows, _DEFERRED: "NRT_decref"}.get(name, name)
            at.call(self.context.require(f"coenzyme.keep.release.{how}"), [stack])

    def abandon(self, at: Builder) -> None:
        """Give back what is kept where the function has raised."""
        # Blocks that refer to each other are not taken apart by force: one may be freed with another.
        objects = self.plan.activity.objects
        shadowed = self.plan.lanes[0].allocations
        plain = not any(
            objects.contents.get(item) for call in shadowed for item in objects.of(call)
        ) and not any(
            item in held
            for call in shadowed
            for item in objects.of(call)
            for holder, held in objects.contents.items()
            if holder.storage not in (Storage.STACK, Storage.ARGUMENT)
        )
        self.release(at, shadows=DESTROY if plain else "NRT_decref")
