"""PolyBench's Cholesky factorisation in place, by loops."""

from __future__ import annotations

from typing import Any

from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw, well_conditioned
from tests.kernels.solvers import cholesky_loops

__all__ = ["ROWS"]


@njit
def cholesky_adjoint(A, A_bar):
    """Tape nothing: every value that a step reads is still in the factor when it is taken back."""
    n = A.shape[0]
    cholesky_loops(A)
    for i in range(n - 1, -1, -1):
        square_bar = A_bar[i, i] / (2.0 * A[i, i])
        A_bar[i, i] = square_bar
        for k in range(i):
            A_bar[i, k] -= 2.0 * square_bar * A[i, k]
        for j in range(i - 1, -1, -1):
            w = A_bar[i, j] / A[j, j]
            A_bar[i, j] = w
            A_bar[j, j] -= w * A[i, j]
            for k in range(j):
                A_bar[i, k] -= w * A[j, k]
            for k in range(j):
                A_bar[j, k] -= w * A[i, k]


def library(package: Package, A: Any) -> Any:
    """Return the factor below the diagonal and what was there above it, by LAPACK's factorisation."""
    numpy = package.np
    lower = numpy.tril(A)
    factor = numpy.linalg.cholesky(lower + numpy.tril(A, -1).T)
    return (factor + numpy.triu(A, 1),)


ROWS = (
    Row(
        title="cholesky in place 400²",
        group=Group.LINEAR_ALGEBRA,
        function=cholesky_loops.py_func,
        arguments=lambda: (well_conditioned(Draw(1), 400),),
        small=lambda: (well_conditioned(Draw(1), 6),),
        active=(0,),
        outputs=(0,),
        by_hand=cholesky_adjoint,
        hand_bytes=lambda A: 0,
        peers=array_peers(library, "library"),
        bar=4.0,
        quoted=Quoted(3.3, 42.0, "JAX library 7.2"),
        thorough=False,
    ),
)
