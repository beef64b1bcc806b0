"""Functions that follow C's calling convention are given the one that the engine works with.

That is Numba's: ``i32 f(ptr retptr, ptr excinfo, …)``, where the result goes to memory and what is returned
is a status, 0 where all went well. What LLVM has not inlined, recursive functions above all, can then be
differentiated as Numba's functions are. The rewritten function stands beside the one it was made from, whose
address may be known to others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable

from coenzyme.analysis.places import size_of
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.cfg import split_block
from coenzyme.ir.clone import clone_function
from coenzyme.ir.devirtualise import UNKNOWN_FUNCTION
from coenzyme.ir.instructions import (
    Alloca,
    Block,
    Call,
    Function,
    Module,
    Return,
    Unreachable,
)
from coenzyme.ir.parser import parse_module
from coenzyme.ir.types import I1, I32, I64, PTR, VOID, FunctionType
from coenzyme.ir.values import Argument, ConstantNull, Value
from coenzyme.rules.blas_reference import OUT_OF_MEMORY

__all__ = ["SUFFIX", "follows_status", "give_status", "report_failures"]

SUFFIX = ".status"
"""What the name of a function that stands for another ends with."""
_FAILURES = {UNKNOWN_FUNCTION: Status.UNKNOWN_FUNCTION, OUT_OF_MEMORY: Status.TAPE_EXHAUSTED}
_BY_VALUE = re.compile(r"\bbyval\(")
_RESULT, _ERROR = "retptr", "excinfo"


def follows_status(function: Function) -> bool:
    """Return whether `function` returns a status, and its result through its first parameter."""
    arguments = function.arguments
    return (
        function.function_type.result == I32
        and len(arguments) > 1
        and arguments[0].type.is_pointer
        and arguments[1].name.split(".")[0] == _ERROR
    )


def give_status(
    module: Module,
    roots: Iterable[Function],
    is_foreign: Callable[[Function], bool] = lambda _: True,
    opaque: Container[str] = (),
) -> dict[Function, Function]:
    """Add to `module` what the functions reachable from `roots` are in the engine's calling convention.

    Parameters
    ----------
    roots
        Functions of either convention. Those that follow the engine's are changed in place: they call the
        rewritten functions.
    is_foreign
        Says of a function that does not follow the engine's convention whether to rewrite it.
    opaque
        The names of functions that are not looked into: what stands for one calls it.

    Returns
    -------
    dict
        For each function that follows C's convention, the one that stands for it.
    """
    twins: dict[Function, Function] = {}
    pending = list(roots)
    seen: dict[Function, None] = {}
    while pending:
        function = pending.pop()
        if function.name in opaque and function not in twins:
            twins[function] = module.add_function(_call_through(function))
        if function in seen or function in twins or function.is_declaration:
            continue
        if function.ruled or function.custom:
            continue
        if not follows_status(function):
            # A function of a variable number of arguments finds them by its own convention.
            if not is_foreign(function) or function.function_type.variadic:
                continue
            twins[function] = module.add_function(_rewrite(module, function))
        seen[function] = None
        pending += [c.callee for c in _calls(function) if isinstance(c.callee, Function)]
    for function in [twins.get(f, f) for f in seen]:
        _report_failures(function)
        for call in _calls(function):
            target = twins.get(call.callee) if isinstance(call.callee, Function) else None
            if target is not None:
                _call_with_status(function, call, target)
    return twins


def _calls(function: Function) -> list[Call]:
    return [i for i in function.instructions() if isinstance(i, Call)]


def _rewrite(module: Module, function: Function) -> Function:
    """Return a copy of `function` that returns a status; its calls are as they were."""
    result = function.function_type.result
    twin, _, _ = clone_function(function, f"{function.name}{SUFFIX}")
    twin.is_foreign = True
    given = twin.arguments
    into, error = Argument(PTR, _RESULT, 0), Argument(PTR, _ERROR, 1)
    twin.arguments = [into, error, *given]
    for index, argument in enumerate(twin.arguments):
        argument.index = index
        argument.name = argument.name or f"parameter.{index - 2}"
        _own(module, twin, argument)
        argument.attributes = ""
    twin.function_type = FunctionType(I32, tuple(a.type for a in twin.arguments))
    # What was known of the function, that it writes nothing for instance, is no longer true.
    twin.prefix, twin.suffix = "internal", "nounwind"
    for block in twin.blocks:
        last = block.instructions[-1]
        if isinstance(last, Return):
            at = Builder.before(last)
            at.metadata = {kind: text for kind, text in last.metadata.items() if kind == "dbg"}
            if result != VOID:
                at.store(last.operands[0], into)
            at.ret(const_int(I32, 0))
            last.erase()
    return twin


def _call_through(function: Function) -> Function:
    """Return a function that returns a status, and calls `function`."""
    given = [Argument(a.type, a.name or f"parameter.{i}", i + 2) for i, a in enumerate(function.arguments)]
    arguments = [Argument(PTR, _RESULT, 0), Argument(PTR, _ERROR, 1), *given]
    kind = FunctionType(I32, tuple(a.type for a in arguments))
    twin = Function(f"{function.name}{SUFFIX}", kind, arguments, "internal", "nounwind")
    at = Builder(twin.add_block(Block("entry")))
    value = at.call(function, list(given))
    # How a struct or a short integer is passed is part of C's convention.
    value.argument_attributes = [a.attributes for a in function.arguments]
    if value.type != VOID:
        at.store(value, arguments[0])
    at.ret(const_int(I32, 0))
    return twin


def _own(module: Module, function: Function, argument: Argument) -> None:
    """Let a struct that is passed by value be the function's own: the copy is made here."""
    match = _BY_VALUE.search(argument.attributes)
    if match is None:
        return
    spelled = _in_parentheses(argument.attributes, match.end())
    type = parse_module(f"declare void @f({spelled})").functions["f"].arguments[0].type
    at = Builder(function.entry, 0)
    copy = at.alloca(type, name=f"{argument.name}.copy", align=16)
    argument.replace_all_uses_with(copy)
    size = size_of(type)
    if size is None:
        at.store(at.load(type, argument), copy)
        return
    kind = FunctionType(VOID, (PTR, PTR, I64, I1))
    move = module.declare("llvm.memcpy.p0.p0.i64", kind)
    at.call(move, [copy, argument, const_int(I64, size[0]), const_int(I1, 0)])


def _in_parentheses(text: str, start: int) -> str:
    depth = 1
    for end in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return text[start:end]
    raise AssertionError(text)


def report_failures(module: Module) -> None:
    """Let functions of `module` that return a status return one where the code could not go on."""
    if any(name in module.functions for name in _FAILURES):
        for function in module.functions.values():
            if not function.is_declaration and follows_status(function):
                _report_failures(function)


def _report_failures(function: Function) -> None:
    """Return with an error where no function is known to be called, or memory is exhausted."""
    for call in _calls(function):
        status = _FAILURES.get(call.callee_name or "")
        if status is None:
            continue
        block = call.block
        assert block is not None
        last = block.instructions[-1]
        assert isinstance(last, Unreachable)
        last.erase()
        call.erase()
        Builder(block).ret(const_int(I32, int(status)))


def _call_with_status(function: Function, call: Call, target: Function) -> None:
    """Let `call` call `target`, and leave `function` where that fails."""
    type = call.type
    result: Value = ConstantNull()
    if type != VOID:
        result = Alloca(type, const_int(I32, 1), f"{call.name}.result")
        function.entry.insert(0, result)
    rest = split_block(function, call)
    block = call.block
    assert block is not None
    at = Builder(block)
    new = at.call(target, [result, function.arguments[1], *call.arguments], name=f"{call.name}.status")
    assert isinstance(new, Call)
    new.metadata = {kind: text for kind, text in call.metadata.items() if kind == "dbg"}
    failed = Block(f"{block.name}.failed")
    failed.function = function
    function.blocks.insert(function.blocks.index(rest), failed)
    at.cond_branch(at.icmp("ne", new, const_int(I32, 0)), failed, rest)
    Builder(failed).ret(new)
    if type != VOID:
        loaded = Builder(rest, len(rest.phis)).load(type, result, name=call.name)
        call.replace_all_uses_with(loaded)
    call.erase()
