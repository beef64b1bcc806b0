"""Temporary arrays that are computed where they are read: where that is right, and only there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys  # type: ignore[attr-defined]

import coenzyme as cz
from coenzyme.analysis.passes import ALL_PASSES, Pass
from tests.unit.derive.shapes import agree, made, plan_of

X = np.linspace(0.5, 1.5, 6)
Y = np.linspace(1.0, 2.0, 6)
M = np.linspace(0.3, 1.2, 12).reshape(3, 4)
ROW = np.linspace(0.5, 0.9, 4)
COLUMN = np.linspace(1.1, 1.9, 3).reshape(3, 1)


@nb.njit
def chain(x, y):
    t = x * y
    return ((t + 1.0) * x).sum()


@nb.njit
def broadcast(m, row):
    t = m * row
    u = t - row
    return np.sum(u * m)


@nb.njit
def outer(column, row):
    t = column * row
    return np.sum((t + column) * row)


@nb.njit
def repeated(row, m):
    t = row * 2.0 + 1.0
    return np.sum(t * m)


@nb.njit
def shifted(m, row):
    t = m[1:, :] * m[:-1, :]
    u = t[:, 1:] - t[:, :-1]
    return np.sum(u * u) + row[0]


@nb.njit
def operand_freed(x, y):
    e = np.exp(x) * np.sin(x)
    f = e * e
    s = f[0]
    t = e * y
    return np.sum(t * x) + s


@nb.njit
def operand_freed_in_loop(x, y, n):
    s = 0.0
    for k in range(n):
        e = np.exp(x * 0.1 * k)
        s += e[1]
        t = e * y
        s += np.sum((t + 1.0) * x)
    return s


@nb.njit
def scratch(x, y, m):
    n = x.shape[0]
    t = np.empty(n)
    s = 0.0
    for k in range(m):
        for i in range(n):
            t[i] = x[i] * y[k]
        for i in range(n):
            s += t[i] * x[i]
    return s


@nb.njit
def pays_once(m, row):
    t = m * 2.0
    s = row[0]
    for i in range(3):
        for j in range(4):
            for k in range(3):
                s += t[i, j] * m[k, j] * t[i, j]
    return s


@nb.njit
def expensive_twice(x, y):
    t = np.exp(x * y)
    return np.sum(t * x) + np.sum(t * y)


@nb.njit
def overwritten_operand(x, y):
    t = x * y
    x[:] = 0.5
    return np.sum(t * y)


@nb.njit
def overwritten_cell(x, y):
    t = x * y
    x[2] = 0.5
    return t.sum()


@nb.njit
def overwritten_where_it_is_read(x, y):
    t = x * y
    for i in range(6):
        x[i] = t[i] + x[5 - i]
    return np.sum(x)


@nb.njit
def filled_in_part(x, y):
    n = x.shape[0]
    t = np.empty(2 * n)
    for i in range(n):
        t[i] = x[i] * y[i]
    s = 0.0
    for i in range(2 * n):
        if i < n:
            s += t[i]
    return s


@nb.njit
def filled_on_condition(x, y):
    n = x.shape[0]
    t = np.empty(n)
    for i in range(n):
        if x[i] > 0.7:
            t[i] = x[i] * y[i]
    s = 0.0
    for i in range(n):
        if x[i] > 0.7:
            s += t[i]
    return s


@nb.njit
def filled_up_to_an_exit(x, y):
    n = x.shape[0]
    t = np.zeros(n)
    for i in range(n):
        if x[i] > 1.2:
            break
        t[i] = x[i] * y[i]
    return np.sum(t * y)


@nb.njit
def cells_shared(x, y):
    n = x.shape[0]
    t = np.empty(2 * n - 1)
    for i in range(n):
        for j in range(n):
            t[i + j] = x[i] * y[j]
    return np.sum(t)


@nb.njit
def rows_overlap(x, y):
    n = x.shape[0]
    t = np.empty(n * n)
    for i in range(n):
        for j in range(n):
            t[(n - 1) * i + j] = x[i] * y[j]
    s = 0.0
    for i in range(n):
        for j in range(n):
            s += t[(n - 1) * i + j] * x[j]
    return s


@nb.njit
def read_before_it_is_filled(x, y):
    n = x.shape[0]
    t = np.empty(n)
    s = 0.0
    for k in range(3):
        if k > 0:
            for i in range(n):
                s += t[i] * x[i]
        for i in range(n):
            t[i] = x[i] * y[k]
    return s


@nb.njit
def read_after_the_loop(x, y):
    n = x.shape[0]
    t = np.empty(n)
    for k in range(3):
        for i in range(n):
            t[i] = x[i] * y[k]
        x[k] += 0.1
    return np.sum(t)


@nb.njit
def next_row_read(x, y):
    n = x.shape[0]
    t = np.empty(n)
    s = 0.0
    for k in range(2):
        for i in range(n):
            t[i] = x[i] * y[k]
        for i in range(n - 1):
            s += t[i] * y[i]
            x[i + 1] += 0.1
    return s


@nb.njit
def product_of_itself(x, y):
    n = x.shape[0]
    t = np.empty(n + 1)
    t[0] = 1.0
    for i in range(n):
        t[i + 1] = t[i] * x[i]
    return np.sum(t * y[0])


@nb.njit
def written_through_a_view(x, y):
    t = x * y
    v = t[1:3]
    v[:] = 1.0
    return np.sum(t)


@nb.njit
def perhaps_an_argument(x, y):
    t = x * y if y[0] > 0.0 else y
    for i in range(x.shape[0]):
        t[i] = x[i] + 1.0
    y[1] = 7.0
    return np.sum(t)


@nb.njit
def perhaps_another_array(x, y, n):
    n = x.shape[0]
    s = 0.0
    a, b = np.empty(n), np.zeros(n)
    for k in range(n):
        for i in range(n):
            a[i] = x[i] * y[k]
        b[0] += 1.0
        a, b = b, a
        for i in range(n):
            s += b[i] * a[i]
    return s


@nb.njit
def transposed_for_speed(m, n):
    t = m.T.copy()
    s = 0.0
    for i in range(m.shape[0]):
        for j in range(m.shape[0]):
            for k in range(m.shape[1]):
                s += m[i, k] * t[k, j]
    return s


@nb.njit
def held_by_a_list(x, y):
    t = x * y
    rows = [t]
    for row in rows:
        row[0] = 3.0
    return t.sum()


@nb.njit
def overlapping_argument(x, y):
    t = x[:5] * y[:5]
    x[1:][0] = 9.0
    return np.sum(t)


@nb.njit
def index_from_the_user(x, y, n):
    t = x * y
    s = t[0]
    for i in range(n):
        s += t[i] * y[i]
    return s


@nb.njit
def refusing(x, y, limit):
    e = np.exp(x * y)
    s = e[1]
    t = e * y
    if s > limit:
        raise ValueError("too much")
    return s + np.sum(t * x)


CONTRACTED = [
    (chain, (X, Y)),
    (broadcast, (M, ROW)),
    (outer, (COLUMN, ROW)),
    (repeated, (ROW, M)),
    (operand_freed, (X, Y)),
    (operand_freed_in_loop, (X, Y, 3)),
    (scratch, (X, Y, 3)),
]
KEPT = [
    (pays_once, (M, ROW)),
    (expensive_twice, (X, Y)),
    (overwritten_operand, (X, Y)),
    (overwritten_cell, (X, Y)),
    (overwritten_where_it_is_read, (X, Y)),
    (written_through_a_view, (X, Y)),
    (perhaps_an_argument, (X, Y)),
    (perhaps_another_array, (X, Y, 6)),
    (transposed_for_speed, (M, 1)),
    (held_by_a_list, (X, Y)),
    (overlapping_argument, (X, Y)),
    (index_from_the_user, (X, Y, 4)),
]
LOCAL = [
    filled_in_part,
    filled_on_condition,
    filled_up_to_an_exit,
    cells_shared,
    rows_overlap,
    read_before_it_is_filled,
    read_after_the_loop,
    next_row_read,
    product_of_itself,
]


def shadows(f: Any, *args: Any, without: Pass | None = None) -> int:
    """Return how many arrays that the function makes have shadows."""
    # Iterations that are run again are functions of their own.
    passes = ALL_PASSES - {Pass.REPLAY, without}
    return len(plan_of(f, *args, passes=passes).lanes[0].allocations)


def contracted(f: Any, *args: Any) -> int:
    """Return how many arrays are computed where they are read."""
    return shadows(f, *args, without=Pass.CONTRACT) - shadows(f, *args)


@pytest.mark.parametrize(("f", "args"), [CONTRACTED[0], CONTRACTED[1]])
def test_array_that_is_computed_where_it_is_read_has_no_shadow(f: Any, args: tuple[Any, ...]) -> None:
    assert contracted(f, *args) > 0
    agree(f, *args)


@pytest.mark.slow
@pytest.mark.parametrize(("f", "args"), CONTRACTED)
def test_gradients_without_temporaries_agree_with_the_plain_ones(f: Any, args: tuple[Any, ...]) -> None:
    assert contracted(f, *args) > 0
    agree(f, *args)
    agree(f, *args, disjoint=False)


@pytest.mark.parametrize(("f", "args"), [(overwritten_operand, (X, Y)), (written_through_a_view, (X, Y))])
def test_array_whose_cells_or_operands_are_written_between_is_stored(f: Any, args: tuple[Any, ...]) -> None:
    assert plan_of(f, *args).lanes[0].allocations
    agree(f, *args)


@pytest.mark.slow
@pytest.mark.parametrize(("f", "args"), KEPT)
def test_gradients_with_temporaries_agree_with_the_plain_ones(f: Any, args: tuple[Any, ...]) -> None:
    assert plan_of(f, *args).lanes[0].allocations
    agree(f, *args)
    agree(f, *args, disjoint=False)


@pytest.mark.slow
@pytest.mark.parametrize("f", LOCAL)
def test_array_of_which_one_store_does_not_tell_each_cell_is_stored(f: Any) -> None:
    assert shadows(f, X, Y) > 0
    agree(f, X, Y)


@pytest.mark.parametrize(
    ("m", "row"),
    [(M, ROW), (M[:1], ROW), (M, ROW[:1]), (M[:0], ROW), (M[:, :0].copy(), ROW[:1]), (M[:, :1].copy(), ROW)],
)
def test_extents_of_one_and_none_are_broadcast(m: Any, row: Any) -> None:
    agree(broadcast, m, row)


@pytest.fixture
def left_behind() -> Iterator[Callable[[], int]]:
    """Give how many blocks were allocated, less those freed, since the test began."""
    _nrt_python.memsys_enable_stats()
    begin = rtsys.get_allocation_stats()

    def count() -> int:
        now = rtsys.get_allocation_stats()
        return (now.mi_alloc - begin.mi_alloc) - (now.mi_free - begin.mi_free)

    yield count
    _nrt_python.memsys_disable_stats()


def test_extents_that_do_not_fit_raise(left_behind: Callable[[], int]) -> None:
    f = made(broadcast, M, ROW).dispatcher
    arrays = [M.copy(), ROW[:3].copy(), np.zeros((3, 4)), np.zeros(3)]
    before = left_behind()
    with pytest.raises(ValueError, match="broadcast"):
        f(*arrays, 1.0)
    assert left_behind() == before


def test_operand_that_waits_for_its_reader_is_freed_where_an_error_is_raised(
    left_behind: Callable[[], int],
) -> None:
    left: list[list[int]] = []
    for passes in (ALL_PASSES, ALL_PASSES - {Pass.CONTRACT}):
        f = made(refusing, X, Y, 1.0, passes=passes).dispatcher
        left.append([])
        for limit in (1e3, 0.0):
            arrays = [X.copy(), Y.copy(), limit, np.zeros(6), np.zeros(6)]
            before = left_behind()
            if limit < 1.0:
                with pytest.raises(ValueError, match="too much"):
                    f(*arrays, 1.0)
            else:
                f(*arrays, 1.0)
            left[-1].append(left_behind() - before)
    assert left[0] == left[1]
    assert left[0][0] == 0


@pytest.mark.slow
def test_tangents_halves_directions_and_second_derivatives_of_arrays_that_are_not_stored() -> None:
    def loss(x):
        return operand_freed(x, Y)

    exact = cz.grad(loss)(X)
    with cz.debug.tape_everything():
        assert cz.grad(loss)(X) == pytest.approx(exact)
    value, tangent = cz.jvp(loss, (X,), (Y,))
    assert value == pytest.approx(loss(X))
    assert tangent == pytest.approx(exact @ Y)
    value, pull = cz.vjp(loss, X)
    assert value == pytest.approx(loss(X))
    assert pull(1.0)[0] == pytest.approx(exact)
    second = cz.hessian(loss)(X)
    steps = np.eye(6) * 1e-6
    approximate = np.array([(cz.grad(loss)(X + s) - cz.grad(loss)(X - s)) / 2e-6 for s in steps])
    assert second == pytest.approx(approximate, rel=1e-6, abs=1e-6)
