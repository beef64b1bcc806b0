"""What a limit on the tape changes in what is emitted; without one, nothing does.

How tapes with a limit lie in memory: :mod:`coenzyme.derive.limit_text`.
"""

from __future__ import annotations

from coenzyme.analysis.objects import is_error_slot
from coenzyme.derive.context import Context
from coenzyme.derive.safety import payload_size
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import Alloca, Call, Function, Instruction
from coenzyme.ir.types import I32, I64, PTR, VOID, FunctionType
from coenzyme.ir.values import Value

__all__ = ["allocate_record", "free_record", "leave_status", "push_kept"]


def push_kept(
    context: Context, at: Builder, stack: Value, block: Value, allocation: Call | None
) -> Instruction:
    """Emit what holds on to a block, and return whether that succeeded.

    Parameters
    ----------
    allocation
        The call whose size the block has; None for a block that was there before.
    """
    if context.memory_limit is None:
        pushed = at.call(context.require("coenzyme.keep.push"), [stack, block])
    else:
        size = const_int(I64, 0) if allocation is None else payload_size(allocation, at)
        pushed = at.call(context.require("coenzyme.limit.keep"), [stack, block, size])
    assert isinstance(pushed, Instruction)
    return pushed


def leave_status(context: Context, function: Function, at: Builder, status: Status) -> Value:
    """Emit the status to leave with where memory was not granted: `status`, or that of the limit."""
    failure = const_int(I32, int(status))
    if context.memory_limit is None or status is not Status.TAPE_EXHAUSTED:
        return failure
    slots = [argument for argument in function.arguments if is_error_slot(argument)]
    error: Value
    if slots:
        error = slots[0]
    else:
        error = Alloca(PTR, const_int(I32, 1), "nobody.asks")
        function.entry.insert(0, error)
    refusal = const_int(I32, int(Status.TAPE_LIMIT))
    return at.call(context.require("coenzyme.limit.status"), [error, refusal, failure])


def allocate_record(context: Context, at: Builder, size: int) -> Value:
    """Emit the allocation of a record, zeros."""
    if context.memory_limit is None:
        calloc = context.module.declare("calloc", FunctionType(PTR, (I64, I64)))
        return at.call(calloc, [const_int(I64, 1), const_int(I64, size)])
    return at.call(context.require("coenzyme.limit.record"), [const_int(I64, size)])


def free_record(context: Context, at: Builder, record: Value, size: int) -> None:
    """Emit what gives a record back."""
    if context.memory_limit is not None:
        at.call(context.require("coenzyme.limit.give"), [const_int(I64, size)])
    at.call(context.module.declare("free", FunctionType(VOID, (PTR,))), [record])
