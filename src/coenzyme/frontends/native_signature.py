"""What a function of an LLVM module takes and returns: as its user, its debug information or LLVM says."""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

from coenzyme.errors import CompilationError
from coenzyme.frontends.c_types import (
    COther,
    CPointer,
    CScalar,
    CStruct,
    CType,
    CValue,
    Kind,
    fits_into,
    read_type,
)
from coenzyme.frontends.c_wrapper import WRAPPED, by_pointers
from coenzyme.frontends.debug_types import DebugTypes, Prototype
from coenzyme.frontends.native import NativeType, parameter_names
from coenzyme.frontends.native_module import find_function, visible_functions

__all__ = ["DERIVED", "Signature", "find_name", "find_signature"]

DERIVED: Any = ...
"""Stands for types that are not given."""

_SCALARS = {
    "double": CScalar(Kind.FLOAT, 8),
    "float": CScalar(Kind.FLOAT, 4),
    "i1": CScalar(Kind.BOOLEAN, 1),
    **{f"i{8 * n}": CScalar(Kind.SIGNED, n) for n in (1, 2, 4, 8)},
}


@dataclass(frozen=True)
class Signature:
    """What a function takes and returns.

    Attributes
    ----------
    result
        None for ``void``.
    parameters
        Name and type of each parameter.
    """

    result: CScalar | CValue | None
    parameters: tuple[tuple[str, NativeType], ...]

    def describe(self, name: str) -> str:
        """Return the function's declaration, in NumPy's names of types."""
        listed = ", ".join(f"{kind} {name}".replace("* ", "*") for name, kind in self.parameters)
        return f"{'void' if self.result is None else self.result} {name}({listed})"


def find_name(text: str, name: str | None) -> str:
    """Return the name of the function that is meant: the only one that can be seen, if none is given.

    Raises
    ------
    CompilationError
        Where there is no such function, or none is given and there are several.
    """
    visible = visible_functions(text)
    listed = ", ".join(visible) or "none"
    if name is None:
        if len(visible) != 1:
            raise CompilationError(
                f"the code has {len(visible)} functions that others can call: {listed}",
                remedy="say which one: name=…" if visible else "define one that is not static",
            )
        return visible[0]
    if find_function(llvm.parse_assembly(text), name) is None:
        raise CompilationError(
            f"the code does not define a function {name!r}",
            function=name,
            remedy=f"it has {listed}; functions that are static and not called are left out, and C++ needs "
            'extern "C"',
        )
    return name


def find_signature(
    text: str, name: str, restype: Any, argtypes: Sequence[Any] | Any, prototype: Prototype | None = None
) -> Signature:
    """Return what a function takes and returns.

    Parameters
    ----------
    text, name
        The module, and the function in it.
    restype, argtypes
        What the user says: types that `read_type` reads, or `DERIVED`.
    prototype
        What its source says, where that is not what its debug information says: `name` is a function around
        the one that is meant.

    Raises
    ------
    CompilationError
        Where types are needed, do not fit the function, or cannot be passed from Python.
    """
    function = find_function(llvm.parse_assembly(text), name)
    arguments = list(function.arguments)
    kind = str(function.global_value_type)
    result = kind[: kind.index("(")].strip()
    known = prototype or DebugTypes(text).prototype(name)
    name = name.removeprefix(WRAPPED)
    if known is not None and isinstance(known.result, CValue):
        del arguments[0]
        result = known.result.llvm
    spelled = [str(a.type) for a in arguments]
    if known is not None:
        _refuse_by_value(name, known, spelled)
    given: list[Any] = [DERIVED] * len(spelled) if argtypes is DERIVED else list(argtypes)
    if len(given) != len(spelled):
        raise CompilationError(
            f"{name}() has {len(spelled)} parameters, and {len(given)} argtypes are given", function=name
        )
    told = [""] * len(spelled) if known is None else known.names
    names = parameter_names([n or a.name for n, a in zip(told, arguments, strict=True)])
    sources = [None] * len(spelled) if known is None else known.parameters
    found = [_parameter(f"{name}()", *parts) for parts in zip(names, given, sources, spelled, strict=True)]
    return Signature(_result(name, restype, known, result), tuple(zip(names, found, strict=True)))


def _refuse_by_value(name: str, known: Prototype, spelled: list[str]) -> None:
    marked = by_pointers(known)
    unions = (k for k in known.parameters if isinstance(k, COther) and k.description.startswith("union"))
    refused = next((k for k in (known.result, *known.parameters) if marked and _is_by_value(k)), None)
    refused = refused or next(unions, None)
    if refused is not None:
        raise CompilationError(
            f"{name}() takes or returns a {refused} by value, which cannot be passed from here",
            function=name,
            remedy="write a small C function around it that takes pointers to structs, and pass that; "
            "for structs and complex numbers in C, coenzyme.c.function does it",
        )
    for kind in (known.result, *known.parameters):
        if isinstance(kind, CValue) and kind.problem is not None:
            raise CompilationError(
                f"{name}() takes or returns a {kind} by value, and {kind.problem} in it cannot be passed",
                function=name,
                remedy="write a small C function around it that takes numbers and pointers, and pass that",
            )
    if len(known.parameters) != len(spelled):
        raise CompilationError(
            f"{name}() has {len(known.parameters)} parameters in its source and {len(spelled)} in LLVM",
            function=name,
            remedy="write a small C function around it that takes numbers and pointers, and pass that",
        )


def _is_by_value(kind: CType | None) -> bool:
    return isinstance(kind, CStruct) or (isinstance(kind, CScalar) and kind.kind is Kind.COMPLEX)


def _parameter(function: str, name: str, given: Any, known: CType | None, spelled: str) -> NativeType:
    where = f"the parameter {name!r} of {function}"
    declared = known if given is DERIVED else read_type(given)
    if given is DERIVED and known is None:
        declared = _SCALARS.get(spelled)
    if declared is None or (isinstance(declared, CPointer) and declared.target is None):
        raise CompilationError(
            f"{where} is a pointer, and it is not known to what"
            if spelled == "ptr"
            else f"{where} has type {spelled}, which cannot be passed from Python",
            function=function,
            argument=name,
            remedy='give argtypes, such as ["const double *", "int"]',
        )
    if given is not DERIVED and known is not None and not _agrees(declared, known):
        raise CompilationError(
            f"{where} has type {known}, not {declared}",
            function=function,
            argument=name,
            remedy="leave argtypes out, or give the type that it has",
        )
    if isinstance(known, CValue):
        return known
    if not isinstance(declared, CScalar | CPointer) or (
        isinstance(declared, CPointer) and isinstance(declared.target, COther)
    ):
        raise CompilationError(
            f"{where} has type {declared}, which cannot be passed from Python",
            function=function,
            argument=name,
            remedy="write a small C function around it that takes numbers and pointers, and pass that",
        )
    if declared.llvm != spelled:
        raise CompilationError(
            f"{where} has type {spelled} in LLVM, not {declared.llvm} ({declared})",
            function=function,
            argument=name,
            remedy="give the type that it has in the code",
        )
    if isinstance(declared, CPointer) and isinstance(known, CPointer):
        return CPointer(declared.target, known.is_constant)  # the code knows whether it writes
    return declared


def _agrees(declared: CType, known: CType) -> bool:
    match declared, known:
        case CScalar() | CStruct(), CValue():
            return fits_into(declared, known.content)
        case CScalar(), CScalar():
            return declared == known or (declared.is_integer and known.is_integer)
        case CPointer(), CPointer():
            untold = known.target is None or (isinstance(known.target, CScalar) and known.target.size == 1)
            if untold or isinstance(known.target, COther) or declared.target is None:
                return not isinstance(known.target, COther) or "*" not in known.target.description
            return fits_into(declared.target, known.target) or _same_integers(declared.target, known.target)
        case _:
            return False


def _same_integers(declared: Any, known: Any) -> bool:
    """Return whether both are integers of one size: what their signs are is a matter of use."""
    both = isinstance(declared, CScalar) and isinstance(known, CScalar)
    return both and declared.is_integer and known.is_integer and declared.size == known.size


def _result(name: str, given: Any, known: Prototype | None, spelled: str) -> CScalar | CValue | None:
    declared: CType | None
    if given is not DERIVED:
        declared = read_type(given)
    elif known is not None:
        declared = known.result
    else:
        declared = None if spelled == "void" else _SCALARS.get(spelled, COther(spelled))
    if given is not DERIVED and known is not None:
        contradicts = (declared is None) != (known.result is None) or (
            declared is not None and known.result is not None and not _agrees(declared, known.result)
        )
        if contradicts:
            raise _other_result(name, str(known.result or "void"), str(declared or "void"))
        declared = known.result if isinstance(known.result, CValue) else declared
    if declared is not None and not isinstance(declared, CScalar | CValue):
        raise CompilationError(
            f"{name}() returns {declared}, which cannot be passed to Python",
            function=name,
            remedy="write a small C function around it that stores the result through a pointer",
        )
    wanted = "void" if declared is None else declared.llvm
    if wanted != spelled:
        raise _other_result(name, spelled, wanted)
    return declared


def _other_result(name: str, found: str, wanted: str) -> CompilationError:
    return CompilationError(
        f"{name}() returns {found}, not {wanted}",
        function=name,
        remedy="leave restype out, or give the type that it has in the code",
    )
