"""Inline assembly without instructions goes.

C programs write ``asm volatile("" : "+r"(x) : : "memory")`` to keep the compiler from moving or removing
code. The empty text changes nothing: what such assembly returns is what it was given.
"""

from __future__ import annotations

import re

from coenzyme.ir.instructions import Call, Module
from coenzyme.ir.types import VOID
from coenzyme.ir.values import InlineAssembly, Value

__all__ = ["drop_barriers", "holds_barriers"]

_EMPTY = re.compile(r'asm (?:[a-z]+ )*"", "')
_TEXTS = re.compile(r'asm (?:[a-z]+ )*"\s*", "([^"]*)"\Z')


def holds_barriers(text: str) -> bool:
    """Return whether LLVM `text` holds assembly without instructions.

    Examples
    --------
    >>> holds_barriers('call void asm sideeffect "", "~{memory}"()'), holds_barriers('asm "nop", ""()')
    (True, False)
    """
    return _EMPTY.search(text) is not None


def drop_barriers(module: Module) -> bool:
    """Remove assembly without instructions from `module`, and return whether there was any."""
    changed = False
    for function in module.functions.values():
        for call in [i for i in function.instructions() if isinstance(i, Call)]:
            if isinstance(call.callee, InlineAssembly) and _drop(call, call.callee):
                changed = True
    return changed


def _drop(call: Call, assembly: InlineAssembly) -> bool:
    match = _TEXTS.search(assembly.text)
    if match is None:
        return False
    if call.type != VOID:
        given = _given(call, match.group(1).split(","))
        if given is None or given.type != call.type:
            return False
        call.replace_all_uses_with(given)
    elif any(part.startswith("=*") for part in match.group(1).split(",")):
        return False  # what it leaves in memory is said to be new
    call.erase()
    return True


def _given(call: Call, constraints: list[str]) -> Value | None:
    """Return the argument that is in the same place as the only result."""
    outputs = [c for c in constraints if c.startswith("=")]
    inputs = [c for c in constraints if not c.startswith(("=", "~"))]
    if len(outputs) != 1 or "*" in outputs[0] or len(inputs) != len(call.arguments) or "0" not in inputs:
        return None
    return call.arguments[inputs.index("0")]
