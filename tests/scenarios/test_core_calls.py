"""The core call: annotations, return activities, keyword arguments, scratch memory, compiled callers."""

from __future__ import annotations

import resource
import sys

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import CoenzymeError

from .mutation import square_into
from .numerics import scratch_power
from .runner import attempt
from .scalars import power_series, rosenbrock


@nb.njit
def weighted_sum(x, weights, power=2):
    total = 0.0
    for i in range(x.size):
        total += weights[i] * x[i] ** power
    return total


@nb.njit
def square_and_sum(x, y):
    total = 0.0
    for i in range(x.size):
        y[i] = x[i] * x[i]
        total += y[i] * x[i]
    return total


compiled_rosenbrock = nb.njit(rosenbrock)

X = np.array([1.0, 2.0])
W = np.array([3.0, 0.5])


def test_rosenbrock_tangent_along_the_diagonal() -> None:
    assert cz.autodiff(cz.Forward, rosenbrock, cz.Duplicated(1.0, 1.0), cz.Duplicated(2.0, 1.0)) == -200.0


def test_explicit_active_return_is_the_default() -> None:
    got = cz.autodiff(cz.Reverse, rosenbrock, cz.Active, cz.Active(1.0), cz.Active(2.0))
    assert got == (-400.0, 200.0)


def test_explicit_const_return_seeds_memory_only() -> None:
    dx, y, dy = np.zeros(2), np.zeros(2), np.array([1.0, 10.0])
    cz.autodiff(cz.Reverse, square_and_sum, cz.Const, cz.Duplicated(X.copy(), dx), cz.Duplicated(y, dy))
    np.testing.assert_allclose(dx, [2.0, 40.0], rtol=1e-14)
    np.testing.assert_array_equal(dy, 0.0)


def test_return_value_and_memory_cotangents_add_up() -> None:
    dx, y, dy = np.zeros(2), np.zeros(2), np.array([1.0, 10.0])
    cz.autodiff(cz.Reverse, square_and_sum, cz.Duplicated(X.copy(), dx), cz.Duplicated(y, dy))
    np.testing.assert_allclose(dx, [2.0 + 3.0, 40.0 + 12.0], rtol=1e-14)


def test_const_return_with_no_result_is_the_documented_example() -> None:
    x, y, dx, dy = np.array([2.0, 3.0]), np.zeros(2), np.zeros(2), np.array([1.0, 10.0])
    got = cz.autodiff(cz.Reverse, square_into, cz.Const, cz.Duplicated(x, dx), cz.Duplicated(y, dy))
    np.testing.assert_array_equal(dx, [4.0, 60.0])
    np.testing.assert_array_equal(dy, [0.0, 0.0])
    assert got == (None, None)


def test_unannotated_argument_is_const() -> None:
    dx = np.zeros(2)
    got = cz.autodiff(cz.Reverse, weighted_sum, cz.Duplicated(X.copy(), dx), W)
    assert got == (None, None)
    np.testing.assert_allclose(dx, 2 * W * X, rtol=1e-14)


def test_const_and_bare_argument_agree() -> None:
    got = [
        cz.autodiff(cz.Forward, weighted_sum, cz.Duplicated(X.copy(), np.ones(2)), second)
        for second in (W, cz.Const(W))
    ]
    assert got[0] == got[1] == pytest.approx(float(2 * W @ X), rel=1e-14)


def test_keyword_arguments_pass_through() -> None:
    dx = np.zeros(2)
    cz.autodiff(cz.Reverse, weighted_sum, cz.Duplicated(X.copy(), dx), W, power=3)
    np.testing.assert_allclose(dx, 3 * W * X**2, rtol=1e-14)


def test_duplicated_no_need_gives_the_same_shadow() -> None:
    dx, y, dy = np.zeros(2), np.zeros(2), np.array([1.0, 10.0])
    cz.autodiff(
        cz.Reverse, square_into, cz.Const, cz.Duplicated(np.array([2.0, 3.0]), dx), cz.DuplicatedNoNeed(y, dy)
    )
    np.testing.assert_array_equal(dx, [4.0, 60.0])
    np.testing.assert_array_equal(dy, [0.0, 0.0])


def test_duplicated_no_need_gives_the_same_tangent() -> None:
    y, dy = np.zeros(2), np.zeros(2)
    cz.autodiff(
        cz.Forward, square_into, cz.Duplicated(np.array([2.0, 3.0]), np.ones(2)), cz.DuplicatedNoNeed(y, dy)
    )
    np.testing.assert_array_equal(dy, [4.0, 6.0])


def test_two_shadows_of_one_array_each_get_their_argument() -> None:
    @nb.njit
    def product(x, y):
        return x[0] * x[0] * y[0]

    x, first, second = np.array([3.0]), np.zeros(1), np.zeros(1)
    cz.autodiff(cz.Reverse, product, cz.Duplicated(x, first), cz.Duplicated(x, second))
    assert first[0] + second[0] == 27.0


def test_const_scratch_memory_is_shadowed_or_refused_never_zero() -> None:
    """Active data flows through memory marked Const: silence would give a derivative of zero."""
    got = attempt(lambda: cz.autodiff(cz.Reverse, scratch_power, cz.Active(1.2), cz.Const(np.ones(1))))
    if isinstance(got, CoenzymeError):
        assert got.argument == "tmp"
        assert got.remedy
    else:
        assert got[0] == pytest.approx(10.368, rel=1e-12)


def test_const_scratch_memory_in_forward_is_shadowed_or_refused_never_zero() -> None:
    got = attempt(lambda: cz.autodiff(cz.Forward, scratch_power, cz.Duplicated(1.2, 1.0), np.ones(1)))
    if isinstance(got, CoenzymeError):
        assert got.argument == "tmp"
    else:
        assert got == pytest.approx(10.368, rel=1e-12)


def test_captured_scratch_memory_is_shadowed_or_refused_never_zero() -> None:
    scratch = np.ones(1)

    def through_capture(x):
        scratch[0] = x * x
        return scratch[0]

    # Numba freezes captured arrays, so most likely nothing compiles; a derivative must not be zero.
    got = attempt(lambda: cz.grad(through_capture)(1.5))
    if isinstance(got, CoenzymeError):
        assert "through_capture" in str(got)
    else:
        assert got == pytest.approx(3.0)


def test_derivatives_do_not_change_later_calls() -> None:
    gradient = cz.grad(weighted_sum)
    first = gradient(X, W)
    np.testing.assert_array_equal(gradient(X, W), first)
    np.testing.assert_array_equal(X, [1.0, 2.0])


def test_a_long_loop_stays_within_memory() -> None:
    """Ten million terms: eight bytes a step may be kept, eighty may not."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert cz.grad(power_series)(0.5, 10_000_000) == pytest.approx(2.0, rel=1e-10)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 800e6


def test_grad_inside_compiled_code() -> None:
    gradient = cz.grad(weighted_sum)

    @nb.njit
    def descend(x, weights):
        for _ in range(3):
            x = x - 0.1 * gradient(x, weights)
        return x

    np.testing.assert_allclose(descend(X, W), X * (1 - 0.2 * W) ** 3, rtol=1e-13)


def test_value_and_grad_inside_compiled_code() -> None:
    both = cz.value_and_grad(rosenbrock, argnums=(0, 1))

    @nb.njit
    def call(a, b):
        value, (da, db) = both(a, b)
        return value, da, db

    assert call(1.0, 2.0) == (100.0, -400.0, 200.0)


def test_autodiff_inside_compiled_code() -> None:
    @nb.njit
    def call(x, dx, weights):
        cz.autodiff(cz.Reverse, weighted_sum, cz.Duplicated(x, dx), cz.Const(weights))

    dx = np.zeros(2)
    call(X, dx, W)
    np.testing.assert_allclose(dx, 2 * W * X, rtol=1e-14)


def test_forward_autodiff_inside_compiled_code() -> None:
    @nb.njit
    def call(a, b):
        return cz.autodiff(cz.Forward, compiled_rosenbrock, cz.Duplicated(a, 1.0), cz.Duplicated(b, 1.0))

    assert call(1.0, 2.0) == -200.0


def test_jvp_inside_compiled_code() -> None:
    @nb.njit
    def call(a, b):
        return cz.jvp(compiled_rosenbrock, (a, b), (1.0, 1.0))

    assert call(1.0, 2.0) == (100.0, -200.0)


def test_error_of_the_primal_crosses_compiled_callers() -> None:
    @nb.njit
    def root(x):
        if x < 0.0:
            raise ValueError("negative")
        return np.sqrt(x)

    slope = cz.grad(root)

    @nb.njit
    def call(x):
        return 2.0 * slope(x)

    assert call(4.0) == 0.5
    with pytest.raises(ValueError, match="negative"):
        call(-1.0)


def test_make_zero_keeps_structure() -> None:
    x = np.ones((2, 3), order="F")
    zero = cz.make_zero(x)
    assert zero.shape == x.shape
    assert zero.flags.f_contiguous
    assert not zero.any()
    assert cz.make_zero(2.0) == 0.0
    assert cz.make_zero((1.0, np.ones(2)))[0] == 0.0
