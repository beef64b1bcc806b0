from __future__ import annotations

import pytest

from coenzyme.derive.normalise import Shape, normalise
from coenzyme.errors import UnsupportedIRError
from coenzyme.ir.instructions import Function, Load, Phi, Store
from coenzyme.ir.parser import parse_module
from coenzyme.ir.types import F64, I64
from coenzyme.ir.values import ConstantFloat, ConstantInt


def normalised(text: str, *, has_status: bool = False) -> tuple[Function, Shape]:
    function = parse_module(text).functions["f"]
    elements = {a: F64 for a in function.arguments if a.type.is_pointer}
    return function, normalise(function, elements, has_status)


NEST = """
define void @f(i64 %n, ptr %x) {
entry:
  br label %outer
outer:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  br label %inner
inner:
  %j = phi i64 [ %i, %outer ], [ %j.next, %body ]
  %c = icmp slt i64 %j, %n
  br i1 %c, label %body, label %latch
body:
  %p = getelementptr double, ptr %x, i64 %j
  %v = load double, ptr %p
  %j.next = add i64 %j, 2
  %big = fcmp ogt double %v, 1.0
  br i1 %big, label %out, label %inner
latch:
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %outer, label %done
out:
  ret void
done:
  ret void
}
"""


def test_each_loop_has_an_index_of_its_own() -> None:
    _, shape = normalised(NEST)
    assert len(shape.counted) == 2
    for loop, counted in shape.counted.items():
        index = counted.index
        assert index.block is loop.header
        assert index.type == I64
        assert loop.preheader is not None
        assert loop.latch is not None
        start = index.value_from(loop.preheader)
        assert isinstance(start, ConstantInt)
        assert start.value == 0
        following = index.value_from(loop.latch)
        assert following.opcode == "add"  # type: ignore[attr-defined]
        assert index in following.operands  # type: ignore[attr-defined]


def test_each_way_out_of_a_loop_knows_the_index_it_left_by() -> None:
    _, shape = normalised(NEST)
    by_name = {loop.header.name: counted for loop, counted in shape.counted.items()}
    inner, outer = by_name["inner"], by_name["outer"]
    assert {(a.name, b.name) for a, b in inner.edges} == {("inner", "latch"), ("body", "out")}
    assert {(a.name, b.name) for a, b in outer.edges} == {("latch", "done"), ("body", "out")}
    for counted in (inner, outer):
        for (_, target), value in counted.exit_index.items():
            assert isinstance(value, Phi)
            assert value.block is target
            assert set(value.operands) == {counted.index}


def test_markers_and_scopes_are_gone() -> None:
    function, _ = normalised("""
declare void @llvm.lifetime.start.p0(ptr)
declare void @llvm.assume(i1)
declare void @g()
define void @f(ptr %x, i1 %c) {
entry:
  %a = alloca double
  call void @llvm.lifetime.start.p0(ptr %a)
  call void @llvm.assume(i1 %c)
  %v = load double, ptr %x, !noalias !0, !tbaa !1
  tail call void @g()
  br label %out
out:
  ret void
dead:
  br label %out
}
!0 = !{}
!1 = !{}
""")
    assert [b.name for b in function.blocks] == ["entry", "out"]
    names = [i.opcode for i in function.instructions()]
    assert names == ["alloca", "load", "call", "br", "ret"]
    load = next(i for i in function.instructions() if isinstance(i, Load))
    assert set(load.metadata) == {"tbaa"}


def test_merged_return_is_taken_apart() -> None:
    function, shape = normalised(
        """
define i32 @f(i1 %a, i1 %b, ptr %x) {
entry:
  br i1 %a, label %one, label %two
one:
  br label %end
two:
  br i1 %b, label %end, label %three
three:
  br label %end
end:
  %status = phi i32 [ 0, %one ], [ 1, %two ], [ -2, %three ]
  ret i32 %status
}
""",
        has_status=True,
    )
    returned = [b.terminator.operands[0] for b in function.blocks if b.terminator.opcode == "ret"]
    assert sorted(v.value for v in returned if isinstance(v, ConstantInt)) == [-2, 0, 1]
    assert len(returned) == 3
    assert {k.name for k in shape.exits.kinds.values()} == {"NORMAL", "ERROR"}


def test_bits_that_are_only_moved_are_floats_again() -> None:
    function, _ = normalised("""
define void @f(ptr %x, ptr %y, i1 %c) {
entry:
  %a = load i64, ptr %x
  %b = load i64, ptr %y
  %s = select i1 %c, i64 %a, i64 %b
  store i64 %s, ptr %x
  store i64 4607182418800017408, ptr %y
  ret void
}
""")
    assert all(i.type == F64 for i in function.instructions() if i.opcode in ("load", "select"))
    stored = [i.value for i in function.instructions() if isinstance(i, Store)]
    assert all(v.type == F64 for v in stored)
    assert isinstance(stored[1], ConstantFloat)
    assert stored[1].value == 1.0


@pytest.mark.parametrize("use", ["%u = xor i64 %a, 1", "%u = icmp slt i64 %a, 0\n  call void @g(i64 %a)"])
def test_bits_that_are_worked_on_stay_bits(use: str) -> None:
    function, _ = normalised(f"""
declare void @g(i64)
define void @f(ptr %x, ptr %y) {{
entry:
  %a = load i64, ptr %x
  {use}
  store i64 %a, ptr %y
  ret void
}}
""")
    assert next(i for i in function.instructions() if isinstance(i, Load)).type == I64


def test_loop_with_two_entries_is_refused() -> None:
    with pytest.raises(UnsupportedIRError, match="entered at two places"):
        normalised("""
define void @f(i1 %a, i1 %b) {
entry:
  br i1 %a, label %one, label %two
one:
  br label %two
two:
  br i1 %b, label %one, label %out
out:
  ret void
}
""")
