"""The adjoint of one instruction: what it does to adjoints and to shadow memory, in reverse.

The adjoint of an SSA value is a stack slot that starts at zero, is added to by the value's users, and is
read and cleared where the value was defined. The adjoint of memory is its shadow.
"""

from __future__ import annotations

from collections.abc import Callable

from coenzyme.analysis.layouts import Layout
from coenzyme.analysis.objects import called_effect, is_growth, is_ruled_call
from coenzyme.derive.accumulations import clears_shadow
from coenzyme.derive.blas import Products, emit_adjoint
from coenzyme.derive.chain_text import ChainText
from coenzyme.derive.context import Context
from coenzyme.derive.emission import (
    ExpressionEmitter,
    emit_partial,
    flags_of_sum,
    known_operands,
    relaxed_flags,
    rule_of,
    without_indeterminate,
)
from coenzyme.derive.gathering import ANY_ORDER, Gathering
from coenzyme.derive.plan import TRANSFERS, ReversePlan
from coenzyme.derive.positions import Position, ReverseValues
from coenzyme.derive.runtime import block_name, field_function
from coenzyme.derive.scopes import Side
from coenzyme.derive.shadows import Shadows, declare_carried, fill_bytes, reach_of
from coenzyme.ir.builder import const_int, zero
from coenzyme.ir.instructions import Call, Cast, Freeze, Instruction, Load, Phi, Select, Store
from coenzyme.ir.types import I8, I64, FloatType, Type
from coenzyme.ir.values import Constant, ConstantNull, Value
from coenzyme.rules import Effect
from coenzyme.rules.carrying import CARRY

__all__ = ["Adjoints"]


class Adjoints:
    """Emits the adjoints of one lane."""

    def __init__(
        self,
        context: Context,
        plan: ReversePlan,
        shadows: Shadows,
        values: ReverseValues,
        make_slot: Callable[[Type, str], Value],
    ) -> None:
        self.context = context
        self.module = context.module
        self.plan = plan
        self.shadows = shadows
        self.values = values
        self.make_slot = make_slot
        self.bars: dict[Value, Value] = {}
        self.nowhere: dict[Type, Value] = {}
        """For each type a slot for what constant memory would receive."""
        self.gathering = Gathering(plan, values, shadows.lane, make_slot, self.shadow_address)
        self.chains = ChainText(plan, values, shadows.lane, make_slot, self.shadow_address)
        self.reverse_call: Callable[[Call, Position], None] | None = None
        self.drop_kept: Callable[[Call, Position], None] | None = None
        self.free_late: Callable[[Call, Position], None] | None = None
        self.drop_copies: Callable[[Call, Position], None] | None = None

    # -- adjoints of SSA values

    def slot(self, value: Value) -> Value:
        """Return the slot of the adjoint of `value`."""
        if value not in self.bars:
            self.bars[value] = self.make_slot(value.type, f"{value.name}.bar")
        return self.bars[value]

    def take(self, value: Value, at: Position) -> Value:
        """Return the adjoint of `value` and clear it."""
        slot = self.slot(value)
        bar = at.builder.load(value.type, slot)
        at.builder.store(self.plan.nothing(value.type), slot)
        return bar

    def add(self, value: Value, amount: Value, at: Position, flags: tuple[str, ...] = ()) -> None:
        """Add `amount` to the adjoint of `value`, where it has one."""
        if isinstance(value, Constant) or not self.plan.activity.is_active(value):
            return
        slot = self.slot(value)
        home = value.block if isinstance(value, Instruction) else None
        if at.loop is not None and (home is None or home not in at.loop.blocks) and self.plan.reorders:
            flags = tuple(dict.fromkeys((*flags, *ANY_ORDER)))
        at.builder.store(at.builder.fadd(at.builder.load(value.type, slot), amount, flags=flags), slot)

    # -- one instruction

    def emit(self, instruction: Instruction, at: Position) -> None:
        """Emit the adjoint of `instruction` at `at`."""
        if instruction in self.plan.mirrored or isinstance(instruction, Phi):
            return
        active = self.plan.activity.is_active(instruction)
        match instruction:
            case Load():
                if active:
                    self._emit_load(instruction, at)
            case Store():
                self._emit_store(instruction, at)
            case Call():
                self._emit_call(instruction, at)
            case _ if not active:
                pass
            case Select():
                self._emit_select(instruction, at)
            case Freeze():
                self.add(instruction.operands[0], self.take(instruction, at), at)
            case Cast() if instruction.opcode in ("fpext", "fptrunc"):
                bar = self.take(instruction, at)
                back = "fptrunc" if instruction.opcode == "fpext" else "fpext"
                source = instruction.operands[0]
                self.add(source, at.builder.cast(back, bar, source.type), at)
            case _:
                self._emit_rule(instruction, at)

    def _emit_load(self, load: Load, at: Position) -> None:
        if not load.type.is_float:
            raise self.context.unsupported(load, f"active data of type {load.type} is loaded")
        bar = self.take(load, at)
        if load in self.plan.accumulations.group_of:
            self.gathering.add(load, bar, at)
            return
        if load in self.plan.chains.of_load:
            self.chains.add(load, bar, at)
            return
        shadow = self.shadow_address(load.pointer, load.type, at)
        old = at.builder.load(load.type, shadow, align=load.align)
        # The address may be the same in every iteration, where LLVM finds that an operand is broadcast.
        flags = ANY_ORDER if at.loop is not None and self.plan.reorders else ()
        flags += flags_of_sum(load)
        new = at.builder.store(at.builder.fadd(old, bar, flags=flags), shadow, align=load.align)
        for access in (old, new):
            self.values.scopes.mark(access, Side.SHADOW, load.pointer, self.shadows.lane)

    def _emit_store(self, store: Store, at: Position) -> None:
        value = store.value
        if not clears_shadow(store, self.plan.activity, self.plan.contents):
            return
        if not (value.type.is_float or value.type.is_int):
            raise self.context.unsupported(store, f"active data of type {value.type} is stored")
        shadow = self.shadow_address(store.pointer, value.type, at)
        if self.plan.activity.is_active(value):
            bar = at.builder.load(value.type, shadow, align=store.align)
            self.values.scopes.mark(bar, Side.SHADOW, store.pointer, self.shadows.lane)
            if store in self.plan.chains.of_store:
                bar = self.chains.take(store, bar, at)
            self.add(value, bar, at)
        nothing = self.plan.nothing if store in self.plan.accumulations.renewed else zero
        cleared = at.builder.store(nothing(value.type), shadow, align=store.align)
        self.values.scopes.mark(cleared, Side.SHADOW, store.pointer, self.shadows.lane)

    def shadow_address(self, pointer: Value, type: Type, at: Position) -> Value:
        """Return the address of the shadow behind `pointer`, or of a slot of no account where it has none."""
        shadow = self.values.get(self.shadows.of(pointer), at)
        if not self.plan.activity.is_partial(pointer):
            return shadow
        if type not in self.nowhere:
            self.nowhere[type] = self.make_slot(type, "nowhere")
        absent = at.builder.icmp("eq", shadow, ConstantNull())
        return at.builder.select(absent, self.nowhere[type], shadow)

    def _emit_select(self, select: Select, at: Position) -> None:
        bar = self.take(select, at)
        condition, first, second = select.operands
        chosen = self.values.get(condition, at)
        nothing = self.plan.nothing(select.type)
        if self.plan.activity.is_active(first):
            self.add(first, at.builder.select(chosen, bar, nothing), at)
        if self.plan.activity.is_active(second):
            self.add(second, at.builder.select(chosen, nothing, bar), at)

    def _emit_rule(self, instruction: Instruction, at: Position) -> None:
        rule = rule_of(instruction)
        if rule is None:
            raise self.context.missing_rule(instruction)
        bar = self.take(instruction, at)
        flags = relaxed_flags(instruction)
        emitter = ExpressionEmitter(self.module, at.builder, instruction.type, flags)
        activity = self.plan.activity
        active = [i for i in range(len(rule.operands)) if activity.is_active(instruction.operands[i])]
        names = rule.names_read(active)
        operands = [
            self.values.get(instruction.operands[i], at) if name in names else None
            for i, name in enumerate(rule.operands)
        ]
        result = self.values.get(instruction, at) if "r" in names else None
        known = known_operands(rule, instruction)
        for index in active:
            expression = rule.expressions[index]
            if expression is None:
                raise self.context.unsupported(instruction, "an operand that is no real number is active")
            amount = emit_partial(emitter, expression, rule, operands, result, bar)
            if amount is not None:
                doubted = self.context.strong_zero or instruction in self.plan.guarded
                doubted = doubted or rule.has_pole or expression.may_be_infinite
                if doubted and not expression.is_bounded(known):
                    nothing = self.plan.nothing(instruction.type)
                    again = self.context.is_differentiated_again
                    amount = without_indeterminate(at.builder, bar, amount, nothing, again=again)
                self.add(instruction.operands[index], amount, at, flags)

    # -- calls

    def _emit_call(self, call: Call, at: Position) -> None:
        if (
            self.reverse_call is not None
            and call in self.plan.required
            and called_effect(call) is Effect.UNKNOWN
        ):
            self.reverse_call(call, at)
            return
        effect = called_effect(call)
        if effect is Effect.DIFFERENTIABLE:
            if self.plan.activity.is_active(call):
                self._emit_rule(call, at)
        elif effect in TRANSFERS:
            if self.plan.activity.has_shadow(call.operands[0]):
                self._emit_transfer(call, effect, at)
        elif effect is Effect.ALLOCATION:
            if call in self.plan.late.calls and self.free_late is not None:
                self.free_late(call, at)
            if call in self.plan.kept and self.drop_kept is not None:
                self.drop_kept(call, at)
        elif effect is Effect.BLAS:
            self._emit_product(call, at)
        elif effect in (Effect.UNKNOWN, Effect.LAPACK, Effect.REALLOCATION) and not (
            is_ruled_call(call) or is_growth(call)
        ):
            self._refuse_if_active(call)

    def _emit_product(self, call: Call, at: Position) -> None:
        plan = self.plan
        emit_adjoint(
            self.context,
            call,
            Products(plan.activity, self.shadows, plan.copies),
            at.builder,
            get=lambda value: self.values.get(value, at),
            make_slot=lambda type: self.make_slot(type, "product"),
        )
        if self.drop_copies is not None:
            self.drop_copies(call, at)

    def _emit_transfer(self, call: Call, effect: Effect, at: Position) -> None:
        content = self.plan.contents.behind(call.operands[0])
        floats = content.floats
        if not floats:
            return
        layout = Layout.attached_to(call)
        if layout is not None and (content.only_float is None or layout.only_type != content.only_float):
            self._emit_fields(call, effect, layout, at)
            return
        if len(floats) > 1:
            raise self.context.unsupported(call, "a block with floats of several types is moved")
        type: FloatType = next(iter(floats))
        target = self.values.get(self.shadows.of(call.operands[0]), at)
        size = self.values.get(call.operands[2], at)
        if effect is Effect.MEMSET or not self.plan.activity.has_shadow(call.operands[1]):
            fill_bytes(self.module, at.builder, target, const_int(I8, 0), size)
            return
        source = self.values.get(self.shadows.of(call.operands[1]), at)
        size = self._carried(call, source, size, at)
        kind = "copy" if effect is Effect.MEMCPY else "move"
        at.builder.call(self.context.require(block_name(kind, type)), [target, source, size])

    def _emit_fields(self, call: Call, effect: Effect, layout: Layout, at: Position) -> None:
        """Take back the move of a block in which floats and other data lie side by side."""
        target = self.values.get(self.shadows.of(call.operands[0]), at)
        size = self.values.get(call.operands[2], at)
        cleared = effect is Effect.MEMSET or not self.plan.activity.has_shadow(call.operands[1])
        source = target if cleared else self.values.get(self.shadows.of(call.operands[1]), at)
        if not cleared:
            size = self._carried(call, source, size, at)
        for offset, type in layout.fields:
            if isinstance(type, FloatType):
                ends = [at.builder.gep(I8, end, [offset]) for end in (target, source)]
                function = self.context.require(field_function("clear" if cleared else "adjoint", type))
                reach = reach_of(at.builder, size, offset, type.size, layout.step)
                at.builder.call(function, [*ends, reach, const_int(I64, layout.step)])

    def _carried(self, call: Call, source: Value, size: Value, at: Position) -> Value:
        """Return how many bytes of its source a transfer of `size` bytes at most moves."""
        if call.callee_name != CARRY:
            return size
        return at.builder.call(declare_carried(self.module), [source, size])

    def _refuse_if_active(self, call: Call) -> None:
        activity = self.plan.activity
        if activity.is_active(call) or any(
            activity.is_active(a) or (a.type.is_pointer and activity.has_shadow(a)) for a in call.arguments
        ):
            raise self.context.missing_rule(call)
