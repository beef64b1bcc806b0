"""What the reverse sweep needs of the primal, and whether it is computed again or put on the tape.

A plan is data: printed by ``explain``, tested by itself, read by the emission, which decides nothing.
Without :attr:`Pass.CUT`, :func:`plan_tape` tapes every value it cannot trivially recompute; with it, a
cheapest set of values (see :mod:`coenzyme.analysis.cut`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from coenzyme.analysis.cut import CutProblem, minimum_cut
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.ir.instructions import Block, Call, Instruction, Load, Phi, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I1, FloatType, IntType, PointerType, Type
from coenzyme.ir.values import Constant, Value
from coenzyme.rules import Effect, classify

__all__ = ["Frame", "Keep", "TapePlan", "field_size", "lay_out", "plan_tape"]


class Keep(Enum):
    """How the reverse sweep gets a value."""

    INDEX = auto()
    """It is a loop's own index."""
    RECURRENCE = auto()
    """It advances by a fixed step: start + index · step."""
    RECOMPUTE = auto()
    """By the same operation on its operands."""
    SLOT = auto()
    """Stored once; the value is not defined in a loop."""
    TAPE = auto()
    """Stored on the tape in each iteration."""
    EITHER = auto()
    """Read again where the function's facts hold; where they do not, stored on the tape."""
    SHARED = auto()
    """Stored on the tape of another loop."""


@dataclass(frozen=True)
class Frame:
    """What one iteration of a loop puts on the tape: values, largest first, and bytes in all.

    Attributes
    ----------
    least
        The bytes where the function's facts hold; the fields that are not stored then come last.
    """

    fields: tuple[Value, ...]
    offsets: tuple[int, ...]
    size: int
    least: int


@dataclass(frozen=True)
class TapePlan:
    """Result of :func:`plan_tape`."""

    keep: Mapping[Value, Keep]
    frames: Mapping[Loop, Frame]
    slots: tuple[Instruction, ...]


@dataclass
class Question:
    """What a plan is asked to provide.

    Attributes
    ----------
    required
        The values that the reverse sweep reads.
    loop_of
        The innermost loop around a block.
    indices
        The loops' own indices.
    recurrences
        Phis that advance by a fixed step, with the values (start, step) they are computed from.
    repeatable
        Whether a load finds the same value again in the reverse sweep.
    """

    required: Iterable[Value]
    loop_of: Callable[[Block], Loop | None]
    indices: frozenset[Phi]
    recurrences: Mapping[Phi, tuple[Value, ...]]
    repeatable: Callable[[Load], bool]
    stored: Mapping[Value, Store] = field(default_factory=dict[Value, Store])
    """Values that the primal has stored, in their block, where they still are in the reverse sweep."""
    conditional: frozenset[Value] = frozenset()
    """Values that are found in memory again only where the function's facts hold."""
    movable: frozenset[Value] = frozenset()
    """Addresses that are different ones in the reverse sweep: they are computed again, whatever it costs."""
    at_hand: frozenset[Value] = frozenset()
    """Values that the reverse sweep has without asking the forward sweep."""
    passes: frozenset[Pass] = ALL_PASSES
    keep: dict[Value, Keep] = field(default_factory=dict[Value, Keep])


_EXPENSIVE = frozenset({"fdiv", "frem"})
_NEVER = 1 << 40
"""The cost of taping what cannot be taped."""
_SIMPLE = frozenset(
    {"add", "sub", "mul", "shl", "lshr", "ashr", "and", "or", "xor", "udiv", "sdiv", "urem", "srem"}
    | {"icmp", "getelementptr", "sext", "zext", "trunc", "ptrtoint", "inttoptr", "bitcast", "freeze"}
    | {"addrspacecast", "sitofp", "uitofp", "fpext", "extractvalue", "insertvalue"}
)
_CHEAP = _SIMPLE | frozenset(
    {"fadd", "fsub", "fmul", "fneg", "fcmp", "select", "fptrunc", "fptosi", "fptoui"}
)
_PAIRS = tuple(f"llvm.{sign}{op}.with.overflow." for sign in "su" for op in ("add", "sub", "mul"))
"""Integers with a bit beside them: no value for the tape."""
_CHEAP_CALLS = (
    "llvm.fabs.",
    "llvm.fma.",
    "llvm.fmuladd.",
    "llvm.copysign.",
    "llvm.smax.",
    "llvm.smin.",
    "llvm.umax.",
    "llvm.umin.",
    "llvm.abs.",
)


def field_size(type: Type) -> int:
    """Return how many bytes a value of `type` takes on the tape."""
    match type:
        case PointerType():
            return 8
        case FloatType():
            return type.size
        case IntType():
            for size in (1, 2, 4, 8):
                if type.width <= 8 * size:
                    return size
            return 8 * ((type.width + 63) // 64)
        case _:
            raise ValueError(f"a value of type {type} does not fit the tape")


def plan_tape(question: Question) -> TapePlan:
    """Return how each value that the reverse sweep needs is provided."""
    wanted = [v for v in dict.fromkeys(question.required) if isinstance(v, Instruction)]
    taped = _cut(question, wanted) if Pass.CUT in question.passes else None
    keep: dict[Value, Keep] = {}
    pending = list(wanted)
    while pending:
        value = pending.pop()
        if value in keep or value in question.at_hand:
            continue
        how = _how(question, value, taped)
        keep[value] = how
        if how in (Keep.RECOMPUTE, Keep.RECURRENCE, Keep.EITHER):
            pending.extend(_sources(question, value))
    return lay_out(question.loop_of, keep)


def _how(question: Question, value: Instruction, taped: set[Value] | None) -> Keep:
    assert value.block is not None
    if value in question.movable:
        return Keep.RECOMPUTE
    if isinstance(value, Phi):
        if value in question.indices:
            return Keep.INDEX
        if value in question.recurrences:
            return Keep.RECURRENCE
    if question.loop_of(value.block) is None:
        return Keep.SLOT
    if not can_repeat(question, value, taped is not None):
        return Keep.TAPE
    if taped is not None and value in taped:
        return Keep.TAPE
    return Keep.EITHER if value in question.conditional else Keep.RECOMPUTE


def _sources(question: Question, value: Instruction) -> list[Instruction]:
    if value in question.stored:
        operands: Iterable[Value] = [question.stored[value].pointer]
    elif isinstance(value, Phi):
        operands = question.recurrences[value]
    elif isinstance(value, Call):
        operands = value.arguments
    else:
        operands = value.operands
    return [o for o in operands if isinstance(o, Instruction)]


def can_repeat(question: Question, value: Instruction, generous: bool) -> bool:
    """Whether `value` can be computed again from its operands in the reverse sweep.

    Parameters
    ----------
    generous
        Whether cheap floating-point arithmetic counts as well as address and index computations.
    """
    if generous and value in question.stored:
        return True
    match value:
        case Load():
            return question.repeatable(value)
        case Call():
            name = value.callee_name or ""
            effect = classify(name)
            if effect is Effect.MEMINFO_DATA or name.startswith(_PAIRS):
                return True
            return generous and name.startswith(_CHEAP_CALLS)
        case Phi():
            return value in question.recurrences
        case _:
            if generous and value.opcode == "fdiv":
                # One division costs less than to write its result and read it; measured with sigmoids. Other
                # quotients are often of two values, which would both be needed.
                return isinstance(value.operands[0], Constant)
            return value.opcode in (_CHEAP if generous else _SIMPLE)


def _cut(question: Question, wanted: list[Instruction]) -> set[Value]:
    """Return a cheapest set of in-loop values that, taped, makes all of `wanted` available."""
    problem: CutProblem[Value] = CutProblem()
    seen: set[Value] = set()
    pending = list(wanted)
    for value in wanted:
        problem.demand(value)
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        assert value.block is not None
        loop = question.loop_of(value.block)
        is_free = isinstance(value, Phi) and (value in question.indices)
        if is_free or loop is None:
            continue
        depth = loop.depth
        problem.add(value, _NEVER if value in question.movable else _cost(value, depth))
        if value not in question.movable and not can_repeat(question, value, generous=True):
            problem.supply(value)
            continue
        for source in _sources(question, value):
            block = source.block
            assert block is not None
            if question.loop_of(block) is None or source in question.indices or source in question.at_hand:
                continue
            problem.flow(source, value)
            pending.append(source)
    return minimum_cut(problem)


def _cost(value: Instruction, depth: int) -> int:
    try:
        size = field_size(value.type)
    except ValueError:
        return _NEVER
    # An 8th of a byte more, so that of two equal cuts the one nearer to the uses wins.
    return (size * 8 + (1 if value.type == I1 else 0)) * 16 ** min(depth, 6)


def _aligned(position: int, size: int) -> int:
    return -(-position // size) * size


def lay_out(loop_of: Callable[[Block], Loop | None], keep: Mapping[Value, Keep]) -> TapePlan:
    """Return the plan by which values are kept in this way: their places in records and slots."""
    by_loop: dict[Loop, list[Instruction]] = {}
    slots: list[Instruction] = []
    for value, how in keep.items():
        assert isinstance(value, Instruction)
        assert value.block is not None
        if how is Keep.SLOT:
            slots.append(value)
        elif how in (Keep.TAPE, Keep.EITHER):
            loop = loop_of(value.block)
            assert loop is not None
            by_loop.setdefault(loop, []).append(value)
    frames: dict[Loop, Frame] = {}
    for loop, values in by_loop.items():
        values.sort(key=lambda v: (keep[v] is Keep.EITHER, -field_size(v.type)))
        offsets: list[int] = []
        position = least = 0
        for value in values:
            if keep[value] is Keep.EITHER:
                position = _aligned(position, field_size(value.type))
            offsets.append(position)
            position += field_size(value.type)
            if keep[value] is Keep.TAPE:
                least = _aligned(position, 8)
        frames[loop] = Frame(tuple(values), tuple(offsets), _aligned(position, 8), least)
    return TapePlan(keep, frames, tuple(slots))
