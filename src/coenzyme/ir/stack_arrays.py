"""Arrays of variable length move from the stack to the heap.

C frees such an array at the end of its scope, where the stack is restored, or when its function returns. A
block of the heap that is freed there has a shadow like any other. An ``alloca`` in a loop whose blocks live
until the function returns stays what it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.cfg import ControlFlow, remove_unreachable
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Alloca, Call, Function, Instruction, Module, Return
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.types import I8, I64, PTR, VOID, FunctionType, IntType, Type
from coenzyme.ir.values import Constant, ConstantExpression, ConstantNull, Value

__all__ = ["holds_stack_arrays", "move_stack_arrays"]

_VARIABLE = re.compile(r"= alloca [^\n]*, i\d+ %")
_SAVE, _RESTORE, _LIFETIME = "llvm.stacksave", "llvm.stackrestore", "llvm.lifetime."
_MALLOC_ALIGNS = 16


def holds_stack_arrays(text: str) -> bool:
    """Return whether LLVM `text` holds an array of variable length on the stack.

    Examples
    --------
    >>> holds_stack_arrays("%a = alloca double, i64 %n, align 16"), holds_stack_arrays("%a = alloca [4 x i8]")
    (True, False)
    """
    return _VARIABLE.search(text) is not None


def move_stack_arrays(module: Module) -> bool:
    """Give arrays of variable length memory from the heap; return whether there were any."""
    changed = False
    for function in [f for f in module.functions.values() if not f.is_declaration]:
        if any(_is_variable(i) for i in function.instructions()):
            remove_unreachable(function)
            changed |= _move_in(module, function)
    return changed


def _is_variable(instruction: Instruction) -> bool:
    return isinstance(instruction, Alloca) and not isinstance(instruction.operands[0], Constant)


def _is_call_of(instruction: Instruction, name: str) -> bool:
    return isinstance(instruction, Call) and (instruction.callee_name or "").startswith(name)


def _move_in(module: Module, function: Function) -> bool:
    flow = ControlFlow(function)
    dominators = Dominators(flow)
    forest = LoopForest(function, flow, dominators)
    changed = False
    for alloca in [i for i in function.instructions() if isinstance(i, Alloca) and _is_variable(i)]:
        if alloca.type != PTR:
            continue
        ends: Sequence[Instruction] = _restores(function, alloca, dominators)
        block = alloca.block
        assert block is not None
        if not ends and forest.loop_of[block] is None:
            ends = [b.instructions[-1] for b in function.blocks if isinstance(b.instructions[-1], Return)]
        if not ends or not all(dominators.dominates_instruction(alloca, end) for end in ends):
            continue
        _move(module, alloca, ends)
        changed = True
    return changed


def _restores(function: Function, alloca: Alloca, dominators: Dominators) -> list[Instruction]:
    """Return where the stack is set back to what it was last in front of `alloca`."""
    saves = [
        i
        for i in function.instructions()
        if _is_call_of(i, _SAVE) and dominators.dominates_instruction(i, alloca)
    ]
    # Of those that dominate one instruction, each dominates the next.
    saves.sort(key=lambda s: sum(dominators.dominates_instruction(other, s) for other in saves))
    for save in reversed(saves):
        found = _users_of_save(save)
        behind = [i for i in found if dominators.dominates_instruction(alloca, i)]
        if behind:
            return behind
    return []


def _users_of_save(save: Instruction) -> list[Instruction]:
    """Return the calls that restore the stack to what `save` saved, also by way of a variable."""
    found: list[Instruction] = []
    for user in save.users:
        if _is_call_of(user, _RESTORE):
            found.append(user)
        elif user.opcode == "store":
            slot = user.operands[1]
            loads = [u for u in slot.users if u.opcode == "load"]
            found += [u for load in loads for u in load.users if _is_call_of(u, _RESTORE)]
    return found


def _move(module: Module, alloca: Alloca, ends: Sequence[Instruction]) -> None:
    at = Builder.before(alloca)
    at.metadata = {kind: node for kind, node in alloca.metadata.items() if kind == "dbg"}
    count = alloca.operands[0]
    assert isinstance(count.type, IntType)
    if count.type.width < I64.width:
        count = at.cast("zext", count, I64)
    size = at.mul(count, _size(alloca.allocated_type))
    block = _allocate(module, at, size, alloca)
    for user in [u for u in alloca.users if _is_call_of(u, _LIFETIME)]:
        user.erase()
    alloca.replace_all_uses_with(block)
    alloca.erase()
    free = module.declare("free", FunctionType(VOID, (PTR,)))
    for end in ends:
        Builder.before(end).call(free, [block])


def _allocate(module: Module, at: Builder, size: Value, alloca: Alloca) -> Value:
    if alloca.align <= _MALLOC_ALIGNS:
        malloc = module.declare("malloc", FunctionType(PTR, (I64,)))
        return at.call(malloc, [size], name=alloca.name)
    aligned = module.declare("aligned_alloc", FunctionType(PTR, (I64, I64)))
    whole = at.and_(at.add(size, const_int(I64, alloca.align - 1)), const_int(I64, -alloca.align))
    return at.call(aligned, [const_int(I64, alloca.align), whole], name=alloca.name)


def _size(type: Type) -> Constant:
    """Return how many bytes a value of `type` takes, for LLVM to compute."""
    if type == I8:
        return const_int(I64, 1)
    end = ConstantExpression("getelementptr", PTR, (ConstantNull(), const_int(I64, 1)), type)
    return ConstantExpression("ptrtoint", I64, (end,))
