"""Jacobians in both directions."""

from __future__ import annotations

import random

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError

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


@pytest.mark.parametrize("transform", JACOBIANS)
def test_jacobian_of_a_tuple_by_a_tuple_is_a_tuple_of_tuples(transform):
    def f(p, n):
        return p[0] * p[1], p[0] ** n, n, (p[1].sum(), p[1][1:] * p[0])

    product, power, n, (total, tail) = transform(f)((2.0, X), 3)
    np.testing.assert_allclose(product[0], X)
    np.testing.assert_allclose(product[1], 2.0 * np.eye(3))
    np.testing.assert_allclose(power[0], 12.0)
    np.testing.assert_allclose(power[1], np.zeros(3))
    assert n == 3
    np.testing.assert_allclose(total[0], 0.0)
    np.testing.assert_allclose(total[1], np.ones(3))
    np.testing.assert_allclose(tail[0], [2.0, 3.0])
    np.testing.assert_allclose(tail[1], [[0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])


@pytest.mark.parametrize("transform", JACOBIANS)
def test_jacobian_of_a_tuple_by_several_arguments(transform):
    (by_x, by_a), (_, by_a_again) = transform(lambda x, a: (x * a, x + a), (0, 1))(X, 2.0)
    np.testing.assert_allclose(by_x, 2.0 * np.eye(3))
    np.testing.assert_allclose(by_a, X)
    np.testing.assert_allclose(by_a_again, np.ones(3))


def test_jacobian_of_nothing_is_refused():
    def f(x):
        x[0] = 1.0

    with pytest.raises(ActivityError, match="returns None"):
        cz.jacrev(f)(X)


@pytest.mark.parametrize("chunk_size", [1, 2, np.int64(100), None])
def test_chunk_size_does_not_change_the_result(chunk_size):
    np.testing.assert_allclose(cz.jacfwd(lambda x: x * x, chunk_size=chunk_size)(X), np.diag(2 * X))


@pytest.mark.parametrize("chunk_size", [0, -1, 1.5, True, "all"])
def test_chunk_size_must_be_a_positive_integer(chunk_size):
    with pytest.raises(ActivityError, match="chunk_size"):
        cz.jacobian(neighbours, chunk_size=chunk_size)


def test_unknown_mode_is_refused():
    with pytest.raises(ActivityError, match="sideways"):
        cz.jacobian(neighbours, mode="sideways")


def body_of(f, *args, mode="forward"):
    """Return the generated function by which a Jacobian with respect to the first argument is computed."""
    return cz.jacobian(f, mode=mode).request.implement(tuple(map(nb.typeof, args)))


def evaluates(f, body):
    return any(value is f for value in body.__globals__.values())


@nb.njit
def pair(x, y):
    return x * y[0], (x[:2] * x[1:3]).sum()


@nb.njit
def scaled(x, y):
    y[0] += 1.0
    return x * y[0]


@nb.njit
def noisy(x, y):
    return x * random.random() * y[0]


@nb.njit
def counted(x, y):
    return x * y[0], x.size


def test_function_that_only_reads_is_run_by_the_sweeps_alone():
    x = np.arange(1.0, 6.0)
    assert not evaluates(pair, body_of(pair, x, x))
    assert "copy_like" not in str(body_of(pair, x, x).__globals__)
    for f, mode in ((scaled, "forward"), (noisy, "forward"), (counted, "forward"), (pair, "reverse")):
        assert evaluates(f, body_of(f, x, x, mode=mode)), f


@pytest.mark.parametrize("chunk_size", [2, pytest.param(16, marks=pytest.mark.slow)])
def test_one_array_in_two_places_that_are_only_read(chunk_size):
    x = np.arange(1.0, 6.0)
    by_x, by_sum = cz.jacfwd(pair, chunk_size=chunk_size)(x, x)
    np.testing.assert_array_equal(by_x, x[0] * np.eye(5))
    np.testing.assert_array_equal(by_sum, [2.0, 4.0, 2.0, 0.0, 0.0])


def test_number_beside_arrays_in_a_function_that_only_reads():
    def f(x, a, y):
        return x * a + y[0], a * a

    x, y = np.arange(1.0, 4.0), np.arange(1.0, 3.0)
    by_x, by_a, by_y = (
        tuple(part) for part in zip(*cz.jacfwd(f, argnums=(0, 1, 2), chunk_size=2)(x, 2.0, y), strict=True)
    )
    np.testing.assert_array_equal(by_x[0], 2.0 * np.eye(3))
    np.testing.assert_array_equal(by_x[1], np.zeros(3))
    np.testing.assert_array_equal(by_a[0], x)
    assert by_a[1] == 4.0
    np.testing.assert_array_equal(by_y[0], [[1.0, 0.0]] * 3)
    np.testing.assert_array_equal(by_y[1], np.zeros(2))


def test_no_columns_have_as_many_rows_as_the_value():
    def outer(x, y):
        return y.reshape(-1, 1) * (1.0 + x.sum())

    assert cz.jacfwd(outer)(np.empty((2, 0)), np.arange(3.0)).shape == (3, 1, 2, 0)


@pytest.mark.slow
def test_columns_of_a_parallel_function_that_writes():
    @nb.njit(parallel=True)
    def f(x, y):
        for i in nb.prange(x.size):
            y[i] += x[i] * x[i]
        return y * 2.0

    x, y = np.arange(1.0, 4.0), np.ones(3)
    np.testing.assert_array_equal(cz.jacfwd(f)(x, y), np.diag(4.0 * x))
    np.testing.assert_array_equal(y, 1.0 + x * x)
