"""Stencils of PolyBench and of weather models: slices written in place, sweeps that carry a dependence."""

# ruff: noqa: PLR0917 - long argument lists are how such kernels are called

import numba as nb
import numpy as np

from .model import Kernel

__all__ = ["KERNELS"]


@nb.njit(fastmath=True)
def _solve_lines(rhs_of, side, centre, around, out, p, q):
    """Solve a tridiagonal system along each column of out, whose ends are 1; rhs_of is the other operand."""
    n = out.shape[0]
    out[0, 1:-1] = 1.0
    p[1:-1, 0] = 0.0
    q[1:-1, 0] = out[0, 1:-1]
    for j in range(1, n - 1):
        pivot = side * p[1:-1, j - 1] + centre
        p[1:-1, j] = -side / pivot
        neighbours = rhs_of[j, :-2] + rhs_of[j, 2:]
        inside = (1.0 + 2.0 * around) * rhs_of[j, 1:-1]
        q[1:-1, j] = (inside - around * neighbours - side * q[1:-1, j - 1]) / pivot
    out[n - 1, 1:-1] = 1.0
    for j in range(n - 2, 0, -1):
        out[j, 1:-1] = p[1:-1, j] * out[j + 1, 1:-1] + q[1:-1, j]


@nb.njit(fastmath=True)
def adi(steps, N, u):
    v = np.empty(u.shape, dtype=u.dtype)
    p = np.empty(u.shape, dtype=u.dtype)
    q = np.empty(u.shape, dtype=u.dtype)
    along = N * N / (2.0 * steps)
    across = 2.0 * along
    for _ in range(1, steps + 1):
        _solve_lines(u, -across, 1.0 + 2.0 * across, -along, v, p, q)
        _solve_lines(v.T, -along, 1.0 + 2.0 * along, -across, u.T, p, q)


@nb.njit(fastmath=True)
def _causal(image, now, before, b1, b2, out):
    out[:, 0] = now * image[:, 0]
    out[:, 1] = now * image[:, 1] + before * image[:, 0] + b1 * out[:, 0]
    for j in range(2, image.shape[1]):
        out[:, j] = now * image[:, j] + before * image[:, j - 1] + b1 * out[:, j - 1] + b2 * out[:, j - 2]


@nb.njit(fastmath=True)
def _anticausal(image, first, second, b1, b2, out):
    out[:, -1] = 0.0
    out[:, -2] = first * image[:, -1]
    for j in range(image.shape[1] - 3, -1, -1):
        out[:, j] = (
            first * image[:, j + 1] + second * image[:, j + 2] + b1 * out[:, j + 1] + b2 * out[:, j + 2]
        )


@nb.njit(fastmath=True)
def deriche(alpha, image):
    decay = np.exp(-alpha)
    k = (1.0 - decay) ** 2 / (1.0 + 2.0 * alpha * decay - np.exp(-2.0 * alpha))
    b1, b2 = 2.0 * decay, -(decay**2)
    left = np.empty_like(image)
    right = np.empty_like(image)
    _causal(image, k, k * decay * (alpha - 1.0), b1, b2, left)
    _anticausal(image, k * decay * (alpha + 1.0), -k * decay**2, b1, b2, right)
    out = left + right
    _causal(out.T, k, k * decay * (alpha - 1.0), b1, b2, left.T)
    _anticausal(out.T, k * decay * (alpha + 1.0), -k * decay**2, b1, b2, right.T)
    out[:] = left + right
    return out


@nb.njit(fastmath=True)
def deriche_line(alpha, line, out):
    """Filter one line, every coefficient and boundary in place."""
    decay = np.exp(-alpha)
    a1 = a3 = (1.0 - decay) ** 2 / (1.0 + 2.0 * alpha * decay - 2.0 ** (-2.0 * alpha))
    a3 *= decay * (alpha + 1.0)
    back = np.empty_like(line)
    back[-1] = 0.0
    back[-2] = a3 * line[-1]
    for j in range(line.size - 3, -1, -1):
        back[j] = a3 * line[j + 1] + 2.0 * decay * back[j + 1] - decay * decay * back[j + 2]
    out[:] = a1 * line + back


@nb.njit(fastmath=True)
def fdtd_2d(steps, ex, ey, hz, source):
    for t in range(steps):
        ey[0, :] = source[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        curl = ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1]
        hz[:-1, :-1] -= 0.7 * curl


@nb.njit(fastmath=True)
def _heat_step(old, new):
    middle = old[1:-1, 1:-1, 1:-1]
    new[1:-1, 1:-1, 1:-1] = (
        0.125 * (old[2:, 1:-1, 1:-1] - 2.0 * middle + old[:-2, 1:-1, 1:-1])
        + 0.125 * (old[1:-1, 2:, 1:-1] - 2.0 * middle + old[1:-1, :-2, 1:-1])
        + 0.125 * (old[1:-1, 1:-1, 2:] - 2.0 * middle + old[1:-1, 1:-1, :-2])
        + middle
    )


@nb.njit(fastmath=True)
def heat_3d(steps, A, B):
    for _ in range(1, steps):
        _heat_step(A, B)
        _heat_step(B, A)


@nb.njit(fastmath=True)
def jacobi_1d(TSTEPS, A, B):
    for _ in range(1, TSTEPS):
        B[1:-1] = 0.33333 * (A[:-2] + A[1:-1] + A[2:])
        A[1:-1] = 0.33333 * (B[:-2] + B[1:-1] + B[2:])


@nb.njit
def jacobi_1d_squared(TSTEPS, A, B):
    for _ in range(1, TSTEPS):
        B[1:-1] = 0.5 * (A[:-2] + A[1:-1] * A[2:])
        A, B = B, A
    return A


@nb.njit(fastmath=True)
def jacobi_2d(TSTEPS, A, B):
    for _ in range(1, TSTEPS):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])


@nb.njit
def jacobi_2d_loops(TSTEPS, A, B):
    n, m = A.shape
    for _ in range(1, TSTEPS):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                B[i, j] = 0.2 * (A[i, j] + A[i, j - 1] + A[i, j + 1] + A[i + 1, j] + A[i - 1, j])
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                A[i, j] = 0.2 * (B[i, j] + B[i, j - 1] + B[i, j + 1] + B[i + 1, j] + B[i - 1, j])
    return TSTEPS, A, B


@nb.njit(fastmath=True)
def seidel_2d(steps, N, A):
    for _ in range(steps - 1):
        for i in range(1, N - 1):
            above, below = A[i - 1], A[i + 1]
            A[i, 1:-1] += (
                above[:-2] + above[1:-1] + above[2:] + A[i, 2:] + below[:-2] + below[1:-1] + below[2:]
            )
            for j in range(1, N - 1):
                A[i, j] += A[i, j - 1]
                A[i, j] /= 9.0


@nb.njit
def seidel_2d_blocks(TSTEPS, N, A):
    for _ in range(TSTEPS - 1):
        for i in range(1, N - 1):
            for j in range(1, N - 1):
                A[i, j] = np.sum(A[i - 1 : i + 2, j - 1 : j + 2]) / 9.0
    return TSTEPS, N, A


@nb.njit(fastmath=True)
def _limited(flux, field_step):
    return np.where(flux * field_step > 0, 0, flux)


@nb.njit(fastmath=True)
def hdiff(field, out, coeff):
    centre = field[1:-1, 1:-1, :]
    lap = 4.0 * centre - (field[2:, 1:-1, :] + field[:-2, 1:-1, :] + field[1:-1, 2:, :] + field[1:-1, :-2, :])
    inner = field[2:-2, 2:-2, :]
    flx = _limited(lap[1:, 1:-1, :] - lap[:-1, 1:-1, :], field[2:-1, 2:-2, :] - field[1:-2, 2:-2, :])
    fly = _limited(lap[1:-1, 1:, :] - lap[1:-1, :-1, :], field[2:-2, 2:-1, :] - field[2:-2, 1:-2, :])
    out[:, :, :] = inner - coeff * (flx[1:] - flx[:-1] + fly[:, 1:] - fly[:, :-1])


@nb.njit
def hdiff_loops(in_field, out_field, coeff):
    NI, NJ, NK = out_field.shape
    lap = np.empty((NI + 2, NJ + 2, NK))
    for i in range(NI + 2):
        for j in range(NJ + 2):
            for k in range(NK):
                lap[i, j, k] = 4.0 * in_field[i + 1, j + 1, k] - (
                    in_field[i + 2, j + 1, k]
                    + in_field[i, j + 1, k]
                    + in_field[i + 1, j + 2, k]
                    + in_field[i + 1, j, k]
                )
    flx = np.empty((NI + 1, NJ, NK))
    fly = np.empty((NI, NJ + 1, NK))
    for k in range(NK):
        for i in range(NI + 1):
            for j in range(NJ):
                res = lap[i + 1, j + 1, k] - lap[i, j + 1, k]
                flx[i, j, k] = res
                if res * (in_field[i + 2, j + 2, k] - in_field[i + 1, j + 2, k]) > 0:
                    flx[i, j, k] = 0.0
        for i in range(NI):
            for j in range(NJ + 1):
                res = lap[i + 1, j + 1, k] - lap[i + 1, j, k]
                step = in_field[i + 2, j + 2, k] - in_field[i + 2, j + 1, k]
                fly[i, j, k] = 0.0 if res * step > 0 else res
        for i in range(NI):
            for j in range(NJ):
                flux = flx[i + 1, j, k] - flx[i, j, k] + fly[i, j + 1, k] - fly[i, j, k]
                out_field[i, j, k] = in_field[i + 2, j + 2, k] - coeff[i, j, k] * flux


IMPLICIT = 0.5
EXPLICIT = 1.0 - IMPLICIT


@nb.njit(fastmath=True)
def _forward_elimination(tendency, u, wind, position, given, inverse_step, upper, right):
    n = u.shape[2]
    for k in range(n):
        diagonal = np.full(u.shape[:2], inverse_step)
        target = inverse_step * position[:, :, k] + given[:, :, k] + tendency[:, :, k]
        if k < n - 1:
            above = 0.25 * (wind[1:, :, k + 1] + wind[:-1, :, k + 1])
            upper[:, :, k] = above * IMPLICIT
            diagonal -= upper[:, :, k]
            target -= EXPLICIT * above * (u[:, :, k + 1] - u[:, :, k])
        if k > 0:
            below = -0.25 * (wind[1:, :, k] + wind[:-1, :, k])
            lower = below * IMPLICIT
            diagonal -= lower
            target -= EXPLICIT * below * (u[:, :, k - 1] - u[:, :, k])
            diagonal -= upper[:, :, k - 1] * lower
            target -= right[:, :, k - 1] * lower
        divided = 1.0 / diagonal
        upper[:, :, k] *= divided
        right[:, :, k] = target * divided


@nb.njit(fastmath=True)
def vadv(tendency, u, wind, position, given, inverse_step):
    n = u.shape[2]
    upper = np.zeros(u.shape, dtype=u.dtype)
    right = np.empty(u.shape, dtype=u.dtype)
    _forward_elimination(tendency, u, wind, position, given, inverse_step, upper, right)
    column = np.empty(u.shape[:2], dtype=u.dtype)
    for k in range(n - 1, n - 2, -1):
        column[:] = right[:, :, k]
        tendency[:, :, k] = inverse_step * (column - position[:, :, k])
    for k in range(n - 2, -1, -1):
        solved = right[:, :, k] - upper[:, :, k] * column[:, :]
        column[:] = solved
        tendency[:, :, k] = inverse_step * (solved - position[:, :, k])
    return tendency, u, wind, position, given, inverse_step


KERNELS = (
    Kernel(adi, lambda draw: (2, 5, draw.array(5, 5))),
    Kernel(deriche, lambda draw: (0.25, draw.array(5, 4))),
    Kernel(deriche_line, lambda draw: (0.25, draw.array(6), draw.array(6))),
    Kernel(
        fdtd_2d, lambda draw: (3, draw.signed(4, 5), draw.signed(4, 5), draw.signed(4, 5), draw.signed(3))
    ),
    Kernel(heat_3d, lambda draw: (3, draw.array(4, 4, 4), draw.array(4, 4, 4))),
    Kernel(jacobi_1d, lambda draw: (4, draw.array(7), draw.array(7))),
    Kernel(jacobi_1d_squared, lambda draw: (4, draw.array(7), draw.array(7))),
    Kernel(jacobi_2d, lambda draw: (3, draw.array(5, 5), draw.array(5, 5))),
    Kernel(jacobi_2d_loops, lambda draw: (3, draw.array(5, 5), draw.array(5, 5))),
    Kernel(seidel_2d, lambda draw: (3, 5, draw.array(5, 5))),
    Kernel(seidel_2d_blocks, lambda draw: (3, 5, draw.array(5, 5))),
    Kernel(hdiff, lambda draw: (draw.array(7, 6, 2), draw.array(3, 2, 2), draw.array(3, 2, 2))),
    Kernel(hdiff_loops, lambda draw: (draw.array(7, 6, 2), draw.array(3, 2, 2), draw.array(3, 2, 2))),
    Kernel(
        vadv,
        lambda draw: (
            draw.signed(3, 2, 4),
            draw.signed(3, 2, 4),
            draw.signed(4, 2, 4),
            draw.signed(3, 2, 4),
            draw.signed(3, 2, 4),
            3.0 / 20.0 + draw.number(),
        ),
    ),
)
