"""Products of complex matrices and vectors, in our target written with products of real ones.

The rules for BLAS speak of real numbers. A complex product becomes four real ones, each a call of BLAS.
"""

# Bodies are compiled by Numba for whatever types come.
# pyright: basic, reportArgumentType=false

from __future__ import annotations

import operator

import numpy as np
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import overload, register_jitable

from coenzyme.frontends.numba_target import TARGET_NAME

__all__: list[str] = []


@register_jitable
def _real(a):
    return np.ascontiguousarray(a.real)


@register_jitable
def _imaginary(a):
    return np.ascontiguousarray(a.imag)


@register_jitable
def _joined(real, imaginary, out):
    """Fill a complex array from its parts."""
    parts = np.ravel(real), np.ravel(imaginary)
    for k, place in enumerate(np.ndindex(out.shape)):
        out[place] = complex(parts[0][k], parts[1][k])
    return out


@register_jitable
def _product(a, b):
    ar, ai, br, bi = _real(a), _imaginary(a), _real(b), _imaginary(b)
    real = np.dot(ar, br) - np.dot(ai, bi)
    imaginary = np.dot(ar, bi) + np.dot(ai, br)
    return _joined(real, imaginary, np.empty(real.shape, a.dtype))


@register_jitable
def _inner(a, b):
    ar, ai, br, bi = _real(a), _imaginary(a), _real(b), _imaginary(b)
    return complex(np.dot(ar, br) - np.dot(ai, bi), np.dot(ar, bi) + np.dot(ai, br))


def _is_complex(*kinds: object) -> bool:
    return all(isinstance(k, types.Array) and isinstance(k.dtype, types.Complex) for k in kinds)


def _require_one_type(a, b) -> None:
    if a.dtype != b.dtype:
        raise TypingError("np.dot() arguments must all have the same dtype")


@overload(np.dot, target=TARGET_NAME)
def _dot(a, b, out=None):
    if not _is_complex(a, b):
        return None
    _require_one_type(a, b)
    if a.ndim == 1 and b.ndim == 1:
        convert = np.complex64 if a.dtype == types.complex64 else np.complex128

        def inner(a, b, out=None):
            return convert(_inner(a, b))

        return inner
    if isinstance(out, types.Array):

        def into(a, b, out=None):
            out[...] = _product(a, b)  # pyright: ignore[reportOptionalSubscript]
            return out

        return into

    def product(a, b, out=None):
        return _product(a, b)

    return product


@overload(operator.matmul, target=TARGET_NAME)
def _matmul(a, b):
    if not _is_complex(a, b):
        return None

    def product(a, b):
        return np.dot(a, b)

    return product


@overload(np.vdot, target=TARGET_NAME)
def _vdot(a, b):
    if not _is_complex(a, b):
        return None
    _require_one_type(a, b)
    convert = np.complex64 if a.dtype == types.complex64 else np.complex128

    def inner(a, b):
        return convert(_inner(np.conj(np.ravel(a)), np.ravel(b)))

    return inner
