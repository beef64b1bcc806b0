"""COSMO's vertical advection: an implicit solve along each column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw

__all__ = ["ROWS"]


IMPLICIT, EXPLICIT = 0.5, 0.5


def vadv(tendency, u, wind, position, given, inverse_step):
    rows, columns, K = u.shape
    upper, right = np.empty(K), np.empty(K)
    for i in range(rows):
        for j in range(columns):
            for k in range(K):
                diagonal = inverse_step
                target = inverse_step * position[i, j, k] + given[i, j, k] + tendency[i, j, k]
                lower = 0.0
                c = 0.0
                if k < K - 1:
                    above = 0.25 * (wind[i + 1, j, k + 1] + wind[i, j, k + 1])
                    c = above * EXPLICIT
                    diagonal -= c
                    target -= IMPLICIT * above * (u[i, j, k + 1] - u[i, j, k])
                if k > 0:
                    below = -0.25 * (wind[i + 1, j, k] + wind[i, j, k])
                    lower = below * EXPLICIT
                    diagonal -= lower
                    target -= IMPLICIT * below * (u[i, j, k - 1] - u[i, j, k])
                    diagonal -= upper[k - 1] * lower
                    target -= right[k - 1] * lower
                divided = 1.0 / diagonal
                upper[k] = c * divided
                right[k] = target * divided
            solved = right[K - 1]
            tendency[i, j, K - 1] = inverse_step * (solved - position[i, j, K - 1])
            for k in range(K - 2, -1, -1):
                solved = right[k] - upper[k] * solved
                tendency[i, j, k] = inverse_step * (solved - position[i, j, k])


@njit
def vadv_adjoint(
    tendency, u, wind, position, given, inverse_step, tendency_bar, u_bar, wind_bar, position_bar, given_bar
):
    """Keep one column, for columns do not depend on each other."""
    rows, columns, K = u.shape
    upper, right, divided, solved = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    upper_bar, right_bar = np.empty(K), np.empty(K)
    for i in range(rows):
        for j in range(columns):
            for k in range(K):
                diagonal = inverse_step
                target = inverse_step * position[i, j, k] + given[i, j, k] + tendency[i, j, k]
                c = 0.0
                if k < K - 1:
                    above = 0.25 * (wind[i + 1, j, k + 1] + wind[i, j, k + 1])
                    c = above * EXPLICIT
                    diagonal -= c
                    target -= IMPLICIT * above * (u[i, j, k + 1] - u[i, j, k])
                if k > 0:
                    below = -0.25 * (wind[i + 1, j, k] + wind[i, j, k])
                    lower = below * EXPLICIT
                    diagonal -= lower + upper[k - 1] * lower
                    target -= IMPLICIT * below * (u[i, j, k - 1] - u[i, j, k]) + right[k - 1] * lower
                divided[k] = 1.0 / diagonal
                upper[k] = c * divided[k]
                right[k] = target * divided[k]
            solved[K - 1] = right[K - 1]
            for k in range(K - 2, -1, -1):
                solved[k] = right[k] - upper[k] * solved[k + 1]
            carried = 0.0
            for k in range(K):
                out_bar = inverse_step * tendency_bar[i, j, k]
                position_bar[i, j, k] -= out_bar
                carried += out_bar
                right_bar[k] = carried
                if k < K - 1:
                    upper_bar[k] = -carried * solved[k + 1]
                    carried *= -upper[k]
            upper_bar[K - 1] = 0.0
            for k in range(K - 1, -1, -1):
                target_bar = right_bar[k] * divided[k]
                diagonal_bar = -(right_bar[k] * right[k] + upper_bar[k] * upper[k]) * divided[k]
                position_bar[i, j, k] += inverse_step * target_bar
                given_bar[i, j, k] += target_bar
                tendency_bar[i, j, k] = target_bar
                if k < K - 1:
                    above = 0.25 * (wind[i + 1, j, k + 1] + wind[i, j, k + 1])
                    step_bar = IMPLICIT * above * target_bar
                    u_bar[i, j, k + 1] -= step_bar
                    u_bar[i, j, k] += step_bar
                    above_bar = 0.25 * (
                        EXPLICIT * (upper_bar[k] * divided[k] - diagonal_bar)
                        - IMPLICIT * (u[i, j, k + 1] - u[i, j, k]) * target_bar
                    )
                    wind_bar[i + 1, j, k + 1] += above_bar
                    wind_bar[i, j, k + 1] += above_bar
                if k > 0:
                    below = -0.25 * (wind[i + 1, j, k] + wind[i, j, k])
                    lower = below * EXPLICIT
                    upper_bar[k - 1] -= diagonal_bar * lower
                    right_bar[k - 1] -= target_bar * lower
                    step_bar = IMPLICIT * below * target_bar
                    u_bar[i, j, k - 1] -= step_bar
                    u_bar[i, j, k] += step_bar
                    below_bar = -0.25 * (
                        -EXPLICIT * (diagonal_bar * (1.0 + upper[k - 1]) + target_bar * right[k - 1])
                        - IMPLICIT * (u[i, j, k - 1] - u[i, j, k]) * target_bar
                    )
                    wind_bar[i + 1, j, k] += below_bar
                    wind_bar[i, j, k] += below_bar


def planes(
    package: Package, tendency: Any, u: Any, wind: Any, position: Any, given: Any, inverse_step: float
) -> Any:
    """Return the tendency by scans over planes, of all columns at once."""
    numpy = package.np

    def first(x: Any) -> Any:
        return numpy.moveaxis(x, 2, 0)

    tendency, u, wind, position, given = (first(x) for x in (tendency, u, wind, position, given))
    between = 0.25 * (wind[1:, 1:] + wind[1:, :-1])
    nothing = numpy.zeros_like(between[:1])
    above, below = numpy.concatenate((between, nothing)), numpy.concatenate((nothing, -between))
    step = numpy.concatenate((u[1:] - u[:-1], nothing))
    back = numpy.concatenate((nothing, u[:-1] - u[1:]))
    upper, lower = EXPLICIT * above, EXPLICIT * below
    diagonal = inverse_step - upper - lower
    target = inverse_step * position + given + tendency - IMPLICIT * (above * step + below * back)

    def eliminate(carry: Any, slices: Any) -> Any:
        upper, right = carry
        c, a, b, d = slices
        divided = 1.0 / (b - upper * a)
        carry = c * divided, (d - right * a) * divided
        return carry, numpy.stack(carry)

    zero = nothing[0]
    factors = package.scan(eliminate, (zero, zero), (upper, lower, diagonal, target))[1]

    def substitute(solved: Any, slices: Any) -> Any:
        solved = slices[0][1] - slices[0][0] * solved
        return solved, solved

    solved = package.scan(substitute, zero, (factors,), reverse=True)[1]
    return (numpy.moveaxis(inverse_step * (solved - position), 0, 2),)


def start(rows: int, columns: int, levels: int) -> tuple[Any, ...]:
    """Return arguments for this many columns."""
    draw, shape = Draw(1), (rows, columns, levels)
    wind = draw.signed(rows + 1, columns, levels)
    return draw.signed(*shape), draw.signed(*shape), wind, draw.signed(*shape), draw.signed(*shape), 1.15


ROWS = (
    Row(
        title="vadv 60 × 60 × 40",
        group=Group.STENCIL,
        function=vadv,
        arguments=lambda: start(60, 60, 40),
        small=lambda: start(3, 2, 5),
        active=(0, 1, 2, 3, 4),
        outputs=(0,),
        by_hand=vadv_adjoint,
        hand_bytes=lambda tendency, *_: 48 * tendency.shape[2],
        peers=array_peers(planes, "planes"),
        bar=2.6,
        quoted=Quoted(2.5, 2.5, "JAX 4.4"),
    ),
)
