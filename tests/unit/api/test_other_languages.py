"""C++, Rust and Fortran by way of LLVM: what their compilers leave to run-time libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pytest
from numpy.typing import NDArray

import coenzyme as cz
from coenzyme.codegen.language_runtimes import end_process_in_calls, without_unused_personalities
from tests.unit.frontends.c_code import needs_clang

# No header is included: clang may be there without a library of C++.
CPP = """
template <class T> struct Vector {
    T x, y, z;
    Vector operator+(const Vector &o) const { return {x + o.x, y + o.y, z + o.z}; }
    Vector operator*(T s) const { return {x * s, y * s, z * s}; }
    T dot(const Vector &o) const { return x * o.x + y * o.y + z * o.z; }
};
struct Shape {
    virtual double area(double scale) const = 0;
    virtual ~Shape() {}
};
struct Square final : Shape {
    double a;
    explicit Square(double a) : a(a) {}
    double area(double scale) const override { return a * a * scale; }
};
struct Circle final : Shape {
    double r;
    explicit Circle(double r) : r(r) {}
    double area(double scale) const override { return 3.0 * r * r * scale * scale; }
};
template <class F> double apply(F f, double t) { return f(t) * f(2 * t); }

extern "C" {
double vectors(const double *x, long n) {
    Vector<double> s{0, 0, 0};
    for (long i = 0; i + 2 < n; i += 3) s = s + Vector<double>{x[i], x[i + 1], x[i + 2]} * x[0];
    return s.dot(s);
}
double heap(const double *x, long n) {
    double *cubes = new double[n];
    for (long i = 0; i < n; i++) cubes[i] = x[i] * x[i] * x[i];
    double sum = 0;
    for (long i = 1; i < n; i++) sum += cubes[i] * cubes[i - 1];
    delete[] cubes;
    return sum;
}
double methods(const double *x, long n) {
    double sum = 0;
    for (long i = 0; i < n; i++) {
        Shape *shape = i % 2 ? static_cast<Shape *>(new Square(x[i])) : new Circle(x[i]);
        sum += shape->area(x[0]);
        delete shape;
    }
    return sum;
}
double closure(const double *x, long n) {
    auto horner = [&](double t) { double s = 0; for (long i = 0; i < n; i++) s = s * t + x[i]; return s; };
    return apply(horner, 0.3);
}
}
"""


def difference(f: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
    step = 1e-6
    compiled: Any = nb.njit(f)
    rows = step * np.eye(x.size)
    return np.array([(compiled(x + row) - compiled(x - row)) / (2 * step) for row in rows])


@needs_clang
@pytest.mark.parametrize("name", ["vectors", "heap", "methods", "closure"])
def test_functions_of_cpp_have_gradients(name: str, tmp_path: Path) -> None:
    path = tmp_path / "code.cpp"
    path.write_text(CPP)
    native = cz.c.function(path, name)

    def f(x: Any) -> Any:
        return native(x, x.size)

    x = np.random.default_rng(7).uniform(0.3, 1.0, 9)
    np.testing.assert_allclose(cz.grad(f)(x), difference(f, x), rtol=1e-7, atol=1e-8)
    v = np.linspace(-1.0, 1.0, 9)
    np.testing.assert_allclose(cz.jvp(f, (x,), (v,))[1], cz.grad(f)(x) @ v, rtol=1e-12)


# As Rust's compiler writes a sum over a vector's squares; the symbols are longer there.
RUST = """
define double @squares(ptr %x, i64 %n) unnamed_addr personality ptr @rust_eh_personality {
start:
  %bytes = shl i64 %n, 3
  call void @_RNvCsab1_7___rustc35___rust_no_alloc_shim_is_unstable_v2()
  %v = call ptr @_RNvCsab1_7___rustc12___rust_alloc(i64 %bytes, i64 8)
  %lost = icmp eq ptr %v, null
  br i1 %lost, label %fail, label %fill

fail:
  call void @_RNvCsab1_5alloc_7handle_error(i64 8, i64 %bytes)
  unreachable

fill:
  %i = phi i64 [ 0, %start ], [ %next, %fill ]
  %from = getelementptr inbounds double, ptr %x, i64 %i
  %value = load double, ptr %from, align 8
  %square = fmul double %value, %value
  %to = getelementptr inbounds double, ptr %v, i64 %i
  store double %square, ptr %to, align 8
  %next = add nuw nsw i64 %i, 1
  %filled = icmp eq i64 %next, %n
  br i1 %filled, label %grow, label %fill

grow:
  %twice = shl i64 %bytes, 1
  %w = call ptr @_RNvCsab1_7___rustc14___rust_realloc(ptr %v, i64 %bytes, i64 8, i64 %twice)
  br label %add

add:
  %k = phi i64 [ 0, %grow ], [ %k.next, %add ]
  %sum = phi double [ 0.0, %grow ], [ %more, %add ]
  %place = getelementptr inbounds double, ptr %w, i64 %k
  %part = load double, ptr %place, align 8
  %product = fmul double %part, %part
  %more = fadd double %sum, %product
  %k.next = add nuw nsw i64 %k, 1
  %done = icmp eq i64 %k.next, %n
  br i1 %done, label %out, label %add

out:
  call void @_RNvCsab1_7___rustc14___rust_dealloc(ptr %w, i64 %twice, i64 8)
  ret double %more
}

declare i32 @rust_eh_personality(i32, i32, i64, ptr, ptr)
declare void @_RNvCsab1_7___rustc35___rust_no_alloc_shim_is_unstable_v2()
declare ptr @_RNvCsab1_7___rustc12___rust_alloc(i64, i64)
declare ptr @_RNvCsab1_7___rustc14___rust_realloc(ptr, i64, i64, i64)
declare void @_RNvCsab1_7___rustc14___rust_dealloc(ptr, i64, i64)
declare void @_RNvCsab1_5alloc_7handle_error(i64, i64) cold noreturn
"""


def test_vectors_of_rust_take_memory_from_c() -> None:
    native = cz.llvm.function(RUST, "squares", "double", ["double*", "long"])

    def f(x: Any) -> Any:
        return native(x, x.size)

    x = np.random.default_rng(8).uniform(0.3, 1.0, 20)
    assert f(x) == pytest.approx(np.sum(x**4))
    np.testing.assert_allclose(cz.grad(f)(x), 4 * x**3, rtol=1e-13)


NEVER_RETURNS = """
define double @checked(double %x) {
  %low = fcmp olt double %x, 0.0
  br i1 %low, label %fail, label %out
fail:
  call void @library_that_nobody_has_stops(i32 3)
  unreachable
out:
  %square = fmul double %x, %x
  ret double %square
}
declare void @library_that_nobody_has_stops(i32) noreturn
"""


def test_a_function_that_never_returns_and_is_nowhere_ends_the_process() -> None:
    code = (
        "import sys, coenzyme as cz\n"
        f"f = cz.llvm.function({NEVER_RETURNS!r}, 'checked', 'double', ['double'])\n"
        "print(cz.grad(f)(3.0), flush=True)\n"
        "cz.grad(f)(-1.0)\n"
        "print('came back', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode != 0) == ("6.0\n", True), done.stderr


def test_a_function_that_returns_and_is_nowhere_is_refused() -> None:
    text = NEVER_RETURNS.replace(" noreturn", "")
    with pytest.raises(cz.errors.UnsupportedIRError, match="library_that_nobody_has_stops"):
        cz.llvm.function(text, "checked", "double", ["double"])


def test_a_function_that_catches_keeps_its_personality() -> None:
    text = (
        "define void @f() personality ptr @__gxx_personality_v0 {\n"
        "  invoke void @g() to label %a unwind label %b\na:\n  ret void\n"
        "b:\n  %p = landingpad { ptr, i32 } cleanup\n  resume { ptr, i32 } %p\n}\n"
        "declare void @g()\ndeclare i32 @__gxx_personality_v0(...)\n"
    )
    assert without_unused_personalities(text) == text


def test_calls_of_other_functions_are_left_as_they_are() -> None:
    text = "  call void @_ZSt4sortv()\n  call void @abort2(i32 1)\ndeclare void @abort2(i32)\n"
    assert end_process_in_calls(text, ["abort"]) == text
