"""What an iteration read of a scratch array before it filled it was taken for what it fills it with later."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coenzyme.testing import check_derivatives


def product_with_the_row_before(x: NDArray[np.float64]) -> float:
    n, m = x.shape
    scratch = np.zeros(m)
    total = 0.0
    for i in range(n):
        left_over = scratch[0]
        for j in range(m):
            scratch[j] = x[i, j] * x[i, j]
        for k in range(1, m):
            scratch[k] = scratch[k] * scratch[k - 1] * 0.9
        total += left_over * scratch[m - 1]
    return total


def test_scratch_that_is_read_before_it_is_filled_belongs_to_the_iteration_before() -> None:
    check_derivatives(product_with_the_row_before, np.linspace(0.5, 1.5, 12).reshape(3, 4))
