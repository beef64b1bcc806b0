from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from coenzyme.analysis.induction import find_counted_exit, find_recurrence
from coenzyme.derive.normalise import normalise
from coenzyme.ir.instructions import Binary, Cast, Compare, Instruction, Phi, Select
from coenzyme.ir.values import Argument, ConstantInt, Value
from tests.unit.analysis.reading import Reading, read

PREDICATES = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")


@dataclass(frozen=True)
class LoopText:
    """A loop that counts: ``for (i = start; (i + offset) predicate bound; i += step)`` and its variations."""

    width: int
    predicate: str
    step: int
    offset: int
    swapped: bool
    """Whether the bound stands first in the comparison."""
    negated: bool
    """Whether the loop is left where the comparison holds."""
    at_end: bool
    """Whether the test is at the end of the body."""

    def text(self) -> str:
        type = f"i{self.width}"
        operands = ("%bound", "%x") if self.swapped else ("%x", "%bound")
        targets = ("%done", "%{stay}") if self.negated else ("%{stay}", "%done")
        test = (
            f"  %x = add {type} %i, {self.offset}\n"
            f"  %c = icmp {self.predicate} {type} {operands[0]}, {operands[1]}\n"
            f"  br i1 %c, label {targets[0]}, label {targets[1]}\n"
        )
        step = f"  %i.next = add {type} %i, {self.step}\n"
        head = f"  %i = phi {type} [ %start, %entry ], [ %i.next, %{{latch}} ]\n"
        if self.at_end:
            body = f"head:\n{head}{step}{test}".format(latch="head", stay="head")
        else:
            body = f"head:\n{head}{test}body:\n{step}  br label %head\n".format(latch="body", stay="body")
        entry = f"define void @f({type} %start, {type} %bound) {{\nentry:\n  br label %head\n"
        return f"{entry}{body}done:\n  ret void\n}}\n"

    def runs(self, start: int, bound: int) -> int | None:
        """Return the index of the iteration that leaves, by counting; None where the counter wraps first."""
        signed = self.predicate.startswith("s")
        low, high = (
            (-(1 << self.width - 1), (1 << self.width - 1) - 1) if signed else (0, (1 << self.width) - 1)
        )

        def within(value: int) -> int:
            return (value - low) % (1 << self.width) + low

        value, limit = within(start + self.offset), within(bound)
        for index in range(1 << self.width):
            a, b = (limit, value) if self.swapped else (value, limit)
            if self.compare(a, b) == self.negated:
                return index
            value += self.step
            if not low <= value <= high:
                # Inequality of equals is well-defined beyond the end of the range.
                if self.predicate not in ("eq", "ne"):
                    return None
                value = within(value)
        return None

    def compare(self, a: int, b: int) -> bool:
        match self.predicate.lstrip("su"):
            case "eq":
                return a == b
            case "ne":
                return a != b
            case "lt":
                return a < b
            case "le":
                return a <= b
            case "gt":
                return a > b
            case _:
                return a >= b


loops = st.builds(
    LoopText,
    width=st.just(8),
    predicate=st.sampled_from(PREDICATES),
    step=st.sampled_from([1, -1, 2, -2, 3, -3, 7, 0]),
    offset=st.sampled_from([0, 1, -1, 3, -3]),
    swapped=st.booleans(),
    negated=st.booleans(),
    at_end=st.booleans(),
)
# The ends of the range are where a formula overflows.
bytes_ = st.one_of(st.sampled_from([-128, -127, 126, 127, 0]), st.integers(-128, 127))


def evaluate(value: Value, given: dict[str, int]) -> int:
    """Return what `value` computes, modulo the width of its type."""
    if isinstance(value, ConstantInt):
        return value.value % (1 << value.type.width)  # type: ignore[attr-defined]
    if isinstance(value, Argument):
        return given[value.name] % (1 << value.type.width)  # type: ignore[attr-defined]
    assert isinstance(value, Instruction)
    operands = [evaluate(o, given) for o in value.operands]
    modulus = 1 << value.type.width  # type: ignore[attr-defined]
    match value:
        case Compare():
            width = value.operands[0].type.width  # type: ignore[attr-defined]
            sign = 1 << width - 1
            a, b = ((o ^ sign) - sign if value.predicate.startswith("s") else o for o in operands)
            loop = LoopText(width, value.predicate, 1, 0, swapped=False, negated=False, at_end=False)
            return int(loop.compare(a, b))
        case Select():
            return operands[1] if operands[0] else operands[2]
        case Cast():
            assert value.opcode == "zext"
            return operands[0]
        case Binary():
            a, b = operands
            results = {"add": a + b, "sub": a - b, "mul": a * b, "udiv": a // b if b else 0}
            return results[value.opcode] % modulus
        case _:
            raise AssertionError(value)


@settings(max_examples=400)
@given(loops, bytes_, bytes_)
def test_last_index_is_what_counting_finds(loop: LoopText, start: int, bound: int) -> None:
    f = read(loop.text())
    shape = normalise(f.function, {}, has_status=False)
    (counted,) = shape.counted.values()
    assume(counted.last is not None)
    expected = loop.runs(start, bound)
    assume(expected is not None)
    assert counted.last is not None
    assert evaluate(counted.last, {"start": start, "bound": bound}) == expected


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(("predicate", "step"), [("slt", 1), ("ule", 3), ("sgt", -2), ("uge", -1), ("ne", 1)])
def test_usual_loops_are_counted(predicate: str, step: int, at_end: bool) -> None:
    f = read(LoopText(64, predicate, step, 0, swapped=False, negated=False, at_end=at_end).text())
    (counted,) = normalise(f.function, {}, has_status=False).counted.values()
    assert counted.last is not None


@pytest.mark.parametrize(("predicate", "step"), [("slt", -1), ("sgt", 1), ("eq", 1), ("ne", 2), ("slt", 0)])
def test_loops_that_may_not_end_are_not_counted(predicate: str, step: int) -> None:
    f = read(LoopText(64, predicate, step, 0, swapped=False, negated=False, at_end=False).text())
    (counted,) = normalise(f.function, {}, has_status=False).counted.values()
    assert counted.last is None


TWO_EXITS = """
define void @f(i64 %n, ptr %x) {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  %c = icmp slt i64 %i, %n
  br i1 %c, label %body, label %done
body:
  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  %big = fcmp ogt double %v, 1.0
  br i1 %big, label %early, label %latch
latch:
  %i.next = add i64 %i, 1
  br label %head
early:
  ret void
done:
  ret void
}
"""


def exit_of(f: Reading):
    (loop,) = f.forest.loops
    return find_counted_exit(loop, list(loop.exiting_edges), f.dominators)


def test_exit_by_count_is_found_beside_another() -> None:
    found = exit_of(read(TWO_EXITS))
    assert found is not None
    assert (found.exiting.name, found.target.name, found.predicate) == ("head", "done", "slt")


def test_loop_with_two_exits_gets_no_room_for_all_its_iterations() -> None:
    f = read(TWO_EXITS)
    (counted,) = normalise(f.function, {}, has_status=False).counted.values()
    assert counted.last is None
    assert len(counted.exit_index) == 2


def test_test_that_an_iteration_can_pass_by_counts_nothing() -> None:
    f = read("""
define void @f(i64 %n, i1 %skip, i1 %stop) {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  br i1 %skip, label %latch, label %test
test:
  %c = icmp slt i64 %i, %n
  br i1 %c, label %latch, label %done
latch:
  %i.next = add i64 %i, 1
  br i1 %stop, label %out, label %head
out:
  ret void
done:
  ret void
}
""")
    assert exit_of(f) is None


def test_bound_that_changes_in_the_loop_is_no_bound() -> None:
    f = read(re.sub("%c = icmp slt i64 %i, %n", "%m = mul i64 %i, %n\n  %c = icmp slt i64 %i, %m", TWO_EXITS))
    assert exit_of(f) is None


RECURRENCES = """
define void @f(i64 %n, i64 %s, ptr %x, double %h) {
entry:
  br label %loop
loop:
  %i = phi i64 [ %n, %entry ], [ %i.next, %loop ]
  %j = phi i64 [ 0, %entry ], [ %j.next, %loop ]
  %k = phi i64 [ 1, %entry ], [ %k.next, %loop ]
  %d = phi i64 [ 1, %entry ], [ %d.next, %loop ]
  %p = phi ptr [ %x, %entry ], [ %p.next, %loop ]
  %t = phi double [ 0.0, %entry ], [ %t.next, %loop ]
  %i.next = add i64 %s, %i
  %j.next = add i64 %j, %i
  %k.next = mul i64 %k, 2
  %d.next = add i64 %d, %d
  %p.next = getelementptr [3 x double], ptr %p, i64 %s
  %t.next = fadd double %t, %h
  %go = icmp slt i64 %i.next, 100
  br i1 %go, label %loop, label %done
done:
  ret void
}
"""


def test_recurrences_are_those_with_a_fixed_step() -> None:
    f = read(RECURRENCES)
    (loop,) = f.forest.loops
    found = {p.name: find_recurrence(p, loop) for p in loop.header.phis}
    assert {name for name, r in found.items() if r is not None} == {"i", "p"}
    number, pointer = found["i"], found["p"]
    assert number is not None
    assert pointer is not None
    assert (number.start, number.step, number.element) == (f["n"], f["s"], None)
    assert (pointer.start, pointer.step) == (f["x"], f["s"])
    assert str(pointer.element) == "[3 x double]"


def test_phi_of_an_inner_loop_is_no_recurrence_of_the_outer() -> None:
    f = read("""
define void @f(i64 %n) {
entry:
  br label %outer
outer:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  br label %inner
inner:
  %j = phi i64 [ %i, %outer ], [ %j.next, %inner ]
  %j.next = add i64 %j, 2
  %more = icmp slt i64 %j.next, %n
  br i1 %more, label %inner, label %latch
latch:
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %outer, label %done
done:
  ret void
}
""")
    outer = next(loop for loop in f.forest.loops if loop.header.name == "outer")
    inner = next(loop for loop in f.forest.loops if loop.header.name == "inner")
    phi = f["j"]
    assert isinstance(phi, Phi)
    assert find_recurrence(phi, outer) is None
    found = find_recurrence(phi, inner)
    assert found is not None
    assert found.start is f["i"]
