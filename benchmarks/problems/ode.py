"""Small systems over many Runge-Kutta steps: what the state was is all that can be kept."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks.model import Array, Case, Group, Library, Peer, Quoted, Row
from benchmarks.peers import jax_gradient
from coenzyme.problems.ode import rk4_lorenz

__all__ = ["ROWS"]

# --- Lorenz ------------------------------------------------------------------------------------------------


@njit
def lorenz_slope(x: float, y: float, z: float, p: Array) -> tuple[float, float, float]:
    """Return the time derivative of the state."""
    return p[0] * (y - x), x * (p[1] - z) - y, x * y - p[2] * z


@njit
def lorenz_pull_back(
    x: float, y: float, z: float, p: Array, kx: float, ky: float, kz: float, dp: Array
) -> tuple[float, float, float]:
    """Return the cotangent of the state from that of its slope, (kx, ky, kz), and add that of p to dp."""
    dp[0] += kx * (y - x)
    dp[1] += ky * x
    dp[2] -= kz * z
    return -p[0] * kx + (p[1] - z) * ky + y * kz, p[0] * kx - ky + x * kz, -x * ky - p[2] * kz


@njit
def lorenz_adjoint(
    state: Array, parameters: Array, dt: float, steps: int, d_state: Array, d_parameters: Array
) -> None:
    """Take the cotangent of the last state back to the first; states are kept, stages computed again."""
    kept = np.empty((steps, 3))
    x, y, z = state[0], state[1], state[2]
    p, half = parameters.copy(), 0.5 * dt
    for t in range(steps):
        kept[t, 0], kept[t, 1], kept[t, 2] = x, y, z
        ax, ay, az = lorenz_slope(x, y, z, p)
        bx, by, bz = lorenz_slope(x + half * ax, y + half * ay, z + half * az, p)
        cx, cy, cz = lorenz_slope(x + half * bx, y + half * by, z + half * bz, p)
        ex, ey, ez = lorenz_slope(x + dt * cx, y + dt * cy, z + dt * cz, p)
        x += dt / 6.0 * (ax + 2.0 * bx + 2.0 * cx + ex)
        y += dt / 6.0 * (ay + 2.0 * by + 2.0 * cy + ey)
        z += dt / 6.0 * (az + 2.0 * bz + 2.0 * cz + ez)
    dx, dy, dz = d_state[0], d_state[1], d_state[2]
    dp = np.zeros(3)
    for t in range(steps - 1, -1, -1):
        x, y, z = kept[t, 0], kept[t, 1], kept[t, 2]
        ax, ay, az = lorenz_slope(x, y, z, p)
        x2, y2, z2 = x + half * ax, y + half * ay, z + half * az
        bx, by, bz = lorenz_slope(x2, y2, z2, p)
        x3, y3, z3 = x + half * bx, y + half * by, z + half * bz
        cx, cy, cz = lorenz_slope(x3, y3, z3, p)
        x4, y4, z4 = x + dt * cx, y + dt * cy, z + dt * cz
        sixth, third = dt / 6.0, dt / 3.0
        ux, uy, uz = lorenz_pull_back(x4, y4, z4, p, sixth * dx, sixth * dy, sixth * dz, dp)
        vx, vy, vz = lorenz_pull_back(
            x3, y3, z3, p, third * dx + dt * ux, third * dy + dt * uy, third * dz + dt * uz, dp
        )
        wx, wy, wz = lorenz_pull_back(
            x2, y2, z2, p, third * dx + half * vx, third * dy + half * vy, third * dz + half * vz, dp
        )
        qx, qy, qz = lorenz_pull_back(
            x, y, z, p, sixth * dx + half * wx, sixth * dy + half * wy, sixth * dz + half * wz, dp
        )
        dx += ux + vx + wx + qx
        dy += uy + vy + wy + qy
        dz += uz + vz + wz + qz
    d_state[0], d_state[1], d_state[2] = dx, dy, dz
    d_parameters += dp


# --- Van der Pol -------------------------------------------------------------------------------------------


def rk4_van_der_pol(state: Array, mu: float, dt: float, steps: int) -> None:
    """Advance place and speed, (2,), in place by this many steps of length dt."""
    x, v = state[0], state[1]
    for _ in range(steps):
        a1, b1 = v, mu * (1.0 - x * x) * v - x
        x2, v2 = x + 0.5 * dt * a1, v + 0.5 * dt * b1
        a2, b2 = v2, mu * (1.0 - x2 * x2) * v2 - x2
        x3, v3 = x + 0.5 * dt * a2, v + 0.5 * dt * b2
        a3, b3 = v3, mu * (1.0 - x3 * x3) * v3 - x3
        x4, v4 = x + dt * a3, v + dt * b3
        a4, b4 = v4, mu * (1.0 - x4 * x4) * v4 - x4
        x += dt / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
        v += dt / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
    state[0], state[1] = x, v


@njit
def van_der_pol_pull_back(x: float, v: float, mu: float, a: float, b: float) -> tuple[float, float, float]:
    """Return the cotangents of x, v and mu from those of the slopes."""
    bend = 1.0 - x * x
    return b * (-2.0 * mu * x * v - 1.0), a + b * mu * bend, b * bend * v


@njit
def van_der_pol_adjoint(state: Array, mu: float, dt: float, steps: int, d_state: Array) -> float:
    """Take the cotangent of the last state back to the first; states are kept, stages computed again."""
    kept = np.empty((steps, 2))
    x, v, half = state[0], state[1], 0.5 * dt
    for t in range(steps):
        kept[t, 0], kept[t, 1] = x, v
        a1, b1 = v, mu * (1.0 - x * x) * v - x
        x2, v2 = x + half * a1, v + half * b1
        a2, b2 = v2, mu * (1.0 - x2 * x2) * v2 - x2
        x3, v3 = x + half * a2, v + half * b2
        a3, b3 = v3, mu * (1.0 - x3 * x3) * v3 - x3
        x4, v4 = x + dt * a3, v + dt * b3
        a4, b4 = v4, mu * (1.0 - x4 * x4) * v4 - x4
        x += dt / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
        v += dt / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
    dx, dv, d_mu = d_state[0], d_state[1], 0.0
    sixth, third = dt / 6.0, dt / 3.0
    for t in range(steps - 1, -1, -1):
        x, v = kept[t, 0], kept[t, 1]
        a1, b1 = v, mu * (1.0 - x * x) * v - x
        x2, v2 = x + half * a1, v + half * b1
        a2, b2 = v2, mu * (1.0 - x2 * x2) * v2 - x2
        x3, v3 = x + half * a2, v + half * b2
        a3, b3 = v3, mu * (1.0 - x3 * x3) * v3 - x3
        x4, v4 = x + dt * a3, v + dt * b3
        x4_bar, v4_bar, m4 = van_der_pol_pull_back(x4, v4, mu, sixth * dx, sixth * dv)
        x3_bar, v3_bar, m3 = van_der_pol_pull_back(
            x3, v3, mu, third * dx + dt * x4_bar, third * dv + dt * v4_bar
        )
        x2_bar, v2_bar, m2 = van_der_pol_pull_back(
            x2, v2, mu, third * dx + half * x3_bar, third * dv + half * v3_bar
        )
        x1_bar, v1_bar, m1 = van_der_pol_pull_back(
            x, v, mu, sixth * dx + half * x2_bar, sixth * dv + half * v2_bar
        )
        dx += x1_bar + x2_bar + x3_bar + x4_bar
        dv += v1_bar + v2_bar + v3_bar + v4_bar
        d_mu += m1 + m2 + m3 + m4
    d_state[0], d_state[1] = dx, dv
    return d_mu


# --- other packages ----------------------------------------------------------------------------------------


def jax_steps(case: Case, slope: Any) -> Any:
    """Return JAX's gradient through a scan over the steps, the state in a tuple of scalars."""
    import jax

    def loss(state: Any, parameters: Any, dt: float, steps: int) -> Any:
        def moved(y: Any, weight: float, k: Any) -> Any:
            return tuple(a + weight * b for a, b in zip(y, k, strict=True))

        def step(y: Any, _: Any) -> Any:
            k1 = slope(y, parameters)
            k2 = slope(moved(y, 0.5 * dt, k1), parameters)
            k3 = slope(moved(y, 0.5 * dt, k2), parameters)
            k4 = slope(moved(y, dt, k3), parameters)
            mean = tuple(a + 2.0 * b + 2.0 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
            return moved(y, dt / 6.0, mean), None

        last, _ = jax.lax.scan(step, tuple(state), length=steps)
        return sum(seed * x for seed, x in zip(case.seeds[0], last, strict=True))

    return jax_gradient(case, loss)


def whole_lorenz(y: Any, p: Any) -> Any:
    """Return the slope of Lorenz's system."""
    return p[0] * (y[1] - y[0]), y[0] * (p[1] - y[2]) - y[1], y[0] * y[1] - p[2] * y[2]


def whole_van_der_pol(y: Any, mu: Any) -> Any:
    """Return the slope of Van der Pol's oscillator."""
    return y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]


def lorenz_arguments(steps: int) -> tuple[Any, ...]:
    """Return the arguments of `rk4_lorenz`."""
    return np.array([1.0, 2.0, 20.0]), np.array([10.0, 28.0, 8.0 / 3.0]), 1e-4, steps


def van_der_pol_arguments(steps: int) -> tuple[Any, ...]:
    """Return the arguments of `rk4_van_der_pol`."""
    return np.array([2.0, 0.1]), 1.5, 1e-4, steps


ROWS = (
    Row(
        title="Lorenz, 10⁵ Runge-Kutta steps",
        group=Group.SIMULATION,
        function=rk4_lorenz,
        arguments=partial(lorenz_arguments, 100_000),
        small=partial(lorenz_arguments, 20),
        active=(0, 1),
        outputs=(0,),
        by_hand=lorenz_adjoint,
        hand_bytes=lambda state, parameters, dt, steps: 24 * steps,
        peers=(Peer(Library.JAX, "scan", lambda case: jax_steps(case, whole_lorenz)),),
        bar=2.2,
        quoted=Quoted(hand=2.3, enzyme=2.1, peer="JAX 2.7"),
    ),
    Row(
        title="Van der Pol, 10⁵ Runge-Kutta steps",
        group=Group.SIMULATION,
        function=rk4_van_der_pol,
        arguments=partial(van_der_pol_arguments, 100_000),
        small=partial(van_der_pol_arguments, 20),
        active=(0, 1),
        outputs=(0,),
        by_hand=van_der_pol_adjoint,
        hand_bytes=lambda state, mu, dt, steps: 16 * steps,
        peers=(Peer(Library.JAX, "scan", lambda case: jax_steps(case, whole_van_der_pol)),),
        bar=2.0,
        quoted=Quoted(hand=2.1, enzyme=1.9, peer="JAX 2.5"),
        thorough=False,
    ),
)
