"""Machine code of a program and of its derivatives, with memory that is watched.

The run-time functions that derivatives call are replaced by counting ones: what is left allocated after a
call is
a leak, memory is full of NaNs before it is written and after it is freed, and an allocation can be
made to fail.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from coenzyme.analysis.overwritten import Aliasing
from coenzyme.codegen import passes, prepare, verify
from coenzyme.derive.derivative import Request, derive
from coenzyme.derive.tape_text import SMALLEST
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir.instructions import Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import F64, I64
from coenzyme.rules import definitions
from tests.property.builds import builds
from tests.property.lower import ENTRY, lower
from tests.property.programs import SIZE, Program

__all__ = ["NUMBERS", "Call", "Layout", "Machine", "Vector", "derivative_text"]

Vector = NDArray[np.float64]

_C, _A, _D = ComponentActivity.CONST, ComponentActivity.ACTIVE, ComponentActivity.DUPLICATED
_ARRAYS = ("retptr", "a", "b", "c")
NUMBERS = ("s", "t")
_FIXED = 3
"""Integers passed by value: n, m, size."""

_RUNTIME = """
@watch.live = global i64 0
@watch.held = global i64 0
@watch.asked = global i64 0
@watch.fails = global i64 -1

declare ptr @malloc(i64)
declare void @free(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define noalias ptr @watch.raw(i64 %bytes) noinline nounwind {
  %all = add i64 %bytes, 16
  %block = call ptr @malloc(i64 %all)
  store i64 %bytes, ptr %block
  %count = getelementptr i8, ptr %block, i64 8
  store i64 1, ptr %count
  %payload = getelementptr i8, ptr %block, i64 16
  call void @llvm.memset.p0.i64(ptr %payload, i8 -1, i64 %bytes, i1 false)
  %live = load i64, ptr @watch.live
  %more = add i64 %live, 1
  store i64 %more, ptr @watch.live
  ret ptr %payload
}

define noalias ptr @watch.malloc(i64 %bytes) noinline nounwind {
  %asked = load i64, ptr @watch.asked
  %next = add i64 %asked, 1
  store i64 %next, ptr @watch.asked
  %fails = load i64, ptr @watch.fails
  %bad = icmp eq i64 %fails, %asked
  br i1 %bad, label %refuse, label %give

refuse:
  ret ptr null

give:
  %block = call ptr @watch.raw(i64 %bytes)
  ret ptr %block
}

define noalias ptr @watch.calloc(i64 %count, i64 %size) noinline nounwind {
  %bytes = mul i64 %count, %size
  %block = call ptr @watch.malloc(i64 %bytes)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %out, label %clear

clear:
  call void @llvm.memset.p0.i64(ptr %block, i8 0, i64 %bytes, i1 false)
  br label %out

out:
  ret ptr %block
}

define void @watch.free(ptr %payload) noinline nounwind {
  %none = icmp eq ptr %payload, null
  br i1 %none, label %out, label %drop

drop:
  %block = getelementptr i8, ptr %payload, i64 -16
  %bytes = load i64, ptr %block
  %all = add i64 %bytes, 16
  call void @llvm.memset.p0.i64(ptr %block, i8 -1, i64 %all, i1 false)
  call void @free(ptr %block)
  %live = load i64, ptr @watch.live
  %less = sub i64 %live, 1
  store i64 %less, ptr @watch.live
  br label %out

out:
  ret void
}

define ptr @watch.realloc(ptr %old, i64 %bytes) noinline nounwind {
  %new = call ptr @watch.malloc(i64 %bytes)
  %failed = icmp eq ptr %new, null
  %none = icmp eq ptr %old, null
  %idle = or i1 %failed, %none
  br i1 %idle, label %out, label %copy

copy:
  %block = getelementptr i8, ptr %old, i64 -16
  %had = load i64, ptr %block
  %shorter = icmp ult i64 %had, %bytes
  %moved = select i1 %shorter, i64 %had, i64 %bytes
  call void @llvm.memcpy.p0.p0.i64(ptr %new, ptr %old, i64 %moved, i1 false)
  call void @watch.free(ptr %old)
  br label %out

out:
  ret ptr %new
}

define noalias ptr @NRT_MemInfo_alloc_aligned(i64 %bytes, i32 %alignment) noinline nounwind {
  %held = load i64, ptr @watch.held
  %more = add i64 %held, 1
  store i64 %more, ptr @watch.held
  %block = call ptr @watch.raw(i64 %bytes)
  ret ptr %block
}

define ptr @NRT_MemInfo_data_fast(ptr %block) noinline nounwind {
  ret ptr %block
}

define void @NRT_incref(ptr %payload) noinline nounwind {
  %none = icmp eq ptr %payload, null
  br i1 %none, label %out, label %step

step:
  %slot = getelementptr i8, ptr %payload, i64 -8
  %count = load i64, ptr %slot
  %more = add i64 %count, 1
  store i64 %more, ptr %slot
  br label %out

out:
  ret void
}

define void @NRT_decref(ptr %payload) noinline nounwind {
  %none = icmp eq ptr %payload, null
  br i1 %none, label %out, label %step

step:
  %slot = getelementptr i8, ptr %payload, i64 -8
  %count = load i64, ptr %slot
  %less = sub i64 %count, 1
  store i64 %less, ptr %slot
  %over = icmp eq i64 %less, 0
  br i1 %over, label %drop, label %out

drop:
  %held = load i64, ptr @watch.held
  %fewer = sub i64 %held, 1
  store i64 %fewer, ptr @watch.held
  call void @watch.free(ptr %payload)
  br label %out

out:
  ret void
}
"""

_WATCHED = re.compile(r"@(malloc|calloc|free|realloc)\b")
_POOL = re.compile(r"^@coenzyme\.pool = internal global \[(\d+) x ptr\]", re.MULTILINE)
_OURS = re.compile(
    r"^declare [^@\n]*@(?:watch\.\w+|NRT_\w+|malloc|free|llvm\.mem(?:set\.p0|cpy\.p0\.p0)\.i64)\(.*\n",
    re.MULTILINE,
)


def _activities(program: Program, mode: Mode) -> list[ComponentActivity]:
    number = _D if mode is Mode.FORWARD else _A
    arrays = [_C if name in program.constant else _D for name in _ARRAYS]
    numbers = [_C if name in program.constant else number for name in NUMBERS]
    return [arrays[0], _C, *arrays[1:], _C, *numbers, *[_C] * _FIXED]


def derivative_text(program: Program) -> str:
    """Return `program` and its derivatives as LLVM text, not optimised and not linked."""
    prepared = prepare(lower(program), ENTRY, lambda name: name in program.out_of_line)
    module = parse_module(prepared)
    entry = module.functions[ENTRY]
    elements = {0: F64, 2: F64, 3: F64, 4: F64, 5: I64}
    for name, build in builds(program).items():
        request = Request(
            mode=build.mode,
            activities=_activities(program, build.mode),
            elements=elements,
            groups={},
            aliasing=Aliasing(arguments_disjoint=build.disjoint),
            policy=build.policy,
            width=build.width,
        )
        known = set(module.functions)
        derived = derive(module, entry, request, name, lambda _: None, ENTRY)
        derived.function.prefix, derived.function.suffix = "", "nounwind"
        _rename_derivatives_of_helpers(module, known, name)
    return _with_definitions(module)


def _rename_derivatives_of_helpers(module: Module, known: set[str], prefix: str) -> None:
    """Make room for the next derivative, which calls those of the same helpers by the same names."""
    for function in list(module.functions.values()):
        shared = function.name.startswith((prefix, "coenzyme.")) and not function.name.startswith(
            "coenzyme.records.release."
        )
        if function.name not in known and function.blocks and not shared:
            del module.functions[function.name]
            function.name = f"{prefix}.{function.name}"
            module.add_function(function)


def _with_definitions(module: Module) -> str:
    extra = definitions(f.name for f in module.functions.values() if f.is_declaration)
    for name, function in parse_module(extra).functions.items() if extra else ():
        if name not in module.functions or module.functions[name].is_declaration:
            module.functions[name] = function
    return print_module(module)


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


class Layout:
    """The point a program is checked at, and how vectors are laid out.

    Inputs and shadows are vectors: the cells of ``a``, ``b`` and ``c`` (those that ``a`` and ``b``
    share once), then
    s and t. Outputs are the same cells, then the result.

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


class Machine(Layout):
    """A program and its derivatives, compiled from LLVM text."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.text = derivative_text(program)
        watched = _OURS.sub("", _WATCHED.sub(r"@watch.\1", self.text))
        # Tape chunks of some bytes in place of many, so that small programs fill several.
        watched = watched.replace(
            f"[ {SMALLEST}, %entry ]", f"[ {(64, SMALLEST)[program.seed % 2]}, %entry ]"
        )
        pool = _POOL.search(watched)
        self.pool_slots = int(pool.group(1)) if pool else 0
        watched = _POOL.sub(r"@coenzyme.pool = global [\1 x ptr]", watched)
        module = verify(watched + _RUNTIME)
        passes.optimise_module(module, program.level)
        self.engine = llvm.create_mcjit_compiler(module, _machine())
        self.engine.finalize_object()

    def close(self) -> None:
        """Free the machine code."""
        self.engine.close()

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
        return self._run(name, x, _columns(x_dot, np.zeros((*x_dot.shape[:-1], 1))))

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
        seeded = _columns(y_bar[..., :-1], numbers, y_bar[..., -1:])
        return self._run(name, x, seeded, fails=fails, fresh=fresh)

    def _run(
        self, name: str, x: Vector, shadow: Vector | None, *, fails: int = -1, fresh: bool = True
    ) -> Call:
        cells, result, table = x[: self.cells].copy(), np.array([np.nan]), self.table.copy()
        numbers = [float(v) for v in x[self.cells :]]
        error = np.zeros(1)
        places = self._pointers(result, cells)
        given: list[Any] = [places[0], _pointer(error, 0), *places[1:], _pointer(table, 0), *numbers]
        given += [self.program.n, self.program.m, SIZE]
        shadows = np.zeros(0) if shadow is None else shadow.copy()
        for lane in () if shadow is None else np.atleast_2d(shadows):
            given += self._shadows(lane, forward=self.builds[name].mode is Mode.FORWARD)
        self._cell("watch.fails").value = fails
        self._cell("watch.asked").value = 0
        if fresh:
            self._drain()
            self._cell("watch.live").value = self._cell("watch.held").value = 0
        status = self._function(name, given)(*given)
        held = self._cell("watch.held").value
        leaked = self._cell("watch.live").value - held - self._pooled()
        asked = self._cell("watch.asked").value
        return Call(status, np.append(cells, result), shadows, leaked, held, asked)

    def _shadows(self, lane: Vector, *, forward: bool) -> list[Any]:
        """Return what is passed of the shadows of one direction."""
        of_cells, of_numbers, of_result = lane[: self.cells], lane[self.cells : -1], lane[-1:]
        pointers = zip(_ARRAYS, self._pointers(of_result, of_cells), strict=True)
        given: list[Any] = [q for array, q in pointers if array not in self.program.constant]
        for i, number in enumerate(NUMBERS):
            if number not in self.program.constant:
                given.append(float(of_numbers[i]) if forward else _pointer(of_numbers, i))
        return given

    def _pooled(self) -> int:
        """Return how many blocks wait to be used again."""
        return sum(slot is not None for slot in self._pool())

    def _drain(self) -> None:
        free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.engine.get_function_address("watch.free"))
        pool = self._pool()
        for i, block in enumerate(pool):
            free(block)
            pool[i] = None

    def _pool(self) -> Any:
        address = self.engine.get_global_value_address("coenzyme.pool") if self.pool_slots else 0
        return (ctypes.c_void_p * self.pool_slots).from_address(address) if address else ()

    def _pointers(self, result: Vector, cells: Vector) -> list[ctypes.c_void_p]:
        starts = (0, self.begin_b, self.begin_c)
        return [_pointer(result, 0), *(_pointer(cells, start) for start in starts)]

    def _cell(self, name: str) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self.engine.get_global_value_address(name))

    def _function(self, name: str, given: list[Any]) -> Callable[..., int]:
        kinds = {float: ctypes.c_double, int: ctypes.c_int64, ctypes.c_void_p: ctypes.c_void_p}
        types = [kinds[type(value)] for value in given]
        return ctypes.CFUNCTYPE(ctypes.c_int32, *types)(self.engine.get_function_address(name))


def _columns(*parts: Vector) -> Vector:
    return np.concatenate(parts, axis=-1)


def _pointer(array: NDArray[Any], index: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data + index * array.itemsize)


def _machine() -> Any:
    """Return a target machine of its own: an engine takes it over."""
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=1, codemodel="jitdefault", jit=True
    )
