"""Subscripts computed in 64 bits are those computed in 32."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest

from coenzyme.ir import parse_module, print_module
from coenzyme.ir.instructions import Cast, Compare, Phi
from coenzyme.ir.types import I64
from coenzyme.ir.widening import holds_narrow_subscripts, widen_subscripts

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

# Each body computes %r of 64 bits from %a, %b, of 32, and %p, which leads to 16 numbers of 32 bits.
BODIES = {
    "sums and products": """
  %m = mul nsw i32 %a, %b
  %d = sub nsw i32 %m, 7
  %t = shl nsw i32 %d, 2
  %s = add nsw i32 %t, %a
  %r = sext i32 %s to i64
  ret i64 %r""",
    "sums that may wrap": """
  %m = mul i32 %a, 1000000000
  %s = add i32 %m, %b
  %n = add nsw i32 %b, 1
  %x = sext i32 %s to i64
  %y = sext i32 %n to i64
  %r = xor i64 %x, %y
  ret i64 %r""",
    "choices": """
  %first = icmp eq i32 %a, 0
  %before = add nsw i32 %a, -1
  %last = add nsw i32 %b, -1
  %c = select i1 %first, i32 %last, i32 %before
  %ahead = icmp slt i32 %c, %b
  %x = sext i32 %c to i64
  %y = zext i1 %ahead to i64
  %r = add i64 %x, %y
  ret i64 %r""",
    "parts that are narrower": """
  %h = trunc i32 %a to i8
  %w = sext i8 %h to i32
  %u = zext i8 %h to i32
  %s = add nsw i32 %w, %u
  %r = sext i32 %s to i64
  ret i64 %r""",
    "a loop that leaves by a comparison": """
  br label %head
head:
  %i = phi i32 [ 0, %entry ], [ %next, %head ]
  %sum = phi i64 [ 0, %entry ], [ %more, %head ]
  %at = mul nsw i32 %i, %b
  %wide = sext i32 %at to i64
  %real = sitofp i32 %i to double
  %double = fmul double %real, 2.0
  %even = fptosi double %double to i64
  %both = add i64 %wide, %even
  %more = add i64 %sum, %both
  %next = add nsw i32 %i, 1
  %on = icmp sle i32 %next, %a
  br i1 %on, label %head, label %done
done:
  ret i64 %more""",
    "a comparison without a sign": """
  %s = add nsw i32 %a, %b
  %less = icmp ult i32 %s, 3
  %x = sext i32 %s to i64
  %y = zext i1 %less to i64
  %r = mul i64 %x, %y
  ret i64 %r""",
    "what memory holds, extended without a sign": """
  %k = and i32 %a, 15
  %j = zext nneg i32 %k to i64
  %q = getelementptr i32, ptr %p, i64 %j
  %v = load i32, ptr %q
  %s = add nsw i32 %v, %b
  %r = sext i32 %s to i64
  ret i64 %r""",
    "a loop that swaps": """
  br label %head
head:
  %u = phi i32 [ %a, %entry ], [ %v, %head ]
  %v = phi i32 [ %b, %entry ], [ %u, %head ]
  %n = phi i32 [ 0, %entry ], [ %next, %head ]
  %next = add nsw i32 %n, 1
  %on = icmp ne i32 %next, 3
  br i1 %on, label %head, label %done
done:
  %s = sub nsw i32 %u, %v
  %r = sext i32 %s to i64
  ret i64 %r""",
}


def _module(body: str) -> str:
    return f"define i64 @f(i32 %a, i32 %b, ptr %p) {{\nentry:{body}\n}}\n"


def _widened(body: str) -> str:
    module = parse_module(_module(body))
    assert widen_subscripts(module)
    return print_module(module)


def _results(text: str) -> list[int]:
    module = llvm.parse_assembly(text)
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    memory = np.arange(-8, 8, dtype=np.int32) * 1000
    number = ctypes.c_int32
    call = ctypes.CFUNCTYPE(ctypes.c_int64, number, number, ctypes.c_void_p)(engine.get_function_address("f"))
    pairs = [(0, 5), (1, 5), (4, 5), (-3, 7), (100, -100), (9, 0), (255, 1)]
    return [call(a, b, memory.ctypes.data) for a, b in pairs]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_wide_subscript_is_the_narrow_one(body: str) -> None:
    assert holds_narrow_subscripts(_module(body))
    assert _results(_widened(body)) == _results(_module(body))


def test_a_loop_keeps_one_index() -> None:
    function = parse_module(_widened(BODIES["a loop that leaves by a comparison"])).functions["f"]
    comparison = next(i for i in function.instructions() if isinstance(i, Compare))
    assert {operand.type for operand in comparison.operands} == {I64}
    narrow = [i for i in function.instructions() if isinstance(i, Phi) and i.type != I64]
    assert [set(phi.users) for phi in narrow] == [
        {i for phi in narrow for i in phi.users if i.type == phi.type}
    ], "nothing but its own advance reads the narrow index"


def test_arithmetic_that_may_wrap_is_left_narrow() -> None:
    function = parse_module(_widened(BODIES["sums that may wrap"])).functions["f"]
    extended = [i.operands[0] for i in function.instructions() if isinstance(i, Cast)]
    assert [getattr(value, "opcode", "argument") for value in extended] == ["argument", "add"]


def test_what_is_not_extended_is_left_as_it_is() -> None:
    module = parse_module(_module("\n  %s = add nsw i32 %a, %b\n  %r = zext i32 %s to i64\n  ret i64 %r"))
    before = print_module(module)
    assert not holds_narrow_subscripts(before)
    assert not widen_subscripts(module)
    assert print_module(module) == before
