"""PolyBench's jacobi_1d: three-point sweeps back and forth between two arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Call, Case, Group, Library, Peer, Quoted, Row
from benchmarks.peers import casadi_steps
from tests.kernels.model import Draw

__all__ = ["ROWS"]


def jacobi_1d(steps, A, B):
    n = A.size
    for _ in range(1, steps):
        for i in range(1, n - 1):
            B[i] = 0.33333 * (A[i - 1] + A[i] + A[i + 1])
        for i in range(1, n - 1):
            A[i] = 0.33333 * (B[i - 1] + B[i] + B[i + 1])


@njit
def _gather(inner, out):
    """Set the inner points of `out` to what a sweep's outputs, with zeros at their ends, hand back."""
    for i in range(1, out.size - 1):
        out[i] = 0.33333 * (inner[i - 1] + inner[i] + inner[i + 1])


@njit
def _gather_ends(inner, bar):
    bar[0] += 0.33333 * inner[1]
    bar[-1] += 0.33333 * inner[-2]


@njit
def jacobi_1d_adjoint(steps, A, B, A_bar, B_bar):
    """Send the inner points' adjoints back and forth between two arrays with ends of zero."""
    n = A.size
    if steps < 2:
        return
    a, b = np.zeros(n), np.zeros(n)
    a[1:-1] = A_bar[1:-1]
    _gather(a, b)
    _gather_ends(a, B_bar)
    b[1:-1] += B_bar[1:-1]
    for _ in range(2, steps):
        _gather(b, a)
        _gather_ends(b, A_bar)
        _gather(a, b)
        _gather_ends(a, B_bar)
    _gather(b, A_bar)
    _gather_ends(b, A_bar)
    B_bar[1:-1] = 0.0


def arrays(package: Package, steps: int, A: Any, B: Any) -> Any:
    """Return both arrays at the end."""

    def sweep(source: Any, target: Any) -> Any:
        inner = 0.33333 * (source[:-2] + source[1:-1] + source[2:])
        return package.np.concatenate((target[:1], inner, target[-1:]))

    def step(carry: Any) -> Any:
        A, B = carry
        B = sweep(A, B)
        return sweep(B, A), B

    return package.repeat(step, (A, B), steps - 1)


def casadi_call(case: Case) -> Call:
    """Return CasADi's derivative, of a loop over one expanded step."""

    def step(A: Any, B: Any) -> Any:
        for source, target in ((A, B), (B, A)):
            target[1:-1] = 0.33333 * (source[:-2] + source[1:-1] + source[2:])
        return A, B

    return casadi_steps(case, step, case.start[0] - 1)


def start(n: int, steps: int) -> tuple[Any, ...]:
    """Return arguments for arrays of n points."""
    draw = Draw(1)
    return steps, draw.array(n), draw.array(n)


ROWS = (
    Row(
        title="jacobi_1d 3200, 800 steps",
        group=Group.STENCIL,
        function=jacobi_1d,
        arguments=lambda: start(3200, 800),
        small=lambda: start(9, 4),
        active=(1, 2),
        outputs=(1, 2),
        by_hand=jacobi_1d_adjoint,
        hand_bytes=lambda steps, A, B: 0,
        peers=(*array_peers(arrays), Peer(Library.CASADI, "loop", casadi_call)),
        bar=2.2,
        quoted=Quoted(1.9, 2.5, "JAX 5.1"),
    ),
)
