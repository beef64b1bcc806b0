"""One function of an LLVM module, made so that code of other modules can be linked with it.

- Everything in the module becomes internal: several modules may define ``helper``. What can be seen is one
  function under a name that contains a digest of the module; it passes its arguments on.
- Modules are linked into each of their callers as a copy. Constants may have copies, variables may not: those
  that code writes are moved to a module of their own, which is loaded once.
- Its functions are named ``native.…``, so that none is taken for one that there are rules for.
- Options of the target's are taken off: the code is for the machine it runs on, as that of its callers is.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
from numba.core.registry import cpu_target

from coenzyme.codegen import passes
from coenzyme.codegen.library_calls import without_run_time_library
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.llvm_modules import parse_apart

__all__ = [
    "NativeCode",
    "calls_native",
    "find_function",
    "has_variables",
    "is_native",
    "isolate",
    "variable_of",
    "visible_functions",
]

_ENTRY = "coenzyme.native."
_OWN = "native."
_STATE = "coenzyme.state."

_TARGET = re.compile(r'"(?:target-cpu|target-features|tune-cpu)"(?:="[^"]*")? ?')
_EMPTY_GROUP = re.compile(r"^(attributes #\d+ = )\{\s*\}", re.MULTILINE)
_LINES = re.compile(r",? !dbg !\d+|^!llvm\.dbg\.cu = .*\n", re.MULTILINE)
_VARIABLE_LINE = re.compile(r"^(@.*), !dbg !\d+$", re.MULTILINE)
_DECLARED_LINE = re.compile(r"^declare !dbg !\d+ ", re.MULTILINE)
_PLACE = re.compile(r"^(!\d+) = !DILocation\(", re.MULTILINE)
_LOOP = re.compile(r"^!\d+ = distinct !\{.*$", re.MULTILINE)
_DETAILS = re.compile(
    r", (?:retainedNodes|globals|enums|retainedTypes|imports): !\d+|(?<=DISubprogram\()(.*), type: !\d+"
)
_VARIABLE = re.compile(
    r'^@("[^"]+"|[-\w.$]+) = (?:[\w()]+ )*?global (?!.*section "llvm\.metadata")', re.MULTILINE
)
_TYPE_NAME = re.compile(r'%(?:"[^"]+"|[-\w.$]+)')
_NAMED_TYPE = re.compile(r'^(%(?:"[^"]+"|[-\w.$]+)) = type (.*)$', re.MULTILINE)
_TOKEN = re.compile(r'%(?:"[^"]+"|[-\w.$]+)|<\{|\}>|[\[\]{}<>]|[^\s\[\]{}<>,]+')
_OPENING, _CLOSING = ("[", "{", "<", "<{"), ("]", "}", ">", "}>")
_CONSTANT = re.compile(r'^@("[^"]+"|[-\w.$]+) = (?:[\w()]+ )*?constant ', re.MULTILINE)
_REFUSED = (
    (re.compile(r"^@llvm\.global_[cd]tors = ", re.MULTILINE), "code that runs when the module is loaded"),
    (
        re.compile(r"^@[^\n=]+ = [^\n]*\bthread_local\b", re.MULTILINE),
        "variables of threads",
    ),
    (re.compile(r"^@[^\n=]+ = (?:[\w()]+ )*(?:alias|ifunc) ", re.MULTILINE), "a second name for a function"),
    (re.compile(r"^module asm ", re.MULTILINE), "code in assembly"),
)
_COMPLEX = re.compile(r"__(?:mul|div)[sdxt]c3")
_EXTENSION = {"signext", "zeroext", "inreg"}
_BY_VALUE = {"byval", "sret", "byref", "inalloca", "preallocated", "swiftself", "swifterror", "nest"}
_CONVENTION = re.compile(r"\b(?:\w+cc|cc \d+|cc\d+)\b")
_WRAP = "write a small C function around it that takes and gives numbers and pointers, and pass that"


@dataclass(frozen=True)
class NativeCode:
    """A function that can be linked into other modules.

    Attributes
    ----------
    symbol
        What to call.
    result, parameters
        The LLVM types of its result and of its parameters.
    text
        The module to differentiate: unoptimised, with lines.
    code
        The same for machine code, without lines.
    state
        The name and the text of the module with its variables, which must be loaded before it is called; None
        where it has none.
    """

    symbol: str
    result: str
    parameters: tuple[str, ...]
    text: str
    code: str
    state: tuple[str, str] | None


def visible_functions(text: str) -> list[str]:
    """Return the names of the functions that a module shows to others."""
    module = llvm.parse_assembly(text)
    return [f.name for f in module.functions if not f.is_declaration and f.linkage == llvm.Linkage.external]


def calls_native(text: str) -> bool:
    """Return whether a module has code in it that came from other languages."""
    return _ENTRY in text


def is_native(symbol: str) -> bool:
    """Return whether this is the name of a function that came from another language."""
    return symbol.startswith(_OWN)


def variable_of(symbol: str) -> str | None:
    """Return what a variable is called in the code that it comes from; None where it is none such."""
    parts = symbol.split(".", 3)
    return parts[3] if symbol.startswith(_STATE) else None


def has_variables(text: str) -> bool:
    """Return whether a module uses variables of code that came from other languages."""
    return f'@"{_STATE}' in text or f"@{_STATE}" in text


def find_function(module: Any, name: str) -> Any:
    """Return the definition of a function in a module of llvmlite; None where there is none."""
    return next((f for f in module.functions if f.name == name and not f.is_declaration), None)


def isolate(text: str, name: str) -> NativeCode:
    """Return the function `name` of a module for others to link with.

    Parameters
    ----------
    text
        A verified module, which defines it.

    Raises
    ------
    UnsupportedIRError
        Where the module cannot be taken out of its surroundings, or the function's convention is not that of
        numbers and pointers.
    """
    for pattern, what in _REFUSED:
        if pattern.search(text):
            raise UnsupportedIRError(
                f"the module of {name!r} has {what}, which cannot be linked with other code",
                function=name,
                remedy="move the function, and what it calls, to a file without that",
            )
    text = without_run_time_library(text)
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    module = parse_apart(_EMPTY_GROUP.sub(r'\1{ "c" }', _TARGET.sub("", text)))
    module.triple = llvm.get_process_triple()
    module.data_layout = cpu_target.target_context.codegen()._data_layout
    variables = {old: f"{_STATE}{digest}.{old}" for old in _find_variables(module)}
    symbol = f"{_ENTRY}{name}.{digest}"
    thunk, result, parameters = _thunk(module, name, symbol)
    for function in module.functions:
        if not function.is_declaration:
            function.name = f"{_OWN}{function.name}"
    state = _take_state(module, variables, name)
    whole = _redefined(str(module), set(variables.values())) + thunk
    whole = _DETAILS.sub(r"\1", _VARIABLE_LINE.sub(r"\1", _DECLARED_LINE.sub("declare ", whole)))
    own = parse_apart(whole)
    _make_internal(own, {symbol})
    passes.drop_unreachable(own)
    own.verify()
    _refuse_unknown(own, name)
    own.name = symbol
    whole = str(own)
    used = state if state is not None and _STATE in whole else None
    return NativeCode(symbol, result, parameters, whole, _without_lines(whole), used)


def _without_lines(text: str) -> str:
    """Return a module without debug information."""
    places = set(_PLACE.findall(text))
    return _LOOP.sub(
        lambda loop: re.sub(r", (!\d+)", lambda n: "" if n.group(1) in places else n.group(), loop.group()),
        _LINES.sub("", text),
    )


# --- the function itself ------------------------------------------------------------------------------------


def _thunk(module: Any, name: str, symbol: str) -> tuple[str, str, tuple[str, ...]]:
    """Return a function that passes its arguments on to `name`, its result and its parameters.

    Whoever calls it need not know which attributes the function's convention asks for.
    """
    function = find_function(module, name)
    head = next(line for line in str(function).splitlines() if line.startswith("define "))
    before = head.split("@", 1)[0]
    kind = str(function.global_value_type)
    types = tuple(str(a.type) for a in function.arguments)
    result = kind[: kind.index("(")].strip()
    if kind.rstrip(")").endswith("..."):
        raise _refuse(name, "a variable number of arguments")
    if _CONVENTION.search(before):
        raise _refuse(name, f"the calling convention {_CONVENTION.findall(before)[0]}")
    passed: list[str] = []
    for number, argument in enumerate(function.arguments):
        attributes = {a.decode().split("(", 1)[0] for a in argument.attributes}
        if attributes & _BY_VALUE or types[number][0] in "{<[%":
            raise _refuse(name, f"a parameter that is passed as {head[len(before) :].strip(' {')}")
        kept = "".join(f"{a} " for a in sorted(attributes & _EXTENSION))
        passed.append(f"{types[number]} {kept}%{number}")
    if result[0] in "{<[%":
        raise _refuse(name, f"a result of type {result}")
    kept = "".join(f"{a} " for a in before.split() if a in _EXTENSION)
    parameters = ", ".join(f"{t} %{i}" for i, t in enumerate(types))
    call = f'call {kept}{result} @"{_OWN}{name}"({", ".join(passed)})'
    body = f"  {call}\n  ret void" if result == "void" else f"  %r = {call}\n  ret {result} %r"
    return f'\ndefine {result} @"{symbol}"({parameters}) nounwind {{\n{body}\n}}\n', result, types


def _refuse(name: str, what: str) -> UnsupportedIRError:
    return UnsupportedIRError(
        f"{name!r} has {what}, which cannot be passed from Python", function=name, remedy=_WRAP
    )


def _refuse_unknown(module: Any, name: str) -> None:
    """Refuse code that refers to what is nowhere: running it would end the process."""
    for symbol in (*module.functions, *module.global_variables):
        own = symbol.name.startswith(("llvm.", _STATE))
        if symbol.is_declaration and not own and llvm.address_of_symbol(symbol.name) is None:
            remedy = (
                "compile it with flags=['-fcx-limited-range'], as complex products are computed in Python"
                if _COMPLEX.fullmatch(symbol.name)
                else "add the code that defines it to the same file, or load the library that has it first, "
                "with llvmlite.binding.load_library_permanently(path)"
            )
            raise UnsupportedIRError(
                f"{name!r} refers to {symbol.name!r}, which the module does not define, and no library that "
                "is loaded has",
                function=name,
                operation=symbol.name,
                remedy=remedy,
            )


def _make_internal(module: Any, kept: set[str]) -> None:
    for symbol in (*module.functions, *module.global_variables):
        metadata = symbol.name.startswith("llvm.")
        if not symbol.is_declaration and symbol.name not in kept and not metadata:
            symbol.linkage = "internal"


# --- variables ----------------------------------------------------------------------------------------------


def _find_variables(module: Any) -> list[str]:
    """Return the variables of a module that its code may write."""
    names = {_unquoted(found) for found in _VARIABLE.findall(str(module))}
    defined = {g.name for g in module.global_variables if not g.is_declaration}
    names &= defined
    if not names:
        return []
    trial = module.clone()
    for function in trial.functions:
        if not function.is_declaration and function.linkage != llvm.Linkage.internal:
            function.linkage = "external"
    _make_internal(trial, {f.name for f in trial.functions})
    passes.mark_constants(trial)
    known = {_unquoted(found) for found in _CONSTANT.findall(str(trial))}
    lines = str(module).splitlines()
    known |= {name for name in names if all(_is_load(line, name) for line in _mentions(lines, name))}
    return sorted(names - known)


def _mentions(lines: list[str], name: str) -> Iterator[str]:
    pattern = re.compile(rf'@(?:"{re.escape(name)}"|{re.escape(name)}(?![-\w.$]))')
    return (line for line in lines if pattern.search(line) and not pattern.match(line))


def _is_load(line: str, name: str) -> bool:
    return re.search(rf'= load [^@]*, ptr @"?{re.escape(name)}"?(?![-\w.$])', line) is not None


def _unquoted(name: str) -> str:
    return name.strip('"')


def _take_state(module: Any, variables: dict[str, str], name: str) -> tuple[str, str] | None:
    """Rename the variables of a module, and return the module that defines them."""
    if not variables:
        return None
    for variable in module.global_variables:
        if variable.name in variables:
            variable.name = variables[variable.name]
            variable.linkage = "external"
    own = module.clone()
    _make_internal(own, set(variables.values()))
    passes.drop_unreachable(own)
    if any(not f.is_declaration for f in own.functions):
        raise UnsupportedIRError(
            f"the module of {name!r} has variables that hold the addresses of functions",
            function=name,
            remedy="declare them const",
        )
    digest = next(iter(variables.values())).split(".")[2]
    own.name = f"{_STATE}{digest}"
    return own.name, _without_lines(str(own))


def _redefined(text: str, variables: set[str]) -> str:
    """Return a module with its variables only declared; what looks like others are constants."""
    named = dict(_NAMED_TYPE.findall(text))
    lines = text.splitlines()
    for number, line in enumerate(lines):
        found = _VARIABLE.match(line)
        name = _unquoted(found.group(1)) if found else ""
        if found is not None and name in variables:
            align = re.search(r", align \d+", line)
            type = _spelled_out(_first_type(line[found.end() :]), named)
            lines[number] = f'@"{name}" = external global {type}{align.group() if align else ""}'
        elif found is not None and " external " not in found.group():
            lines[number] = f"{found.group().removesuffix('global ')}constant {line[found.end() :]}"
    return "\n".join(lines) + "\n"


def _first_type(text: str) -> str:
    """Return the type that `text` begins with."""
    depth = 0
    for found in _TOKEN.finditer(text):
        depth += (found.group() in _OPENING) - (found.group() in _CLOSING)
        if depth == 0:
            return text[: found.end()]
    return text


def _spelled_out(type: str, named: dict[str, str]) -> str:
    """Return a type with the definitions of named types in their places."""
    return _TYPE_NAME.sub(
        lambda m: _spelled_out(named[m.group()], named) if m.group() in named else m.group(), type
    )
