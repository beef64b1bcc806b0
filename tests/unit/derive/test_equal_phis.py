"""Phis of one computation made in two places."""

from __future__ import annotations

import pytest

from coenzyme.derive.equal_phis import merge_equal_computations
from coenzyme.ir.instructions import Binary, Phi
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.values import Value
from tests.unit.analysis.reading import Reading, read

TEXT = """
define i64 @f(i64 %i, i64 %n, i1 %c, ptr %p) {{
entry:
  {before}
  br i1 %c, label %left, label %right
left:
  {left}
  br label %join
right:
  {right}
  br label %join
join:
  %x = phi i64 [ {a}, %left ], [ {b}, %right ]
  ret i64 %x
}}
"""


def merged(left: str, right: str, a: str, b: str, before: str = "") -> Value:
    """Return what the function returns after the pass."""
    f = read(TEXT.format(left=left, right=right, a=a, b=b, before=before))
    merge_equal_computations(f.function)
    parse_module(print_module(f.module))
    return f.block("join").terminator.operands[0]


def test_product_computed_on_both_ways_is_computed_once() -> None:
    found = merged("%a = mul nsw i64 %i, %n", "%b = mul i64 %i, %n", "%a", "%b")
    assert isinstance(found, Binary)
    assert (found.opcode, found.flags, found.name) == ("mul", (), "x")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("mul i64 %i, %n", "mul i64 %n, 2"),
        ("mul i64 %i, %n", "add i64 %i, %n"),
        ("udiv i64 %i, %n", "udiv i64 %i, %n"),
        ("load i64, ptr %p", "load i64, ptr %p"),
    ],
)
def test_other_computations_divisions_and_loads_are_left_alone(left: str, right: str) -> None:
    assert isinstance(merged(f"%a = {left}", f"%b = {right}", "%a", "%b"), Phi)


def test_operands_that_are_not_known_where_they_meet_are_left_alone() -> None:
    left = "%k = add i64 %i, 1\n  %a = mul i64 %k, %n"
    assert isinstance(merged(left, "%l = add i64 %i, 1\n  %b = mul i64 %l, %n", "%a", "%b"), Phi)


def test_operands_of_a_loop_that_has_been_left_are_left_alone() -> None:
    f = read("""
define i64 @f(i64 %m, i64 %n, i1 %c, i1 %d) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  %i.next = add i64 %i, 1
  br i1 %c, label %left, label %other
left:
  %a = mul i64 %i, %n
  br label %join
other:
  %b = mul i64 %i, %n
  br i1 %d, label %latch, label %join
latch:
  br label %loop
join:
  %x = phi i64 [ %a, %left ], [ %b, %other ]
  ret i64 %x
}
""")
    merge_equal_computations(f.function)
    assert isinstance(f.block("join").terminator.operands[0], Phi)


def on_edge(condition: str, value: str) -> Reading:
    """Return a function where `value` comes from the edge on which `condition` holds, i·n from the other."""
    return read(f"""
define i64 @f(i64 %i, i64 %n) {{
entry:
  %c = icmp {condition}
  br i1 %c, label %join, label %other
other:
  %a = mul i64 %i, %n
  br label %join
join:
  %x = phi i64 [ {value}, %entry ], [ %a, %other ]
  ret i64 %x
}}
""")


@pytest.mark.parametrize(
    ("condition", "value", "applies"),
    [
        ("eq i64 %i, 0", "0", True),
        ("eq i64 %n, 0", "0", True),
        ("eq i64 %i, 1", "0", False),
        ("eq i64 %i, 0", "5", False),
        ("ne i64 %i, 0", "0", False),
        ("slt i64 %i, 0", "0", False),
    ],
)
def test_constant_counts_as_the_product_where_the_edge_says_so(
    condition: str, value: str, applies: bool
) -> None:
    f = on_edge(condition, value)
    merge_equal_computations(f.function)
    assert isinstance(f.block("join").terminator.operands[0], Binary) is applies
