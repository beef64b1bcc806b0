"""Lists that grow and shrink, differentiated twice: every nesting of modes agrees, and nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import coenzyme as cz

_nrt_python.memsys_enable_stats()


def stack(x):
    kept = [x[0]]
    for i in range(100):
        kept.append(kept[-1] * np.sin(x[i % x.size]) + 1.0 / (i + 1))
    total = 0.0
    while len(kept) > 3:
        total += kept.pop() * kept[len(kept) // 2]
    kept.insert(1, total * x[1])
    kept.extend([x[2], total])
    return kept[-1] * kept[1] + total


def arrays(x):
    kept = [x * 1.0]
    for _ in range(20):
        kept.append(np.sin(kept[-1]) * x)
    total = 0.0
    for item in kept:
        total += (item * item).sum()
    return total


def nested(x):
    kept = [[x[0]]]
    for i in range(10):
        kept.append([kept[-1][0] * x[i % x.size], x[1]])
        kept[-1].append(kept[-1][0] * kept[0][0])
    total = 0.0
    for row in kept:
        for item in row:
            total += item * item
    return total


FUNCTIONS = [
    stack,
    pytest.param(arrays, marks=pytest.mark.slow),
    pytest.param(nested, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_every_nesting_of_modes_agrees(f: Callable[..., Any]) -> None:
    x = np.array([0.3, 0.5, 0.7])
    expected = cz.jacfwd(cz.jacfwd(f))(x)
    for hessian in (cz.hessian(f), cz.jacrev(cz.grad(f))):
        np.testing.assert_allclose(hessian(x), expected, rtol=1e-13, atol=1e-14)


def test_a_hundred_hessians_of_a_list_leave_nothing_behind() -> None:
    x = np.array([0.3, 0.5, 0.7])

    def live() -> tuple[int, int]:
        statistics = rtsys.get_allocation_stats()
        return statistics.mi_alloc - statistics.mi_free, statistics.alloc - statistics.free

    hessian = cz.hessian(stack)
    hessian(x)
    before = live()
    for _ in range(100):
        hessian(x)
    assert live() == before
