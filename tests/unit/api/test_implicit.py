"""Solutions of equations are differentiated by the equation: against finite differences of the solver."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, CompilationError
from coenzyme.testing import check_rule


@nb.njit
def root_by_newton(a, tries):
    y = a
    for _ in range(tries):
        y -= (y * y - a) / (2.0 * y)
    return y


def make_root() -> Any:
    return cz.rules.implicit_function(root_by_newton, lambda y, a, tries: y * y - a)


def test_a_root_has_the_derivatives_of_its_equation() -> None:
    root = make_root()
    assert root(9.0, 20) == 3.0
    assert check_rule(root, 9.0, 20, seed=1).conclusive
    assert cz.grad(cz.grad(root))(9.0, 20) == pytest.approx(-0.25 * 9.0**-1.5)
    assert cz.jvp(cz.grad(root), (9.0, 20), (1.0, None))[1] == pytest.approx(-0.25 * 9.0**-1.5)


def test_a_complex_root_has_complex_derivatives() -> None:
    assert check_rule(make_root(), 3.0 + 1.0j, 20, seed=1, modes=["forward", "reverse"], widths=[1])


def test_a_residual_that_is_not_holomorphic_is_refused() -> None:
    solve = cz.rules.implicit_function(lambda a: 0.5 * a, lambda y, a: y + np.conj(y).real - a.real + 0.0j)
    with pytest.raises(ValueError, match="not holomorphic"):
        cz.jvp(solve, (1.0 + 0.0j,), (1.0 + 0.0j,))
    with pytest.raises(ValueError, match="not holomorphic"):
        cz.vjp(solve, 1.0 + 0.0j)


def test_the_solver_itself_is_not_differentiated() -> None:
    def bisect(p):
        low, high = 0.0, 4.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            if middle**3 + middle > p:
                high = middle
            else:
                low = middle
        return low

    assert cz.grad(bisect)(10.0) == 0.0
    solve = cz.rules.implicit_function(bisect, lambda y, p: y**3 + y - p)
    assert cz.grad(lambda p: solve(p) ** 2)(10.0) == pytest.approx(2 * 2 / (3 * 2**2 + 1), rel=1e-12)


@nb.njit
def smooth(y, w, b):
    out = np.empty(y.size)
    for i in range(y.size):
        out[i] = np.tanh(w * y[i - 1] + b[i])
    return out


@nb.njit
def fixed_point(w, b):
    y = np.zeros(b.size)
    for _ in range(200):
        y = smooth(y, w, b)
    return y


@nb.njit
def off_fixed_point(y, w, b):
    return y - smooth(y, w, b)


@nb.njit
def iterate(product, operands, b):
    """Solve (1 − G) x = b by x ← b + G x."""
    x = b.copy()
    for _ in range(200):
        x = x + b - product(operands, x)
    return x


B = np.array([0.3, -0.2, 0.5])


def test_a_fixed_point_needs_no_matrix() -> None:
    solve = cz.rules.implicit_function(fixed_point, off_fixed_point, iterate)
    assert check_rule(solve, 0.5, B, seed=1, modes=["forward", "reverse"], widths=[1]).conclusive


def test_two_arguments_may_be_one_array() -> None:
    def residual(y, p, q):
        return y * y * y - p * q

    @nb.njit
    def cube_root(p, q):
        return (p * q) ** (1.0 / 3.0)

    @nb.njit
    def divide(product, operands, b):
        return b / product(operands, np.ones_like(b))

    solve = cz.rules.implicit_function(cube_root, residual, divide)
    x = np.array([1.0, 2.0])
    expected = 2.0 / 3.0 * x ** (-1.0 / 3.0)
    np.testing.assert_allclose(cz.grad(lambda x: solve(x, x).sum())(x), expected)
    _, tangent = cz.jvp(lambda x: solve(x, x).sum(), (x,), (np.ones(2),))
    assert tangent == pytest.approx(expected.sum())


@pytest.mark.slow
def test_a_fixed_point_is_solved_for_with_a_matrix() -> None:
    free = cz.rules.implicit_function(fixed_point, off_fixed_point, iterate)
    dense = cz.rules.implicit_function(fixed_point, off_fixed_point)
    for got, expected in zip(
        *(cz.grad(lambda w, b, s=s: s(w, b).sum(), argnums=(0, 1))(0.5, B) for s in (dense, free)),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10)


@pytest.mark.slow
def test_the_linear_solver_is_the_users() -> None:
    @nb.njit
    def solve_lower_first(matrix, b):
        """Eliminate without pivots."""
        a, x, n = matrix.copy(), b.copy(), b.size
        for k in range(n):
            for i in range(k + 1, n):
                factor = a[i, k] / a[k, k]
                a[i] -= factor * a[k]
                x[i] -= factor * x[k]
        for i in range(n - 1, -1, -1):
            for j in range(i + 1, n):
                x[i] -= a[i, j] * x[j]
            x[i] /= a[i, i]
        return x

    solve = cz.rules.implicit_function(fixed_point, off_fixed_point, solve_lower_first)
    assert check_rule(solve, 0.5, B, seed=1, modes=["forward", "reverse"], widths=[1]).conclusive


def test_a_minimum_is_where_the_gradient_is_zero() -> None:
    @nb.njit
    def cost(y, p):
        return np.cosh(y - p) + 0.5 * y * y * p

    slope = cz.grad(cost)
    curvature = cz.grad(slope)

    @nb.njit
    def minimise(p):
        y = 0.0
        for _ in range(50):
            y -= slope(y, p) / curvature(y, p)
        return y

    best = cz.rules.implicit_function(minimise, slope)
    assert check_rule(best, 0.7, seed=1, modes=["forward", "reverse"], widths=[1]).conclusive


def test_parameters_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ActivityError, match="the residual takes 1 arguments, and should take 3"):
        cz.rules.implicit_function(root_by_newton, lambda y: y)
    with pytest.raises(ActivityError, match="the linear_solve takes 1 arguments"):
        cz.rules.implicit_function(root_by_newton, lambda y, a, tries: y, lambda b: b)


def test_a_residual_of_another_shape_is_refused() -> None:
    solve = cz.rules.implicit_function(fixed_point, lambda y, w, b: (y - smooth(y, w, b))[1:], iterate)
    with pytest.raises(ValueError, match="not shaped like its solution"):
        cz.grad(lambda w, b: solve(w, b).sum())(0.5, B)
    with pytest.raises(ValueError, match="not shaped like its solution"):
        cz.jvp(solve, (0.5, B), (1.0, B))


def test_a_solution_of_another_type_is_refused() -> None:
    solve = cz.rules.implicit_function(lambda p: (p, p), lambda y, p: (p, p))
    with pytest.raises(CompilationError, match="has no equation"):
        cz.grad(lambda p: solve(p)[0])(0.5)
