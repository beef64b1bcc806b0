"""Loads that a loop does not change: read before it, where that is certain."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.analysis.points_to import find_objects
from coenzyme.derive.invariant_loads import hoist_invariant_loads
from coenzyme.derive.normalise import normalise
from coenzyme.ir.parser import parse_module
from tests.unit.derive.shapes import agree, gradients, made, plan_of

X = np.array([0.7, 1.3, 0.4, 1.1, 0.9])
Y = np.array([0.2, 0.5, 0.8, 0.3, 0.6])

TEXT = """
declare ptr @malloc(i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @unknown(ptr)
declare double @llvm.sqrt.f64(double)
define void @f(ptr %x, ptr %y, i64 %n) {{
entry:
  %a = call ptr @malloc(i64 800)
  %b = call ptr @malloc(i64 800)
  {before}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop.end ]
  {first}
  %to = getelementptr double, ptr {target}, i64 %i
  %v = load {volatile}double, ptr {read}
  %r = call double @llvm.sqrt.f64(double %v)
  {within}
  store double %r, ptr %to
  br label %loop.end
loop.end:
  %j = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %loop, label %out
out:
  ret void
}}
"""


def moved(*, apart: bool = True, **parts: str) -> int:
    """Return how many loads leave the loop of `TEXT`."""
    default = {"before": "", "first": "", "target": "%b", "read": "%a", "within": "", "volatile": ""}
    function = parse_module(TEXT.format(**{**default, **parts})).functions["f"]
    shape = normalise(function, {}, has_status=False)
    groups = {argument: n for n, argument in enumerate(function.arguments[:2], start=1)}
    return hoist_invariant_loads(shape, find_objects(function, groups, {}), Aliasing(apart))


def test_what_is_read_from_one_array_and_stored_to_another_is_read_before() -> None:
    assert moved() == 1
    assert moved(read="%x") == 1
    assert moved(target="%x") == 1
    assert moved(read="%x", target="%y") == 1
    assert moved(read="%at", before="%at = getelementptr double, ptr %a, i64 %n") == 1


@pytest.mark.parametrize(
    "parts",
    [
        {"target": "%a"},
        {"read": "%x", "target": "%x"},
        {"read": "%to"},
        {"within": "call void @llvm.memset.p0.i64(ptr %a, i8 0, i64 8, i1 false)"},
        {"within": "call void @unknown(ptr %a)"},
        {"first": "call void @unknown(ptr %b)"},
        {"volatile": "volatile "},
        {"before": "store ptr %a, ptr %y", "within": "%p = load ptr, ptr %y\n store double 1.0, ptr %p"},
        {"before": "%s = select i1 false, ptr %a, ptr %b", "read": "%s"},
    ],
    ids=str,
)
def test_what_may_be_written_or_not_be_reached_stays(parts: dict[str, str]) -> None:
    assert moved(**parts) == 0


def test_arguments_that_may_overlap_are_read_where_they_were() -> None:
    assert moved(read="%x", target="%y", apart=False) == 0
    assert moved(target="%y", apart=False) == 1


@nb.njit
def triangle(x, y):
    """Multiply by a triangular matrix, column by column, in scratch of the function's own."""
    n = x.size
    centred, scaled = np.empty(n), np.empty(n)
    total = 0.0
    for k in range(4):
        for j in range(n):
            centred[j] = x[j] - 0.1 * k
            scaled[j] = np.exp(centred[j])
        for column in range(n):
            for row in range(column + 1, n):
                scaled[row] += y[row - column] * centred[column]
        for j in range(n):
            total += scaled[j] * scaled[j] * centred[j]
    return total


@nb.njit
def one_array(x, y):
    scratch = x * 1.0
    for column in range(x.size):
        for row in range(x.size):
            scratch[row] += y[row] * scratch[column]
    return (scratch * scratch).sum()


@nb.njit
def sometimes(x, y):
    """Read in a loop that need not run, behind what may raise, and in one branch only."""
    scratch, other = x * 1.0, np.zeros(x.size)
    for i in range(x.size):
        for j in range(i, 3):
            if y[j] > 0.4:
                other[j] += scratch[i] * y[j]
            elif y[j] > 10.0:
                raise ValueError
            other[j] *= scratch[i]
        scratch[i] = other[i] + 1.0
    return (other * scratch).sum()


@nb.njit
def swapped(x, y):
    a, b = x * 1.0, y * 1.0
    for _ in range(5):
        for j in range(x.size):
            b[j] += a[2] * np.sin(b[j])
        a, b = b, a
    return (a * b).sum()


@nb.njit
def rows_of_one(x, y):
    table = np.zeros((3, x.size))
    for i in range(3):
        above, row = table[i - 1], table[i]
        for j in range(x.size):
            row[j] += x[j] * (above[1] + y[j])
    return (table * table).sum()


@nb.njit
def arguments(x, y):
    for i in range(x.size):
        for j in range(x.size):
            x[j] += y[i] * x[j] * y[j]
    return x.sum()


FUNCTIONS = (triangle, one_array, sometimes, swapped, rows_of_one, arguments)


def test_load_that_is_read_before_the_inner_loop_is_taped_outside_it() -> None:
    inner = [loop.depth for loop in plan_of(triangle, X, Y).tape.frames]
    without = [
        loop.depth for loop in plan_of(triangle, X, Y, passes=ALL_PASSES - {Pass.INVARIANT}).tape.frames
    ]
    assert max(inner, default=0) < max(without)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_derivatives_are_those_of_the_plain_plan(f: Any) -> None:
    agree(f, X, Y)
    agree(f, X, Y, passes=frozenset({Pass.INVARIANT}))


def test_one_array_in_two_places_is_written_where_it_is_read() -> None:
    @nb.njit
    def f(x, y):
        for j in range(x.size):
            y[j] += x[1] * y[j]
        return y.sum()

    x = X.copy()
    quick = gradients(f, x, x, disjoint=False)
    plain = gradients(f, x, x, disjoint=False, passes=frozenset[Pass]())
    for a, b in zip(quick, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("f", FUNCTIONS)
def test_other_modes_agree_with_differences(f: Any) -> None:
    cz.testing.check_derivatives(f, X.copy(), Y.copy())
    with cz.debug.tape_everything():
        expected = cz.jacfwd(f, argnums=(0, 1))(X.copy(), Y.copy())
    found = cz.jacfwd(f, argnums=(0, 1), chunk_size=3)(X.copy(), Y.copy())
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)
    if f is not arguments:
        hessian = cz.hessian(f, chunk_size=1)(X, Y)
        with cz.debug.tape_everything():
            np.testing.assert_allclose(hessian, cz.hessian(f, chunk_size=1)(X, Y), rtol=1e-10)


def test_derivative_without_the_pass_reads_in_the_loop() -> None:
    text = made(triangle, X, Y).text
    assert text != made(triangle, X, Y, passes=ALL_PASSES - {Pass.INVARIANT}).text
