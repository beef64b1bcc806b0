"""Rules of `np.linalg` in closed form: systems, inverses, determinants, least squares.

Derivatives are those of the function as it is computed: where LAPACK reads one triangle of a matrix, the
other has derivative zero. Real and complex matrices share each formula, with the conjugate transpose.

Sources: Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008); Golub & Pereyra, "The differentiation of pseudo-inverses and nonlinear least
squares problems whose variables separate" (1973).
"""

# Bodies are compiled by Numba for whatever types come.
# pyright: basic

from __future__ import annotations

import numba.np.linalg  # noqa: F401  # pyright: ignore[reportUnusedImport]  # what is replaced must be there
import numpy as np
from numba.extending import register_jitable

from coenzyme.frontends.numba_rules import NumbaRule, replace

__all__ = ["adjoint_of", "as_columns"]


@register_jitable
def adjoint_of(a):
    """Return the conjugate transpose, contiguous."""
    return np.ascontiguousarray(np.conj(a.T))


@register_jitable
def as_columns(x):
    """Return a vector as a matrix of one column; a matrix as it is."""
    return np.ascontiguousarray(x).reshape((x.shape[0], -1))


# --- solve: X = A⁻¹ B


def _solve_forward(a, b, da, db):
    x = np.linalg.solve(a, b)
    right = np.zeros_like(x)
    if db is not None:
        right += db
    if da is not None:
        right -= np.dot(np.ascontiguousarray(da), x)
    return x, np.linalg.solve(a, right)


def _solve_augmented(a, b, da, db):
    x = np.linalg.solve(a, b)
    return x, np.zeros_like(x), (adjoint_of(a), x.copy())


def _solve_reverse(a, b, da, db, x_bar, saved):
    a_adjoint, x = saved
    b_bar = np.linalg.solve(a_adjoint, x_bar)
    if db is not None:
        db += b_bar
    if da is not None:
        da -= np.dot(as_columns(b_bar), adjoint_of(as_columns(x)))


replace(np.linalg.solve, NumbaRule(_solve_forward, _solve_augmented, _solve_reverse))


# --- inverse: B = A⁻¹


def _inv_forward(a, da):
    b = np.linalg.inv(a)
    tangent = np.zeros_like(b)
    tangent -= np.dot(b, np.dot(np.ascontiguousarray(da), b))
    return b, tangent


def _inv_augmented(a, da):
    b = np.linalg.inv(a)
    return b, np.zeros_like(b), adjoint_of(b)


def _inv_reverse(a, da, b_bar, b_adjoint):
    da -= np.dot(b_adjoint, np.dot(np.ascontiguousarray(b_bar), b_adjoint))


replace(np.linalg.inv, NumbaRule(_inv_forward, _inv_augmented, _inv_reverse))


# --- determinant: its gradient is the adjugate, which a singular matrix has too


_WELL_CONDITIONED = 1e-4


@register_jitable
def _adjugate(a):
    u, s, vh = np.linalg.svd(a)
    n = s.size
    if n > 0 and s[-1] > _WELL_CONDITIONED * s[0]:
        # Smooth in the matrix also where singular values coincide, and their vectors are not.
        return np.linalg.inv(a) * np.linalg.det(a)
    others = np.ones(n, s.dtype)
    for i in range(n):
        for j in range(n):
            if i != j:
                others[i] *= s[j]
    turn = np.linalg.det(u) * np.linalg.det(vh)
    left = adjoint_of(vh) * others
    return np.dot(np.ascontiguousarray(left), adjoint_of(u)) * turn


def _det_forward(a, da):
    return np.linalg.det(a), np.sum(_adjugate(a).T * da)


def _det_augmented(a, da):
    d = np.linalg.det(a)
    return d, d - d, adjoint_of(_adjugate(a))


def _det_reverse(a, da, d_bar, gradient):
    da += gradient * d_bar


replace(np.linalg.det, NumbaRule(_det_forward, _det_augmented, _det_reverse))


@register_jitable
def _inverse_or_nan(a, invertible):
    return np.linalg.inv(a) if invertible else np.full_like(a, np.nan)


def _slogdet_forward(a, da):
    sign, logarithm = np.linalg.slogdet(a)
    trace = np.sum(_inverse_or_nan(a, sign != 0).T * da)
    turned = sign * trace - sign * trace.real
    return (sign, logarithm), (turned, trace.real)


def _slogdet_augmented(a, da):
    sign, logarithm = np.linalg.slogdet(a)
    gradient = adjoint_of(_inverse_or_nan(a, sign != 0))
    return (sign, logarithm), (sign - sign, np.abs(sign - sign)), (gradient, sign)


def _slogdet_reverse(a, da, bars, saved):
    sign_bar, logarithm_bar = bars
    gradient, sign = saved
    # The sign is e^(iθ), and θ the imaginary part of the logarithm of the determinant.
    turn = np.conj(sign) * sign_bar
    da += gradient * (logarithm_bar + (turn - turn.real))


replace(np.linalg.slogdet, NumbaRule(_slogdet_forward, _slogdet_augmented, _slogdet_reverse))


# --- pseudo-inverse, at constant rank


@register_jitable
def _pinv_parts(a, p):
    """Return I − A P and I − P A."""
    left = -np.dot(a, p)
    right = -np.dot(p, a)
    for i in range(left.shape[0]):
        left[i, i] += 1
    for i in range(right.shape[0]):
        right[i, i] += 1
    return left, right


def _pinv_forward(a, rcond, da, drcond):
    a = np.ascontiguousarray(a)
    p = np.ascontiguousarray(np.linalg.pinv(a, rcond))
    left, right = _pinv_parts(a, p)
    p_adjoint, da_adjoint = adjoint_of(p), adjoint_of(da)
    dp = -np.dot(p, np.dot(np.ascontiguousarray(da), p))
    dp += np.dot(np.dot(p, p_adjoint), np.dot(da_adjoint, left))
    dp += np.dot(np.dot(right, da_adjoint), np.dot(p_adjoint, p))
    result = np.linalg.pinv(a, rcond)
    tangent = np.zeros_like(result)
    tangent[:] = dp
    return result, tangent


def _pinv_augmented(a, rcond, da, drcond):
    result = np.linalg.pinv(a, rcond)
    p = np.ascontiguousarray(result)
    left, right = _pinv_parts(np.ascontiguousarray(a), p)
    return result, np.zeros_like(result), (adjoint_of(p), left, right)


def _pinv_reverse(a, rcond, da, drcond, p_bar, saved):
    p_adjoint, left, right = saved
    p = adjoint_of(p_adjoint)
    bar, bar_adjoint = np.ascontiguousarray(p_bar), adjoint_of(p_bar)
    da -= np.dot(p_adjoint, np.dot(bar, p_adjoint))
    da += np.dot(left, np.dot(bar_adjoint, np.dot(p, p_adjoint)))
    da += np.dot(np.dot(p_adjoint, p), np.dot(bar_adjoint, right))


replace(np.linalg.pinv, NumbaRule(_pinv_forward, _pinv_augmented, _pinv_reverse))


# --- least squares: x = A⁺ b, at constant rank


def _lstsq_forward(a, b, rcond, da, db, drcond):
    x, residuals, rank, s = np.linalg.lstsq(a, b, rcond)
    a2, b2, x2 = np.ascontiguousarray(a), as_columns(b), as_columns(x)
    u, _, vh = np.linalg.svd(a2, False)
    p = np.ascontiguousarray(np.linalg.pinv(a2))
    _, right = _pinv_parts(a2, p)
    r = b2 - np.dot(a2, x2)
    change = np.zeros_like(b2)
    dx2 = np.zeros_like(x2)
    ds = np.zeros_like(s)
    if db is not None:
        change += as_columns(db)
    if da is not None:
        da2, da_adjoint, p_adjoint = np.ascontiguousarray(da), adjoint_of(da), adjoint_of(p)
        change -= np.dot(da2, x2)
        dx2 += np.dot(np.dot(p, p_adjoint), np.dot(da_adjoint, r))
        dx2 += np.dot(np.dot(right, da_adjoint), np.dot(p_adjoint, x2))
        ds += np.real(np.diag(np.dot(adjoint_of(u), np.dot(da2, adjoint_of(vh)))))
    dx2 += np.dot(p, change)
    dresiduals = np.zeros_like(residuals)
    if residuals.size > 0:
        dresiduals += 2.0 * np.sum(np.conj(r) * change, axis=0).real
    dx = np.zeros_like(x)
    dx += dx2.reshape(x.shape)
    return (x, residuals, rank, s), (dx, dresiduals, rank, ds)


def _lstsq_augmented(a, b, rcond, da, db, drcond):
    x, residuals, rank, s = np.linalg.lstsq(a, b, rcond)
    a2, x2 = np.ascontiguousarray(a), as_columns(x)
    r = as_columns(b) - np.dot(a2, x2)
    shadow = (np.zeros_like(x), np.zeros_like(residuals), rank, np.zeros_like(s))
    return (x, residuals, rank, s), shadow, (a2.copy(), x2.copy(), r)


def _lstsq_reverse(a, b, rcond, da, db, drcond, bars, saved):  # noqa: PLR0913, PLR0917 - twice the arguments
    x_bar, residuals_bar, _, s_bar = bars
    a2, x2, r = saved
    bar = as_columns(x_bar)
    p = np.ascontiguousarray(np.linalg.pinv(a2))
    p_adjoint = adjoint_of(p)
    change = np.dot(p_adjoint, bar)
    if residuals_bar.size > 0:
        change += 2.0 * r * residuals_bar
    if db is not None:
        db += change.reshape(db.shape)
    if da is not None:
        _, right = _pinv_parts(a2, p)
        bar_adjoint = adjoint_of(bar)
        da -= np.dot(change, adjoint_of(x2))
        da += np.dot(r, np.dot(bar_adjoint, np.dot(p, p_adjoint)))
        da += np.dot(np.dot(p_adjoint, x2), np.dot(bar_adjoint, right))
        u, _, vh = np.linalg.svd(a2, False)
        da += np.dot(np.ascontiguousarray(u * s_bar), np.ascontiguousarray(vh))


replace(np.linalg.lstsq, NumbaRule(_lstsq_forward, _lstsq_augmented, _lstsq_reverse))
