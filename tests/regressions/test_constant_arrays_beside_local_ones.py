"""A recursive function was refused a local array beside a constant one: it might have linked them."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from coenzyme.testing import check_derivatives


@numba.njit
def _product(array: Any, places: Any, count: int) -> float:
    if count == 0:
        return 0.5
    return array[places[count]] * _product(array, places, count - 1)


def _product_of_a_copy(x: Any, places: Any) -> float:
    return _product(x * x, places, 3)


def test_a_recursive_function_may_index_a_local_array_by_a_constant_one() -> None:
    assert check_derivatives(
        _product_of_a_copy, np.array([0.5, 2.0, 3.0]), np.array([0, 2, 1, 2]), argnums=0
    ).conclusive
