"""The Hessian of ``y·√x`` at y = 0 lacked ∂²/∂x∂y: an adjoint that was 0 there was taken for a constant."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

import coenzyme as cz


@numba.njit
def root(x: Any) -> Any:
    return x[1] * math.sqrt(x[0])


@numba.njit
def quotient(x: Any) -> Any:
    return x[1] / x[0]


@numba.njit
def loop_of_logarithms(x: Any) -> Any:
    s = 0.0
    for _ in range(2):
        s += x[1] * math.log(x[0])
    return 0.5 * s


@pytest.mark.parametrize(
    ("f", "mixed"),
    [(root, 0.25), (quotient, -1 / 16), (loop_of_logarithms, 0.25)],
    ids=["root", "quotient", "logarithm"],
)
def test_a_factor_that_is_zero_has_a_derivative(f: Callable[..., Any], mixed: float) -> None:
    found = cz.hessian(f)(np.array([4.0, 0.0]))
    np.testing.assert_allclose(found, [[0.0, mixed], [mixed, 0.0]], atol=1e-15)
