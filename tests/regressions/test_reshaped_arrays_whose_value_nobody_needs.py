"""A gradient without the value lost the shape that Numba's runtime reads to reshape an array: it raised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import coenzyme as cz


def product_of_two_entries(x: NDArray[np.float64], y: NDArray[np.float64], size: int) -> float:
    return x.reshape(size * size)[2] * y[0]


def test_gradient_through_a_reshaped_array_needs_its_shape() -> None:
    x, y = np.arange(1.0, 10.0).reshape(3, 3), np.array([2.0, 5.0])
    of_x, of_y = cz.grad(product_of_two_entries, argnums=(0, 1))(x, y, 3)
    np.testing.assert_array_equal(of_x, [[0, 0, 2], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(of_y, [3, 0])
