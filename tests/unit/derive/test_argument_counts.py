"""References to arguments are not counted where a function gives back what it got."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.derive.argument_counts import drop_argument_counts
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from tests.unit.derive.shapes import agree, made

X = np.array([0.7, 1.3, 0.4, 1.1, 0.9, 0.31])

TEXT = """
declare ptr @NRT_MemInfo_alloc_aligned(i64, i32)
declare ptr @NRT_MemInfo_alloc_dtor_safe(i64, ptr)
declare void @NRT_MemInfo_call_dtor(ptr)
declare void @NRT_incref(ptr)
declare void @NRT_decref(ptr)
declare void @unknown()
declare ptr @coenzyme.list.new(i64, i64)
{others}
define i32 @f(ptr %result, ptr %{slot}, ptr %a, ptr %b, i64 %n) {{
{body}
}}
"""
PLAIN = """
entry:
  call void @NRT_incref(ptr %a)
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  call void @NRT_incref(ptr %a)
  {within}
  call void @NRT_decref(ptr %a)
  %j = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %loop, label %out
out:
  call void @NRT_decref(ptr %a)
  {after}
  ret i32 0
"""


def counts(body: str, others: str = "", slot: str = "excinfo") -> int:
    """Return how many counts are left on the argument %a."""
    module = parse_module(TEXT.format(body=body, others=others, slot=slot))
    drop_argument_counts(module)
    text = print_module(module)
    parse_module(text)
    return text.count("ref(ptr %a)")


def test_counts_that_come_to_nothing_are_gone() -> None:
    assert counts(PLAIN.format(within="", after="")) == 0


LEFT = """
entry:
  call void @NRT_incref(ptr %a)
  %c = icmp eq i64 %n, 0
  br i1 %c, label %failed, label %go
failed:
  {failing}
  br label %out
go:
  call void @NRT_decref(ptr %a)
  br label %out
out:
  %status = phi i32 [ {status}, %failed ], [ 0, %go ]
  ret i32 %status
"""


def test_what_an_error_leaves_behind_does_not_matter() -> None:
    assert counts(LEFT.format(failing="", status=1)) == 0


@pytest.mark.parametrize("status", ["0", "-2", "%s"])
def test_what_a_return_that_may_be_normal_leaves_behind_is_counted(status: str) -> None:
    failing = "%s = trunc i64 %n to i32" if status == "%s" else ""
    assert counts(LEFT.format(failing=failing, status=status)) == 2


REFUSED = {
    "one more at the end": PLAIN.format(within="", after="call void @NRT_incref(ptr %a)"),
    "one less at the end": PLAIN.format(within="", after="call void @NRT_decref(ptr %a)"),
    "one more for each iteration": PLAIN.format(within="call void @NRT_incref(ptr %a)", after=""),
    "merged with another": PLAIN.format(
        within="%m = phi ptr [ %a, %entry ], [ %b, %loop ]", after=""
    ).replace("call void @NRT_incref(ptr %a)\n  %m", "%m"),
    "chosen or not": PLAIN.format(
        within="%c = icmp eq i64 %i, 0\n  %m = select i1 %c, ptr %a, ptr %b\n  call void @NRT_decref(ptr %m)",
        after="",
    ),
    "a reference dropped that was found in memory": PLAIN.format(
        within="%m = load ptr, ptr %b\n  call void @NRT_decref(ptr %m)", after=""
    ),
    "a block dropped that has a destructor": PLAIN.format(
        within=(
            "%m = call ptr @NRT_MemInfo_alloc_dtor_safe(i64 8, ptr @NRT_decref)\n"
            "  call void @NRT_decref(ptr %m)"
        ),
        after="",
    ),
    "a destructor called": PLAIN.format(within="call void @NRT_MemInfo_call_dtor(ptr %b)", after=""),
    "a call of something unknown": PLAIN.format(within="call void @unknown()", after=""),
    "a typed container": PLAIN.format(within="%l = call ptr @coenzyme.list.new(i64 8, i64 8)", after=""),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_counts_that_somebody_may_miss_stay(body: str) -> None:
    assert counts(body) == body.count("ref(ptr %a)") > 0


def test_other_functions_of_the_module_are_looked_at_too() -> None:
    other = """
define void @g(ptr %place) {
  %m = load ptr, ptr %place
  call void @NRT_decref(ptr %m)
  ret void
}
"""
    assert counts(PLAIN.format(within="", after=""), other) == 4


def test_functions_of_other_conventions_keep_their_counts() -> None:
    assert counts(PLAIN.format(within="", after=""), slot="context") == 4


@nb.njit
def write_ratio(row, result):
    if row[0] > 0.0:
        result[0] = row[1] / row[2]
    else:
        result[0] = row[1] * row[2] / row[0]


@nb.njit
def rows(x, out):
    s = 0.0
    for i in range(out.shape[0]):
        row = out[i]
        write_ratio(row, x[i:])
        s += row[0] / x[i]
    return s


@nb.njit
def one_name_after_another(x, out):
    y = x
    for i in range(3):
        z = y[1:]
        y = x[i:]
        z[0] = z[0] * y[0]
    return y[0] * x[1]


@nb.njit
def other_or_itself(x, out):
    y = x
    for i in range(3):
        y = y * 2.0 if x[i] > 0.5 else y
    return y[0] * y[1]


@nb.njit
def kept_in_a_list(x, out):
    kept = [x]
    kept.append(out[0])
    kept.pop(0)
    kept.append(x)
    return kept[0][0] * kept[1][1]


@pytest.mark.parametrize(
    ("f", "counted"),
    [
        (rows, False),
        *(
            pytest.param(f, counted, marks=pytest.mark.slow)
            for f, counted in (
                (one_name_after_another, False),
                (other_or_itself, True),
                (kept_in_a_list, True),
            )
        ),
    ],
)
def test_derivatives_are_those_of_the_plain_plan(f: Any, *, counted: bool) -> None:
    out = np.arange(1.0, 7.0).reshape(2, 3)
    counting = "call void @NRT_incref(ptr %arg."
    assert (counting in made(f, X, out).text) == counted
    without = made(f, X, out, passes=ALL_PASSES - {Pass.BORROWED}).text
    assert (counting in without) == (f is not one_name_after_another)  # LLVM finds those itself
    agree(f, X, out)


@nb.njit
def itself(x):
    return x


def test_array_that_is_returned_is_counted_for_its_new_owner() -> None:
    tangent = np.arange(1.0, 7.0)
    for _ in range(100):
        d_value, value = cz.autodiff(
            cz.ForwardWithPrimal, itself, cz.Duplicated, cz.Duplicated(X.copy(), tangent.copy())
        )
    np.testing.assert_array_equal(value, X)
    np.testing.assert_array_equal(d_value, tangent)
