"""Eight threads that call one derivative get what one thread gets."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz

THREADS, CALLS = 8, 40


@nb.njit(nogil=True)
def _recursive(x, n):
    return x.sum() if n == 0 else np.sin(x[n]) * _recursive(x * 0.9, n - 1)


def taped(x):
    u, total = x.copy(), 0.0
    for _ in range(20):
        for i in range(1, u.size):
            u[i] = np.sin(u[i] * u[i - 1])
        total += u.sum()
    return total + _recursive(x, 3)


taped = nb.njit(nogil=True)(taped)


def _split(x: Any) -> Any:
    forward, reverse = _HALVES
    dx = np.zeros_like(x)
    tape, _, _ = forward(cz.Duplicated(x, dx))
    reverse(cz.Duplicated(x, dx), 1.0, tape)
    return dx


def _batch(x: Any) -> Any:
    return np.array(cz.autodiff(cz.Forward, taped, cz.BatchDuplicated(x, tuple(np.eye(x.size)[:3]))))


_HALVES = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, taped, cz.Active, cz.Duplicated)
DERIVATIVES: dict[str, Callable[[Any], Any]] = {
    "gradient": cz.grad(taped),
    "batch": _batch,
    "split": _split,
    "hessian": cz.hessian(taped),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_eight_threads_agree_with_one(name: str) -> None:
    derivative = DERIVATIVES[name]
    points = [np.linspace(0.1, 1.0, 6) + 0.01 * k for k in range(THREADS)]
    expected = [derivative(x) for x in points]
    together = Barrier(THREADS)

    def work(k: int) -> list[Any]:
        together.wait()
        return [derivative(points[k]) for _ in range(CALLS)]

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(work, range(THREADS)))
    for results, wanted in zip(found, expected, strict=True):
        for result in results:
            np.testing.assert_array_equal(result, wanted)
