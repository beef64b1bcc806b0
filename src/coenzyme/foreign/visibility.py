"""What a module keeps to itself is shown to the modules of its derivatives, and hidden again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from coenzyme.ir.instructions import Module

__all__ = ["Hidden", "hide", "show"]

_OWN = re.compile(r"^(?:internal|private|available_externally)\b ?")
_SHARED = re.compile(r"^(?:linkonce|linkonce_odr|weak|weak_odr|external)\b ?")


@dataclass(frozen=True)
class Hidden:
    """The functions and variables that nobody else saw."""

    functions: frozenset[str]
    variables: frozenset[str]


def show(module: Module) -> Hidden:
    """Let other modules see the functions and variables of `module`; constants stay as they are.

    A variable that nobody else sees and that nobody here writes is a constant to LLVM. A function that is
    there to be inlined alone (``inline`` in C) is the module's own from now on.
    """
    functions = [f for f in module.functions.values() if not f.is_declaration and _OWN.match(f.prefix)]
    for function in functions:
        function.prefix = _OWN.sub("", function.prefix)
    variables = [g for g in module.globals.values() if not g.is_constant and _OWN.match(g.text)]
    for variable in variables:
        variable.text = _OWN.sub("", variable.text)
    return Hidden(frozenset(f.name for f in functions), frozenset(g.name for g in variables))


def hide(module: Module, hidden: Hidden, prefix: str) -> None:
    """Undo :func:`show`; hide the functions whose names begin with `prefix`, too."""
    for function in module.functions.values():
        own = function.name in hidden.functions or function.name.startswith(prefix)
        if own and not function.is_declaration and not _OWN.match(function.prefix):
            function.prefix = f"internal {_SHARED.sub('', function.prefix)}".strip()
    for name in hidden.variables:
        variable = module.globals.get(name)
        if variable is not None and not variable.text.startswith("external"):
            variable.text = f"internal {_SHARED.sub('', variable.text)}"
