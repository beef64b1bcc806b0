"""Derivatives made by fewer passes: the same values from more tape, wherever they are made or called."""

import threading
from contextlib import nullcontext, suppress

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.analysis.passes import ALL_PASSES, passes_in_force
from coenzyme.api.calls import entry_of, in_force
from coenzyme.api.gradient import GradientCall
from coenzyme.api.kept import CallCache

Pass = cz.debug.Pass
SIZE = 4096
LIMIT = 4 * SIZE
"""Bytes of tape that the plain derivative of `waves` does not get by with; the quick one needs none."""


def fresh():
    """Return a function that nothing has been compiled for, of which no value needs to be taped."""

    @nb.njit
    def waves(x):
        total = 0.0
        for i in range(1, x.size):
            a = x[i - 1] * x[i]
            b = a * a + x[i]
            total += a * b * b
        return total

    return waves


def point():
    return np.linspace(0.5, 1.5, SIZE)


LIMITED = cz.ReverseWithPrimal.replace(memory_limit=LIMIT)


def by_autodiff(f):
    dx = np.zeros(SIZE)
    cz.autodiff(LIMITED, f, cz.Active, cz.Duplicated(point(), dx))
    return dx


def by_thunk(f):
    mode = cz.ReverseSplitWithPrimal.replace(memory_limit=LIMIT, arguments_kept=True)
    forward, reverse = cz.autodiff_thunk(mode, f, cz.Active, cz.Duplicated)
    dx = np.zeros(SIZE)
    given = cz.Duplicated(point(), dx)
    tape, _, _ = forward(given)
    reverse(given, 1.0, tape)
    return dx


def by_vjp(f):
    return cz.vjp(f, point(), memory_limit=LIMIT)[1](1.0)[0]


def by_grad(f):
    return cz.grad(f, memory_limit=LIMIT)(point())


def by_value_and_grad(f):
    return cz.value_and_grad(f, memory_limit=LIMIT)(point())[1]


@pytest.mark.parametrize("way", [by_autodiff, by_thunk, by_vjp, by_grad, by_value_and_grad])
def test_calls_inside_use_the_plain_derivative_and_calls_after_the_quick_one_again(way):
    f = fresh()
    before = way(f)
    way(f)  # what has been called before takes a shorter way
    for _ in range(2):
        with cz.debug.tape_everything(), pytest.raises(MemoryError):
            way(f)
    np.testing.assert_array_equal(way(f), before)


@pytest.mark.slow
@pytest.mark.parametrize("way", [by_autodiff, by_thunk, by_vjp, by_grad, by_value_and_grad])
def test_first_calls_inside_leave_nothing_behind(way):
    f = fresh()
    with cz.debug.tape_everything(), pytest.raises(MemoryError):
        way(f)
    way(f)


def test_what_is_made_inside_stays_plain_outside_and_what_is_made_outside_becomes_plain_inside():
    f = fresh()
    outside = cz.grad(f, memory_limit=LIMIT)
    with cz.debug.tape_everything():
        inside = cz.grad(f, memory_limit=LIMIT)
        with pytest.raises(MemoryError):
            outside(point())
    with pytest.raises(MemoryError):
        inside(point())
    assert cz.grad(f, memory_limit=LIMIT) is outside
    outside(point())


def test_compiled_callers_get_what_they_are_compiled_with():
    f = fresh()
    gradient = cz.grad(f, memory_limit=LIMIT)

    def compiled():
        return nb.njit(lambda x: gradient(x))  # noqa: PLW0108 - Numba wants a function

    quick, plain = compiled(), compiled()
    quick(point())
    with cz.debug.tape_everything():
        quick(point())
        with pytest.raises(MemoryError):
            plain(point())
    with pytest.raises(MemoryError):
        plain(point())


@nb.njit
def cubes(x):
    return (x * x * x).sum()


def test_calls_made_of_calls_are_plain_throughout():
    inner = GradientCall(cubes, (0,), True, False, False)
    outer = GradientCall(entry_of(inner), (0,), True, False, False)
    with cz.debug.tape_everything():
        plain = in_force(outer)
    assert plain.passes == plain.function.call.passes == frozenset()
    assert in_force(plain) is plain


@pytest.mark.slow
def test_second_derivatives_agree():
    x, v = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    product = cz.hvp(cubes, x, v)
    nested = cz.grad(lambda x: (cz.grad(cubes)(x)).sum())
    expected = [product, nested(x), cz.hessian(cubes)(x), cz.gradient_and_hvp(cubes, x, v)[0]]
    with cz.debug.tape_everything():
        found = [cz.hvp(cubes, x, v), nested(x), cz.hessian(cubes)(x), cz.gradient_and_hvp(cubes, x, v)[0]]
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_the_report_of_what_is_taped_is_that_of_the_plan_in_force():
    f = fresh()
    assert sum(cz.explain(f, nb.float64[::1]).tape_bytes_per_iteration.values()) == 0
    with cz.debug.tape_everything():
        assert sum(cz.explain(f, nb.float64[::1]).tape_bytes_per_iteration.values()) >= 8
    with cz.debug.without(Pass.CUT):
        assert sum(cz.explain(f, nb.float64[::1]).tape_bytes_per_iteration.values()) >= 8


@nb.njit
def steps(x, n):
    a, scratch, total = x.copy(), np.zeros(x.size), 0.0
    for _ in range(n):
        for i in range(1, x.size - 1):
            scratch[i] = np.sin(a[i - 1]) + a[i] * a[i + 1]
        for i in range(1, x.size - 1):
            a[i] = 0.5 * scratch[i]
    for k in range(x.size):
        for i in range(x.size):
            scratch[i] = x[k] * a[i]
        for i in range(1, x.size):
            scratch[i] = scratch[i] * scratch[i - 1]
        total += scratch[-1]
    return total


@pytest.mark.parametrize("left_out", [[one] for one in Pass] + [list(Pass)], ids=str)
def test_each_pass_can_be_left_out(left_out):
    x = np.linspace(0.1, 2.0, 7)
    expected = cz.grad(steps)(x, 3)
    with cz.debug.without(*left_out):
        assert passes_in_force() == ALL_PASSES.difference(left_out)
        np.testing.assert_allclose(cz.grad(steps)(x, 3), expected, rtol=1e-12)


def test_blocks_nest_and_end_with_errors():
    with cz.debug.without(Pass.CUT):
        with suppress(ZeroDivisionError), cz.debug.without(Pass.GATHER):
            assert passes_in_force() == ALL_PASSES - {Pass.CUT, Pass.GATHER}
            _ = 1 / 0
        assert passes_in_force() == ALL_PASSES - {Pass.CUT}
        with cz.debug.tape_everything(), cz.debug.without(Pass.CUT):
            assert passes_in_force() == frozenset()
    assert passes_in_force() is ALL_PASSES


def test_other_threads_are_not_concerned():
    seen = []
    with cz.debug.tape_everything():
        thread = threading.Thread(target=lambda: seen.append(passes_in_force()))
        thread.start()
        thread.join()
    assert seen == [ALL_PASSES]


def test_code_on_disk_is_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("COENZYME_CACHE", "1")
    monkeypatch.setenv("COENZYME_CACHE_DIR", str(tmp_path))
    f, keys = fresh(), []
    for block in (nullcontext(), cz.debug.tape_everything(), cz.debug.without(Pass.CUT), nullcontext()):
        with block:
            call = GradientCall(f, (0,), True, False, False)
            keys.append(CallCache(call, lambda _: None).key((nb.float64[::1],)))
    assert None not in keys
    assert len(set(keys)) == 3
    assert keys[0] == keys[-1]
