"""Dictionaries, lists, named tuples and dataclasses as arguments: derivatives have their structure."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import CoenzymeError, ShadowError

Pair = namedtuple("Pair", "slope x")


@dataclass
class Model:
    pair: Pair
    layers: list[Any]
    activation: Any
    order: Any


def power(d):
    return (d["x"] ** d["p"]).sum()


def test_a_dictionary_of_an_array_and_a_number() -> None:
    x = np.array([1.0, 2.0])
    gradient = cz.grad(power)({"x": x, "p": 3.0})
    assert list(gradient) == ["x", "p"]
    np.testing.assert_allclose(gradient["x"], [3.0, 12.0], rtol=1e-13)
    np.testing.assert_allclose(gradient["p"], 5.545177444479562, rtol=1e-13)
    with_integer = cz.grad(power)({"x": x, "p": 3})
    np.testing.assert_allclose(with_integer["x"], [3.0, 12.0], rtol=1e-13)
    assert with_integer["p"] == 3


def test_a_tangent_and_a_pullback_of_a_dictionary() -> None:
    x = np.array([1.0, 2.0])
    y, y_dot = cz.jvp(power, ({"x": x, "p": 3.0},), ({"x": np.array([1.0, 0.5]), "p": 2.0},))
    assert y == 9.0
    np.testing.assert_allclose(y_dot, 3.0 + 6.0 + 2 * 5.545177444479562, rtol=1e-13)
    y, pullback = cz.vjp(power, {"x": x, "p": 3.0})
    assert y == 9.0
    (cotangent,) = pullback(10.0)
    np.testing.assert_allclose(cotangent["x"], [30.0, 120.0], rtol=1e-13)
    np.testing.assert_allclose(cotangent["p"], 55.45177444479562, rtol=1e-13)


def test_numbers_in_lists_and_text_pass_through() -> None:
    gradient = cz.grad(lambda d: d["a"] * d["b"][0])({"a": 2.0, "b": [3.0], "c": "text"})
    assert gradient == {"a": 3.0, "b": [2.0], "c": "text"}


def test_an_array_found_twice_has_one_gradient() -> None:
    x = np.array([1.0, 2.0])
    shared = {"u": x, "v": x}
    gradient = cz.grad(lambda d: (d["u"] * d["v"]).sum() + d["u"][0])(shared)
    assert gradient["u"] is gradient["v"]
    np.testing.assert_allclose(gradient["u"], [3.0, 4.0])


def test_a_dataclass_with_a_named_tuple_a_list_a_function_and_integers() -> None:
    def evaluate(model):
        total = model.pair.slope * model.pair.x.sum()
        for i in range(len(model.layers)):
            total += (model.layers[i] * model.order[0]).sum()
        return model.activation(total)

    def square(t):
        return t * t

    model = Model(Pair(2.0, np.array([1.0, 2.0])), [np.ones(2), np.arange(3.0)], square, np.array([3, 4]))
    value, gradient = cz.value_and_grad(evaluate)(model)
    total = 2.0 * 3.0 + 3 * 2.0 + 3 * 3.0
    assert value == total**2
    assert isinstance(gradient, Model)
    assert isinstance(gradient.pair, Pair)
    assert gradient.activation is square
    assert gradient.order is model.order
    np.testing.assert_allclose(gradient.pair.slope, 2 * total * 3.0)
    np.testing.assert_allclose(gradient.pair.x, 2 * total * 2.0)
    assert [layer.tolist() for layer in gradient.layers] == [[6 * total] * 2, [6 * total] * 3]


def test_what_a_function_writes_into_an_array_of_a_dictionary_is_written() -> None:
    def scaled(d):
        d["x"][:] *= d["s"]
        return d["x"].sum()

    x = np.array([1.0, 2.0])
    gradient = cz.grad(scaled)({"x": x, "s": 3.0})
    np.testing.assert_allclose(x, [3.0, 6.0])
    np.testing.assert_allclose(gradient["x"], [3.0, 3.0])
    assert gradient["s"] == 3.0


def test_a_plain_function_is_passed_beside_the_point() -> None:
    assert cz.grad(lambda g, x: g(x) * x, argnums=1)(lambda x: x * x, 3.0) == 27.0


def test_a_key_that_is_not_there_is_an_error() -> None:
    with pytest.raises(CoenzymeError, match="getitem"):
        cz.grad(lambda d: d["y"].sum())({"x": np.array([1.0, 2.0])})


def test_two_results_of_a_dictionary_are_seeded_apart() -> None:
    y, pullback = cz.vjp(lambda d: (d["x"] ** 2, d["x"] ** 3), {"x": 3.1})
    np.testing.assert_allclose(y, (3.1**2, 3.1**3))
    (cotangent,) = pullback((2.7, 0.2))
    np.testing.assert_allclose(cotangent["x"], 22.506, rtol=1e-12)


def test_a_list_of_numbers_has_a_list_of_derivatives() -> None:
    def total(items):
        found = 0.0
        for item in items:
            found += item * item
        return found

    assert cz.grad(total)([1.0, 2.0]) == [2.0, 4.0]


def test_tangents_of_a_dictionary_go_by_its_keys() -> None:
    def f(d):
        return d["a"] * d["a"] * d["b"]

    point = {"a": 2.0, "b": 3.0}
    assert cz.jvp(f, (point,), ({"b": 0.0, "a": 1.0},)) == (12.0, 12.0)
    for wrong in ({"a": 1.0}, {"a": 1.0, "c": 0.0}, (1.0, 0.0)):
        with pytest.raises(ShadowError, match="another structure"):
            cz.jvp(f, (point,), (wrong,))
