"""Calls of BLAS become code that has a derivative: its routines written out, before anything is simplified.

What the routines do, flags and all, is written down once (:mod:`coenzyme.rules.blas_reference`) and inlined;
what it leaves to a library has rules of its own (:mod:`coenzyme.derive.blas`), and goes to the library that
the program calls (:mod:`coenzyme.rules.blas_library`). Only functions that are declared are taken for BLAS's,
and only where they are declared as BLAS has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace

from coenzyme.rules.blas_calls import (
    BlasFamily,
    BlasSymbol,
    ParameterKind,
    find_blas_symbol,
    has_order,
)
from coenzyme.rules.blas_library import LIBRARY
from coenzyme.rules.blas_reference import reference_name, reference_text

__all__ = ["blas_families", "resolve_blas", "settle_constants"]

_SYMBOL = r'@(?:"([^"\n]+)"|([-\w.$]+))'
_DECLARATION = re.compile(rf"^declare ([^@\n]*){_SYMBOL}\((.*)$", re.MULTILINE)
_HEAD = re.compile(rf"^(?:(?:define|declare) [^@\n]*)?{_SYMBOL}(?:\(| = )", re.MULTILINE)
_TYPE = re.compile(r"(?:void|i\d+|float|double|ptr)\b")
_ASKS = re.compile(r"(?:tail )?call i1 @llvm\.is\.constant\.[\w.]+\([^()\n]*\)(?: #\d+)?")
_CALLED = "coenzyme.called."
_SIZES = ("i32", "i64")
_INTEGERS = {
    ParameterKind.ORDER: ("eq", 101),
    ParameterKind.TRANS: ("ne", 111),
    ParameterKind.UPLO: ("eq", 121),
    ParameterKind.DIAG: ("eq", 132),
    ParameterKind.SIDE: ("eq", 142),
}
"""How a flag of the C interface is read: row by row; not as it is; upper; unit diagonal; from the right."""
_LETTERS = {
    ParameterKind.TRANS: ("ne", "N"),
    ParameterKind.UPLO: ("eq", "U"),
    ParameterKind.DIAG: ("eq", "U"),
    ParameterKind.SIDE: ("eq", "R"),
}
_TO_UPPER_CASE = -33
_NOTHING = {"void": "ret void", "i32": "ret i32 0", "ptr": "ret ptr null"}
"""How what returns nothing is declared: in C; where f2c has made the declaration; by Numba."""


@dataclass(frozen=True)
class _Declared:
    """A BLAS routine as a module declares it."""

    name: str
    symbol: BlasSymbol
    result: str
    types: tuple[str, ...]

    @property
    def family(self) -> BlasFamily:
        """The family of its calls."""
        if not self.symbol.is_c:
            return self.symbol.family("i64" if "64" in self.symbol.suffix else "i32")
        sizes = [
            t for t, k in zip(self.types, self.symbol.parameters, strict=True) if k is ParameterKind.SIZE
        ]
        return self.symbol.family(sizes[0] if sizes else "i32")


def resolve_blas(
    text: str, is_linked: Callable[[str], bool] = lambda _: False, apart: Container[str] = ()
) -> str:
    """Return the module `text` with calls of what BLAS does instead of calls of BLAS.

    Functions of BLAS whose derivatives are not known remain as they are.

    Parameters
    ----------
    is_linked
        Says of a symbol whether code may call it although the module does not.
    apart
        Functions whose calls stay as they are.

    Examples
    --------
    >>> resolve_blas("declare double @nobody(ptr)")
    'declare double @nobody(ptr)'
    """
    families = dict(_families(text, is_linked, apart))
    wrappers: list[str] = []
    references: dict[BlasFamily, list[str]] = {}
    for declared, family in families.items():
        # The name is followed by a parenthesis where it is called, and where it is declared.
        name = re.escape(declared.name)
        called = re.compile(rf'^(?!declare )([^\n]*)@(?:"{name}"|{name})\(', re.MULTILINE)
        text, times = called.subn(rf"\1@{_CALLED}{declared.name}(", text)
        if times:
            wrappers.append(_Wrapper(declared, family).text())
            references.setdefault(family, []).append(declared.symbol.reference)
    bodies = [reference_text(routines, str(family)) for family, routines in references.items()]
    return _joined(text, [*wrappers, *bodies]) if wrappers else text


def blas_families(text: str, is_linked: Callable[[str], bool]) -> frozenset[str]:
    """Return what tells of the libraries whose BLAS derivatives of the module `text` call, and for what."""
    return frozenset(str(family) for _, family in _families(text, is_linked, ()))


def _families(
    text: str, is_linked: Callable[[str], bool], apart: Container[str]
) -> Iterator[tuple[_Declared, BlasFamily]]:
    """Yield the routines of BLAS that `text` declares, and of what family each is."""
    found = [declared for declared in _declared(text) if declared.name not in apart]
    names = {declared.name for declared in found}
    for declared in found:
        family = declared.family
        linked = [r for r in LIBRARY if (s := family.symbol(r)) in names or is_linked(s)]
        yield declared, replace(family, linked=tuple(linked))


def _declared(text: str) -> Iterator[_Declared]:
    """Yield the routines of BLAS that `text` declares as BLAS has them."""
    for match in _DECLARATION.finditer(text):
        name = match.group(2) or match.group(3)
        symbol = find_blas_symbol(name)
        if symbol is not None:
            result = _TYPE.findall(match.group(1))
            declared = _Declared(name, symbol, result[-1] if result else "", _parameter_types(match.group(4)))
            if _fits(declared):
                yield declared


def _parameter_types(text: str) -> tuple[str, ...]:
    """Return the types of the parameters in `text`, which begins after the opening parenthesis."""
    depth, parts = 0, [""]
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0:
            break
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return tuple(part.split()[0] for part in parts if part.strip())


def _fits(declared: _Declared) -> bool:
    """Whether the routine is declared with the types that BLAS gives it."""
    symbol, types = declared.symbol, declared.types
    if declared.result not in (_NOTHING if symbol.result == "void" else (symbol.result,)):
        return False
    if not symbol.is_c:
        count = len(symbol.parameters)
        flags = sum(kind.is_flag for kind in symbol.parameters)
        lengths = types[count:]
        return (
            types[:count] == ("ptr",) * count
            and len(lengths) in (0, flags)
            and all(t in _SIZES for t in lengths)
        )
    if len(types) != len(symbol.parameters):
        return False
    sizes = {t for t, kind in zip(types, symbol.parameters, strict=True) if kind is ParameterKind.SIZE}
    return len(sizes) <= 1 and all(
        type in _allowed(kind, symbol.real) for type, kind in zip(types, symbol.parameters, strict=True)
    )


def _allowed(kind: ParameterKind, real: str) -> tuple[str, ...]:
    if kind is ParameterKind.SIZE:
        return _SIZES
    if kind is ParameterKind.NUMBER:
        return (real,)
    return ("i32",) if kind.is_flag else ("ptr",)


class _Wrapper:
    """The text of a function that takes what a routine takes and calls its reference."""

    def __init__(self, declared: _Declared, family: BlasFamily) -> None:
        self.declared = declared
        self.family = family
        self.code: list[str] = []

    def text(self) -> str:
        """Return the function."""
        declared, symbol = self.declared, self.declared.symbol
        passed = self._flags_left_out()
        for index, kind in enumerate(symbol.parameters):
            passed.append(self._by_value(index, kind) if symbol.is_c else self._by_address(index, kind))
        name = reference_name(symbol.reference, str(self.family))
        call = f"call {symbol.result} @{name}({', '.join(passed)})"
        if symbol.result != "void":
            self.code += [f"%result = {call}", f"ret {symbol.result} %result"]
        else:
            self.code += [call, _NOTHING[declared.result]]
        parameters = ", ".join(f"{type} %p{i}" for i, type in enumerate(declared.types))
        body = "".join(f"  {line}\n" for line in self.code)
        head = f"define internal {declared.result} @{_CALLED}{declared.name}({parameters})"
        return f"{head} alwaysinline nounwind {{\nentry:\n{body}}}\n"

    def _flags_left_out(self) -> list[str]:
        """Return how matrices lie, where Fortran need not say so."""
        symbol = self.declared.symbol
        routine = symbol.reference.removeprefix(symbol.letter)
        return ["i32 0"] if not symbol.is_c and has_order(routine) else []

    def _by_value(self, index: int, kind: ParameterKind) -> str:
        type = self.declared.types[index]
        if kind is ParameterKind.SIZE and type == "i32":
            self.code.append(f"%v{index} = sext i32 %p{index} to i64")
            return f"i64 %v{index}"
        if kind.is_flag:
            predicate, value = _INTEGERS[kind]
            self.code.append(f"%f{index} = icmp {predicate} i32 %p{index}, {value}")
            return self._flag(index)
        return f"{type} %p{index}"

    def _by_address(self, index: int, kind: ParameterKind) -> str:
        if kind is ParameterKind.ADDRESS:
            return f"ptr %p{index}"
        if kind is ParameterKind.NUMBER:
            real = self.declared.symbol.real
            self.code.append(f"%v{index} = load {real}, ptr %p{index}")
            return f"{real} %v{index}"
        if kind is ParameterKind.SIZE:
            size = self.family.size
            self.code.append(f"%l{index} = load {size}, ptr %p{index}")
            if size == "i64":
                return f"i64 %l{index}"
            self.code.append(f"%v{index} = sext i32 %l{index} to i64")
            return f"i64 %v{index}"
        predicate, letter = _LETTERS[kind]
        self.code.append(f"%l{index} = load i8, ptr %p{index}")
        self.code.append(f"%u{index} = and i8 %l{index}, {_TO_UPPER_CASE}")
        self.code.append(f"%f{index} = icmp {predicate} i8 %u{index}, {ord(letter)}")
        return self._flag(index)

    def _flag(self, index: int) -> str:
        self.code.append(f"%v{index} = zext i1 %f{index} to i32")
        return f"i32 %v{index}"


def settle_constants(text: str) -> str:
    """Return simplified `text` with "no" for an answer where it still asks whether a value is a constant."""
    return _ASKS.sub("and i1 false, false", text)


def _joined(text: str, bodies: list[str]) -> str:
    """Return `text` with what `bodies` hold, but for what there is already."""
    seen = {_name_of(m) for m in _HEAD.finditer(text)}
    lines: list[str] = []
    skipping = False
    for line in "\n".join(bodies).split("\n"):
        head = _HEAD.match(line)
        if head is not None:
            skipping = _name_of(head) in seen
            seen.add(_name_of(head))
        if not skipping:
            lines.append(line)
        if line == "}" or (head is not None and not line.startswith("define")):
            skipping = False
    return "\n".join([text.rstrip("\n"), "", *lines, ""])


def _name_of(match: re.Match[str]) -> str:
    return match.group(1) or match.group(2)
