"""LLVM text of a program's derivatives, by the engine's own steps: prepare, parse, derive, print."""

from __future__ import annotations

from dataclasses import replace

from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.passes import ALL_PASSES
from coenzyme.codegen import canonicalise_loops, prepare
from coenzyme.derive.derivative import Request, derive
from coenzyme.derive.runtime import TapeMemory
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir.instructions import Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.reducible import make_reducible
from coenzyme.ir.types import F64, I64
from coenzyme.rules import definitions, is_inactive
from tests.property.builds import Build, builds, second_modes
from tests.property.lower import ENTRY, lower
from tests.property.programs import Program

__all__ = ["ARRAYS", "NUMBERS", "SECOND", "derivative_text", "second_derivative_text"]

SECOND = "second"
"""The name of a second derivative."""
_INNER = "inner"

_C, _A, _D = ComponentActivity.CONST, ComponentActivity.ACTIVE, ComponentActivity.DUPLICATED
ARRAYS = ("retptr", "a", "b", "c")
NUMBERS = ("s", "t")
_ELEMENTS = {0: F64, 2: F64, 3: F64, 4: F64, 5: I64}
_FLOATS = frozenset({0, 2, 3, 4})
"""Pointers to the result and to arrays of floats."""
_FIXED = 3
"""Integers passed by value: n, m, size."""


def _number(mode: Mode) -> ComponentActivity:
    return _D if mode is Mode.FORWARD else _A


def _activities(program: Program, mode: Mode) -> list[ComponentActivity]:
    number = _number(mode)
    arrays = [_C if name in program.constant else _D for name in ARRAYS]
    numbers = [_C if name in program.constant else number for name in NUMBERS]
    return [arrays[0], _C, *arrays[1:], _C, *numbers, *[_C] * _FIXED]


def _request(program: Program, build: Build) -> Request:
    return Request(
        mode=build.mode,
        activities=_activities(program, build.mode),
        elements=_ELEMENTS,
        groups={},
        aliasing=Aliasing(arguments_disjoint=build.disjoint),
        passes=build.passes,
        width=build.width,
        unneeded=frozenset() if build.needed else _FLOATS,
    )


def derivative_text(program: Program) -> str:
    """Return `program` and its derivatives as LLVM text, not optimised and not linked."""
    module = _prepare(lower(program), ENTRY, program)
    entry = module.functions[ENTRY]
    for name, build in builds(program).items():
        known = set(module.functions)
        derived = derive(module, entry, _request(program, build), name, lambda _: None, ENTRY)
        derived.function.prefix, derived.function.suffix = "", "nounwind"
        _rename_derivatives_of_helpers(module, known, name)
    return _with_definitions(module)


def _prepare(text: str, entry: str, program: Program) -> Module:
    """Return the objects of prepared text, every cycle a natural loop."""
    alone = () if program.shared else sorted(_ELEMENTS)
    module = parse_module(prepare(text, entry, lambda name: name.split(".")[0] in program.out_of_line, alone))
    changed = [make_reducible(f) for f in module.functions.values() if f.blocks]
    return parse_module(canonicalise_loops(print_module(module))) if any(changed) else module


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


def _with_definitions(module: Module, *, again: bool = False) -> str:
    called = (f.name for f in module.functions.values() if f.is_declaration)
    extra = definitions(name for name in called if not (again and is_inactive(name)))
    for name, function in parse_module(extra).functions.items() if extra else ():
        if name not in module.functions or module.functions[name].is_declaration:
            module.functions[name] = function
    return print_module(module)


def second_derivative_text(program: Program) -> str:
    """Return a derivative of a derivative of `program` as LLVM text, not optimised and not linked."""
    inner, outer = second_modes(program)
    disjoint = program.shared == 0
    module = _prepare(lower(program), ENTRY, program)
    entry = module.functions[ENTRY]
    first = _request(program, Build(_INNER, inner, ALL_PASSES, disjoint))
    made = derive(module, entry, replace(first, memory=TapeMemory.PLAIN), _INNER, lambda _: None, ENTRY)
    made.function.prefix, made.function.suffix = "", "nounwind"
    entry.prefix = "internal"
    module = _prepare(_with_definitions(module, again=True), _INNER, program)
    second = _request(program, Build(SECOND, outer, ALL_PASSES, disjoint))
    elements, activities = dict(_ELEMENTS), list(second.activities)
    for index, how in enumerate(first.activities):
        if how is not _C:
            # In the reverse derivative, numbers have pointers to their adjoints.
            if index in _ELEMENTS or inner is Mode.REVERSE:
                elements[len(activities)] = F64
                activities.append(_D)
            else:
                activities.append(_number(outer))
    second = replace(second, elements=elements, activities=activities)
    derived = derive(module, module.functions[_INNER], second, SECOND, lambda _: None, _INNER)
    derived.function.prefix, derived.function.suffix = "", "nounwind"
    return _with_definitions(module)
