"""Annotated calls from Python."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, CompilationError, ShadowError

X = np.array([2.0, 3.0])


@nb.njit
def square(x, y):
    for i in range(x.size):
        y[i] = x[i] * x[i]


@nb.njit
def power(x, n=3):
    return x**n


@nb.njit
def dot(x, y):
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@nb.njit
def count_and_double(x):
    for i in range(x.size):
        x[i] *= 2.0
    return x.size


def test_output_cotangent_is_taken_out_and_input_cotangent_accumulated():
    dx, y, dy = np.array([1.0, 1.0]), np.zeros(2), np.array([1.0, 10.0])
    assert cz.autodiff(cz.Reverse, square, cz.Const, cz.Duplicated(X, dx), cz.Duplicated(y, dy)) == (
        None,
        None,
    )
    np.testing.assert_allclose(dx, [5.0, 61.0])
    np.testing.assert_array_equal(dy, 0.0)
    np.testing.assert_array_equal(y, [4.0, 9.0])


@pytest.mark.parametrize("wrap", [cz.Duplicated, cz.DuplicatedNoNeed])
def test_tangent_of_written_memory_is_in_its_shadow(wrap):
    dx, y, dy = np.array([1.0, 0.5]), np.zeros(2), np.full(2, 7.0)
    assert cz.autodiff(cz.Forward, square, wrap(X, dx), wrap(y, dy)) is None
    np.testing.assert_allclose(dy, [4.0, 3.0])


def test_results_follow_the_mode():
    assert cz.autodiff(cz.Reverse, power, cz.Active(2.0), 3) == (12.0, None)
    assert cz.autodiff(cz.ReverseWithPrimal, power, cz.Active(2.0), cz.Const(3)) == ((12.0, None), 8.0)
    assert cz.autodiff(cz.Forward, power, cz.Duplicated(2.0, 2.0), 3) == 24.0
    assert cz.autodiff(cz.ForwardWithPrimal, power, cz.Duplicated(2.0, 1), 3) == (12.0, 8.0)


def test_defaults_and_keywords_pass_through():
    assert cz.autodiff(cz.Reverse, power, cz.Active(2.0)) == (12.0,)
    assert cz.autodiff(cz.Reverse, power, cz.Active(2.0), n=2) == (4.0, None)
    assert cz.autodiff(cz.Reverse, power, n=cz.Const(2), x=cz.Active(2.0)) == (4.0, None)


def test_constant_return_is_not_seeded():
    dx = np.array([1.0, 0.0])
    result = cz.autodiff(cz.ReverseWithPrimal, count_and_double, cz.Const, cz.Duplicated(X.copy(), dx))
    assert result == ((None,), 2)
    np.testing.assert_allclose(dx, [2.0, 0.0])


def test_integer_returned_beside_written_memory_is_constant_by_default():
    dx = np.array([1.0, 0.0])
    assert cz.autodiff(cz.ReverseWithPrimal, count_and_double, cz.Duplicated(X.copy(), dx)) == ((None,), 2)
    np.testing.assert_allclose(dx, [2.0, 0.0])
    assert cz.autodiff(cz.ForwardWithPrimal, count_and_double, cz.Duplicated(X.copy(), dx)) == (None, 2)
    np.testing.assert_allclose(dx, [4.0, 0.0])


def test_tuple_of_numbers_is_active():
    assert cz.autodiff(cz.Reverse, lambda p: p[0] * p[1], cz.Active((2.0, 3.0))) == ((3.0, 2.0),)


def test_read_only_array_has_a_writable_shadow():
    x, dx = X.copy(), np.zeros(2)
    x.flags.writeable = False
    cz.autodiff(cz.Reverse, dot, cz.Duplicated(x, dx), X)
    np.testing.assert_array_equal(dx, X)


def test_one_array_twice_with_one_shadow_or_two():
    dx, dy = np.zeros(2), np.zeros(2)
    cz.autodiff(cz.Reverse, dot, cz.Duplicated(X, dx), cz.Duplicated(X, dx))
    np.testing.assert_array_equal(dx, 2 * X)
    dx[:] = 0.0
    cz.autodiff(cz.Reverse, dot, cz.Duplicated(X, dx), cz.Duplicated(X, dy))
    np.testing.assert_array_equal(dx, X)
    np.testing.assert_array_equal(dy, X)


def test_overlapping_slices_are_written_in_place():
    @nb.njit
    def shift(target, source):
        for i in range(target.size):
            target[i] = source[i]

    a, da = np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4)
    cz.autodiff(cz.Reverse, shift, cz.Duplicated(a[:-1], da[:-1]), cz.Duplicated(a[1:], da[1:]))
    np.testing.assert_array_equal(a, [2.0, 3.0, 4.0, 4.0])
    np.testing.assert_array_equal(da, [0.0, 1.0, 1.0, 2.0])


def test_overlapping_slices_with_separate_shadows_are_refused():
    @nb.njit
    def shift(target, source):
        for i in range(target.size):
            target[i] = source[i]

    a = np.ones(4)
    with pytest.raises(ActivityError, match="share memory"):
        cz.autodiff(cz.Reverse, shift, cz.Duplicated(a[:-1], np.zeros(3)), cz.Duplicated(a[1:], np.zeros(3)))


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        pytest.param((cz.Reverse, dot, cz.Active(X), X), ActivityError, "lives in memory", id="active array"),
        pytest.param(
            (cz.Reverse, power, cz.Duplicated(2.0, 1.0)), ActivityError, "by value", id="duplicated number"
        ),
        pytest.param((cz.Reverse, power, cz.Active(2)), ActivityError, "int64", id="active integer"),
        pytest.param(
            (cz.Forward, power, cz.Active(2.0)), ActivityError, "forward mode", id="active in forward"
        ),
        pytest.param(
            (cz.Forward, power, cz.Active, cz.Duplicated(2.0, 1.0)),
            ActivityError,
            "return is Active",
            id="active return",
        ),
        pytest.param(
            (cz.Reverse, power, cz.Duplicated, cz.Active(2.0)),
            ActivityError,
            "return is Duplicated",
            id="duplicated return",
        ),
        pytest.param(
            (cz.Reverse, power, float, cz.Active(2.0)), ActivityError, "class float", id="foreign class"
        ),
        pytest.param(
            (cz.Reverse, power, cz.Active(2.0), cz.Const), ActivityError, "class Const", id="late class"
        ),
        pytest.param(
            (cz.Reverse, count_and_double, cz.Active, cz.Duplicated(X, X.copy())),
            ActivityError,
            "not a real number",
            id="integer return",
        ),
        pytest.param(("reverse", power, cz.Active(2.0)), ActivityError, "mode is 'reverse'", id="mode"),
        pytest.param((cz.Reverse, 3.0, cz.Active(2.0)), ActivityError, "cannot be called", id="no function"),
        pytest.param(
            (cz.Reverse, dot, cz.Duplicated(X, X.copy())), ActivityError, "wrong arguments", id="too few"
        ),
        pytest.param(
            (cz.Reverse, power, cz.Active(2.0), 3, 4), ActivityError, "wrong arguments", id="too many"
        ),
        pytest.param(
            (cz.Reverse, dot, cz.Duplicated([1.0], [0.0]), X), CompilationError, "attribute 'size'", id="list"
        ),
        pytest.param((cz.Reverse, dot, cz.Duplicated(X, np.zeros(3)), X), ShadowError, "shape", id="shape"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(arguments, kind, words):
    with pytest.raises(kind, match=words) as caught:
        cz.autodiff(*arguments)
    assert caught.value.function
    assert caught.value.remedy
