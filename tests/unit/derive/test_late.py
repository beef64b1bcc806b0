"""Shadows of what an iteration allocates for itself: allocated by its reverse sweep, where that is right."""

from __future__ import annotations

import re
from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.frontends.program import Status
from tests.property.machine import Machine
from tests.property.programs import (
    Array,
    Binary,
    Counter,
    Element,
    For,
    Program,
    Scope,
    SetElement,
    Unary,
    Whole,
)
from tests.property.watched import Watched
from tests.unit.derive.shapes import agree, gradients, made, plan_of

X = np.linspace(0.5, 1.5, 6)
Y = np.linspace(1.0, 2.0, 6)
IN_LOOPS = ALL_PASSES - {Pass.REPLAY, Pass.CONTRACT}
"""What is run again becomes a function of its own, and has no loop around it; what is computed where it is
read has no shadow."""


@nb.njit
def temporaries(x, y, n):
    total = 0.0
    for t in range(n):
        first = np.exp(x * y * (0.1 * t))
        second = first / (1.0 + first[0])
        total += (second * second).sum()
    return total


@nb.njit
def size_of_its_own(x, y, n):
    total = 0.0
    for t in range(n):
        row = np.empty(t)
        for j in range(t):
            row[j] = x[j % 6] * y[t % 6]
        total += np.sum(row * row)
    return total


@nb.njit
def state(x, y, n):
    h = np.zeros(6)
    for _ in range(n):
        g = x * (h + y)
        h = np.tanh(g) * 0.5 + h
    return np.sum(h * h)


@nb.njit
def last_one(x, y, n):
    kept = x * 1.0
    total = 0.0
    for t in range(n):
        new = x * y + t
        kept = new
        total += new.sum()
    return total + (kept * kept).sum()


@nb.njit
def in_a_branch(x, y, n):
    total = 0.0
    for t in range(n):
        if t % 2 == 0:
            new = np.sin(x * t)
            total += new.sum() * y[0]
    return total


@nb.njit
def left_early(x, y, n):
    total = 0.0
    for t in range(n):
        new = x * y + t
        if new[0] > 3.0:
            break
        total += (new * new).sum()
    return total


@nb.njit
def one_of_two(x, y, n):
    total = 0.0
    for t in range(n):
        first, second = x * y, np.sin(x) + y
        chosen = first if t % 2 == 0 else second
        chosen[0] += y[1]
        total += (chosen * first).sum() + second[0]
    return total


@nb.njit
def in_a_list(x, y, n):
    rows = [x * 1.0]
    total = 0.0
    for t in range(n):
        new = x * y * t
        rows.append(new * 2.0)
        total += (new * new).sum()
    for row in rows:
        total += (row * y).sum()
    return total


@nb.njit
def in_two_loops(x, y, n):
    total = 0.0
    for i in range(n):
        outer = x * (i + 1)
        for _ in range(i):
            inner = outer * y + np.cos(outer)
            total += (inner * inner).sum()
            outer = inner * 0.1
    return total


@nb.njit
def until_it_is_enough(x, y, n):
    total, i = 0.0, 0
    while total < 20.0 and i < n:
        new = x * x * y + 0.3
        total += new.sum()
        i += 1
    return total


@nb.njit
def refusing(x, y, n):
    total = 0.0
    for i in range(n):
        new = x * y * i
        if new[0] > 1.0:
            raise ValueError("too much")
        total += (new * new).sum()
    return total


ALL = [
    temporaries,
    size_of_its_own,
    state,
    last_one,
    in_a_branch,
    left_early,
    one_of_two,
    in_a_list,
    in_two_loops,
    until_it_is_enough,
]


def late(f: Any, *args: Any, **options: Any) -> int:
    """Return how many allocations have late shadows."""
    return len(plan_of(f, *args, **{"passes": IN_LOOPS, **options}).late.calls)


@pytest.mark.parametrize("f", [temporaries, size_of_its_own, in_two_loops])
def test_shadow_of_what_lives_for_an_iteration_is_allocated_in_its_reverse_sweep(f: Any) -> None:
    assert late(f, X, Y, 3) > 0
    assert late(f, X, Y, 3, passes=IN_LOOPS - {Pass.LATE}) == 0


def test_forward_sweep_allocates_no_late_shadow() -> None:
    derivative = made(temporaries, X, Y, 3, passes=IN_LOOPS)
    assert derivative.plan is not None
    text = derivative.text
    calls = derivative.plan.late.calls
    assert calls
    for call in calls:
        assert f"%{call.name}.shadow = " not in text
        assert re.search(rf"%{re.escape(call.name)}\.shadow\.late = alloca ptr", text)


@pytest.mark.parametrize(("f", "expected"), [(last_one, 0), (in_a_branch, 0), (left_early, 1)])
def test_shadow_of_what_outlives_an_iteration_or_is_not_in_all_of_them_is_not_late(
    f: Any, expected: int
) -> None:
    assert late(f, X, Y, 3) == expected


@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("f", [temporaries, one_of_two, in_two_loops, left_early])
def test_gradients_agree_with_the_plain_ones(f: Any, n: int) -> None:
    agree(f, X, Y, n)


@pytest.mark.slow
@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("f", ALL)
def test_gradients_of_all_agree_with_the_plain_ones(f: Any, n: int) -> None:
    agree(f, X, Y, n)


def test_error_in_an_iteration_is_raised() -> None:
    assert np.all(np.isfinite(gradients(refusing, X, Y, 2)[0]))
    with pytest.raises(ValueError, match="too much"):
        cz.autodiff(
            cz.Reverse,
            refusing,
            cz.Duplicated(X, np.zeros(6)),
            cz.Duplicated(Y, np.zeros(6)),
            cz.Const(9),
        )


W = Array("w")
SCRATCH = Scope(
    "w",
    True,
    Array("a"),
    (
        SetElement(W, Whole(1), "", Unary("sin", Binary("*", Element(W, Whole(2)), Element(W, Whole(1))))),
        SetElement(Array("a"), Whole(0), "+", Binary("*", Element(W, Whole(1)), Element(W, Whole(0)))),
    ),
)
REFUSING = """
define ptr @sometimes(i64 %bytes, i32 %alignment) {
  %probe = call ptr @watch.malloc(i64 8)
  %refused = icmp eq ptr %probe, null
  br i1 %refused, label %out, label %give

give:
  call void @watch.free(ptr %probe)
  %block = call ptr @NRT_MemInfo_alloc_aligned(i64 %bytes, i32 %alignment)
  br label %out

out:
  %given = phi ptr [ null, %0 ], [ %block, %give ]
  ret ptr %given
}
"""


def test_reverse_sweep_that_is_not_granted_memory_gives_back_what_it_has() -> None:
    loop = For("i", Whole(0), Counter("size"), 1, (SCRATCH,))
    machine = Machine(Program((loop,), Element(Array("a"), Whole(0)), n=4, m=2))
    text, count = re.subn(
        r"(%\S+ = call ptr) @NRT_MemInfo_alloc_aligned(?=.*\n *store ptr %\S+, ptr %\S+\.late)",
        r"\1 @sometimes",
        machine.text,
    )
    assert count > 0
    machine.code.close()
    machine.code = Watched(text + REFUSING, 1, small=False)
    try:
        y_bar = np.ones(machine.cells + 1)
        exact = machine.reverse(machine.point, y_bar)
        assert (exact.status, exact.leaked, exact.held) == (0, 0, 0)
        assert exact.asked >= 4
        for number in range(exact.asked):
            call = machine.reverse(machine.point, y_bar, fails=number)
            assert (call.status, call.leaked, call.held) == (Status.TAPE_EXHAUSTED, 0, 0)
    finally:
        machine.close()


@pytest.mark.slow
def test_several_directions_halves_and_second_derivatives_have_late_shadows() -> None:
    one = cz.grad(lambda x: temporaries(x, Y, 3))

    def run(x):
        return one(x)

    exact = run(X)
    value, pull = cz.vjp(lambda x: temporaries(x, Y, 3), X)
    assert value == pytest.approx(temporaries(X, Y, 3))
    assert pull(1.0)[0] == pytest.approx(exact)
    second = cz.hessian(lambda x: temporaries(x, Y, 3))(X)
    steps = np.eye(6) * 1e-6
    approximate = np.array([(run(X + s) - run(X - s)) / 2e-6 for s in steps])
    assert second == pytest.approx(approximate, rel=1e-6, abs=1e-6)
