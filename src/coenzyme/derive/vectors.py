"""The tangents of several directions as vectors: one operation where there was one for each lane.

The tangent of a number is one vector, or a number in each lane; which of them it is made as depends on the
block (:class:`~coenzyme.derive.interleaving.Interleaving`), and it becomes the other where it is asked for.
What is no number, a structure or the argument of a call, has a tangent in each lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from coenzyme.analysis.objects import called_effect
from coenzyme.derive.emission import (
    ExpressionEmitter,
    emit_partial,
    relaxed_flags,
    rule_of,
    without_indeterminate,
)
from coenzyme.derive.scopes import Side
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.instructions import (
    Block,
    Call,
    Cast,
    ExtractElement,
    Freeze,
    InsertElement,
    Instruction,
    Load,
    Phi,
    Select,
    ShuffleVector,
    Store,
)
from coenzyme.ir.types import F32, F64, I32, Type, VectorType
from coenzyme.ir.values import Constant, ConstantZero, Poison, Value
from coenzyme.rules import Effect

if TYPE_CHECKING:
    from coenzyme.derive.forward import LaneEmitter

__all__ = ["emit_vectors"]


def emit_vectors(lanes: Sequence[LaneEmitter], primal: Mapping[Block, Sequence[Instruction]]) -> None:
    """Emit the tangents of all `lanes`, as vectors where that is what their blocks have."""
    _Emitter(lanes).run(primal)


class _Rules(ExpressionEmitter):
    """Multiplies a vector of tangents by a partial derivative, which is a number."""

    def binary(self, opcode: str, a: Value, b: Value) -> Value:
        if isinstance(a.type, VectorType) and not isinstance(b.type, VectorType):
            b = splat(self.builder, b, a.type)
        return super().binary(opcode, a, b)


def splat(at: Builder, value: Value, type: VectorType) -> Value:
    """Return the vector of `type` all of whose elements are `value`."""
    none = Poison(type)
    first = at.insert(InsertElement("insertelement", type, [none, value, const_int(I32, 0)]))
    every = ConstantZero(VectorType(type.count, I32))
    return at.insert(ShuffleVector("shufflevector", type, [first, none, every]))


class _Emitter:
    def __init__(self, lanes: Sequence[LaneEmitter]) -> None:
        self.lanes = lanes
        first = lanes[0]
        self.activity = first.activity
        self.interleaving = first.shadows.interleaving
        self.context = first.context
        self.scopes = first.scopes
        self.shape = first.shape
        self.vectors: dict[Value, Value] = {}
        self.twins: dict[Phi, Phi] = {}
        """The vectors that are phis themselves; of others a vector may be put together."""
        for lane in lanes:
            lane.elsewhere = self.extract

    def run(self, primal: Mapping[Block, Sequence[Instruction]]) -> None:
        phis: list[Phi] = []
        for block, instructions in primal.items():
            whole = block in self.interleaving.blocks
            for instruction in instructions:
                if isinstance(instruction, Phi):
                    if self.activity.is_active(instruction):
                        phis.append(instruction)
                        self.visit_phi(instruction, whole=whole)
                else:
                    self.visit(instruction, whole=whole)
        for phi in phis:
            for value, block in phi.pairs:
                if phi in self.twins:
                    self.twins[phi].add_incoming(self.vector(value), block)
                    continue
                for lane in self.lanes:
                    _incoming(lane.tangents[phi], lane.tangent(value), block)

    # -- a tangent in either form

    def type_of(self, value: Value) -> VectorType:
        return VectorType(len(self.lanes), value.type)

    def vector(self, value: Value) -> Value:
        """Return the tangents of `value`, a number, in all lanes."""
        if not self.activity.is_active(value):
            return zero(self.type_of(value))
        if value not in self.vectors:
            found = [lane.tangents[value] for lane in self.lanes]
            at = self.after(value, found)
            made: Value = Poison(self.type_of(value))
            for n, item in enumerate(found):
                made = at.insert(InsertElement("insertelement", made.type, [made, item, const_int(I32, n)]))
            self.vectors[value] = made
        return self.vectors[value]

    def extract(self, value: Value, lane: int) -> Value:
        """Return the tangent of `value` in a lane, where it is known as a vector."""
        vector = self.vectors[value]
        if isinstance(vector, Constant):
            return zero(value.type)
        at = self.after(value, [vector])
        return at.insert(ExtractElement("extractelement", value.type, [vector, const_int(I32, lane)]))

    def after(self, value: Value, tangents: Sequence[Value]) -> Builder:
        """Return a builder behind `value` and its `tangents`, which may be those of an operand of it."""
        if not isinstance(value, Instruction):
            return Builder(self.shape.function.entry, 0)
        block = value.block
        assert block is not None
        here = [t for t in (value, *tangents) if isinstance(t, Instruction) and t.block is block]
        last = max(block.instructions.index(t) for t in here)
        return Builder(block, max(last + 1, len(block.phis)))

    # -- one instruction

    def visit_phi(self, phi: Phi, *, whole: bool) -> None:
        block = phi.block
        assert block is not None
        place = block.instructions.index(phi) + 1
        if whole and _is_vectorised(phi.type):
            twin = Phi(self.type_of(phi), (), f"{phi.name}.dot")
            block.insert(place, twin)
            self.vectors[phi] = self.twins[phi] = twin
            return
        for lane in self.lanes:
            twin = Phi(phi.type, (), f"{phi.name}.dot")
            block.insert(place, twin)
            lane.tangents[phi] = twin

    def visit(self, instruction: Instruction, *, whole: bool) -> None:
        match instruction:
            case Store() if self.interleaving.has(instruction.pointer):
                self.visit_store(instruction)
            case Load() if self.interleaving.has(instruction.pointer):
                if self.activity.is_active(instruction):
                    self.visit_load(instruction)
            case Select() | Freeze() if self.is_whole(instruction, whole):
                self.visit_moving(instruction)
            case Cast() if self.is_whole(instruction, whole) and instruction.opcode in ("fpext", "fptrunc"):
                source = self.vector(instruction.operands[0])
                at = self.after(instruction, [])
                self.vectors[instruction] = at.cast(instruction.opcode, source, self.type_of(instruction))
            case _ if self.is_whole(instruction, whole) and self.has_rule(instruction):
                self.visit_rule(instruction)
            case _:
                for lane in self.lanes:
                    # What this inserts must not move the place where the lane has begun to emit.
                    for operand in instruction.operands:
                        if operand.type.is_float:
                            lane.tangent(operand)
                    lane.visit(instruction)

    def is_whole(self, instruction: Instruction, whole: bool) -> bool:
        numbers = [v.type for v in (instruction, *instruction.operands) if v.type.is_float]
        return (
            whole
            and instruction.type.is_float
            and all(_is_vectorised(type) for type in numbers)
            and self.activity.is_active(instruction)
        )

    @staticmethod
    def has_rule(instruction: Instruction) -> bool:
        if isinstance(instruction, Call) and called_effect(instruction) is not Effect.DIFFERENTIABLE:
            return False
        return rule_of(instruction) is not None

    def visit_load(self, load: Load) -> None:
        at = self.after(load, [])
        tangents = at.load(self.type_of(load), self.lanes[0].shadows.of(load.pointer), align=load.align)
        self.scopes.mark(tangents, Side.SHADOW, load.pointer)
        self.vectors[load] = tangents

    def visit_store(self, store: Store) -> None:
        tangents = self.vector(store.value)
        shadow = self.lanes[0].shadows.of(store.pointer)
        new = self.after(store, []).store(tangents, shadow, align=store.align)
        self.scopes.mark(new, Side.SHADOW, store.pointer)

    def visit_moving(self, instruction: Select | Freeze) -> None:
        first = 1 if isinstance(instruction, Select) else 0
        operands = [*instruction.operands[:first], *(self.vector(o) for o in instruction.operands[first:])]
        kind = type(instruction)
        twin = kind(instruction.opcode, self.type_of(instruction), operands, f"{instruction.name}.dot")
        twin.flags = instruction.flags
        self.after(instruction, []).insert(twin)
        self.vectors[instruction] = twin

    def visit_rule(self, instruction: Instruction) -> None:
        rule = rule_of(instruction)
        assert rule is not None
        dots = {
            index: self.vector(instruction.operands[index])
            for index in range(len(rule.expressions))
            if self.activity.is_active(instruction.operands[index])
        }
        at = self.after(instruction, [])
        flags = relaxed_flags(instruction)
        emitter = _Rules(self.context.module, at, instruction.type, flags)
        total: Value | None = None
        for index, dot in dots.items():
            expression = rule.expressions[index]
            if expression is None:
                raise self.context.unsupported(instruction, "an operand that is no real number is active")
            term = emit_partial(emitter, expression, rule, instruction.operands, instruction, dot)
            if term is not None and self.context.doubts(rule, expression, instruction):
                term = without_indeterminate(at, dot, term, zero(dot.type))
            if term is not None:
                total = term if total is None else at.fadd(total, term, flags=flags)
        self.vectors[instruction] = zero(self.type_of(instruction)) if total is None else total


def _is_vectorised(type: Type) -> bool:
    """Whether there are machines with vectors of numbers of `type`; of ``long double`` there is none."""
    return type in (F32, F64)


def _incoming(phi: Value, value: Value, block: Block) -> None:
    assert isinstance(phi, Phi)
    phi.add_incoming(value, block)
