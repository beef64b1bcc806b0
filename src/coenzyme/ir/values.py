"""Values: constants, globals, arguments, and the bookkeeping of who uses what."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from coenzyme.ir.types import F32, F64, PTR, FloatType, IntType, Type

if TYPE_CHECKING:
    from coenzyme.ir.instructions import Instruction

__all__ = [
    "Argument",
    "BlockAddress",
    "Constant",
    "ConstantAggregate",
    "ConstantBytes",
    "ConstantExpression",
    "ConstantFloat",
    "ConstantInt",
    "ConstantNull",
    "ConstantZero",
    "Global",
    "InlineAssembly",
    "MetadataValue",
    "Poison",
    "Undef",
    "Value",
]


class Value:
    """Anything an instruction can take as an operand.

    Attributes
    ----------
    type
        The LLVM type.
    name
        The name without its sigil; empty for constants.
    users
        The instructions that use this value, each with how many of its operands do. Kept up to date
        by :class:`~coenzyme.ir.instructions.Instruction`; not kept for constants and globals.
    """

    __slots__ = ("name", "type", "users")

    def __init__(self, type: Type, name: str = "") -> None:
        self.type = type
        self.name = name
        self.users: dict[Instruction, int] = {}

    def replace_all_uses_with(self, new: Value) -> None:
        """Make every user of this value use `new` in its place."""
        for user in list(self.users):
            user.replace_operand(self, new)


class Argument(Value):
    """A formal parameter; `attributes` is LLVM's text between the type and the name."""

    __slots__ = ("attributes", "index")

    def __init__(self, type: Type, name: str, index: int, attributes: str = "") -> None:
        super().__init__(type, name)
        self.index = index
        self.attributes = attributes


class Constant(Value):
    """A value known at compile time; `users` is not maintained."""

    __slots__ = ()

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return (id(self),)


class ConstantInt(Constant):
    """An integer in its signed reading (``i1 true`` is 1)."""

    __slots__ = ("value",)

    def __init__(self, type: IntType, value: int) -> None:
        super().__init__(type)
        self.value = value

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("int", self.type, self.value)


class ConstantFloat(Constant):
    """A floating-point constant, kept in LLVM's spelling so that no bit is lost."""

    __slots__ = ("text",)

    def __init__(self, type: FloatType, value: float | str) -> None:
        super().__init__(type)
        self.text = value if isinstance(value, str) else spell_float(value, type)

    @property
    def value(self) -> float:
        """The value as a Python float (types wider than double are rounded)."""
        return read_float(self.text)

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("float", self.type, self.text)


def spell_float(value: float, type: FloatType) -> str:
    """Return LLVM's exact hexadecimal spelling of `value` as `type` (double, float or x86_fp80).

    Examples
    --------
    >>> print(spell_float(1.0, F64), spell_float(-2.0, FloatType("x86_fp80")))
    0x3FF0000000000000 0xKC0008000000000000000
    """
    if type.name == "x86_fp80":
        return f"0xK{_extended_bits(value):020X}"
    if type == F32:
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    elif type != F64:
        raise ValueError(f"no spelling for a constant of type {type}")
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def read_float(text: str) -> float:
    """Return the float that LLVM's spelling of a constant denotes, rounded where it is wider than double."""
    if text.startswith("0xK"):
        return _from_extended(int(text[3:], 16))
    if text.startswith("0x") and text[2:3] not in "LMHR":
        return struct.unpack("<d", struct.pack("<Q", int(text, 16)))[0]
    if text.startswith("0x"):
        raise ValueError(f"{text}: a constant wider or narrower than double")
    return float(text)


_BIAS, _SPECIAL = 16383, 0x7FFF
"""Of the exponent of an ``x86_fp80``: what is added to it, and what stands for infinities and NaN."""


def _extended_bits(value: float) -> int:
    """Return the 80 bits of `value` as an ``x86_fp80``: sign, exponent, and a significand of 64 bits."""
    sign = int(math.copysign(1.0, value) < 0) << 79
    if math.isnan(value):
        return sign | _SPECIAL << 64 | 0b11 << 62
    if math.isinf(value):
        return sign | _SPECIAL << 64 | 1 << 63
    if value == 0.0:
        return sign
    fraction, exponent = math.frexp(abs(value))
    return sign | (exponent - 1 + _BIAS) << 64 | int(math.ldexp(fraction, 53)) << 11


def _from_extended(bits: int) -> float:
    sign = -1.0 if bits >> 79 else 1.0
    exponent, significand = bits >> 64 & _SPECIAL, bits & ((1 << 64) - 1)
    if exponent == _SPECIAL:
        return sign * (math.nan if significand & ((1 << 63) - 1) else math.inf)
    try:
        return sign * math.ldexp(significand, exponent - _BIAS - 63)
    except OverflowError:
        return sign * math.inf


class ConstantNull(Constant):
    """``null``."""

    __slots__ = ()

    def __init__(self, type: Type = PTR) -> None:
        super().__init__(type)

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("null", self.type)


class ConstantZero(Constant):
    """``zeroinitializer``."""

    __slots__ = ()

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("zero", self.type)


class Undef(Constant):
    """``undef``."""

    __slots__ = ()

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("undef", self.type)


class Poison(Constant):
    """``poison``."""

    __slots__ = ()

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("poison", self.type)


class ConstantAggregate(Constant):
    """A literal struct, array or vector of constants; `packed` says that a struct is one without padding."""

    __slots__ = ("elements", "packed")

    def __init__(self, type: Type, elements: tuple[Constant, ...], *, packed: bool = False) -> None:
        super().__init__(type)
        self.elements = elements
        self.packed = packed

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("aggregate", self.type, tuple(e.key() for e in self.elements))


class ConstantBytes(Constant):
    """A ``c"..."`` string; `text` is the part between the quotes, escapes and all."""

    __slots__ = ("text",)

    def __init__(self, type: Type, text: str) -> None:
        super().__init__(type)
        self.text = text

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("bytes", self.type, self.text)


class ConstantExpression(Constant):
    """``getelementptr``, casts and arithmetic on constants.

    `source_type` is the element type of a ``getelementptr``, None otherwise; `flags` are the words
    after the opcode (``inbounds``, ``nuw`` …).
    """

    __slots__ = ("flags", "opcode", "operands", "source_type")

    def __init__(
        self,
        opcode: str,
        type: Type,
        operands: tuple[Constant, ...],
        source_type: Type | None = None,
        flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__(type)
        self.opcode = opcode
        self.operands = operands
        self.source_type = source_type
        self.flags = flags

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        operands = tuple(o.key() for o in self.operands)
        return (self.opcode, self.type, operands, self.source_type, self.flags)


class Global(Constant):
    """A global symbol: base of functions, variables and aliases; its type is ``ptr``."""

    __slots__ = ()

    def __init__(self, name: str, type: Type = PTR) -> None:
        super().__init__(type, name)

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("global", self.name)


class BlockAddress(Constant):
    """``blockaddress(function, block)``; `block` is the name that the block has among our objects."""

    __slots__ = ("block", "function")

    def __init__(self, function: Global, block: str) -> None:
        super().__init__(PTR)
        self.function = function
        self.block = block

    def key(self) -> tuple[object, ...]:
        """Return what identifies this constant by value."""
        return ("blockaddress", self.function.name, self.block)


class InlineAssembly(Constant):
    """``asm "…", "…"`` with whatever words precede the strings."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__(PTR)
        self.text = text


class MetadataValue(Constant):
    """An operand of type ``metadata``, kept as text (without the word ``metadata``)."""

    __slots__ = ("text",)

    def __init__(self, type: Type, text: str) -> None:
        super().__init__(type)
        self.text = text
