"""Cycles that are entered at several blocks become natural loops that compute the same."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import pytest
from hypothesis import given, settings

from coenzyme.codegen import canonicalise_loops, verify
from coenzyme.ir.instructions import Module
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.reducible import make_reducible
from tests.unit.ir.graphs import edges, function_of

TWO_ENTRIES = """
define i64 @f(i64 %n, i1 %c) {
entry:
  %start = mul i64 %n, 3
  br i1 %c, label %first, label %second
first:
  %a = phi i64 [ %start, %entry ], [ %b.next, %second ]
  %i = phi i64 [ 0, %entry ], [ %j, %second ]
  %a.next = add i64 %a, 2
  %a.done = icmp sge i64 %i, %n
  br i1 %a.done, label %out, label %second
second:
  %b = phi i64 [ %n, %entry ], [ %a.next, %first ]
  %j.in = phi i64 [ 1, %entry ], [ %i, %first ]
  %j = add i64 %j.in, 1
  %b.twice = mul i64 %b, 2
  %b.next = urem i64 %b.twice, 1009
  br label %first
out:
  %r = phi i64 [ %a.next, %first ]
  ret i64 %r
}
"""

NESTED = """
define i64 @f(i64 %n, i1 %c) {
entry:
  br label %outer
outer:
  %k = phi i64 [ 0, %entry ], [ %k.next, %latch ]
  %s = phi i64 [ 1, %entry ], [ %s.out, %latch ]
  %odd = trunc i64 %k to i1
  %way = xor i1 %odd, %c
  br i1 %way, label %left, label %right
left:
  %x = phi i64 [ %s, %outer ], [ %y.next, %right ]
  %t = phi i64 [ 0, %outer ], [ %u.next, %right ]
  %x.next = add i64 %x, 7
  %leave = icmp sgt i64 %t, 3
  br i1 %leave, label %latch, label %right
right:
  %y = phi i64 [ %s, %outer ], [ %x.next, %left ]
  %u = phi i64 [ 1, %outer ], [ %t, %left ]
  %u.next = add i64 %u, 1
  %y.twice = mul i64 %y, 5
  %y.next = urem i64 %y.twice, 997
  br label %left
latch:
  %s.out = phi i64 [ %x.next, %left ]
  %k.next = add i64 %k, 1
  %done = icmp sge i64 %k.next, %n
  br i1 %done, label %out, label %outer
out:
  ret i64 %s.out
}
"""


def _values(module: llvm.ModuleRef) -> list[int]:
    engine = llvm.create_mcjit_compiler(module, llvm.Target.from_default_triple().create_target_machine())
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_bool)
    f = kind(engine.get_function_address("f"))
    return [f(n, c) for n in (0, 1, 2, 5, 8) for c in (False, True)]


def _is_reducible(module: Module) -> bool:
    return not LoopForest(module.functions["f"]).irreducible


@pytest.mark.parametrize("text", [TWO_ENTRIES, NESTED], ids=["two entries", "inside another loop"])
def test_cycle_gets_one_entry_and_computes_the_same(text: str) -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = parse_module(text)
    assert not _is_reducible(module)
    assert make_reducible(module.functions["f"])
    assert _is_reducible(module)
    canonical = canonicalise_loops(print_module(module))
    again = parse_module(canonical)
    assert _is_reducible(again)
    assert all(loop.preheader and loop.latch for loop in LoopForest(again.functions["f"]).loops)
    assert _values(verify(canonical)) == _values(verify(text))


def test_natural_loops_are_left_alone() -> None:
    module = parse_module(TWO_ENTRIES)
    function = module.functions["f"]
    make_reducible(function)
    before = print_module(module)
    assert not make_reducible(function)
    assert print_module(module) == before


@given(edges=edges())
@settings(derandomize=True, deadline=None)
def test_any_control_flow_becomes_reducible(edges: list[list[int]]) -> None:
    function = function_of(edges)
    was_reducible = not LoopForest(function).irreducible
    assert make_reducible(function) != was_reducible
    assert not LoopForest(function).irreducible
