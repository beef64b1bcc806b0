"""The adjoints derived by hand are right: a benchmark's yardstick has to be."""

import numpy as np
from numba import njit
from numpy.testing import assert_allclose

from benchmarks.by_hand import gmm_gradient, stencil_gradient
from coenzyme.problems.gmm import gmm, load_gmm
from coenzyme.problems.stencil import stencil, stencil_start


def central_difference(f, h):
    """Fourth-order accurate derivative of f at zero."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def test_gmm_adjoint_agrees_with_differences_in_each_argument(rng):
    data = load_gmm()
    compiled = njit(gmm)
    # gamma and m off their shipped values, so that the prior's terms count
    rest = (data.x[:50], 1.4, 3)
    gradients = gmm_gradient(*data[:3], *rest)
    for position, gradient in enumerate(gradients):
        direction = rng.standard_normal(gradient.shape)
        direction /= np.linalg.norm(direction)

        def along(t, position=position, direction=direction):
            moved = list(data[:3])
            moved[position] = moved[position] + t * direction
            return compiled(*moved, *rest)

        assert_allclose((gradient * direction).sum(), central_difference(along, 3e-3), rtol=1e-8)


def test_stencil_adjoint_agrees_with_differences_in_both_grids(rng):
    u, v = stencil_start(8)
    v[0, 3] = 7.0
    compiled = njit(stencil)
    for steps in (0, 1, 2, 3):
        gradients = stencil_gradient(u.copy(), v.copy(), steps)
        for position, gradient in enumerate(gradients):
            direction = rng.standard_normal(u.shape)

            def along(t, position=position, direction=direction, steps=steps):
                moved = [u.copy(), v.copy()]
                moved[position] += t * direction
                return compiled(*moved, steps)

            difference = central_difference(along, 1e-2)  # exact but for rounding: the function is quadratic
            assert_allclose((gradient * direction).sum(), difference, rtol=1e-9, atol=1e-9)


def test_a_wrong_adjoint_is_rejected(rng):
    data = load_gmm()
    compiled = njit(gmm)
    gradient = gmm_gradient(*data)[0] * (1 + 1e-6)
    direction = rng.standard_normal(gradient.shape)
    direction /= np.linalg.norm(direction)
    difference = central_difference(lambda t: compiled(data.alphas + t * direction, *data[1:]), 3e-3)
    assert np.isclose((gradient * direction).sum(), difference, rtol=1e-5, atol=0)
    assert not np.isclose((gradient * direction).sum(), difference, rtol=1e-8, atol=0)
