"""PolyBench's products of matrices and vectors, and its statistics of data columns."""

# ruff: noqa: PLR0917 - long argument lists are how such kernels are called

import numba as nb
import numpy as np

from .model import Draw, Kernel

__all__ = ["KERNELS"]


@nb.njit(fastmath=True)
def atax(A, x):
    return (A @ x) @ A


@nb.njit
def atax_loops(A, x, y, tmp):
    m, n = A.shape
    for j in range(n):
        y[j] = 0.0
    for i in range(m):
        tmp[i] = 0.0
        for j in range(n):
            tmp[i] += A[i, j] * x[j]
        for j in range(n):
            y[j] += A[i, j] * tmp[i]


@nb.njit(fastmath=True)
def bicg(A, p, r):
    return r @ A, A @ p


@nb.njit
def bicg_loops(A, s, q, p, r):
    s[:] = 0.0
    for i in range(A.shape[0]):
        q[i] = 0.0
        for j in range(A.shape[1]):
            s[j] += r[i] * A[i, j]
            q[i] += A[i, j] * p[j]


@nb.njit(fastmath=True)
def gemm(alpha, beta, C, A, B):
    C[:] = alpha * A @ B + beta * C


@nb.njit
def gemm_rows(alpha, beta, C, A, B):
    for i in range(C.shape[0]):
        C[i, :] *= beta
        for k in range(A.shape[1]):
            C[i, :] += alpha * A[i, k] * B[k, :]


@nb.njit
def gemm_dot(alpha, beta, C, A, B):
    np.dot(alpha * A, B, C)
    C *= beta
    return C


@nb.njit(fastmath=True)
def gemver(alpha, beta, A, u1, v1, u2, v2, w, x, y, z):
    A += np.outer(u1, v1) + np.outer(u2, v2)
    x += beta * y @ A + z
    w += alpha * A @ x
    return A, w, x


@nb.njit
def gemver_in_place(alpha, beta, A, u1, v1, u2, v2, w, x, y, z):
    A += np.outer(u1, v1) + np.outer(u2, v2)
    x += beta * (A.T @ y) + z
    w += alpha * np.dot(A, x)


@nb.njit(fastmath=True)
def gesummv(alpha, beta, A, B, x):
    return alpha * A @ x + beta * B @ x


@nb.njit(fastmath=True)
def k2mm(alpha, beta, A, B, C, D):
    D[:] = alpha * A @ B @ C + beta * D


@nb.njit(fastmath=True)
def k3mm(A, B, C, D):
    return A @ B @ C @ D


@nb.njit
def k3mm_out(A, B, C, D, E, F, G):
    np.dot(A, B, E)
    np.dot(C, D, F)
    np.dot(E, F, G)


@nb.njit(fastmath=True)
def mvt(x1, x2, y_1, y_2, A):
    x1 += A @ y_1
    x2 += y_2 @ A


@nb.njit(fastmath=True)
def symm(alpha, beta, C, A, B):
    C *= beta
    for i in range(C.shape[0]):
        row = alpha * B[i]
        below = A[i, :i]
        C[:i] += np.outer(below, row)
        C[i] += A[i, i] * row + alpha * (below @ B[:i])


@nb.njit(fastmath=True)
def symm_columns(alpha, beta, C, A, B):
    inner = np.empty(C.shape[1], dtype=C.dtype)
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            inner[j] = B[:i, j] @ A[i, :i]
            C[:i, j] += alpha * B[i, j] * A[i, :i]
        C[i, :] = beta * C[i, :] + alpha * (A[i, i] * B[i, :] + inner)


@nb.njit(fastmath=True)
def syr2k(alpha, beta, C, A, B):
    for i in range(A.shape[0]):
        C[i, : i + 1] *= beta
        for k in range(A.shape[1]):
            C[i, : i + 1] += alpha * (A[i, k] * B[: i + 1, k] + B[i, k] * A[: i + 1, k])


@nb.njit(fastmath=True)
def syrk(alpha, beta, C, A):
    for i in range(A.shape[0]):
        C[i, : i + 1] = beta * C[i, : i + 1] + alpha * (A[: i + 1] @ A[i])


@nb.njit(fastmath=True)
def syrk_columns(alpha, beta, C, A):
    for i in range(A.shape[0]):
        C[i, : i + 1] *= beta
        for k in range(A.shape[1]):
            C[i, : i + 1] += alpha * A[i, k] * A[: i + 1, k]


@nb.njit(fastmath=True)
def trmm(alpha, A, B):
    for i in range(B.shape[0]):
        for j in range(B.shape[1]):
            B[i, j] += np.dot(B[i + 1 :, j], A[i + 1 :, i])
            B[i, j] *= alpha


@nb.njit
def trmm_rows(alpha, A, B):
    for i in range(B.shape[0]):
        B[i] = alpha * (B[i] + A[i + 1 :, i] @ B[i + 1 :])


@nb.njit(fastmath=True)
def doitgen(A, C4):
    for r in range(A.shape[0]):
        for q in range(A.shape[1]):
            A[r, q, :] = A[r, q, :] @ C4


@nb.njit
def doitgen_reshaped(NR, NQ, NP, A, C4):
    A[:] = np.reshape(np.reshape(A, (NR * NQ, NP)) @ C4, (NR, NQ, NP))
    return NR, NQ, NP, A, C4


@nb.njit(fastmath=True)
def covariance(data, size):
    m = data.shape[1]
    data -= data.sum(axis=0) / size
    cov = np.empty((m, m), dtype=data.dtype)
    for i in range(m):
        cov[i, i:] = data[:, i] @ data[:, i:] / (size - 1.0)
        cov[i:, i] = cov[i, i:]
    return cov


@nb.njit
def covariance_columns(data, cov):
    n, m = data.shape
    centred = np.empty_like(data)
    for j in range(m):
        centred[:, j] = data[:, j] - np.mean(data[:, j])
    cov[:, :] = centred.T @ centred / (n - 1)


@nb.njit(fastmath=True)
def correlation(data, size):
    m = data.shape[1]
    mean = np.sum(data, axis=0) / size
    spread = np.sqrt(np.sum((data - mean) ** 2, axis=0) / size)
    spread[spread <= 0.1] = 1.0
    data -= mean
    data /= spread * np.sqrt(size)
    corr = np.eye(m, dtype=data.dtype)
    for i in range(m - 1):
        corr[i, i + 1 :] = corr[i + 1 :, i] = data[:, i] @ data[:, i + 1 :]
    return corr


@nb.njit
def correlation_columns(data):
    n, m = data.shape
    scaled = np.empty((n, m))
    for j in range(m):
        column = data[:, j]
        spread = column.std()
        scaled[:, j] = (column - column.mean()) / (spread if spread > 0.1 else 1.0)
    return scaled.T.copy() @ scaled / n


def _gemver(draw: Draw):
    n = 4
    return (draw.number(), draw.number(), draw.array(n, n), *(draw.signed(n) for _ in range(8)))


def _symmetric_product(draw: Draw):
    return draw.number(), draw.number(), draw.array(4, 3), draw.array(4, 4), draw.array(4, 3)


def _symmetric_update(draw: Draw):
    return draw.number(), draw.number(), draw.array(4, 4), draw.array(4, 3)


KERNELS = (
    Kernel(atax, lambda draw: (draw.array(4, 3), draw.array(3))),
    Kernel(atax_loops, lambda draw: (draw.array(4, 3), draw.array(3), draw.array(3), draw.array(4))),
    Kernel(bicg, lambda draw: (draw.array(4, 3), draw.array(3), draw.array(4))),
    Kernel(
        bicg_loops,
        lambda draw: (draw.array(4, 3), draw.array(3), draw.array(4), draw.array(3), draw.array(4)),
    ),
    Kernel(
        gemm,
        lambda draw: (draw.number(), draw.number(), draw.array(3, 4), draw.array(3, 5), draw.array(5, 4)),
    ),
    Kernel(
        gemm_rows,
        lambda draw: (draw.number(), draw.number(), draw.array(3, 4), draw.array(3, 5), draw.array(5, 4)),
    ),
    Kernel(
        gemm_dot,
        lambda draw: (draw.number(), draw.number(), draw.array(3, 4), draw.array(3, 5), draw.array(5, 4)),
    ),
    Kernel(gemver, _gemver),
    Kernel(gemver_in_place, _gemver),
    Kernel(
        gesummv,
        lambda draw: (draw.number(), draw.number(), draw.array(4, 4), draw.array(4, 4), draw.array(4)),
    ),
    Kernel(
        k2mm,
        lambda draw: (
            draw.number(),
            draw.number(),
            draw.array(3, 4),
            draw.array(4, 2),
            draw.array(2, 5),
            draw.array(3, 5),
        ),
    ),
    Kernel(k3mm, lambda draw: (draw.array(3, 4), draw.array(4, 2), draw.array(2, 5), draw.array(5, 3))),
    Kernel(
        k3mm_out,
        lambda draw: (
            draw.array(3, 4),
            draw.array(4, 2),
            draw.array(2, 5),
            draw.array(5, 3),
            draw.array(3, 2),
            draw.array(2, 3),
            draw.array(3, 3),
        ),
    ),
    Kernel(mvt, lambda draw: (*(draw.signed(4) for _ in range(4)), draw.array(4, 4))),
    Kernel(symm, _symmetric_product),
    Kernel(symm_columns, _symmetric_product),
    Kernel(
        syr2k,
        lambda draw: (draw.number(), draw.number(), draw.array(4, 4), draw.array(4, 3), draw.array(4, 3)),
    ),
    Kernel(syrk, _symmetric_update),
    Kernel(syrk_columns, _symmetric_update),
    Kernel(trmm, lambda draw: (draw.number(), draw.array(4, 4), draw.array(4, 3))),
    Kernel(trmm_rows, lambda draw: (draw.number(), draw.array(4, 4), draw.array(4, 3))),
    Kernel(doitgen, lambda draw: (draw.array(2, 3, 4), draw.array(4, 4))),
    Kernel(doitgen_reshaped, lambda draw: (2, 3, 4, draw.array(2, 3, 4), draw.array(4, 4))),
    Kernel(covariance, lambda draw: (draw.signed(6, 3), 6.0)),
    Kernel(covariance_columns, lambda draw: (draw.signed(6, 3), draw.signed(3, 3))),
    Kernel(correlation, lambda draw: (draw.signed(6, 3), 6.0)),
    Kernel(correlation_columns, lambda draw: (draw.signed(6, 3),)),
)
