"""Second derivatives: products with the Hessian, the Hessian, linearisations."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError

X = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
V = np.array([6.0, 7.0, 8.0, 9.0, 10.0])
PRODUCT = [1164.881764812144, 1749.5486430921133, 2346.2155213720825, 2942.882399652052, 6431.86668789933]


@nb.njit
def norms(x):
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i]
    return total**1.5 * x[4] + x[0] * x[0]


@nb.njit
def two_sums(x):
    return (x**4).sum() * (x**6).sum()


@nb.njit
def sine(p):
    return np.sin(p[0] * p[1])


@nb.njit
def weighted(x, a, n):
    return a * (x**n).sum()


def test_product_with_the_hessian_of_an_array():
    np.testing.assert_allclose(cz.hvp(norms, X, V), PRODUCT, rtol=1e-12)


def test_product_and_gradient_come_from_one_call():
    gradient, product = cz.gradient_and_hvp(norms, X, V)
    np.testing.assert_allclose(product, PRODUCT, rtol=1e-12)
    np.testing.assert_allclose(gradient, cz.grad(norms)(X), rtol=1e-12)


def test_product_is_written_into_given_memory():
    out = np.full(5, np.nan)
    assert cz.hvp_into(out, norms, X, V) is None
    np.testing.assert_allclose(out, PRODUCT, rtol=1e-12)


def test_product_with_the_hessian_of_a_tuple_is_a_tuple():
    gradient, product = cz.gradient_and_hvp(sine, (2.0, 3.0), (5.0, 2.7))
    np.testing.assert_allclose(gradient, (2.8805108599510, 1.9203405733007), rtol=1e-12)
    np.testing.assert_allclose(product, (19.6926882637302, 16.2010037597680), rtol=1e-12)


def test_product_with_the_hessian_of_a_number():
    found = cz.hvp(lambda x: x**4, 2.0, 0.5)
    assert isinstance(found, float)
    assert found == pytest.approx(24.0, rel=1e-14)


def test_product_keeps_structure_shape_and_precision():
    class Point(NamedTuple):
        m: np.ndarray
        s: float
        n: int

    def f(p):
        return (p.m * p.m).sum() * p.s**p.n

    m = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = cz.hvp(f, Point(m, 3.0, 2), Point(np.ones_like(m), 1.0, 0))
    assert isinstance(found, Point)
    assert (found.m.dtype, found.n) == (np.float32, 2)
    np.testing.assert_allclose(found.m, 2 * 9 + 2 * m * 6)
    np.testing.assert_allclose(found.s, 2 * m.sum() * 6 + (m * m).sum() * 2)


def test_other_arguments_are_constants():
    np.testing.assert_allclose(cz.hvp(weighted, X, V, 2.0, 3), 12.0 * X * V)
    out = np.empty(5)
    cz.hvp_into(out, weighted, X, V, 2.0, 3)
    np.testing.assert_allclose(out, 12.0 * X * V)
    _, found = cz.gradient_and_hvp(weighted, X, V, 2.0, 3)
    np.testing.assert_allclose(found, 12.0 * X * V)


def test_layouts_of_the_point_and_the_vector_may_differ():
    wide = np.zeros((10, 2))
    wide[:, 0] = np.arange(1.0, 11.0)
    x, v, out = wide[::-2, 0], np.arange(5), np.zeros((5, 2), order="F")[:, 1]
    cz.hvp_into(out, lambda x: (x**3).sum(), x, v)
    np.testing.assert_allclose(out, 6.0 * x * v)


def test_side_effects_of_the_function_happen_once():
    def f(x, log):
        log[0] += 1.0
        x[0] *= 2.0
        return x[0] ** 3

    x, log = np.array([1.0]), np.zeros(1)
    np.testing.assert_allclose(cz.hvp(f, x, np.ones(1), log), [48.0])
    assert (x[0], log[0]) == (2.0, 1.0)


def test_products_are_called_in_compiled_code():
    @nb.njit
    def newton_decrement(x, v, a):
        out = np.empty_like(x)
        cz.hvp_into(out, weighted, x, v, a, 3)
        g, h = cz.gradient_and_hvp(weighted, x, v, a, 3)
        return out, h, cz.hvp(weighted, x, v, a, 3), cz.hvp(norms, x, v), g

    out, h, again, other, g = newton_decrement(X, V, 2.0)
    for found in (out, h, again):
        np.testing.assert_allclose(found, 12.0 * X * V)
    np.testing.assert_allclose(other, PRODUCT, rtol=1e-12)
    np.testing.assert_allclose(g, 6.0 * X * X)


def test_product_of_an_array_passed_twice_to_a_function_that_only_reads():
    def f(x, y):
        return (x * x * y).sum()

    np.testing.assert_allclose(cz.hvp(f, X, V, X), 2.0 * X * V)
    np.testing.assert_allclose(cz.jvp(cz.grad(f), (X, X), (V, np.zeros(5)))[1], 2.0 * X * V)


@pytest.mark.parametrize(
    ("v", "match"), [(np.ones(4), "shape"), (1.0, "shape"), ((1.0,), "shape"), (V * 1j, "complex")]
)
def test_vector_unlike_the_point_is_refused(v, match):
    with pytest.raises(ShadowError, match=match):
        cz.hvp(norms, X, v)


@pytest.mark.parametrize("out", [np.empty(4), np.empty((5, 1)), np.empty(5, np.float32), (np.empty(5),)])
def test_memory_unlike_the_point_is_refused(out):
    with pytest.raises(ShadowError, match="out"):
        cz.hvp_into(out, norms, X, V)


def test_a_number_is_not_written_in_place():
    with pytest.raises(ActivityError, match="in place"):
        cz.hvp_into(np.empty(()), lambda x: x * x, 1.0, 1.0)


def test_a_value_without_second_derivatives_is_refused():
    with pytest.raises(ActivityError, match="real value"):
        cz.hvp(lambda x: x * x, X, V)
    with pytest.raises(ActivityError, match="no derivative"):
        cz.hvp(lambda x: x * x, 3, 1)
    with pytest.raises(ActivityError, match="wrong arguments"):
        cz.hvp(weighted, X, V)


# --- the Hessian


def test_hessian_of_a_number_an_array_and_a_matrix():
    assert cz.hessian(lambda x: x**4)(2.0) == pytest.approx(48.0, rel=1e-14)
    found = cz.hessian(two_sums)(np.array([1.0, 2.0]))
    np.testing.assert_allclose(found @ [1.0, 0.0], cz.hvp(two_sums, np.array([1.0, 2.0]), [1.0, 0.0]))
    np.testing.assert_allclose(found, found.T)
    matrix = cz.hessian(lambda x: (x * x).sum() * x[0, 1])(np.ones((2, 3)))
    assert matrix.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(matrix[1, 1], [[0, 2, 0], [0, 2, 0]])


def test_hessian_by_several_arguments_is_a_tuple_of_tuples():
    (aa, ab), (ba, bb) = cz.hessian(lambda a, x: a**2 * (x**3).sum(), (0, 1))(2.0, X)
    np.testing.assert_allclose(aa, 2.0 * (X**3).sum())
    np.testing.assert_allclose(ab, 12.0 * X**2)
    np.testing.assert_allclose(ba, ab)
    np.testing.assert_allclose(bb, np.diag(24.0 * X))


def test_hessian_of_an_array_valued_function():
    found = cz.hessian(lambda x: x[:2] ** 3 * x[2])(X[:3])
    expected = np.zeros((2, 3, 3))
    for i in range(2):
        expected[i, i, i] = 6 * X[i] * X[2]
        expected[i, i, 2] = expected[i, 2, i] = 3 * X[i] ** 2
    np.testing.assert_allclose(found, expected)


def test_hessian_of_a_tuple():
    (aa, ab), (ba, bb) = cz.hessian(sine)((2.0, 3.0))
    np.testing.assert_allclose(5.0 * aa + 2.7 * ab, 19.6926882637302, rtol=1e-12)
    np.testing.assert_allclose(5.0 * ba + 2.7 * bb, 16.2010037597680, rtol=1e-12)


def test_hessian_in_compiled_code():
    @nb.njit
    def trace(x):
        return np.trace(cz.hessian(two_sums)(x))

    x = np.array([1.0, 2.0])
    assert trace(x) == pytest.approx(np.trace(cz.hessian(two_sums)(x)), rel=1e-14)


def test_hessian_shows_what_it_is_and_checks_its_options():
    assert "Hessian of" in repr(cz.hessian(two_sums))
    with pytest.raises(ActivityError, match="chunk_size"):
        cz.hessian(two_sums, chunk_size=0)
    with pytest.raises(ActivityError, match="argnums"):
        cz.hessian(two_sums, 3)


# --- linearisations


def test_linearization_maps_tangents_many_times():
    y, f_jvp = cz.linearize(weighted, X, 2.0, 3)
    assert y == pytest.approx(2.0 * (X**3).sum())
    assert f_jvp(V, 0.0, None) == pytest.approx(6.0 * (X * X * V).sum())
    assert f_jvp(0.0 * V, 1.0, None) == pytest.approx((X**3).sum())
    assert "weighted" in repr(f_jvp)


def test_linearization_stays_at_its_point():
    def f(x):
        x[0] *= 2.0
        return x * x

    x = np.array([1.0, 2.0])
    y, f_jvp = cz.linearize(f, x)
    np.testing.assert_allclose(x, [2.0, 2.0])
    x[:] = 100.0
    for _ in range(2):
        np.testing.assert_allclose(f_jvp(np.ones(2)), [8.0, 4.0])
    np.testing.assert_allclose(y, [4.0, 4.0])


def test_linearization_checks_its_tangents():
    _, f_jvp = cz.linearize(weighted, X, 2.0, 3)
    with pytest.raises(ActivityError, match="3 arguments and 1"):
        f_jvp(V)
    with pytest.raises(ActivityError, match="no derivative"):
        f_jvp(V, 1.0, 1)
    with pytest.raises(ShadowError, match="shape"):
        f_jvp(V[:2], 1.0, None)
