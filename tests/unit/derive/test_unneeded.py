"""Stores that nobody asks for are left out of the forward sweep; what the reverse sweep reads stays."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

from tests.unit.derive.shapes import agree, made

X = np.linspace(0.5, 1.5, 6)
Y = np.linspace(1.0, 2.0, 6)
BOTH = frozenset({0, 1})


@nb.njit
def linear_steps(x, y):
    for _ in range(3):
        for i in range(1, x.size - 1):
            y[i] = 0.5 * (x[i - 1] + x[i + 1])
        for i in range(1, x.size - 1):
            x[i] = 0.25 * y[i]


@nb.njit
def steps(x, y):
    for _ in range(3):
        for i in range(1, x.size - 1):
            y[i] = x[i - 1] * x[i + 1]
        for i in range(1, x.size - 1):
            x[i] = 0.25 * y[i]


@nb.njit
def decided_by_values(x, y):
    for i in range(1, x.size):
        x[i] = x[i - 1] + y[i]
        if x[i] > 3.0:
            y[i] = 2.0 * y[i]


@nb.njit
def local(x, y):
    scratch = np.zeros(x.size)
    for i in range(x.size):
        scratch[i] = 3.0 * x[i]
    total = 0.0
    for i in range(x.size):
        total += scratch[i]
    return total


@nb.njit
def subscripts(x, y):
    y[0] = 2.0 * y[1]
    for i in range(x.size):
        x[i] = x[i] * y[int(y[0])]


def stores(f: Any, **options: Any) -> int:
    """Return how many stores of numbers to memory that is not on the stack of the derivative there are."""
    return made(f, X, Y, **options).text.count("store double %")


def test_linear_code_needs_no_forward_sweep() -> None:
    assert stores(linear_steps, unneeded=BOTH) < stores(linear_steps)
    agree(linear_steps, X, Y, unneeded=BOTH)


@pytest.mark.parametrize(
    "f", [steps, *(pytest.param(f, marks=pytest.mark.slow) for f in (decided_by_values, subscripts))]
)
def test_what_products_and_branches_read_again_is_computed(f: Any) -> None:
    agree(f, X, Y, unneeded=BOTH)


def test_one_array_may_be_needed_and_the_other_not() -> None:
    # The one that is needed reads the other.
    assert stores(linear_steps, unneeded=frozenset({0})) == stores(linear_steps)
    agree(steps, X, Y, unneeded=frozenset({0}))


@pytest.mark.slow
@pytest.mark.parametrize("f", [steps, linear_steps])
@pytest.mark.parametrize("unneeded", [frozenset({0}), frozenset({1}), frozenset[int]()])
def test_every_choice_of_what_is_needed(f: Any, unneeded: frozenset[int]) -> None:
    agree(f, X, Y, unneeded=unneeded)


def test_result_that_is_not_needed_takes_the_local_arrays_it_is_computed_from_with_it() -> None:
    assert stores(local, result_needed=False) < stores(local)
    agree(local, X, Y, result_needed=False)


@pytest.mark.slow
@pytest.mark.parametrize("disjoint", [True, False])
def test_arrays_that_may_overlap(disjoint: bool) -> None:
    agree(steps, X, Y, unneeded=frozenset({1}), disjoint=disjoint)
