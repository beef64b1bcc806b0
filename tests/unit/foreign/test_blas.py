"""Calls of BLAS in C programs have derivatives: every routine, with every flag, by every interface."""

from __future__ import annotations

import re
from ctypes import byref, c_double, c_int, c_void_p
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from coenzyme.analysis.passes import NO_PASSES
from coenzyme.codegen import verify
from coenzyme.derive.finishing import with_definitions
from coenzyme.errors import CoenzymeError, MissingRuleError
from coenzyme.foreign.derivatives import ForeignRequest, derive_foreign, share_globals
from coenzyme.foreign.visibility import show
from coenzyme.frontends.clang import compile_c
from coenzyme.frontends.program import ComponentActivity, Mode, Status
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.rules.blas_calls import ParameterKind, kind_of, parameters_of
from tests.unit.foreign.blas_programs import CHOICES, Program, cases, link_c, prototype, register, source
from tests.unit.foreign.linked import link
from tests.unit.frontends.c_code import needs_clang

pytestmark = needs_clang

CONST, ACTIVE, DUPLICATED = ComponentActivity.CONST, ComponentActivity.ACTIVE, ComponentActivity.DUPLICATED
VECTORS = ("dot", "nrm2", "asum", "axpy", "axpby", "scal", "copy", "swap", "rot", "rotg")
MATRIX_VECTOR = ("gemv", "ger", "symv", "syr", "syr2", "trmv", "trsv")
GAPS = ("gbmv", "sbmv", "spmv", "spr", "spr2", "tbmv", "tbsv", "tpmv", "tpsv")
MATRICES = ("gemm", "symm", "syrk", "syr2k", "trmm", "trsm")
ALL = (*VECTORS, *MATRIX_VECTOR, *GAPS, *MATRICES)


def _some(*quick: str) -> list[Any]:
    """Return all routines, those that are not named as slow tests."""
    return [r if r in quick else pytest.param(r, marks=pytest.mark.slow) for r in ALL]


@pytest.mark.parametrize(
    "routine", _some("dot", "nrm2", "axpy", "rot", "rotg", "gemv", "ger", "trsv", *MATRICES)
)
def test_a_routine_of_the_c_interface(routine: str) -> None:
    program = Program(source(routine))
    program.full = routine not in GAPS
    for number, case in enumerate(cases(routine)):
        program.check(case)
        if routine != "rotg" and number % 5 == 0:  # has a jump where both are equal
            program.check(case, alpha=1.0, beta=0.0)
            program.check(case, alpha=0.0, beta=1.0)


@pytest.mark.parametrize("routine", _some("dot", "trsm"))
def test_a_routine_of_fortran(routine: str) -> None:
    if routine == "axpby":
        pytest.skip("SciPy's BLAS does not have it")
    program = Program(source(routine, c=False), c=False)
    program.full = routine not in GAPS
    for case in cases(routine, ("order",)):
        program.check(case)


@pytest.mark.parametrize("routine", _some("axpy", "gemm"))
def test_a_routine_in_single_precision(routine: str) -> None:
    program = Program(source(routine, "s"), "s")
    program.full = routine not in GAPS
    for case in cases(routine, ("order", "incy")):
        program.check(case | {"order": 101, "incy": 1})


@pytest.mark.parametrize("options", [{"passes": NO_PASSES}, {"width": 3}], ids=["plain", "three directions"])
@pytest.mark.parametrize("routine", _some("gemv"))
def test_a_routine_by_other_ways(routine: str, options: dict[str, Any]) -> None:
    program = Program(source(routine), **options)
    program.full = routine not in GAPS
    for case in list(cases(routine))[::7]:
        program.check(case)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (2.0, 0.0), (0.0, 3.0)])
@pytest.mark.parametrize("c", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["C", "Fortran"])
@pytest.mark.parametrize("routine", ["gemm", "gemv"])
def test_a_product_with_factors_that_the_program_knows(
    routine: str, alpha: float, beta: float, c: bool
) -> None:
    program = Program(source(routine, c=c, constants={"alpha": alpha, "beta": beta}), c=c)
    for case in cases(routine, () if c else ("order",)):
        program.check(case)


@pytest.mark.parametrize("routine", ["trsm", pytest.param("trsv", marks=pytest.mark.slow)])
def test_matrices_of_many_blocks(routine: str) -> None:
    """Triangles are solved 16 rows at a time."""
    code = source(routine)
    program = Program(code)
    program.area, program.leading = 75 * 75, 75
    sizes = {"m": 70, "n": 33} if routine == "trsm" else {"n": 70}
    for case in list(cases(routine))[::7]:
        program.check(case | sizes)


# -- numbers that are not there


def test_what_a_factor_of_zero_multiplies_is_not_looked_at() -> None:
    for routine, at in (("gemm", 2), ("gemv", 2), ("axpby", 1)):
        program = Program(source(routine))
        case = next(iter(cases(routine)))
        q, z = program.choices(case), program.numbers(beta=0.0)
        area = 4 + at * program.area
        z[area : area + program.area] = np.nan
        expected = program.primal(q, z)
        for name in ("along", "back"):
            value, shadow = program.derivative(name, q, z, program.numbers())
            np.testing.assert_allclose(value, expected)
            assert np.isfinite(shadow).all(), (routine, name)


def test_a_product_of_nothing() -> None:
    program = Program(source("gemm"))
    for sizes in ({"k": 0}, {"m": 0}, {"n": 0}, {"m": 0, "n": 0, "k": 0}):
        for case in cases("gemm"):
            program.check(case | sizes)
    for routine in ("dot", "nrm2", "axpy", "trsv", "ger"):
        empty = Program(source(routine))
        for case in list(cases(routine))[::5]:
            empty.check(case | {"n": 0})


def test_factors_of_zero_let_operands_be_missing() -> None:
    code = prototype("gemm") + (
        "void f(int *q, double *z) { cblas_dgemm(101, 111, 111, 2, 2, 2, z[0], 0, 2, 0, 2, z[1], z + 4, 2); }"
    )
    Program(code).derivative("back", np.zeros(17, np.int32), np.zeros(200), np.ones(200))


def test_memory_that_is_not_there_is_a_status() -> None:
    program = Program(source("symv"))
    q, z = program.choices(next(iter(cases("symv")))), program.numbers()
    q[CHOICES.index("n")] = 2**31 - 1
    code = source("symv").replace("q[7]", "q[7] * 65536LL")
    huge = Program(code)
    for name in ("along", "back"):
        function = huge.linked.function(name, c_int, *[c_void_p] * 5)
        shadow = z.copy()
        assert function(None, None, q.ctypes.data, z.ctypes.data, shadow.ctypes.data) == Status.TAPE_EXHAUSTED


@pytest.mark.parametrize("order", [101, 102])
@pytest.mark.parametrize("active", ["a", "b", "c", "ab", "bc"])
def test_some_operands_are_constant(active: str, order: int) -> None:
    """What is constant has no shadow, and may be overwritten for all the reverse sweep cares."""
    code = (
        prototype("gemm")
        + f"""
    double g(double *a, double *b, double *c, int n) {{
      cblas_dgemm({order}, 112, 111, n, n, n, 0.5, a, n, b, n, 2.0, c, n);
      double r = 0;
      for (int i = 0; i < n * n; i++) r += c[i] * c[i];
      for (int i = 0; i < n * n; i++) a[i] = b[i] = 7;
      return r;
    }}
    """
    )
    roles = tuple(DUPLICATED if name in active or name == "c" else CONST for name in "abc")
    request = ForeignRequest(Mode.REVERSE, (*roles, CONST), return_active=True)
    linked = link_c(code, {"back": ("g", request)})
    random = np.random.default_rng(5)
    numbers = {name: random.normal(size=(3, 3)) for name in "abc"}
    bars = {name: np.zeros((3, 3)) for name, role in zip("abc", roles, strict=True) if role is DUPLICATED}
    function = linked.function("back", c_int, *[c_void_p] * 5, c_int, *[c_void_p] * (1 + len(bars)))
    result, seed = c_double(), c_double(1.0)
    given = [numbers[name].copy() for name in "abc"]
    places = [x.ctypes.data for x in given]
    shadows = [x.ctypes.data for x in bars.values()]
    assert function(byref(result), None, *places, 3, byref(seed), *shadows) == 0
    a, b, c = (x if order == 101 else x.T for x in numbers.values())
    out = 0.5 * a.T @ b + 2 * c
    np.testing.assert_allclose(result.value, (out**2).sum())
    expected = {"a": b @ out.T, "b": a @ out, "c": 4 * out}
    for name, bar in bars.items():
        np.testing.assert_allclose(bar if order == 101 else bar.T, expected[name], rtol=1e-12)


def test_lengths_of_letters_may_follow() -> None:
    code = """
    void dtrsv_(char *, char *, char *, int *, double *, int *, double *, int *, long, long, long);
    void f(int *q, double *z) {
      int n = 4, lead = 7, step = -1;
      dtrsv_("L", "t", "n", &n, z + 4, &lead, z + 60, &step, 1, 1, 1);
    }
    """
    Program(code, c=False).check({})


# -- programs


TWICE = (
    prototype("gemm")
    + prototype("dot")
    + prototype("trsm")
    + """
#include <stdlib.h>
#include <math.h>
/* ‖L^-1 (x B B)‖² where B is overwritten afterwards */
double loss(double x, double *b, const double *l, int n) {
  double *t = malloc(n * n * sizeof(double)), *u = malloc(n * n * sizeof(double));
  cblas_dgemm(101, 111, 111, n, n, n, x, b, n, b, n, 0.0, t, n);
  for (int i = 0; i < n * n; i++) { u[i] = sin(t[i]); b[i] = 0; }
  cblas_dtrsm(101, 141, 122, 111, 131, n, n, 1.0, l, n, u, n);
  double r = cblas_ddot(n * n, u, 1, u, 1);
  free(t); free(u);
  return r;
}
"""
)


_PARAMETERS = (c_void_p, c_void_p, c_double, c_void_p, c_void_p, c_int)
"""Of derivatives of `loss`: where the result goes, nothing, and its own."""


def _loss(x: float, b: np.ndarray, low: np.ndarray) -> float:
    return float((np.linalg.solve(np.tril(low), np.sin(x * b @ b)) ** 2).sum())


def _numbers() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    b, low = random.normal(size=(4, 4)), random.normal(size=(4, 4)) + 4 * np.eye(4)
    return b, low, random.normal(size=(4, 4)), np.tril(random.normal(size=(4, 4)))


def _slope(x: float, h: float = 1e-5) -> float:
    b, low, b_dot, low_dot = _numbers()
    values = [_loss(x + k * h, b + k * h * b_dot, low + k * h * low_dot) for k in (1, -1, 2, -2)]
    return (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)


def test_operands_that_are_overwritten_later() -> None:
    request = ForeignRequest(Mode.REVERSE, (ACTIVE, DUPLICATED, DUPLICATED, CONST), return_active=True)
    linked = link_c(TWICE, {"back": ("loss", request)})
    b, low, b_dot, low_dot = _numbers()
    b_bar, low_bar, x_bar, result, seed = b * 0, low * 0, c_double(), c_double(), c_double(1.0)
    function = linked.function(
        "back", c_int, c_void_p, c_void_p, c_double, c_void_p, c_void_p, c_int, *[c_void_p] * 4
    )
    given = b.copy()
    places = given.ctypes.data, low.ctypes.data, 4
    status = function(
        byref(result), None, 0.7, *places, byref(seed), byref(x_bar), b_bar.ctypes.data, low_bar.ctypes.data
    )
    assert status == 0
    np.testing.assert_allclose(result.value, _loss(0.7, b, low))
    np.testing.assert_allclose(
        x_bar.value + (b_bar * b_dot).sum() + (low_bar * low_dot).sum(), _slope(0.7), rtol=1e-8
    )
    assert not given.any()
    assert not np.triu(low_bar, 1).any()


def test_the_halves_of_a_split_derivative() -> None:
    request = ForeignRequest(
        Mode.REVERSE, (ACTIVE, DUPLICATED, DUPLICATED, CONST), return_active=True, split=True
    )
    linked = link_c(TWICE, {"halves": ("loss", request)})
    augmented, reverse, discard = linked.derived["halves"].symbols
    b, low, b_dot, low_dot = _numbers()
    b_bar, low_bar, x_bar, result, seed = b * 0, low * 0, c_double(), c_double(), c_double(0.0)
    record = c_void_p()
    first = linked.function(
        augmented, c_int, *[c_void_p] * 2, c_double, *[c_void_p] * 2, c_int, *[c_void_p] * 4
    )
    second = linked.function(reverse, c_int, *_PARAMETERS, *[c_void_p] * 5)
    given = b.copy()
    primals = 0.7, given.ctypes.data, low.ctypes.data, 4
    shadows = b_bar.ctypes.data, low_bar.ctypes.data
    for finish in (False, True):
        given[:] = b
        assert first(byref(result), None, *primals, byref(seed), *shadows, byref(record)) == 0
        np.testing.assert_allclose(result.value, _loss(0.7, b, low))
        if not finish:
            linked.function(discard, None, c_void_p)(record)
    given[:] = np.nan
    kept, low[:] = low.copy(), np.nan
    seed.value = 1.0
    assert second(byref(result), None, *primals, byref(seed), byref(x_bar), *shadows, record) == 0
    slope = x_bar.value + (b_bar * b_dot).sum() + (low_bar * low_dot).sum()
    np.testing.assert_allclose(slope, _slope(0.7), rtol=1e-8)
    assert np.isfinite(kept).all()


def test_second_derivatives() -> None:
    """Forward over reverse: the derivative, linked with the program, is differentiated again."""
    first = ForeignRequest(Mode.REVERSE, (ACTIVE, CONST, CONST, CONST), return_active=True, again=True)
    text = share_globals(str(verify(compile_c(TWICE))))
    whole = verify(text)
    whole.link_in(verify(derive_foreign(text, "loss", first, "back").text))
    whole.link_in(
        verify("""
declare i32 @back(ptr, ptr, double, ptr, ptr, i32, ptr, ptr)
define double @slope(double %x, ptr %b, ptr %l, i32 %n) {
  %result = alloca double
  %seed = alloca double
  %bar = alloca double
  store double 1.0, ptr %seed
  store double 0.0, ptr %bar
  %status = call i32 @back(ptr %result, ptr null, double %x, ptr %b, ptr %l, i32 %n, ptr %seed, ptr %bar)
  %slope = load double, ptr %bar
  ret double %slope
}
""")
    )
    module = parse_module(str(whole))
    show(module)
    shown = print_module(module)
    b, low, b_dot, low_dot = _numbers()
    second = _second_slope(0.7)
    register("cblas_dgemm", "cblas_dtrsm", "cblas_ddot")

    def differentiated(mode: Mode, scalar: ComponentActivity, *parameters: Any) -> Any:
        request = ForeignRequest(mode, (scalar, DUPLICATED, DUPLICATED, CONST), return_active=True)
        program = verify(shown)
        program.link_in(verify(derive_foreign(shown, "slope", request, "curvature").text))
        kept.append(link(with_definitions(parse_module(str(program))), {}))
        return kept[-1].function("curvature", c_int, *parameters)

    kept: list[Any] = []
    result, shadow, x_bar = c_double(), c_double(), c_double()
    forward = differentiated(Mode.FORWARD, DUPLICATED, *_PARAMETERS, c_void_p, c_double, *[c_void_p] * 2)
    given = b.copy()
    primals, tangents = (0.7, given.ctypes.data, low.ctypes.data, 4), (b_dot.copy(), low_dot)
    places = [t.ctypes.data for t in tangents]
    assert forward(byref(result), None, *primals, byref(shadow), 1.0, *places) == 0
    np.testing.assert_allclose(shadow.value, second, rtol=1e-6)
    backward = differentiated(Mode.REVERSE, ACTIVE, *_PARAMETERS, *[c_void_p] * 4)
    given[:], shadow.value, b_bar, low_bar = b, 1.0, b * 0, low * 0
    bars = byref(x_bar), b_bar.ctypes.data, low_bar.ctypes.data
    assert backward(byref(result), None, *primals, byref(shadow), *bars) == 0
    total = x_bar.value + (b_bar * b_dot).sum() + (low_bar * low_dot).sum()
    np.testing.assert_allclose(total, second, rtol=1e-6)


def _second_slope(x: float, h: float = 1e-3) -> float:
    """Return how ∂loss/∂x changes as x, b and l move."""
    b, low, b_dot, low_dot = _numbers()

    def by_x(s: float) -> float:
        values = [_loss(x + s + k * h, b + s * b_dot, low + s * low_dot) for k in (1, -1, 2, -2)]
        return (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)

    return (8 * (by_x(h) - by_x(-h)) - (by_x(2 * h) - by_x(-2 * h))) / (12 * h)


def test_a_function_that_is_not_inlined() -> None:
    code = (
        prototype("gemv")
        + """
    /* z := A z, n times, in place; A = z + 8 */
    static void power(double *z, int n, const double *a) {
      if (n == 0) return;
      cblas_dgemv(101, 111, 3, 3, 1.0, a, 3, z, 1, 0.0, z + 4, 1);
      for (int i = 0; i < 3; i++) z[i] = z[4 + i];
      power(z, n - 1, a);
    }
    void f(int *q, double *z) { power(z, 5, z + 60); }
    """
    )
    program = Program(code)
    program.check({})


def test_calls_in_a_loop_by_way_of_a_pointer() -> None:
    code = (
        prototype("axpy")
        + prototype("scal")
        + """
    typedef void (*step)(double, double *);
    static void add(double factor, double *z) { cblas_daxpy(4, factor, z + 4, 1, z + 10, 2); }
    static void scale(double factor, double *z) { cblas_dscal(4, factor, z + 10, 2); }
    static const step steps[2] = {add, scale};
    void f(int *q, double *z) { for (int i = 0; i < 6; i++) steps[i % 2](z[0], z); }
    """
    )
    Program(code).check({})


def test_operands_in_one_place() -> None:
    code = (
        prototype("dot")
        + prototype("gemm")
        + prototype("axpy")
        + """
    void f(int *q, double *z) {
      z[0] = cblas_ddot(5, z + 4, 1, z + 5, 1) * cblas_ddot(3, z + 4, 1, z + 4, 1);
      cblas_dgemm(102, 111, 112, 3, 3, 3, 0.5, z + 4, 3, z + 4, 3, 1.0, z + 20, 3);
      cblas_daxpy(4, 0.5, z + 4, 1, z + 4, 1);
    }
    """
    )
    Program(code).check({})


def test_mixed_precision() -> None:
    code = """
    float sdsdot_(int *, float *, float *, int *, float *, int *);
    double dsdot_(int *, float *, int *, float *, int *);
    void f(int *q, float *z) {
      int n = 4, one = 1, two = 2;
      z[0] = sdsdot_(&n, z + 1, z + 4, &one, z + 10, &two) * (float)dsdot_(&n, z + 4, &one, z + 10, &two);
    }
    """
    Program(code, "s", c=False).check({})


def test_the_largest_element_is_an_integer() -> None:
    code = """
    unsigned long cblas_idamax(long long, const double *, long long);
    void f(int *q, double *z) { z[0] = z[4 + cblas_idamax(5, z + 4, 1)] * z[1]; }
    """
    Program(code).check({})


# -- libraries


def _derived(code: str, mode: Mode = Mode.REVERSE) -> str:
    text = share_globals(str(verify(compile_c(code))))
    return derive_foreign(text, "f", ForeignRequest(mode, (CONST, DUPLICATED), return_active=False), "d").text


def _called(text: str) -> set[str]:
    """Return the functions that are declared."""
    return set(re.findall(r'^declare [^@\n]*@"?([^"(\s]+)', text, re.MULTILINE))


def test_derivatives_call_the_library_that_the_program_calls() -> None:
    assert "cblas_dgemm_64" in _called(_derived(source("gemm").replace("cblas_dgemm", "cblas_dgemm_64")))
    assert "dgemm_64_" in _called(_derived(source("gemm", c=False).replace("dgemm_", "dgemm_64_")))
    assert not any("numba" in name for name in _called(_derived(source("gemm"))))


def test_a_routine_that_the_library_may_lack_is_not_called() -> None:
    code = source("trsm").replace("cblas_dtrsm", "cblas_dtrsm_64")
    assert not any("blas" in name for name in _called(_derived(code)) if not name.startswith("cblas_dtrsm"))


def test_integers_of_64_bits_for_fortran() -> None:
    code = """
    double ddot_64_(long *, double *, long *, double *, long *);
    void f(long *q, double *z) { z[0] = ddot_64_(q, z + 4, q + 1, z + 20, q + 1); }
    """
    definition = """
    double ddot_64_(long *n, double *x, long *i, double *y, long *j) {
      double total = 0;
      for (long k = 0; k < *n; k++) total += x[k * *i] * y[k * *j];
      return total;
    }
    """
    library = link(compile_c(definition), {})
    llvm.add_symbol("ddot_64_", library.engine.get_function_address("ddot_64_"))
    text = share_globals(str(verify(compile_c(code))))
    request = ForeignRequest(Mode.FORWARD, (CONST, DUPLICATED), return_active=False)
    linked = link(text, {"along": ("f", request)})
    function = linked.function("along", c_int, *[c_void_p] * 5)
    q, z, z_dot = np.array([3, 2], np.int64), np.arange(40.0), np.ones(40)
    assert function(None, None, q.ctypes.data, z.ctypes.data, z_dot.ctypes.data) == 0
    assert z[0] == z[4:10:2] @ z[20:26:2]
    assert z_dot[0] == z[4:10:2].sum() + z[20:26:2].sum()


# -- refusals


@pytest.mark.parametrize(
    "name", ["cblas_zgemm", "dgetrf_", "cblas_ztbsv", "dgbsv_", "drotm_", "LAPACKE_dpotrf"]
)
def test_routines_without_a_derivative_are_refused(name: str) -> None:
    code = f"void {name}(int *, double *, double *); void f(int *q, double *z) {{ {name}(q, z, z + 8); }}"
    for mode in Mode:
        with pytest.raises(MissingRuleError, match=name) as caught:
            _derived(code, mode)
        assert caught.value.remedy


def test_a_function_that_is_not_declared_as_blas_has_it_is_refused() -> None:
    code = "void cblas_daxpy(double *, int); void f(int *q, double *z) { cblas_daxpy(z, 3); }"
    with pytest.raises(CoenzymeError):
        _derived(code)


def test_a_function_of_the_programs_own_is_not_taken_for_blas() -> None:
    code = """
    double ddot_(int *n, double *x, int *i, double *y, int *j) { return x[0] * x[0] * x[0]; }
    void f(int *q, double *z) { z[0] = ddot_(q, z + 1, q, z, q); }
    """
    Program(code).check({})


# -- any calls in any order

_CHOSEN = {
    "order": (101, 102),
    "side": (141, 142),
    "uplo": (121, 122),
    "diag": (132,),
    "trans": (111, 112),
    "transa": (111, 112),
    "transb": (111, 112),
    "incx": (1, 2, -1),
    "incy": (1, -2),
    "alpha": (1.0, 0.5, -1.0, "z[0]"),
    "beta": (1.0, 0.0, 0.5, "z[1]"),
    "cosine": (0.6, "z[0]"),
    "sine": (0.8, "z[1]"),
}


def _random_call(random: np.random.Generator) -> str:
    """Return a call with operands in three of five areas, which it overwrites or reads."""
    routine = str(random.choice([r for r in ALL if r not in ("rotg", "asum")]))
    areas = iter(random.permutation(5))
    forwards = routine in ("scal", "nrm2")
    given: list[str] = []
    for name in parameters_of(routine):
        if name in ("incx", "incy") and forwards:
            given.append("1")
        elif name in _CHOSEN:
            choices = _CHOSEN[name]
            given.append(str(choices[random.integers(len(choices))]))
        elif name.startswith("ld"):
            given.append("4")
        elif kind_of(name) is ParameterKind.SIZE:
            given.append("3" if len(name) == 1 else "1")
        else:
            given.append(f"z + {4 + 16 * int(next(areas))}")
    call = f"cblas_d{routine}({', '.join(given)});"
    return f"z[{random.integers(2)}] = {call}" if routine in ("dot", "nrm2") else call


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 25))])
def test_any_calls_in_any_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    calls = [_random_call(random) for _ in range(6)]
    code = "".join(prototype(routine) for routine in ALL) + (
        "double sin(double);\n"
        "static void bend(double *z) { for (int i = 0; i < 84; i++) z[i] = sin(z[i]); }\n"
        f"void f(int *q, double *z) {{\n  {calls[0]}\n  {calls[1]}\n  bend(z);\n"
        f"  for (int i = 0; i < 2; i++) {{\n    {calls[2]}\n    {calls[3]}\n    bend(z);\n"
        f"    {calls[4]}\n  }}\n"
        f"  bend(z);\n  {calls[5]}\n  bend(z);\n}}\n"
    )
    Program(code).check({})


def test_the_check_rejects_a_wrong_derivative() -> None:
    program = Program(source("gemm"))
    correct = program.derivative

    def wrong(name: str, *given: Any) -> Any:
        value, shadow = correct(name, *given)
        return value, shadow * (1 + 1e-6 * (name == "along"))

    program.derivative = wrong
    with pytest.raises(AssertionError):
        program.check(next(iter(cases("gemm"))))
