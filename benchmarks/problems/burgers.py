"""Burgers' equation by finite volumes with a limiter: branches on every face, in place."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks.model import Array, Case, Group, Library, Peer, Quoted, Row
from benchmarks.peers import jax_gradient

__all__ = ["ROWS"]


@njit
def minmod(a: float, b: float) -> float:
    """Return the smaller of two slopes of one sign, zero where the signs differ."""
    if a * b <= 0.0:
        return 0.0
    return a if abs(a) < abs(b) else b


def burgers(u: Array, flux: Array, ratio: float, steps: int) -> None:
    """Advance the cell means u, (n,), in place; the two outer cells on either side are kept.

    Parameters
    ----------
    u
        Cell means.
    flux
        (n,) scratch: what flows from each cell to the next.
    ratio
        Length of a step over that of a cell.
    steps
        How many steps.
    """
    n = u.size
    for _ in range(steps):
        for i in range(1, n - 2):
            left = u[i] + 0.5 * minmod(u[i] - u[i - 1], u[i + 1] - u[i])
            right = u[i + 1] - 0.5 * minmod(u[i + 1] - u[i], u[i + 2] - u[i + 1])
            speed = max(abs(left), abs(right))
            flux[i] = 0.25 * (left * left + right * right) - 0.5 * speed * (right - left)
        for i in range(2, n - 2):
            u[i] -= ratio * (flux[i] - flux[i - 1])


@njit
def demand_of_cells(du: Array, ratio: float, flux_bar: Array) -> None:
    """Write the cotangent of what flows through each face."""
    n = du.size
    flux_bar[1] = ratio * du[2]
    flux_bar[n - 3] = -ratio * du[n - 3]
    for i in range(2, n - 3):
        flux_bar[i] = ratio * (du[i + 1] - du[i])


@njit
def demand_of_faces(u: Array, flux_bar: Array, left_bar: Array, right_bar: Array) -> None:
    """Write the cotangents of the values to the left and right of each face."""
    for i in range(1, u.size - 2):
        left = u[i] + 0.5 * minmod(u[i] - u[i - 1], u[i + 1] - u[i])
        right = u[i + 1] - 0.5 * minmod(u[i + 1] - u[i], u[i + 2] - u[i + 1])
        speed = max(abs(left), abs(right))
        drag = 0.5 * (right - left)
        by_left = math.copysign(drag if abs(left) >= abs(right) else 0.0, drag * left)
        by_right = math.copysign(drag if abs(right) > abs(left) else 0.0, drag * right)
        left_bar[i] = flux_bar[i] * (0.5 * (left + speed) - by_left)
        right_bar[i] = flux_bar[i] * (0.5 * (right - speed) - by_right)


@njit
def demand_of_slopes(u: Array, left_bar: Array, right_bar: Array, by_back: Array, by_ahead: Array) -> None:
    """Write the cotangents of each cell's slope, where it is the one behind and where the one ahead."""
    for i in range(1, u.size - 1):
        back, ahead = u[i] - u[i - 1], u[i + 1] - u[i]
        slope_bar = 0.5 * (left_bar[i] - right_bar[i - 1])
        kept_bar = slope_bar if back * ahead > 0.0 else 0.0
        by_back[i] = kept_bar if abs(back) < abs(ahead) else 0.0
        by_ahead[i] = kept_bar if abs(back) >= abs(ahead) else 0.0


@njit
def burgers_adjoint(u: Array, flux: Array, ratio: float, steps: int, du: Array) -> None:
    """Take the cotangent of the last state back to the first; states are kept, slopes computed again."""
    n = u.size
    kept = np.empty((steps, n))
    for t in range(steps):
        kept[t] = u
        for i in range(1, n - 2):
            left = u[i] + 0.5 * minmod(u[i] - u[i - 1], u[i + 1] - u[i])
            right = u[i + 1] - 0.5 * minmod(u[i + 1] - u[i], u[i + 2] - u[i + 1])
            speed = max(abs(left), abs(right))
            flux[i] = 0.25 * (left * left + right * right) - 0.5 * speed * (right - left)
        for i in range(2, n - 2):
            u[i] -= ratio * (flux[i] - flux[i - 1])
    # Each cell gathers what the faces to its left and right, and then its neighbours' slopes, demand of it.
    flux_bar, left_bar, right_bar = np.zeros(n), np.zeros(n), np.zeros(n)
    by_back, by_ahead = np.zeros(n), np.zeros(n)
    for t in range(steps - 1, -1, -1):
        at = kept[t]
        demand_of_cells(du, ratio, flux_bar)
        demand_of_faces(at, flux_bar, left_bar, right_bar)
        demand_of_slopes(at, left_bar, right_bar, by_back, by_ahead)
        du[0] -= by_back[1]
        du[n - 1] += by_ahead[n - 2]
        for i in range(1, n - 1):
            du[i] += (
                left_bar[i] + right_bar[i - 1] + by_back[i] - by_back[i + 1] + by_ahead[i - 1] - by_ahead[i]
            )


def jax_scan(case: Case) -> Any:
    """Return JAX's gradient through a scan over the steps."""
    import jax
    import jax.numpy as jnp

    def loss(u: Any, _: Any, ratio: float, steps: int) -> Any:
        def step(u: Any, _: Any) -> Any:
            jump = u[1:] - u[:-1]
            back, ahead = jump[:-1], jump[1:]
            slope = jnp.where(
                back * ahead <= 0.0, 0.0, jnp.where(jnp.abs(back) < jnp.abs(ahead), back, ahead)
            )
            left, right = u[1:-2] + 0.5 * slope[:-1], u[2:-1] - 0.5 * slope[1:]
            speed = jnp.maximum(jnp.abs(left), jnp.abs(right))
            flux = 0.25 * (left**2 + right**2) - 0.5 * speed * (right - left)
            return u.at[2:-2].add(-ratio * (flux[1:] - flux[:-1])), None

        u, _ = jax.lax.scan(step, u, length=steps)
        return (u * case.seeds[0]).sum()

    return jax_gradient(case, loss)


def arguments(n: int, steps: int) -> tuple[Any, ...]:
    """Return a wave that steepens to a shock."""
    x = np.arange(n) / n
    return 0.3 + np.sin(2.0 * np.pi * x + 0.1) + 0.2 * np.cos(6.1 * np.pi * x), np.zeros(n), 0.25, steps


ROWS = (
    Row(
        title="Burgers with limiter, 1000 cells, 500 steps",
        group=Group.SIMULATION,
        function=burgers,
        arguments=partial(arguments, 1000, 500),
        small=partial(arguments, 23, 4),
        active=(0,),
        outputs=(0,),
        by_hand=burgers_adjoint,
        hand_bytes=lambda u, flux, ratio, steps: steps * u.nbytes,
        peers=(Peer(Library.JAX, "scan", jax_scan),),
        bar=4.7,
        quoted=Quoted(hand=5.4, enzyme=4.7, peer="JAX 12.4"),
    ),
)
