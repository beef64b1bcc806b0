"""Addresses that a nest of loops moves on and takes back: resolved where both ways agree, and only there."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.derive.normalise import normalise
from coenzyme.derive.round_trips import resolve_round_trips
from coenzyme.ir.instructions import Phi
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from tests.unit.analysis.reading import read
from tests.unit.derive.shapes import agree, plan_of

A = np.linspace(0.5, 1.5, 24)

TEXT = """
define double @f(ptr %p, i64 %n, i64 %m) {{
entry:
  br label %row
row:
  %i = phi i64 [ 0, %entry ], [ %i.next, %row.end ]
  %at = phi ptr [ %p, %entry ], [ %follow, %row.end ]
  %any = icmp sgt i64 %m, 0
  br i1 %any, label %column.before, label %row.end
column.before:
  br label %column
column:
  %j = phi i64 [ 0, %column.before ], [ %j.next, %column ]
  %here = phi ptr [ %at, %column.before ], [ %next, %column ]
  store double 0.0, ptr %here
  %next = getelementptr i8, ptr %here, i64 {step}
  %j.next = add nuw nsw i64 %j, 1
  %done = icmp eq i64 %j.next, {bound}
  br i1 %done, label %column.after, label %column
column.after:
  %next.out = phi ptr [ %next, %column ]
  br label %row.end
row.end:
  %end = phi ptr [ %at, %row ], [ %next.out, %column.after ]
  %steps = phi i64 [ {none}, %row ], [ {count}, %column.after ]
  %bytes = mul i64 %steps, {back}
  %start = getelementptr i8, ptr %end, i64 %bytes
  %follow = getelementptr i8, ptr %start, i64 64
  %i.next = add nuw nsw i64 %i, 1
  %over = icmp eq i64 %i.next, %n
  br i1 %over, label %out, label %row
out:
  ret double 1.0
}}
"""
FORM = {"step": "8", "bound": "%m", "none": "0", "count": "%m", "back": "-8"}


def merging(**changes: str) -> set[str]:
    """Return the names of the phis that are left after the pass."""
    f = read(TEXT.format(**{**FORM, **changes}))
    shape = normalise(f.function, {}, has_status=False)
    resolve_round_trips(shape)
    parse_module(print_module(f.module))
    return {i.name for i in f.function.instructions() if isinstance(i, Phi)}


def test_address_that_is_taken_back_is_the_one_before() -> None:
    assert {"end", "steps", "next.out"}.isdisjoint(merging())


@pytest.mark.parametrize(
    "changes",
    [
        {"back": "-16"},
        {"step": "16"},
        {"none": "1"},
        {"count": "%n"},
        {"bound": "%n"},
        {"back": "8"},
    ],
)
def test_address_that_ends_elsewhere_on_one_way_is_left_alone(changes: dict[str, str]) -> None:
    assert "end" in merging(**changes)


@nb.njit
def over_three(x, n, m):
    a = x.reshape((n, m, x.size // max(n * m, 1)))
    b = np.sin(a) * a
    total = 0.0
    for v in np.nditer(b):
        total += v.item() ** 2
    return total + np.sum(np.sum(b, axis=1) ** 2) + np.sum(a[:, ::-1, :] * b)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (1, 1)])
def test_sums_over_arrays_of_several_dimensions_agree(n: int, m: int) -> None:
    plan = plan_of(over_three, A, n, m)
    without = plan_of(over_three, A, n, m, passes=ALL_PASSES - {Pass.ROUND_TRIPS})
    assert addresses_taped(plan) < addresses_taped(without)
    agree(over_three, A, n, m)


def addresses_taped(plan: Any) -> int:
    """Return how many addresses one iteration of each loop puts on the tape."""
    return sum(value.type.is_pointer for frame in plan.tape.frames.values() for value in frame.fields)
