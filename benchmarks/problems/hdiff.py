"""COSMO's horizontal diffusion with limited fluxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw

__all__ = ["ROWS"]


@njit
def _fluxes(field, lap, flx, fly):
    NI, NJ, NK = field.shape[0] - 4, field.shape[1] - 4, field.shape[2]
    for i in range(NI + 2):
        for j in range(NJ + 2):
            for k in range(NK):
                lap[i, j, k] = 4.0 * field[i + 1, j + 1, k] - (
                    field[i + 2, j + 1, k] + field[i, j + 1, k] + field[i + 1, j + 2, k] + field[i + 1, j, k]
                )
    for i in range(NI + 1):
        for j in range(NJ):
            for k in range(NK):
                flux = lap[i + 1, j + 1, k] - lap[i, j + 1, k]
                step = field[i + 2, j + 2, k] - field[i + 1, j + 2, k]
                flx[i, j, k] = 0.0 if flux * step > 0 else flux
    for i in range(NI):
        for j in range(NJ + 1):
            for k in range(NK):
                flux = lap[i + 1, j + 1, k] - lap[i + 1, j, k]
                step = field[i + 2, j + 2, k] - field[i + 2, j + 1, k]
                fly[i, j, k] = 0.0 if flux * step > 0 else flux


def hdiff(field, out, coeff):
    NI, NJ, NK = out.shape
    lap = np.empty((NI + 2, NJ + 2, NK))
    flx = np.empty((NI + 1, NJ, NK))
    fly = np.empty((NI, NJ + 1, NK))
    _fluxes(field, lap, flx, fly)
    for i in range(NI):
        for j in range(NJ):
            for k in range(NK):
                flux = flx[i + 1, j, k] - flx[i, j, k] + fly[i, j + 1, k] - fly[i, j, k]
                out[i, j, k] = field[i + 2, j + 2, k] - coeff[i, j, k] * flux


@njit
def hdiff_adjoint(field, out, coeff, field_bar, out_bar, coeff_bar):
    """Keep the three scratch fields; gather wherever a pass over the innermost dimension can."""
    NI, NJ, NK = out.shape
    lap = np.empty((NI + 2, NJ + 2, NK))
    flx = np.empty((NI + 1, NJ, NK))
    fly = np.empty((NI, NJ + 1, NK))
    _fluxes(field, lap, flx, fly)
    flux_bar = np.zeros((NI + 2, NJ + 2, NK))
    for i in range(NI):
        for j in range(NJ):
            for k in range(NK):
                flux = flx[i + 1, j, k] - flx[i, j, k] + fly[i, j + 1, k] - fly[i, j, k]
                bar = out_bar[i, j, k]
                coeff_bar[i, j, k] -= bar * flux
                field_bar[i + 2, j + 2, k] += bar
                flux_bar[i + 1, j + 1, k] = -bar * coeff[i, j, k]
                out_bar[i, j, k] = 0.0
    for i in range(NI + 1):
        for j in range(NJ):
            for k in range(NK):
                flux = lap[i + 1, j + 1, k] - lap[i, j + 1, k]
                step = field[i + 2, j + 2, k] - field[i + 1, j + 2, k]
                bar = flux_bar[i, j + 1, k] - flux_bar[i + 1, j + 1, k]
                flx[i, j, k] = 0.0 if flux * step > 0 else bar
    for i in range(NI):
        for j in range(NJ + 1):
            for k in range(NK):
                flux = lap[i + 1, j + 1, k] - lap[i + 1, j, k]
                step = field[i + 2, j + 2, k] - field[i + 2, j + 1, k]
                bar = flux_bar[i + 1, j, k] - flux_bar[i + 1, j + 1, k]
                fly[i, j, k] = 0.0 if flux * step > 0 else bar
    # The fluxes' adjoints now take the fluxes' place, and that of the Laplacian is one row at a time.
    row = np.empty(NK)
    for i in range(NI + 2):
        for j in range(NJ + 2):
            row[:] = 0.0
            if 1 <= j <= NJ:
                if i > 0:
                    row += flx[i - 1, j - 1]
                if i <= NI:
                    row -= flx[i, j - 1]
            if 1 <= i <= NI:
                if j > 0:
                    row += fly[i - 1, j - 1]
                if j <= NJ:
                    row -= fly[i - 1, j]
            for k in range(NK):
                field_bar[i + 1, j + 1, k] += 4.0 * row[k]
                field_bar[i + 2, j + 1, k] -= row[k]
                field_bar[i, j + 1, k] -= row[k]
                field_bar[i + 1, j + 2, k] -= row[k]
                field_bar[i + 1, j, k] -= row[k]


def arrays(package: Package, field: Any, out: Any, coeff: Any) -> Any:
    """Return the diffused field in whole arrays."""
    where = package.np.where
    sides = field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2]
    lap = 4.0 * field[1:-1, 1:-1] - sides
    flux = lap[1:, 1:-1] - lap[:-1, 1:-1]
    x = where(flux * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0.0, flux)
    flux = lap[1:-1, 1:] - lap[1:-1, :-1]
    y = where(flux * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0.0, flux)
    return (field[2:-2, 2:-2] - coeff * (x[1:] - x[:-1] + y[:, 1:] - y[:, :-1]),)


def scratch_bytes(rows: int, columns: int, levels: int) -> int:
    """Return the size of the Laplacian and of the fluxes in both directions."""
    points = (rows + 2) * (columns + 2) + (rows + 1) * columns + rows * (columns + 1)
    return 8 * points * levels


def start(rows: int, columns: int, levels: int) -> tuple[Any, ...]:
    """Return arguments for a result of this shape."""
    draw, shape = Draw(1), (rows, columns, levels)
    return draw.array(rows + 4, columns + 4, levels), draw.array(*shape), draw.array(*shape)


ROWS = (
    Row(
        title="hdiff 64 × 64 × 60",
        group=Group.STENCIL,
        function=hdiff,
        arguments=lambda: start(64, 64, 60),
        small=lambda: start(4, 5, 3),
        active=(0, 2),
        outputs=(1,),
        by_hand=hdiff_adjoint,
        hand_bytes=lambda field, out, coeff: scratch_bytes(*out.shape),
        peers=array_peers(arrays),
        bar=3.5,
        quoted=Quoted(3.4, 3.5, "JAX 5.9"),
    ),
)
