"""Scenarios in two calls: what the caller owns is overwritten between the forward and the reverse half."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import coenzyme as cz

from .model import Scenario
from .runner import Outcome, Prepared, assert_close, prepare, raised_by, reverse
from .test_scenarios import ANNOTATED, PULLED_BACK, RAISING

# Each compiles twice: one in four, and one for each kind of argument and control flow.
CHOSEN = [s for k, s in enumerate(ANNOTATED) if k % 4 == 0 or s in PULLED_BACK]


def _annotate(prepared: Prepared, args: list[Any], shadows: list[Any]) -> list[Any]:
    annotated: list[Any] = []
    for i, (x, dx) in enumerate(zip(args, shadows, strict=True)):
        if i not in prepared.arguments.argnums:
            annotated.append(cz.Const(x))
        else:
            annotated.append(cz.Duplicated(x, dx) if isinstance(x, np.ndarray) else cz.Active(x))
    return annotated


def split(prepared: Prepared) -> Outcome:
    """Return the cotangents that leave the reverse half."""
    arguments = prepared.arguments
    args, shadows = arguments.build(arguments.point), arguments.shadows(prepared.entering)
    annotated = _annotate(prepared, args, shadows)
    returns = cz.Const if prepared.value is None else cz.Active
    kinds = [type(argument) for argument in annotated]
    halves = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, prepared.scenario.function, returns, *kinds)
    tape, value, _ = halves[0](*annotated)
    memory = arguments.read(args)
    for array in args:
        if isinstance(array, np.ndarray) and array.flags.writeable:
            array[...] = 0 if array.dtype.kind in "iub" else np.nan
    seeds = [] if prepared.value is None else [1.0]
    partials = halves[1](*annotated, *seeds, tape)
    leaving = [dx if partial is None else partial for partial, dx in zip(partials, shadows, strict=True)]
    return Outcome(value, memory, partials, arguments.read(leaving))


@pytest.mark.parametrize("scenario", CHOSEN, ids=lambda s: s.name)
def test_halves_give_the_gradient_whatever_happens_between_them(scenario: Scenario) -> None:
    for point in scenario.regular_points:
        prepared = prepare(scenario, point)
        outcome = split(prepared)
        assert_close(outcome.value, prepared.value, prepared.tolerance, what="value")
        assert_close(outcome.memory, prepared.exit_memory, prepared.tolerance, what="memory on exit")
        expected = prepared.gradient
        if expected is None:
            expected = reverse(prepared, with_primal=False).shadow
        scale = float(np.abs(expected).max(initial=0.0))
        assert_close(outcome.shadow, expected, prepared.tolerance, scale, f"gradient at {point.arguments}")


@pytest.mark.parametrize("scenario", [s for s in RAISING if s in ANNOTATED], ids=lambda s: s.name)
def test_forward_half_raises_what_the_function_raises(scenario: Scenario) -> None:
    for point in scenario.error_points:
        args = [x.copy() if isinstance(x, np.ndarray) else x for x in point.arguments]
        annotated = [
            cz.Duplicated(x, np.zeros_like(x))
            if isinstance(x, np.ndarray) and x.dtype.kind == "f"
            else cz.Active(x)
            if isinstance(x, float)
            else cz.Const(x)
            for x in args
        ]
        kinds = [type(argument) for argument in annotated]
        forward, _ = cz.autodiff_thunk(cz.ReverseSplitNoPrimal, scenario.function, cz.Active, *kinds)
        error = raised_by(forward, *annotated)
        assert type(error) is point.error, scenario.name
