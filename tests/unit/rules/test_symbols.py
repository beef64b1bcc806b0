"""Names of functions: LLVM accepts them, they lead back to rows, and calling them computes the partials."""

import math

import numpy as np
import pytest

from coenzyme.errors import MissingRuleError
from coenzyme.rules import FLOAT_TYPES, RULES, OperandKind, Symbol, evaluate, find_rule, symbol_for

from .native import Compiled, declaration, function_of

CALLED = [rule for rule in RULES.values() if rule.callees]
PRECISION = {"double": 1e-14, "float": 2e-5, "x86_fp80": 1e-14}


@pytest.mark.parametrize("float_type", FLOAT_TYPES)
def test_llvm_accepts_every_symbol_with_its_type(float_type):
    # The verifier refuses an intrinsic whose name and type do not fit.
    symbols = [symbol_for(rule.name, float_type) for rule in CALLED]
    Compiled("\n".join(declaration(symbol) for symbol in symbols if not symbol.defined))


@pytest.mark.parametrize("float_type", FLOAT_TYPES)
def test_every_symbol_leads_back_to_its_row(float_type):
    for rule in CALLED:
        assert find_rule(symbol_for(rule.name, float_type).name) == (rule, float_type)


def test_names_lead_to_rows():
    assert find_rule("llvm.sin.f64") == (RULES["sin"], "double")
    assert find_rule("sinf") == (RULES["sin"], "float")
    assert find_rule("numba_gammaf") == (RULES["gamma"], "float")
    assert find_rule("llvm.powi.f32.i32") == (RULES["powi"], "float")
    assert find_rule("coenzyme.powi.f64") == (RULES["powi"], "double")
    assert find_rule("fmod") == (RULES["frem"], "double")
    assert find_rule("frem") == (RULES["frem"], None)
    assert find_rule("fmul") == (RULES["fmul"], None)
    assert find_rule("__nv_sin") is None
    assert find_rule("llvm.sin.v4f64") is None
    assert find_rule("sin.f64") is None


def test_a_defined_function_says_so():
    assert symbol_for("digamma", "float") == Symbol("coenzyme.digamma.f32", ("float",), "float", defined=True)


@pytest.mark.parametrize(
    ("family", "float_type"), [("bessel", "double"), ("sin", "half"), ("fmul", "double")]
)
def test_a_family_that_cannot_be_called_is_refused(family, float_type):
    with pytest.raises(MissingRuleError, match=family):
        symbol_for(family, float_type)


POINTS = [
    (0.7, 0.3, 0.4),
    (0.2, 2.0, -1.3),
    (-0.6, 0.9, 0.8),
    (0.0, 1.0, 1.0),
    (1.0, 1.0, 1.0),
    (1.6, -0.5, 2.0),
]
PARTIALS = [
    pytest.param(rule, index, id=f"{rule.name}-{operand}")
    for rule in RULES.values()
    for index, operand in enumerate(rule.operands)
    if rule.kinds[index] is OperandKind.REAL
]


@pytest.mark.parametrize("float_type", FLOAT_TYPES)
@pytest.mark.parametrize(("rule", "index"), PARTIALS)
def test_machine_code_computes_a_partial_as_evaluation_does(rule, index, float_type):
    partial = rule.partial(index)
    kinds = zip(rule.operands, rule.kinds, strict=True)
    types = {name: "i32" if kind is OperandKind.INTEGER else float_type for name, kind in kinds}
    types["r"] = float_type
    compiled = function_of(partial, types, float_type)
    function = compiled.function("f", float_type, *types.values())
    for numbers in POINTS:
        values = (*numbers[: len(types) - 1], numbers[-1])
        bindings = {
            name: round(2 * value) if kind == "i32" else float(np.float32(value))
            for (name, kind), value in zip(types.items(), values, strict=True)
        }
        expected, found = evaluate(partial, bindings), function(*bindings.values())
        close = math.isclose(found, expected, rel_tol=PRECISION[float_type])
        assert close or (math.isnan(found) and math.isnan(expected)), bindings
