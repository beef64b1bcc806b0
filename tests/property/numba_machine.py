"""A program and its derivatives as Numba compiles them, from the program's Python source."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from itertools import count
from typing import Any

import numba
import numpy as np
from numba.core.runtime import _nrt_python, rtsys

from coenzyme.engine import Derivative, Options, derivative
from coenzyme.frontends.program import ArgumentActivity, Mode
from tests.property.builds import Build
from tests.property.lower import RAISED
from tests.property.machine import NUMBERS, Call, Layout, Vector
from tests.property.programs import PRELUDE, SIZE, Program, python_source

__all__ = ["NumbaMachine"]

_numbers = count()
_nrt_python.memsys_enable_stats()


def _compile(program: Program) -> Any:
    """Return the function of a program; everything it calls is compiled by Numba too."""
    text = PRELUDE + python_source(program)
    file = f"program-{next(_numbers)}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": "program"}
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

    def _derive(self, build: Build) -> Derivative:
        in_forward = build.mode is Mode.FORWARD
        number = ArgumentActivity.DUPLICATED if in_forward else ArgumentActivity.ACTIVE
        usual = {
            "a": ArgumentActivity.DUPLICATED,
            "b": ArgumentActivity.DUPLICATED,
            "c": ArgumentActivity.DUPLICATED,
        }
        usual |= dict.fromkeys(NUMBERS, number)
        for name in self.program.constant:
            usual[name] = ArgumentActivity.CONST
        activities = tuple(
            usual.get(n, ArgumentActivity.CONST) for n in ("a", "b", "c", "p", "s", "t", "n", "m", "size")
        )
        options = Options(build.policy, arguments_disjoint=build.disjoint, width=build.width)
        return derivative(self.function, self.kinds, activities, build.mode, True, options)

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

    def _run(self, name: str | None, x: Vector, shadow: Vector | None) -> Call:
        before = _live_blocks()
        cells, table = x[: self.cells].copy(), self.table.copy()
        numbers = [float(v) for v in x[self.cells :]]
        given: list[Any] = [*self.arrays(cells), table, *numbers, self.program.n, self.program.m, SIZE]
        shadows = np.zeros(0) if shadow is None else shadow.copy()
        lanes = () if shadow is None else np.atleast_2d(shadows)
        for lane in lanes:
            given += self._shadows(lane, name)
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

    def _shadows(self, lane: Vector, name: str | None) -> list[Any]:
        """Return what is passed of the shadows of one direction, but for the seed."""
        named = zip("abc", self.arrays(lane[: self.cells]), strict=True)
        given: list[Any] = [array for array_name, array in named if array_name not in self.program.constant]
        if name is not None and self.builds[name].mode is Mode.FORWARD:
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


def _live_blocks() -> int:
    statistics = rtsys.get_allocation_stats()
    return statistics.mi_alloc - statistics.mi_free
