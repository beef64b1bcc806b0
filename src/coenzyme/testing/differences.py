"""Derivatives by finite differences, with an estimate of their own error: the first oracle.

A derivative is right if it differs from the difference quotient by no more than the quotient's own error.
There is no absolute tolerance, which would accept a wrong sign on a small value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["agrees", "directional_difference"]

Array = NDArray[np.float64]

_EPSILON = float(np.finfo(np.float64).eps)
_LEVELS = 11
_FIRST_STEP = 0.081
"""Relative to the point; no power of two, so that the steps of no ordinary function are multiples of it."""


def directional_difference(
    f: Callable[[Array], Any], x: ArrayLike, v: ArrayLike, *, step: float = _FIRST_STEP
) -> tuple[Array, Array]:
    """Return ∂f(x + tv)/∂t at t = 0, shaped like f(x), and an estimate of its absolute error.

    Parameters
    ----------
    f
        Takes an array shaped like x, returns a real number or an array. It is called 22 times.
    x
        The point, in double precision.
    v
        The direction, shaped like x.
    step
        The longest step, relative to the size of x. Steps that leave the domain of f (where it is not
        finite) and steps that straddle a kink or a jump are passed over.

    Returns
    -------
    estimate, error
        The error holds what the extrapolation leaves and the rounding of f, taking f to be exact to one
        unit in the last place. Where no step is inside the domain, the estimate is NaN and the error is
        infinite.

    Notes
    -----
    Central differences at halved steps, extrapolated to step zero; of the whole tableau the entry is taken
    that differs least from its neighbours. Source: Ridders, "Accurate computation of F'(x) and
    F'(x)F''(x)", Advances in Engineering Software 4 (1982); the extrapolation is Romberg's.

    Examples
    --------
    >>> estimate, error = directional_difference(np.sin, 1.0, 1.0)
    >>> bool(abs(estimate - np.cos(1.0)) <= 10 * error), bool(error < 1e-11)
    (True, True)
    """
    point, direction = np.asarray(x, dtype=np.float64), np.asarray(v, dtype=np.float64)
    length = float(np.max(np.abs(direction), initial=0.0))
    if length == 0.0:
        shape = np.shape(f(point))
        return np.zeros(shape), np.zeros(shape)
    size = max(float(np.max(np.abs(point), initial=0.0)), 1e-3)
    with np.errstate(all="ignore"):
        quotients = [
            _central_quotient(f, point, direction, step * size / length / 2.0**level)
            for level in range(_LEVELS)
        ]
        return _extrapolate_smooth_part(quotients)


def _extrapolate_smooth_part(quotients: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the limit of quotients at halved steps, of as many as agree with the last ones.

    Long steps can lie: those of ``floor`` see a straight line of slope 1. So each component begins with the
    longest step from which the extrapolation leads to where the shortest ones are.
    """
    (last, rounding), (before, _) = quotients[-1], quotients[-2]
    slack = np.abs(last - before) + rounding
    estimate, error = np.full(last.shape, np.nan), np.full(last.shape, np.inf)
    for first in range(len(quotients) - 2):
        limit, spread = _extrapolate(quotients[first:])
        better = ~np.isfinite(error) & (np.abs(limit - last) <= 10.0 * (slack + spread))
        estimate, error = np.where(better, limit, estimate), np.where(better, spread, error)
    return estimate, error


def _extrapolate(quotients: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the entry of Romberg's tableau that differs least from its neighbours, and that difference."""
    best, error = np.array(np.nan), np.array(np.inf)
    above: list[tuple[Array, Array]] = []
    for first in quotients:
        row = [first]
        for order, (coarse, coarse_rounding) in enumerate(above, start=1):
            weight = 4.0**order - 1.0
            fine, fine_rounding = row[-1]
            value = fine + (fine - coarse) / weight
            noise = fine_rounding + (fine_rounding + coarse_rounding) / weight
            row.append((value, noise))
            spread = np.maximum(np.abs(value - fine), np.abs(value - coarse)) + noise
            better = spread < error
            best, error = np.where(better, value, best), np.where(better, spread, error)
        above = row
    return best, error


def _central_quotient(f: Callable[[Array], Any], x: Array, v: Array, h: float) -> tuple[Array, Array]:
    """Return the quotient of a central difference, and a bound of the rounding in it."""
    ahead, behind = x + h * v, x - h * v
    high, low = np.asarray(f(ahead), dtype=np.float64), np.asarray(f(behind), dtype=np.float64)
    quotient = (high - low) / (2.0 * h)
    of_values = _EPSILON * (np.abs(high) + np.abs(low)) / (2.0 * h)
    # x ± hv are rounded too: the step taken is off by an ulp of x, relative to its length.
    moving = v != 0.0
    of_step = _EPSILON * float(np.max(np.abs(x[moving]) / np.abs(v[moving]))) / h * np.abs(quotient)
    return quotient, of_values + of_step


def agrees(value: ArrayLike, estimate: ArrayLike, error: ArrayLike) -> bool:
    """Return whether a derivative is as close to a finite difference as that is to the truth.

    Parameters
    ----------
    value
        The derivative in question.
    estimate, error
        What :func:`directional_difference` returned.

    Notes
    -----
    |value − estimate| ≤ 10·error + 1e-8·|estimate| everywhere. A NaN agrees with nothing.
    """
    a, b, e = np.asarray(value), np.asarray(estimate), np.asarray(error)
    return bool(np.all(np.abs(a - b) <= 10.0 * e + 1e-8 * np.abs(b)))
