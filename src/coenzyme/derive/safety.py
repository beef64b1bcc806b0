"""Checks for memory that was not granted, inserted when nothing else looks at the control flow any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.cfg import split_block
from coenzyme.ir.instructions import Alloca, Block, Call, Function, Instruction, Module
from coenzyme.ir.types import I1, I8, I32, I64, PTR, VOID, FunctionType
from coenzyme.ir.values import ConstantNull, Value
from coenzyme.rules import Allocation, BlockKind, find_memory_rule

__all__ = ["Guard", "clear_payload", "guard", "payload_size"]


@dataclass(frozen=True)
class Guard:
    """Leave with `status` where `value` is null or false; else clear the payload that was allocated.

    `clear` is the primal's allocating call, whose size the block `value` has too.
    """

    value: Instruction
    status: Status
    clear: Call | None = None


def guard(
    module: Module,
    function: Function,
    guards: list[Guard],
    abandon: Block,
    leave: Callable[[Builder, Status], Value] = lambda _, status: const_int(I32, int(status)),
) -> None:
    """Insert the checks.

    Parameters
    ----------
    abandon
        The block that gives back what was taken and returns the status found in the slot ``status``.
    leave
        Emits the status to leave with, for that of a guard.
    """
    slot = next(i for i in function.entry.instructions if isinstance(i, Alloca) and i.name == "status")
    for item in guards:
        block = item.value.block
        assert block is not None
        rest = split_block(function, item.value)
        failed = Block(f"{block.name}.no.memory")
        function.add_block(failed)
        out = Builder(failed)
        out.store(leave(out, item.status), slot)
        out.branch(abandon)
        at = Builder(block)
        if item.value.type == I1:
            at.cond_branch(item.value, rest, failed)
        else:
            at.cond_branch(at.icmp("eq", item.value, ConstantNull()), failed, rest)
        if item.clear is not None:
            clear_payload(module, item.value, item.clear, Builder(rest, 0))


def clear_payload(module: Module, block: Instruction, call: Call, at: Builder) -> None:
    """Zero the payload of the newly allocated `block`, which is as large as what `call` asked for."""
    rule = find_memory_rule(call.callee_name or "")
    assert isinstance(rule, Allocation)
    size = payload_size(call, at)
    payload: Value = block
    if rule.kind is BlockKind.MEMINFO:
        getter = module.declare("NRT_MemInfo_data_fast", FunctionType(PTR, (PTR,)))
        payload = at.call(getter, [block])
    setter = module.declare("llvm.memset.p0.i64", FunctionType(VOID, (PTR, I8, I64, I1)))
    at.call(setter, [payload, const_int(I8, 0), size, const_int(I1, 0)])


def payload_size(call: Call, at: Builder) -> Value:
    """Return how many bytes an allocating `call` asked for, whose operands are defined where `at` emits."""
    rule = find_memory_rule(call.callee_name or "")
    assert isinstance(rule, Allocation)
    size = call.operands[rule.size[0]]
    for index in rule.size[1:]:
        size = at.mul(size, call.operands[index])
    return size
