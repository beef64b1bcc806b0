"""Recurrences through memory, whose reverse sweeps hand on in a register what they carry, and others."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest
from numpy.typing import NDArray

from coenzyme.analysis.passes import ALL_PASSES, Pass
from tests.unit.derive.shapes import agree, gradients, made, plan_of

X = np.linspace(0.5, 1.5, 7)
Y = np.linspace(1.0, 2.0, 7)


@nb.njit
def upwards(x, y):
    for i in range(1, x.size):
        x[i] = y[i] * np.sin(x[i - 1])


@nb.njit
def downwards(x, y):
    for i in range(x.size - 2, -1, -1):
        x[i] = y[i] * np.sin(x[i + 1]) + x[i]


@nb.njit
def two_behind(x, y):
    for i in range(2, x.size):
        x[i] = y[i] * np.sin(x[i - 1]) * x[i - 2] + x[i]


@nb.njit
def two_arrays(x, y):
    for i in range(1, x.size):
        x[i] = y[i - 1] * np.sin(x[i - 1])
        y[i] = x[i - 1] * y[i - 1] + x[i]


@nb.njit
def scratch(x, y):
    p = np.zeros(x.size)
    total = 0.0
    for k in range(3):
        p[0] = y[k]
        for j in range(1, x.size):
            p[j] = x[j] / (p[j - 1] + 2.0)
        for j in range(x.size - 2, -1, -1):
            y[j] = p[j] * y[j + 1] + x[j]
        total += p[x.size - 1]
    return total


@nb.njit
def raises(x, y):
    for i in range(1, x.size):
        if x[i - 1] < -5.0:
            raise ValueError("negative")
        x[i] = y[i] / x[i - 1]


@nb.njit
def read_once_more(x, y):
    for i in range(1, x.size):
        a = x[i - 1] * y[i]
        x[i] = np.cos(a)
        y[i] = x[i - 1] * a


CHAINED = [upwards, downwards, two_behind, scratch, raises, read_once_more]


@nb.njit
def stored_twice(x, y):
    for i in range(1, x.size - 1):
        a = x[i - 1] * y[i]
        x[i + 1] = a * y[0]
        x[i] = np.cos(a) + x[i + 1]


@nb.njit
def stored_at_times(x, y):
    for i in range(1, x.size):
        if y[i] > 1.4:
            x[i] = y[i] * np.sin(x[i - 1])
        else:
            y[i] = x[i - 1] * y[i - 1] * y[i]


@nb.njit
def read_at_times(x, y):
    for i in range(1, x.size):
        if y[i] > 1.4:
            x[i] = y[i] * np.sin(x[i - 1])
        else:
            x[i] = y[i] * y[i]


@nb.njit
def left_early(x, y):
    for i in range(1, x.size):
        x[i] = y[i] * np.sin(x[i - 1])
        if x[i] > 1.2:
            break


@nb.njit
def further_off(x, y):
    for i in range(3, x.size):
        x[i] = y[i] * np.sin(x[i - 3])


OTHERS = [stored_twice, stored_at_times, read_at_times, left_early, further_off]


@nb.njit
def stored_before(x, y):
    for i in range(1, x.size):
        x[i] = y[i] * y[i]
        y[i - 1] = x[i - 1] * y[i]


@nb.njit
def both_read_behind(x, y):
    for i in range(x.size - 2, -1, -1):
        x[i] = y[i + 1] * np.sin(x[i + 1])
        y[i] = x[i + 1] * y[i + 1] + x[i]


def chains(f: Any, *args: Any, **options: Any) -> int:
    return len(plan_of(f, *(args or (X, Y)), **options).chains.of_store)


@pytest.mark.parametrize("f", CHAINED)
def test_what_a_recurrence_hands_on_stays_in_a_register(f: Any) -> None:
    assert chains(f) > 0
    assert chains(f, passes=ALL_PASSES - {Pass.CHAINS}) == 0


@pytest.mark.parametrize("f", OTHERS)
def test_what_the_next_iteration_may_not_take_goes_to_memory(f: Any) -> None:
    assert chains(f) == 0


SLOW = [pytest.param(f, marks=pytest.mark.slow) for f in (*CHAINED[:3], *CHAINED[4:], two_arrays, *OTHERS)]


@pytest.mark.parametrize("f", [scratch, *SLOW])
def test_all_have_the_derivative_of_the_plain_plan(f: Any) -> None:
    agree(f, X, Y)


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_few_iterations_or_none(size: int) -> None:
    agree(downwards, X[:size].copy(), Y[:size].copy())


def strided(step: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return an array with neighbours so many numbers apart, a shadow of that shape, and another array."""
    arrays = [np.linspace(low, low + 1.0, 20) for low in (0.5, 1.5)]
    x, dx = (np.lib.stride_tricks.as_strided(a[7:], (7,), (8 * step,)) for a in arrays)
    return x, dx, Y.copy()


@pytest.mark.parametrize("step", [0, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, -1, 2))])
@pytest.mark.parametrize("f", [upwards, stored_before])
def test_neighbours_may_be_one_and_the_same_cell(f: Any, step: int) -> None:
    found: list[NDArray[Any]] = []
    for passes in (ALL_PASSES, frozenset[Pass]()):
        x, dx, y = strided(step)
        dy = np.linspace(0.2, 0.9, 7)
        derivative = made(f, x, y, passes=passes)
        derivative.dispatcher(x, y, dx, dy)
        assert derivative.plan is not None
        # Whether the cell is another one is not known: only what is read first may be handed on.
        assert len(derivative.plan.chains.of_store) == (f is upwards and bool(passes))
        found.append(np.concatenate([dx, dy]))
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_arrays_that_may_overlap_are_not_chained() -> None:
    assert chains(both_read_behind) == 2
    assert chains(both_read_behind, disjoint=False) == 0
    agree(both_read_behind, X, Y, disjoint=False)


def test_single_precision() -> None:
    x, y = X.astype(np.float32), Y.astype(np.float32)
    assert chains(upwards, x, y) == 1
    quick, plain = gradients(upwards, x, y), gradients(upwards, x, y, passes=frozenset())
    for a, b in zip(quick, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
