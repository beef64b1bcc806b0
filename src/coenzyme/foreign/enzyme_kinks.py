"""Absolute values with the slope that Enzyme gives them at zero: that of the side that the zero's sign names.

Our rule for ``fabs`` has the middle of the slopes, 0. The product ``x·copysign(1, x)`` is the same number,
and the product rule gives it the slope ``copysign(1, x)`` everywhere, in derivatives of any order.
"""

from __future__ import annotations

from coenzyme.derive.emission import rule_of
from coenzyme.ir.builder import Builder, const_float
from coenzyme.ir.instructions import Call, Module
from coenzyme.ir.types import FloatType, FunctionType
from coenzyme.ir.values import Constant, Value
from coenzyme.rules import symbol_for

__all__ = ["choose_sides"]

_ROOTS = "llvm.sqrt."


def choose_sides(module: Module) -> None:
    """Write absolute values, and transfers of a sign, as products with signs."""
    for function in list(module.functions.values()):
        for call in [i for i in function.instructions() if isinstance(i, Call)]:
            rule = rule_of(call)
            if rule is None or rule.name not in ("fabs", "copysign"):
                continue
            magnitude, *others = call.arguments
            if isinstance(magnitude, Constant) or _is_root(magnitude):
                continue
            at = Builder.before(call)
            sign = _sign(module, at, magnitude)
            for other in others:
                sign = at.fmul(sign, _sign(module, at, other), flags=call.flags)
            call.replace_all_uses_with(at.fmul(magnitude, sign, name=call.name, flags=call.flags))
            call.erase()


def _is_root(value: Value) -> bool:
    """Whether this is a root: LLVM writes ``pow(x, 0.5)`` as the absolute value of one."""
    return isinstance(value, Call) and (value.callee_name or "").startswith(_ROOTS)


def _sign(module: Module, at: Builder, value: Value) -> Value:
    """Return 1 with the sign of `value`."""
    type = value.type
    assert isinstance(type, FloatType)
    symbol = symbol_for("copysign", str(type))
    kind = FunctionType(type, (type, type))
    copysign = module.declare(symbol.name, kind, "nounwind willreturn memory(none)")
    return at.call(copysign, [const_float(type, 1.0), value])
