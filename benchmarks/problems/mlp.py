"""NPBench's perceptron with two hidden layers and a softmax, for a batch; then a weighted sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.formulations import Package, array_peers
from benchmarks.model import Group, Quoted, Row
from tests.kernels.learning import mlp
from tests.kernels.model import Draw

__all__ = ["ROWS"]


def weighted(x, w1, b1, w2, b2, w3, b3, weights):
    return np.sum(weights * mlp(x, w1, b1, w2, b2, w3, b3))


@njit
def _relu_layer(x, w, b):
    out = np.dot(x, w)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = max(out[i, j] + b[j], 0.0)
    return out


@njit
def _take_back(x, out_bar, w_bar, b_bar):
    w_bar += np.dot(x.T, out_bar)
    for i in range(out_bar.shape[0]):
        for j in range(out_bar.shape[1]):
            b_bar[j] += out_bar[i, j]


@njit
def _mask(out_bar, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            if out[i, j] <= 0.0:
                out_bar[i, j] = 0.0


@njit
def weighted_adjoint(x, w1, b1, w2, b2, w3, b3, weights, w1_bar, b1_bar, w2_bar, b2_bar, w3_bar, b3_bar):
    """Keep the outputs of the two hidden layers."""
    first = _relu_layer(x, w1, b1)
    second = _relu_layer(first, w2, b2)
    out = np.dot(second, w3)
    for i in range(out.shape[0]):
        largest = -np.inf
        for j in range(out.shape[1]):
            out[i, j] += b3[j]
            largest = max(largest, out[i, j])
        total = mean = 0.0
        for j in range(out.shape[1]):
            out[i, j] = np.exp(out[i, j] - largest)
            total += out[i, j]
            mean += out[i, j] * weights[i, j]
        mean /= total
        for j in range(out.shape[1]):
            out[i, j] = out[i, j] / total * (weights[i, j] - mean)
    _take_back(second, out, w3_bar, b3_bar)
    second_bar = np.dot(out, w3.T)
    _mask(second_bar, second)
    _take_back(first, second_bar, w2_bar, b2_bar)
    first_bar = np.dot(second_bar, w2.T)
    _mask(first_bar, first)
    _take_back(x, first_bar, w1_bar, b1_bar)


def arrays(
    package: Package, x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, weights: Any
) -> Any:
    """Return the weighted sum in whole arrays."""
    numpy = package.np
    x = numpy.clip(x @ w1 + b1, 0.0, None)
    x = numpy.clip(x @ w2 + b2, 0.0, None)
    x = x @ w3 + b3
    shifted = numpy.exp(x - numpy.amax(x, axis=1, keepdims=True))
    return (weights * (shifted / shifted.sum(axis=1, keepdims=True))).sum()


def start(batch: int, inputs: int, hidden: int, outputs: int) -> tuple[Any, ...]:
    """Return arguments for a batch; the weights keep the layers' outputs of order 1."""
    draw = Draw(1)
    return (
        draw.signed(batch, inputs),
        draw.signed(inputs, hidden) / np.sqrt(inputs),
        draw.signed(hidden),
        draw.signed(hidden, hidden) / np.sqrt(hidden),
        draw.signed(hidden),
        draw.signed(hidden, outputs) / np.sqrt(hidden),
        draw.signed(outputs),
        draw.array(batch, outputs),
    )


ROWS = (
    Row(
        title="mlp 256–512–512–10, batch of 64",
        group=Group.LEARNING,
        function=weighted,
        arguments=lambda: start(64, 256, 512, 10),
        small=lambda: start(3, 4, 5, 2),
        active=(1, 2, 3, 4, 5, 6),
        by_hand=weighted_adjoint,
        hand_bytes=lambda x, w1, b1, w2, b2, *_: 8 * x.shape[0] * (b1.size + b2.size),
        peers=array_peers(arrays),
        bar=3.0,
        quoted=Quoted(5.0, None, "JAX 2.7"),
    ),
)
