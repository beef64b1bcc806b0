"""PolyBench's heat_3d: seven-point sweeps back and forth between two boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw

__all__ = ["ROWS"]


@njit
def _step(old, new):
    n, m, levels = old.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            for k in range(1, levels - 1):
                new[i, j, k] = (
                    0.125 * (old[i + 1, j, k] - 2.0 * old[i, j, k] + old[i - 1, j, k])
                    + 0.125 * (old[i, j + 1, k] - 2.0 * old[i, j, k] + old[i, j - 1, k])
                    + 0.125 * (old[i, j, k + 1] - 2.0 * old[i, j, k] + old[i, j, k - 1])
                    + old[i, j, k]
                )


def heat_3d(steps, A, B):
    for _ in range(1, steps):
        _step(A, B)
        _step(B, A)


@njit
def _gather(inner, out):
    n, m, levels = out.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            for k in range(1, levels - 1):
                out[i, j, k] = 0.25 * inner[i, j, k] + 0.125 * (
                    inner[i + 1, j, k]
                    + inner[i - 1, j, k]
                    + inner[i, j + 1, k]
                    + inner[i, j - 1, k]
                    + inner[i, j, k + 1]
                    + inner[i, j, k - 1]
                )


@njit
def _gather_border(inner, bar):
    n, m, levels = bar.shape
    for j in range(1, m - 1):
        for k in range(1, levels - 1):
            bar[0, j, k] += 0.125 * inner[1, j, k]
            bar[n - 1, j, k] += 0.125 * inner[n - 2, j, k]
    for i in range(1, n - 1):
        for k in range(1, levels - 1):
            bar[i, 0, k] += 0.125 * inner[i, 1, k]
            bar[i, m - 1, k] += 0.125 * inner[i, m - 2, k]
        for j in range(1, m - 1):
            bar[i, j, 0] += 0.125 * inner[i, j, 1]
            bar[i, j, levels - 1] += 0.125 * inner[i, j, levels - 2]


@njit
def heat_3d_adjoint(steps, A, B, A_bar, B_bar):
    if steps < 2:
        return
    a, b = np.zeros(A.shape), np.zeros(A.shape)
    a[1:-1, 1:-1, 1:-1] = A_bar[1:-1, 1:-1, 1:-1]
    _gather(a, b)
    _gather_border(a, B_bar)
    b[1:-1, 1:-1, 1:-1] += B_bar[1:-1, 1:-1, 1:-1]
    for _ in range(2, steps):
        _gather(b, a)
        _gather_border(b, A_bar)
        _gather(a, b)
        _gather_border(a, B_bar)
    _gather(b, A_bar)
    _gather_border(b, A_bar)
    B_bar[1:-1, 1:-1, 1:-1] = 0.0


def arrays(package: Package, steps: int, A: Any, B: Any) -> Any:
    """Return both boxes at the end; frames that are never written are added around what is."""
    inside = package.array(np.pad(np.ones(tuple(n - 2 for n in A.shape)), 1))
    i = slice(1, -1)

    def sweep(x: Any, frame: Any) -> Any:
        sides = x[2:, i, i] + x[:-2, i, i] + x[i, 2:, i] + x[i, :-2, i] + x[i, i, 2:] + x[i, i, :-2]
        return package.pad(0.125 * sides + 0.25 * x[i, i, i]) + frame

    def step(carry: Any) -> Any:
        A, _ = carry
        B = sweep(A, frame_b)
        return sweep(B, frame_a), B

    frame_a, frame_b = (1.0 - inside) * A, (1.0 - inside) * B
    return package.repeat(step, (A, B), steps - 1)


def start(n: int, m: int, k: int, steps: int) -> tuple[Any, ...]:
    """Return arguments for boxes of n times m times k points."""
    draw = Draw(1)
    return steps, draw.array(n, m, k), draw.array(n, m, k)


ROWS = (
    Row(
        title="heat_3d 40³, 50 steps",
        group=Group.STENCIL,
        function=heat_3d,
        arguments=lambda: start(40, 40, 40, 50),
        small=lambda: start(6, 5, 7, 4),
        active=(1, 2),
        outputs=(1, 2),
        by_hand=heat_3d_adjoint,
        hand_bytes=lambda steps, A, B: 0,
        peers=array_peers(arrays),
        bar=3.0,
        quoted=Quoted(None, 3.7, "JAX 9.1"),
    ),
)
