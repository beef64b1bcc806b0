"""``sqrt(d) if d > 0 else 0`` had the gradient NaN at 0: LLVM computes both sides, and 0 · ∞ is no number."""

from __future__ import annotations

import numpy as np
import pytest

from coenzyme.frontends.program import Mode
from tests.unit.derive.native import build

GUARDED = """
; SHADOWED x: double = 0 4
; SHADOWED out: double = 0
declare double @llvm.sqrt.f64(double)
declare double @llvm.log.f64(double)
declare double @llvm.pow.f64(double, double)
define void @f(ptr %x, ptr %out) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %s = phi double [ 0.0, %entry ], [ %s.next, %loop ]
  %p = getelementptr double, ptr %x, i64 %i
  %d = load double, ptr %p
  %c = fcmp ogt double %d, 0.0
  {compute}
  %guarded = select i1 %c, double %r, double %d
  %s.next = fadd double %s, %guarded
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, 2
  br i1 %go, label %loop, label %done
done:
  %all = phi double [ %s.next, %loop ]
  store double %all, ptr %out
  ret void
}}
"""


@pytest.mark.parametrize(
    ("compute", "slope"),
    [
        ("%r = call double @llvm.sqrt.f64(double %d)", 0.25),
        ("%r = fdiv double 1.0, %d", -1 / 16),
        ("%r = call double @llvm.log.f64(double %d)", 0.25),
        ("%r = call double @llvm.pow.f64(double %d, double 0.5)", 0.25),
        (
            "%q = fmul double %d, %d\n  %h = call double @llvm.sqrt.f64(double %q)\n"
            "  %r = fdiv double 2.0, %h",
            -1 / 8,
        ),
    ],
)
def test_side_not_taken_contributes_nothing(compute: str, slope: float) -> None:
    text = GUARDED.format(compute=compute)
    reverse = build(text, Mode.REVERSE).call({"out": np.array([1.0])})
    np.testing.assert_allclose(reverse["x"], [1.0, slope])
    forward = build(text, Mode.FORWARD)
    np.testing.assert_allclose(forward.call({"x": np.array([1.0, 0.0])})["out"], 1.0)
    np.testing.assert_allclose(forward.call({"x": np.array([0.0, 1.0])})["out"], slope)


THROUGH_MEMORY = """
; SHADOWED x: double = 0 4
; SHADOWED between: double = 0 0
; SHADOWED out: double = 0 0
declare double @llvm.sqrt.f64(double)
define void @f(ptr %x, ptr %between, ptr %out) {
entry:
  br label %roots
roots:
  %i = phi i64 [ 0, %entry ], [ %i.next, %roots ]
  %p = getelementptr double, ptr %x, i64 %i
  %d = load double, ptr %p
  %r = call double @llvm.sqrt.f64(double %d)
  %q = getelementptr double, ptr %between, i64 %i
  store double %r, ptr %q
  %i.next = add i64 %i, 1
  %i.go = icmp slt i64 %i.next, 2
  br i1 %i.go, label %roots, label %again
again:
  br label %choices
choices:
  %j = phi i64 [ 0, %again ], [ %j.next, %choices ]
  %xj = getelementptr double, ptr %x, i64 %j
  %e = load double, ptr %xj
  %c = fcmp ogt double %e, 0.0
  %rj = getelementptr double, ptr %between, i64 %j
  %root = load double, ptr %rj
  %chosen = select i1 %c, double %root, double 0.0
  %oj = getelementptr double, ptr %out, i64 %j
  store double %chosen, ptr %oj
  %j.next = add i64 %j, 1
  %j.go = icmp slt i64 %j.next, 2
  br i1 %j.go, label %choices, label %done
done:
  ret void
}
"""


def test_side_not_taken_contributes_nothing_though_it_went_through_memory() -> None:
    reverse = build(THROUGH_MEMORY, Mode.REVERSE).call({"out": np.array([1.0, 1.0])})
    np.testing.assert_allclose(reverse["x"], [0.0, 0.25])
