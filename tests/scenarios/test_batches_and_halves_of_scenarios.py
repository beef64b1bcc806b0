"""Every scenario with annotated arguments, several directions at once and in two halves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import coenzyme as cz
from coenzyme.testing import Arguments

from .model import Scenario
from .runner import Prepared, assert_close, prepare, random_direction
from .test_scenarios import ANNOTATED

_QUICK = {"rosenbrock", "swapped-buffers", "recursive-power"}
SCENARIOS = [
    pytest.param(s, id=s.name, marks=() if s.name in _QUICK else pytest.mark.slow) for s in ANNOTATED
]


def _annotated(arguments: Arguments, args: Any, lanes: list[Any], *, in_reverse: bool) -> list[Any]:
    found: list[Any] = []
    for i, x in enumerate(args):
        if i not in arguments.argnums:
            found.append(cz.Const(x))
        elif in_reverse and not isinstance(x, np.ndarray):
            found.append(cz.Active(x))
        elif len(lanes) == 1:
            found.append(cz.Duplicated(x, lanes[0][i]))
        else:
            found.append(cz.BatchDuplicated(x, tuple(lane[i] for lane in lanes)))
    return found


def _leaving(
    arguments: Arguments, annotated: list[Any], partials: Any, shadows: Any, lane: int | None
) -> Any:
    parts = []
    for annotation, partial, dx in zip(annotated, partials, shadows, strict=True):
        if isinstance(annotation, cz.Active):
            parts.append(partial if lane is None else partial[lane])
        else:
            parts.append(dx)
    return arguments.read(parts)


def _entering(prepared: Prepared) -> list[Any]:
    """Return two cotangents of memory on exit: that of the scenario, and another."""
    other = np.where(prepared.arguments.memory, random_direction(prepared.arguments, 11), 0.0)
    return [prepared.entering, prepared.entering + other]


def _single(prepared: Prepared, entering: Any) -> Any:
    arguments = prepared.arguments
    args, shadows = arguments.build(arguments.point), arguments.shadows(entering)
    annotated = _annotated(arguments, args, [shadows], in_reverse=True)
    partials = cz.autodiff(cz.Reverse, prepared.scenario.function, *annotated)
    return _leaving(arguments, annotated, partials, shadows, None)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_batch_is_as_good_as_single_directions(scenario: Scenario) -> None:
    for point in scenario.regular_points:
        prepared = prepare(scenario, point)
        arguments, function = prepared.arguments, scenario.function
        entering = _entering(prepared)
        lanes = [arguments.shadows(e) for e in entering]
        args = arguments.build(arguments.point)
        annotated = _annotated(arguments, args, lanes, in_reverse=True)
        partials, value = cz.autodiff(cz.ReverseWithPrimal.replace(width=2), function, *annotated)
        assert_close(value, prepared.value, prepared.tolerance, what="value")
        assert_close(arguments.read(args), prepared.exit_memory, prepared.tolerance, what="memory")
        for k, (shadows, e) in enumerate(zip(lanes, entering, strict=True)):
            expected = _single(prepared, e)
            found = _leaving(arguments, annotated, partials, shadows, k)
            assert_close(found, expected, 1e-12, float(np.abs(expected).max(initial=0.0)), f"lane {k}")
        directions = [random_direction(arguments, seed) for seed in (7, 8)]
        lanes = [arguments.shadows(direction) for direction in directions]
        args = arguments.build(arguments.point)
        annotated = _annotated(arguments, args, lanes, in_reverse=False)
        tangents = cz.autodiff(cz.Forward.replace(width=2), function, *annotated)
        for k, direction in enumerate(directions):
            if prepared.gradient is None:
                continue
            of_memory = np.where(arguments.memory, arguments.read(lanes[k]), 0.0)
            got = (0.0 if tangents is None else tangents[k]) + prepared.entering @ of_memory
            scale = 1e3 * float(np.abs(prepared.gradient) @ np.abs(direction))
            assert_close(got, prepared.gradient @ direction, prepared.tolerance, scale, f"tangent {k}")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_halves_are_as_good_as_one_call(scenario: Scenario) -> None:
    for point in scenario.regular_points:
        prepared = prepare(scenario, point)
        arguments = prepared.arguments
        args, shadows = arguments.build(arguments.point), arguments.shadows(prepared.entering)
        annotated = _annotated(arguments, args, [shadows], in_reverse=True)
        returned = cz.Const if prepared.value is None else cz.Active
        kinds = [type(x) for x in annotated]
        forward, reverse = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, scenario.function, returned, *kinds)
        tape, value, _ = forward(*annotated)
        assert_close(value, prepared.value, prepared.tolerance, what="value")
        assert_close(arguments.read(args), prepared.exit_memory, prepared.tolerance, what="memory")
        seed = () if prepared.value is None else (1.0,)
        found = _leaving(arguments, annotated, reverse(*annotated, *seed, tape), shadows, None)
        expected = _single(prepared, prepared.entering)
        assert_close(found, expected, 1e-12, float(np.abs(expected).max(initial=0.0)))
