"""References are not counted where nobody would miss the counts."""

from __future__ import annotations

import re
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import coenzyme as cz
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.derive.reference_counts import drop_reference_counts
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
declare ptr @NRT_MemInfo_data_fast(ptr)
declare void @unknown()
declare void @take(ptr)
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
    drop_reference_counts(module)
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


UP = "call void @NRT_incref(ptr {})"
DOWN = "call void @NRT_decref(ptr {})"


def own(body: str) -> list[str]:
    """Return what is left of `body` of the counts, each as `+` or `-` and the block that it counts on."""
    module = parse_module(TEXT.format(body=_written(body), others="", slot="excinfo"))
    drop_reference_counts(module)
    text = print_module(module)
    parse_module(text)
    return re.findall(r"[+-] %\w+", _short(text[text.index("define i32 @f") :]))


def _written(body: str) -> str:
    body = re.sub(r"\+ (%\w+)", UP.format(r"\1"), re.sub(r"- (%\w+)", DOWN.format(r"\1"), body))
    return body.replace("= new", "= call ptr @NRT_MemInfo_alloc_aligned(i64 %n, i32 32)")


def _short(text: str) -> str:
    return re.sub(
        r"call void @NRT_(in|de)cref\(ptr (%\w+)\)", lambda m: f"{'+' if m[1] == 'in' else '-'} {m[2]}", text
    )


ROWS = """
entry:
  %m = new
  %d = call ptr @NRT_MemInfo_data_fast(ptr %m)
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  + %m
  + %m
  store double 0.0, ptr %d
  - %m
  {within}
  - %m
  %j = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %loop, label %out
out:
  {after}
  - %m
  ret i32 0
"""
MERGED = """
entry:
  %m = new
  %k = new
  %c = icmp eq i64 %n, 0
  + %m
  + %k
  br i1 %c, label %left, label %right
left:
  + %m
  br label %join
right:
  {right}
  br label %join
join:
  %p = phi ptr [ %m, %left ], [ {other}, %right ]
  %d = call ptr @NRT_MemInfo_data_fast(ptr %p)
  {first}
  - %p
  - %m
  - %k
  {last}
  - %k
  ret i32 0
"""
FAILING = """
entry:
  %m = new
  + %m
  %c = icmp eq i64 %n, 0
  br i1 %c, label %failed, label %go
failed:
  {failing}
  ret i32 1
go:
  - %m
  - %m
  ret i32 0
"""
RETURNED = """
entry:
  %m = new
  + %m
  {within}
  - %m
  store ptr %m, ptr %result
  {after}
  ret i32 0
"""


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (ROWS.format(within="", after=""), ["- %m"]),
        (MERGED.format(right="+ %k", other="%k", first="", last="- %m"), ["- %m", "- %k"]),
        (MERGED.format(right="+ %a", other="%a", first="", last="- %m"), ["- %m", "- %k"]),
        (FAILING.format(failing="- %m\n  - %m"), ["- %m", "- %m"]),
        (FAILING.format(failing=""), ["- %m"]),
        (RETURNED.format(within="", after=""), []),
    ],
    ids=["in a loop", "merged", "merged with an argument", "freed before an error", "abandoned", "returned"],
)
def test_blocks_of_the_function_are_counted_where_they_are_freed(body: str, left: list[str]) -> None:
    assert own(body) == left


STAYING = {
    "one more in each iteration": ROWS.format(within="+ %m", after=""),
    "one less in each iteration": ROWS.format(within="- %m", after=""),
    "freed twice": ROWS.format(within="", after="- %m"),
    "kept in memory": ROWS.format(within="store ptr %m, ptr %b", after=""),
    "kept in a structure": ROWS.format(within="%s = insertvalue {ptr, i64} poison, ptr %m, 0", after=""),
    "given to a call": ROWS.format(within="call void @take(ptr %m)", after=""),
    "as a number": ROWS.format(within="%s = ptrtoint ptr %m to i64", after=""),
    "chosen": ROWS.format(within="%s = select i1 true, ptr %m, ptr %a\n  + %s\n  - %s", after=""),
    "returned twice": RETURNED.format(within="+ %m", after=""),
    "returned and read again": RETURNED.format(within="", after="%r = load ptr, ptr %result\n  + %r\n  - %r"),
    "returned elsewhere": RETURNED.format(within="", after="").replace("%result", "%b"),
    "the last one merged": MERGED.format(right="+ %k", other="%k", first="- %m\n  - %m", last="").replace(
        "- %p\n  - %m", "- %p"
    ),
    "merged and counted up": MERGED.format(right="+ %k", other="%k", first="+ %p\n  - %p", last="- %m"),
    "merged with what is read": MERGED.format(
        right="%l = load ptr, ptr %b", other="%l", first="", last="- %m"
    ),
    "merged with an argument that misses one": MERGED.format(right="", other="%a", first="", last="- %m"),
    "a way that counts differently": MERGED.format(right="", other="%k", first="", last="- %m"),
}
"""Bodies with counts on %m that are not known, or matter."""


@pytest.mark.parametrize("body", STAYING.values(), ids=STAYING.keys())
def test_counts_that_are_not_known_stay(body: str) -> None:
    on_block = [count for count in re.findall(r"[+-] %\w+", body) if count[-2:] in ("%m", "%p")]
    assert [count for count in own(body) if count[-2:] in ("%m", "%p")] == on_block


LOOPED = """
entry:
  %first = new
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  %old = phi ptr [ %first, %entry ], [ %m, %loop ]
  %m = new
  + %m
  - %m
  - %old
  %j = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %loop, label %out
out:
  - %m
  ret i32 0
"""


def test_a_block_that_the_next_iteration_drops_stays_counted() -> None:
    assert own(LOOPED) == ["+ %m", "- %m", "- %old", "- %m"]


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


@nb.njit
def multiply(a, b, product):
    for i in range(3):
        for j in range(3):
            total = 0.0
            for k in range(3):
                total += a[i, k] * b[k, j]
            product[i, j] = total


@nb.njit
def chain_of_products(x, parents):
    """Multiply matrices along a tree, in local arrays of which each row is a matrix."""
    n = len(parents)
    absolute, turned, turn = np.empty((n, 3, 3)), np.empty((3, 3)), np.eye(3)
    out = np.empty((n, 3, 3))
    for i in range(n):
        turn[0, 1] = x[i] * x[i + 1]
        if parents[i] < 0:
            multiply(turn, turn, absolute[i])
        else:
            multiply(turn, absolute[parents[i]], turned)
            multiply(absolute[parents[i]], turned, absolute[i])
        multiply(absolute[i], turn, out[i])
        if x[i] > 5.0:
            raise ValueError
    return out.sum()


def test_matrices_in_local_arrays_are_not_counted_in_loops() -> None:
    parents = (-1, 0, 0, 1, 2)
    quick = made(chain_of_products, X, parents).text
    plain = made(chain_of_products, X, parents, passes=ALL_PASSES - {Pass.BORROWED}).text
    # What is counted is only what the reverse sweep keeps.
    kept = re.findall(r"@NRT_incref\(ptr %\S+\)\s+%\S+ = call i1 @coenzyme.keep.push\(", quick)
    assert len(kept) == quick.count("call void @NRT_incref(")
    assert plain.count("call void @NRT_incref(") > 10
    agree(chain_of_products, X, parents)
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        cz.grad(chain_of_products)(X, parents)
        cz.jacfwd(chain_of_products)(X, parents)
        after = rtsys.get_allocation_stats()
        assert after.alloc - before.alloc == after.free - before.free
    finally:
        _nrt_python.memsys_disable_stats()
