"""What a scenario is: a function, points to differentiate it at, and what must come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = ["UNCHECKED", "Point", "Scenario", "array"]

UNCHECKED = object()


@dataclass(frozen=True)
class Point:
    """Arguments, and what the function and its derivative give there.

    Attributes
    ----------
    arguments
        Used as a pattern only: the runner copies them, keeping strides and shared memory.
    gradient
        For each argument the cotangent with which it leaves the reverse sweep, None for a constant. A
        function of the arguments, or a tuple. Left out, only finite differences and the dot-
        product identity judge.
    jacobian
        For a function that returns an array: one array of shape (*result, *argument) for each argument.
    value
        The return value in closed form; the runner compares with the function run by Python as well.
    entering
        Shadows on entry of the reverse sweep, by argument number; zero where left out.
    memory
        What an argument holds on exit, by argument number.
    error
        What the function raises here; every derivative must raise the same, with the same arguments.
    """

    arguments: tuple[Any, ...]
    gradient: tuple[Any, ...] | Callable[..., tuple[Any, ...]] | None = None
    jacobian: tuple[Any, ...] | Callable[..., tuple[Any, ...]] | None = None
    value: Any = UNCHECKED
    entering: Mapping[int, Any] = field(default_factory=dict[int, Any])
    memory: Mapping[int, Any] = field(default_factory=dict[int, Any])
    error: type[Exception] | None = None

    def expected_gradient(self) -> tuple[Any, ...] | None:
        """Return the closed form, evaluated."""
        return self.gradient(*self.arguments) if callable(self.gradient) else self.gradient

    def expected_jacobian(self) -> tuple[Any, ...] | None:
        """Return the closed form, evaluated."""
        return self.jacobian(*self.arguments) if callable(self.jacobian) else self.jacobian


@dataclass(frozen=True)
class Scenario:
    """One function and the points at which its derivatives are known.

    Attributes
    ----------
    argnums
        The differentiated arguments; by default those that hold floats.
    tolerance
        Relative, against closed forms.
    differences
        Whether finite differences judge too (not where they cost too much, or closed forms cover every
        point).
    transforms
        Whether `grad`, `jvp`, `vjp` apply beside annotated calls; they do not where arguments share memory.
    """

    name: str
    function: Callable[..., Any]
    points: tuple[Point, ...]
    argnums: tuple[int, ...] | None = None
    tolerance: float = 1e-10
    relative: float = 1e-8
    differences: bool = True
    transforms: bool = True

    @property
    def python(self) -> Callable[..., Any]:
        """The function as Python runs it: an oracle that shares nothing with the compiler."""
        return (
            self.function.py_func
            if isinstance(self.function, nb.core.dispatcher.Dispatcher)
            else self.function
        )

    @property
    def regular_points(self) -> tuple[Point, ...]:
        """The points at which the function returns."""
        return tuple(point for point in self.points if point.error is None)

    @property
    def error_points(self) -> tuple[Point, ...]:
        """The points at which the function raises."""
        return tuple(point for point in self.points if point.error is not None)


def array(*values: Any, dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
    """Return a floating-point array: `array(1, 2)`."""
    return np.array(values, dtype=dtype)
