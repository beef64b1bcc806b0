"""Tapes that begin in the stack frame of the derivative."""

from __future__ import annotations

import re
from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme import engine
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.derive.nearby import LEAST, MOST, begin_nearby
from coenzyme.derive.runtime import STACK
from coenzyme.frontends.program import ArgumentActivity, Mode
from coenzyme.ir.builder import const_int
from coenzyme.ir.instructions import Alloca
from coenzyme.ir.types import I32
from tests.unit.derive.shapes import agree, made

X = np.array([0.4, 0.9, 0.7])
BEGINS = re.compile(r"%\S*tape\.begin\S* = alloca \[(\d+) x i64\]")


@nb.njit
def recurrence(x, n):
    y = x[0]
    for i in range(n):
        y = np.sin(y * x[i % 3]) + 0.1 * y
    return y


@nb.njit
def until(x, bound):
    """Go on for as long as a number that is computed says, a frame for each iteration."""
    y, steps = x[0], 0
    while y < bound:
        y = y * 1.01 + 0.01 * np.cos(y) * x[steps % 3]
        steps += 1
    return y * x[1]


@nb.njit
def nested(x, n):
    total = 0.0
    for i in range(n):
        y = x[i % 3]
        for j in range(i % 7):
            y = np.exp(-y * x[j % 3]) + y * y
        total += y
    return total


@nb.njit
def raising(x, n):
    y = x[0]
    for i in range(n):
        y = np.sin(y) * x[i % 3]
        if i == 700:
            raise ValueError("far enough")
    return y


@nb.njit
def recursive(x, n):
    y = 0.0
    for i in range(3):
        y += np.sin(y * x[i] + n)
    if n > 0:
        y += recursive(x, n - 1)
    return y * y


def bytes_of(text: str) -> list[int]:
    return [8 * int(words) for words in BEGINS.findall(text)]


@pytest.mark.parametrize("f", [recurrence, nested])
def test_tapes_of_a_derivative_in_one_piece_begin_in_its_frame(f: Any) -> None:
    sizes = bytes_of(made(f, X, 3).text)
    assert sizes
    assert LEAST <= min(sizes) <= sum(sizes) <= MOST
    assert not bytes_of(made(f, X, 3, passes=ALL_PASSES - {Pass.NEARBY}).text)
    assert not bytes_of(made(f, X, 3, passes=NO_PASSES).text)


def test_tapes_with_a_limit_and_tapes_of_halves_take_their_memory_elsewhere() -> None:
    kinds, active = (nb.typeof(X), nb.int64), (ArgumentActivity.DUPLICATED, ArgumentActivity.CONST)
    options = engine.Options(memory_limit=1 << 20)
    limited = engine.derivative(recurrence, kinds, active, Mode.REVERSE, True, options)
    halves = engine.split_derivative(recurrence, kinds, active, return_active=True, seeded=True)
    assert not bytes_of(limited.text)
    assert not bytes_of(halves.text)


def test_functions_that_recurse_take_no_frames_from_deep_down() -> None:
    text = made(recursive, X, 3).text
    halves = [
        f for f in text.split("\ndefine ")[1:] if re.search(r"\.(augmented|reverse)\b", f.splitlines()[0])
    ]
    assert len(halves) > 1
    assert not any(bytes_of(half) for half in halves)


def test_many_tapes_share_the_frame_and_too_many_get_none_of_it() -> None:
    def sizes(count: int) -> list[int]:
        stacks = [Alloca(STACK, const_int(I32, 1), f"stack{n}") for n in range(count)]
        begins = (i for i in begin_nearby(stacks) if isinstance(i, Alloca))
        return [8 * int(str(i.allocated_type).split()[0].strip("[")) for i in begins]

    assert sizes(0) == []
    assert sizes(1) == [MOST]
    assert sizes(5) == [768] * 5
    assert sizes(MOST // LEAST) == [LEAST] * (MOST // LEAST)
    assert sizes(MOST // LEAST + 1) == []


@pytest.mark.parametrize("n", [0, 1, 5, 511, 512, 513, 600, 20_000])
def test_derivatives_are_those_of_the_plain_plan_on_both_sides_of_the_frame(n: int) -> None:
    agree(recurrence, X, n)


@pytest.mark.parametrize("n", [0, 1, 40, 2000])
def test_nested_loops_push_frames_on_both_sides_of_it(n: int) -> None:
    agree(nested, X, n)


@pytest.mark.parametrize("bound", [0.1, 0.5, 1.5, 400.0, 1e8])
def test_frame_by_frame_it_is_left_and_come_back_to(bound: float) -> None:
    agree(until, X, bound)


def test_what_was_taken_beyond_the_frame_is_given_back_after_an_error() -> None:
    expected = cz.grad(raising)(X, 600)
    with cz.debug.tape_everything():
        np.testing.assert_allclose(cz.grad(raising)(X, 600), expected, rtol=1e-11)
    for _ in range(30):
        with pytest.raises(ValueError, match="far enough"):
            cz.grad(raising)(X, 5000)
        np.testing.assert_array_equal(cz.grad(raising)(X, 600), expected)


@pytest.mark.slow
def test_several_directions_begin_in_one_frame() -> None:
    kind = cz.Reverse.replace(width=2)
    for n in (3, 2000):
        shadows = tuple(np.zeros(3) for _ in range(2))
        cz.autodiff(kind, recurrence, cz.BatchDuplicated(X, shadows), cz.Const(n))
        for shadow in shadows:
            np.testing.assert_allclose(shadow, cz.grad(recurrence)(X, n), rtol=1e-12)
