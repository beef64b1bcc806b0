"""Derivatives of code that holds vectors: of C with vector types, and of loops that clang has vectorised."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from coenzyme.errors import MissingRuleError
from coenzyme.frontends.clang import find_clang
from tests.unit.derive.c_functions import CFunction, from_c
from tests.unit.frontends.c_code import needs_clang

pytestmark = needs_clang

TYPES = """
typedef double v4 __attribute__((vector_size(32)));
typedef double v2 __attribute__((vector_size(16)));
typedef float f4 __attribute__((vector_size(16)));
typedef int i4 __attribute__((vector_size(16)));
typedef long l4 __attribute__((vector_size(32)));
typedef double e3 __attribute__((ext_vector_type(3)));
double sqrt(double), fabs(double);
"""

# What is written in vectors: the letters of the parameters, the code, arguments.
WRITTEN = {
    "arithmetic": (
        "vDDd",
        """void f(double *a, const double *b, double s) {
          v4 x = *(v4 *)a, y = {b[0], b[1], s, s};
          *(v4 *)a = x * y - x / (y + 3.0) + 2.0 * -x;
        }""",
        ([1.0, 2.0, 3.0, 4.0], [0.5, 0.25], 0.7),
    ),
    "elements by number": (
        "dDi",
        """double f(double *a, int k) {
          v4 x = *(v4 *)a;
          x[k] = x[1] * x[2];
          return x[k] * x[0] + x[3] * x[(k + 1) & 3];
        }""",
        ([1.0, 2.0, 3.0, 4.0], 2),
    ),
    "shuffles": (
        "dD",
        """double f(double *a) {
          v4 x = *(v4 *)a, y = __builtin_shufflevector(x, x * x, 0, 5, 3, 6), z = y * x;
          return z[0] + 2 * z[1] + 3 * z[2] + 4 * z[3];
        }""",
        ([1.0, 2.0, 3.0, 4.0],),
    ),
    "choices by masks": (
        "dDD",
        """double f(double *a, double *b) {
          v4 x = *(v4 *)a, y = *(v4 *)b;
          l4 m = x < y;
          v4 z = (v4)((l4)(x * y) & m) + (v4)((l4)y & ~m) * x[2];
          return z[0] + 2 * z[1] + 3 * z[2] + 4 * z[3];
        }""",
        ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0]),
    ),
    "loop": (
        "dDDi",
        """double f(double *a, const double *b, int n) {
          v4 sum = {0};
          for (int i = 0; i < n; i++) {
            v4 x = *(v4 *)(a + 4 * i);
            sum += x * x * b[i];
            sum = sum * 0.5 + x;
          }
          return sum[0] * sum[1] + sum[2] * sum[3];
        }""",
        (np.linspace(0.1, 1.3, 12), [1.0, 2.0, 3.0], 3),
    ),
    "three elements": (
        "dd",
        """double f(double s) {
          e3 a = {s, 2 * s, s * s};
          a.xy = a.yx * 2;
          e3 b = a.zyx + a;
          return b.x * b.y * b.z;
        }""",
        (0.7,),
    ),
    "functions": (
        "dD",
        """double f(double *a) {
          v4 x = *(v4 *)a;
          v4 y = __builtin_elementwise_sqrt(__builtin_elementwise_abs(x)) + __builtin_elementwise_sin(x)
               + __builtin_elementwise_max(x, 2.0 - x) + __builtin_elementwise_fma(x, x, x);
          return y[0] + 2 * y[1] + 3 * y[2] + 4 * y[3];
        }""",
        ([1.5, -2.0, 3.0, 4.0],),
    ),
    "passed and returned": (
        "dDd",
        """static v2 __attribute__((noinline)) g(v2 a, v2 b) { return a * b + a; }
        double f(double *a, double s) {
          v2 y = {s, s}, z = g(*(v2 *)a, y);
          return z[0] * z[1];
        }""",
        ([1.0, 2.0], 0.5),
    ),
    "structs passed as vectors": (
        "fff",
        """struct point { float x, y, z; };
        static struct point g(struct point a, float s) { a.x *= s; a.y += a.z * s; return a; }
        float f(float a, float b) {
          struct point s = {a, b, a * b};
          s = g(g(s, b), a);
          return s.x * s.y * s.z;
        }""",
        (0.7, 0.4),
    ),
    "single precision": (
        "fFF",
        """float f(float *a, float *b) {
          f4 x = *(f4 *)a, y = *(f4 *)b;
          i4 m = x < y;
          f4 z = x * y + __builtin_convertvector(m, f4) * x;
          return z[0] + 2 * z[1] + 3 * z[2] + 4 * z[3];
        }""",
        ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0]),
    ),
}

# What clang vectorises.
OPTIMISED = {
    "loop": (
        "vDDdi",
        """void f(double *restrict a, const double *restrict b, double s, int n) {
          for (int i = 0; i < n; i++) a[i] = s * b[i] * a[i] + sqrt(b[i]);
        }""",
        (np.linspace(1, 2, 13), np.linspace(0.5, 3, 13), 0.7, 13),
    ),
    "sum": (
        "dDDi",
        """#pragma clang fp reassociate(on)
        double f(const double *restrict a, const double *restrict b, int n) {
          double s = 0;
          for (int i = 0; i < n; i++) s += a[i] * b[i] * b[i];
          return s;
        }""",
        (np.linspace(1, 2, 13), np.linspace(0.5, 3, 13), 13),
    ),
    "choices": (
        "vDDi",
        """void f(double *restrict a, const double *restrict b, int n) {
          for (int i = 0; i < n; i++) a[i] = b[i] > 2 ? a[i] * b[i] : fabs(a[i]) + 1;
        }""",
        (np.linspace(1, 2, 13), np.linspace(0.5, 3.1, 13), 13),
    ),
    "straight code": (
        "vDD",
        """void f(double *restrict a, const double *restrict b) {
          a[0] = b[0] * 2 + a[1]; a[1] = b[1] * 2 + a[0]; a[2] = b[2] * b[0] + 1; a[3] = b[3] * b[1] + 1;
        }""",
        ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]),
    ),
    "interleaved complex numbers": (
        "vFFi",
        """void f(float *restrict a, const float *restrict b, int n) {
          for (int i = 0; i < 2 * n; i += 2) {
            float x = a[i] * b[i] - a[i + 1] * b[i + 1], y = a[i] * b[i + 1] + a[i + 1] * b[i];
            a[i] = x; a[i + 1] = y;
          }
        }""",
        (np.linspace(1, 2, 18), np.linspace(-1, 1, 18), 9),
    ),
    "masked loads and stores": (
        "vDDIi",
        """__attribute__((target("avx512f")))
        void f(double *restrict a, const double *restrict b, const int *restrict k, int n) {
        #pragma clang loop vectorize(enable)
          for (int i = 0; i < n; i++) if (k[i] > 0) a[i] = b[k[i]] * a[i];
        }""",
        (np.linspace(1, 2, 19), np.linspace(0.5, 3, 19), [(5 * i) % 19 - 3 for i in range(19)], 19),
    ),
}


def optimised(code: str) -> str:
    """Return C code as LLVM text that is optimised, for x86-64, which any machine with clang can do."""
    flags = ("-O3", "-w", "-fno-math-errno", "-S", "-emit-llvm", "-x", "c", "-", "-o", "-")
    run = subprocess.run(
        [find_clang().path, *flags], input=code, check=True, capture_output=True, text=True
    )  # fmt: skip
    return run.stdout


@pytest.mark.parametrize(("letters", "code", "values"), WRITTEN.values(), ids=WRITTEN.keys())
def test_code_with_vector_types_is_differentiated(letters: str, code: str, values: tuple) -> None:
    from_c(TYPES + code, "f", letters).check(*values)


@pytest.mark.parametrize(("letters", "code", "values"), OPTIMISED.values(), ids=OPTIMISED.keys())
def test_vectorised_code_is_differentiated(letters: str, code: str, values: tuple) -> None:
    text = optimised(TYPES + code)
    if "avx512" in code and "x86_64" not in text:
        pytest.skip("instructions of x86-64")
    assert " x double>" in text or " x float>" in text
    CFunction(text, "f", letters).check(*values)


def test_vectors_that_do_not_come_apart_are_refused_with_their_line() -> None:
    code = """static v2 g(v2 a, int n) { return n ? g(a * a, n - 1) + a : a; }
double f(double *a, int n) {
  v2 z = g(*(v2 *)a, n);
  return z[0] * z[1];
}"""
    function = from_c(TYPES.strip() + code, "f", "dDi")
    with pytest.raises(MissingRuleError, match="a vector of active numbers does not come apart") as refusal:
        function.check([1.0, 2.0], 3)
    assert refusal.value.location is not None
    assert refusal.value.location.file.startswith("<C source ")
