"""Everything the reverse sweep of one function will do, as data: analyses gathered, tape planned.

Emission (:mod:`coenzyme.derive.reverse`) reads a :class:`ReversePlan` and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomials
from coenzyme.analysis.branches import conditions
from coenzyme.analysis.content import Contents
from coenzyme.analysis.dependence import Dependences, Facts
from coenzyme.analysis.idle import NOTHING_IDLE, Idle, find_idle
from coenzyme.analysis.induction import Recurrence
from coenzyme.analysis.objects import (
    MemoryObject,
    Objects,
    called_effect,
    is_internal_call,
    is_ruled_call,
)
from coenzyme.analysis.overwritten import Aliasing, Overwrites, find_overwrites
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.analysis.tape import Frame, Keep, Question, TapePlan, lay_out, plan_tape
from coenzyme.derive.accumulations import Accumulations, clears_shadow, find_accumulations
from coenzyme.derive.blas import Copies, Products, copy_overwritten, needed_by_product
from coenzyme.derive.chains import Chains, find_chains
from coenzyme.derive.context import Context
from coenzyme.derive.emission import rule_of
from coenzyme.derive.growth import find_movable
from coenzyme.derive.hoisting import find_hoisted
from coenzyme.derive.kept_blocks import find_kept
from coenzyme.derive.late import LateShadows, find_late_shadows
from coenzyme.derive.merges import Merge, find_merges, merging_blocks
from coenzyme.derive.normalise import Shape
from coenzyme.derive.releasing import is_release
from coenzyme.derive.relocated import find_relocated
from coenzyme.derive.replay import HIDDEN, stands_alone
from coenzyme.derive.rows import Analyses, RowNest, find_row_nests, is_kept_in_place
from coenzyme.derive.runtime import TapeMemory
from coenzyme.derive.shadows import Shadows
from coenzyme.derive.shared_columns import Column, find_shared_columns
from coenzyme.derive.side_by_side import find_side_by_side
from coenzyme.derive.subscripts import find_ranges, find_recurrences
from coenzyme.ir.builder import Builder, const_int, neutral, zero
from coenzyme.ir.instructions import (
    Block,
    Call,
    Instruction,
    Load,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I1, I64, Type
from coenzyme.ir.values import Constant, Value
from coenzyme.rules import Effect, is_declared_inactive

__all__ = ["ReversePlan", "make_plan", "needed_values"]

_EFFORTLESS = (Effect.DIFFERENTIABLE, Effect.ZERO_DERIVATIVE, Effect.INACTIVE, Effect.MEMINFO_DATA)
"""What the reverse sweep passes over where nothing is active."""

TRANSFERS = (Effect.MEMCPY, Effect.MEMMOVE, Effect.MEMSET)


@dataclass
class ReversePlan:
    """Result of :func:`make_plan`.

    Attributes
    ----------
    lanes
        The shadows of each direction that the sweep follows.
    tape
        How each needed primal value is provided.
    merges
        Blocks with several predecessors that are no loop headers.
    kept
        Allocating calls whose block must outlive the forward sweep.
    withheld
        Calls that free such a block, which the forward sweep leaves out.
    copies
        Copies of operands of BLAS calls, which the forward sweep makes and the reverse sweep frees.
    unneeded
        Memory of the caller's of which nobody needs to know what the function leaves in it.
    stored
        Values that are read again where the primal has stored them.
    facts
        Whether the function's arguments are as `Keep.EITHER` supposes: a value of the function's entry.
    accumulations
        What the reverse of an innermost loop sums up in registers, and the loops that have no order.
    rows
        The nests that are swept row by row of the shadows they add to, by their outermost loops.
    late
        Shadows that the reverse sweep of an iteration allocates for itself.
    idle
        Where the reverse sweep has nothing to do.
    polynomials
        Reads addresses.
    columns
        Where values are on the tapes of other loops.
    chains
        Adjoints that one iteration of the reverse sweep hands to the next in a register.
    side_by_side
        The loops that go along several rows of one shadow at once.
    hides
        Whether how addresses of rows and of frames were computed is hidden from LLVM.
    hoisted
        The loops whose tape has one place for a nest, with those around them in it, outermost first.
    """

    shape: Shape
    activity: Activity
    contents: Contents
    lanes: tuple[Shadows, ...]
    overwrites: Overwrites
    recurrences: Mapping[Phi, Recurrence]
    merges: Mapping[Block, Merge]
    tape: TapePlan
    kept: tuple[Call, ...]
    withheld: tuple[Call, ...]
    instructions: Mapping[Block, tuple[Instruction, ...]]
    aliasing: Aliasing
    guarded: frozenset[Instruction]
    copies: Copies
    polynomials: Polynomials
    columns: Mapping[Value, Column]
    required: Mapping[Instruction, tuple[Value, ...]] = field(
        default_factory=dict[Instruction, tuple[Value, ...]]
    )
    accumulations: Accumulations = field(default_factory=Accumulations)
    passes: frozenset[Pass] = ALL_PASSES
    facts: Value | None = None
    unneeded: frozenset[MemoryObject] = frozenset()
    stored: Mapping[Value, Store] = field(default_factory=dict[Value, Store])
    rows: Mapping[Loop, RowNest] = field(default_factory=dict[Loop, RowNest])
    late: LateShadows = field(default_factory=LateShadows)
    idle: Idle = NOTHING_IDLE
    chains: Chains = field(default_factory=Chains)
    side_by_side: frozenset[Loop] = frozenset()
    hides: bool = False
    hoisted: Mapping[Loop, tuple[Loop, ...]] = field(default_factory=dict[Loop, tuple[Loop, ...]])

    @property
    def mirrored(self) -> set[Instruction]:
        """The instructions on shadows that the augmented primal has beside the primal's own."""
        return self.lanes[0].mirrored

    @property
    def reorders(self) -> bool:
        """Whether what an adjoint receives in the iterations of a loop may be added in any order."""
        return Pass.GATHER in self.passes

    def nothing(self, type: Type) -> Constant:
        """Return what an adjoint of a float type is before anything has been added to it."""
        return neutral(type) if Pass.NEGATIVE_ZERO in self.passes else zero(type)

    def frame(self, loop: Loop) -> Frame | None:
        """Return what one iteration of `loop` tapes, or None."""
        return self.tape.frames.get(loop)

    def keep(self, value: Value) -> Keep:
        """Return how `value` is provided."""
        return self.tape.keep[value]


def make_plan(  # noqa: PLR0913, PLR0917 - the results of the analyses
    shape: Shape,
    activity: Activity,
    contents: Contents,
    lanes: tuple[Shadows, ...],
    aliasing: Aliasing,
    passes: frozenset[Pass],
    derived_calls: Collection[Call],
    read_again_by_calls: Collection[Value],
    context: Context,
    relocated: Collection[Value] = (),
    unneeded: Collection[Value] = (),
    *,
    is_callee: bool = False,
) -> ReversePlan:
    """Return the plan of the reverse sweep over an augmented primal.

    Parameters
    ----------
    passes
        The passes to make it by.
    derived_calls
        The calls of functions kept out of line that have derivatives.
    read_again_by_calls
        The pointers to primal memory that the reverse sweeps of those calls read.
    relocated
        Shadows that the reverse sweep finds in another place.
    unneeded
        Pointers to memory of the caller's of which nobody needs to know what the function leaves in it.
    is_callee
        Whether the function is itself one that is kept out of line.
    """
    live = [b for b in shape.exits.live]
    primal_of = {twin: primal for shadows in lanes for primal, twin in shadows.pointers.items()}
    recurrences = find_recurrences(shape)
    ranges = find_ranges(shape, recurrences)
    dependences = Dependences(ranges, live) if Pass.SURVIVAL in passes else None
    overwrites = find_overwrites(live, activity.objects, aliasing, dependences)
    # The copies are no part of the primal: the reverse sweep does not see them as instructions.
    instructions = {block: tuple(block.instructions) for block in live}
    copies = copy_overwritten(context.module, live, activity, overwrites)
    required: dict[Instruction, tuple[Value, ...]] = {}
    for block in live:
        for instruction in instructions[block]:
            values = [
                value
                for shadows in lanes
                for value in needed_values(instruction, activity, contents, shadows, derived_calls, copies)
            ]
            if values:
                required[instruction] = tuple(dict.fromkeys(values))
    idle = NOTHING_IDLE
    if Pass.IDLE in passes:
        idle = _find_idle(shape, activity, lanes[0], instructions, required)
    merges = find_merges(shape, idle)
    wanted: list[Value] = [v for values in required.values() for v in values]
    for merge in merges.values():
        wanted.extend(conditions(merge.decision) if merge.recorded is None else [merge.recorded])
    for loop, counted in shape.counted.items():
        if loop not in idle.loops:
            wanted.extend(counted.ends)

    def repeatable(load: Load) -> bool:
        twin = primal_of.get(load, load)
        return not overwrites.is_overwritten(twin if isinstance(twin, Load) else load)

    stored = _find_stored(overwrites, repeatable) if Pass.STORED in passes else {}
    conditional = {
        **overwrites.conditional,
        **{value: facts for value, store in stored.items() if (facts := overwrites.lasting[store])},
    }
    late = find_late_shadows(shape, lanes, recurrences) if Pass.LATE in passes else LateShadows()
    wanted.extend(operand for call in late.calls for operand in call.arguments)
    facts = _emit_facts(shape, conditional.values()) if conditional else None
    wanted.extend([] if facts is None else [facts])
    rows: Mapping[Loop, RowNest] = {}
    if {Pass.ROWS, Pass.GATHER} <= passes:
        known = Analyses(shape, activity, contents, ranges.polynomials, aliasing, lanes)
        rows = find_row_nests(known)
        wanted.extend(value for nest in rows.values() for value in nest.wanted)
    question = Question(
        required=wanted,
        loop_of=shape.loop_of,
        indices=frozenset(c.index for c in shape.counted.values()),
        recurrences={phi: (r.start, r.step) for phi, r in recurrences.items()},
        repeatable=repeatable,
        stored=stored,
        conditional=frozenset(conditional),
        movable=find_movable(live, activity.objects, primal_of, context)
        | find_relocated(live, relocated, context)
        | {address for address in late.addresses if not isinstance(address, Phi)},
        at_hand=late.twins,
        passes=passes,
    )
    tape, columns = _share(plan_tape(question), shape, activity.objects, ranges.polynomials, aliasing, passes)
    assert idle.loops.isdisjoint(tape.frames), "a loop with nothing to do reads what it has taped"
    rows_and_nests = _find_rows_and_nests(
        shape,
        activity,
        contents,
        ranges.polynomials,
        aliasing,
        tape,
        # What will be differentiated again keeps to plain instructions.
        passes if context.memory is TapeMemory.POOLED else NO_PASSES,
        {column.loop for column in columns.values()},
    )
    kept, withheld = find_kept(
        shape, activity, lanes[0], tape, stored, copies, read_again_by_calls, late.calls, is_callee=is_callee
    )
    accumulations = find_accumulations(
        shape, activity, contents, ranges.polynomials, aliasing, stands_alone, passes
    )
    return ReversePlan(
        shape,
        activity,
        contents,
        lanes,
        overwrites,
        recurrences,
        merges,
        tape,
        kept,
        withheld,
        instructions,
        aliasing,
        find_guarded(live, activity),
        copies,
        ranges.polynomials,
        columns,
        required,
        accumulations,
        passes,
        facts,
        frozenset(o for pointer in unneeded for o in activity.objects.of(pointer) if Pass.UNNEEDED in passes),
        stored,
        {loop: nest for loop, nest in rows.items() if is_kept_in_place(nest, tape, rows_and_nests[2])},
        late,
        idle,
        find_chains(shape, activity, contents, ranges.polynomials, aliasing, accumulations)
        if Pass.CHAINS in passes
        else Chains(),
        *rows_and_nests,
    )


def _find_rows_and_nests(  # noqa: PLR0913, PLR0917 - the results of the analyses
    shape: Shape,
    activity: Activity,
    contents: Contents,
    polynomials: Polynomials,
    aliasing: Aliasing,
    tape: TapePlan,
    passes: frozenset[Pass],
    shared: Collection[Loop],
) -> tuple[frozenset[Loop], bool, Mapping[Loop, tuple[Loop, ...]]]:
    """Return the loops along several rows, whether addresses are hidden, and the tapes of nests."""
    hides = Pass.SIDE_BY_SIDE in passes
    return (
        find_side_by_side(shape, activity, contents, polynomials, aliasing) if hides else frozenset(),
        hides,
        find_hoisted(shape, tape, shared) if Pass.NESTS in passes else {},
    )


def _share(
    tape: TapePlan,
    shape: Shape,
    objects: Objects,
    polynomials: Polynomials,
    aliasing: Aliasing,
    passes: frozenset[Pass],
) -> tuple[TapePlan, Mapping[Value, Column]]:
    """Return `tape` without what other loops tape as well, and where they do."""
    if Pass.SHARED not in passes:
        return tape, {}
    columns = find_shared_columns(shape, objects, polynomials, aliasing, tape)
    return lay_out(shape.loop_of, {**tape.keep, **dict.fromkeys(columns, Keep.SHARED)}), columns


def needed_values(
    instruction: Instruction,
    activity: Activity,
    contents: Contents,
    shadows: Shadows,
    derived_calls: Collection[Call],
    copies: Copies,
) -> list[Value]:
    """Return the primal values and shadow pointers that the adjoint of `instruction` reads."""
    if instruction in shadows.mirrored:
        return []
    match instruction:
        case Load():
            return [shadows.of(instruction.pointer)] if activity.is_active(instruction) else []
        case Store():
            if clears_shadow(instruction, activity, contents):
                return [shadows.of(instruction.pointer)]
            return []
        case Select():
            return [instruction.operands[0]] if activity.is_active(instruction) else []
        case Call():
            return _needed_by_call(instruction, activity, contents, shadows, derived_calls, copies)
        case _:
            return _needed_by_rule(instruction, activity)


def find_guarded(live: Iterable[Block], activity: Activity) -> frozenset[Instruction]:
    """Return the operations whose result may be thrown away by a select.

    LLVM computes both sides of a select. The side not taken has the adjoint 0, and its partial may be
    infinite, an operand of a product that has overflowed, say: the product of the two must be 0, not NaN.
    (A partial that can be infinite by itself is guarded everywhere.)
    """
    found: set[Instruction] = set()
    pending: list[Value] = []
    for block in live:
        for instruction in block.instructions:
            if isinstance(instruction, Select) and activity.is_active(instruction):
                pending.extend(instruction.operands[1:])
    while pending:
        value = pending.pop()
        if (
            not isinstance(value, Instruction)
            or value in found
            or not activity.is_active(value)
            or isinstance(value, Phi | Load)
        ):
            continue
        found.add(value)
        pending.extend(value.operands)
    return frozenset(found)


def _needed_by_rule(instruction: Instruction, activity: Activity) -> list[Value]:
    rule = rule_of(instruction)
    if rule is None or not activity.is_active(instruction):
        return []
    operands = instruction.operands
    names = rule.names_read(i for i in range(len(rule.operands)) if activity.is_active(operands[i]))
    found: list[Value] = [operands[i] for i, name in enumerate(rule.operands) if name in names]
    if "r" in names:
        found.append(instruction)
    return found


def _needed_by_call(
    call: Call,
    activity: Activity,
    contents: Contents,
    shadows: Shadows,
    derived_calls: Collection[Call],
    copies: Copies,
) -> list[Value]:
    if call in derived_calls:
        found: list[Value] = list(call.arguments)
        found.extend(shadows.of(a) for a in call.arguments if a.type.is_pointer and activity.has_shadow(a))
        return found
    effect = called_effect(call)
    if effect is Effect.DIFFERENTIABLE:
        return _needed_by_rule(call, activity)
    if effect is Effect.BLAS:
        return needed_by_product(call, Products(activity, shadows, copies))
    if effect in TRANSFERS and activity.has_shadow(call.operands[0]):
        if not contents.behind(call.operands[0]).floats:
            return []
        found = [shadows.of(call.operands[0]), call.operands[2]]
        if effect is not Effect.MEMSET and activity.has_shadow(call.operands[1]):
            found.append(shadows.of(call.operands[1]))
        return found
    return []


def _find_idle(
    shape: Shape,
    activity: Activity,
    shadows: Shadows,
    instructions: Mapping[Block, Sequence[Instruction]],
    required: Collection[Instruction],
) -> Idle:
    def works(instruction: Instruction) -> bool:
        if instruction in shadows.mirrored:
            return False
        if instruction in required or activity.is_active(instruction):
            return True
        return isinstance(instruction, Call) and called_effect(instruction) not in _EFFORTLESS

    busy = {block for block, found in instructions.items() if any(works(i) for i in found)}
    numbers = {
        block
        for block, found in instructions.items()
        if any(isinstance(i, Phi) and activity.is_active(i) for i in found)
    }
    return find_idle(
        tuple(shape.counted),
        merging_blocks(shape),
        shape.live_predecessors,
        shape.dominators,
        busy.__contains__,
        numbers.__contains__,
    )


def _find_stored(overwrites: Overwrites, repeatable: Callable[[Load], bool]) -> dict[Value, Store]:
    """Return the values to be read where the primal has stored them; what can be loaded again is not."""
    found: dict[Value, Store] = {}
    for store in overwrites.lasting:
        value = store.value
        assert isinstance(value, Instruction)
        again = isinstance(value, Load) and repeatable(value)
        if value.block is store.block and not again and HIDDEN not in store.metadata:
            found.setdefault(value, store)
    return found


def _emit_facts(shape: Shape, conditions: Iterable[Facts]) -> Value:
    """Return whether all facts hold that let values be read again, computed in the function's entry."""
    at = Builder.before(shape.function.entry.terminator)
    result: Value = const_int(I1, 1)
    for fact in dict.fromkeys(fact for facts in conditions for fact in facts):
        total: Value = const_int(I64, 0)
        for monomial, factor in fact.terms.items():
            term: Value = const_int(I64, factor)
            for value in monomial:
                term = at.mul(term, value)
            total = at.add(total, term)
        result = at.and_(result, at.icmp("sle", total, const_int(I64, 0)))
    return result


def internal_calls(shape: Shape, activity: Activity) -> list[Call]:
    """Return the live calls of functions kept out of line that handle active data."""
    found: list[Call] = []
    for block in shape.exits.live:
        for instruction in block.instructions:
            if isinstance(instruction, Call) and is_internal_call(instruction):
                if is_release(instruction) or is_declared_inactive(instruction.callee_name or ""):
                    continue
                if is_ruled_call(instruction) and not activity.has_shadow(instruction.arguments[0]):
                    continue  # nobody asks for the derivative of its result
                touches = any(a.type.is_pointer and activity.has_shadow(a) for a in instruction.arguments)
                if touches or any(activity.is_active(a) for a in instruction.arguments):
                    found.append(instruction)
    return found
