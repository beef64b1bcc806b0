"""Copies that a Jacobian makes of its arguments were addressed by numbers, which hid whose memory that is."""

from __future__ import annotations

import numpy as np
import pytest

import coenzyme as cz

X = np.array([1.0, 2.0, 3.0])


def cube_by_first(x):
    return x * x * x[0]


def expected():
    found = np.zeros((3, 3, 3))
    for i in range(3):
        found[i, i, i] += 2.0 * X[0]
        found[i, i, 0] += 2.0 * X[i]
        found[i, 0, i] += 2.0 * X[i]
    return found


@pytest.mark.parametrize("inner", [cz.jacfwd, cz.jacrev])
@pytest.mark.parametrize("outer", [cz.jacfwd, cz.jacrev])
def test_jacobian_of_the_jacobian_of_an_array_function(outer, inner):
    np.testing.assert_allclose(outer(inner(cube_by_first))(X), expected(), rtol=1e-13)


@pytest.mark.parametrize("outer", [cz.jacfwd, cz.jacrev])
def test_jacobian_of_the_jacobian_at_a_strided_argument(outer):
    x = np.zeros((3, 2), order="F")[::-1, 1]
    x[:] = X
    np.testing.assert_allclose(outer(cz.jacfwd(cube_by_first))(x), expected(), rtol=1e-13)
