"""Selections carried round loops by an invariant condition lose their phis and compute the same."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.codegen import verify
from coenzyme.ir.carried import resolve_carried_selections
from coenzyme.ir.instructions import Phi, Select
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.testing import check_derivatives

# Sums over i < n and j < m what indices into rows and columns make, either of them perhaps broadcast.
NEST = """
define i64 @f(i64 %n, i64 %m, i64 %d) {
entry:
  ROWS
  COLUMNS
  br label %outer
outer:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  %s = phi i64 [ 0, %entry ], [ %s.next.out, %latch ]
  %r = phi i64 [ 0, %entry ], [ %r.out, %latch ]
  %c = phi i64 [ START, %entry ], [ %c.out, %latch ]
  INSIDE
  br label %inner
inner:
  %j = phi i64 [ 0, %outer ], [ %j.next, %inner ]
  %s.in = phi i64 [ %s, %outer ], [ %s.next, %inner ]
  %r.in = phi i64 [ %r, %outer ], [ %r.now, %inner ]
  %c.in = phi i64 [ %c, %outer ], [ %c.now, %inner ]
  %r.now = select i1 %rows, i64 %r.in, i64 %i
  %c.now = select i1 %columns, i64 %j, i64 %c.in
  %hundred = mul i64 %r.now, 100
  %index = add i64 %hundred, %c.now
  %square = mul i64 %index, %index
  %s.next = add i64 %s.in, %square
  %j.next = add nuw nsw i64 %j, 1
  %j.done = icmp eq i64 %j.next, %m
  br i1 %j.done, label %latch, label %inner
latch:
  %s.next.out = phi i64 [ %s.next, %inner ]
  %r.out = phi i64 [ %r.now, %inner ]
  %c.out = phi i64 [ %c.now, %inner ]
  %i.next = add nuw nsw i64 %i, 1
  %i.done = icmp eq i64 %i.next, %n
  br i1 %i.done, label %out, label %outer
out:
  %result = phi i64 [ %s.next.out, %latch ]
  ret i64 %result
}
"""


def nest(rows: str, columns: str, start: str = "0", inside: str = "") -> str:
    text = NEST.replace("ROWS", f"%rows = icmp {rows}")
    text = text.replace("COLUMNS", "" if inside else f"%columns = icmp {columns}")
    return text.replace("INSIDE", inside).replace("START", start)


def values(text: str) -> list[int]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(verify(text), target)
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    f = kind(engine.get_function_address("f"))
    return [f(n, m, d) for n in (1, 2, 3) for m in (1, 2, 4) for d in (0, 1, 2, 4)]


def counts(text: str) -> tuple[int, int, bool]:
    """Return the phis and selections that are left, and whether the result is the same."""
    module = parse_module(text)
    function = module.functions["f"]
    resolve_carried_selections(function)
    instructions = list(function.instructions())
    phis = sum(isinstance(i, Phi) for i in instructions)
    selections = sum(isinstance(i, Select) for i in instructions)
    return phis, selections, values(print_module(module)) == values(text)


def test_index_of_an_operand_that_may_be_broadcast_needs_no_other_iteration() -> None:
    assert counts(nest("eq i64 %d, 1", "ugt i64 %d, 1")) == (6, 2, True)


@pytest.mark.parametrize("predicate", ["ugt", "sgt", "ne"])
def test_index_is_that_of_the_loop_that_runs_over_the_operand_itself(predicate: str) -> None:
    assert counts(nest("eq i64 %n, 1", f"{predicate} i64 %m, 1")) == (6, 0, True)


def test_condition_that_is_about_something_else_is_kept() -> None:
    assert counts(nest("eq i64 %n, 2", "ugt i64 %m, 2")) == (6, 2, True)


def test_start_that_is_not_zero_is_kept() -> None:
    assert counts(nest("eq i64 %n, 1", "ugt i64 %m, 1", start="7")) == (6, 1, True)


def test_condition_that_changes_from_one_iteration_to_the_next_keeps_what_is_carried() -> None:
    text = nest("eq i64 %n, 1", "", inside="%columns = icmp ult i64 %i, %d")
    assert counts(text) == (9, 1, True)


def test_variable_that_begins_with_one_of_two_values_stays_carried() -> None:
    text = nest("eq i64 %n, 1", "ugt i64 %d, 1").replace(
        "%c.out = phi i64 [ %c.now,", "%c.out = phi i64 [ 5,"
    )
    assert counts(text) == (9, 1, True)


def test_variable_that_begins_with_what_is_not_constant_stays_carried() -> None:
    assert counts(nest("eq i64 %n, 1", "ugt i64 %d, 1", start="%d")) == (9, 1, True)


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 1), (1, 4)), ((1, 4), (3, 4)), ((1, 1), (3, 1))])
def test_derivative_of_a_broadcast_expression(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    def f(a: np.ndarray, b: np.ndarray) -> float:
        return np.sum(np.sin(a) * b + a)

    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0.5, 1.5, shape) for shape in shapes)
    assert check_derivatives(f, a, b).conclusive
    assert cz.grad(f)(a, b).shape == a.shape
