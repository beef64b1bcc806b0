"""A derivative on its way out of the engine: what it does not need is left behind, what it calls is added."""

from __future__ import annotations

import re
from itertools import count

from coenzyme.derive.adopted import adopt_prepared
from coenzyme.ir.instructions import Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.rules import GIVEN, container_definitions, definitions, given_texts, is_inactive
from coenzyme.rules.blas_library import library_definitions
from coenzyme.rules.carrying import carrying_definitions

__all__ = ["finish", "with_definitions"]

_SCOPED = ("alias.scope", "noalias")


def finish(module: Module, derived: Function, entry: Function) -> None:
    """Leave only what the derivative needs; line numbers are not carried into machine code."""
    pending: list[str] = []
    for variable in module.globals.values():
        variable.text = re.sub(r", ![\w.]+ !\d+", "", variable.text)
    for function in module.functions.values():
        function.prefix = re.sub(r"!dbg !\d+\s*", "", function.prefix)
        function.suffix = re.sub(r"\s*!dbg !\d+", "", function.suffix)
        for instruction in function.instructions():
            for kind in list(instruction.metadata):
                if kind in _SCOPED:
                    pending.append(instruction.metadata[kind])
                else:
                    del instruction.metadata[kind]
    derived.prefix = ""
    derived.suffix = "nounwind"
    kept: set[str] = set()
    while pending:
        node = pending.pop()
        if node not in kept:
            kept.add(node)
            pending.extend(re.findall(r"![0-9]+", module.metadata[node]))
    module.metadata = {node: text for node, text in module.metadata.items() if node in kept}
    entry.prefix = "internal"


def _declared(module: Module) -> list[str]:
    return [f.name for f in module.functions.values() if f.is_declaration]


def with_definitions(module: Module, *, again: bool = False) -> str:
    """Return the text of `module`, with the functions that derivatives call and no library has.

    Parameters
    ----------
    again
        The text will be differentiated: what is no more than a name to differentiation stays one.
    """
    numbers = count()
    while texts := given_texts(_declared(module), again=again):
        for given in texts:
            adopt_prepared(module, given, next(numbers))
    for function in module.functions.values():
        if function.name.startswith(GIVEN) and not function.is_declaration:
            function.prefix = "internal"
    text = print_module(module)
    called = (f.name for f in module.functions.values() if f.is_declaration)
    extra = definitions(name for name in called if not (again and is_inactive(name)))
    extra += carrying_definitions(f.name for f in module.functions.values() if f.is_declaration)
    if not again:
        extra += library_definitions(f.name for f in module.functions.values() if f.is_declaration)
        extra += container_definitions(f.name for f in module.functions.values() if f.is_declaration)
    if not extra:
        return text
    known = parse_module(extra)
    for name, function in known.functions.items():
        found = module.functions.get(name)
        if found is None or (found.is_declaration and not function.is_declaration):
            module.functions[name] = function
    return print_module(module)
