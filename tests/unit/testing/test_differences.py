"""The finite-difference oracle: it must be sharp enough to reject, and honest about its error."""

import numpy as np
import pytest

from coenzyme.testing.differences import agrees, directional_difference

SMOOTH = {
    "sin": (np.sin, np.cos, 1.3),
    "exp": (np.exp, np.exp, -2.0),
    "a steep power": (lambda x: x**20, lambda x: 20 * x**19, 1.5),
    "a logarithm near its pole": (np.log, lambda x: 1 / x, 1e-4),
    "a large argument": (np.sqrt, lambda x: 0.5 / np.sqrt(x), 1e12),
    "a small argument": (np.sin, np.cos, 1e-9),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_derivative_is_found_and_one_wrong_by_a_millionth_is_not(name):
    f, derivative, x = SMOOTH[name]
    estimate, error = directional_difference(f, x, 1.0)
    assert agrees(derivative(x), estimate, error)
    assert not agrees(derivative(x) * (1 + 1e-6), estimate, error)
    assert not agrees(-derivative(x), estimate, error)


def test_the_direction_is_followed_over_all_components():
    x, v = np.array([1.0, 2.0, -0.5]), np.array([0.3, -2.0, 1.0])
    estimate, error = directional_difference(lambda u: np.prod(np.sin(u)), x, v)
    gradient = np.prod(np.sin(x)) / np.tan(x)
    assert agrees(gradient @ v, estimate, error)


def test_every_component_of_a_vector_function_has_its_own_error():
    x = np.array([1.0, 2.0])
    estimate, error = directional_difference(
        lambda u: np.array([u[0] ** 2, 1e6 * np.sin(u[1])]), x, [1.0, 1.0]
    )
    assert agrees([2.0, 1e6 * np.cos(2.0)], estimate, error)
    assert error.shape == (2,)


def test_steps_outside_the_domain_are_passed_over():
    x = 1e-3
    estimate, error = directional_difference(np.sqrt, x, 1.0, step=100.0)
    assert agrees(0.5 / np.sqrt(x), estimate, error)


def test_a_kink_beside_the_point_does_not_matter():
    estimate, error = directional_difference(np.abs, 0.01, 1.0, step=10.0)
    assert agrees(1.0, estimate, error)
    assert not agrees(1 + 1e-6, estimate, error)


def test_no_direction_gives_zero():
    assert directional_difference(np.sin, [1.0, 2.0], [0.0, 0.0])[0].tolist() == [0.0, 0.0]


def test_nothing_agrees_with_a_point_outside_the_domain():
    estimate, error = directional_difference(np.log, -1.0, 1.0)
    assert np.isnan(estimate)
    assert not agrees(-1.0, estimate, error)


def test_nan_agrees_with_nothing():
    assert not agrees(np.nan, 1.0, 1.0)


def test_a_staircase_is_flat_although_long_steps_see_a_slope():
    estimate, error = directional_difference(np.floor, [100.2, 7.5], [1.0, 0.0])
    assert agrees([0.0, 0.0], estimate, error)
    assert not agrees([1e-6, 0.0], estimate, error)
