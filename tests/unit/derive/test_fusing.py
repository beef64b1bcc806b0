"""Forward and reverse sweep in one loop, where iterations are run again and nothing waits for them."""

from __future__ import annotations

import re
from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.analysis.passes import ALL_PASSES, Pass
from tests.unit.derive.shapes import agree, gradients, made

X = np.linspace(0.5, 1.5, 6)
Y = np.linspace(1.0, 2.0, 6)


@nb.njit
def term(x, y, scratch):
    for i in range(x.size):
        scratch[i] = x[i] * y
    for i in range(x.size):
        scratch[i] = scratch[i] * np.sin(scratch[i])
    total = 0.0
    for i in range(x.size):
        total += scratch[i] * scratch[i]
    return total


@nb.njit
def linear_in_the_sum(x, y):
    scratch, total = np.empty(x.size), 0.0
    for k in range(y.size):
        total += term(x, y[k], scratch)
    return 2.0 * total - x[0]


@nb.njit
def square_of_the_sum(x, y):
    scratch, total = np.empty(x.size), 0.0
    for k in range(y.size):
        total += term(x, y[k], scratch)
    return total * total


@nb.njit
def sum_that_decides(x, y):
    scratch, total = np.empty(x.size), 0.0
    for k in range(y.size):
        total += term(x, y[k], scratch)
    if total > 10.0:
        return x[0] * 3.0
    return total


@nb.njit
def sum_that_is_stored(x, y):
    scratch, total = np.empty(x.size), 0.0
    for k in range(y.size):
        total += term(x, y[k], scratch)
    y[0] = total
    return x[1]


@nb.njit
def two_sums(x, y):
    scratch, total, other = np.empty(x.size), 1.0, 0.0
    for k in range(y.size):
        total += term(x, y[k], scratch)
        other += y[k]
    return 0.5 * total - 3.0 * other


multiply_add = cz.llvm.function(
    """
    declare double @llvm.fmuladd.f64(double, double, double)
    define double @multiply_add(double %a, double %b, double %c) {
      %r = call double @llvm.fmuladd.f64(double %a, double %b, double %c)
      ret double %r
    }
    """,
    restype="double",
    argtypes=["double"] * 3,
)


@nb.njit
def sum_that_is_added_to_a_product(x, y):
    scratch, total = np.empty(x.size), 0.0
    for k in range(y.size):
        total += term(x, y[k], scratch)
    return multiply_add(x[0], -3.0, total)


@nb.njit
def outputs(x, y):
    scratch = np.empty(x.size)
    for k in range(y.size):
        y[k] = term(x, k + 1.0, scratch)


def runs_once(f: Any, **options: Any) -> bool:
    """Whether the derivative runs the iterations nowhere but in the reverse sweep."""
    text = made(f, X, Y, **options).text
    return len(re.findall(r"call i32 @[^(]*\.iteration\.", text)) == 1


@pytest.mark.parametrize("f", [linear_in_the_sum, two_sums, sum_that_is_added_to_a_product])
def test_iterations_run_once_where_the_sum_is_used_linearly(f: Any) -> None:
    assert runs_once(f)
    assert not runs_once(f, passes=ALL_PASSES - {Pass.FUSE})


@pytest.mark.parametrize(
    "f",
    [
        linear_in_the_sum,
        sum_that_is_added_to_a_product,
        pytest.param(two_sums, marks=pytest.mark.slow),
    ],
)
def test_sums_and_derivatives_are_those_of_the_plain_plan(f: Any) -> None:
    agree(f, X, Y)
    assert gradients(f, X, Y)[-1] == pytest.approx(f(X, Y), rel=1e-14)


@pytest.mark.parametrize("f", [square_of_the_sum, sum_that_decides, sum_that_is_stored, outputs])
def test_iterations_run_before_where_the_sum_is_needed(f: Any) -> None:
    assert not runs_once(f)


@pytest.mark.slow
@pytest.mark.parametrize("f", [square_of_the_sum, sum_that_decides, sum_that_is_stored, outputs])
def test_sums_that_are_needed_have_the_derivative_of_the_plain_plan(f: Any) -> None:
    agree(f, X, Y)


def test_result_that_is_not_needed() -> None:
    agree(linear_in_the_sum, X, Y, result_needed=False)


def test_no_iterations() -> None:
    agree(linear_in_the_sum, X, Y[:0].copy())
    assert gradients(linear_in_the_sum, X, Y[:0].copy())[-1] == -X[0]
