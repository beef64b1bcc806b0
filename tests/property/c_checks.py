"""Checks one C program: forward, reverse and finite differences must agree."""

from __future__ import annotations

import ctypes
import traceback
from ctypes import POINTER, Structure, c_double, c_float, c_int, c_void_p

import numpy as np
from numpy.typing import NDArray

from coenzyme.analysis.passes import NO_PASSES
from coenzyme.errors import CoenzymeError, GeneratedIRError
from coenzyme.foreign.derivatives import ForeignRequest
from coenzyme.frontends.clang import compile_c
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.testing.differences import agrees, directional_difference
from tests.property.c_generator import CELLS, CProgram
from tests.property.checks import Outcome, Verdict
from tests.unit.foreign.linked import Linked

__all__ = ["check_c"]

Vector = NDArray[np.float64]
_C, _A, _D = ComponentActivity.CONST, ComponentActivity.ACTIVE, ComponentActivity.DUPLICATED
_STRUCT = 1 + CELLS
"""Numbers in a struct that are differentiated: its x and v."""
SIZE = 4 * CELLS + 2 * _STRUCT + 1


class _S(Structure):
    pass


_S._fields_ = [
    ("x", c_double),
    ("k", c_int),
    ("v", c_double * CELLS),
    ("w", c_float),
    ("p", POINTER(c_double)),
    ("next", POINTER(_S)),
]


class _World:
    """The memory that a program is given, or a shadow of it."""

    def __init__(self, values: Vector, program: CProgram, *, shadow: bool) -> None:
        self.a, self.b, self.p, self.q = (values[CELLS * i : CELLS * (i + 1)].copy() for i in range(4))
        if program.same:
            self.b = self.a
        self.s, self.following = _S(), _S()
        rest = values[4 * CELLS :]
        for number, (struct, array) in enumerate(((self.s, self.p), (self.following, self.q))):
            part = rest[_STRUCT * number : _STRUCT * (number + 1)]
            struct.x, struct.v = part[0], (c_double * CELLS)(*part[1:])
            struct.k, struct.w = 1 + number, 0.0 if shadow else 0.75
            struct.p = array.ctypes.data_as(POINTER(c_double))
            struct.next = ctypes.pointer(self.following)
        self.t = float(values[-1])

    def values(self, last: float) -> Vector:
        structs = [y for s in (self.s, self.following) for y in (s.x, *s.v)]
        return np.array([*self.a, *self.b, *self.p, *self.q, *structs, last])

    @property
    def pointers(self) -> tuple[int, int, int]:
        return self.a.ctypes.data, self.b.ctypes.data, ctypes.addressof(self.s)


class _Machine:
    def __init__(self, program: CProgram) -> None:
        self.program = program
        text = compile_c(program.text, level=program.level)
        reverse = ForeignRequest(Mode.REVERSE, (_D, _D, _D, _A, _C), return_active=True)
        forward = ForeignRequest(Mode.FORWARD, (_D, _D, _D, _D, _C), return_active=True)
        plain = ForeignRequest(Mode.REVERSE, (_D, _D, _D, _A, _C), return_active=True, passes=NO_PASSES)
        requests = {"along": ("f", forward), "back": ("f", reverse), "plain": ("f", plain)}
        self.linked = Linked(text, requests, 2)
        pointers = [c_void_p] * 3
        self.f = self.linked.function("f", c_double, *pointers, c_double, c_int)
        head = [c_int, c_void_p, c_void_p, *pointers, c_double, c_int, c_void_p, *pointers]
        self.along = self.linked.function("along", *head, c_double)
        self.reversed = {n: self.linked.function(n, *head, c_void_p) for n in ("back", "plain")}

    def primal(self, x: Vector) -> Vector:
        world = _World(x, self.program, shadow=False)
        result = self.f(*world.pointers, world.t, self.program.n)
        return world.values(result)

    def forward(self, x: Vector, x_dot: Vector) -> tuple[Vector, Vector]:
        world, shadow = _World(x, self.program, shadow=False), _World(x_dot, self.program, shadow=True)
        result, tangent = c_double(), c_double()
        places = ctypes.addressof(tangent), *shadow.pointers, shadow.t
        status = self.along(ctypes.addressof(result), None, *world.pointers, world.t, self.program.n, *places)
        assert status == 0, status
        return world.values(result.value), shadow.values(tangent.value)

    def reverse(self, name: str, x: Vector, y_bar: Vector) -> tuple[Vector, Vector]:
        world, shadow = _World(x, self.program, shadow=False), _World(y_bar, self.program, shadow=True)
        result, seed, t_bar = c_double(), c_double(y_bar[-1]), c_double()
        places = ctypes.addressof(seed), *shadow.pointers, ctypes.addressof(t_bar)
        status = self.reversed[name](
            ctypes.addressof(result), None, *world.pointers, world.t, self.program.n, *places
        )
        assert status == 0, status
        return world.values(result.value), shadow.values(t_bar.value)


def check_c(program: CProgram) -> Outcome:
    """Return what came of compiling `program` with its derivatives and comparing them."""
    try:
        machine = _Machine(program)
    except GeneratedIRError as error:
        return Outcome(Verdict.FAILED, "LLVM accepts the derivative", str(error))
    except CoenzymeError as error:
        return Outcome(Verdict.REFUSED, f"{type(error).__name__}: {error}".split("\n")[0], str(error))
    except Exception as error:
        return Outcome(Verdict.FAILED, f"no {type(error).__name__} inside the engine", traceback.format_exc())
    return _compare(machine)


def _compare(machine: _Machine) -> Outcome:
    program = machine.program
    rng = np.random.default_rng(program.seed)
    x = rng.uniform(0.3, 1.2, SIZE)
    if program.same:
        x[CELLS : 2 * CELLS] = x[:CELLS]
    expected = machine.primal(x)
    if not np.all(np.isfinite(expected)) or np.max(np.abs(expected)) > 1e6:
        return Outcome(Verdict.SKIPPED)
    directions = [_tied(rng.uniform(-1.0, 1.0, SIZE), program) for _ in range(2)]
    tangents: list[Vector] = []
    for x_dot in directions:
        values, y_dot = machine.forward(x, x_dot)
        if not np.allclose(values, expected, 1e-9, 1e-9):
            return Outcome(Verdict.FAILED, "forward computes the values", f"{values}\n{expected}")
        tangents.append(y_dot)
    for name in ("back", "plain"):
        for _ in range(2):
            y_bar = rng.uniform(-1.0, 1.0, SIZE)
            values, x_bar = machine.reverse(name, x, y_bar)
            if not np.allclose(values, expected, 1e-9, 1e-9):
                return Outcome(Verdict.FAILED, f"{name} computes the values", f"{values}\n{expected}")
            for x_dot, y_dot in zip(directions, tangents, strict=True):
                found, right = _inner(x_bar, x_dot, program), _inner(y_bar, y_dot, program)
                scale = float(np.abs(y_bar) @ np.abs(y_dot) + np.abs(x_bar) @ np.abs(x_dot)) + 1e-3
                if not abs(found - right) <= 1e-9 * scale:
                    return Outcome(Verdict.FAILED, f"{name} agrees with forward", f"{found} {right}")
    estimate, error = directional_difference(machine.primal, x, directions[0])
    if np.all(agrees(tangents[0], estimate, error)):
        return Outcome(Verdict.PASSED)
    if np.any(error > 1e-3 * (1.0 + np.abs(estimate))):
        return Outcome(Verdict.INCONCLUSIVE)
    return Outcome(Verdict.FAILED, "forward agrees with differences", f"{tangents[0]}\n{estimate}\n{error}")


def _tied(vector: Vector, program: CProgram) -> Vector:
    """Return a direction in which what is one array stays one."""
    if program.same:
        vector[CELLS : 2 * CELLS] = vector[:CELLS]
    return vector


def _inner(x: Vector, y: Vector, program: CProgram) -> float:
    """Return the inner product; an array that stands twice in the vectors counts once."""
    whole = float(x @ y)
    return whole - float(x[CELLS : 2 * CELLS] @ y[CELLS : 2 * CELLS]) if program.same else whole
