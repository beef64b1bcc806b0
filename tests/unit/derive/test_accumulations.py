"""Sums and windows of adjoints in registers, and loops without order: where they apply, and where not."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.derive.accumulations import Accumulations, Sum, Window
from tests.unit.derive.shapes import agree, plan_of

X = np.linspace(0.5, 1.5, 9)
Y = np.linspace(1.0, 2.0, 9)


@nb.njit
def stencil(x, y):
    for i in range(1, x.size - 1):
        y[i] = 0.25 * x[i - 1] + x[i] * x[i] + np.sin(x[i + 1])


@nb.njit
def scaled(x, y):
    for i in range(1, x.size):
        y[i] = x[0] * y[i]


@nb.njit
def in_place(x, y):
    for i in range(1, x.size - 1):
        x[i] = x[i - 1] + y[i] * x[i + 1]


@nb.njit
def under_condition(x, y):
    for i in range(1, x.size - 1):
        if y[i] > 1.4:
            y[i] = x[i - 1] * x[i] * x[i + 1]


@nb.njit
def far_apart(x, y):
    for i in range(x.size // 2):
        y[i] = x[i] * x[i + 5000]


@nb.njit
def strided(x, y):
    for i in range(1, x.size // 2):
        y[i] = x[2 * i - 2] * x[2 * i] + x[2 * i - 1]


@nb.njit
def backward(x, y):
    for i in range(x.size - 2, 0, -1):
        y[i] = x[i - 1] * x[i] + x[i + 1]


@nb.njit
def carried(x, y):
    s = 1.0
    for i in range(x.size):
        s = s * x[i] + y[0]
    return s


@nb.njit
def left_early(x, y):
    total = 0.0
    for i in range(1, x.size - 1):
        if y[i] > 1.7:
            break
        total += x[i - 1] * x[i + 1]
    return total


@nb.njit
def by_index(x, y):
    total = 0.0
    for i in range(x.size):
        k = (i * 5) % x.size
        total += x[k] * y[i]
    return total


def found(f: Any, *args: Any, **options: Any) -> Accumulations:
    return plan_of(f, *args, **options).accumulations


def groups(f: Any, *args: Any, **options: Any) -> list[Sum | Window]:
    return [group for members in found(f, *args, **options).groups.values() for group in members]


def windows(f: Any, *args: Any) -> list[Window]:
    return [group for group in groups(f, *args) if isinstance(group, Window)]


def test_neighbours_are_gathered_in_a_window() -> None:
    (window,) = windows(stencil, X, Y)
    assert window.last - window.first == 2
    assert window.stride == 8
    assert len(found(stencil, X, Y).orderless) == 1
    agree(stencil, X, Y)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_short_loops_leave_nothing_in_registers(size: int) -> None:
    agree(stencil, X[:size].copy(), Y[:size].copy())


@pytest.mark.parametrize("f", [strided, backward])
def test_windows_in_other_steps(f: Any) -> None:
    (window,) = windows(f, X, Y)
    assert abs(window.stride) == (16 if f is strided else 8)
    agree(f, X, Y)


def test_one_cell_is_summed_in_a_register() -> None:
    # Where it is known that the arrays do not overlap, the load is taken out of the loop itself.
    passes = ALL_PASSES - {Pass.APART, Pass.INVARIANT}
    assert [type(group) for group in groups(scaled, X, Y, passes=passes)] == [Sum]
    assert groups(scaled, X, Y, disjoint=False) == []
    agree(scaled, X, Y, passes=passes)


def test_arrays_that_may_overlap_have_no_windows_where_one_is_written() -> None:
    assert groups(stencil, X, Y, disjoint=False) == []
    assert found(stencil, X, Y, disjoint=False).orderless == frozenset()


def test_what_the_loop_writes_itself_is_neither_gathered_nor_without_order() -> None:
    assert not any(isinstance(group, Window) for group in groups(in_place, X, Y))
    assert found(in_place, X, Y).orderless == frozenset()


def test_what_is_read_in_some_iterations_only_is_not_gathered() -> None:
    assert windows(under_condition, X, Y) == []


def test_neighbours_too_far_apart_are_not_gathered() -> None:
    assert windows(far_apart, X, Y) == []


def test_values_carried_from_one_iteration_to_the_next_keep_the_order() -> None:
    assert found(carried, X, Y).orderless == frozenset()


def test_loops_that_are_left_early_have_neither() -> None:
    assert groups(left_early, X, Y) == []
    assert found(left_early, X, Y).orderless == frozenset()


def test_subscripts_that_are_not_linear_have_no_windows_and_leave_the_loop_its_direction() -> None:
    assert windows(by_index, X, Y) == []
    assert found(by_index, X, Y).orderless == frozenset()


def test_each_can_be_left_out() -> None:
    without = found(stencil, X, Y, passes=ALL_PASSES - {Pass.GATHER})
    assert without.groups == {}
    assert without.orderless
    ordered = found(stencil, X, Y, passes=ALL_PASSES - {Pass.ORDERLESS})
    assert ordered.groups
    assert ordered.orderless == frozenset()


@pytest.mark.slow
@pytest.mark.parametrize("f", [in_place, under_condition, carried, left_early, by_index])
def test_what_is_not_gathered_has_the_derivative_of_the_plain_plan(f: Any) -> None:
    agree(f, X, Y)


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [Pass.GATHER, Pass.ORDERLESS])
def test_each_alone_has_the_derivative_of_the_plain_plan(left_out: Pass) -> None:
    agree(stencil, X, Y, passes=ALL_PASSES - {left_out})
    agree(stencil, X, Y, disjoint=False)
