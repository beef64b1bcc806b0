"""C functions that compute in variables outside of functions: scratch arrays, structs, running totals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

import coenzyme as cz
from coenzyme.errors import ActivityError, BackendUnavailableError
from coenzyme.frontends.clang import find_clang

Vector = NDArray[np.float64]
X = np.linspace(0.3, 1.4, 5)

CODE = """
#include <math.h>
static double scratch[16];
static struct { double sum; int count; float last; } seen;
static double rate = 2.0;
double total;

static void fill(const double *x, int n) { for (int i = 0; i < n; i++) scratch[i] = sin(x[i]) * x[i]; }

double energy(const double *x, int n)
{
    fill(x, n);
    double s = 0;
    for (int i = 0; i < n; i++) {
        scratch[i] *= scratch[(i + 1) % n];
        s += scratch[i] * scratch[i] * rate;
    }
    total = s;
    return total;
}

double counted(const double *x, int n)
{
    seen.sum = 0;
    for (int i = 0; i < n; i++) {
        seen.sum += x[i] * x[i];
        seen.count++;
        seen.last = (float)x[i];
    }
    return seen.sum * seen.sum + 0 * seen.last;
}

static double depth(const double *x, int n)
{
    if (n == 0) return 0;
    scratch[n] = x[n - 1] * x[n - 1];
    double below = depth(x, n - 1);
    return below + scratch[n] * below + scratch[n];
}
double recursive(const double *x, int n) { return depth(x, n) * rate; }

double fading(const double *x, int n)
{
    for (int i = 0; i < n; i++) rate = 0.5 * rate + x[i];
    return rate * rate;
}
void set_rate(double r) { rate = r; }

static double large[4096];
double spread(const double *x, int n)
{
    for (int i = 0; i < 4096; i++) large[i] = x[i % n] * i;
    double s = 0;
    for (int i = 0; i < 4096; i += 100) s += large[i] * large[i] * 1e-6;
    return s;
}
void filter(double *x, int n)
{
    for (int i = 0; i < n; i++) scratch[i] = x[i];
    for (int i = 1; i + 1 < n; i++) x[i] = scratch[i - 1] * scratch[i + 1];
}
double peek(int k) { return k < 0 ? total : k < 16 ? scratch[k] : k == 16 ? seen.sum : seen.count; }

static double *work;
double through_a_pointer(double *x, int n)
{
    work = x;
    double s = 0;
    for (int i = 0; i < n; i++) s += work[i] * work[i];
    return s;
}
"""


@pytest.fixture(autouse=True)
def clang() -> None:
    try:
        find_clang()
    except BackendUnavailableError as error:
        pytest.skip(str(error))


@lru_cache
def c(name: str) -> Any:
    return cz.c.function(CODE, name)


def slopes(f: Any, x: Vector, step: float = 1e-6) -> Vector:
    """Return the central differences of `f` by the elements of `x`, the last axis."""
    return np.stack([(f(x + e) - f(x - e)) / (2 * step) for e in step * np.eye(x.size)], axis=-1)


@pytest.mark.parametrize("name", ["energy", "counted", "recursive", "spread"])
def test_what_is_computed_in_variables_is_differentiated(name: str) -> None:
    f = c(name)
    wanted = slopes(lambda x: f(x, 5), X)
    np.testing.assert_allclose(cz.grad(f)(X, 5), wanted, rtol=1e-7, atol=1e-7)
    _, tangent = cz.jvp(f, (X, 5), (np.cos(X), None))
    np.testing.assert_allclose(tangent, wanted @ np.cos(X), rtol=1e-7)
    _, pullback = cz.vjp(f, X, 5)
    np.testing.assert_allclose(pullback(2.0)[0], 2 * wanted, rtol=1e-7, atol=1e-7)


def test_second_derivatives_go_through_variables() -> None:
    f = c("energy")
    wanted = slopes(lambda x: cz.grad(f)(x, 5), X)
    np.testing.assert_allclose(cz.hessian(f)(X, 5), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 2, 4])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_several_directions_have_a_shadow_each(chunk: int, mode: str) -> None:
    f = c("filter")

    @numba.njit
    def smoothed(x: Vector) -> Vector:
        y = x.copy()
        f(y, 5)
        return y

    wanted = slopes(smoothed, X)
    found = cz.jacobian(smoothed, mode=mode, chunk_size=chunk)(X)
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-7)


def test_variables_hold_afterwards_what_the_call_alone_leaves_there() -> None:
    f, peek = c("energy"), c("peek")
    f(X, 5)
    wanted = [peek(k) for k in range(-1, 5)]
    for derivative in (
        lambda: cz.grad(f)(X, 5),
        lambda: cz.jvp(f, (X, 5), (X, None)),
        lambda: cz.vjp(f, X, 5)[1](1.0),
    ):
        f(2 * X, 5)
        assert peek(-1) != wanted[0]
        derivative()
        assert [peek(k) for k in range(-1, 5)] == wanted


def test_integers_beside_numbers_are_counted_once_for_a_derivative() -> None:
    f, peek = c("counted"), c("peek")
    before = peek(17)
    cz.grad(f)(X, 5)
    assert peek(17) == before + 5


def test_what_a_variable_holds_before_the_call_is_a_constant() -> None:
    f, set_rate = c("fading"), c("set_rate")
    for start in (2.0, -3.0):

        def restarted(x: Vector, start: float = start) -> float:
            set_rate(start)
            return float(f(x, 5))

        wanted = slopes(restarted, X)
        set_rate(start)
        np.testing.assert_allclose(cz.grad(f)(X, 5), wanted, rtol=1e-7)
    set_rate(2.0)


def test_halves_of_a_derivative_find_other_calls_in_between_harmless() -> None:
    f = c("energy")
    wanted = slopes(lambda x: f(x, 5), X)
    _, first = cz.vjp(f, X, 5)
    _, second = cz.vjp(f, 2 * X, 5)
    f(3 * X, 5)
    np.testing.assert_allclose(first(1.0)[0], wanted, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(second(1.0)[0], slopes(lambda x: f(x, 5), 2 * X), rtol=1e-6, atol=1e-6)
    cz.vjp(f, X, 5)  # a tape that is never swept


def test_threads_do_not_share_shadows() -> None:
    f = c("spread")
    gradient = cz.grad(f)
    wanted = gradient(X, 5)
    with ThreadPoolExecutor(4) as pool:
        # All of them write the same numbers to the variable itself.
        for found in pool.map(lambda _: gradient(X, 5), range(200)):
            np.testing.assert_array_equal(found, wanted)


def test_variables_that_hold_pointers_are_refused() -> None:
    with pytest.raises(ActivityError, match="the variable work"):
        cz.grad(c("through_a_pointer"))(X.copy(), 5)
