"""A loop over all of a byte's range in steps of three had the trip count 0: the formula wrapped."""

from __future__ import annotations

import numpy as np
import pytest

from coenzyme.frontends.program import Mode
from tests.unit.derive.native import build

COUNTS = """
; ACTIVE x: double = 0.5
; SHADOWED out: double = 0
define void @f(double %x, ptr %out) {{
entry:
  br label %loop
loop:
  %i = phi i8 [ {start}, %entry ], [ %i.next, %body ]
  %v = phi double [ %x, %entry ], [ %w, %body ]
  %c = icmp {predicate} i8 %i, {bound}
  br i1 %c, label %body, label %done
body:
  %q = fmul double %v, %v
  %h = fmul double %q, 0.25
  %w = fadd double %h, %x
  %i.next = add i8 %i, {step}
  br label %loop
done:
  %r = phi double [ %v, %loop ]
  store double %r, ptr %out
  ret void
}}
"""


def by_hand(times: int) -> float:
    v, dv = 0.5, 1.0
    for _ in range(times):
        v, dv = 0.25 * v * v + 0.5, 0.5 * v * dv + 1.0
    return dv


@pytest.mark.parametrize(
    ("start", "predicate", "bound", "step", "times"),
    [
        ("0", "ult", "-1", "3", 85),
        ("-128", "slt", "127", "3", 85),
        ("127", "sgt", "-128", "-5", 51),
        ("0", "ule", "-4", "2", 127),
        ("5", "ult", "3", "3", 0),
    ],
)
def test_loop_runs_back_as_often_as_it_ran(
    start: str, predicate: str, bound: str, step: str, times: int
) -> None:
    text = COUNTS.format(start=start, predicate=predicate, bound=bound, step=step)
    reverse = build(text, Mode.REVERSE)
    np.testing.assert_allclose(reverse.call({"out": np.array([1.0])})["x"], by_hand(times), rtol=1e-12)
