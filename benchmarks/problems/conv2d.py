"""NPBench's convolution of images with several channels, patch by patch, then a weighted sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers, jax_peer, torch_peer
from benchmarks.model import Group, Quoted, Row
from tests.kernels.learning import conv2d
from tests.kernels.model import Draw

__all__ = ["ROWS"]


def weighted(x, kernel, weights):
    return np.sum(weights * conv2d(x, kernel))


@njit(fastmath=True)
def weighted_adjoint(x, kernel, weights, x_bar, kernel_bar):
    n, height, width, filters = weights.shape
    K, _, channels, _ = kernel.shape
    for b in range(n):
        for i in range(height):
            for j in range(width):
                for p in range(K):
                    for q in range(K):
                        for c in range(channels):
                            total = 0.0
                            value = x[b, i + p, j + q, c]
                            for f in range(filters):
                                w = weights[b, i, j, f]
                                total += w * kernel[p, q, c, f]
                                kernel_bar[p, q, c, f] += w * value
                            x_bar[b, i + p, j + q, c] += total


def shifted(package: Package, x: Any, kernel: Any, weights: Any) -> Any:
    """Return the weighted sum by a product for each entry of the kernel."""
    rows, columns = weights.shape[1:3]
    K = kernel.shape[0]
    terms = [x[:, i : i + rows, j : j + columns] @ kernel[i, j] for i in range(K) for j in range(K)]
    return (weights * sum(terms)).sum()


def library(package: Package, x: Any, kernel: Any, weights: Any) -> Any:
    """Return the weighted sum by JAX's convolution."""
    import jax

    layout = ("NHWC", "HWIO", "NHWC")
    out = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=layout)
    return (weights * out).sum()


def torch_library(package: Package, x: Any, kernel: Any, weights: Any) -> Any:
    """Return the weighted sum by PyTorch's convolution."""
    out = package.np.nn.functional.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1))
    return (weights.permute(0, 3, 1, 2) * out).sum()


def start(n: int, size: int, K: int, channels: int, filters: int) -> tuple[Any, ...]:
    """Return arguments for n square images."""
    draw = Draw(1)
    out = draw.array(n, size - K + 1, size - K + 1, filters)
    return draw.signed(n, size, size, channels), draw.signed(K, K, channels, filters), out


ROWS = (
    Row(
        title="conv2d 8 × 32² × 3, 16 filters of 2²",
        group=Group.LEARNING,
        function=weighted,
        arguments=lambda: start(8, 32, 2, 3, 16),
        small=lambda: start(2, 4, 2, 2, 3),
        active=(0, 1),
        by_hand=weighted_adjoint,
        hand_bytes=lambda x, kernel, weights: 0,
        peers=(
            *array_peers(shifted, "sum of products"),
            jax_peer(library, "library"),
            torch_peer(torch_library, "library"),
        ),
        bar=1.0,
        quoted=Quoted(0.9, 0.5, "JAX 0.8"),
        jit=(("fastmath", True),),
    ),
)
