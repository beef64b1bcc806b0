from __future__ import annotations

import pytest

from coenzyme.analysis.activity import Activity, find_activity
from coenzyme.analysis.content import find_contents
from coenzyme.analysis.points_to import find_objects
from coenzyme.errors import ActivityError, UnsupportedIRError
from coenzyme.frontends.program import ComponentActivity
from coenzyme.ir.types import F64, Type
from coenzyme.ir.values import Argument
from tests.unit.analysis.reading import Reading, read

HOW = {
    "d": ComponentActivity.DUPLICATED,
    "a": ComponentActivity.ACTIVE,
    "c": ComponentActivity.CONST,
}


def activity_of(f: Reading, activities: str) -> Activity:
    """Return the activity of `f` with its arguments duplicated (d), active (a) or constant (c)."""
    arguments = f.function.arguments
    how = {p: HOW[letter] for p, letter in zip(arguments, activities, strict=True)}
    elements: dict[Argument, Type] = {p: F64 for p in arguments if p.type.is_pointer}
    objects = find_objects(f.function, {})
    contents = find_contents(f.function, objects, elements)
    return find_activity(f.function, f.function.blocks, how, objects, contents)


def active(text: str, activities: str) -> set[str]:
    f = read(text)
    return f.names(activity_of(f, activities).values)


SCALARS = """
define void @f(double %x, double %k, ptr %out, ptr %junk) {
entry:
  %used = fmul double %x, %k
  %unused = fmul double %x, %x
  %const = fmul double %k, %k
  %sum = fadd double %used, %const
  store double %sum, ptr %out
  store double %const, ptr %junk
  ret void
}
"""


def test_active_is_what_is_varied_and_useful() -> None:
    assert active(SCALARS, "acdc") == {"x", "used", "sum"}
    assert active(SCALARS, "aadc") == {"x", "k", "used", "const", "sum"}


def test_nothing_is_active_where_nothing_varies_or_nothing_is_asked() -> None:
    assert active(SCALARS, "ccdc") == set()
    assert active(SCALARS, "cccd") == set()


def test_values_are_active_through_memory() -> None:
    text = """
define void @f(double %x, ptr %out) {
entry:
  %box = alloca double
  %idle = alloca double
  store double %x, ptr %box
  store double %x, ptr %idle
  %y = load double, ptr %box
  store double %y, ptr %out
  ret void
}
"""
    f = read(text)
    activity = activity_of(f, "ad")
    assert f.names(activity.values) == {"x", "y"}
    assert activity.has_shadow(f["box"])
    assert not activity.has_shadow(f["idle"])


def test_values_go_round_a_loop() -> None:
    text = """
define void @f(double %x, ptr %out, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %s = phi double [ 0.0, %entry ], [ %s.next, %loop ]
  %k = phi double [ 1.0, %entry ], [ %k.next, %loop ]
  %k.next = fmul double %k, 0.5
  %t = fmul double %k, %x
  %s.next = fadd double %s, %t
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done
done:
  %r = phi double [ %s.next, %loop ]
  store double %r, ptr %out
  ret void
}
"""
    assert active(text, "adc") == {"x", "s", "t", "s.next", "r"}


def test_integers_stop_activity() -> None:
    text = """
define void @f(double %x, ptr %out) {
entry:
  %n = fptosi double %x to i64
  %y = sitofp i64 %n to double
  %c = fcmp ogt double %x, 0.0
  %z = select i1 %c, double %y, double 1.0
  store double %z, ptr %out
  ret void
}
"""
    assert active(text, "ad") == set()


def test_functions_of_zero_derivative_stop_activity() -> None:
    text = """
declare double @llvm.floor.f64(double)
declare double @llvm.sin.f64(double)
declare double @llvm.powi.f64.i32(double, i32)
define void @f(double %x, ptr %out) {
entry:
  %a = call double @llvm.floor.f64(double %x)
  %b = call double @llvm.sin.f64(double %a)
  %c = call double @llvm.powi.f64.i32(double %x, i32 3)
  %d = fadd double %b, %c
  store double %d, ptr %out
  ret void
}
"""
    assert active(text, "ad") == {"x", "c", "d"}


def test_copied_memory_is_active() -> None:
    text = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @f(ptr %x, ptr %out) {
entry:
  %box = alloca double
  call void @llvm.memcpy.p0.p0.i64(ptr %box, ptr %x, i64 8, i1 false)
  %y = load double, ptr %box
  store double %y, ptr %out
  ret void
}
"""
    assert active(text, "dd") == {"y"}


def test_box_of_pointers_to_active_memory_has_a_shadow() -> None:
    f = read("""
define void @f(ptr %x, ptr %out) {
entry:
  %box = alloca ptr
  store ptr %x, ptr %box
  %p = load ptr, ptr %box
  %y = load double, ptr %p
  store double %y, ptr %out
  ret void
}
""")
    activity = activity_of(f, "dd")
    assert activity.has_shadow(f["box"])
    assert f.names(activity.values) == {"y"}


@pytest.mark.parametrize(
    "text",
    [
        """
define void @f(ptr %x, ptr %buffer, ptr %out) {
entry:
  %v = load double, ptr %x
  store double %v, ptr %buffer
  %w = load double, ptr %buffer
  store double %w, ptr %out
  ret void
}
""",
        """
define void @f(ptr %x, ptr %buffer, ptr %out) {
entry:
  %v = load double, ptr %x
  %part = getelementptr double, ptr %buffer, i64 3
  %box = alloca ptr
  store ptr %part, ptr %box
  %p = load ptr, ptr %box
  store double %v, ptr %p
  %w = load double, ptr %p
  store double %w, ptr %out
  ret void
}
""",
    ],
)
def test_active_data_in_constant_memory_is_refused_by_name(text: str) -> None:
    with pytest.raises(ActivityError) as caught:
        activity_of(read(text), "dcd")
    assert caught.value.argument == "buffer"
    assert caught.value.remedy is not None
    assert "Duplicated" in caught.value.remedy


def test_constant_memory_that_only_receives_results_is_left_alone() -> None:
    text = """
define void @f(ptr %x, ptr %log, ptr %out) {
entry:
  %v = load double, ptr %x
  store double %v, ptr %log
  store double %v, ptr %out
  ret void
}
"""
    assert active(text, "dcd") == {"v"}


BITS = """
define void @f(ptr %x, ptr %out) {{
entry:
  %v = load double, ptr %x
  {first}
  {second}
  ret void
}}
"""


@pytest.mark.parametrize(
    ("first", "second", "operation"),
    [
        ("%b = bitcast double %v to i64", "store i64 %b, ptr %out", "bitcast double to i64"),
        (
            "%b = bitcast double %v to i64\n  %m = and i64 %b, 7",
            "%w = bitcast i64 %m to double\n  store double %w, ptr %out",
            "bitcast",
        ),
        ("%b = load i64, ptr %x\n  %m = xor i64 %b, 1", "store i64 %m, ptr %out", "store i64"),
        ("%o = atomicrmw fadd ptr %out, double %v monotonic", "", "atomicrmw"),
    ],
)
def test_tricks_with_the_bits_of_active_numbers_are_refused(first: str, second: str, operation: str) -> None:
    with pytest.raises(UnsupportedIRError) as caught:
        activity_of(read(BITS.format(first=first, second=second)), "dd")
    assert operation in (caught.value.operation or "")
    assert caught.value.remedy


def test_bits_of_inactive_numbers_may_be_looked_at() -> None:
    text = BITS.format(
        first="%b = bitcast double %v to i64\n  %neg = icmp slt i64 %b, 0",
        second="%w = select i1 %neg, double 0.0, double %v\n  store double %w, ptr %out",
    )
    assert active(text, "dd") == {"v", "w"}


def test_counters_changed_atomically_are_no_matter() -> None:
    text = """
define void @f(ptr %x, ptr %out, ptr %count) {
entry:
  %v = load double, ptr %x
  store double %v, ptr %out
  %o = atomicrmw add ptr %count, i64 1 monotonic
  ret void
}
"""
    assert active(text, "ddc") == {"v"}


@pytest.mark.parametrize("what", ["load", "store"])
def test_active_data_through_a_pointer_of_unknown_origin_is_refused(what: str) -> None:
    source, target = ("%p", "%out") if what == "load" else ("%x", "%p")
    text = f"""
define void @f(ptr %x, ptr %out, i64 %address) {{
entry:
  %p = inttoptr i64 %address to ptr
  %v = load double, ptr {source}
  store double %v, ptr {target}
  ret void
}}
"""
    with pytest.raises(UnsupportedIRError):
        activity_of(read(text), "ddc")
