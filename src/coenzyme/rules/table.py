"""The partial derivatives of scalar operations.

Conventions
-----------
Where the mathematics leaves no choice, a row says what it says: the derivative of ``sqrt`` at 0 is
infinite, that of ``log`` of a negative number is NaN. Elsewhere:

- *Kinks.* ``fabs`` (and ``copysign`` in its first operand) has derivative 0 at 0, the middle of its
  subdifferential; so do ``hypot`` and ``atan2`` at the origin. Minima and maxima give a tie to their first
  operand. Of two operands of which one is a NaN, the one that the operation returns has derivative 1.
- *Steps.* Rounding functions have derivative 0 everywhere, at the jumps too. ``nextafter`` moves with its
  first operand.
- *Powers.* ∂(xʸ)/∂x is 0 where y = 0, for every x; ∂(xʸ)/∂y is 0 where x = 0 and y ≥ 0. For x < 0 the
  derivative in y does not exist (NaN), the one in x does for whole y.
- *Remainders* are x − ny with the integer n held fixed.
- *Precision.* A partial that is computed from the result (``tanh``, ``expm1``) is exact to the rounding of
  that result.

A kink is guarded inside the expression that would divide by zero, ``x/where(r == 0, 1, r)``, rather than
around it: both branches of a choice are evaluated, and differentiating ``where(r == 0, 0, x/r)`` once more
gives 0·∞ = NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

from coenzyme.rules.rule import OperandKind, Rule

__all__ = ["FUNCTIONS", "INSTRUCTIONS", "RECIPROCALS"]

_REAL = OperandKind.REAL
_INTEGER = OperandKind.INTEGER
_OUTPUT = OperandKind.INTEGER_OUTPUT

_X = ("x",)
_XY = ("x", "y")
_NX = ("n", "x")

_FREM = Rule("frem", _XY, ("1", "-rint((x - r)/y)"), ("fmod", "numba_fixed_fmod"))

RECIPROCALS: Mapping[float, Rule] = {
    1.0: Rule("reciprocal", _XY, ("1/y", "-(r*r)"), has_pole=True),
    -1.0: Rule("negative reciprocal", _XY, ("1/y", "r*r"), has_pole=True),
}
"""By a constant numerator, quotients whose result alone gives the partial: no second division."""

INSTRUCTIONS: tuple[Rule, ...] = (
    Rule("fneg", _X, ("-1",)),
    Rule("fadd", _XY, ("1", "1")),
    Rule("fsub", _XY, ("1", "-1")),
    Rule("fmul", _XY, ("y", "x")),
    # Not -(r/y): with both operands active, one division serves both partials.
    Rule("fdiv", _XY, ("1/y", "-(r*(1/y))")),
    _FREM,
    # The type changes on the way: a tangent is converted as its value is, an adjoint the other way.
    Rule("fpext", _X, ("1",)),
    Rule("fptrunc", _X, ("1",)),
)
"""Instructions, by opcode."""

FUNCTIONS: tuple[Rule, ...] = (
    _FREM,
    # --- powers and roots
    Rule("sqrt", _X, ("0.5/r",), ("llvm.sqrt", "sqrt")),
    Rule("cbrt", _X, ("1/(3*r*r)",), ("cbrt",)),
    Rule(
        "pow",
        _XY,
        ("y*pow(where(y == 0, 1, x), y - 1)", "r*log(where(x == 0 and y >= 0, 1, x))"),
        ("llvm.pow", "pow"),
    ),
    Rule(
        "powi",
        ("x", "n"),
        ("float(n)*powi(where(float(n) == 0, 1, x), n - 1)", None),
        ("coenzyme.powi", "llvm.powi"),
        (_REAL, _INTEGER),
    ),
    Rule("hypot", _XY, ("x/where(r == 0, 1, r)", "y/where(r == 0, 1, r)"), ("hypot",)),
    # --- exponentials and logarithms
    Rule("exp", _X, ("r",), ("llvm.exp", "exp")),
    Rule("exp2", _X, ("r*log(2)",), ("llvm.exp2", "exp2")),
    Rule("exp10", _X, ("r*log(10)",), ("llvm.exp10", "exp10", "__exp10", "pow10")),
    Rule("expm1", _X, ("r + 1",), ("expm1",)),
    Rule("exp2m1", _X, ("(r + 1)*log(2)",), ("exp2m1",)),
    Rule("exp10m1", _X, ("(r + 1)*log(10)",), ("exp10m1",)),
    Rule("log", _X, ("1/x",), ("llvm.log", "log")),
    Rule("log2", _X, ("1/log(2)/x",), ("llvm.log2", "log2")),
    Rule("log10", _X, ("1/log(10)/x",), ("llvm.log10", "log10")),
    Rule("log1p", _X, ("1/(1 + x)",), ("log1p",)),
    Rule("log2p1", _X, ("1/log(2)/(1 + x)",), ("log2p1",)),
    Rule("log10p1", _X, ("1/log(10)/(1 + x)",), ("log10p1",)),
    # --- trigonometric
    Rule("sin", _X, ("cos(x)",), ("llvm.sin", "sin")),
    Rule("cos", _X, ("-sin(x)",), ("llvm.cos", "cos")),
    Rule("tan", _X, ("1 + r*r",), ("tan", "llvm.tan")),
    Rule("asin", _X, ("1/sqrt((1 - x)*(1 + x))",), ("asin", "llvm.asin")),
    Rule("acos", _X, ("-1/sqrt((1 - x)*(1 + x))",), ("acos", "llvm.acos")),
    Rule("atan", _X, ("1/(1 + x*x)",), ("atan", "llvm.atan")),
    Rule(
        "atan2",
        ("y", "x"),
        (
            "x/where(x == 0 and y == 0, 1, x*x + y*y)",
            "-y/where(x == 0 and y == 0, 1, x*x + y*y)",
        ),
        ("atan2", "llvm.atan2"),
    ),
    # --- hyperbolic
    Rule("sinh", _X, ("cosh(x)",), ("sinh", "llvm.sinh")),
    Rule("cosh", _X, ("sinh(x)",), ("cosh", "llvm.cosh")),
    Rule("tanh", _X, ("1 - r*r",), ("tanh", "llvm.tanh")),
    Rule("asinh", _X, ("1/sqrt(x*x + 1)",), ("asinh",)),
    Rule("acosh", _X, ("1/(sqrt(x - 1)*sqrt(x + 1))",), ("acosh",)),
    Rule("atanh", _X, ("1/((1 - x)*(1 + x))",), ("atanh",)),
    # --- error and gamma functions
    Rule("erf", _X, ("2/sqrt(pi)*exp(-x*x)",), ("erf", "numba_erf")),
    Rule("erfc", _X, ("-2/sqrt(pi)*exp(-x*x)",), ("erfc", "numba_erfc")),
    Rule("gamma", _X, ("r*digamma(x)",), ("tgamma", "numba_gamma")),
    Rule("lgamma", _X, ("digamma(x)",), ("lgamma", "numba_lgamma", "gamma")),
    Rule("lgamma_r", ("x", "sign"), ("digamma(x)", None), ("lgamma_r", "gamma_r"), (_REAL, _OUTPUT)),
    # --- Bessel functions
    Rule("j0", _X, ("-j1(x)",), ("j0",)),
    Rule("j1", _X, ("where(x == 0, 0.5, j0(x) - r/where(x == 0, 1, x))",), ("j1",)),
    Rule("jn", _NX, (None, "0.5*(jn(n - 1, x) - jn(n + 1, x))"), ("jn",), (_INTEGER, _REAL)),
    Rule("y0", _X, ("-y1(x)",), ("y0",)),
    Rule("y1", _X, ("y0(x) - r/x",), ("y1",)),
    Rule("yn", _NX, (None, "0.5*(yn(n - 1, x) - yn(n + 1, x))"), ("yn",), (_INTEGER, _REAL)),
    # --- sign, minimum, maximum
    Rule("fabs", _X, ("where(x == 0, 0, copysign(1, x))",), ("llvm.fabs", "fabs")),
    Rule(
        "copysign",
        _XY,
        ("where(x == 0, 0, copysign(1, x)*copysign(1, y))", "0"),
        ("llvm.copysign", "copysign"),
    ),
    # A NaN is a missing value to these four, ...
    Rule(
        "minnum",
        _XY,
        ("where(x <= y or y != y, 1, 0)", "where(x <= y or y != y, 0, 1)"),
        ("llvm.minnum", "fmin"),
    ),
    Rule(
        "maxnum",
        _XY,
        ("where(x >= y or y != y, 1, 0)", "where(x >= y or y != y, 0, 1)"),
        ("llvm.maxnum", "fmax"),
    ),
    Rule(
        "minimumnum",
        _XY,
        ("where(x <= y or y != y, 1, 0)", "where(x <= y or y != y, 0, 1)"),
        ("llvm.minimumnum", "fminimum_num"),
    ),
    Rule(
        "maximumnum",
        _XY,
        ("where(x >= y or y != y, 1, 0)", "where(x >= y or y != y, 0, 1)"),
        ("llvm.maximumnum", "fmaximum_num"),
    ),
    # ... while these two return it.
    Rule(
        "minimum",
        _XY,
        ("where(x <= y or x != x, 1, 0)", "where(x <= y or x != x, 0, 1)"),
        ("llvm.minimum", "fminimum"),
    ),
    Rule(
        "maximum",
        _XY,
        ("where(x >= y or x != x, 1, 0)", "where(x >= y or x != x, 0, 1)"),
        ("llvm.maximum", "fmaximum"),
    ),
    Rule("fdim", _XY, ("where(x > y, 1, 0)", "where(x > y, -1, 0)"), ("fdim",)),
    # --- fused operations, identities
    Rule("fma", ("x", "y", "z"), ("y", "x", "1"), ("llvm.fma", "fma")),
    Rule("fmuladd", ("x", "y", "z"), ("y", "x", "1"), ("llvm.fmuladd",)),
    Rule("canonicalize", _X, ("1",), ("llvm.canonicalize",)),
    Rule("arithmetic.fence", _X, ("1",), ("llvm.arithmetic.fence",)),
    # --- bits of floating point
    Rule("remainder", _XY, ("1", "-rint((x - r)/y)"), ("remainder", "drem")),
    Rule(
        "remquo",
        ("x", "y", "quotient"),
        ("1", "-rint((x - r)/y)", None),
        ("remquo",),
        (_REAL, _REAL, _OUTPUT),
    ),
    # What the second says is in which direction, so that its type does not matter.
    Rule("nextafter", _XY, ("1", "0"), ("nextafter", "numba_nextafter", "nexttoward")),
    Rule("nextup", _X, ("1",), ("nextup", "nextdown")),
    Rule("significand", _X, ("r/where(x == 0, 1, x)",), ("significand",)),
    Rule("scalb", ("x", "n"), ("exp2(n)", "0"), ("scalb",)),
    Rule(
        "ldexp",
        ("x", "n"),
        ("ldexp(1, n)", None),
        ("llvm.ldexp", "ldexp", "scalbn", "numba_ldexp"),
        (_REAL, _INTEGER),
    ),
    # r = x / 2ᵉ with the exponent e held fixed, so the slope is 2⁻ᵉ = r/x.
    Rule(
        "frexp",
        ("x", "exponent"),
        ("r/where(x == 0, 1, x)", None),
        ("frexp", "numba_frexp"),
        (_REAL, _OUTPUT),
    ),
    # --- steps: the derivative is zero
    Rule("floor", _X, ("0",), ("llvm.floor", "floor")),
    Rule("ceil", _X, ("0",), ("llvm.ceil", "ceil")),
    Rule("trunc", _X, ("0",), ("llvm.trunc", "trunc")),
    Rule("rint", _X, ("0",), ("llvm.rint", "rint")),
    Rule("nearbyint", _X, ("0",), ("llvm.nearbyint", "nearbyint")),
    Rule("round", _X, ("0",), ("llvm.round", "round")),
    Rule("roundeven", _X, ("0",), ("llvm.roundeven", "roundeven")),
    Rule("logb", _X, ("0",), ("logb",)),
)
"""Functions that are called, LLVM's intrinsics among them."""
