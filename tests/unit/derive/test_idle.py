"""Loops and branches with nothing to reverse leave no trace; those in which anything is active do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.testing import check_derivatives
from tests.unit.derive.shapes import agree, plan_of

X = np.linspace(0.5, 1.2, 8)


def bits_in_reverse(x):
    for i in range(x.size):
        j, left = 0, i
        while left > 0:
            j = 2 * j + (left & 1)
            left //= 2
        x[j % x.size] = x[i] * x[j % x.size]


def count_by_cases(x, k):
    s = 0.0
    for i in range(x.size):
        n = 0
        if i & 1:
            n = 2
            if i > k:
                n = 3
        elif i & 2:
            n = 1
        s = s * x[n] + x[i]
        x[n] = s
    return s


def nested_searches(x, k):
    s = 1.0
    for i in range(x.size):
        found = -1
        for a in range(1, i + 2):
            for b in range(a):
                if a * b == i + k:
                    found = b
                    break
            if found >= 0:
                break
        s = s * x[found] + x[i]
    return s


def search_among_numbers(x, k):
    s = 0.0
    for i in range(x.size):
        j = 0
        while x[j] < 0.1 * (i + k) and j < x.size - 1:
            j += 1
        s += x[i] * x[j] * s + x[i]
    return s


def loop_with_a_table(x, k):
    places = np.zeros(8, np.int64)
    s = 0.0
    for i in range(x.size):
        for j in range(i):
            places[j] = (places[j] + i * k) % 7
        s = x[places[i % 3]] * s + x[i]
    return s


def branch_with_work(x, k):
    s = 1.0
    for i in range(x.size):
        j = i
        while j > 2:
            j -= 2
            if j == k:
                s = s * x[j]
        s += x[i] * s
    return s


def branch_that_chooses_a_number(x, k):
    s = 1.0
    for i in range(x.size):
        y = x[i]
        if i * k % 3 == 0:
            y = math.sin(x[0])
        elif i * k % 3 == 1:
            y = math.exp(s)
        s = 0.5 * s * y
    return s


def loop_that_raises_or_returns(x, k):
    s = 1.0
    for i in range(x.size):
        j = 0
        while True:
            j += 1
            if j > 40:
                raise ValueError
            if j * k > 3 * i:
                break
        if j > 20:
            return s * x[j % 8]
        s = s * x[j % 8] + x[i]
    return s


PROGRAMS: list[tuple[Any, tuple[Any, ...]]] = [
    (bits_in_reverse, (X,)),
    (count_by_cases, (X, 4)),
    (nested_searches, (X, 1)),
    (search_among_numbers, (X, 5)),
    (loop_with_a_table, (X, 3)),
    (branch_with_work, (X, 2)),
    (branch_that_chooses_a_number, (X, 2)),
    (loop_that_raises_or_returns, (X, 2)),
]


def recorded(f: Any, *args: Any, **options: Any) -> int:
    """Return how many bytes iterations tape of what is no number."""
    tape = plan_of(f, *args, **options).tape
    return sum(
        frame.size - sum(8 for value in frame.fields if value.type.is_float) for frame in tape.frames.values()
    )


@pytest.mark.parametrize(("f", "args"), [(bits_in_reverse, (X,)), (nested_searches, (X, 1))])
def test_what_happens_where_nothing_is_active_is_not_recorded(f: Any, args: tuple[Any, ...]) -> None:
    assert recorded(f, *args) < recorded(f, *args, passes=ALL_PASSES - {Pass.IDLE})


def test_loops_and_branches_with_work_are_recorded() -> None:
    plan = plan_of(branch_with_work, X, 2)
    assert len(plan.shape.counted) == 2
    assert not plan.idle.loops
    plan = plan_of(branch_that_chooses_a_number, X, 2)
    assert plan.merges
    assert not plan.idle.merges


@pytest.mark.parametrize(
    ("f", "args"),
    [
        pytest.param(*program, marks=[] if n in (0, 2, 5, 7) else pytest.mark.slow, id=program[0].__name__)
        for n, program in enumerate(PROGRAMS)
    ],
)
def test_derivatives_agree_with_those_of_the_plain_plan(f: Any, args: tuple[Any, ...]) -> None:
    agree(f, *args)
    check_derivatives(f, *args)
