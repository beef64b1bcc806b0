"""Derive small functions written in LLVM text, compile them, and call them: memory watched for leaks.

A function is described by comment lines of its own text, one for each parameter, in order::

    ; SHADOWED x: double = 1 2 3      a pointer to memory, with a shadow
    ; CONSTANT k: i64 = 0 2 1         a pointer to memory without one
    ; ACTIVE t: double = 0.5          a number, differentiated
    ; FIXED n: i64 = 3                a number that is not

The second parameter, where it is called ``excinfo``, is not described: it gets null.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.codegen import optimise, verify
from coenzyme.derive.derivative import Request, derive
from coenzyme.derive.emission import type_named
from coenzyme.derive.plan import ReversePlan
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import VOID
from coenzyme.rules import definitions

__all__ = ["Built", "Kind", "Parameter", "build", "compile_text", "parameters_of"]

Numbers = NDArray[Any]

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

_DTYPES = {"double": np.float64, "float": np.float32, "i64": np.int64, "i32": np.int32, "i8": np.int8}
_C_TYPES = {
    "double": ctypes.c_double,
    "float": ctypes.c_float,
    "i64": ctypes.c_int64,
    "i32": ctypes.c_int32,
    "i8": ctypes.c_int8,
}

# Numba's runtime, as far as these functions use it: the count of references stands before the payload.
_RUNTIME = """
@watch.live = global i64 0

define ptr @watch.new(i64 %bytes) noinline {
  %all = add i64 %bytes, 16
  %block = call ptr @malloc(i64 %all)
  store i64 1, ptr %block
  %payload = getelementptr i8, ptr %block, i64 16
  call void @llvm.memset.p0.i64(ptr %payload, i8 -1, i64 %bytes, i1 false)
  %live = load i64, ptr @watch.live
  %more = add i64 %live, 1
  store i64 %more, ptr @watch.live
  ret ptr %payload
}

define ptr @NRT_MemInfo_alloc_aligned(i64 %bytes, i32 %alignment) noinline {
  %block = call ptr @watch.new(i64 %bytes)
  ret ptr %block
}

define ptr @NRT_MemInfo_data_fast(ptr %block) noinline {
  ret ptr %block
}

define void @NRT_incref(ptr %payload) noinline {
  %none = icmp eq ptr %payload, null
  br i1 %none, label %out, label %step
step:
  %slot = getelementptr i8, ptr %payload, i64 -16
  %count = load i64, ptr %slot
  %more = add i64 %count, 1
  store i64 %more, ptr %slot
  br label %out
out:
  ret void
}

define void @NRT_decref(ptr %payload) noinline {
  %none = icmp eq ptr %payload, null
  br i1 %none, label %out, label %step
step:
  %slot = getelementptr i8, ptr %payload, i64 -16
  %count = load i64, ptr %slot
  %less = sub i64 %count, 1
  store i64 %less, ptr %slot
  %over = icmp eq i64 %less, 0
  br i1 %over, label %drop, label %out
drop:
  %live = load i64, ptr @watch.live
  %fewer = sub i64 %live, 1
  store i64 %fewer, ptr @watch.live
  ; What is read after its end is NaN.
  call void @llvm.memset.p0.i64(ptr %payload, i8 -1, i64 8, i1 false)
  br label %out
out:
  ret void
}
"""
_PROVIDED = ("NRT_MemInfo_alloc_aligned", "NRT_MemInfo_data_fast", "NRT_incref", "NRT_decref")
_NEEDED = ("declare ptr @malloc(i64)", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
_DESCRIBED = re.compile(r"^; (SHADOWED|CONSTANT|ACTIVE|FIXED) (\w+): (\w+) = (.*)$", re.MULTILINE)


class Kind(Enum):
    """How a parameter takes part."""

    SHADOWED = "SHADOWED"
    CONSTANT = "CONSTANT"
    ACTIVE = "ACTIVE"
    FIXED = "FIXED"

    @property
    def is_memory(self) -> bool:
        """Whether the parameter is a pointer."""
        return self in (Kind.SHADOWED, Kind.CONSTANT)


@dataclass(frozen=True)
class Parameter:
    """One described parameter, and its value."""

    kind: Kind
    name: str
    type: str
    value: Numbers

    def activity(self, mode: Mode) -> ComponentActivity:
        """Return the activity of the LLVM parameter."""
        if self.kind is Kind.ACTIVE:
            return ComponentActivity.DUPLICATED if mode is Mode.FORWARD else ComponentActivity.ACTIVE
        return ComponentActivity.DUPLICATED if self.kind is Kind.SHADOWED else ComponentActivity.CONST


def parameters_of(text: str) -> list[Parameter]:
    """Return the parameters that the comments of `text` describe."""
    return [
        Parameter(Kind(kind), name, type, np.array(values.split(), dtype=_DTYPES[type]))
        for kind, name, type, values in _DESCRIBED.findall(text)
    ]


@dataclass
class Built:
    """A derived function: its text, its plan, and its machine code."""

    text: str
    plan: ReversePlan | None
    mode: Mode
    parameters: list[Parameter]
    address: int
    live: ctypes.c_int64
    has_status: bool
    has_error_slot: bool
    leaked: int = 0
    status: int = 0
    memory: dict[str, Numbers] = field(default_factory=dict[str, Numbers])
    """What the memory parameters hold after the last call."""
    engine: Any = None

    def call(
        self, shadows: Mapping[str, Numbers], values: Mapping[str, Numbers] | None = None
    ) -> dict[str, Numbers]:
        """Return the shadows after a call; those not given enter as zero.

        An ``ACTIVE`` number's derivative is found under its name: given in forward mode, returned in reverse.
        """
        given = {p.name: p.value for p in self.parameters} | dict(values or {})
        arguments: list[Any] = []
        types: list[Any] = []
        extras: list[Any] = []
        extra_types: list[Any] = []
        self.memory = {}
        out: dict[str, Numbers] = {}
        for p in self.parameters:
            value = np.array(given[p.name], dtype=_DTYPES[p.type])
            shadow = np.array(shadows.get(p.name, np.zeros_like(value)), dtype=value.dtype)
            if self.has_error_slot and len(arguments) == 1:
                arguments.append(None)
                types.append(ctypes.c_void_p)
            if p.kind.is_memory:
                self.memory[p.name] = value
                arguments.append(value.ctypes.data)
                types.append(ctypes.c_void_p)
            else:
                arguments.append(value.item())
                types.append(_C_TYPES[p.type])
            if p.activity(self.mode) is ComponentActivity.CONST:
                continue
            out[p.name] = shadow
            by_value = p.kind is Kind.ACTIVE and self.mode is Mode.FORWARD
            extras.append(shadow.item() if by_value else shadow.ctypes.data)
            extra_types.append(_C_TYPES[p.type] if by_value else ctypes.c_void_p)
        result = ctypes.c_int32 if self.has_status else None
        function = ctypes.CFUNCTYPE(result, *types, *extra_types)(self.address)
        before = self.live.value
        status = function(*arguments, *extras)
        self.leaked = self.live.value - before
        self.status = status if self.has_status else 0
        return out


def build(
    text: str,
    mode: Mode,
    *,
    entry: str = "f",
    passes: frozenset[Pass] = ALL_PASSES,
    disjoint: bool = True,
    level: int = 2,
) -> Built:
    """Return the derivative of the function `entry` of `text`, compiled at this level of optimisation."""
    described = parameters_of(text)
    module = parse_module(text)
    function = module.functions[entry]
    has_error_slot = any(a.name == "excinfo" for a in function.arguments)
    order = [described[0], None, *described[1:]] if has_error_slot else [*described]
    has_status = function.function_type.result != VOID
    activities = [ComponentActivity.CONST if p is None else p.activity(mode) for p in order]
    request = Request(
        mode=mode,
        activities=activities,
        elements={i: type_named(p.type) for i, p in enumerate(order) if p is not None and p.kind.is_memory},
        groups={},
        has_status=has_status,
        aliasing=Aliasing(arguments_disjoint=disjoint),
        passes=passes,
    )
    derived = derive(module, function, request, "derivative", lambda _: None, entry)
    unlinked = print_module(module)
    engine = compile_text(_with_runtime(unlinked), level)
    return Built(
        text=unlinked,
        plan=derived.plan,
        mode=mode,
        parameters=described,
        address=engine.get_function_address("derivative"),
        live=ctypes.c_int64.from_address(engine.get_global_value_address("watch.live")),
        has_status=has_status,
        has_error_slot=has_error_slot,
        engine=engine,
    )


def _with_runtime(text: str) -> str:
    declared = set(re.findall(r"^declare [^@]*@([\w.]+)\(", text, re.MULTILINE))
    extra = definitions(declared)
    lines = [
        line
        for line in text.split("\n")
        if not (line.startswith("declare") and any(f"@{name}(" in line for name in _PROVIDED))
    ]
    known = "\n".join([*lines, extra])
    needed = [line for line in _NEEDED if f"@{line.split('@')[1].split('(')[0]}(" not in known]
    return "\n".join([known, *needed, _RUNTIME])


def compile_text(text: str, level: int) -> Any:
    """Return the machine code of LLVM `text`, optimised at this level."""
    module = llvm.parse_assembly(optimise(text, level)) if level else verify(text)
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
