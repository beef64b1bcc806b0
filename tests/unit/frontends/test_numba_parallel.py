"""Which arrays the chunks of a parallel loop divide among them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numba as nb
import pytest
from numba import types

from coenzyme.frontends.numba_lower import lower
from coenzyme.frontends.numba_parallel import find_launch, is_launched

VECTOR, MATRIX = types.float64[::1], types.float64[:, ::1]


def axes(function: Callable[..., Any], *argtypes: Any) -> list[tuple[int, int | None]]:
    """Return the number of dimensions, and the axis that is divided, of each array of the only launch."""
    program = lower(nb.njit(parallel=True)(function), argtypes)
    (symbol,) = set(re.findall(r"call i32 @\"?(coenzyme\.launch\.\d+)", program.text))
    launch = find_launch(symbol)
    assert launch is not None
    assert is_launched(launch.chunk)
    found = [(len(array.shape), array.axis) for array in launch.arrays]
    return sorted(found, key=lambda pair: (pair[0], -1 if pair[1] is None else pair[1]))


def test_arrays_at_the_index_of_the_loop_are_divided() -> None:
    def rows_and_columns(a: Any, b: Any) -> None:
        for i in nb.prange(b.shape[1]):
            for j in range(b.shape[0]):
                b[j, i] = a[i] * b[j, i]

    assert axes(rows_and_columns, VECTOR, MATRIX) == [(1, 0), (2, 1)]


def test_views_of_rows_are_divided_with_their_array() -> None:
    def scaled(a: Any) -> None:
        for i in nb.prange(a.shape[0]):
            row = a[i]
            row *= 2.0

    assert axes(scaled, MATRIX) == [(2, 0)]


def neighbours(a: Any) -> None:
    for i in nb.prange(a.size - 1):
        a[i] = a[i + 1]


def both_axes(a: Any) -> None:
    for i in nb.prange(a.shape[0]):
        a[i, 0] = a[0, i]


def under_another_name(a: Any) -> None:
    for i in nb.prange(a.size):
        b = a
        b[i // 2] = a[i]


def after_an_ellipsis(a: Any) -> None:
    for i in nb.prange(a.shape[0]):
        a[..., i] = 1.0


@pytest.mark.parametrize(
    ("function", "kinds", "rank"),
    [
        (neighbours, (VECTOR,), 1),
        (both_axes, (MATRIX,), 2),
        (under_another_name, (VECTOR,), 1),
        (after_an_ellipsis, (MATRIX,), 2),
    ],
)
def test_arrays_that_iterations_may_share_are_not_divided(function: Any, kinds: Any, rank: int) -> None:
    assert axes(function, *kinds) == [(rank, None)]


def test_loop_in_which_a_copy_of_the_index_is_changed_stays_serial() -> None:
    # Numba itself takes the copy for the index, and computes something else.
    def wrapped(a: Any) -> float:
        s = 0.0
        for i in nb.prange(a.size):
            j = i
            if j + 1 >= a.size:
                j = 0
            s += a[j] * i
        return s

    def twice(a: Any) -> float:
        s = 0.0
        for i in nb.prange(a.size):
            j = i
            s += a[j]
        for i in nb.prange(a.size):
            s += a[i]
        return s

    assert not lower(nb.njit(parallel=True)(wrapped), (VECTOR,)).is_parallel
    assert lower(nb.njit(parallel=True)(twice), (VECTOR,)).is_parallel


def test_partial_results_are_divided_by_chunk() -> None:
    def total(a: Any) -> float:
        s = 0.0
        for i in nb.prange(a.size - 1):
            s += a[i] * a[i + 1]
        return s

    assert axes(total, VECTOR) == [(1, None), (1, 0)]
