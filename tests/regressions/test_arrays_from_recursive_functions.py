"""An array that a function kept out of line returns was freed before the reverse sweep read it again.

The caller saw no allocation, so that nothing kept the block; what came to lie there was taken for indices.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from coenzyme.testing import check_derivatives

X = np.array([0.7, 1.3, 0.4, 2.1, 1.7, 0.9])


@numba.njit
def shuffled(n):
    if n <= 1:
        return np.zeros(6, np.int64)
    before = shuffled(n - 1)
    after = np.empty(6, np.int64)
    for i in range(6):
        after[i] = (before[i] * 2 + i + n) % 6
    return after


@numba.njit
def weights(w, n):
    if n <= 1:
        return w * 2.0
    return weights(w, n - 1) + 1.0


@numba.njit
def uses_both(x, w, n):
    s = 0.0
    for k in range(3):
        order, factor = shuffled(n + k), weights(w, 2 + k)
        for i in range(order.size):
            s += 0.01 * x[order[i]] * math.sin(s + x[i]) * factor[i]
    # Blocks of the same size take the place of those freed.
    for k in range(5):
        other = np.full(6, 10**12 * k)
        s += other[2] * 1e-13
    return s


def test_returned_arrays_are_remembered() -> None:
    assert check_derivatives(uses_both, X, np.arange(6.0), 4, argnums=0).conclusive
