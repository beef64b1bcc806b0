"""What a module says of its functions, by annotations and tables whose names begin with ``__enzyme_``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from coenzyme.derive.adopted import adopt
from coenzyme.derive.registered import Registered, Role
from coenzyme.errors import ActivityError, UnsupportedIRError
from coenzyme.ir.instructions import Function, Module
from coenzyme.ir.lexer import decode_escapes
from coenzyme.ir.types import FunctionType

__all__ = ["take_registrations"]

_SYMBOL = r'@(?:"([^"]+)"|([-\w.$]+))'
_ENTRY = re.compile(rf"ptr (?:{_SYMBOL}|inttoptr \(i\d+ (-?\d+) to ptr\)|(null))")
_ANNOTATION = re.compile(rf"\{{ ptr {_SYMBOL}, ptr {_SYMBOL}, ")
_ANNOTATIONS = "llvm.global.annotations"
_LITERAL = re.compile(r'constant \[\d+ x i8\] c"([^"]*)"')
_LIKE = "enzyme_function_like="
_INACTIVE = ("enzyme_inactive", "enzyme_inactive_noblock")
_HARMLESS = (
    "enzyme_notypeanalysis",
    "enzyme_nocache",
    "enzyme_shouldrecompute",
    "enzyme_nofree",
    "enzyme_no_escaping_allocation",
)
_HARMLESS_TABLES = ("__enzyme_shouldrecompute", "__enzyme_nofree", "__enzyme_no_escaping_allocation")
_KINDS = (
    "__enzyme_register_gradient",
    "__enzyme_register_derivative",
    "__enzyme_register_splitderivative",
    "__enzyme_inactivefn",
    "__enzyme_inactive_global",
    "__enzyme_function_like",
    "__enzyme_allocation_like",
    *_HARMLESS_TABLES,
)
_SIZES = {
    "__enzyme_register_gradient": 3,
    "__enzyme_register_derivative": 2,
    "__enzyme_function_like": 2,
    "__enzyme_allocation_like": 4,
}
_WHERE = "the table has the function, and what Enzyme's documentation says of it"


def take_registrations(module: Module) -> dict[str, Registered]:
    """Return of which functions `module` says what their derivatives are; the tables are removed from it.

    Functions that are like one of the C library get derivatives that call Enzyme's functions.

    Raises
    ------
    ActivityError
        Where a table does not hold what it should.
    UnsupportedIRError
        Where a table says what is not known here.
    """
    found: dict[str, Registered] = {}
    for name, variable in list(module.globals.items()):
        kind = next((k for k in _KINDS if k in name), None)
        if kind is None:
            if "__enzyme_register" in name:
                raise _unknown(name)
            continue
        _read_table(module, kind, name, list(_entries(module, variable.text)), found)
        del module.globals[name]
    annotations = module.globals.pop(_ANNOTATIONS, None)
    for match in _ANNOTATION.finditer("" if annotations is None else annotations.text):
        what = _string(module, match.group(3) or match.group(4))
        if what is not None and what.startswith("enzyme_"):
            _read_annotation(module, match.group(1) or match.group(2), what, found)
    return found


def _unknown(name: str) -> UnsupportedIRError:
    return UnsupportedIRError(
        "what this says of a function is not known",
        operation=name,
        remedy="docs/enzyme.md lists what is",
    )


def _entries(module: Module, text: str) -> Iterator[str | int | None]:
    """Yield what a table holds: names of globals, and numbers."""
    for match in _ENTRY.finditer(text[text.find("]") + 1 :] if "]" in text else text):
        name = match.group(1) or match.group(2)
        if name is not None:
            yield name
        else:
            yield 0 if match.group(4) else int(match.group(3))


def _string(module: Module, name: str) -> str | None:
    """Return the text that a constant of the module holds."""
    variable = module.globals.get(name)
    match = None if variable is None else _LITERAL.search(variable.text)
    return None if match is None else decode_escapes(match.group(1)).rstrip("\0")


def _read_table(
    module: Module,
    kind: str,
    name: str,
    entries: Sequence[str | int | None],
    found: dict[str, Registered],
) -> None:
    if kind in ("__enzyme_register_splitderivative", "__enzyme_inactive_global"):
        raise _unknown(name)
    if kind in _HARMLESS_TABLES:
        return
    if kind == "__enzyme_inactivefn":
        for entry in entries:
            _set_inactive(_function(module, name, entry), found)
        return
    if len(entries) != _SIZES[kind]:
        raise ActivityError(
            f"the table has {len(entries)} entries, and should have {_SIZES[kind]}",
            operation=name,
            remedy=_WHERE,
        )
    primal = _function(module, name, entries[0])
    known = found.get(primal.name, Registered(primal.name, primal.function_type))
    others = entries[1:]
    match kind:
        case "__enzyme_register_derivative":
            found[primal.name] = replace(known, derivative=_named(module, name, others[0]))
        case "__enzyme_register_gradient":
            augmented, gradient = (_named(module, name, other) for other in others)
            found[primal.name] = replace(known, augmented=augmented, gradient=gradient)
        case "__enzyme_function_like":
            like = _string(module, str(others[0]))
            if like is None:
                raise ActivityError("the name of a C function is missing", operation=name, remedy=_WHERE)
            found[primal.name] = _like(module, primal, like)
        case _:
            _read_allocation(module, name, primal, others, found)


def _function(module: Module, table: str, entry: str | int | None) -> Function:
    function = module.functions.get(str(entry))
    if function is None:
        raise ActivityError(f"{entry} is no function of this module", operation=table, remedy=_WHERE)
    return function


def _named(module: Module, table: str, entry: str | int | None) -> tuple[str, FunctionType]:
    function = _function(module, table, entry)
    return function.name, function.function_type


def _set_inactive(function: Function, found: dict[str, Registered]) -> None:
    found[function.name] = Registered(function.name, function.function_type, Role.INACTIVE)


def _read_annotation(module: Module, name: str, what: str, found: dict[str, Registered]) -> None:
    if what in _HARMLESS:
        return
    function = module.functions.get(name)
    if function is None or not (what in _INACTIVE or what.startswith(_LIKE)):
        raise UnsupportedIRError(
            f"what the annotation {what!r} says of {name} is not known",
            operation="annotate",
            remedy="docs/enzyme.md lists what is",
        )
    if what in _INACTIVE:
        _set_inactive(function, found)
    else:
        found[name] = _like(module, function, what.removeprefix(_LIKE))


def _read_allocation(
    module: Module,
    table: str,
    primal: Function,
    entries: Sequence[str | int | None],
    found: dict[str, Registered],
) -> None:
    size, order = entries[0], _string(module, str(entries[1]))
    if not isinstance(size, int) or not 0 <= size < len(primal.arguments) or order is None:
        raise ActivityError(
            "the table should hold the number of the argument that is the size, and the arguments of what "
            'gives the memory back, as in {allocate, (void*)0, "-1", release}',
            operation=table,
            remedy=_WHERE,
        )
    numbers = tuple(int(number) for number in order.split(","))
    release = _named(module, table, entries[2])
    found[primal.name] = Registered(
        primal.name, primal.function_type, Role.ALLOCATES, size=size, release=(release, numbers)
    )
    if -1 in numbers:
        found[release[0]] = Registered(*release, Role.RELEASES, size=numbers.index(-1))


def _like(module: Module, function: Function, like: str) -> Registered:
    """Return derivatives of `function` that are those of the C function `like`."""
    kind = function.function_type
    if not kind.parameters or any(t != kind.result or not t.is_float for t in kind.parameters):
        raise ActivityError(
            f"{function.name} should be a function of real numbers, as {like} is",
            operation="__enzyme_function_like",
            remedy=_WHERE,
        )
    own = f"coenzyme.like.{function.name}"
    adopt(module, _like_text(own, like, str(kind.result), len(kind.parameters)))
    names = (f"{own}.derivative", f"{own}.augmented", f"{own}.gradient")
    derivative, augmented, gradient = ((n, module.functions[n].function_type) for n in names)
    return Registered(function.name, kind, derivative=derivative, augmented=augmented, gradient=gradient)


def _like_text(own: str, like: str, real: str, count: int) -> str:
    """Return functions that are the derivatives of `like`, a function of `count` numbers."""
    numbers = range(count)
    values = ", ".join(f"{real} %a{n}" for n in numbers)
    pairs = ", ".join(f"{real} %a{n}, {real} %t{n}" for n in numbers)
    plain = ", ".join(real for _ in numbers)
    if count == 1:
        gradient = real
        scaled = [f"  %scaled = fmul {real} %all, %seed", f"  ret {real} %scaled"]
    else:
        gradient = f"{{ {plain} }}"
        scaled = []
        whole = "undef"
        for n in numbers:
            scaled += [
                f"  %part.{n} = extractvalue {gradient} %all, {n}",
                f"  %scaled.{n} = fmul {real} %part.{n}, %seed",
                f"  %whole.{n} = insertvalue {gradient} {whole}, {real} %scaled.{n}, {n}",
            ]
            whole = f"%whole.{n}"
        scaled.append(f"  ret {gradient} {whole}")
    return "\n".join(
        [
            f"declare {real} @{like}({plain})",
            f"declare {real} @__enzyme_fwddiff.like(...)",
            f"declare {gradient} @__enzyme_autodiff.like.{count}.{real}(...)",
            f"define {real} @{own}({values}) {{",
            f"  %value = call {real} @{like}({values})",
            f"  ret {real} %value",
            "}",
            f"define {real} @{own}.derivative({pairs}) {{",
            f"  %tangent = call {real} (...) @__enzyme_fwddiff.like(ptr @{own}, {pairs})",
            f"  ret {real} %tangent",
            "}",
            f"define void @{own}.augmented({values}) {{",
            "  ret void",
            "}",
            f"define {gradient} @{own}.gradient({values}, {real} %seed) {{",
            f"  %all = call {gradient} (...) @__enzyme_autodiff.like.{count}.{real}(ptr @{own}, {values})",
            *scaled,
            "}",
        ]
    )
