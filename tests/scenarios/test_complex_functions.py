"""NumPy's functions of a complex number: their derivative, on and off the real axis, in both modes."""

from __future__ import annotations

import cmath

import numba as nb
import numpy as np
import pytest

import coenzyme as cz

POINTS = (0.5 + 0j, 0.5j, 0.3 + 0.2j, -0.4 + 0.1j, -0.4 - 0.3j, -0.3 + 0j, 2 + 1j, -0.5j, 1.5 + 0j, 5 - 0.01j)
FUNCTIONS = {
    np.exp: cmath.exp,
    np.exp2: lambda z: cmath.log(2) * 2**z,
    np.expm1: cmath.exp,
    np.log: lambda z: 1 / z,
    np.log2: lambda z: 1 / (z * cmath.log(2)),
    np.log10: lambda z: 1 / (z * cmath.log(10)),
    np.log1p: lambda z: 1 / (1 + z),
    np.sqrt: lambda z: 0.5 / cmath.sqrt(z),
    np.square: lambda z: 2 * z,
    np.reciprocal: lambda z: -1 / (z * z),
    np.sin: cmath.cos,
    np.cos: lambda z: -cmath.sin(z),
    np.tan: lambda z: 1 + cmath.tan(z) ** 2,
    np.arcsin: lambda z: 1 / cmath.sqrt(1 - z * z),
    np.arccos: lambda z: -1 / cmath.sqrt(1 - z * z),
    np.arctan: lambda z: 1 / (1 + z * z),
    np.sinh: cmath.cosh,
    np.cosh: cmath.sinh,
    np.tanh: lambda z: 1 - cmath.tanh(z) ** 2,
    np.arcsinh: lambda z: 1 / cmath.sqrt(1 + z * z),
    np.arccosh: lambda z: 1 / (cmath.sqrt(z - 1) * cmath.sqrt(z + 1)),
    np.arctanh: lambda z: 1 / (1 - z * z),
}
# Where a function has no derivative: on its branch cut.
CUTS = {
    np.log: lambda x: x <= 0,
    np.log2: lambda x: x <= 0,
    np.log10: lambda x: x <= 0,
    np.sqrt: lambda x: x <= 0,
    np.arcsin: lambda x: abs(x) >= 1,
    np.arccos: lambda x: abs(x) >= 1,
    np.arctanh: lambda x: abs(x) >= 1,
    np.arccosh: lambda x: x <= 1,
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_derivative_of_a_function_of_a_complex_number(function):
    @nb.njit
    def f(z):
        return function(z) * 1j

    reverse, forward = cz.grad(f, holomorphic=True), cz.jacfwd(f, holomorphic=True)
    cut = CUTS.get(function, lambda x: False)
    for z in POINTS:
        if z.imag == 0 and cut(z.real):
            continue
        expected = FUNCTIONS[function](z) * 1j
        assert reverse(z) == pytest.approx(expected, rel=1e-10, abs=1e-14)
        assert forward(z) == pytest.approx(expected, rel=1e-10, abs=1e-14)
