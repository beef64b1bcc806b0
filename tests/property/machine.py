"""A program and its derivatives as machine code, made from LLVM text; how its operands lie in vectors."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coenzyme.frontends.program import Mode
from tests.property.builds import builds, second_modes
from tests.property.lower import ENTRY
from tests.property.programs import SIZE, Program
from tests.property.texts import ARRAYS, NUMBERS, SECOND, derivative_text, second_derivative_text
from tests.property.watched import Watched

__all__ = ["Call", "Layout", "Machine", "Second", "Vector", "columns"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Call:
    """What one call left behind."""

    status: int
    outputs: Vector
    shadows: Vector
    """Of one direction, or of several: a row for each."""
    leaked: int
    """Blocks of the tape that were not given back."""
    held: int
    """Blocks with a reference count that were not given back."""
    asked: int
    """How often memory for the tape was asked for."""


@dataclass(frozen=True)
class Second(Call):
    """What one call of a second derivative left behind; its shadows are the product with the Hessian matrix
    of what the cotangent weighs.

    Attributes
    ----------
    tangent, gradient
        The products with the Jacobian matrix and with its transpose.
    """

    tangent: Vector
    gradient: Vector


@dataclass(frozen=True)
class Lanes:
    """The shadows of a second derivative: the first derivative's own, and those of the program's operands
    and of these shadows."""

    inner: Vector
    outer: Vector
    both: Vector


class Layout:
    """The point a program is checked at, and how vectors are laid out.

    Inputs and shadows are vectors: the cells of ``a``, ``b`` and ``c`` (those that ``a`` and ``b``
    share once), then s and t. Outputs are the same cells, then the result.

    Attributes
    ----------
    begin_b, begin_c, cells
        Where ``b`` and ``c`` begin, and how many cells there are.
    builds
        The derivatives that are made.
    active, written
        Which inputs are differentiated, and which outputs have a cotangent.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.builds = builds(program)
        self.begin_b = SIZE - program.shared
        self.begin_c = self.begin_b + SIZE
        self.cells = self.begin_c + SIZE * SIZE
        self.size = self.cells + len(NUMBERS)
        generator = np.random.default_rng(program.seed)
        self.point: Vector = generator.uniform(-1.5, 1.5, self.size)
        self.table = generator.integers(0, SIZE, SIZE)
        self.active = np.ones(self.size, dtype=bool)
        if "b" in program.constant:
            self.active[self.begin_b : self.begin_c] = False
        for offset, name in enumerate(NUMBERS):
            self.active[self.cells + offset] = name not in program.constant
        self.written = np.append(self.active[: self.cells], True)

    def arrays(self, cells: Vector) -> tuple[Vector, Vector, Vector]:
        """Return ``a``, ``b`` and ``c`` as views of `cells`."""
        c = cells[self.begin_c : self.cells].reshape(SIZE, SIZE)
        return cells[:SIZE], cells[self.begin_b : self.begin_c], c

    def seeds_of_second(self, x_dot: Vector, y_bar: Vector) -> Lanes:
        """Return what a second derivative's shadows hold on entry."""
        none = np.zeros(self.size + 1)
        direction = np.append(x_dot, 0.0)
        weights = columns(y_bar[:-1], np.zeros(len(NUMBERS)), y_bar[-1:])
        match second_modes(self.program):
            case Mode.REVERSE, Mode.FORWARD:
                return Lanes(weights, direction, none)
            case Mode.FORWARD, _:
                return Lanes(direction, none, weights)
            case _:
                return Lanes(weights, none, direction)

    def found_by_second(self, lanes: Lanes) -> tuple[Vector, Vector, Vector]:
        """Return the products with the Hessian matrix, with the Jacobian matrix and with its transpose."""
        match second_modes(self.program):
            case Mode.REVERSE, Mode.FORWARD:
                product, tangent, gradient = lanes.both, lanes.outer, lanes.inner
            case Mode.FORWARD, _:
                product, tangent, gradient = lanes.outer, lanes.inner, lanes.both
            case _:
                product, tangent, gradient = lanes.outer, lanes.both, lanes.inner
        ahead = columns(tangent[: self.cells], tangent[-1:])
        return product[: self.size], ahead, gradient[: self.size]


class Machine(Layout):
    """A program and its derivatives, compiled from LLVM text."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.text = derivative_text(program)
        self.code = self._compile(self.text)
        self.second_code = self._compile(second_derivative_text(program)) if program.second else None

    def close(self) -> None:
        """Free the machine code."""
        self.code.close()
        if self.second_code is not None:
            self.second_code.close()

    def _compile(self, text: str) -> Watched:
        return Watched(text, self.program.level, small=self.program.seed % 2 == 0)

    def primal(self, x: Vector) -> Call:
        """Return what the program does at `x`."""
        return self._run(ENTRY, x, None)

    def forward(self, x: Vector, x_dot: Vector, *, name: str = "forward") -> Call:
        """Return what a forward derivative does; its shadows are the tangents of the outputs.

        Parameters
        ----------
        x_dot
            A direction, or a row for each of several.
        """
        return self._run(name, x, columns(x_dot, np.zeros((*x_dot.shape[:-1], 1))))

    def reverse(
        self, x: Vector, y_bar: Vector, *, name: str = "reverse", fails: int = -1, fresh: bool = True
    ) -> Call:
        """Return what a reverse derivative does; its shadows are the cotangents of the inputs, then of
        the result.

        Parameters
        ----------
        fails
            The number of the allocation that fails.
        fresh
            Whether no memory of earlier calls may be used again.
        """
        numbers = np.zeros((*y_bar.shape[:-1], len(NUMBERS)))
        seeded = columns(y_bar[..., :-1], numbers, y_bar[..., -1:])
        return self._run(name, x, seeded, fails=fails, fresh=fresh)

    def second(self, x: Vector, x_dot: Vector, y_bar: Vector, *, fails: int = -1) -> Second:
        """Return what the second derivative does: the product of the Hessian matrix of ``y_bar @ y`` with
        `x_dot`."""
        assert self.second_code is not None
        inner, outer = second_modes(self.program)
        run = _Operands(self, x)
        lanes = self.seeds_of_second(x_dot, y_bar)
        run.given += self._shadows(lanes.inner, forward=inner is Mode.FORWARD)
        run.given += self._shadows(lanes.outer, forward=outer is Mode.FORWARD)
        run.given += self._shadows(lanes.both, forward=inner is outer is Mode.FORWARD)
        left = self.second_code.call(SECOND, run.given, fails=fails)
        outputs, found = run.outputs(), self.found_by_second(lanes)
        return Second(left.status, outputs, found[0], left.leaked, left.held, left.asked, *found[1:])

    def _run(
        self, name: str, x: Vector, shadow: Vector | None, *, fails: int = -1, fresh: bool = True
    ) -> Call:
        run = _Operands(self, x)
        shadows = np.zeros(0) if shadow is None else shadow.copy()
        for lane in () if shadow is None else np.atleast_2d(shadows):
            run.given += self._shadows(lane, forward=self.builds[name].mode is Mode.FORWARD)
        left = self.code.call(name, run.given, fails=fails, fresh=fresh)
        return Call(left.status, run.outputs(), shadows, left.leaked, left.held, left.asked)

    def _shadows(self, lane: Vector, *, forward: bool) -> list[Any]:
        """Return what is passed of the shadows of one direction."""
        of_cells, of_numbers, of_result = lane[: self.cells], lane[self.cells : -1], lane[-1:]
        pointers = zip(ARRAYS, self.pointers(of_result, of_cells), strict=True)
        given: list[Any] = [q for array, q in pointers if array not in self.program.constant]
        for i, number in enumerate(NUMBERS):
            if number not in self.program.constant:
                given.append(float(of_numbers[i]) if forward else _pointer(of_numbers, i))
        return given

    def pointers(self, result: Vector, cells: Vector) -> list[ctypes.c_void_p]:
        """Return where the result and the arrays begin."""
        starts = (0, self.begin_b, self.begin_c)
        return [_pointer(result, 0), *(_pointer(cells, start) for start in starts)]


class _Operands:
    """What the program itself is called with."""

    def __init__(self, machine: Machine, x: Vector) -> None:
        self.cells, self.result = x[: machine.cells].copy(), np.array([np.nan])
        self.table, self.error = machine.table.copy(), np.zeros(1)
        places = machine.pointers(self.result, self.cells)
        self.given: list[Any] = [places[0], _pointer(self.error, 0), *places[1:], _pointer(self.table, 0)]
        self.given += [float(v) for v in x[machine.cells :]]
        self.given += [machine.program.n, machine.program.m, SIZE]

    def outputs(self) -> Vector:
        """Return what the call left."""
        return np.append(self.cells, self.result)


def columns(*parts: Vector) -> Vector:
    """Return `parts` side by side, in each row where there are several."""
    return np.concatenate(parts, axis=-1)


def _pointer(array: NDArray[Any], index: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data + index * array.itemsize)
