"""Values whose derivatives are ignored."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import CoenzymeError

X = np.array([1.0, 2.0, 3.0])


class Pair(NamedTuple):
    x: np.ndarray
    a: float
    n: int


@nb.njit
def half_square(x):
    return x * cz.ignore_derivatives(x)


@nb.njit
def weighted(x):
    w = cz.ignore_derivatives(np.exp(-x))
    return (w * x).sum()


@pytest.mark.parametrize("x", [3.0, np.float32(3.0)])
def test_a_number_becomes_a_constant_in_both_modes(x):
    assert half_square(x) == 9.0
    assert cz.grad(half_square)(x) == 3.0
    assert cz.jvp(half_square, (x,), (2.0,)) == (9.0, 6.0)


@pytest.mark.parametrize("outer", [cz.grad, cz.jacfwd])
@pytest.mark.parametrize("inner", [cz.grad, cz.jacfwd])
def test_a_constant_stays_one_to_the_second_derivative(outer, inner):
    assert outer(inner(half_square))(3.0) == 0.0
    cube = nb.njit(lambda x: x * x * cz.ignore_derivatives(x))
    assert outer(inner(cube))(3.0) == 6.0


def test_an_array_becomes_a_constant():
    np.testing.assert_allclose(cz.grad(weighted)(X), np.exp(-X), rtol=1e-14)
    _, slope = cz.jvp(weighted, (X,), (X,))
    assert slope == pytest.approx((np.exp(-X) * X).sum(), rel=1e-14)
    np.testing.assert_array_equal(cz.hessian(weighted)(X), np.zeros((3, 3)))


def test_the_copy_of_an_array_is_an_ordinary_array():
    def f(x):
        y = cz.ignore_derivatives(x)
        y[0] = x[0] * x[0]
        return y.sum()

    x = X.copy()
    np.testing.assert_allclose(cz.grad(f)(x), [2.0, 0.0, 0.0])
    np.testing.assert_array_equal(x, X)


def test_parts_of_tuples_become_constants():
    def f(x, a, n):
        p = cz.ignore_derivatives(Pair(x, a, n))
        y, (b,) = cz.ignore_derivatives((a, (2.0 * a,)))
        return (p.x * x).sum() * a + p.a * a**p.n + a * y + a * b

    by_x, by_a = cz.grad(f, (0, 1))(X, 2.0, 3)
    np.testing.assert_allclose(by_x, 2.0 * X)
    assert by_a == pytest.approx((X * X).sum() + 2.0 * 3 * 4.0 + 2.0 + 4.0)


def test_complex_numbers_become_constants():
    def f(x):
        z = cz.ignore_derivatives(x * (1.0 + 2.0j))
        return (z * x * 1j).real

    assert cz.grad(f)(3.0) == pytest.approx(-6.0)


def test_what_has_no_derivative_is_returned_as_it_is():
    n = np.arange(3)
    assert cz.ignore_derivatives(n) is n
    assert cz.ignore_derivatives("text") == "text"
    assert nb.njit(lambda n: cz.ignore_derivatives(n) + 1)(1) == 2


def test_outside_of_compiled_code_it_copies():
    pair = cz.ignore_derivatives(Pair(X, 2.0, 3))
    assert isinstance(pair, Pair)
    assert pair.x is not X
    np.testing.assert_array_equal(pair.x, X)
    assert cz.ignore_derivatives([1.0, (2.0,)]) == [1.0, (2.0,)]
    f_order = np.asfortranarray(np.ones((2, 3)))
    assert cz.ignore_derivatives(f_order).flags.f_contiguous


def test_other_containers_are_refused_in_compiled_code():
    @nb.njit
    def f(x):
        d = {1: x}
        return cz.ignore_derivatives(d)[1]

    with pytest.raises(CoenzymeError, match="ignored as a whole"):
        cz.grad(f)(1.0)


def test_it_may_be_the_first_name_that_is_used():
    code = """
import numba as nb, coenzyme as cz
@nb.njit
def f(x):
    return cz.ignore_derivatives(x)
print(f(3.0))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3.0", done.stderr
