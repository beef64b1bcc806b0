"""Functions of LLVM modules as Numba functions: called from Python, from `@njit` code, and differentiated.

`make_function` returns a dispatcher for a generated Python function with the parameters of the C function.
All it does is to call an intrinsic, which checks the types of the arguments, passes pointers to the data of
arrays, and links the module of the function with its caller's: the machine code with that of the CPU's
target, the text to differentiate with that of ours.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false
# pyright: reportArgumentType=false

from __future__ import annotations

import hashlib
import keyword
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir as llvmir
from numba.core import cgutils, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from coenzyme.errors import CompilationError
from coenzyme.frontends.c_types import COther, CPointer, CScalar, CStruct, CValue, Kind, fits_into, read_type
from coenzyme.frontends.native_module import NativeCode
from coenzyme.frontends.native_values import (
    load_value,
    new_slot,
    numba_type_of,
    store_value,
    value_problem,
    value_type,
)
from coenzyme.frontends.numba_link import make_library
from coenzyme.frontends.numba_target import IRContext

__all__ = ["NativeType", "call_native", "make_function", "parameter_names"]

NativeType = CScalar | CPointer | CValue
"""What a parameter or a result can be."""


@dataclass(eq=False)
class _Native:
    """A function of a module, and what passing its arguments takes."""

    name: str
    code: NativeCode
    result: CScalar | CValue | None
    parameters: tuple[tuple[str, NativeType], ...]
    compiled: Any
    differentiated: Any

    def library_for(self, context: Any) -> Any:
        """Return what to link into a module of `context`: machine code, or something to differentiate."""
        return self.differentiated if isinstance(context, IRContext) else self.compiled


_natives: dict[int, _Native] = {}
"""By the number that the generated function knows it by; they live as long as the process.

The number is a digest, so that a function that is sent to another process does not call another one there.
"""
_NOT_KEPT = '\n@"numba.dynamic.globals.coenzyme.native" = weak constant i8 0\n'
"""Tells Numba's cache (`cache=True`), which would not notice that C code has changed, to stay out of it."""
_states: dict[str, Any] = {}
"""The modules with variables that are loaded, by name."""


def make_function(
    code: NativeCode,
    name: str,
    result: CScalar | CValue | None,
    parameters: Sequence[tuple[str, NativeType]],
    description: str = "",
) -> Any:
    """Return a function of a module as a Numba function.

    Parameters
    ----------
    code
        The function, taken out of its module.
    name
        What to call it in Python.
    result
        The type of its result, None for ``void``. One that is passed by value comes through the first
        parameter of the function.
    parameters
        Name and type of each parameter; the names are identifiers, each another.
    description
        Its docstring.
    """
    content = repr((name, code.symbol, result, tuple(parameters)))
    number = int(hashlib.sha256(content.encode()).hexdigest()[:15], 16)
    with global_compiler_lock:
        if code.state is not None:
            _load_state(*code.state)
        if number not in _natives:
            _natives[number] = _Native(
                name,
                code,
                result,
                tuple(parameters),
                make_library(llvm.parse_assembly(code.code + _NOT_KEPT), code.symbol),
                make_library(llvm.parse_assembly(code.text), code.symbol),
            )
    usable = name.isidentifier() and not keyword.iskeyword(name) and name != "_native"
    identifier = name if usable else "function"
    listed = ", ".join(name for name, _ in parameters)
    packed = f"({listed},)" if listed else "()"
    source = f"def {identifier}({listed}):\n    return _native.call_native({number}, {packed})\n"
    # The module, which is the same in the process that the function is sent to.
    namespace: dict[str, Any] = {"_native": sys.modules[__name__], "__name__": "coenzyme.native"}
    exec(compile(source, f"<coenzyme {name}>", "exec"), namespace)
    function = namespace[identifier]
    function.__doc__ = description
    return numba.njit(function)


def parameter_names(given: Sequence[str]) -> list[str]:
    """Return identifiers for parameters that have these names, or none, in LLVM."""
    found: list[str] = []
    for position, name in enumerate(given):
        plain = name if name.isidentifier() and not keyword.iskeyword(name) else f"a{position}"
        while plain in found or plain == "_native":
            plain += "_"
        found.append(plain)
    return found


def _load_state(name: str, text: str) -> None:
    """Load the variables of a module, once for all functions of that module."""
    if name not in _states:
        library = cpu_target.target_context.codegen().create_library(name)
        library.add_llvm_module(llvm.parse_assembly(text))
        library.finalize()
        _states[name] = library


# --- types --------------------------------------------------------------------------------------------------


def _check(native: _Native, given: Sequence[Any]) -> None:
    """Refuse arguments of types that the function cannot be given."""
    for (name, wanted), kind in zip(native.parameters, given, strict=True):
        if isinstance(wanted, CScalar):
            problem = _scalar_problem(wanted, types.unliteral(kind))
        elif isinstance(wanted, CValue):
            problem = value_problem(wanted, kind)
        else:
            problem = _array_problem(wanted, kind)
        if problem is not None:
            reason, remedy = problem
            raise CompilationError(
                f"{native.name}() takes {_described(wanted)} for {name!r}, and was given {reason}",
                function=native.name,
                argument=name,
                remedy=remedy,
            )


def _described(wanted: NativeType) -> str:
    if isinstance(wanted, CScalar):
        return f"a number of type {wanted}"
    if isinstance(wanted, CValue):
        return f"{wanted} by value"
    if isinstance(wanted.target, CScalar):
        return f"an array of {wanted.target}"
    return f"an array for {wanted}"


def _scalar_problem(wanted: CScalar, kind: Any) -> tuple[str, str] | None:
    match wanted.kind:
        case Kind.FLOAT:
            fits = isinstance(kind, types.Float | types.Integer | types.Boolean)
            remedy = "pass a number"
        case Kind.COMPLEX:
            fits = isinstance(kind, types.Number)
            remedy = "pass a number"
        case _:
            fits = isinstance(kind, types.Integer | types.Boolean)
            remedy = "pass an integer: int(x)"
    return None if fits else (f"{kind}", remedy)


def _array_problem(wanted: CPointer, kind: Any) -> tuple[str, str] | None:
    if isinstance(kind, types.NoneType):
        return None  # the null pointer
    if not isinstance(kind, types.Array):
        return f"{kind}", "pass a NumPy array, or None for the null pointer"
    target = wanted.target
    dtype = target.dtype.name if isinstance(target, CScalar) else "the struct's dtype, with align=True"
    found = read_type(types.Array(kind.dtype, 1, "C")) if _is_plain(kind.dtype) else None
    if not isinstance(found, CPointer) or not _leads_to(found.target, target):
        return f"{kind}", f"convert it: x.astype(numpy.{dtype})" if isinstance(target, CScalar) else (
            f"give the array {dtype}: offsets and sizes must be those of C"
        )
    if kind.layout not in "CF":
        return f"{kind}, which need not be contiguous", "pass numpy.ascontiguousarray(x)"
    if not kind.aligned:
        return f"{kind}, which is not aligned", "pass x.copy(), or give a structured dtype align=True"
    if not kind.mutable and not wanted.is_constant:
        return f"{kind}, which must not be written", "pass x.copy(), or declare the parameter const in C"
    return None


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, types.Number | types.Boolean | types.Record)


def _leads_to(found: CScalar | CStruct | COther | None, target: CScalar | CStruct | COther | None) -> bool:
    return found is not None and not isinstance(found, COther) and fits_into(found, target)


# --- the call -----------------------------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def call_native(typingctx: Any, number: Any, arguments: Any) -> Any:
    """Call the native function of this number with the arguments in a tuple; for generated code."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    key = number.literal_value
    native = _natives.get(key)
    if native is None:
        raise CompilationError(
            "a function of C or LLVM code was made in another process",
            remedy="make it with coenzyme.c.function or coenzyme.llvm.function in each process",
        )
    _check(native, arguments)
    restype = _result_type(native.result)

    def emit(context: Any, builder: Any, sig: Any, llvm_arguments: Any) -> Any:
        native = _natives[key]
        _, packed = llvm_arguments
        kinds = sig.args[1]

        def release() -> None:
            # Numba's raise does not release what the frame holds: this tuple.
            context.nrt.decref(builder, kinds, packed)

        context.active_code_library.add_linking_library(native.library_for(context))
        passed = [
            _pass(context, builder, builder.extract_value(packed, i), kind, parameter, release)
            for i, (kind, parameter) in enumerate(zip(kinds, native.parameters, strict=True))
        ]
        slot = None
        if isinstance(native.result, CValue):
            slot = new_slot(builder, native.result)
            passed.insert(0, slot)
        spelled = native.code
        kind = llvmir.FunctionType(_llvm_type(spelled.result), [_llvm_type(t) for t in spelled.parameters])
        function = cgutils.get_or_insert_function(builder.module, kind, spelled.symbol)
        value = builder.call(function, passed)
        if slot is not None:
            return load_value(context, builder, slot, native.result, sig.return_type)
        return context.get_dummy_value() if native.result is None else value

    return restype(number, arguments), emit


def _result_type(result: CScalar | CValue | None) -> Any:
    if result is None:
        return types.none
    return value_type(result) if isinstance(result, CValue) else numba_type_of(result)


def _llvm_type(spelled: str) -> Any:
    match spelled:
        case "void":
            return llvmir.VoidType()
        case "double":
            return llvmir.DoubleType()
        case "float":
            return llvmir.FloatType()
        case "ptr":
            return cgutils.voidptr_t
        case _:
            return llvmir.IntType(int(spelled.removeprefix("i")))


def _pass(
    context: Any, builder: Any, value: Any, kind: Any, parameter: tuple[str, NativeType], release: Any
) -> Any:
    """Return the LLVM value to pass for a value of a Numba type."""
    name, wanted = parameter
    if isinstance(wanted, CPointer):
        if isinstance(kind, types.NoneType):
            return cgutils.voidptr_t(None)
        array = context.make_array(kind)(context, builder, value)
        return builder.bitcast(array.data, cgutils.voidptr_t)
    if isinstance(wanted, CValue):
        return store_value(context, builder, value, kind, wanted)
    target = numba_type_of(wanted)
    source = types.unliteral(kind)
    if wanted.is_integer and isinstance(source, types.Integer):
        value = context.cast(builder, value, kind, source)
        outside = _outside(builder, value, source, target)
        if outside is not None:
            with cgutils.if_unlikely(builder, outside):
                release()
                message = f"{name} does not fit into a C integer of {target.bitwidth} bits"
                context.call_conv.return_user_exc(builder, OverflowError, (message,))
        return context.cast(builder, value, source, target)
    return context.cast(builder, value, kind, target)


def _outside(builder: Any, value: Any, source: Any, target: Any) -> Any:
    """Return whether an integer does not fit into another integer type; None where it always does."""
    zero = value.type(0)
    if source.bitwidth > target.bitwidth:
        narrow = llvmir.IntType(target.bitwidth)
        if not source.signed:
            largest = (1 << (target.bitwidth - int(target.signed))) - 1
            return builder.icmp_unsigned(">", value, value.type(largest))
        extend = builder.sext if target.signed else builder.zext
        return builder.icmp_signed("!=", extend(builder.trunc(value, narrow), value.type), value)
    if source.signed and not target.signed:
        return builder.icmp_signed("<", value, zero)
    if not source.signed and target.signed and source.bitwidth == target.bitwidth:
        return builder.icmp_signed("<", value, zero)
    return None
