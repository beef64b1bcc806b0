"""NumPy functions that Numba writes out as loops: each in a small program, against differences."""

# ruff: noqa: NPY002 - what Numba has is the legacy generator

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.testing import check_derivatives

X = np.array([0.7, 1.3, -0.4, 2.1, 0.31, -1.7])
Z = X + 1j * np.array([0.2, -1.0, 0.5, -0.3, 1.0, 0.1])


def sorted_values(x):
    y = x * x
    y.sort()
    stable = np.argsort(x, kind="mergesort")
    s = np.sum(np.sort(x) ** 2 * np.arange(x.size)) + np.sum(y * stable)
    s += np.sum(x[np.argsort(x)] ** 3 * np.arange(x.size)) + np.sum(np.partition(x, 2)[:3] ** 3)
    ordered = np.sort(x)
    k = np.searchsorted(ordered, 0.5)
    return s + ordered[k] ** 2 * k + np.sum(np.unique(np.abs(x)) ** 2 * np.arange(x.size))


def order_statistics(x):
    s = np.median(x) ** 2 + np.median(x[:5]) ** 2 + np.quantile(x, 0.3) ** 2 + np.percentile(x, 60.0) * x[0]
    s += np.sum(np.quantile(x, np.array([0.1, 0.55, 0.9])) ** 2) + np.nanmedian(x) ** 2
    return s + np.min(x) * np.max(x) + np.ptp(x) + np.argmax(x) * x[0]


def interpolation(x):
    nodes = np.cumsum(np.abs(x) + 0.1)
    s = np.sum(np.interp(np.linspace(0.3, 4.0, 7), nodes, x * x))
    fixed = np.array([-2.0, 0.0, 1.0, 3.0])
    return s + np.sum(np.interp(x, fixed, fixed**2 * x[0]) ** 2)


def sums_and_differences(x):
    s = np.sum(np.cumsum(x) ** 2) + np.sum(np.cumprod(x) ** 2) + np.sum(np.diff(x, 2) ** 3)
    s += np.sum(np.convolve(x, x[:3]) ** 2) + np.sum(np.convolve(x, x[:3], mode="same"))
    s += np.sum(np.correlate(x, x[:2])) + np.trapezoid(x * x, np.cumsum(np.abs(x)))
    return s + np.prod(x) + np.var(x) * np.std(x) + np.mean(x) ** 2 + np.sum(np.cov(x.reshape((2, 3))) ** 2)


def assembled(x):
    s = np.sum(np.stack((x, x * x)) ** 2) + np.sum(np.hstack((x, x * 2)) ** 2) + np.sum(np.repeat(x, 2) ** 3)
    s += np.sum(np.vstack((x, x * x)) * x) + np.sum(np.concatenate((x[:2], x[3:])) ** 3)
    s += np.sum(np.append(x, x * 2) ** 2) + np.sum(np.delete(x, 2) ** 3) + np.sum(np.roll(x, 2) * x)
    s += np.sum(np.broadcast_to(x, (3, 6)) * np.arange(18.0).reshape((3, 6))) ** 2
    s += np.sum(np.linspace(x[0], x[1], 5) ** 2) + np.sum(np.flip(x) * x * np.arange(6))
    for part in np.array_split(x, 4):
        s += np.sum(part) ** 2
    return s + np.sum(np.tril(x.reshape((2, 3))) ** 2) + np.sum(np.diag(x[:3]) ** 2)


def indexed(x):
    i = np.array([3, 1, 1, 0])
    y = x[i]
    y[1] *= 2.0
    z = np.zeros(6)
    z[i] = y * y
    z[i] += x[i]
    mask = x > 0
    u = x * x
    u[mask] = x[mask] * 3.0
    u[~mask] = 0.5
    s = np.sum(y**2) + np.sum(z**2) + np.sum(u**2) + np.sum(x[np.nonzero(mask)[0]] ** 3)
    s += np.sum(np.where(mask, x * x, np.exp(x))) + np.sum(np.clip(x, -0.5, 1.0) ** 2)
    return s + np.sum(np.take(x, i) ** 2) + np.sum(np.select([x > 1.0, mask], [x * x, x**3], 0.5))


def products(x):
    a, b = x[:4].reshape((2, 2)), x.reshape((2, 3))
    s = np.sum(np.kron(a, b) ** 2) + np.sum(np.outer(x, x * x) ** 2) + np.vdot(x, 2.0 * x)
    return s + np.sum(np.cross(x[:3], x[3:]) ** 2) + np.trace(a) ** 2


CASES = (
    pytest.param(indexed, id="indexed"),
    *(
        pytest.param(f, id=f.__name__, marks=pytest.mark.slow)
        for f in (interpolation, sorted_values, order_statistics, sums_and_differences, assembled, products)
    ),
)


@pytest.mark.parametrize("function", CASES)
def test_what_numba_writes_out_is_differentiated(function: Callable[..., Any]) -> None:
    check_derivatives(function, X)


def vector_norms(z):
    s = np.linalg.norm(z) + np.linalg.norm(z, 2) * np.linalg.norm(z, 1)
    return s + np.linalg.norm(z, np.inf) + np.linalg.norm(z, -np.inf) + np.linalg.norm(z, 3)


def matrix_norms(z):
    a = z.reshape((2, 3))
    s = np.linalg.norm(a) + np.linalg.norm(a, 1) * np.linalg.norm(a, np.inf)
    return s + np.linalg.norm(a, 2) * np.linalg.norm(a, -2)


@pytest.mark.parametrize(
    "function", [vector_norms, pytest.param(matrix_norms, marks=pytest.mark.slow)], ids=["vector", "matrix"]
)
def test_norms_of_complex_arrays_are_differentiated(function: Callable[..., Any]) -> None:
    assert numba.njit(function)(Z) == pytest.approx(function(Z))
    check_derivatives(function, Z)


@numba.njit
def noisy(x):
    s = 0.0
    for i in range(x.size):
        s += np.random.normal() * x[i] ** 2
    return s + np.random.normal(x[0], 2.0) * x[1] + np.sum(np.random.rand(x.size) * x)


@numba.njit
def _seed(n):
    np.random.seed(n)


def test_draws_are_constants_from_the_stream_of_a_plain_call() -> None:
    _seed(7)
    values = noisy(X), noisy(X)
    _seed(7)
    value, gradient = cz.value_and_grad(noisy)(X)
    assert value == values[0]
    assert noisy(X) == values[1]
    _seed(7)
    moved = []
    for step in 1e-6 * np.eye(X.size):
        both = []
        for y in (X + step, X - step):
            _seed(7)
            both.append(noisy(y))
        moved.append((both[0] - both[1]) / 2e-6)
    np.testing.assert_allclose(gradient, moved, rtol=1e-7, atol=1e-8)
