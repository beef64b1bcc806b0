"""Pullbacks: `vjp` runs the function once, whatever happens to its arguments and its value."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numba as nb
import numpy as np
import pytest
from numba.typed import List

import coenzyme as cz
from coenzyme.errors import MissingRuleError, ShadowError, TapeError


def scaled_in_place(x, y):
    for i in range(x.size):
        y[i] = x[i] * y[i]
        x[i] = y[i] * y[i]
    return y[0] * x[1]


def test_value_may_be_written_before_the_pullback_runs():
    x = np.array([0.1, 0.2])

    def f(x):
        y = np.exp(x)
        return y * y

    y, pullback = cz.vjp(f, x)
    expected = 2.0 * y
    y -= 7.0
    x[:] = np.nan
    for _ in range(2):
        np.testing.assert_allclose(pullback(np.ones(2))[0], expected, rtol=1e-14)


def test_function_runs_once_for_its_value_and_the_first_pullback():
    def f(x, counter):
        counter[0] += 1
        return x * x

    counter = np.zeros(1, np.int64)
    y, pullback = cz.vjp(f, 3.0, counter)
    assert (y, counter[0]) == (9.0, 1)
    assert pullback(1.0) == (6.0, None)
    assert counter[0] == 1
    # Later runs are on copies.
    assert pullback(2.0) == (12.0, None)
    assert counter[0] == 1


def test_what_the_function_writes_reaches_the_callers_arguments():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    again_x, again_y = x.copy(), y.copy()
    expected = nb.njit(scaled_in_place)(again_x, again_y)
    value, pullback = cz.vjp(scaled_in_place, x, y)
    assert value == expected
    np.testing.assert_array_equal(x, again_x)
    np.testing.assert_array_equal(y, again_y)
    # y0 x0 (x1 y1)²
    for _ in range(2):
        x_bar, y_bar = pullback(1.0)
        np.testing.assert_allclose(x_bar, [192.0, 192.0])
        np.testing.assert_allclose(y_bar, [64.0, 96.0])


def test_what_was_written_before_an_exception_stays_written():
    def f(x, y):
        y[0] = 7.0
        if x < 0.0:
            raise ValueError("negative")
        return x * y[0]

    y = np.zeros(2)
    with pytest.raises(ValueError, match="negative"):
        cz.vjp(f, -1.0, y)
    np.testing.assert_array_equal(y, [7.0, 0.0])


def test_returned_argument_and_views_of_it_are_the_callers_own():
    x = np.arange(6.0).reshape(2, 3)
    (whole, part), pullback = cz.vjp(lambda x: (x, x[1, ::-1]), x)
    assert whole is x
    assert np.shares_memory(part, x)
    np.testing.assert_array_equal(part, x[1, ::-1])
    part[0] = 50.0
    assert x[1, 2] == 50.0
    (x_bar,) = pullback((np.ones((2, 3)), np.array([1.0, 10.0, 100.0])))
    np.testing.assert_array_equal(x_bar, [[1.0, 1.0, 1.0], [101.0, 11.0, 2.0]])


def test_view_of_a_read_only_argument_is_read_only():
    x = np.arange(3.0)
    x.flags.writeable = False
    y, _ = cz.vjp(lambda x: x[1:], x)
    assert not y.flags.writeable


def test_random_draws_of_the_value_are_those_of_the_first_pullback():
    def f(x):
        return x * np.random.random(x.size)  # noqa: NPY002 - what Numba compiles

    x = np.array([1.0, 2.0, 3.0])
    y, pullback = cz.vjp(f, x)
    np.testing.assert_allclose(pullback(np.ones(3))[0], y / x)
    with pytest.raises(TapeError, match="another value"):
        pullback(np.ones(3))


def test_pullback_with_an_argument_that_cannot_be_copied_is_called_once():
    def f(x, weights):
        return x * weights[0]

    weights = List([2])
    _, pullback = cz.vjp(f, 3.0, weights)
    weights[0] = 5
    assert pullback(1.0)[0] == 2.0
    with pytest.raises(TapeError, match="cannot be copied"):
        pullback(1.0)


def test_refused_cotangent_leaves_the_pullback_as_it_was():
    def f(x):
        return x * np.random.random(x.size)  # noqa: NPY002 - it could not be run again

    y, pullback = cz.vjp(f, np.ones(2))
    with pytest.raises(ShadowError):
        pullback(np.ones(3))
    np.testing.assert_allclose(pullback(np.ones(2))[0], y)


def test_threads_share_a_pullback():
    x = np.linspace(0.1, 1.0, 40)
    _, pullback = cz.vjp(lambda x: np.sin(x) * np.sum(x), x)
    rows = np.eye(40)
    expected = [pullback(row)[0] for row in rows]
    with ThreadPoolExecutor(8) as pool:
        for got, alone in zip(pool.map(lambda row: pullback(row)[0], rows), expected, strict=True):
            np.testing.assert_array_equal(got, alone)


@pytest.mark.parametrize(("x", "slope"), [(3.0, 12.0), (-3.0, None)])
def test_number_that_may_be_none_has_a_pullback(x, slope):
    def f(x):
        if x > 0.0:
            return x * x
        return None

    value, pullback = cz.vjp(f, x)
    if slope is None:
        assert value is None
        assert pullback(None) == (0.0,)
        with pytest.raises(ShadowError, match="the value is None"):
            pullback(1.0)
    else:
        assert pullback(2.0) == (slope,)


def test_matrix_power_returned_as_it_is_has_a_pullback():
    # Numba types it as an array or None.
    a = np.array([[0.5, 0.2], [0.1, 0.3]])
    value, pullback = cz.vjp(lambda a: np.linalg.matrix_power(a, 3), a)
    np.testing.assert_allclose(value, a @ a @ a)
    seed = np.array([[1.0, -2.0], [0.5, 3.0]])
    t = a.T
    np.testing.assert_allclose(pullback(seed)[0], t @ t @ seed + t @ seed @ t + seed @ t @ t, rtol=1e-13)


def test_operation_without_a_rule_is_refused_before_the_function_runs():
    unknown = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(lambda x: x * x)

    def f(x, counter):
        counter[0] += 1
        return unknown(x)

    counter = np.zeros(1, np.int64)
    with pytest.raises(MissingRuleError):
        cz.vjp(f, 2.0, counter)
    assert counter[0] == 0
