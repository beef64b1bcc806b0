"""Making instructions: one method for each, placed at a point in a block.

Integer arithmetic with a neutral or constant operand is folded; floating-point arithmetic never is,
for ``x + 0.0`` is not ``x`` when x is −0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from coenzyme.ir.instructions import (
    Alloca,
    Binary,
    Block,
    Branch,
    Call,
    Cast,
    Compare,
    ExtractValue,
    Freeze,
    Function,
    GetElementPtr,
    InsertValue,
    Instruction,
    Load,
    Phi,
    Return,
    Select,
    Store,
    Switch,
    Unary,
    Unreachable,
)
from coenzyme.ir.types import (
    I1,
    I64,
    FloatType,
    FunctionType,
    IntType,
    PointerType,
    Type,
    VectorType,
    indexed_type,
)
from coenzyme.ir.values import (
    Constant,
    ConstantFloat,
    ConstantInt,
    ConstantNull,
    ConstantZero,
    Value,
)

__all__ = ["FALSE", "TRUE", "Builder", "const_float", "const_int", "neutral", "zero"]

_I = TypeVar("_I", bound=Instruction)


def const_int(type: Type, value: int) -> ConstantInt:
    """Return `value`, wrapped to the width of `type`, in its signed reading (``i1`` is 0 or 1)."""
    assert isinstance(type, IntType), type
    if type.width == 1:
        return ConstantInt(type, value & 1)
    half = 1 << (type.width - 1)
    return ConstantInt(type, ((value + half) & (2 * half - 1)) - half)


def const_float(type: Type, value: float) -> ConstantFloat:
    """Return `value` as a ``double``, ``float`` or ``x86_fp80`` constant."""
    assert isinstance(type, FloatType), type
    return ConstantFloat(type, value)


def zero(type: Type) -> Constant:
    """Return the zero of `type`: 0, +0.0, ``null`` or ``zeroinitializer``."""
    match type:
        case IntType():
            return ConstantInt(type, 0)
        case FloatType(name="double" | "float"):
            return ConstantFloat(type, "0.000000e+00")
        case PointerType():
            return ConstantNull(type)
        case _:
            return ConstantZero(type)


def neutral(type: Type) -> Constant:
    """Return what changes nothing when it is added: −0.0 for a float, for −0.0 + 0.0 is 0.0, else the zero.

    LLVM drops the addition of −0.0; that of +0.0, which turns −0.0 into 0.0, must stay.
    """
    if isinstance(type, FloatType):
        plain = type.name in ("double", "float")
        return ConstantFloat(type, "-0.000000e+00" if plain else _NEGATIVE_ZEROS[type.name])
    return zero(type)


_NEGATIVE_ZEROS = {
    "half": "0xH8000",
    "bfloat": "0xR8000",
    "x86_fp80": "0xK80000000000000000000",
    "fp128": "0xL00000000000000008000000000000000",
    "ppc_fp128": "0xM80000000000000000000000000000000",
}

TRUE = ConstantInt(I1, 1)
FALSE = ConstantInt(I1, 0)

_FOLDED: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}
_NEUTRAL = {"add": 0, "sub": 0, "mul": 1}


class Builder:
    """A cursor in a block that makes instructions.

    Parameters
    ----------
    block
        Where to insert.
    index
        Insert before the instruction now at this index; None appends at the end.

    Attributes
    ----------
    metadata
        Attachments given to every instruction made (``{"dbg": "!12"}``).
    """

    def __init__(self, block: Block, index: int | None = None) -> None:
        self.block = block
        self.index = index
        self.metadata: dict[str, str] = {}

    @classmethod
    def before(cls, instruction: Instruction) -> Builder:
        """Return a builder that inserts in front of `instruction`."""
        assert instruction.block is not None
        return cls(instruction.block, instruction.block.instructions.index(instruction))

    @classmethod
    def after(cls, instruction: Instruction) -> Builder:
        """Return a builder right behind `instruction`, past the phis where it is one."""
        block = instruction.block
        assert block is not None
        if isinstance(instruction, Phi):
            return cls(block, len(block.phis))
        return cls(block, block.instructions.index(instruction) + 1)

    def position_at_end(self, block: Block) -> None:
        """Append to `block` from now on."""
        self.block, self.index = block, None

    def position_before(self, instruction: Instruction) -> None:
        """Insert in front of `instruction` from now on."""
        assert instruction.block is not None
        self.block = instruction.block
        self.index = self.block.instructions.index(instruction)

    def insert(self, instruction: _I) -> _I:
        """Place `instruction` here and return it."""
        if self.metadata:
            instruction.metadata.update(self.metadata)
        if self.index is None:
            self.block.append(instruction)
        else:
            self.block.insert(self.index, instruction)
            self.index += 1
        return instruction

    # Arithmetic

    def binary(self, opcode: str, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``opcode a, b``; integer ``add``, ``sub`` and ``mul`` of constants are folded."""
        if opcode in _NEUTRAL and isinstance(a.type, IntType):
            folded = _fold(opcode, a, b)
            if folded is not None:
                return folded
        return self.insert(Binary(opcode, a.type, [a, b], name, flags))

    def fadd(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``fadd a, b``."""
        return self.binary("fadd", a, b, name, flags)

    def fsub(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``fsub a, b``."""
        return self.binary("fsub", a, b, name, flags)

    def fmul(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``fmul a, b``."""
        return self.binary("fmul", a, b, name, flags)

    def fdiv(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``fdiv a, b``."""
        return self.binary("fdiv", a, b, name, flags)

    def frem(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``frem a, b``."""
        return self.binary("frem", a, b, name, flags)

    def fneg(self, a: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``fneg a``."""
        return self.insert(Unary("fneg", a.type, [a], name, flags))

    def add(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``add a, b``."""
        return self.binary("add", a, b, name, flags)

    def sub(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``sub a, b``."""
        return self.binary("sub", a, b, name, flags)

    def mul(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``mul a, b``."""
        return self.binary("mul", a, b, name, flags)

    def sdiv(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``sdiv a, b``."""
        return self.binary("sdiv", a, b, name, flags)

    def udiv(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``udiv a, b``."""
        return self.binary("udiv", a, b, name, flags)

    def srem(self, a: Value, b: Value, name: str = "") -> Value:
        """Return ``srem a, b``."""
        return self.binary("srem", a, b, name)

    def urem(self, a: Value, b: Value, name: str = "") -> Value:
        """Return ``urem a, b``."""
        return self.binary("urem", a, b, name)

    def and_(self, a: Value, b: Value, name: str = "") -> Value:
        """Return ``and a, b``."""
        return self.binary("and", a, b, name)

    def or_(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``or a, b``."""
        return self.binary("or", a, b, name, flags)

    def xor(self, a: Value, b: Value, name: str = "") -> Value:
        """Return ``xor a, b``."""
        return self.binary("xor", a, b, name)

    def shl(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``shl a, b``."""
        return self.binary("shl", a, b, name, flags)

    def lshr(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``lshr a, b``."""
        return self.binary("lshr", a, b, name, flags)

    def ashr(self, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``ashr a, b``."""
        return self.binary("ashr", a, b, name, flags)

    def not_(self, a: Value, name: str = "") -> Value:
        """Return the bitwise complement of `a`."""
        return self.binary("xor", a, const_int(a.type, -1), name)

    # Comparison, conversion, choice

    def icmp(self, predicate: str, a: Value, b: Value, name: str = "") -> Value:
        """Return ``icmp predicate a, b``."""
        return self.insert(Compare("icmp", predicate, _truth_type(a.type), [a, b], name))

    def fcmp(self, predicate: str, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()) -> Value:
        """Return ``fcmp predicate a, b``."""
        return self.insert(Compare("fcmp", predicate, _truth_type(a.type), [a, b], name, flags))

    def cast(
        self, opcode: str, value: Value, type: Type, name: str = "", flags: tuple[str, ...] = ()
    ) -> Value:
        """Return `value` converted to `type` by `opcode`; the value itself where the type is the same."""
        if value.type == type:
            return value
        return self.insert(Cast(opcode, type, [value], name, flags))

    def select(
        self, condition: Value, a: Value, b: Value, name: str = "", flags: tuple[str, ...] = ()
    ) -> Value:
        """Return ``select condition, a, b``."""
        return self.insert(Select("select", a.type, [condition, a, b], name, flags))

    def freeze(self, value: Value, name: str = "") -> Value:
        """Return ``freeze value``."""
        return self.insert(Freeze("freeze", value.type, [value], name))

    def phi(self, type: Type, pairs: Sequence[tuple[Value, Block]] = (), name: str = "") -> Phi:
        """Return a new phi behind those the block has, wherever the builder stands."""
        phi = Phi(type, pairs, name)
        phi.metadata.update(self.metadata)
        place = len(self.block.phis)
        self.block.insert(place, phi)
        if self.index is not None and self.index >= place:
            self.index += 1
        return phi

    # Memory

    def alloca(self, type: Type, count: Value | int = 1, align: int = 0, name: str = "") -> Alloca:
        """Return ``alloca type, count``."""
        if isinstance(count, int):
            count = ConstantInt(I64, count)
        return self.insert(Alloca(type, count, name, align))

    def load(self, type: Type, pointer: Value, align: int = 0, name: str = "") -> Load:
        """Return ``load type, pointer``."""
        return self.insert(Load(type, pointer, name, align))

    def store(self, value: Value, pointer: Value, align: int = 0) -> Store:
        """Make ``store value, pointer``."""
        return self.insert(Store(value, pointer, align))

    def gep(
        self,
        source_type: Type,
        base: Value,
        indices: Sequence[Value | int],
        flags: tuple[str, ...] = (),
        name: str = "",
    ) -> GetElementPtr:
        """Return ``getelementptr source_type, base, indices``; a plain int stands for an ``i64``."""
        values = [ConstantInt(I64, i) if isinstance(i, int) else i for i in indices]
        vectors = (v.type for v in (base, *values) if isinstance(v.type, VectorType))
        vector = next(vectors, None)
        pointer = base.type
        if vector is not None and not isinstance(pointer, VectorType):
            pointer = VectorType(vector.count, pointer, vector.scalable)
        return self.insert(GetElementPtr(source_type, base, values, name, flags, pointer))

    # Calls and aggregates

    def call(
        self,
        function: Function | tuple[FunctionType, Value],
        arguments: Sequence[Value],
        name: str = "",
        flags: tuple[str, ...] = (),
    ) -> Call:
        """Return a call of `function`, or of a (type, callee) pair."""
        function_type, callee = (
            (function.function_type, function) if isinstance(function, Function) else function
        )
        return self.insert(Call(function_type, callee, arguments, name, flags))

    def extract_value(
        self, aggregate: Value, indices: int | tuple[int, ...], type: Type | None = None, name: str = ""
    ) -> ExtractValue:
        """Return ``extractvalue aggregate, indices``; `type` is needed where a named struct is crossed."""
        path = (indices,) if isinstance(indices, int) else indices
        member = indexed_type(aggregate.type, path) if type is None else type
        return self.insert(ExtractValue(member, aggregate, path, name))

    def insert_value(
        self, aggregate: Value, element: Value, indices: int | tuple[int, ...], name: str = ""
    ) -> InsertValue:
        """Return ``insertvalue aggregate, element, indices``."""
        path = (indices,) if isinstance(indices, int) else indices
        return self.insert(InsertValue(aggregate, element, path, name))

    # Terminators

    def branch(self, target: Block) -> Branch:
        """Make ``br label target``."""
        return self.insert(Branch([target]))

    def cond_branch(self, condition: Value, then: Block, otherwise: Block) -> Branch:
        """Make ``br i1 condition, label then, label otherwise``."""
        return self.insert(Branch([then, otherwise], condition))

    def switch(self, value: Value, default: Block, cases: Sequence[tuple[Constant, Block]] = ()) -> Switch:
        """Make ``switch value, label default [cases]``."""
        return self.insert(Switch(value, default, cases))

    def ret(self, value: Value | None = None) -> Return:
        """Make ``ret value`` or ``ret void``."""
        return self.insert(Return(value))

    def unreachable(self) -> Unreachable:
        """Make ``unreachable``."""
        return self.insert(Unreachable())


def _truth_type(type: Type) -> Type:
    return VectorType(type.count, I1, type.scalable) if isinstance(type, VectorType) else I1


def _fold(opcode: str, a: Value, b: Value) -> Value | None:
    neutral = _NEUTRAL[opcode]
    if isinstance(b, ConstantInt):
        if b.value == neutral:
            return a
        if isinstance(a, ConstantInt):
            return const_int(a.type, _FOLDED[opcode](a.value, b.value))
    if isinstance(a, ConstantInt) and a.value == neutral and opcode != "sub":
        return b
    return None
