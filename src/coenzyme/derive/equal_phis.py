"""Phis that merge one computation made in two places become that computation.

LLVM's elimination of partial redundancies leaves ``phi [i·n, here], [i·n, there]`` where a product is known
on one way in and computed on the other, or ``phi [0, here], [i·n, there]`` where i is 0 on one way in. To
the reverse sweep a phi is something to be recorded; a product of two integers is computed again.
"""

from __future__ import annotations

from collections.abc import Mapping

from coenzyme.ir.builder import Builder
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import (
    Binary,
    Block,
    Branch,
    Cast,
    Compare,
    Function,
    GetElementPtr,
    Instruction,
    Phi,
)
from coenzyme.ir.loops import Loop, LoopForest
from coenzyme.ir.values import ConstantInt, Value

__all__ = ["merge_equal_computations"]

_DIVISIONS = frozenset({"udiv", "sdiv", "urem", "srem"})


def merge_equal_computations(function: Function) -> None:
    """Replace each phi of equal, harmless integer or address computations by one of them."""
    phis = [phi for block in function.blocks for phi in block.phis if len(phi.operands) > 1]
    candidates = [(phi, found) for phi in phis if (found := _find_computation(phi)) is not None]
    if not candidates:
        return
    flow = ControlFlow(function)
    dominators = Dominators(flow)
    loop_of = LoopForest(function, flow, dominators).loop_of
    for phi, computation in candidates:
        block = phi.block
        assert block is not None
        if not all(_is_known(operand, block, dominators, loop_of) for operand in computation.operands):
            continue
        twin = clone_instruction(computation, {})
        twin.name = phi.name
        # What holds on one way in need not hold on the other.
        twin.flags = ()
        Builder(block, len(block.phis)).insert(twin)
        phi.replace_all_uses_with(twin)
        phi.erase()


def _find_computation(phi: Phi) -> Instruction | None:
    """Return the computation that every way into `phi` agrees with."""
    first = next((v for v in phi.operands if isinstance(v, Instruction)), None)
    if first is None or not _is_harmless(first):
        return None
    for value, predecessor in zip(phi.operands, phi.incoming, strict=True):
        if isinstance(value, ConstantInt):
            assert phi.block is not None
            if _value_on_edge(first, predecessor, phi.block) != value.value:
                return None
        elif not _equal(first, value):
            return None
    return first


def _is_known(
    value: Value, block: Block, dominators: Dominators, loop_of: Mapping[Block, Loop | None]
) -> bool:
    """Whether `value` can be used in `block`; a value of a loop leaves the loop by a phi only."""
    if not isinstance(value, Instruction):
        return True
    home = value.block
    if home is None or home is block or not dominators.dominates(home, block):
        return False
    loop = loop_of[home]
    return loop is None or block in loop.blocks


def _value_on_edge(value: Instruction, source: Block, target: Block) -> int | None:
    """Return what `value` would be on the edge, which is taken where some integer equals a constant."""
    branch = source.terminator
    if not isinstance(branch, Branch) or not branch.operands or branch.targets[0] is branch.targets[1]:
        return None
    condition = branch.operands[0]
    if not isinstance(condition, Compare) or condition.opcode != "icmp":
        return None
    known, constant = condition.operands
    holds = branch.targets[0] is target
    if condition.predicate != ("eq" if holds else "ne") or not isinstance(constant, ConstantInt):
        return None
    return _fold(value, known, constant.value)


def _fold(value: Value, known: Value, constant: int) -> int | None:
    """Return `value` where `known` is `constant`, if that decides it."""
    if value is known:
        return constant
    if isinstance(value, ConstantInt):
        return value.value
    if not isinstance(value, Binary):
        return None
    a, b = (_fold(operand, known, constant) for operand in value.operands)
    if value.opcode == "mul" and 0 in (a, b):
        return 0
    if a is None or b is None:
        return None
    match value.opcode:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul":
            return a * b
        case _:
            return None


def _is_harmless(value: Instruction) -> bool:
    if not isinstance(value, Binary | Cast | GetElementPtr) or value.opcode in _DIVISIONS:
        return False
    return value.type.is_int or value.type.is_pointer


def _equal(a: Instruction, b: Value) -> bool:
    if a is b:
        return True
    if not isinstance(b, Instruction) or a.opcode != b.opcode or a.type != b.type:
        return False
    if isinstance(a, GetElementPtr) and isinstance(b, GetElementPtr) and a.source_type != b.source_type:
        return False
    if isinstance(a, Cast) and a.operands[0].type != b.operands[0].type:
        return False
    return len(a.operands) == len(b.operands) and all(
        x is y or (not isinstance(x, Instruction) and x == y)
        for x, y in zip(a.operands, b.operands, strict=True)
    )
