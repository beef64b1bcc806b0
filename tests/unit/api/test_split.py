"""Reverse mode in two calls: tapes, values, shadows, and what is refused."""

from __future__ import annotations

from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError, TapeError

WITH, WITHOUT = cz.ReverseSplitWithPrimal, cz.ReverseSplitNoPrimal
Pair = namedtuple("Pair", "first second")


def square_into(x, y):
    for i in range(x.size):
        y[i] = x[i] * x[i]


def exponentials(x, a):
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = np.exp(a * x[i])
    return y


def steps(x, n):
    """Overwrites what it reads, and branches on it: needs a tape of every iteration."""
    y = x.copy()
    for _ in range(n):
        for i in range(1, y.size):
            y[i] = y[i - 1] * np.sin(y[i]) if y[i] > 0.5 else y[i] * y[i] + y[i - 1]
    return y


@nb.njit
def halved(x, n):
    if n == 0:
        y = np.empty(x.size)
        for i in range(x.size):
            y[i] = np.sin(x[i])
        return y
    return halved(0.5 * x * x, n - 1)


def logarithm(x):
    y = np.sqrt(np.abs(x))
    if x[0] < 0.0:
        raise ValueError("negative")
    return y * np.log(x)


def by_combined(f, x, *rest, seed):
    """Return the gradient of the seed times the value, from one combined sweep."""
    compiled = nb.njit(f) if not hasattr(f, "py_func") else f

    def weighted(x, w, *rest):
        return np.sum(w * compiled(x, *rest))

    return cz.grad(weighted)(x, seed, *rest)


# --- values and derivatives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [WITH, WITHOUT])
def test_numbers_are_seeded_by_the_reverse_half(mode):
    forward, reverse = cz.autodiff_thunk(
        mode, lambda x, n, y: x**n * y, cz.Active, cz.Active, cz.Const, cz.Active
    )
    arguments = cz.Active(2.0), 3, cz.Active(5.0)
    tape, value, shadow = forward(*arguments)
    assert (value, shadow) == (40.0 if mode is WITH else None, None)
    np.testing.assert_allclose(reverse(*arguments, 10.0, tape)[::2], (600.0, 80.0))


def test_tuple_of_powers_takes_a_tuple_of_seeds():
    forward, reverse = cz.autodiff_thunk(WITH, lambda x: (x**2, x**3), cz.Active, cz.Active)
    tape, value, _ = forward(cz.Active(3.1))
    np.testing.assert_allclose(value, (9.61, 29.791))
    np.testing.assert_allclose(reverse(cz.Active(3.1), (2.7, 0.2), tape), (22.506,), rtol=1e-14)


def test_numbers_in_a_duplicated_return_have_arrays_without_dimensions_as_shadows():
    forward, reverse = cz.autodiff_thunk(WITHOUT, lambda x: (x**2, x**3), cz.Duplicated, cz.Active)
    tape, _, shadow = forward(cz.Active(3.1))
    assert [part.shape for part in shadow] == [(), ()]
    shadow[0][...] += 2.7
    shadow[1][...] += 0.2
    np.testing.assert_allclose(reverse(cz.Active(3.1), tape), (22.506,), rtol=1e-14)


def test_cotangent_of_an_array_is_added_to_its_shadow():
    x, dx = np.array([0.1, 0.2, 0.3]), np.array([1.0, 1.0, 1.0])
    forward, reverse = cz.autodiff_thunk(WITH, exponentials, cz.Duplicated, cz.Duplicated, cz.Active)
    arguments = cz.Duplicated(x, dx), cz.Active(2.0)
    tape, value, shadow = forward(*arguments)
    np.testing.assert_allclose(value, np.exp(2.0 * x))
    np.testing.assert_array_equal(shadow, np.zeros(3))
    seed = np.array([1.0, -2.0, 3.0])
    shadow += seed
    derivatives = reverse(*arguments, tape)
    assert derivatives[0] is None
    np.testing.assert_allclose(derivatives[1], np.sum(seed * x * value))
    np.testing.assert_allclose(dx, 1.0 + seed * 2.0 * value, rtol=1e-14)


def test_cotangent_of_an_array_may_be_given_to_the_reverse_half():
    x, dx = np.array([0.1, 0.2]), np.zeros(2)
    forward, reverse = cz.autodiff_thunk(WITHOUT, exponentials, cz.Duplicated, cz.Duplicated, cz.Const)
    tape, _, shadow = forward(cz.Duplicated(x, dx), 2.0)
    shadow += [1.0, 0.0]
    reverse(cz.Duplicated(x, dx), 2.0, [0.0, 1.0], tape)
    np.testing.assert_allclose(dx, 2.0 * np.exp(2.0 * x))


def test_arrays_and_numbers_nest_in_tuples():
    def f(x, a):
        y = np.sin(x)
        return (y, (np.sum(y) * a, x.size)), Pair(a * a, y * y)

    x, dx = np.array([0.3, 0.4]), np.zeros(2)
    forward, reverse = cz.autodiff_thunk(WITH, f, cz.Duplicated, cz.Duplicated, cz.Active)
    arguments = cz.Duplicated(x, dx), cz.Active(3.0)
    tape, value, shadow = forward(*arguments)
    assert value[0][1][1] == 2
    assert shadow[0][1][1] is None
    assert isinstance(shadow[1], Pair)
    seeds = np.array([1.0, 2.0]), 5.0, 7.0, np.array([11.0, 13.0])
    for part, seed in zip(
        (shadow[0][0], shadow[0][1][0], shadow[1].first, shadow[1].second), seeds, strict=True
    ):
        part[...] += seed
    derivatives = reverse(*arguments, tape)
    s, c = np.sin(x), np.cos(x)
    np.testing.assert_allclose(dx, c * (seeds[0] + 5.0 * 3.0 + seeds[3] * 2.0 * s))
    np.testing.assert_allclose(derivatives[1], 5.0 * s.sum() + 7.0 * 6.0)


def test_output_written_in_place_hands_its_cotangent_on():
    x, dx, y, dy = np.array([2.0, 3.0]), np.zeros(2), np.zeros(2), np.array([1.0, 10.0])
    forward, reverse = cz.autodiff_thunk(WITH, square_into, cz.Const, cz.Duplicated, cz.Duplicated)
    arguments = cz.Duplicated(x, dx), cz.Duplicated(y, dy)
    tape, value, shadow = forward(*arguments)
    assert (value, shadow) == (None, None)
    np.testing.assert_array_equal(y, [4.0, 9.0])
    assert reverse(*arguments, tape) == (None, None)
    np.testing.assert_array_equal(dx, [4.0, 60.0])
    np.testing.assert_array_equal(dy, [0.0, 0.0])


def test_returned_view_of_an_argument_shares_its_shadow():
    x, dx = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.5])
    forward, reverse = cz.autodiff_thunk(WITH, lambda x: x[::-1][1:], cz.Duplicated, cz.Duplicated)
    tape, value, shadow = forward(cz.Duplicated(x, dx))
    assert np.shares_memory(value, x)
    assert np.shares_memory(shadow, dx)
    shadow += [1.0, 10.0]
    reverse(cz.Duplicated(x, dx), tape)
    np.testing.assert_array_equal(dx, [10.5, 1.5, 0.5])


def test_one_array_returned_twice_has_one_shadow():
    def f(x):
        y = x * x
        return y, y

    x, dx = np.array([1.0, 2.0]), np.zeros(2)
    forward, reverse = cz.autodiff_thunk(WITHOUT, f, cz.Duplicated, cz.Duplicated)
    tape, _, (first, second) = forward(cz.Duplicated(x, dx))
    first += 1.0
    second += 1.0
    reverse(cz.Duplicated(x, dx), tape)
    np.testing.assert_array_equal(dx, [4.0, 8.0])


@pytest.mark.parametrize(("sign", "slope"), [(1.0, [2.0, 4.0]), (-1.0, [0.0, 0.0])])
def test_return_that_may_be_none_has_a_shadow_where_it_is_not(sign, slope):
    def f(x):
        if x[0] > 0.0:
            return x * x
        return None

    x, dx = sign * np.array([1.0, 2.0]), np.zeros(2)
    forward, reverse = cz.autodiff_thunk(WITH, f, cz.Duplicated, cz.Duplicated)
    tape, value, shadow = forward(cz.Duplicated(x, dx))
    if sign < 0.0:
        assert (value, shadow) == (None, None)
    else:
        shadow += 1.0
    reverse(cz.Duplicated(x, dx), tape)
    np.testing.assert_array_equal(dx, slope)


def test_precision_of_the_function_is_kept():
    x, dx = np.array([1.0, 2.0], np.float32), np.zeros(2, np.float32)
    forward, reverse = cz.autodiff_thunk(WITH, lambda x, a: x * a, cz.Duplicated, cz.Duplicated, cz.Active)
    arguments = cz.Duplicated(x, dx), cz.Active(np.float32(3.0))
    tape, value, shadow = forward(*arguments)
    assert value.dtype == shadow.dtype == np.float32
    shadow += 1
    assert reverse(*arguments, tape)[1] == 3.0
    np.testing.assert_array_equal(dx, [3.0, 3.0])


@pytest.mark.parametrize(("seed", "expected"), [(1.0, 6.2 - 5.4j), (1j, 5.4 + 6.2j)])
def test_complex_numbers_follow_the_conjugate_convention(seed, expected):
    point = cz.Active(3.1 + 2.7j)
    forward, reverse = cz.autodiff_thunk(WITHOUT, lambda z: z * z, cz.Active, cz.Active)
    np.testing.assert_allclose(reverse(point, seed, forward(point)[0]), (expected,))
    forward, reverse = cz.autodiff_thunk(WITHOUT, lambda z: z * z, cz.Duplicated, cz.Active)
    tape, _, shadow = forward(point)
    shadow[...] += seed
    np.testing.assert_allclose(reverse(point, tape), (expected,))


@pytest.mark.parametrize("depth", [0, 3])
def test_recursion_that_returns_arrays_is_swept_later(depth):
    x, dx, seed = np.array([0.9, 0.8, 0.7]), np.zeros(3), np.array([1.0, 2.0, 3.0])
    forward, reverse = cz.autodiff_thunk(WITH, halved, cz.Duplicated, cz.Duplicated, cz.Const)
    tape, value, shadow = forward(cz.Duplicated(x, dx), depth)
    shadow += seed
    value[:] = np.nan
    reverse(cz.Duplicated(x, dx), depth, tape)
    np.testing.assert_allclose(dx, by_combined(halved, x, depth, seed=seed), rtol=1e-13)


def test_keywords_and_defaults_pass_through():
    def f(x, a, b=3.0):
        return a * x**b

    forward, reverse = cz.autodiff_thunk(WITH, f, cz.Active, cz.Active, cz.Const)
    tape, value, _ = forward(cz.Active(2.0), a=5.0)
    assert value == 40.0
    assert reverse(cz.Active(2.0), 1.0, tape, a=5.0) == (60.0, None)


def test_constant_scratch_array_gets_a_shadow_of_its_own():
    def f(x, scratch):
        scratch[0] = x * x
        return scratch[0] * x

    forward, reverse = cz.autodiff_thunk(WITH, f, cz.Active, cz.Active, cz.Const)
    scratch = np.zeros(1)
    tape, value, _ = forward(cz.Active(2.0), scratch)
    assert value == 8.0
    scratch[0] = np.nan
    assert reverse(cz.Active(2.0), scratch, 1.0, tape) == (12.0, None)


# --- what may happen between the halves ---------------------------------------------------------------------


@pytest.mark.parametrize("f", [exponentials, steps, lambda x, a: np.dot(np.outer(x, x), x * a)])
def test_arguments_and_value_may_be_written_between_the_halves(f):
    x, dx, seed = np.array([0.9, 0.8, 0.7]), np.zeros(3), np.array([1.0, 2.0, 3.0])
    expected = by_combined(f, x, 2, seed=seed)
    forward, reverse = cz.autodiff_thunk(WITH, f, cz.Duplicated, cz.Duplicated, cz.Const)
    tape, value, shadow = forward(cz.Duplicated(x, dx), 2)
    shadow += seed
    x[:] = np.nan
    value[:] = np.nan
    reverse(cz.Duplicated(x, dx), 2, tape)
    np.testing.assert_allclose(dx, expected, rtol=1e-13)


def test_promise_that_arguments_are_kept_changes_no_result():
    x, dx, seed = np.array([0.9, 0.8, 0.7]), np.zeros(3), np.array([1.0, 2.0, 3.0])
    mode = WITH.replace(arguments_kept=True)
    forward, reverse = cz.autodiff_thunk(mode, steps, cz.Duplicated, cz.Duplicated, cz.Const)
    tape, _, shadow = forward(cz.Duplicated(x, dx), 2)
    shadow += seed
    reverse(cz.Duplicated(x, dx), 2, tape)
    np.testing.assert_allclose(dx, by_combined(steps, x, 2, seed=seed), rtol=1e-13)


def test_time_steps_between_two_buffers_are_swept_backwards():
    def step(u, v):
        for i in range(u.size):
            v[i] = u[i] + 0.1 * u[i] * u[i - 1]

    def all_steps(u, v, n):
        for k in range(n):
            if k % 2 == 0:
                compiled(u, v)
            else:
                compiled(v, u)
        return np.sum(u * u) + np.sum(v)

    compiled = nb.njit(step)
    start = np.array([0.3, 0.5, 0.7])
    expected = cz.grad(all_steps)(start.copy(), np.zeros(3), 6)
    forward, reverse = cz.autodiff_thunk(WITHOUT, step, cz.Const, cz.Duplicated, cz.Duplicated)
    u, v, du, dv = start.copy(), np.zeros(3), np.zeros(3), np.zeros(3)
    one, other = cz.Duplicated(u, du), cz.Duplicated(v, dv)
    calls = [(one, other) if k % 2 == 0 else (other, one) for k in range(6)]
    tapes = [forward(*pair)[0] for pair in calls]
    du[:], dv[:] = 2.0 * u, 1.0
    for pair, tape in zip(reversed(calls), reversed(tapes), strict=True):
        reverse(*pair, tape)
    np.testing.assert_allclose(du, expected, rtol=1e-13)


def test_tapes_are_used_in_any_order():
    forward, reverse = cz.autodiff_thunk(WITH, steps, cz.Duplicated, cz.Duplicated, cz.Const)
    points = [np.linspace(0.1 * k, 1.0, 4) for k in range(4)]
    shadows = [np.zeros(4) for _ in points]
    made = [forward(cz.Duplicated(x, dx), 3) for x, dx in zip(points, shadows, strict=True)]
    for k in (2, 0, 3, 1):
        made[k][2][...] += 1.0
        reverse(cz.Duplicated(points[k], shadows[k]), 3, made[k][0])
    for x, dx in zip(points, shadows, strict=True):
        np.testing.assert_allclose(dx, by_combined(steps, x, 3, seed=np.ones(4)), rtol=1e-13)


def test_eight_threads_sweep_their_own_tapes():
    rolled = nb.njit(nogil=True)(steps)
    forward, reverse = cz.autodiff_thunk(WITH, rolled, cz.Duplicated, cz.Duplicated, cz.Const)

    def gradient(k):
        x, dx = np.linspace(0.01 * k, 1.0, 50), np.zeros(50)
        tape, _, shadow = forward(cz.Duplicated(x, dx), 20)
        shadow += 1.0
        reverse(cz.Duplicated(x, dx), 20, tape)
        return dx

    expected = [gradient(k) for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for got, alone in zip(pool.map(gradient, range(40)), expected, strict=True):
            np.testing.assert_array_equal(got, alone)


def test_of_eight_threads_with_one_tape_one_gets_it():
    forward, reverse = cz.autodiff_thunk(WITH, lambda x: x * x, cz.Active, cz.Active)
    tape, _, _ = forward(cz.Active(3.0))

    def attempt(_):
        try:
            return reverse(cz.Active(3.0), 1.0, tape)
        except TapeError:
            return None

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(attempt, range(8)))
    assert [f for f in found if f is not None] == [(6.0,)]


def test_shadow_may_outlive_the_tape():
    forward, _ = cz.autodiff_thunk(WITHOUT, lambda x, y: (x * x, y), cz.Duplicated, cz.Duplicated, cz.Active)
    tape, _, shadow = forward(cz.Duplicated(np.ones(1000), np.zeros(1000)), cz.Active(1.0))
    del tape
    others = [np.full(1000, 9.0) for _ in range(4)]
    shadow[0][...] += 1.0
    shadow[1][...] += 1.0
    assert (shadow[0] == 1.0).all()
    assert shadow[1] == 1.0
    assert all((x == 9.0).all() for x in others)


def test_tape_keeps_arguments_alive():
    def make():
        x, dx = np.linspace(0.0, 1.0, 1000), np.zeros(1000)
        return forward(cz.Duplicated(x, dx))[0]

    mode = WITHOUT.replace(arguments_kept=True)
    forward, reverse = cz.autodiff_thunk(mode, lambda x: np.sum(x * x), cz.Active, cz.Duplicated)
    tape = make()
    _ = [np.full(1000, 9.0) for _ in range(4)]
    (annotated,) = tape._annotated
    reverse(annotated, 1.0, tape)
    np.testing.assert_allclose(annotated.shadow, 2.0 * np.linspace(0.0, 1.0, 1000))


def test_exception_in_the_forward_half_is_the_functions_own():
    x, dx = np.array([4.0, 1.0]), np.zeros(2)
    forward, reverse = cz.autodiff_thunk(WITH, logarithm, cz.Duplicated, cz.Duplicated)
    with pytest.raises(ValueError, match="negative"):
        forward(cz.Duplicated(-x, dx))
    tape, _, shadow = forward(cz.Duplicated(x, dx))
    shadow += 1.0
    reverse(cz.Duplicated(x, dx), tape)
    np.testing.assert_allclose(dx, (0.5 * np.log(x) + 1.0) / np.sqrt(x))


def test_function_runs_once():
    def f(x, counter):
        counter[0] += 1
        return x * x

    counter = np.zeros(1, np.int64)
    forward, reverse = cz.autodiff_thunk(WITH, f, cz.Active, cz.Active, cz.Const)
    tape, _, _ = forward(cz.Active(3.0), counter)
    assert counter[0] == 1
    assert reverse(cz.Active(3.0), counter, 1.0, tape) == (6.0, None)
    assert counter[0] == 1


# --- what is refused ----------------------------------------------------------------------------------------


def halves_of_product():
    return cz.autodiff_thunk(
        WITH, lambda x, y, n: np.sum(x * y) * n, cz.Active, cz.Duplicated, cz.Active, cz.Const
    )


def test_tape_is_used_once():
    forward, reverse = cz.autodiff_thunk(WITH, lambda x: x * x, cz.Active, cz.Active)
    tape, _, _ = forward(cz.Active(3.0))
    assert not tape.is_used
    reverse(cz.Active(3.0), 1.0, tape)
    assert tape.is_used
    with pytest.raises(TapeError, match="used already"):
        reverse(cz.Active(3.0), 1.0, tape)


def test_tape_of_another_pair_is_refused():
    pairs = [cz.autodiff_thunk(WITH, lambda x: x * x, cz.Active, cz.Active) for _ in range(2)]
    tape, _, _ = pairs[0][0](cz.Active(3.0))
    with pytest.raises(TapeError, match="another pair"):
        pairs[1][1](cz.Active(3.0), 1.0, tape)
    assert pairs[0][1](cz.Active(3.0), 1.0, tape) == (6.0,)


X, DX = np.array([1.0, 2.0]), np.zeros(2)


@pytest.mark.parametrize(
    ("x", "y", "n", "argument"),
    [
        (cz.Duplicated(X.copy(), DX), cz.Active(3.0), 2, "x"),
        (cz.Duplicated(X, DX.copy()), cz.Active(3.0), 2, "x"),
        (cz.Duplicated(X[:1], DX[:1]), cz.Active(3.0), 2, "x"),
        (cz.Duplicated(X, DX), cz.Active(3.5), 2, "y"),
        (cz.Duplicated(X, DX), cz.Active(np.float32(3.0)), 2, "y"),
        (cz.Duplicated(X, DX), cz.Active(3.0), 3, "n"),
        (cz.Duplicated(X, DX), cz.Active(3.0), 2.0, "n"),
    ],
    ids=[
        "other-array",
        "other-shadow",
        "other-shape",
        "other-number",
        "other-type",
        "other-constant",
        "float",
    ],
)
def test_other_arguments_than_those_of_the_forward_half_are_refused(x, y, n, argument):
    forward, reverse = halves_of_product()
    given = cz.Duplicated(X, DX), cz.Active(3.0), 2
    tape, _, _ = forward(*given)
    with pytest.raises(TapeError) as caught:
        reverse(x, y, n, 1.0, tape)
    assert caught.value.argument == argument
    # A refusal leaves the tape as it was.
    DX[:] = 0.0
    np.testing.assert_allclose(reverse(*given, 1.0, tape)[1], 6.0)
    np.testing.assert_allclose(DX, [6.0, 6.0])


def test_same_memory_in_another_view_is_the_same_argument():
    forward, reverse = halves_of_product()
    x, dx = np.array([1.0, 2.0]), np.zeros(2)
    tape, _, _ = forward(cz.Duplicated(x, dx), cz.Active(np.nan), 2)
    reverse(cz.Duplicated(x[:], dx[:]), cz.Active(np.nan), 2, 1.0, tape)
    assert np.isnan(dx).all()


@pytest.mark.parametrize("last", [None, 3.0, np.ones(2)])
def test_missing_tape_is_refused(last):
    _, reverse = cz.autodiff_thunk(WITH, lambda x: x * x, cz.Active, cz.Active)
    with pytest.raises(TapeError, match="not a tape"):
        reverse(cz.Active(3.0), 1.0, last)


def test_missing_cotangent_of_a_number_is_refused():
    forward, reverse = cz.autodiff_thunk(WITH, lambda x: x * x, cz.Active, cz.Active)
    tape, _, _ = forward(cz.Active(3.0))
    with pytest.raises(ActivityError, match="cotangent"):
        reverse(cz.Active(3.0), tape)
    assert not tape.is_used


@pytest.mark.parametrize("cotangent", [None, "x", np.ones(2), (1.0,), 1j])
def test_cotangent_unlike_the_value_is_refused(cotangent):
    forward, reverse = cz.autodiff_thunk(WITH, lambda x: x * x, cz.Active, cz.Active)
    tape, _, _ = forward(cz.Active(3.0))
    with pytest.raises(ShadowError):
        reverse(cz.Active(3.0), cotangent, tape)
    assert not tape.is_used


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: cz.autodiff_thunk(cz.Reverse, np.sum, cz.Active, cz.Active), "cannot be compiled|mode"),
        (lambda: cz.autodiff_thunk(cz.Reverse, square_into, cz.Const, cz.Const), "the mode"),
        (lambda: cz.autodiff_thunk(WITH, square_into, cz.Const, cz.Const(1.0)), "activity class"),
        (lambda: cz.autodiff(WITH, lambda x: x, cz.Active(2.0)), "split mode"),
        (lambda: halves_of_product()[0](cz.Active(X), cz.Active(1.0), 2), "made for Duplicated"),
        (lambda: halves_of_product()[0](X, cz.Active(1.0), 2), "made for Duplicated"),
        (lambda: halves_of_product()[0](cz.Duplicated(X, DX)), "1 arguments"),
    ],
)
def test_wrong_calls_are_refused(call, match):
    with pytest.raises(ActivityError, match=match):
        call()


def test_array_return_cannot_be_active():
    forward, _ = cz.autodiff_thunk(WITH, lambda x: x * x, cz.Active, cz.Duplicated)
    with pytest.raises(ActivityError, match="Duplicated"):
        forward(cz.Duplicated(X, DX))


def test_return_without_floats_is_constant_or_refused():
    for activity, error in ((cz.Active, ActivityError), (cz.Duplicated, ActivityError), (cz.Const, None)):
        forward, reverse = cz.autodiff_thunk(WITH, lambda x: x > 1.0, activity, cz.Active)
        if error is not None:
            with pytest.raises(error, match="no derivative"):
                forward(cz.Active(2.0))
        else:
            tape, value, shadow = forward(cz.Active(2.0))
            assert (value, shadow) == (True, None)
            assert reverse(cz.Active(2.0), tape) == (0.0,)


def test_every_pair_of_activities_and_returns_has_a_repr():
    forward, reverse = cz.autodiff_thunk(WITH, exponentials, cz.Duplicated, cz.Duplicated, cz.Active)
    assert "exponentials" in repr(forward)
    assert "exponentials" in repr(reverse)
    tape, *_ = forward(cz.Duplicated(X, DX), cz.Active(1.0))
    assert repr(tape) == "<fresh tape of exponentials>"


@pytest.mark.parametrize(("shift", "entering"), [(0, [4.0, 60.0, 100.0]), (1, [3241.0, 0.0, 0.0])])
def test_arguments_that_overlap_are_swept_with_shadows_that_do(shift, entering):
    base, shadow = np.array([2.0, 3.0, 4.0]), np.array([1.0, 10.0, 100.0])
    forward, reverse = cz.autodiff_thunk(WITH, square_into, cz.Const, cz.Duplicated, cz.Duplicated)
    arguments = cz.Duplicated(base[:2], shadow[:2]), cz.Duplicated(base[shift:][:2], shadow[shift:][:2])
    tape, _, _ = forward(*arguments)
    reverse(*arguments, tape)
    np.testing.assert_allclose(shadow, entering)
