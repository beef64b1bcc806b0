"""Powers of complex numbers: their values, their derivatives, and what happens at zero."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.frontends.numba_lower import lower
from coenzyme.testing import check_derivatives

Z = 0.7 - 0.4j
W = 1.1 + 0.3j
ARRAY = np.array([0.3 + 1j, -1.2 + 0.1j, 2 - 0.5j])

POWERS = [
    pytest.param(lambda z: z**3, (Z,), id="third power"),
    pytest.param(lambda z: z**-2, (Z,), id="negative power"),
    pytest.param(lambda z: z**70, (Z,), id="high power"),
    pytest.param(lambda z: z**1.5, (Z,), id="broken power"),
    pytest.param(lambda z, w: z**w, (Z, W), id="complex power"),
    pytest.param(lambda z, y: z**y, (Z, 3.0), id="real variable exponent that is whole"),
    pytest.param(lambda z, w: z**w, (Z, 2.0 + 0.0j), id="complex variable exponent that is whole"),
    pytest.param(lambda z, n: z**n, (Z, 3), id="integer exponent"),
    pytest.param(lambda x, w: x**w, (2.0, Z), id="real basis"),
    pytest.param(lambda z: z**3 + z**2.5, (ARRAY,), id="array"),
    pytest.param(lambda z, w: z**w, (ARRAY, ARRAY[::-1].copy()), id="two arrays"),
    pytest.param(
        lambda z, w: 1.0 * np.power(z, w), (ARRAY, np.full(3, 2.0 + 0j)), id="arrays of whole exponents"
    ),
    pytest.param(lambda z: pow(z, 3), (Z,), id="built-in function"),
    pytest.param(lambda z: z**3, (np.complex64(Z),), id="single precision"),
    pytest.param(lambda z, w: z**w, (np.complex64(Z), np.complex64(W)), id="complex in single precision"),
]


@pytest.mark.parametrize(("f", "args"), POWERS)
def test_derivatives_of_powers_agree_with_finite_differences(f, args):
    assert check_derivatives(f, *args).conclusive


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, -1, -3, 64, 65, 0.5, 2.5, -1.5, 1j, 1.5 - 2j])
@pytest.mark.parametrize("z", [Z, -1.3 + 0j, 2j, 1e-3 - 1e-4j])
def test_values_are_those_of_python(exponent, z):
    value, _ = cz.jvp(lambda z: z**exponent, (z,), (0.0,))
    assert value == pytest.approx(z**exponent, rel=1e-13)


@pytest.mark.parametrize(
    ("exponent", "value", "slope"),
    [(3, 0, 0), (2.0, 0, 0), (1, 0, 1), (0, 1, 0), (1.5, 0, 0), (-1, None, None)],
)
@pytest.mark.parametrize("known", [True, False])
def test_powers_of_zero(exponent, value, slope, known):
    if known:
        found = cz.jvp(lambda z: z**exponent, (0j,), (1.0,))
    else:
        found = cz.jvp(lambda z, b: z**b, (0j, exponent), (1.0, 0.0 if isinstance(exponent, float) else None))
    if value is None:
        assert np.isnan(found[0])
    else:
        assert found == (value, slope)


def test_second_derivative_of_a_power():
    slope = cz.grad(lambda z: z**5, holomorphic=True)
    assert cz.grad(slope, holomorphic=True)(Z) == pytest.approx(20 * Z**3)


def test_powers_are_defined_where_they_are_called_and_nowhere_else():
    called = lower(nb.njit(lambda z: z**1.5), (nb.complex128,)).text
    assert "define void @numba_cpow(" in called
    assert "numba_cpow" not in lower(nb.njit(lambda z: z * z), (nb.complex128,)).text
