"""Calls of Enzyme's functions that cannot be resolved are errors with the line in C."""

from __future__ import annotations

import pytest

from coenzyme.errors import (
    ActivityError,
    BackendUnavailableError,
    CoenzymeError,
    MissingRuleError,
    UnsupportedIRError,
)
from coenzyme.foreign.cc import compile_and_resolve
from coenzyme.frontends.clang import find_clang

HEAD = """
extern double __enzyme_autodiff(void *, ...);
extern int enzyme_dup, enzyme_const;
typedef struct { double x, y; } Pair;
extern Pair __enzyme_autodiff_pair(void *, ...);
typedef double (*Function)(double);
static double square(double x) { return x * x; }
static double cube(double x) { return x * x * x; }
"""
LINE = len(HEAD.split("\n"))


@pytest.fixture(autouse=True)
def _clang() -> None:
    try:
        find_clang()
    except BackendUnavailableError as error:
        pytest.skip(error.message)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (
            "double d(Function f) { return __enzyme_autodiff(f, 1.0); }",
            UnsupportedIRError,
            "not known which function",
        ),
        (
            "extern double g(double); double d(void) { return __enzyme_autodiff(g, 1.0); }",
            UnsupportedIRError,
            "the code of g is not in the module",
        ),
        (
            "double d(double x) { return x * __enzyme_autodiff(d, x); }",
            UnsupportedIRError,
            "asks for a derivative of itself",
        ),
        (
            "double d(double x) { return __enzyme_autodiff_pair(square, x).y; }",
            ActivityError,
            "returns double, and the caller takes it for",
        ),
        (
            "double d(long *p) { return __enzyme_autodiff(square, p); }",
            ActivityError,
            "is a ptr, and the function takes a double",
        ),
        (
            "extern double __enzyme_bogus(void *, ...);"
            "double d(double x) { return __enzyme_bogus(square, x); }",
            UnsupportedIRError,
            "not known",
        ),
        (
            "extern void *__enzyme_shadow(void *, int, int);"
            "void *d(double *x) { return __enzyme_shadow(x, 1, 0); }",
            UnsupportedIRError,
            "not known of which variable",
        ),
        (
            "extern void *__enzyme_shadow(void *, int, int); static const double c = 2.0;"
            "void *d(void) { return __enzyme_shadow((void *)&c, 1, 0); }",
            ActivityError,
            "is a constant",
        ),
        (
            "extern void *__enzyme_context(int); extern int enzyme_context; double *p;"
            "void set(double *x) { p = x; } static double f(double x) { return *p * x; }"
            "double d(double x) { return __enzyme_autodiff(f, enzyme_context, __enzyme_context(1), x); }",
            UnsupportedIRError,
            "cannot follow",
        ),
        (
            "extern int enzyme_context; double g; static double f(double x) { return g * x; }"
            "double d(void *c, double x) { return __enzyme_autodiff(f, enzyme_context, c, x); }",
            ActivityError,
            "no context in the module",
        ),
        (
            "extern void __enzyme_fixed_point(void *, ...); static int step(long i, double *x) { return 0; }"
            "void d(double *x) { __enzyme_fixed_point((void *)step, x); }",
            ActivityError,
            "no state is named",
        ),
        (
            "extern void __enzyme_fixed_point(void *, ...); extern int enzyme_fp_state;"
            "static int step(long i, float *x) { return x[0] > 1.0f; }"
            "void d(float *x) { __enzyme_fixed_point((void *)step, enzyme_fp_state, x, 8L, x); }",
            UnsupportedIRError,
            "what the state is made of",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_line(code: str, kind: type[CoenzymeError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        compile_and_resolve(HEAD + code)
    assert caught.value.location is not None
    assert caught.value.location.line == LINE
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("void *__enzyme_register_gradient_f[] = {(void *)square};", ActivityError, "has 1 entries"),
        ("int n; void *__enzyme_inactivefn[] = {&n};", ActivityError, "n is no function"),
        ("void *__enzyme_register_something[] = {(void *)square};", UnsupportedIRError, "not known"),
        (
            "static double back(double x, double y, double seed) { return seed; } static void on(double x) {}"
            "void *__enzyme_register_gradient_f[] = {(void *)square, (void *)on, (void *)back};"
            "static double f(double x) { return square(x); }"
            "double d(double x) { return __enzyme_autodiff(f, x); }",
            ActivityError,
            "back takes",
        ),
        (
            "static double along(double x, double dx) { return dx; }"
            "void *__enzyme_register_derivative_f[] = {(void *)square, (void *)along};"
            "static double f(double x) { return square(x); }"
            "double d(double x) { return __enzyme_autodiff(f, x); }",
            MissingRuleError,
            "none for this mode",
        ),
        (
            "static double *row(double *a, int i) { return a + i; }"
            "void *__enzyme_inactivefn_table[1] = {(void *)row};"
            "static double f(double *a) { return *row(a, 1) * *row(a, 0); }"
            "double d(double *a, double *da) { return __enzyme_autodiff(f, a, da); }",
            UnsupportedIRError,
            "returns a pointer to what may be active",
        ),
        (
            "static void twice(double *x) { *x *= 2.0; }"
            "static void along(double *x, double *dx) { *dx *= 2.0; }"
            "void *__enzyme_register_derivative_f[] = {(void *)twice, (void *)along};"
            "static double f(double x) { twice(&x); return x; } extern int enzyme_width;"
            "extern Pair __enzyme_fwddiff(void *, ...);"
            "double d(double x) { return __enzyme_fwddiff(f, enzyme_width, 2, x, 1.0, 2.0).y; }",
            UnsupportedIRError,
            "in several directions at once",
        ),
    ],
)
def test_tables_that_do_not_hold_what_they_should_are_refused(
    code: str, kind: type[CoenzymeError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        compile_and_resolve(HEAD + code)
