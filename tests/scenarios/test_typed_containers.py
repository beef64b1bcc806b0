"""Derivatives through `numba.typed.List` and `numba.typed.Dict`, made inside or passed as arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from numba import types
from numba.typed import Dict, List

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError, TapeError, UnsupportedIRError
from coenzyme.testing import check_derivatives

from .typed_containers import INSIDE, PASSED, stack_of_numbers

X = np.array([0.7, 1.3, -0.4, 2.1, 0.3])
Y = np.array([0.7, 1.3, -0.4])
STEP = 1e-6
QUICK = ("stack_of_numbers", "list_that_grows", "list_of_arrays", "dictionary_that_changes")


def _marked(function: Callable[..., Any], *rest: Any) -> Any:
    marks = [] if function.__name__ in QUICK else [pytest.mark.slow]
    return pytest.param(function, *rest, id=function.__name__, marks=marks)


@pytest.mark.parametrize("function", [_marked(f) for f in INSIDE])
def test_containers_made_inside_carry_derivatives(function: Callable[..., Any]) -> None:
    check_derivatives(function, X)


def test_containers_made_inside_carry_second_derivatives() -> None:
    v = np.array([0.3, -0.2, 0.5, 0.1, 0.9])
    gradient = cz.grad(stack_of_numbers)
    expected = (gradient(X + STEP * v) - gradient(X - STEP * v)) / (2 * STEP)
    np.testing.assert_allclose(cz.hvp(stack_of_numbers, X, v), expected, rtol=1e-7)


def many_entries(x, n):
    d = Dict.empty(types.int64, types.float64)
    for i in range(n):
        d[7 * i] = x * i
        if i % 3 == 2:
            del d[7 * i - 7]
    s = 0.0
    for k in range(0, 7 * n, 7):
        if k in d:
            s += d[k]
    return s * x + len(d)


@pytest.mark.parametrize("count", [50, 1000, 100_000])
def test_dictionaries_of_any_size_find_their_entries(count: int) -> None:
    kept = [i for i in range(count) if i % 3 != 1 or i + 1 >= count]
    value, tangent = cz.jvp(many_entries, (0.5, count), (1.0, None))
    assert value == pytest.approx(0.25 * sum(kept) + len(kept))
    assert tangent == pytest.approx(sum(kept))


# --- containers as arguments --------------------------------------------------------------------------------


def _leaves(x: Any) -> list[Any]:
    """Return lists, dictionaries and arrays of floats, each with the keys of its floats."""
    if isinstance(x, (List, Dict)):
        keys = list(x) if isinstance(x, Dict) else range(len(x))
        below = [leaf for k in keys for leaf in _leaves(x[k])]
        return [(x, [k for k in keys if isinstance(x[k], float)]), *below]
    if isinstance(x, tuple):
        return [leaf for part in x for leaf in _leaves(part)]
    return [(x, range(len(x)))] if isinstance(x, np.ndarray) else []


def _read(leaves: list[Any]) -> np.ndarray:
    return np.array([c[k] for c, keys in leaves for k in keys])


def _write(leaves: list[Any], values: np.ndarray) -> None:
    rest = iter(values)
    for c, keys in leaves:
        for k in keys:
            c[k] = next(rest)


def _gradient(function: Callable[..., Any], make: Callable[[], Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return differences with respect to the floats of the container, and to the array."""
    primal = numba.njit(function)
    point = _read(_leaves(make()))

    def value(p: np.ndarray, y: np.ndarray) -> float:
        container = make()
        _write(_leaves(container), p)
        return primal(container, y.copy())

    def slope(a: float, b: float) -> float:
        return (a - b) / (2 * STEP)

    by_items = [slope(value(point + e, Y), value(point - e, Y)) for e in STEP * np.eye(point.size)]
    by_array = [slope(value(point, Y + e), value(point, Y - e)) for e in STEP * np.eye(Y.size)]
    return np.array(by_items), np.array(by_array)


@pytest.mark.parametrize(("function", "make"), [_marked(*case) for case in PASSED])
def test_containers_passed_as_arguments_have_shadows(function: Callable[..., Any], make: Any) -> None:
    by_items, by_array = _gradient(function, make)
    primal = numba.njit(function)(make(), Y.copy())

    container, y = make(), Y.copy()
    shadow, dy = cz.make_zero(container), np.zeros_like(Y)
    leaves = _leaves(shadow)
    annotated = cz.Duplicated(container, shadow), cz.Duplicated(y, dy)
    _, value = cz.autodiff(cz.ReverseWithPrimal, function, *annotated)
    assert value == pytest.approx(primal)
    np.testing.assert_allclose(_read(leaves), by_items, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dy, by_array, rtol=1e-6, atol=1e-8)

    container, y = make(), Y.copy()
    tangent, ty = cz.make_zero(container), np.array([0.5, -0.3, 0.2])
    directions = np.linspace(-1.0, 1.0, by_items.size)
    _write(_leaves(tangent), directions)
    forward = cz.autodiff(cz.Forward, function, cz.Duplicated(container, tangent), cz.Duplicated(y, ty))
    assert forward == pytest.approx(by_items @ directions + by_array @ [0.5, -0.3, 0.2], rel=1e-7)
    assert len(tangent) == len(container)


def test_halves_keep_what_the_call_takes_out_of_a_container() -> None:
    function, make = next(case for case in PASSED if case[0].__name__ == "list_of_arrays")
    by_items, by_array = _gradient(function, make)
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitWithPrimal, function, cz.Active, cz.Duplicated, cz.Duplicated
    )
    container, shadow, dy = make(), cz.make_zero(make()), np.zeros_like(Y)
    leaves = _leaves(shadow)
    annotated = cz.Duplicated(container, shadow), cz.Duplicated(Y.copy(), dy)
    tape, _, _ = forward(*annotated)
    reverse(*annotated, 1.0, tape)
    np.testing.assert_allclose(_read(leaves), by_items, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dy, by_array, rtol=1e-6, atol=1e-8)

    tape, _, _ = forward(*annotated)
    shadow.pop()
    with pytest.raises(TapeError, match="has changed its length"):
        reverse(*annotated, 1.0, tape)


def weighted_sum(items, x):
    s = 0.0
    for item in items:
        s += np.sum(item * x[0])
    return s


def test_a_list_that_is_constant_is_read() -> None:
    weights = List([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    np.testing.assert_allclose(cz.grad(weighted_sum, argnums=1)(weights, Y), [10.0, 0.0, 0.0])


def test_one_array_in_a_list_twice_has_one_shadow() -> None:
    a = np.array([1.0, 2.0])
    items = List([a, a])
    shadow = cz.make_zero(items)
    cz.autodiff(cz.Reverse, weighted_sum, cz.Duplicated(items, shadow), cz.Const(Y))
    np.testing.assert_allclose(shadow[0], [1.4, 1.4])
    np.testing.assert_allclose(shadow[1], [1.4, 1.4])


def squares(x):
    items = List()
    for item in x:
        items.append(item * item)
    return items


def test_a_list_that_is_returned_has_a_tangent() -> None:
    value, tangent = cz.jvp(squares, (Y,), (np.ones(3),))
    np.testing.assert_allclose(list(value), Y * Y)
    np.testing.assert_allclose(list(tangent), 2 * Y)
    with pytest.raises(UnsupportedIRError, match="no cotangent of a container"):
        cz.vjp(squares, Y)


A = np.array([1.0, 2.0])
LISTED = List([A, A])
TWO = List([1.0, 2.0])


def _dictionary(*keys: int) -> Any:
    d = Dict.empty(types.int64, types.float64)
    for k in keys:
        d[k] = 1.0
    return d


def _with_a_hole() -> Any:
    d = _dictionary(1, 2, 3)
    del d[2]
    return d


@pytest.mark.parametrize(
    ("primal", "shadow", "message"),
    [
        (TWO, List([0.0]), "the primal has 2 items, its shadow has 1"),
        (TWO, TWO, "part of the primal and of the shadow"),
        (TWO, [0.0, 0.0], "its shadow is a list"),
        (TWO, List([1, 2]), "the primal has type"),
        (LISTED, List([A * 0, A * 0]), "their shadows do not share it likewise"),
        (List([A, A + 1.0]), cz.make_zero(LISTED), "shadows of different arrays share memory"),
        (LISTED, LISTED.copy(), "the shadow shares memory with the primal"),
        (List([A]), List([np.zeros(3)]), "its shadow has shape"),
        (List([TWO, TWO]), List([List([0.0, 0.0]), List([0.0, 0.0])]), "two in the shadow"),
        (_dictionary(1, 2), _dictionary(2, 1), "other keys than the primal"),
        (_with_a_hole(), _dictionary(1, 3), "entries were taken out"),
    ],
)
def test_a_shadow_of_another_structure_is_refused(primal: Any, shadow: Any, message: str) -> None:
    with pytest.raises(ShadowError, match=message):
        cz.autodiff(cz.Reverse, weighted_sum, cz.Duplicated(primal, shadow), cz.Const(Y))


def test_containers_that_share_memory_with_other_arguments_are_refused() -> None:
    for items, x in ((LISTED, A), (TWO, TWO)):
        annotated = cz.Duplicated(items, cz.make_zero(items)), cz.Const(x)
        with pytest.raises(ActivityError, match="share memory"):
            cz.autodiff(cz.Reverse, weighted_sum, *annotated)


def test_transforms_refuse_containers_and_say_what_to_use() -> None:
    with pytest.raises(UnsupportedIRError, match=r"autodiff alone[\s\S]*Duplicated"):
        cz.grad(weighted_sum)(TWO, Y)


def sum_of_a_set(x):
    found = set()
    for item in x:
        found.add(item * item)
    s = 0.0
    for item in found:
        s += item
    return s


def test_sets_of_active_numbers_are_refused() -> None:
    with pytest.raises(UnsupportedIRError, match=r"integer bits[\s\S]*test_typed_containers"):
        cz.grad(sum_of_a_set)(X)
