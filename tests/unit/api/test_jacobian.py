"""Jacobians in both directions."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, UnsupportedIRError

X = np.array([1.0, 2.0, 3.0])
JACOBIANS = [cz.jacfwd, cz.jacrev, cz.jacobian]


@nb.njit
def neighbours(x, a):
    return a * x[:-1] * x[1:]


@pytest.mark.parametrize("transform", JACOBIANS)
def test_jacobians_with_respect_to_array_and_number(transform):
    by_x, by_a = transform(neighbours, (0, 1))(X, 2.0)
    np.testing.assert_allclose(by_x, [[4.0, 2.0, 0.0], [0.0, 6.0, 4.0]])
    np.testing.assert_allclose(by_a, [2.0, 6.0])


@pytest.mark.parametrize("transform", JACOBIANS)
def test_shape_is_that_of_the_value_and_then_of_the_argument(transform):
    def outer(x):
        return x.reshape(2, 3, 1) * x[0, 0]

    x = np.arange(1.0, 7.0).reshape(2, 3)
    found = transform(outer)(x)
    assert found.shape == (2, 3, 1, 2, 3)


@pytest.mark.parametrize("transform", JACOBIANS)
@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        pytest.param(lambda x: x * x, 3.0, 6.0, id="number to number"),
        pytest.param(lambda x: (x * x).sum(), X, 2 * X, id="array to number"),
        pytest.param(lambda t: np.array([t, t * t]), 3.0, [1.0, 6.0], id="number to array"),
        pytest.param(lambda x: 2 * x, X[:0], np.zeros((0, 0)), id="empty"),
        pytest.param(lambda x: x * x, np.array([1, 2], np.float32), [[2, 0], [0, 4]], id="float32"),
    ],
)
def test_jacobian_of_every_kind_of_function(transform, f, x, expected):
    found = transform(f)(x)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("transform", JACOBIANS)
def test_side_effects_happen_once(transform):
    def f(x, log):
        for i in range(x.size):
            x[i] *= 2.0
        log[0] += 1
        return x * x

    x, log = np.array([1.0, 2.0]), np.zeros(1, np.int64)
    np.testing.assert_allclose(transform(f)(x, log), [[8.0, 0.0], [0.0, 16.0]])
    np.testing.assert_array_equal(x, [2.0, 4.0])
    assert log[0] == 1


def test_jacobian_of_a_gradient_is_the_hessian():
    gradient = cz.grad(lambda x: (x**3).sum())
    np.testing.assert_allclose(cz.jacfwd(gradient)(X), np.diag(6 * X))


def test_jacobian_with_respect_to_a_tuple_is_refused():
    with pytest.raises(UnsupportedIRError, match="tuple"):
        cz.jacfwd(lambda p: p[0] * p[1])((1.0, X))


def test_jacobian_of_a_tuple_is_refused():
    with pytest.raises(ActivityError, match="returns UniTuple"):
        cz.jacrev(lambda x: (x, x))(1.0)


def test_unknown_mode_is_refused():
    with pytest.raises(ActivityError, match="sideways"):
        cz.jacobian(neighbours, mode="sideways")
