"""NPBench's cavity_flow in loops: incompressible flow in a lid-driven cavity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw

__all__ = ["ROWS"]


@njit
def _make_source(b, rho, dt, u, v, dx, dy):
    rows, columns = b.shape
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            ux = (u[i, j + 1] - u[i, j - 1]) / (2 * dx)
            vy = (v[i + 1, j] - v[i - 1, j]) / (2 * dy)
            cross = (u[i + 1, j] - u[i - 1, j]) / dy * (v[i, j + 1] - v[i, j - 1]) / (2 * dx)
            b[i, j] = rho * (1 / dt * (ux + vy) - ux**2 - cross - vy**2)


@njit
def _relax(nit, p, pn, dx, dy, b):
    rows, columns = p.shape
    for _ in range(nit):
        pn[:, :] = p
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                around = (pn[i, j + 1] + pn[i, j - 1]) * dy**2 + (pn[i + 1, j] + pn[i - 1, j]) * dx**2
                p[i, j] = (around - dx**2 * dy**2 * b[i, j]) / (2 * (dx**2 + dy**2))
        for i in range(rows):
            p[i, columns - 1] = p[i, columns - 2]
        for j in range(columns):
            p[0, j] = p[1, j]
        for i in range(rows):
            p[i, 0] = p[i, 1]
        for j in range(columns):
            p[rows - 1, j] = 0.0


@njit
def _transport(w, u, v, dt, dx, dy, nu, i, j):
    advected = u[i, j] / dx * (w[i, j] - w[i, j - 1]) + v[i, j] / dy * (w[i, j] - w[i - 1, j])
    x = (w[i, j + 1] - 2 * w[i, j] + w[i, j - 1]) / dx**2
    y = (w[i + 1, j] - 2 * w[i, j] + w[i - 1, j]) / dy**2
    return w[i, j] + dt * (nu * (x + y) - advected)


@njit
def _walls(u, v):
    u[0, :] = 0.0
    u[:, 0] = 0.0
    u[:, -1] = 0.0
    u[-1, :] = 1.0
    v[0, :] = 0.0
    v[-1, :] = 0.0
    v[:, 0] = 0.0
    v[:, -1] = 0.0


def cavity_flow(steps, nit, u, v, dt, dx, dy, p, rho, nu):
    """Step velocities and pressure in place."""
    rows, columns = u.shape
    un, vn, pn, b = np.empty_like(u), np.empty_like(v), np.empty_like(p), np.zeros_like(p)
    for _ in range(steps):
        un[:, :] = u
        vn[:, :] = v
        _make_source(b, rho, dt, u, v, dx, dy)
        _relax(nit, p, pn, dx, dy, b)
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                x, y = p[i, j + 1] - p[i, j - 1], p[i + 1, j] - p[i - 1, j]
                u[i, j] = _transport(un, un, vn, dt, dx, dy, nu, i, j) - dt / (2 * rho * dx) * x
                v[i, j] = _transport(vn, un, vn, dt, dx, dy, nu, i, j) - dt / (2 * rho * dy) * y
        _walls(u, v)


_step = njit(cavity_flow)


@njit
def _wall(bar):
    """Take out the cotangents of what is set on the four sides."""
    bar[0, :] = 0.0
    bar[-1, :] = 0.0
    bar[:, 0] = 0.0
    bar[:, -1] = 0.0


@njit
def _pressure_of_velocities(u_bar, v_bar, p_bar, x, y):
    """Add what the pressure gradients in both momentum equations hand back."""
    rows, columns = p_bar.shape
    for i in range(1, rows - 1):
        p_bar[i, 0] += x * u_bar[i, 1]
        p_bar[i, columns - 1] -= x * u_bar[i, columns - 2]
        for j in range(1, columns - 1):
            p_bar[i, j] += x * (u_bar[i, j + 1] - u_bar[i, j - 1]) + y * (v_bar[i + 1, j] - v_bar[i - 1, j])
    for j in range(1, columns - 1):
        p_bar[0, j] += y * v_bar[1, j]
        p_bar[rows - 1, j] -= y * v_bar[rows - 2, j]


@njit
def _relaxation(p_bar, before, b_bar, x, y, b):
    """Take one relaxation of the pressure back, from p_bar to before; p_bar keeps what b is due."""
    rows, columns = p_bar.shape
    p_bar[rows - 1, :] = 0.0
    for i in range(rows):
        p_bar[i, 1] += p_bar[i, 0]
        p_bar[i, 0] = 0.0
    for j in range(columns):
        p_bar[1, j] += p_bar[0, j]
        p_bar[0, j] = 0.0
    for i in range(rows):
        p_bar[i, columns - 2] += p_bar[i, columns - 1]
        p_bar[i, columns - 1] = 0.0
    for i in range(1, rows - 1):
        before[i, 0] = x * p_bar[i, 1]
        before[i, columns - 1] = x * p_bar[i, columns - 2]
        for j in range(1, columns - 1):
            before[i, j] = x * (p_bar[i, j - 1] + p_bar[i, j + 1]) + y * (p_bar[i - 1, j] + p_bar[i + 1, j])
            b_bar[i, j] -= b * p_bar[i, j]
    for j in range(1, columns - 1):
        before[0, j] = y * p_bar[1, j]
        before[rows - 1, j] = y * p_bar[rows - 2, j]
    before[0, 0] = before[0, -1] = before[-1, 0] = before[-1, -1] = 0.0


@njit
def _source(b_bar, u, v, along, across, rho, dt, dx, dy):
    """Return what the source hands to the differences of u (first halves) and of v (second halves)."""
    rows, columns = u.shape
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            bar = rho * b_bar[i, j]
            ux = (u[i, j + 1] - u[i, j - 1]) / (2.0 * dx)
            vy = (v[i + 1, j] - v[i - 1, j]) / (2.0 * dy)
            along[0, i, j] = bar * (1.0 / dt - 2.0 * ux) / (2.0 * dx)
            along[1, i, j] = bar * (1.0 / dt - 2.0 * vy) / (2.0 * dy)
            across[0, i, j] = -bar * (v[i, j + 1] - v[i, j - 1]) / (2.0 * dx * dy)
            across[1, i, j] = -bar * (u[i + 1, j] - u[i - 1, j]) / (2.0 * dx * dy)


@njit
def _velocities(u, v, u_bar, v_bar, u_new, v_new, along, across, dt, dx, dy, nu):
    """Gather the adjoints of both velocities before a step, at inner points."""
    rows, columns = u.shape
    x, y = dt * nu / dx**2, dt * nu / dy**2
    s, t = dt / dx, dt / dy
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            east = x + s * u[i, j + 1]
            north = y + t * v[i + 1, j]
            stays = 1.0 - 2.0 * (x + y) - s * u[i, j] - t * v[i, j]
            u_new[i, j] = (
                u_bar[i, j] * (stays - s * (u[i, j] - u[i, j - 1]))
                - v_bar[i, j] * s * (v[i, j] - v[i, j - 1])
                + u_bar[i, j + 1] * east
                + u_bar[i, j - 1] * x
                + u_bar[i + 1, j] * north
                + u_bar[i - 1, j] * y
                + (along[0, i, j - 1] - along[0, i, j + 1])
                + (across[0, i - 1, j] - across[0, i + 1, j])
            )
            v_new[i, j] = (
                v_bar[i, j] * (stays - t * (v[i, j] - v[i - 1, j]))
                - u_bar[i, j] * t * (u[i, j] - u[i - 1, j])
                + v_bar[i, j + 1] * east
                + v_bar[i, j - 1] * x
                + v_bar[i + 1, j] * north
                + v_bar[i - 1, j] * y
                + (along[1, i - 1, j] - along[1, i + 1, j])
                + (across[1, i, j - 1] - across[1, i, j + 1])
            )


@njit
def _sides(u, v, u_bar, v_bar, u_new, v_new, along, across, dt, dx, dy, nu):
    """Gather the adjoints on the sides, which only the first step reads from the arguments."""
    rows, columns = u.shape
    x, y = dt * nu / dx**2, dt * nu / dy**2
    s, t = dt / dx, dt / dy
    for j in range(1, columns - 1):
        north = y + t * v[1, j]
        u_new[0, j] = u_bar[1, j] * north - across[0, 1, j]
        v_new[0, j] = v_bar[1, j] * north - along[1, 1, j]
        u_new[rows - 1, j] = u_bar[rows - 2, j] * y + across[0, rows - 2, j]
        v_new[rows - 1, j] = v_bar[rows - 2, j] * y + along[1, rows - 2, j]
    for i in range(1, rows - 1):
        east = x + s * u[i, 1]
        u_new[i, 0] = u_bar[i, 1] * east - along[0, i, 1]
        v_new[i, 0] = v_bar[i, 1] * east - across[1, i, 1]
        u_new[i, columns - 1] = u_bar[i, columns - 2] * x + along[0, i, columns - 2]
        v_new[i, columns - 1] = v_bar[i, columns - 2] * x + across[1, i, columns - 2]


@njit
def cavity_flow_adjoint(steps, nit, u, v, dt, dx, dy, p, rho, nu, u_bar, v_bar, p_bar):
    """Tape both velocities of each step; the pressure's relaxations are linear."""
    rows, columns = u.shape
    tape = np.empty((steps, 2, rows, columns))
    for step in range(steps):
        tape[step, 0] = u
        tape[step, 1] = v
        _step(1, nit, u, v, dt, dx, dy, p, rho, nu)
    along, across = np.zeros((2, rows, columns)), np.zeros((2, rows, columns))
    u_new, v_new, before = np.zeros(u.shape), np.zeros(u.shape), np.empty(u.shape)
    scale = 2.0 * (dx**2 + dy**2)
    for step in range(steps - 1, -1, -1):
        u_now, v_now = tape[step, 0], tape[step, 1]
        _wall(u_bar)
        _wall(v_bar)
        _pressure_of_velocities(u_bar, v_bar, p_bar, dt / (2.0 * rho * dx), dt / (2.0 * rho * dy))
        b_bar = np.zeros(u.shape)
        for _ in range(nit):
            _relaxation(p_bar, before, b_bar, dy**2 / scale, dx**2 / scale, dx**2 * dy**2 / scale)
            p_bar[:] = before
        _source(b_bar, u_now, v_now, along, across, rho, dt, dx, dy)
        _velocities(u_now, v_now, u_bar, v_bar, u_new, v_new, along, across, dt, dx, dy, nu)
        if step == 0:
            _sides(u_now, v_now, u_bar, v_bar, u_new, v_new, along, across, dt, dx, dy, nu)
        u_bar[:] = u_new
        v_bar[:] = v_new


def arrays(
    package: Package,
    steps: int,
    nit: int,
    u: Any,
    v: Any,
    dt: float,
    dx: float,
    dy: float,
    p: Any,
    rho: float,
    nu: float,
) -> Any:
    """Return both velocities and the pressure in whole arrays."""
    numpy = package.np
    lid = np.zeros(tuple(u.shape))
    lid[-1] = 1.0
    lid = package.array(lid)
    scale = 2.0 * (dx**2 + dy**2)

    def relax(p: Any, b: Any) -> Any:
        around = (p[1:-1, 2:] + p[1:-1, :-2]) * dy**2 + (p[2:, 1:-1] + p[:-2, 1:-1]) * dx**2
        inner = (around - dx**2 * dy**2 * b) / scale
        # Copies of the neighbours left, right and above, then zeros below.
        rows = numpy.concatenate((inner[:, :1], inner, inner[:, -1:]), axis=1)
        return numpy.concatenate((rows[:1], rows, 0.0 * rows[:1]), axis=0)

    def transported(w: Any, u: Any, v: Any) -> Any:
        c = w[1:-1, 1:-1]
        advected = u[1:-1, 1:-1] / dx * (c - w[1:-1, :-2]) + v[1:-1, 1:-1] / dy * (c - w[:-2, 1:-1])
        x = (w[1:-1, 2:] - 2.0 * c + w[1:-1, :-2]) / dx**2
        y = (w[2:, 1:-1] - 2.0 * c + w[:-2, 1:-1]) / dy**2
        return c + dt * (nu * (x + y) - advected)

    def step(carry: Any) -> Any:
        u, v, p = carry
        ux = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx)
        vy = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dy)
        cross = (u[2:, 1:-1] - u[:-2, 1:-1]) / dy * (v[1:-1, 2:] - v[1:-1, :-2]) / (2 * dx)
        b = rho * (1 / dt * (ux + vy) - ux**2 - cross - vy**2)
        p = package.repeat(lambda p: relax(p, b), p, nit)
        pull = dt / (2 * rho)
        new_u = transported(u, u, v) - pull / dx * (p[1:-1, 2:] - p[1:-1, :-2])
        new_v = transported(v, u, v) - pull / dy * (p[2:, 1:-1] - p[:-2, 1:-1])
        return package.pad(new_u) + lid, package.pad(new_v), p

    return package.repeat(step, (u, v, p), steps)


def start(n: int, m: int, steps: int, nit: int, dt: float) -> tuple[Any, ...]:
    """Return arguments for n times m points."""
    draw = Draw(1)
    u, v, p = 0.1 * draw.signed(n, m), 0.1 * draw.signed(n, m), 0.1 * draw.signed(n, m)
    return steps, nit, u, v, dt, 2.0 / (m - 1), 2.0 / (n - 1), p, 1.1, 0.1


ROWS = (
    Row(
        title="cavity_flow 61², 50 steps of 10",
        group=Group.STENCIL,
        function=cavity_flow,
        arguments=lambda: start(61, 61, 50, 10, 1e-3),
        small=lambda: start(6, 7, 3, 2, 0.02),
        active=(2, 3, 7),
        outputs=(2, 3, 7),
        by_hand=cavity_flow_adjoint,
        hand_bytes=lambda steps, nit, u, *_: 16 * u.size * steps,
        peers=array_peers(arrays),
        bar=4.4,
        quoted=Quoted(None, 4.4, "JAX 29.5"),
    ),
)
