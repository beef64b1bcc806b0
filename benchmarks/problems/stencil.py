"""Jacobi sweeps between two arrays that swap roles: gradient with respect to both grids on entry."""

from __future__ import annotations

from typing import Any

from numba import njit

from benchmarks.model import Array, Group, Library, Peer, Row
from benchmarks.peers import jax_gradient
from coenzyme.problems.stencil import stencil, stencil_start

__all__ = ["ROWS"]


@njit
def stencil_adjoint(u: Array, v: Array, steps: int, du: Array, dv: Array) -> None:
    """Add the gradients by u and v on entry to du and dv.

    Notes
    -----
    The sweeps are linear, so nothing is recorded; each adjoint point gathers from its neighbours.
    """
    rows, columns = u.shape
    for _ in range(steps):
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                v[i, j] = 0.2 * (u[i, j] + u[i, j - 1] + u[i, j + 1] + u[i - 1, j] + u[i + 1, j])
        u, v = v, u
        du, dv = dv, du
    for i in range(rows):
        for j in range(columns):
            du[i, j] += u[i, j]
    for _ in range(steps):
        du, dv = dv, du
        sweep_back(du, dv)


@njit
def sweep_back(du: Array, dv: Array) -> None:
    """Take the inner points of dv out, and add to du what they demand of it: each point gathers.

    Notes
    -----
    The border of dv is set aside, so that points beside it need no case of their own.
    """
    rows, columns = dv.shape
    top, bottom, left, right = dv[0].copy(), dv[-1].copy(), dv[:, 0].copy(), dv[:, -1].copy()
    dv[0] = 0.0
    dv[-1] = 0.0
    dv[:, 0] = 0.0
    dv[:, -1] = 0.0
    du[0] += 0.2 * dv[1]
    du[-1] += 0.2 * dv[-2]
    du[:, 0] += 0.2 * dv[:, 1]
    du[:, -1] += 0.2 * dv[:, -2]
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            du[i, j] += 0.2 * (dv[i, j] + dv[i, j - 1] + dv[i, j + 1] + dv[i - 1, j] + dv[i + 1, j])
        dv[i - 1] = 0.0
    dv[rows - 2] = 0.0
    dv[0] = top
    dv[-1] = bottom
    dv[:, 0] = left
    dv[:, -1] = right


def jax_loss(u: Any, v: Any, steps: int) -> Any:
    """Return what `stencil` returns, as a scan over whole grids."""
    import jax

    def sweep(grids: Any, _: Any) -> Any:
        u, v = grids
        new = 0.2 * (u[1:-1, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + u[:-2, 1:-1] + u[2:, 1:-1])
        return (v.at[1:-1, 1:-1].set(new), u), None

    (u, v), _ = jax.lax.scan(sweep, (u, v), length=steps)
    return 0.5 * (u * u).sum()


ROWS = (
    Row(
        title="Jacobi sweeps, grids swapped, 250², 100 sweeps",
        group=Group.STENCIL,
        function=stencil,
        arguments=lambda: (*stencil_start(250), 100),
        small=lambda: (*stencil_start(9), 3),
        active=(0, 1),
        by_hand=stencil_adjoint,
        hand_bytes=lambda u, v, steps: 0,
        peers=(Peer(Library.JAX, "scan", lambda case: jax_gradient(case, jax_loss)),),
        thorough=False,
    ),
)
