"""Lowering of rule expressions to instructions, and the small pieces of IR that every sweep uses."""

from __future__ import annotations

from collections.abc import Sequence

from coenzyme.errors import MissingRuleError
from coenzyme.ir.builder import Builder, const_float, const_int, zero
from coenzyme.ir.instructions import Call, Instruction, Load, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.types import F32, F64, I1, I32, PTR, FloatType, FunctionType, IntType, PointerType, Type
from coenzyme.ir.values import ConstantFloat, Value
from coenzyme.rules import FLOAT_TYPES, Rule, find_call_rule, find_rule, lower, symbol_for
from coenzyme.rules.expression import Expression
from coenzyme.rules.table import RECIPROCALS

__all__ = [
    "ExpressionEmitter",
    "emit_partial",
    "flags_of_sum",
    "known_operands",
    "relaxed_flags",
    "rule_of",
    "type_named",
    "type_spelled",
    "without_indeterminate",
]

_TYPES: dict[str, Type] = {
    "double": F64,
    "float": F32,
    "i32": I32,
    "i1": I1,
    "ptr": PTR,
}
_PURE = "nounwind willreturn memory(none)"


def type_named(text: str) -> Type:
    """Return the scalar type that LLVM writes as `text`."""
    if text in _TYPES:
        return _TYPES[text]
    if text.startswith("i") and text[1:].isdigit():
        return IntType(int(text[1:]))
    if text == "ptr":
        return PointerType()
    return FloatType(text)


def type_spelled(text: str) -> Type:
    """Return the type, of any kind, that LLVM spells as `text`."""
    return parse_module(f"declare {text} @probe()\n").functions["probe"].function_type.result


def rule_of(instruction: Instruction) -> Rule | None:
    """Return the row for the operation `instruction` performs, if there is one."""
    if isinstance(instruction, Call):
        found = find_call_rule(instruction.callee_name or "")
    elif instruction.opcode == "fdiv" and (reciprocal := _reciprocal(instruction.operands[0])) is not None:
        return reciprocal
    else:
        found = find_rule(instruction.opcode)
    return None if found is None else found[0]


def _reciprocal(numerator: Value) -> Rule | None:
    if not isinstance(numerator, ConstantFloat) or str(numerator.type) not in FLOAT_TYPES:
        return None
    return RECIPROCALS.get(numerator.value)


_RELAXED = ("reassoc", "nsz", "arcp", "contract", "afn")


def relaxed_flags(instruction: Instruction) -> tuple[str, ...]:
    """Return the fast-math flags of `instruction` that its derivative may have.

    ``nnan`` and ``ninf`` speak of the primal's values and do not carry over. ``llvm.fmuladd`` may be rounded
    once or twice, as its derivative then may.
    """
    if "fast" in instruction.flags:
        return _RELAXED
    found = tuple(f for f in instruction.flags if f in _RELAXED)
    if isinstance(instruction, Call) and (instruction.callee_name or "").startswith("llvm.fmuladd."):
        found = tuple(dict.fromkeys((*found, "contract")))
    return found


def known_operands(rule: Rule, instruction: Instruction) -> dict[str, float]:
    """Return the values of the operands that are constants, by their names in the row."""
    return {
        name: operand.value
        for name, operand in zip(rule.operands, instruction.operands, strict=False)
        if isinstance(operand, ConstantFloat) and operand.type in (F32, F64)
    }


def without_indeterminate(
    at: Builder, factor: Value, product: Value, nothing: Value, *, again: bool = True
) -> Value:
    """Return `product`; `nothing` where `factor` is zero and `product` is no number: zero times infinity.

    Where this is differentiated `again`, the product must be left alone in all other places: its derivative
    by a factor that happens to be zero is not zero. Where not, a vanishing factor is reason enough, which
    takes one comparison instead of two.
    """
    vanishes = at.fcmp("oeq", factor, zero(factor.type))
    if again:
        vanishes = at.and_(vanishes, at.fcmp("uno", product, product))
    return at.select(vanishes, nothing, product)


def flags_of_sum(load: Load) -> tuple[str, ...]:
    """Return the flags of the additions to the shadow of what `load` reads.

    A product that may be contracted with an addition is contracted with this one; others cannot be.
    """
    return ("contract",) if any("contract" in relaxed_flags(user) for user in load.users) else ()


class ExpressionEmitter:
    """Lowers the expressions of rules in one floating-point type (the rules' ``Target``)."""

    def __init__(self, module: Module, builder: Builder, type: Type, flags: tuple[str, ...] = ()) -> None:
        if str(type) not in FLOAT_TYPES:
            raise MissingRuleError(
                f"derivatives in type {type} are not known",
                operation=str(type),
                remedy="compute in single, double or extended precision",
            )
        self.module = module
        self.builder = builder
        self.type = type
        self.flags = flags

    def constant(self, value: float) -> Value:
        """Return a constant of the emitter's type."""
        assert isinstance(self.type, FloatType)
        return const_float(self.type, value)

    def binary(self, opcode: str, a: Value, b: Value) -> Value:
        """Return ``a opcode b``."""
        return self.builder.binary(opcode, a, b, flags=self.flags)

    def negate(self, a: Value) -> Value:
        """Return ``-a``."""
        return self.builder.fneg(a, flags=self.flags)

    def compare(self, predicate: str, a: Value, b: Value) -> Value:
        """Return the ``fcmp``."""
        return self.builder.fcmp(predicate, a, b)

    def logical(self, op: str, a: Value, b: Value) -> Value:
        """Return ``a and b`` or ``a or b``."""
        return self.builder.and_(a, b) if op == "and" else self.builder.or_(a, b)

    def logical_not(self, a: Value) -> Value:
        """Return the negated truth value."""
        return self.builder.not_(a)

    def select(self, c: Value, a: Value, b: Value) -> Value:
        """Return ``a if c else b``."""
        return self.builder.select(c, a, b)

    def call(self, family: str, args: tuple[Value, ...]) -> Value:
        """Return a call of the function that computes `family`."""
        symbol = symbol_for(family, str(self.type))
        parameters = tuple(type_named(t) for t in symbol.parameter_types)
        function_type = FunctionType(type_named(symbol.return_type), parameters)
        suffix = "" if symbol.name.startswith("llvm.") else _PURE
        return self.builder.call(self.module.declare(symbol.name, function_type, suffix), list(args))

    def integer_constant(self, value: int) -> Value:
        """Return an ``i32`` constant."""
        return const_int(I32, value)

    def integer_binary(self, opcode: str, a: Value, b: Value) -> Value:
        """Return integer ``a opcode b``."""
        return self.builder.binary(opcode, a, b)

    def to_float(self, a: Value) -> Value:
        """Return the integer `a` as a floating-point number."""
        return self.builder.cast("sitofp", a, self.type)


def emit_partial(
    emitter: ExpressionEmitter,
    expression: Expression,
    rule: Rule,
    operands: Sequence[Value | None],
    result: Value | None,
    factor: Value,
) -> Value | None:
    """Return ``factor · partial``, or None where the partial is the constant 0.

    Parameters
    ----------
    operands, result
        Primal values; None for those the expression does not read.
    """
    constant = expression.constant_value if expression.is_constant else None
    if constant == 0.0:
        return None
    if constant == 1.0:
        return factor
    if constant == -1.0:
        return emitter.negate(factor)
    bindings = {name: v for name, v in zip(rule.operands, operands, strict=False) if v is not None}
    if result is not None:
        bindings["r"] = result
    return emitter.binary("fmul", factor, lower(expression, bindings, emitter))
