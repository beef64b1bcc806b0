"""Every row of the table against finite differences, and every row made wrong.

A row is tested through the expressions that the engine lowers, at points that this file declares for it.
The functions themselves come from Python, NumPy and SciPy.
"""

import dataclasses
import math

import numpy as np
import pytest
import scipy.special

from coenzyme.rules import RULES, OperandKind, Rule, evaluate
from coenzyme.testing.differences import agrees, directional_difference

ANYWHERE = [(-2.3,), (-0.4,), (0.3,), (1.7,)]
POSITIVE = [(0.02,), (0.6,), (1.0,), (37.0,)]
INSIDE_ONE = [(-0.97,), (-0.5,), (0.2,), (0.999,)]
PAIRS = [(1.3, 2.1), (-0.7, 2.9), (-2.2, -0.3), (3.1, -1.4)]
BETWEEN_INTEGERS = [(-2.3,), (-0.4,), (0.3,), (1.7,), (100.2,)]


def ties_broken(points):
    return [*points, *(tuple(reversed(point)) for point in points)]


# family -> (the function, the points)
CASES = {
    "fneg": (lambda x: -x, ANYWHERE),
    "fadd": (lambda x, y: x + y, PAIRS),
    "fsub": (lambda x, y: x - y, PAIRS),
    "fmul": (lambda x, y: x * y, PAIRS),
    "fdiv": (lambda x, y: x / y, PAIRS),
    "frem": (math.fmod, [*PAIRS, (7.5, 2.0), (-7.5, 2.0), (7.5, -2.0), (5.0, 7.0)]),
    "fpext": (lambda x: x, ANYWHERE),
    "fptrunc": (lambda x: x, ANYWHERE),
    "sqrt": (np.sqrt, POSITIVE),
    "cbrt": (np.cbrt, [*ANYWHERE, (-1e-3,)]),
    "pow": (
        np.power,
        [(1.3, 2.1), (0.2, -1.5), (7.0, 0.5), (2.0, 3.0), (3.0, 0.0), (-1.5, 3.0), (-1.5, -2.0)],
    ),
    "powi": (
        lambda x, n: float(x) ** n,
        [(1.3, 4), (-1.3, 3), (-0.4, 2), (0.7, -2), (-0.7, -3), (2.5, 0), (1.1, 1)],
    ),
    "hypot": (np.hypot, PAIRS),
    "exp": (np.exp, ANYWHERE),
    "exp2": (np.exp2, ANYWHERE),
    "exp10": (lambda x: np.power(10.0, x), ANYWHERE),
    "expm1": (np.expm1, [*ANYWHERE, (1e-8,)]),
    "log": (np.log, POSITIVE),
    "log2": (np.log2, POSITIVE),
    "log10": (np.log10, POSITIVE),
    "log1p": (np.log1p, [(-0.9,), (1e-8,), (0.5,), (12.0,)]),
    "sin": (np.sin, ANYWHERE),
    "cos": (np.cos, ANYWHERE),
    "tan": (np.tan, ANYWHERE),
    "asin": (np.arcsin, INSIDE_ONE),
    "acos": (np.arccos, INSIDE_ONE),
    "atan": (np.arctan, [*ANYWHERE, (1e3,)]),
    "atan2": (np.arctan2, [*PAIRS, (0.0, 2.0), (2.0, 0.0), (-2.0, 0.0)]),
    "sinh": (np.sinh, ANYWHERE),
    "cosh": (np.cosh, ANYWHERE),
    "tanh": (np.tanh, ANYWHERE),
    "asinh": (np.arcsinh, [*ANYWHERE, (1e3,), (-1e3,)]),
    "acosh": (np.arccosh, [(1.01,), (1.5,), (20.0,)]),
    "atanh": (np.arctanh, INSIDE_ONE),
    "erf": (scipy.special.erf, ANYWHERE),
    "erfc": (scipy.special.erfc, ANYWHERE),
    "gamma": (scipy.special.gamma, [(0.3,), (2.5,), (9.9,), (-0.4,), (-2.5,), (-3.3,)]),
    "lgamma": (scipy.special.gammaln, [(0.3,), (2.5,), (99.0,), (-0.4,), (-2.6,), (-3.3,)]),
    "fabs": (np.abs, ANYWHERE),
    "copysign": (np.copysign, PAIRS),
    "minnum": (np.fmin, ties_broken(PAIRS)),
    "maxnum": (np.fmax, ties_broken(PAIRS)),
    "minimumnum": (np.fmin, ties_broken(PAIRS)),
    "maximumnum": (np.fmax, ties_broken(PAIRS)),
    "minimum": (np.minimum, ties_broken(PAIRS)),
    "maximum": (np.maximum, ties_broken(PAIRS)),
    "fdim": (lambda x, y: np.fmax(x - y, 0.0), ties_broken(PAIRS)),
    "fma": (lambda x, y, z: x * y + z, [(1.3, -2.1, 0.4), (-0.7, -0.2, 3.0)]),
    "fmuladd": (lambda x, y, z: x * y + z, [(1.3, -2.1, 0.4), (-0.7, -0.2, 3.0)]),
    "canonicalize": (lambda x: x, ANYWHERE),
    "arithmetic.fence": (lambda x: x, ANYWHERE),
    "j0": (scipy.special.j0, ANYWHERE),
    "j1": (scipy.special.j1, ANYWHERE),
    "jn": (lambda n, x: scipy.special.jn(int(n), x), [(0, 0.7), (2, -1.3), (3, 2.2), (-1, 1.9), (-2, 0.4)]),
    "y0": (scipy.special.y0, [(0.3,), (1.7,), (2.9,)]),
    "y1": (scipy.special.y1, [(0.3,), (1.7,), (2.9,)]),
    "yn": (lambda n, x: scipy.special.yn(int(n), x), [(0, 0.7), (2, 1.3), (3, 2.2), (-1, 1.9), (-2, 0.4)]),
    "lgamma_r": (lambda x, _: scipy.special.gammaln(x), [(0.3, 0), (2.5, 0), (-0.4, 0), (-2.6, 0)]),
    "exp2m1": (lambda x: np.expm1(x * np.log(2)), ANYWHERE),
    "exp10m1": (lambda x: np.expm1(x * np.log(10)), ANYWHERE),
    "log2p1": (lambda x: np.log1p(x) / np.log(2), [(-0.9,), (0.5,), (12.0,)]),
    "log10p1": (lambda x: np.log1p(x) / np.log(10), [(-0.9,), (0.5,), (12.0,)]),
    "remquo": (
        lambda x, y, _: math.remainder(x, y),
        [(1.3, 2.1, 0), (-0.7, 2.9, 0), (7.6, 2.0, 0), (-7.4, 2.0, 0), (7.4, -2.0, 0)],
    ),
    "nextup": (lambda x: np.nextafter(x, np.inf), ANYWHERE),
    "significand": (lambda x: 2 * math.frexp(x)[0], [(1.3,), (-0.7,), (900.0,), (1e-5,)]),
    "scalb": (lambda x, n: math.ldexp(x, round(n)), [(1.3, 4.0), (-0.7, -3.0), (2.0, 0.0)]),
    "remainder": (math.remainder, [*PAIRS, (7.6, 2.0), (-7.4, 2.0), (7.4, -2.0), (5.0, 7.0)]),
    "nextafter": (np.nextafter, PAIRS),
    "ldexp": (math.ldexp, [(1.3, 4), (-0.7, -3), (2.0, 0)]),
    "frexp": (lambda x, _: math.frexp(x)[0], [(1.3, 0), (-0.7, 0), (900.0, 0), (1e-5, 0)]),
    "floor": (np.floor, BETWEEN_INTEGERS),
    "ceil": (np.ceil, BETWEEN_INTEGERS),
    "trunc": (np.trunc, BETWEEN_INTEGERS),
    "rint": (np.rint, BETWEEN_INTEGERS),
    "nearbyint": (np.rint, BETWEEN_INTEGERS),
    "round": (np.rint, BETWEEN_INTEGERS),
    "roundeven": (np.rint, BETWEEN_INTEGERS),
    "logb": (lambda x: math.frexp(x)[1] - 1.0, [(1.3,), (-0.7,), (100.0,)]),
}

PARTIALS = [
    pytest.param(rule, index, id=f"{rule.name}-{operand}")
    for rule in RULES.values()
    for index, operand in enumerate(rule.operands)
    if rule.kinds[index] is OperandKind.REAL
]
ZERO_PARTIALS = [case for case in PARTIALS if case.values[0].partial(case.values[1]).constant_value == 0.0]


def partial_at(rule: Rule, index: int, point: tuple[float, ...]) -> float:
    """The row's partial derivative in one operand, evaluated at a point."""
    function, _ = CASES[rule.name]
    bindings = dict(zip(rule.operands, point, strict=True), r=float(function(*point)))
    return evaluate(rule.partial(index), bindings)


def difference_at(rule: Rule, index: int, point: tuple[float, ...]):
    """The finite difference of the function in one operand, and its error."""
    function, _ = CASES[rule.name]

    def along(value):
        return function(*point[:index], float(value), *point[index + 1 :])

    return directional_difference(along, point[index], 1.0)


def row_is_right(rule: Rule, index: int) -> bool:
    """What this file checks of a row, in one operand, at all of its points."""
    _, points = CASES[rule.name]
    # A power of a negative base is not defined for the exponents beside a whole one.
    inside = [p for p in points if not (rule.name == "pow" and index == 1 and p[0] < 0)]
    return all(agrees(partial_at(rule, index, point), *difference_at(rule, index, point)) for point in inside)


def test_every_row_has_its_function_and_points():
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize(("rule", "index"), PARTIALS)
def test_a_partial_is_the_limit_of_finite_differences(rule, index):
    assert row_is_right(rule, index)


@pytest.mark.parametrize(("rule", "index"), PARTIALS)
def test_a_partial_that_is_wrong_by_a_millionth_is_rejected(rule, index):
    right = rule.partials[index]
    zero = rule.partial(index).constant_value == 0.0
    wrong = "0.000001" if zero else f"({right})*1.000001"
    partials = (*rule.partials[:index], wrong, *rule.partials[index + 1 :])
    assert not row_is_right(dataclasses.replace(rule, partials=partials), index)


@pytest.mark.parametrize(("rule", "index"), [case for case in PARTIALS if case not in ZERO_PARTIALS])
def test_a_partial_of_the_wrong_sign_is_rejected(rule, index):
    partials = (*rule.partials[:index], f"-({rule.partials[index]})", *rule.partials[index + 1 :])
    assert not row_is_right(dataclasses.replace(rule, partials=partials), index)


# --- the conventions that the table's header states


@pytest.mark.parametrize(
    ("family", "operand", "point", "expected"),
    [
        ("fabs", "x", (0.0,), 0.0),
        ("fabs", "x", (-0.0,), 0.0),
        ("copysign", "x", (0.0, -1.0), 0.0),
        ("hypot", "x", (0.0, 0.0), 0.0),
        ("hypot", "y", (0.0, 0.0), 0.0),
        ("atan2", "y", (0.0, 0.0), 0.0),
        ("atan2", "x", (0.0, 0.0), 0.0),
        ("pow", "x", (0.0, 0.0), 0.0),
        ("pow", "x", (0.0, 1.0), 1.0),
        ("pow", "x", (0.0, 2.0), 0.0),
        ("pow", "x", (0.0, 0.5), math.inf),
        ("pow", "x", (-2.0, 3.0), 12.0),
        ("pow", "y", (0.0, 2.0), 0.0),
        ("pow", "y", (0.0, 0.0), 0.0),
        ("pow", "y", (0.0, -1.0), -math.inf),
        ("pow", "y", (-2.0, 2.0), math.nan),
        ("powi", "x", (0.0, 0), 0.0),
        ("powi", "x", (0.0, 1), 1.0),
        ("powi", "x", (0.0, 2), 0.0),
        ("sqrt", "x", (0.0,), math.inf),
        ("cbrt", "x", (0.0,), math.inf),
        ("log", "x", (0.0,), math.inf),
        ("frem", "y", (5.0, math.inf), 0.0),
        ("minnum", "x", (1.0, 1.0), 1.0),
        ("minnum", "y", (1.0, 1.0), 0.0),
        ("maxnum", "x", (1.0, 1.0), 1.0),
        ("maxnum", "y", (1.0, 1.0), 0.0),
        ("minimum", "x", (1.0, 1.0), 1.0),
        ("maximum", "x", (1.0, 1.0), 1.0),
        # the operand that is returned
        ("minnum", "x", (math.nan, 1.0), 0.0),
        ("minnum", "y", (math.nan, 1.0), 1.0),
        ("maxnum", "x", (1.0, math.nan), 1.0),
        ("maxnum", "y", (1.0, math.nan), 0.0),
        ("minimum", "x", (math.nan, 1.0), 1.0),
        ("minimum", "x", (1.0, math.nan), 0.0),
        ("maximum", "y", (1.0, math.nan), 1.0),
        ("floor", "x", (1.0,), 0.0),
    ],
)
def test_a_convention_holds(family, operand, point, expected):
    rule = RULES[family]
    with np.errstate(all="ignore"):
        function = CASES[family][0]
        r = float(function(*(np.float64(v) if isinstance(v, float) else v for v in point)))
    value = evaluate(rule.partial(operand), dict(zip(rule.operands, point, strict=True), r=r))
    assert value == expected or (math.isnan(value) and math.isnan(expected))


def test_minima_and_maxima_hand_the_whole_derivative_to_one_operand():
    values = [-1.0, 0.0, -0.0, 1.0, math.inf, math.nan]
    for family in ("minnum", "maxnum", "minimumnum", "maximumnum", "minimum", "maximum"):
        rule = RULES[family]
        for x in values:
            for y in values:
                assert sum(evaluate(partial, {"x": x, "y": y}) for partial in rule.expressions) == 1.0


# --- what a planner asks of a row


def test_a_product_is_linear_in_each_factor_but_not_in_both():
    rule = RULES["fmul"]
    assert rule.is_linear("x")
    assert rule.is_linear(1)
    assert not rule.is_linear_map


def test_a_quotient_is_linear_in_its_numerator_only():
    rule = RULES["fdiv"]
    assert rule.is_linear("x")
    assert not rule.is_linear("y")


def test_sums_need_nothing_of_the_primal():
    for family in ("fadd", "fsub", "fneg", "fpext"):
        assert RULES[family].is_linear_map
        assert RULES[family].names_read(range(len(RULES[family].operands))) == frozenset()


def test_an_integer_operand_has_no_partial():
    assert RULES["powi"].partial("n") is None
    assert not RULES["powi"].is_linear("n")


def test_only_the_partials_of_active_operands_are_read():
    assert RULES["fmul"].names_read([0]) == {"y"}
    assert RULES["fma"].names_read([2]) == frozenset()
    assert RULES["exp"].names_read([0]) == {"r"}
