"""The forward sweep: tangents computed beside the primal, in the same control flow.

Source: Griewank & Walther, "Evaluating Derivatives" (2008), ch. 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.content import carries_floats
from coenzyme.analysis.objects import called_effect, is_growth, is_internal_call, is_ruled_call
from coenzyme.analysis.overwritten import Aliasing
from coenzyme.derive.blas import Products, emit_tangent
from coenzyme.derive.context import Context
from coenzyme.derive.emission import (
    ExpressionEmitter,
    emit_partial,
    relaxed_flags,
    rule_of,
    without_indeterminate,
)
from coenzyme.derive.growth import keep_payloads
from coenzyme.derive.normalise import Shape
from coenzyme.derive.refused import refuse_variable_arguments
from coenzyme.derive.safety import Guard, guard
from coenzyme.derive.scopes import Scopes, Side
from coenzyme.derive.shadows import Shadows
from coenzyme.derive.vectors import emit_vectors
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import (
    Alloca,
    Block,
    Call,
    Cast,
    ExtractValue,
    Freeze,
    InsertValue,
    Instruction,
    Load,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.types import I32, VOID, Type
from coenzyme.ir.values import Argument, ConstantNull, Value
from coenzyme.rules import Effect

__all__ = ["emit_forward"]

ForwardCall = Callable[[Call, Sequence[Callable[[Value], Value]]], None]
"""Takes a call and, for each lane, what gives the tangents of its arguments."""


def emit_forward(
    context: Context,
    shape: Shape,
    activity: Activity,
    lanes: Sequence[Shadows],
    tangents: Sequence[Mapping[Argument, Value]],
    aliasing: Aliasing,
    forward_call: ForwardCall | None = None,
) -> None:
    """Add the tangents to an augmented primal, in place.

    Parameters
    ----------
    lanes
        The shadows of each direction.
    tangents
        The tangents of scalar parameters, in each lane.
    forward_call
        Replaces a call of a function kept out of line by a call of its forward derivative.
    """
    scopes = Scopes(context.module, activity.objects, arguments_disjoint=aliasing.arguments_disjoint)
    scopes.mark_primal(shape.function.instructions())
    primal = {
        block: [i for i in block.instructions if i not in lanes[0].mirrored] for block in shape.exits.live
    }
    # What the lanes have in common, the primal and the partials, LLVM computes once.
    emitters = [
        LaneEmitter(context, shape, activity, shadows, dots, scopes)
        for shadows, dots in zip(lanes, tangents, strict=True)
    ]
    if lanes[0].interleaving.blocks or lanes[0].interleaving.interleaved:
        emit_vectors(emitters, primal)
    else:
        for emitter in emitters:
            emitter.run(primal)
    calls: dict[Call, None] = {}
    for emitter in emitters:
        calls.update(dict.fromkeys(emitter.calls))
    for call in calls:
        if forward_call is None:
            raise context.missing_rule(call)
        forward_call(call, [emitter.tangent for emitter in emitters])
    _check_allocations(context, shape, lanes)
    scopes.attach()


class LaneEmitter:
    """Emits the tangents of one lane."""

    def __init__(
        self,
        context: Context,
        shape: Shape,
        activity: Activity,
        shadows: Shadows,
        tangents: Mapping[Argument, Value],
        scopes: Scopes,
    ) -> None:
        self.scopes = scopes
        self.nothing: dict[Type, Value] = {}
        """For each type a slot that holds zero, the tangent of constant memory."""
        self.context = context
        self.module = context.module
        self.shape = shape
        self.activity = activity
        self.shadows = shadows
        self.tangents: dict[Value, Value] = {**tangents}
        self.elsewhere: Callable[[Value, int], Value] | None = None
        """Gives the tangent of a value in a lane that is not among `tangents`."""
        self.calls: list[Call] = []
        """Calls of functions kept out of line, whose derivatives do the work of all lanes."""

    def run(self, primal: Mapping[Block, Sequence[Instruction]]) -> None:
        phis: list[Phi] = []
        for block, instructions in primal.items():
            for instruction in instructions:
                if isinstance(instruction, Phi):
                    if self.activity.is_active(instruction):
                        twin = Phi(instruction.type, (), f"{instruction.name}.dot")
                        block.insert(block.instructions.index(instruction) + 1, twin)
                        self.tangents[instruction] = twin
                        phis.append(instruction)
                else:
                    self.visit(instruction)
        for phi in phis:
            twin = self.tangents[phi]
            assert isinstance(twin, Phi)
            for value, block in phi.pairs:
                twin.add_incoming(self.tangent(value), block)

    def tangent(self, value: Value) -> Value:
        """Return the tangent of `value`: zero where it is inactive."""
        if not self.activity.is_active(value):
            return zero(value.type)
        if value not in self.tangents and self.elsewhere is not None:
            self.tangents[value] = self.elsewhere(value, self.shadows.lane)
        return self.tangents[value]

    def after(self, instruction: Instruction) -> Builder:
        block = instruction.block
        assert block is not None
        return Builder(block, block.instructions.index(instruction) + 1)

    def visit(self, instruction: Instruction) -> None:
        match instruction:
            case Store():
                self.visit_store(instruction)
                return
            case Call():
                self.visit_call(instruction)
                return
            case _ if not self.activity.is_active(instruction):
                return
            case Load():
                pointer, at = self.shadow_address(instruction)
                tangent = at.load(instruction.type, pointer, align=instruction.align)
                self.scopes.mark(tangent, Side.SHADOW, instruction.pointer, self.shadows.lane)
                self.tangents[instruction] = tangent
            case Select() | Freeze() | ExtractValue() | InsertValue():
                self.visit_moving(instruction)
            case Cast() if instruction.opcode in ("fpext", "fptrunc"):
                at = self.after(instruction)
                source = self.tangent(instruction.operands[0])
                self.tangents[instruction] = at.cast(instruction.opcode, source, instruction.type)
            case _:
                self.visit_rule(instruction)

    def shadow_address(self, load: Load) -> tuple[Value, Builder]:
        """Return the address of the shadow of what is loaded, or of a zero, and where to go on."""
        shadow = self.shadows.of(load.pointer)
        if not self.activity.is_partial(load.pointer):
            return shadow, self.after(load)
        if load.type not in self.nothing:
            entry = self.shape.function.entry
            slot = Alloca(load.type, const_int(I32, 1), "nothing")
            entry.insert(0, slot)
            Builder(entry, 1).store(zero(load.type), slot)
            self.nothing[load.type] = slot
        at = self.after(load)
        absent = at.icmp("eq", shadow, ConstantNull())
        return at.select(absent, self.nothing[load.type], shadow), at

    def visit_moving(self, instruction: Instruction) -> None:
        """Move the tangents as the operation moves its operands."""
        twin = clone_instruction(instruction, {})
        twin.name = f"{instruction.name}.dot"
        first = 1 if isinstance(instruction, Select) else 0
        for index in range(first, len(instruction.operands)):
            twin.set_operand(index, self.tangent(instruction.operands[index]))
        self.after(instruction).insert(twin)
        self.tangents[instruction] = twin

    def visit_store(self, store: Store) -> None:
        if carries_floats(store.value.type) and self.activity.has_shadow(store.pointer):
            at = self.after(store)
            if self.activity.is_partial(store.pointer):
                raise self.context.partial(store, self.activity.unshadowed(store.pointer))
            shadow = self.shadows.of(store.pointer)
            new = at.store(self.tangent(store.value), shadow, align=store.align)
            self.scopes.mark(new, Side.SHADOW, store.pointer, self.shadows.lane)

    def visit_rule(self, instruction: Instruction) -> None:
        rule = rule_of(instruction)
        if rule is None:
            raise self.context.missing_rule(instruction)
        at = self.after(instruction)
        flags = relaxed_flags(instruction)
        emitter = ExpressionEmitter(self.module, at, instruction.type, flags)
        total: Value | None = None
        for index, expression in enumerate(rule.expressions):
            operand = instruction.operands[index]
            if not self.activity.is_active(operand):
                continue
            if expression is None:
                raise self.context.unsupported(instruction, "an operand that is no real number is active")
            dot = self.tangent(operand)
            term = emit_partial(emitter, expression, rule, instruction.operands, instruction, dot)
            if term is not None and self.context.doubts(rule, expression, instruction):
                term = without_indeterminate(at, dot, term, zero(dot.type))
            if term is not None:
                total = term if total is None else at.fadd(total, term, flags=flags)
        self.tangents[instruction] = zero(instruction.type) if total is None else total

    def visit_call(self, call: Call) -> None:
        effect = called_effect(call)
        involved = self.activity.is_active(call) or any(
            self.activity.is_active(a) or (a.type.is_pointer and self.activity.has_shadow(a))
            for a in call.arguments
        )
        if not involved:
            return
        if effect is Effect.DIFFERENTIABLE:
            if self.activity.is_active(call):
                self.visit_rule(call)
        elif effect is Effect.BLAS:
            emit_tangent(self.context, call, Products(self.activity, self.shadows), self.after(call))
        elif effect in (Effect.UNKNOWN, Effect.LAPACK, Effect.REALLOCATION):
            if is_growth(call):
                return
            if is_ruled_call(call) and not self.activity.has_shadow(call.arguments[0]):
                return
            if is_internal_call(call):
                refuse_variable_arguments(self.context, call)
                self.calls.append(call)
                return
            raise self.context.missing_rule(call)


def _check_allocations(context: Context, shape: Shape, lanes: Sequence[Shadows]) -> None:
    """Leave where memory for a shadow is not granted."""
    keep_payloads(context, shape.exits.live)
    if not lanes[0].allocations and not lanes[0].growths:
        return
    function = shape.function
    status = Alloca(I32, const_int(I32, 1), "status")
    function.entry.insert(0, status)
    abandon = Block("abandon")
    function.add_block(abandon)
    at = Builder(abandon)
    code = at.load(I32, status)
    if function.function_type.result == VOID:
        at.ret()
    else:
        at.ret(code)
    guards: list[Guard] = []
    for shadows in lanes:
        guards += [Guard(twin, Status.TAPE_EXHAUSTED, clear=twin) for twin in shadows.allocations.values()]
        guards += [Guard(twin, Status.TAPE_EXHAUSTED) for twin in shadows.growths]
    guard(context.module, function, guards, abandon)
