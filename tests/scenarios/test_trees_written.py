"""Fields and items that a function assigns to: written back, with the derivatives of a write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import CoenzymeError, UnsupportedIRError


@dataclass
class State:
    count: int
    x: float
    w: Any


@nb.njit
def step(state, t):
    state.count += 1
    state.x = state.x * state.x * t


def run(state, t):
    for _ in range(2):
        step(state, t)
    return state.x * state.w[0] + state.count


T, START = 1.1, 1.5
MIDDLE = START * START * T
END = MIDDLE * MIDDLE * T
SLOPE = (2 * MIDDLE * T) * (2 * START * T)
"""Of the last x by the first."""


def make() -> State:
    return State(0, START, np.array([2.0, 3.0]))


def check_written(state: State) -> None:
    assert (state.count, type(state.count)) == (2, int)
    assert (state.x, type(state.x)) == (pytest.approx(END), float)


def test_fields_are_written_back_and_their_gradient_is_that_of_the_first_value():
    for _ in range(2):  # the second call goes by the plan of the first
        state = make()
        value, gradient = cz.value_and_grad(run)(state, T)
        check_written(state)
        assert value == pytest.approx(2 * END + 2)
        assert gradient.x == pytest.approx(2 * SLOPE)
        np.testing.assert_allclose(gradient.w, [END, 0.0])


def test_fields_are_written_back_in_forward_mode():
    state = make()
    y, y_dot = cz.jvp(run, (state, T), (State(0, 1.0, np.zeros(2)), 0.0))
    check_written(state)
    assert (y, y_dot) == pytest.approx((2 * END + 2, 2 * SLOPE))
    state, tangent = make(), cz.make_zero(make())
    tangent.x = 1.0
    assert cz.autodiff(cz.Forward, run, cz.Duplicated(state, tangent), T) == pytest.approx(2 * SLOPE)
    check_written(state)
    assert tangent.x == pytest.approx(SLOPE)


def test_pullbacks_know_the_values_before_the_call():
    state = make()
    y, pullback = cz.vjp(run, state, T)
    check_written(state)
    for seed in (1.0, 2.0):
        assert pullback(seed)[0].x == pytest.approx(seed * 2 * SLOPE)
    assert y == pytest.approx(2 * END + 2)


def test_shadows_enter_as_cotangents_of_what_is_left_behind():
    state, shadow = make(), cz.make_zero(make())
    shadow.x = 10.0
    cz.autodiff(cz.Reverse, run, cz.Duplicated(state, shadow), T)
    check_written(state)
    assert shadow.x == pytest.approx(12 * SLOPE)
    state, shadow = make(), cz.make_zero(make())
    forward, reverse = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, run, cz.Active, cz.Duplicated, cz.Const)
    tape, _, _ = forward(cz.Duplicated(state, shadow), cz.Const(T))
    check_written(state)
    shadow.x += 10.0
    reverse(cz.Duplicated(state, shadow), cz.Const(T), 1.0, tape)
    assert shadow.x == pytest.approx(12 * SLOPE)


def test_items_of_dictionaries_are_written_back():
    def f(d):
        d["k"] *= d["w"][1]
        d["n"] += 1
        d["w"][...] *= 2.0
        return d["k"] * d["k"] * d["n"] + d["w"][0]

    state = {"k": 1.5, "n": 1, "w": np.array([2.0, 3.0]), "name": "a"}
    value, gradient = cz.value_and_grad(f)(state)
    assert (state["k"], state["n"], state["name"]) == (4.5, 2, "a")
    np.testing.assert_allclose(state["w"], [4.0, 6.0])
    assert value == 4.5**2 * 2 + 4.0
    assert gradient["k"] == pytest.approx(2 * 4.5 * 2 * 3.0)
    np.testing.assert_allclose(gradient["w"], [2.0, 2 * 4.5 * 2 * 1.5])


def test_weights_are_changed_in_place_deep_inside():
    def train(model, rate):
        model.w[0]["weight"][...] -= rate * model.w[0]["weight"]
        return (model.w[0]["weight"] * model.w[0]["weight"]).sum()

    weight = np.array([1.0, 2.0])
    gradient, by_rate = cz.grad(train, argnums=(0, 1))(State(0, 1.0, [{"weight": weight}]), 0.1)
    np.testing.assert_allclose(weight, [0.9, 1.8])
    np.testing.assert_allclose(gradient.w[0]["weight"], 2 * 0.81 * np.array([1.0, 2.0]))
    assert by_rate == pytest.approx(-2 * 0.9 * 5.0)


def test_one_object_in_two_places_is_written_once():
    def f(pair):
        pair[0].x = pair[0].x * 3.0
        return pair[1].x * pair[0].x

    state = make()
    gradient = cz.grad(f)([state, state])
    assert state.x == 4.5
    assert gradient[0] is gradient[1]
    assert gradient[0].x == pytest.approx(2 * 9.0 * START)


def rebind(state):
    state.w = state.w * 2.0
    return state.w[0]


def to_float(state):
    state.count = state.count + 0.5
    return state.x


def to_complex(state):
    state.x = state.x * 1j
    return state.w[0]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (rebind, "'w', which is no number"),
        (to_float, "float64 to 'count'"),
        (to_complex, "complex128 to 'x'"),
    ],
)
def test_assignments_that_cannot_be_made_are_refused(function, words):
    state = make()
    with pytest.raises(UnsupportedIRError, match=words):
        cz.grad(function)(state)
    assert (state.count, state.x) == (0, START)


@dataclass(frozen=True)
class Frozen:
    x: float


def test_what_python_would_not_assign_to_is_refused():
    def f(m):
        m.x = m.x * 2.0
        return m.x

    with pytest.raises(CoenzymeError, match="'x' of a Frozen"):
        cz.grad(f)(Frozen(1.0))

    def add(d):
        d["new"] = 1.0
        return d["x"]

    with pytest.raises(CoenzymeError, match="adds 'new' to a dictionary"):
        cz.grad(add)({"x": 1.0})

    def replace(items):
        items[0] = 2.0
        return items[1]

    with pytest.raises(CoenzymeError, match=r"setitem|is not differentiated"):
        cz.grad(replace)([1.0, 2.0, "text"])


def test_what_a_function_wrote_before_it_raised_is_written_back():
    def f(state):
        state.count = 7
        if state.x > 0.0:
            raise ValueError("positive")
        return state.x

    state = make()
    with pytest.raises(ValueError, match="positive"):
        cz.grad(f)(state)
    assert state.count == 7
