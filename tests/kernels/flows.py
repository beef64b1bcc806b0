"""Incompressible flow in a cavity and in a channel: long array expressions, helpers that write in place."""

# ruff: noqa: PLR0917 - long argument lists are how such kernels are called

import numba as nb
import numpy as np

from .model import Draw, Kernel

__all__ = ["KERNELS"]


@nb.njit(fastmath=True)
def _source(b, rho, dt, u, v, dx, dy):
    b[1:-1, 1:-1] = rho * (
        1 / dt * ((u[1:-1, 2:] - u[1:-1, 0:-2]) / (2 * dx) + (v[2:, 1:-1] - v[0:-2, 1:-1]) / (2 * dy))
        - ((u[1:-1, 2:] - u[1:-1, 0:-2]) / (2 * dx)) ** 2
        - (u[2:, 1:-1] - u[0:-2, 1:-1]) / dy * (v[1:-1, 2:] - v[1:-1, 0:-2]) / (2 * dx)
        - ((v[2:, 1:-1] - v[0:-2, 1:-1]) / (2 * dy)) ** 2
    )
    return b, rho, dt


@nb.njit(fastmath=True)
def _relax(p, pn, dx, dy, b):
    around = (pn[1:-1, 2:] + pn[1:-1, :-2]) * dy**2 + (pn[2:, 1:-1] + pn[:-2, 1:-1]) * dx**2
    p[1:-1, 1:-1] = (around - dx**2 * dy**2 * b[1:-1, 1:-1]) / (2 * (dx**2 + dy**2))


@nb.njit(fastmath=True)
def _cavity_pressure(nit, p, dx, dy, b):
    pn = np.empty_like(p)
    for _ in range(nit):
        pn = p.copy()
        _relax(p, pn, dx, dy, b)
        p[:, -1] = p[:, -2]
        p[0, :] = p[1, :]
        p[:, 0] = p[:, 1]
        p[-1, :] = 0


@nb.njit(fastmath=True)
def _transported(w, u, v, dt, dx, dy, nu):
    """Return the interior of w after a step of upwind advection by (u, v) and of diffusion."""
    centre = w[1:-1, 1:-1]
    advected = u[1:-1, 1:-1] / dx * (centre - w[1:-1, :-2]) + v[1:-1, 1:-1] / dy * (centre - w[:-2, 1:-1])
    diffused = (w[1:-1, 2:] - 2 * centre + w[1:-1, :-2]) / dx**2
    diffused += (w[2:, 1:-1] - 2 * centre + w[:-2, 1:-1]) / dy**2
    return centre + dt * (nu * diffused - advected)


@nb.njit(fastmath=True)
def cavity_flow(steps, nit, u, v, dt, dx, dy, p, rho, nu):
    un = np.empty_like(u)
    b = np.zeros(u.shape)
    for _ in range(steps):
        un = u.copy()
        vn = v.copy()
        _source(b, rho, dt, u, v, dx, dy)
        _cavity_pressure(nit, p, dx, dy, b)
        u[1:-1, 1:-1] = _transported(un, un, vn, dt, dx, dy, nu) - dt / (2 * rho * dx) * (
            p[1:-1, 2:] - p[1:-1, 0:-2]
        )
        v[1:-1, 1:-1] = _transported(vn, un, vn, dt, dx, dy, nu) - dt / (2 * rho * dy) * (
            p[2:, 1:-1] - p[0:-2, 1:-1]
        )
        u[0, :] = 0
        u[:, 0] = 0
        u[:, -1] = 0
        u[-1, :] = 1
        v[0, :] = v[-1, :] = 0
        v[:, 0] = v[:, -1] = 0


@nb.njit(fastmath=True)
def _wrapped(w):
    """Return w with its last column before the first, and its first after the last."""
    return np.hstack((w[:, -1:], w, w[:, :1]))


@nb.njit(fastmath=True)
def _periodic_pressure(nit, p, dx, dy, b):
    for _ in range(nit):
        pn = p.copy()
        _relax(p, pn, dx, dy, b)
        scale = 2 * (dx**2 + dy**2)
        p[1:-1, 0] = (
            (pn[1:-1, 1] + pn[1:-1, -1]) * dy**2 + (pn[2:, 0] + pn[0:-2, 0]) * dx**2
        ) / scale - dx**2 * dy**2 / scale * b[1:-1, 0]
        p[1:-1, -1] = (
            (pn[1:-1, 0] + pn[1:-1, -2]) * dy**2 + (pn[2:, -1] + pn[0:-2, -1]) * dx**2
        ) / scale - dx**2 * dy**2 / scale * b[1:-1, -1]
        p[-1, :] = p[-2, :]
        p[0, :] = p[1, :]
    return nit, p, b


@nb.njit(fastmath=True)
def channel_flow(nit, u, v, dt, dx, dy, p, rho, nu, F, tolerance):
    change = 1
    steps = 0
    while change > tolerance:
        un, vn = _wrapped(u), _wrapped(v)
        b = np.zeros_like(un)
        _source(b, rho, dt, un, vn, dx, dy)
        _periodic_pressure(nit, p, dx, dy, b[:, 1:-1])
        pn = _wrapped(p)
        before = np.sum(u)
        u[1:-1, :] = _transported(un, un, vn, dt, dx, dy, nu) + dt * (
            F - (pn[1:-1, 2:] - pn[1:-1, :-2]) / (2 * rho * dx)
        )
        v[1:-1, :] = _transported(vn, un, vn, dt, dx, dy, nu) - dt / (2 * rho * dy) * (p[2:, :] - p[:-2, :])
        u[0, :] = u[-1, :] = 0
        v[0, :] = 0
        v[-1, :] = 0
        change = (np.sum(u) - before) / np.sum(u)
        steps += 1
    return steps


def _grids(draw: Draw):
    u, v = 0.1 * draw.array(4, 5), 0.1 * draw.array(4, 5)
    u[0] = u[-1] = v[0] = v[-1] = 0.0
    return u, v, 0.05, 0.5, 0.4, draw.array(4, 5), 1.1, 0.1


KERNELS = (
    Kernel(cavity_flow, lambda draw: (2, 2, *_grids(draw))),
    Kernel(channel_flow, lambda draw: (2, *_grids(draw), 1.0, 0.2), argnums=tuple(range(1, 10))),
)
