"""Negative subscripts: the choice of the end goes away where the loops decide it, and nowhere else."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.ir.instructions import Compare, Select
from coenzyme.ir.values import ConstantInt
from tests.unit.derive.shapes import agree, plan_of

X = np.linspace(0.5, 1.5, 7)
A = np.linspace(0.5, 2.0, 25).reshape(5, 5) + 5.0 * np.eye(5)


@nb.njit
def factor(a):
    n = a.shape[0]
    for i in range(n):
        for j in range(i):
            for k in range(j):
                a[i, j] -= a[i, k] * a[k, j]
            a[i, j] /= a[j, j]
        for j in range(i, n):
            for k in range(i):
                a[i, j] -= a[i, k] * a[k, j]


@nb.njit
def before_the_start(x):
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i - 2]
    return total


@nb.njit
def from_outside(x, k):
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[k]
    return total


@nb.njit
def sometimes_negative(x, k):
    total = 0.0
    for i in range(x.size - 1):
        total += x[i + k] * x[i]
    return total


def choices(f: Any, *args: Any, **options: Any) -> int:
    """Return how often the forward sweep asks in a loop whether an integer is negative, to choose another."""
    shape = plan_of(f, *args, **options).shape
    found = 0
    for block in shape.exits.live:
        for i in block.instructions if shape.loop_of(block) is not None else ():
            if isinstance(i, Select) and i.type.is_int and isinstance(i.operands[0], Compare):
                limit = i.operands[0].operands[1]
                question = (i.operands[0].predicate, limit.value if isinstance(limit, ConstantInt) else None)
                found += question in (("slt", 0), ("sgt", -1))
    return found


def test_index_that_the_loops_keep_from_being_negative_is_used_as_it_is() -> None:
    assert choices(factor, A) < choices(factor, A, passes=ALL_PASSES - {Pass.WRAPAROUND})
    agree(factor, A)


@pytest.mark.parametrize(
    ("f", "args"),
    [(before_the_start, (X,)), (sometimes_negative, (X, -2)), (sometimes_negative, (X, 1))],
)
def test_index_that_may_be_negative_still_wraps_around(f: Any, args: tuple[Any, ...]) -> None:
    agree(f, *args)


def test_offset_that_may_be_negative_keeps_its_choice() -> None:
    assert choices(sometimes_negative, X, 1) > 0


@pytest.mark.parametrize("k", [-1, 3])
def test_index_from_outside_the_loops_is_left_alone(k: int) -> None:
    agree(from_outside, X, k)
