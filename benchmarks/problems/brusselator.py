"""The Brusselator, a reaction with diffusion on a periodic square: its rates, and two ways to step it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks.model import Array, Case, Group, Library, Peer, Quoted, Row
from benchmarks.peers import jax_gradient, torch_gradient

__all__ = ["ROWS"]

A, B = 3.4, 1.0
"""The constants of the reaction."""


@njit
def rates(u: Array, v: Array, u_rate: Array, v_rate: Array, alpha: float) -> None:
    """Write the time derivatives of both concentrations; alpha is diffusivity over the spacing squared."""
    n = u.shape[0]
    for i in range(n):
        above = i - 1 if i > 0 else n - 1
        below = i + 1 if i < n - 1 else 0
        for j in range(n):
            left = j - 1 if j > 0 else n - 1
            right = j + 1 if j < n - 1 else 0
            here, there = u[i, j], v[i, j]
            reaction = here * here * there
            u_spread = u[above, j] + u[below, j] + u[i, left] + u[i, right] - 4.0 * here
            v_spread = v[above, j] + v[below, j] + v[i, left] + v[i, right] - 4.0 * there
            u_rate[i, j] = B + reaction - (A + 1.0) * here + alpha * u_spread
            v_rate[i, j] = A * here - reaction + alpha * v_spread


def right_hand_side(u: Array, v: Array, u_rate: Array, v_rate: Array, alpha: float) -> None:
    """Write the time derivatives of both concentrations."""
    rates(u, v, u_rate, v_rate, alpha)


def euler(u: Array, v: Array, alpha: float, dt: float, steps: int) -> None:
    """Advance both concentrations in place."""
    u_rate, v_rate = np.empty_like(u), np.empty_like(v)
    for _ in range(steps):
        rates(u, v, u_rate, v_rate, alpha)
        for i in range(u.shape[0]):
            for j in range(u.shape[1]):
                u[i, j] += dt * u_rate[i, j]
                v[i, j] += dt * v_rate[i, j]


def runge_kutta(y: Array, alpha: float, dt: float, steps: int) -> None:
    """Advance both concentrations, (2, n, n), in place by the classical method of fourth order."""
    k1, k2, k3, k4 = np.empty_like(y), np.empty_like(y), np.empty_like(y), np.empty_like(y)
    for _ in range(steps):
        rates(y[0], y[1], k1[0], k1[1], alpha)
        stage = y + 0.5 * dt * k1
        rates(stage[0], stage[1], k2[0], k2[1], alpha)
        stage = y + 0.5 * dt * k2
        rates(stage[0], stage[1], k3[0], k3[1], alpha)
        stage = y + dt * k3
        rates(stage[0], stage[1], k4[0], k4[1], alpha)
        y += dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


# --- by hand -----------------------------------------------------------------------------------------------


@njit
def pull_back(
    u: Array, v: Array, u_bar: Array, v_bar: Array, weight: float, du: Array, dv: Array, alpha: float
) -> None:
    """Add to du and dv weight times the transposed derivative of the rates, at (u, v), times (u_bar, v_bar).

    Notes
    -----
    Diffusion is its own transpose, so that each point gathers from its neighbours.
    """
    n = u.shape[0]
    for i in range(n):
        above = i - 1 if i > 0 else n - 1
        below = i + 1 if i < n - 1 else 0
        for j in range(n):
            left = j - 1 if j > 0 else n - 1
            right = j + 1 if j < n - 1 else 0
            of_u, of_v = u_bar[i, j], v_bar[i, j]
            here = u[i, j]
            square, twice = here * here, 2.0 * here * v[i, j]
            u_spread = u_bar[above, j] + u_bar[below, j] + u_bar[i, left] + u_bar[i, right] - 4.0 * of_u
            v_spread = v_bar[above, j] + v_bar[below, j] + v_bar[i, left] + v_bar[i, right] - 4.0 * of_v
            difference = of_u - of_v
            du[i, j] += weight * (twice * difference - (A + 1.0) * of_u + A * of_v + alpha * u_spread)
            dv[i, j] += weight * (square * difference + alpha * v_spread)


@njit
def right_hand_side_adjoint(
    u: Array,
    v: Array,
    u_rate: Array,
    v_rate: Array,
    alpha: float,
    du: Array,
    dv: Array,
    du_rate: Array,
    dv_rate: Array,
) -> None:
    """Take the cotangents of the rates back to the concentrations."""
    pull_back(u, v, du_rate, dv_rate, 1.0, du, dv, alpha)
    du_rate[:] = 0.0
    dv_rate[:] = 0.0


@njit
def euler_step(u: Array, v: Array, alpha: float, dt: float, u_next: Array, v_next: Array) -> None:
    """Write both concentrations after one step."""
    n = u.shape[0]
    for i in range(n):
        above = i - 1 if i > 0 else n - 1
        below = i + 1 if i < n - 1 else 0
        for j in range(n):
            left = j - 1 if j > 0 else n - 1
            right = j + 1 if j < n - 1 else 0
            here, there = u[i, j], v[i, j]
            reaction = here * here * there
            u_spread = u[above, j] + u[below, j] + u[i, left] + u[i, right] - 4.0 * here
            v_spread = v[above, j] + v[below, j] + v[i, left] + v[i, right] - 4.0 * there
            u_next[i, j] = here + dt * (B + reaction - (A + 1.0) * here + alpha * u_spread)
            v_next[i, j] = there + dt * (A * here - reaction + alpha * v_spread)


@njit
def euler_adjoint(u: Array, v: Array, alpha: float, dt: float, steps: int, du: Array, dv: Array) -> None:
    """Take the cotangents of the last concentrations back to the first ones; every state is kept."""
    kept = np.empty((steps, 2, *u.shape))
    if steps > 0:
        kept[0, 0] = u
        kept[0, 1] = v
    for t in range(steps - 1):
        euler_step(kept[t, 0], kept[t, 1], alpha, dt, kept[t + 1, 0], kept[t + 1, 1])
    after, before = np.empty((2, *u.shape)), np.empty((2, *u.shape))
    after[0] = du
    after[1] = dv
    for t in range(steps - 1, -1, -1):
        step_back(kept[t, 0], kept[t, 1], after[0], after[1], dt, alpha, before[0], before[1])
        after, before = before, after
    du[:] = after[0]
    dv[:] = after[1]


@njit
def step_back(
    u: Array, v: Array, u_bar: Array, v_bar: Array, dt: float, alpha: float, du: Array, dv: Array
) -> None:
    """Write the cotangents before a step from those after it."""
    n = u.shape[0]
    for i in range(n):
        above = i - 1 if i > 0 else n - 1
        below = i + 1 if i < n - 1 else 0
        for j in range(n):
            left = j - 1 if j > 0 else n - 1
            right = j + 1 if j < n - 1 else 0
            of_u, of_v = u_bar[i, j], v_bar[i, j]
            here = u[i, j]
            square, twice = here * here, 2.0 * here * v[i, j]
            u_spread = u_bar[above, j] + u_bar[below, j] + u_bar[i, left] + u_bar[i, right] - 4.0 * of_u
            v_spread = v_bar[above, j] + v_bar[below, j] + v_bar[i, left] + v_bar[i, right] - 4.0 * of_v
            difference = of_u - of_v
            du[i, j] = of_u + dt * (twice * difference - (A + 1.0) * of_u + A * of_v + alpha * u_spread)
            dv[i, j] = of_v + dt * (square * difference + alpha * v_spread)


@njit
def advance(y: Array, weight: float, k: Array, stage: Array) -> None:
    """Write y + weight k."""
    flat, slopes, result = y.reshape(-1), k.reshape(-1), stage.reshape(-1)
    for i in range(flat.size):
        result[i] = flat[i] + weight * slopes[i]


@njit
def runge_kutta_adjoint(y: Array, alpha: float, dt: float, steps: int, dy: Array) -> None:
    """Take the cotangent of the last concentrations back to the first ones; stages are computed again."""
    kept = np.empty((steps, *y.shape))
    k1, k2, k3, k4 = np.empty_like(y), np.empty_like(y), np.empty_like(y), np.empty_like(y)
    s2, s3, s4 = np.empty_like(y), np.empty_like(y), np.empty_like(y)
    flat, slopes = y.reshape(-1), (k1.reshape(-1), k2.reshape(-1), k3.reshape(-1), k4.reshape(-1))
    for t in range(steps):
        kept[t] = y
        rates(y[0], y[1], k1[0], k1[1], alpha)
        advance(y, 0.5 * dt, k1, s2)
        rates(s2[0], s2[1], k2[0], k2[1], alpha)
        advance(y, 0.5 * dt, k2, s3)
        rates(s3[0], s3[1], k3[0], k3[1], alpha)
        advance(y, dt, k3, s4)
        rates(s4[0], s4[1], k4[0], k4[1], alpha)
        for i in range(y.size):
            flat[i] += dt / 6.0 * (slopes[0][i] + 2.0 * slopes[1][i] + 2.0 * slopes[2][i] + slopes[3][i])
    k_bar, stage_bar = np.empty_like(y), np.empty_like(y)
    y_bar = np.empty_like(y)
    for t in range(steps - 1, -1, -1):
        start = kept[t]
        rates(start[0], start[1], k1[0], k1[1], alpha)
        advance(start, 0.5 * dt, k1, s2)
        rates(s2[0], s2[1], k2[0], k2[1], alpha)
        advance(start, 0.5 * dt, k2, s3)
        rates(s3[0], s3[1], k3[0], k3[1], alpha)
        advance(start, dt, k3, s4)
        y_bar[:] = dy
        # From the last stage to the first: what a stage contributes goes on to y and to the slope before.
        stage_bar[:] = 0.0
        pull_back(s4[0], s4[1], y_bar[0], y_bar[1], dt / 6.0, stage_bar[0], stage_bar[1], alpha)
        take_back(y_bar, dt / 3.0, stage_bar, dt, dy, k_bar)
        pull_back(s3[0], s3[1], k_bar[0], k_bar[1], 1.0, stage_bar[0], stage_bar[1], alpha)
        take_back(y_bar, dt / 3.0, stage_bar, 0.5 * dt, dy, k_bar)
        pull_back(s2[0], s2[1], k_bar[0], k_bar[1], 1.0, stage_bar[0], stage_bar[1], alpha)
        take_back(y_bar, dt / 6.0, stage_bar, 0.5 * dt, dy, k_bar)
        pull_back(start[0], start[1], k_bar[0], k_bar[1], 1.0, dy[0], dy[1], alpha)


@njit
def take_back(
    y_bar: Array, weight: float, stage_bar: Array, stage_weight: float, dy: Array, k_bar: Array
) -> None:
    """Write the cotangent of a slope, add that of its stage to dy, and clear the latter."""
    total, of_stage, result = y_bar.reshape(-1), stage_bar.reshape(-1), k_bar.reshape(-1)
    gradient = dy.reshape(-1)
    for i in range(total.size):
        result[i] = weight * total[i] + stage_weight * of_stage[i]
        gradient[i] += of_stage[i]
        of_stage[i] = 0.0


# --- other packages ----------------------------------------------------------------------------------------


def whole_rates(roll: Any, u: Any, v: Any, alpha: float) -> tuple[Any, Any]:
    """Return the rates in terms of whole arrays."""

    def spread(x: Any) -> Any:
        return roll(x, 1, 0) + roll(x, -1, 0) + roll(x, 1, 1) + roll(x, -1, 1) - 4.0 * x

    reaction = u * u * v
    return B + reaction - (A + 1.0) * u + alpha * spread(u), A * u - reaction + alpha * spread(v)


def jax_right_hand_side(case: Case) -> Any:
    """Return JAX's gradient of the rates."""
    import jax.numpy as jnp

    def loss(u: Any, v: Any, _u: Any, _v: Any, alpha: float) -> Any:
        u_rate, v_rate = whole_rates(jnp.roll, u, v, alpha)
        return (u_rate * case.seeds[2]).sum() + (v_rate * case.seeds[3]).sum()

    return jax_gradient(case, loss)


def torch_right_hand_side(case: Case) -> Any:
    """Return PyTorch's gradient of the rates."""
    import torch

    seeds = [torch.tensor(case.seeds[i]) for i in (2, 3)]

    def loss(u: Any, v: Any, _u: Any, _v: Any, alpha: float) -> Any:
        u_rate, v_rate = whole_rates(torch.roll, u, v, alpha)
        return (u_rate * seeds[0]).sum() + (v_rate * seeds[1]).sum()

    return torch_gradient(case, loss)


def jax_euler(case: Case) -> Any:
    """Return JAX's gradient through a scan over the steps."""
    import jax
    import jax.numpy as jnp

    def loss(u: Any, v: Any, alpha: float, dt: float, steps: int) -> Any:
        def step(state: Any, _: Any) -> Any:
            u_rate, v_rate = whole_rates(jnp.roll, *state, alpha)
            return (state[0] + dt * u_rate, state[1] + dt * v_rate), None

        (u, v), _ = jax.lax.scan(step, (u, v), length=steps)
        return (u * case.seeds[0]).sum() + (v * case.seeds[1]).sum()

    return jax_gradient(case, loss)


def torch_euler(case: Case) -> Any:
    """Return PyTorch's gradient through a loop over the steps."""
    import torch

    seeds = [torch.tensor(case.seeds[i]) for i in (0, 1)]

    def loss(u: Any, v: Any, alpha: float, dt: float, steps: int) -> Any:
        for _ in range(steps):
            u_rate, v_rate = whole_rates(torch.roll, u, v, alpha)
            u, v = u + dt * u_rate, v + dt * v_rate
        return (u * seeds[0]).sum() + (v * seeds[1]).sum()

    return torch_gradient(case, loss)


def jax_runge_kutta(case: Case) -> Any:
    """Return JAX's gradient through a scan over the steps."""
    import jax
    import jax.numpy as jnp

    def loss(y: Any, alpha: float, dt: float, steps: int) -> Any:
        def slope(y: Any) -> Any:
            return jnp.stack(whole_rates(jnp.roll, y[0], y[1], alpha))

        def step(y: Any, _: Any) -> Any:
            k1 = slope(y)
            k2 = slope(y + 0.5 * dt * k1)
            k3 = slope(y + 0.5 * dt * k2)
            k4 = slope(y + dt * k3)
            return y + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4), None

        y, _ = jax.lax.scan(step, y, length=steps)
        return (y * case.seeds[0]).sum()

    return jax_gradient(case, loss)


# --- rows --------------------------------------------------------------------------------------------------


def start(n: int) -> tuple[Array, Array]:
    """Return smooth concentrations on an n × n grid."""
    s = np.arange(n) / n
    x, y = np.meshgrid(s, s)
    return 1.0 + 0.4 * np.sin(2.0 * np.pi * (x + 2.0 * y)), 3.0 + 0.5 * np.cos(2.0 * np.pi * (x - y))


def rate_arguments(n: int) -> tuple[Any, ...]:
    """Return the arguments of the right-hand side."""
    u, v = start(n)
    return u, v, np.zeros_like(u), np.zeros_like(v), 0.1 * n


def euler_arguments(n: int, steps: int) -> tuple[Any, ...]:
    """Return the arguments of Euler's method."""
    return (*start(n), 6.4, 1e-3, steps)


def runge_kutta_arguments(n: int, steps: int) -> tuple[Any, ...]:
    """Return the arguments of the Runge-Kutta method."""
    return np.stack(start(n)), 1.6, 1e-3, steps


EULER = Row(
    title="Brusselator 64², 100 Euler steps in place",
    group=Group.SIMULATION,
    function=euler,
    arguments=partial(euler_arguments, 64, 100),
    small=partial(euler_arguments, 5, 3),
    active=(0, 1),
    outputs=(0, 1),
    by_hand=euler_adjoint,
    hand_bytes=lambda u, v, alpha, dt, steps: steps * (u.nbytes + v.nbytes),
    peers=(Peer(Library.JAX, "scan", jax_euler), Peer(Library.TORCH, "loop", torch_euler)),
    bar=2.2,
    quoted=Quoted(hand=2.1, enzyme=2.4, peer="JAX 2.9"),
)


def laid_out(name: str, lay_out: Callable[[Array, Array], tuple[Array, Array]]) -> Row:
    """Return the row of Euler's method with both concentrations laid out in memory in another way."""

    def arguments(n: int, steps: int) -> tuple[Any, ...]:
        u, v, *rest = euler_arguments(n, steps)
        return (*lay_out(u, v), *rest)

    return replace(
        EULER,
        title=f"Brusselator 64², 100 Euler steps, {name}",
        group=Group.LAYOUTS,
        arguments=partial(arguments, 64, 100),
        small=partial(arguments, 5, 3),
        peers=(),
        bar=None,
        quoted=Quoted(),
        variant_of=EULER.title,
    )


def halves(u: Array, v: Array) -> tuple[Array, Array]:
    """Return both as the halves of one array."""
    both = np.stack((u, v))
    return both[0], both[1]


def interleaved(u: Array, v: Array) -> tuple[Array, Array]:
    """Return both as every other number of one array: views whose extents meet."""
    both = np.stack((u, v), axis=2)
    return both[:, :, 0], both[:, :, 1]


def by_columns(u: Array, v: Array) -> tuple[Array, Array]:
    """Return both in Fortran's order."""
    return np.asfortranarray(u), np.asfortranarray(v)


ROWS = (
    Row(
        title="Brusselator 64², right-hand side",
        group=Group.SIMULATION,
        function=right_hand_side,
        arguments=partial(rate_arguments, 64),
        small=partial(rate_arguments, 5),
        active=(0, 1),
        outputs=(2, 3),
        by_hand=right_hand_side_adjoint,
        hand_bytes=lambda *_: 0,
        peers=(
            Peer(Library.JAX, "rolled", jax_right_hand_side),
            Peer(Library.TORCH, "rolled", torch_right_hand_side),
        ),
    ),
    EULER,
    Row(
        title="Brusselator 16², 1000 Runge-Kutta steps",
        group=Group.SIMULATION,
        function=runge_kutta,
        arguments=partial(runge_kutta_arguments, 16, 1000),
        small=partial(runge_kutta_arguments, 4, 3),
        active=(0,),
        outputs=(0,),
        by_hand=runge_kutta_adjoint,
        hand_bytes=lambda y, alpha, dt, steps: steps * y.nbytes,
        peers=(Peer(Library.JAX, "scan", jax_runge_kutta),),
    ),
    laid_out("halves of one array", halves),
    laid_out("interleaved", interleaved),
    laid_out("Fortran order", by_columns),
)
