"""C's types as far as a function can have them that is called from Python, however they are spelled.

A type may be given as a string in C (``"const double *"``), as a type of ctypes, Numba or NumPy, or by the
debug information of compiled code (`coenzyme.frontends.debug_types`). All become the same few classes here.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import ctypes
import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numba.core import types
from numba.np import numpy_support

from coenzyme.errors import CompilationError

__all__ = [
    "CField",
    "COther",
    "CPointer",
    "CScalar",
    "CStruct",
    "CType",
    "CValue",
    "Kind",
    "fits_into",
    "read_type",
]


class Kind(Enum):
    """What the bits of a scalar mean; the value is NumPy's letter for it."""

    FLOAT = "f"
    SIGNED = "i"
    UNSIGNED = "u"
    BOOLEAN = "b"
    COMPLEX = "c"


@dataclass(frozen=True)
class CScalar:
    """A number: what it is, and its size in bytes."""

    kind: Kind
    size: int

    def __str__(self) -> str:
        return "bool" if self.kind is Kind.BOOLEAN else self.dtype.name

    @property
    def dtype(self) -> np.dtype[Any]:
        """The same type in NumPy."""
        return np.dtype(np.bool_ if self.kind is Kind.BOOLEAN else f"{self.kind.value}{self.size}")

    @property
    def is_integer(self) -> bool:
        """Whether it is an integer, signed or not; truth values are none."""
        return self.kind in {Kind.SIGNED, Kind.UNSIGNED}

    @property
    def llvm(self) -> str:
        """How LLVM spells it as the type of a parameter."""
        match self.kind:
            case Kind.FLOAT:
                return {4: "float", 8: "double"}[self.size]
            case Kind.BOOLEAN:
                return "i1"
            case _:
                return f"i{8 * self.size}"


@dataclass(frozen=True)
class CField:
    """One scalar, or pointer, in a struct: arrays and structs within are spread out."""

    offset: int
    type: CScalar | CPointer | COther


@dataclass(frozen=True)
class CStruct:
    """A struct: its name, its size in bytes, and what is where in it."""

    name: str
    size: int
    fields: tuple[CField, ...]

    def __str__(self) -> str:
        return f"struct {self.name}".rstrip()


@dataclass(frozen=True)
class CPointer:
    """A pointer, to the first of any number of equal things.

    Attributes
    ----------
    target
        What it points to; None where that is not said (``void *``).
    is_constant
        Whether the function promises not to write there.
    """

    target: CScalar | CStruct | COther | None
    is_constant: bool = False

    def __str__(self) -> str:
        return f"{'const ' * self.is_constant}{'void' if self.target is None else self.target} *"

    @property
    def llvm(self) -> str:
        """How LLVM spells it."""
        return "ptr"


@dataclass(frozen=True)
class CValue:
    """A struct or a complex number that is passed by value."""

    content: CStruct | CScalar

    def __str__(self) -> str:
        return str(self.content)

    @property
    def scalars(self) -> tuple[tuple[int, CScalar], ...]:
        """The numbers in it, with their places in bytes; only where `problem` is None."""
        if isinstance(self.content, CScalar):
            return ((0, self.content),)
        return tuple((f.offset, f.type) for f in self.content.fields if isinstance(f.type, CScalar))

    @property
    def problem(self) -> str | None:
        """What of it cannot be passed from Python; None where everything can."""
        if isinstance(self.content, CScalar):
            return None
        return next((str(f.type) for f in self.content.fields if not isinstance(f.type, CScalar)), None)

    @property
    def llvm(self) -> str:
        """How LLVM spells a pointer to it."""
        return "ptr"


@dataclass(frozen=True)
class COther:
    """A type that Python values cannot stand for."""

    description: str

    def __str__(self) -> str:
        return self.description


CType = CScalar | CPointer | CStruct | CValue | COther
"""The type of a parameter, or of a result that there is."""

_LONG = ctypes.sizeof(ctypes.c_long)
_POINTER = ctypes.sizeof(ctypes.c_void_p)
_NAMED = {
    "float": CScalar(Kind.FLOAT, 4),
    "double": CScalar(Kind.FLOAT, 8),
    "_Bool": CScalar(Kind.BOOLEAN, 1),
    "bool": CScalar(Kind.BOOLEAN, 1),
    "size_t": CScalar(Kind.UNSIGNED, _POINTER),
    "uintptr_t": CScalar(Kind.UNSIGNED, _POINTER),
    "ssize_t": CScalar(Kind.SIGNED, _POINTER),
    "ptrdiff_t": CScalar(Kind.SIGNED, _POINTER),
    "intptr_t": CScalar(Kind.SIGNED, _POINTER),
    "float32": CScalar(Kind.FLOAT, 4),
    "float64": CScalar(Kind.FLOAT, 8),
    "complex64": CScalar(Kind.COMPLEX, 8),
    "complex128": CScalar(Kind.COMPLEX, 16),
    **{f"int{8 * n}{t}": CScalar(Kind.SIGNED, n) for n in (1, 2, 4, 8) for t in ("", "_t")},
    **{f"uint{8 * n}{t}": CScalar(Kind.UNSIGNED, n) for n in (1, 2, 4, 8) for t in ("", "_t")},
}
_INTEGERS: dict[tuple[str, ...], int] = {
    ("char",): 1,
    ("short",): 2,
    ("long",): _LONG,
    ("long", "long"): 8,
    (): 4,
}
_QUALIFIERS = {"volatile", "restrict", "__restrict", "__restrict__", "register"}
_WORD = re.compile(r"\w+|\S")


def read_type(given: Any) -> CType | None:
    """Return the C type that something stands for; None for ``void``.

    Parameters
    ----------
    given
        A string in C's notation, or NumPy's name of a scalar type; a type of ctypes; a type of Numba, arrays
        being pointers; a dtype of NumPy, structured ones being pointers to structs; ``float``, ``int`` or
        ``bool``; None.

    Raises
    ------
    CompilationError
        For what is none of these, or has no counterpart in Python.

    Examples
    --------
    >>> print(read_type("const double *"), read_type("unsigned long long"), read_type(np.float32))
    const float64 * uint64 float32
    """
    found: CType | bool | None
    match given:
        case None:
            found = None
        case CScalar() | CPointer() | CStruct() | CValue():
            found = given
        case str():
            found = _read_spelling(given)
        case types.Type():
            found = _read_numba(given)
        case _:
            found = _read_dtype(given)
    if found is False or isinstance(found, COther):
        raise _unknown(given)
    return found if found is not True else None


def _unknown(given: Any) -> CompilationError:
    return CompilationError(
        f"{given!r} is not the type of something that can be passed from Python",
        remedy='say it in C ("double", "const double *", "int"), or by a type of NumPy, Numba or ctypes',
    )


def _read_spelling(text: str) -> CType | None:
    words = _WORD.findall(text.split("[", 1)[0])
    stars = words.count("*") + text.count("[")
    base = tuple(w for w in words if w not in _QUALIFIERS and w not in {"*", "const"})
    first_star = words.index("*") if "*" in words else len(words)
    target = _read_words(base, text)
    if stars == 0:
        return target
    if stars > 1 or isinstance(target, CPointer):
        raise _unknown(text)
    return CPointer(target, "const" in words[:first_star])


def _read_words(base: tuple[str, ...], text: str) -> CScalar | None:
    if base == ("void",):
        return None
    if len(base) == 1 and base[0] in _NAMED:
        return _NAMED[base[0]]
    if sorted(base) in (["_Complex", "double"], ["_Complex", "float"]):
        return CScalar(Kind.COMPLEX, 16 if "double" in base else 8)
    signs = [w for w in base if w in {"signed", "unsigned"}]
    size = tuple(w for w in base if w not in {"signed", "unsigned", "int"})
    if not base or len(signs) > 1 or base.count("int") > 1 or size not in _INTEGERS:
        raise _unknown(text)
    return CScalar(Kind.UNSIGNED if signs == ["unsigned"] else Kind.SIGNED, _INTEGERS[size])


def _read_numba(given: types.Type) -> CType | bool | None:
    match given:
        case types.NoneType():
            return None
        case types.Array():
            target = _read_numba(given.dtype)
            if isinstance(target, CScalar | CStruct):
                return CPointer(target, not given.mutable)
            return False
        case types.CPointer():
            target = _read_numba(given.dtype)
            return CPointer(target) if isinstance(target, CScalar | CStruct) else False
        case types.RawPointer():
            return CPointer(None)
        case types.Record() | types.Float() | types.Integer() | types.Boolean() | types.Complex():
            return _of_dtype(numpy_support.as_dtype(given))
        case _:
            return False


def _read_dtype(given: Any) -> CType | bool:
    if isinstance(given, type) and issubclass(given, ctypes._Pointer):
        target = _read_dtype(getattr(given, "_type_", None))
        return CPointer(target) if isinstance(target, CScalar | CStruct) else False
    if given in {ctypes.c_void_p, ctypes.c_char_p}:
        return CPointer(None if given is ctypes.c_void_p else CScalar(Kind.SIGNED, 1))
    if isinstance(given, type) and hasattr(given, "_dtype_") and hasattr(given, "_ndim_"):  # an ndpointer
        return CPointer(_of_dtype(given._dtype_)) if given._dtype_ is not None else CPointer(None)
    if not isinstance(given, type | np.dtype):
        return False
    try:
        found = _of_dtype(np.dtype(given))
    except TypeError:
        return False
    # A structure of ctypes stands for itself, a structured dtype for what its arrays are in C.
    return CPointer(found) if isinstance(found, CStruct) and isinstance(given, np.dtype) else found


def _of_dtype(dtype: np.dtype[Any]) -> CScalar | CStruct | COther:
    if dtype.fields is not None:
        return CStruct("", dtype.itemsize, tuple(_fields(dtype, 0)))
    kinds = {"f": Kind.FLOAT, "i": Kind.SIGNED, "u": Kind.UNSIGNED, "b": Kind.BOOLEAN, "c": Kind.COMPLEX}
    sizes = {"f": (4, 8), "c": (8, 16)}
    size = dtype.itemsize
    if dtype.kind not in kinds or not dtype.isnative or size not in sizes.get(dtype.kind, (1, 2, 4, 8)):
        return COther(str(dtype))
    return CScalar(kinds[dtype.kind], size)


def _fields(dtype: np.dtype[Any], start: int) -> list[CField]:
    """Return the scalars of a dtype, in the order of their places."""
    if dtype.subdtype is not None:
        element, shape = dtype.subdtype
        many = math.prod(shape)
        return [f for i in range(many) for f in _fields(element, start + i * element.itemsize)]
    if dtype.fields is not None:
        inner = sorted(dtype.fields.values(), key=lambda entry: entry[1])
        return [f for entry in inner for f in _fields(entry[0], start + entry[1])]
    found = _of_dtype(dtype)
    assert not isinstance(found, CStruct)
    return [CField(start, found)]


def fits_into(given: CScalar | CStruct | COther, wanted: CScalar | CStruct | COther | None) -> bool:
    """Return whether memory made of `given` is what a pointer to `wanted` may lead to."""
    match given, wanted:
        case _, None:
            return True
        case CScalar(), CScalar():
            # Whether `char` has a sign is the platform's choice.
            bytes_both = given.is_integer and wanted.is_integer and given.size == wanted.size == 1
            return given == wanted or bytes_both
        case CStruct(), CStruct():
            same = len(given.fields) == len(wanted.fields) and given.size == wanted.size
            return same and all(
                ours.offset == theirs.offset and _field_fits(ours.type, theirs.type)
                for ours, theirs in zip(given.fields, wanted.fields, strict=False)
            )
        case _:
            return False


def _field_fits(given: CScalar | CPointer | COther, wanted: CScalar | CPointer | COther) -> bool:
    if isinstance(wanted, CPointer):
        # An address as NumPy keeps it.
        return isinstance(given, CScalar) and given.is_integer and given.size == _POINTER
    return isinstance(given, CScalar) and fits_into(given, wanted)
