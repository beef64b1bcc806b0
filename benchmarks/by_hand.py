"""Adjoints derived by hand, in Numba: the practical limit that generated derivatives are compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from coenzyme.problems.datafiles import Floats

__all__ = ["gmm_gradient", "stencil_gradient"]


@njit
def gmm_gradient(
    alphas: Floats, means: Floats, icf: Floats, x: Floats, gamma: float, m: int
) -> tuple[Floats, Floats, Floats]:
    """Return the gradients of `gmm` with respect to alphas, means and icf.

    Notes
    -----
    One pass over the points: the responsibilities that weigh a point's adjoint are known as soon as its own
    terms are, so nothing outlives the iteration.
    """
    n, d = x.shape
    components = alphas.size
    entries = icf.shape[1]
    q_diagonal = np.empty((components, d))
    log_determinant = np.zeros(components)
    for k in range(components):
        for j in range(d):
            log_determinant[k] += icf[k, j]
            q_diagonal[k, j] = math.exp(icf[k, j])

    d_alphas = np.zeros(components)
    d_means = np.zeros((components, d))
    d_icf = np.zeros((components, entries))
    centred = np.empty((components, d))
    scaled = np.empty((components, d))
    terms = np.empty(components)
    for i in range(n):
        largest = -math.inf
        for k in range(components):
            for j in range(d):
                centred[k, j] = x[i, j] - means[k, j]
                scaled[k, j] = q_diagonal[k, j] * centred[k, j]
            entry = d
            for column in range(d):
                for row in range(column + 1, d):
                    scaled[k, row] += icf[k, entry] * centred[k, column]
                    entry += 1
            distance = 0.0
            for j in range(d):
                distance += scaled[k, j] * scaled[k, j]
            terms[k] = alphas[k] + log_determinant[k] - 0.5 * distance
            largest = max(largest, terms[k])
        weight = 0.0
        for k in range(components):
            terms[k] = math.exp(terms[k] - largest)
            weight += terms[k]
        for k in range(components):
            responsibility = terms[k] / weight
            d_alphas[k] += responsibility
            entry = d
            for column in range(d):
                scaled_bar = -responsibility * scaled[k, column]
                centred_bar = scaled_bar * q_diagonal[k, column]
                d_icf[k, column] += responsibility + centred_bar * centred[k, column]
                for row in range(column + 1, d):
                    row_bar = -responsibility * scaled[k, row]
                    d_icf[k, entry] += row_bar * centred[k, column]
                    centred_bar += row_bar * icf[k, entry]
                    entry += 1
                d_means[k, column] -= centred_bar

    largest = alphas.max()
    weight = 0.0
    for k in range(components):
        weight += math.exp(alphas[k] - largest)
    for k in range(components):
        d_alphas[k] -= n * math.exp(alphas[k] - largest) / weight
        for j in range(d):
            d_icf[k, j] += gamma * gamma * q_diagonal[k, j] * q_diagonal[k, j] - m
        for j in range(d, entries):
            d_icf[k, j] += gamma * gamma * icf[k, j]
    return d_alphas, d_means, d_icf


@njit
def stencil_gradient(u: Floats, v: Floats, steps: int) -> tuple[Floats, Floats]:
    """Return the gradients of `stencil` with respect to u and v on entry, overwriting both arrays.

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
    u_bar = u.copy()
    v_bar = np.zeros((rows, columns))
    inner = np.zeros((rows + 2, columns + 2))
    for _ in range(steps):
        u_bar, v_bar = v_bar, u_bar
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                inner[i + 1, j + 1] = 0.2 * v_bar[i, j]
                v_bar[i, j] = 0.0
        for i in range(rows):
            for j in range(columns):
                u_bar[i, j] += (
                    inner[i + 1, j + 1]
                    + inner[i + 1, j]
                    + inner[i + 1, j + 2]
                    + inner[i, j + 1]
                    + inner[i + 2, j + 1]
                )
    return u_bar, v_bar
