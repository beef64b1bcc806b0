"""PolyBench's adi: implicit steps along columns and rows in turn, each a tridiagonal solve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw

__all__ = ["ROWS"]


def adi(steps, u):
    n = u.shape[0]
    v, p, q = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    a = -(n * n) / steps
    d = -(n * n) / (2.0 * steps)
    b, e = 1.0 - 2.0 * a, 1.0 - 2.0 * d
    for _ in range(steps):
        for i in range(1, n - 1):
            v[0, i] = 1.0
            p[i, 0] = 0.0
            q[i, 0] = v[0, i]
            for j in range(1, n - 1):
                p[i, j] = -a / (a * p[i, j - 1] + b)
                q[i, j] = (
                    -d * u[j, i - 1] + (1.0 + 2.0 * d) * u[j, i] - d * u[j, i + 1] - a * q[i, j - 1]
                ) / (a * p[i, j - 1] + b)
            v[n - 1, i] = 1.0
            for j in range(n - 2, 0, -1):
                v[j, i] = p[i, j] * v[j + 1, i] + q[i, j]
        for i in range(1, n - 1):
            u[i, 0] = 1.0
            p[i, 0] = 0.0
            q[i, 0] = u[i, 0]
            for j in range(1, n - 1):
                p[i, j] = -d / (d * p[i, j - 1] + e)
                q[i, j] = (
                    -a * v[i - 1, j] + (1.0 + 2.0 * a) * v[i, j] - a * v[i + 1, j] - d * q[i, j - 1]
                ) / (d * p[i, j - 1] + e)
            u[i, n - 1] = 1.0
            for j in range(n - 2, 0, -1):
                u[i, j] = p[i, j] * u[i, j + 1] + q[i, j]


@njit
def _solve_adjoint(side, centre, inverse, line):
    """Replace a line's adjoint by that of the right-hand side; p and the pivots are computed on the way."""
    n = line.size
    before = carried = 0.0
    for j in range(1, n - 1):
        carried = line[j] + before * carried
        line[j] = carried
        inverse[j] = 1.0 / (side * before + centre)
        before = -side * inverse[j]
    carried = 0.0
    for j in range(n - 2, 0, -1):
        carried = (line[j] - side * carried) * inverse[j]
        line[j] = carried


@njit
def adi_adjoint(steps, u, u_bar):
    """Tape nothing, for the sweeps are affine in u: the adjoint of a line is a solve along it."""
    n = u.shape[0]
    a = -(n * n) / steps
    d = -(n * n) / (2.0 * steps)
    b, e = 1.0 - 2.0 * a, 1.0 - 2.0 * d
    inverse, line = np.zeros(n), np.zeros(n)
    v_bar, w = np.zeros((n, n)), np.zeros((n, n))
    for _ in range(steps):
        for i in range(1, n - 1):
            line[1:-1] = u_bar[i, 1:-1]
            _solve_adjoint(d, e, inverse, line)
            w[i, 1:-1] = line[1:-1]
        for j in range(1, n - 1):
            for i in range(1, n - 1):
                line[i] = (1.0 + 2.0 * a) * w[i, j] - a * (w[i - 1, j] + w[i + 1, j])
            _solve_adjoint(a, b, inverse, line)
            for i in range(1, n - 1):
                v_bar[i, j] = line[i]
        for i in range(1, n - 1):
            u_bar[i, 0] = -d * v_bar[i, 1]
            u_bar[i, n - 1] = -d * v_bar[i, n - 2]
            for j in range(1, n - 1):
                u_bar[i, j] = (1.0 + 2.0 * d) * v_bar[i, j] - d * (v_bar[i, j - 1] + v_bar[i, j + 1])


def lines(package: Package, steps: int, u: Any) -> Any:
    """Return the grid at the end: scans along a line of all lines at once; the pivots are constants."""
    n = u.shape[0]
    a, d = -(n * n) / steps, -(n * n) / (2.0 * steps)

    def pivots(side: float) -> Any:
        p, inverse = np.zeros(n - 1), np.zeros(n - 2)
        for j in range(1, n - 1):
            inverse[j - 1] = 1.0 / (side * p[j - 1] + 1.0 - 2.0 * side)
            p[j] = -side * inverse[j - 1]
        return package.array(p[1:]), package.array(inverse)

    columns, rows = pivots(a), pivots(d)
    ones = package.array(np.ones(n - 2))
    line = package.array(np.ones((1, n - 2)))

    def solve(side: float, solved: Any, right: Any) -> Any:
        p, inverse = solved
        q = package.scan(lambda q, s: ((s[0] - side * q) * s[1],) * 2, ones, (right, inverse))[1]
        return package.scan(lambda v, s: (s[1] * v + s[0],) * 2, ones, (q, p), reverse=True)[1]

    def step(u: Any) -> Any:
        right = (1.0 + 2.0 * d) * u[1:-1, 1:-1] - d * (u[1:-1, :-2] + u[1:-1, 2:])
        v = package.np.concatenate((line, solve(a, columns, right), line))
        right = (1.0 + 2.0 * a) * v[1:-1] - a * (v[:-2] + v[2:])
        inner = package.np.concatenate((line, solve(d, rows, right.T), line)).T
        return package.np.concatenate((u[:1], inner, u[-1:]))

    return (package.repeat(step, u, steps),)


def start(n: int, steps: int) -> tuple[Any, ...]:
    """Return arguments for a grid of n² points."""
    return steps, Draw(1).array(n, n)


ROWS = (
    Row(
        title="adi 200², 20 steps",
        group=Group.STENCIL,
        function=adi,
        arguments=lambda: start(200, 20),
        small=lambda: start(7, 3),
        active=(1,),
        outputs=(1,),
        by_hand=adi_adjoint,
        hand_bytes=lambda steps, u: 0,
        peers=array_peers(lines, "lines at once"),
        bar=1.2,
        quoted=Quoted(0.9, 2.4, "JAX 9.3"),
    ),
)
