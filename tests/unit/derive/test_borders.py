"""Periodic grids: which nests are taken apart, and that nothing but time changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pytest
from numpy.typing import NDArray

from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.derive import border_text, row_text
from tests.unit.derive.shapes import agree, gradients, made, plan_of


@pytest.fixture(autouse=True)
def short_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows of any length be taken apart: no function here is differentiated anywhere else."""
    monkeypatch.setattr(border_text, "_SHORTEST", 1)
    monkeypatch.setattr(row_text, "SHORTEST", 1)


def grid(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.1, 1.0, shape)


def parts(f: Callable[..., Any], *args: Any, **options: Any) -> set[str]:
    """Return the parts that nests are taken apart into."""
    blocks = [block.name for block in plan_of(f, *args, **options).shape.function.blocks]
    return {
        part for part in ("inside", "first", "last") for name in blocks if name.endswith(f".{part}.enter")
    }


def all_sizes(f: Callable[..., Any], *rest: Any) -> None:
    """Compare derivatives on grids that have an inside, and on some that have none."""
    for shape in ((6, 7), (1, 1), (2, 2), (3, 3), (1, 5), (5, 1), (2, 6), (6, 2), (3, 9), (12, 20)):
        agree(f, grid(*shape), grid(*shape, seed=1), *rest)


@nb.njit
def five_points(u, r):
    n, m = u.shape
    for i in range(n):
        above = i - 1 if i > 0 else n - 1
        below = i + 1 if i < n - 1 else 0
        for j in range(m):
            left = j - 1 if j > 0 else m - 1
            right = j + 1 if j < m - 1 else 0
            c = u[i, j]
            r[i, j] = c * c + 2 * u[above, j] + 3 * u[below, j] + 4 * u[i, left] + 5 * u[i, right]


@nb.njit
def steps_in_place(u, r, steps):
    for _ in range(steps):
        five_points(u, r)
        for i in range(u.shape[0]):
            for j in range(u.shape[1]):
                u[i, j] += 0.01 * r[i, j]


@nb.njit
def along_rows(u, r):
    n, m = u.shape
    for i in range(n):
        for j in range(m):
            right = j + 1 if j < m - 1 else 0
            r[i, j] = u[i, j] * u[i, right]


@nb.njit
def across_rows(u, r):
    n, m = u.shape
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(m):
            r[i, j] = u[i, j] * u[below, j]


@nb.njit
def by_equality(u, r):
    n, m = u.shape
    for i in range(n):
        below = 0 if i == n - 1 else i + 1
        for j in range(m):
            right = 0 if j == m - 1 else j + 1
            r[i, j] = np.sin(u[i, j]) * u[below, right]


@nb.njit
def negative_subscripts(u, r):
    n, m = u.shape
    for i in range(n):
        for j in range(m):
            r[i, j] = u[i, j] * u[i - 1, j - 1]


@nb.njit
def square_by_rows(u, r):
    n = u.shape[0]
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(n):
            right = j + 1 if j < n - 1 else 0
            r[i, j] = u[below, j] * u[i, right]


@nb.njit
def in_place(u, r):
    n, m = u.shape
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(m):
            right = j + 1 if j < m - 1 else 0
            u[i, j] = u[i, j] + 0.1 * u[below, j] * u[i, right] + r[i, j]


@nb.njit
def one_row(u, r):
    n, m = u.shape
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(m):
            right = j + 1 if j < m - 1 else 0
            r[0, j] = u[below, j] * u[i, right]


@nb.njit
def each_cell_twice(u, r):
    n, m = u.shape
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(m - 1):
            right = j + 1 if j < m - 2 else 0
            r[i, j] = u[below, j] * u[i, right]
            r[i, j + 1] = u[below, j] + 2 * u[i, right]


@nb.njit
def running_sum(u, r):
    n, m = u.shape
    total = 0.0
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(m):
            right = j + 1 if j < m - 1 else 0
            r[i, j] = u[below, j] * u[i, right]
            total += u[below, right] * u[i, j]
    return total


@nb.njit
def raising(u, r):
    n, m = u.shape
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(m):
            right = j + 1 if j < m - 1 else 0
            if u[i, j] > 2.0:
                raise ValueError
            r[i, j] = u[below, j] * u[i, right]


@nb.njit
def clipped(u, r):
    n, m = u.shape
    for i in range(n):
        below = min(i + 1, n - 1)
        for j in range(m):
            right = min(j + 1, m - 1)
            r[i, j] = u[i, j] * u[below, right]


@nb.njit
def another_size(u, r, k):
    n, m = u.shape
    for i in range(n):
        below = i + 1 if i < k else 0
        for j in range(m):
            right = j + 1 if j < k else 0
            r[i, j] = u[i, j] * u[below, right]


@nb.njit
def downwards(u, r):
    n, m = u.shape
    for i in range(n - 1, -1, -1):
        below = i + 1 if i < n - 1 else 0
        for j in range(m - 1, -1, -1):
            right = j + 1 if j < m - 1 else 0
            r[i, j] = u[i, j] * u[below, right]


@nb.njit
def rows_by_hand(u, r, w):
    n, m = u.shape
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        w[i] = u[i, 0] * u[below, 0]
        for j in range(m):
            right = j + 1 if j < m - 1 else 0
            r[i, j] = u[below, j] * u[i, right]


@nb.njit
def columns_of_one(both):
    n, m = both.shape[0], both.shape[1] // 2
    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(m):
            right = j + 1 if j < m - 1 else 0
            both[i, m + j] = both[below, j] * both[i, right]


def test_the_cells_inside_a_periodic_grid_are_visited_first_and_gathered() -> None:
    args = grid(6, 7), grid(6, 7, seed=1)
    assert parts(five_points, *args) >= {"inside", "last"}
    (nest,) = plan_of(five_points, *args).rows.values()
    assert nest.distances == ((-1,), (0,), (1,))
    assert parts(five_points, *args, passes=ALL_PASSES - {Pass.BORDERS}) == set()
    assert not plan_of(five_points, *args, passes=ALL_PASSES - {Pass.BORDERS}).rows


@pytest.mark.parametrize(
    "f",
    [
        five_points,
        *(pytest.param(f, marks=pytest.mark.slow) for f in (along_rows, across_rows, negative_subscripts)),
    ],
)
def test_grids_of_any_size_have_the_derivative_of_the_nest_as_it_stands(f: Callable[..., Any]) -> None:
    assert "inside" in parts(f, grid(6, 7), grid(6, 7))
    all_sizes(f)


def test_a_nest_is_taken_apart_in_the_loops_that_have_something_to_choose() -> None:
    args = grid(6, 7), grid(6, 7)
    assert parts(along_rows, *args) == {"inside", "last"}
    assert parts(across_rows, *args) == {"inside"}


def test_what_is_taped_inside_has_one_place_for_the_nest() -> None:
    args = grid(6, 7), grid(6, 7), 3
    plan = plan_of(steps_in_place, *args)
    assert any(nest.loops[-1] in plan.tape.frames for nest in plan.rows.values())
    assert not plan_of(steps_in_place, *args, passes=ALL_PASSES - {Pass.NESTS}).rows
    all_sizes(steps_in_place, 3)
    agree(steps_in_place, grid(6, 7), grid(6, 7), 0)


@pytest.mark.parametrize(
    "f",
    [
        in_place,
        *(pytest.param(f, marks=pytest.mark.slow) for f in (one_row, running_sum, raising, columns_of_one)),
    ],
)
def test_a_nest_with_an_order_stays_whole(f: Callable[..., Any]) -> None:
    args = [grid(6, 8)] if f is columns_of_one else [grid(6, 8), grid(6, 8, seed=1)]
    assert parts(f, *args) == set()
    agree(f, *args)


def test_cells_that_two_iterations_write_keep_a_nest_whole() -> None:
    assert parts(each_cell_twice, grid(6, 7), grid(6, 7)) == set()
    agree(each_cell_twice, grid(6, 7), grid(6, 7))


def test_arguments_that_may_overlap_keep_a_nest_whole() -> None:
    assert parts(five_points, grid(6, 7), grid(6, 7), disjoint=False) == set()


def test_rows_that_lie_on_each_other_are_visited_in_order() -> None:
    memory = np.zeros(64)
    stride = memory.itemsize
    for step in (0, 3, 6):  # rows of seven cells
        results: list[NDArray[Any]] = []
        for passes in (ALL_PASSES, NO_PASSES):
            r = np.lib.stride_tricks.as_strided(memory.copy(), (6, 7), (step * stride, stride))
            u, du, dr = (
                grid(6, 7),
                np.zeros((6, 7)),
                np.lib.stride_tricks.as_strided(np.arange(64.0), (6, 7), (step * stride, stride)),
            )
            made(by_equality, u, r, passes=passes).dispatcher(u, r, du, dr)
            results.append(du)
        np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("f", [clipped, downwards, square_by_rows, by_equality])
def test_other_choices_of_neighbours_have_the_same_derivative(f: Callable[..., Any]) -> None:
    for shape in ((1, 1), (2, 2), (5, 5), (9, 9)):
        agree(f, grid(*shape), grid(*shape, seed=1))


def test_a_choice_by_another_number_is_made_in_each_iteration() -> None:
    assert parts(another_size, grid(6, 7), grid(6, 7), 3) == set()
    agree(another_size, grid(6, 7), grid(6, 7), 3)


def test_what_is_stored_once_a_row_is_stored_once() -> None:
    for shape in ((6, 7), (2, 2), (3, 1), (9, 3)):
        agree(rows_by_hand, grid(*shape), grid(*shape, seed=1), grid(shape[0], seed=2))


@nb.njit
def by_columns(u, r):
    five_points(u.T, r.T)


@nb.njit
def every_other(u, r):
    five_points(u[:, ::2], r[::2, :])


def test_layouts_have_the_same_derivative() -> None:
    for shape in ((6, 7), (3, 3), (9, 12)):
        agree(by_columns, grid(*shape), grid(*shape, seed=1))
    agree(every_other, grid(6, 14), grid(12, 7, seed=1))


def test_short_rows_are_visited_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border_text, "_SHORTEST", 8)

    @nb.njit
    def upwind(u, r):
        n, m = u.shape
        for i in range(n):
            for j in range(m):
                right = j + 1 if j < m - 1 else 0
                r[i, j] = u[i, j] * u[i, right]

    for columns in (7, 8, 9, 10, 30):
        agree(upwind, grid(6, columns), grid(6, columns, seed=1))


def test_infinities_stay_where_they_are() -> None:
    u, r = grid(6, 7), grid(6, 7, seed=1)
    u[0, 0], u[5, 6], u[3, 3] = np.inf, np.nan, -np.inf
    quick = gradients(five_points, u, r)
    plain = gradients(five_points, u, r, passes=NO_PASSES)
    for a, b in zip(quick, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
