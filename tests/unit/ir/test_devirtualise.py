"""Indirect calls with known targets compute the same as direct ones."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import pytest

from coenzyme.codegen import verify
from coenzyme.ir.devirtualise import devirtualise, is_indirect
from coenzyme.ir.instructions import Call, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module

FUNCTIONS = """
define internal i64 @double(i64 %x) {
  %r = mul i64 %x, 2
  ret i64 %r
}
define internal i64 @square(i64 %x) {
  %r = mul i64 %x, %x
  ret i64 %r
}
define internal i64 @less(i64 %x) {
  %r = sub i64 %x, 1
  ret i64 %r
}
"""

CHOSEN = (
    FUNCTIONS
    + """
define i64 @f(i64 %n, i64 %x) {
entry:
  %even.bit = and i64 %n, 1
  %even = icmp eq i64 %even.bit, 0
  %first = select i1 %even, ptr @double, ptr @square
  %big = icmp sgt i64 %n, 4
  br i1 %big, label %other, label %call
other:
  br label %call
call:
  %chosen = phi ptr [ %first, %entry ], [ @less, %other ]
  %r = call i64 %chosen(i64 %x)
  %s = add i64 %r, %n
  br label %out
out:
  %t = phi i64 [ %s, %call ]
  ret i64 %t
}
"""
)


def _indirect(module: Module) -> list[Call]:
    return [
        i
        for f in module.functions.values()
        for i in f.instructions()
        if isinstance(i, Call) and is_indirect(i)
    ]


def test_a_call_of_a_chosen_function_becomes_direct_calls() -> None:
    module = parse_module(CHOSEN)
    assert len(_indirect(module)) == 1
    assert devirtualise(module)
    assert not _indirect(module)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    engine = llvm.create_mcjit_compiler(
        verify(print_module(module)), llvm.Target.from_default_triple().create_target_machine()
    )
    engine.finalize_object()
    f = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(engine.get_function_address("f"))
    for n in range(8):
        expected = 7 - 1 if n > 4 else 7 * 2 if n % 2 == 0 else 7 * 7
        assert f(n, 7) == expected + n


def test_functions_chosen_round_a_loop_are_found() -> None:
    text = (
        FUNCTIONS
        + """
define i64 @f(i64 %n, i64 %x) {
entry:
  br label %body
body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %here = phi ptr [ @double, %entry ], [ %there, %body ]
  %v = phi i64 [ %x, %entry ], [ %r, %body ]
  %r = call i64 %here(i64 %v)
  %odd.bit = and i64 %i, 1
  %odd = icmp eq i64 %odd.bit, 1
  %there = select i1 %odd, ptr %here, ptr @less
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %body, label %out
out:
  ret i64 %r
}
"""
    )
    module = parse_module(text)
    assert devirtualise(module)
    assert not _indirect(module)
    verify(print_module(module))


@pytest.mark.parametrize("unknown", ["%given", "@outside"])
def test_a_call_that_may_go_anywhere_stays(unknown: str) -> None:
    text = CHOSEN.replace("i64 %n, i64 %x) {\nentry", "i64 %n, i64 %x, ptr %given) {\nentry")
    text = text.replace("[ @less, %other ]", f"[ {unknown}, %other ]") + "@outside = external global i64\n"
    module = parse_module(text)
    assert not devirtualise(module)
    assert len(_indirect(module)) == 1
