"""Emitting arithmetic and calls of real functions in one floating-point type, in the place of a call."""

from __future__ import annotations

from collections.abc import Sequence

from coenzyme.ir.builder import Builder, const_float
from coenzyme.ir.instructions import Call, Module
from coenzyme.ir.types import FloatType, FunctionType, Type
from coenzyme.ir.values import Value

__all__ = ["Reals", "spell_type"]

_SPELLED = {
    "half": "f16",
    "bfloat": "bf16",
    "float": "f32",
    "double": "f64",
    "x86_fp80": "f80",
    "fp128": "f128",
}
_SUFFIXES = {"float": "f", "double": ""}
_PURE = "nounwind willreturn memory(none)"


def spell_type(type: Type) -> str:
    """Return how the names of intrinsics spell a floating-point type."""
    return _SPELLED[str(type)]


class Reals:
    """Emits in front of a call, in the type that its numbers have.

    Attributes
    ----------
    suffix
        What the names of C's functions for this type end in.
    """

    def __init__(self, module: Module, call: Call, type: Type) -> None:
        self.module = module
        self.type = type
        self.suffix = _SUFFIXES.get(str(type), "l")
        self.restart(call)

    def restart(self, call: Call) -> None:
        """Emit in front of `call`, which something may have been inserted before."""
        self.at = Builder.before(call)
        self.at.metadata = {kind: node for kind, node in call.metadata.items() if kind == "dbg"}

    def number(self, value: float) -> Value:
        """Return a constant."""
        assert isinstance(self.type, FloatType)
        return const_float(self.type, value)

    def invoke(self, name: str, type: Type, arguments: Sequence[Value]) -> Value:
        """Return a call of the function `name`."""
        signature = FunctionType(type, tuple(a.type for a in arguments))
        return self.at.call(self.module.declare(name, signature), list(arguments))

    def call(self, name: str, *arguments: Value) -> Value:
        """Return a call of a function of numbers, an intrinsic or one of C's library, by its plain name."""
        if name.startswith("llvm."):
            return self.invoke(f"{name}.{spell_type(self.type)}", self.type, arguments)
        signature = FunctionType(self.type, (self.type,) * len(arguments))
        return self.at.call(self.module.declare(name + self.suffix, signature, _PURE), list(arguments))
