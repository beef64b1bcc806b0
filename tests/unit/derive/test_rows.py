"""Adjoints of stencils gathered over nests of loops: where rows are gathered, and where not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pytest
from numpy.typing import NDArray

import coenzyme as cz
from coenzyme import engine
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.derive import row_text
from coenzyme.derive.rows import RowNest
from coenzyme.frontends.program import ArgumentActivity, Mode
from tests.unit.derive.shapes import agree, gradients, made, plan_of
from tests.unit.frontends.c_code import needs_clang


@pytest.fixture(autouse=True)
def short_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows of any length be gathered: no function here is differentiated anywhere else."""
    monkeypatch.setattr(row_text, "SHORTEST", 1)


def grid(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.1, 1.0, shape)


def nests(f: Callable[..., Any], *args: Any, **options: Any) -> list[RowNest]:
    return list(plan_of(f, *args, **options).rows.values())


@nb.njit
def five_points(A, B):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[i, j] = A[i, j] + 2 * A[i, j - 1] + 3 * A[i, j + 1] + 4 * A[i + 1, j] + 5 * A[i - 1, j]


@nb.njit
def downwards(A, B):
    n, m = A.shape
    for i in range(n - 2, 0, -1):
        for j in range(m - 2, 0, -1):
            B[i, j] = A[i, j] + 2 * A[i, j - 1] + 3 * A[i, j + 1] + 4 * A[i + 1, j] + 5 * A[i - 1, j]


@nb.njit
def far_rows(A, B):
    n, m = A.shape
    for i in range(2, n - 2):
        for j in range(m):
            B[i, j] = A[i - 2, j] + A[i - 1, j] + A[i, j] + A[i + 1, j] * A[i + 2, j]


@nb.njit
def two_results(A, B, C, D):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[i, j] = A[i - 1, j] + A[i + 1, j] + A[i, j + 1] + 2 * A[i, j] + A[i, j - 1] + C[i, j] * 3
            D[i, j] = A[i - 1, j] - A[i + 1, j] + C[i - 1, j] + C[i, j] * C[i, j]


@nb.njit
def with_weights(A, B, w):
    n, m = A.shape
    c = w[0] * w[1]
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[i, j] = c * (A[i - 1, j] + A[i + 1, j] + A[i, j + 1] + 2 * A[i, j] + A[i, j - 1])


@nb.njit
def seven_points(A, B):
    n, m, levels = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            for k in range(1, levels - 1):
                B[i, j, k] = A[i - 1, j, k] + 2 * A[i + 1, j, k] + 3 * A[i, j - 1, k] + 4 * A[i, j + 1, k]
                B[i, j, k] += 5 * A[i, j, k - 1] + 6 * A[i, j, k + 1] + 7 * A[i, j, k]


@nb.njit
def swapped(u, v, steps):
    n, m = u.shape
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                v[i, j] = 0.2 * (u[i, j] + u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u, v = v, u
    total = 0.0
    for i in range(n):
        for j in range(m):
            total += u[i, j] * u[i, j]
    return total


@nb.njit
def planes(W, p, q):
    n, m = W.shape[1], W.shape[2]
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            W[q, i, j] = W[p, i, j] + W[p, i - 1, j] + 2 * W[p, i + 1, j] + W[p, i, j - 1] + W[p, i, j + 1]


@nb.njit
def views(W, back):
    n = W.shape[0] // 2
    u, v = W[:n], W[n - back : 2 * n - back]
    for i in range(1, n - 1):
        for j in range(1, W.shape[1] - 1):
            v[i, j] = u[i, j] + u[i - 1, j] + 2 * u[i + 1, j] + u[i, j - 1] + u[i, j + 1]


@nb.njit
def if_asked(A, B, asked):
    n, m = A.shape
    for i in range(1, n - 1):
        if asked:
            for j in range(1, m - 1):
                B[i, j] = A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]


@nb.njit
def one_row(A, B):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[0, j] = A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]


@nb.njit
def in_place(A):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            A[i, j] = A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]


@nb.njit
def leapfrog(E, H, D, steps):
    n, m = E.shape
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                H[i, j] -= 0.5 * (E[i + 1, j] - E[i - 1, j]) + 0.1 * (E[i, j + 1] - 2 * E[i, j] + E[i, j - 1])
                D[i, j] = H[i, j] * 2 + E[i - 1, j]
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                E[i, j] += 0.5 * (H[i + 1, j] - H[i - 1, j]) + 0.1 * (H[i, j + 1] - 2 * H[i, j] + H[i, j - 1])


@nb.njit
def two_updates(A, B, C):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[i, j] += A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]
            C[i, j] = B[i, j] * 3 + C[i, j] * 2 + A[i - 1, j]


@nb.njit
def updates_that_read_on(A, B):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[i, j] += B[i - 1, j] + A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]


@nb.njit
def squared(A, B):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[i, j] = B[i, j] * B[i, j] + A[i - 1, j] + A[i, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]


@nb.njit
def triangle(A, B):
    for i in range(1, A.shape[0] - 1):
        for j in range(1, i + 1):
            B[i, j] = A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]


@nb.njit
def sometimes(A, B):
    n, m = A.shape
    for i in range(1, n - 1):
        if A[i, 0] > 0.5:
            for j in range(1, m - 1):
                B[i, j] = A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]


@nb.njit
def raising(A, B):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            if A[i, j] < 0:
                raise ValueError
            B[i, j] = A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1]


@nb.njit
def sines(A, B):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[i, j] = np.sin(A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1])


@nb.njit
def row_weights(A, B, w):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            B[i, j] = w[i] * (A[i, j] + A[i - 1, j] + 2 * A[i + 1, j] + A[i, j - 1] + A[i, j + 1])


@nb.njit
def many_reads(A, B):
    n, m = B.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            a, b = A[0, i, j] * A[1, i, j], A[2, i, j] * A[3, i, j]
            B[i, j] = (B[i - 1, 0] + A[4, i - 1, j] * a * b) * (A[4, i + 1, j] + a * b * A[5, i, j])


@nb.njit(error_model="numpy")
def quotients(A, B):
    n, m = A.shape
    for i in range(1, n - 1):
        for j in range(m):
            B[i, j] = A[i - 1, j] / A[0, j] + A[i, j] + A[i + 1, j]


def test_the_rows_of_a_stencil_are_gathered() -> None:
    (nest,) = nests(five_points, grid(6, 7), grid(6, 7))
    assert nest.distances == ((-1,), (0,), (1,))
    (window,) = nest.windows
    assert (window.first, window.last, window.stride) == (-1, 1, 8)
    assert nests(five_points, grid(6, 7), grid(6, 7), passes=ALL_PASSES - {Pass.ROWS}) == []
    assert nests(five_points, grid(6, 7), grid(6, 7), passes=ALL_PASSES - {Pass.GATHER}) == []


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (3, 3), (3, 9), (9, 3), (4, 4), (5, 6), (1, 1), (11, 20)])
def test_borders_of_any_size_get_their_share(shape: tuple[int, int]) -> None:
    agree(five_points, grid(*shape), grid(*shape, seed=1))
    agree(far_rows, grid(*shape), grid(*shape, seed=1))


def test_short_rows_take_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_text, "SHORTEST", 12)

    @nb.njit
    def three_points(A, B):
        n, m = A.shape
        for i in range(1, n - 1):
            for j in range(m):
                B[i, j] = A[i - 1, j] + 2 * A[i, j] + 3 * A[i + 1, j]

    assert re.search(r"icmp uge i64 %\S+, 11\b", made(three_points, grid(6, 7), grid(6, 7)).text)
    for columns in (1, 11, 12, 13, 30):
        agree(three_points, grid(6, columns), grid(6, columns, seed=1))


@pytest.mark.slow
@needs_clang
def test_the_rows_of_a_stencil_in_c_that_counts_with_int_are_gathered() -> None:
    periodic = cz.c.function(
        """
        void periodic(const double *a, double *b, int n, int m) {
            for (int i = 0; i < n; i++) {
                int above = i > 0 ? i - 1 : n - 1, below = i < n - 1 ? i + 1 : 0;
                for (int j = 0; j < m; j++)
                    b[i * m + j] = a[above * m + j] + 2 * a[i * m + j] + 3 * a[below * m + j];
            }
        }
        """,
        "periodic",
    )

    def stencil(A, B):
        periodic(A, B, A.shape[0], A.shape[1])

    assert len(nests(stencil, grid(6, 7), grid(6, 7))) > 0
    agree(stencil, grid(6, 7), grid(6, 7, seed=1))


def test_loops_downwards_are_gathered() -> None:
    assert len(nests(downwards, grid(6, 7), grid(6, 7))) == 1
    agree(downwards, grid(6, 7), grid(6, 7, seed=1))


def test_rows_two_apart_are_gathered() -> None:
    (nest,) = nests(far_rows, grid(8, 7), grid(8, 7))
    assert nest.distances == ((-2,), (-1,), (0,), (1,), (2,))


def test_several_arrays_are_aligned_with_each_other() -> None:
    arrays = [grid(6, 7, seed=n) for n in range(4)]
    (nest,) = nests(two_results, *arrays)
    assert nest.distances == ((-1,), (0,), (1,))
    assert len(nest.stores) == 2
    agree(two_results, *arrays)


def test_what_comes_from_outside_gets_its_adjoint_once() -> None:
    args = grid(6, 7), grid(6, 7, seed=1), grid(2)
    assert len(nests(with_weights, *args)) == 1
    agree(with_weights, *args)
    agree(with_weights, grid(3, 3), grid(3, 3), grid(2))


@pytest.mark.parametrize("shape", [(5, 6, 7), (3, 3, 3), (2, 4, 4), (4, 3, 5)])
def test_nests_of_three_loops_are_gathered_in_both_outer_ones(shape: tuple[int, ...]) -> None:
    (nest,) = nests(seven_points, grid(*shape), grid(*shape))
    assert len(nest.loops) == 3
    assert set(nest.distances) == {(-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)}
    agree(seven_points, grid(*shape), grid(*shape, seed=1))


def test_grids_that_swap_are_gathered_where_they_are_apart() -> None:
    u, v = grid(6, 7), grid(6, 7, seed=1)
    (nest,) = nests(swapped, u, v, 3)
    assert nest.apart
    agree(swapped, u, v, 3)


def both_ways(f: Callable[..., Any], shared: NDArray[Any], *args: Any) -> None:
    """Call derivatives with one array, and one shadow, for both grids."""
    found: list[NDArray[Any]] = []
    for passes in (ALL_PASSES, NO_PASSES):
        derivative = made(f, shared, shared, *args, passes=passes, disjoint=False)
        x, dx = shared.copy(), np.ones_like(shared)
        derivative.dispatcher(x, x, *args, dx, dx, *([1.0] if f is swapped else []))
        found.append(dx)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11)


def test_one_array_for_both_grids_takes_the_plain_way() -> None:
    assert len(nests(swapped, grid(6, 7), grid(6, 7), 3, disjoint=False)) == 1
    both_ways(swapped, grid(6, 7), 3)
    both_ways(five_points, grid(6, 7))


@pytest.mark.parametrize(("p", "q"), [(0, 1), (1, 0), (1, 1)])
def test_planes_of_one_array_are_gathered_where_they_are_apart(p: int, q: int) -> None:
    assert len(nests(planes, grid(2, 6, 7), p, q)) == 1
    agree(planes, grid(2, 6, 7), p, q)


@pytest.mark.parametrize("back", [0, 1, 2, 5])
def test_views_may_overlap_or_not(back: int) -> None:
    agree(views, grid(10, 6), back)


@pytest.mark.parametrize("asked", [True, False])
def test_an_inner_loop_that_does_not_run_adds_nothing(asked: bool) -> None:
    assert len(nests(if_asked, grid(6, 7), grid(6, 7), asked)) == 1
    agree(if_asked, grid(6, 7), grid(6, 7, seed=1), asked)


def test_what_a_nest_updates_keeps_the_cotangents_of_what_was_there() -> None:
    waves = [grid(6, 7, seed=n) for n in range(3)]
    assert [len(nest.updated) for nest in nests(leapfrog, *waves, 3)] == [1, 1]
    agree(leapfrog, *waves, 3)
    agree(leapfrog, *[grid(3, 3, seed=n) for n in range(3)], 2)
    assert [len(nest.updated) for nest in nests(two_updates, *waves)] == [2]
    agree(two_updates, *waves)


@pytest.mark.parametrize("shape", [(6, 7), (3, 7), (4, 3)])
def test_iterations_that_overwrite_each_other_keep_their_order(shape: tuple[int, int]) -> None:
    agree(one_row, grid(*shape), grid(*shape, seed=1))


def test_columns_that_run_into_the_next_row_keep_their_order() -> None:
    # B is narrower than the loops think: what is beyond a row's end is the next row's beginning.
    n, m = 6, 8
    found: list[NDArray[Any]] = []
    for passes in (ALL_PASSES, NO_PASSES):
        derivative = made(five_points, grid(n, m), grid(n, m - 3), passes=passes)
        B, dB = grid(n + 2, m - 3), grid(n + 2, m - 3, seed=2)
        A, dA = grid(n, m), np.zeros((n, m))
        derivative.dispatcher(A, B[:n], dA, dB[:n])
        found += [dA, dB]
    np.testing.assert_allclose(found[0], found[2], rtol=1e-11)
    np.testing.assert_allclose(found[1], found[3], rtol=1e-11)


@pytest.mark.parametrize(
    ("f", "others"),
    [
        (in_place, 0),
        (triangle, 1),
        (sometimes, 1),
        (raising, 1),
        (sines, 1),
        (row_weights, 2),
        (updates_that_read_on, 1),
        (squared, 1),
    ],
)
def test_other_nests_are_left_alone(f: Callable[..., Any], others: int) -> None:
    arrays = [grid(6, 7), grid(6, 7, seed=1), grid(6)][: 1 + others]
    assert nests(f, *arrays) == []
    agree(f, *arrays)


def test_what_would_be_read_again_too_often_is_not_gathered() -> None:
    assert nests(many_reads, grid(6, 5, 7), grid(5, 7)) == []


@pytest.mark.slow
@pytest.mark.parametrize("cut", [np.s_[::-1], np.s_[:, ::2], np.s_[:, ::-1], np.s_[::2, 1:]])
def test_views_with_other_strides(cut: Any) -> None:
    whole = grid(12, 14)
    A, B = whole[cut], whole.copy()[cut]
    agree(five_points, A, grid(*A.shape, seed=1))
    agree(five_points, grid(*B.shape), B)


def test_infinite_slopes_reach_no_other_row() -> None:
    A, B = grid(7, 5), grid(7, 5, seed=1)
    A[0, 2] = 0.0
    A[3, 1] = np.inf
    with np.errstate(all="ignore"):
        quick, plain = gradients(quotients, A, B), gradients(quotients, A, B, passes=NO_PASSES)
    for a, b in zip(quick, plain, strict=True):
        assert not np.isfinite(plain[0]).all()
        np.testing.assert_allclose(a, b, rtol=1e-11)


@pytest.mark.slow
def test_single_precision_is_gathered() -> None:
    A, B = grid(6, 7).astype(np.float32), grid(6, 7, seed=1).astype(np.float32)
    (nest,) = nests(five_points, A, B)
    assert nest.windows[0].stride == 4
    for a, b in zip(
        gradients(five_points, A, B), gradients(five_points, A, B, passes=NO_PASSES), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@nb.njit
def energy(A):
    B = np.zeros(A.shape)
    five_points(A, B)
    return (B * B * B).sum()


@pytest.mark.slow
def test_gradients_agree_with_finite_differences() -> None:
    cz.testing.check_derivatives(energy, grid(5, 6))


def test_what_would_take_too_many_copies_is_not_gathered() -> None:
    array = nb.types.Array(nb.float64, 2, "C")
    pair = (ArgumentActivity.DUPLICATED,) * 2
    found: list[int] = []
    for width in (1, 40):
        options = engine.Options(width=width)
        derivative = engine.derivative(five_points, (array, array), pair, Mode.REVERSE, False, options)
        assert derivative.plan is not None
        found.append(len(derivative.plan.rows))
    assert found == [1, 0]


@pytest.mark.slow
def test_second_derivatives_go_through_gathered_nests() -> None:
    A = grid(4, 5)
    with cz.debug.tape_everything():
        plain = cz.hessian(energy)(A)
    np.testing.assert_allclose(cz.hessian(energy)(A), plain, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
def test_several_directions_are_gathered_at_once() -> None:
    def stencil(x: Any) -> Any:
        y = np.zeros_like(x)
        five_points(x, y)
        return y

    A = grid(5, 6)
    with cz.debug.tape_everything():
        plain = cz.jacobian(stencil, mode="reverse", chunk_size=3)(A)
    np.testing.assert_allclose(cz.jacobian(stencil, mode="reverse", chunk_size=3)(A), plain, rtol=1e-12)
