"""The plain derivative wanted to tape the pair of a product of sizes and its overflow, which is no value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

import coenzyme as cz


@njit
def reshaped(w: Any, b: Any, n: int) -> float:
    """Sum over arrays whose sizes are multiplied in a loop."""
    s = 0.0
    for i in range(n):
        a = w.reshape((-1, 1)) * b * (i + 1)
        s += np.sum(np.exp(-a * a)) + np.sum(np.sum(a, axis=0) ** 2)
        c = a.copy()
        s += (c / (1.0 + a * a)).sum()
    return s


def test_products_of_sizes_are_computed_again_by_the_plain_derivative() -> None:
    w, b = np.array([0.1, -0.4, 0.7]), np.array([0.3, 0.9])
    quick = cz.grad(reshaped, argnums=(0, 1))(w, b, 2)
    with cz.debug.tape_everything():
        plain = cz.grad(reshaped, argnums=(0, 1))(w, b, 2)
    for k in (0, 1):
        np.testing.assert_allclose(quick[k], plain[k], rtol=1e-12)
