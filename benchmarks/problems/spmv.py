"""A sparse matrix in CSR form times a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers, jax_peer, torch_peer
from benchmarks.model import Group, Library, Quoted, Row
from tests.kernels.model import Draw
from tests.kernels.physics import spmv_loops

__all__ = ["ROWS"]


@njit
def spmv_adjoint(A_row, A_col, A_val, x, y, A_val_bar, x_bar, y_bar):
    for i in range(y.size):
        w = y_bar[i]
        for k in range(A_row[i], A_row[i + 1]):
            A_val_bar[k] += w * x[A_col[k]]
            x_bar[A_col[k]] += w * A_val[k]
        y_bar[i] = 0.0


def segments(package: Package, A_row: Any, A_col: Any, A_val: Any, x: Any, y: Any) -> Any:
    """Return the product by a sum over segments."""
    import jax

    numpy = package.np
    row = numpy.repeat(numpy.arange(y.size), numpy.diff(A_row), total_repeat_length=A_val.size)
    return (jax.ops.segment_sum(A_val * x[A_col], row, y.size, indices_are_sorted=True),)


def torch_index_add(package: Package, A_row: Any, A_col: Any, A_val: Any, x: Any, y: Any) -> Any:
    """Return the product by adding to entries of the result."""
    torch = package.np
    row = torch.repeat_interleave(torch.arange(len(y)), torch.diff(A_row))
    return (torch.zeros(len(y), dtype=A_val.dtype).index_add(0, row, A_val * x[A_col]),)


def running_sums(package: Package, A_row: Any, A_col: Any, A_val: Any, x: Any, y: Any) -> Any:
    """Return the product by differences of running sums."""
    sums = package.np.concatenate((np.zeros(1), package.np.cumsum(A_val * x[A_col])))
    return (sums[A_row[1:]] - sums[A_row[:-1]],)


def start(rows: int, columns: int, each: int) -> tuple[Any, ...]:
    """Return arguments for a matrix with this many entries in each row, in columns at random."""
    draw = Draw(1)
    column = np.sort(draw.array(rows, each, low=0.0, high=columns).astype(np.int64), axis=1).reshape(-1)
    pointers = np.arange(0, rows * each + 1, each)
    return pointers, column, draw.signed(rows * each), draw.signed(columns), draw.signed(rows)


ROWS = (
    Row(
        title="spmv 32768², 20 per row",
        group=Group.LINEAR_ALGEBRA,
        function=spmv_loops.py_func,
        arguments=lambda: start(32768, 32768, 20),
        small=lambda: start(6, 5, 2),
        active=(2, 3),
        outputs=(4,),
        by_hand=spmv_adjoint,
        hand_bytes=lambda A_row, A_col, A_val, x, y: 0,
        peers=(
            jax_peer(segments, "segments"),
            torch_peer(torch_index_add, "index_add"),
            *array_peers(running_sums, "running sums", (Library.JAX, Library.AUTOGRAD)),
        ),
        bar=2.0,
        quoted=Quoted(1.7, 3.7, "JAX 3.1"),
    ),
)
