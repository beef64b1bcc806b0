"""C functions, and Numba functions, that call BLAS are differentiated by everything that differentiates."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit, types

import coenzyme as cz
from coenzyme.errors import UnsupportedIRError
from tests.unit.foreign.blas_programs import prototype, register
from tests.unit.frontends.c_code import needs_clang

pytestmark = needs_clang

SIZE = 4
CODE = (
    prototype("gemm")
    + prototype("dot")
    + prototype("trsm")
    + """
#include <stdlib.h>
#include <math.h>
/* |L^-1 sin(x B B)|^2 */
double loss(double x, double *b, double *l, long n) {
  double *t = malloc(n * n * sizeof(double));
  cblas_dgemm(101, 111, 111, n, n, n, x, b, n, b, n, 0.0, t, n);
  for (int i = 0; i < n * n; i++) t[i] = sin(t[i]);
  cblas_dtrsm(101, 141, 122, 111, 131, n, n, 1.0, l, n, t, n);
  double r = cblas_ddot(n * n, t, 1, t, 1);
  free(t);
  return r;
}
"""
)


@pytest.fixture(scope="module")
def loss():
    register("cblas_dgemm", "cblas_ddot", "cblas_dtrsm")
    return cz.c.function(CODE, "loss")


def _numbers() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    b, low = random.normal(size=(SIZE, SIZE)), random.normal(size=(SIZE, SIZE)) + 4 * np.eye(SIZE)
    return b.ravel(), low.ravel()


def _loss(x, b, low):
    b, low = b.reshape(SIZE, SIZE), low.reshape(SIZE, SIZE)
    return (np.linalg.solve(np.tril(low), np.sin(x * b @ b)) ** 2).sum()


def _differences(f, v):
    steps = 1e-5 * np.eye(v.size)
    near = np.array([f(v + h) - f(v - h) for h in steps])
    far = np.array([f(v + 2 * h) - f(v - 2 * h) for h in steps])
    return (8 * near - far) / 12e-5


def test_gradients_and_hessians(loss):
    b, low = _numbers()
    by_x, by_b, by_low = cz.grad(loss, argnums=(0, 1, 2))(0.7, b, low, SIZE)
    np.testing.assert_allclose(by_x, _differences(lambda x: _loss(x[0], b, low), np.array([0.7])), rtol=1e-8)
    np.testing.assert_allclose(by_b, _differences(lambda v: _loss(0.7, v, low), b), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(by_low, _differences(lambda v: _loss(0.7, b, v), low), rtol=1e-7, atol=1e-9)

    @njit
    def of_both(v):
        return loss(0.7, v[:16], v[16:], 4)

    both = np.concatenate([b, low])
    slope = cz.grad(of_both)
    expected = np.array([_differences(lambda v, i=i: slope(v)[i], both) for i in range(0, both.size, 5)])
    np.testing.assert_allclose(cz.hessian(of_both)(both)[::5], expected, rtol=1e-6, atol=1e-7)


def test_nothing_is_left_behind(loss):
    resource = pytest.importorskip("resource")
    n = 200
    b, low = np.eye(n).ravel(), np.eye(n).ravel()
    slope = cz.grad(loss, argnums=(0, 1, 2))

    def peak(times: int) -> int:
        for _ in range(times):
            slope(0.7, b, low, n)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = peak(5)
    assert peak(60) - before < 20_000  # one call needs megabytes


def test_numba_functions_that_call_blas():
    register("cblas_dgemv")
    pointer, size, number = types.CPointer(types.float64), types.int64, types.float64
    flags, vector = (types.int32, types.int32), (pointer, size)
    signature = types.void(*flags, size, size, number, *vector, *vector, number, *vector)
    gemv = types.ExternalFunction("cblas_dgemv", signature)

    @njit
    def f(a, x, alpha):
        y = np.empty(3)
        gemv(101, 111, 3, 4, alpha, a.ctypes, 4, x.ctypes, 1, 0.0, y.ctypes, 1)
        return (y * y).sum()

    a, x = np.arange(12.0).reshape(3, 4), np.ones(4)
    by_a, by_x, by_alpha = cz.grad(f, argnums=(0, 1, 2))(a, x, 2.0)
    np.testing.assert_allclose(by_a, 8.0 * np.outer(a @ x, x))
    np.testing.assert_allclose(by_x, 8.0 * a.T @ (a @ x))
    np.testing.assert_allclose(by_alpha, 4.0 * (a @ x) @ (a @ x))


def test_a_routine_that_no_library_has_is_refused():
    code = "void cblas_dger_64(int, long, long, double, double *, long, double *, long, double *, long);"
    code += "void f(double *z) { cblas_dger_64(101, 2, 2, 1.0, z, 1, z + 2, 1, z + 4, 2); }"
    with pytest.raises(UnsupportedIRError, match="cblas_dger_64"):
        cz.c.function(code, "f")
