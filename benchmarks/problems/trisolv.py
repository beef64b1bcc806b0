"""PolyBench's trisolv: forward substitution, by loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers, jax_peer, torch_peer
from benchmarks.model import Group, Library, Quoted, Row
from tests.kernels.model import Draw

__all__ = ["ROWS"]


def trisolv(L, x, b):
    for i in range(x.size):
        x[i] = b[i]
        for j in range(i):
            x[i] -= L[i, j] * x[j]
        x[i] /= L[i, i]


_solve = njit(trisolv)


@njit
def trisolv_adjoint(L, x, b, L_bar, x_bar, b_bar):
    """Tape nothing but the solution."""
    _solve(L, x, b)
    for i in range(x.size - 1, -1, -1):
        w = x_bar[i] / L[i, i]
        x_bar[i] = 0.0
        b_bar[i] += w
        for j in range(i):
            L_bar[i, j] -= w * x[j]
            x_bar[j] -= w * L[i, j]
        L_bar[i, i] -= w * x[i]


def library(package: Package, L: Any, x: Any, b: Any) -> Any:
    """Return the solution by LAPACK."""
    import jax

    return (jax.scipy.linalg.solve_triangular(L, b, lower=True),)


def torch_library(package: Package, L: Any, x: Any, b: Any) -> Any:
    """Return the solution by LAPACK."""
    return (package.np.linalg.solve_triangular(L, b[:, None], upper=False)[:, 0],)


def autograd_library(package: Package, L: Any, x: Any, b: Any) -> Any:
    """Return the solution by LAPACK."""
    import autograd.scipy.linalg

    return (autograd.scipy.linalg.solve_triangular(L, b, lower=True),)


def start(n: int) -> tuple[Any, ...]:
    """Return arguments for a system of n equations."""
    draw = Draw(1)
    return np.tril(draw.signed(n, n)) / np.sqrt(n) + 2.0 * np.eye(n), draw.signed(n), draw.signed(n)


ROWS = (
    Row(
        title="trisolv 2000",
        group=Group.LINEAR_ALGEBRA,
        function=trisolv,
        arguments=lambda: start(2000),
        small=lambda: start(7),
        active=(0, 2),
        outputs=(1,),
        by_hand=trisolv_adjoint,
        hand_bytes=lambda L, x, b: 0,
        peers=(
            jax_peer(library, "library"),
            torch_peer(torch_library, "library"),
            *array_peers(autograd_library, "library", (Library.AUTOGRAD,)),
        ),
        bar=6.0,
        quoted=Quoted(5.3, 6.0, "JAX 15"),
    ),
)
