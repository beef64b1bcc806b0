"""Loads that are read again where the arguments are as a proof supposes, and taped where they are not."""

from __future__ import annotations

import numba as nb
import numpy as np

from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.analysis.tape import Keep
from tests.unit.derive.shapes import agree, plan_of


@nb.njit
def factor(a, n):
    for i in range(n):
        for j in range(i):
            for k in range(j):
                a[i, j] -= a[i, k] * a[j, k]
            a[i, j] /= a[j, j]
        for k in range(i):
            a[i, i] -= a[i, k] * a[i, k]
        a[i, i] = np.sqrt(a[i, i])


def matrix(rows: int, columns: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.uniform(0.1, 0.3, (rows, columns)) + 9.0 * np.eye(rows, columns)


def how(passes: frozenset[Pass]) -> set[Keep]:
    return {
        keep
        for value, keep in plan_of(factor, matrix(4, 4), 4, passes=passes).tape.keep.items()
        if value.type.is_float
    }


def test_rows_that_are_done_are_read_again_where_columns_lie_within_rows() -> None:
    assert Keep.EITHER in how(ALL_PASSES)
    assert Keep.EITHER not in how(ALL_PASSES - {Pass.SURVIVAL})
    agree(factor, matrix(5, 5), 5)
    agree(factor, matrix(5, 7), 5)


def test_columns_beyond_the_end_of_a_row_are_taped() -> None:
    # The fourth column is the first one of the next row, which is written later. There are rows enough.
    a = matrix(30, 3)
    a.reshape(-1)[::4] = 9.0
    for n in (4, 7):
        agree(factor, a, n)
