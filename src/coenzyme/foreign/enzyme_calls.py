"""Finding the calls of Enzyme's functions in a module, and reading what is passed to them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from coenzyme.errors import UnsupportedIRError
from coenzyme.foreign.enzyme_plan import Actual, EnzymeMode
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.instructions import Call, Cast, Freeze, Function, GlobalVariable, Load, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.types import Type, spell_name
from coenzyme.ir.values import ConstantExpression, ConstantInt, Global, Value

__all__ = [
    "ITERATIONS",
    "NEW_CONTEXT",
    "Site",
    "define_markers",
    "find_sites",
    "mentions_enzyme",
    "pointee_of",
    "read_actual",
    "read_actuals",
    "target_of",
    "without_casts",
]

_MARKER = re.compile(r"enzyme_[a-z_]+")
NEW_CONTEXT = "coenzyme.context.new"
"""What makes memory for the shadows of global variables."""
ITERATIONS = "__enzyme_iter"
"""Part of the name of what tells a number of iterations."""
_DECLARED = re.compile(r"^external (?:\w+ )*?global (\w+)")
_NAMES = {f"__enzyme_{mode.value}": mode for mode in EnzymeMode}
_REGISTRATION = re.compile(
    r"__enzyme_(?:register_|inactivefn|function_like|allocation_like|inactive_global|shouldrecompute|nofree)"
)
_HELD = re.compile(r'\b(?:global|constant) ptr @(?:"([^"]+)"|([-\w.$]+))')
_DEREFERENCED = r"\b{}\("


@dataclass(frozen=True)
class Site:
    """A call of one of Enzyme's functions.

    Attributes
    ----------
    caller
        The function that it stands in.
    call
        The instruction.
    mode
        Which of Enzyme's functions is called.
    into
        The type of what the call returns by memory that is its first argument; None where it does not.
    """

    caller: Function
    call: Call
    mode: EnzymeMode
    into: Type | None

    @property
    def differentiated(self) -> Value:
        """What is passed as the function to differentiate."""
        return self.call.arguments[0 if self.into is None else 1]


def mentions_enzyme(name: str) -> bool:
    """Return whether `name` is one of Enzyme's functions that are called."""
    return "__enzyme_" in name and _REGISTRATION.search(name) is None


def find_sites(module: Module) -> Iterator[Site]:
    """Yield the calls of Enzyme's functions.

    Raises
    ------
    UnsupportedIRError
        Where a function of Enzyme's is called that is not known here.
    """
    for function in list(module.functions.values()):
        for instruction in list(function.instructions()):
            if not isinstance(instruction, Call):
                continue
            name = instruction.callee_name
            if name is None or not mentions_enzyme(name) or ITERATIONS in name:
                continue
            # Users add suffixes, and C++ what it mangles names with.
            mode = next((m for known, m in _NAMES.items() if known in name), None)
            if mode is None:
                raise UnsupportedIRError(
                    "a function of Enzyme's is called that is not known",
                    function=function.name,
                    operation=name,
                    location=SourceMap(module).locate(instruction),
                    remedy="docs/enzyme.md lists those that are",
                )
            yield Site(function, instruction, mode, _returned_into(instruction))


def _returned_into(call: Call) -> Type | None:
    return pointee_of(call.argument_attributes[0], "sret") if call.arguments else None


def pointee_of(attributes: str, word: str) -> Type | None:
    """Return the type in an attribute such as ``sret({ double, i64 })``, None where there is no such."""
    match = re.search(_DEREFERENCED.format(word), attributes)
    if match is None:
        return None
    depth, end = 1, match.end()
    while depth:
        depth += {"(": 1, ")": -1}.get(attributes[end], 0)
        end += 1
    read = parse_module(f"declare void @f({attributes[match.end() : end - 1]})")
    return read.functions["f"].arguments[0].type


def read_actuals(site: Site) -> tuple[Actual, ...]:
    """Return the arguments of a call as far as they say what it means."""
    return tuple(read_actual(argument) for argument in site.call.arguments)


def read_actual(value: Value) -> Actual:
    """Return what an argument of a call says."""
    bare = without_casts(value)
    if isinstance(bare, Load):
        bare = without_casts(bare.pointer)
    marker = bare.name if isinstance(bare, Global) and _MARKER.fullmatch(bare.name) else None
    number = value.value if isinstance(value, ConstantInt) else None
    width = value.arguments[0] if isinstance(value, Call) and value.callee_name == NEW_CONTEXT else None
    return Actual(value.type, marker, number, width.value if isinstance(width, ConstantInt) else None)


def without_casts(value: Value) -> Value:
    """Return what was cast to `value`."""
    while True:
        if isinstance(value, (Cast, Freeze)) or (
            isinstance(value, ConstantExpression) and value.opcode in _CASTS
        ):
            value = value.operands[0]
        else:
            return value


_CASTS = ("bitcast", "addrspacecast", "inttoptr", "ptrtoint", "trunc", "zext", "sext")


def define_markers(module: Module) -> None:
    """Give the markers that `module` declares memory: code that reads them may be left."""
    for name, variable in module.globals.items():
        if _MARKER.fullmatch(name):
            variable.text = _DECLARED.sub(r"internal global \1 zeroinitializer", variable.text)


def target_of(site: Site, module: Module, own: Container[str]) -> Function | None:
    """Return the function that a call differentiates, None where that is not evident.

    Parameters
    ----------
    own
        The variables that nobody outside of the module can change.
    """
    value = without_casts(site.differentiated)
    if isinstance(value, Load):
        value = _held_forever(value.pointer, module, own)
    return value if isinstance(value, Function) else None


def _held_forever(pointer: Value, module: Module, own: Container[str]) -> Value | None:
    """Return the function whose address a variable holds from the beginning to the end."""
    if not isinstance(pointer, GlobalVariable) or not (pointer.is_constant or pointer.name in own):
        return None
    match = _HELD.search(pointer.text)
    if match is None:
        return None
    for function in module.functions.values():
        for instruction in function.instructions():
            if not isinstance(instruction, Load) and pointer in instruction.operands:
                return None
    spelled = re.compile(rf"@{re.escape(spell_name(pointer.name))}(?![-\w.$])")
    if any(spelled.search(other.text) for other in module.globals.values()):
        return None
    return module.functions.get(match.group(1) or match.group(2))
