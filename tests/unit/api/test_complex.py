"""Complex arguments and values: pairs of real numbers, with the conjugate convention."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError
from coenzyme.testing import check_derivatives

Z0 = 3.1 + 2.7j
RNG = np.random.default_rng(5)
Z = RNG.normal(size=4) + 1j * RNG.normal(size=4)
M = RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3))


@nb.njit
def square(z):
    return z * z


@nb.njit
def energy(z):
    return (z.real**2 * z.imag + np.abs(z)).sum()


@nb.njit
def chain(z):
    return z * z * z[0]


# --- numbers


@pytest.mark.parametrize(("seed", "expected"), [(1.0, 6.2 - 5.4j), (1j, 5.4 + 6.2j), (1, 6.2 - 5.4j)])
def test_pullback_multiplies_by_the_conjugate_of_the_derivative(seed, expected):
    value, pullback = cz.vjp(square, Z0)
    assert value == pytest.approx(Z0 * Z0)
    assert pullback(seed)[0] == pytest.approx(expected)


def test_pushforward_multiplies_by_the_derivative():
    for tangent in (1.0, 1j, 0.3 - 2j):
        assert cz.jvp(square, (Z0,), (tangent,))[1] == pytest.approx((6.2 + 5.4j) * tangent)
        assert cz.linearize(square, Z0)[1](tangent) == pytest.approx((6.2 + 5.4j) * tangent)


def test_holomorphic_gradient_is_the_complex_derivative():
    assert cz.grad(square, holomorphic=True)(Z0) == pytest.approx(6.2 + 5.4j)
    value, slope = cz.value_and_grad(square, holomorphic=True)(Z0)
    assert (value, slope) == (pytest.approx(Z0 * Z0), pytest.approx(6.2 + 5.4j))
    for transform in (cz.jacfwd, cz.jacrev, cz.jacobian):
        assert transform(square, holomorphic=True)(Z0) == pytest.approx(6.2 + 5.4j)


def test_gradient_of_a_real_value_points_up_hill():
    gradient = cz.grad(lambda z: z.real**2 + 3.0 * z.imag)(Z0)
    assert gradient == pytest.approx(6.2 + 3.0j)
    dz = 1e-6 * (0.4 - 0.7j)
    slope = cz.jvp(lambda z: z.real**2 + 3.0 * z.imag, (Z0,), (dz,))[1]
    assert slope == pytest.approx((np.conj(gradient) * dz).real)


@pytest.mark.parametrize("transform", [cz.grad, cz.jacfwd, cz.jacrev, cz.jacobian])
def test_real_value_of_a_complex_number_has_its_gradient_in_every_mode(transform):
    found = transform(lambda z: (z * z).real + abs(z))(Z0)
    assert found == pytest.approx(np.conj(2 * Z0) + Z0 / abs(Z0))


@pytest.mark.parametrize("transform", [cz.jacfwd, cz.jacrev, cz.jacobian])
def test_complex_value_of_a_real_number_has_a_complex_derivative_in_every_mode(transform):
    assert transform(lambda t: np.exp(2j * t))(0.3) == pytest.approx(2j * np.exp(0.6j))
    found = transform(lambda t: np.exp(2j * t))(np.float32(0.3))
    assert found == pytest.approx(2j * np.exp(0.6j), rel=1e-6)


def test_annotated_complex_numbers():
    assert cz.autodiff(cz.Forward, square, cz.Duplicated(Z0, 1j)) == pytest.approx((6.2 + 5.4j) * 1j)
    (found,) = cz.autodiff(cz.Reverse, lambda z: z.real * z.imag, cz.Active(Z0))
    assert found == pytest.approx(2.7 + 3.1j)


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_precision_is_kept(kind):
    z = Z.astype(kind)
    assert cz.grad(energy)(z).dtype == kind
    assert cz.jacobian(chain, holomorphic=True)(z).dtype == kind
    assert cz.jvp(chain, (z,), (z,))[1].dtype == kind
    assert cz.vjp(chain, z)[1](z)[0].dtype == kind
    assert cz.jacrev(lambda z: z.real * z.imag)(z).dtype == kind
    assert cz.jacfwd(lambda z: z.real * z.imag)(z).dtype == kind


# --- arrays


def jacobian_of_chain(z):
    found = np.diag(2 * z * z[0])
    found[:, 0] += z * z
    return found


@pytest.mark.parametrize("transform", [cz.jacfwd, cz.jacrev, cz.jacobian])
def test_holomorphic_jacobian_of_arrays(transform):
    np.testing.assert_allclose(transform(chain, holomorphic=True)(Z), jacobian_of_chain(Z), rtol=1e-13)


def test_pullback_of_an_array_is_the_conjugate_transpose():
    w = Z[::-1] * 1j
    np.testing.assert_allclose(cz.vjp(chain, Z)[1](w)[0], jacobian_of_chain(Z).conj().T @ w, rtol=1e-13)


@pytest.mark.parametrize("transform", [cz.jacfwd, cz.jacrev])
def test_mixed_jacobians_of_real_and_complex_arrays(transform):
    found = transform(lambda z: z.real * z.imag)(Z)
    np.testing.assert_allclose(found, np.diag(Z.imag + 1j * Z.real), atol=1e-15)
    x = Z.real.copy()
    np.testing.assert_allclose(transform(lambda x: x * x * 1j + x)(x), np.diag(2j * x + 1), atol=1e-15)
    by_x, by_z = transform(lambda x, z: (x * z).real.sum() * np.ones(2), (0, 1))(x, Z)
    np.testing.assert_allclose(by_x, [Z.real, Z.real])
    np.testing.assert_allclose(by_z, [x + 0j, x + 0j])


def test_products_with_the_hessian_of_a_real_function_of_complex_arrays():
    h, v = 1e-5, Z[::-1] + 0.5
    product = cz.hvp(energy, Z, v)
    difference = (cz.grad(energy)(Z + h * v) - cz.grad(energy)(Z - h * v)) / (2 * h)
    np.testing.assert_allclose(product, difference, rtol=1e-8)
    out = np.empty_like(Z)
    cz.hvp_into(out, energy, Z, v)
    np.testing.assert_allclose(out, product)


def test_second_derivative_of_a_holomorphic_function():
    slope = cz.grad(lambda z: z * z * z, holomorphic=True)
    assert cz.grad(slope, holomorphic=True)(Z0) == pytest.approx(6 * Z0)
    assert cz.jacfwd(slope, holomorphic=True)(Z0) == pytest.approx(6 * Z0)


def test_shadows_of_complex_arrays_accumulate():
    dz = np.ones_like(Z)
    cz.autodiff(cz.Reverse, energy, cz.Duplicated(Z, dz))
    np.testing.assert_allclose(dz, 1.0 + cz.grad(energy)(Z))
    np.testing.assert_array_equal(cz.make_zero(Z), np.zeros(4, complex))


def write_powers(z):
    for i in range(1, z.size):
        z[i] = z[i] * z[i - 1] + 1j


@pytest.mark.parametrize(
    ("f", "args"),
    [
        pytest.param(write_powers, (Z,), id="written in place"),
        pytest.param(
            lambda z: np.exp(z) / np.sqrt(z) - np.log(z) * np.tanh(z), (0.7 - 0.4j,), id="functions"
        ),
        pytest.param(lambda z, w: z / w + 1 / z + 2.0 / w, (Z0, 1.1 + 0.3j), id="quotients"),
        pytest.param(lambda z: abs(z) * np.angle(z) + z.conjugate(), (0.7 - 0.4j,), id="not holomorphic"),
        pytest.param(lambda z: z * z - 1 / z, (np.complex64(Z0),), id="single precision"),
        pytest.param(lambda z: np.abs(z) * z[::-1] + np.conj(z), (Z,), id="array functions"),
        pytest.param(lambda m: m.T * m * 2j, (np.asfortranarray(M),), id="column by column"),
        pytest.param(lambda z: z * z, (M[::2, 1],), id="strided"),
        pytest.param(lambda z: np.prod(z) + np.cumsum(z).mean() + z.sum(), (Z,), id="reductions"),
        pytest.param(lambda z: np.concatenate((z, 2j * z[1:].copy())), (Z,), id="joined"),
        pytest.param(lambda p: (p[0] * p[1], p[0].real, p[2] * p[1]), ((Z0, 1.5, Z),), id="tuples"),
        pytest.param(lambda x, z: x * z, (2.0, Z0), id="real times complex"),
        pytest.param(lambda x: x.astype(np.complex64) * 1j, (Z.real.copy(),), id="converted"),
        pytest.param(lambda z: z.view(np.float64) * 2.0, (Z,), id="viewed as pairs"),
    ],
)
def test_complex_functions_agree_with_finite_differences(f, args):
    assert check_derivatives(f, *args).conclusive


# --- compiled code


def test_complex_derivatives_in_compiled_code():
    @nb.njit
    def f(z):
        slope = cz.grad(square, holomorphic=True)(z)
        return slope, cz.jvp(square, (z,), (1j,))[1], cz.jacobian(square, holomorphic=True)(z)

    found = f(Z0)
    np.testing.assert_allclose(found, [6.2 + 5.4j, (6.2 + 5.4j) * 1j, 6.2 + 5.4j])


# --- what is refused


def test_gradient_of_a_complex_value_needs_a_promise():
    with pytest.raises(ActivityError, match="holomorphic=True"):
        cz.grad(square)(Z0)


@pytest.mark.parametrize("transform", [cz.jacfwd, cz.jacrev, cz.jacobian])
def test_jacobian_between_complex_numbers_needs_a_promise(transform):
    with pytest.raises(ActivityError, match="holomorphic"):
        transform(square)(Z0)


@pytest.mark.parametrize("transform", [cz.grad, cz.value_and_grad, cz.jacfwd, cz.jacrev])
def test_holomorphic_functions_take_and_return_complex_numbers(transform):
    with pytest.raises(ActivityError, match="must be complex"):
        transform(lambda x: x * 1j, holomorphic=True)(2.0)
    with pytest.raises(ActivityError, match="must be complex"):
        transform(lambda z: z.real, holomorphic=True)(Z0)


def test_complex_return_is_not_seeded_with_one():
    with pytest.raises(ActivityError, match="not a real number"):
        cz.autodiff(cz.Reverse, square, cz.Active(Z0))


def test_tangents_of_real_numbers_are_real():
    with pytest.raises(ShadowError, match="complex"):
        cz.jvp(lambda x: x * x, (2.0,), (1j,))
    with pytest.raises(ShadowError, match="complex"):
        cz.jvp(lambda x: x * x, (np.ones(2),), (np.ones(2) * 1j,))
    with pytest.raises(ShadowError):
        cz.vjp(lambda x: x * x, 2.0)[1](1j)
    with pytest.raises(ShadowError):
        cz.autodiff(cz.Forward, lambda x: x * x, cz.Duplicated(2.0, 1j))
