"""The rules of `np.linalg`: forward and reverse against finite differences, values as NumPy has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.testing import check_derivatives

RNG = np.random.default_rng(20261121)
SQUARE = RNG.uniform(-1, 1, (3, 3)) + 2 * np.eye(3)
POSITIVE = SQUARE @ SQUARE.T
DISTINCT = np.diag([1.0, 2.5, 4.0]) + 0.2 * RNG.uniform(-1, 1, (3, 3))
TALL, WIDE = RNG.uniform(-1, 1, (4, 2)), RNG.uniform(-1, 1, (2, 4))


def solve_vector(a, b):
    return np.linalg.solve(a, b)


def inverse(a):
    return np.linalg.inv(a)


def determinant(a):
    return np.linalg.det(a)


def sign_and_logarithm(a):
    return np.linalg.slogdet(a)


def pseudo_inverse(a):
    return np.linalg.pinv(a)


def least_squares(a, b):
    x, residuals, _, s = np.linalg.lstsq(a, b)
    return x, residuals, s


def cholesky(a):
    return np.linalg.cholesky(a)


def orthogonal_triangular(a):
    return np.linalg.qr(a)


def hermitian_eigenpairs(a):
    return np.linalg.eigh(a)


def hermitian_eigenvalues(a):
    return np.linalg.eigvalsh(a)


def eigenpairs(a):
    return np.linalg.eig(a)


def eigenvalues(a):
    return np.linalg.eigvals(a)


def reduced_singular_triples(a):
    return np.linalg.svd(a, False)


def projectors_of_full_triples(a):
    u, s, vh = np.linalg.svd(a)
    k = s.size
    rest, kernel = np.ascontiguousarray(u[:, k:]), np.ascontiguousarray(vh[k:])
    return s, np.dot(rest, rest.T), np.dot(kernel.T, kernel)


def norms(a):
    return np.linalg.norm(a, 2), np.linalg.norm(a, -2), np.linalg.norm(a)


def condition(a):
    return np.linalg.cond(a)


def power(a):
    b = np.linalg.matrix_power(a, 3)
    return b + np.linalg.matrix_power(a, -2)


CASES = [
    (solve_vector, (SQUARE, RNG.uniform(-1, 1, 3))),
    (solve_vector, (SQUARE, RNG.uniform(-1, 1, (3, 2)))),
    (inverse, (SQUARE,)),
    (inverse, (np.asfortranarray(SQUARE),)),
    (determinant, (SQUARE,)),
    (determinant, (np.array([[1.0, 2.0], [2.0, 4.0]]),)),
    (sign_and_logarithm, (SQUARE[::-1].copy(),)),
    (pseudo_inverse, (TALL,)),
    (pseudo_inverse, (WIDE,)),
    (least_squares, (TALL, RNG.uniform(-1, 1, 4))),
    (least_squares, (TALL, RNG.uniform(-1, 1, (4, 2)))),
    (least_squares, (WIDE, RNG.uniform(-1, 1, 2))),
    (cholesky, (POSITIVE,)),
    (orthogonal_triangular, (SQUARE,)),
    (orthogonal_triangular, (TALL,)),
    (orthogonal_triangular, (WIDE,)),
    (hermitian_eigenpairs, (POSITIVE,)),
    (hermitian_eigenvalues, (POSITIVE,)),
    (eigenpairs, (DISTINCT,)),
    (eigenvalues, (DISTINCT,)),
    (reduced_singular_triples, (SQUARE,)),
    (reduced_singular_triples, (TALL,)),
    (reduced_singular_triples, (WIDE,)),
    (projectors_of_full_triples, (TALL,)),
    (projectors_of_full_triples, (WIDE,)),
    (norms, (TALL,)),
    (condition, (SQUARE,)),
    (power, (SQUARE,)),
]


def _name(case: tuple[Callable[..., Any], tuple[Any, ...]]) -> str:
    return f"{case[0].__name__}-{'x'.join(map(str, case[1][0].shape))}"


def _sorted() -> Iterator[Any]:
    """Yield all cases; but for the first of some functions, they are left to the long run."""
    quick = [
        solve_vector,
        inverse,
        sign_and_logarithm,
        cholesky,
        orthogonal_triangular,
        hermitian_eigenpairs,
    ]
    for case in CASES:
        slow = case[0] not in quick
        if not slow:
            quick.remove(case[0])
        yield pytest.param(case, id=_name(case), marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize("case", list(_sorted()))
def test_rule_agrees_with_finite_differences(case: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    function, arguments = case
    check_derivatives(numba.njit(function), *arguments)


def test_singular_matrix_raises_as_numpy_does() -> None:
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    with pytest.raises(np.linalg.LinAlgError):
        cz.grad(lambda a: np.sum(np.linalg.inv(a)))(singular)
    with pytest.raises(np.linalg.LinAlgError):
        cz.grad(lambda a: np.sum(np.linalg.cholesky(a)))(-POSITIVE)


def test_solution_of_a_system_has_the_known_cotangents() -> None:
    a, b = np.array([[2.0, 3.0], [5.0, 7.0]]), np.array([11.0, 13.0])
    _, pullback = cz.vjp(solve_vector, a, b)
    a_bar, b_bar = pullback(np.array([17.0, 19.0]))
    np.testing.assert_allclose(a_bar, [[-912, 696], [494, -377]], rtol=1e-10)
    np.testing.assert_allclose(b_bar, [-24, 13], rtol=1e-10)


def test_gradient_of_the_logarithm_of_the_determinant_is_the_inverse_transposed() -> None:
    gradient = cz.grad(lambda a: np.linalg.slogdet(a)[1])(SQUARE)
    np.testing.assert_allclose(gradient, np.linalg.inv(SQUARE).T, rtol=1e-10)
