"""PolyBench's atax: Aᵀ(A x), row by row."""

from __future__ import annotations

from typing import Any

from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.model import Draw
from tests.kernels.products import atax_loops

__all__ = ["ROWS"]


@njit
def atax_adjoint(A, x, y, tmp, A_bar, x_bar, y_bar):
    """Tape nothing: a row's product is computed again beside that with the adjoint of y."""
    m, n = A.shape
    for i in range(m):
        product = product_bar = 0.0
        for j in range(n):
            product += A[i, j] * x[j]
            product_bar += A[i, j] * y_bar[j]
        for j in range(n):
            A_bar[i, j] += product * y_bar[j] + product_bar * x[j]
            x_bar[j] += product_bar * A[i, j]
    y_bar[:] = 0.0


def products(package: Package, A: Any, x: Any, y: Any, tmp: Any) -> Any:
    """Return Aᵀ(A x) by two products."""
    return ((A @ x) @ A,)


def start(m: int, n: int) -> tuple[Any, ...]:
    """Return arguments for a matrix of m rows and n columns."""
    draw = Draw(1)
    return draw.signed(m, n), draw.signed(n), draw.signed(n), draw.signed(m)


ROWS = (
    Row(
        title="atax 1900 × 2100",
        group=Group.LINEAR_ALGEBRA,
        function=atax_loops.py_func,
        arguments=lambda: start(1900, 2100),
        small=lambda: start(5, 6),
        active=(0, 1),
        outputs=(2,),
        by_hand=atax_adjoint,
        hand_bytes=lambda A, x, y, tmp: 0,
        peers=array_peers(products, "products"),
        bar=2.5,
        quoted=Quoted(2.2, 6.4, "JAX 5.4"),
    ),
)
