"""Calls that are told only at run time what to differentiate are brought to where that is known.

At first the variables of the functions that such calls stand in become values: C code as a front end makes it
keeps even parameters in memory. Where a function passes on what it was given, it is inlined into those that
call it. What depends on data even then becomes a chain of comparisons with the functions that it may be.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from coenzyme.codegen import verify
from coenzyme.codegen.passes import inline_marked_calls, promote_in
from coenzyme.foreign.enzyme_calls import Site
from coenzyme.foreign.enzyme_failure import emit_failure
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.cfg import split_block
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.instructions import Block, Call, Function, Module, Phi
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.types import I32, VOID, spell_name
from coenzyme.ir.values import Value

__all__ = ["bring_together", "choose_at_run_time"]

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


def choose_at_run_time(module: Module, site: Site, candidates: Sequence[Function], name: str) -> None:
    """Put a comparison and a call with its own function for each of `candidates` in the place of a call."""
    call, position = site.call, site.call.arguments.index(site.differentiated)
    function, address, block = site.caller, site.differentiated, call.block
    assert block is not None
    rest = split_block(function, call)
    results: list[tuple[Value, Block]] = []
    for number, candidate in enumerate(candidates):
        arm, other = (
            _new_block(function, f"{name}.is.{number}", rest),
            _new_block(function, f"{name}.or.{number}", rest),
        )
        at = Builder(block)
        at.cond_branch(at.icmp("eq", address, candidate), arm, other)
        direct = clone_instruction(call, {})
        direct.set_operand(position, candidate)
        arm.append(direct)
        Builder(arm).branch(rest)
        results.append((direct, arm))
        block = other
    line = SourceMap(module).locate(call)
    place = f"the derivative that {function.name} asks for{f' ({line})' if line else ''}"
    emit_failure(module, Builder(block), const_int(I32, int(Status.UNKNOWN_FUNCTION)), f"{name}.place", place)
    if call.type != VOID:
        merged = Phi(call.type, results, call.name)
        rest.insert(0, merged)
        call.replace_all_uses_with(merged)
    call.erase()


def _new_block(function: Function, name: str, before: Block) -> Block:
    block = Block(name)
    block.function = function
    function.blocks.insert(function.blocks.index(before), block)
    return block


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
