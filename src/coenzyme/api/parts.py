"""Numbers and arrays put together from sweeps, in compiled code: columns of matrices, complex numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types

from coenzyme.api.source import implements

__all__ = ["combine", "conjugate", "store_column"]


def store_column(jacobian: Any, column: int, values: Any) -> None:
    """Write a number, or the entries of an array, down a column of a matrix."""
    raise NotImplementedError


@implements(store_column)
def _store_column(jacobian: Any, column: Any, values: Any) -> Callable[..., None]:
    if not isinstance(values, types.Array):

        def store_number(jacobian: Any, column: Any, values: Any) -> None:
            jacobian[0, column] = values

        return store_number

    def store_array(jacobian: Any, column: Any, values: Any) -> None:
        for row, value in enumerate(values.flat):
            jacobian[row, column] = value

    return store_array


def combine(real: Any, imaginary: Any) -> Any:
    """Return ``real + 1j * imaginary``, of real numbers or arrays, in their precision."""
    raise NotImplementedError


@implements(combine)
def _combine(real: Any, imaginary: Any) -> Callable[..., Any]:
    dtype = real.dtype if isinstance(real, types.Array) else real
    kind = np.complex64 if dtype == types.float32 else np.complex128
    if not isinstance(real, types.Array):
        return lambda real, imaginary: kind(complex(real, imaginary))

    def combine_arrays(real: Any, imaginary: Any) -> Any:
        both = np.empty(real.shape, kind)
        for k in range(real.size):
            both.flat[k] = complex(real.flat[k], imaginary.flat[k])
        return both

    return combine_arrays


def conjugate(x: Any) -> Any:
    """Return the conjugate of a complex number, or of an array, which is overwritten."""
    raise NotImplementedError


@implements(conjugate)
def _conjugate(x: Any) -> Callable[..., Any]:
    if not isinstance(x, types.Array):
        return lambda x: x.conjugate()

    def conjugate_array(x: Any) -> Any:
        for index, value in np.ndenumerate(x):
            x[index] = value.conjugate()
        return x

    return conjugate_array
