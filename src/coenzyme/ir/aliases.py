"""Other names of functions give way to the functions.

An alias that no other module may replace is the same function under another name; calls of it can be inlined
and differentiated like calls of the function.
"""

from __future__ import annotations

import re

from coenzyme.ir.instructions import Function, GlobalVariable, Module
from coenzyme.ir.lexer import decode_name
from coenzyme.ir.types import spell_name
from coenzyme.ir.values import Value

__all__ = ["holds_aliases", "resolve_aliases"]

_ALIAS = re.compile(r"^@[^=\n]+= [^\"\n]*\balias ", re.MULTILINE)
_TARGET = re.compile(r'alias [^,]*(?:\([^)]*\))?, ptr @("[^"]*"|[-\w.$]+)')
_REPLACEABLE = re.compile(r"\b(weak|linkonce|extern_weak)\b")


def holds_aliases(text: str) -> bool:
    """Return whether LLVM `text` defines aliases.

    Examples
    --------
    >>> holds_aliases("@g = alias double (double), ptr @f"), holds_aliases("@g = global double 0.0")
    (True, False)
    """
    return _ALIAS.search(text) is not None


def resolve_aliases(module: Module) -> bool:
    """Let `module` use functions where it used aliases of them, and return whether there were any."""
    stands_for: dict[Value, Function] = {}
    for variable in module.globals.values():
        target = _target(module, variable)
        if target is not None:
            stands_for[variable] = target
    changed = False
    for function in module.functions.values() if stands_for else ():
        for instruction in function.instructions():
            for index, operand in enumerate(instruction.operands):
                if operand in stands_for:
                    instruction.set_operand(index, stands_for[operand])
                    changed = True
    for variable in stands_for:
        if not any(_mentions(g, variable.name) for g in module.globals.values()):
            del module.globals[variable.name]
            changed = True
    return changed


def _mentions(variable: GlobalVariable, name: str) -> bool:
    return re.search(rf"{re.escape('@' + spell_name(name))}(?![-\w.$])", variable.text) is not None


def _target(module: Module, variable: GlobalVariable) -> Function | None:
    """Return the function that `variable` is an alias of, by way of other aliases too."""
    for _ in range(len(module.globals) + 1):
        match = _TARGET.search(variable.text)
        if match is None or _REPLACEABLE.search(variable.text.split(" alias ")[0]) is not None:
            return None
        name = decode_name(match.group(1))
        if name in module.functions:
            return module.functions[name]
        if name not in module.globals:
            return None
        variable = module.globals[name]
    return None
