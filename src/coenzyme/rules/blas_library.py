"""The BLAS routines that derivatives call, as calls of the library that the program calls itself.

A routine that the program does not call may be missing from what it is linked with: where it is not known to
be there, loops stand in for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coenzyme.rules.blas import find_routine
from coenzyme.rules.blas_calls import BlasFamily, ParameterKind, kind_of, parameters_of, split_family
from coenzyme.rules.blas_reference import reference_name, reference_text

__all__ = ["LIBRARY", "library_definitions"]

_PARAMETERS: Mapping[str, str] = {
    "gemm": "kind transa transb m n k alpha a lda b ldb beta c ldc",
    "gemv": "kind trans m n alpha a lda x beta y",
    "dot": "kind conjugate n x y out",
    "nrm2": "kind n x incx out",
}
LIBRARY = tuple(_PARAMETERS)
"""The routines that derivatives call."""
_LETTER_N = 110
_COLUMNS, _PLAIN, _TRANSPOSED = 102, 111, 112


def library_definitions(names: Iterable[str]) -> str:
    """Return a module's text that defines these routines, of the families that their names tell.

    Parameters
    ----------
    names
        Others are skipped, so that the names of all that a function calls may be given.
    """
    parts: list[str] = []
    fallbacks: dict[BlasFamily, list[str]] = {}
    for name in sorted(set(names)):
        plain, family = split_family(name)
        row = find_routine(plain)
        if family is not None and row is not None:
            routine = plain.removeprefix("numba_xx")
            parts += _Definition(name, routine, family, row.parameters).parts()
            if routine not in family.linked:
                fallbacks.setdefault(family, []).append(_fallback(routine, family))
    parts += [reference_text(routines, str(family)) for family, routines in fallbacks.items()]
    return "\n".join(parts)


def _fallback(routine: str, family: BlasFamily) -> str:
    return f"{family.letter}{routine}_fallback"


class _Definition:
    """The text of one function."""

    def __init__(self, name: str, routine: str, family: BlasFamily, types: tuple[str, ...]) -> None:
        self.name = name
        self.family = family
        self.routine = routine
        self.types = types
        self.own = _PARAMETERS[routine].split()
        self.result = family.real if routine in ("dot", "nrm2") else "void"
        self.code: list[str] = []

    def parts(self) -> list[str]:
        """Return what is defined and declared."""
        parameters = ", ".join(f"{t} %{n}" for t, n in zip(self.types, self.own, strict=True))
        head = f"define internal i32 @{self.name}({parameters}) alwaysinline nounwind {{\nentry:\n"
        if self.routine not in self.family.linked:
            loops = reference_name(_fallback(self.routine, self.family), str(self.family))
            return [f"{head}  %status = call i32 @{loops}({parameters})\n  ret i32 0\n}}\n"]
        symbol = self.family.symbol(self.routine)
        passed = self._passed()
        types = ", ".join(t for t, _ in passed)
        call = f"call {self.result} @{symbol}({', '.join(' '.join(pair) for pair in passed)})"
        if self.result == "void":
            self._emit(call)
        else:
            self._emit(f"%result = {call}")
            self._emit(f"store {self.result} %result, ptr %out")
        return [
            f"declare {self.result} @{symbol}({types})\n",
            f"{head}{self._slots()}{''.join(self.code)}  ret i32 0\n}}\n",
        ]

    def _emit(self, line: str) -> None:
        self.code.append(f"  {line}\n")

    def _slots(self) -> str:
        """Return the memory for what is passed by address: in the entry, for LLVM to see."""
        if self.family.is_c:
            return ""
        return "".join(f"  %{n}.slot = alloca i64, align 8\n" for n in parameters_of(self.routine))

    def _passed(self) -> list[tuple[str, str]]:
        """Return the types and the values of what the library's routine is passed."""
        names = parameters_of(self.routine)
        if self.family.is_c:
            return [self._by_value(name) for name in names]
        names = tuple(n for n in names if n != "order")
        lengths = [("i64", "1") for name in names if kind_of(name).is_flag]
        return [self._by_address(name) for name in names] + lengths

    def _size(self, name: str) -> str:
        """Return a size; BLAS insists that leading dimensions are positive."""
        if name not in self.own:
            return "1"
        if not name.startswith("ld"):
            return f"%{name}"
        self._emit(f"%{name}.small = icmp slt i64 %{name}, 1")
        self._emit(f"%{name}.positive = select i1 %{name}.small, i64 1, i64 %{name}")
        return f"%{name}.positive"

    def _by_value(self, name: str) -> tuple[str, str]:
        kind = kind_of(name)
        if kind is ParameterKind.ORDER:
            return "i32", str(_COLUMNS)
        if kind.is_flag:
            self._emit(f"%{name}.lower = or i8 %{name}, 32")
            self._emit(f"%{name}.plain = icmp eq i8 %{name}.lower, {_LETTER_N}")
            self._emit(f"%{name}.flag = select i1 %{name}.plain, i32 {_PLAIN}, i32 {_TRANSPOSED}")
            return "i32", f"%{name}.flag"
        if kind is ParameterKind.SIZE:
            size = self._size(name)
            if self.family.size == "i32" and size != "1":
                self._emit(f"%{name}.short = trunc i64 {size} to i32")
                size = f"%{name}.short"
            return self.family.size, size
        if kind is ParameterKind.NUMBER:
            self._emit(f"%{name}.value = load {self.family.real}, ptr %{name}")
            return self.family.real, f"%{name}.value"
        return "ptr", f"%{name}"

    def _by_address(self, name: str) -> tuple[str, str]:
        kind = kind_of(name)
        if kind.is_flag:
            self._emit(f"store i8 %{name}, ptr %{name}.slot")
        elif kind is ParameterKind.SIZE:
            self._emit(f"store i64 {self._size(name)}, ptr %{name}.slot")
        else:
            return "ptr", f"%{name}"
        return "ptr", f"%{name}.slot"
