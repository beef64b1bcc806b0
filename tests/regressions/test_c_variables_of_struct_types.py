"""A variable of a struct type is declared where its module is taken apart: by the struct's name alone."""

import numpy as np

import coenzyme as cz
from tests.unit.frontends.c_code import needs_clang

_CODE = """
struct span { int first, last; };
static struct { struct span used; long calls; } state;
double f(const double *x, int n, double t) {
    double sum = 0;
    state.calls++;
    state.used.last = n - 1;
    for (int i = state.used.first; i <= state.used.last; i++) sum += t * x[i] * x[i];
    return sum;
}
long calls(void) { return state.calls; }
"""


@needs_clang
def test_variables_of_struct_types_are_linked_and_shared():
    x = np.array([1.0, 2.0, -3.0])
    f = cz.c.function(_CODE, "f")
    assert f(x, 3, 2.0) == 28.0
    dx, dt = cz.grad(f, argnums=(0, 2))(x, 3, 2.0)
    np.testing.assert_allclose(dx, 4.0 * x)
    np.testing.assert_allclose(dt, 14.0)
    assert cz.c.function(_CODE, "calls")() == 2
