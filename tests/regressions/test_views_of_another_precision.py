"""An array of doubles read as floats had derivatives made of halves of tangents."""

from __future__ import annotations

import numba
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import UnsupportedIRError


@numba.njit
def product_of_halves(x):
    y = x.view(np.float32)
    return y[0] * y[1]


def test_view_in_another_precision_is_refused() -> None:
    with pytest.raises(UnsupportedIRError, match="astype"):
        cz.grad(product_of_halves)(np.ones(2))
