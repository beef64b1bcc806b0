"""Numba's introductory example: a matrix plus the sum of tanh over its diagonal, then a weighted sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw
from tests.kernels.physics import go_fast

__all__ = ["ROWS"]


def weighted(a, weights):
    return np.sum(weights * go_fast(a))


@njit(fastmath=True)
def weighted_adjoint(a, weights, a_bar):
    n, m = a.shape
    total = 0.0
    for i in range(n):
        for j in range(m):
            a_bar[i, j] += weights[i, j]
            total += weights[i, j]
    for i in range(n):
        t = np.tanh(a[i, i])
        a_bar[i, i] += total * (1.0 - t * t)


def arrays(package: Package, a: Any, weights: Any) -> Any:
    """Return the weighted sum in whole arrays."""
    trace = package.np.tanh(package.np.diag(a)).sum()
    return (weights * (a + trace)).sum()


def start(n: int) -> tuple[Any, ...]:
    """Return arguments for a matrix of n rows and columns."""
    draw = Draw(1)
    return draw.signed(n, n), draw.array(n, n)


ROWS = (
    Row(
        title="go_fast 2000²",
        group=Group.LEARNING,
        function=weighted,
        arguments=lambda: start(2000),
        small=lambda: start(5),
        active=(0,),
        by_hand=weighted_adjoint,
        hand_bytes=lambda a, weights: 0,
        peers=array_peers(arrays),
        bar=1.6,
        quoted=Quoted(1.3, 2.2, "JAX 6.6"),
        jit=(("fastmath", True),),
    ),
)
