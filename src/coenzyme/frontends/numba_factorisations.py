"""Rules of the factorisations of `np.linalg`, in closed form.

Where eigenvalues or singular values coincide, the vectors of their space have no derivative: it is NaN,
unless nothing asks for it. For the phases of complex vectors the rules give what is right for every function
that does not depend on them.

Sources: Walter & Lehmann, "Algorithmic differentiation of linear algebra functions" (2012); Murray,
"Differentiation of the Cholesky decomposition" (2016); Townsend, "Differentiating the singular value
decomposition" (2016).
"""

# Bodies are compiled by Numba for whatever types come.
# pyright: basic

from __future__ import annotations

import numba.np.linalg
import numpy as np
from numba.extending import register_jitable

from coenzyme.frontends.numba_linalg import adjoint_of
from coenzyme.frontends.numba_rules import NumbaRule, replace

__all__: list[str] = []


@register_jitable
def _times(a, b):
    return np.dot(np.ascontiguousarray(a), np.ascontiguousarray(b))


@register_jitable
def _mirrored(da):
    """Return the Hermitian matrix whose lower triangle is that of `da`."""
    full = np.zeros_like(np.ascontiguousarray(da))
    for i in range(full.shape[0]):
        for j in range(i):
            full[i, j] = da[i, j]
            full[j, i] = np.conj(da[i, j])
        full[i, i] = da[i, i].real
    return full


@register_jitable
def _add_lower(da, bar):
    """Add the cotangent of a Hermitian matrix to that of its lower triangle."""
    for i in range(bar.shape[0]):
        for j in range(i):
            da[i, j] += bar[i, j] + np.conj(bar[j, i])
        da[i, i] += bar[i, i].real


@register_jitable
def _lower_half(a):
    """Return the lower triangle, half of the diagonal."""
    half = np.zeros_like(a)
    for i in range(a.shape[0]):
        for j in range(i):
            half[i, j] = a[i, j]
        half[i, i] = 0.5 * a[i, i]
    return half


@register_jitable
def _over_gaps(x, w):
    """Return xᵢⱼ/(wⱼ − wᵢ); where the two are equal, 0 for 0 and else NaN, for there is no derivative."""
    quotients = np.zeros_like(x)
    for i in range(w.size):
        for j in range(w.size):
            if w[i] != w[j]:
                quotients[i, j] = x[i, j] / (w[j] - w[i])
            elif i != j and x[i, j] != 0:
                quotients[i, j] = np.nan
    return quotients


# --- Cholesky: A = L Lᴴ, from the lower triangle of A


def _cholesky_forward(a, da):
    factor = np.linalg.cholesky(a)
    inverse = np.linalg.inv(factor)
    inner = _times(_times(inverse, _mirrored(da)), adjoint_of(inverse))
    tangent = np.zeros_like(factor)
    tangent += _times(factor, _lower_half(inner))
    return factor, tangent


def _cholesky_augmented(a, da):
    factor = np.linalg.cholesky(a)
    return factor, np.zeros_like(factor), np.ascontiguousarray(factor).copy()


def _cholesky_reverse(a, da, factor_bar, factor):
    lower = np.zeros_like(factor)
    for i in range(factor.shape[0]):
        for j in range(i + 1):
            lower[i, j] = factor_bar[i, j]
    inverse = np.linalg.inv(factor)
    inner = _lower_half(_times(adjoint_of(factor), lower))
    bar = _times(_times(adjoint_of(inverse), inner), inverse)
    _add_lower(da, 0.5 * (bar + adjoint_of(bar)))


replace(np.linalg.cholesky, NumbaRule(_cholesky_forward, _cholesky_augmented, _cholesky_reverse))


# --- QR, reduced: A = Q R, the leading square block of R invertible


@register_jitable
def _skew(x):
    """Return the skew-Hermitian matrix with the lower triangle and the imaginary diagonal of `x`."""
    skew = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(i):
            skew[i, j] = x[i, j]
            skew[j, i] = -np.conj(x[i, j])
        skew[i, i] = x[i, i] - x[i, i].real
    return skew


@register_jitable
def _zeros_for_columns(q):
    """Return zeros laid out as the columns that LAPACK leaves of an orthogonal matrix."""
    return np.zeros((q.shape[1], q.shape[0]), q.dtype).T[:, : q.shape[1]]


def _qr_forward(a, da):
    q, r = np.linalg.qr(a)
    k = q.shape[1]
    inverse = np.linalg.inv(np.ascontiguousarray(r[:, :k]))
    change = _times(da[:, :k], inverse)
    x = _times(adjoint_of(q), change)
    turn = _skew(x)
    dq = _zeros_for_columns(q)
    dq += change - _times(q, x) + _times(q, turn)
    dr = np.zeros_like(r)
    dr[:, :k] = _times(x - turn, r[:, :k])
    if r.shape[1] > k:
        dr[:, k:] = _times(adjoint_of(dq), a[:, k:]) + _times(adjoint_of(q), da[:, k:])
    return (q, r), (dq, dr)


def _qr_augmented(a, da):
    q, r = np.linalg.qr(a)
    k = q.shape[1]
    saved = np.ascontiguousarray(q).copy(), np.ascontiguousarray(r).copy(), np.ascontiguousarray(a[:, k:])
    return (q, r), (_zeros_for_columns(q), np.zeros_like(r)), saved


def _qr_reverse(a, da, bars, saved):
    q_bar, r_bar = bars
    q, r, rest = saved
    k = q.shape[1]
    q_all = np.ascontiguousarray(q_bar).copy()
    if r.shape[1] > k:
        q_all += _times(rest, adjoint_of(r_bar[:, k:]))
        da[:, k:] += _times(q, r_bar[:, k:])
    square = np.ascontiguousarray(r[:, :k])
    m = _times(square, adjoint_of(r_bar[:, :k])) - _times(adjoint_of(q_all), q)
    mirrored = np.zeros_like(m)
    for i in range(k):
        for j in range(i):
            mirrored[i, j] = m[i, j]
            mirrored[j, i] = np.conj(m[i, j])
        mirrored[i, i] = m[i, i].real
    da[:, :k] += _times(q_all + _times(q, mirrored), adjoint_of(np.linalg.inv(square)))


replace(np.linalg.qr, NumbaRule(_qr_forward, _qr_augmented, _qr_reverse))


# --- eigenvalues and vectors of a Hermitian matrix, from its lower triangle


def _eigh_forward(a, da):
    w, v = np.linalg.eigh(a)
    inner = _times(_times(adjoint_of(v), _mirrored(da)), v)
    dw = np.zeros_like(w)
    dw += np.real(np.diag(inner))
    dv = np.zeros_like(v)
    dv += _times(v, _over_gaps(inner, w))
    return (w, v), (dw, dv)


def _eigh_augmented(a, da):
    w, v = np.linalg.eigh(a)
    return (w, v), (np.zeros_like(w), np.zeros_like(v)), (w.copy(), np.ascontiguousarray(v).copy())


def _eigh_reverse(a, da, bars, saved):
    w_bar, v_bar = bars
    w, v = saved
    inner = _over_gaps(_times(adjoint_of(v), v_bar), w)
    for i in range(w.size):
        inner[i, i] += w_bar[i]
    bar = _times(_times(v, inner), adjoint_of(v))
    _add_lower(da, 0.5 * (bar + adjoint_of(bar)))


replace(np.linalg.eigh, NumbaRule(_eigh_forward, _eigh_augmented, _eigh_reverse))


def _eigvalsh_forward(a, da):
    w, v = np.linalg.eigh(a)
    inner = _times(_times(adjoint_of(v), _mirrored(da)), v)
    dw = np.zeros_like(w)
    dw += np.real(np.diag(inner))
    return w, dw


def _eigvalsh_augmented(a, da):
    w, v = np.linalg.eigh(a)
    return w, np.zeros_like(w), np.ascontiguousarray(v)


def _eigvalsh_reverse(a, da, w_bar, v):
    bar = _times(v * w_bar, adjoint_of(v))
    _add_lower(da, 0.5 * (bar + adjoint_of(bar)))


replace(np.linalg.eigvalsh, NumbaRule(_eigvalsh_forward, _eigvalsh_augmented, _eigvalsh_reverse))


# --- eigenvalues and vectors of any matrix with distinct eigenvalues: A V = V diag(w), columns of length 1


def _eig_forward(a, da):
    w, v = np.linalg.eig(a)
    inner = _times(np.linalg.inv(np.ascontiguousarray(v)), _times(da, v))
    dw = np.zeros_like(w)
    dw += np.diag(inner)
    turned = _times(v, _over_gaps(inner, w))
    dv = np.zeros_like(v)
    for j in range(w.size):
        along = np.sum(np.conj(v[:, j]) * turned[:, j]).real
        dv[:, j] = turned[:, j] - v[:, j] * along
    return (w, v), (dw, dv)


def _eig_augmented(a, da):
    w, v = np.linalg.eig(a)
    return (w, v), (np.zeros_like(w), np.zeros_like(v)), (w.copy(), np.ascontiguousarray(v).copy())


def _eig_reverse(a, da, bars, saved):
    w_bar, v_bar = bars
    w, v = saved
    tangential = np.zeros_like(v)
    for j in range(w.size):
        along = np.sum(np.conj(v[:, j]) * v_bar[:, j]).real
        tangential[:, j] = v_bar[:, j] - v[:, j] * along
    inner = _over_gaps(_times(adjoint_of(v), tangential), np.conj(w))
    for i in range(w.size):
        inner[i, i] += w_bar[i]
    da += _times(np.linalg.inv(adjoint_of(v)), _times(inner, adjoint_of(v)))


replace(np.linalg.eig, NumbaRule(_eig_forward, _eig_augmented, _eig_reverse))


def _eigvals_forward(a, da):
    w, v = np.linalg.eig(a)
    dw = np.zeros_like(w)
    dw += np.diag(_times(np.linalg.inv(np.ascontiguousarray(v)), _times(da, v)))
    return w, dw


def _eigvals_augmented(a, da):
    w, v = np.linalg.eig(a)
    return w, np.zeros_like(w), np.ascontiguousarray(v)


def _eigvals_reverse(a, da, w_bar, v):
    v_adjoint = adjoint_of(v)
    da += _times(np.linalg.inv(v_adjoint), adjoint_of(v * np.conj(w_bar)))


replace(np.linalg.eigvals, NumbaRule(_eigvals_forward, _eigvals_augmented, _eigvals_reverse))


# --- singular values and vectors: A = U diag(s) Vᴴ


@register_jitable
def _outside(basis, x, s):
    """Return what of the columns of `x` is outside the span of those of `basis`, over the values `s`.

    Where a value is zero, that is 0 for 0 and else NaN: the vectors have no derivative.
    """
    quotients = np.zeros_like(x)
    if basis.shape[0] == basis.shape[1]:
        return quotients
    outside = x - _times(basis, _times(adjoint_of(basis), x))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if s[j] != 0:
                quotients[i, j] = outside[i, j] / s[j]
            elif x[i, j] != 0:
                quotients[i, j] = np.nan
    return quotients


def _svd_forward(a, full_matrices, da, dfull):
    u, s, vh = np.linalg.svd(a, full_matrices)
    k = s.size
    uk, vk = np.ascontiguousarray(u[:, :k]), adjoint_of(vh[:k])
    dp = _times(adjoint_of(uk), _times(da, vk))
    ds = np.zeros_like(s)
    ds += np.real(np.diag(dp))
    dp_adjoint, column, squares = adjoint_of(dp), s.reshape((k, 1)), s * s
    left = _times(uk, _over_gaps(dp * s + column * dp_adjoint, squares))
    left += _outside(uk, _times(da, vk), s)
    right = _times(vk, _over_gaps(column * dp + dp_adjoint * s, squares))
    right += _outside(vk, _times(adjoint_of(da), uk), s)
    du = np.zeros_like(u)
    dvh = np.zeros_like(vh)
    du[:, :k] = left
    dvh[:k] = adjoint_of(right)
    if u.shape[1] > k:
        du[:, k:] = -_times(uk, _times(adjoint_of(left), u[:, k:]))
    if vh.shape[0] > k:
        dvh[k:] = -_times(_times(vh[k:], right), adjoint_of(vk))
    return (u, s, vh), (du, ds, dvh)


def _svd_augmented(a, full_matrices, da, dfull):
    u, s, vh = np.linalg.svd(a, full_matrices)
    saved = np.ascontiguousarray(u).copy(), s.copy(), np.ascontiguousarray(vh).copy()
    return (u, s, vh), (np.zeros_like(u), np.zeros_like(s), np.zeros_like(vh)), saved


def _svd_reverse(a, full_matrices, da, dfull, bars, saved):
    u_bar, s_bar, vh_bar = bars
    u, s, vh = saved
    k = s.size
    uk, vk = np.ascontiguousarray(u[:, :k]), adjoint_of(vh[:k])
    ub = np.ascontiguousarray(u_bar[:, :k]).copy()
    vb = adjoint_of(vh_bar[:k])
    # The vectors of the null spaces only follow the others.
    if u.shape[1] > k:
        ub -= _times(u[:, k:], _times(adjoint_of(u_bar[:, k:]), uk))
    if vh.shape[0] > k:
        vb -= _times(adjoint_of(vh[k:]), _times(vh_bar[k:], vk))
    squares, column = s * s, s.reshape((k, 1))
    left = _times(adjoint_of(uk), ub)
    right = _times(adjoint_of(vk), vb)
    inner = _over_gaps(left - adjoint_of(left), squares) * s
    inner += column * _over_gaps(right - adjoint_of(right), squares)
    for i in range(k):
        inner[i, i] += s_bar[i]
    da += _times(_times(uk, inner), adjoint_of(vk))
    da += _times(_outside(uk, ub, s), adjoint_of(vk))
    da += _times(uk, adjoint_of(_outside(vk, vb, s)))


replace(np.linalg.svd, NumbaRule(_svd_forward, _svd_augmented, _svd_reverse))


# --- singular values alone, which norms and condition numbers are computed from


def _values_forward(a, da):
    u, s, vh = np.linalg.svd(a, False)
    ds = np.zeros_like(s)
    ds += np.real(np.diag(_times(adjoint_of(u), _times(da, adjoint_of(vh)))))
    return s, ds


def _values_augmented(a, da):
    u, s, vh = np.linalg.svd(a, False)
    return s, np.zeros_like(s), (np.ascontiguousarray(u), np.ascontiguousarray(vh))


def _values_reverse(a, da, s_bar, saved):
    u, vh = saved
    da += _times(u * s_bar, vh)


replace(
    numba.np.linalg._compute_singular_values,
    NumbaRule(_values_forward, _values_augmented, _values_reverse),
)
