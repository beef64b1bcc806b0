"""Functions with C's calling convention are differentiated, also where LLVM does not inline them."""

from __future__ import annotations

import ctypes
import math
from ctypes import c_double, c_int, c_void_p

import numpy as np
import pytest
from numpy.testing import assert_allclose

from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES
from coenzyme.errors import UnsupportedIRError
from coenzyme.foreign.derivatives import ForeignRequest, derive_foreign
from coenzyme.frontends.program import ComponentActivity, Mode, Status
from tests.unit.foreign.linked import link

CONST, ACTIVE, DUPLICATED = ComponentActivity.CONST, ComponentActivity.ACTIVE, ComponentActivity.DUPLICATED
PASSES = pytest.mark.parametrize("passes", [ALL_PASSES, NO_PASSES], ids=["clever", "plain"])

# sin(x)^n x by recursion, once through a result and once through memory
RECURSIVE = """
declare double @sin(double)

define double @power(double %x, i32 %n) {
entry:
  %last = icmp slt i32 %n, 1
  br i1 %last, label %out, label %more
more:
  %factor = call double @sin(double %x)
  %below = sub i32 %n, 1
  %rest = call double @power(double %x, i32 %below)
  %product = fmul double %factor, %rest
  br label %out
out:
  %result = phi double [ %x, %entry ], [ %product, %more ]
  ret double %result
}

define void @sweep(ptr %x, i32 %n) {
entry:
  %last = icmp slt i32 %n, 1
  br i1 %last, label %out, label %more
more:
  %old = load double, ptr %x
  %new = call double @sin(double %old)
  store double %new, ptr %x
  %below = sub i32 %n, 1
  call void @sweep(ptr %x, i32 %below)
  br label %out
out:
  ret void
}
"""


def _sines(x: float, n: int) -> tuple[float, float]:
    """Return sin(sin(… x)), n times, and its derivative."""
    slope = 1.0
    for _ in range(n):
        slope *= math.cos(x)
        x = math.sin(x)
    return x, slope


@PASSES
def test_a_recursive_function_that_returns_its_result(passes: frozenset) -> None:
    reverse = ForeignRequest(Mode.REVERSE, (ACTIVE, CONST), return_active=True, passes=passes)
    forward = ForeignRequest(Mode.FORWARD, (DUPLICATED, CONST), return_active=True, passes=passes)
    linked = link(RECURSIVE, {"back": ("power", reverse), "along": ("power", forward)})
    x, n = 0.7, 4
    slope = math.sin(x) ** n + n * x * math.sin(x) ** (n - 1) * math.cos(x)
    result, seed, x_bar = c_double(), c_double(2.0), c_double(0.5)
    back = linked.function("back", c_int, c_void_p, c_void_p, c_double, c_int, c_void_p, c_void_p)
    assert back(ctypes.addressof(result), None, x, n, ctypes.addressof(seed), ctypes.addressof(x_bar)) == 0
    assert_allclose([result.value, x_bar.value, seed.value], [math.sin(x) ** n * x, 2.0 * slope, 0.0])
    tangent = c_double()
    along = linked.function("along", c_int, c_void_p, c_void_p, c_double, c_int, c_void_p, c_double)
    assert along(ctypes.addressof(result), None, x, n, ctypes.addressof(tangent), 3.0) == 0
    assert_allclose(tangent.value, 3.0 * slope)


@PASSES
def test_a_recursive_function_that_changes_memory(passes: frozenset) -> None:
    request = ForeignRequest(Mode.REVERSE, (DUPLICATED, CONST), return_active=False, passes=passes)
    linked = link(RECURSIVE, {"back": ("sweep", request)})
    back = linked.function("back", c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
    x, shadow = c_double(0.9), c_double(1.5)
    assert back(None, None, ctypes.addressof(x), 5, ctypes.addressof(shadow)) == 0
    value, slope = _sines(0.9, 5)
    assert_allclose([x.value, shadow.value], [value, 1.5 * slope])


@PASSES
def test_the_halves_of_a_split_derivative(passes: frozenset) -> None:
    request = ForeignRequest(
        Mode.REVERSE, (DUPLICATED, CONST), return_active=False, split=True, passes=passes
    )
    linked = link(RECURSIVE, {"halves": ("sweep", request)})
    augmented, reverse, discard = linked.derived["halves"].symbols
    x, shadow, record = c_double(0.9), c_double(0.0), c_void_p()
    first = linked.function(augmented, c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_void_p)
    second = linked.function(reverse, c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_void_p)
    places = ctypes.addressof(x), 5, ctypes.addressof(shadow)
    assert first(None, None, *places, ctypes.addressof(record)) == 0
    assert_allclose(x.value, _sines(0.9, 5)[0])
    shadow.value = 1.5
    assert second(None, None, *places, record) == 0
    assert_allclose(shadow.value, 1.5 * _sines(0.9, 5)[1])
    x.value = 0.9
    assert first(None, None, *places, ctypes.addressof(record)) == 0
    linked.function(discard, None, c_void_p)(record)


STRUCT = """
define { double, double } @both(double %x, i32 %n) {
entry:
  %last = icmp slt i32 %n, 1
  br i1 %last, label %end, label %more
more:
  %below = sub i32 %n, 1
  %inner = call { double, double } @both(double %x, i32 %below)
  %a = extractvalue { double, double } %inner, 0
  %b = extractvalue { double, double } %inner, 1
  %a.new = fmul double %a, %b
  %b.new = fadd double %b, %x
  %one = insertvalue { double, double } poison, double %a.new, 0
  %two = insertvalue { double, double } %one, double %b.new, 1
  ret { double, double } %two
end:
  %first = insertvalue { double, double } poison, double %x, 0
  %start = insertvalue { double, double } %first, double %x, 1
  ret { double, double } %start
}

define double @use(double %x) {
  %pair = call { double, double } @both(double %x, i32 3)
  %a = extractvalue { double, double } %pair, 0
  ret double %a
}
"""


@PASSES
def test_a_recursive_function_that_returns_a_struct(passes: frozenset) -> None:
    request = ForeignRequest(Mode.REVERSE, (ACTIVE,), return_active=True, passes=passes)
    linked = link(STRUCT, {"back": ("use", request)})
    # x · x · 2x · 3x
    result, seed, x_bar = c_double(), c_double(1.0), c_double(0.0)
    back = linked.function("back", c_int, c_void_p, c_void_p, c_double, c_void_p, c_void_p)
    assert back(ctypes.addressof(result), None, 1.1, ctypes.addressof(seed), ctypes.addressof(x_bar)) == 0
    assert_allclose([result.value, x_bar.value], [6 * 1.1**4, 24 * 1.1**3])


CHOSEN = """
define double @square(double %x) {
  %r = fmul double %x, %x
  ret double %r
}
define double @cube(double %x) {
  %s = fmul double %x, %x
  %r = fmul double %s, %x
  ret double %r
}
define double @apply(ptr %f, double %x) {
  %r = call double %f(double %x)
  ret double %r
}
@table = global [2 x ptr] [ptr @square, ptr @cube]
"""


@PASSES
@pytest.mark.parametrize(("chosen", "slope"), [("square", 2 * 1.3), ("cube", 3 * 1.3**2)])
def test_a_function_called_by_address_is_one_of_those_whose_address_is_taken(
    chosen: str, slope: float, passes: frozenset
) -> None:
    request = ForeignRequest(Mode.REVERSE, (CONST, ACTIVE), return_active=True, passes=passes)
    linked = link(CHOSEN, {"back": ("apply", request)})
    back = linked.function("back", c_int, c_void_p, c_void_p, c_void_p, c_double, c_void_p, c_void_p)
    result, seed, x_bar = c_double(), c_double(1.0), c_double(0.0)
    address = linked.engine.get_function_address(chosen)
    places = ctypes.addressof(seed), ctypes.addressof(x_bar)
    assert back(ctypes.addressof(result), None, address, 1.3, *places) == 0
    assert_allclose(x_bar.value, slope)


@PASSES
def test_a_function_of_another_module_called_by_address_is_an_error(passes: frozenset) -> None:
    request = ForeignRequest(Mode.REVERSE, (CONST, ACTIVE), return_active=True, passes=passes)
    linked = link(CHOSEN, {"back": ("apply", request)})
    back = linked.function("back", c_int, c_void_p, c_void_p, c_void_p, c_double, c_void_p, c_void_p)
    result, seed, x_bar = c_double(), c_double(1.0), c_double(0.0)
    stranger = linked.engine.get_function_address("apply")
    places = ctypes.addressof(seed), ctypes.addressof(x_bar)
    status = back(ctypes.addressof(result), None, stranger, 1.3, *places)
    assert status == Status.UNKNOWN_FUNCTION
    assert x_bar.value == 0.0


BY_VALUE = """
define double @area(ptr byval({ double, double }) %p, i32 %n) {
entry:
  %a = load double, ptr %p
  %b.at = getelementptr { double, double }, ptr %p, i64 0, i32 1
  %b = load double, ptr %b.at
  %r = fmul double %a, %b
  store double 0.0, ptr %p
  %last = icmp slt i32 %n, 1
  br i1 %last, label %out, label %more
more:
  %below = sub i32 %n, 1
  store double %b, ptr %p
  %rest = call double @area(ptr byval({ double, double }) %p, i32 %below)
  %sum = fadd double %r, %rest
  br label %out
out:
  %result = phi double [ %r, %entry ], [ %sum, %more ]
  ret double %result
}

define double @use(ptr %p) {
  %r = call double @area(ptr byval({ double, double }) %p, i32 1)
  %a = load double, ptr %p
  %s = fadd double %r, %a
  ret double %s
}
"""


@PASSES
def test_what_a_callee_writes_to_a_struct_passed_by_value_is_its_own(passes: frozenset) -> None:
    request = ForeignRequest(Mode.REVERSE, (DUPLICATED,), return_active=True, passes=passes)
    linked = link(BY_VALUE, {"back": ("use", request)}, level=0)
    back = linked.function("back", c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)
    p, shadow = np.array([3.0, 5.0]), np.zeros(2)
    result, seed = c_double(), c_double(1.0)
    # a b + b b + a
    status = back(ctypes.addressof(result), None, p.ctypes.data, ctypes.addressof(seed), shadow.ctypes.data)
    assert status == 0
    assert_allclose(result.value, 3.0 * 5.0 + 25.0 + 3.0)
    assert_allclose(shadow, [6.0, 3.0 + 10.0])
    assert_allclose(p, [3.0, 5.0])


COUNTING = """
@calls = internal global i32 0
@scale = internal global double 2.0

define void @set(double %x) {
  store double %x, ptr @scale
  ret void
}
define double @scaled(double %x) {
  %old = load i32, ptr @calls
  %new = add i32 %old, 1
  store i32 %new, ptr @calls
  %s = load double, ptr @scale
  %r = fmul double %x, %s
  ret double %r
}
define i32 @count() {
  %n = load i32, ptr @calls
  ret i32 %n
}
"""


def test_variables_are_those_of_the_module() -> None:
    request = ForeignRequest(Mode.FORWARD, (DUPLICATED,), return_active=True)
    linked = link(COUNTING, {"along": ("scaled", request)})
    linked.function("set", None, c_double)(7.0)
    result, tangent = c_double(), c_double()
    along = linked.function("along", c_int, c_void_p, c_void_p, c_double, c_void_p, c_double)
    assert along(ctypes.addressof(result), None, 3.0, ctypes.addressof(tangent), 1.0) == 0
    assert (result.value, tangent.value) == (21.0, 7.0)
    assert linked.function("count", c_int)() == 1


def test_a_function_whose_code_is_elsewhere_is_an_error() -> None:
    text = "declare double @elsewhere(double)\n@used = global ptr @elsewhere\n"
    request = ForeignRequest(Mode.FORWARD, (DUPLICATED,), return_active=True)
    with pytest.raises(UnsupportedIRError, match="elsewhere"):
        derive_foreign(text, "elsewhere", request, "along")


CONTRACTIBLE = """
declare double @llvm.fmuladd.f64(double, double, double)

define double @f(ptr %x, ptr %y) {
  %a = load double, ptr %x
  %b = load double, ptr %y
  %r = call double @llvm.fmuladd.f64(double %a, double %b, double 1.0)
  ret double %r
}

define double @g(ptr %x, ptr %y) {
  %a = load double, ptr %x
  %b = load double, ptr %y
  %p = fmul double %a, %b
  %r = fadd double %p, 1.0
  ret double %r
}
"""


@pytest.mark.parametrize(("symbol", "contracted"), [("f", True), ("g", False)])
def test_products_are_contracted_where_the_functions_own_may_be(symbol: str, contracted: bool) -> None:
    request = ForeignRequest(Mode.REVERSE, (DUPLICATED, DUPLICATED), return_active=True)
    text = derive_foreign(CONTRACTIBLE, symbol, request, "back").text
    additions = [line for line in text.splitlines() if " fadd " in line and "@" not in line]
    products = [line for line in text.splitlines() if " fmul contract" in line]
    assert bool(products) == contracted
    assert any("fadd contract" in line for line in additions) == contracted
