"""Check the derivatives of one function: forward against finite differences, reverse against forward.

Source: the dot-product identity ⟨w, J v⟩ = ⟨Jᵀ w, v⟩, Griewank & Walther, Evaluating Derivatives, 2nd ed.,
section 3.3; finite differences by Romberg extrapolation, whose error estimate sets the tolerance.

What is compared is the whole map from arguments (memory included) to the return value and memory on
exit, so that functions that write into their arguments are checked too. Blind spots: a derivative that
is wrong only at other points or shapes, or by less than the tolerance printed in the report; entries
beyond `ENTRYWISE_LIMIT` are seen through random directions only; a point on a kink, where finite
differences have no limit, shows as inconclusive.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

import coenzyme
from coenzyme.errors import CoenzymeError
from coenzyme.testing.arguments import Arguments, Vector
from coenzyme.testing.differences import directional_difference

__all__ = [
    "Comparison",
    "DerivativeMismatchError",
    "DerivativeReport",
    "Derivatives",
    "NativeDerivatives",
    "argument_names",
    "check_derivatives",
]

ENTRYWISE_LIMIT = 24
"""Arguments of at most this many entries are checked entry by entry as well."""

_LOCATE_LIMIT = 256
_LOCATE_FIRST = 5
_RELATIVE = 1e-8
_IDENTITY = 1e-10
_ROUNDINGS = 1e3
_INCONCLUSIVE = 1e-3


@dataclass(frozen=True)
class Comparison:
    """One number that two ways of differentiating must agree on.

    `check` says which two; `seed` is the random direction's, None where the direction is a single entry.
    `error` is the estimated error of what was expected, where there is an estimate; `output` says which
    output of the function differs most, where that is known.
    """

    check: str
    argument: str
    entry: str
    seed: int | None
    expected: float
    got: float
    tolerance: float
    conclusive: bool = True
    error: float | None = None
    output: str = ""

    @property
    def agrees(self) -> bool:
        """True where the two differ by no more than the tolerance; a NaN agrees only with a NaN."""
        if np.isnan(self.expected) or np.isnan(self.got):
            return bool(np.isnan(self.expected) and np.isnan(self.got))
        return self.expected == self.got or abs(self.expected - self.got) <= self.tolerance

    def __str__(self) -> str:
        where = (
            f"{self.argument}{self.entry}" if self.seed is None else f"random direction (seed {self.seed})"
        )
        verdict = "ok" if self.agrees else "WRONG"
        verdict = verdict if self.conclusive else f"{verdict}, inconclusive"
        error = "" if self.error is None else f", estimated error {self.error:.1e}"
        output = f" ({self.output})" if self.output else ""
        return (
            f"{verdict:6} {self.check}: {where}: expected {self.expected:.12g}, got {self.got:.12g}, "
            f"tolerance {self.tolerance:.1e}{error}{output}"
        )


@dataclass(frozen=True)
class DerivativeReport:
    """Everything that `check_derivatives` compared; `str(report)` is a readable table."""

    function: str
    comparisons: tuple[Comparison, ...]

    @property
    def mismatches(self) -> tuple[Comparison, ...]:
        """The comparisons that failed."""
        return tuple(c for c in self.comparisons if not c.agrees)

    @property
    def conclusive(self) -> bool:
        """False where finite differences were too noisy to say anything."""
        return all(c.conclusive for c in self.comparisons)

    def __bool__(self) -> bool:
        return not self.mismatches

    def __str__(self) -> str:
        bad = self.mismatches
        head = f"{self.function}: {len(self.comparisons)} comparisons, {len(bad)} wrong"
        return "\n".join([head, *(f"  {c}" for c in bad or self.comparisons)])


class DerivativeMismatchError(CoenzymeError, AssertionError):
    """A derivative that disagrees with an oracle; `report` holds every comparison."""

    def __init__(self, message: str = "", *, report: DerivativeReport | None = None, **fields: Any) -> None:
        self.report = report
        super().__init__(message, **fields)


class Derivatives(Protocol):
    """How `check_derivatives` obtains the derivatives that it checks."""

    def forward(
        self, f: Callable[..., Any], arguments: Arguments, direction: Vector
    ) -> tuple[Vector, Vector]:
        """Return the outputs, and their tangents along `direction`."""
        ...

    def reverse(self, f: Callable[..., Any], arguments: Arguments, weights: Vector) -> Vector:
        """Return the cotangent of the arguments for the cotangent `weights` of the outputs."""
        ...


class _Outputs:
    """The outputs of a call as one vector: floats of the return value, then the arguments' memory on exit."""

    def __init__(self, arguments: Arguments, value: Any) -> None:
        self.value = Arguments((value,))
        self.arguments = arguments
        self.scalar = isinstance(value, (float, np.floating))
        # Only annotated calls reach the cotangent of memory on exit; `vjp` takes that of the return alone.
        self.sees_memory = arguments.simple
        self.in_one_call = value is None or self.scalar or self.value.point.size == 0

    def pack(self, value: Any, exit_memory: Vector) -> Vector:
        memory = self.arguments.memory if self.sees_memory else np.zeros(exit_memory.size, dtype=bool)
        return np.concatenate([self.value.read((value,)), np.where(memory, exit_memory, 0.0)])

    def split(self, weights: Vector) -> tuple[Any, Vector]:
        """Return the cotangent of the return value, and that of memory on exit."""
        count = self.value.point.size
        return self.value.shadows(weights[:count])[0], weights[count:]

    def weights(self, seed: int, after: Vector, *, everywhere: bool) -> Vector:
        """Return random weights of the outputs; unless `everywhere`, memory left as it was weighs nothing."""
        rng = np.random.default_rng((seed, 1))
        count = self.value.point.size
        of_value = np.ones(count) if self.scalar else rng.uniform(0.5, 1.5, count)
        mask = self.arguments.memory & (self.arguments.written(after) | everywhere) & self.sees_memory
        return np.concatenate([of_value, np.where(mask, rng.uniform(0.5, 1.5, after.size), 0.0)])


class NativeDerivatives:
    """Derivatives by Coenzyme itself: annotated calls, or `jvp` and `vjp` where the structure needs them."""

    def forward(
        self, f: Callable[..., Any], arguments: Arguments, direction: Vector
    ) -> tuple[Vector, Vector]:
        """Return the outputs and their tangents."""
        args, shadows = arguments.build(arguments.point), arguments.shadows(direction)
        if not arguments.simple:
            tangents = [
                coenzyme.make_zero(x) if dx is None and Arguments((x,)).argnums else dx
                for x, dx in zip(args, shadows, strict=True)
            ]
            y, y_dot = coenzyme.jvp(f, args, tangents)
        else:
            annotated = [
                coenzyme.Duplicated(x, dx) if i in arguments.argnums else coenzyme.Const(x)
                for i, (x, dx) in enumerate(zip(args, shadows, strict=True))
            ]
            y_dot, y = coenzyme.autodiff(coenzyme.ForwardWithPrimal, f, *annotated)
        outputs = _Outputs(arguments, y)
        return outputs.pack(y, arguments.read(args)), outputs.pack(y_dot, arguments.read(shadows))

    def reverse(self, f: Callable[..., Any], arguments: Arguments, weights: Vector) -> Vector:
        """Return the cotangent of the arguments."""
        args = arguments.build(arguments.point)
        sample = f(*arguments.build(arguments.point))
        outputs = _Outputs(arguments, sample)
        of_value, of_memory = outputs.split(weights)
        if not outputs.sees_memory:
            _, pullback = coenzyme.vjp(f, *args)
            return arguments.gather(pullback(of_value))
        shadows = arguments.shadows(of_memory)
        annotated = [
            _annotate(x, dx, active=i in arguments.argnums)
            for i, (x, dx) in enumerate(zip(args, shadows, strict=True))
        ]
        if outputs.in_one_call:
            partials = coenzyme.autodiff(coenzyme.Reverse, f, *annotated)
        else:
            kinds = [type(x) for x in annotated]
            mode, returned = coenzyme.ReverseSplitNoPrimal, coenzyme.Duplicated
            forward, reverse = coenzyme.autodiff_thunk(mode, f, returned, *kinds)
            tape, _, _ = forward(*annotated)
            partials = reverse(*annotated, of_value, tape)
        leaving = [
            d if isinstance(dx, (float, complex, np.inexact)) else dx
            for d, dx in zip(partials, shadows, strict=True)
        ]
        return arguments.read(leaving)


def _annotate(x: Any, dx: Any, *, active: bool) -> Any:
    if not active:
        return coenzyme.Const(x)
    return coenzyme.Duplicated(x, dx) if isinstance(x, np.ndarray) else coenzyme.Active(x)


def check_derivatives(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Iterable[int] | None = None,
    seeds: Sequence[int] = (0, 1),
    relative: float = _RELATIVE,
    reference: Callable[..., Any] | None = None,
    derivatives: Derivatives | None = None,
) -> DerivativeReport:
    """Return a report that forward, reverse and finite differences agree on the derivatives of `f` at `args`.

    Parameters
    ----------
    f
        The function; what it writes into its arguments counts as output. It is called on copies of `args`.
    *args
        The point: numbers and arrays in single or double precision, real or complex, containers of them, and
        constants. Complex numbers are pairs of real ones here.
    argnums
        The arguments to differentiate; by default every one that holds floats.
    seeds
        One random direction, and one random weighting of the outputs, for each seed.
    relative
        Relative tolerance against finite differences, beside ten times their own error estimate.
    reference
        What finite differences evaluate instead of `f`: the same mathematics, called with float64 in place of
        float32.
    derivatives
        Where the derivatives come from; by default Coenzyme's own modes.

    Returns
    -------
    DerivativeReport
        Every comparison made. `report.conclusive` is False where finite differences were too noisy to judge.

    Raises
    ------
    DerivativeMismatchError
        If any comparison fails; it names the argument, the entry, the expected number and the one found.

    Notes
    -----
    Cost: two derivative calls and some twenty calls of `f` for each seed, and as many again for each entry of
    arguments that have no more than `ENTRYWISE_LIMIT` entries.

    Examples
    --------
    >>> def area(r):
    ...     return 3.0 * r * r
    >>> print(check_derivatives(area, 2.0, seeds=(0,)))
    area: 5 comparisons, 0 wrong
      ok     reverse against forward: random direction (seed 0): expected 3.2870...
      ok     value: random direction (seed 0): expected 12, got 12, tolerance 2.7e-12
      ok     forward against finite differences: random direction (seed 0): ...
      ok     reverse against forward: r: expected 12, got 12, tolerance 2.4e-09
      ok     forward against finite differences: r: expected 12, got 12, tolerance ...
    """
    chosen = (argnums,) if isinstance(argnums, int) else argnums
    arguments = Arguments(args, chosen, argument_names(f, len(args)))
    check = _Check(
        f, arguments, derivatives or NativeDerivatives(), reference or f, relative, wide=reference is not None
    )
    comparisons = check.run(seeds)
    report = DerivativeReport(getattr(f, "__name__", repr(f)), tuple(comparisons))
    if not report:
        worst = report.mismatches[-1]
        raise DerivativeMismatchError(
            str(report),
            report=report,
            function=report.function,
            argument=worst.argument or None,
            remedy="if there is no kink or noise here to mislead finite differences, report the function",
        )
    return report


def argument_names(f: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Return what the first `count` arguments of `f` are called."""
    try:
        names = list(inspect.signature(getattr(f, "py_func", f)).parameters)
    except (TypeError, ValueError):
        names = []
    return tuple(names[i] if i < len(names) else f"argument {i}" for i in range(count))


class _Check:
    """One run of `check_derivatives`."""

    def __init__(
        self,
        f: Callable[..., Any],
        arguments: Arguments,
        derivatives: Derivatives,
        reference: Callable[..., Any],
        relative: float,
        *,
        wide: bool,
    ) -> None:
        self.f = f
        self.arguments = arguments
        self.derivatives = derivatives
        self.reference = reference
        self.wide = wide
        args = arguments.build(arguments.point)
        value = f(*args)
        self.outputs = _Outputs(arguments, value)
        self.epsilon = max(arguments.epsilon, self.outputs.value.epsilon)
        self.relative = max(relative, _ROUNDINGS * self.epsilon)
        self.exit = arguments.read(args)
        self.primal = self.outputs.pack(value, self.exit)

    def run(self, seeds: Sequence[int]) -> list[Comparison]:
        found: list[Comparison] = []
        if not self.arguments.visible.any():
            return found
        for number, seed in enumerate(seeds):
            weights = self.outputs.weights(seed, self.exit, everywhere=number > 0)
            x_bar = self.derivatives.reverse(self.f, self.arguments, weights)
            rng = np.random.default_rng((seed, 0))
            direction = np.where(
                self.arguments.visible, rng.uniform(-1.0, 1.0, self.arguments.point.size), 0.0
            )
            here = self._along(direction, weights, x_bar, seed)
            found += here
            small = self.arguments.point.size <= ENTRYWISE_LIMIT
            if (small and number == 0) or not all(c.agrees for c in here):
                found += self._entries(weights, x_bar, stop=not small)
        return found

    def _entries(self, weights: Vector, x_bar: Vector, *, stop: bool) -> list[Comparison]:
        """Return the comparisons entry by entry; with `stop`, only until a few are wrong."""
        found: list[Comparison] = []
        for position in np.flatnonzero(self.arguments.visible)[:_LOCATE_LIMIT]:
            unit = np.zeros(self.arguments.point.size)
            unit[position] = 1.0
            found += self._along(unit, weights, x_bar, None, int(position))
            if stop and sum(not c.agrees for c in found) >= _LOCATE_FIRST:
                break
        return found

    def _along(
        self, direction: Vector, weights: Vector, x_bar: Vector, seed: int | None, position: int | None = None
    ) -> list[Comparison]:
        argument, entry = ("", "") if position is None else self.arguments.owner_of(position)
        outputs, tangents = self.derivatives.forward(self.f, self.arguments, direction)
        forward, reverse = float(weights @ tangents), float(x_bar @ direction)
        scale = float(np.abs(weights) @ np.abs(tangents) + np.abs(x_bar) @ np.abs(direction))
        rounding = _ROUNDINGS * self.epsilon
        size = float(np.abs(weights) @ np.abs(self.primal))
        # Where terms cancel, what is left of them is as large as the rounding of the value itself.
        identity = max(_IDENTITY, rounding) * scale + 16.0 * self.epsilon * size
        found = [Comparison("reverse against forward", argument, entry, seed, forward, reverse, identity)]
        if seed is not None:
            expected, got = float(weights @ self.primal), float(weights @ outputs)
            found.append(Comparison("value", argument, entry, seed, expected, got, rounding * size))
        difference, error = directional_difference(
            lambda x: self._weighted(x, weights), self.arguments.point.copy(), direction
        )
        expected, error = float(difference), float(error)
        noise = 10.0 * error
        tolerance = noise + self.relative * abs(expected) + rounding * scale
        conclusive = (
            noise <= _INCONCLUSIVE * (max(abs(expected), scale) + _INCONCLUSIVE * size) + self.epsilon
        )
        check = "forward against finite differences"
        found.append(Comparison(check, argument, entry, seed, expected, forward, tolerance, conclusive))
        return found

    def _weighted(self, x: Vector, weights: Vector) -> float:
        args = self.arguments.build(x, wide=self.wide)
        value = self.reference(*args)
        return float(weights @ self.outputs.pack(value, self.arguments.read(args)))
