from __future__ import annotations

from collections.abc import Iterable

import pytest

from coenzyme.analysis.induction import find_recurrence
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.analysis.tape import Keep, Question, TapePlan, field_size, plan_tape
from coenzyme.ir.instructions import Instruction, Phi
from coenzyme.ir.types import F32, F64, I1, I8, I32, I64, PTR, VOID, IntType, Type
from coenzyme.ir.values import Value
from tests.unit.analysis.reading import Reading, read

LOOP = """
declare double @llvm.sin.f64(double)
define void @f(ptr %x, i64 %n, double %h, i1 %flag) {{
entry:
  %outside = fmul double %h, %h
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %s = phi double [ %outside, %entry ], [ %s.next, %loop ]
{body}
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done
done:
  ret void
}}
"""
BODY = """  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  %a = fmul double %v, %s
  %w = call double @llvm.sin.f64(double %a)
  %b = fadd double %w, %outside
  %c = fcmp ogt double %b, 1.0
  %narrow = fptrunc double %b to float
  %k = fptosi double %b to i32
  %s.next = fadd double %b, %v"""


PLANS = [pytest.param(ALL_PASSES, id="cut"), pytest.param(NO_PASSES, id="naive")]


def plan(
    f: Reading,
    required: Iterable[str],
    passes: frozenset[Pass] = ALL_PASSES,
    *,
    changing: Iterable[str] = (),
) -> TapePlan:
    """Return the plan that provides the values named, where the loads in `changing` cannot be repeated."""
    recurrences: dict[Phi, tuple[Value, ...]] = {}
    for loop in f.forest.loops:
        for phi in loop.header.phis:
            found = find_recurrence(phi, loop)
            if found is not None and not phi.type.is_float:
                recurrences[phi] = (found.start, found.step)
    gone = {f[name] for name in changing}
    question = Question(
        required=[f[name] for name in required],
        loop_of=f.forest.loop_of.__getitem__,
        indices=frozenset(),
        recurrences=recurrences,
        repeatable=lambda load: load not in gone,
        passes=passes,
    )
    return plan_tape(question)


def taped(f: Reading, found: TapePlan) -> set[str]:
    return f.names(v for v, how in found.keep.items() if how is Keep.TAPE)


def simple() -> Reading:
    return read(LOOP.format(body=BODY))


@pytest.mark.parametrize("passes", PLANS)
def test_addresses_and_repeatable_loads_are_never_taped(passes: frozenset[Pass]) -> None:
    f = simple()
    found = plan(f, ["p", "v", "i", "go", "outside"], passes)
    assert taped(f, found) == set()
    assert found.frames == {}
    assert found.keep[f["v"]] is Keep.RECOMPUTE
    assert found.keep[f["i"]] is Keep.RECURRENCE


@pytest.mark.parametrize("passes", PLANS)
def test_load_of_memory_that_changes_is_taped(passes: frozenset[Pass]) -> None:
    f = simple()
    assert taped(f, plan(f, ["v"], passes, changing=["v"])) == {"v"}


@pytest.mark.parametrize("passes", PLANS)
def test_value_from_before_the_loops_is_stored_once(passes: frozenset[Pass]) -> None:
    f = simple()
    found = plan(f, ["outside"], passes)
    assert found.slots == (f["outside"],)
    assert found.keep[f["outside"]] is Keep.SLOT


def test_naive_plan_tapes_each_number_and_the_clever_one_only_where_they_meet() -> None:
    f = simple()
    wanted = ["a", "w", "b", "c", "narrow", "k"]
    assert taped(f, plan(f, wanted, NO_PASSES)) >= {"a", "w", "b", "narrow"}
    # The sine is not repeated, all that follows from it is.
    assert taped(f, plan(f, wanted)) == {"a", "w"}


def test_narrow_value_is_taped_rather_than_the_wide_one_it_comes_from() -> None:
    f = simple()
    assert taped(f, plan(f, ["c"])) == {"c"}
    assert taped(f, plan(f, ["narrow"])) == {"narrow"}
    assert taped(f, plan(f, ["c", "narrow", "k"])) == {"b"}


def test_reciprocal_is_computed_again_where_its_denominator_is_needed_too() -> None:
    f = read(
        LOOP.format(
            body="""  %e = call double @llvm.sin.f64(double %s)
  %d = fadd double %e, 1.0
  %y = fdiv double 1.0, %d
  %q = fdiv double %s, %d
  %s.next = fadd double %y, %q"""
        )
    )
    assert taped(f, plan(f, ["e", "y"])) == {"e"}
    assert taped(f, plan(f, ["y"])) == {"y"}
    assert taped(f, plan(f, ["e", "q"])) == {"e", "q"}
    assert taped(f, plan(f, ["e", "y"], NO_PASSES)) == {"e", "y"}


def test_clever_plan_needs_no_more_bytes_than_the_naive_one() -> None:
    f = simple()
    names = ["a", "w", "b", "c", "narrow", "k", "v", "s"]
    for mask in range(1, 1 << len(names)):
        wanted = [n for i, n in enumerate(names) if mask >> i & 1]
        sizes = [
            sum(field_size(v.type) for frame in p.frames.values() for v in frame.fields)
            for p in (plan(f, wanted, passes, changing=["v"]) for passes in (ALL_PASSES, NO_PASSES))
        ]
        assert sizes[0] <= sizes[1], wanted


@pytest.mark.parametrize("passes", PLANS)
def test_everything_that_is_computed_again_has_its_operands_provided(passes: frozenset[Pass]) -> None:
    f = simple()
    keep = plan(f, ["b", "c", "narrow", "k", "s.next"], passes, changing=["v"]).keep
    for value, how in keep.items():
        if how is Keep.RECOMPUTE:
            assert isinstance(value, Instruction)
            assert all(o in keep for o in value.operands if isinstance(o, Instruction))


def test_value_of_an_outer_loop_is_taped_there() -> None:
    f = read("""
define void @f(ptr %x, i64 %n) {
entry:
  br label %outer
outer:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  br label %inner
inner:
  %j = phi i64 [ 0, %outer ], [ %j.next, %inner ]
  %t = phi double [ 0.0, %outer ], [ %u, %inner ]
  %q = fmul double %v, %v
  %u = fmul double %t, %q
  %j.next = add i64 %j, 1
  %more = icmp slt i64 %j.next, %i
  br i1 %more, label %inner, label %latch
latch:
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %outer, label %done
done:
  ret void
}
""")
    found = plan(f, ["q", "t"], changing=["v"])
    by_loop = {loop.header.name: f.names(frame.fields) for loop, frame in found.frames.items()}
    # One number for each turn of the outer loop is cheaper than one for each turn of the inner.
    assert by_loop == {"outer": {"v"}, "inner": {"t"}}


def test_fields_of_a_frame_are_aligned_and_do_not_overlap() -> None:
    f = simple()
    found = plan(f, ["c", "narrow", "k", "b", "w", "p", "v"], NO_PASSES, changing=["v"])
    (frame,) = found.frames.values()
    assert {v.type for v in frame.fields} >= {F64, F32}
    end = 0
    for value, offset in zip(frame.fields, frame.offsets, strict=True):
        size = field_size(value.type)
        assert offset >= end
        assert offset % min(size, 8) == 0
        end = offset + size
    assert end <= frame.size < end + 8
    assert frame.size % 8 == 0


@pytest.mark.parametrize(
    ("type", "size"),
    [
        (F64, 8),
        (F32, 4),
        (PTR, 8),
        (I64, 8),
        (I32, 4),
        (I8, 1),
        (I1, 1),
        (IntType(17), 4),
        (IntType(128), 16),
    ],
)
def test_field_is_as_large_as_its_type(type: Type, size: int) -> None:
    assert field_size(type) == size


def test_type_without_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit the tape"):
        field_size(VOID)
