"""Numbers that loops carry round because they have been read before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.problems.brusselator import rates
from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.analysis.points_to import find_objects
from coenzyme.derive.normalise import normalise
from coenzyme.derive.reread import reread_carried_loads
from coenzyme.ir.instructions import Load
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import F64
from tests.unit.analysis.reading import read
from tests.unit.derive.shapes import agree, plan_of

TEXT = """
define void @f(ptr %u, ptr %r, i64 %n, i64 %k) {{
entry:
  %start = getelementptr double, ptr %u, i64 {start}
  %first = load double, ptr %start, align 8
  {between}
  br label %loop
loop:
  %i = phi i64 [ 1, %entry ], [ %next, %loop ]
  %before = phi double [ {begin}, %entry ], [ %here, %loop ]
  {ahead}
  %place = getelementptr double, ptr %u, i64 %i
  %here = load double, ptr %place, align 8
  %product = fmul double %before, %here
  %result = getelementptr double, ptr %r, i64 %i
  store double %product, ptr %result, align 8
  {inside}
  %next = add nuw nsw i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %exit, label %loop
exit:
  ret void
}}

declare void @unknown(ptr)
"""


def is_reread(
    between: str = "",
    inside: str = "",
    ahead: str = "",
    start: str = "0",
    begin: str = "%first",
    place: str = "%i",
    *,
    disjoint: bool = True,
) -> bool:
    """Whether the loop reads again what it has read in the iteration before."""
    text = TEXT.format(between=between, inside=inside, ahead=ahead, start=start, begin=begin)
    f = read(text.replace("ptr %u, i64 %i", f"ptr %u, i64 {place}"))
    elements = dict.fromkeys(f.function.arguments[:2], F64)
    shape = normalise(f.function, elements, has_status=False)
    groups = {argument: n for n, argument in enumerate(f.function.arguments[:2])}
    objects = find_objects(f.function, groups, elements)
    changed = reread_carried_loads(shape, objects, Aliasing(arguments_disjoint=disjoint))
    parse_module(print_module(f.module))
    loads = sum(isinstance(i, Load) for i in f.block("loop").instructions)
    assert loads == 1 + changed
    return changed


def test_what_was_read_before_is_read_again() -> None:
    assert is_reread()


@pytest.mark.parametrize(
    "changes",
    [
        {"inside": "store double 0.0, ptr %start, align 8"},
        {"between": "store double 0.0, ptr %start, align 8"},
        {"inside": "call void @unknown(ptr %u)"},
        {"between": "call void @unknown(ptr %u)"},
        {"start": "1"},
        {"begin": "0.0"},
        {"ahead": "%twice = mul i64 %i, %i", "place": "%twice"},
        {"ahead": "%half = udiv i64 %i, 2", "place": "%half"},
        {"ahead": "%there = mul i64 %i, %k", "place": "%there"},
        {"disjoint": False},
    ],
)
def test_what_may_have_changed_or_lies_elsewhere_is_carried(changes: dict[str, Any]) -> None:
    assert not is_reread(**changes)


def carries_loads(f: Callable[..., Any], *args: Any, **options: Any) -> bool:
    """Whether a number that was loaded goes round a loop."""
    headers = [loop.header for loop in plan_of(f, *args, **options).shape.counted]
    return any(isinstance(o, Load) for header in headers for phi in header.phis for o in phi.operands)


def test_derivatives_are_the_same() -> None:
    def grid(*shape: int, seed: int = 0) -> NDArray[np.float64]:
        return np.random.default_rng(seed).uniform(0.1, 1.0, shape)

    def arguments(n: int) -> list[Any]:
        return [*(grid(n, n, seed=seed) for seed in range(4)), 0.3]

    passes = ALL_PASSES - {Pass.BORDERS}
    assert carries_loads(rates, *arguments(5), passes=passes - {Pass.REREAD})
    assert not carries_loads(rates, *arguments(5), passes=passes)
    for n in (0, 1, 2, 3, 12):
        agree(rates, *arguments(n))
        agree(rates, *arguments(n), passes=passes)
