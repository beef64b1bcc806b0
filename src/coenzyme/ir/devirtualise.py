"""Calls of functions chosen at run time become calls of each function that may be chosen.

Where the address that is called is one of several functions of the module, chosen by selects and phis, the
call becomes a chain of comparisons and direct calls, which can be inlined and differentiated. Nothing is
copied but the call itself.

In a closed module, an address about which nothing is known is compared with every function whose address the
module takes and whose type fits; that it is none of them ends the call with an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from coenzyme.ir.builder import Builder
from coenzyme.ir.cfg import split_block
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import (
    Block,
    Call,
    Freeze,
    Function,
    GlobalVariable,
    Load,
    Module,
    Phi,
    Select,
)
from coenzyme.ir.types import VOID, FunctionType, spell_name
from coenzyme.ir.values import (
    Constant,
    ConstantAggregate,
    ConstantExpression,
    ConstantNull,
    Global,
    Poison,
    Undef,
    Value,
)

__all__ = ["UNKNOWN_FUNCTION", "address_taken", "devirtualise", "is_indirect"]

UNKNOWN_FUNCTION = "coenzyme.unknown_function"
"""Is called, and does not return, where the function to call is none that the module knows."""


def is_indirect(call: Call) -> bool:
    """Whether the function that `call` calls is chosen at run time; a constant address is not.

    Nor is one that stands in a global: that is how code gets to functions outside of it.
    """
    callee = call.callee
    if isinstance(callee, Load) and isinstance(callee.pointer, Global):
        return False
    return not isinstance(callee, Constant)


def devirtualise(
    module: Module, *, closed: bool = False, known: Callable[[Call], bool] = lambda _: True
) -> bool:
    """Replace the indirect calls in `module` whose targets are known; return whether there were any.

    Parameters
    ----------
    closed
        Functions that are called by address are functions of this module: no call is left.
    known
        Says of a call by address whether that holds for it.
    """
    changed = False
    taken = address_taken(module) if closed else []
    for function in list(module.functions.values()):
        for call in [i for i in function.instructions() if isinstance(i, Call) and is_indirect(i)]:
            targets = _targets(call.callee)
            if targets and all(target.function_type == call.function_type for target in targets):
                _expand(function, call, targets)
                changed = True
            elif closed and known(call):
                fitting = [t for t in taken if t.function_type == call.function_type]
                _expand(function, call, [*fitting, _unknown(module)])
                changed = True
    return changed


def _unknown(module: Module) -> Function:
    return module.declare(UNKNOWN_FUNCTION, FunctionType(VOID, ()), "noreturn nounwind")


def address_taken(module: Module) -> list[Function]:
    """Return the functions whose addresses are used other than for a call."""
    found = {f: None for f in module.functions.values() if any(_names(g, f) for g in module.globals.values())}
    for function in module.functions.values():
        for instruction in function.instructions():
            operands = instruction.arguments if isinstance(instruction, Call) else instruction.operands
            for operand in operands:
                found |= dict.fromkeys(_functions_in(operand))
    return [f for f in found if not f.name.startswith("llvm.")]


def _names(variable: GlobalVariable, function: Function) -> bool:
    """Whether the initial value of `variable` holds the address of `function`."""
    return re.search(rf"@{re.escape(spell_name(function.name))}(?![-\w.$])", variable.text) is not None


def _functions_in(value: Value) -> list[Function]:
    match value:
        case Function():
            return [value]
        case ConstantExpression():
            return [f for operand in value.operands for f in _functions_in(operand)]
        case ConstantAggregate():
            return [f for element in value.elements for f in _functions_in(element)]
        case _:
            return []


def _targets(callee: Value) -> list[Function]:
    """Return the functions that `callee` may be; none where one may be unknown."""
    found: dict[Function, None] = {}
    seen: set[Value] = set()
    pending = [callee]
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        match value:
            case Function():
                found[value] = None
            case Phi():
                pending.extend(value.operands)
            case Select():
                pending.extend(value.operands[1:])
            case Freeze():
                pending.append(value.operands[0])
            case Undef() | Poison() | ConstantNull():
                pass  # calling it is undefined
            case _:
                return []
    return list(found)


def _expand(function: Function, call: Call, targets: list[Function]) -> None:
    """Put a comparison and a direct call for each of `targets` in the place of `call`."""
    callee, block = call.callee, call.block
    assert block is not None
    rest = split_block(function, call)
    results: list[tuple[Value, Block]] = []
    at = Builder(block)
    for number, target in enumerate(targets):
        arm = _new_block(function, f"{block.name}.calls.{number}", rest)
        if target.name == UNKNOWN_FUNCTION:
            Builder(arm).call(target, [])
            Builder(arm).unreachable()
        else:
            direct = clone_instruction(call, {})
            direct.set_operand(len(direct.operands) - 1, target)
            arm.append(direct)
            Builder(arm).branch(rest)
            results.append((direct, arm))
        if number == len(targets) - 1:
            at.branch(arm)
        else:
            following = _new_block(function, f"{block.name}.or.{number}", arm)
            at.cond_branch(at.icmp("eq", callee, target), arm, following)
            at = Builder(following)
    if call.type != VOID and results:
        merged = Phi(call.type, results, call.name)
        rest.insert(0, merged)
        call.replace_all_uses_with(merged)
    elif call.type != VOID:
        call.replace_all_uses_with(Poison(call.type))
    call.erase()


def _new_block(function: Function, name: str, before: Block) -> Block:
    block = Block(name)
    block.function = function
    function.blocks.insert(function.blocks.index(before), block)
    return block
