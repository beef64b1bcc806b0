"""The language of partial derivatives: parsing, folding, lowering, evaluation."""

import math

import pytest

from coenzyme.errors import ParseError
from coenzyme.rules import evaluate, lower, parse_expression


class Transcript:
    """A target that writes down what it is asked to build."""

    def __init__(self):
        self.lines = []

    def _emit(self, *words):
        self.lines.append(" ".join(str(word) for word in words))
        return f"%{len(self.lines) - 1}"

    def constant(self, value):
        return str(value)

    def binary(self, opcode, a, b):
        return self._emit(opcode, a, b)

    def negate(self, a):
        return self._emit("fneg", a)

    def compare(self, predicate, a, b):
        return self._emit("fcmp", predicate, a, b)

    def logical(self, op, a, b):
        return self._emit(op, a, b)

    def logical_not(self, a):
        return self._emit("not", a)

    def select(self, c, a, b):
        return self._emit("select", c, a, b)

    def call(self, family, args):
        return self._emit("call", family, *args)

    def integer_constant(self, value):
        return f"i{value}"

    def integer_binary(self, opcode, a, b):
        return self._emit(opcode, a, b)

    def to_float(self, a):
        return self._emit("sitofp", a)


def transcript(text, integers=frozenset()):
    target = Transcript()
    expression = parse_expression(text, frozenset(integers))
    target.lines.append("= " + lower(expression, {name: name for name in expression.names}, target))
    return target.lines


def test_an_expression_knows_what_it_reads_and_calls():
    expression = parse_expression("where(x == 0, 0, r*log(x)) + pi")
    assert expression.names == {"x", "r"}
    assert expression.families == {"log"}


def test_arithmetic_lowers_in_order_and_with_python_precedence():
    assert transcript("y*pow(x, y - 1)") == ["fsub y 1.0", "call pow x %0", "fmul y %1", "= %2"]
    assert transcript("-x*x") == ["fneg x", "fmul %0 x", "= %1"]


def test_equal_subexpressions_are_built_once():
    assert transcript("(x + 1)*(x + 1)") == ["fadd x 1.0", "fmul %0 %0", "= %1"]


def test_conditions_lower_to_ordered_comparisons():
    assert transcript("where(not x < y and y != 0 or x >= 1, 1, 0)") == [
        "fcmp olt x y",
        "not %0",
        "fcmp une y 0.0",
        "and %1 %2",
        "fcmp oge x 1.0",
        "or %3 %4",
        "select %5 1.0 0.0",
        "= %6",
    ]


def test_integer_operands_have_integer_arithmetic():
    assert transcript("float(n)*powi(x, 2*n - 1)", {"n"}) == [
        "sitofp n",
        "mul i2 n",
        "sub %1 i1",
        "call powi x %2",
        "fmul %0 %3",
        "= %4",
    ]


def test_what_has_no_names_is_a_constant():
    assert parse_expression("2/sqrt(pi)").constant_value == 2 / math.sqrt(math.pi)
    assert parse_expression("-1").is_constant
    assert parse_expression("1/log(2)/x").constant_value is None
    assert transcript("1/log(2)/x") == [f"fdiv {1 / math.log(2)} x", "= %0"]


def test_minus_zero_is_not_taken_for_zero():
    assert math.copysign(1.0, evaluate(parse_expression("where(x < 0, 0, -0.0)"), {"x": 1.0})) == -1.0


def test_evaluation_follows_ieee_where_python_raises():
    at = lambda text, **names: evaluate(parse_expression(text), names)  # noqa: E731
    assert at("1/x", x=0.0) == math.inf
    assert at("1/x", x=-0.0) == -math.inf
    assert math.isnan(at("x/x", x=0.0))
    assert at("exp(x)", x=1e4) == math.inf
    assert at("sinh(x)", x=-1e4) == -math.inf
    assert at("log(x)", x=0.0) == -math.inf
    assert math.isnan(at("log(x)", x=-1.0))
    assert math.isnan(at("sin(x)", x=math.inf))
    assert at("pow(x, -1)", x=-0.0) == -math.inf
    assert at("pow(x, 3)", x=-1e300) == -math.inf
    assert math.isnan(at("pow(x, 0.5)", x=-1.0))
    assert at("where(x != x, 1, 2)", x=math.nan) == 1.0


FINITE_WHATEVER_THE_OPERANDS = [
    "2",
    "-y",
    "copysign(1, x)",
    "where(x < 0, -1, 1)",
    "y/2",
    "2/y",
    "where(x != x, y, 3)",
]
PERHAPS_NOT_FINITE = [
    "x",
    "1/x",
    "x/y",
    "2*y",
    "y + 1",
    "sin(x)",
    "copysign(x, y)",
    "where(x < 0, 1, x)",
    "1e308",
    "-x",
]


@pytest.mark.parametrize("text", FINITE_WHATEVER_THE_OPERANDS)
def test_a_partial_of_constants_is_bounded(text):
    assert parse_expression(text).is_bounded({"y": 3.0})


@pytest.mark.parametrize("text", PERHAPS_NOT_FINITE)
def test_a_partial_that_may_be_infinite_or_nan_is_not_bounded(text):
    assert not parse_expression(text).is_bounded({"y": 3.0})


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e300])
def test_constants_that_are_huge_or_no_numbers_bound_nothing(value):
    assert not parse_expression("y").is_bounded({"y": value})
    assert not parse_expression("copysign(y, x)").is_bounded({"y": value})


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-300, math.nan])
def test_a_quotient_by_next_to_nothing_is_not_bounded(value):
    assert not parse_expression("1/y").is_bounded({"y": value})


OUTSIDE = ["x +", "x if y else z", "x < y", "x ** 2", "f(x, k=1)", "where(x, 1, 0)", "where(x < y < z, 1, 0)"]
OUTSIDE += ["where(x < y, 1)", "'x'", "True", "x.y", "f()", "n", "float(x)", "powi(x, n/2)"]


@pytest.mark.parametrize("text", OUTSIDE)
def test_a_text_outside_the_language_is_refused_with_its_place(text):
    with pytest.raises(ParseError, match=r"(?s)not a partial derivative: .*\^"):
        parse_expression(text, frozenset({"n"}))
