"""PolyBench's factorisations and solvers, in place and by loops, rows and inner products."""

import numba as nb
import numpy as np

from .model import Draw, Kernel, well_conditioned

__all__ = ["KERNELS"]


@nb.njit(fastmath=True)
def cholesky(A):
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] = (A[i, j] - np.dot(A[i, :j], A[j, :j])) / A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])


@nb.njit
def cholesky_loops(A):
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            for k in range(j):
                A[i, j] -= A[i, k] * A[j, k]
            A[i, j] /= A[j, j]
        for k in range(i):
            A[i, i] -= A[i, k] * A[i, k]
        A[i, i] = np.sqrt(A[i, i])


@nb.njit
def cholesky_new(A):
    L = np.zeros_like(A)
    for j in range(A.shape[0]):
        L[j, j] = np.sqrt(A[j, j] - np.sum(L[j, :j] ** 2))
        L[j + 1 :, j] = (A[j + 1 :, j] - L[j + 1 :, :j] @ L[j, :j]) / L[j, j]
    return L


@nb.njit(fastmath=True)
def durbin(r):
    y = np.empty_like(r)
    reflection = y[0] = -r[0]
    power = 1.0
    for k in range(1, r.size):
        power *= 1.0 - reflection * reflection
        reflection = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / power
        y[:k] += reflection * np.flip(y[:k])
        y[k] = reflection
    return y


@nb.njit
def durbin_loops(r, y):
    n = r.size
    z = np.empty(n)
    y[0] = -r[0]
    beta = 1.0
    alpha = -r[0]
    for k in range(1, n):
        beta = (1 - alpha * alpha) * beta
        total = 0.0
        for i in range(k):
            total += r[k - i - 1] * y[i]
        alpha = -(r[k] + total) / beta
        for i in range(k):
            z[i] = y[i] + alpha * y[k - i - 1]
        for i in range(k):
            y[i] = z[i]
        y[k] = alpha


@nb.njit
def durbin_reversed(r):
    y = np.empty_like(r)
    alpha = -r[0]
    beta = 1.0
    y[0] = -r[0]
    for k in range(1, r.shape[0]):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.sum(r[:k][::-1] * y[:k])) / beta
        y[:k] = y[:k] + alpha * y[:k][::-1]
        y[k] = alpha
    return y


@nb.njit(fastmath=True)
def gramschmidt(A):
    n = A.shape[1]
    Q = np.zeros_like(A)
    R = np.zeros((n, n), dtype=A.dtype)
    for k in range(n):
        R[k, k] = np.sqrt(np.dot(A[:, k], A[:, k]))
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, n):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] -= R[k, j] * Q[:, k]
    return Q, R


@nb.njit
def gramschmidt_norm(A, Q, R):
    for k in range(A.shape[1]):
        column = A[:, k].copy()
        R[k, k] = np.linalg.norm(column)
        Q[:, k] = column / R[k, k]
        for j in range(k + 1, A.shape[1]):
            R[k, j] = np.sum(Q[:, k] * A[:, j])
            A[:, j] -= Q[:, k] * R[k, j]


@nb.njit(fastmath=True)
def lu(A):
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            A[i, j] = (A[i, j] - A[i, :j] @ A[:j, j]) / A[j, j]
        for j in range(i, n):
            A[i, j] -= A[i, :i] @ A[:i, j]


@nb.njit
def lu_outer(A):
    for k in range(A.shape[0] - 1):
        A[k + 1 :, k] /= A[k, k]
        A[k + 1 :, k + 1 :] -= np.outer(A[k + 1 :, k], A[k, k + 1 :])


@nb.njit(fastmath=True)
def ludcmp(A, b):
    lu(A)
    y = np.zeros_like(b)
    for i in range(b.size):
        y[i] = b[i] - A[i, :i] @ y[:i]
    x = np.zeros_like(b)
    for i in range(b.size - 1, -1, -1):
        x[i] = (y[i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x, y


@nb.njit
def ludcmp_loops(A, b, x, y):
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            w = A[i, j]
            for k in range(j):
                w -= A[i, k] * A[k, j]
            A[i, j] = w / A[j, j]
        for j in range(i, n):
            w = A[i, j]
            for k in range(i):
                w -= A[i, k] * A[k, j]
            A[i, j] = w
    for i in range(n):
        w = b[i]
        for j in range(i):
            w -= A[i, j] * y[j]
        y[i] = w
    for i in range(n - 1, -1, -1):
        w = y[i]
        for j in range(i + 1, n):
            w -= A[i, j] * x[j]
        x[i] = w / A[i, i]


@nb.njit(fastmath=True)
def trisolv(L, x, b):
    for i in range(x.shape[0]):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]


@nb.njit
def trisolv_columns(L, b):
    x = b.copy()
    for j in range(x.size):
        x[j] /= L[j, j]
        x[j + 1 :] -= L[j + 1 :, j] * x[j]
    return x


@nb.njit
def _eliminate(A, b):
    for k in range(A.shape[0]):
        for i in range(k + 1, A.shape[0]):
            factor = A[i, k] / A[k, k]
            A[i] -= factor * A[k]
            b[i] -= factor * b[k]


@nb.njit
def ludcmp_helpers(A, b):
    A = A.copy()
    b = b.copy()
    _eliminate(A, b)
    x = np.empty_like(b)
    for i in range(b.size - 1, -1, -1):
        x[i] = (b[i] - (A[i, i + 1 :] * x[i + 1 :]).sum()) / A[i, i]
    return x


def _lower(draw: Draw, n: int):
    return np.tril(draw.signed(n, n)) + 2.0 * np.eye(n)


KERNELS = (
    Kernel(cholesky, lambda draw: (well_conditioned(draw, 5),)),
    Kernel(cholesky_loops, lambda draw: (well_conditioned(draw, 5),)),
    Kernel(cholesky_new, lambda draw: (well_conditioned(draw, 5),)),
    Kernel(durbin, lambda draw: (0.3 * draw.signed(6),)),
    Kernel(durbin_loops, lambda draw: (0.3 * draw.signed(6), draw.signed(6))),
    Kernel(durbin_reversed, lambda draw: (0.3 * draw.signed(6),)),
    Kernel(gramschmidt, lambda draw: (draw.signed(5, 3),)),
    Kernel(gramschmidt_norm, lambda draw: (draw.signed(5, 3), draw.signed(5, 3), draw.signed(3, 3))),
    Kernel(lu, lambda draw: (well_conditioned(draw, 5),)),
    Kernel(lu_outer, lambda draw: (well_conditioned(draw, 5),)),
    Kernel(ludcmp, lambda draw: (well_conditioned(draw, 4), draw.signed(4))),
    Kernel(
        ludcmp_loops, lambda draw: (well_conditioned(draw, 4), draw.signed(4), draw.signed(4), draw.signed(4))
    ),
    Kernel(ludcmp_helpers, lambda draw: (well_conditioned(draw, 4), draw.signed(4))),
    Kernel(trisolv, lambda draw: (_lower(draw, 5), draw.signed(5), draw.signed(5))),
    Kernel(trisolv_columns, lambda draw: (_lower(draw, 5), draw.signed(5))),
)
