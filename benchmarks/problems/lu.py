"""PolyBench's LU factorisation in place, by loops."""

from __future__ import annotations

from typing import Any

from numba import njit

from benchmarks.formulations import Package, jax_peer, torch_peer
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw, well_conditioned

__all__ = ["ROWS"]


def lu(A):
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            for k in range(j):
                A[i, j] -= A[i, k] * A[k, j]
            A[i, j] /= A[j, j]
        for j in range(i, n):
            for k in range(i):
                A[i, j] -= A[i, k] * A[k, j]


_factorise = njit(lu)


@njit
def lu_adjoint(A, A_bar):
    n = A.shape[0]
    _factorise(A)
    for i in range(n - 1, -1, -1):
        for k in range(i):
            total = 0.0
            for j in range(i, n):
                total += A_bar[i, j] * A[k, j]
            for j in range(i, n):
                A_bar[k, j] -= A_bar[i, j] * A[i, k]
            A_bar[i, k] -= total
        for k in range(i - 1, -1, -1):
            total = A_bar[i, k]
            for j in range(k + 1, i):
                total -= A_bar[i, j] * A[k, j]
            A_bar[i, k] = total / A[k, k]
            for j in range(k, i):
                A_bar[k, j] -= A_bar[i, j] * A[i, k]


def library(package: Package, A: Any) -> Any:
    """Return both factors in one matrix by LAPACK, whose pivots are on the diagonal of such a matrix."""
    import jax

    return (jax.lax.linalg.lu(A)[0],)


def torch_library(package: Package, A: Any) -> Any:
    """Return both factors in one matrix by LAPACK, whose pivots are on the diagonal of such a matrix."""
    return (package.np.linalg.lu_factor(A)[0],)


ROWS = (
    Row(
        title="lu in place 400²",
        group=Group.LINEAR_ALGEBRA,
        function=lu,
        arguments=lambda: (well_conditioned(Draw(1), 400),),
        small=lambda: (well_conditioned(Draw(1), 6),),
        active=(0,),
        outputs=(0,),
        by_hand=lu_adjoint,
        hand_bytes=lambda A: 0,
        peers=(jax_peer(library, "library"), torch_peer(torch_library, "library")),
        bar=4.5,
        quoted=Quoted(3.7, 12.6, "JAX 13.2"),
    ),
)
