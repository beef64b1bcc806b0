"""Second derivatives of C functions through the C library."""

import numpy as np
import pytest

import coenzyme as cz
from tests.unit.frontends.c_code import needs_clang

pytestmark = needs_clang

SOURCES = {
    "complex functions": """
        #include <complex.h>
        double f(double a, double b) {
          double complex z = a + b * I;
          z = cpow(z, 1.5 + z) + ctanh(z) / csqrt(z);
          return creal(z) * 2 + cimag(z);
        }""",
    "extended precision": """
        #include <math.h>
        double f(double a, double b) {
          return lgammal(a * b) + j1(a * b) * yn(2, b) + powl(a, b) + __builtin_powi(a, 3);
        }""",
    "several results and stack arrays": """
        #include <math.h>
        double f(double a, double b) {
          double s = a;
          for (int n = 1; n < 4; n++) {
            double t[n];
            int e, q;
            for (int i = 0; i < n; i++) t[i] = frexp(s * b * 7, &e) * e + i;
            for (int i = 0; i < n; i++) s += t[i] * t[n - 1 - i] * .1 + remquo(s * a, b, &q);
          }
          return s;
        }""",
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_derivatives_of_derivatives_agree_with_differences(source):
    f = cz.c.function(source, "f")
    slope = cz.grad(f, argnums=(0, 1))
    a, b, step = 0.7, 0.4, 1e-6
    _, found = cz.jvp(slope, (a, b), (1.0, 0.5))
    ends = [slope(a + h, b + h / 2) for h in (step, -step)]
    expected = (np.array(ends[0]) - np.array(ends[1])) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
