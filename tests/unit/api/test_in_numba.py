"""Derivatives called from compiled code, and derivatives of derivatives."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, CoenzymeError, ShadowError

X = np.array([1.0, 2.0, 3.0])
V = np.array([1.0, 0.0, 2.0])


@nb.njit
def rosenbrock(a, b):
    return (1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2


@nb.njit
def cubes(x):
    total = 0.0
    for i in range(x.size):
        total += x[i] ** 3
    return total


@nb.njit
def square(x, y):
    for i in range(x.size):
        y[i] = x[i] * x[i]


by_both = cz.grad(rosenbrock, (0, 1))
gradient_of_cubes = cz.grad(cubes)


def test_gradient_is_a_global_of_compiled_code():
    @nb.njit
    def f(a):
        return by_both(a, b=2.0)[1] + gradient_of_cubes(X)[2]

    assert f(1.0) == 227.0


def test_gradient_is_made_in_compiled_code():
    @nb.njit
    def f(a, b):
        return (
            cz.grad(rosenbrock)(a, b),
            cz.grad(rosenbrock, argnums=1)(a, b),
            cz.grad(rosenbrock, (1, 0))(a, b),
            cz.value_and_grad(rosenbrock)(a, b),
        )

    assert f(1.0, 2.0) == (-400.0, 200.0, (200.0, -400.0), (100.0, -400.0))


def test_pushforward_in_compiled_code():
    @nb.njit
    def f(x, v):
        return cz.jvp(cubes, (x,), (v,))

    assert f(X, V) == (36.0, 57.0)


def test_tangent_of_another_shape_is_refused_in_compiled_code():
    @nb.njit
    def f(x, v):
        return cz.jvp(cubes, (x,), (v,))

    with pytest.raises(ShadowError, match="shape"):
        f(X, V[:2])


def test_annotated_calls_in_compiled_code():
    @nb.njit
    def f(x):
        dx, y, dy = cz.make_zero(x), np.zeros_like(x), np.ones_like(x)
        nothing = cz.autodiff(cz.Reverse, square, cz.Const, cz.Duplicated(x, dx), cz.DuplicatedNoNeed(y, dy))
        both = cz.autodiff(cz.ReverseWithPrimal, rosenbrock, cz.Active, cz.Active(1.0), 2.0)
        slope = cz.autodiff(cz.Forward, rosenbrock, cz.Duplicated(1.0, 1), cz.Const(2.0))
        return dx, dy, nothing, both, slope

    dx, dy, nothing, both, slope = f(X)
    np.testing.assert_array_equal(dx, 2 * X)
    np.testing.assert_array_equal(dy, 0.0)
    assert (nothing, both, slope) == ((None, None), ((-400.0, None), 100.0), -400.0)


def test_shadow_of_another_shape_is_refused_in_compiled_code():
    @nb.njit
    def f(x, n):
        cz.autodiff(cz.Reverse, cubes, cz.Duplicated(x, np.zeros(n)))

    f(X, 3)
    with pytest.raises(ShadowError, match="shape or strides"):
        f(X, 2)


@pytest.mark.parametrize("overlap", ["shadow is primal", "one shadow for two", "one array twice"])
def test_shared_memory_is_refused_in_compiled_code(overlap):
    @nb.njit
    def f(x, dx, y, dy):
        cz.autodiff(cz.Reverse, square, cz.Duplicated(x, dx), cz.Duplicated(y, dy))

    a, b, c, d = (np.zeros(3) for _ in range(4))
    arguments = {
        "shadow is primal": (a, a, b, c),
        "one shadow for two": (a, b, c, b),
        "one array twice": (a, b, a, c),
    }[overlap]
    f(a, b, c, d)
    f(a, b, a, b)
    with pytest.raises(ActivityError, match="share memory"):
        f(*arguments)


@nb.njit
def running_products(x, y):
    for i in range(1, x.size):
        y[i] = x[i] * y[i - 1] + x[i - 1]


@nb.njit
def gradient_by_first(x, y, dx, dy):
    cz.autodiff(cz.Reverse, running_products, cz.Duplicated(x, dx), cz.Duplicated(y, dy))
    return dx[0]


@pytest.mark.parametrize("shift", [0, 1, 2, 5])
def test_arrays_that_overlap_and_arrays_that_do_not_have_derivatives_in_compiled_code(shift):
    n = 5

    def windows(memory):
        return memory[:n], memory[shift : shift + n]

    def result(memory):
        memory = memory.copy()
        running_products(*windows(memory))
        return memory

    memory, shadow = np.linspace(0.5, 1.6, shift + n), np.linspace(1.0, 2.0, shift + n)
    steps = 1e-6 * np.eye(memory.size)
    expected = [shadow @ (result(memory + h) - result(memory - h)) / 2e-6 for h in steps]
    primals = memory.copy()
    gradient_by_first(*windows(primals), *windows(shadow))
    np.testing.assert_allclose(shadow, expected, rtol=1e-8)
    np.testing.assert_array_equal(primals, result(memory))


def test_derivatives_in_compiled_code_are_differentiated_again():
    @nb.njit
    def first_entry(x, y):
        return gradient_by_first(x, y, np.zeros_like(x), np.ones_like(y))

    def by_differences(h):
        return (first_entry(X + h, V.copy()) - first_entry(X - h, V.copy())) / 2e-6

    expected = [by_differences(h) for h in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(cz.grad(first_entry)(X, V.copy()), expected, rtol=1e-8)


def test_arrays_that_do_not_overlap_cost_the_same_in_compiled_code():
    @nb.njit
    def update(c, a):
        for i in range(a.shape[0]):
            for k in range(a.shape[1]):
                for j in range(i + 1):
                    c[i, j] += a[i, k] * a[j, k]

    @nb.njit
    def inside(c, dc, a, da):
        cz.autodiff(cz.Reverse, update, cz.DuplicatedNoNeed(c, dc), cz.Duplicated(a, da))

    def outside(c, dc, a, da):
        cz.autodiff(cz.Reverse, update, cz.DuplicatedNoNeed(c, dc), cz.Duplicated(a, da))

    a = np.linspace(0.5, 1.5, 120 * 100).reshape(120, 100)
    c = np.zeros((120, 120))
    least = {}
    for _ in range(10):
        for call in (inside, outside):
            given = (c, np.ones_like(c), a, np.zeros_like(a))
            start = perf_counter()
            call(*given)
            least[call] = min(least.get(call, np.inf), perf_counter() - start)
    # Where one array might be written through another, it takes 25 times as long.
    assert least[inside] < 3.0 * least[outside]


def test_jacobians_in_compiled_code():
    @nb.njit
    def doubled(x):
        return 2.0 * x * x[0]

    @nb.njit
    def f(x):
        return cz.jacfwd(doubled)(x), cz.jacrev(doubled)(x), cz.jacobian(doubled, mode="reverse")(x)

    first, *others = f(X)
    for other in others:
        np.testing.assert_allclose(other, first)


def test_argument_that_is_not_constant_is_refused():
    @nb.njit
    def f(x, which):
        return cz.grad(rosenbrock, which)(x, x)

    with pytest.raises(CoenzymeError, match="constant"):
        f(1.0, 1)


def test_function_that_is_not_known_while_compiling_is_refused():
    @nb.njit
    def f(x):
        return cz.grad(x)(x)

    with pytest.raises(ActivityError, match="known while compiling"):
        f(1.0)


# --- derivatives of derivatives ----------------------------------------------------------------


def test_gradient_of_a_gradient():
    assert cz.grad(cz.grad(lambda x: x**3))(2.0) == 12.0
    assert cz.grad(cz.grad(cz.grad(lambda x: x**4)))(2.0) == 48.0


def test_nested_derivatives_do_not_confuse_perturbations():
    @nb.njit
    def add(x, y):
        return x + y

    @nb.njit
    def f(x):
        return x * cz.grad(add, 1)(x, 1.0)

    assert cz.grad(f)(1.0) == 1.0


@pytest.mark.parametrize("order", ["reverse over reverse", "forward over reverse", "pullback"])
def test_hessian_vector_product(order):
    @nb.njit
    def along(x, v):
        return (gradient_of_cubes(x) * v).sum()

    found = {
        "reverse over reverse": lambda: cz.grad(along)(X, V),
        "forward over reverse": lambda: cz.jvp(gradient_of_cubes, (X,), (V,))[1],
        "pullback": lambda: cz.vjp(gradient_of_cubes, X)[1](V)[0],
    }[order]()
    np.testing.assert_allclose(found, 6 * X * V)


def test_the_first_mention_of_a_name_may_be_in_compiled_code():
    code = """
import numba as nb, coenzyme as cz
@nb.njit
def square(x):
    return x * x
@nb.njit
def slope(x):
    return cz.grad(square)(x)
print(slope(3.0))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "6.0", done.stderr
