"""Copying a merged return for each way into it lost the phi by which a value leaves its loop."""

from __future__ import annotations

import numpy as np
import pytest

from coenzyme.frontends.program import Mode
from tests.unit.derive.native import build

MERGED = """
; SHADOWED x: double = 1 2 3
; SHADOWED out: double = 0
; FIXED n: i64 = 3
define i32 @f(ptr %x, ptr %excinfo, ptr %out, i64 %n) {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  %s = phi double [ 1.0, %entry ], [ %s.next, %latch ]
  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  %s.next = fmul double %s, %v
  %big = fcmp ogt double %v, 2.5
  br i1 %big, label %done, label %latch
latch:
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %head, label %done
done:
  %r = phi double [ %s.next, %head ], [ %s, %latch ]
  %where = phi ptr [ %p, %head ], [ %out, %latch ]
  %status = phi i32 [ 0, %head ], [ -2, %latch ]
  %square = fmul double %r, %r
  store double %square, ptr %where
  ret i32 %status
}
"""


@pytest.mark.parametrize(
    ("n", "shadow", "expected", "status"),
    [
        (3, {"x": [0.0, 0.0, 1.0]}, [2 * 36 / 1, 2 * 36 / 2, 2 * 36 / 3], 0),
        (2, {"out": [1.0]}, [2.0, 0.0, 0.0], -2),
    ],
)
def test_both_returns_are_differentiated(
    n: int, shadow: dict[str, list[float]], expected: list[float], status: int
) -> None:
    reverse = build(MERGED, Mode.REVERSE)
    found = reverse.call({name: np.array(value) for name, value in shadow.items()}, {"n": np.array(n)})
    np.testing.assert_allclose(found["x"], expected)
    assert reverse.status == status
