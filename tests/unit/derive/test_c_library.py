"""Derivatives of C code that calls the C library: real and complex functions, and what does not matter."""

from __future__ import annotations

import contextlib
import ctypes.util
import itertools
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from coenzyme.errors import CoenzymeError, MissingRuleError
from tests.unit.derive.c_functions import from_c
from tests.unit.frontends.c_code import needs_clang

pytestmark = needs_clang

for library in ("m", "gcc_s"):
    found = ctypes.util.find_library(library)
    if found is not None:
        with contextlib.suppress(RuntimeError):
            llvm.load_library_permanently(found)

DECLARED = """
typedef unsigned long size;
double trunc(double), floor(double), rint(double), round(double), logb(double), fmod(double, double);
double frexp(double, int *), modf(double, double *), remquo(double, double, int *), lgamma_r(double, int *);
void sincos(double, double *, double *);
double ldexp(double, int), scalbn(double, int), scalbln(double, long), nexttoward(double, long double);
double remainder(double, double), fdim(double, double), cbrt(double), significand(double), exp10(double);
double j0(double), j1(double), jn(int, double), y0(double), y1(double), yn(int, double), tgamma(double);
long lrint(double); int ilogb(double), isnan(double), isinf(double);
float modff(float, float *), frexpf(float, int *), sinf(float), lgammaf_r(float, int *);
long double sinl(long double), expl(long double), sqrtl(long double), fabsl(long double);
long double fmal(long double, long double, long double);
long double powl(long double, long double), modfl(long double, long double *), j0l(long double);
long double lgammal(long double), tgammal(long double), ldexpl(long double, int);
long double fmaxl(long double, long double);
#define I __extension__ 1.0i
double _Complex cexp(double _Complex), clog(double _Complex), csqrt(double _Complex), casin(double _Complex);
double _Complex csin(double _Complex), ccos(double _Complex), ctan(double _Complex), csinh(double _Complex);
double _Complex ccosh(double _Complex), ctanh(double _Complex), cpow(double _Complex, double _Complex);
double cabs(double _Complex), carg(double _Complex);
float _Complex cexpf(float _Complex), csqrtf(float _Complex), cpowf(float _Complex, float _Complex);
float cabsf(float _Complex);
long double _Complex cexpl(long double _Complex), csqrtl(long double _Complex);
long double cabsl(long double _Complex);
#define re(z) __real__(z)
#define im(z) __imag__(z)
int printf(const char *, ...), puts(const char *), snprintf(char *, size, const char *, ...), rand(void);
double strtod(const char *, char **), atof(const char *), drand48(void);
void srand(unsigned), srand48(long), exit(int), abort(void), *malloc(size), free(void *);
void *memset(void *, int, size);
void *memcpy(void *, const void *, size);
size strlen(const char *); char *getenv(const char *); long time(long *), clock(void);
int toupper(int), sscanf(const char *, const char *, ...), *__errno_location(void);
"""  # fmt: skip

REAL: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "modf": (
        "dd",
        "double f(double x) { double i, g = modf(x * x, &i); return g * g * x + i * x; }",
        (1.7,),
    ),
    "modf in other precisions": (
        "ddF",
        """double f(double x, float *p) {
          long double i, g = modfl(x * x, &i);
          p[0] = modff(p[0] * (float)x, p + 1) * i;
          return g * g;
        }""",
        (1.7, [0.5, 0.6]),
    ),
    "frexp, its exponent overwritten": (
        "dDi",
        """double f(double *x, int n) {
          double s = 0;
          int e;
          for (int i = 0; i < n; i++) { double m = frexp(x[i], &e); s = s * m + e * x[i]; }
          return s;
        }""",
        ([1.5, 3.7, 9.1], 3),
    ),
    "sincos": ("dd", "double f(double x) { double s, c; sincos(x * x, &s, &c); return s * c + s; }", (1.7,)),
    "remquo": (
        "dDi",
        """double f(double *x, int n) {
          double s = 0;
          int q;
          for (int i = 0; i < n; i++) s += remquo(x[i] * 5, 1.1 + s * 0.001, &q) * q;
          return s;
        }""",
        ([1.5, 3.7, 9.1], 3),
    ),
    "gamma functions": (
        "dd",
        "double f(double x) { int s; double r = lgamma_r(x, &s); return r * s + tgamma(x); }",
        (0.7,),
    ),
    "steps and exponents": (
        "dd",
        """double f(double x) {
          return (rint(x) + round(x) + trunc(x) + floor(x) + lrint(x) + ilogb(x) + logb(x)) * x
            + scalbln(x * x, 3) + scalbn(x, -2) + ldexp(x, 5) + nexttoward(x, 3.0L) * x + significand(x)
            + exp10(x) + remainder(x, .3) + fdim(x, .1) + cbrt(x) + fmod(x, .2);
        }""",
        (0.73,),
    ),
    "Bessel functions": (
        "dd",
        "double f(double x) { return j0(x) * j1(x) + jn(3, x) + y0(x) * y1(x) + yn(2, x) + (double)j0l(x); }",
        (1.7,),
    ),
}

LONG: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "loop": (
        "ldl",
        """long double f(double x, long double y) {
          long double s = x;
          for (int i = 0; i < 5; i++) s = s * y + sinl(s) * 0.3L + 1.1L;
          return s;
        }""",
        (0.3, 0.4),
    ),
    "arrays that are overwritten": (
        "dLLi",
        """double f(long double *a, long double *b, int n) {
          long double s = 0;
          for (int i = 0; i < n; i++) { s += a[i] * a[i] * b[i]; a[i] = s - b[i]; b[i] = a[i] * s; }
          return s;
        }""",
        ([1.0, 2.0, 3.0], [0.5, 0.25, 0.125], 3),
    ),
    "memory set and copied": (
        "dLi",
        """double f(long double *a, int n) {
          long double t[8];
          memset(t, 0, sizeof t);
          memcpy(t, a, n * sizeof *a);
          for (int i = 1; i < n; i++) t[i] *= t[i - 1];
          memcpy(a, t, n * sizeof *a);
          return (double)(t[n - 1] * a[0]);
        }""",
        ([1.0, 2.0, 3.0], 3),
    ),
    "memory from the heap": (
        "dLi",
        """double f(long double *a, int n) {
          long double *t = malloc(n * sizeof *t), s = 0;
          for (int i = 0; i < n; i++) t[i] = expl(a[i] * .1L);
          for (int i = 0; i < n; i++) s += t[i] * t[n - 1 - i];
          free(t);
          return s;
        }""",
        ([1.0, 2.0, 3.0], 3),
    ),
    "recursion": (
        "dli",
        """static long double g(long double x, int n) { return n ? g(x * x * .7L, n - 1) + x : x * x; }
        double f(long double x, int n) { return g(x, n); }""",
        (0.7, 4),
    ),
    "structs": (
        "dld",
        """struct s { int k; long double x; double y; };
        static struct s g(struct s a) { a.x *= a.y; a.y += a.x; return a; }
        double f(long double x, double y) {
          struct s a = {1, x, y};
          a = g(g(a));
          return a.x * a.y * a.k;
        }""",
        (0.7, 0.4),
    ),
    "branches": (
        "dLi",
        """double f(long double *a, int n) {
          long double m = -1e4000L;
          for (int i = 0; i < n; i++) if (a[i] > m) m = a[i];
          while (m > 2) m = sqrtl(m) * .9L;
          return fabsl(m) * powl(m, 2.5L) + fmaxl(a[0], a[1]);
        }""",
        ([1.0, 2.5, 3.0], 3),
    ),
    "functions": (
        "ll",
        """long double f(long double x) {
          return -x * ldexpl(x, 3) + fmal(x, x, x) + lgammal(x) + tgammal(x) + 1 / x;
        }""",
        (0.7,),
    ),
}

COMPLEX: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "products and quotients": (
        "ddddd",
        """double f(double a, double b, double c, double d) {
          double _Complex z = a + b * I, w = c + d * I;
          z = z * w / (w * w + z);
          z /= w;
          return re(z) * 2 + im(z);
        }""",
        (0.7, 0.3, 0.2, -0.9),
    ),
    "single precision": (
        "fffff",
        """float f(float a, float b, float c, float d) {
          float _Complex z = a + b * I, w = c + d * I;
          z = z * w / (w + 3) + cexpf(z) * csqrtf(w);
          z = cpowf(z, 1.5f);
          return re(z) * 2 + im(z) + cabsf(w);
        }""",
        (0.7, 0.3, 0.2, -0.9),
    ),
    "extended precision": (
        "ddddd",
        """double f(double a, double b, double c, double d) {
          long double _Complex z = a + b * I, w = c + d * I;
          z = z * w / (w * w + z);
          z = csqrtl(z / w) * cexpl(w);
          return re(z) * 2 + im(z) + cabsl(z);
        }""",
        (0.7, 0.3, 0.2, -0.9),
    ),
    **{
        f"functions at {a} {b}": (
            "ddd",
            """double f(double a, double b) {
              double _Complex z = a + b * I;
              z = cexp(z) + clog(z) * csqrt(z) + csin(z) * ccos(z) + ctan(z) + csinh(z) + ccosh(z) * ctanh(z);
              z += cpow(z, 2.5 + .3 * I);
              return re(z) * 2 + im(z) + cabs(z) * carg(z);
            }""",
            (a, b),
        )
        for a, b in ((0.7, 0.3), (-1.1, -0.2))
    },
    "a power of zero": (
        "ddd",
        """double f(double a, double b) {
          double _Complex z = a * 0 + b * 0 * I, w = cpow(z, 2), v = cpow(z + a, 2);
          return re(w) * 2 + im(w) + re(v);
        }""",
        (0.7, 0.3),
    ),
}

INACTIVE: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "random numbers": (
        "dDi",
        """double f(double *x, int n) {
          srand48(3); srand(5);
          double s = 1;
          for (int i = 0; i < n; i++) {
            s = s * x[i] * (1 + drand48());
            if (rand() % 3 == 0) s *= s;
          }
          return s;
        }""",
        ([1.5, 0.7, 1.1, 0.3, 0.9, 0.2, 1.4], 7),
    ),
    "texts, time and the end": (
        "dd",
        """double f(double x) {
          char *e;
          double k = strtod("3 4.5", &e) + atof("2.5") + strlen(e);
          if (x < -10 || getenv("NOT THERE")) exit(1);
          if (time(0) < 0 && clock() < 0) abort();
          if (toupper('a') != 'A' || isnan(x) || isinf(x)) return 0;
          return x * x * k;
        }""",
        (0.7,),
    ),
    "a buffer that is overwritten": (
        "dDi",
        """double f(double *x, int n) {
          char b[8];
          double s = 1;
          for (int i = 0; i < n; i++) { snprintf(b, 8, "%d", i * 3 % 4); s = s * x[b[0] - '0'] * x[i]; }
          return s;
        }""",
        ([1.5, 0.7, 1.1, 0.9], 4),
    ),
}


def cases(*tables: dict[str, tuple[str, str, tuple[Any, ...]]]) -> pytest.MarkDecorator:
    found = [pytest.param(*case, id=name) for table in tables for name, case in table.items()]
    return pytest.mark.parametrize(("letters", "code", "values"), found)


@cases(REAL, LONG, COMPLEX, INACTIVE)
def test_code_that_calls_the_c_library_is_differentiated(
    letters: str, code: str, values: tuple[Any, ...]
) -> None:
    tolerance = 5e-3 if "f" in letters.lower() else 1e-6
    from_c(DECLARED + code, "f", letters).check(*values, tolerance=tolerance)


def test_parts_of_complex_numbers_may_be_calls() -> None:
    code = """double creal(double _Complex), cimag(double _Complex);
    double _Complex conj(double _Complex);
    double f(double a, double b) {
      double _Complex z = a * b + b * I;
      return creal(z * conj(z) + z) * cimag(conj(z));
    }"""
    function = from_c(DECLARED + code, "f", "ddd", flags=["-fno-builtin"])
    assert "@conj(" in function.text
    assert "@creal(" in function.text
    function.check(0.7, 0.3)


@pytest.mark.parametrize("operation", ["*", "/"])
def test_products_and_quotients_with_infinities_are_those_of_c(operation: str) -> None:
    code = f"""double f(double a, double b, double c, double d, int part) {{
      double _Complex z, w;
      re(z) = a; im(z) = b; re(w) = c; im(w) = d;
      z = z {operation} w;
      return part ? im(z) : re(z);
    }}"""
    function = from_c(DECLARED + code, "f", "dddddi")
    numbers = [0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan]
    checked = 0
    for point in itertools.product(numbers, repeat=4):
        for part in range(2):
            function.tangent([*point, part], [0.0] * 4)
            expected = function.primal([*point, part])[-1]
            np.testing.assert_equal(np.abs(function.value), np.abs(expected), err_msg=str((point, part)))
            if np.isfinite(expected):
                np.testing.assert_equal(np.sign(function.value), np.sign(expected))
            checked += 1
    assert checked == 2 * len(numbers) ** 4


@pytest.mark.parametrize(
    ("code", "operation"),
    [
        ("double _Complex z = casin(x + I); return re(z);", "casin"),
        ('double y = x; sscanf("3.5", "%lf", &y); return x * y;', "sscanf"),
        ("_Float16 h = x; return h * h;", "half"),
        ("__float128 h = x; h = h * h * h; return h;", "fp128"),
    ],
)
def test_what_has_no_rule_is_refused(code: str, operation: str) -> None:
    function = from_c(f"{DECLARED} double f(double x) {{ {code} }}", "f", "dd")
    for derive in (lambda: function.tangent([0.5], [1.0]), lambda: function.gradient([0.5], [1.0])):
        with pytest.raises(MissingRuleError) as refusal:
            derive()
        assert isinstance(refusal.value, CoenzymeError)
        assert operation in str(refusal.value)


def test_what_is_printed_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    code = """int fflush(void *);
    double f(double *x, int n) {
      double s = 1;
      for (int i = 0; i < n; i++) { s = s * x[i] * s; printf("%d %g;", i, s); }
      puts(""); fflush(0);
      return s;
    }"""
    function = from_c(DECLARED + code, "f", "dDi")
    values = ([1.5, 0.5, 2.0], 3)
    function.primal(values)
    expected = capfd.readouterr().out
    assert expected == "0 1.5;1 1.125;2 2.53125;\n"
    function.tangent(values, [[1.0, 1.0, 1.0]])
    assert capfd.readouterr().out == expected
    function.gradient(values, [[0.0] * 3, 1.0])
    assert capfd.readouterr().out == expected
