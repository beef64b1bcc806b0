"""Small arrays of constant size leave the heap, before the function is differentiated.

What ``np.empty(3)`` allocates, and nobody but the function itself gets to see, becomes memory of the stack,
which LLVM then takes apart into values: the derivative knows neither the array nor a shadow of it, nor
reference counts. Only arrays all of whose accesses are at constant offsets are moved, so that nothing of
them stays in memory: in a loop each iteration had a new array, and has new values.

Where the address goes nowhere but into those accesses, every one of them means the block that was allocated
last, however often the allocation is run. When the block is freed does not matter then, nor does its count.
Source: J.-D. Choi et al., "Escape analysis for Java" (OOPSLA 1999).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from coenzyme.analysis.places import constant_offset, size_of
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import (
    Alloca,
    Binary,
    Block,
    Call,
    Cast,
    Compare,
    Function,
    GetElementPtr,
    Instruction,
    Load,
    Module,
    Phi,
    Store,
)
from coenzyme.ir.loops import Loop, LoopForest
from coenzyme.ir.types import I1, I8, I64, PTR, VOID, ArrayType, FunctionType
from coenzyme.ir.values import ConstantInt, ConstantNull, Value
from coenzyme.rules import (
    Allocation,
    BlockKind,
    MemInfoData,
    MemoryRule,
    ReferenceCount,
    Transfer,
    find_memory_rule,
)

__all__ = ["LARGEST", "MOST", "may_promote", "promote_small_blocks"]

LARGEST = 512
"""Bytes of a block at most: beyond, there are too many values for registers."""
MOST = 2048
"""Bytes of all blocks of a function."""

_ALIGNMENT = 16
"""Of a payload for which no other alignment is asked: what ``malloc`` gives."""
_SMALL = re.compile(r"@NRT_MemInfo_alloc\w*\(i64 (?:noundef )?\d")


@dataclass
class _Uses:
    """What is done with a block that nobody else gets to see."""

    accesses: list[tuple[Instruction, int, Value]] = field(
        default_factory=list[tuple[Instruction, int, Value]]
    )
    """Loads, stores and transfers, with the address that each goes through, and its offset."""
    addresses: dict[Instruction, int | None] = field(default_factory=dict[Instruction, "int | None"])
    """What only computes addresses, as pointers or as numbers, with their offsets in the data."""
    counts: list[Instruction] = field(default_factory=list[Instruction])
    tests: dict[Compare, None] = field(default_factory=dict[Compare, None])
    """Whether there was memory left, and comparisons of addresses."""


@dataclass
class _Group:
    """Allocations of which the latest one is meant wherever a block is used.

    Attributes
    ----------
    calls
        The allocations: one, or those that `root` merges.
    root
        The block: what is allocated, or a phi.
    """

    calls: list[Call]
    root: Instruction
    size: int
    align: int


def may_promote(text: str) -> bool:
    """Whether there might be anything to promote in LLVM text."""
    return _SMALL.search(text) is not None


def promote_small_blocks(module: Module) -> bool:
    """Move small blocks of `module` to the stack, in place; return whether there were any.

    Afterwards LLVM has to take them apart.
    """
    changed = False
    for function in list(module.functions.values()):
        left = MOST
        for group in _groups(function):
            uses = _find_uses(group)
            if uses is not None and group.size <= left:
                _promote(module, function, group, uses)
                left -= group.size
                changed = True
    return changed


def _groups(function: Function) -> Iterator[_Group]:
    """Yield the allocations of `function` that may be promoted, as far as they alone can tell."""
    known: dict[Value, tuple[int, int]] = {}
    for instruction in function.instructions():
        found = _size_and_alignment(instruction) if isinstance(instruction, Call) else None
        if found is not None:
            known[instruction] = found
    if not known:
        return
    flow = ControlFlow(function)
    loop_of = LoopForest(function, flow, Dominators(flow)).loop_of
    merged = dict.fromkeys(
        user for call in known for user in call.users if isinstance(user, Phi) and len(user.operands) > 1
    )
    inside: set[Value] = set()
    for phi in merged:
        if all(operand in known for operand in phi.operands) and _is_renewed(phi, loop_of):
            calls = [call for call in dict.fromkeys(phi.operands) if isinstance(call, Call)]
            inside.update(calls)
            yield _Group(calls, phi, max(known[c][0] for c in calls), max(known[c][1] for c in calls))
    for call, (size, align) in known.items():
        if isinstance(call, Call) and call not in inside:
            yield _Group([call], call, size, align)


def _is_renewed(phi: Phi, loop_of: Mapping[Block, Loop | None]) -> bool:
    """Whether what comes into `phi` is allocated anew each time, and comes in nowhere else.

    LLVM turns loops so that the first allocation of an iteration stands at the end of the one before.
    """
    for call, source in phi.pairs:
        assert isinstance(call, Call)
        if call.block is None or loop_of[call.block] is not loop_of[source]:
            return False
        for user in call.users:
            if user is not phi and not isinstance(user, Compare):
                return False
    return True


def _rule_of(call: Call) -> MemoryRule | None:
    callee = call.callee
    if not isinstance(callee, Function) or not callee.is_declaration:
        return None
    return find_memory_rule(callee.name)


def _size_and_alignment(call: Call) -> tuple[int, int] | None:
    """Return what `call` asks for, in bytes, where it allocates a block that may be promoted."""
    rule = _rule_of(call)
    if not isinstance(rule, Allocation) or rule.kind is not BlockKind.MEMINFO or len(rule.size) != 1:
        return None
    if rule.destructor is not None or rule.resizable or rule.zeroed:
        return None
    size = call.operands[rule.size[0]]
    if not isinstance(size, ConstantInt) or not 0 <= size.value <= LARGEST:
        return None
    if rule.alignment is None:
        return size.value, _ALIGNMENT
    asked = call.operands[rule.alignment]
    if not isinstance(asked, ConstantInt) or asked.value < 1 or asked.value & (asked.value - 1):
        return None
    return size.value, asked.value


def _find_uses(group: _Group) -> _Uses | None:
    """Return what is done with a block, or None where that is not all known."""
    found = _Uses()
    for call in group.calls:
        if call is not group.root and not all(
            user is group.root or _use_block(user, found, []) for user in call.users
        ):
            return None
    pending: list[tuple[Value, int | None]] = [(group.root, None)]
    while pending:
        value, offset = pending.pop()
        for user in value.users:
            if offset is None and not _is_copy(user, value):
                if not _use_block(user, found, pending):
                    return None
                continue
            by = _step(user, value)
            if by is not None:
                found.addresses[user] = at = None if offset is None else offset + by
                pending.append((user, at))
            elif isinstance(user, Compare):
                found.tests[user] = None
            elif offset is not None and _stays_inside(user, value, offset, group.size):
                found.accesses.append((user, offset, value))
            else:
                return None
    return found


def _step(user: Instruction, value: Value) -> int | None:
    """Return how far the address that `user` computes lies behind `value`, if that is all it does."""
    match user:
        case GetElementPtr():
            return constant_offset(user) if user.operands[0] is value else None
        case Cast(opcode="ptrtoint") if user.type == I64:
            return 0
        case Binary(opcode="add", operands=[first, ConstantInt() as by]) if first is value:
            return by.value
        case _:
            return 0 if _is_copy(user, value) else None


def _is_copy(user: Instruction, value: Value) -> bool:
    """Whether `user` is but another name of `value`, as what leaves a loop has."""
    return isinstance(user, Phi) and len(user.operands) == 1 and user.operands[0] is value


def _use_block(user: Instruction, found: _Uses, pending: list[tuple[Value, int | None]]) -> bool:
    """Note what `user` does with the address of a block; return whether that is known to be harmless."""
    if isinstance(user, Compare):
        if user.predicate not in ("eq", "ne") or not any(isinstance(o, ConstantNull) for o in user.operands):
            return False
        found.tests[user] = None
        return True
    rule = _rule_of(user) if isinstance(user, Call) else None
    match rule:
        case ReferenceCount():
            if user.type != VOID:
                return False
            found.counts.append(user)
        case MemInfoData():
            found.addresses[user] = 0
            pending.append((user, 0))
        case _:
            return False
    return True


def _answer(test: Compare, addresses: Mapping[Value, int | None]) -> bool:
    """Return what a comparison with an address of the block says.

    Nobody knows where the block would have been; it is as if it were behind all other memory.
    """
    first, second = test.operands
    if first in addresses and second in addresses:
        difference = (addresses[first] or 0) - (addresses[second] or 0)
    else:
        difference = 1 if first in addresses else -1
    match test.predicate:
        case "eq" | "ne":
            return (difference == 0) == (test.predicate == "eq")
        case "ugt" | "sgt":
            return difference > 0
        case "uge" | "sge":
            return difference >= 0
        case "ult" | "slt":
            return difference < 0
        case _:
            return difference <= 0


def _stays_inside(user: Instruction, address: Value, offset: int, size: int) -> bool:
    """Whether `user` does no more than to read or write the bytes of the block at `offset`."""
    match user:
        case Load() | Store() if user.pointer is address and not user.ordering and not user.flags:
            if isinstance(user, Store) and user.value is address:
                return False
            known = size_of(user.value.type if isinstance(user, Store) else user.type)
            return known is not None and 0 <= offset <= size - known[0]
        case Call():
            rule = _rule_of(user)
            if not isinstance(rule, Transfer) or not (user.callee_name or "").startswith("llvm."):
                return False
            length, volatile = user.operands[rule.size], user.operands[3]
            if not isinstance(length, ConstantInt) or not isinstance(volatile, ConstantInt):
                return False
            return not volatile.value and length.value >= 0 and 0 <= offset <= size - length.value
        case _:
            return False


def _promote(module: Module, function: Function, group: _Group, uses: _Uses) -> None:
    size = max(group.size, 1)
    slot = Alloca(ArrayType(size, I8), const_int(I64, 1), f"{group.root.name}.small", group.align)
    Builder(function.entry, 0).insert(slot)
    # What nobody has written is zero: not what an iteration before has left, nor what LLVM likes it to be.
    fill = module.declare("llvm.memset.p0.i64", FunctionType(VOID, (PTR, I8, I64, I1)))
    root, block = group.root, group.root.block
    assert block is not None
    at = Builder(block, len(block.phis)) if isinstance(root, Phi) else Builder.before(root)
    at.call(fill, [slot, const_int(I8, 0), const_int(I64, size), const_int(I1, 0)])
    for access, offset, address in uses.accesses:
        access.replace_operand(address, Builder.before(access).gep(I8, slot, [const_int(I64, offset)]))
    known: dict[Value, int | None] = {**dict.fromkeys((root, *group.calls)), **uses.addresses}
    for test in uses.tests:
        test.replace_all_uses_with(const_int(I1, int(_answer(test, known))))
        test.erase()
    for item in (*uses.counts, *reversed(list(uses.addresses)), root):
        item.erase()
    for call in group.calls:
        if call is not root:
            call.erase()
