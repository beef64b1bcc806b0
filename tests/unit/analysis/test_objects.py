from __future__ import annotations

from coenzyme.analysis.content import find_contents
from coenzyme.analysis.objects import NULL_GROUP, Storage
from coenzyme.analysis.points_to import find_objects
from coenzyme.frontends.structs import Field, Struct, Structs
from coenzyme.ir.values import Argument
from tests.unit.analysis.reading import Reading, read

SWAPPED = """
define void @f(ptr %a, ptr %b, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %u = phi ptr [ %a, %entry ], [ %v, %loop ]
  %v = phi ptr [ %b, %entry ], [ %u, %loop ]
  %p = getelementptr double, ptr %u, i64 %i
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done
done:
  ret void
}
"""


def labels(f: Reading, name: str, **groups: int) -> set[str]:
    numbers = {f[key]: number for key, number in groups.items()}
    objects = find_objects(f.function, {a: n for a, n in numbers.items() if isinstance(a, Argument)})
    return {o.label for o in objects.of(f[name])}


def test_pointers_swapped_round_a_loop_point_into_both() -> None:
    f = read(SWAPPED)
    assert labels(f, "u") == labels(f, "v") == labels(f, "p") == {"a", "b"}


def test_parts_of_one_array_are_one_object() -> None:
    f = read(SWAPPED)
    objects = find_objects(f.function, {a: 7 for a in f.function.arguments if a.type.is_pointer})
    assert objects.of(f["a"]) == objects.of(f["b"])
    assert len(objects.of(f["u"])) == 1


def test_null_argument_points_nowhere() -> None:
    assert labels(read(SWAPPED), "a", a=NULL_GROUP) == set()
    assert labels(read(SWAPPED), "u", a=NULL_GROUP) == {"b"}


def test_pointer_comes_back_from_the_place_it_was_stored_in() -> None:
    f = read("""
define void @f(ptr %a, ptr %b, i1 %c) {
entry:
  %box = alloca [2 x ptr]
  store ptr %a, ptr %box
  %second = getelementptr ptr, ptr %box, i64 1
  store ptr %b, ptr %second
  %x = load ptr, ptr %second
  %y = select i1 %c, ptr %x, ptr null
  %z = freeze ptr %y
  ret void
}
""")
    assert labels(f, "x") == labels(f, "y") == labels(f, "z") == {"b"}
    assert labels(f, "second") == {"box"}


def test_pointer_comes_back_from_anywhere_where_the_place_varies() -> None:
    f = read("""
define void @f(ptr %a, ptr %b, i64 %i) {
entry:
  %box = alloca [2 x ptr]
  store ptr %a, ptr %box
  %second = getelementptr ptr, ptr %box, i64 1
  %some = getelementptr ptr, ptr %box, i64 %i
  store ptr %b, ptr %some
  %x = load ptr, ptr %second
  %y = load ptr, ptr %some
  ret void
}
""")
    assert labels(f, "x") == {"b"}
    assert labels(f, "y") == {"a", "b"}


def test_pointer_found_in_an_argument_reaches_memory_of_the_caller() -> None:
    f = read("""
define void @f(ptr %list, ptr %x) {
entry:
  store ptr %x, ptr %list
  %item = load ptr, ptr %list
  %deep = load ptr, ptr %item
  ret void
}
""")
    objects = find_objects(f.function, {})
    assert {o.storage for o in objects.of(f["item"])} == {Storage.ARGUMENT, Storage.REACHED}
    assert all(o.origin in (f["list"], f["x"]) for o in objects.of(f["deep"]))
    assert objects.reached >= {o for o in objects.of(f["item"]) if o.storage is Storage.REACHED}


def test_each_allocation_is_an_object_and_its_payload_the_same() -> None:
    f = read("""
declare ptr @NRT_MemInfo_alloc_aligned(i64, i32)
declare ptr @NRT_MemInfo_data_fast(ptr)
define void @f(i64 %n) {
entry:
  %a = call ptr @NRT_MemInfo_alloc_aligned(i64 %n, i32 32)
  %b = call ptr @NRT_MemInfo_alloc_aligned(i64 %n, i32 32)
  %x = call ptr @NRT_MemInfo_data_fast(ptr %a)
  ret void
}
""")
    objects = find_objects(f.function, {})
    assert objects.of(f["a"]) == objects.of(f["x"])
    assert objects.of(f["a"]).isdisjoint(objects.of(f["b"]))
    assert {o.storage for o in objects.of(f["a"])} == {Storage.HEAP}


def test_copied_bytes_carry_the_pointers_in_them() -> None:
    f = read("""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @f(ptr %a) {
entry:
  %one = alloca ptr
  %two = alloca ptr
  store ptr %a, ptr %one
  call void @llvm.memcpy.p0.p0.i64(ptr %two, ptr %one, i64 8, i1 false)
  %x = load ptr, ptr %two
  ret void
}
""")
    assert labels(f, "x") == {"a"}


def test_number_made_a_pointer_may_point_anywhere() -> None:
    f = read("""
define void @f(ptr %a) {
entry:
  %n = ptrtoint ptr %a to i64
  %x = inttoptr i64 %n to ptr
  ret void
}
""")
    objects = find_objects(f.function, {})
    assert objects.unknown in objects.of(f["x"])


def test_function_kept_out_of_line_may_link_what_it_reaches() -> None:
    f = read("""
define void @g(ptr %box, ptr %x) noinline {
entry:
  store ptr %x, ptr %box
  ret void
}
define void @f(ptr %x, ptr %y) {
entry:
  %box = alloca ptr
  call void @g(ptr %box, ptr %x)
  %found = load ptr, ptr %box
  ret void
}
""")
    assert labels(f, "found") >= {"x"}
    assert "y" not in labels(f, "found")


def test_function_kept_out_of_line_links_nothing_to_constants() -> None:
    f = read("""
@table = internal constant [4 x i64] zeroinitializer
@scratch = internal global [4 x i64] zeroinitializer
define void @g(ptr %p, ptr %q, ptr %r) {
  ret void
}
define void @f(ptr %a) {
entry:
  call void @g(ptr %a, ptr @table, ptr @scratch)
  ret void
}
""")
    held = {o.label: {i.label for i in found} for o, found in find_objects(f.function, {}).contents.items()}
    assert "a" in held["scratch"]
    assert "table" not in held


def test_reachable_follows_memory_to_the_end() -> None:
    f = read("""
define void @f(ptr %a) {
entry:
  %inner = alloca ptr
  %outer = alloca ptr
  store ptr %a, ptr %inner
  store ptr %inner, ptr %outer
  ret void
}
""")
    objects = find_objects(f.function, {})
    assert {o.label for o in objects.reachable([f["outer"]])} == {"outer", "inner", "a"}


def test_a_global_is_one_object_wherever_it_is_named() -> None:
    f = read("""
@table = constant [4 x double] zeroinitializer
define void @f(i1 %c, ptr %a) {
entry:
  %p = select i1 %c, ptr @table, ptr getelementptr (i8, ptr @table, i64 8)
  ret void
}
""")
    objects = find_objects(f.function, {})
    assert [o.storage for o in objects.of(f["p"])] == [Storage.GLOBAL]


def test_where_exceptions_are_described_is_an_object_of_its_own_whatever_memory_it_lies_in() -> None:
    f = read("""
define i32 @f(ptr %retptr, ptr %excinfo, ptr %record) {
entry:
  %p = load ptr, ptr %record
  store ptr %p, ptr %excinfo
  ret i32 0
}
""")
    arguments = [a for a in f.function.arguments if a.type.is_pointer]
    objects = find_objects(f.function, dict.fromkeys(arguments, 0))
    assert objects.of(f["retptr"]) == objects.of(f["record"])
    assert objects.of(f["excinfo"]).isdisjoint(objects.of(f["record"]))
    assert objects.of(f["p"])
    assert not objects.reachable([f["excinfo"]]) - objects.of(f["excinfo"])


NODE = Struct(
    "Node", (Field(0, "double"), Field(8, "i64"), Field(16, "ptr", "Node"), Field(24, "ptr", "double"))
)
WALK = """
define i64 @f(ptr %node, ptr %other) {
entry:
  %next.slot = getelementptr i8, ptr %node, i64 16
  %next = load ptr, ptr %next.slot
  %data.slot = getelementptr i8, ptr %next, i64 24
  %data = load ptr, ptr %data.slot
  %value = load double, ptr %data
  %count.slot = getelementptr i8, ptr %next, i64 8
  %count = load i64, ptr %count.slot
  ret i64 %count
}
"""


def test_structs_lead_to_structs_and_numbers_by_the_types_of_their_fields() -> None:
    f = read(WALK)
    node, other = f.function.arguments
    structs = Structs({"Node": NODE})
    objects = find_objects(f.function, {}, {}, structs, {node: "Node", other: "Node"}, {other: 1})
    assert objects.of(f["next"]) == objects.of(node)
    assert objects.of(f["data"]).isdisjoint(objects.of(node))
    assert objects.of(other).isdisjoint(objects.of(node))
    contents = find_contents(f.function, objects, {})
    assert contents.at(f["count.slot"]).integers
    assert not contents.at(f["count.slot"]).floats
    assert contents.at(f["data"]).floats


def test_structs_of_one_family_may_be_the_same() -> None:
    f = read(WALK)
    node, other = f.function.arguments
    structs = Structs({"Node": NODE})
    objects = find_objects(f.function, {}, {}, structs, {node: "Node", other: "Node"})
    assert objects.of(other) == objects.of(node)


def test_what_is_stored_in_a_struct_is_found_by_pointers_without_type_and_the_other_way_round() -> None:
    f = read("""
declare ptr @malloc(i64)

define void @f(ptr %node) {
entry:
  %new = call ptr @malloc(i64 8)
  %other = call ptr @malloc(i64 8)
  %next.slot = getelementptr i8, ptr %node, i64 16
  store ptr %new, ptr %next.slot
  %items.slot = getelementptr i8, ptr %node, i64 32
  %items = load ptr, ptr %items.slot
  %item = load ptr, ptr %items
  %same.slot = getelementptr i8, ptr %item, i64 40
  %same = load ptr, ptr %same.slot
  store ptr %other, ptr %same.slot
  %again = load ptr, ptr %next.slot
  ret void
}
""")
    (node,) = f.function.arguments
    structs = Structs({"Node": Struct("Node", (*NODE.fields, Field(32, "ptr")))})
    objects = find_objects(f.function, {}, {}, structs, {node: "Node"})
    assert objects.of(f["new"]) <= objects.of(f["same"])
    assert objects.of(f["other"]) <= objects.of(f["again"])
