"""Bring functions of another LLVM module into the one that a derivative is added to."""

from __future__ import annotations

import re

from coenzyme.ir.instructions import Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.values import Value

__all__ = ["adopt_text"]

_MARKS = re.compile(r",? ![\w.]+ !\d+| #\d+(?=[ \n,)])|^attributes #.*$|^!.*$", re.MULTILINE)
_PRIVATE = re.compile(
    r'^@"?([^"\s]+?)"? = (?:private|internal) |^define (?:internal|private) [^@\n]*@"?([^"(\s]+)"?\(',
    re.MULTILINE,
)


def adopt_text(module: Module, text: str, number: int) -> None:
    """Add what LLVM `text` defines and declares to `module`, but for what is there under the same name.

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
    added = parse_module(text)
    for name, type in added.named_types.items():
        module.named_types.setdefault(name, type)
    for variable in added.globals.values():
        module.globals.setdefault(variable.name, variable)
    taken: dict[str, Function] = {}
    for function in added.functions.values():
        known = module.functions.get(function.name)
        if known is None:
            module.add_function(function)
            taken[function.name] = function
        elif known.is_declaration and not function.is_declaration:
            known.blocks = function.blocks
            for block in known.blocks:
                block.function = known
            for old, new in zip(function.arguments, known.arguments, strict=True):
                old.replace_all_uses_with(new)
            known.prefix, known.suffix, known.arguments = function.prefix, function.suffix, known.arguments
            taken[function.name] = known
    for function in taken.values():
        for instruction in function.instructions():
            for operand in list(instruction.operands):
                found = _counterpart(module, operand)
                if found is not None and found is not operand:
                    instruction.replace_operand(operand, found)


def _counterpart(module: Module, value: Value) -> Value | None:
    if isinstance(value, Function):
        return module.functions.get(value.name)
    name = getattr(value, "name", None)
    return (
        module.globals.get(name)
        if isinstance(name, str) and value.__class__.__name__ == "GlobalVariable"
        else None
    )
