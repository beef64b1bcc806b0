"""Numbers that two loops read and one of them tapes, and those that each has to tape."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest
from numpy.typing import NDArray

import coenzyme as cz
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from tests.unit.derive.shapes import agree, gradients, plan_of

X = np.linspace(0.5, 1.5, 7)
Y = np.linspace(1.0, 2.0, 7)


@nb.njit
def reversed_order(x, y):
    z = np.empty(y.size)
    for k in range(1, y.size):
        total = 0.0
        for i in range(k):
            total += x[k - i - 1] * y[i]
        for i in range(k):
            z[i] = y[i] + np.sin(total) * y[k - 1 - i]
        for i in range(k):
            y[i] = z[i]


@nb.njit
def same_order(x, y):
    for _ in range(3):
        total = 0.0
        for i in range(y.size):
            total += y[i] * y[i]
        for i in range(y.size):
            x[i] += total * np.sin(y[i])
        for i in range(y.size):
            y[i] = 0.1 * x[i] * x[i]


@nb.njit
def part_of_it(x, y):
    z = np.empty(y.size)
    for k in range(1, y.size):
        total = 0.0
        for i in range(k + 1):
            total += x[i] * y[i]
        for i in range(k):
            z[i] = y[i] + np.sin(total * y[i + 1])
        for i in range(k):
            y[i] = z[i]


@nb.njit
def outside_all_loops(x, y):
    total = 0.0
    for i in range(y.size):
        total += y[i] * y[i]
    for i in range(y.size):
        x[i] += np.sin(total) * y[i]
    for i in range(y.size):
        y[i] = x[i] * x[i]


@nb.njit
def written_between(x, y):
    for k in range(3):
        total = 0.0
        for i in range(y.size):
            total += y[i] * y[i]
        y[k] = np.cos(total)
        for i in range(y.size):
            x[i] += total * np.sin(y[i])
        for i in range(y.size):
            y[i] = 0.1 * x[i] * x[i]


@nb.njit
def written_by_the_reader(x, y):
    for _ in range(3):
        total = 0.0
        for i in range(y.size):
            total += y[i] * y[i]
        for i in range(1, y.size):
            y[i] = total * np.sin(y[i]) + y[i - 1]


@nb.njit
def more_than_it(x, y):
    for _ in range(3):
        total = 0.0
        for i in range(y.size - 1):
            total += y[i] * y[i]
        for i in range(y.size):
            x[i] += total * np.sin(y[i])
        for i in range(y.size):
            y[i] = 0.1 * x[i] * x[i]


@nb.njit
def at_times(x, y):
    total = 1.0
    for k in range(3):
        if x[k] > 0.6:
            for i in range(y.size):
                total += y[i] * y[i]
        for i in range(y.size):
            x[i] += total * np.sin(y[i])
        for i in range(y.size):
            y[i] = 0.1 * x[i] * x[i]


@nb.njit
def taped_at_times(x, y):
    for _ in range(3):
        total = 0.0
        for i in range(y.size):
            if x[i] > 0.8:
                total += np.sin(y[i])
        for i in range(y.size):
            x[i] += total * np.sin(y[i])
        for i in range(y.size):
            y[i] = 0.1 * x[i] * x[i]


@nb.njit
def scratch_filled(x, y):
    p = np.empty(x.size)
    for k in range(3):
        p[0] = y[k]
        for j in range(1, x.size):
            p[j] = x[j] / (p[j - 1] + 2.0)
        for j in range(x.size - 2, -1, -1):
            y[j] = p[j] * y[j + 1] + x[j]


SHARING = [reversed_order, same_order, part_of_it, outside_all_loops]
OTHERS = [written_between, written_by_the_reader, more_than_it, at_times, taped_at_times]


def shared(f: Any, **options: Any) -> int:
    return len(plan_of(f, X, Y, **options).columns)


@pytest.mark.parametrize("f", SHARING)
def test_what_one_loop_has_taped_another_one_reads_there(f: Any) -> None:
    assert shared(f) > 0
    assert shared(f, passes=ALL_PASSES - {Pass.SHARED}) == 0


@pytest.mark.parametrize("f", OTHERS)
def test_what_may_be_another_number_is_taped_by_each(f: Any) -> None:
    assert shared(f) == 0


def test_arrays_that_may_overlap_with_what_is_written_are_taped_by_each() -> None:
    assert shared(same_order, disjoint=False) == 0


SLOW = [pytest.param(f, marks=pytest.mark.slow) for f in (*SHARING[1:], *OTHERS)]


@pytest.mark.parametrize("f", [reversed_order, *SLOW])
def test_all_have_the_derivative_of_the_plain_plan(f: Any) -> None:
    agree(f, X, Y)


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_few_iterations_or_none(size: int) -> None:
    agree(reversed_order, X[:size].copy(), Y[:size].copy())


def test_frames_are_found_across_chunks_of_the_tape() -> None:
    n = 300  # 300 frames of up to 2400 bytes
    x, y = 1e-3 * np.linspace(-1.0, 1.0, n) / n, np.linspace(0.5, 1.0, n)
    for a, b in zip(
        gradients(reversed_order, x, y), gradients(reversed_order, x, y, passes=NO_PASSES), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_in_two_halves() -> None:
    def by(left_out: frozenset[Pass]) -> list[NDArray[Any]]:
        x, y, dx, dy = X.copy(), Y.copy(), np.ones(7), np.ones(7)
        given = cz.Duplicated(x, dx), cz.Duplicated(y, dy)
        with cz.debug.without(*left_out):
            forward, reverse = cz.autodiff_thunk(
                cz.ReverseSplitNoPrimal, reversed_order, cz.Const, cz.Duplicated, cz.Duplicated
            )
            tape, *_ = forward(*given)
            reverse(*given, tape)
        return [dx, dy]

    for a, b in zip(by(frozenset()), by(ALL_PASSES), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("f", [reversed_order, scratch_filled])
def test_in_several_directions(f: Any) -> None:
    def by(left_out: frozenset[Pass]) -> list[NDArray[Any]]:
        x, y = X.copy(), Y.copy()
        dx, dy = (tuple(np.linspace(low, 1.0, 7) for low in (0.1, 0.2, 0.3)) for _ in range(2))
        with cz.debug.without(*left_out):
            cz.autodiff(cz.Reverse, f, cz.BatchDuplicated(x, dx), cz.BatchDuplicated(y, dy))
        return [*dx, *dy]

    for a, b in zip(by(frozenset()), by(ALL_PASSES), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)


@pytest.mark.slow
def test_second_derivatives() -> None:
    def loss(x: NDArray[Any]) -> float:
        y, z = x.copy(), x * x
        reversed_order(y, z)
        return (z * y).sum()

    compiled, v = nb.njit(loss), np.linspace(1.0, 0.3, 7)
    step = 1e-6
    slope = (cz.grad(compiled)(X + step * v) - cz.grad(compiled)(X - step * v)) / (2 * step)
    np.testing.assert_allclose(cz.hvp(compiled, X, v), slope, rtol=1e-6)
