"""Products and norms that Numba hands to BLAS, differentiated and compared with finite differences."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pytest
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numba.np.linalg import ensure_blas

import coenzyme as cz
from coenzyme import engine
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends import ArgumentActivity, Mode
from coenzyme.testing import check_derivatives

pytestmark = pytest.mark.filterwarnings("ignore::numba.NumbaPerformanceWarning")

rng = np.random.default_rng(20)


def normal(*shape: int, dtype: Any = np.float64, order: Any = "C") -> Any:
    return np.asarray(rng.standard_normal(shape), dtype=dtype, order=order)


def product(a, b):
    return a @ b


def squares_of_product(a, b):
    c = a @ b
    return (c * c).sum()


def into(a, b, c):
    np.dot(a, b, out=c)


def gram(a):
    return a.T @ a


def norm(x):
    return np.linalg.norm(x)


# -- every way in which Numba's `@` calls BLAS


SHAPES = {
    "matrices": ((2, 3), (3, 4)),
    "matrix and vector": ((2, 3), (3,)),
    "vector and matrix": ((3,), (3, 2)),
    "vectors": ((3,), (3,)),
    "row and matrix": ((1, 3), (3, 2)),
    "matrix and column": ((2, 3), (3, 1)),
    "row and column": ((1, 3), (3, 1)),
    "column and row": ((3, 1), (1, 2)),
    "one by one": ((1, 1), (1, 1)),
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_product_of_every_special_shape(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    assert check_derivatives(product, normal(*shapes[0]), normal(*shapes[1]))


@pytest.mark.parametrize("orders", ["CF", "FC", "FF"])
def test_product_in_every_order(orders: str) -> None:
    a, b = normal(2, 3, order=orders[0]), normal(3, 4, order=orders[1])
    assert check_derivatives(product, a, b)
    assert check_derivatives(product, a, normal(3))
    assert check_derivatives(product, normal(3), b)


def test_product_of_arrays_with_gaps() -> None:
    def every_second(a, b):
        return a[::2, ::2] @ b[:, 1]

    assert check_derivatives(every_second, normal(4, 6), normal(3, 2))


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_gradient_in_single_precision(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    def total(a, b):
        return np.sum(a @ b)

    f = total if len(shapes[0]) + len(shapes[1]) > 2 else product
    a, b = (normal(*shape, dtype=np.float32) for shape in shapes)
    da, db = cz.grad(f, (0, 1))(a, b)
    exact = cz.grad(f, (0, 1))(a.astype(np.float64), b.astype(np.float64))
    assert da.dtype == db.dtype == np.float32
    np.testing.assert_allclose(da, exact[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(db, exact[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "shapes",
    [((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)), ((0, 3), (3,)), ((2, 0), (0,)), ((0,), (0, 2))],
)
def test_empty_products_have_empty_gradients(shapes: Any) -> None:
    a, b = np.ones(shapes[0]), np.ones(shapes[1])
    assert cz.value_and_grad(squares_of_product, (0, 1))(a, b)[0] == 0.0
    for gradient, x in zip(cz.grad(squares_of_product, (0, 1))(a, b), (a, b), strict=True):
        np.testing.assert_array_equal(gradient, np.zeros_like(x))


def test_empty_inner_product() -> None:
    assert cz.value_and_grad(product)(np.zeros(0), np.zeros(0))[0] == 0.0


# -- who takes part


def test_constant_operands_get_no_adjoint() -> None:
    a, b, c = normal(2, 3), normal(3, 2), np.ones((2, 2))
    expected = np.ones((2, 2))
    assert check_derivatives(squares_of_product, a, b, argnums=0)
    assert check_derivatives(squares_of_product, a, b, argnums=1)
    da, dc = np.zeros_like(a), expected.copy()
    cz.autodiff(cz.Reverse, into, cz.Duplicated(a, da), cz.Const(b), cz.Duplicated(c, dc))
    np.testing.assert_allclose(da, expected @ b.T)
    np.testing.assert_array_equal(dc, 0.0)


def test_a_product_of_constants_clears_what_it_overwrites() -> None:
    a, b, c = normal(2, 3), normal(3, 2), np.ones((2, 2))
    for mode in (cz.Reverse, cz.Forward):
        dc = np.ones((2, 2))
        cz.autodiff(mode, into, cz.Const(a), cz.Const(b), cz.Duplicated(c, dc))
        np.testing.assert_array_equal(dc, 0.0)


def test_given_output_passes_its_cotangent_on() -> None:
    a, b, c, g = normal(2, 3), normal(3, 2), normal(2, 2), normal(2, 2)
    da, db, dc = np.ones_like(a), 2 * np.ones_like(b), g.copy()
    cz.autodiff(cz.Reverse, into, cz.Duplicated(a, da), cz.Duplicated(b, db), cz.Duplicated(c, dc))
    np.testing.assert_allclose(c, a @ b)
    np.testing.assert_allclose(da, 1 + g @ b.T)
    np.testing.assert_allclose(db, 2 + a.T @ g)
    np.testing.assert_array_equal(dc, 0.0)


def test_given_output_vector() -> None:
    assert check_derivatives(into, normal(2, 3), normal(3), normal(2))
    assert check_derivatives(into, normal(3), normal(3, 2), normal(2))


def test_the_same_array_as_both_operands() -> None:
    assert check_derivatives(gram, normal(3, 2))
    assert check_derivatives(lambda a: a @ a, normal(2, 2))
    x = normal(3)
    np.testing.assert_allclose(cz.grad(lambda x: x @ x)(x), 2 * x)


def test_rows_of_one_matrix() -> None:
    def rows(a):
        return a[0] @ a[1] + np.vdot(a[1], a[2]) + np.dot(a[2], a[2])

    assert check_derivatives(rows, normal(3, 2))


def test_power_of_a_matrix() -> None:
    def power(a):
        return np.linalg.matrix_power(a, 3).sum()

    assert check_derivatives(power, normal(2, 2))


# -- norms


@pytest.mark.parametrize("x", [normal(3), normal(2, 3), normal(2, 3, order="F")], ids=["vector", "C", "F"])
def test_norm(x: Any) -> None:
    assert check_derivatives(norm, x)


def test_norm_of_a_vector_with_gaps() -> None:
    def of_column(a):
        return np.linalg.norm(a[:, 1]) * np.linalg.norm(a[0])

    assert check_derivatives(of_column, normal(3, 2))


def test_norm_at_the_origin_has_gradient_zero() -> None:
    np.testing.assert_array_equal(cz.grad(norm)(np.zeros(3)), 0.0)
    assert cz.jvp(norm, (np.zeros(3),), (np.ones(3),))[1] == 0.0


def test_norm_of_memory_that_changes_afterwards() -> None:
    def norms(a):
        total = 0.0
        for i in range(3):
            total += np.linalg.norm(a[:, 0]) * (i + 1.0)
            a[:, 0] *= a[:, 1]
        return total

    assert check_derivatives(norms, 1.0 + np.abs(normal(3, 2)))


def test_gradient_of_a_reversed_vectors_norm_stays_within_it() -> None:
    # BLAS itself reads elsewhere: Numba passes the first element where BLAS expects the lowest address.
    def backwards(x):
        return np.linalg.norm(x[1:4][::-1])

    x = np.arange(1.0, 9.0)
    gradient = cz.grad(backwards)(x)
    np.testing.assert_allclose(gradient[1:4], x[1:4] / np.linalg.norm(x[1:4]))
    np.testing.assert_array_equal(gradient[[0, 4, 5, 6, 7]], 0.0)


# -- memory that is written again


def recurrent(w, h):
    for _ in range(4):
        h = np.tanh(w @ h)
    return h.sum()


def powers_in_place(a, b):
    c = np.empty_like(a)
    for _ in range(3):
        np.dot(a, b, out=c)
        a[:] = c
    return np.sin(a).sum()


def repeated_product(a, b):
    c = b.copy()
    for _ in range(3):
        c = a @ c
    return np.sin(c).sum()


def accumulated_inner_products(a, x):
    total = 0.0
    for i in range(a.shape[0]):
        total += (a[i] @ x) ** 2
        x[:] = a[i] * x
    return total


CHANGING: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (recurrent, (normal(3, 3), normal(3))),
    (powers_in_place, (normal(2, 2), normal(2, 2))),
    (repeated_product, (normal(3, 3), normal(3, 2))),
    (accumulated_inner_products, (normal(3, 2), normal(2))),
]


@pytest.mark.parametrize(("f", "args"), CHANGING, ids=[f.__name__ for f, _ in CHANGING])
def test_operands_that_are_written_again(f: Callable[..., Any], args: tuple[Any, ...]) -> None:
    assert check_derivatives(f, *args)


@pytest.mark.parametrize(("f", "args"), CHANGING, ids=[f.__name__ for f, _ in CHANGING])
def test_plain_and_quick_derivative_agree(f: Callable[..., Any], args: tuple[Any, ...]) -> None:
    gradients: list[list[Any]] = []
    for passes in (ALL_PASSES, NO_PASSES):
        activities = (ArgumentActivity.DUPLICATED,) * len(args)
        argtypes = tuple(nb.typeof(a) for a in args)
        options = engine.Options(passes=passes)
        made = engine.derivative(f, argtypes, activities, Mode.REVERSE, True, options)
        copies, shadows = [a.copy() for a in args], [np.zeros_like(a) for a in args]
        made.dispatcher(*copies, *shadows, 1.0)
        gradients.append(shadows)
    for first, second in zip(*gradients, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-14)


@nb.njit
def repeated(a, x, times):
    if times == 0:
        return np.sin(x).sum()
    return repeated(a, a @ x, times - 1)


def test_products_in_a_function_that_stays_out_of_line() -> None:
    assert check_derivatives(repeated, normal(3, 3), normal(3), 3)


def test_an_operand_left_alone_is_not_copied() -> None:
    def text(f: Callable[..., Any], *args: Any) -> str:
        argtypes = tuple(nb.typeof(a) for a in args)
        activities = (ArgumentActivity.DUPLICATED,) * len(args)
        return engine.derivative(f, argtypes, activities, Mode.REVERSE, True).text

    assert "operand.copy" not in text(recurrent, normal(3, 3), normal(3))
    assert "operand.copy" in text(powers_in_place, normal(2, 2), normal(2, 2))


# -- the routines themselves: flags, factors and leading dimensions that Numba does not pass


def raw_gemm(alpha: float, beta: float) -> Any:
    """Return ``gemm(ta, tb, m, n, k, a, lda, b, ldb, c, ldc)`` on flat arrays."""

    @intrinsic
    def gemm(context, ta, tb, m, n, k, a, lda, b, ldb, c, ldc):  # noqa: PLR0917
        size = types.intp
        signature = types.void(types.uint8, types.uint8, size, size, size, a, size, b, size, c, size)

        def codegen(context, builder, signature, args):
            return emit_raw("numba_xxgemm", context, builder, signature, args, (alpha, beta), (6, 11))

        return signature, codegen

    return gemm


def raw_gemv(alpha: float, beta: float) -> Any:
    """Return ``gemv(trans, m, n, a, lda, x, y)`` on flat arrays."""

    @intrinsic
    def gemv(context, trans, m, n, a, lda, x, y):  # noqa: PLR0917
        size = types.intp

        def codegen(context, builder, signature, args):
            return emit_raw("numba_xxgemv", context, builder, signature, args, (alpha, beta), (4, 8))

        return types.void(types.uint8, size, size, a, size, x, y), codegen

    return gemv


def emit_raw(name, context, builder, signature, args, factors, places):
    ensure_blas()
    char, void_p = ir.IntType(8), ir.IntType(8).as_pointer()
    values = [char(ord("d"))]
    for type, value in zip(signature.args, args, strict=True):
        is_array = isinstance(type, types.Array)
        data = make_array(type)(context, builder, value).data if is_array else value
        values.append(builder.bitcast(data, void_p) if is_array else data)
    for place, factor in zip(places, factors, strict=True):
        slot = cgutils.alloca_once_value(builder, ir.DoubleType()(factor))
        values.insert(place, builder.bitcast(slot, void_p))
    kind = ir.FunctionType(ir.IntType(32), [v.type for v in values])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)
    return context.get_dummy_value()


FACTORS = [(1.0, 0.0), (1.5, 1.0), (-0.5, 0.25)]


@pytest.mark.parametrize("factors", FACTORS, ids=str)
def test_gemm_with_flags_known_when_it_runs(factors: tuple[float, float]) -> None:
    gemm = raw_gemm(*factors)

    @nb.njit
    def f(a, b, c, ta, tb):
        gemm(ta, tb, 2, 3, 4, a, 5, b, 6, c, 3)

    buffers = normal(20), normal(24), normal(9)
    for flags in ("nn", "nt", "tn", "TT"):
        assert check_derivatives(f, *buffers, *(np.uint8(ord(x)) for x in flags), seeds=(0,))


@pytest.mark.parametrize("flags", ["nn", "nt", "tn", "tt"])
def test_gemm_with_flags_known_before(flags: str) -> None:
    gemm = raw_gemm(1.5, -1.0)
    ta, tb = (ord(x) for x in flags)

    @nb.njit
    def f(a, b, c):
        gemm(ta, tb, 2, 3, 4, a, 5, b, 6, c, 3)

    assert check_derivatives(f, normal(20), normal(24), normal(9), seeds=(0,))


@pytest.mark.parametrize("factors", FACTORS, ids=str)
def test_gemv_with_flags_known_when_it_runs(factors: tuple[float, float]) -> None:
    gemv = raw_gemv(*factors)

    @nb.njit
    def f(a, x, y, trans):
        gemv(trans, 2, 3, a, 4, x, y)

    for flag, (columns, rows) in {"n": (3, 2), "t": (2, 3)}.items():
        args = normal(12), normal(columns), normal(rows)
        assert check_derivatives(f, *args, np.uint8(ord(flag)), seeds=(0,))


def test_a_factor_that_is_computed_is_refused() -> None:
    @intrinsic
    def scaled(context, factor, a, x, y):
        def codegen(context, builder, signature, args):
            factor, *arrays = args
            data = [
                make_array(t)(context, builder, v).data
                for t, v in zip(signature.args[1:], arrays, strict=True)
            ]
            a, x, y = (builder.bitcast(d, ir.IntType(8).as_pointer()) for d in data)
            slots = [cgutils.alloca_once_value(builder, v) for v in (factor, ir.DoubleType()(0.0))]
            alpha, beta = (builder.bitcast(s, ir.IntType(8).as_pointer()) for s in slots)
            char, size = ir.IntType(8), ir.IntType(64)
            two = size(2)
            values = [char(ord("d")), char(ord("n")), two, two, alpha, a, two, x, beta, y]
            kind = ir.FunctionType(ir.IntType(32), [v.type for v in values])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "numba_xxgemv"), values)
            return context.get_dummy_value()

        return types.void(types.float64, a, x, y), codegen

    def f(factor, a, x, y):
        scaled(factor, a, x, y)

    shadows = [cz.Duplicated(v, np.zeros_like(v)) for v in (normal(4), normal(2), normal(2))]
    with pytest.raises(UnsupportedIRError, match="factor"):
        cz.autodiff(cz.Reverse, f, cz.Const(2.0), *shadows)


# -- derivatives of derivatives


def of_products(a):
    return (a @ a).sum() * (a[0] @ a[1])


def of_norms(a):
    return np.linalg.norm(a[0]) ** 3 + (a @ a[0]) @ a[1]


@pytest.mark.parametrize("outer", [cz.jacfwd, cz.jacrev])
@pytest.mark.parametrize("f", [of_products, of_norms])
def test_hessian(f: Callable[..., Any], outer: Callable[..., Any]) -> None:
    a, h = normal(2, 2), 1e-6
    gradient = cz.grad(f)
    found = np.asarray(outer(gradient)(a)).reshape(4, 4)
    for k in range(4):
        step = np.zeros(4)
        step[k] = h
        difference = gradient(a + step.reshape(2, 2)) - gradient(a - step.reshape(2, 2))
        np.testing.assert_allclose(found[:, k], difference.ravel() / (2 * h), rtol=1e-6, atol=1e-7)


# -- memory


LEAKS = """
import os, resource, sys
os.environ["NUMBA_NRT_STATS"] = "1"
import numpy as np
from numba.core.runtime import rtsys
import coenzyme as cz

def recurrent(w, h):
    for _ in range(4):
        h = np.tanh(w @ h)
    return h.sum()

def powers(a, b):
    c = np.empty_like(a)
    for _ in range(3):
        np.dot(a, b, out=c)
        a[:] = c
    return np.linalg.norm(a)

def live():
    stats = rtsys.get_allocation_stats()
    return stats.alloc - stats.free

a, b, x = np.ones((3, 3)), np.ones((3, 3)), np.ones(3)
calls = (
    lambda: cz.grad(recurrent, (0, 1))(a, x),
    lambda: cz.grad(powers, (0, 1))(a, b),
)
for call in calls:
    call()
    before = live()
    for _ in range(5):
        call()
    print(live() - before)

# The copies of operands do not come from the run-time system: they would show as growth.
def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

a, b = np.ones((300, 300)), np.eye(300)
gradient = cz.grad(powers, (0, 1))
for _ in range(10):
    gradient(a, b)
before = peak()
for _ in range(100):
    gradient(a, b)
print(peak() - before < 50_000_000)
"""


def test_no_memory_is_leaked() -> None:
    # In a process of its own: the run-time system counts only if told before it starts.
    done = subprocess.run(
        [sys.executable, "-c", LEAKS],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout == "0\n0\nTrue\n", done.stderr
