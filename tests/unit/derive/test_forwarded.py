"""Loads of what the iteration before has stored, which the forward sweep can do without, and others."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest
from numpy.typing import NDArray

from coenzyme.analysis.passes import ALL_PASSES, Pass
from tests.unit.derive.shapes import agree, made

X = np.linspace(0.5, 1.5, 7)
Y = np.linspace(1.0, 2.0, 7)


@nb.njit
def scratch(x, y):
    p, q = np.empty(x.size), np.empty(x.size)
    for k in range(3):
        p[0], q[0] = y[k], 1.0
        for j in range(1, x.size):
            p[j] = x[j] / (p[j - 1] + 2.0)
            q[j] = (x[j] + q[j - 1]) * p[j]
        for j in range(x.size - 2, -1, -1):
            y[j] = p[j] * y[j + 1] + q[j]


@nb.njit
def divides(x, y):
    p = np.empty(x.size)
    p[0] = y[0]
    for j in range(1, x.size):
        p[j] = x[j] / (p[j - 1] - 3.0)
        y[j] = p[j] * y[j]


@nb.njit
def upwards(x, y):
    for i in range(1, x.size):
        x[i] = y[i] * np.sin(x[i - 1])


@nb.njit
def stored_between(x, y):
    p = np.ones(x.size + 2)
    for j in range(1, x.size):
        p[j] = x[j] / (p[j - 1] + 2.0)
        p[j + 1] = y[j]
        p[j] += p[j + 1]


@nb.njit
def read_at_times(x, y):
    p = np.ones(x.size)
    for j in range(1, x.size):
        if y[j] > 1.4:
            p[j] = x[j] / (p[j - 1] + 2.0)
        else:
            p[j] = x[j]
    x[:] = p


@nb.njit
def guarded(x, y):
    for i in range(1, x.size):
        if y[i] > 50.0:
            raise ValueError("too much")
        x[i] = y[i] * np.sin(x[i - 1])


@nb.njit
def further_off(x, y):
    p = np.ones(x.size)
    for j in range(2, x.size):
        p[j] = x[j] / (p[j - 2] + y[j])
    x[:] = p


@nb.njit
def stored_before(x, y):
    for i in range(1, x.size):
        x[i] = y[i] * y[i]
        y[i - 1] = x[i - 1] * y[i]


FORWARDED = [scratch, divides]
OTHERS = [stored_between, read_at_times, guarded, further_off]


def forwards(f: Any, *args: Any, **options: Any) -> bool:
    return "stored = phi" in made(f, *(args or (X, Y)), **options).text


@pytest.mark.parametrize("f", FORWARDED)
def test_what_the_iteration_before_has_stored_comes_in_a_register(f: Any) -> None:
    assert forwards(f)
    assert not forwards(f, passes=ALL_PASSES - {Pass.FORWARDED})


@pytest.mark.parametrize("f", OTHERS)
def test_what_may_be_another_number_or_not_be_there_is_loaded(f: Any) -> None:
    assert not forwards(f)


SLOW = [pytest.param(f, marks=pytest.mark.slow) for f in (divides, *OTHERS)]


@pytest.mark.parametrize("f", [scratch, *SLOW])
def test_all_have_the_derivative_of_the_plain_plan(f: Any) -> None:
    agree(f, X, Y)


@pytest.mark.parametrize("size", [1, 2])
def test_few_iterations_or_none(size: int) -> None:
    agree(divides, X[:size].copy(), Y[:size].copy())


def test_a_division_by_zero_is_raised_as_before() -> None:
    x = X.copy()
    x[1] = 3.0 * (Y[0] - 3.0)
    x[2] = 3.0
    for passes in (ALL_PASSES, frozenset[Pass]()):
        with pytest.raises(ZeroDivisionError):
            made(divides, X, Y, passes=passes).dispatcher(x.copy(), Y.copy(), np.ones(7), np.ones(7))


@pytest.mark.parametrize("step", [0, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, -1, 2))])
@pytest.mark.parametrize("f", [upwards, stored_before])
def test_neighbours_may_be_one_and_the_same_cell(f: Any, step: int) -> None:
    found: list[NDArray[Any]] = []
    for passes in (ALL_PASSES, frozenset[Pass]()):
        arrays = [np.linspace(low, low + 1.0, 20) for low in (0.5, 1.5)]
        x, dx = (np.lib.stride_tricks.as_strided(a[7:], (7,), (8 * step,)) for a in arrays)
        y, dy = Y.copy(), np.linspace(0.2, 0.9, 7)
        derivative = made(f, x, y, passes=passes)
        # Whether the cell is another one is not known: only what is read first may be forwarded.
        assert ("stored = phi" in derivative.text) == (f is upwards and bool(passes))
        derivative.dispatcher(x, y, dx, dy)
        found.append(np.concatenate([dx, dy, arrays[0], y]))
    np.testing.assert_allclose(*found, rtol=1e-12)
