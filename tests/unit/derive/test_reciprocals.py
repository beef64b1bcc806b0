"""The derivative of one divided by something is told by the result alone: neither divisor nor a division."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numba import njit

import coenzyme as cz
from coenzyme.frontends.program import Mode
from tests.unit.derive.native import build

RECIPROCAL = """
; SHADOWED x: double = 0.5 -4 2
; SHADOWED out: double = 0
define void @f(ptr %x, ptr %out) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %p = getelementptr double, ptr %x, i64 %i
  %d = load double, ptr %p
  %s = fmul double %d, %d
  %q = fdiv double NUMERATOR, %s
  store double %q, ptr %p
  %o = load double, ptr %out
  %o.next = fadd double %o, %q
  store double %o.next, ptr %out
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, 3
  br i1 %go, label %loop, label %done
done:
  ret void
}
"""


@pytest.mark.parametrize("numerator", ["1.0", "-1.0", "3.0"])
def test_of_one_over_something_only_the_result_is_kept(numerator: str) -> None:
    built = build(RECIPROCAL.replace("NUMERATOR", numerator), Mode.REVERSE)
    assert built.plan is not None
    required = {v.name for i, vs in built.plan.required.items() if i.opcode == "fdiv" for v in vs}
    assert required == ({"q"} if numerator in ("1.0", "-1.0") else {"q", "s"})


@pytest.mark.parametrize("numerator", ["1.0", "-1.0", "3.0"])
@pytest.mark.parametrize("mode", [Mode.FORWARD, Mode.REVERSE])
def test_the_derivative_is_that_of_the_quotient(numerator: str, mode: Mode) -> None:
    built = build(RECIPROCAL.replace("NUMERATOR", numerator), mode)
    x = np.array([0.5, -4.0, 2.0])
    slopes = -2.0 * float(numerator) / x**3
    if mode is Mode.REVERSE:
        found = built.call({"out": np.array([1.0])})["x"]
        np.testing.assert_allclose(found, slopes, rtol=1e-15)
    else:
        found = built.call({"x": np.ones(3)})["out"]
        np.testing.assert_allclose(found, slopes.sum(), rtol=1e-15)


@njit(error_model="numpy")
def guarded(x: Any) -> float:
    """Sum reciprocals of what is not zero."""
    total = 0.0
    for i in range(x.size):
        y = 1.0 / x[i]
        total += y if x[i] != 0.0 else 0.0
    return total


def test_a_pole_that_is_not_chosen_leaves_no_nan_behind() -> None:
    np.testing.assert_array_equal(cz.grad(guarded)(np.array([0.0, 2.0])), [0.0, -0.25])


def test_at_a_pole_the_slope_is_infinite() -> None:
    summed = njit(error_model="numpy")(lambda x: 1.0 / x[0])
    assert cz.grad(summed)(np.array([0.0]))[0] == -math.inf
