"""A function with a rule lost its name where a primal and a derivative that call it came together."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz

M = np.array([[4.0, 1.0, 0.5], [0.3, 3.0, 1.0], [1.0, 0.2, 5.0]])
X = np.array([1.1, 2.0, 0.7])
PAIRS = [(outer, inner) for outer in (cz.jacfwd, cz.jacrev) for inner in (cz.jacfwd, cz.jacrev)]


@nb.njit
def log_determinant(x):
    return np.log(np.linalg.det(M + np.diag(x)))


@nb.njit
def quadratic_form(x):
    return (x * np.linalg.solve(M, x)).sum()


@pytest.mark.parametrize(
    ("outer", "inner"),
    [pytest.param(*pair, marks=pytest.mark.slow) for pair in PAIRS],
)
def test_second_derivative_of_the_logarithm_of_a_determinant(outer, inner):
    inverse = np.linalg.inv(M + np.diag(X))
    # An entry that is small by cancellation has the rounding of the large ones.
    np.testing.assert_allclose(outer(inner(log_determinant))(X), -inverse * inverse.T, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("outer", "inner"), [(cz.jacfwd, cz.jacfwd), (cz.jacrev, cz.jacrev)])
def test_second_derivative_through_a_linear_solve(outer, inner):
    inverse = np.linalg.inv(M)
    np.testing.assert_allclose(outer(inner(quadratic_form))(X), inverse + inverse.T, rtol=1e-11, atol=1e-12)


def test_second_derivative_of_a_determinant_with_equal_singular_values():
    expected = np.zeros((2, 2, 2, 2))
    expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1.0
    expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1.0
    found = cz.hessian(lambda a: 1.0 * np.linalg.det(a))(np.eye(2))
    np.testing.assert_allclose(found, expected, atol=1e-15)
