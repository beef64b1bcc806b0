"""The functions of `math` and NumPy's ufuncs, several in one switch so that a whole row compiles once."""

# A switch over many functions is the point of this file.
# ruff: noqa: PLR0911

import math

import numpy as np
from scipy import special

from .model import Point, Scenario

__all__ = ["SCENARIOS"]


def trigonometric(which, x):
    if which == 0:
        return math.sin(x)
    if which == 1:
        return math.cos(x)
    if which == 2:
        return math.tan(x)
    if which == 3:
        return math.asin(x)
    if which == 4:
        return math.acos(x)
    return math.atan(x)


def hyperbolic(which, x):
    if which == 0:
        return math.sinh(x)
    if which == 1:
        return math.cosh(x)
    if which == 2:
        return math.tanh(x)
    if which == 3:
        return math.asinh(x)
    if which == 4:
        return math.acosh(1.0 + x)
    return math.atanh(x)


def exponential(which, x):
    if which == 0:
        return math.exp(x)
    if which == 1:
        return math.expm1(x)
    if which == 2:
        return math.log(x)
    if which == 3:
        return math.log1p(x)
    if which == 4:
        return math.log10(x)
    if which == 5:
        return math.log2(x)
    return math.sqrt(x)


def error_and_gamma(which, x):
    if which == 0:
        return math.erf(x)
    if which == 1:
        return math.erfc(x)
    if which == 2:
        return math.gamma(x)
    return math.lgamma(x)


def rounding(which, x):
    if which == 0:
        return x - math.floor(x)
    if which == 1:
        return x * math.ceil(x)
    if which == 2:
        return x * math.trunc(x)
    if which == 3:
        return math.fabs(x)
    if which == 4:
        return abs(x) * x
    if which == 5:
        return math.degrees(x)
    if which == 6:
        return math.radians(x)
    if which == 7:
        return x * round(x)
    return math.ldexp(x, 3)


def two_arguments(which, x, y):
    if which == 0:
        return math.atan2(x, y)
    if which == 1:
        return math.hypot(x, y)
    if which == 2:
        return math.pow(x, y)
    if which == 3:
        return x**y
    if which == 4:
        return math.copysign(x, y)
    if which == 5:
        return np.fmod(x, y)
    if which == 6:
        return x % y
    if which == 7:
        return max(x, y) * x
    if which == 8:
        return min(x, y) * x
    return (x // y) * x


def powers(which, x):
    if which == 0:
        return x**2
    if which == 1:
        return x**-3
    if which == 2:
        return x**0.5
    if which == 3:
        return 2.0**x
    if which == 4:
        return (-x) ** 3
    return x**7


def ufuncs_of_trigonometry(which, x):
    if which == 0:
        return np.sin(x)
    if which == 1:
        return np.cos(x)
    if which == 2:
        return np.tan(x)
    if which == 3:
        return np.arcsin(x)
    if which == 4:
        return np.arccos(x)
    if which == 5:
        return np.arctan(x)
    if which == 6:
        return np.sinh(x)
    if which == 7:
        return np.cosh(x)
    if which == 8:
        return np.tanh(x)
    if which == 9:
        return np.arcsinh(x)
    if which == 10:
        return np.arccosh(1.0 + x)
    return np.arctanh(x)


def ufuncs_of_exponentials(which, x):
    if which == 0:
        return np.exp(x)
    if which == 1:
        return np.exp2(x)
    if which == 2:
        return np.expm1(x)
    if which == 3:
        return np.log(x)
    if which == 4:
        return np.log2(x)
    if which == 5:
        return np.log10(x)
    if which == 6:
        return np.log1p(x)
    if which == 7:
        return np.sqrt(x)
    if which == 8:
        return np.square(x)
    if which == 9:
        return np.reciprocal(x)
    if which == 10:
        return np.negative(x)
    if which == 11:
        return np.absolute(-x)
    if which == 12:
        return np.deg2rad(x)
    return np.rad2deg(x)


def ufuncs_of_two(which, x, y):
    if which == 0:
        return np.add(x, y) * x
    if which == 1:
        return np.subtract(x, y) * x
    if which == 2:
        return np.multiply(x, y)
    if which == 3:
        return np.divide(x, y)
    if which == 4:
        return np.power(x, y)
    if which == 5:
        return np.arctan2(x, y)
    if which == 6:
        return np.hypot(x, y)
    if which == 7:
        return np.maximum(x, y) * x
    if which == 8:
        return np.minimum(x, y) * x
    if which == 9:
        return np.fmax(x, y) * x
    if which == 10:
        return np.fmin(x, y) * x
    if which == 11:
        return np.logaddexp(x, y)
    if which == 12:
        return np.copysign(x, y)
    return np.logaddexp2(x, y)


def ufuncs_over_arrays(x, y):
    return np.sum(np.exp(-x * x) * np.tanh(y) + np.sqrt(x) / (1.0 + y**2) - np.maximum(x, y) * np.log(y))


def _unary(*slopes, x=0.6):
    return tuple(Point((which, x), gradient=(None, slope)) for which, slope in enumerate(slopes))


def _binary(*slopes, x=0.9, y=3.4):
    return tuple(Point((which, x, y), gradient=(None, *slope)) for which, slope in enumerate(slopes))


def _slopes_of_circle(x):
    root = math.sqrt(1 - x * x)
    return math.cos(x), -math.sin(x), 1 / math.cos(x) ** 2, 1 / root, -1 / root, 1 / (1 + x * x)


def _slopes_of_hyperbola(x):
    return (
        math.cosh(x),
        math.sinh(x),
        1 / math.cosh(x) ** 2,
        1 / math.sqrt(1 + x * x),
        1 / math.sqrt((1 + x) ** 2 - 1),
        1 / (1 - x * x),
    )


X, Y = 0.9, 3.4
LN2 = math.log(2.0)
_DISTANCE = math.hypot(X, Y)
_POWER = (Y * X ** (Y - 1), X**Y * math.log(X))
_ERF_SLOPE = 2 / math.sqrt(math.pi) * math.exp(-0.36)
_PSI = float(special.psi(0.6))

SCENARIOS = (
    Scenario(
        "math-trigonometric",
        trigonometric,
        (*_unary(*_slopes_of_circle(0.6)), Point((0, 1e3), gradient=(None, math.cos(1e3)))),
        differences=False,
    ),
    Scenario(
        "math-hyperbolic",
        hyperbolic,
        (*_unary(*_slopes_of_hyperbola(0.6)), Point((2, 1.0), gradient=(None, 0.41997434161402607))),
        differences=False,
    ),
    Scenario(
        "math-exponential",
        exponential,
        _unary(
            math.exp(0.6),
            math.exp(0.6),
            1 / 0.6,
            1 / 1.6,
            1 / (0.6 * math.log(10.0)),
            1 / (0.6 * LN2),
            0.5 / math.sqrt(0.6),
        ),
        differences=False,
    ),
    Scenario(
        "math-error-and-gamma",
        error_and_gamma,
        _unary(_ERF_SLOPE, -_ERF_SLOPE, math.gamma(0.6) * _PSI, _PSI),
        differences=False,
    ),
    Scenario(
        "math-rounding",
        rounding,
        _unary(1.0, -1.0, -1.0, -1.0, 3.2, 180 / math.pi, math.pi / 180, -2.0, 8.0, x=-1.6),
        differences=False,
    ),
    Scenario(
        "math-of-two",
        two_arguments,
        (
            *_binary(
                (Y / 12.37, -X / 12.37),
                (X / _DISTANCE, Y / _DISTANCE),
                _POWER,
                _POWER,
                (1.0, 0.0),
                (1.0, 0.0),
                (1.0, 0.0),
                (Y, X),
                (2 * X, 0.0),
                (0.0, 0.0),
            ),
            Point((5, 7.9, 3.4), gradient=(None, 1.0, -2.0)),
            Point((6, 7.9, 3.4), gradient=(None, 1.0, -2.0)),
            Point((6, -0.9, 3.4), gradient=(None, 1.0, 1.0)),
            Point((4, 0.9, -3.4), gradient=(None, -1.0, 0.0)),
            Point((9, 7.9, 3.4), gradient=(None, 2.0, 0.0)),
        ),
        differences=False,
    ),
    Scenario(
        "powers",
        powers,
        (
            *_unary(1.2, -3 * 0.6**-4, 0.5 / math.sqrt(0.6), LN2 * 2**0.6, -3 * 0.36, 7 * 0.6**6),
            Point((0, 0.0), gradient=(None, 0.0)),
            Point((5, -1.0), gradient=(None, 7.0)),
        ),
        differences=False,
    ),
    Scenario(
        "ufuncs-of-trigonometry",
        ufuncs_of_trigonometry,
        _unary(*_slopes_of_circle(0.6), *_slopes_of_hyperbola(0.6)),
        differences=False,
    ),
    Scenario(
        "ufuncs-of-exponentials",
        ufuncs_of_exponentials,
        _unary(
            math.exp(0.6),
            LN2 * 2**0.6,
            math.exp(0.6),
            1 / 0.6,
            1 / (0.6 * LN2),
            1 / (0.6 * math.log(10.0)),
            1 / 1.6,
            0.5 / math.sqrt(0.6),
            1.2,
            -1 / 0.36,
            -1.0,
            1.0,
            math.pi / 180,
            180 / math.pi,
        ),
        differences=False,
    ),
    Scenario(
        "ufuncs-of-two",
        ufuncs_of_two,
        _binary(
            (2 * X + Y, X),
            (2 * X - Y, -X),
            (Y, X),
            (1 / Y, -X / Y**2),
            _POWER,
            (Y / 12.37, -X / 12.37),
            (X / _DISTANCE, Y / _DISTANCE),
            (Y, X),
            (2 * X, 0.0),
            (Y, X),
            (2 * X, 0.0),
            (1 / (1 + math.exp(Y - X)), 1 / (1 + math.exp(X - Y))),
            (1.0, 0.0),
            (1 / (1 + 2 ** (Y - X)), 1 / (1 + 2 ** (X - Y))),
        ),
        differences=False,
    ),
    Scenario(
        "ufuncs-over-arrays",
        ufuncs_over_arrays,
        (Point((np.array([0.5, 1.2, 2.0]), np.array([1.5, 0.7, 3.0]))),),
    ),
)
