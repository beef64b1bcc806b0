"""A rod that conducts better where it is hot: steady temperatures by Newton's method, in a fit to data.

The temperatures u solve (k(u) u')' + q = 0 with k(u) = a + b u², on a grid, u = 0 at both ends. The misfit of
u to measurements is differentiated by a, b and the heat source q: by the equation, not by Newton's steps.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.testing import check_derivatives

N = 12
H = 1.0 / (N + 1)


@nb.njit
def imbalance(u, a, b, q):
    """Return what flows into each cell, and is made in it."""
    out = np.empty(u.size)
    for i in range(u.size):
        left = u[i - 1] if i > 0 else 0.0
        right = u[i + 1] if i + 1 < u.size else 0.0
        from_left = (a + b * (0.5 * (left + u[i])) ** 2) * (left - u[i])
        from_right = (a + b * (0.5 * (right + u[i])) ** 2) * (right - u[i])
        out[i] = (from_left + from_right) / H + H * q[i]
    return out


@nb.njit
def solve_tridiagonal(matrix, b):
    """Solve a system with a tridiagonal matrix by Thomas's algorithm."""
    n = b.size
    x, diagonal = b.copy(), np.empty(n)
    diagonal[0] = matrix[0, 0]
    for i in range(1, n):
        factor = matrix[i, i - 1] / diagonal[i - 1]
        diagonal[i] = matrix[i, i] - factor * matrix[i - 1, i]
        x[i] -= factor * x[i - 1]
    x[n - 1] /= diagonal[n - 1]
    for i in range(n - 2, -1, -1):
        x[i] = (x[i] - matrix[i, i + 1] * x[i + 1]) / diagonal[i]
    return x


jacobian = cz.jacfwd(imbalance)


@nb.njit
def temperatures(a, b, q):
    u = np.zeros(q.size)
    for _ in range(30):
        step = solve_tridiagonal(jacobian(u, a, b, q), imbalance(u, a, b, q))
        u -= step
        if np.max(np.abs(step)) < 1e-14:
            break
    return u


@pytest.mark.slow
def test_a_model_with_a_solver_inside_is_fitted_by_the_gradient_of_its_equation() -> None:
    steady = cz.rules.implicit_function(temperatures, imbalance, solve_tridiagonal)
    grid = np.linspace(H, 1.0 - H, N)
    q = 8.0 + 4.0 * np.sin(3.0 * grid)
    measured = temperatures(1.0, 0.5, q)

    @nb.njit
    def misfit(a, b, q):
        difference = steady(a, b, q) - measured
        return 0.5 * (difference * difference).sum()

    assert check_derivatives(misfit, 1.4, 0.2, q, seeds=(0,)).conclusive
    gradient = cz.grad(misfit, argnums=(0, 1))
    hessian = cz.hessian(misfit, argnums=(0, 1))
    a, b = 1.1, 0.4
    for _ in range(8):
        slope = np.array(gradient(a, b, q))
        a, b = np.array([a, b]) - np.linalg.solve(np.array(hessian(a, b, q)), slope)
    assert (a, b) == (pytest.approx(1.0, abs=1e-9), pytest.approx(0.5, abs=1e-9))
