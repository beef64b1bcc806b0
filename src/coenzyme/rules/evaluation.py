"""Expressions as numbers: what the instructions of a partial compute, in plain Python.

Constants are folded with it, tests compare rows with it. Arithmetic is IEEE 754 in double precision: where
Python raises (``1/0``, ``log(-1)``, ``exp(1000)``), these functions return the infinity or the NaN that
compiled code returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from coenzyme.rules.expression import Expression, lower

__all__ = ["FUNCTIONS", "evaluate"]


def evaluate(expression: Expression, bindings: Mapping[str, float]) -> float:
    """Return the value of an expression.

    Parameters
    ----------
    expression
        What to evaluate.
    bindings
        The value of each name that it reads.

    Examples
    --------
    >>> from coenzyme.rules.parsing import parse_expression
    >>> evaluate(parse_expression("y*pow(x, y - 1)"), {"x": -3.0, "y": 2.0})
    -6.0
    """
    return lower(expression, bindings, _NUMBERS)


class _Numbers:
    """The target whose values are Python's numbers."""

    def constant(self, value: float) -> float:
        return value

    def binary(self, opcode: str, a: float, b: float) -> float:
        match opcode:
            case "fadd":
                return a + b
            case "fsub":
                return a - b
            case "fmul":
                return a * b
            case _:
                return _divide(a, b)

    def negate(self, a: float) -> float:
        return -a

    def compare(self, predicate: str, a: float, b: float) -> bool:
        return _PREDICATES[predicate](a, b)

    def logical(self, op: str, a: float, b: float) -> bool:
        return bool(a and b) if op == "and" else bool(a or b)

    def logical_not(self, a: float) -> bool:
        return not a

    def select(self, c: float, a: float, b: float) -> float:
        return a if c else b

    def call(self, family: str, args: tuple[float, ...]) -> float:
        return FUNCTIONS[family](*args)

    def integer_constant(self, value: int) -> int:
        return value

    def integer_binary(self, opcode: str, a: float, b: float) -> int:
        left, right = int(a), int(b)
        return {"add": left + right, "sub": left - right, "mul": left * right}[opcode]

    def to_float(self, a: float) -> float:
        return float(a)


_NUMBERS = _Numbers()

_PREDICATES: Mapping[str, Callable[[float, float], bool]] = {
    "olt": lambda a, b: a < b,
    "ole": lambda a, b: a <= b,
    "ogt": lambda a, b: a > b,
    "oge": lambda a, b: a >= b,
    "oeq": lambda a, b: a == b,
    "une": lambda a, b: a != b,
}


def _divide(a: float, b: float) -> float:
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _ieee(function: Callable[..., float], overflow: float | None = math.inf) -> Callable[..., float]:
    """Return ``function`` with NaN and infinity where Python's ``math`` raises."""

    def quiet(*args: Any) -> float:
        try:
            return function(*args)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf if overflow is None else overflow

    return quiet


def _logarithm(function: Callable[[float], float], pole: float = 0.0) -> Callable[[float], float]:
    """Return a logarithm with ``-inf`` at its pole and NaN beyond."""
    quiet = _ieee(function)
    return lambda x: -math.inf if x == pole else quiet(x)


def _power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except ValueError:  # zero to a negative power, or a negative base and a fractional exponent
        if x != 0.0:
            return math.nan
        return math.copysign(math.inf, x) if y == math.floor(y) and y % 2.0 == 1.0 else math.inf
    except OverflowError:
        return -math.inf if x < 0.0 and y % 2.0 == 1.0 else math.inf


def _sinh(x: float) -> float:
    return _ieee(math.sinh, math.copysign(math.inf, x))(x)


def _cube_root(x: float) -> float:
    root = math.copysign(abs(x) ** (1.0 / 3.0), x)
    # One Newton step: 1/3 is not a double, and the power is off by some units in the last place.
    return root - (root * root * root - x) / (3.0 * root * root) if x and math.isfinite(x) else x


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    """Return a rounding function that keeps infinities, NaN and the sign of zero, as C's do."""
    return lambda x: math.copysign(float(function(x)), x) if math.isfinite(x) else x


def _digamma(x: float) -> float:
    """Return ψ(x) as :mod:`coenzyme.rules.special` computes it."""
    if x < 0.0:
        fraction = x - round(x) if math.isfinite(x) else math.nan
        return _digamma(1.0 - x) - (_divide(math.pi, math.tan(math.pi * fraction)) if fraction else math.nan)
    if x == 0.0:
        return -math.copysign(math.inf, x)
    shift = 0.0
    while x < 10.0:
        shift += 1.0 / x
        x += 1.0
    if math.isinf(x):
        return x
    inverse = 1.0 / (x * x)
    series = 0.0
    for coefficient in reversed(DIGAMMA_SERIES):
        series = (series + coefficient) * inverse
    return math.log(x) - 0.5 / x - series - shift


def _bessel_first(n: float, x: float) -> float:
    """Return Jₙ(x) for a whole number n, by its power series, summed exactly. Abramowitz & Stegun 9.1.10."""
    order = abs(int(n))
    sign = -1 if n < 0 and order % 2 else 1
    if not math.isfinite(x):
        return 0.0 if math.isinf(x) else math.nan
    return float(sign * _bessel_sum(order, x, lambda _: Fraction(1)))


def _bessel_second(n: float, x: float) -> float:
    """Return Yₙ(x) for a whole number n. Abramowitz & Stegun 9.1.11, with ψ(k+1) = Hₖ − γ."""
    order = abs(int(n))
    sign = -1 if n < 0 and order % 2 else 1
    if not x > 0.0 or math.isinf(x):
        return 0.0 if x == math.inf else sign * -math.inf if x == 0.0 else math.nan
    half = Fraction(x) / 2
    pole = sum(
        math.factorial(order - k - 1) * half ** (2 * k - order) / math.factorial(k) for k in range(order)
    )
    rest = _bessel_sum(order, x, lambda k: _harmonic(k) + _harmonic(order + k))
    logarithm = 2.0 * (math.log(float(half)) + _EULER) * _bessel_first(order, x)
    return sign * (logarithm - float(pole + rest)) / math.pi


def _bessel_sum(order: int, x: float, weight: Callable[[int], Fraction]) -> Fraction:
    half = Fraction(x) / 2
    term = half**order / math.factorial(order)
    total, k = term * weight(0), 0
    while k < abs(x) or abs(term) > abs(total) * Fraction(1, 10**25):
        k += 1
        term *= -half * half / (k * (order + k))
        total += term * weight(k)
    return total


@cache
def _harmonic(n: int) -> Fraction:
    return _harmonic(n - 1) + Fraction(1, n) if n else Fraction(0)


_EULER = 0.57721566490153286
"""γ = lim Hₙ − log n."""

DIGAMMA_SERIES: tuple[float, ...] = (
    1 / 12,
    -1 / 120,
    1 / 252,
    -1 / 240,
    1 / 132,
    -691 / 32760,
    1 / 12,
    -3617 / 8160,
)
"""B₂ₖ / 2k for k = 1, …, 8: ψ(x) = log x − 1/2x − Σ B₂ₖ / (2k x²ᵏ) + O(x⁻¹⁸). Abramowitz & Stegun 6.3.18."""


FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "sin": _ieee(math.sin),
    "cos": _ieee(math.cos),
    "tan": _ieee(math.tan),
    "asin": _ieee(math.asin),
    "acos": _ieee(math.acos),
    "atan": math.atan,
    "sinh": _sinh,
    "cosh": _ieee(math.cosh),
    "tanh": math.tanh,
    "exp": _ieee(math.exp),
    "exp2": lambda x: _power(2.0, x),
    "exp10": lambda x: _power(10.0, x),
    "expm1": _ieee(math.expm1),
    "log": _logarithm(math.log),
    "log2": _logarithm(math.log2),
    "log10": _logarithm(math.log10),
    "log1p": _logarithm(math.log1p, pole=-1.0),
    "sqrt": _ieee(math.sqrt),
    "cbrt": _cube_root,
    "pow": _power,
    "powi": lambda x, n: _power(x, float(n)),
    "hypot": math.hypot,
    "fabs": math.fabs,
    "copysign": math.copysign,
    "floor": _whole(math.floor),
    "ceil": _whole(math.ceil),
    "trunc": _whole(math.trunc),
    "rint": _whole(round),
    "ldexp": lambda x, n: _ieee(math.ldexp, math.copysign(math.inf, x))(x, int(n)),
    "erf": math.erf,
    "erfc": math.erfc,
    "digamma": _digamma,
    "j0": lambda x: _bessel_first(0, x),
    "j1": lambda x: _bessel_first(1, x),
    "jn": _bessel_first,
    "y0": lambda x: _bessel_second(0, x),
    "y1": lambda x: _bessel_second(1, x),
    "yn": _bessel_second,
}
"""The functions that a partial may call, by family."""
