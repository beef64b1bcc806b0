"""Right rules pass in every mode; each way of getting one wrong is shown to be noticed, and said where."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numba as nb
import numpy as np
import pytest

from coenzyme.errors import ActivityError
from coenzyme.frontends.numba_rules import NumbaRule, keep
from coenzyme.testing import DerivativeMismatchError, check_rule

X = np.array([1.0, -2.0, 0.5])
SCALE = np.array([3.0, 1.0, 2.0])
OFF = 1.0 + 1e-6


def ruled(*, forward: float = 1.0, reverse: float = 1.0, saves: bool = True, adds: bool = True) -> Any:
    """Return the function x, s → s x² with a rule; if it is wrong by a factor, by the second entry of x."""

    # Loops, not expressions of arrays, which take longer to compile.
    def squares(x, s):
        y = np.empty(x.size)
        for i in range(x.size):
            y[i] = s[i] * x[i] * x[i]
        return y

    def push(x, s, dx, ds):
        y, y_dot = np.empty(x.size), np.zeros(x.size)
        for i in range(x.size):
            y[i] = s[i] * x[i] * x[i]
            if dx is not None:
                y_dot[i] += 2.0 * s[i] * x[i] * dx[i] * (forward if i == 1 else 1.0)
            if ds is not None:
                y_dot[i] += x[i] * x[i] * ds[i]
        return y, y_dot

    def augmented(x, s, dx, ds):
        y = np.empty(x.size)
        for i in range(x.size):
            y[i] = s[i] * x[i] * x[i]
        return y, np.zeros(x.size), (x.copy(), s.copy()) if saves else (x, s)

    def pull(x, s, dx, ds, y_bar, saved):
        x0, s0 = saved
        for i in range(x0.size):
            if dx is not None:
                x_bar = 2.0 * s0[i] * x0[i] * y_bar[i] * (reverse if i == 1 else 1.0)
                dx[i] = dx[i] + x_bar if adds else x_bar
            if ds is not None:
                ds[i] += x0[i] * x0[i] * y_bar[i]

    return keep(squares, NumbaRule(push, augmented, pull))


@pytest.mark.slow
def test_a_right_rule_passes_in_every_mode() -> None:
    report = check_rule(ruled(), X, SCALE, seed=1, widths=[3])
    assert report
    assert report.conclusive
    assert report.missing == ()
    for mode in (
        "forward, width 3",
        "reverse, width 3",
        "split reverse",
        "overwritten",
        "unused",
        "s constant",
    ):
        assert any(mode in c.check for c in report.comparisons), mode
    assert "(seed=1)" in str(report)


def refused(f: Any, *args: Any, **options: Any) -> DerivativeMismatchError:
    with pytest.raises(DerivativeMismatchError) as caught:
        check_rule(f, *args, seed=1, **options)
    return caught.value


def test_a_tangent_wrong_by_a_millionth_is_rejected() -> None:
    error = refused(ruled(forward=OFF), X, SCALE, modes=["forward"], widths=[1])
    assert error.report is not None
    wrong = [c for c in error.report.mismatches if c.argument]
    assert {c.argument + c.entry for c in wrong} == {"x[1]"}
    (found,) = wrong
    # What is off is a millionth of the partial derivative -4, weighted by something between 0.5 and 1.5.
    assert 2e-6 <= found.expected - found.got <= 6e-6
    assert found.error is not None
    assert found.error < 1e-9
    assert re.search(
        r"x\[1\]: expected -.*, got -.*estimated error .*\(value\[1\]: expected -4, got -4", str(error)
    )


def test_a_cotangent_wrong_by_a_millionth_is_rejected() -> None:
    error = refused(ruled(reverse=OFF), X, SCALE, modes=["forward", "reverse"], widths=[1])
    assert error.report is not None
    assert {c.argument + c.entry for c in error.report.mismatches} == {"", "x[1]"}
    assert all(c.check.startswith("reverse") for c in error.report.mismatches)
    assert any(c.check.endswith("against forward") for c in error.report.mismatches)


@pytest.mark.parametrize("mode", [pytest.param("split", marks=pytest.mark.slow), "overwritten"])
def test_a_save_that_was_forgotten_is_noticed(mode: str) -> None:
    forgetful = ruled(saves=False)
    assert check_rule(forgetful, X, SCALE, seed=1, modes=["reverse"], widths=[1])
    error = refused(forgetful, X, SCALE, modes=[mode], widths=[1])
    assert error.report is not None
    assert {c.argument for c in error.report.mismatches} == {"", "x", "s"}


def test_a_cotangent_that_is_written_where_it_should_be_added_is_noticed() -> None:
    error = refused(ruled(adds=False), X, SCALE, modes=["reverse"], widths=[1])
    assert error.report is not None
    assert {c.argument for c in error.report.mismatches} == {"", "x"}


class Model(NamedTuple):
    rate: float
    offsets: Any


@nb.njit
def step(state, model, count, places):
    """Overwrite the state, count the calls, and return several things."""
    for k in range(count):
        state[k] = model.rate * np.sin(state[k]) + model.offsets[0][k]
    places[0] += 1
    return state[0] * model.rate, (state * 2.0, count), model.offsets[1]


@pytest.mark.slow
def test_functions_of_tuples_with_several_results_are_checked() -> None:
    model = Model(0.7, (np.array([0.1, 0.2]), 1.5 + 0.5j))
    places = np.zeros(3, np.int64)
    report = check_rule(step, np.array([1.0, 2.0]), model, 2, places, seed=2, modes=["forward", "split"])
    assert report.conclusive
    assert places[0] == 0
    names = {c.argument + c.entry for c in report.comparisons}
    assert {"state[1]", "model.rate", "model.offsets[0][1]", "model.offsets[1].imag"} <= names


def test_arrays_that_are_one_are_overwritten_together() -> None:
    def product(x, y):
        total = 0.0
        for i in range(x.size):
            total += x[i] * y[i] * y[i]
        return total

    x = np.array([1.0, 2.0, 3.0])
    assert check_rule(product, x, x, seed=1, widths=[1], modes=["reverse", "overwritten"])


def test_single_precision_is_checked_against_a_reference() -> None:
    def area(x):
        return x[0] * x[1]

    report = check_rule(
        area,
        np.array([2.0, 3.0], np.float32),
        seed=1,
        widths=[1],
        modes=["forward", "reverse"],
        reference=area,
    )
    assert report.conclusive


def test_seeds_are_drawn_and_told() -> None:
    def square(x):
        return x * x

    one, other = (check_rule(square, 3.0, modes=["forward"], widths=[1]) for _ in range(2))
    assert one.seed != other.seed
    again = check_rule(square, 3.0, modes=["forward"], widths=[1], seed=one.seed)
    assert again == one


@pytest.mark.parametrize(
    ("args", "options", "problem"),
    [
        (
            (1.0,),
            {"modes": ["unused", "constant"]},
            "nothing was compared: unused: the function has no array",
        ),
        ((1.0,), {"modes": ["sideways"]}, "no mode 'sideways'"),
        ((1.0,), {"modes": []}, "no mode was asked for"),
        ((3,), {}, "nothing to differentiate"),
        (([1.0, 2.0],), {}, "a list of numbers"),
    ],
)
def test_what_cannot_be_checked_is_refused(args: Any, options: Any, problem: str) -> None:
    with pytest.raises(ActivityError, match=problem):
        check_rule(lambda x: x, *args, **options)
