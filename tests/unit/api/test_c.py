"""C functions in Python: values, derivatives by every route, arguments that fit or do not, and errors."""

import ctypes
import gc
import linecache
import math
import sys

import numba as nb
import numpy as np
import pytest
from llvmlite import binding

import coenzyme as cz
from coenzyme.errors import ActivityError, CompilationError, MissingRuleError, UnsupportedIRError
from coenzyme.testing import check_derivatives
from tests.unit.frontends.c_code import needs_clang

pytestmark = needs_clang

WEIGHTS = (1.0, 0.5, -2.0, 3.0)
CURVE = """
#include <math.h>
static const double weights[4] = {1.0, 0.5, -2.0, 3.0};
static double term(double x) { return sqrt(x) + x * sin(x); }

double curve(const double *x, int n, double scale)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += scale * weights[i % 4] * term(x[i]);
    return sum;
}
"""
X = np.linspace(0.5, 2.0, 6)


@pytest.fixture(scope="module")
def curve():
    return cz.c.function(CURVE)


def curve_by_hand(x, scale):
    return sum(scale * WEIGHTS[i % 4] * (math.sqrt(v) + v * math.sin(v)) for i, v in enumerate(x))


def slope_by_hand(x, scale):
    w = np.array([WEIGHTS[i % 4] for i in range(x.size)])
    return scale * w * (0.5 / np.sqrt(x) + np.sin(x) + x * np.cos(x))


def curvature_by_hand(x, scale):
    w = np.array([WEIGHTS[i % 4] for i in range(x.size)])
    return scale * w * (-0.25 * x**-1.5 + 2 * np.cos(x) - x * np.sin(x))


# --- values and derivatives


def test_a_c_function_is_called_with_arrays_and_numbers(curve):
    assert curve(X, 6, 2.0) == pytest.approx(curve_by_hand(X, 2.0), rel=1e-15)
    assert curve(x=X, scale=2.0, n=2) == pytest.approx(curve_by_hand(X[:2], 2.0), rel=1e-15)


def test_its_docstring_is_its_declaration(curve):
    assert curve.py_func.__doc__ == "float64 curve(const float64 *x, int32 n, float64 scale)"


def test_gradients_of_arrays_and_numbers(curve):
    value, (dx, dscale) = cz.value_and_grad(curve, argnums=(0, 2))(X, 6, 2.0)
    assert value == curve(X, 6, 2.0)
    np.testing.assert_allclose(dx, slope_by_hand(X, 2.0), rtol=1e-13)
    assert dscale == pytest.approx(curve_by_hand(X, 1.0), rel=1e-13)


def test_both_modes_agree_with_finite_differences(curve):
    check_derivatives(curve, X, 6, 2.0)


def test_vjp_jvp_and_jacobian(curve):
    def two(x):
        return np.array([curve(x, x.size, 1.0), curve(x, 3, 2.0)])

    rows = np.array([slope_by_hand(X, 1.0), np.append(slope_by_hand(X[:3], 2.0), np.zeros(3))])
    np.testing.assert_allclose(cz.jacobian(two)(X), rows, rtol=1e-13)
    _, pull = cz.vjp(two, X)
    np.testing.assert_allclose(pull(np.array([3.0, -1.0]))[0], 3.0 * rows[0] - rows[1], rtol=1e-13)
    _, tangent = cz.jvp(two, (X,), (X,))
    np.testing.assert_allclose(tangent, rows @ X, rtol=1e-13)


def test_second_derivatives(curve):
    wanted = np.diag(curvature_by_hand(X, 2.0))
    np.testing.assert_allclose(cz.hessian(curve)(X, 6, 2.0), wanted, rtol=1e-12, atol=1e-14)
    product = cz.hvp(lambda x: curve(x, 6, 2.0), X, X)
    np.testing.assert_allclose(product, wanted @ X, rtol=1e-12)


def test_annotations_in_both_modes(curve):
    dx = np.zeros(6)
    result = cz.autodiff(
        cz.ReverseWithPrimal, curve, cz.Active, cz.Duplicated(X, dx), cz.Const(6), cz.Active(2.0)
    )
    assert result[1] == curve(X, 6, 2.0)
    assert result[0][2] == pytest.approx(curve_by_hand(X, 1.0))
    np.testing.assert_allclose(dx, slope_by_hand(X, 2.0), rtol=1e-13)
    tangent, value = cz.autodiff(
        cz.ForwardWithPrimal, curve, cz.Duplicated(X, X.copy()), cz.Const(6), cz.Duplicated(2.0, 0.5)
    )
    assert value == curve(X, 6, 2.0)
    assert tangent == pytest.approx(slope_by_hand(X, 2.0) @ X + 0.5 * curve_by_hand(X, 1.0))


def test_several_directions_at_once(curve):
    lanes = (X.copy(), np.eye(6)[1])
    found = cz.autodiff(cz.Forward, curve, cz.BatchDuplicated(X, lanes), cz.Const(6), cz.Const(2.0))
    np.testing.assert_allclose(found, [slope_by_hand(X, 2.0) @ d for d in lanes], rtol=1e-13)


def test_the_two_halves_of_a_reverse_sweep(curve):
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitWithPrimal, curve, cz.Active, cz.Duplicated, cz.Const, cz.Active
    )
    dx = np.zeros(6)
    arguments = cz.Duplicated(X, dx), cz.Const(6), cz.Active(2.0)
    tape, value, _ = forward(*arguments)
    assert value == curve(X, 6, 2.0)
    _, _, dscale = reverse(*arguments, 2.0, tape)
    np.testing.assert_allclose(dx, 2.0 * slope_by_hand(X, 2.0), rtol=1e-13)
    assert dscale == pytest.approx(2.0 * curve_by_hand(X, 1.0))


def test_compiled_code_calls_it_and_its_gradient(curve):
    @nb.njit
    def both(x):
        doubled = 2.0 * x
        return curve(doubled, x.size, 1.0), cz.grad(curve)(doubled, x.size, 1.0)

    value, slope = both(X)
    assert value == pytest.approx(curve_by_hand(2.0 * X, 1.0))
    np.testing.assert_allclose(slope, slope_by_hand(2.0 * X, 1.0), rtol=1e-13)


def test_functions_that_call_it_are_differentiated_through_it(curve):
    def outer(x):
        total = 0.0
        for i in range(3):
            total += curve(x * (i + 1.0), x.size, 1.0) ** 2
        return total

    wanted = sum(2 * curve_by_hand(k * X, 1.0) * k * slope_by_hand(k * X, 1.0) for k in (1.0, 2.0, 3.0))
    np.testing.assert_allclose(cz.grad(outer)(X), wanted, rtol=1e-12)


def test_code_that_writes_in_place():
    products = cz.c.function(
        "void products(double *x, long n) { for (long i = 1; i < n; i++) x[i] *= x[i-1]; }"
    )
    x, dx = np.array([2.0, 3.0, 5.0, 7.0]), np.ones(4)
    cz.autodiff(cz.Reverse, products, cz.Const, cz.Duplicated(x, dx), cz.Const(4))
    np.testing.assert_array_equal(x, [2.0, 6.0, 30.0, 210.0])
    # Of 2 + 2·3 + 2·3·5 + 2·3·5·7, with respect to each factor.
    np.testing.assert_allclose(dx, [124.0, 82.0, 48.0, 30.0])


def test_memory_that_overlaps_is_differentiated_as_it_is():
    move = cz.c.function(
        "void move(double *to, const double *from) { to[0] = 3 * from[0]; to[1] = 5 * from[1]; }"
    )

    def overlapping(x):
        y = x.copy()
        move(y[1:], y[:-1])
        return np.sum(y * y)

    x = np.array([1.0, 2.0, 4.0])
    # y = (x₀, 3x₀, 15x₀): the second element is read after it was written.
    np.testing.assert_allclose(cz.grad(overlapping)(x), [2.0 * (1 + 9 + 225), 0.0, 0.0])


def test_single_precision():
    norm = cz.c.function(
        "float norm(const float *x, unsigned n) { float s = 0; while (n--) s += x[n] * x[n]; return s; }"
    )
    x = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    slope = cz.grad(norm)(x, 3)
    assert norm(x, 3) == 14.0
    assert slope.dtype == np.float32
    np.testing.assert_array_equal(slope, 2 * x)


def test_arrays_of_several_dimensions_and_orders():
    trace = cz.c.function(
        "double pairs(int n, const double a[n][n]) { double s = 0;"
        " for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) s += a[i][j] * a[j][i]; return s; }"
    )
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(cz.grad(trace, argnums=1)(2, a), 2 * a.T)
    np.testing.assert_allclose(cz.grad(trace, argnums=1)(2, np.asfortranarray(a)), 2 * a.T)


def test_switches_early_returns_and_do_loops():
    f = cz.c.function(
        """double f(double x, int k) {
            switch (k) {
                case 0: return x; case 1: x *= 2; case 2: x *= x; break; case 7: goto out; default: x = 1;
            }
            do { x += x * k; } while (--k > 0);
            out: return x * x;
        }"""
    )
    for k in (0, 1, 2, 3, 7):
        around = (f(1.5 + 1e-6, k) - f(1.5 - 1e-6, k)) / 2e-6
        assert cz.grad(f)(1.5, k) == pytest.approx(around, rel=1e-7)


def test_recursion_and_functions_by_address():
    source = """
    typedef double (*map)(double);
    static double twice(double x) { return 2 * x; }
    static double cube(double x) { return x * x * x; }
    static const map maps[] = {twice, cube};
    static double walk(const double *v, int n, map g)
    { return n == 0 ? 1.0 : g(v[n-1]) + v[0] * walk(v, n - 1, g); }
    double chosen(const double *v, int n, int k) { return walk(v, n, maps[k]); }
    """
    chosen = cz.c.function(source)
    v = np.array([1.5, 2.0, 3.0])
    for k in (0, 1):
        check_derivatives(chosen, v, 3, k)


def test_static_variables_live_once_and_are_shared():
    source = """
    static int calls; static double table[8];
    double push(double x) { calls++; table[calls] = calls; return x * x * table[calls]; }
    int count(void) { return calls; }
    """
    push, count = cz.c.function(source, "push"), cz.c.function(source, "count")
    assert (push(2.0), push(3.0), count()) == (4.0, 18.0, 2)
    assert cz.grad(push)(5.0) == 30.0  # the third call
    assert nb.njit(lambda x: push(x) + 0.0)(1.0) == 4.0
    assert count() == 4


def test_variables_that_nobody_writes_are_constants():
    f = cz.c.function(
        "double scale = 3.0; static double table[2] = {1, 2};"
        "double f(double x, int i) { return scale * table[i] * x; }"
    )
    assert cz.grad(f)(1.0, 1) == 6.0
    assert f(1.0, 0) == 3.0
    assert "coenzyme.state" not in f.inspect_llvm(f.signatures[0])


def test_helpers_of_the_same_name_do_not_meet():
    one = cz.c.function(
        "static double helper(double x) { return 2 * x; } double f(double x) { return helper(x); }"
    )
    two = cz.c.function(
        "static double helper(double x) { return 3 * x; } double f(double x) { return helper(x); }"
    )

    def product(x):
        return one(x) * two(x)

    assert (one(1.0), two(1.0)) == (2.0, 3.0)
    assert cz.grad(product)(1.0) == 12.0


def test_functions_named_like_those_of_libm_are_the_users_own():
    source = """
    double sin(double x) { return x > 1 ? 3 * sin(x - 1) : x; }
    double f(double x) { return sin(x); }
    """
    f = cz.c.function(source, "f", flags=["-fno-builtin"])
    assert f(2.5) == 4.5
    assert cz.grad(f)(2.5) == 9.0
    assert cz.grad(cz.c.function(source, "sin", flags=["-fno-builtin"]))(1.5) == 3.0


def test_calls_of_libm_in_both_precisions():
    source = """#include <math.h>
    double f(double x) { return pow(x, 2.5) * exp(-x) + atan2(x, 2.0) + fabs(x); }
    float g(float x) { return cosf(x) * powf(x, 3); }"""
    f, g = cz.c.function(source, "f"), cz.c.function(source, "g")
    check_derivatives(f, 1.25)
    wanted = 3 * 1.25**2 * math.cos(1.25) - 1.25**3 * math.sin(1.25)
    assert cz.grad(g)(np.float32(1.25)) == pytest.approx(wanted, rel=1e-5)
    fast = cz.c.function(source, "f", flags=["-fno-math-errno"])
    assert cz.grad(fast)(1.25) == pytest.approx(cz.grad(f)(1.25), rel=1e-14)


# --- arguments


def test_none_is_the_null_pointer():
    f = cz.c.function("double f(const double *x, double *copy) { if (copy) *copy = *x; return *x * *x; }")
    copy = np.zeros(1)
    assert (f(np.array([3.0]), None), f(np.array([4.0]), copy), copy[0]) == (9.0, 16.0, 4.0)
    np.testing.assert_array_equal(cz.grad(f)(np.array([3.0]), None), [6.0])


def test_integers_truth_values_and_characters():
    negate = cz.c.function("signed char negate(signed char x) { return -x; }")
    opposite = cz.c.function("_Bool opposite(_Bool x) { return !x; }")
    length = cz.c.function("int length(const char *s) { int n = 0; while (s[n]) n++; return n; }")
    same = cz.c.function("unsigned long long same(unsigned long long x) { return x; }")
    assert (negate(5), negate(-128)) == (-5, -128)
    assert (opposite(True), opposite(False)) == (False, True)
    assert length(np.frombuffer(b"hello\0", dtype=np.uint8)) == 5
    assert same(np.uint64(2**63 + 5)) == 2**63 + 5
    assert same(True) == 1


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 2**31),
        ("int", -(2**31) - 1),
        ("unsigned", -1),
        ("unsigned", 2**32),
        ("unsigned long", -1),
        ("short", 40000),
        ("long", np.uint64(2**63)),
        ("int", np.uint64(2**32 + 7)),
    ],
)
def test_integers_that_do_not_fit_are_an_error(kind, value):
    f = cz.c.function(f"{kind} f({kind} number) {{ return number; }}")
    with pytest.raises(OverflowError, match="number does not fit into a C integer"):
        f(value)


def test_an_error_in_the_arguments_leaks_nothing():
    f = cz.c.function("double f(const double *x, int n) { return x[n]; }")
    x = np.zeros(3)
    f(x, 1)
    before = sys.getrefcount(x)
    for _ in range(10):
        with pytest.raises(OverflowError):
            f(x, 2**40)
    gc.collect()
    assert sys.getrefcount(x) == before


F = "double f(const double *x, double *y, int n, double a) { y[0] = x[0] * a; return x[n]; }"
GOOD = {"x": X, "y": np.zeros(2), "n": 1, "a": 2.0}


@pytest.fixture(scope="module")
def strict():
    return cz.c.function(F)


def read_only():
    y = np.zeros(3)
    y.flags.writeable = False
    return y


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", X[::2], "need not be contiguous.*ascontiguousarray"),
        ("x", X.astype(np.float32), r"array\(float32.*astype\(numpy.float64\)"),
        ("x", X.astype(complex), "complex128"),
        ("x", 3.0, "pass a NumPy array"),
        ("y", read_only(), "must not be written.*const"),
        ("n", 1.0, r"an integer: int\(x\)"),
        ("a", 1j, "pass a number"),
        ("a", X, "pass a number"),
    ],
)
def test_what_does_not_fit_is_a_type_error_that_says_what_to_do(strict, name, value, message):
    with pytest.raises(TypeError, match=rf"(?s)f\(\) takes .*{name!r}.*{message}") as caught:
        strict(**{**GOOD, name: value})
    assert isinstance(caught.value, CompilationError)


def test_constant_pointers_take_arrays_that_must_not_be_written(strict):
    assert strict(read_only(), np.zeros(1), 1, 1.0) == 0.0


STRUCT = "struct particle { double x; int kind; double v[2]; };"
PARTICLE = np.dtype([("x", "f8"), ("kind", "i4"), ("v", "f8", 2)], align=True)


def test_pointers_to_structs_take_structured_arrays():
    f = cz.c.function(
        STRUCT
        + """double f(const struct particle *p, int n, double t) {
        double s = 0; for (int i = 0; i < n; i++) s += p[i].kind * (p[i].x + t * t * p[i].v[1]);
        return s; }"""
    )
    p = np.zeros(2, PARTICLE)
    p["x"], p["kind"], p["v"] = [1.0, 2.0], [3, 4], [[5.0, 6.0], [7.0, 8.0]]
    assert f(p, 2, 2.0) == 3 * (1 + 24) + 4 * (2 + 32)
    assert cz.grad(f, argnums=2)(p, 2, 2.0) == 2 * 2.0 * (18 + 32)


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("x", "f8"), ("kind", "i4"), ("v", "f8", 2)]),
        np.dtype([("x", "f8"), ("kind", "i8"), ("v", "f8", 2)], align=True),
        np.dtype([("x", "f8"), ("kind", "i4"), ("v", "f8", 3)], align=True),
        np.dtype(float),
    ],
)
def test_structured_arrays_that_are_laid_out_otherwise_are_refused(dtype):
    f = cz.c.function(STRUCT + "double f(const struct particle *p) { return p->x; }")
    with pytest.raises(CompilationError, match="offsets and sizes must be those of C"):
        f(np.zeros(1, dtype))


# --- types


@pytest.mark.parametrize(
    "argtypes",
    [
        ["const double *", "int", "double"],
        ["double[]", "signed int", "float64"],
        [np.ctypeslib.ndpointer(np.float64), np.int32, np.dtype(float)],
        [ctypes.POINTER(ctypes.c_double), ctypes.c_int, ctypes.c_double],
        [nb.types.CPointer(nb.float64), nb.int32, nb.float64],
        [nb.float64[::1], np.intc, float],
    ],
)
def test_types_may_be_spelled_in_many_ways(argtypes):
    f = cz.c.function(CURVE, "curve", "double", argtypes)
    assert cz.grad(f, argnums=2)(X, 6, 2.0) == pytest.approx(curve_by_hand(X, 1.0))


def test_untyped_pointers_are_what_the_user_says():
    source = "double first(const void *x) { return *(const double *)x; }"
    with pytest.raises(CompilationError, match=r"(?s)'x' of first\(\).*not known to what.*argtypes"):
        cz.c.function(source)
    f = cz.c.function(source, argtypes=["const double *"])
    np.testing.assert_array_equal(cz.grad(f)(X), np.eye(6)[0])
    assert f(read_only()) == 0.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"argtypes": ["const float *", "int", "double"]}, "'x'.*const float64 \\*, not const float32"),
        ({"argtypes": ["const double *", "int"]}, "3 parameters, and 2 argtypes"),
        ({"argtypes": ["const double *", "long", "double"]}, "'n'.*i32 in LLVM, not i64"),
        ({"argtypes": ["const double *", "int", "float"]}, "'scale'.*float64, not float32"),
        ({"argtypes": ["const double *", "int", "long double"]}, "'long double' is not the type"),
        ({"restype": None}, "returns float64, not void"),
        ({"restype": "float"}, "returns float64, not float32"),
        ({"name": "bend"}, "(?s)does not define a function 'bend'.*it has curve"),
    ],
)
def test_types_and_names_that_are_not_the_functions_are_refused(given, message):
    with pytest.raises(CompilationError, match=message):
        cz.c.function(CURVE, **given)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("double f(double **x) { return **x; }", r"'x' of f\(\) has type float64 \* \*"),
        ("double f(double (*g)(double)) { return g(1); }", "'g'"),
        ("double f(long double x) { return x; }", "long double"),
        ("double *f(double *x) { return x; }", "returns float64"),
        (
            "struct p { double a, *b; }; double f(struct p x) { return x.a; }",
            "struct p by value, and .* in it",
        ),
        ("struct { double a; } s; double f(__typeof__(s) x) { return x.a; }", "struct without a name"),
        ("union u { double a; int b; }; double f(union u x) { return x.a; }", "union u by value"),
        ("union u { double a; int b; }; double f(union u *x) { return x->a; }", "union u"),
        ("double f(double x) { return x; } double g(double x) { return x; }", "2 functions.*f, g"),
        ("static double f(double x) { return x; }", "0 functions"),
    ],
)
def test_what_cannot_be_passed_from_python_is_refused_with_a_remedy(source, message):
    with pytest.raises(CompilationError, match=rf"(?s){message}.*remedy: "):
        cz.c.function(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "double unknown(double); double f(double x) { return unknown(x); }",
            "'unknown', which the module does not",
        ),
        (
            "extern double outside; double f(double x) { return x * outside; }",
            "'outside', which the module does not",
        ),
        ("_Thread_local double t; double f(double x) { return t += x; }", "variables of threads"),
        (
            "double s; __attribute__((constructor)) void c(void) { s = 1; } double f(double x) { return s; }",
            "when the",
        ),
        ("double f(double x, ...) { return x; }", "variable number of arguments"),
    ],
)
def test_code_that_cannot_be_linked_is_refused(source, message):
    with pytest.raises(UnsupportedIRError, match=message):
        cz.c.function(source, "f")


@ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
def half(x):
    return x / 2


def test_errors_of_differentiation_name_the_line_in_c():
    binding.add_symbol("function_without_rule", ctypes.cast(half, ctypes.c_void_p).value)
    f = cz.c.function(
        "double function_without_rule(double);\n"
        "double f(double x)\n{\n    return x +\n        function_without_rule(x);\n}\n"
    )
    assert f(4.0) == 6.0

    def outer(x):
        return f(2.0 * x)

    for function in (f, outer):
        with pytest.raises(MissingRuleError) as caught:
            cz.grad(function)(1.0)
        assert caught.value.operation == "function_without_rule"
        where = caught.value.location
        line = "        function_without_rule(x);\n"
        assert (linecache.getline(where.file, where.line), where.line) == (line, 5)


def test_explanations_show_the_lines_of_c(curve):
    text = str(cz.explain(curve, X, 6, 2.0))
    assert "sum += scale * weights[i % 4] * term(x[i]);" in text


ENZYME = """
#include <math.h>
int enzyme_dup;
double __enzyme_autodiff(void *, ...);
static double f(const double *x, int n)
{
    double s = 0;
    for (int i = 0; i < n; i++) s += sin(x[i]) * x[i];
    return s;
}
void gradient(const double *x, double *dx, int n) { __enzyme_autodiff((void *)f, enzyme_dup, x, dx, n); }
"""


def test_derivatives_that_c_code_asks_for_are_there_and_have_derivatives_too():
    gradient = cz.c.function(ENZYME, "gradient")

    def of(x):
        dx = np.zeros(2)
        gradient(x, dx, 2)
        return dx

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(of(x), np.sin(x) + x * np.cos(x))
    np.testing.assert_allclose(cz.jacobian(of)(x), np.diag(2 * np.cos(x) - x * np.sin(x)), atol=1e-15)


def test_variables_that_pointers_are_written_into_are_refused_by_their_names():
    f = cz.c.function("static double *work; double f(double *x) { work = x; return *x * work[0]; }")
    with pytest.raises(ActivityError, match=r"(?s)the variable work\n.*as a parameter"):
        cz.grad(f)(np.ones(1))
