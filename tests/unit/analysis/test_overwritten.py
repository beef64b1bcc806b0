from __future__ import annotations

import pytest

from coenzyme.analysis.overwritten import Aliasing, Overwrites, find_overwrites
from coenzyme.analysis.points_to import find_objects
from coenzyme.ir.instructions import Load
from tests.unit.analysis.reading import Reading, read


def overwritten(text: str, aliasing: Aliasing = Aliasing()) -> set[str]:  # noqa: B008 - frozen
    f = read(text)
    found = overwrites(f, aliasing)
    loads = [i for i in f.function.instructions() if isinstance(i, Load)]
    assert all(found.is_overwritten(load) == (load in found.loads) for load in loads)
    return f.names(found.loads)


def overwrites(f: Reading, aliasing: Aliasing) -> Overwrites:
    return find_overwrites(f.function.blocks, find_objects(f.function, {}), aliasing)


STRAIGHT = """
define void @f(ptr %a, ptr %b) {
entry:
  %before = load double, ptr %a
  store double 1.0, ptr %a
  %after = load double, ptr %a
  %other = load double, ptr %b
  ret void
}
"""


def test_only_what_is_written_later_is_overwritten() -> None:
    assert overwritten(STRAIGHT) == {"before"}


def test_arguments_that_may_overlap_overwrite_each_other() -> None:
    text = STRAIGHT.replace("  store", "  %early = load double, ptr %b\n  store")
    assert overwritten(text) == {"before"}
    assert overwritten(text, Aliasing(arguments_disjoint=False)) == {"before", "early"}


def test_memory_of_a_caller_that_goes_on_writing_is_overwritten() -> None:
    assert overwritten(STRAIGHT, Aliasing(caller_keeps=False)) == {"before", "after", "other"}


def test_store_of_the_next_iteration_counts() -> None:
    text = """
define void @f(ptr %a, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %p = getelementptr double, ptr %a, i64 %i
  store double 1.0, ptr %p
  %x = load double, ptr %p
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done
done:
  %last = load double, ptr %a
  ret void
}
"""
    assert overwritten(text) == {"x"}


def test_write_that_only_leads_to_an_error_does_not_count() -> None:
    f = read("""
define i32 @f(ptr %a, i1 %bad) {
entry:
  %x = load double, ptr %a
  br i1 %bad, label %fail, label %done
fail:
  store double 0.0, ptr %a
  ret i32 1
done:
  ret i32 0
}
""")
    live = [b for b in f.function.blocks if b.name != "fail"]
    found = find_overwrites(live, find_objects(f.function, {}), Aliasing())
    assert not found.loads


@pytest.mark.parametrize(
    "write",
    [
        "call void @llvm.memset.p0.i64(ptr %a, i8 0, i64 8, i1 false)",
        "call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 8, i1 false)",
        "call void @llvm.memmove.p0.p0.i64(ptr %a, ptr %b, i64 8, i1 false)",
        "call void @somebody(ptr %a)",
        "call void @inner(ptr %a)",
        "%old = atomicrmw fadd ptr %a, double 1.0 monotonic",
    ],
)
def test_whatever_writes_counts(write: str) -> None:
    text = f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
declare void @somebody(ptr)
define void @inner(ptr %p) noinline {{
entry:
  store double 2.0, ptr %p
  ret void
}}
define void @f(ptr %a, ptr %b) {{
entry:
  %x = load double, ptr %a
  %y = load double, ptr %b
  {write}
  ret void
}}
"""
    found = overwritten(text)
    assert "x" in found
    assert "y" not in found


@pytest.mark.parametrize(
    "silent", ["call void @NRT_incref(ptr %a)", "%q = call ptr @NRT_MemInfo_data_fast(ptr %a)"]
)
def test_bookkeeping_does_not_count(silent: str) -> None:
    text = f"""
declare void @NRT_incref(ptr)
declare ptr @NRT_MemInfo_data_fast(ptr)
define void @f(ptr %a) {{
entry:
  %x = load double, ptr %a
  {silent}
  ret void
}}
"""
    assert overwritten(text) == set()


def test_constant_table_stays_and_a_variable_does_not() -> None:
    text = """
@table = constant [2 x double] zeroinitializer
@state = global [2 x double] zeroinitializer
define void @f(ptr %a, i64 %n) {
entry:
  %p = inttoptr i64 %n to ptr
  %x = load double, ptr @table
  %y = load double, ptr @state
  %z = load double, ptr %p
  store double 1.0, ptr %p
  ret void
}
"""
    assert overwritten(text) == {"y", "z"}


def test_pointer_that_may_be_either_is_overwritten_with_each() -> None:
    text = """
define void @f(ptr %a, ptr %b, ptr %c, i1 %t) {
entry:
  %u = select i1 %t, ptr %a, ptr %b
  %x = load double, ptr %u
  %y = load double, ptr %c
  store double 1.0, ptr %b
  ret void
}
"""
    assert overwritten(text) == {"x"}


def test_written_memory_is_listed() -> None:
    f = read(STRAIGHT)
    assert {o.label for o in overwrites(f, Aliasing()).written} == {"a"}
