"""Bring functions of another LLVM module into the one that a derivative is added to."""

from __future__ import annotations

import re

from coenzyme.ir.instructions import Function, GlobalVariable, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.values import Value

__all__ = ["adopt", "adopt_prepared"]

_MARKS = re.compile(r",? ![\w.]+ !\d+| #\d+(?=[ \n,)])|^attributes #.*$|^!.*$", re.MULTILINE)
_PRIVATE = re.compile(
    r'^@"?([^"\s]+?)"? = (?:private|internal) |^define (?:internal|private) [^@\n]*@"?([^"(\s]+)"?\(',
    re.MULTILINE,
)


def adopt(module: Module, text: str) -> None:
    """Add what LLVM `text` defines and declares to `module`, but for what is there under the same name."""
    added = parse_module(text)
    for name, type in added.named_types.items():
        module.named_types.setdefault(name, type)
    for variable in added.globals.values():
        module.globals.setdefault(variable.name, variable)
    taken: list[Function] = []
    for function in added.functions.values():
        known = module.functions.get(function.name)
        if known is None:
            taken.append(module.add_function(function))
        elif known.is_declaration and not function.is_declaration:
            for block in function.blocks:
                known.add_block(block)
            for old, new in zip(function.arguments, known.arguments, strict=True):
                old.replace_all_uses_with(new)
            known.prefix, known.suffix = function.prefix, function.suffix
            taken.append(known)
    for function in taken:
        for instruction in function.instructions():
            for operand in list(instruction.operands):
                found = _counterpart(module, operand)
                if found is not None and found is not operand:
                    instruction.replace_operand(operand, found)


def adopt_prepared(module: Module, text: str, number: int) -> None:
    """Adopt the text of a module that LLVM has simplified, without its metadata and attribute groups.

    Parameters
    ----------
    number
        Sets apart the names of what is private to the text.
    """
    text = _MARKS.sub("", text)
    own = {m.group(1) or m.group(2) for m in _PRIVATE.finditer(text)}
    if own:
        names = "|".join(sorted((re.escape(n) for n in own), key=len, reverse=True))
        text = re.sub(rf'@(?:"({names})"|({names})(?![-\w.$]))', rf'@"\1\2.rule.{number}"', text)
    adopt(module, text)


def _counterpart(module: Module, value: Value) -> Value | None:
    match value:
        case Function():
            return module.functions.get(value.name)
        case GlobalVariable():
            return module.globals.get(value.name)
        case _:
            return None
