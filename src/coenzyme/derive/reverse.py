"""The reverse sweep: one function that runs the augmented primal, then its adjoint, backwards.

Reads a :class:`~coenzyme.derive.plan.ReversePlan` and decides nothing. Each block of the primal that
matters has an inverse block; an edge is taken back from the inverse of its target to the inverse of its
source. Loops run backwards with their index counting down.
Source: Griewank & Walther, "Evaluating Derivatives" (2008), ch. 3–4 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from coenzyme.analysis.branches import CameFrom, Decision, Test
from coenzyme.analysis.exits import ExitKind, normal_statuses
from coenzyme.analysis.passes import Pass
from coenzyme.derive.adjoints import Adjoints
from coenzyme.derive.calls import ReverseCalls
from coenzyme.derive.context import Context
from coenzyme.derive.forwarded import forward_stores
from coenzyme.derive.frames import Frames
from coenzyme.derive.fusing import find_fusions, fuse
from coenzyme.derive.growth import keep_payloads
from coenzyme.derive.kept import Kept
from coenzyme.derive.limit import leave_status
from coenzyme.derive.nearby import begin_nearby
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.row_text import RowText
from coenzyme.derive.runtime import TapeMemory
from coenzyme.derive.safety import Guard, guard
from coenzyme.derive.scopes import Scopes, Side
from coenzyme.derive.seeds import ResultPlaces, add_seed, drop_references
from coenzyme.derive.side_by_side import hide_origin
from coenzyme.derive.split import Halves
from coenzyme.derive.unneeded import drop_unneeded
from coenzyme.frontends.program import ComponentActivity, Status
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.instructions import Alloca, Block, Branch, Call, Function, Instruction, Phi, Switch
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I1, I32, I64, VOID, IntType, Type
from coenzyme.ir.values import Argument, Value

__all__ = ["emit_reverse"]


@dataclass(frozen=True)
class Seed:
    """The addresses of a result that holds arrays, of its shadow, and of its cotangent."""

    places: ResultPlaces
    result: Value
    shadow: Value
    seed: Value


@dataclass(frozen=True)
class Bar:
    """The adjoint of a phi in one lane."""

    lane: Adjoints
    phi: Phi
    value: Value


def emit_reverse(
    context: Context,
    plan: ReversePlan,
    adjoint_outputs: Sequence[Mapping[Argument, Argument]],
    calls: ReverseCalls | None = None,
    seeds: Sequence[Seed] = (),
    *,
    nearby: bool = False,
) -> Halves:
    """Complete the augmented primal of `plan` with its reverse sweep, in place.

    Parameters
    ----------
    adjoint_outputs
        For each ``ACTIVE`` parameter the pointer parameter where its adjoint is stored, in each lane.
    calls
        The derivatives of functions kept out of line.
    seeds
        The cotangents of a result that holds arrays, one for each lane.
    nearby
        Whether tapes may begin in the function's stack frame: it is not cut in two.

    Returns
    -------
    Halves
        What is needed to cut the function in two.
    """
    return _Emitter(context, plan, adjoint_outputs, calls, seeds, nearby=nearby).run()


class _Emitter:
    def __init__(
        self,
        context: Context,
        plan: ReversePlan,
        adjoint_outputs: Sequence[Mapping[Argument, Argument]],
        calls: ReverseCalls | None,
        seeds: Sequence[Seed],
        *,
        nearby: bool,
    ) -> None:
        self.seeds = seeds
        self.nearby = nearby
        self.context = context
        self.module = context.module
        self.plan = plan
        self.scopes = Scopes(
            context.module, plan.activity.objects, arguments_disjoint=plan.aliasing.arguments_disjoint
        )
        self.shape = plan.shape
        self.function: Function = plan.shape.function
        self.outputs = adjoint_outputs
        self.guards: list[Guard] = []
        self.values = ReverseValues(plan, self.scopes, self.make_slot)
        self.frames = Frames(context, plan, self.values, self.make_slot, self.guards)
        self.kept = Kept(context, plan, calls, self.values, self.make_slot, self.guards, self.give_up)
        self.lanes = [Adjoints(context, plan, s, self.values, self.make_slot) for s in plan.lanes]
        # What serves all lanes is done with the last.
        self.lanes[-1].drop_kept = self.kept.drop_kept
        self.lanes[-1].drop_copies = self.kept.drop_copies
        self.lanes[-1].free_late = self.kept.free_late
        if calls is not None:
            for lane in self.lanes[:-1]:
                lane.reverse_call = lambda _call, _at: None
            self.lanes[-1].reverse_call = self.reverse_call
        self.calls = calls
        self.rows = RowText(context, plan, self.values, self.lanes, self.new_block, self.make_slot)
        self.inverse: dict[Block, Block] = {}
        self.repeated: dict[Call, Value] = {}
        """The calls in the reverse sweep that run calls of the primal again."""
        self.entries: dict[tuple[Block, Block, Loop], Position] = {}
        self.status = Alloca(I32, const_int(I32, 1), "status")
        self.prologue: list[Instruction] = []
        self.ending: list[Block] = []

    # -- the whole

    def run(self) -> Halves:
        forward_blocks = set(self.function.blocks)
        for block in self.shape.exits.live:
            self.inverse[block] = self.function.add_block(Block(f"{block.name}.reverse"))
        self.finish = self.function.add_block(Block("reverse.done"))
        self.cleanup = self.function.add_block(Block("reverse.abandon"))
        self.failed: Block | None = None
        self.prologue.append(self.status)
        self.scopes.mark_primal(self.function.instructions())
        self.prepare_storage()
        self.store_primal_values()
        self.redirect_returns()
        for block in self.shape.exits.live:
            self.invert(block)
        self.fill_carried()
        self.emit_finish()
        self.emit_cleanup()
        self.emit_failure()
        self.plan.late.erase()
        again = [] if self.calls is None else [a for call in self.calls.pair_of for a in call.arguments]
        objects = self.plan.activity.objects
        read_there = objects.reachable(a for a in again if a.type.is_pointer)
        self.fuse_loops()
        drop_unneeded(self.plan, self.values.again, read_there)
        if Pass.FORWARDED in self.plan.passes and self.context.memory is TapeMemory.POOLED:
            forward_stores(self.plan, lambda load, pointer: self.scopes.mark(load, Side.PRIMAL, pointer))
        entry = self.function.entry
        for position, instruction in enumerate(self.prologue):
            entry.insert(position, instruction)
        self.scopes.attach()
        reverse_blocks = [
            b for b in self.function.blocks if b not in forward_blocks and b is not self.cleanup
        ]
        leave = partial(leave_status, self.context, self.function)
        guard(self.module, self.function, self.guards, self.cleanup, leave)
        return Halves(
            slots=[i for i in self.prologue if isinstance(i, Alloca) and i is not self.status],
            locals=[i for i in self.plan.tape.slots if isinstance(i, Alloca)],
            shared=frozenset(
                [
                    *self.values.stored.values(),
                    *self.frames.stacks.values(),
                    *self.kept.stacks.values(),
                    *self.kept.record_stacks.values(),
                ]
            ),
            outputs=frozenset(o for outputs in self.outputs for o in outputs.values()),
            returns=[self.inverse[b] for b in self.ending],
            reverse_blocks=reverse_blocks,
            finish=self.finish,
            failed=self.failed,
            abandon=self.cleanup,
            status=self.status,
        )

    def fuse_loops(self) -> None:
        """Leave out of the forward sweep the loops that the reverse sweep runs alone."""
        if self.calls is None or self.seeds:
            return
        for fusion in find_fusions(self.plan, self.calls):
            again = self.repeated[fusion.call]
            assert isinstance(again, Call)
            returned = self.plan.activity.objects.of(self.function.arguments[0])
            result_needed = self.plan.unneeded.isdisjoint(returned)
            fuse(fusion, again, self.finish, self.prologue, result_needed=result_needed)

    def make_slot(self, type: Type, name: str) -> Value:
        """Return a new stack slot, zero at the start (a float: −0.0, which additions leave no trace of)."""
        slot = Alloca(type, const_int(I32, 1), name)
        self.prologue.append(slot)
        self.prologue.append(Builder(Block("detached")).store(self.plan.nothing(type), slot))
        return slot

    def prepare_storage(self) -> None:
        for value in self.plan.tape.slots:
            self.values.stored[value] = self.make_slot(value.type, f"{value.name}.kept")
        for loop in self.shape.counted:
            self.values.index[loop] = self.make_slot(I64, f"{loop.header.name}.reverse.index")
        self.frames.prepare()
        if self.nearby:
            self.prologue += begin_nearby(list(self.frames.stacks.values()))
        self.kept.prepare()

    # -- the forward sweep's share

    def store_primal_values(self) -> None:
        for value in self.plan.tape.slots:
            at = Builder.after(value)
            at.store(value, self.values.stored[value])
        for loop in self.shape.counted:
            if self.plan.frame(loop) is not None:
                self.frames.push_frames(loop)
        self.kept.keep()
        keep_payloads(self.context, self.shape.exits.live)
        growths = (twin for shadows in self.plan.lanes for twin in shadows.growths)
        self.guards.extend(Guard(twin, Status.TAPE_EXHAUSTED) for twin in growths)
        for call in self.plan.withheld:
            call.erase()

    def reverse_call(self, call: Call, at: Position) -> None:
        """Run the reverse sweep of a function kept out of line."""
        assert self.calls is not None
        pair = self.calls.pair_of[call]
        primal = call.arguments[: len(pair.activities)]
        arguments = [self.values.get(a, at) for a in primal]
        adjoints: list[tuple[Adjoints, Value, Value]] = []
        for lane in self.lanes:
            for argument, activity in zip(primal, pair.activities, strict=True):
                if activity is ComponentActivity.DUPLICATED:
                    arguments.append(self.values.get(lane.shadows.of(argument), at))
                elif activity is ComponentActivity.ACTIVE:
                    slot = self.make_slot(argument.type, "argument.bar")
                    adjoints.append((lane, argument, slot))
                    arguments.append(slot)
        if call in self.calls.record_of:
            pop = self.context.require("coenzyme.records.pop")
            arguments.append(at.builder.call(pop, [self.kept.record_stack(pair)]))
        failed = at.builder.call(pair.reverse, arguments)
        if call not in self.calls.record_of:
            self.repeated[call] = failed
        before = at.builder.load(I32, self.status)
        fine = at.builder.icmp("eq", failed, const_int(I32, 0))
        at.builder.store(at.builder.select(fine, before, failed), self.status)
        for lane, argument, slot in adjoints:
            lane.add(argument, at.builder.load(argument.type, slot), at)

    def redirect_returns(self) -> None:
        for block, kind in self.shape.exits.kinds.items():
            terminator = block.terminator
            status: Value = terminator.operands[0] if terminator.operands else const_int(I32, 0)
            at = Builder(block, len(block.instructions) - 1)
            at.store(status, self.status)
            terminator.erase()
            at.position_at_end(block)
            if kind is not ExitKind.ERROR:
                self.ending.append(block)
            match kind:
                case ExitKind.NORMAL if self.seeds:
                    self.take_seeds(block, at)
                case ExitKind.NORMAL:
                    at.branch(self.inverse[block])
                case ExitKind.ERROR:
                    at.branch(self.cleanup)
                case ExitKind.UNDECIDED:
                    normal: Value | None = None
                    for code in normal_statuses:
                        same = at.icmp("eq", status, const_int(I32, code))
                        normal = same if normal is None else at.or_(normal, same)
                    assert normal is not None
                    at.cond_branch(normal, self.inverse[block], self.cleanup)

    def take_seeds(self, block: Block, at: Builder) -> None:
        """Add the seeds to the shadows of the result; where shapes differ, give everything back."""
        agreed: Value = const_int(I1, 1)
        for seed in self.seeds:
            agreed = at.and_(agreed, add_seed(self.module, at, seed.places, seed.shadow, seed.seed))
        refused = self.new_block(f"{block.name}.seed.refused")
        at.cond_branch(agreed, self.inverse[block], refused)
        out = Builder(refused)
        out.store(const_int(I32, int(Status.SEED_MISMATCH)), self.status)
        first = self.seeds[0]
        drop_references(self.module, out, first.places, first.result)
        for seed in self.seeds:
            drop_references(self.module, out, seed.places, seed.shadow)
        out.branch(self.cleanup)

    # -- the reverse sweep

    def invert(self, block: Block) -> None:
        """Emit the inverse of `block`: its instructions' adjoints, then the way back."""
        at = Position(self.shape.loop_of(block), Builder(self.inverse[block]))
        self.kept.allocate_late(block, at)
        for instruction in reversed(self.plan.instructions[block]):
            if not instruction.is_terminator and instruction not in self.plan.withheld:
                for lane in self.lanes:
                    lane.emit(instruction, at)
        phis = [
            p for p in self.plan.instructions[block] if isinstance(p, Phi) and self.plan.activity.is_active(p)
        ]
        bars = [Bar(lane, phi, lane.take(phi, at)) for phi in phis for lane in self.lanes]
        predecessors = self.shape.live_predecessors(block)
        loop = self.shape.loop_of(block)
        if not predecessors:
            at.builder.branch(self.finish)
        elif loop is not None and loop.header is block:
            self.leave_header(loop, bars, at)
        elif len(predecessors) == 1:
            at.builder.branch(self.edge(predecessors[0], block, bars))
        else:
            self.choose(block, bars, at)

    def leave_header(self, loop: Loop, bars: Sequence[Bar], at: Position) -> None:
        assert loop.preheader is not None
        assert loop.latch is not None
        slot = self.values.index[loop]
        index = at.builder.load(I64, slot)
        frame, counted = self.plan.frame(loop), self.shape.counted[loop]
        trim = None if frame is None else self.context.require("coenzyme.tape.trim")
        if trim is not None and counted.last is None:
            at.builder.call(trim, [self.frames.stacks[loop]])
        upward = self.is_upward(loop)
        for lane in self.lanes:
            lane.gathering.advance(loop, at)
            lane.chains.advance(loop, at)
        final = self.values.get_last(loop, at) if upward else const_int(I64, 0)
        done = at.builder.icmp("eq", index, final)
        outside = self.new_block(f"{loop.header.name}.reverse.leave")
        inside = self.new_block(f"{loop.header.name}.reverse.previous")
        at.builder.cond_branch(done, outside, inside)

        out = Position(loop.parent, Builder(outside))
        for lane in self.lanes:
            lane.gathering.flush(loop, Position(loop, out.builder))
            lane.chains.flush(loop, Position(loop, out.builder))
        self.frames.trim_nest(loop, out.builder)
        self.add_incoming(bars, loop.preheader, out)
        out.builder.branch(self.inverse[loop.preheader])

        back = Position(loop, Builder(inside))
        step = const_int(I64, 1)
        following = back.builder.add(index, step) if upward else back.builder.sub(index, step)
        back.builder.store(following, slot)
        if frame is not None and counted.last is None:
            self.frames.pop_record(loop, back)
        self.add_incoming(bars, loop.latch, back)
        back.builder.branch(self.inverse[loop.latch])

    def new_block(self, name: str) -> Block:
        return self.function.add_block(Block(name))

    def add_incoming(self, bars: Sequence[Bar], predecessor: Block, at: Position) -> None:
        for bar in bars:
            bar.lane.add(bar.phi.value_from(predecessor), bar.value, at)

    def edge(self, source: Block, target: Block, bars: Sequence[Bar]) -> Block:
        """Return a block that takes the edge back and goes to the inverse of `source`."""
        first = self.new_block(f"{target.name}.back.to.{source.name}")
        at = Position(self.shape.loop_of(target), Builder(first))
        self.add_incoming(bars, source, at)
        exited = self.exited_loops(source, target)
        indices = [self.exit_index(loop, source, target, at) for loop in exited]
        current = at
        for loop, index in zip(exited, indices, strict=True):
            block = self.new_block(f"{loop.header.name}.reverse.enter")
            current.builder.branch(block)
            current = Position(loop.parent, Builder(block))
            self.frames.pop_nest(loop, current)
            if loop in self.plan.rows and loop.preheader is not None:
                leave = self.inverse[loop.preheader]
                if self.frames.placed_at(loop):
                    leave = self.new_block("rows.leave")
                    done = Builder(leave)
                    self.frames.trim_nest(loop, done)
                    done.branch(self.inverse[loop.preheader])
                current = self.rows.emit(self.plan.rows[loop], current, leave)
            self.enter_loop(loop, index, current)
            self.entries[source, target, loop] = current
        last = current.builder
        last.branch(self.inverse[source])
        for loop in exited:
            entered = self.entries[source, target, loop]
            terminator = entered.builder.block.terminator
            entered.builder.position_before(terminator)
        return first

    def exited_loops(self, source: Block, target: Block) -> list[Loop]:
        """Return the loops that the edge leaves, outermost first."""
        found: list[Loop] = []
        loop = self.shape.loop_of(source)
        while loop is not None and target not in loop.blocks:
            found.append(loop)
            loop = loop.parent
        return found[::-1]

    def exit_index(self, loop: Loop, source: Block, target: Block, at: Position) -> Value | None:
        """Return the index in which `loop` was left, where that is a value of the level of `target`."""
        value = self.shape.counted[loop].exit_index[source, target]
        if loop in self.plan.idle.loops:
            return const_int(I64, 0)
        if isinstance(value, Phi) and value.block is target:
            return self.values.get(value, at)
        return None

    def is_upward(self, loop: Loop) -> bool:
        """Whether the iterations of `loop` are taken back in the order in which they were run."""
        return loop in self.plan.accumulations.orderless and loop not in self.plan.idle.loops

    def enter_loop(self, loop: Loop, index: Value | None, at: Position) -> None:
        counted = self.shape.counted[loop]
        if index is None:
            index = self.values.get_last(loop, at)
        upward = self.is_upward(loop)
        at.builder.store(const_int(I64, 0) if upward else index, self.values.index[loop])
        self.frames.find_frames_beside(loop, at)
        frame = self.plan.frame(loop)
        if frame is None:
            return
        if counted.last is None:
            self.frames.pop_record(loop, at)

    def choose(self, block: Block, bars: Sequence[Bar], at: Position) -> None:
        merge = self.plan.merges[block]
        edges = {p: self.edge(p, block, bars) for p in merge.predecessors}
        if merge.recorded is not None:
            number = self.values.get(merge.recorded, at)
            assert isinstance(number.type, IntType)
            cases = [(const_int(number.type, i), edges[p]) for i, p in enumerate(merge.predecessors)]
            at.builder.switch(number, cases[0][1], cases[1:])
            return
        assert merge.decision is not None
        self.decide(merge.decision, edges, at)

    def decide(self, decision: Decision, edges: dict[Block, Block], at: Position) -> None:
        """Emit the tests of `decision` and the branches to `edges`."""
        if isinstance(decision, CameFrom):
            at.builder.branch(edges[decision.predecessor])
            return
        condition = self.values.get(decision.terminator.operands[0], at)
        targets: list[Block | None] = []
        nested: list[tuple[Test, Block]] = []
        for arm in decision.arms:
            match arm:
                case CameFrom():
                    targets.append(edges[arm.predecessor])
                case Test():
                    nested.append((arm, self.new_block("reverse.ask")))
                    targets.append(nested[-1][1])
                case None:
                    targets.append(None)
        # An arm that does not lead here was not taken: any target will do.
        anywhere = next(t for t in targets if t is not None)
        chosen = [anywhere if t is None else t for t in targets]
        terminator = decision.terminator
        if isinstance(terminator, Switch):
            cases = list(zip(terminator.cases, chosen[1:], strict=True))
            at.builder.switch(condition, chosen[0], cases)
        else:
            assert isinstance(terminator, Branch)
            at.builder.cond_branch(condition, chosen[0], chosen[1])
        for test, block in nested:
            self.decide(test, edges, Position(at.loop, Builder(block), dict(at.known)))

    def fill_carried(self) -> None:
        """At each entry of a loop's reverse, store the values that its inside reads."""
        done = 0
        shadows = {twin for lane in self.plan.lanes for twin in lane.pointers.values()}
        while done < len(self.values.requests):
            value, loop = self.values.requests[done]
            done += 1
            slot = self.values.carried[value, loop]
            for source, target in self.shape.counted[loop].edges:
                position = self.entries[source, target, loop]
                carried = self.values.get(value, position)
                if loop in self.plan.side_by_side and value in shadows:
                    carried = hide_origin(self.module, carried, position.builder)
                position.builder.store(carried, slot)

    # -- the ends

    def emit_finish(self) -> None:
        at = Builder(self.finish)
        for lane, outputs in zip(self.lanes, self.outputs, strict=True):
            for argument, output in outputs.items():
                if self.plan.activity.is_active(argument):
                    bar = at.load(argument.type, lane.slot(argument))
                    at.store(at.fadd(bar, zero(argument.type)), output)
                else:
                    at.store(zero(argument.type), output)
        for seed in self.seeds:
            drop_references(self.module, at, seed.places, seed.shadow)
        self.kept.release(at)
        self.leave(at)

    def release_stacks(self, at: Builder) -> None:
        """Give back the tape, and the records of calls whose reverse sweeps have not run."""
        for stack in self.frames.stacks.values():
            at.call(self.context.require("coenzyme.tape.release"), [stack])
        self.kept.release_records(at)

    def give_up(self) -> Block:
        """Return the block by which the reverse sweep ends where it is not granted memory."""
        if self.failed is None:
            self.failed = self.new_block("reverse.failed")
        return self.failed

    def emit_failure(self) -> None:
        """Emit what the reverse sweep does where it is not granted memory."""
        if self.failed is None:
            return
        at = Builder(self.failed)
        at.store(const_int(I32, int(Status.TAPE_EXHAUSTED)), self.status)
        self.kept.drop_late(at)
        self.release_stacks(at)
        for seed in self.seeds:
            drop_references(self.module, at, seed.places, seed.shadow)
        self.kept.release(at)
        self.leave(at)

    def emit_cleanup(self) -> None:
        at = Builder(self.cleanup)
        self.release_stacks(at)
        self.kept.abandon(at)
        self.leave(at)

    def leave(self, at: Builder) -> None:
        if self.function.function_type.result == VOID:
            at.ret()
        else:
            at.ret(at.load(I32, self.status))
