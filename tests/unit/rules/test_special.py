"""Functions that derivatives need and no library has: their machine code against SciPy, and their slope."""

import math

import numpy as np
import pytest
import scipy.special

from coenzyme.rules import definitions, evaluate, parse_expression
from coenzyme.testing.differences import agrees, directional_difference

from .native import Compiled


@pytest.fixture(scope="module")
def digamma():
    text = definitions(["coenzyme.digamma.f64", "coenzyme.digamma.f32"])
    text = text.replace("define internal", "define")  # to reach them from here
    compiled = Compiled(text)
    yield compiled.function("coenzyme.digamma.f64", "double", "double")
    del compiled


@pytest.fixture(scope="module")
def digamma_in_single_precision():
    compiled = Compiled(
        definitions(["coenzyme.digamma.f32"]).replace("define internal float", "define float")
    )
    yield compiled.function("coenzyme.digamma.f32", "float", "float")
    del compiled


# Near a zero of ψ its value is the small difference of large terms, so the rounding of those is allowed for.
SAMPLES = {
    "tiny": np.geomspace(1e-300, 0.1, 60),
    "below the shift": np.linspace(0.1, 12.0, 400),
    "large": np.geomspace(10.0, 1e300, 60),
    "negative": -np.linspace(0.013, 29.9, 700),
    "close to poles": np.array([-1 + 1e-6, -1 - 1e-6, -7 + 1e-3, -20.5 + 1e-9, -1e-20]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_digamma_is_accurate(digamma, name):
    for x in SAMPLES[name]:
        expected = float(scipy.special.digamma(x))
        assert digamma(x) == pytest.approx(expected, rel=1e-14, abs=rounding_of_digamma(x))


def rounding_of_digamma(x: float) -> float:
    """A few units of rounding of the largest term, and what an ulp of x changes beside a pole."""
    slope = (math.pi / math.sin(math.pi * x)) ** 2 if x < 0 else 0.0
    return 1e-14 * max(1.0, math.log(1.0 + abs(x))) + 2e-16 * abs(x) * slope


def test_digamma_at_its_poles_and_ends(digamma):
    assert digamma(0.0) == -math.inf
    assert digamma(-0.0) == math.inf
    assert math.isnan(digamma(-3.0))
    assert digamma(math.inf) == math.inf
    assert math.isnan(digamma(-math.inf))
    assert math.isnan(digamma(math.nan))


def test_digamma_in_single_precision_is_rounded_once(digamma_in_single_precision):
    for x in np.float32([0.3, 2.7, -1.6, 1e5]):
        assert digamma_in_single_precision(x) == np.float32(scipy.special.digamma(float(x)))


def test_evaluation_knows_the_same_digamma(digamma):
    expression = parse_expression("digamma(x)")
    for x in [1e-5, 0.3, 5.0, 12.0, 1e8, -0.4, -7.7]:
        assert evaluate(expression, {"x": x}) == pytest.approx(digamma(x), rel=1e-14)
    assert math.isnan(evaluate(expression, {"x": -2.0}))


@pytest.mark.parametrize("x", [0.3, 4.0, 11.0, -1.3, -6.8])
def test_digamma_is_smooth_so_that_it_can_be_differentiated_again(digamma, x):
    estimate, error = directional_difference(lambda u: digamma(float(u)), x, 1.0)
    # SciPy's trigamma is for positive arguments, reflection gives the others.
    trigamma = scipy.special.polygamma(1, x if x > 0 else 1 - x)
    expected = trigamma if x > 0 else (math.pi / math.sin(math.pi * x)) ** 2 - trigamma
    assert agrees(expected, estimate, 10 * error)


@pytest.mark.parametrize("float_type", ["double", "float"])
def test_integer_powers_are_computed_without_a_run_time_library(float_type):
    name = "coenzyme.powi.f64" if float_type == "double" else "coenzyme.powi.f32"
    compiled = Compiled(definitions([name]).replace("define internal", "define"))
    power = compiled.function(name, float_type, float_type, "i32")
    for x in [-1.5, 0.25, 3.0]:
        for n in [-9, -2, -1, 0, 1, 2, 5, 10]:
            assert power(x, n) == pytest.approx(x**n, rel=4e-16 if float_type == "double" else 4e-7)
    assert power(2.0, -(2**31)) == 0.0
    assert power(0.0, -1) == math.inf
    assert power(0.0, 0) == 1.0


def test_only_what_is_asked_for_is_defined():
    assert definitions(["sin", "coenzyme.unknown.f64"]).strip() == ""
    assert "coenzyme.digamma.f32" not in definitions(["coenzyme.digamma.f64"])
