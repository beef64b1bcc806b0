"""A sweep of several directions gives what as many sweeps of one direction give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError, UnsupportedIRError
from coenzyme.testing import Arguments

WIDTH = 3


def swapped_buffers(x, y):
    u, v = x.copy(), np.zeros_like(x)
    for _ in range(4):
        for i in range(1, u.size):
            v[i] = np.sin(u[i - 1]) * u[i]
        u, v = v, u
    y[:] = u * x
    return u.sum()


@nb.njit
def _power(x, n, scale):
    if n == 0:
        return scale
    return x * _power(x, n - 1, scale)


def recursive_power(x, scale):
    return _power(x, 3, scale) * np.sin(x)


@nb.njit
def _fold(x, y, first):
    if first < x.size:
        y[first] = x[first] * x[first]
        _fold(x, y, first + 1)
        y[first] *= y[min(first + 1, x.size - 1)]


def recursive_writes(x, y):
    _fold(x, y, 0)


def products(a, b):
    c = a @ b
    return (np.dot(a.T, c) * b).sum()


def growing_list(x):
    kept = [x[0]]
    for i in range(1, x.size):
        kept.append(kept[i - 1] * x[i])
    return kept[-1] + kept[1]


def temporaries(x):
    total = 0.0
    for i in range(3):
        scaled = x * (i + 1.0)
        total += (scaled * scaled * x).sum()
    return total


def complex_norm(z, w):
    return (z * w * np.conj(z)).real.sum()


def single_precision(x, s):
    return (np.exp(x) * s).sum()


def _square(x):
    return x * x


X = np.array([0.3, -0.7, 1.1, 0.5])
Z = np.array([0.3 + 1j, -0.7 - 0.2j, 1.1 + 0.4j])
CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (swapped_buffers, (X, np.ones(4))),
    (recursive_power, (1.3, 0.7)),
    (recursive_writes, (X, np.zeros(4))),
    (products, (np.arange(6.0).reshape(3, 2), np.array([0.5, -2.0]))),
    (growing_list, (X,)),
    (temporaries, (X,)),
    (complex_norm, (Z, 0.5 - 2j)),
    (single_precision, (X.astype(np.float32), np.float32(0.5))),
]


def _name(case: Any) -> str:
    return getattr(case, "__name__", "")


def _shadows(arguments: Arguments, seed: int) -> list[tuple[Any, ...]]:
    """Return random shadows of the arguments for each direction."""
    rng = np.random.default_rng(seed)
    return [tuple(arguments.shadows(rng.uniform(-1, 1, arguments.point.size))) for _ in range(WIDTH)]


def _annotate(x: Any, shadows: Any, *, reverse: bool, batch: bool) -> Any:
    if reverse and not isinstance(x, np.ndarray):
        return cz.Active(x)
    return cz.BatchDuplicated(x, shadows) if batch else cz.Duplicated(x, shadows)


def _single(mode: Any, f: Any, arguments: Arguments, shadows: tuple[Any, ...]) -> Any:
    args = arguments.build(arguments.point)
    reverse = mode is cz.ReverseWithPrimal
    annotated = [_annotate(x, dx, reverse=reverse, batch=False) for x, dx in zip(args, shadows, strict=True)]
    derivative, value = cz.autodiff(mode, f, *annotated)
    return derivative, value, arguments.read(args)


def _batch(mode: Any, f: Any, arguments: Arguments, lanes: list[tuple[Any, ...]]) -> Any:
    args = arguments.build(arguments.point)
    reverse = mode is cz.ReverseWithPrimal
    annotated = [
        _annotate(x, dx, reverse=reverse, batch=True)
        for x, dx in zip(args, zip(*lanes, strict=True), strict=True)
    ]
    derivative, value = cz.autodiff(mode.replace(width=WIDTH), f, *annotated)
    return derivative, value, arguments.read(args)


def _assert_equal(got: Any, expected: Any) -> None:
    if expected is None:
        assert got is None
        return
    precision = 1e-5 if np.asarray(expected).dtype in (np.float32, np.complex64) else 1e-13
    np.testing.assert_allclose(got, expected, rtol=precision, atol=precision)


@pytest.mark.parametrize(("f", "args"), CASES, ids=_name)
def test_forward_batch_gives_the_tangents_of_single_directions(f: Any, args: tuple[Any, ...]) -> None:
    arguments = Arguments(args)
    batch_lanes, single_lanes = _shadows(arguments, 1), _shadows(arguments, 1)
    tangents, value, memory = _batch(cz.ForwardWithPrimal, f, arguments, batch_lanes)
    for k, shadows in enumerate(single_lanes):
        tangent, single_value, single_memory = _single(cz.ForwardWithPrimal, f, arguments, shadows)
        _assert_equal(None if tangents is None else tangents[k], tangent)
        _assert_equal(value, single_value)
        _assert_equal(memory, single_memory)
        _assert_equal(arguments.read(batch_lanes[k]), arguments.read(shadows))


@pytest.mark.parametrize(("f", "args"), CASES, ids=_name)
def test_reverse_batch_gives_the_gradients_of_single_directions(f: Any, args: tuple[Any, ...]) -> None:
    arguments = Arguments(args)
    batch_lanes, single_lanes = _shadows(arguments, 2), _shadows(arguments, 2)
    derivatives, value, memory = _batch(cz.ReverseWithPrimal, f, arguments, batch_lanes)
    for k, shadows in enumerate(single_lanes):
        derivative, single_value, single_memory = _single(cz.ReverseWithPrimal, f, arguments, shadows)
        for i, expected in enumerate(derivative):
            _assert_equal(None if derivatives[i] is None else derivatives[i][k], expected)
        _assert_equal(value, single_value)
        _assert_equal(memory, single_memory)
        _assert_equal(arguments.read(batch_lanes[k]), arguments.read(shadows))


def test_split_batch_gives_each_direction_its_shadow_of_the_result() -> None:
    def scaled(x: Any, s: Any) -> Any:
        return x * x * s, s * s

    classes = (cz.BatchDuplicated, cz.BatchDuplicated, cz.Active)
    forward, reverse = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, scaled, *classes)
    shadows = tuple(np.zeros(4) for _ in range(WIDTH))
    given = (cz.BatchDuplicated(X, shadows), cz.Active(2.0))
    tape, value, of_result = forward(*given)
    np.testing.assert_allclose(value[0], 2 * X * X)
    assert len(of_result) == WIDTH
    rng = np.random.default_rng(3)
    seeds = rng.uniform(-1, 1, (WIDTH, 4))
    cotangents = tuple((seed, float(k)) for k, seed in enumerate(seeds))
    derivatives = reverse(*given, cotangents, tape)
    for k, seed in enumerate(seeds):
        np.testing.assert_allclose(shadows[k], 4 * X * seed)
        np.testing.assert_allclose(derivatives[1][k], (X * X) @ seed + 4.0 * k)


def test_split_batch_of_a_number_takes_a_tuple_of_cotangents() -> None:
    classes = (cz.Active, cz.BatchDuplicated)
    forward, reverse = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, lambda x: (x * x).sum(), *classes)
    shadows = (np.zeros(4), np.zeros(4))
    given = cz.BatchDuplicated(X, shadows)
    tape, _, of_result = forward(given)
    assert of_result is None
    with pytest.raises(ShadowError, match="a tuple of 2 cotangents"):
        reverse(given, 1.0, tape)
    assert reverse(given, (1.0, 10.0), tape) == (None,)
    np.testing.assert_allclose(shadows, [2 * X, 20 * X])


def test_a_batch_inside_compiled_code_can_be_differentiated_again() -> None:
    @nb.njit
    def cube(x):
        return (x**3).sum()

    @nb.njit
    def second(x):
        dx, dy = np.zeros_like(x), np.zeros_like(x)
        cz.autodiff(cz.Reverse, cube, cz.BatchDuplicated(x, (dx, dy)))
        return dx.sum() + 2.0 * dy[0]

    np.testing.assert_allclose(second(X), 3 * (X @ X) + 6 * X[0] ** 2)
    np.testing.assert_allclose(cz.grad(second)(X), 6 * X + np.array([12 * X[0], 0, 0, 0]))


def test_a_batch_of_one_direction_returns_tuples_of_one() -> None:
    assert cz.autodiff(cz.Forward, lambda x: x * x, cz.BatchDuplicated(3.0, (1.0,))) == (6.0,)
    dx = np.zeros(4)
    assert cz.autodiff(cz.Reverse, lambda x: (x * x).sum(), cz.BatchDuplicated(X, (dx,))) == (None,)
    np.testing.assert_allclose(dx, 2 * X)


def test_mixed_duplicated_returns_numbers_and_shadows() -> None:
    def line(p):
        slope, x = p
        return slope * x.sum()

    dx = np.zeros(4)
    ((slope, shadow),) = cz.autodiff(cz.Reverse, line, cz.MixedDuplicated((3.0, X), (7.0, dx)))
    assert slope == X.sum()
    assert shadow is not None
    np.testing.assert_allclose(dx, 3.0)
    np.testing.assert_allclose(shadow, 3.0)
    tangent = cz.autodiff(cz.Forward, line, cz.MixedDuplicated((3.0, X), (1.0, np.ones(4))))
    np.testing.assert_allclose(tangent, X.sum() + 12.0)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("chunk_size", [1, 3, 5, None])
def test_jacobians_do_not_depend_on_the_chunk_size(mode: Any, chunk_size: int | None) -> None:
    def f(x):
        return np.sin(x[:-1]) * x[1:]

    x = np.linspace(-1.0, 1.0, 7)
    expected = np.zeros((6, 7))
    for i in range(6):
        expected[i, i], expected[i, i + 1] = np.cos(x[i]) * x[i + 1], np.sin(x[i])
    found = cz.jacobian(f, mode=mode, chunk_size=chunk_size)(x)
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_hessians_do_not_depend_on_the_chunk_size() -> None:
    def f(x):
        return (x[:-1] ** 3 * x[1:]).sum()

    np.testing.assert_allclose(
        cz.hessian(f, chunk_size=3)(X), cz.hessian(f, chunk_size=1)(X), rtol=1e-14, atol=1e-14
    )


def test_a_sweep_of_several_directions_runs_the_function_once() -> None:
    def counting(x, calls):
        calls[0] += 1
        x[:] = np.exp(x)
        return x.sum()

    calls, x = np.zeros(1, np.int64), X.copy()
    annotated = cz.BatchDuplicated(x, tuple(np.eye(4)))
    tangents = cz.autodiff(cz.Forward, counting, annotated, cz.Const(calls))
    assert calls[0] == 1
    np.testing.assert_allclose(x, np.exp(X))
    np.testing.assert_allclose(tangents, np.exp(X))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (
            ActivityError,
            "2 shadows in a batch of 3",
            lambda: cz.autodiff(cz.Forward.replace(width=3), _square, cz.BatchDuplicated(1.0, (1.0, 2.0))),
        ),
        (
            ActivityError,
            "one shadow in a batch of 2",
            lambda: cz.autodiff(
                cz.Forward,
                lambda x, y: x * y,
                cz.BatchDuplicated(1.0, (1.0, 2.0)),
                cz.Duplicated(1.0, 1.0),
            ),
        ),
        (
            ShadowError,
            "two directions share memory",
            lambda: cz.autodiff(cz.Reverse, _square, cz.BatchDuplicated(X, (np.ones(4),) * 2)),
        ),
        (
            ShadowError,
            "are a ndarray",
            lambda: cz.autodiff(cz.Reverse, _square, cz.BatchDuplicated(X, np.ones((2, 4)))),
        ),
        (ActivityError, "width of a mode is 0", lambda: cz.Forward.replace(width=0)),
        (ActivityError, "width of a mode is True", lambda: cz.Forward.replace(width=True)),
    ],
)
def test_batches_that_do_not_fit_are_refused(error: type[Exception], message: str, call: Any) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_split_batch_of_a_function_that_may_return_none_is_refused() -> None:
    @nb.njit
    def maybe(x):
        return x * x if x[0] > 0.0 else None

    classes = (cz.BatchDuplicated, cz.BatchDuplicated)
    forward, _ = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, maybe, *classes)
    with pytest.raises(UnsupportedIRError, match="the sweep is a batch"):
        forward(cz.BatchDuplicated(X, (np.zeros(4), np.zeros(4))))


@pytest.mark.slow
def test_rules_of_matrix_functions_serve_every_direction() -> None:
    def solution(a, b):
        return np.linalg.solve(a, b) @ b

    rng = np.random.default_rng(5)
    arguments = Arguments((rng.uniform(-1, 1, (3, 3)) + 3 * np.eye(3), rng.uniform(-1, 1, 3)))
    for mode in (cz.ForwardWithPrimal, cz.ReverseWithPrimal):
        batch_lanes, single_lanes = _shadows(arguments, 6), _shadows(arguments, 6)
        derivatives, value, _ = _batch(mode, solution, arguments, batch_lanes)
        for k, shadows in enumerate(single_lanes):
            derivative, single_value, _ = _single(mode, solution, arguments, shadows)
            if mode is cz.ForwardWithPrimal:
                _assert_equal(derivatives[k], derivative)
            _assert_equal(value, single_value)
            _assert_equal(arguments.read(batch_lanes[k]), arguments.read(shadows))
