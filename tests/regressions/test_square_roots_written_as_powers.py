"""LLVM writes x**0.5 as |sqrt(x)|; the kink of the absolute value at 0 hid the infinite slope of the root."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz


@nb.njit
def root(x):
    return x**0.5


def test_slope_of_a_root_written_as_a_power_is_infinite_at_zero_in_both_modes():
    assert cz.grad(root)(0.0) == np.inf
    assert cz.jvp(root, (0.0,), (1.0,)) == (0.0, np.inf)
    assert cz.jvp(root, (np.float32(0.0),), (np.float32(1.0),)) == (0.0, np.inf)


def test_values_and_slopes_elsewhere_are_those_of_the_square_root():
    for x in (0.25, 4.0, 1e-300):
        assert cz.value_and_grad(root)(x) == (np.sqrt(x), pytest.approx(0.5 / np.sqrt(x), rel=1e-15))
    value, _ = cz.value_and_grad(root)(-0.0)
    assert (value, np.copysign(1.0, value)) == (0.0, 1.0)


def test_complex_root_has_an_infinite_slope_at_zero():
    value, slope = cz.jvp(lambda z: z**0.5, (0j,), (1.0,))
    assert (value, slope.real) == (0.0, np.inf)
