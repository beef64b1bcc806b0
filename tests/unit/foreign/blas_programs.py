"""C programs that call BLAS, the libraries they call, and what their derivatives are checked against.

All numbers of a call lie in one array, factors first, then three areas for operands; all choices in another.
Of the C interface, sizes are of 64 bits, as in the library that comes with NumPy; of Fortran's of 32.
"""

from __future__ import annotations

import ctypes
import itertools
import re
from collections.abc import Iterator
from ctypes import c_int, c_void_p
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
import scipy.linalg.cython_blas as fortran

from coenzyme.foreign.derivatives import ForeignRequest
from coenzyme.frontends.clang import compile_c
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.rules.blas_calls import ParameterKind, kind_of, parameters_of
from tests.unit.foreign.linked import Linked, link

__all__ = ["CHOICES", "Program", "cases", "link_c", "prototype", "register", "source"]

CONST, DUPLICATED = ComponentActivity.CONST, ComponentActivity.DUPLICATED

_FLAGS = ("order", "side", "uplo", "trans", "transb", "diag")
CHOICES = (*_FLAGS, "m", "n", "k", "kl", "ku", "lda", "ldb", "ldc", "incx", "incy", "a", "b", "c")
_FACTORS = {"alpha": 0, "start": 0, "cosine": 0, "beta": 1, "sine": 1}
_RETURN = ("dot", "nrm2", "asum")
_TYPES = {"d": "double", "s": "float"}
_LETTERS = {141: "L", 142: "R", 121: "U", 122: "L", 131: "N", 132: "U", 111: "N", 112: "T"}


# -- libraries


def register(*symbols: str) -> None:
    """Let machine code find BLAS under these names; skip the test where there is none."""
    for symbol in symbols:
        if symbol.startswith("cblas_"):
            library = ctypes.CDLL(np.linalg._umath_linalg.__file__)  # pyright: ignore
            function = getattr(library, f"scipy_{symbol}64_", None)
            if function is None:
                pytest.skip("NumPy's own BLAS has no C interface here")
            address = ctypes.cast(function, c_void_p).value
        else:
            address = _address(fortran.__pyx_capi__[symbol.rstrip("_")])
        llvm.add_symbol(symbol, address)


def _address(capsule: Any) -> int:
    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(capsule, name(capsule))


def link_c(code: str, requests: dict[str, tuple[str, ForeignRequest]]) -> Linked:
    """Return C code and derivatives of its functions as machine code, linked with BLAS."""
    text = compile_c(code)
    register(*re.findall(r"^declare [^@\n]*@(cblas_\w+|[sd]\w+_)\(", text, re.MULTILINE))
    return link(text, requests)


# -- programs


def prototype(routine: str, letter: str = "d", *, c: bool = True) -> str:
    """Return how a routine is declared."""
    real = _TYPES[letter]
    result = real if routine in _RETURN else "void"
    if not c:
        words = [_fortran_type(name, real) for name in parameters_of(routine) if name != "order"]
        return f"{result} {letter}{routine}_({', '.join(words)});\n"
    words = [_c_type(name, real) for name in parameters_of(routine)]
    return f"{result} cblas_{letter}{routine}({', '.join(words)});\n"


def _c_type(name: str, real: str) -> str:
    kind = kind_of(name)
    if kind is ParameterKind.SIZE:
        return "long long"
    return "int" if kind.is_flag else real if kind is ParameterKind.NUMBER else f"{real} *"


def _fortran_type(name: str, real: str) -> str:
    kind = kind_of(name)
    return "char *" if kind.is_flag else "int *" if kind is ParameterKind.SIZE else f"{real} *"


def source(
    routine: str, letter: str = "d", *, c: bool = True, constants: dict[str, Any] | None = None
) -> str:
    """Return a program whose `f` calls a routine with the choices and numbers it is given.

    Parameters
    ----------
    constants
        Choices and factors that the program knows.
    """
    real, known = _TYPES[letter], constants or {}
    given = [_argument(routine, name, c, known) for name in parameters_of(routine) if c or name != "order"]
    symbol = f"cblas_{letter}{routine}" if c else f"{letter}{routine}_"
    call = f"{symbol}({', '.join(given)})"
    if routine in _RETURN:
        call = f"z[0] = {call}"
    slots = "".join(
        f"  char {n} = {v!r}[0];\n" if isinstance(v, str) else f"  {real} {n} = {v};\n"
        for n, v in known.items()
        if not c
    )
    body = f"void f(int *q, {real} *z) {{\n{slots}  {call};\n}}\n"
    return prototype(routine, letter, c=c) + body.replace("'", '"')


def _argument(routine: str, name: str, c: bool, known: dict[str, Any]) -> str:
    kind = kind_of(name)
    name = "trans" if name == "transa" else name
    if name in known:
        return str(known[name]) if c else f"&{name}"
    if kind is ParameterKind.NUMBER:
        return f"z[{_FACTORS[name]}]" if c else f"&z[{_FACTORS[name]}]"
    if name == "s":  # beside the cosine
        return f"{_argument(routine, 'c', c, known)} + 1"
    if kind is ParameterKind.ADDRESS:
        return f"z + q[{CHOICES.index(_area(routine, name))}]"
    if c:
        return f"q[{CHOICES.index(name)}]"
    return f"{'(char *)' if kind.is_flag else ''}&q[{CHOICES.index(name)}]"


def _area(routine: str, name: str) -> str:
    """Return the area in which an operand lies: a, b or c."""
    order = [n for n in "abcxy" if n in parameters_of(routine)]
    return "abc"[order.index(name)]


def cases(routine: str, known: tuple[str, ...] = ()) -> Iterator[dict[str, int]]:
    """Yield every combination of the choices that a routine has."""
    only_forwards = routine in ("scal", "nrm2", "asum")
    values = {
        "order": (101, 102),
        "side": (141, 142),
        "uplo": (121, 122),
        "diag": (131, 132),
        "trans": (111, 112),
        "transa": (111, 112),
        "transb": (111, 112),
        "incx": (1, 2) if only_forwards else (1, -2),
        "incy": (1, -1, 3),
    }
    names = [n for n in parameters_of(routine) if n in values and n not in known]
    for combination in itertools.product(*(values[n] for n in names)):
        yield {"trans" if n == "transa" else n: v for n, v in zip(names, combination, strict=True)}


# -- checks


class Program:
    """A program of :func:`source` and its derivatives.

    Parameters
    ----------
    options
        Of the requests for derivatives.
    """

    area, leading = 56, 7
    """How many numbers an operand has room for, and how far apart the columns of a matrix are."""
    full = True
    """Whether diagonals lie as in matrices that are neither banded nor packed."""

    def __init__(self, code: str, letter: str = "d", *, c: bool = True, **options: Any) -> None:
        forward, reverse = (
            ForeignRequest(mode, (CONST, DUPLICATED), return_active=False, **options)
            for mode in (Mode.FORWARD, Mode.REVERSE)
        )
        self.c = c
        self.width = options.get("width", 1)
        self.dtype = np.dtype(letter if letter == "d" else "f")
        self.linked = link_c(code, {"along": ("f", forward), "back": ("f", reverse)})
        self.functions: dict[str, Any] = {}
        self.random = np.random.default_rng(len(code))

    def choices(self, case: dict[str, int]) -> np.ndarray:
        """Return what a call is told."""
        places = dict(m=3, n=4, k=2, kl=1, ku=2, incx=1, incy=1) | dict.fromkeys(
            ("lda", "ldb", "ldc"), self.leading
        )
        places |= dict(a=4, b=4 + self.area, c=4 + 2 * self.area)
        values = [(places | case).get(name, 0) for name in CHOICES]
        if not self.c:
            values[: len(_FLAGS)] = [ord(_LETTERS.get(v, "-")) for v in values[: len(_FLAGS)]]
        return np.array(values, np.int32)

    def numbers(self, alpha: float | None = None, beta: float | None = None) -> np.ndarray:
        """Return what a call calculates with; every matrix of the first area can be inverted."""
        z = self.random.normal(size=4 + 3 * self.area) / self.leading**0.5
        if self.full:
            z[4 : 4 + self.area : self.leading + 1] += 3.0
        else:
            z[4 : 4 + self.area] = 1.0 + 0.5 * z[4 : 4 + self.area]
        z[:2] = z[0] if alpha is None else alpha, z[1] if beta is None else beta
        return z.astype(self.dtype)

    def _function(self, name: str, result: Any, count: int) -> Any:
        if name not in self.functions:
            self.functions[name] = self.linked.function(name, result, *[c_void_p] * count)
        return self.functions[name]

    def primal(self, q: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return what a call leaves behind."""
        z = z.copy()
        self._function("f", None, 2)(q.ctypes.data, z.ctypes.data)
        return z

    def derivative(
        self, name: str, q: np.ndarray, z: np.ndarray, *given: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Return what a derivative leaves in the numbers, and in the shadows."""
        arrays = [z.copy(), *(s.copy() for s in given)]
        function = self._function(name, c_int, 3 + len(arrays))
        assert function(None, None, q.ctypes.data, *(a.ctypes.data for a in arrays)) == 0
        return tuple(arrays)

    def check(self, case: dict[str, int], alpha: float | None = None, beta: float | None = None) -> None:
        """Compare the derivatives of a call with differences of the library's results, and each other."""
        q, z = self.choices(case), self.numbers(alpha, beta)
        dots = [self.numbers() for _ in range(self.width)]
        bars = [self.numbers() for _ in range(self.width)]
        step, close = (1e-5, 1e-7) if self.dtype == np.float64 else (2e-2, 1e-2)
        exact = 1e3 * np.finfo(self.dtype).eps
        value, *tangents = self.derivative("along", q, z, *dots)
        again, *adjoints = self.derivative("back", q, z, *bars)
        expected = self.primal(q, z)
        np.testing.assert_allclose(value, expected, rtol=exact, atol=exact)
        np.testing.assert_allclose(again, expected, rtol=exact, atol=exact)
        for z_dot, tangent, z_bar, adjoint in zip(dots, tangents, bars, adjoints, strict=True):
            h = self.dtype.type(step)
            near = self.primal(q, z + h * z_dot) - self.primal(q, z - h * z_dot)
            far = self.primal(q, z + 2 * h * z_dot) - self.primal(q, z - 2 * h * z_dot)
            scale = max(1.0, float(abs(tangent).max()))
            np.testing.assert_allclose(tangent, (8 * near - far) / (12 * h), rtol=0, atol=close * scale)
            one, two = float(z_bar @ tangent), float(adjoint @ z_dot)
            assert abs(one - two) <= exact * np.linalg.norm(z_bar) * np.linalg.norm(tangent), case
