"""A program and its derivatives as Numba compiles them, from the program's Python source."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from types import ModuleType
from typing import Any

import numba
import numpy as np
from numba.core.runtime import _nrt_python, rtsys

from coenzyme.engine import Derivative, Options, derivative
from coenzyme.frontends.program import ArgumentActivity, Mode
from tests.property.builds import Build, second_modes
from tests.property.lower import RAISED
from tests.property.machine import Call, Layout, Second, Vector
from tests.property.programs import PRELUDE, SIZE, Program, python_source
from tests.property.texts import NUMBERS

__all__ = ["NumbaMachine"]

_numbers = count()
_nrt_python.memsys_enable_stats()


def _compile(program: Program) -> Any:
    """Return the function of a program; everything it calls is compiled by Numba too."""
    text = PRELUDE + python_source(program)
    file = f"program-{next(_numbers)}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    # Numba calls functions that call each other by the name of their module, which must be known.
    module = sys.modules["program"] = ModuleType("program")
    names = vars(module)
    exec(compile(text, file, "exec"), names)
    for name, value in list(names.items()):
        if getattr(value, "__module__", None) == "program":
            names[name] = numba.njit(fastmath=program.relaxed)(value)
    return names["program"]


class NumbaMachine(Layout):
    """The same interface as that of `Machine`; the tape's memory is not watched."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.function = _compile(program)
        a, b, c = self.arrays(self.point)
        integers = (program.n, program.m, SIZE)
        kinds = (numba.typeof(v) for v in (a, b, c, self.table, 1.0, 1.0, *integers))
        self.kinds = tuple(kinds)
        self.derivatives = {name: self._derive(build) for name, build in self.builds.items()}
        if program.second:
            self.derivatives[program.second] = self._derive_again(*second_modes(program))

    def _derive(self, build: Build) -> Derivative:
        options = Options(build.passes, arguments_disjoint=build.disjoint, width=build.width)
        if not build.needed:
            options = replace(options, unneeded=frozenset({0, 1, 2}), result_needed=False)
        activities = self._activities(build.mode)
        return derivative(self.function, self.kinds, activities, build.mode, True, options)

    def _derive_again(self, inner: Mode, outer: Mode) -> Derivative:
        first = self.derivatives["forward" if inner is Mode.FORWARD else "reverse"]
        numbers = self._active_numbers()
        arrays = [k for k, how in zip(self.kinds[:3], self._activities(inner), strict=False) if _varies(how)]
        floats = numbers if inner is Mode.FORWARD else [0]
        number = _number(outer)
        activities = (
            *self._activities(outer),
            *[ArgumentActivity.DUPLICATED] * len(arrays),
            *[number] * len(floats),
        )
        kinds = (*self.kinds, *arrays, *[numba.float64] * len(floats))
        options = Options(arguments_disjoint=self.program.shared == 0)
        return derivative(first.dispatcher, kinds, activities, outer, True, options)

    def _activities(self, mode: Mode) -> tuple[ArgumentActivity, ...]:
        usual = {
            "a": ArgumentActivity.DUPLICATED,
            "b": ArgumentActivity.DUPLICATED,
            "c": ArgumentActivity.DUPLICATED,
        }
        usual |= dict.fromkeys(NUMBERS, _number(mode))
        for name in self.program.constant:
            usual[name] = ArgumentActivity.CONST
        names = ("a", "b", "c", "p", "s", "t", "n", "m", "size")
        return tuple(usual.get(name, ArgumentActivity.CONST) for name in names)

    def close(self) -> None:
        """Numba frees its own machine code."""

    def primal(self, x: Vector) -> Call:
        """Return what the program does at `x`."""
        return self._run(None, x, None)

    def forward(self, x: Vector, x_dot: Vector, *, name: str = "forward") -> Call:
        """Return what a forward derivative does; its shadows are the tangents of the outputs."""
        return self._run(name, x, np.concatenate([x_dot, np.zeros((*x_dot.shape[:-1], 1))], axis=-1))

    def reverse(
        self, x: Vector, y_bar: Vector, *, name: str = "reverse", fails: int = -1, fresh: bool = True
    ) -> Call:
        """Return what a reverse derivative does; shadows are the cotangents of the inputs, then a zero."""
        del fails, fresh
        numbers = np.zeros((*y_bar.shape[:-1], len(NUMBERS)))
        return self._run(name, x, np.concatenate([y_bar[..., :-1], numbers, y_bar[..., -1:]], axis=-1))

    def second(self, x: Vector, x_dot: Vector, y_bar: Vector, *, fails: int = -1) -> Second:
        """Return what the second derivative does, as that of the other machine."""
        del fails
        inner, outer = second_modes(self.program)
        before = _live_blocks()
        cells, given = self._operands(x)
        lanes = self.seeds_of_second(x_dot, y_bar)
        numbers = [self.cells + i for i in self._active_numbers()]
        given += self._shadows(lanes.inner, inner)
        if inner is Mode.REVERSE:
            given.append(float(lanes.inner[-1]))
        given += self._shadows(lanes.outer, outer)
        both = outer if inner is Mode.FORWARD else Mode.REVERSE
        given += self._shadows(lanes.both, both)
        if inner is Mode.REVERSE and outer is Mode.FORWARD:
            given.append(float(lanes.both[-1]))
        if outer is Mode.REVERSE:
            seeds = lanes.both[numbers] if inner is Mode.REVERSE else lanes.both[-1]
            given.append((0.0, tuple(map(float, seeds)) if inner is Mode.REVERSE else float(seeds)))
        result, status = np.nan, 0
        try:
            (result, first), second = self.derivatives[self.program.second].dispatcher(*given)
        except ValueError:
            status = RAISED
        else:
            if inner is Mode.FORWARD:
                lanes.inner[-1] = first
                lanes.outer[numbers], lanes.both[numbers] = second[: len(numbers)], second[len(numbers) :]
            elif outer is Mode.FORWARD:
                lanes.inner[numbers] = first
                lanes.outer[-1], lanes.both[numbers] = second
            else:
                lanes.inner[numbers] = first
                lanes.outer[numbers], lanes.both[-1] = second[:-1], second[-1]
        found = self.found_by_second(lanes)
        outputs = np.append(cells, result)
        return Second(status, outputs, found[0], 0, _live_blocks() - before, 0, *found[1:])

    def _operands(self, x: Vector) -> tuple[Vector, list[Any]]:
        """Return the cells, and what the program itself is called with."""
        cells, table = x[: self.cells].copy(), self.table.copy()
        numbers = [float(v) for v in x[self.cells :]]
        return cells, [*self.arrays(cells), table, *numbers, self.program.n, self.program.m, SIZE]

    def _run(self, name: str | None, x: Vector, shadow: Vector | None) -> Call:
        before = _live_blocks()
        cells, given = self._operands(x)
        shadows = np.zeros(0) if shadow is None else shadow.copy()
        lanes = () if shadow is None else np.atleast_2d(shadows)
        for lane in lanes:
            given += self._shadows(lane, Mode.REVERSE if name is None else self.builds[name].mode)
        if name is not None and self.builds[name].mode is Mode.REVERSE:
            given += [float(lane[-1]) for lane in lanes]
        result, status = np.nan, 0
        try:
            if name is None:
                result = self.function(*given)
            else:
                result, derived = self.derivatives[name].dispatcher(*given)
                self._store(lanes, derived, name)
        except ValueError:
            status = RAISED
        return Call(status, np.append(cells, result), shadows, 0, _live_blocks() - before, 0)

    def _shadows(self, lane: Vector, mode: Mode) -> list[Any]:
        """Return what is passed of the shadows of one direction, but for the seed."""
        named = zip("abc", self.arrays(lane[: self.cells]), strict=True)
        given: list[Any] = [array for array_name, array in named if array_name not in self.program.constant]
        if mode is Mode.FORWARD:
            given += [float(lane[self.cells + i]) for i in self._active_numbers()]
        return given

    def _store(self, lanes: Iterable[Vector], derived: Any, name: str) -> None:
        """Put what a derivative returned where the other machine's derivatives put it."""
        build = self.builds[name]
        for lane, found in zip(lanes, derived if build.width > 1 else (derived,), strict=True):
            if build.mode is Mode.FORWARD:
                lane[-1] = found
            else:
                lane[-1] = 0.0
                lane[[self.cells + i for i in self._active_numbers()]] = found

    def _active_numbers(self) -> list[int]:
        return [i for i, name in enumerate(NUMBERS) if name not in self.program.constant]


def _number(mode: Mode) -> ArgumentActivity:
    return ArgumentActivity.DUPLICATED if mode is Mode.FORWARD else ArgumentActivity.ACTIVE


def _varies(how: ArgumentActivity) -> bool:
    return how is not ArgumentActivity.CONST


def _live_blocks() -> int:
    statistics = rtsys.get_allocation_stats()
    return statistics.mi_alloc - statistics.mi_free
