"""Tangents of several directions are vectors, and lie side by side in memory that nobody else sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys
from numpy.typing import NDArray

import coenzyme as cz
from coenzyme import engine
from coenzyme.analysis.activity import Activity
from coenzyme.analysis.content import Contents
from coenzyme.analysis.interleaved import find_families
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.derive import derivative
from coenzyme.derive.interleaving import Interleaving
from coenzyme.derive.lane_costs import plan_interleaving
from coenzyme.derive.normalise import Shape
from coenzyme.frontends.program import ArgumentActivity, Mode
from tests.unit.frontends.c_code import needs_clang

Array = NDArray[Any]
X = np.array([0.7, 1.3, 0.4, 0.9, 1.1])


@nb.njit
def chain(x):
    turn, product, total = np.zeros((3, 3)), np.eye(3), np.zeros((3, 3))
    for k in range(x.size):
        turn[0, 0], turn[0, 1] = np.cos(x[k]), -np.sin(x[k])
        turn[1, 0], turn[1, 1], turn[2, 2] = np.sin(x[k]), np.cos(x[k]), x[k - 1]
        for i in range(3):
            for j in range(3):
                total[i, j] = 0.0
                for m in range(3):
                    total[i, j] += product[i, m] * turn[m, j]
        product[:] = total
    return product[0, 1] * product[2, 2]


@nb.njit
def copied_both_ways(x):
    local = x.copy()
    for i in range(1, x.size):
        local[i] *= local[i - 1] + x[i]
    x[1:] = local[1:]
    out = local.copy()
    local[:2] = 0.0
    out[0] = local[1] + local[4] * out[2]
    return out


@nb.njit
def swapped(x):
    u, v = np.zeros(x.size), np.ones(x.size)
    for _ in range(x.size - 2):
        for i in range(x.size):
            v[i] = u[i - 1] * x[i] + np.exp(v[i])
        u, v = v, u
    return u[0] + u[3]


@nb.njit
def swapped_with_the_argument(x):
    u, v = x, np.ones(x.size)
    for _ in range(x.size - 2):
        for i in range(x.size):
            v[i] = np.sin(u[i - 1]) * v[i]
        u, v = v, u
    return u.sum()


@nb.njit
def returned(x):
    out = np.empty(x.size)
    for i in range(x.size):
        out[i] = x[i] * x[i - 1] * np.tanh(x[0])
    return out


@nb.njit
def view_returned(x):
    out = np.ones((2, x.size))
    for i in range(x.size):
        out[1, i] = x[i] * out[0, i - 1]
        out[0, i] += np.sin(out[1, i])
    return out[1]


@nb.njit
def _fold(values, first):
    if first + 1 < values.size:
        values[first + 1] *= values[first]
        _fold(values, first + 1)


@nb.njit
def passed_on(x):
    values = np.sin(x)
    _fold(values, 0)
    return values[-1]


@nb.njit
def kept_in_a_list(x):
    items = [np.sin(x), np.cos(x)]
    total = 0.0
    for item in items:
        for value in item:
            total = total * value + value
    return total


@nb.njit
def single_precision(x):
    local = np.empty(x.size, np.float32)
    for i in range(x.size):
        local[i] = np.float32(x[i] * x[i - 1])
        if i > 0:
            local[i] += np.float32(2.0) * local[i - 1] * local[0]
    return float(local[2]) * float(local[4])


@nb.njit
def complex_numbers(x):
    local = np.empty(x.size, np.complex128)
    z = 1.0 + 0.5j
    for i in range(x.size):
        z = z * (x[i] + 1j * x[i - 1])
        local[i] = z
    return abs(local[1] * local[3])


@nb.njit
def leaves_early(x):
    local = np.zeros(4)
    for i in range(x.size):
        if x[i] < 0.5:
            local[1] *= 2.0
            return local[0] + local[1]
        local[i % 4] += x[i] * local[i % 4 - 1] + 1.0
        local[1] += x[i] if local[2] > 1.0 else x[i] * x[i]
    return local[3]


@nb.njit
def counts_down(x):
    local = np.empty((x.size, 2))
    for i in range(x.size - 1, -1, -1):
        local[i, 0] = x[i] * x[i]
        local[i, 1] = local[i, 0] * (local[i + 1, 1] if i + 1 < x.size else 1.0)
    columns = local.T.copy().reshape(-1)
    return columns[x.size] * columns[1]


@nb.njit
def nothing_to_do(x):
    local = np.empty(x.size)
    for i in range(x.size - 9):
        local[i] = x[i]
    total = 0.0
    for i in range(x.size - 9):
        total += local[i]
    return total + x[0]


@nb.njit
def one_or_the_other(x):
    first, second = np.sin(x), np.cos(x)
    third = first if x[0] > 0.5 else second
    for i in range(1, x.size):
        third[i] += third[i - 1] * second[i] * x[i]
    return first[3] + second[4]


PROGRAMS = (
    chain,
    swapped,
    swapped_with_the_argument,
    returned,
    view_returned,
    passed_on,
    kept_in_a_list,
    single_precision,
    complex_numbers,
    leaves_early,
    counts_down,
    nothing_to_do,
    one_or_the_other,
)


def pushed(
    f: Callable[..., Any], x: Array, width: int, passes: frozenset[Pass], *, strong_zero: bool = False
) -> list[Array]:
    """Return, for each of `width` directions, the tangent of the result and of what `f` leaves in `x`."""
    again = nb.njit(f.py_func)  # type: ignore[attr-defined]  # not made before, by another plan
    options = engine.Options(passes=passes, width=width, strong_zero=strong_zero)
    derived = engine.derivative(
        again, (nb.typeof(x),), (ArgumentActivity.DUPLICATED,), Mode.FORWARD, True, options
    )
    rng = np.random.default_rng(1)
    shadows = [rng.normal(size=x.shape) for _ in range(8)][:width]
    _, tangents = derived.dispatcher(x.copy(), *shadows)
    tangents = (tangents,) if width == 1 else tangents
    return [np.append(np.ravel(t), s) for t, s in zip(tangents, shadows, strict=True)]


def text_of(f: Callable[..., Any], width: int) -> str:
    """Return the text of a derivative in `width` directions, which has not been made before."""
    again = nb.njit(f.py_func)  # type: ignore[attr-defined]
    # Arrays of constant size stay arrays.
    options = engine.Options(passes=ALL_PASSES - {Pass.STACK}, width=width)
    duplicated = (ArgumentActivity.DUPLICATED,)
    return engine.derivative(again, (nb.typeof(X),), duplicated, Mode.FORWARD, True, options).text


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> list[Interleaving]:
    """Let all that can be a vector be one, whatever it costs; return what was decided."""
    found: list[Interleaving] = []

    def plan(shape: Shape, activity: Activity, contents: Contents, width: int) -> Interleaving:
        families = find_families(shape.function, activity, contents)
        blocks = frozenset(shape.exits.live)
        found.append(Interleaving(width, activity, frozenset(families), blocks))
        return found[-1]

    monkeypatch.setattr(derivative, "plan_interleaving", plan)
    return found


@pytest.mark.parametrize(
    "f",
    [copied_both_ways, *(pytest.param(f, marks=pytest.mark.slow) for f in PROGRAMS)],
    ids=lambda f: f.__name__,
)
def test_vectors_hold_what_single_directions_give(f: Any, everywhere: list[Interleaving]) -> None:
    single = pushed(f, X, 1, NO_PASSES)[0]
    found = pushed(f, X, 3, ALL_PASSES)
    assert everywhere
    np.testing.assert_allclose(found[0], single, rtol=1e-6 if f is single_precision else 1e-13)
    for direction in found[1:]:
        assert not np.array_equal(direction, found[0])


@pytest.mark.slow
@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_vectors_hold_what_numbers_and_differences_give(f: Any, everywhere: list[Interleaving]) -> None:
    found = pushed(f, X, 5, ALL_PASSES - {Pass.STACK})
    np.testing.assert_array_equal(found, pushed(f, X, 5, ALL_PASSES - {Pass.LANES, Pass.STACK}))
    assert everywhere
    small = 1e-3 if f is single_precision else 1e-6
    direction = np.random.default_rng(1).normal(size=X.shape)
    ends = [X.copy() + sign * small * direction for sign in (1, -1)]
    values = [np.append(np.ravel(f(end)), end) for end in ends]
    difference = (values[0] - values[1]) / (2 * small)
    loose = 1e-2 if f is single_precision else 1e-7
    np.testing.assert_allclose(found[0], difference, rtol=loose, atol=loose)


@pytest.mark.parametrize(
    ("f", "count"),
    [
        (chain, 4),  # with that of the assignment, which might overlap
        (copied_both_ways, 2),
        (swapped, 2),
        (swapped_with_the_argument, 0),
        (returned, 0),
        (view_returned, 0),
        (passed_on, 0),
        (kept_in_a_list, 0),
        (single_precision, 1),
        (leaves_early, 1),
    ],
    ids=lambda f: getattr(f, "__name__", str(f)),
)
def test_only_memory_that_nobody_else_sees_has_one_shadow(
    f: Any, count: int, everywhere: list[Interleaving]
) -> None:
    text_of(f, 2)
    assert len(everywhere[0].interleaved) == count


def test_local_matrices_are_followed_in_vectors() -> None:
    text = text_of(chain, 5)
    assert "load <5 x double>" in text
    assert "store <5 x double>" in text


@needs_clang
def test_tangents_in_long_double_are_no_vectors(everywhere: list[Interleaving]) -> None:
    f = cz.c.function("""
        long double sinl(long double);
        double f(const double *x, int n) {
            long double sum = 0;
            double product = 1;
            for (int i = 0; i < n; i++) {
                sum = i & 1 ? sum * sinl(x[i]) : sum + x[i];
                product = product * x[i] + (double)sum;
            }
            return product + (double)(sum * sum);
        }""")
    types = (nb.typeof(X), nb.int32)
    activities = (ArgumentActivity.DUPLICATED, ArgumentActivity.CONST)
    options = engine.Options(width=3)
    derived = engine.derivative(f, types, activities, Mode.FORWARD, True, options)
    assert everywhere[0].blocks
    assert "<3 x double>" in derived.text
    assert "x x86_fp80>" not in derived.text
    _, tangents = derived.dispatcher(X.copy(), 5, *np.eye(5)[:3])
    np.testing.assert_allclose(tangents, cz.grad(f)(X, 5)[:3], rtol=1e-13)


def test_loops_over_entries_are_left_to_the_vectoriser(monkeypatch: pytest.MonkeyPatch) -> None:
    @nb.njit
    def smoothed(x):
        y = x.copy()
        for _ in range(x.size):
            z = y.copy()
            for i in range(1, x.size - 1):
                z[i] = 0.25 * y[i - 1] + 0.5 * y[i] + 0.25 * y[i + 1]
            y = z
        return y

    found: list[Interleaving] = []

    def plan(*args: Any) -> Interleaving:
        found.append(plan_interleaving(*args))
        return found[-1]

    monkeypatch.setattr(derivative, "plan_interleaving", plan)
    text_of(smoothed, 4)
    assert not found[0].interleaved
    assert not found[0].blocks


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.inf, np.nan, 0.0])
def test_strong_zeros_hold_in_each_lane(value: float, everywhere: list[Interleaving]) -> None:
    @nb.njit
    def product(x):
        local = np.zeros(3)
        for i in range(x.size):
            local[0] += np.log(x[i]) * x[i - 1]
        return local[0]

    x = np.array([1.0, value, 2.0])
    found = pushed(product, x, 3, ALL_PASSES, strong_zero=True)
    apart = pushed(product, x, 3, ALL_PASSES - {Pass.LANES}, strong_zero=True)
    np.testing.assert_array_equal(found, apart)


@pytest.mark.slow
def test_memory_with_one_shadow_is_given_back_once(everywhere: list[Interleaving]) -> None:
    @nb.njit
    def fails(x):
        local = np.sin(x)
        for i in range(1, x.size):
            other = local * x[i]
            if x[i] > 1.2:
                raise ValueError
            for j in range(x.size):
                local[j] += other[j - 1]
        return local[1]

    _nrt_python.memsys_enable_stats()
    try:
        for last in (0.5, 2.0):
            x = np.array([0.5, 0.6, 0.7, last])
            before = rtsys.get_allocation_stats()
            for _ in range(3):
                if last > 1.0:
                    with pytest.raises(ValueError):  # noqa: PT011 - the function's own
                        pushed(fails, x, 3, ALL_PASSES)
                else:
                    pushed(fails, x, 3, ALL_PASSES)
            after = rtsys.get_allocation_stats()
            assert everywhere[-1].interleaved
            if last < 1.0:  # a Numba function that raises loses its arrays
                assert after.alloc - before.alloc == after.free - before.free
    finally:
        _nrt_python.memsys_disable_stats()


@pytest.mark.slow
def test_derivatives_in_vectors_can_be_differentiated_again(everywhere: list[Interleaving]) -> None:
    whole = cz.hessian(chain, chunk_size=3)(X)
    single = cz.hessian(chain, chunk_size=1)(X)
    np.testing.assert_allclose(whole, single, rtol=1e-12)

    @nb.njit
    def entry(x):
        return cz.jacfwd(chain, chunk_size=3)(x)[1]

    np.testing.assert_allclose(cz.grad(entry)(X), single[1], rtol=1e-12)
