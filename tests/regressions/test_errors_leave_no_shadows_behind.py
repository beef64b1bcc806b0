"""On the way out with an error the primal let go of its arrays, and nobody of their shadows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import coenzyme as cz

_nrt_python.memsys_enable_stats()


@nb.njit
def raises_at_once(x):
    if x[0] < 0.0:
        raise ValueError("negative")
    y = x * 2.0
    return (y * y).sum()


@nb.njit
def raises_in_a_loop(x):
    y = x * 2.0
    total = 0.0
    for i in range(x.size):
        total += np.sin(y[i]) * x[i]
        if x[i] < 0.0:
            raise ValueError("negative")
    return total


DERIVATIVES: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "function": lambda f: f,
    "grad": cz.grad,
    "jvp": lambda f: lambda x: cz.jvp(f, (x,), (x,)),
    "vjp": lambda f: lambda x: cz.vjp(f, x),
}


@pytest.mark.parametrize("name", DERIVATIVES)
@pytest.mark.parametrize(
    ("f", "x"), [(raises_at_once, np.array([-1.0, 2.0])), (raises_in_a_loop, np.array([1.0, 2.0, -3.0]))]
)
def test_a_hundred_errors_leave_no_block_behind(f: Any, x: Any, name: str) -> None:
    call = DERIVATIVES[name](f)

    def live() -> tuple[int, int]:
        statistics = rtsys.get_allocation_stats()
        return statistics.mi_alloc - statistics.mi_free, statistics.alloc - statistics.free

    def fail() -> None:
        with pytest.raises(ValueError, match="negative"):
            call(x)

    fail()
    before = live()
    for _ in range(100):
        fail()
    assert live() == before
