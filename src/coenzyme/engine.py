"""The one driver: from a function and the types of its arguments to its compiled derivative.

Read from top to bottom it is the table of contents of the engine:

1. :func:`lower` – a frontend turns the function into unoptimised, linked LLVM text (a ``Program``);
2. :func:`prepare` – LLVM simplifies, inlines and canonicalises it;
3. :func:`parse_module` – the text becomes our own objects;
4. :func:`derive` – analyses, plan, emission (:mod:`coenzyme.derive`);
5. :func:`print_module`, :func:`verify` – back to text, checked by LLVM;
6. :func:`link` – optimised, vectorised, compiled, callable by Numba and from Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any

from numba.core.compiler_lock import global_compiler_lock

from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.tape import Policy
from coenzyme.codegen import prepare, verify
from coenzyme.derive.derivative import Request, derive
from coenzyme.derive.emission import type_named
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.runtime import TapeMemory
from coenzyme.derive.seeds import find_places
from coenzyme.errors import CoenzymeError
from coenzyme.frontends.numba_link import link
from coenzyme.frontends.numba_lower import lower
from coenzyme.frontends.program import (
    ArgumentActivity,
    Mode,
    Program,
    Role,
    component_activities,
)
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.instructions import Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.rules import definitions

__all__ = ["Derivative", "Options", "derivative", "primal"]

_RESULT_PARAMETERS = 2
SCOPED = ("alias.scope", "noalias")
_numbers = count()


@dataclass(frozen=True)
class Options:
    """How derivatives are made; part of the key they are remembered by.

    Attributes
    ----------
    policy
        How the tape is planned; the naive plan is the oracle for the clever one.
    arguments_disjoint
        Whether distinct array arguments may be assumed not to overlap.
    """

    policy: Policy = Policy.CUT
    arguments_disjoint: bool = True


@dataclass(frozen=True)
class Derivative:
    """A compiled derivative.

    Attributes
    ----------
    dispatcher
        Called with the arguments, then a shadow for each ``DUPLICATED`` one, then the seed of an active
        result (reverse mode). Returns ``(primal, tangent)`` or ``(primal, adjoints)``.
    restype
        The Numba type of the primal's result.
    program
        The primal as it was lowered.
    plan
        What the reverse sweep does (None in forward mode).
    text
        The derivative as LLVM text before its own optimisation.
    """

    dispatcher: Any
    restype: Any
    program: Program
    plan: ReversePlan | None
    text: str


def derivative(
    function: Callable[..., Any],
    argtypes: tuple[Any, ...],
    activities: tuple[ArgumentActivity, ...],
    mode: Mode,
    return_active: bool,
    options: Options = Options(),
) -> Derivative:
    """Return the derivative of `function` for arguments of these Numba types; remembered.

    Raises
    ------
    CompilationError
        Where Numba cannot compile the function in nopython mode.
    ActivityError
        Where the annotations do not fit.
    MissingRuleError, UnsupportedIRError
        Where an operation on active data has no derivative.
    """
    # Numba's own lock, which typing code that asks for a derivative holds already.
    with global_compiler_lock:
        return _derivative(function, tuple(argtypes), tuple(activities), mode, return_active, options)


def primal(function: Callable[..., Any], argtypes: tuple[Any, ...]) -> Any:
    """Return the Numba type of what `function` returns for arguments of these types."""
    with global_compiler_lock:
        return lowered(function, tuple(argtypes)).restype


@lru_cache(maxsize=1024)
def lowered(function: Callable[..., Any], argtypes: tuple[Any, ...]) -> Program:
    """Return `function` as an unoptimised program."""
    return lower(function, argtypes)


@lru_cache(maxsize=1024)
def prepared(function: Callable[..., Any], argtypes: tuple[Any, ...]) -> str:
    """Return `function` as simplified LLVM text."""
    program = lowered(function, argtypes)
    return prepare(program.text, program.entry)


@lru_cache(maxsize=4096)
def _derivative(
    function: Callable[..., Any],
    argtypes: tuple[Any, ...],
    activities: tuple[ArgumentActivity, ...],
    mode: Mode,
    return_active: bool,
    options: Options,
) -> Derivative:
    program = lowered(function, argtypes)
    name = f"coenzyme.{mode.value}.{next(_numbers)}.{_plain(program.qualname)}"
    request = _request(program, activities, mode, return_active, options)
    source = prepared(function, argtypes)
    text, plan = _derive_text(source, program, request, name)

    def text_again() -> str:
        """Return the derivative in a form that can be differentiated: with a tape of ordinary memory."""
        again = replace(request, memory=TapeMemory.PLAIN)
        return _derive_text(source, program, again, name)[0]

    dispatcher = link(
        text,
        name,
        program,
        activities,
        mode,
        _plain(program.qualname.rsplit(".", 1)[-1]) + f"_{mode.value}",
        return_active=return_active,
        text_again=text_again if mode is Mode.REVERSE else None,
    )
    return Derivative(dispatcher, program.restype, program, plan, text)


def _derive_text(
    source: str, program: Program, request: Request, name: str
) -> tuple[str, ReversePlan | None]:
    """Return the text of a derivative called `name`, and the plan it was made from."""
    module = parse_module(source)
    entry = module.functions[program.entry]
    try:
        derived = derive(module, entry, request, name, SourceMap(module).locate, program.qualname)
    except CoenzymeError as error:
        # The parts of an array have names of their own; the user knows the array's.
        found = re.match(r"arg\.(\w+)", error.argument or "")
        if found is not None:
            error.argument = found.group(1)
            error.args = (error.describe(),)
        raise
    _finish(module, derived.function, entry)
    text = _with_definitions(module)
    verify(text, program.qualname)
    return text, derived.plan


def _request(
    program: Program,
    activities: tuple[ArgumentActivity, ...],
    mode: Mode,
    return_active: bool,
    options: Options,
) -> Request:
    elements: dict[int, Any] = {}
    groups: dict[int, int] = {}
    index = _RESULT_PARAMETERS
    group = 0
    for argument in program.arguments:
        for component in argument.components:
            if component.role is Role.MEMINFO:
                group += 1
            if component.role in (Role.MEMINFO, Role.PARENT, Role.DATA):
                groups[index] = group
            if component.role is Role.DATA and component.element is not None:
                elements[index] = type_named(component.element)
            index += 1
    seeded = mode is Mode.REVERSE and return_active and program.result.has_memory
    return Request(
        mode=mode,
        activities=component_activities(program, activities, mode, return_active),
        elements=elements,
        groups=groups,
        aliasing=Aliasing(arguments_disjoint=options.arguments_disjoint),
        policy=options.policy,
        result=find_places(program.result) if seeded else None,
    )


def _finish(module: Module, derived: Function, entry: Function) -> None:
    """Leave only what the derivative needs; line numbers are not carried into machine code."""
    pending: list[str] = []
    for function in module.functions.values():
        function.suffix = re.sub(r"\s*!dbg !\d+", "", function.suffix)
        for instruction in function.instructions():
            for kind in list(instruction.metadata):
                if kind in SCOPED:
                    pending.append(instruction.metadata[kind])
                else:
                    del instruction.metadata[kind]
    derived.prefix = ""
    derived.suffix = "nounwind"
    kept: set[str] = set()
    while pending:
        node = pending.pop()
        if node not in kept:
            kept.add(node)
            pending.extend(re.findall(r"![0-9]+", module.metadata[node]))
    module.metadata = {node: text for node, text in module.metadata.items() if node in kept}
    entry.prefix = "internal"


def _with_definitions(module: Module) -> str:
    """Return the text of `module`, with the functions that derivatives call and no library has."""
    text = print_module(module)
    extra = definitions(f.name for f in module.functions.values() if f.is_declaration)
    if not extra:
        return text
    known = parse_module(extra)
    for name, function in known.functions.items():
        found = module.functions.get(name)
        if found is None or (found.is_declaration and not function.is_declaration):
            module.functions[name] = function
    return print_module(module)


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_") or "function"
