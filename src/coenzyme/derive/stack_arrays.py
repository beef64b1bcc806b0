"""Arrays whose size is known when the function runs move from the stack to the heap.

A derivative needs them until its reverse sweep has run, which may be after the stack has been cut back, and
it has to know when they come and go. An array lives until the ``llvm.stackrestore`` that ends its scope, or
until the function returns.
"""

from __future__ import annotations

from coenzyme.analysis.places import size_of
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Alloca, Block, Call, Function, Instruction, Module, Phi, Return
from coenzyme.ir.types import I32, I64, PTR, VOID, FunctionType, IntType
from coenzyme.ir.values import ConstantInt, ConstantNull, Value

__all__ = ["move_stack_arrays"]


def move_stack_arrays(module: Module) -> None:
    """Let the functions of `module` take from the heap what they would take from the stack as they run."""
    for function in list(module.functions.values()):
        if not function.is_declaration:
            _Mover(module, function).run()


class _Mover:
    def __init__(self, module: Module, function: Function) -> None:
        self.module = module
        self.function = function
        instructions = list(function.instructions())
        self.arrays = [i for i in instructions if isinstance(i, Alloca) and self._is_late(i)]
        self.saves = [i for i in instructions if _calls(i, "llvm.stacksave")]
        self.restores = [i for i in instructions if _calls(i, "llvm.stackrestore")]

    def _is_late(self, array: Alloca) -> bool:
        return array.block is not self.function.entry or not isinstance(array.operands[0], ConstantInt)

    def run(self) -> None:
        """Move the arrays of which it is known where they end."""
        if not self.arrays:
            return
        flow = ControlFlow(self.function)
        dominators = Dominators(flow)
        for array in self.arrays:
            ends, is_certain = self._ends(array, dominators)
            if ends:
                self._move(array, ends, is_certain=is_certain)
        # An array that stays must not be overwritten before the reverse sweep.
        for mark in self.restores:
            mark.erase()

    def _ends(self, array: Alloca, dominators: Dominators) -> tuple[list[Instruction], bool]:
        """Return what ends the scope of `array`, and whether it is there, and there once, at each of them.

        There is nothing where an array is taken again before the one before it has ended.
        """

        def comes_first(a: Instruction, b: Instruction) -> bool:
            assert a.block is not None
            assert b.block is not None
            if a.block is b.block:
                return a.block.instructions.index(a) < a.block.instructions.index(b)
            return dominators.dominates(a.block, b.block)

        scopes = [s for s in self.saves if comes_first(s, array)]
        possible = [r for r in self.restores if _saved(r.operands[0]) in scopes]
        possible += [
            b.instructions[-1] for b in self.function.blocks if isinstance(b.instructions[-1], Return)
        ]
        ends, returns = _first_met(array, possible)
        if returns:
            return [], False
        others = [other for end in ends for other in _first_met(end, [*ends, array])[0]]
        once = all(other is array for other in others)
        return ends, once and all(comes_first(array, end) for end in ends)

    def _move(self, array: Alloca, ends: list[Instruction], *, is_certain: bool) -> None:
        known = size_of(array.allocated_type)
        count = array.operands[0]
        if known is None or not isinstance(count.type, IntType):
            return
        at = Builder.before(array)
        at.metadata = {kind: text for kind, text in array.metadata.items() if kind == "dbg"}
        wide: Value = count if count.type == I64 else at.cast("zext", count, I64)
        size = at.mul(wide, const_int(I64, known[0]))
        malloc = self.module.declare("malloc", FunctionType(PTR, (I64,)))
        block = at.call(malloc, [size], name=f"{array.name}.heap")
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
    """Return the mark that `value` is, carried out of loops or not."""
    while isinstance(value, Phi) and len(set(value.operands)) == 1:
        value = value.operands[0]
    return value


def _calls(instruction: Instruction, prefix: str) -> bool:
    return isinstance(instruction, Call) and (instruction.callee_name or "").startswith(prefix)
