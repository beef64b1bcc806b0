"""Iterations that are run again one by one in the reverse sweep, and those that cannot be."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

from coenzyme.analysis.passes import ALL_PASSES, Pass
from tests.unit.derive.shapes import agree, gradients, made

X = np.linspace(0.5, 1.5, 6)
Y = np.linspace(1.0, 2.0, 6)


@nb.njit
def mixture(x, y):
    scratch, total = np.empty(x.size), 0.0
    for k in range(y.size):
        for i in range(x.size):
            scratch[i] = x[i] * y[k]
        for i in range(x.size):
            scratch[i] = scratch[i] * np.sin(scratch[i])
        t = 0.0
        for i in range(x.size):
            t += scratch[i] * scratch[i]
        total += t
    return total


@nb.njit
def outputs(x, y):
    scratch = np.empty(x.size)
    for k in range(y.size):
        for i in range(x.size):
            scratch[i] = x[i] * (k + 1)
        for i in range(x.size):
            scratch[i] = scratch[i] * np.sin(scratch[i])
        total = 0.0
        for i in range(x.size):
            total += scratch[i] * scratch[i]
        y[k] = total


@nb.njit
def kept_from_before(x, y):
    scratch, total = np.ones(x.size), 0.0
    for k in range(y.size):
        for i in range(1, x.size):
            scratch[i] = x[i] * y[k]
        for i in range(x.size):
            scratch[i] = scratch[i] * np.sin(scratch[i] + x[i])
        t = 0.0
        for i in range(x.size):
            t += scratch[i] * scratch[i]
        total += t
    return total


@nb.njit
def read_first(x, y):
    scratch, total = np.ones(x.size), 0.0
    for k in range(y.size):
        for i in range(x.size):
            scratch[i] = scratch[i] * np.sin(scratch[i] * y[k])
        t = 0.0
        for i in range(x.size):
            t += scratch[i] * scratch[i]
            scratch[i] = x[i]
        total += t
    return total


@nb.njit
def read_afterwards(x, y):
    scratch, total = np.ones(x.size), 0.0
    for k in range(y.size):
        for i in range(x.size):
            scratch[i] = x[i] * y[k]
        for i in range(x.size):
            scratch[i] = scratch[i] * np.sin(scratch[i])
        t = 0.0
        for i in range(x.size):
            t += scratch[i] * scratch[i]
        total += t
    return total + scratch[2]


@nb.njit
def input_overwritten_later(x, y):
    scratch, total = np.empty(x.size), 0.0
    for k in range(y.size):
        for i in range(x.size):
            scratch[i] = x[i] * y[k]
        for i in range(x.size):
            scratch[i] = scratch[i] * np.sin(scratch[i])
        t = 0.0
        for i in range(x.size):
            t += scratch[i] * scratch[i]
        total += t
    for i in range(x.size):
        x[i] = 0.5 * x[i] * x[i]
    return total


@nb.njit
def state_carried_on(x, y):
    scratch, s = np.empty(x.size), 1.0
    for k in range(y.size):
        for i in range(x.size):
            scratch[i] = x[i] * y[k] * s
        for i in range(x.size):
            scratch[i] = scratch[i] * np.sin(scratch[i])
        t = 0.0
        for i in range(x.size):
            t += scratch[i] * scratch[i]
        s = np.cos(t)
    return s


@nb.njit
def left_early(x, y):
    scratch, total = np.empty(x.size), 0.0
    for k in range(y.size):
        for i in range(x.size):
            scratch[i] = x[i] * y[k]
        for i in range(x.size):
            scratch[i] = scratch[i] * np.sin(scratch[i])
        t = 0.0
        for i in range(x.size):
            t += scratch[i] * scratch[i]
        total += t
        if total > 20.0:
            break
    return total


def replays(f: Any, **options: Any) -> bool:
    return ".iteration." in made(f, X, Y, **options).text


DEPENDENT = [
    kept_from_before,
    read_first,
    read_afterwards,
    input_overwritten_later,
    state_carried_on,
    left_early,
]


@pytest.mark.parametrize("f", [mixture, outputs])
def test_iterations_that_fill_their_scratch_are_run_again(f: Any) -> None:
    assert replays(f)


@pytest.mark.parametrize("f", DEPENDENT)
def test_iterations_that_depend_on_others_are_taped(f: Any) -> None:
    assert not replays(f)


ALL_OTHERS = [pytest.param(f, marks=pytest.mark.slow) for f in (outputs, *DEPENDENT[1:])]


@pytest.mark.parametrize("f", [mixture, kept_from_before, *ALL_OTHERS])
def test_all_have_the_derivative_of_the_plain_plan(f: Any) -> None:
    agree(f, X, Y)


def test_no_iterations_at_all() -> None:
    for x, y in ((X, Y[:0].copy()), (X[:0].copy(), Y)):
        np.testing.assert_array_equal(gradients(mixture, x, y)[-1], 0.0)
        agree(mixture, x, y)


def test_arrays_that_may_overlap_with_what_is_written_are_not_read_again() -> None:
    assert not replays(outputs, disjoint=False)


def test_the_pass_can_be_left_out() -> None:
    assert not replays(mixture, passes=ALL_PASSES - {Pass.REPLAY})


def test_what_is_left_in_the_arguments_is_what_the_function_leaves() -> None:
    x, y = X.copy(), Y.copy()
    outputs(x, y)
    *_, left_x, left_y = gradients(outputs, X, Y)
    np.testing.assert_array_equal(left_x, x)
    np.testing.assert_array_equal(left_y, y)
