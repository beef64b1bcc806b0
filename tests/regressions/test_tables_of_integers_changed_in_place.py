"""Integers found again, if some facts about the arguments hold, stopped the engine at an assertion."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from coenzyme.testing import check_derivatives


@njit
def chosen_by_a_table(x: NDArray[np.float64], table: NDArray[np.int64], n: int) -> float:
    total = 0.0
    for i in range(n):
        for j in range(i):
            total += x[table[i, j] % 7] * x[table[j, j] % 7] * x[i]
            table[i, j] = table[j, j] + table[i, j]
        table[i, i] += 1
    return total


@pytest.mark.parametrize(
    "shape", [pytest.param((6, 6), id="columns inside rows"), pytest.param((20, 3), id="columns beyond rows")]
)
def test_choices_by_a_table_that_the_loop_changes_are_those_of_the_primal(shape: tuple[int, int]) -> None:
    table = np.arange(shape[0] * shape[1]).reshape(shape)
    check_derivatives(chosen_by_a_table, np.linspace(0.5, 1.5, 9), table, 5, argnums=0)
