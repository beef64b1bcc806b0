"""Jacobi sweeps over a square grid between two arrays that swap roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from coenzyme.problems.datafiles import Floats

__all__ = ["stencil", "stencil_start"]


def stencil(u: Floats, v: Floats, steps: int) -> float:
    """Return half the sum of squares of the grid after this many sweeps, overwriting both arrays.

    Parameters
    ----------
    u
        (N, M) grid; its border is kept.
    v
        (N, M) scratch, whose border takes part in the even sweeps.
    steps
        How many sweeps; after an odd number the newest values are in v.

    Notes
    -----
    Each sweep sets every inner point to the mean of itself and its four neighbours: O(N M) operations. The
    two names swap at the end of a sweep, so which array one of them means depends on the iteration.
    """
    rows, columns = u.shape
    for _ in range(steps):
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                v[i, j] = 0.2 * (u[i, j] + u[i, j - 1] + u[i, j + 1] + u[i - 1, j] + u[i + 1, j])
        u, v = v, u
    energy = 0.0
    for i in range(rows):
        for j in range(columns):
            energy += u[i, j] * u[i, j]
    return 0.5 * energy


def stencil_start(size: int) -> tuple[Floats, Floats]:
    """Return a smooth grid of this size, with a copy to sweep into.

    Examples
    --------
    >>> u, v = stencil_start(4)
    >>> u.shape, bool((u == v).all())
    ((4, 4), True)
    """
    i, j = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    u = (i * (j + 2.0) + 2.0) / size**2
    return u, u.copy()
