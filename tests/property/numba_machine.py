"""A program and its derivatives as Numba compiles them, from the program's Python source."""

from __future__ import annotations

import linecache
from itertools import count
from typing import Any

import numba
import numpy as np
from numba.core.runtime import _nrt_python, rtsys

from coenzyme.analysis.tape import Policy
from coenzyme.engine import Derivative, Options, derivative
from coenzyme.frontends.program import ArgumentActivity, Mode
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
        self.derivatives = {
            "forward": self._derive(Mode.FORWARD, Policy.CUT),
            "reverse": self._derive(Mode.REVERSE, Policy.CUT),
            "naive": self._derive(Mode.REVERSE, Policy.NAIVE),
        }

    def _derive(self, mode: Mode, policy: Policy) -> Derivative:
        number = ArgumentActivity.DUPLICATED if mode is Mode.FORWARD else ArgumentActivity.ACTIVE
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
        options = Options(policy, arguments_disjoint=not self.program.overlapping)
        return derivative(self.function, self.kinds, activities, mode, True, options)

    def close(self) -> None:
        """Numba frees its own machine code."""

    def primal(self, x: Vector) -> Call:
        """Return what the program does at `x`."""
        return self._run(self.function, x, None, [])

    def forward(self, x: Vector, x_dot: Vector) -> Call:
        """Return what the forward derivative does; its shadows are the tangents of the outputs."""
        shadow = x_dot[: self.cells].copy()
        numbers = [
            float(v)
            for v, n in zip(x_dot[self.cells :], NUMBERS, strict=True)
            if n not in self.program.constant
        ]
        return self._run(self.derivatives["forward"].dispatcher, x, shadow, numbers, forward=True)

    def reverse(
        self, x: Vector, y_bar: Vector, *, name: str = "reverse", fails: int = -1, fresh: bool = True
    ) -> Call:
        """Return what a reverse derivative does; shadows are the cotangents of the inputs, then a zero."""
        del fails, fresh
        return self._run(self.derivatives[name].dispatcher, x, y_bar[:-1].copy(), [float(y_bar[-1])])

    def _run(
        self, function: Any, x: Vector, shadow: Vector | None, more: list[float], *, forward: bool = False
    ) -> Call:
        before = _live_blocks()
        cells, table = x[: self.cells].copy(), self.table.copy()
        numbers = [float(v) for v in x[self.cells :]]
        given: list[Any] = [*self.arrays(cells), table, *numbers, self.program.n, self.program.m, SIZE]
        if shadow is not None:
            named = zip("abc", self.arrays(shadow), strict=True)
            given += [array for name, array in named if name not in self.program.constant]
        result, derived, status = np.nan, None, 0
        try:
            answer = function(*given, *more)
            result, derived = answer if shadow is not None else (answer, None)
        except ValueError:
            status = RAISED
        shadows = self._shadows(shadow, derived, forward=forward)
        return Call(status, np.append(cells, result), shadows, 0, _live_blocks() - before, 0)

    def _shadows(self, shadow: Vector | None, derived: Any, *, forward: bool) -> Vector:
        of_numbers = np.zeros(len(NUMBERS))
        if shadow is None or derived is None:
            return np.zeros(0)
        if forward:
            return np.concatenate([shadow, of_numbers, [derived]])
        active = [i for i, name in enumerate(NUMBERS) if name not in self.program.constant]
        of_numbers[active] = derived
        return np.concatenate([shadow, of_numbers, [0.0]])


def _live_blocks() -> int:
    statistics = rtsys.get_allocation_stats()
    return statistics.mi_alloc - statistics.mi_free
