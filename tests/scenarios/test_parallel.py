"""Loops of `prange` and parallel array expressions: derivatives that run on threads and do not race."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba import prange
from numpy.lib.stride_tricks import sliding_window_view

import coenzyme as cz
from coenzyme.frontends.numba_parallel import count_launches

ROOT = Path(__file__).parents[2]
# So many that chunks overlap in time.
N = 4000
RNG = np.random.default_rng(7)
X = RNG.uniform(0.5, 1.5, N)
ROWS = RNG.uniform(0.5, 1.5, (500, 6))
PLACES = RNG.integers(0, N, 3 * N)
ORDER = RNG.permutation(N)

pytestmark = pytest.mark.skipif(nb.config.NUMBA_NUM_THREADS < 2, reason="one thread is not parallel")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = nb.get_num_threads()
    nb.set_num_threads(2)
    yield
    nb.set_num_threads(before)


def launches(call: Callable[[], Any]) -> tuple[Any, int]:
    """Return what `call` returns, and how often it ran chunks of a loop on threads."""
    before = count_launches()
    result = call()
    return result, count_launches() - before


@nb.njit(parallel=True)
def reduction(x):
    s = 0.0
    for i in prange(x.shape[0]):
        s += np.sin(x[i]) * x[i]
    return s


@nb.njit(parallel=True)
def map_with_number(x, a):
    y = np.empty_like(x)
    for i in prange(x.size):
        y[i] = np.exp(a * x[i])
    return np.sum(y)


@nb.njit(parallel=True)
def stencil(x):
    y = np.zeros_like(x)
    for i in prange(1, x.size - 1):
        y[i] = x[i - 1] * x[i] * x[i + 1]
    return np.sum(y)


@nb.njit(parallel=True)
def gather(x, places):
    s = 0.0
    for i in prange(places.size):
        s += x[places[i]] ** 2 * i
    return s


@nb.njit(parallel=True)
def rows_in_place(x):
    a = x.copy()
    for i in prange(a.shape[0]):
        for j in range(1, a.shape[1]):
            a[i, j] = a[i, j] * a[i, j - 1]
    return np.sum(a[:, -1])


@nb.njit(parallel=True)
def reduction_of_rows(x):
    total = np.zeros(x.shape[1])
    for i in prange(x.shape[0]):
        total += x[i] * i
    return np.sum(total**2)


@nb.njit(parallel=True)
def permuted_in_place(x, order):
    y = x.copy()
    for i in prange(x.size):
        # Cotangents of very different sizes: what one chunk overwrites must not be found by subtraction.
        y[order[i]] = 1e-18 * y[order[i]] ** 2
    s = 0.0
    for i in range(x.size):
        s += 1e20 * y[i]
    return s


@nb.njit(parallel=True)
def expressions(x):
    y = x * x + 1.0
    return np.sum(np.sqrt(y) / x)


@nb.njit(parallel=True)
def views(x):
    b = x * x
    # Numba itself gets this wrong: it fuses the product with the sum that overwrites its operand.
    b[1:] += b[:-1] * x[1:]
    return np.sum(b)


@nb.njit(parallel=True)
def red_black(x):
    a = x.copy()
    for _ in range(2):
        for color in range(2):
            for i in prange(1, a.shape[0] - 1):
                for j in range(1, a.shape[1] - 1):
                    if (i + j) % 2 == color:
                        a[i, j] = 0.25 * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] * a[i, j + 1])
    return np.sum(a * a)


@dataclass(frozen=True)
class Case:
    function: Any
    arguments: tuple[Any, ...]
    expected: Callable[..., Any] | None = None
    """The gradient by the first argument; None: that of the same loops in series."""


def _product_of_row(x):
    return np.prod(x, axis=1, keepdims=True) / x


def _neighbours(x):
    full = np.zeros_like(x)
    full[:-2] += x[1:-1] * x[2:]
    full[1:-1] += x[:-2] * x[2:]
    full[2:] += x[:-2] * x[1:-1]
    return full


def _products_of_neighbours(x):
    full = 2.0 * x
    full[:-1] += 2.0 * x[:-1] * x[1:]
    full[1:] += x[:-1] ** 2
    return full


def _counted(x, places):
    weights = np.bincount(places, weights=np.arange(places.size, dtype=float), minlength=x.size)
    return 2.0 * x * weights


def _weighted_rows(x):
    number = np.arange(x.shape[0], dtype=float)[:, None]
    return 2.0 * np.sum(x * number, axis=0) * number


CASES = {
    case.function.__name__: case
    for case in (
        Case(reduction, (X,), lambda x: np.cos(x) * x + np.sin(x)),
        Case(map_with_number, (X, 0.7), lambda x, a: a * np.exp(a * x)),
        Case(stencil, (X,), _neighbours),
        Case(gather, (X, PLACES), _counted),
        Case(rows_in_place, (ROWS,), _product_of_row),
        Case(reduction_of_rows, (ROWS,), _weighted_rows),
        Case(permuted_in_place, (X, ORDER), lambda x, order: 200.0 * x),
        Case(expressions, (X,), lambda x: 1.0 / np.sqrt(x * x + 1.0) - np.sqrt(x * x + 1.0) / x**2),
        Case(views, (X,), _products_of_neighbours),
        Case(red_black, (ROWS,)),
    )
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            n, marks=[pytest.mark.slow] if n in ("red_black", "expressions", "reduction_of_rows") else []
        )
        for n in CASES
    ],
)
def test_gradient_runs_on_threads_and_equals_the_serial_one(name: str) -> None:
    case = CASES[name]
    gradient = cz.grad(case.function)
    once, used = launches(lambda: gradient(*case.arguments))
    assert used >= 2, "the forward and the reverse sweep"
    expected = case.expected or cz.grad(nb.njit(case.function.py_func))
    np.testing.assert_allclose(once, expected(*case.arguments), rtol=1e-11, atol=0)
    for _ in range(20):
        assert np.array_equal(gradient(*case.arguments), once)
    nb.set_num_threads(1)
    alone, used = launches(lambda: gradient(*case.arguments))
    assert used == 0
    np.testing.assert_allclose(alone, once, rtol=1e-11, atol=0)


def test_number_that_all_iterations_read_gets_one_adjoint() -> None:
    found, used = launches(lambda: cz.grad(map_with_number, argnums=1)(X, 0.7))
    assert used >= 2
    np.testing.assert_allclose(found, np.sum(X * np.exp(0.7 * X)), rtol=1e-12)


def test_forward_derivative_runs_on_threads() -> None:
    (value, tangent), used = launches(lambda: cz.jvp(stencil, (X,), (X,)))
    assert used >= 1
    np.testing.assert_allclose(value, np.sum(X[:-2] * X[1:-1] * X[2:]), rtol=1e-12)
    np.testing.assert_allclose(tangent, 3.0 * value, rtol=1e-12)


@nb.njit(parallel=True)
def cubes(x):
    y = np.empty_like(x)
    for i in prange(x.size):
        y[i] = x[i] ** 3
    return y


@pytest.mark.slow
def test_halves_of_a_derivative_run_on_threads() -> None:
    (value, pull), first = launches(lambda: cz.vjp(cubes, X))
    (found,), second = launches(lambda: pull(np.ones(N)))
    assert first >= 1
    assert second >= 1
    np.testing.assert_allclose(value, X**3, rtol=1e-12)
    np.testing.assert_allclose(found, 3.0 * X**2, rtol=1e-12)


@pytest.mark.slow
def test_second_derivative_of_a_parallel_function() -> None:
    np.testing.assert_allclose(
        cz.hvp(stencil, X[:4], np.array([1.0, 0, 0, 0])), [0, X[2], X[1], 0], rtol=1e-12
    )


@nb.njit(parallel=True)
def quotients(x, k):
    s = 0.0
    for i in prange(x.size):
        s += x[i] * (10 // k[i])
    return s


@nb.njit
def square_root(v):
    if v < 0.0:
        raise ValueError("negative")
    if v > 100.0:
        raise OverflowError("large")
    return np.sqrt(v)


@nb.njit(parallel=True)
def square_roots(x):
    y = np.empty_like(x)
    for i in prange(x.size):
        y[i] = square_root(x[i])
    return np.sum(y)


def test_error_in_an_iteration_is_that_of_the_serial_loop() -> None:
    k = np.ones(N, dtype=np.int64)
    gradient = cz.grad(quotients)
    np.testing.assert_array_equal(gradient(X, k), np.full(N, 10.0))
    k[N - 3] = 0
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            gradient(X, k)
    k[N - 3] = 2
    assert gradient(X, k)[N - 3] == 5.0


@pytest.mark.slow
def test_error_of_the_first_failing_iteration_is_raised() -> None:
    gradient = cz.grad(square_roots)
    np.testing.assert_allclose(gradient(X), 0.5 / np.sqrt(X), rtol=1e-12)
    for first, second, error in ((-1.0, 200.0, ValueError), (200.0, -1.0, OverflowError)):
        x = X.copy()
        x[10], x[N - 10] = first, second
        with pytest.raises(error):
            gradient(x)


@nb.njit(parallel=True)
def products(a, b):
    s = 0.0
    for i in prange(a.size):
        s += a[i] * b[i]
    return s


@nb.njit
def products_of_neighbours(x):
    return products(x[:-1], x[1:])


def test_arrays_that_overlap_are_taken_in_series() -> None:
    found, used = launches(lambda: cz.grad(products_of_neighbours)(X))
    assert used == 1, "the forward sweep alone"
    expected = np.zeros(N)
    expected[:-1] += X[1:]
    expected[1:] += X[:-1]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@nb.njit(parallel=True)
def squares_of_rows(w):
    s = 0.0
    for i in prange(w.shape[0]):
        for j in range(w.shape[1]):
            s += w[i, j] ** 2
    return s


@pytest.mark.slow
def test_rows_that_share_memory_are_taken_in_series() -> None:
    x, dx = X.copy(), np.zeros(N)
    gradient = cz.autodiff
    gradient(
        cz.Reverse,
        squares_of_rows,
        cz.Active,
        cz.Duplicated(
            sliding_window_view(x, 3, writeable=True),  # pyright: ignore
            sliding_window_view(dx, 3, writeable=True),
        ),
    )
    times = np.minimum(3, np.minimum(np.arange(N) + 1, N - np.arange(N)))
    np.testing.assert_allclose(dx, 2.0 * X * times, rtol=1e-12)
    columns, used = launches(lambda: cz.grad(squares_of_rows)(np.asfortranarray(ROWS)[:, ::2]))
    assert used == 2, "strided rows do not"
    np.testing.assert_allclose(columns, 2.0 * ROWS[:, ::2], rtol=1e-12)


@nb.njit(parallel=True)
def around_zero(x):
    s = 0.0
    for i in prange(-3, x.size - 3):
        s += x[i] * x[i] * (i + 10)
    return s


@pytest.mark.slow
def test_negative_indices_count_from_the_end() -> None:
    found = cz.grad(around_zero)(X)
    number = np.arange(N)
    number[-3:] -= N
    np.testing.assert_allclose(found, 2.0 * X * (number + 10), rtol=1e-12)


@nb.njit(parallel=True)
def squares(x):
    s = 0.0
    for j in prange(x.size):
        s += x[j] ** 2
    return s


@nb.njit(parallel=True)
def sums_of_squares(x):
    s = 0.0
    for i in prange(x.shape[0]):
        s += squares(x[i]) ** 2
    return s


@pytest.mark.slow
def test_parallel_loop_in_a_parallel_loop_is_serial() -> None:
    found, used = launches(lambda: cz.grad(sums_of_squares)(ROWS))
    assert used == 2
    np.testing.assert_allclose(found, 4.0 * np.sum(ROWS**2, axis=1, keepdims=True) * ROWS, rtol=1e-12)


def check_many_threads() -> None:
    """Eight threads that call one derivative at the same time agree with one."""
    gradient = cz.grad(gather)
    expected = gradient(X, PLACES)
    agreed: list[bool] = []

    def work() -> None:
        nb.set_num_threads(2)
        agreed.extend(np.array_equal(gradient(X, PLACES), expected) for _ in range(25))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(agreed) == 200
    assert all(agreed)


def test_many_threads_agree_with_one() -> None:
    check_many_threads()


CACHED = """
import numba as nb
import coenzyme as cz
from numba import prange

@nb.njit(parallel=True)
def squares(x):
    s = 0.0
    for j in prange(x.size):
        s += x[j] ** 2
    return s

gradient = cz.grad(squares)

@nb.njit(cache=True)
def caller(x):
    return gradient(x)
"""


@pytest.mark.slow
def test_callers_that_come_from_a_cache_find_the_threads(tmp_path: Path) -> None:
    (tmp_path / "cached_parallel.py").write_text(CACHED)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import numpy as np; from cached_parallel import caller\n"
        "print(caller(np.arange(3.0)), sum(caller.stats.cache_hits.values()))\n"
        "from coenzyme.frontends.numba_parallel import count_launches; print(count_launches())\n"
    )
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")
        for _ in range(2)
    ]
    assert [lines[0] for lines in outputs] == ["[0. 2. 4.] 0", "[0. 2. 4.] 1"]
    assert outputs[1][1] == "2"


@pytest.mark.slow
def test_threads_of_a_layer_that_takes_one_caller_only() -> None:
    # A second caller, or a loop in a loop, would end the process.
    code = (
        "import numba as nb, numpy as np, coenzyme as cz\n"
        "from tests.scenarios import test_parallel as t\n"
        "nb.set_num_threads(2)\n"
        "t.check_many_threads()\n"
        "cz.grad(t.sums_of_squares)(t.ROWS)\n"
        "assert nb.threading_layer() == 'workqueue'\n"
        "assert t.count_launches() > 0\n"
    )
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
