"""Layers of neural networks: softmax, perceptrons, convolutions, pooling."""

# ruff: noqa: PLR0917 - long argument lists are how such kernels are called

import numba as nb
import numpy as np

from .model import Draw, Kernel

__all__ = ["KERNELS"]


@nb.njit(fastmath=True)
def relu(x):
    return np.maximum(x, 0)


@nb.njit(fastmath=True)
def softmax(x):
    kept = x.shape[:3] + (1,)  # noqa: RUF005 - as Numba takes it
    largest = np.empty(kept, dtype=x.dtype)
    for head in np.ndindex(x.shape[:3]):
        largest[head + (0,)] = np.max(x[head])  # noqa: RUF005
    out = np.exp(x - largest)
    return out / np.reshape(np.sum(out, axis=-1), kept)


@nb.njit
def softmax_rows(x):
    out = np.empty_like(x)
    for i in range(x.shape[0]):
        row = np.exp(x[i] - x[i].max())
        out[i] = row / row.sum()
    return out


@nb.njit
def _softmax_2d(x):
    largest = np.empty((x.shape[0], 1), dtype=x.dtype)
    for i in range(x.shape[0]):
        largest[i, 0] = np.max(x[i])
    out = np.exp(x - largest)
    return out / np.reshape(np.sum(out, axis=-1), (x.shape[0], 1))


@nb.njit
def mlp(x, w1, b1, w2, b2, w3, b3):
    x = relu(x @ w1 + b1)
    x = relu(x @ w2 + b2)
    return _softmax_2d(x @ w3 + b3)


@nb.njit(fastmath=True)
def conv2d(x, weights):
    n, height, width, channels = x.shape
    K, filters = weights.shape[0], weights.shape[3]
    out = np.empty((n, height - K + 1, width - K + 1, filters), dtype=x.dtype)
    spread = np.reshape(weights, (1, K, K, channels, filters))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            patch = x[:, i : i + K, j : j + K, :].copy()
            terms = np.reshape(patch, (n, K, K, channels, 1)) * spread
            out[:, i, j, :] = np.sum(np.sum(np.sum(terms, axis=1), axis=1), axis=1)
    return out


@nb.njit(fastmath=True)
def conv2d_rows(x, weights):
    n, height, width, channels = x.shape
    K, filters = weights.shape[0], weights.shape[3]
    matrix = np.reshape(weights, (K * K * channels, filters))
    out = np.empty((n, height - K + 1, width - K + 1, filters), dtype=np.float32)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            patch = x[:, i : i + K, j : j + K, :].copy()
            out[:, i, j, :] = np.reshape(patch, (n, K * K * channels)) @ matrix
    return out


@nb.njit(fastmath=True)
def conv2d_bias(x, weights, bias):
    return conv2d(x, weights) + bias


@nb.njit(fastmath=True)
def conv2d_loops(x, weights, bias, out):
    K = weights.shape[0]
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for c in range(out.shape[3]):
                    total = bias[c]
                    for a in range(K):
                        for b in range(K):
                            for d in range(x.shape[3]):
                                total += x[n, i + a, j + b, d] * weights[a, b, d, c]
                    out[n, i, j, c] = total


@nb.njit
def conv2d_newaxis(x, weights):
    K = weights.shape[0]
    out = np.empty((x.shape[0], x.shape[1] - K + 1, x.shape[2] - K + 1, weights.shape[3]))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            terms = x[:, i : i + K, j : j + K, :, np.newaxis] * weights[np.newaxis, :, :, :]
            out[:, i, j, :] = terms.sum(axis=1).sum(axis=1).sum(axis=1)
    return out


@nb.njit(fastmath=True)
def maxpool2d(x):
    n, height, width, channels = x.shape
    out = np.empty((n, height // 2, width // 2, channels), dtype=x.dtype)
    for k in range(n):
        for c in range(channels):
            for i in range(height // 2):
                for j in range(width // 2):
                    out[k, i, j, c] = np.max(x[k, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c])
    return out


@nb.njit(fastmath=True)
def _convolve_and_pool(x, weights, bias):
    return maxpool2d(relu(conv2d(x, weights) + bias))


@nb.njit(fastmath=True)
def lenet(x, conv1, bias1, conv2, bias2, fc1w, fc1b, fc2w, fc2b, fc3w, fc3b, N, features):
    x = _convolve_and_pool(x, conv1, bias1)
    x = _convolve_and_pool(x, conv2, bias2)
    x = np.reshape(x, (N, features))
    x = relu(x @ fc1w + fc1b)
    x = relu(x @ fc2w + fc2b)
    return x @ fc3w + fc3b


def _perceptron(draw: Draw, dtype=np.float64):
    return (
        draw.signed(3, 4, dtype=dtype),
        draw.signed(4, 5, dtype=dtype),
        draw.signed(5, dtype=dtype),
        draw.signed(5, 3, dtype=dtype),
        draw.signed(3, dtype=dtype),
        draw.signed(3, 2, dtype=dtype),
        draw.signed(2, dtype=dtype),
    )


def _lenet(draw: Draw):
    return (
        draw.signed(2, 10, 10, 1),
        draw.signed(3, 3, 1, 2),
        draw.array(2),
        draw.signed(3, 3, 2, 2),
        draw.array(2),
        draw.signed(2, 4),
        draw.array(4),
        draw.signed(4, 3),
        draw.array(3),
        draw.signed(3, 2),
        draw.array(2),
        2,
        2,
    )


KERNELS = (
    Kernel(softmax, lambda draw: (draw.signed(2, 2, 2, 3),)),
    Kernel(softmax_rows, lambda draw: (draw.signed(3, 4),)),
    Kernel(mlp, _perceptron),
    Kernel(mlp, lambda draw: _perceptron(draw, np.float32), single=True),
    Kernel(conv2d, lambda draw: (draw.signed(2, 4, 4, 2), draw.signed(2, 2, 2, 3))),
    Kernel(
        conv2d_bias,
        lambda draw: (
            draw.signed(2, 4, 4, 2, dtype=np.float32),
            draw.signed(2, 2, 2, 3, dtype=np.float32),
            draw.signed(3, dtype=np.float32),
        ),
        single=True,
    ),
    Kernel(
        conv2d_loops,
        lambda draw: (
            draw.signed(1, 4, 4, 2),
            draw.signed(2, 2, 2, 2),
            draw.signed(2),
            draw.signed(1, 3, 3, 2),
        ),
    ),
    Kernel(
        conv2d_rows,
        lambda draw: (draw.signed(2, 4, 4, 2, dtype=np.float32), draw.signed(2, 2, 2, 3, dtype=np.float32)),
        single=True,
    ),
    Kernel(conv2d_newaxis, lambda draw: (draw.signed(2, 4, 4, 2), draw.signed(2, 2, 2, 3))),
    Kernel(lenet, _lenet),
)
