"""Turn branches around a few harmless operations into selections.

A loop with a limiter or a clamp in it::

    if a * b > 0.0:
        slope = 0.5 * (a if abs(a) < abs(b) else b)
    else:
        slope = 0.0

is straight code to LLVM's vectoriser, which computes both sides and selects. The reverse sweep would follow
the branch: record which way it went, and ask for it in each iteration. Where both sides are computed and one
is selected beforehand, no way has to be recorded, and both sweeps can be vectorised.

What is computed in vain must not be felt. It cannot trap; flags that promise something of the operands are
dropped, for they may be wrong where the operation did not run. The side not taken has the adjoint zero: what
feeds a selection is differentiated so that zero times an infinite partial is zero.

Source: J. Allen, K. Kennedy, C. Porterfield & J. Warren, "Conversion of control dependence to data
dependence", POPL 1983.
"""

from __future__ import annotations

from collections.abc import Iterator

from coenzyme.ir.builder import Builder
from coenzyme.ir.instructions import (
    Binary,
    Block,
    Branch,
    Call,
    Cast,
    Compare,
    Function,
    Instruction,
    Select,
    Unary,
)
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.types import FloatType, IntType

__all__ = ["speculate_branches"]

MOST = 8
"""How many operations a side may have."""

_INTEGERS = frozenset({"add", "sub", "mul", "and", "or", "xor"})
_CASTS = frozenset({"sext", "zext", "trunc", "fpext", "fptrunc", "sitofp", "uitofp"})
_CALLS = ("llvm.fabs.", "llvm.minnum.", "llvm.maxnum.", "llvm.minimum.", "llvm.maximum.")
_LEAVE = ("reassoc", "nsz", "arcp", "contract", "afn")
"""What the flags of an operation on floats may allow without promising anything about its operands."""


def speculate_branches(function: Function) -> bool:
    """Replace branches in loops by selections where both ways are cheap and harmless; return whether any was.

    Preconditions: every loop of `function` is natural, in loop-simplify and LCSSA form; it stays so.
    """
    changed = False
    if not any(isinstance(b.terminator, Branch) and b.terminator.operands for b in function.blocks):
        return False
    looped = {block for block, loop in LoopForest(function).loop_of.items() if loop is not None}
    entries = _count_entries(function)
    again = True
    while again:
        again = False
        for block in list(function.blocks):
            if block in looped and block.function is function:
                while _convert(block, entries):
                    again = changed = True
    return changed


def _count_entries(function: Function) -> dict[Block, int]:
    """Return by how many edges each block is entered."""
    entries = dict.fromkeys(function.blocks, 0)
    for block in function.blocks:
        for target in block.terminator.targets:
            entries[target] += 1
    return entries


def _convert(block: Block, entries: dict[Block, int]) -> bool:
    """Replace the branch that ends `block`, if that can be done; return whether it was."""
    branch = block.terminator
    if not isinstance(branch, Branch) or len(branch.targets) != 2 or branch.targets[0] is branch.targets[1]:
        return False
    harmless = [_is_harmless(target, entries) for target in branch.targets]
    joins = [
        target.terminator.targets[0] if is_side else target
        for target, is_side in zip(branch.targets, harmless, strict=True)
    ]
    join = joins[0]
    if not any(harmless) or joins[0] is not joins[1] or join is block:
        return False
    if not all(isinstance(phi.type, (FloatType, IntType)) for phi in join.phis):
        return False
    sides = [target for target, is_side in zip(branch.targets, harmless, strict=True) if is_side]
    for side in sides:
        _empty(side, block)
    ways = [t if is_side else block for t, is_side in zip(branch.targets, harmless, strict=True)]
    _select(branch, ways, join)
    branch.erase()
    block.append(Branch([join]))
    for side in sides:
        _forget(side)
    entries[join] -= 1
    if entries[join] == 1:
        _merge(block, join)
    return True


def _is_harmless(block: Block, entries: dict[Block, int]) -> bool:
    """Whether `block` is one side of a branch, and holds nothing that may not run in vain."""
    end = block.terminator
    return (
        entries[block] == 1
        and isinstance(end, Branch)
        and len(end.targets) == 1
        and len(block.instructions) <= MOST + 1
        and all(_may_run_in_vain(i) for i in block.instructions[:-1])
    )


def _may_run_in_vain(instruction: Instruction) -> bool:
    """Whether nobody can tell that `instruction` ran, if neither its value nor its adjoint is used."""
    match instruction:
        case Unary(opcode="fneg"):
            return True
        case Binary(opcode="fadd" | "fsub" | "fmul"):
            return True
        case Binary():
            return instruction.opcode in _INTEGERS and isinstance(instruction.type, IntType)
        case Compare() | Select():
            return all(isinstance(o.type, (FloatType, IntType)) for o in instruction.operands)
        case Cast():
            return instruction.opcode in _CASTS and isinstance(instruction.type, (FloatType, IntType))
        case Call():
            return (instruction.callee_name or "").startswith(_CALLS) and isinstance(
                instruction.type, FloatType
            )
        case _:
            return False


def _empty(side: Block, block: Block) -> None:
    """Move all that `side` computes to the end of `block`."""
    for instruction in side.instructions[:-1]:
        instruction.flags = tuple(_without_promises(instruction.flags))
        instruction.metadata = {k: v for k, v in instruction.metadata.items() if k == "dbg"}
        block.insert(len(block.instructions) - 1, instruction)
    del side.instructions[:-1]


def _without_promises(flags: tuple[str, ...]) -> Iterator[str]:
    """Yield the flags that hold whether or not the values are what the branch made sure of."""
    for flag in flags:
        if flag == "fast":
            yield from _LEAVE
        elif flag in _LEAVE:
            yield flag


def _select(branch: Branch, ways: list[Block], join: Block) -> None:
    """Let each phi of `join` have one entry from the block of `branch` for the two from `ways`."""
    block = branch.block
    assert block is not None
    for phi in join.phis:
        first, second = (phi.value_from(way) for way in ways)
        kept = [(value, origin) for value, origin in phi.pairs if origin not in ways]
        builder = Builder(block, len(block.instructions) - 1)
        builder.metadata.update({k: v for k, v in phi.metadata.items() if k == "dbg"})
        chosen = builder.select(branch.operands[0], first, second, f"{phi.name}.chosen")
        phi.drop_operands()
        phi.incoming.clear()
        for value, origin in [*kept, (chosen, block)]:
            phi.add_incoming(value, origin)


def _forget(block: Block) -> None:
    """Take a block that holds no more than its branch, and that nothing leads to, out of its function."""
    assert block.function is not None
    block.function.blocks.remove(block)
    block.function = None


def _merge(block: Block, following: Block) -> None:
    """Append `following`, which only `block` leads to, to `block`."""
    for phi in following.phis:
        phi.replace_all_uses_with(phi.operands[0])
        phi.erase()
    block.terminator.erase()
    for instruction in following.instructions:
        block.append(instruction)
    for target in block.terminator.targets:
        for phi in target.phis:
            phi.incoming = [block if origin is following else origin for origin in phi.incoming]
    following.instructions.clear()
    _forget(following)
