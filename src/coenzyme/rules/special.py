"""Functions that derivatives need and no library has, defined in LLVM's own text.

They are made of ordinary instructions, so that they can be inlined and differentiated again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import pi

from coenzyme.rules.evaluation import DIGAMMA_SERIES
from coenzyme.rules.rule import OperandKind

__all__ = ["FAMILIES", "definitions", "name_of"]

_OVERLOAD: Mapping[str, str] = {"double": "f64", "float": "f32", "x86_fp80": "f80"}
_ONE = {"double": "1.0", "float": "1.0", "x86_fp80": "0xK3FFF8000000000000000"}


@dataclass(frozen=True)
class Definition:
    """A function's text, the functions of this module that it calls, and declarations of the others."""

    body: str
    calls: tuple[str, ...] = ()
    declarations: tuple[str, ...] = ()


_PURE = "nounwind willreturn memory(none)"

_SHIFT = 10
"""ψ is shifted to arguments of at least this, where eight terms of its asymptotic series suffice."""


def name_of(family: str, float_type: str) -> str:
    """Return the symbol under which a family is defined for ``"double"``, ``"float"`` or ``"x86_fp80"``."""
    return f"coenzyme.{family}.{_OVERLOAD[float_type]}"


def definitions(names: Iterable[str]) -> str:
    """Return a module's text that defines these symbols, with what they call themselves.

    Parameters
    ----------
    names
        Symbols of this module; others are skipped, so that the names of all that a function calls may be
        given.
    """
    bodies: dict[str, str] = {}
    declarations: set[str] = set()
    waiting = sorted(set(names) & set(_BY_NAME), reverse=True)
    while waiting:
        name = waiting.pop()
        if name in bodies:
            continue
        family, float_type = _BY_NAME[name]
        definition = FAMILIES[family].text(float_type)
        bodies[name] = definition.body
        declarations |= set(definition.declarations)
        waiting += definition.calls
    return "\n".join((*sorted(declarations), "", *bodies.values()))


def _hexadecimal(value: float) -> str:
    """Return a double as LLVM reads it without rounding."""
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"


def _digamma(float_type: str) -> Definition:
    if float_type != "double":
        other, double = name_of("digamma", float_type), name_of("digamma", "double")
        return Definition(_by_double_precision(other, double, float_type), calls=(double,))
    return Definition(
        _digamma_in_double_precision(),
        declarations=(
            "declare double @llvm.log.f64(double)",
            "declare double @llvm.rint.f64(double)",
            "declare double @tan(double)",
        ),
    )


def _by_double_precision(other: str, double: str, real: str) -> str:
    to, back = ("fpext", "fptrunc") if real == "float" else ("fptrunc", "fpext")
    return f"""define internal {real} @{other}({real} %x) {_PURE} {{
entry:
  %argument = {to} {real} %x to double
  %value = call double @{double}(double %argument)
  %result = {back} double %value to {real}
  ret {real} %result
}}
"""


@cache
def _digamma_in_double_precision() -> str:
    """Return the definition of ψ, the logarithmic derivative of the gamma function.

    Notes
    -----
    Negative arguments are reflected, ψ(x) = ψ(1−x) − π/tan(πx), the tangent being taken of what is left of
    x beside the nearest integer. Small arguments are shifted, ψ(x) = ψ(x+n) − Σ 1/(x+k): the sum is the
    logarithmic derivative p'/p of p = x(x+1)…(x+n−1), so one division does. Then comes the asymptotic
    series (Abramowitz & Stegun 6.3.7, 6.3.6, 6.3.18). The error is a few units of rounding of the largest
    term: relative except near the zeros.
    """
    lines = [
        f"define internal double @{name_of('digamma', 'double')}(double %x) {_PURE} {{",
        "entry:",
        "  %negative = fcmp olt double %x, 0.0",
        "  br i1 %negative, label %reflect, label %reflected",
        "",
        "reflect:",
        "  %nearest = call double @llvm.rint.f64(double %x)",
        "  %fraction = fsub double %x, %nearest",
        f"  %angle = fmul double %fraction, {_hexadecimal(pi)}",
        "  %tangent = call double @tan(double %angle)",
        f"  %finite = fdiv double {_hexadecimal(pi)}, %tangent",
        "  %pole = fcmp oeq double %fraction, 0.0",
        f"  %cotangent = select i1 %pole, double {_hexadecimal(float('nan'))}, double %finite",
        "  %mirror = fsub double 1.0, %x",
        "  br label %reflected",
        "",
        "reflected:",
        "  %y = phi double [ %x, %entry ], [ %mirror, %reflect ]",
        "  %reflection = phi double [ 0.0, %entry ], [ %cotangent, %reflect ]",
        f"  %small = fcmp olt double %y, {_SHIFT}.0",
        "  br i1 %small, label %shift, label %shifted",
        "",
        "shift:",
    ]
    product, slope = "%y", "1.0"
    for k in range(1, _SHIFT):
        lines += [
            f"  %factor.{k} = fadd double %y, {k}.0",
            f"  %term.{k} = fmul double {slope}, %factor.{k}",
            f"  %slope.{k} = fadd double %term.{k}, {product}",
            f"  %product.{k} = fmul double {product}, %factor.{k}",
        ]
        product, slope = f"%product.{k}", f"%slope.{k}"
    lines += [
        f"  %reciprocals = fdiv double {slope}, {product}",
        f"  %far = fadd double %y, {_SHIFT}.0",
        "  br label %shifted",
        "",
        "shifted:",
        "  %z = phi double [ %y, %reflected ], [ %far, %shift ]",
        "  %sum = phi double [ 0.0, %reflected ], [ %reciprocals, %shift ]",
        "  %inverse = fdiv double 1.0, %z",
        "  %w = fmul double %inverse, %inverse",
    ]
    series = "0.0"
    for k, coefficient in reversed(list(enumerate(DIGAMMA_SERIES))):
        lines += [
            f"  %plus.{k} = fadd double {series}, {_hexadecimal(coefficient)}",
            f"  %series.{k} = fmul double %plus.{k}, %w",
        ]
        series = f"%series.{k}"
    lines += [
        "  %logarithm = call double @llvm.log.f64(double %z)",
        "  %half = fmul double %inverse, 0.5",
        f"  %tail = fadd double %half, {series}",
        "  %asymptotic = fsub double %logarithm, %tail",
        "  %unshifted = fsub double %asymptotic, %sum",
        "  %value = fsub double %unshifted, %reflection",
        "  ret double %value",
        "}",
        "",
    ]
    return "\n".join(lines)


def _powi(float_type: str) -> Definition:
    """Return the definition of xⁿ for an integer n, by squaring.

    Notes
    -----
    ``llvm.powi`` becomes a call of the compiler's run-time library where the exponent is not a constant,
    and a JIT has no such library: the call jumps to nowhere. Inlined with a constant exponent, the loop
    unrolls to the multiplications that ``llvm.powi`` would be.
    """
    real = float_type
    return Definition(
        f"""define internal {real} @{name_of("powi", real)}({real} %x, i32 %n) {_PURE} {{
entry:
  %negative = icmp slt i32 %n, 0
  %minus = sub i32 0, %n
  %count = select i1 %negative, i32 %minus, i32 %n
  br label %square

square:
  %remaining = phi i32 [ %count, %entry ], [ %rest, %square ]
  %power = phi {real} [ %x, %entry ], [ %squared, %square ]
  %product = phi {real} [ {_ONE[real]}, %entry ], [ %next, %square ]
  %bit = and i32 %remaining, 1
  %odd = icmp ne i32 %bit, 0
  %multiplied = fmul {real} %product, %power
  %next = select i1 %odd, {real} %multiplied, {real} %product
  %squared = fmul {real} %power, %power
  %rest = lshr i32 %remaining, 1
  %more = icmp ne i32 %rest, 0
  br i1 %more, label %square, label %done

done:
  %reciprocal = fdiv {real} {_ONE[real]}, %next
  %value = select i1 %negative, {real} %reciprocal, {real} %next
  ret {real} %value
}}
"""
    )


def _constant(float_type: str) -> Definition:
    """Return the definition of the identity whose result is a constant to differentiation.

    It is defined in what is compiled. To differentiation it is a name, which must not be inlined.
    """
    real = float_type
    return Definition(
        f"""define internal {real} @{name_of("constant", real)}({real} %x) alwaysinline {_PURE} {{
entry:
  ret {real} %x
}}
"""
    )


@dataclass(frozen=True)
class Family:
    """A function that is defined here: what its operands are, and its text in either precision."""

    kinds: tuple[OperandKind, ...]
    text: Callable[[str], Definition]


FAMILIES: Mapping[str, Family] = {
    "constant": Family((OperandKind.REAL,), _constant),
    "digamma": Family((OperandKind.REAL,), _digamma),
    "powi": Family((OperandKind.REAL, OperandKind.INTEGER), _powi),
}

_BY_NAME: Mapping[str, tuple[str, str]] = {
    name_of(family, float_type): (family, float_type) for family in FAMILIES for float_type in _OVERLOAD
}
