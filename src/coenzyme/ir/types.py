"""LLVM's first-class types, as values that compare and hash by structure.

Source: LLVM Language Reference Manual, "Type System" (opaque pointers).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "F32",
    "F64",
    "I1",
    "I8",
    "I32",
    "I64",
    "LABEL",
    "METADATA",
    "PTR",
    "TOKEN",
    "VOID",
    "ArrayType",
    "FloatType",
    "FunctionType",
    "IntType",
    "LabelType",
    "MetadataType",
    "NamedType",
    "PointerType",
    "StructType",
    "TokenType",
    "Type",
    "VectorType",
    "VoidType",
    "indexed_type",
    "spell_name",
]

_FLOAT_SIZES = {"half": 2, "bfloat": 2, "float": 4, "double": 8}
_PLAIN_NAME = re.compile(r"[-a-zA-Z$._][-a-zA-Z$._0-9]*\Z")
_TO_ESCAPE = re.compile(r"[^ -~]|[\"\\]")


def spell_name(name: str) -> str:
    r"""Return `name` as LLVM spells it after a sigil: quoted and escaped where that is needed.

    Examples
    --------
    >>> print(spell_name("x.1"), spell_name("a b"), spell_name("7"))
    x.1 "a b" "7"
    """
    if _PLAIN_NAME.match(name):
        return name
    return f'"{_TO_ESCAPE.sub(_escape, name)}"'


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\{byte:02X}" for byte in match.group().encode("utf-8", "surrogateescape"))


class Type:
    """Base of all types; ``str(type)`` is LLVM's spelling."""

    __slots__ = ()

    @property
    def is_float(self) -> bool:
        """Whether this is a scalar floating-point type."""
        return isinstance(self, FloatType)

    @property
    def is_pointer(self) -> bool:
        """Whether this is a pointer."""
        return isinstance(self, PointerType)

    @property
    def is_int(self) -> bool:
        """Whether this is a scalar integer type."""
        return isinstance(self, IntType)


@dataclass(frozen=True)
class IntType(Type):
    """``i1``, ``i64`` …: an integer of some width."""

    width: int

    def __str__(self) -> str:
        return f"i{self.width}"


@dataclass(frozen=True)
class FloatType(Type):
    """``half``, ``bfloat``, ``float``, ``double``, ``x86_fp80``, ``fp128`` or ``ppc_fp128``."""

    name: str

    @property
    def size(self) -> int:
        """How many bytes lie between neighbours in an array; the ten of an ``x86_fp80`` take sixteen."""
        return _FLOAT_SIZES.get(self.name, 16)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class PointerType(Type):
    """``ptr``, which does not say what it points to."""

    address_space: int = 0

    def __str__(self) -> str:
        return f"ptr addrspace({self.address_space})" if self.address_space else "ptr"


@dataclass(frozen=True)
class VoidType(Type):
    """``void``."""

    def __str__(self) -> str:
        return "void"


@dataclass(frozen=True)
class LabelType(Type):
    """``label``, the type of blocks."""

    def __str__(self) -> str:
        return "label"


@dataclass(frozen=True)
class TokenType(Type):
    """``token``."""

    def __str__(self) -> str:
        return "token"


@dataclass(frozen=True)
class MetadataType(Type):
    """``metadata``."""

    def __str__(self) -> str:
        return "metadata"


@dataclass(frozen=True)
class ArrayType(Type):
    """``[4 x double]``."""

    count: int
    element: Type

    def __str__(self) -> str:
        return f"[{self.count} x {self.element}]"


@dataclass(frozen=True)
class VectorType(Type):
    """``<4 x double>``."""

    count: int
    element: Type
    scalable: bool = False

    def __str__(self) -> str:
        return f"<{'vscale x ' if self.scalable else ''}{self.count} x {self.element}>"


@dataclass(frozen=True)
class StructType(Type):
    """``{ i64, ptr }``, or ``<{ i64, ptr }>`` without padding."""

    elements: tuple[Type, ...]
    packed: bool = False

    def __str__(self) -> str:
        body = f"{{ {', '.join(map(str, self.elements))} }}" if self.elements else "{}"
        return f"<{body}>" if self.packed else body


@dataclass(frozen=True)
class NamedType(Type):
    """An identified struct, ``%name``; its body stands in :attr:`Module.named_types`."""

    name: str

    def __str__(self) -> str:
        return f"%{spell_name(self.name)}"


@dataclass(frozen=True)
class FunctionType(Type):
    """``double (double, ...)``."""

    result: Type
    parameters: tuple[Type, ...]
    variadic: bool = False

    def __str__(self) -> str:
        parts = [*map(str, self.parameters), *(["..."] if self.variadic else [])]
        return f"{self.result} ({', '.join(parts)})"


I1 = IntType(1)
I8 = IntType(8)
I32 = IntType(32)
I64 = IntType(64)
F32 = FloatType("float")
F64 = FloatType("double")
PTR = PointerType()
VOID = VoidType()
LABEL = LabelType()
METADATA = MetadataType()
TOKEN = TokenType()


def indexed_type(
    aggregate: Type, indices: Sequence[int], named_types: Mapping[str, Type | None] | None = None
) -> Type:
    """Return the type of the member of `aggregate` at `indices`, as ``extractvalue`` counts them.

    Parameters
    ----------
    aggregate
        A struct, array or vector type, or a named one that `named_types` knows.
    indices
        One index for each level.
    named_types
        The bodies of identified structs.

    Raises
    ------
    TypeError
        If an index goes into something that has no members.
    """
    for index in indices:
        if isinstance(aggregate, NamedType):
            aggregate = (named_types or {}).get(aggregate.name) or aggregate
        if isinstance(aggregate, StructType):
            aggregate = aggregate.elements[index]
        elif isinstance(aggregate, (ArrayType, VectorType)):
            aggregate = aggregate.element
        else:
            raise TypeError(f"{aggregate} has no member {index}")
    return aggregate
