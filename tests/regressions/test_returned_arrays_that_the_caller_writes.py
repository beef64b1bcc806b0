"""A function kept out of line reads in its sweep an array that it returned, and its caller wrote to."""

from __future__ import annotations

import numba as nb
import numpy as np

import coenzyme as cz


@nb.njit
def sines(x, n):
    if n > 0:
        return sines(x, n - 1)
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = np.sin(x[i])
    total = np.zeros(1)
    for i in range(x.size):
        total[0] += y[i] * y[i] * y[i]
    return y, total


def overwritten(x, n):
    y, total = sines(x, n)
    for i in range(y.size):
        y[i] = 5.0
    return total[0]


def test_array_written_by_the_caller_is_taped_by_the_callee() -> None:
    x = np.array([1.0, 2.0, 3.0])
    for n in (0, 1, 3):
        np.testing.assert_allclose(cz.grad(overwritten)(x, n), 3.0 * np.sin(x) ** 2 * np.cos(x), rtol=1e-13)
