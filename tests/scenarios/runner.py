"""Applies one scenario in one mode, and says what it found in plain numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

import coenzyme as cz
from coenzyme.errors import CoenzymeError
from coenzyme.testing import Arguments

from .model import UNCHECKED, Point, Scenario

__all__ = [
    "Outcome",
    "Prepared",
    "assert_close",
    "attempt",
    "compiled",
    "directions",
    "forward",
    "holds_floats",
    "leaves",
    "prepare",
    "raised_by",
    "random_direction",
    "reverse",
]

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """A point ready to run: its arguments as a vector, and what Python says the function does there."""

    scenario: Scenario
    point: Point
    arguments: Arguments
    value: Any
    exit_memory: Vector

    @property
    def entering(self) -> Vector:
        """The cotangent of exit memory."""
        given = [self.point.entering.get(i) for i in range(len(self.point.arguments))]
        return self.arguments.read(given)

    @property
    def gradient(self) -> Vector | None:
        """The closed form of the leaving cotangents, as a vector."""
        expected = self.point.expected_gradient()
        return None if expected is None else self.arguments.read(expected)

    @property
    def tolerance(self) -> float:
        """The relative tolerance, never finer than the arguments' own precision."""
        return max(self.scenario.tolerance, 30.0 * self.arguments.epsilon)


@dataclass(frozen=True)
class Outcome:
    """What a call of a derivative gave: value, memory, and the derivative as vectors."""

    value: Any
    memory: Vector
    returned: Any
    shadow: Vector


def prepare(scenario: Scenario, point: Point) -> Prepared:
    """Return the point with the answers of plain Python beside it."""
    names = tuple(inspect.signature(scenario.python).parameters)[: len(point.arguments)]
    arguments = Arguments(point.arguments, scenario.argnums, names)
    args = arguments.build(arguments.point)
    value = scenario.python(*args)
    if point.value is not UNCHECKED:
        np.testing.assert_allclose(value, point.value, rtol=max(1e-12, 30 * arguments.epsilon))
    for i, expected in point.memory.items():
        np.testing.assert_allclose(args[i], expected, rtol=1e-12)
    return Prepared(scenario, point, arguments, value, arguments.read(args))


def forward(prepared: Prepared, direction: Vector, *, with_primal: bool) -> Outcome:
    """Return the tangent of the return value and the shadows on exit, by an annotated call."""
    arguments = prepared.arguments
    args, shadows = arguments.build(arguments.point), arguments.shadows(direction)
    annotated = [
        cz.Duplicated(x, dx) if i in arguments.argnums else x
        for i, (x, dx) in enumerate(zip(args, shadows, strict=True))
    ]
    value = None
    if with_primal:
        tangent, value = cz.autodiff(cz.ForwardWithPrimal, prepared.scenario.function, *annotated)
    else:
        tangent = cz.autodiff(cz.Forward, prepared.scenario.function, *annotated)
    return Outcome(value, arguments.read(args), tangent, arguments.read(shadows))


def reverse(prepared: Prepared, *, with_primal: bool) -> Outcome:
    """Return the cotangents that leave the reverse sweep, by an annotated call."""
    arguments = prepared.arguments
    args, shadows = arguments.build(arguments.point), arguments.shadows(prepared.entering)
    annotated = [
        _annotate(x, dx, i in arguments.argnums) for i, (x, dx) in enumerate(zip(args, shadows, strict=True))
    ]
    value = None
    if with_primal:
        partials, value = cz.autodiff(cz.ReverseWithPrimal, prepared.scenario.function, *annotated)
    else:
        partials = cz.autodiff(cz.Reverse, prepared.scenario.function, *annotated)
    assert isinstance(partials, tuple)
    assert len(partials) == len(args)
    leaving = []
    for annotation, partial, dx in zip(annotated, partials, shadows, strict=True):
        if isinstance(annotation, cz.Active):
            leaving.append(partial)
        else:
            assert partial is None, "only an Active argument has an entry in the tuple"
            leaving.append(dx)
    return Outcome(value, arguments.read(args), partials, arguments.read(leaving))


def _annotate(x: Any, dx: Any, active: bool) -> Any:
    if not active:
        return x
    return cz.Duplicated(x, dx) if isinstance(x, np.ndarray) else cz.Active(x)


def raised_by(call: Callable[..., Any], *args: Any) -> Exception | None:
    """Return the exception that a call raises, None if it returns."""
    try:
        call(*args)
    except Exception as error:
        return error
    return None


def attempt(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or the typed error that it raises."""
    try:
        return call()
    except CoenzymeError as error:
        return error


def compiled(scenario: Scenario) -> Callable[..., Any]:
    """Return the function as Numba alone runs it."""
    is_compiled = isinstance(scenario.function, nb.core.dispatcher.Dispatcher)
    return scenario.function if is_compiled else nb.njit(scenario.function)


def leaves(x: Any) -> list[npt.NDArray[np.float64]]:
    """Return the numbers of a result, containers flattened."""
    if x is None:
        return []
    if isinstance(x, (tuple, list)):
        return [leaf for part in x for leaf in leaves(part)]
    return [np.asarray(x, dtype=np.float64)]


def assert_close(got: Any, expected: Any, tolerance: float, scale: float = 0.0, what: str = "") -> None:
    """Assert equal structure and numbers within `tolerance`, relative to the expected ones or to `scale`."""
    first, second = leaves(got), leaves(expected)
    assert [a.shape for a in first] == [b.shape for b in second], (
        f"{what}: got {got!r}, expected {expected!r}"
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=1e-13 * scale, err_msg=what)


def holds_floats(x: Any) -> bool:
    """Return whether an argument has a derivative."""
    return bool(Arguments((x,)).argnums)


def random_direction(arguments: Arguments, seed: int) -> Vector:
    """Return a direction over the visible cells."""
    rng = np.random.default_rng(seed)
    return np.where(arguments.visible, rng.uniform(-1.0, 1.0, arguments.point.size), 0.0)


def directions(arguments: Arguments, most: int = 8) -> Sequence[Vector]:
    """Return a random direction, and every unit direction where there are few."""
    cells = np.flatnonzero(arguments.visible)
    units = [np.eye(arguments.point.size)[k] for k in cells] if len(cells) <= most else []
    return [random_direction(arguments, 7), *units]
