"""Partial derivatives that users give by `defpartials`, and functions declared inactive."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, CompilationError

X, Y = 0.3, 0.7


@cz.rule
@nb.njit
def product(x, y):
    return x * x * y


product.defpartials(lambda x, y: (2 * x * y, x * x), check=(2.0, 3.0))


@cz.rule
@nb.njit
def root(x):
    if x < 0:
        raise ValueError("negative")
    return np.sqrt(x)


root.defpartials(lambda value, x: 0.5 / value, check=(2.0,))


@cz.rule
@nb.njit
def exponential(z, a):
    return np.exp(z * a)


exponential.defpartials(lambda v, z, a: a * v, lambda v, z, a: z * v, check=(0.3 + 0.4j, 2.0))


def in_numbers(f: Any) -> Any:
    return nb.njit(lambda x, y: np.sin(f(x, y) * x))


def in_a_loop(f: Any) -> Any:
    @nb.njit
    def total(x, y):
        s = y
        for i in range(4):
            s += f(x + s - 0.1 * i) * x
        return s

    return total


def in_complex(f: Any) -> Any:
    @nb.njit
    def g(x, y):
        w = f(complex(x, y), x * 1.5)
        return w.real * w.imag + 2 * w.real

    return g


CASES = [
    (in_numbers, product, nb.njit(lambda x, y: x * x * y)),
    (in_a_loop, root, nb.njit(lambda x: np.sqrt(x) + 0.0)),
    (in_complex, exponential, nb.njit(lambda z, a: np.exp(z * a))),
]


@pytest.mark.parametrize(("place", "ruled", "plain"), CASES, ids=["simple", "raising", "complex"])
def test_every_mode_and_order_follows_from_partials(place, ruled, plain):
    f, g = place(ruled), place(plain)
    assert f(X, Y) == pytest.approx(g(X, Y), rel=1e-15)
    assert cz.grad(f, argnums=(0, 1))(X, Y) == pytest.approx(cz.grad(g, argnums=(0, 1))(X, Y), rel=1e-13)
    assert cz.jvp(f, (X, Y), (1.0, 2.0)) == pytest.approx(cz.jvp(g, (X, Y), (1.0, 2.0)), rel=1e-13)
    assert cz.grad(cz.grad(f))(X, Y) == pytest.approx(cz.grad(cz.grad(g))(X, Y), rel=1e-12)
    second = cz.jvp(cz.grad(f), (X, Y), (1.0, 2.0))
    assert second == pytest.approx(cz.jvp(cz.grad(g), (X, Y), (1.0, 2.0)), rel=1e-12)


def test_third_derivatives_go_through_the_partials_too():
    f, g = (cz.grad(cz.grad(cz.grad(in_numbers(h)))) for h in (product, CASES[0][2]))
    assert f(X, Y) == pytest.approx(g(X, Y), rel=1e-12)


def test_several_directions_and_split_mode_use_partials():
    @nb.njit
    def f(x):
        return np.array([product(x[0], x[1]), root(x[1]) * x[2], root(product(x[2], x[0]))])

    x = np.array([0.3, 0.7, 1.1])
    step, expected = 1e-6, np.zeros((3, 3))
    for j in range(3):
        e = np.eye(3)[j] * step
        expected[:, j] = (f(x + e) - f(x - e)) / (2 * step)
    for jacobian in (cz.jacfwd, cz.jacrev):
        np.testing.assert_allclose(jacobian(f)(x), expected, rtol=1e-8, atol=1e-9)
    forward, reverse = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, f, cz.Duplicated, cz.Duplicated)
    dx = np.zeros(3)
    tape, _, seed = forward(cz.Duplicated(x, dx))
    seed[:] = [1.0, 2.0, 3.0]
    reverse(cz.Duplicated(x, dx), tape)
    np.testing.assert_allclose(dx, np.array([1.0, 2.0, 3.0]) @ expected, rtol=1e-8)


def test_partials_are_used_and_not_the_code():
    wrong = cz.rule(lambda x, n: x**n)
    wrong.defpartials(lambda x, n: 7.0 * x, None)
    assert cz.grad(wrong)(2.0, 3) == 14.0
    assert cz.grad(nb.njit(lambda x: wrong(x * x, 2)))(2.0) == 7.0 * 4.0 * 4.0
    assert cz.grad(cz.grad(wrong))(2.0, 3) == 7.0


def test_what_the_function_raises_comes_out():
    with pytest.raises(ValueError, match="negative"):
        cz.grad(in_a_loop(root))(-0.5, 0.1)


def test_single_precision_stays_single():
    f = nb.njit(lambda x, y: product(x, y) * x)
    x, y = np.float32(X), np.float32(Y)
    assert cz.grad(f)(x, y) == pytest.approx(3 * X * X * Y, rel=1e-6)


def test_partials_may_call_functions_with_partials():
    outer = cz.rule(lambda x: product(x, x))
    outer.defpartials(lambda x: 3 * product(x, 1.0))
    assert cz.grad(outer)(2.0) == 12.0
    assert cz.grad(cz.grad(outer))(2.0) == 12.0


def test_partials_that_are_not_right_are_refused_where_that_is_asked():
    f = cz.rule(lambda x: x * x)
    with pytest.raises(ActivityError, match=r"in x is 6.000006, and differences say 4"):
        f.defpartials(lambda x: 3.000003 * x, check=(2.0,))
    with pytest.raises(ActivityError, match="differences say 4"):
        f.defpartials(lambda x: 2.00001 * x, check=(2.0,))
    f.defpartials(lambda x: 2 * x, check=(2.0,))
    assert cz.grad(f)(3.0) == 6.0


def test_errors_of_definition_are_said_at_once():
    f = cz.rule(lambda x, y, z: x * y * z)
    with pytest.raises(ActivityError, match="2 partials are given for 3 arguments"):
        f.defpartials(lambda x, y, z: y * z, lambda x, y, z: x * z)
    with pytest.raises(ActivityError, match="takes 1 arguments, and should take 3"):
        f.defpartials(lambda x: (x, x, x))
    with pytest.raises(ActivityError, match="given a rule by defpartials before"):
        product.defjvp(lambda p, t: (p[0], t[0]))


@pytest.mark.parametrize(
    ("function", "partial", "argument", "message"),
    [
        (lambda x: x * x, lambda x: 2j * x, 1.0, "is complex and its value is not"),
        (lambda x: x * x, lambda x: "x", 1.0, "is of type unicode_type"),
        (lambda x: x.sum(), lambda x: 1.0, np.ones(2), "takes an argument of type array"),
    ],
)
def test_what_has_no_partial_derivatives_is_refused(function, partial, argument, message):
    f = cz.rule(function)
    f.defpartials(partial)
    with pytest.raises(CompilationError, match=message):
        cz.grad(f)(argument)


# --- functions in which nothing is differentiated


@cz.inactive
@nb.njit
def weights(x, calls):
    calls[0] += 1
    return np.abs(x) / np.abs(x).sum()


def test_what_an_inactive_function_returns_is_constant():
    @nb.njit
    def f(x, calls):
        y = x * 2.0
        w = weights(y, calls)
        s = (w * y).sum()
        y[0] = 0.0
        return s + (w * w * y).sum()

    x, calls = np.array([0.3, 0.4, 0.5]), np.zeros(1, np.int64)
    w = x / x.sum()
    expected = 2 * w + 2 * w * w * np.array([0.0, 1.0, 1.0])
    np.testing.assert_allclose(cz.grad(f)(x, calls), expected, rtol=1e-14)
    assert calls[0] == 1
    tangent = cz.jvp(f, (x, calls), (np.ones(3), None))[1]
    assert tangent == pytest.approx(expected.sum(), rel=1e-14)
    np.testing.assert_array_equal(cz.hessian(f)(x, calls), 0.0)


def test_numbers_from_inactive_functions_are_constants_to_any_order():
    scale = cz.inactive(lambda x: 10.0 * x)
    f = nb.njit(lambda x: x * x * scale(x))
    assert f(3.0) == 270.0
    assert cz.grad(f)(3.0) == 180.0
    assert cz.grad(cz.grad(f))(3.0) == 60.0
    assert cz.grad(scale)(3.0) == 0.0
