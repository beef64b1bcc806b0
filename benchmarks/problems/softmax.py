"""NPBench's softmax over the last of four dimensions, then a weighted sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers, jax_peer, torch_peer
from benchmarks.model import Group, Library, Quoted, Row
from tests.kernels.learning import softmax
from tests.kernels.model import Draw

__all__ = ["ROWS"]


def weighted(x, weights):
    return np.sum(weights * softmax(x))


@njit(fastmath=True)
def weighted_adjoint(x, weights, x_bar):
    """Keep one row of exponentials at a time."""
    rows = x.shape[0] * x.shape[1] * x.shape[2]
    n = x.shape[3]
    flat, w, bar = x.reshape(rows, n), weights.reshape(rows, n), x_bar.reshape(rows, n)
    e = np.empty(n)
    for i in range(rows):
        largest = flat[i, 0]
        for j in range(1, n):
            largest = max(largest, flat[i, j])
        total = mean = 0.0
        for j in range(n):
            e[j] = np.exp(flat[i, j] - largest)
            total += e[j]
            mean += e[j] * w[i, j]
        mean /= total
        for j in range(n):
            bar[i, j] += e[j] / total * (w[i, j] - mean)


def arrays(package: Package, x: Any, weights: Any) -> Any:
    """Return the weighted sum in whole arrays."""
    numpy = package.np
    largest = numpy.amax(x, axis=-1, keepdims=True)
    shifted = numpy.exp(x - largest)
    return (weights * (shifted / shifted.sum(axis=-1, keepdims=True))).sum()


def library(package: Package, x: Any, weights: Any) -> Any:
    """Return the weighted sum by the package's own softmax."""
    import jax

    return (weights * jax.nn.softmax(x)).sum()


def torch_library(package: Package, x: Any, weights: Any) -> Any:
    """Return the weighted sum by the package's own softmax."""
    return (weights * package.np.softmax(x, -1)).sum()


def start(*shape: int) -> tuple[Any, ...]:
    """Return arguments of a shape."""
    draw = Draw(1)
    return draw.signed(*shape), draw.array(*shape)


ROWS = (
    Row(
        title="softmax 16 × 16 × 32 × 128",
        group=Group.LEARNING,
        function=weighted,
        arguments=lambda: start(16, 16, 32, 128),
        small=lambda: start(2, 2, 3, 4),
        active=(0,),
        by_hand=weighted_adjoint,
        hand_bytes=lambda x, weights: 8 * x.shape[3],
        peers=(
            *array_peers(arrays, libraries=(Library.AUTOGRAD,)),
            jax_peer(library, "library"),
            torch_peer(torch_library, "library"),
        ),
        bar=1.2,
        quoted=Quoted(1.0, 3.1, "JAX 0.7"),
        jit=(("fastmath", True),),
    ),
)
