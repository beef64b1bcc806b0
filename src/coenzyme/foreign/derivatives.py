"""Derivatives of the functions of a plain LLVM module, as more functions of that module.

Nothing is known of the arguments but their types: pointers may lead to the same memory, and to whatever the
loads and stores of the function find there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import MappingProxyType

from coenzyme.analysis.overwritten import Aliasing
from coenzyme.analysis.passes import Pass, passes_in_force
from coenzyme.codegen import canonicalise_loops, is_linked, prepare, verify
from coenzyme.derive.derivative import Request, derive, derive_split
from coenzyme.derive.finishing import finish, with_definitions
from coenzyme.derive.foreign import SUFFIX, give_status
from coenzyme.derive.foreign_blas import resolve_blas, settle_constants
from coenzyme.derive.global_memory import Ending, PassedGlobals, pass_globals
from coenzyme.derive.plan import ReversePlan
from coenzyme.derive.registered import Registered
from coenzyme.derive.runtime import TapeMemory
from coenzyme.derive.shadow_layout import ShadowLayout
from coenzyme.derive.spared import find_spared
from coenzyme.errors import UnsupportedIRError
from coenzyme.foreign.enzyme_kinks import choose_sides
from coenzyme.frontends.c_types import CPointer, CScalar, Kind
from coenzyme.frontends.debug_types import DebugTypes
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.declared import note_declared_types
from coenzyme.ir.devirtualise import address_taken, devirtualise
from coenzyme.ir.instructions import Call, Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.reducible import make_reducible
from coenzyme.ir.stack_arrays import move_stack_arrays
from coenzyme.ir.tbaa import Accessed, note_accessed_types
from coenzyme.ir.types import F32, F64, Type, spell_name
from coenzyme.ir.values import Argument, ConstantNull

__all__ = [
    "ForeignDerivative",
    "ForeignRequest",
    "Kinks",
    "called_by_address",
    "derive_foreign",
    "share_globals",
]

_BEFORE = 2
"""How many parameters a function that returns a status has before those of C's."""
_FLOATS = {CScalar(Kind.FLOAT, 8): Accessed.DOUBLE, CScalar(Kind.FLOAT, 4): Accessed.FLOAT}
_TYPES: dict[Accessed, Type] = {Accessed.DOUBLE: F64, Accessed.FLOAT: F32}
_NO_FUNCTIONS: Mapping[str, Registered] = MappingProxyType({})
_PRIVATE_GLOBAL = re.compile(
    r'^(@(?:"[^"\n]+"|[-\w.$]+) = )(?:private|internal) ((?:[a-z_]+(?:\([^)\n]*\))? )*?global )', re.MULTILINE
)
_SYMBOL = re.compile(r'^(?:define [^@\n]*)?@(?:"([^"\n]+)"|([-\w.$]+))', re.MULTILINE)
_LINKAGE = re.compile(
    r"^(?:(?:private|internal|linkonce_odr|linkonce|weak_odr|weak|common|appending|available_externally) )"
)
_COMDAT = re.compile(r", comdat(?:\(\$[^)]*\))?")


class Kinks(Enum):
    """What holds where a slope is not defined."""

    MIDDLE = auto()
    """The slope of ``fabs`` at 0 is 0. In forward mode 0 times an infinite slope is NaN. (Python.)"""
    SIDES = auto()
    """The slope of ``fabs`` at 0 is the zero's sign. 0 times an infinite slope is 0. (Enzyme.)"""


@dataclass(frozen=True)
class ForeignRequest:
    """What derivative of a function is wanted.

    Attributes
    ----------
    mode
        Forward or reverse.
    activities
        How each parameter of the function takes part, as LLVM sees parameters. In reverse mode a scalar is
        ``ACTIVE``, in forward mode ``DUPLICATED``; a pointer is ``DUPLICATED`` or constant.
    return_active
        Whether the result is differentiated.
    width
        How many directions one sweep follows.
    split
        Whether the two sweeps of a reverse derivative are functions of their own.
    again
        Whether the derivative will be differentiated.
    strong_zero
        Whether a product with a zero is zero, whatever the other factor is.
    kinks
        What holds where a slope is not defined.
    passes
        The passes to make it by.
    continues
        Whether shadows of global variables are left as they are found: in forward mode the tangents that an
        earlier derivative has left, in reverse mode cotangents of what is in the variables afterwards.
        Otherwise derivatives begin with zeros there.
    layout
        Where the shadows of global variables are in a context, which the derivative is then given: they are
        left as they are found, and those of variables that are only read take part. None: derivatives have
        shadows of their own, and variables that are only read are constants.
    """

    mode: Mode
    activities: tuple[ComponentActivity, ...]
    return_active: bool
    width: int = 1
    split: bool = False
    again: bool = False
    strong_zero: bool = False
    kinks: Kinks = Kinks.MIDDLE
    passes: frozenset[Pass] = field(default_factory=passes_in_force)
    continues: bool = False
    layout: ShadowLayout | None = None


@dataclass(frozen=True)
class ForeignDerivative:
    """A derivative, as LLVM text that declares what it takes from the module it was made from.

    Attributes
    ----------
    text
        What to link with that module. Whatever of it is not new is a declaration.
    symbols
        The derivative; of a split one the augmented primal, the reverse sweep, and what frees a record whose
        reverse sweep is not run.
    plan
        What the reverse sweep does (None in forward mode).
    in_context
        The variables whose shadows are in a context. Where there are any, it is the first argument.

    Notes
    -----
    With `p` the parameters of the function, and one shadow for each that is not constant (for an active
    scalar in reverse mode a pointer to where its adjoint is stored):

    - ``i32 derivative(ptr result, ptr null, p…, [ptr shadow of result,] shadows…)``;
    - ``i32 augmented(ptr result, ptr null, p…, [shadow of result,] shadows of pointers…, ptr record)`` and
      ``i32 reverse(ptr result, ptr null, p…, [shadow of result,] shadows…, ptr record)``.

    `result` is memory for the function's result, its shadow memory for the tangent, or with the seed.
    For several directions, the shadows of the first come first. What is returned is 0, or a `Status`.
    """

    text: str
    symbols: tuple[str, ...]
    plan: ReversePlan | None
    in_context: frozenset[str] = frozenset()


def share_globals(text: str) -> str:
    """Return module `text` with its variables visible to other modules; constants stay as they are.

    A variable that nobody else sees and that nobody here writes is a constant to LLVM.
    """
    return _PRIVATE_GLOBAL.sub(r"\1\2", text)


def derive_foreign(
    text: str,
    symbol: str,
    request: ForeignRequest,
    name: str,
    registered: Mapping[str, Registered] = _NO_FUNCTIONS,
) -> ForeignDerivative:
    """Return a derivative of the function `symbol` of the module `text`.

    Parameters
    ----------
    text
        LLVM text, not optimised. Its variables are visible outside: see :func:`share_globals`.
    name
        What the symbols of the derivative begin with.
    registered
        Functions that the user has written derivatives of, by name.

    Raises
    ------
    ActivityError, MissingRuleError, UnsupportedIRError
        Where something active has no derivative.
    """
    prepared = prepare_foreign(text, symbol, registered)
    module, entry = _parse(prepared, symbol)
    elements = _note_declarations(module, entry, prepared)
    given = {m.group(1) or m.group(2) for m in _SYMBOL.finditer(text)} & {*module.functions, *module.globals}
    if request.kinks is Kinks.SIDES:
        choose_sides(module)
    variables = pass_globals(module, entry, registered, every=request.layout is not None)
    if variables is not None:
        entry = variables.entry
    entry = give_status(module, [entry], opaque=registered)[entry]
    _note_spared(module, registered)
    if variables is not None:
        variables = replace(variables, entry=entry)
    locate = SourceMap(module).locate
    made = _request(request, registered, variables, elements)
    plan: ReversePlan | None
    inner = name if variables is None else f"{name}.of.globals"
    if request.split:
        halves, plan = derive_split(module, entry, made, inner, locate, symbol)
        functions = (halves.augmented, halves.reverse, halves.discard)
    else:
        derived = derive(module, entry, made, inner, locate, symbol)
        plan, functions = derived.plan, (derived.function,)
    for function in functions:
        finish(module, function, entry)
    if variables is not None:
        clears = not request.continues and request.layout is None
        outer = [
            variables.close(
                module,
                function,
                f"{name}{function.name[len(inner) :]}",
                # The second half finds what the first has left.
                Ending(request.mode, request.width, request.split, clears and number == 0, request.layout),
            )
            for number, function in enumerate(functions[:2])
        ]
        functions = (*outer, *functions[2:])
    symbols = tuple(function.name for function in functions)
    _leave_only(module, symbols, given)
    _set_apart(module, symbols, name)
    result = with_definitions(module, again=request.again)
    verify(result, symbol)
    passed = () if variables is None or request.layout is None else variables.variables
    return ForeignDerivative(result, symbols, plan, frozenset(v.name for v in passed))


def _note_spared(module: Module, registered: Mapping[str, Registered]) -> None:
    """Note what functions whose derivatives are made for their calls leave alone."""
    for name, one in registered.items():
        standing = module.functions.get(f"{name}{SUFFIX}")
        if one.tailored and standing is not None:
            spared = find_spared(module.functions[name])
            # Where the result goes, and errors, come first.
            standing.spared = None if spared is None else frozenset([0, 1, *(n + 2 for n in spared)])


def prepare_foreign(text: str, symbol: str, apart: Container[str] = ()) -> str:
    """Return the module `text` simplified, with the function `symbol` and what it needs.

    Calls of the functions that are named in `apart` stay calls. Calls by address become calls of the
    functions whose addresses the module takes.
    """
    prepared = _simplified(text, symbol, apart)
    if not _has_indirect_calls(prepared):
        return prepared
    # What is called may be a function whose address is taken elsewhere in the module.
    prepared = _simplified(_with_addresses(text), symbol, apart)
    while _has_indirect_calls(prepared):
        module = parse_module(prepared)
        if not devirtualise(module, closed=True):
            break
        prepared = _simplified(print_module(module), symbol, apart)
    module = parse_module(prepared)
    if module.globals.pop(_ADDRESSES, None) is None:
        return prepared
    return prepare(print_module(module), symbol, apart.__contains__)


_ADDRESSES = "coenzyme.addresses"
"""A table of functions, which keeps them in the module."""


def _with_addresses(text: str) -> str:
    """Return module `text` with a table of the functions whose addresses it takes."""
    names = [f"ptr @{spell_name(f.name)}" for f in called_by_address(parse_module(text))]
    return f"{text}\n@{_ADDRESSES} = constant [{len(names)} x ptr] [{', '.join(names)}]\n" if names else text


def called_by_address(module: Module) -> list[Function]:
    """Return the functions that may be called by address: whose address is not only passed to Enzyme's."""
    passed = [
        (instruction, position, argument)
        for function in module.functions.values()
        for instruction in function.instructions()
        if isinstance(instruction, Call) and "__enzyme_" in (instruction.callee_name or "")
        for position, argument in enumerate(instruction.arguments)
        if isinstance(argument, Function)
    ]
    for call, position, _ in passed:
        call.set_operand(position, ConstantNull())
    found = address_taken(module)
    for call, position, argument in passed:
        call.set_operand(position, argument)
    return found


def _simplified(text: str, symbol: str, apart: Container[str]) -> str:
    """Return the module `text` simplified, with what BLAS does written out."""
    prepared = prepare(resolve_blas(text, is_linked, apart), symbol, apart.__contains__)
    settled = settle_constants(prepared)
    return prepared if settled == prepared else prepare(settled, symbol, apart.__contains__)


_INDIRECT = re.compile(r"\bcall [^@\n]*%[^\s(]+\(")


def _has_indirect_calls(text: str) -> bool:
    return _INDIRECT.search(text) is not None


def _parse(text: str, symbol: str) -> tuple[Module, Function]:
    """Return the objects of prepared text, and the function `symbol` among them."""
    module = parse_module(text)
    changed = [make_reducible(f) for f in module.functions.values() if not f.is_declaration]
    if any(changed):
        module = parse_module(canonicalise_loops(print_module(module)))
    entry = module.functions[symbol]
    if entry.is_declaration:
        raise UnsupportedIRError(
            f"the function {symbol!r} is declared, but its code is not in the module",
            function=symbol,
            remedy="give the module the code of the function, or register a derivative for it",
        )
    note_accessed_types(module)
    move_stack_arrays(module)
    return module, entry


def _note_declarations(module: Module, entry: Function, text: str) -> dict[int, Type]:
    """Note what the source says of the numbers behind pointers; return those behind `entry`'s parameters."""
    declared = DebugTypes(text)
    led_to = {place: kind for place, t in declared.pointers().items() if (kind := _FLOATS.get(t)) is not None}
    parameters: dict[Argument, Accessed] = {}
    for function in module.functions.values():
        known = None if function.is_declaration else declared.prototype(function.name)
        if known is None or len(known.parameters) != len(function.arguments):
            continue
        for argument, kind in zip(function.arguments, known.parameters, strict=True):
            target = kind.target if isinstance(kind, CPointer) else None
            if isinstance(target, CScalar) and target in _FLOATS and argument.type.is_pointer:
                parameters[argument] = _FLOATS[target]
    note_declared_types(module, parameters, led_to)
    return {a.index: _TYPES[parameters[a]] for a in entry.arguments if a in parameters}


def _request(
    request: ForeignRequest,
    registered: Mapping[str, Registered],
    variables: PassedGlobals | None,
    elements: Mapping[int, Type],
) -> Request:
    more = () if variables is None else variables.variables
    result = ComponentActivity.DUPLICATED if request.return_active else ComponentActivity.CONST
    return Request(
        mode=request.mode,
        activities=[
            result,
            ComponentActivity.CONST,
            *request.activities,
            *(ComponentActivity.DUPLICATED for _ in more),
        ],
        elements={
            **{n + _BEFORE: type for n, type in elements.items()},
            **({} if variables is None else variables.elements),
        },
        groups={},
        aliasing=Aliasing(arguments_disjoint=False, caller_keeps=not request.split, apart=frozenset({0})),
        passes=request.passes - {Pass.LANES} if request.again else request.passes,
        memory=TapeMemory.PLAIN,
        width=request.width,
        strong_zero=request.strong_zero,
        guards_tangents=request.kinks is Kinks.SIDES,
        registered={f"{name}{SUFFIX}": one for name, one in registered.items()},
    )


def _leave_only(module: Module, symbols: Sequence[str], known: Collection[str]) -> None:
    """Turn what `module` has of the `known` symbols into declarations; let only `symbols` be seen outside."""
    for function in module.functions.values():
        if function.is_declaration:
            continue
        if function.name in known:
            function.blocks.clear()
            function.prefix = function.suffix = ""
            for argument in function.arguments:
                argument.attributes = ""
        else:
            function.prefix = "" if function.name in symbols else "internal"
    for variable in module.globals.values():
        if variable.name in known and not variable.text.startswith(("private", "internal")):
            words = _LINKAGE.sub("", _COMDAT.sub("", variable.text))
            if not words.startswith("external"):
                # Its memory is the other module's.
                variable.text = f"available_externally {words}"


def _set_apart(module: Module, symbols: Sequence[str], name: str) -> None:
    """Give the functions that are nobody else's names that no other derivative has."""
    for function in list(module.functions.values()):
        if not function.is_declaration and function.name not in symbols:
            del module.functions[function.name]
            function.name = f"{name}.{function.name}"
            module.add_function(function)
