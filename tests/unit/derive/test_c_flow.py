"""Derivatives of C code with jumps of every kind, arrays of variable length, assembly, aliases."""

from __future__ import annotations

import platform
from typing import Any

import pytest

from coenzyme.errors import CoenzymeError, MissingRuleError, UnsupportedIRError
from tests.unit.derive.c_functions import from_c
from tests.unit.frontends.c_code import needs_clang

pytestmark = needs_clang

NUMBERS = [1.0, 0.5, 2.0, 0.7, 0.9, 1.1, 0.2]

FLOW: dict[str, tuple[str, str, list[tuple[Any, ...]]]] = {
    "switch": (
        "did",
        """double f(int k, double x) {
          switch (k) {
            case 0: return x;
            case 1: case 2: x *= x;
            case 3: x += 1; break;
            case 10 ... 20: return x * x * x;
            case -5: goto out;
            default: x = -x;
          }
          return x;
        out: return 2 * x;
        }""",
        [(k, 0.7) for k in (0, 1, 2, 3, 12, 20, 21, -5)],
    ),
    "switch in a loop": (
        "dIid",
        """double sin(double);
        double f(const int *code, int n, double x) {
          for (int i = 0; i < n; i++)
            switch (code[i]) {
              case 0: x *= x; break;
              case 1: x += 1; continue;
              case 2: x = sin(x);
              case 3: x *= 1.1; break;
              case 4: return x;
              default: goto end;
            }
          x *= 2;
        end: return x * x;
        }""",
        [([1, 0, 2, 3, 0, 1, 9, 2], 8, 0.7), ([1, 0, 2, 4], 4, 0.7), ([1, 0, 3], 3, 0.7)],
    ),
    "switch over wide numbers": (
        "dnd",
        """double f(long k, double x) {
          switch ((unsigned long)k) {
            case 0x8000000000000000UL: return x;
            case 7: return 2 * x;
            case 1UL << 40: return x * x;
          }
          return x * 4;
        }""",
        [(1 << 40, 0.7), (7, 0.7), (-(1 << 63), 0.7), (8, 0.7)],
    ),
    "jump into a loop": (
        "did",
        """double sin(double);
        double f(int n, double x) {
          int i = 0;
          if (n & 1) goto middle;
          while (i < n) { x = x * 1.5; middle: x = sin(x); i++; }
          return x;
        }""",
        [(5, 0.7), (4, 0.7)],
    ),
    "a cycle with three entries": (
        "dDi",
        """double sin(double);
        double f(double *a, int n) {
          double x = 1;
          int i = 0;
          if (n & 1) goto b;
        a: x = x * a[i]; i++;
          if (i >= n) goto out;
          if (x > 2) goto c;
        b: x = sin(x) + a[i]; i++;
          if (i >= n) goto out;
          if (x < 0.1) goto a;
        c: x = x * 1.1; a[i] = x;
          goto a;
        out: return x * x;
        }""",
        [(NUMBERS, 7), (NUMBERS, 6)],
    ),
    "jumps back": (
        "did",
        """double f(int n, double x) {
          int i = 0;
        again: x = x * x * 0.9;
          if (++i < n) goto again;
          if (x < 0.001 && n < 20) { n += 2; goto again; }
          return x;
        }""",
        [(3, 0.7)],
    ),
    "a switch around a loop": (
        "dDi",
        """double f(double *a, int count) {
          double s = 1;
          int n = (count + 3) / 4;
          switch (count % 4) {
            case 0: do { s = s * *a++ + 1;
            case 3: s = s * *a++ + 0.5;
            case 2: s = s + *a++ * s;
            case 1: s = s * *a++; } while (--n > 0);
          }
          return s;
        }""",
        [(NUMBERS, n) for n in (4, 5, 6, 7)],
    ),
}

STACK: dict[str, tuple[str, str, list[tuple[Any, ...]]]] = {
    "of variable length": (
        "did",
        """double f(int n, double x) {
          double a[n];
          a[0] = x;
          for (int i = 1; i < n; i++) a[i] = a[i - 1] * x + i;
          return a[n - 1] * a[n / 2];
        }""",
        [(5, 0.7)],
    ),
    "of variable length, in a loop": (
        "dDi",
        """double f(double *x, int n) {
          double s = 1;
          for (int k = 1; k < n; k++) {
            double a[k], b[k + 1];
            for (int i = 0; i < k; i++) a[i] = x[i] * s;
            for (int i = 0; i < k; i++) b[i] = a[k - 1 - i] * a[i];
            if (k == 3) continue;
            s += b[0] + a[k / 2];
            if (s > 1e6) return s;
          }
          return s;
        }""",
        [(NUMBERS, 6)],
    ),
    "of rows": (
        "dDi",
        """double f(double *x, int n) {
          double a[n][n], s = 0;
          for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) a[i][j] = x[i] * x[j] + (i == j);
          for (int i = 0; i < n; i++) for (int j = 0; j < i; j++) s += a[i][j] * a[j][i] * a[i][i];
          return s;
        }""",
        [(NUMBERS, 4)],
    ),
    "by alloca, until the function returns": (
        "did",
        """static double g(int n, double x) {
          double *a = __builtin_alloca(n * sizeof *a);
          a[0] = x;
          for (int i = 1; i < n; i++) a[i] = a[i - 1] * x + i;
          return a[n - 1] * a[n / 2];
        }
        double f(int n, double x) {
          double s = 1;
          for (int k = 0; k < 3; k++) s += g(n, x * s);
          return s;
        }""",
        [(5, 0.7)],
    ),
    "aligned": (
        "did",
        """double f(int n, double x) {
          __attribute__((aligned(64))) double a[n];
          for (int i = 0; i < n; i++) a[i] = x * i;
          return ((unsigned long)a % 64 == 0) * a[n - 1] * a[1];
        }""",
        [(5, 0.7)],
    ),
}

OTHER: dict[str, tuple[str, str, list[tuple[Any, ...]]]] = {
    "other names of functions": (
        "dd",
        """double twice(double x) { return 2 * x * x; }
        extern __typeof(twice) also __attribute__((alias("twice")));
        extern __typeof(twice) once_more __attribute__((alias("also")));
        double f(double x) { return also(x) * once_more(x); }""",
        [(0.7,)],
    ),
    "barriers": (
        "dDd",
        """double f(double *a, double x) {
          a[0] *= x;
          asm volatile("" : : "r"(a) : "memory");
          x = x * x;
          asm volatile("" : "+r"(x));
          asm volatile("nop");
          return a[0] * x;
        }""",
        [([1.5], 0.7)],
    ),
    "assembly of integers": (
        "did",
        """double f(int k, double x) {
          int r;
          asm("leal 1(%1), %0" : "=r"(r) : "r"(k));
          for (int i = 0; i < r; i++) x *= x * i + 1;
          return x;
        }""",
        [(3, 0.7)],
    ),
    "variable arguments that are constant": (
        "dd",
        """static int total(int n, ...) {
          __builtin_va_list l;
          __builtin_va_start(l, n);
          int s = 0;
          for (int i = 0; i < n; i++) s += __builtin_va_arg(l, int);
          __builtin_va_end(l);
          return s;
        }
        double f(double x) { return total(3, 1, 2, 3) * x * x; }""",
        [(0.7,)],
    ),
    "functions of one's own with names of the library's": (
        "dD",
        """static double gamma(double x, int n) { return n ? gamma(x * x, n - 1) * x : x; }
        static void remove(double *x, int n) { if (n) { x[n] *= x[0]; remove(x, n - 1); } }
        double f(double *x) { remove(x, 2); return gamma(x[1], 3) * x[2]; }""",
        [([0.7, 0.9, 1.1],)],
    ),
    "volatile memory and traps": (
        "dd",
        """double f(double x) {
          volatile double y = x;
          if (x < -3) __builtin_trap();
          if (x < -4) __builtin_unreachable();
          y *= y;
          return y * x;
        }""",
        [(0.7,)],
    ),
    "bit fields, compound literals, wide integers": (
        "dd",
        """struct b { unsigned n : 3, m : 7; double x; };
        double f(double x) {
          struct b v = {2, 5, x}, w = v;
          __int128 k = 1;
          for (int i = 0; i < 3; i++) k *= 1000003;
          w.n++;
          for (unsigned i = 0; i < w.n; i++) w.x *= w.x * w.m;
          return w.x * ((double[]){x, 2, 3})[v.n - 2] * (double)(k >> 59);
        }""",
        [(0.7,)],
    ),
}


def cases(*tables: dict[str, tuple[str, str, list[tuple[Any, ...]]]]) -> pytest.MarkDecorator:
    found = [pytest.param(*case, id=name) for table in tables for name, case in table.items()]
    return pytest.mark.parametrize(("letters", "code", "points"), found)


@cases(FLOW, STACK, OTHER)
def test_c_code_is_differentiated(letters: str, code: str, points: list[tuple[Any, ...]]) -> None:
    if "leal" in code and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("assembly of x86-64")
    function = from_c(code, "f", letters)
    for point in points:
        function.check(*point, tolerance=1e-6)


@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        (
            """double f(double x) {
              static const unsigned char code[] = {0, 1};
              static void *const labels[] = {&&square, &&stop};
              const unsigned char *p = code;
              goto *labels[*p++];
            square: x *= x; goto *labels[*p++];
            stop: return x; }""",
            "a computed goto",
            6,
        ),
        (
            """int setjmp(long *); extern long back[50];
            double f(double x) {
              if (setjmp(back)) return 0;
              return x * x; }""",
            "a jump out of functions",
            3,
        ),
        (
            """void longjmp(long *, int); extern long back[50];
            double f(double x) {
              if (x < 0)
                longjmp(back, 1);
              return x * x; }""",
            "a jump out of functions",
            4,
        ),
        (
            """double f(double x) {
              double r;
              asm("nop # %1, %0" : "=r"(r) : "r"(x));
              return r * x; }""",
            "no derivative is known for a function called with active data",
            3,
        ),
        (
            """double f(double x) {
              double a[1] = {x};
              asm volatile("nop # %0" : : "r"(a) : "memory");
              return a[0] * x; }""",
            "assembly that may change memory",
            3,
        ),
        (
            """static double total(int n, ...) {
              __builtin_va_list l; __builtin_va_start(l, n); double s = 0;
              for (int i = 0; i < n; i++) s += __builtin_va_arg(l, double);
              return s; }
            double f(double x) {
              return total(2, x, 3.0) * x; }""",
            "a function of a variable number of arguments",
            6,
        ),
        (
            """double f(double x) {
              double s = 1, *p = 0;
              for (int i = 1; i < 1 + (int)(x + 3); i++) {
                double *a = __builtin_alloca(i * sizeof *a);
                a[0] = p ? *p * s : x; p = a; s += a[0]; }
              return s * *p; }""",
            "taken from the stack",
            4,
        ),
        (
            """char *strcpy(char *, const char *);
            double f(double x) {
              struct { char name[8]; double v[2]; } a = {"", {x}};
              strcpy(a.name, x > 0 ? "ab" : "c");
              return a.v[0] * a.v[0]; }""",
            "memory that cannot be traced",
            4,
        ),
    ],
    ids=[
        "computed goto",
        "setjmp",
        "longjmp",
        "assembly",
        "memory",
        "variable arguments",
        "alloca in a loop",
        "strings beside numbers",
    ],
)
def test_what_cannot_be_derived_is_refused_with_its_line(code: str, message: str, line: int) -> None:
    function = from_c(code, "f", "dd")
    for derive in (lambda: function.tangent([0.5], [1.0]), lambda: function.gradient([0.5], [1.0])):
        with pytest.raises((UnsupportedIRError, MissingRuleError)) as refusal:
            derive()
        assert isinstance(refusal.value, CoenzymeError)
        assert message in refusal.value.message
        assert refusal.value.remedy
        assert refusal.value.location is not None
        assert refusal.value.location.line == line
