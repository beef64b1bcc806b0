"""PolyBench's jacobi_2d: five-point sweeps back and forth between two grids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers, jax_peer
from benchmarks.model import Call, Case, Group, Library, Peer, Quoted, Row
from benchmarks.peers import casadi_steps
from tests.kernels.model import Draw
from tests.kernels.stencils import jacobi_2d_loops

__all__ = ["ROWS"]


def jacobi_2d(steps, A, B):
    """Step both grids in place."""
    jacobi_2d_loops(steps, A, B)


@njit
def _gather(inner, out):
    n, m = out.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            out[i, j] = 0.2 * (
                inner[i, j] + inner[i, j - 1] + inner[i, j + 1] + inner[i + 1, j] + inner[i - 1, j]
            )


@njit
def _gather_border(inner, bar):
    n, m = bar.shape
    for j in range(1, m - 1):
        bar[0, j] += 0.2 * inner[1, j]
        bar[n - 1, j] += 0.2 * inner[n - 2, j]
    for i in range(1, n - 1):
        bar[i, 0] += 0.2 * inner[i, 1]
        bar[i, m - 1] += 0.2 * inner[i, m - 2]


@njit
def jacobi_2d_adjoint(steps, A, B, A_bar, B_bar):
    """Send the inner points' adjoints back and forth between two arrays with borders of zero."""
    if steps < 2:
        return
    a, b = np.zeros(A.shape), np.zeros(A.shape)
    a[1:-1, 1:-1] = A_bar[1:-1, 1:-1]
    _gather(a, b)
    _gather_border(a, B_bar)
    b[1:-1, 1:-1] += B_bar[1:-1, 1:-1]
    for _ in range(2, steps):
        _gather(b, a)
        _gather_border(b, A_bar)
        _gather(a, b)
        _gather_border(a, B_bar)
    _gather(b, A_bar)
    _gather_border(b, A_bar)
    B_bar[1:-1, 1:-1] = 0.0


def arrays(package: Package, steps: int, A: Any, B: Any) -> Any:
    """Return both grids at the end; frames that are never written are added around what is."""
    inside = package.array(np.pad(np.ones((A.shape[0] - 2, A.shape[1] - 2)), 1))

    def sweep(source: Any, frame: Any) -> Any:
        cross = source[1:-1, :-2] + source[1:-1, 2:] + source[2:, 1:-1] + source[:-2, 1:-1]
        return package.pad(0.2 * (source[1:-1, 1:-1] + cross)) + frame

    def step(carry: Any) -> Any:
        A, _ = carry
        B = sweep(A, frame_b)
        return sweep(B, frame_a), B

    frame_a, frame_b = (1.0 - inside) * A, (1.0 - inside) * B
    return package.repeat(step, (A, B), steps - 1)


def set_inside(package: Package, steps: int, A: Any, B: Any) -> Any:
    """Return both grids at the end, updated as JAX has it."""

    def sweep(source: Any, target: Any) -> Any:
        cross = source[1:-1, :-2] + source[1:-1, 2:] + source[2:, 1:-1] + source[:-2, 1:-1]
        return target.at[1:-1, 1:-1].set(0.2 * (source[1:-1, 1:-1] + cross))

    def step(carry: Any) -> Any:
        A, B = carry
        B = sweep(A, B)
        return sweep(B, A), B

    return package.repeat(step, (A, B), steps - 1)


def casadi_call(case: Case) -> Call:
    """Return CasADi's derivative, of a loop over one expanded step; its matrices are stored by columns."""
    import casadi

    rows, columns = case.start[1].shape
    i = slice(1, -1)

    def step(*grids: Any) -> Any:
        A, B = (casadi.reshape(grid, columns, rows) for grid in grids)
        for x, target in ((A, B), (B, A)):
            target[i, i] = 0.2 * (x[i, i] + x[i, :-2] + x[i, 2:] + x[2:, i] + x[:-2, i])
        return casadi.vec(A), casadi.vec(B)

    return casadi_steps(case, step, case.start[0] - 1)


def start(n: int, m: int, steps: int) -> tuple[Any, ...]:
    """Return arguments for grids of n times m points."""
    draw = Draw(1)
    return steps, draw.array(n, m), draw.array(n, m)


ROWS = (
    Row(
        title="jacobi_2d 250², 100 steps",
        group=Group.STENCIL,
        function=jacobi_2d,
        arguments=lambda: start(250, 250, 100),
        small=lambda: start(6, 7, 4),
        active=(1, 2),
        outputs=(1, 2),
        by_hand=jacobi_2d_adjoint,
        hand_bytes=lambda steps, A, B: 0,
        peers=(*array_peers(arrays), jax_peer(set_inside, "set"), Peer(Library.CASADI, "loop", casadi_call)),
        bar=1.7,
        quoted=Quoted(1.3, 4.3, "JAX 11.9"),
    ),
)
