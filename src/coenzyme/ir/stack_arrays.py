"""Arrays that are taken from the stack as the program runs move to the heap.

C frees an array of variable length at the end of its scope, where the stack is set back, or when its
function returns. A derivative needs it until its reverse sweep has run, and has to know when it comes and
goes: a block of the heap that is freed there has a shadow like any other. An ``alloca`` in a loop, whose
blocks live until the function returns, stays what it is.
"""

from __future__ import annotations

import re

from coenzyme.ir.bits import bytes_of
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.cfg import ControlFlow, remove_unreachable
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import (
    Alloca,
    Block,
    Call,
    Function,
    Instruction,
    Load,
    Module,
    Phi,
    Return,
    Store,
)
from coenzyme.ir.types import I32, I64, PTR, VOID, FunctionType, IntType, Type
from coenzyme.ir.values import Constant, ConstantExpression, ConstantInt, ConstantNull, Value

__all__ = ["holds_stack_arrays", "move_stack_arrays"]

_COUNTED = re.compile(r"= alloca [^\n]*, i\d+ [%\d]")
_SAVE, _RESTORE, _LIFETIME = "llvm.stacksave", "llvm.stackrestore", "llvm.lifetime."
_MALLOC_ALIGNS = 16


def holds_stack_arrays(text: str) -> bool:
    """Return whether LLVM `text` may hold an array that is taken from the stack as the program runs.

    Examples
    --------
    >>> holds_stack_arrays("%a = alloca double, i64 %n, align 16"), holds_stack_arrays("%a = alloca [4 x i8]")
    (True, False)
    """
    return _COUNTED.search(text) is not None


def move_stack_arrays(module: Module) -> bool:
    """Give such arrays memory from the heap, if their ends are known; return whether there were any."""
    changed = False
    for function in list(module.functions.values()):
        if any(_is_late(i, function) for i in function.instructions()):
            remove_unreachable(function)
            changed |= _Mover(module, function).run()
    return changed


def _is_late(instruction: Instruction, function: Function) -> bool:
    return isinstance(instruction, Alloca) and (
        instruction.block is not function.entry or not isinstance(instruction.operands[0], ConstantInt)
    )


class _Mover:
    def __init__(self, module: Module, function: Function) -> None:
        self.module = module
        self.function = function
        instructions = list(function.instructions())
        self.arrays = [i for i in instructions if isinstance(i, Alloca) and _is_late(i, function)]
        self.saves = [i for i in instructions if _calls(i, _SAVE)]
        self.restores = [i for i in instructions if _calls(i, _RESTORE)]
        self.returns = [i for i in instructions if isinstance(i, Return)]

    def run(self) -> bool:
        """Move the arrays of which it is known where they end; return whether there was any array."""
        dominators = Dominators(ControlFlow(self.function))
        for array in self.arrays:
            ends, is_certain = self._ends(array, dominators)
            if ends and array.type == PTR and isinstance(array.operands[0].type, IntType):
                self._move(array, ends, is_certain=is_certain)
        # An array that stays must not be overwritten before the reverse sweep.
        for mark in self.restores:
            mark.erase()
        return bool(self.arrays)

    def _ends(self, array: Alloca, dominators: Dominators) -> tuple[list[Instruction], bool]:
        """Return what ends the scope of `array`, and whether it is there, and there once, at each of them.

        There is nothing where an array is taken again before the one before it has ended.
        """
        scopes = [s for s in self.saves if dominators.dominates_instruction(s, array)]
        possible = [r for r in self.restores if _saved(r.operands[0]) in scopes]
        ends, again = _first_met(array, [*possible, *self.returns])
        if again:
            return [], False
        others = [other for end in ends for other in _first_met(end, [*ends, array])[0]]
        once = all(other is array for other in others)
        return ends, once and all(dominators.dominates_instruction(array, end) for end in ends)

    def _move(self, array: Alloca, ends: list[Instruction], *, is_certain: bool) -> None:
        at = Builder.before(array)
        at.metadata = {kind: text for kind, text in array.metadata.items() if kind == "dbg"}
        count = array.operands[0]
        wide: Value = count if count.type == I64 else at.cast("zext", count, I64)
        block = self._allocate(at, at.mul(wide, _size(array.allocated_type)), array)
        for user in [u for u in array.users if _calls(u, _LIFETIME)]:
            user.erase()
        array.replace_all_uses_with(block)
        array.erase()
        free = self.module.declare("free", FunctionType(VOID, (PTR,)))
        if is_certain:
            for end in ends:
                Builder.before(end).call(free, [block])
            return
        start = Builder(self.function.entry, 0)
        slot = start.alloca(PTR, const_int(I32, 1), name=f"{block.name}.slot")
        start.store(ConstantNull(), slot)
        at.store(block, slot)
        for end in ends:
            last = Builder.before(end)
            last.call(free, [last.load(PTR, slot)])
            last.store(ConstantNull(), slot)

    def _allocate(self, at: Builder, size: Value, array: Alloca) -> Value:
        if array.align <= _MALLOC_ALIGNS:
            malloc = self.module.declare("malloc", FunctionType(PTR, (I64,)))
            return at.call(malloc, [size], name=array.name)
        aligned = self.module.declare("aligned_alloc", FunctionType(PTR, (I64, I64)))
        whole = at.and_(at.add(size, const_int(I64, array.align - 1)), const_int(I64, -array.align))
        return at.call(aligned, [const_int(I64, array.align), whole], name=array.name)


def _size(type: Type) -> Constant:
    """Return how many bytes a value of `type` takes; LLVM computes what is not known here."""
    known = bytes_of(type)
    if known is not None:
        return const_int(I64, known)
    end = ConstantExpression("getelementptr", PTR, (ConstantNull(), const_int(I64, 1)), type)
    return ConstantExpression("ptrtoint", I64, (end,))


def _first_met(start: Instruction, marks: list[Instruction]) -> tuple[list[Instruction], bool]:
    """Return those of `marks` that are met first after `start`, and whether `start` may be met before."""
    block = start.block
    assert block is not None
    found: list[Instruction] = []
    seen: set[Block] = set()
    pending: list[tuple[Block, int]] = [(block, block.instructions.index(start) + 1)]
    again = False
    while pending:
        reached, first = pending.pop()
        met = next((i for i in reached.instructions[first:] if i in marks or i is start), None)
        if met is start and start not in marks:
            again = True
        elif met is not None:
            found += [met] if met not in found else []
        else:
            pending += [(b, 0) for b in reached.successors if b not in seen]
            seen.update(reached.successors)
    return found, again


def _saved(value: Value) -> Value:
    """Return the mark that `value` is, carried out of loops or not, in a variable or not."""
    while True:
        if isinstance(value, Phi) and len(set(value.operands)) == 1:
            value = value.operands[0]
        elif isinstance(value, Load) and isinstance(value.pointer, Alloca):
            stored = [u for u in value.pointer.users if isinstance(u, Store)]
            if len(stored) != 1 or stored[0].pointer is not value.pointer:
                return value
            value = stored[0].value
        else:
            return value


def _calls(instruction: Instruction, prefix: str) -> bool:
    return isinstance(instruction, Call) and (instruction.callee_name or "").startswith(prefix)
