"""The classical Runge-Kutta method on the Lorenz system, updating a state in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from coenzyme.problems.datafiles import Floats

__all__ = ["lorenz", "rk4_lorenz"]


@njit
def lorenz(state: Floats, parameters: Floats, rate: Floats) -> None:
    """Write the time derivative of the state (x, y, z) into rate; parameters are (sigma, rho, beta)."""
    rate[0] = parameters[0] * (state[1] - state[0])
    rate[1] = state[0] * (parameters[1] - state[2]) - state[1]
    rate[2] = state[0] * state[1] - parameters[2] * state[2]


def rk4_lorenz(state: Floats, parameters: Floats, dt: float, steps: int) -> None:
    """Advance the state, (3,), in place by this many steps of length dt.

    Notes
    -----
    Four evaluations of `lorenz` each step. The system is chaotic: the derivative of the final state grows
    like exp(0.9 t), so keep dt times steps well below 700.
    """
    k1 = np.empty(3)
    k2 = np.empty(3)
    k3 = np.empty(3)
    k4 = np.empty(3)
    stage = np.empty(3)
    for _ in range(steps):
        lorenz(state, parameters, k1)
        for j in range(3):
            stage[j] = state[j] + 0.5 * dt * k1[j]
        lorenz(stage, parameters, k2)
        for j in range(3):
            stage[j] = state[j] + 0.5 * dt * k2[j]
        lorenz(stage, parameters, k3)
        for j in range(3):
            stage[j] = state[j] + dt * k3[j]
        lorenz(stage, parameters, k4)
        for j in range(3):
            state[j] += dt / 6.0 * (k1[j] + 2.0 * k2[j] + 2.0 * k3[j] + k4[j])
