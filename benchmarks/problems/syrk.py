"""PolyBench's syrk: the lower triangle of β C + α A Aᵀ, by loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw

__all__ = ["ROWS"]


def syrk(alpha, beta, C, A):
    n, m = A.shape
    for i in range(n):
        for j in range(i + 1):
            C[i, j] *= beta
        for k in range(m):
            for j in range(i + 1):
                C[i, j] += alpha * A[i, k] * A[j, k]


@njit
def syrk_adjoint(alpha, beta, C, A, C_bar, A_bar):
    """Tape nothing. The loops are in the order of the function's, which is not the best one for either."""
    n, m = A.shape
    for i in range(n):
        for k in range(m):
            total = 0.0
            for j in range(i + 1):
                w = alpha * C_bar[i, j]
                total += w * A[j, k]
                A_bar[j, k] += w * A[i, k]
            A_bar[i, k] += total
        for j in range(i + 1):
            C_bar[i, j] *= beta


def product(package: Package, alpha: float, beta: float, C: Any, A: Any) -> Any:
    """Return the update by one product of matrices, whose upper triangle is thrown away."""
    lower = package.array(np.tri(len(C)) > 0)
    return (package.np.where(lower, beta * C + alpha * (A @ A.T), C),)


def start(n: int, m: int) -> tuple[Any, ...]:
    """Return arguments for a matrix A of n rows and m columns."""
    draw = Draw(1)
    return 1.5, 1.2, draw.signed(n, n), draw.signed(n, m)


ROWS = (
    Row(
        title="syrk 240 × 200",
        group=Group.LINEAR_ALGEBRA,
        function=syrk,
        arguments=lambda: start(240, 200),
        small=lambda: start(6, 5),
        active=(2, 3),
        outputs=(2,),
        by_hand=syrk_adjoint,
        hand_bytes=lambda alpha, beta, C, A: 0,
        peers=array_peers(product, "product"),
        bar=2.8,
        quoted=Quoted(2.5, 4.0, "matmul rewrite 0.5"),
    ),
)
