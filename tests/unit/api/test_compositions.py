"""Derivatives of derivatives, in every order of the modes."""

from __future__ import annotations

import math
from itertools import product

import numba as nb
import numpy as np
import pytest

import coenzyme as cz

# --- functions of a number: each of F and R is one differentiation


def forward(f):
    @nb.njit
    def slope(x):
        return cz.jvp(f, (x,), (1.0,))[1]

    return slope


STEPS = {"F": forward, "R": cz.grad}
SECOND, THIRD = (["".join(steps) for steps in product("FR", repeat=n)] for n in (2, 3))


@nb.njit
def wave(x):
    return np.sin(x) * np.exp(x)


@nb.njit
def series(x):
    total = term = x
    i = 1
    while abs(term) > 1e-14:
        i += 1
        term = term * x / i
        total += term
    return total


@nb.njit
def polynomial(x):
    value = 1.0
    for i in range(4):
        value = value * x + i
    return value


@nb.njit
def chosen(x):
    return x**4 if x > 1.0 else x**3


@nb.njit
def early_exit(x):
    total = 0.0
    for i in range(100):
        total += i * x**3
        if total > 50.0:
            break
    return total


@nb.njit
def through_memory(x):
    a = np.empty(3)
    a[0] = x
    a[1] = x * x
    a[2] = a[0] * a[1]
    return a.sum() + (a * a).sum()


POINT = 1.7
EXACT = {
    wave: lambda n: 2 ** (n / 2) * math.exp(POINT) * math.sin(POINT + n * math.pi / 4),
    series: lambda n: math.exp(POINT),
    polynomial: lambda n: np.poly1d([1, 0, 1, 2, 3]).deriv(n)(POINT),
    chosen: lambda n: np.poly1d([1, 0, 0, 0, 0]).deriv(n)(POINT),
    early_exit: lambda n: np.poly1d([15, 0, 0, 0]).deriv(n)(POINT),
    through_memory: lambda n: np.poly1d([1, 0, 1, 1, 2, 1, 0]).deriv(n)(POINT),
}


def check(f, order):
    derivative = f
    for step in order:
        derivative = STEPS[step](derivative)
    assert derivative(POINT) == pytest.approx(EXACT[f](len(order)), rel=1e-10)


@pytest.mark.parametrize("order", SECOND)
@pytest.mark.parametrize("f", EXACT, ids=lambda f: f.__name__)
def test_second_derivative_of_a_number(f, order):
    check(f, order)


@pytest.mark.parametrize("order", THIRD)
@pytest.mark.parametrize("f", [series, through_memory], ids=lambda f: f.__name__)
def test_third_derivative_of_a_number(f, order):
    check(f, order)


@pytest.mark.parametrize("outer", "FR")
@pytest.mark.parametrize("inner", "FR")
def test_nested_differentiation_does_not_confuse_perturbations(outer, inner):
    @nb.njit
    def shifted(y, x):
        return x + y

    if inner == "F":

        @nb.njit
        def f(x):
            return x * cz.jvp(shifted, (1.0, x), (1.0, 0.0))[1]
    else:
        slope = cz.grad(shifted)

        @nb.njit
        def f(x):
            return x * slope(1.0, x)

    assert STEPS[outer](f)(1.0) == 1.0


# --- functions of an array: the Hessian by columns and by rows, times a vector


@nb.njit
def sine(x):
    return np.sin(x[0] * x[1])


@nb.njit
def two_sums(x):
    return (x**4).sum() * (x**6).sum()


@nb.njit
def norms(x):
    return np.sqrt((x * x).sum()) ** 3 * x[4] + x[0] * x[0]


X5 = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
H5V = [1164.881764812144, 1749.5486430921133, 2346.2155213720825, 2942.882399652052, 6431.86668789933]
CASES = [
    pytest.param(sine, [2.0, 3.0], [5.0, 2.7], [19.6926882637302, 16.2010037597680], id="sine"),
    pytest.param(two_sums, [1.0, 2.0], [1.0, 0.0], [1338.0, 960.0], id="two sums"),
    pytest.param(norms, X5, [6.0, 7.0, 8.0, 9.0, 10.0], H5V, id="norms"),
]


@pytest.mark.parametrize("outer", [cz.jacfwd, cz.jacrev])
@pytest.mark.parametrize("inner", [cz.jacfwd, cz.jacrev])
@pytest.mark.parametrize(("f", "x", "v", "expected"), CASES)
def test_hessian_by_every_pair_of_modes(outer, inner, f, x, v, expected):
    hessian = outer(inner(f))(np.array(x))
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(hessian @ v, expected, rtol=1e-10)


@pytest.mark.parametrize(("f", "x", "v", "expected"), CASES)
def test_product_with_the_hessian_by_every_pair_of_modes(f, x, v, expected):
    x, v = np.array(x), np.array(v)

    @nb.njit
    def slope(x):
        return cz.jvp(f, (x,), (v,))[1]

    forward_over_reverse = cz.jvp(cz.grad(f), (x,), (v,))[1]
    reverse_over_forward = cz.grad(slope)(x)
    reverse_over_reverse = cz.vjp(cz.grad(f), x)[1](v)[0]
    for found in (forward_over_reverse, reverse_over_forward, reverse_over_reverse):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_gradient_of_the_product_of_two_sums():
    np.testing.assert_allclose(cz.grad(two_sums)(np.array([1.0, 2.0])), [362.0, 5344.0], rtol=1e-13)
