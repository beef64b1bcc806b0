"""Five bodies under gravity, kicked and moved a thousand times in place."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks.model import Array, Case, Group, Library, Peer, Quoted, Row
from benchmarks.peers import jax_gradient

__all__ = ["ROWS"]

BODIES = 5


def nbody(positions: Array, velocities: Array, masses: Array, dt: float, steps: int) -> None:
    """Advance positions and velocities, (5, 3), in place by the symplectic method of first order."""
    for _ in range(steps):
        for i in range(BODIES):
            for j in range(i + 1, BODIES):
                dx = positions[i, 0] - positions[j, 0]
                dy = positions[i, 1] - positions[j, 1]
                dz = positions[i, 2] - positions[j, 2]
                square = dx * dx + dy * dy + dz * dz
                pull = dt / (square * math.sqrt(square))
                velocities[i, 0] -= dx * masses[j] * pull
                velocities[i, 1] -= dy * masses[j] * pull
                velocities[i, 2] -= dz * masses[j] * pull
                velocities[j, 0] += dx * masses[i] * pull
                velocities[j, 1] += dy * masses[i] * pull
                velocities[j, 2] += dz * masses[i] * pull
        for i in range(BODIES):
            for k in range(3):
                positions[i, k] += dt * velocities[i, k]


@njit
def nbody_adjoint(
    positions: Array,
    velocities: Array,
    masses: Array,
    dt: float,
    steps: int,
    d_positions: Array,
    d_velocities: Array,
    d_masses: Array,
) -> None:
    """Take the cotangents of the last state back to the first; of what was before, positions are kept."""
    kept = np.empty((steps, BODIES, 3))
    for t in range(steps):
        kept[t] = positions
        for i in range(BODIES):
            for j in range(i + 1, BODIES):
                dx = positions[i, 0] - positions[j, 0]
                dy = positions[i, 1] - positions[j, 1]
                dz = positions[i, 2] - positions[j, 2]
                square = dx * dx + dy * dy + dz * dz
                pull = dt / (square * math.sqrt(square))
                velocities[i, 0] -= dx * masses[j] * pull
                velocities[i, 1] -= dy * masses[j] * pull
                velocities[i, 2] -= dz * masses[j] * pull
                velocities[j, 0] += dx * masses[i] * pull
                velocities[j, 1] += dy * masses[i] * pull
                velocities[j, 2] += dz * masses[i] * pull
        for i in range(BODIES):
            for k in range(3):
                positions[i, k] += dt * velocities[i, k]
    for t in range(steps - 1, -1, -1):
        at = kept[t]
        for i in range(BODIES):
            for k in range(3):
                d_velocities[i, k] += dt * d_positions[i, k]
        for i in range(BODIES):
            for j in range(i + 1, BODIES):
                dx, dy, dz = at[i, 0] - at[j, 0], at[i, 1] - at[j, 1], at[i, 2] - at[j, 2]
                square = dx * dx + dy * dy + dz * dz
                pull = dt / (square * math.sqrt(square))
                along_i = dx * d_velocities[i, 0] + dy * d_velocities[i, 1] + dz * d_velocities[i, 2]
                along_j = dx * d_velocities[j, 0] + dy * d_velocities[j, 1] + dz * d_velocities[j, 2]
                d_masses[j] -= pull * along_i
                d_masses[i] += pull * along_j
                square_bar = -3.0 * pull / square * (masses[i] * along_j - masses[j] * along_i)
                x_bar = pull * (masses[i] * d_velocities[j, 0] - masses[j] * d_velocities[i, 0])
                y_bar = pull * (masses[i] * d_velocities[j, 1] - masses[j] * d_velocities[i, 1])
                z_bar = pull * (masses[i] * d_velocities[j, 2] - masses[j] * d_velocities[i, 2])
                d_positions[i, 0] += x_bar + square_bar * dx
                d_positions[i, 1] += y_bar + square_bar * dy
                d_positions[i, 2] += z_bar + square_bar * dz
                d_positions[j, 0] -= x_bar + square_bar * dx
                d_positions[j, 1] -= y_bar + square_bar * dy
                d_positions[j, 2] -= z_bar + square_bar * dz


def jax_scan(case: Case) -> Any:
    """Return JAX's gradient through a scan over the steps, all pairs at once."""
    import jax
    import jax.numpy as jnp

    def loss(positions: Any, velocities: Any, masses: Any, dt: float, steps: int) -> Any:
        first, second = np.triu_indices(BODIES, 1)

        def step(state: Any, _: Any) -> Any:
            x, v = state
            apart = x[first] - x[second]
            square = (apart**2).sum(1)
            pull = apart * (dt / (square * jnp.sqrt(square)))[:, None]
            v = v.at[first].add(-pull * masses[second][:, None]).at[second].add(pull * masses[first][:, None])
            return (x + dt * v, v), None

        (x, v), _ = jax.lax.scan(step, (positions, velocities), length=steps)
        return (x * case.seeds[0]).sum() + (v * case.seeds[1]).sum()

    return jax_gradient(case, loss)


def arguments(steps: int) -> tuple[Any, ...]:
    """Return a heavy body with four light ones on inclined orbits round it."""
    radii, phases = np.array([1.0, 1.7, 2.6, 3.9]), np.array([0.0, 2.1, 4.0, 5.3])
    positions, velocities = np.zeros((BODIES, 3)), np.zeros((BODIES, 3))
    positions[1:] = np.stack((np.cos(phases), np.sin(phases), 0.1 * np.sin(2.0 * phases)), 1) * radii[:, None]
    speeds = np.sqrt(1.0 / radii)
    velocities[1:] = np.stack((-np.sin(phases), np.cos(phases), 0.05 * phases), 1) * speeds[:, None]
    return positions, velocities, np.array([1.0, 1e-3, 4e-4, 8e-4, 2e-4]), 1e-2, steps


ROWS = (
    Row(
        title="N-body, 5 bodies, 1000 symplectic steps",
        group=Group.SIMULATION,
        function=nbody,
        arguments=partial(arguments, 1000),
        small=partial(arguments, 3),
        active=(0, 1, 2),
        outputs=(0, 1),
        by_hand=nbody_adjoint,
        hand_bytes=lambda positions, velocities, masses, dt, steps: steps * positions.nbytes,
        peers=(Peer(Library.JAX, "scan", jax_scan),),
        bar=2.4,
        quoted=Quoted(hand=2.4, enzyme=25.7, peer="Warp 13"),
    ),
)
