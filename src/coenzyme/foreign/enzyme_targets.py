"""Calls that are told only at run time what to differentiate are brought to where that is known.

At first the variables of the functions that such calls stand in become values: C code as a front end makes it
keeps even parameters in memory. Where a function passes on what it was given, it is inlined into those that
call it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from coenzyme.codegen import verify
from coenzyme.codegen.passes import inline_marked_calls, promote_in
from coenzyme.ir.instructions import Call, Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import spell_name

__all__ = ["bring_together"]

_GROUP = re.compile(r"#\d+")
_OPAQUE = re.compile(r"\b(?:noinline|optnone)\b ?")


def bring_together(module: Module, callers: Collection[str], done: set[str]) -> Module | None:
    """Return `module` after one more step, None where nothing is left to try.

    Parameters
    ----------
    callers
        The functions in which it is not known what is to be differentiated.
    done
        What has been tried, which grows.
    """
    fresh = [name for name in callers if name not in done]
    if fresh:
        done.update(fresh)
        return _promoted(module, fresh)
    passed_on = [name for name in callers if f"{name}, inlined" not in done and _callers_of(module, name)]
    if not passed_on:
        return None
    done.update(f"{name}, inlined" for name in passed_on)
    into = {caller for name in passed_on for caller in _callers_of(module, name)}
    for name in passed_on:
        function = module.functions[name]
        function.prefix = ""
        function.suffix = f"alwaysinline {_OPAQUE.sub('', _GROUP.sub('', function.suffix))}"
    text = verify(print_module(module))
    inline_marked_calls(text)
    promote_in(text, into)
    module = parse_module(str(text))
    for name in passed_on:
        # What nobody calls any more would have to be told what to differentiate by somebody else.
        if not _is_mentioned(module, name):
            del module.functions[name]
    return module


def _promoted(module: Module, names: Collection[str]) -> Module:
    text = verify(print_module(module))
    promote_in(text, names)
    return parse_module(str(text))


def _callers_of(module: Module, name: str) -> list[str]:
    """Return the functions that call one; none where it calls itself."""
    found = [
        function.name
        for function in module.functions.values()
        if any(isinstance(i, Call) and i.callee_name == name for i in function.instructions())
    ]
    return [] if name in found else found


def _is_mentioned(module: Module, name: str) -> bool:
    spelled = re.compile(rf"@{re.escape(spell_name(name))}(?![-\w.$])")
    if any(spelled.search(variable.text) for variable in module.globals.values()):
        return True
    return any(
        isinstance(operand, Function) and operand.name == name
        for function in module.functions.values()
        for instruction in function.instructions()
        for operand in instruction.operands
    )
