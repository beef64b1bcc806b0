"""Calls of Enzyme's functions that say something of a value: they are replaced by the value.

A number of iterations, ``__enzyme_iter(n, m)``, is `n` in the function itself, and grows by `m` with each
differentiation: a series needs more terms for its derivative to be as exact. It stays a call up to the end.
"""

from __future__ import annotations

import re

from coenzyme.errors import UnsupportedIRError
from coenzyme.foreign.enzyme_calls import ITERATIONS
from coenzyme.ir.builder import Builder
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.instructions import Call, Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import F32, F64, VOID, FunctionType, Type
from coenzyme.ir.values import Value

__all__ = ["add_iterations", "resolve_hints", "resolve_iterations"]

_SAME = re.compile(r"__enzyme_(?:float|double|integer|pointer|ptr_size_hint|virtualreverse)")
"""Types of memory; and the shadow of the address of a function, which with us is that address."""
_ADVICE = re.compile(r"__enzyme_set_fixed_point")
"""How derivatives of a loop may be found; they are found as those of any loop."""
_IGNORED = "__enzyme_ignore_derivatives"
_CONSTANTS: dict[Type, str] = {F64: "coenzyme.constant.f64", F32: "coenzyme.constant.f32"}


def resolve_hints(module: Module) -> None:
    """Replace what only gives hints: types of memory, and values without a derivative.

    Raises
    ------
    UnsupportedIRError
        Where something other than a real number is to have no derivative.
    """
    for function in list(module.functions.values()):
        for instruction in list(function.instructions()):
            if isinstance(instruction, Call) and instruction.callee_name is not None:
                _resolve(module, function, instruction, instruction.callee_name)
    for function in module.functions.values():
        if ITERATIONS in function.name and function.is_declaration:
            function.suffix = "nounwind willreturn memory(none)"


def add_iterations(text: str) -> str:
    """Return the text of a derivative with the iterations that come with a differentiation."""
    if ITERATIONS not in text:
        return text
    module = parse_module(text)
    for call in _numbers_of_iterations(module):
        number, more = call.arguments
        call.set_operand(0, Builder.before(call).add(number, more))
    return print_module(module)


def resolve_iterations(module: Module) -> None:
    """Replace each number of iterations by what it has become."""
    for call in _numbers_of_iterations(module):
        call.replace_all_uses_with(call.arguments[0])
        call.erase()


def _numbers_of_iterations(module: Module) -> list[Call]:
    return [
        instruction
        for function in module.functions.values()
        for instruction in function.instructions()
        if isinstance(instruction, Call) and ITERATIONS in (instruction.callee_name or "")
    ]


def _resolve(module: Module, function: Function, call: Call, name: str) -> None:
    if _SAME.search(name):
        if call.type != VOID:
            call.replace_all_uses_with(call.arguments[0])
        call.erase()
    elif _ADVICE.search(name) and call.type == VOID:
        call.erase()
    elif _IGNORED in name:
        call.replace_all_uses_with(_constant(module, function, call))
        call.erase()


def _constant(module: Module, function: Function, call: Call) -> Value:
    """Return the value that is passed, as one without a derivative."""
    value = call.arguments[0]
    if value.type.is_int:
        return value
    symbol = _CONSTANTS.get(value.type)
    if symbol is None or call.type != value.type:
        raise UnsupportedIRError(
            f"derivatives of a {value.type} are to be ignored",
            function=function.name,
            operation=str(call.callee_name),
            location=SourceMap(module).locate(call),
            remedy="pass a double or a float, by value, and declare that the same type is returned",
        )
    return Builder.before(call).call(module.declare(symbol, FunctionType(value.type, (value.type,))), [value])
