from __future__ import annotations

from coenzyme.analysis.content import Contents, carries_floats, find_contents, float_parts
from coenzyme.analysis.points_to import find_objects
from coenzyme.ir.types import F32, F64, I1, I64, PTR, ArrayType, StructType, Type
from coenzyme.ir.values import Argument
from tests.unit.analysis.reading import Reading, read

MOVES = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @f(ptr %a, ptr %b, ptr %c, ptr %d, i64 %n) {
entry:
  %x = load double, ptr %a
  call void @llvm.memcpy.p0.p0.i64(ptr %b, ptr %a, i64 %n, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %c, ptr %b, i64 %n, i1 false)
  store i64 3, ptr %d
  %slot = getelementptr i8, ptr %d, i64 8
  store ptr %a, ptr %slot
  ret void
}
"""


def contents_of(f: Reading, **elements: Type) -> Contents:
    given = {a: t for name, t in elements.items() if isinstance(a := f[name], Argument)}
    return find_contents(f.function, find_objects(f.function, {}), given)


def test_bytes_copied_on_are_the_floats_they_were() -> None:
    f = read(MOVES)
    assert contents_of(f).behind(f["c"]).only_float == F64


def test_what_the_frontend_says_goes_back_through_copies() -> None:
    f = read(MOVES.replace("load double", "load i32"))
    contents = contents_of(f, c=F32)
    assert contents.behind(f["b"]).floats == {F32}
    assert contents.behind(f["b"]).integers
    assert contents.behind(f["b"]).only_float is None


def test_pointers_and_integers_are_told_from_floats() -> None:
    f = read(MOVES)
    held = contents_of(f).behind(f["d"])
    assert held.pointers
    assert held.integers
    assert not held.floats


def test_two_kinds_of_floats_in_one_object_are_both_seen() -> None:
    f = read("""
define void @f(ptr %a) {
entry:
  %x = load double, ptr %a
  %y = load float, ptr %a
  ret void
}
""")
    held = contents_of(f).behind(f["a"])
    assert held.floats == {F32, F64}
    assert held.only_float is None


def test_parts_of_aggregates_count() -> None:
    nested = StructType((I64, ArrayType(3, StructType((F32, PTR))), F64))
    assert float_parts(nested) == {F32, F64}
    assert carries_floats(nested)
    assert not carries_floats(StructType((I1, PTR)))


def test_what_follows_a_list_does_not_make_a_list_of_what_the_list_holds() -> None:
    f = read("""
declare ptr @malloc(i64)
define void @f(ptr %a) {
entry:
  %block = call ptr @malloc(i64 8)
  store double 1.0, ptr %block
  %cell = call ptr @malloc(i64 16)
  store ptr null, ptr %cell
  %slot = getelementptr i8, ptr %cell, i64 8
  store ptr %block, ptr %slot
  br label %next
next:
  %current = phi ptr [ %cell, %entry ], [ %below, %next ]
  %below = load ptr, ptr %current
  %none = icmp eq ptr %below, null
  br i1 %none, label %out, label %next
out:
  ret void
}
""")
    contents = contents_of(f)
    assert contents.behind(f["block"]).only_float == F64
    assert contents.behind(f["cell"]).pointers
