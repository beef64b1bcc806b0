"""Branches around a few harmless operations become selections, with the same value and derivative."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

import coenzyme as cz
from coenzyme.codegen import verify
from coenzyme.ir.instructions import Function, Select
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.speculate import speculate_branches
from coenzyme.testing import check_derivatives

LOOP = """
declare double @llvm.fabs.f64(double)
declare double @llvm.sqrt.f64(double)
define void @f(ptr %x, i64 %n, i64 %k) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %join ]
  %p = getelementptr double, ptr %x, i64 %i
  %d = load double, ptr %p
  %c = fcmp ogt double %d, 0.0
  br i1 %c, label %{first}, label %{second}
left:
  {left}
  br label %join
right:
  {right}
  br label %join
join:
  %r = phi {phi}
  %s = sitofp i64 %k to double
  store double %s, ptr %p
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done
done:
  ret void
}}
"""


def speculated(
    left: str = "", right: str = "", phi: str = "double [ %a, %left ], [ %d, %loop ]", *, both: bool = False
) -> tuple[Function, bool]:
    """Return the loop with these sides, and whether anything was changed; what results is valid LLVM."""
    text = LOOP.format(left=left, right=right, phi=phi, first="left", second="right" if both else "join")
    if not both:
        text = text.replace("right:\n  \n  br label %join\n", "")
    module = parse_module(text)
    changed = speculate_branches(module.functions["f"])
    verify(print_module(module), "f")
    return module.functions["f"], changed


def test_one_side_becomes_a_selection_and_the_loop_a_single_block() -> None:
    function, changed = speculated("%h = fmul double %d, 0.5\n  %a = fneg double %h")
    assert changed
    assert [b.name for b in function.blocks] == ["entry", "loop", "done"]
    (selection,) = (i for i in function.instructions() if isinstance(i, Select))
    assert [o.name for o in selection.operands] == ["c", "a", "d"]
    (loop,) = LoopForest(function).loops
    assert loop.latch is loop.header


def test_both_sides_become_a_selection() -> None:
    function, changed = speculated(
        "%a = fmul double %d, 2.0",
        "%b = call double @llvm.fabs.f64(double %d)",
        "double [ %a, %left ], [ %b, %right ]",
        both=True,
    )
    assert changed
    (selection,) = (i for i in function.instructions() if isinstance(i, Select))
    assert [o.name for o in selection.operands] == ["c", "a", "b"]
    assert len(function.blocks) == 3


def test_integers_are_selected_too_and_lose_the_promise_not_to_overflow() -> None:
    function, changed = speculated("%a = add nsw nuw i64 %k, 1", phi="i64 [ %a, %left ], [ %k, %loop ]")
    assert changed
    (added,) = (i for i in function.instructions() if i.name == "a")
    assert added.flags == ()


def test_flags_that_promise_numbers_are_dropped_and_those_that_only_allow_are_kept() -> None:
    function, _ = speculated("%a = fadd fast double %d, 1.0")
    (added,) = (i for i in function.instructions() if i.name == "a")
    assert set(added.flags) == {"reassoc", "nsz", "arcp", "contract", "afn"}


@pytest.mark.parametrize(
    "left",
    [
        "%a = call double @llvm.sqrt.f64(double %d)",
        "%a = fdiv double 1.0, %d",
        "%a = load double, ptr %x",
        "%a = fadd double %d, 1.0\n  store double 0.0, ptr %x",
        "%q = sdiv i64 %k, %n\n  %a = sitofp i64 %q to double",
        "%q = shl i64 %k, %n\n  %a = sitofp i64 %q to double",
        "\n  ".join(
            ["%a0 = fadd double %d, 1.0"] + [f"%a{n} = fadd double %a{n - 1}, 1.0" for n in range(1, 9)]
        )
        + "\n  %a = fneg double %a8",
    ],
    ids=["root", "quotient", "load", "store", "integer division", "shift", "too many"],
)
def test_what_may_trap_or_is_dear_stays_behind_its_branch(left: str) -> None:
    assert not speculated(left)[1]


def test_addresses_are_not_selected() -> None:
    assert not speculated("%a = fneg double %d", phi="ptr [ %x, %left ], [ %p, %loop ]")[1]


def test_branches_outside_of_loops_stay() -> None:
    module = parse_module("""
define double @f(double %x) {
entry:
  %c = fcmp ogt double %x, 0.0
  br i1 %c, label %left, label %join
left:
  %a = fneg double %x
  br label %join
join:
  %r = phi double [ %a, %left ], [ %x, %entry ]
  ret double %r
}
""")
    assert not speculate_branches(module.functions["f"])


@njit
def limited(a: float, b: float) -> float:
    """Return a slope."""
    if a * b <= 0.0:
        return 0.0
    return a if abs(a) < abs(b) else b


def slopes(x: Any, y: Any) -> None:
    """Write limited slopes."""
    for i in range(1, x.size - 1):
        y[i] = 0.5 * limited(x[i] - x[i - 1], x[i + 1] - x[i]) * x[i]


def products(x: Any, y: Any) -> None:
    """Multiply only what is small; the product of what is large is infinite."""
    for i in range(x.size):
        t = x[i]
        if abs(t) < 1e100:
            t = x[i] * x[i] * x[i]
        y[i] = t


def ladder(x: Any, y: Any) -> None:
    """Choose among several ways, with indices."""
    for i in range(x.size):
        k = i
        if x[i] > 1.0:
            k = i - 1
        elif x[i] > 0.0:
            k = i + 1 if i + 1 < x.size else 0
        t = x[k] * x[i]
        if t < 0.0:
            t = -2.0 * t
        y[i] = t


def clamped(x: Any, y: Any) -> None:
    """Raise in the middle of what is clamped."""
    for i in range(x.size):
        t = x[i]
        if t > 2.0:
            t = 2.0 + 0.1 * (t - 2.0)
        if t < -5.0:
            raise ValueError("too low")
        y[i] = t * t


@pytest.mark.parametrize("function", [slopes, products, ladder, clamped])
def test_derivatives_agree_with_the_plain_ones_and_with_differences(function: Callable[..., Any]) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=40) * 2.0
    assert check_derivatives(njit(function), x, np.zeros(40)).conclusive
    found = [gradient(function, x)]
    with cz.debug.without(cz.debug.Pass.SPECULATE):
        found.append(gradient(function, x))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-14, atol=0.0)


def gradient(function: Callable[..., Any], x: Any) -> Any:
    """Return the cotangent of x for cotangents 1, 2, 3, … of y."""
    dx = np.zeros_like(x)
    dy = np.arange(1.0, x.size + 1.0)
    cz.autodiff(cz.Reverse, njit(function), cz.Duplicated(x.copy(), dx), cz.Duplicated(np.zeros_like(x), dy))
    return dx


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e300])
def test_what_is_computed_in_vain_leaves_no_nan_behind(value: float) -> None:
    x = np.array([0.5, value, 2.0])
    np.testing.assert_array_equal(gradient(products, x), [0.75, 2.0, 36.0])
    tangents = cz.jvp(total, (x,), (np.ones(3),))[1]
    assert tangents == 0.75 + 1.0 + 12.0


@njit
def total(x: Any) -> float:
    """Sum what `products` writes."""
    y = np.zeros_like(x)
    for i in range(x.size):
        t = x[i]
        if abs(t) < 1e100:
            t = x[i] * x[i] * x[i]
        y[i] = t
    return y[0] + y[1] + y[2]
