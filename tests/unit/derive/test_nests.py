"""Tapes with one place for a nest of loops, and rows of shadows whose addresses are hidden."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pytest
from numpy.typing import NDArray

import coenzyme as cz
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.derive import row_text
from tests.unit.derive.shapes import agree, made, plan_of

HIDING = "llvm.strip.invariant.group"


@pytest.fixture(autouse=True)
def short_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows of any length be gathered: no function here is differentiated anywhere else."""
    monkeypatch.setattr(row_text, "SHORTEST", 1)


def grid(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.1, 1.0, shape)


def depths(f: Callable[..., Any], *args: Any, **options: Any) -> list[int]:
    """Return around how many loops each tape has its place."""
    return sorted(len(around) for around in plan_of(f, *args, **options).hoisted.values())


@nb.njit
def forty_columns(u):
    for i in range(u.shape[0]):
        for j in range(40):
            u[i, j] = u[i, j] * u[i, j] + 0.1 * u[i, j + 1]


@nb.njit
def forty_by_forty(u):
    for i in range(u.shape[0]):
        for j in range(40):
            for k in range(40):
                u[i, j] = u[i, j] * u[j, k] * 0.5


@nb.njit
def at_most(u, most):
    if most < 1:
        return
    for i in range(u.shape[0]):
        for j in range(most):
            u[i, j] = u[i, j] * u[i, j] + 0.1 * u[i, j + 1]


@nb.njit
def triangle(u):
    for i in range(u.shape[0]):
        for j in range(i + 1):
            u[i, j] = u[i, j] * u[i, j]


@nb.njit
def sometimes(u):
    for i in range(u.shape[0]):
        if u[i, 0] > 0.5:
            for j in range(40):
                u[i, j] = u[i, j] * u[i, j]


@nb.njit
def raising(u):
    for i in range(u.shape[0]):
        if u[i, 0] > 2.0:
            raise ValueError
        for j in range(40):
            u[i, j] = u[i, j] * u[i, j]


@nb.njit
def leaving(u):
    for i in range(u.shape[0]):
        for j in range(40):
            u[i, j] = u[i, j] * u[i, j]
        if u[i, 0] > 0.5:
            break


@nb.njit
def overwritten_after(u, r):
    for i in range(1, 39):
        for j in range(1, 39):
            r[i, j] = u[i, j] * u[i, j] + u[i - 1, j] + 2 * u[i + 1, j] + 3 * u[i, j - 1] + 4 * u[i, j + 1]
    for i in range(40):
        for j in range(40):
            u[i, j] = 0.5 * u[i, j] + r[i, j]


@nb.njit
def total(u):
    w = u.copy()
    forty_columns(w)
    return (w * w).sum()


def test_a_loop_that_each_iteration_runs_whole_is_taped_in_one_place() -> None:
    assert depths(forty_columns, grid(5, 41)) == [1]
    assert depths(forty_columns, grid(5, 41), passes=ALL_PASSES - {Pass.NESTS}) == []
    assert max(depths(forty_by_forty, grid(40, 40))) == 2
    for rows in (0, 1, 2, 7):
        agree(forty_columns, grid(rows, 41))
        agree(forty_by_forty, grid(40 if rows else 0, 40))


def test_the_number_of_iterations_may_be_an_argument() -> None:
    for most in (-1, 0, 1, 40):
        agree(at_most, grid(5, 41), most)


@pytest.mark.parametrize("f", [triangle, sometimes, raising, leaving])
def test_loops_that_may_run_otherwise_are_taped_each_time(f: Callable[..., Any]) -> None:
    assert depths(f, grid(40, 40)) == []
    agree(f, grid(40, 40))


def test_rows_are_gathered_with_what_is_taped() -> None:
    args = grid(40, 40), grid(40, 40, seed=1)
    (nest,) = plan_of(overwritten_after, *args).rows.values()
    assert nest.loops[-1] in plan_of(overwritten_after, *args).tape.frames
    assert not plan_of(overwritten_after, *args, passes=ALL_PASSES - {Pass.NESTS}).rows
    agree(overwritten_after, *args)


@pytest.mark.slow
def test_several_directions_and_two_halves_find_what_is_taped() -> None:
    u, r = grid(40, 40), grid(40, 40, seed=1)
    seeds = [grid(40, 40, seed=n) for n in range(2, 5)]
    expected: list[NDArray[Any]] = []
    for seed in seeds:
        du, dr = seed.copy(), np.zeros((40, 40))
        cz.autodiff(cz.Reverse, overwritten_after, cz.Duplicated(u.copy(), du), cz.Duplicated(r.copy(), dr))
        expected.append(du)
    together = [seed.copy() for seed in seeds]
    zeros = [np.zeros((40, 40)) for _ in seeds]
    cz.autodiff(
        cz.Reverse,
        overwritten_after,
        cz.BatchDuplicated(u.copy(), tuple(together)),
        cz.BatchDuplicated(r.copy(), tuple(zeros)),
    )
    np.testing.assert_allclose(together, expected, rtol=1e-12)
    du, dr = seeds[0].copy(), np.zeros((40, 40))
    arguments = cz.Duplicated(u.copy(), du), cz.Duplicated(r.copy(), dr)
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitNoPrimal, overwritten_after, cz.Const, cz.Duplicated, cz.Duplicated
    )
    tape, *_ = forward(*arguments)
    reverse(*arguments, tape)
    np.testing.assert_allclose(du, expected[0], rtol=1e-12)


@pytest.mark.slow
def test_derivatives_of_derivatives_see_plain_code() -> None:
    u, v = grid(3, 41), grid(3, 41, seed=1)
    gradient, h = cz.grad(total), 1e-6
    found = cz.hvp(total, u, v)
    assert HIDING not in made(forty_columns, u, passes=ALL_PASSES - {Pass.SIDE_BY_SIDE}).text
    np.testing.assert_allclose(found, (gradient(u + h * v) - gradient(u - h * v)) / (2 * h), rtol=1e-6)


@nb.njit
def scattered(u, r):
    n, m = u.shape
    for i in range(1, n - 1):
        r[i, 0] = u[i, 0] * u[i - 1, 0]
        for j in range(1, m - 1):
            r[i, j] = u[i - 1, j] * u[i, j] + u[i + 1, j]


def test_addresses_of_neighbouring_rows_are_hidden_where_rows_are_not_gathered() -> None:
    args = grid(6, 7), grid(6, 7, seed=1)
    plan = plan_of(scattered, *args)
    assert not plan.rows
    assert plan.side_by_side
    assert HIDING in made(scattered, *args).text
    assert HIDING not in made(scattered, *args, passes=ALL_PASSES - {Pass.SIDE_BY_SIDE}).text
    for shape in ((1, 1), (3, 3), (6, 7), (5, 40)):
        agree(scattered, grid(*shape), grid(*shape, seed=1))


def test_one_row_at_a_time_hides_nothing() -> None:
    @nb.njit
    def squares(u, r):
        for i in range(u.shape[0]):
            for j in range(u.shape[1]):
                r[i, j] = u[i, j] * u[i, j]

    assert not plan_of(squares, grid(6, 7), grid(6, 7)).side_by_side
