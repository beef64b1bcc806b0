"""Where more than 255 branches met, the number of the one taken did not fit a byte."""

from __future__ import annotations

import numpy as np
import pytest

from coenzyme.frontends.program import Mode
from tests.unit.derive.native import build

WAYS = 300


def choice(k: int) -> str:
    """Return a function in which way k multiplies x by k, and which is taken in each of three iterations."""
    cases = "\n".join(f"    i64 {i}, label %way{i}" for i in range(1, WAYS))
    ways = "\n".join(f"way{i}:\n  %v{i} = fmul double %v, {i}.0\n  br label %join" for i in range(WAYS))
    merged = ", ".join(f"[ %v{i}, %way{i} ]" for i in range(WAYS))
    return f"""
; ACTIVE x: double = 1.5
; CONSTANT k: i64 = {k} 2 255
; SHADOWED out: double = 0
define void @f(double %x, ptr %k, ptr %out) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %join ]
  %v = phi double [ %x, %entry ], [ %w, %join ]
  %p = getelementptr i64, ptr %k, i64 %i
  %which = load i64, ptr %p
  switch i64 %which, label %way0 [
{cases}
  ]
{ways}
join:
  %w = phi double {merged}
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, 3
  br i1 %go, label %loop, label %done
done:
  %r = phi double [ %w, %join ]
  store double %r, ptr %out
  ret void
}}
"""


@pytest.mark.parametrize("k", [1, 127, 128, 256, 257, 299])
def test_every_way_is_found_back(k: int) -> None:
    reverse = build(choice(k), Mode.REVERSE, level=0)
    np.testing.assert_allclose(reverse.call({"out": np.array([1.0])})["x"], k * 2 * 255)
