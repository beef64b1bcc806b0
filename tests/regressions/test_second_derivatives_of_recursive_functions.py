"""Memory that a caller had filled was taken to hold only what the function at hand did with it.

The gradient of a recursive function keeps records, which mix numbers with pointers. Told that such a record
held nothing but numbers, its derivative lost what the pointers lead to.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import coenzyme as cz

_nrt_python.memsys_enable_stats()


@nb.njit
def power(x, n):
    if n == 0:
        return 1.0
    return x * power(x, n - 1)


@nb.njit
def fifth(x):
    return power(x, 5)


@nb.njit
def product_of_sines(x, low, high):
    if high - low == 1:
        return np.sin(x[low])
    middle = (low + high) // 2
    return product_of_sines(x, low, middle) * product_of_sines(x, middle, high)


@nb.njit
def total(x):
    return product_of_sines(x, 0, x.size)


@nb.njit
def falls(x, n):
    if n < 1:
        return x * x
    return rises(x * x, n - 1)


@nb.njit
def rises(x, n):
    if n < 1:
        return x
    return np.exp(-falls(x, n - 1))


@nb.njit
def slope(x):
    return cz.jvp(fifth, (x,), (1.0,))[1]


@pytest.mark.parametrize("transform", [lambda f: cz.jacfwd(cz.grad(f)), lambda f: cz.grad(slope), cz.hessian])
def test_second_derivative_of_a_recursive_power(transform):
    assert transform(fifth)(1.7) == pytest.approx(20 * 1.7**3, rel=1e-13)


def test_hessian_of_a_recursive_product():
    x = np.array([0.3, 1.1, 2.0, 0.7, 1.4])
    value, cot = np.prod(np.sin(x)), 1.0 / np.tan(x)
    expected = value * (np.outer(cot, cot) - np.diag(cot * cot + 1.0))
    np.testing.assert_allclose(cz.hessian(total)(x), expected, rtol=1e-12)
    np.testing.assert_allclose(cz.hvp(total, x, x), expected @ x, rtol=1e-12)


def test_second_derivative_of_functions_that_call_each_other():
    # exp(-x⁴ ...) by hand: falls(x, 2) = rises(x², 1) = exp(-falls(x², 0)) = exp(-x⁴)
    x = 0.8
    expected = (16 * x**6 - 12 * x**2) * np.exp(-(x**4))
    assert cz.hessian(lambda x: falls(x, 2))(x) == pytest.approx(expected, rel=1e-12)


def test_records_are_freed_once_by_the_reverse_sweep_of_a_gradient():
    """The gradient frees a record elsewhere than it allocates it; it was freed here and there."""
    x = np.array([0.3, 1.1, 2.0, 0.7, 1.4])
    assert cz.jacrev(cz.grad(fifth))(1.7) == pytest.approx(20 * 1.7**3, rel=1e-13)
    assert cz.grad(cz.grad(lambda x: falls(x, 2)))(0.8) == pytest.approx(
        (16 * 0.8**6 - 12 * 0.8**2) * np.exp(-(0.8**4)), rel=1e-12
    )
    np.testing.assert_allclose(cz.jacrev(cz.grad(total))(x), cz.hessian(total)(x), rtol=1e-12)


@nb.njit
def of_shorter_copies(x, first):
    if first == x.size:
        return 0.0
    rest = x[first:] * 2.0
    return np.sin(x[first]) * rest[0] + of_shorter_copies(x, first + 1)


def test_reverse_over_reverse_of_a_recursive_function_with_local_arrays_leaks_nothing():
    x = np.array([0.3, 1.1, 0.7])
    hessian = cz.jacrev(cz.grad(of_shorter_copies))
    np.testing.assert_allclose(hessian(x, 0), 2 * np.diag(2 * np.cos(x) - x * np.sin(x)), rtol=1e-12)

    def live():
        statistics = rtsys.get_allocation_stats()
        return statistics.mi_alloc - statistics.mi_free, statistics.alloc - statistics.free

    before = live()
    for _ in range(100):
        hessian(x, 0)
    assert live() == before
