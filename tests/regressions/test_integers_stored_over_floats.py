"""A float overwritten by an integer kept its derivative: LLVM clears elements by storing integer zeros."""

from __future__ import annotations

import numpy as np
import pytest

from coenzyme.frontends.program import Mode
from tests.unit.derive.native import build

# 4607182418800017408 is 1.0, 4611686018427387904 is 2.0.
OVERWRITES = """
; SHADOWED x: double = 3 4 5
; CONSTANT k: i64 = 4611686018427387904
; FIXED which: i64 = 1
; SHADOWED out: double = 0
define void @f(ptr %x, ptr %k, i64 %which, ptr %out) {{
entry:
  %first = load double, ptr %x
  %second = getelementptr double, ptr %x, i64 1
  %table = load i64, ptr %k
  %c = icmp eq i64 %which, 1
  %bits = select i1 %c, i64 %table, i64 4607182418800017408
  {store}
  %now = load double, ptr %x
  %other = load double, ptr %second
  %a = fmul double %first, %now
  %b = fmul double %a, %other
  store double %b, ptr %out
  ret void
}}
"""


@pytest.mark.parametrize(
    ("store", "value"),
    [
        ("store i64 4607182418800017408, ptr %x", 1.0),
        ("store i64 0, ptr %x", 0.0),
        ("store i64 %table, ptr %x", 2.0),
        ("store i64 %bits, ptr %x", 2.0),
    ],
)
def test_derivative_ends_where_the_value_does(store: str, value: float) -> None:
    text = OVERWRITES.format(store=store)
    forward = build(text, Mode.FORWARD).call({"x": np.array([1.0, 10.0, 0.0])})
    reverse = build(text, Mode.REVERSE).call({"out": np.array([1.0]), "x": np.array([7.0, 0.0, 0.0])})
    np.testing.assert_allclose(forward["out"], [value * 4 + 10 * 3 * value])
    np.testing.assert_allclose(forward["x"], [0, 10, 0])
    np.testing.assert_allclose(reverse["x"], [value * 4, 3 * value, 0])
