"""Options of modes, keyword arguments and defaults, in every transform."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError

X = np.array([1.0, 2.0, 3.0])


# --- modes


def test_unknown_option_is_refused_with_the_ones_there_are():
    with pytest.raises(ActivityError, match="no option 'strong'") as caught:
        cz.Reverse.replace(strong=True)
    assert "strong_zero" in caught.value.remedy


@pytest.mark.parametrize("value", [1, "yes", None])
def test_option_of_another_type_is_refused(value):
    with pytest.raises(ActivityError, match="strong_zero"):
        cz.Forward.replace(strong_zero=value)


def product(x, y):
    return x * y


@nb.njit
def overflows(x):
    big = np.exp(x)
    return np.minimum(big * big, 1.0)


@pytest.mark.parametrize("strong", [False, True])
def test_strong_zero_silences_an_infinite_factor_in_forward_mode(strong):
    mode = cz.Forward.replace(strong_zero=strong)
    found = cz.autodiff(mode, product, cz.Duplicated(1.0, 0.0), cz.Duplicated(np.inf, 1.0))
    assert found == 1.0 if strong else np.isnan(found)


@pytest.mark.parametrize("strong", [False, True])
def test_strong_zero_silences_an_infinite_factor_in_reverse_mode(strong):
    mode = cz.Reverse.replace(strong_zero=strong)
    found, _ = cz.autodiff(mode, lambda x, y: 0.0 * (x * y), cz.Active(2.0), np.inf)
    assert found == 0.0 if strong else np.isnan(found)


def test_strong_zero_holds_in_split_mode():
    mode = cz.ReverseSplitWithPrimal.replace(strong_zero=True)
    forward, reverse = cz.autodiff_thunk(mode, lambda x, y: x * y, cz.Active, cz.Active, cz.Const)
    tape, _, _ = forward(cz.Active(2.0), cz.Const(np.inf))
    assert reverse(cz.Active(2.0), cz.Const(np.inf), 0.0, tape) == (0.0, None)


def test_strong_zero_reaches_functions_kept_out_of_line():
    @nb.njit
    def power(x, n):
        if n == 0:
            return 1.0
        return x * power(x, n - 1)

    @nb.njit
    def f(x):
        return np.minimum(power(x, 4), 1.0)

    mode = cz.Reverse.replace(strong_zero=True)
    assert cz.autodiff(mode, f, cz.Active(1e200)) == (0.0,)


def test_modes_that_differ_in_options_are_usable_in_compiled_code():
    mode = cz.ReverseWithPrimal.replace(strong_zero=True)

    @nb.njit
    def f(x):
        return cz.autodiff(mode, overflows, cz.Active(x))

    assert f(400.0) == ((0.0,), 1.0)


def test_strong_zero_changes_nothing_else():
    mode = cz.Reverse.replace(strong_zero=True)
    dx = np.zeros(3)
    cz.autodiff(mode, lambda x: (np.sin(x) * x).sum(), cz.Duplicated(X, dx))
    np.testing.assert_allclose(dx, np.sin(X) + X * np.cos(X), rtol=1e-15)


# --- keyword arguments and defaults


@nb.njit
def scaled(x, a=2.0, n=3):
    return a * (x**n).sum()


CALLS = [((X,), {}), ((X,), {"a": 2.0}), ((X,), {"n": 3}), ((X,), {"n": 3, "a": 2.0}), ((X, 2.0), {"n": 3})]


@pytest.mark.parametrize(("args", "kwargs"), [*CALLS, ((), {"x": X, "n": 3})])
@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (cz.grad, 6.0 * X**2),
        (cz.jacfwd, 6.0 * X**2),
        (cz.jacrev, 6.0 * X**2),
        (cz.jacobian, 6.0 * X**2),
        (cz.hessian, np.diag(12.0 * X)),
        (lambda f: cz.jacfwd(cz.grad(f)), np.diag(12.0 * X)),
    ],
    ids=["grad", "jacfwd", "jacrev", "jacobian", "hessian", "jacfwd of grad"],
)
def test_transforms_take_arguments_by_name_and_fill_in_defaults(transform, expected, args, kwargs):
    np.testing.assert_allclose(transform(scaled)(*args, **kwargs), expected)


@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_value_and_gradient_take_arguments_by_name(args, kwargs):
    value, gradient = cz.value_and_grad(scaled)(*args, **kwargs)
    assert value == pytest.approx(72.0)
    np.testing.assert_allclose(gradient, 6.0 * X**2)


def test_an_argument_given_by_name_can_be_the_one_that_is_differentiated():
    assert cz.grad(scaled, 1)(X, a=2.0) == pytest.approx(36.0)
    by_x, by_a = cz.grad(scaled, (0, 1))(X, n=3, a=2.0)
    np.testing.assert_allclose(by_x, 6.0 * X**2)
    assert by_a == pytest.approx(36.0)


def test_a_default_can_be_differentiated():
    assert cz.grad(scaled, 1)(X) == pytest.approx(36.0)


@pytest.mark.parametrize("args", [(X,), (X, 2.0), (X, 2.0, 3)])
def test_products_pullbacks_and_linearisations_fill_in_defaults(args):
    np.testing.assert_allclose(cz.hvp(scaled, X, X, *args[1:]), 12.0 * X**2)
    zeros = [0.0, None][: len(args) - 1]
    assert cz.jvp(scaled, args, (X, *zeros))[1] == pytest.approx(6.0 * (X**3).sum())
    assert cz.linearize(scaled, *args)[1](X, *zeros) == pytest.approx(6.0 * (X**3).sum())
    np.testing.assert_allclose(cz.vjp(scaled, *args)[1](1.0)[0], 6.0 * X**2)


def test_annotated_arguments_go_by_name_too():
    dx = np.zeros(3)
    found = cz.autodiff(cz.Reverse, scaled, cz.Duplicated(X, dx), n=cz.Const(3), a=cz.Active(2.0))
    assert found == (None, pytest.approx(36.0), None)
    np.testing.assert_allclose(dx, 6.0 * X**2)


@pytest.mark.parametrize("transform", [cz.grad, cz.jacfwd, cz.hessian])
def test_wrong_names_are_refused_in_the_words_of_the_function(transform):
    with pytest.raises(ActivityError, match="scaled"):
        transform(scaled)(X, b=1.0)
    with pytest.raises(ActivityError, match="scaled"):
        transform(scaled)(X, 2.0, a=1.0)


def test_transforms_take_names_and_defaults_in_compiled_code():
    gradient = cz.grad(scaled)

    @nb.njit
    def f(x):
        return gradient(x), gradient(x, n=3), gradient(x, a=2.0, n=3), cz.hvp(scaled, x, x)

    for found, expected in zip(f(X), [6 * X**2, 6 * X**2, 6 * X**2, 12 * X**2], strict=True):
        np.testing.assert_allclose(found, expected)
