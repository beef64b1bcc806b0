"""PolyBench's seidel_2d: nine-point sweeps in place, each point from those just computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw

__all__ = ["ROWS"]


def seidel_2d(steps, A):
    n, m = A.shape
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                A[i, j] = (
                    A[i - 1, j - 1]
                    + A[i - 1, j]
                    + A[i - 1, j + 1]
                    + A[i, j - 1]
                    + A[i, j]
                    + A[i, j + 1]
                    + A[i + 1, j - 1]
                    + A[i + 1, j]
                    + A[i + 1, j + 1]
                ) / 9.0


@njit
def _gather_border(w, bar):
    n, m = bar.shape
    for j in range(m):
        low, high = max(j - 1, 0), min(j + 2, m)
        for near in range(low, high):
            bar[0, j] += w[1, near]
            bar[n - 1, j] += w[n - 2, near]
    for i in range(1, n - 1):
        for near in range(i - 1, i + 2):
            bar[i, 0] += w[near, 1]
            bar[i, m - 1] += w[near, m - 2]


@njit
def seidel_2d_adjoint(steps, A, A_bar):
    """Sweep in the opposite order over what each point hands to its neighbours, within a border of zeros."""
    n, m = A.shape
    if steps < 1:
        return
    w = np.zeros((n, m))
    for i in range(n - 2, 0, -1):
        last = 0.0
        for j in range(m - 2, 0, -1):
            last = (A_bar[i, j] + w[i + 1, j - 1] + w[i + 1, j] + w[i + 1, j + 1] + last) / 9.0
            w[i, j] = last
    _gather_border(w, A_bar)
    for _ in range(1, steps):
        for i in range(n - 2, 0, -1):
            last = 0.0
            for j in range(m - 2, 0, -1):
                last = (
                    w[i - 1, j - 1]
                    + w[i - 1, j]
                    + w[i - 1, j + 1]
                    + w[i, j - 1]
                    + w[i, j]
                    + w[i + 1, j - 1]
                    + w[i + 1, j]
                    + w[i + 1, j + 1]
                    + last
                ) / 9.0
                w[i, j] = last
        _gather_border(w, A_bar)
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            A_bar[i, j] = w[i, j] + w[i, j - 1] + w[i - 1, j - 1] + w[i - 1, j] + w[i - 1, j + 1]


def rows(package: Package, steps: int, A: Any) -> Any:
    """Return the grid at the end; along a row, x[j] = (c[j] + x[j - 1]) / 9 is a triangular matrix."""
    n = A.shape[1] - 2
    apart = np.subtract.outer(np.arange(n), np.arange(n))
    solve = package.array(np.where(apart >= 0, 9.0 ** -(np.maximum(apart, 0) + 1.0), 0.0))
    from_left = package.array(9.0 ** -(np.arange(n) + 1.0))

    def row(above: Any, slices: Any) -> Any:
        here, below = slices
        known = (
            above[:-2]
            + above[1:-1]
            + above[2:]
            + here[1:-1]
            + here[2:]
            + below[:-2]
            + below[1:-1]
            + below[2:]
        )
        new = package.np.concatenate((here[:1], solve @ known + from_left * here[0], here[-1:]))
        return new, new

    def sweep(A: Any) -> Any:
        _, inner = package.scan(row, A[0], (A[1:-1], A[2:]))
        return package.np.concatenate((A[:1], inner, A[-1:]))

    return (package.repeat(sweep, A, steps),)


def start(n: int, m: int, steps: int) -> tuple[Any, ...]:
    """Return arguments for a grid of n times m points."""
    return steps, Draw(1).array(n, m)


ROWS = (
    Row(
        title="seidel_2d 120², 40 sweeps",
        group=Group.STENCIL,
        function=seidel_2d,
        arguments=lambda: start(120, 120, 40),
        small=lambda: start(6, 7, 3),
        active=(1,),
        outputs=(1,),
        by_hand=seidel_2d_adjoint,
        hand_bytes=lambda steps, A: 0,
        peers=array_peers(rows, "rows by a matrix"),
        bar=1.1,
        quoted=Quoted(0.88, 0.9, "JAX expert 2.0"),
        thorough=False,
    ),
)
