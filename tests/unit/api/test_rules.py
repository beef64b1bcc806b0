"""Rules for reverse and forward mode that users give by `defvjp` and `defjvp`.

Every function with a rule is compared with the same function without one, which the engine differentiates.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import threading
from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, CompilationError, MissingRuleError

X = np.array([0.3, 0.4, 0.5])
Z = np.array([1.1, 0.7, 0.2])


def scale_by(x, y):
    for i in range(x.size):
        y[i] = y[i] * x[i]


plain_scale = nb.njit(scale_by)
scale = cz.rule(nb.njit(scale_by))


def scale_fwd(x, y):
    residuals = (x, y.copy())
    plain_scale(x, y)
    return None, residuals


def scale_bwd(residuals, cotangent, shadows):
    x, y = residuals
    dx, dy = shadows
    dx += dy * y
    dy *= x


def scale_jvp(primals, tangents):
    x, y = primals
    dx, dy = tangents
    dy[:] = dy * x + y * dx
    plain_scale(x, y)
    return None, None


scale.defvjp(scale_fwd, scale_bwd)
scale.defjvp(scale_jvp)


def both_of(x, s):
    return x * s, (x * x).sum()


plain_both = nb.njit(both_of)
both = cz.rule(nb.njit(both_of))
both.defvjp(
    lambda x, s: (plain_both(x, s), (x, s)),
    lambda r, c: (c[0] * r[1] + 2 * c[1] * r[0], (c[0] * r[0]).sum()),
)
both.defjvp(lambda p, t: (plain_both(p[0], p[1]), (t[0] * p[1] + p[0] * t[1], 2 * (p[0] * t[0]).sum())))


@cz.rule
@nb.njit
def power(x, n):
    return 1.0 if n == 0 else x * power(x, n - 1)


power.defvjp(lambda x, n: (power(x, n), (x, n)), lambda r, c: (c * r[1] * power(r[0], r[1] - 1), None))
power.defjvp(lambda p, t: (power(p[0], p[1]), t[0] * p[1] * power(p[0], p[1] - 1)))


def sum_with(scale: Any) -> Any:
    @nb.njit
    def total(x, z):
        y = z * z
        s = y[0] * x[1]
        scale(x, y)
        s += y[0] * y[1]
        twice = x * 2.0
        for _ in range(2):
            scale(twice, y)
            twice[0] = 1.5
        return s + y.sum()

    return total


def array_with(scale: Any) -> Any:
    @nb.njit
    def array(x, z):
        y = z * z
        scale(x, y)
        y[0] += x[0]
        w = y * 1.0
        scale(y, w)
        return w

    return array


def chain_with(both: Any) -> Any:
    @nb.njit
    def chain(x, s):
        y, q = both(x, s)
        w, r = both(y, q)
        return (w * y).sum() * q + r

    return chain


def split_gradients(f: Any) -> list[np.ndarray]:
    """Return the gradients of a function of two arrays by split mode."""
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitWithPrimal, f, cz.Active, cz.Duplicated, cz.Duplicated
    )
    shadows = [np.zeros(3), np.zeros(3)]
    copies = [X.copy(), Z.copy()]
    arguments = [cz.Duplicated(a, d) for a, d in zip(copies, shadows, strict=True)]
    tape, _, _ = forward(*arguments)
    for array in copies:
        array[:] = np.nan  # what is needed has been saved
    reverse(*arguments, 1.0, tape)
    return shadows


def test_a_rule_that_mutates_is_right_in_every_mode():
    ruled, plain = sum_with(scale), sum_with(plain_scale)
    for got, expected in zip(
        cz.grad(ruled, argnums=(0, 1))(X, Z), cz.grad(plain, argnums=(0, 1))(X, Z), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    np.testing.assert_allclose(cz.jvp(ruled, (X, Z), (Z, X)), cz.jvp(plain, (X, Z), (Z, X)), rtol=1e-13)
    for got, expected in zip(split_gradients(ruled), cz.grad(plain, argnums=(0, 1))(X, Z), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("jacobian", [cz.jacfwd, cz.jacrev])
def test_several_directions_at_once_run_the_mutation_once(jacobian):
    ruled, plain = array_with(scale), array_with(plain_scale)
    expected = cz.jacfwd(plain, argnums=1)(X, Z)
    np.testing.assert_allclose(jacobian(ruled, argnums=1)(X, Z), expected, rtol=1e-13)


@pytest.mark.slow
def test_a_rule_that_mutates_has_second_derivatives():
    ruled, plain = sum_with(scale), sum_with(plain_scale)
    np.testing.assert_allclose(cz.hessian(ruled)(X, Z), cz.hessian(plain)(X, Z), rtol=1e-12)


def test_arguments_are_the_users_own_where_the_function_itself_is_differentiated():
    y, dx, dy = Z.copy(), np.zeros(3), np.ones(3)
    cz.autodiff(cz.Reverse, scale, cz.Const, cz.Duplicated(X, dx), cz.Duplicated(y, dy))
    np.testing.assert_allclose((y, dx, dy), (X * Z, Z, X))


def test_numbers_and_arrays_come_and_go_in_tuples():
    ruled, plain = chain_with(both), chain_with(plain_both)
    got, expected = (cz.grad(f, argnums=(0, 1))(X, 1.7) for f in (ruled, plain))
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-13)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-13)
    tangents = (Z, 2.0)
    np.testing.assert_allclose(cz.jvp(ruled, (X, 1.7), tangents), cz.jvp(plain, (X, 1.7), tangents))
    np.testing.assert_allclose(cz.hessian(ruled)(X, 1.7), cz.hessian(plain)(X, 1.7), atol=1e-13)


def test_a_function_that_calls_itself_is_differentiated_by_its_rule_to_any_order():
    f = nb.njit(lambda x: power(x, 5) + power(2 * x, 3))
    x = 1.3
    assert f(x) == pytest.approx(x**5 + 8 * x**3)
    assert cz.grad(f)(x) == pytest.approx(5 * x**4 + 24 * x**2, rel=1e-14)
    assert cz.jvp(f, (x,), (1.0,))[1] == pytest.approx(5 * x**4 + 24 * x**2, rel=1e-14)
    assert cz.grad(cz.grad(f))(x) == pytest.approx(20 * x**3 + 48 * x, rel=1e-14)
    assert cz.jvp(cz.grad(f), (x,), (1.0,))[1] == pytest.approx(20 * x**3 + 48 * x, rel=1e-14)


def test_rules_are_used_and_not_the_code():
    @cz.rule
    @nb.njit
    def wrong(x):
        return x * x

    wrong.defvjp(lambda x: (x * x, 0.0), lambda r, c: (7.0 * c,))
    wrong.defjvp(lambda p, t: (p[0] * p[0], 9.0 * t[0]))
    outer = cz.rule(lambda x: wrong(x) * x)
    outer.defvjp(lambda x: (wrong(x) * x, x), lambda x, c: (c * 3 * wrong(x),))
    assert cz.grad(wrong)(2.0) == 7.0
    assert cz.jvp(wrong, (2.0,), (1.0,)) == (4.0, 9.0)
    assert cz.grad(outer)(2.0) == 12.0
    assert cz.grad(cz.grad(outer))(2.0) == 21.0  # a rule in a rule


def test_complex_numbers_have_cotangents_as_the_plain_engine_says():
    @cz.rule
    @nb.njit
    def square(z):
        return z * z

    square.defvjp(lambda z: (z * z, z), lambda z, c: (np.conj(2 * z) * c,))
    square.defjvp(lambda p, t: (p[0] * p[0], 2 * p[0] * t[0]))

    def with_square(square: Any) -> Any:
        @nb.njit
        def f(x, y):
            w = square(complex(x, y))
            return w.real * 3 + w.imag * 5

        return f

    ruled, plain = with_square(square), with_square(nb.njit(lambda z: z * z))
    expected = cz.grad(plain, argnums=(0, 1))(0.3, 0.7)
    assert cz.grad(ruled, argnums=(0, 1))(0.3, 0.7) == pytest.approx(expected, rel=1e-14)
    assert cz.grad(ruled)(0.3, 0.7) == pytest.approx(expected[0], rel=1e-14)
    assert cz.jvp(ruled, (0.3, 0.7), (0.0, 1.0))[1] == pytest.approx(expected[1], rel=1e-14)


def test_residuals_are_copied_where_their_memory_is_written_later():
    @cz.rule
    @nb.njit
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, (x[1:], x)), lambda r, c: (3 * r[1] ** 2 * c,))

    @nb.njit
    def f(x):
        y = x * 1.0
        first = cube(y)
        y[0] = first[1]
        second = cube(y[1:])
        y[1:] = 0.0
        return first.sum() + (second * y[0]).sum()

    def g(x):
        return (x**3).sum() + (x[1:] ** 3).sum() * x[1] ** 3

    h = 1e-6
    expected = [(g(X + h * e) - g(X - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(cz.grad(f)(X), expected, rtol=1e-8)


def test_the_tape_of_a_rule_may_be_of_any_type():
    @cz.rule
    @nb.njit
    def f(x):
        return x.sum() ** 2

    def fwd(x):
        numbers = nb.typed.List([x.sum(), 2.0])
        return numbers[0] ** 2, (numbers, "text", 3, x.shape)

    f.defvjp(fwd, lambda r, c: (np.full(r[3], c * r[0][1] * r[0][0]),))
    g = nb.njit(lambda x: f(x) * f(x * x))
    a, b = X.sum(), (X * X).sum()
    for _ in range(3):
        np.testing.assert_allclose(cz.grad(g)(X), 2 * a * b**2 + a**2 * 4 * b * X)


def test_an_error_of_the_function_comes_out_and_the_next_call_is_right():
    @cz.rule
    @nb.njit
    def root(x):
        if x < 0:
            raise ValueError("negative")
        return np.sqrt(x)

    root.defvjp(lambda x: (root(x), x), lambda x, c: (0.5 * c / np.sqrt(x),))

    @nb.njit
    def f(x):
        s = 0.0
        for i in range(4):
            s += root(x - 0.1 * i)
        return s

    with pytest.raises(ValueError, match="negative"):
        cz.grad(f)(0.15)
    expected = sum(0.5 / np.sqrt(1.0 - 0.1 * i) for i in range(4))
    assert cz.grad(f)(1.0) == pytest.approx(expected, rel=1e-14)


def test_a_config_says_what_is_overwritten_and_how_many_directions_there_are():
    @cz.rule
    @nb.njit
    def f(x, y):
        return (x * y).sum()

    def fwd(config, x, y):
        kept = x.copy() if config.overwritten("x") else x
        return (x * y).sum(), (kept, y, config.overwritten("x"), config.overwritten("y"), config.width)

    def bwd(config, residuals, cotangent):
        x, y, x_written, y_written, width = residuals
        flags = np.array([1.0 if x_written else 0.0, 1.0 if y_written else 0.0, float(width)])
        return y * cotangent + 0.0 * flags if config.needs_shadow else x, x * cotangent + flags

    f.defvjp(fwd, bwd)

    @nb.njit
    def g(x, y):
        w = x * 1.0
        s = f(w, y)
        w[0] = 0.0
        return s + w.sum()

    np.testing.assert_allclose(cz.grad(g, argnums=1)(X, Z), X + np.array([1.0, 0.0, 1.0]))


def test_a_missing_rule_is_an_error_that_names_it():
    @cz.rule
    @nb.njit
    def f(x):
        return x * x

    assert f(3.0) == 9.0
    with pytest.raises(MissingRuleError, match="no derivatives yet"):
        cz.grad(f)(3.0)
    f.defjvp(lambda p, t: (p[0] * p[0], 2 * p[0] * t[0]))
    with pytest.raises(MissingRuleError, match="forward mode only") as caught:
        cz.grad(f)(3.0)
    assert "defvjp" in str(caught.value)
    f.defvjp(lambda x: (x * x, x), lambda x, c: (2 * x * c,))
    assert cz.grad(f)(3.0) == 6.0


def test_errors_of_definition_are_said_at_once():
    @cz.rule
    @nb.njit
    def f(x, y):
        return x * y

    with pytest.raises(ActivityError, match=r"fwd of .*f takes 1 arguments, and should take 2"):
        f.defvjp(lambda x: (x, x), lambda r, c: (c, c))
    with pytest.raises(ActivityError, match=r"bwd of .*f takes 3 arguments, and should take 2"):
        f.defvjp(lambda x, y: (x, x), lambda r, c, d: (c, c))
    with pytest.raises(ActivityError, match=r"jvp of .*f takes 1 arguments"):
        f.defjvp(lambda p: p)
    f.defjvp(lambda p, t: (p[0] * p[1], t[0]))
    with pytest.raises(ActivityError, match="before"):
        f.defjvp(lambda p, t: (p[0] * p[1], t[0]))
    with pytest.raises(ActivityError, match="no argument called 'z'"):
        cz.rule(lambda x: x, writes=["z"])
    with pytest.raises(ActivityError, match="with rules already"):
        cz.rule(f)


@pytest.mark.parametrize(
    ("fwd", "bwd", "message"),
    [
        (lambda x: x, lambda r, c: (c,), "not two values"),
        (lambda x: (1j * x.sum(), x), lambda r, c: (r,), "value of type complex128"),
        (lambda x: (x.sum(), x), lambda r, c: (r, r), "for 1 arguments"),
        (lambda x: (x.sum(), x), lambda r, c: (c,), "cotangent of type float64"),
    ],
)
def test_a_rule_of_other_types_is_refused(fwd, bwd, message):
    f = cz.rule(lambda x: x.sum())
    f.defvjp(fwd, bwd)
    with pytest.raises(CompilationError, match=message):
        cz.grad(f)(X)


def test_a_cotangent_of_another_shape_is_refused():
    f = cz.rule(lambda x: x.sum())
    f.defvjp(lambda x: (x.sum(), x.size), lambda n, c: (np.ones(n - 1),))
    with pytest.raises(Exception, match="rule"):
        cz.grad(f)(X)


def test_a_function_that_returns_memory_of_its_argument_is_refused():
    @cz.rule
    @nb.njit
    def first(x):
        return x[:2]

    first.defvjp(lambda x: (first(x), x.size), lambda n, c: (np.append(c, np.zeros(n - 2)),))
    g = nb.njit(lambda x: first(x * 2.0).sum())
    with pytest.raises(ValueError, match="returns memory of its argument"):
        cz.grad(g)(X)


def test_rules_run_in_parallel_loops_and_in_threads():
    @nb.njit(parallel=True)
    def f(x):
        s = 0.0
        for i in nb.prange(x.size):
            s += power(x[i], 3)
        return s

    np.testing.assert_allclose(cz.grad(f)(X), 3 * X**2)

    @nb.njit(nogil=True)
    def g(x, n):
        s = 0.0
        for i in range(n):
            s += power(x + 1e-5 * i, 2)
        return s

    gradient, found = cz.grad(g), []
    expected = gradient(1.0, 10_000)
    workers = [threading.Thread(target=lambda: found.append(gradient(1.0, 10_000))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [expected, expected]
    assert expected == pytest.approx(2 * sum(1.0 + 1e-5 * i for i in range(10_000)))


def test_functions_of_c_have_the_rules_that_they_are_given():
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    erf = library.erf
    erf.restype, erf.argtypes = ctypes.c_double, [ctypes.c_double]
    external = nb.types.ExternalFunction("erf", nb.float64(nb.float64))

    def slope(x):
        return 2 / math.sqrt(math.pi) * math.exp(-x * x)

    slope = nb.njit(slope)
    expected = math.erf(0.3) + 0.3 * slope(0.3)
    for function in (erf, external):
        ruled = cz.rule(function)
        ruled.defpartials(lambda x: slope(x))  # noqa: PLW0108 - it is compiled
        f = _times(ruled)
        assert cz.grad(f)(0.3) == pytest.approx(expected, rel=1e-14)
        assert cz.jvp(f, (0.3,), (1.0,))[1] == pytest.approx(expected, rel=1e-14)
    with pytest.raises(ActivityError, match="argtypes"):
        cz.rule(library.erfc)


def _times(f: Any) -> Any:
    return nb.njit(lambda x: f(x) * x)


def test_functions_of_numpy_have_the_rules_that_they_are_given():
    sinc = cz.rule(np.sinc)
    sinc.defpartials(lambda v, x: (np.cos(np.pi * x) - v) / x, check=(0.3,))
    assert sinc(0.3) == np.sinc(0.3)
    expected = np.sinc(0.3) + np.cos(np.pi * 0.3) - np.sinc(0.3)
    assert cz.grad(_times(sinc))(0.3) == pytest.approx(expected, rel=1e-14)
    cbrt = cz.rule(np.cbrt)
    cbrt.defpartials(lambda v, x: v / (3 * x))
    assert cz.grad(cbrt)(8.0) == pytest.approx(1 / 12)


def test_a_function_whose_writes_nobody_sees_may_declare_them():
    copy = ctypes.CDLL(None).memmove
    copy.restype, copy.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

    def move(x, y):
        copy(y.ctypes, x.ctypes, 8 * x.size)

    def fwd(x, y):
        moved(x, y)
        return None, None

    def bwd(residuals, cotangent, shadows):
        dx, dy = shadows
        dx += dy
        dy[:] = 0.0

    for writes in (["y"], None):
        moved = cz.rule(nb.njit(move), writes=writes)
        moved.defvjp(fwd, bwd)

        gradient = cz.grad(_sum_of_moved(moved))(X)
        np.testing.assert_allclose(gradient, 4 * X**3 + 2 * X, rtol=1e-14)


def _sum_of_moved(moved: Any) -> Any:
    @nb.njit
    def f(x):
        y, w = np.empty_like(x), x * x
        moved(w, y)
        s = (y * y).sum()
        w[0] = 3.0
        y[1] = y[1] * 1.0
        return s + y.sum()

    return f
