"""Functions passed as arguments, or chosen at run time, are differentiated like those called by name."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import UnsupportedIRError
from coenzyme.testing import check_derivatives

# Numba warns of its own support of functions as values.
pytestmark = pytest.mark.filterwarnings("ignore::numba.NumbaExperimentalFeatureWarning")


@nb.njit
def _square(x):
    return x * x


@nb.njit
def _cube(x):
    return x * x * x


@nb.njit
def _apply(g, x):
    return g(x) * x


def test_a_function_is_passed_as_an_argument() -> None:
    assert cz.grad(_apply, argnums=1)(_square, 3.0) == 27.0
    assert cz.autodiff(cz.Reverse, _apply, cz.Const(_cube), cz.Active(2.0)) == (None, 32.0)
    assert cz.hessian(_apply, argnums=1)(_square, 3.0) == 18.0


def test_a_derivative_is_passed_as_an_argument() -> None:
    @nb.njit
    def newton_step(f, slope, x):
        return x - f(x) / slope(x)

    # d/dx (x - x/3) for the cube
    np.testing.assert_allclose(cz.grad(newton_step, argnums=2)(_cube, cz.grad(_cube), 3.0), 2.0 / 3.0)


def test_a_function_is_chosen_at_run_time() -> None:
    @nb.njit
    def chosen(x, k):
        f = _square if k > 0 else _cube
        return f(x)

    for k in (0, 1):
        assert check_derivatives(chosen, 1.7, k)


def test_a_function_is_carried_round_a_loop() -> None:
    @nb.njit
    def alternating(x, n):
        f, total = _square, 0.0
        for i in range(n):
            total += f(x + i)
            f = _cube if i % 2 == 0 else _square
        return total

    assert check_derivatives(alternating, 0.6, 4)
    assert check_derivatives(cz.grad(alternating), 0.6, 4)


@nb.njit
def _power(x, n):
    return x if n == 0 else x * _power(x, n - 1)


@nb.njit
def _nested_sines(x, n):
    return x if n == 0 else x + np.sin(_nested_sines(x, n - 1))


def test_a_recursive_function_is_chosen_at_run_time() -> None:
    @nb.njit
    def chosen(x, k):
        f = _power if k > 0 else _nested_sines
        return f(x, 3)

    for k in (0, 1):
        assert check_derivatives(chosen, 1.2, k)


def test_a_function_known_by_its_address_alone_is_refused() -> None:
    @nb.cfunc("float64(float64)")
    def native(x):
        return x * x

    with pytest.raises(UnsupportedIRError, match="known at run time only") as raised:
        cz.grad(_apply, argnums=1)(native, 3.0)
    assert raised.value.location is not None
    assert raised.value.location.file.endswith("test_functions_as_values.py")
