"""Tapes of inner loops that are allocated once for a whole nest of loops.

What a loop tapes has a place as soon as it is known how often the loop runs. Where that is known before the
loops around it begin, and each of their iterations runs it once, there is one place for the nest: the tape is
asked for memory once, and what any iteration has taped can be found at any time, so that the reverse sweep
need not go through the nest backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from coenzyme.analysis.tape import TapePlan
from coenzyme.derive.normalise import Shape
from coenzyme.ir.builder import Builder
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Binary, Block, Call, Cast, Compare, Instruction, Select
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Constant, Value

__all__ = ["compute_outside", "find_hoisted"]

_LARGEST = 30
"""How many operations a count may take that is computed before a nest."""
_EXTREMES = ("llvm.smax.", "llvm.smin.", "llvm.umax.", "llvm.umin.")


def find_hoisted(shape: Shape, tape: TapePlan, shared: Collection[Loop] = ()) -> dict[Loop, tuple[Loop, ...]]:
    """Return, for each loop whose tape has one place for a nest, the loops around it in that nest.

    They are listed from the outermost; each runs a known number of whole iterations.

    Parameters
    ----------
    shared
        Loops whose tape others read: that has to be on top, not in a nest's.
    """
    found: dict[Loop, tuple[Loop, ...]] = {}
    for loop in tape.frames:
        if shape.counted[loop].last is None or loop in shared:
            continue
        chain: list[Loop] = []
        inner = loop
        while (outer := inner.parent) is not None and _may_hold(outer, inner, shape):
            if not all(_is_known(c, outer, shape, tape.keep) for c in (loop, *chain)):
                break
            chain.append(outer)
            inner = outer
        if chain:
            found[loop] = tuple(reversed(chain))
    return found


def _may_hold(outer: Loop, inner: Loop, shape: Shape) -> bool:
    """Whether `outer` runs a known number of whole iterations, each of which runs `inner` once."""
    counted = shape.counted.get(outer)
    return (
        counted is not None
        and counted.last is not None
        and outer.preheader is not None
        and outer.latch is not None
        and outer.exiting_edges == counted.edges
        and [a for a, _ in counted.edges] == [outer.latch]
        and inner.preheader is not None
        and shape.dominators.dominates(inner.preheader, outer.latch)
    )


def _is_known(loop: Loop, outer: Loop, shape: Shape, kept: Collection[Value]) -> bool:
    """Whether it can be computed outside `outer` how often `loop` runs, in both sweeps."""
    last = shape.counted[loop].last
    assert last is not None
    pending: list[Value] = [last]
    for _ in range(_LARGEST):
        if not pending:
            return True
        value = pending.pop()
        if not isinstance(value, Instruction):
            continue
        if value.block not in outer.blocks:
            if value not in kept:
                return False
        elif _is_simple(value):
            pending.extend(value.operands)
        else:
            return False
    return False


def _is_simple(value: Instruction) -> bool:
    match value:
        case Binary():
            divides = value.opcode.endswith(("div", "rem"))
            return not value.type.is_float and (not divides or isinstance(value.operands[1], Constant))
        case Compare() | Cast() | Select():
            return not any(o.type.is_float for o in value.operands)
        case Call():
            return (value.callee_name or "").startswith(_EXTREMES)
        case _:
            return False


def compute_outside(
    value: Value, inside: Collection[Block], at: Builder, get: Callable[[Value], Value]
) -> Value:
    """Compute at `at` what is computed from `get` of values from outside some blocks."""
    known: dict[Value, Value] = {}

    def compute(value: Value) -> Value:
        if not isinstance(value, Instruction) or value.block not in inside:
            return get(value)
        if value not in known:
            operands: Mapping[Value, Value] = {operand: compute(operand) for operand in value.operands}
            known[value] = at.insert(clone_instruction(value, operands))
        return known[value]

    return compute(value)
