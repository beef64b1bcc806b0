"""Every scenario in every mode: annotated calls, transforms, and agreement with independent oracles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import CoenzymeError
from coenzyme.testing import Arguments, check_derivatives, differences

from .catalogue import SCENARIOS
from .model import Point, Scenario
from .runner import (
    Prepared,
    assert_close,
    attempt,
    compiled,
    directions,
    forward,
    holds_floats,
    leaves,
    prepare,
    raised_by,
    random_direction,
    reverse,
)


def _named(scenarios: list[Scenario]) -> Any:
    return pytest.mark.parametrize("scenario", scenarios, ids=lambda s: s.name)


def _returns_a_number(scenario: Scenario) -> bool:
    return all(
        isinstance(prepare(scenario, point).value, (float, np.floating)) for point in scenario.regular_points
    )


def _is_annotated(scenario: Scenario) -> bool:
    """Whether annotated calls reach it: scalar and array arguments, a number or nothing returned."""
    every = [prepare(scenario, point) for point in scenario.regular_points]
    return all(
        p.arguments.simple and (p.value is None or isinstance(p.value, (float, np.floating))) for p in every
    )


ANNOTATED = [s for s in SCENARIOS if _is_annotated(s)]
TRANSFORMED = [s for s in SCENARIOS if s.transforms and _returns_a_number(s)]
# A pushforward and a pullback compile twice more: one scenario for each kind of argument and result.
_PULLED_BACK = {
    *(
        "rosenbrock",
        "continue-over-odd",
        "integers-and-flags",
        "default-argument",
        "float32-scalar",
        "fastmath",
    ),
    *("several-exits", "recursive-power", "local-tuples", "pair-argument", "named-tuple-argument"),
    *("take-out", "double-twice", "raise-after-write", "swapped-buffers", "scratch-power", "pair-of-arrays"),
    *("search-with-exit", "integer-array-argument", "callee-that-writes", "closure-over-array", "trapezoid"),
    *("contiguous-and-strided-vectors", "float32-vector", "matrix-layouts"),
}
PULLED_BACK = [s for s in TRANSFORMED if s.name in _PULLED_BACK]
WITH_JACOBIAN = [s for s in SCENARIOS if any(point.jacobian is not None for point in s.points)]
RAISING = [s for s in SCENARIOS if s.error_points]
WITH_PRIMAL = pytest.mark.parametrize("with_primal", [True, False], ids=["with-primal", "no-primal"])


def _assert_primal_ran_once(prepared: Prepared, value: Any, memory: Any, *, with_primal: bool) -> None:
    if with_primal:
        assert_close(value, prepared.value, prepared.tolerance, what="value")
    assert_close(memory, prepared.exit_memory, prepared.tolerance, what="memory on exit")


@_named(SCENARIOS)
def test_closed_form_agrees_with_finite_differences(scenario: Scenario) -> None:
    """The data themselves: no derivative code runs here."""
    for point in scenario.regular_points:
        prepared = prepare(scenario, point)
        expected, arguments = prepared.gradient, prepared.arguments
        if expected is None or arguments.epsilon > 1e-10:
            continue

        def weighted(x: Any, prepared: Prepared = prepared) -> float:
            args = prepared.arguments.build(x)
            value = prepared.scenario.python(*args)
            total = prepared.entering @ np.where(
                prepared.arguments.memory, prepared.arguments.read(args), 0.0
            )
            return float(total) + (0.0 if value is None else float(value))

        direction = random_direction(arguments, 3)
        estimate, error = differences.directional_difference(weighted, arguments.point.copy(), direction)
        # A series cut off at 1e-12, and pieces that jump elsewhere, leave noise that the estimate may miss.
        assert abs(expected @ direction - estimate) <= 10 * error + 1e-7 * (abs(estimate) + 1.0), (
            scenario.name,
            point,
        )


@WITH_PRIMAL
@_named(ANNOTATED)
def test_reverse_gives_the_gradient(scenario: Scenario, with_primal: bool) -> None:
    for point in scenario.regular_points:
        prepared = prepare(scenario, point)
        outcome = reverse(prepared, with_primal=with_primal)
        _assert_primal_ran_once(prepared, outcome.value, outcome.memory, with_primal=with_primal)
        if prepared.gradient is not None:
            scale = float(np.abs(prepared.gradient).max(initial=0.0))
            assert_close(
                outcome.shadow, prepared.gradient, prepared.tolerance, scale, f"gradient at {point.arguments}"
            )


@WITH_PRIMAL
@_named(ANNOTATED)
def test_forward_gives_the_directional_derivative(scenario: Scenario, with_primal: bool) -> None:
    for point in scenario.regular_points:
        prepared = prepare(scenario, point)
        for direction in directions(prepared.arguments):
            outcome = forward(prepared, direction, with_primal=with_primal)
            _assert_primal_ran_once(prepared, outcome.value, outcome.memory, with_primal=with_primal)
            assert (outcome.returned is None) == (prepared.value is None)
            if prepared.gradient is None:
                continue
            of_memory = np.where(prepared.arguments.memory, outcome.shadow, 0.0)
            got = (outcome.returned or 0.0) + prepared.entering @ of_memory
            expected = prepared.gradient @ direction
            scale = float(np.abs(prepared.gradient) @ np.abs(direction))
            assert_close(
                got,
                expected,
                prepared.tolerance,
                1e3 * scale,
                f"tangent at {point.arguments} along {direction}",
            )


def _assert_structure(gradient: Any, arguments: Any, what: str) -> None:
    """Assert that a gradient has its argument's containers, shapes and dtypes."""
    assert [np.shape(leaf) for leaf in leaves(gradient)] == [np.shape(leaf) for leaf in leaves(arguments)], (
        what
    )
    if isinstance(arguments, tuple):
        assert type(gradient) is type(arguments), what
    if isinstance(arguments, np.ndarray):
        assert gradient.dtype == arguments.dtype, what


@_named(TRANSFORMED)
def test_grad_returns_the_structure_of_its_argument(scenario: Scenario) -> None:
    for point in scenario.regular_points:
        if point.entering:
            continue
        prepared = prepare(scenario, point)
        chosen = prepared.arguments.argnums
        expected = _gradient_or_by_forward(prepared)
        value, gradient = cz.value_and_grad(scenario.function, argnums=chosen)(*_fresh(prepared))
        assert_close(value, prepared.value, prepared.tolerance, what="value")
        alone = cz.grad(scenario.function, argnums=chosen)(*_fresh(prepared))
        for i, part, again in zip(chosen, gradient, alone, strict=True):
            _assert_structure(part, point.arguments[i], f"grad of {scenario.name}, argument {i}")
            assert_close(again, part, 1e-14, what="grad against value_and_grad")
        assert_close(
            _scatter(prepared, gradient), expected, prepared.tolerance, float(np.abs(expected).max(initial=0))
        )
        first = attempt(lambda p=prepared, i=chosen[0]: cz.grad(scenario.function, argnums=i)(*_fresh(p)))
        if isinstance(first, CoenzymeError):
            # Active data written into an argument that is not differentiated: refused by name, never zero.
            assert len(chosen) > 1
            assert first.argument in prepared.arguments.names
        else:
            _assert_structure(first, point.arguments[chosen[0]], "a single argnum gives a bare gradient")
            assert_close(first, gradient[0], 1e-14, what="a single argnum gives the same gradient")


@_named(PULLED_BACK)
def test_jvp_and_vjp_are_adjoint(scenario: Scenario) -> None:
    for point in scenario.regular_points:
        if point.entering:
            continue
        prepared = prepare(scenario, point)
        arguments = prepared.arguments
        expected = _gradient_or_by_forward(prepared)
        direction = random_direction(arguments, 5)
        y, y_dot = cz.jvp(scenario.function, _fresh(prepared), _tangents(prepared, direction))
        z, pullback = cz.vjp(scenario.function, *_fresh(prepared))
        cotangents = pullback(2.0)
        assert_close((y, z), (prepared.value, prepared.value), prepared.tolerance, what="values")
        scale = 1e3 * float(np.abs(expected) @ np.abs(direction))
        assert_close(y_dot, expected @ direction, prepared.tolerance, scale, "jvp")
        got = _scatter(prepared, [cotangents[i] for i in arguments.argnums])
        assert_close(got, 2.0 * expected, prepared.tolerance, float(np.abs(expected).max(initial=0.0)), "vjp")


@_named(WITH_JACOBIAN)
def test_jacobians_by_rows_and_by_columns_are_the_closed_form(scenario: Scenario) -> None:
    for point in scenario.regular_points:
        expected = point.expected_jacobian()
        if expected is None:
            continue
        prepared = prepare(scenario, point)
        for i in prepared.arguments.argnums:
            for transform in (cz.jacfwd, cz.jacrev):
                got = transform(scenario.function, argnums=i)(*_fresh(prepared))
                assert_close(
                    got, expected[i], prepared.tolerance, 10.0, f"{transform.__name__}, argument {i}"
                )


@_named([s for s in SCENARIOS if s.differences])
def test_forward_reverse_and_finite_differences_agree(scenario: Scenario) -> None:
    for point in scenario.regular_points:
        prepared = prepare(scenario, point)
        report = check_derivatives(
            scenario.function,
            *prepared.point.arguments,
            argnums=scenario.argnums,
            reference=scenario.python,
            relative=scenario.relative,
        )
        assert report.conclusive, str(report)


@_named(RAISING)
def test_derivatives_raise_what_the_function_raises(scenario: Scenario) -> None:
    function = compiled(scenario)
    for point in scenario.error_points:
        assert point.error is not None
        arguments = Arguments(point.arguments, scenario.argnums)
        plain = raised_by(function, *arguments.build(arguments.point))
        assert isinstance(plain, point.error)
        prepared = Prepared(scenario, point, arguments, None, arguments.point)
        direction = random_direction(arguments, 1)
        calls = {
            "Forward": lambda p=prepared, d=direction: forward(p, d, with_primal=False),
            "ForwardWithPrimal": lambda p=prepared, d=direction: forward(p, d, with_primal=True),
            "Reverse": lambda p=prepared: reverse(p, with_primal=False),
            "ReverseWithPrimal": lambda p=prepared: reverse(p, with_primal=True),
            "grad": lambda a=arguments: cz.grad(scenario.function, argnums=a.argnums)(*a.build(a.point)),
        }
        for mode, call in calls.items():
            for _ in range(3):  # a tape leaked or freed twice shows at the next call
                error = raised_by(call)
                assert type(error) is type(plain), f"{mode}: {error!r} in place of {plain!r}"
                assert error.args == plain.args, mode


@_named(RAISING)
def test_reverse_leaves_shadows_alone_when_the_function_raises(scenario: Scenario) -> None:
    for point in scenario.error_points:
        arguments = Arguments(point.arguments, scenario.argnums)
        args, shadows = arguments.build(arguments.point), arguments.shadows(np.ones_like(arguments.point))
        annotated = [
            x
            if i not in arguments.argnums
            else cz.Duplicated(x, dx)
            if isinstance(x, np.ndarray)
            else cz.Active(x)
            for i, (x, dx) in enumerate(zip(args, shadows, strict=True))
        ]
        assert raised_by(cz.autodiff, cz.Reverse, scenario.function, *annotated) is not None
        assert all((dx == 1.0).all() for dx in shadows if isinstance(dx, np.ndarray))


def _fresh(prepared: Prepared) -> tuple[Any, ...]:
    return prepared.arguments.build(prepared.arguments.point)


def _tangents(prepared: Prepared, direction: Any) -> list[Any]:
    """Return a tangent for each argument, zero for those that are not differentiated."""
    shadows = prepared.arguments.shadows(direction)
    return [
        cz.make_zero(x) if dx is None and holds_floats(x) else dx
        for x, dx in zip(prepared.point.arguments, shadows, strict=True)
    ]


def _scatter(prepared: Prepared, parts: Any) -> Any:
    """Return gradients of the chosen arguments as one vector."""
    whole: list[Any] = [None] * len(prepared.point.arguments)
    for i, part in zip(prepared.arguments.argnums, parts, strict=True):
        whole[i] = part
    return prepared.arguments.gather(whole)


def _gradient_or_by_forward(prepared: Prepared) -> Any:
    """Return the closed form; where there is none, the gradient that forward mode gives entry by entry."""
    if prepared.gradient is not None:
        return prepared.gradient
    arguments = prepared.arguments
    out = np.zeros_like(arguments.point)
    for k in np.flatnonzero(arguments.visible):
        out[k] = forward(prepared, np.eye(out.size)[k], with_primal=False).returned
    return out


def test_every_point_of_the_catalogue_runs_in_python() -> None:
    for scenario in SCENARIOS:
        for point in scenario.regular_points:
            prepare(scenario, point)
        for point in scenario.error_points:
            assert isinstance(raised_by(scenario.python, *_copies(point)), point.error or ())


def _copies(point: Point) -> tuple[Any, ...]:
    arguments = Arguments(point.arguments)
    return arguments.build(arguments.point)


def test_names_of_scenarios_are_unique() -> None:
    assert len(PULLED_BACK) == len(_PULLED_BACK)
    assert len({s.name for s in SCENARIOS}) == len(SCENARIOS)


def _with_wrong_gradient(scenario: Scenario) -> Scenario:
    point = scenario.points[0]
    gradient = point.expected_gradient()
    assert gradient is not None
    wrong = tuple(None if g is None else g * (1.0 + 1e-6) for g in gradient)
    return replace(scenario, points=(replace(point, gradient=wrong),))


@_named([s for s in SCENARIOS if s.name in {"rosenbrock", "take-out"}])
def test_the_runner_rejects_a_gradient_wrong_by_one_in_a_million(scenario: Scenario) -> None:
    wrong = _with_wrong_gradient(scenario)
    with pytest.raises(AssertionError, match="gradient at"):
        test_reverse_gives_the_gradient(wrong, with_primal=True)
    with pytest.raises(AssertionError, match="tangent at"):
        test_forward_gives_the_directional_derivative(wrong, with_primal=True)
    with pytest.raises(AssertionError):
        test_grad_returns_the_structure_of_its_argument(wrong)
    with pytest.raises(AssertionError, match="jvp"):
        test_jvp_and_vjp_are_adjoint(wrong)


@_named([s for s in SCENARIOS if s.name == "returned-expression"])
def test_the_runner_rejects_a_jacobian_wrong_by_one_in_a_million(scenario: Scenario) -> None:
    point = scenario.points[0]
    expected = point.expected_jacobian()
    assert expected is not None
    wrong = replace(point, jacobian=tuple(j * (1.0 + 1e-6) for j in expected))
    with pytest.raises(AssertionError, match="jacfwd"):
        test_jacobians_by_rows_and_by_columns_are_the_closed_form(replace(scenario, points=(wrong,)))
