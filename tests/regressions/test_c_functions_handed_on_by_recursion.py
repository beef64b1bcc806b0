"""The address of a function that recursion hands on is no memory: nothing active is written there."""

import numpy as np

import coenzyme as cz
from coenzyme.testing import check_derivatives
from tests.unit.frontends.c_code import needs_clang

_CODE = """
#include <math.h>
typedef double (*integrand)(double, const void *);
struct wave { const double *a; int n; double decay; };
static double polynomial(double x, const void *data) {
    const struct wave *w = data;
    double sum = 0;
    for (int i = w->n; i-- > 0;) sum = sum * x + w->a[i];
    return sum * exp(-w->decay * x);
}
static double gaussian(double x, const void *data) {
    const struct wave *w = data;
    return w->a[0] * exp(-w->decay * x * x);
}
static double simpson(integrand g, const void *data, double a, double b, double whole, int depth) {
    double m = 0.5 * (a + b);
    double left = (m - a) / 6 * (g(a, data) + 4 * g(0.5 * (a + m), data) + g(m, data));
    double right = (b - m) / 6 * (g(m, data) + 4 * g(0.5 * (m + b), data) + g(b, data));
    if (depth <= 0 || fabs(left + right - whole) < 1e-6) return left + right;
    return simpson(g, data, a, m, left, depth - 1) + simpson(g, data, m, b, right, depth - 1);
}
double integral(const double *a, int n, double decay, int which) {
    struct wave w = {a, n, decay};
    double first = simpson(which ? gaussian : polynomial, &w, 0, 1, 0, 4);
    return first + simpson(gaussian, &w, 0, decay, 0, 3);
}
"""


@needs_clang
def test_functions_handed_on_by_recursion_are_called_in_derivatives():
    integral = cz.c.function(_CODE, "integral")
    a = np.array([0.7, -1.3, 0.4])
    check_derivatives(lambda a, decay: integral(a, 3, decay, 0) * integral(a, 3, decay, 1), a, 0.8)
