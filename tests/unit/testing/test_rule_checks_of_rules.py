"""What can go wrong in rules that users write, for functions that write to their arguments, is noticed."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import MissingRuleError
from coenzyme.testing import DerivativeMismatchError, check_rule

X = np.array([1.0, -2.0, 0.5])


def growing(
    *, mutates: bool = True, saves: bool = True, partial: float = 1.0, partial_of_three: float = 1.0
) -> Any:
    """Return a function that gives the sum of x and puts a x² in its place, with rules that may be wrong."""

    def grow(x, a):
        total = 0.0
        for i in range(x.size):
            total += x[i]
            x[i] = a * x[i] * x[i]
        return total

    plain = nb.njit(grow)
    ruled = cz.rule(nb.njit(grow))

    def fwd(x, a):
        before = x.copy()
        total = plain(x, a)
        if not mutates:
            for i in range(x.size):
                x[i] = before[i]
        return total, ((before if saves else x), a)

    def bwd(config, residuals, cotangent, shadows):
        before, a = residuals
        dx, _ = shadows
        factor = partial_of_three if config.width == 3 else partial
        a_bar = 0.0
        for i in range(before.size):
            a_bar += dx[i] * before[i] * before[i]
            dx[i] = dx[i] * 2.0 * a * before[i] * factor + cotangent
        return None, a_bar

    def jvp(primals, tangents):
        x, a = primals
        dx, da = tangents
        change = 0.0
        for i in range(x.size):
            change += dx[i]
            dx[i] = 2.0 * a * x[i] * dx[i] + da * x[i] * x[i]
        return plain(x, a), change

    ruled.defvjp(fwd, bwd)
    ruled.defjvp(jvp)
    return ruled


def wrong(f: Any, **options: Any) -> set[str]:
    """Return which arguments a check finds wrong."""
    with pytest.raises(DerivativeMismatchError) as caught:
        check_rule(f, X, 1.3, seed=1, **options)
    assert caught.value.report is not None
    return {c.argument for c in caught.value.report.mismatches}


@pytest.mark.slow
def test_a_right_rule_for_a_function_that_mutates_passes_in_every_mode() -> None:
    report = check_rule(growing(), X, 1.3, seed=1)
    assert report.conclusive
    assert report.missing == ()


def test_a_mutation_that_is_not_done_is_noticed() -> None:
    assert check_rule(growing(mutates=False), X, 1.3, seed=1, modes=["forward"], widths=[1])
    assert "x[1] on exit" in wrong(growing(mutates=False), modes=["reverse"], widths=[1])
    assert "x[1] on exit" in wrong(growing(mutates=False), modes=["unused"], widths=[1])


def test_a_constant_array_that_is_not_written_is_noticed() -> None:
    def count(x, calls, log):
        calls[1] += 1
        log[0] = 2.0 * x
        return x * x

    plain = nb.njit(count)
    ruled = cz.rule(nb.njit(count))
    ruled.defjvp(lambda p, t: (plain(p[0], p[1], p[2]), 2 * p[0] * t[0]))
    ruled.defvjp(lambda x, calls, log: (x * x, x), lambda x, c: (2 * x * c, None, None))
    point = (3.0, np.zeros(2, np.int64), np.zeros(1))
    options: Any = {"argnums": 0, "widths": [1], "seed": 1}
    assert check_rule(ruled, *point, modes=["forward"], **options)
    with pytest.raises(DerivativeMismatchError) as caught:
        check_rule(ruled, *point, modes=["reverse"], **options)
    assert caught.value.report is not None
    found = {c.argument + c.entry: (c.expected, c.got) for c in caught.value.report.mismatches}
    assert found == {"calls[1] on exit": (1.0, 0.0), "log[0] on exit": (6.0, 0.0)}


def test_what_was_saved_after_it_was_overwritten_is_noticed() -> None:
    assert {"x", "a"} <= wrong(growing(saves=False), modes=["reverse"], widths=[1])


def test_a_partial_derivative_wrong_by_a_millionth_is_noticed() -> None:
    assert wrong(growing(partial=1.0 + 1e-6), modes=["reverse"], widths=[1]) == {"", "x"}


def test_a_rule_that_is_wrong_for_three_directions_is_noticed_there() -> None:
    f = growing(partial_of_three=1.0 + 1e-6)
    assert check_rule(f, X, 1.3, seed=1, modes=["reverse"], widths=[1])
    assert wrong(f, modes=["reverse"], widths=[3]) == {"", "x"}


def test_modes_without_a_rule_are_told() -> None:
    square = cz.rule(lambda x: x * x)
    square.defjvp(lambda p, t: (p[0] * p[0], 2 * p[0] * t[0]))
    report = check_rule(square, 3.0, seed=1)
    assert report
    assert any(m.startswith("reverse, width 1: ") and "forward mode only" in m for m in report.missing)
    assert "not checked: reverse" in str(report)
    with pytest.raises(MissingRuleError):
        check_rule(square, 3.0, modes=["reverse"])
    with pytest.raises(MissingRuleError, match="no derivatives yet"):
        check_rule(cz.rule(lambda x: x * x), 3.0)
