"""Cut a combined reverse function in two: the augmented primal, and the reverse sweep that runs later.

The halves of a combined function talk to each other through stack slots only. Here those slots move into a
*record* on the heap, which the first half fills and hands out, and the second half empties and frees:
``augmented(primal…, shadows…, ptr where)`` stores the record's address at `where` when it succeeds;
``reverse(primal…, shadows or outputs…, ptr record)`` runs the sweep once; ``discard(ptr record)`` frees a
record whose sweep is not run.
"""

from __future__ import annotations

from dataclasses import dataclass

from coenzyme.derive.context import Context
from coenzyme.derive.limit import allocate_record, free_record, leave_status
from coenzyme.derive.runtime import DESTROY, RECORD_HEADER, require
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int, neutral
from coenzyme.ir.cfg import split_block
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import (
    Alloca,
    Block,
    Call,
    Cast,
    Freeze,
    Function,
    GetElementPtr,
    Instruction,
    Module,
    Phi,
    Select,
    Store,
    Unreachable,
)
from coenzyme.ir.types import (
    I8,
    I32,
    I64,
    PTR,
    VOID,
    ArrayType,
    FloatType,
    FunctionType,
    IntType,
    StructType,
    Type,
)
from coenzyme.ir.values import Argument, ConstantInt, ConstantNull, Value

__all__ = ["Halves", "SplitFunctions", "byte_size", "declare_halves", "split_function"]


@dataclass(frozen=True)
class Halves:
    """What the emission of a combined function knows that splitting needs.

    Attributes
    ----------
    slots
        Stack slots that the emission made, in order.
    shared
        Those by which the forward half speaks to the reverse half.
    locals
        Stack memory of the primal (and its shadow) that the reverse sweep reads again.
    outputs
        The parameters through which adjoints of scalars leave.
    returns
        The blocks of the reverse half that the forward half continues in.
    reverse_blocks
        The blocks of the reverse half.
    finish
        That of them which gives everything back.
    failed
        The one that does so where memory was not granted, if there is one.
    abandon
        The block of the forward half that gives everything back after an error.
    """

    slots: list[Alloca]
    shared: frozenset[Value]
    locals: list[Alloca]
    outputs: frozenset[Value]
    returns: list[Block]
    reverse_blocks: list[Block]
    finish: Block
    failed: Block | None
    abandon: Block
    status: Alloca


@dataclass(frozen=True)
class SplitFunctions:
    """The functions that a combined function is cut into."""

    augmented: Function
    reverse: Function
    discard: Function


def declare_halves(module: Module, combined: Function, halves: Halves, name: str) -> SplitFunctions:
    """Return functions, so far without bodies, for the two halves of `combined`, and to discard a record.

    The augmented primal may be told what `combined` is told of its pointers. The reverse sweep may not: it
    also follows pointers that the record holds.
    """
    first = [a for a in combined.arguments if a not in halves.outputs]

    def declare(half: str, parameters: list[Argument], last: str, result: Type) -> Function:
        arguments = [Argument(a.type, a.name, i, a.attributes) for i, a in enumerate(parameters)]
        arguments.append(Argument(PTR, last, len(arguments)))
        kind = FunctionType(result, tuple(a.type for a in arguments))
        function = Function(f"{name}.{half}", kind, arguments, "", "nounwind")
        function.add_block(Block("pending")).append(Unreachable())
        return module.add_function(function)

    augmented = declare("augmented", first, "where", I32)
    reverse = declare("reverse", list(combined.arguments), "record", combined.function_type.result)
    for argument in augmented.arguments:
        # The record keeps addresses.
        argument.attributes = "noalias" if "noalias" in argument.attributes else ""
    for argument in reverse.arguments:
        argument.attributes = ""
    return SplitFunctions(augmented, reverse, declare("discard", [], "record", VOID))


_ALIGNMENT, _HALF_ALIGNMENT = 16, 8
"""How records are aligned, as what is allocated is; most of what is in them asks for no more than half."""


def byte_size(type: Type) -> int:
    """Return an upper bound of the bytes a value of `type` takes, rounded up to 8."""
    match type:
        case IntType():
            return 8 * -(-type.width // 64)
        case FloatType():
            return 8 if type.name in ("double", "float", "half", "bfloat") else 16
        case StructType():
            return sum(byte_size(e) for e in type.elements)
        case ArrayType():
            return type.count * byte_size(type.element)
        case _:
            return 8


def split_function(
    context: Context,
    combined: Function,
    halves: Halves,
    augmented: Function,
    reverse: Function,
    discard: Function | None = None,
) -> None:
    """Give `augmented` and `reverse`, so far without bodies, the two halves of `combined`.

    Parameters
    ----------
    augmented
        Its parameters are those of `combined`, then the address where the record is to be stored.
    reverse
        Its parameters are those of `combined`, then the record.
    discard
        Its parameter is the record, which it frees with all that hangs on it.
    """
    splitter = _Splitter(context, combined, halves, augmented, reverse)
    if discard is not None:
        splitter.make_discard(discard)
    splitter.run()


class _Splitter:
    def __init__(
        self, context: Context, combined: Function, halves: Halves, augmented: Function, reverse: Function
    ) -> None:
        self.context = context
        self.module = context.module
        self.combined = combined
        self.halves = halves
        self.augmented = augmented
        self.reverse = reverse
        self.offsets: dict[Alloca, int] = {}
        self.size = RECORD_HEADER
        for slot in halves.slots:
            if slot in halves.shared:
                self._place(slot, slot.allocated_type)
        self.locals = [*halves.locals, *_find_wandering(combined, {*halves.slots, *halves.locals})]
        for local in self.locals:
            self._place(local, local.allocated_type, local.operands[0])

    def run(self) -> None:
        self._make_reverse()
        self._make_augmented()

    def _place(self, slot: Alloca, type: Type, count: Value | None = None) -> None:
        times = count.value if isinstance(count, ConstantInt) else 1
        if slot.align > _HALF_ALIGNMENT:
            self.size = -(-self.size // _ALIGNMENT) * _ALIGNMENT
        self.offsets[slot] = self.size
        self.size += byte_size(type) * times

    def make_discard(self, function: Function) -> None:
        """Make the function that gives a record back unused: what the first half does after an error."""
        function.blocks.clear()
        record = function.arguments[0]
        at = Builder(function.add_block(Block("entry")))
        mapping: dict[Value, Value] = {}
        for slot in self.offsets:
            if slot in self.locals:
                continue
            twin = at.alloca(slot.allocated_type, 1, name=slot.name)
            source = at.gep(I8, record, [const_int(I64, self.offsets[slot])])
            at.store(at.load(slot.allocated_type, source, align=8), twin)
            mapping[slot] = twin
        for instruction in self.halves.abandon.instructions:
            if isinstance(instruction, Call):
                twin = at.insert(clone_instruction(instruction, mapping))
                name = instruction.callee_name or ""
                if name.endswith(DESTROY):
                    # Here the shadow of the result is in other hands.
                    counted = require(self.module, name.replace(DESTROY, "NRT_decref"))
                    twin.set_operand(len(twin.operands) - 1, counted)
        free_record(self.context, at, record, self.size)
        at.ret()

    # -- the second half

    def _make_reverse(self) -> None:
        function = self.reverse
        for block in self.halves.reverse_blocks:
            self.combined.blocks.remove(block)
        function.blocks.clear()
        entry = function.add_block(Block("entry"))
        for block in self.halves.reverse_blocks:
            function.add_block(block)
        record = function.arguments[-1]
        at = Builder(entry)
        mapping: dict[Value, Value] = dict(zip(self.combined.arguments, function.arguments[:-1], strict=True))
        for slot in [*self.halves.slots, self.halves.status]:
            if slot in mapping:
                continue
            twin = at.alloca(slot.allocated_type, 1, name=slot.name)
            mapping[slot] = twin
            if slot in self.offsets:
                source = at.gep(I8, record, [const_int(I64, self.offsets[slot])])
                at.store(at.load(slot.allocated_type, source, align=8), twin)
            else:
                at.store(neutral(slot.allocated_type), twin)
        for block in self.halves.reverse_blocks:
            for instruction in block.instructions:
                for operand in list(instruction.operands):
                    if operand in mapping:
                        instruction.replace_operand(operand, mapping[operand])
        number = at.load(I64, record, align=8)
        targets = self.halves.returns
        at.switch(number, targets[0], [(const_int(I64, i), t) for i, t in enumerate(targets)][1:])
        for end in (self.halves.finish, self.halves.failed):
            if end is not None:
                free_record(self.context, Builder.before(end.terminator), record, self.size)

    # -- the first half

    def _make_augmented(self) -> None:
        function = self.augmented
        function.blocks.clear()
        for block in self.combined.blocks:
            function.add_block(block)
        # An output for an adjoint is no parameter of this half, which does not write it.
        remaining = [a for a in self.combined.arguments if a not in self.halves.outputs]
        for old, new in zip(remaining, function.arguments[:-1], strict=True):
            old.replace_all_uses_with(new)
        record = self._allocate_record(function)
        for local in self.locals:
            self._move_local(local, record)
        forward_blocks = list(function.blocks)
        for number, target in enumerate(self.halves.returns):
            out = function.add_block(Block(f"hand.out.{number}"))
            for block in forward_blocks:
                block.terminator.replace_target(target, out)
            self._hand_out(Builder(out), number, record)
        release = Builder.before(self.halves.abandon.terminator)
        free_record(self.context, release, record, self.size)

    def _allocate_record(self, function: Function) -> Instruction:
        """Allocate the record first of all; without it, nothing is done."""
        entry = function.entry
        at = Builder(entry, 0)
        record = allocate_record(self.context, at, self.size)
        assert isinstance(record, Instruction)
        split_block(function, record)
        failed = function.add_block(Block("no.record"))
        rest = function.blocks[function.blocks.index(entry) + 1]
        end = Builder(entry)
        end.cond_branch(end.icmp("eq", record, ConstantNull()), failed, rest)
        out = Builder(failed)
        out.ret(leave_status(self.context, function, out, Status.TAPE_EXHAUSTED))
        # Static stack memory belongs into the entry block.
        for instruction in list(rest.instructions):
            if isinstance(instruction, Alloca):
                rest.instructions.remove(instruction)
                entry.insert(0, instruction)
        return record

    def _move_local(self, local: Alloca, record: Value) -> None:
        block = local.block
        assert block is not None
        address = Builder(block, block.instructions.index(local) + 1).gep(
            I8, ConstantNull(), [const_int(I64, self.offsets[local])], name=f"{local.name}.kept"
        )
        assert isinstance(address, Instruction)
        # The allocation of the record comes later in the entry than its stack memory does.
        block.instructions.remove(address)
        record_block = record.block if isinstance(record, Instruction) else None
        assert record_block is not None
        record_block.insert(record_block.instructions.index(record) + 1, address)  # type: ignore[arg-type]
        address.set_operand(0, record)
        local.replace_all_uses_with(address)
        local.erase()

    def _hand_out(self, at: Builder, number: int, record: Value) -> None:
        at.store(const_int(I64, number), record, align=8)
        for slot, offset in self.offsets.items():
            if slot in self.locals:
                continue
            target = at.gep(I8, record, [const_int(I64, offset)])
            at.store(at.load(slot.allocated_type, slot), target, align=8)
        at.store(record, self.augmented.arguments[-1])
        at.ret(at.load(I32, self.halves.status))


def _find_wandering(combined: Function, known: set[Alloca]) -> list[Alloca]:
    """Return the stack memory whose address, or one computed from it, is stored: the record may hold it."""
    found: list[Alloca] = []
    for instruction in combined.entry.instructions:
        if not isinstance(instruction, Alloca) or instruction in known:
            continue
        derived: set[Value] = {instruction}
        pending: list[Value] = [instruction]
        while pending:
            value = pending.pop()
            if any(isinstance(user, Store) and user.value is value for user in value.users):
                found.append(instruction)
                break
            for user in value.users:
                if isinstance(user, GetElementPtr | Cast | Freeze | Phi | Select) and user not in derived:
                    derived.add(user)
                    pending.append(user)
    return found
