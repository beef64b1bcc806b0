"""Norms of complex vectors and matrices, in our target by way of real ones.

Numba asks BLAS and LAPACK for them, whose rules speak of real numbers.
"""

# Bodies are compiled by Numba for whatever types come.
# pyright: basic, reportArgumentType=false

from __future__ import annotations

import numpy as np
from numba.core import types
from numba.extending import overload, register_jitable

from coenzyme.frontends.numba_target import TARGET_NAME

__all__: list[str] = []


@register_jitable
def _euclidean(x):
    """Return the root of the sum of the squares of all parts."""
    parts = np.concatenate((np.ravel(x.real), np.ravel(x.imag)))
    return np.linalg.norm(parts)


@overload(np.linalg.norm, target=TARGET_NAME)
def _norm(x, ord=None):
    if not (isinstance(x, types.Array) and isinstance(x.dtype, types.Complex)):
        return None
    if isinstance(ord, (types.NoneType, types.Omitted)) or ord is None:

        def whole(x, ord=None):
            return _euclidean(x)

        return whole
    if x.ndim == 1:

        def vector(x, ord=None):
            return _euclidean(x) if ord == 2 else np.linalg.norm(np.abs(x), ord)

        return vector

    def matrix(x, ord=None):
        if x.size > 0 and abs(ord) == 2:
            values = np.linalg.svd(x)[1]
            return values[0] if ord == 2 else values[-1]
        return np.linalg.norm(np.abs(x), ord)

    return matrix
