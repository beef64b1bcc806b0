"""Inequalities in values that are one of two others, as a condition decides."""

from __future__ import annotations

import pytest

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.gates import Gates, ways
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Instruction
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.parser import parse_module
from coenzyme.ir.values import Value

ONE = Polynomial({(): 1})

BROADCAST = """
define i64 @f(i64 %a, i64 %b, i64 %i) {
start:
  %single = icmp eq i64 %a, 1
  br i1 %single, label %merged, label %other

other:
  %differs = icmp ne i64 %b, %a
  %long = icmp ne i64 %b, 1
  %wrong = and i1 %differs, %long
  br i1 %wrong, label %failed, label %merged

merged:
  %extent = phi i64 [ %a, %other ], [ %b, %start ]
  %several = icmp ugt i64 %a, 1
  %index = select i1 %several, i64 %i, i64 0
  %several.of.b = icmp ugt i64 %b, 1
  %index.of.b = select i1 %several.of.b, i64 %i, i64 0
  ret i64 %index

failed:
  ret i64 -1
}
"""


def read(text: str) -> tuple[Gates, dict[str, Value]]:
    (function,) = parse_module(text).functions.values()
    flow = ControlFlow(function)
    dominators = Dominators(flow)
    forest = LoopForest(function, flow, dominators)
    gates = Gates(Polynomials({}, {}), flow, dominators, lambda block: forest.loop_of[block])
    values: dict[str, Value] = {a.name: a for a in function.arguments}
    values |= {i.name: i for i in function.instructions() if isinstance(i, Instruction) and i.name}
    return gates, values


def variable(value: Value) -> Polynomial:
    return Polynomial({(value,): 1})


@pytest.mark.parametrize(("index", "length"), [("index", "a"), ("index.of.b", "b")])
def test_index_into_a_broadcast_operand_lies_inside(index: str, length: str) -> None:
    gates, values = read(BROADCAST)
    i, extent = variable(values["i"]), variable(values["extent"])
    loop = [i, extent - ONE - i]
    chosen = variable(values[index])
    assert gates.follows(loop, chosen)
    assert gates.follows(loop, variable(values[length]) - ONE - chosen)


def test_index_of_the_result_may_lie_outside_of_an_operand() -> None:
    gates, values = read(BROADCAST)
    i, extent = variable(values["i"]), variable(values["extent"])
    loop = [i, extent - ONE - i]
    for length in ("a", "b"):
        assert not gates.follows(loop, variable(values[length]) - ONE - i)
    assert not gates.follows(loop, variable(values["a"]) - ONE - variable(values["index.of.b"]))


def test_without_the_error_for_other_extents_nothing_is_known_of_the_second_operand() -> None:
    gates, values = read(BROADCAST.replace("%wrong = and i1 %differs, %long", "%wrong = and i1 %differs, 0"))
    i, extent = variable(values["i"]), variable(values["extent"])
    index = variable(values["index.of.b"])
    assert not gates.follows([i, extent - ONE - i], variable(values["b"]) - ONE - index)


@pytest.mark.parametrize("bound", ["%b", "%n"])
def test_merge_behind_a_loop_is_not_decided_by_what_the_loop_asks(bound: str) -> None:
    gates, values = read(f"""
define i64 @f(i64 %b, i64 %n, i64 %c) {{
start:
  br label %loop

loop:
  %i = phi i64 [ 0, %start ], [ %next, %again ]
  %leaves = icmp eq i64 %i, %c
  br i1 %leaves, label %out, label %again

again:
  %next = add i64 %i, 1
  %over = icmp eq i64 %next, {bound}
  br i1 %over, label %out, label %loop

out:
  %merged = phi i64 [ 1, %loop ], [ 2, %again ]
  ret i64 %merged
}}
""")
    merged = variable(values["merged"])
    assert not gates.follows([], merged - ONE)


@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        ("eq", [(3, 3)]),
        ("ne", [(2, 3), (4, 3)]),
        ("slt", [(2, 3)]),
        ("sle", [(3, 3)]),
        ("sgt", [(4, 3)]),
        ("sge", [(3, 3)]),
        ("ult", [(0, 3), (2, 3)]),
        ("ule", [(3, 3)]),
        ("ugt", [(4, 3), (-1, 3)]),
        ("uge", [(3, 3), (-1, 3)]),
    ],
)
def test_ways_of_a_comparison_are_those_in_which_it_holds(
    predicate: str, holds: list[tuple[int, int]]
) -> None:
    signs = {"eq", "ne", "slt", "sle", "sgt", "sge"}
    for a in range(-2, 6):
        for b in range(6):
            left, right = (a, b) if predicate in signs else (a % 2**64, b)
            expected = {
                "eq": left == right,
                "ne": left != right,
                "slt": left < right,
                "ult": left < right,
                "sle": left <= right,
                "ule": left <= right,
                "sgt": left > right,
                "ugt": left > right,
                "sge": left >= right,
                "uge": left >= right,
            }[predicate]
            found = any(
                all(p.constant is not None and p.constant >= 0 for p in way)
                for way in ways(predicate, Polynomial({(): a}), Polynomial({(): b}))
            )
            assert found == expected, (a, b)
            if (a, b) in holds:
                assert found
