"""All the ways in which a function can be differentiated, each compared with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from coenzyme.errors import MissingRuleError
from coenzyme.testing.arguments import Vector
from coenzyme.testing.checks import Comparison
from coenzyme.testing.differences import directional_difference
from coenzyme.testing.harness import Harness, Run, Use

__all__ = ["MODES", "ModeCheck"]

MODES = ("forward", "reverse", "split", "overwritten", "unused", "constant")
"""What they are is told at `check_rule`."""

_NOTHING = {
    "unused": "the function has no array that it could write to",
    "constant": "there is no other argument, or it is written to",
}
"""Why a mode may have nothing to check."""

_ENTRYWISE_LIMIT = 16
_LOCATE_LIMIT = 256
_IDENTITY = 1e-10
_ROUNDINGS = 1e3
_INCONCLUSIVE = 1e-3


@dataclass(frozen=True)
class _Line:
    """A direction, and what finite differences say of the outputs along it."""

    direction: Vector
    position: int | None
    estimate: Vector
    error: Vector


class ModeCheck:
    """One run of `check_rule`.

    Parameters
    ----------
    harness
        The function at a point.
    seed, widths, relative, reference
        As for `check_rule`.

    Attributes
    ----------
    found
        The comparisons made so far.
    """

    def __init__(
        self,
        harness: Harness,
        seed: int,
        widths: tuple[int, ...],
        relative: float,
        reference: Callable[..., Any] | None,
    ) -> None:
        self.harness = harness
        self.found: list[Comparison] = []
        self._seed = seed
        self._widths = widths
        self._reference = reference
        self._rng = np.random.default_rng((seed, 1))
        arguments = harness.arguments
        self._epsilon = max(arguments.epsilon, harness.values.epsilon)
        self._rounding = _ROUNDINGS * self._epsilon
        self._relative = max(relative, self._rounding)
        self._size = np.abs(harness.primal.outputs)
        count = max(widths)
        self._weights = [self._random_weights() for _ in range(count)]
        self._lines = [self._line(self._random_direction()) for _ in range(count)]
        visible = np.flatnonzero(arguments.visible)
        self._small = len(visible) <= _ENTRYWISE_LIMIT
        self._units = [int(i) for i in visible[:_LOCATE_LIMIT]]
        self._unit_lines: dict[int, _Line] = {}
        self._tangents: dict[int, Vector] = {}

    # -- directions and weights

    def _random_weights(self) -> Vector:
        harness = self.harness
        drawn = self._rng.uniform(0.5, 1.5, self._size.size)
        return drawn * np.concatenate([np.ones(harness.values.point.size), harness.memory])

    def _random_direction(self) -> Vector:
        visible = self.harness.arguments.visible
        return np.where(visible, self._rng.uniform(-1.0, 1.0, visible.size), 0.0)

    def _line(self, direction: Vector, position: int | None = None) -> _Line:
        estimate, error = directional_difference(
            lambda x: self.harness.evaluate(x, self._reference),
            self.harness.arguments.point.copy(),
            direction,
        )
        return _Line(direction, position, estimate, error)

    def _unit_line(self, position: int) -> _Line:
        if position not in self._unit_lines:
            unit = np.zeros(self.harness.arguments.point.size)
            unit[position] = 1.0
            self._unit_lines[position] = self._line(unit, position)
        return self._unit_lines[position]

    # -- modes

    def run(self, modes: Sequence[str], *, required: bool) -> list[str]:
        """Check the modes, and return what could not be checked, and why."""
        missing: list[str] = []
        absent: MissingRuleError | None = None
        for mode in modes:
            steps = self._steps(mode)
            if not steps:
                missing.append(f"{mode}: {_NOTHING[mode]}")
            for name, step in steps:
                try:
                    step()
                except MissingRuleError as error:
                    if required:
                        raise
                    absent = error
                    missing.append(f"{name}: {str(error).splitlines()[0]}")
        if absent is not None and not self.found:
            raise absent
        return missing

    def _steps(self, mode: str) -> list[tuple[str, Callable[[], None]]]:
        """Return what is done to check a mode, under the names that comparisons have."""
        if mode == "forward":
            return [
                (name, partial(self._forward, name, self._lines[:width], width))
                for width in self._widths
                for name in [f"forward, width {width}"]
            ]
        if mode == "reverse":
            return [
                (name, partial(self._reverse, name, width))
                for width in self._widths
                for name in [f"reverse, width {width}"]
            ]
        if mode == "split":
            name = f"split reverse, width {self._widths[-1]}"
            return [(name, partial(self._reverse, name, self._widths[-1], split=True))]
        if mode == "overwritten":
            name = "reverse, arguments overwritten"
            return [(name, partial(self._reverse, name, 1, use=Use.OVERWRITTEN))]
        if mode == "unused":
            first, second = "forward, value unused", "reverse, value unused"
            steps = [
                (first, partial(self._forward, first, self._lines[:1], 1, use=Use.UNUSED)),
                (second, partial(self._reverse, second, 1, use=Use.UNUSED)),
            ]
            return steps if self.harness.memory.any() else []
        return [step for i in self.harness.arguments.argnums for step in self._steps_with_constant(i)]

    def _steps_with_constant(self, i: int) -> list[tuple[str, Callable[[], None]]]:
        """Return the steps with an argument constant that is not written to: the others keep cotangents."""
        harness, arguments = self.harness, self.harness.arguments
        written = arguments.written(harness.primal.outputs[harness.values.point.size :])
        ones = arguments.shadows(np.ones(arguments.point.size))
        cells = arguments.read([dx if i == k else None for k, dx in enumerate(ones)])
        if len(arguments.argnums) < 2 or np.any(written & (cells > 0)) or self._is_shared(cells, i):
            return []
        first, second = (f"{sweep}, {harness.names[i]} constant" for sweep in ("forward", "reverse"))
        line = self._line(np.where(cells > 0, 0.0, self._lines[0].direction))
        constant = frozenset([i])
        return [
            (first, partial(self._forward, first, [line], 1, constant=constant)),
            (second, partial(self._reverse, second, 1, constant=constant, lines=[line])),
        ]

    def _is_shared(self, cells: Vector, position: int) -> bool:
        """Return whether another argument has some of these cells too."""
        arguments = self.harness.arguments
        ones = arguments.shadows(np.ones(arguments.point.size))
        others = arguments.read([None if k == position else dx for k, dx in enumerate(ones)])
        return bool(np.any((others > 0) & (cells > 0)))

    def _forward(
        self,
        name: str,
        lines: Sequence[_Line],
        width: int,
        *,
        use: Use = Use.KEPT,
        constant: frozenset[int] = frozenset(),
    ) -> None:
        run = self.harness.forward([line.direction for line in lines], use, constant)
        self._compare_primal(name, run)
        entire = use is not Use.UNUSED
        if entire and not constant:
            self._tangents.update(enumerate(run.derivatives))
        right = [
            self._compare_forward(f"{name}, direction {k}", line, self._weight(k, entire), tangents)
            for k, (line, tangents) in enumerate(zip(lines, run.derivatives, strict=True))
        ]
        if use is Use.KEPT and not constant and (self._small or not all(right)):
            for first in range(0, len(self._units), width):
                # The last ones are joined by the first again: the width is a constant of the compiled code.
                positions = [self._units[(first + k) % len(self._units)] for k in range(width)]
                units = [self._unit_line(position) for position in positions]
                run = self.harness.forward([line.direction for line in units], use)
                for k, (line, tangents) in enumerate(zip(units, run.derivatives, strict=True)):
                    self._compare_forward(f"{name}, direction {k}", line, self._weight(0, entire), tangents)

    def _weight(self, lane: int, entire: bool) -> Vector:
        weights = self._weights[lane].copy()
        if not entire:
            weights[: self.harness.values.point.size] = 0.0
        return weights

    def _compare_forward(self, name: str, line: _Line, weights: Vector, tangents: Vector) -> bool:
        check = f"{name}, against finite differences"
        return self._compare(check, line, weights, tangents, float(weights @ tangents))

    def _reverse(
        self,
        name: str,
        width: int,
        *,
        use: Use = Use.KEPT,
        constant: frozenset[int] = frozenset(),
        split: bool = False,
        lines: Sequence[_Line] | None = None,
    ) -> None:
        weights = [self._weight(k, use is not Use.UNUSED) for k in range(width)]
        run = self.harness.reverse(weights, use, constant, split=split)
        self._compare_primal(name, run)
        for k, (w, x_bar) in enumerate(zip(weights, run.derivatives, strict=True)):
            line = (lines or self._lines)[k]
            check = f"{name}, weighting {k}"
            right = self._compare_reverse(check, line, w, x_bar)
            if use is not Use.UNUSED and not constant and k in self._tangents:
                right &= self._compare_modes(check, line.direction, w, self._tangents[k], x_bar)
            if not constant and (self._small or not right):
                for position in self._units:
                    self._compare_reverse(check, self._unit_line(position), w, x_bar)

    def _compare_reverse(self, name: str, line: _Line, weights: Vector, x_bar: Vector) -> bool:
        check = f"{name}, against finite differences"
        return self._compare(check, line, weights, None, float(x_bar @ line.direction))

    def _compare_modes(
        self, name: str, direction: Vector, weights: Vector, tangents: Vector, x_bar: Vector
    ) -> bool:
        """Compare the two sides of ⟨w, J v⟩ = ⟨Jᵀ w, v⟩."""
        forward, reverse = float(weights @ tangents), float(x_bar @ direction)
        scale = float(np.abs(weights) @ np.abs(tangents) + np.abs(x_bar) @ np.abs(direction))
        size = float(np.abs(weights) @ self._size)
        tolerance = max(_IDENTITY, self._rounding) * scale + 16.0 * self._epsilon * size
        check = f"{name}, against forward"
        self.found.append(Comparison(check, "", "", self._seed, forward, reverse, tolerance))
        return self.found[-1].agrees

    # -- comparisons

    def _compare(self, check: str, line: _Line, weights: Vector, tangents: Vector | None, got: float) -> bool:
        used = weights != 0.0
        estimate, error = np.where(used, line.estimate, 0.0), np.where(used, line.error, 0.0)
        expected = float(weights @ estimate)
        noise = 10.0 * float(np.abs(weights) @ error)
        scale = float(np.abs(weights) @ np.abs(estimate))
        size = float(np.abs(weights) @ self._size)
        tolerance = (
            noise + self._relative * abs(expected) + self._rounding * scale + 16 * self._epsilon * size
        )
        conclusive = (
            noise <= _INCONCLUSIVE * (max(abs(expected), scale) + _INCONCLUSIVE * size) + self._epsilon
        )
        argument, entry = ("", "") if line.position is None else self._owner_of(line.position)
        seed = self._seed if line.position is None else None
        made = Comparison(check, argument, entry, seed, expected, got, tolerance, conclusive, noise / 10.0)
        if not made.agrees and tangents is not None:
            off = np.abs(weights * (tangents - estimate))
            worst = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
            numbers = f"expected {estimate[worst]:.12g}, got {tangents[worst]:.12g}"
            output = f"{self.harness.output_of(worst)}: {numbers}"
            made = Comparison(
                check, argument, entry, seed, expected, got, tolerance, conclusive, noise / 10.0, output
            )
        self.found.append(made)
        return made.agrees

    def _owner_of(self, position: int) -> tuple[str, str]:
        return self.harness.arguments.owner_of(position)

    def _compare_primal(self, name: str, run: Run) -> None:
        """Compare the value and arrays on exit with those of a plain call: the entry that differs most."""
        plain = self.harness.primal
        size = float(np.max(self._size, initial=0.0))
        tolerances = self._rounding * np.abs(plain.outputs) + 16 * self._epsilon * size
        with np.errstate(invalid="ignore"):
            off = np.abs(run.outputs - plain.outputs)
        same = (run.outputs == plain.outputs) | (np.isnan(run.outputs) & np.isnan(plain.outputs))
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(same, 0.0, np.where(np.isnan(off), np.inf, off) / tolerances)
        if excess.size:
            worst = int(np.argmax(excess))
            expected, got = float(plain.outputs[worst]), float(run.outputs[worst])
            output = self.harness.output_of(worst)
            check = f"{name}, primal against a plain call"
            self.found.append(Comparison(check, output, "", None, expected, got, float(tolerances[worst])))
        self._compare_constants(f"{name}, primal against a plain call", run)

    def _compare_constants(self, check: str, run: Run) -> None:
        """Compare the arrays that are not differentiated, those of integers too: entries that differ."""
        harness = self.harness
        numbers = [i for i, is_array in enumerate(harness.are_arrays) if is_array]
        for i, one, other in zip(numbers, harness.primal.arrays, run.arrays, strict=True):
            if i in harness.arguments.argnums or np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"):
                continue
            tolerance = self._rounding * float(np.max(np.abs(one))) if one.dtype.kind in "fc" else 0.0
            off = np.abs(one - other) if one.dtype.kind in "fc" else (one != other).astype(float)
            place = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
            entry = f"[{', '.join(str(int(k)) for k in place)}] on exit"
            differ = complex(one[place]), complex(other[place])
            part = "imag" if differ[0].real == differ[1].real else "real"
            expected, got = (float(getattr(z, part)) for z in differ)
            self.found.append(Comparison(check, harness.names[i], entry, None, expected, got, tolerance))
