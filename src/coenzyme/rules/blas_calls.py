"""How programs call BLAS: the symbols of its C and Fortran interfaces, and their parameters.

The C interface (cblas) passes numbers by value and says by integers how matrices lie; Fortran passes all by
address and says it by letters, whose lengths may follow at the end. Either may count in 32 or in 64 bits.
What Fortran finds behind an address may be of either width: the lower half of an integer comes first.
Which of these a program uses is the *family* of its calls, which derivatives keep to.

Source: Blackford et al., "An updated set of basic linear algebra subprograms" (2002), and cblas.h.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache

__all__ = [
    "BlasFamily",
    "BlasSymbol",
    "ParameterKind",
    "find_blas_symbol",
    "has_order",
    "kind_of",
    "parameters_of",
    "split_family",
]


class ParameterKind(Enum):
    """What a parameter is."""

    ORDER = "order"
    """Whether matrices lie row by row; the C interface alone has it."""
    TRANS = "trans"
    UPLO = "uplo"
    DIAG = "diag"
    SIDE = "side"
    SIZE = "size"
    NUMBER = "number"
    """A real number: a factor."""
    ADDRESS = "address"

    @property
    def is_flag(self) -> bool:
        """Whether it says one of two things."""
        return self not in (ParameterKind.SIZE, ParameterKind.NUMBER, ParameterKind.ADDRESS)


_FLAGS = {
    "order": ParameterKind.ORDER,
    "side": ParameterKind.SIDE,
    "uplo": ParameterKind.UPLO,
    "diag": ParameterKind.DIAG,
    **dict.fromkeys(("trans", "transa", "transb"), ParameterKind.TRANS),
}
_SIZES = ("m", "n", "k", "kl", "ku", "lda", "ldb", "ldc", "incx", "incy")
_NUMBERS = ("alpha", "beta", "start", "cosine", "sine")


def kind_of(name: str) -> ParameterKind:
    """Return what the parameter of this name is, whatever the routine."""
    if name in _SIZES:
        return ParameterKind.SIZE
    return ParameterKind.NUMBER if name in _NUMBERS else _FLAGS.get(name, ParameterKind.ADDRESS)


_PARAMETERS: Mapping[str, str] = {
    "dot": "n x incx y incy",
    "nrm2": "n x incx",
    "asum": "n x incx",
    "axpy": "n alpha x incx y incy",
    "axpby": "n alpha x incx beta y incy",
    "scal": "n alpha x incx",
    "copy": "n x incx y incy",
    "swap": "n x incx y incy",
    "rot": "n x incx y incy cosine sine",
    "rotg": "a b c s",
    "gemv": "order trans m n alpha a lda x incx beta y incy",
    "ger": "order m n alpha x incx y incy a lda",
    "symv": "order uplo n alpha a lda x incx beta y incy",
    "syr": "order uplo n alpha x incx a lda",
    "syr2": "order uplo n alpha x incx y incy a lda",
    "trmv": "order uplo trans diag n a lda x incx",
    "trsv": "order uplo trans diag n a lda x incx",
    "gbmv": "order trans m n kl ku alpha a lda x incx beta y incy",
    "sbmv": "order uplo n k alpha a lda x incx beta y incy",
    "spmv": "order uplo n alpha a x incx beta y incy",
    "tbmv": "order uplo trans diag n k a lda x incx",
    "tbsv": "order uplo trans diag n k a lda x incx",
    "tpmv": "order uplo trans diag n a x incx",
    "tpsv": "order uplo trans diag n a x incx",
    "spr": "order uplo n alpha x incx a",
    "spr2": "order uplo n alpha x incx y incy a",
    "gemm": "order transa transb m n k alpha a lda b ldb beta c ldc",
    "symm": "order side uplo m n alpha a lda b ldb beta c ldc",
    "syrk": "order uplo trans n k alpha a lda beta c ldc",
    "syr2k": "order uplo trans n k alpha a lda b ldb beta c ldc",
    "trmm": "order side uplo transa diag m n alpha a lda b ldb",
    "trsm": "order side uplo transa diag m n alpha a lda b ldb",
}
_MIXED = {"dsdot": ("n x incx y incy", "double"), "sdsdot": ("n start x incx y incy", "float")}
_RESULTS = ("dot", "nrm2", "asum")
_REALS = {"s": "float", "d": "double"}

_SYMBOL = re.compile(
    rf"""
    (?P<vendor>scipy_)?
    (?:(?P<cblas>cblas_)|(?!cblas_))
    (?:(?P<letter>[sd])(?P<routine>{"|".join(_PARAMETERS)})|(?P<mixed>s?dsdot))
    (?P<suffix>(?(cblas)(?:_?64_?)?|(?:_|__|_?64_)))
    """,
    re.VERBOSE,
)
_FAMILY = re.compile(
    r"\.(?P<before>\w*)(?P<letter>[sd])\$(?P<suffix>\w*)\.(?P<size>i32|i64)(?P<linked>(?:\.\w+)*)"
)


def parameters_of(routine: str) -> tuple[str, ...]:
    """Return the names of the parameters of a routine of the C interface.

    Examples
    --------
    >>> parameters_of("syr")
    ('order', 'uplo', 'n', 'alpha', 'x', 'incx', 'a', 'lda')
    """
    return tuple(_PARAMETERS[routine].split())


def has_order(routine: str) -> bool:
    """Return whether the C interface of a routine says how matrices lie."""
    return _PARAMETERS.get(routine, "").startswith("order")


@dataclass(frozen=True)
class BlasFamily:
    """How the routines of one library are called, for one type of elements.

    Attributes
    ----------
    before, suffix
        What stands before the letter of the element type in the names of routines, and what after the
        routine's own.
    letter
        ``"s"`` or ``"d"``.
    size
        The type of sizes, ``"i32"`` or ``"i64"``.
    linked
        The routines that derivatives may call there; loops stand in for others.
    """

    before: str
    letter: str
    suffix: str
    size: str
    linked: tuple[str, ...] = ()

    @property
    def is_c(self) -> bool:
        """Whether it is the C interface."""
        return self.before.endswith("cblas_")

    @property
    def real(self) -> str:
        """The type of elements."""
        return _REALS[self.letter]

    def symbol(self, routine: str) -> str:
        """Return the name of a routine, as of ``"gemm"``."""
        return f"{self.before}{self.letter}{routine}{self.suffix}"

    def __str__(self) -> str:
        """Return what marks a name as one of this family."""
        linked = "".join(f".{routine}" for routine in self.linked)
        return f".{self.before}{self.letter}${self.suffix}.{self.size}{linked}"


@dataclass(frozen=True)
class BlasSymbol:
    """A routine as programs call it.

    Attributes
    ----------
    reference
        The name of the routine without its interface: ``"dgemm"``.
    before, letter, suffix
        As in `BlasFamily`.
    parameters
        What it takes, in order.
    result
        The type of what it returns, ``"void"`` if nothing.
    """

    reference: str
    before: str
    letter: str
    suffix: str
    parameters: tuple[ParameterKind, ...]
    result: str

    @property
    def is_c(self) -> bool:
        """Whether it belongs to the C interface."""
        return self.before.endswith("cblas_")

    @property
    def real(self) -> str:
        """The type of the numbers it takes."""
        return _REALS[self.letter]

    def family(self, size: str) -> BlasFamily:
        """Return its family, given the type of its sizes; nothing is linked."""
        return BlasFamily(self.before, self.letter, self.suffix, size)


@cache
def find_blas_symbol(symbol: str) -> BlasSymbol | None:
    """Return what is known of a BLAS routine by its symbol, None where it is none or has no derivative.

    Examples
    --------
    >>> find_blas_symbol("cblas_dgemm").reference, find_blas_symbol("sdot_").result
    ('dgemm', 'float')
    >>> find_blas_symbol("dgetrf_"), find_blas_symbol("cblas_zgemm")
    (None, None)
    """
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        return None
    mixed, routine = match["mixed"], match["routine"]
    words, result = _MIXED[mixed] if mixed else (_PARAMETERS[routine], "void")
    letter = "s" if mixed else match["letter"]
    if routine in _RESULTS:
        result = _REALS[letter]
    kinds = tuple(kind_of(word) for word in words.split())
    before = (match["vendor"] or "") + (match["cblas"] or "")
    if not match["cblas"]:
        kinds = tuple(k for k in kinds if k is not ParameterKind.ORDER)
    return BlasSymbol(mixed or f"{letter}{routine}", before, letter, match["suffix"], kinds, result)


def split_family(callee: str) -> tuple[str, BlasFamily | None]:
    """Return the name of a routine that derivatives call, without its family, and the family.

    Examples
    --------
    >>> split_family("numba_xxgemm.d$_.i32.gemm")
    ('numba_xxgemm', BlasFamily(before='', letter='d', suffix='_', size='i32', linked=('gemm',)))
    """
    name, dot, rest = callee.partition(".")
    match = _FAMILY.fullmatch(f"{dot}{rest}")
    if match is None:
        return callee, None
    linked = tuple(match["linked"].split(".")[1:])
    return name, BlasFamily(match["before"], match["letter"], match["suffix"], match["size"], linked)
