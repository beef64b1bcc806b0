"""Loops with snapshots: the derivatives of the plain loops, in bounded memory."""

from __future__ import annotations

from functools import cache

import numba as nb
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import coenzyme as cz
from coenzyme.api.revolve import advances, binomial, default_snapshots, steps_before_snapshot
from coenzyme.errors import ActivityError, UnsupportedIRError

# --- the schedule


@cache
def least_advances(n, s):
    """Return the least number of steps run forward to go back over `n` steps with `s` snapshots."""
    if n <= 1:
        return 0
    if s == 0:
        return 10**9
    return min(m + least_advances(n - m, s - 1) + least_advances(m, s) for m in range(1, n))


@cache
def taken_advances(n, s):
    if n <= 1:
        return 0
    m = steps_before_snapshot(n, s)
    assert 1 <= m < n
    return m + taken_advances(n - m, s - 1) + taken_advances(m, s)


def test_the_schedule_runs_as_few_steps_as_any():
    for n in range(1, 41):
        for s in range(1, 9):
            assert taken_advances(n, s) == advances(n, s) == least_advances(n, s), (n, s)


def test_the_oracle_of_the_schedule_tells_a_worse_one():
    halves = lambda n, s: 0 if n <= 1 else n // 2 + halves(n - n // 2, s - 1) + halves(n // 2, s)  # noqa: E731
    assert halves(32, 8) > least_advances(32, 8)


def test_the_default_is_the_least_number_with_which_no_step_is_run_more_than_three_times():
    for n in (1, 2, 10, 1000, 10**6):
        s = default_snapshots(n)
        assert binomial(s, 3) >= n
        assert s == 1 or binomial(s - 1, 3) < n


# --- loops and their derivatives


@nb.njit
def sweep(u, p):
    """Overwrite `u` with what depends on new and old neighbours."""
    for i in range(1, u.size - 1):
        u[i] += p[0] * np.sin(u[i - 1]) * u[i + 1] + p[1]


def plain_loss(u, p, n):
    v = u.copy()
    for _ in range(n):
        sweep(v, p)
    return np.sum(v * v)


def loss(u, p, n, s):
    v = u.copy()
    cz.checkpoint(sweep, v, n, p, snapshots=s)
    return np.sum(v * v)


U, P = np.linspace(0.1, 1.0, 8), np.array([0.01, 0.02])


def test_derivatives_are_those_of_the_plain_loop_to_the_last_bit():
    for n in (-1, 0, 1, 2, 3, 33):
        wanted = cz.grad(plain_loss, argnums=(0, 1))(U, P, n)
        for s in (1, 2, 3, 5, 100):
            found = cz.grad(loss, argnums=(0, 1))(U, P, n, s)
            assert all(np.array_equal(x, y) for x, y in zip(found, wanted, strict=True)), (n, s)


@pytest.mark.slow
def test_the_value_is_that_of_the_plain_loop():
    wanted = nb.njit(plain_loss)(U, P, 10)
    assert nb.njit(loss)(U, P, 10, 3) == cz.value_and_grad(loss)(U, P, 10, 3)[0] == wanted
    assert loss(U, P, 10, 3) == plain_loss(U, P, 10)


@pytest.mark.slow
def test_forward_mode_follows_the_loop():
    du, dp = np.cos(U), np.array([0.3, -0.2])
    wanted = cz.jvp(plain_loss, (U, P, 9), (du, dp, None))
    np.testing.assert_allclose(cz.jvp(loss, (U, P, 9, 2), (du, dp, None, None)), wanted, rtol=1e-14)


counted: list[int] = []


def note() -> None:
    counted.append(1)


@nb.njit
def counting(u):
    with nb.objmode():
        note()
    for i in range(u.size):
        u[i] = np.sin(u[i])


def counting_loss(u, n, s):
    v = u.copy()
    cz.checkpoint(counting, v, n, snapshots=s)
    return np.sum(v)


def test_as_many_steps_are_run_as_the_formula_says():
    for n, s in ((1, 1), (10, 1), (10, 3), (11, 3), (30, 4), (30, 50)):
        counted.clear()
        cz.grad(counting_loss)(U, n, s)
        # The last step gives the value; each step is run once more by its own derivative.
        assert len(counted) == advances(n, s) + 1 + n, (n, s)


@nb.njit
def rk2(state, i, dt, mass):
    (x, v), t = state
    a = -np.sin(x) * mass
    half = x + 0.5 * dt * v
    return (x + dt * (v + 0.5 * dt * a), v - dt * np.sin(half) * mass + 1e-3 * i), t + dt


def pendulum(x, dt, mass, s):
    (x, v), t = cz.checkpoint(rk2, ((x, x * x), 0.0), 12, dt, mass, snapshots=s, index=True)
    return np.sum(x * v) * t


def plain_pendulum(x, dt, mass):
    state = ((x, x * x), 0.0)
    for i in range(12):
        state = rk2(state, i, dt, mass)
    (x, v), t = state
    return np.sum(x * v) * t


@pytest.mark.slow
def test_steps_may_return_the_next_state_and_take_numbers_and_their_own():
    wanted = cz.grad(plain_pendulum, argnums=(0, 1, 2))(U, 0.01, 1.5)
    found = cz.grad(pendulum, argnums=(0, 1, 2))(U, 0.01, 1.5, 3)
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-13)
    assert pendulum(U, 0.01, 1.5, 3) == plain_pendulum(U, 0.01, 1.5)


@nb.njit
def mixed(state, table, more, f):
    u, count, z = state
    for i in range(u.shape[0]):
        count[i] += 1
        for j in range(u.shape[1]):
            u[i, j] += table[count[i] % table.size] * f(u[i, j]) * more[0] + more[1][0].real
        z[i] *= 1.0 + 0.1j * u[i, 0]


@nb.njit
def cube(x):
    return x * x * x


def mixed_state(u):
    return (np.asfortranarray(u)[::2], np.arange(u.shape[0])[::2].copy(), u[::2, 0] + 0.5j)


def mixed_loss(u, table, factor, n, s):
    w, count, z = mixed_state(u)
    cz.checkpoint(mixed, (w, count, z), n, table, (factor, (0.1j + factor,)), cube, snapshots=s)
    return np.sum(w) + np.sum(z).imag * np.sum(count)


def plain_mixed_loss(u, table, factor, n):
    state = mixed_state(u)
    for _ in range(n):
        mixed(state, table, (factor, (0.1j + factor,)), cube)
    w, count, z = state
    return np.sum(w) + np.sum(z).imag * np.sum(count)


mixed_state = nb.njit(mixed_state)


@pytest.mark.slow
def test_states_hold_strided_complex_and_integer_arrays():
    u, table = np.linspace(0.1, 0.5, 12).reshape(4, 3), np.array([0.1, 0.2, 0.3])
    wanted = cz.grad(plain_mixed_loss, argnums=(0, 1, 2))(u, table, 0.2, 7)
    found = cz.grad(mixed_loss, argnums=(0, 1, 2))(u, table, 0.2, 7, 2)
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-13)


def overwritten_parameters(u, p, s):
    v, q = u.copy(), p.copy()
    for k in range(3):
        cz.checkpoint(sweep, v, 5, q, snapshots=s)
        q[0] *= 0.5 + v[1] * k
    return np.sum(v * v)


def plain_overwritten_parameters(u, p):
    v, q = u.copy(), p.copy()
    for k in range(3):
        for _ in range(5):
            sweep(v, q)
        q[0] *= 0.5 + v[1] * k
    return np.sum(v * v)


@pytest.mark.slow
def test_parameters_may_change_after_the_loop():
    wanted = cz.grad(plain_overwritten_parameters, argnums=(0, 1))(U, P)
    found = cz.grad(overwritten_parameters, argnums=(0, 1))(U, P, 2)
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-14)


def two_views(u, p, s):
    v = u.copy()
    cz.checkpoint(two_tables, v, 6, p[:3], p[1:], snapshots=s)
    return np.sum(v)


@nb.njit
def two_tables(u, p, q):
    for i in range(u.size):
        u[i] = np.sin(u[i]) * p[i % p.size] + q[i % q.size] * u[i]


def plain_two_views(u, p):
    v = u.copy()
    for _ in range(6):
        two_tables(v, p[:3], p[1:])
    return np.sum(v)


@pytest.mark.slow
def test_parameters_may_share_memory():
    p = np.array([0.3, 0.4, 0.5, 0.6])
    wanted = cz.grad(plain_two_views, argnums=1)(U, p)
    np.testing.assert_allclose(cz.grad(two_views, argnums=1)(U, p, 3), wanted, rtol=1e-14)


@nb.njit
def outer_step(u, p):
    cz.checkpoint(sweep, u, 4, p, snapshots=2)
    u[0] *= 1.1


def nested(u, p):
    v = u.copy()
    cz.checkpoint(outer_step, v, 5, p, snapshots=2)
    return np.sum(v * v)


def plain_nested(u, p):
    v = u.copy()
    for _ in range(5):
        for _ in range(4):
            sweep(v, p)
        v[0] *= 1.1
    return np.sum(v * v)


@pytest.mark.slow
def test_loops_with_snapshots_nest():
    wanted = cz.grad(plain_nested, argnums=(0, 1))(U, P)
    for x, y in zip(cz.grad(nested, argnums=(0, 1))(U, P), wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-14)


@pytest.mark.slow
def test_second_derivatives_go_through_the_reverse_sweep():
    v = np.cos(U)
    wanted = cz.hvp(plain_loss, U, v, P, 6)
    np.testing.assert_allclose(cz.hvp(loss, U, v, P, 6, 2), wanted, rtol=1e-12)


def final(u, p, s):
    v = u.copy()
    cz.checkpoint(sweep, v, 6, p, snapshots=s)
    return v


def plain_final(u, p):
    v = u.copy()
    for _ in range(6):
        sweep(v, p)
    return v


@pytest.mark.slow
def test_jacobians_and_pullbacks_go_through_the_loop():
    wanted = cz.jacobian(plain_final)(U, P)
    np.testing.assert_allclose(cz.jacrev(final)(U, P, 2), wanted, rtol=1e-14)
    np.testing.assert_allclose(cz.jacfwd(final)(U, P, 2), wanted, rtol=1e-14)
    _, pullback = cz.vjp(final, U, P, 2)
    np.testing.assert_allclose(pullback(np.ones(U.size))[0], wanted.sum(axis=0), rtol=1e-13)


@nb.njit
def recursive(u, k):
    if k > 0:
        for i in range(u.size):
            u[i] = np.sin(u[i]) * u[i - 1]
        recursive(u, k - 1)


@nb.njit
def recursive_loss(u):
    v = u.copy()
    cz.checkpoint(recursive, v, 3, 2, snapshots=2)
    return np.sum(v * v)


@nb.njit
def plain_recursive_loss(u):
    v = u.copy()
    for _ in range(3):
        recursive(v, 2)
    return np.sum(v * v)


@pytest.mark.slow
def test_steps_may_be_recursive():
    wanted = cz.grad(plain_recursive_loss)(U)
    np.testing.assert_allclose(cz.grad(recursive_loss)(U), wanted, rtol=1e-14, atol=1e-300)


squared_norm = cz.grad(loss)
plain_squared_norm = cz.grad(plain_loss)


@pytest.mark.slow
def test_gradients_of_gradients_go_through_the_reverse_sweep():
    def outer(u, p):
        return np.sum(np.sin(squared_norm(u, p, 5, 2)))

    def plain_outer(u, p):
        return np.sum(np.sin(plain_squared_norm(u, p, 5)))

    np.testing.assert_allclose(cz.grad(outer)(U, P), cz.grad(plain_outer)(U, P), rtol=1e-12)


# --- errors


@nb.njit
def failing(u, limit):
    for i in range(u.size):
        u[i] *= 1.5
    if u[0] > limit[0]:
        raise ValueError("too large")


def failing_loss(u, limit, n):
    v = u.copy()
    cz.checkpoint(failing, v, n, limit, snapshots=2)
    return np.sum(v)


def outstanding():
    stats = rtsys.get_allocation_stats()
    return stats.alloc - stats.free


@pytest.fixture
def _counted_allocations():
    """Let Numba's run time count allocations."""
    enabled = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    yield
    if not enabled:
        _nrt_python.memsys_disable_stats()


@pytest.mark.usefixtures("_counted_allocations")
def test_errors_of_steps_surface_and_leave_nothing_of_the_loop_behind():
    gradient = cz.grad(failing_loss)
    gradient(np.ones(4), np.array([1e9]), 5)
    before = outstanding()
    with pytest.raises(ValueError, match="too large"):
        failing_as_plain(np.ones(4), np.array([4.0]), 5)
    abandoned = outstanding() - before  # by Numba, in the frame of whoever calls what raises
    for limit, n in ((1.2, 5), (4.0, 5), (6.0, 5)):
        before = outstanding()
        with pytest.raises(ValueError, match="too large"):
            gradient(np.ones(4), np.array([limit]), n)
        assert outstanding() - before == abandoned


@nb.njit
def failing_as_plain(u, limit, n):
    v = u.copy()
    for _ in range(n):
        failing(v, limit)
    return np.sum(v)


@pytest.mark.usefixtures("_counted_allocations")
def test_nothing_is_left_behind_by_a_sweep():
    gradient = cz.grad(loss, argnums=(0, 1))
    gradient(U, P, 20, 3)
    before = outstanding()
    for _ in range(5):
        gradient(U, P, 20, 3)
    assert outstanding() == before


@nb.njit
def scribbling(u, scratch):
    for i in range(u.size):
        scratch[i] = np.sin(u[i])
    for i in range(u.size):
        u[i] = scratch[u.size - 1 - i]


def scribbling_loss(u):
    v = u.copy()
    cz.checkpoint(scribbling, v, 3, np.zeros(u.size))
    return np.sum(v)


def test_steps_that_write_into_other_arguments_are_refused():
    with pytest.raises(ActivityError, match=r"not part of the state[\s\S]*scratch"):
        cz.grad(scribbling_loss)(U)


@nb.njit
def noisy(u):
    for i in range(u.size):
        u[i] += 0.1 * np.random.normal()  # noqa: NPY002 - what Numba knows


def noisy_loss(u):
    v = u.copy()
    cz.checkpoint(noisy, v, 3)
    return np.sum(v * v)


def test_steps_that_draw_random_numbers_are_refused():
    with pytest.raises(ActivityError, match="random numbers"):
        cz.grad(noisy_loss)(U)


def shared_loss(u):
    v = u.copy()
    cz.checkpoint(sweep, v, 3, v[:2])
    return np.sum(v * v)


@pytest.mark.slow
def test_states_that_share_memory_with_parameters_are_refused():
    with pytest.raises(ActivityError, match="shares memory"):
        cz.grad(shared_loss)(U)


@nb.njit
def listed(u, items):
    u[0] += items[0]


def listed_loss(u):
    v = u.copy()
    cz.checkpoint(listed, v, 3, [1.0, 2.0])
    return np.sum(v * v)


def test_lists_are_refused():
    with pytest.raises(UnsupportedIRError, match="list"):
        cz.grad(listed_loss)(U)


@nb.njit
def growing(u):
    return np.concatenate((u, u))


def growing_loss(u):
    return np.sum(cz.checkpoint(growing, u, 3, snapshots=2))


@pytest.mark.slow
def test_states_that_change_their_shape_are_refused():
    with pytest.raises(ValueError, match="another shape"):
        cz.grad(growing_loss)(U)


def test_fewer_than_one_snapshot_is_refused():
    with pytest.raises(ValueError, match="less than 1"):
        cz.checkpoint(sweep, U.copy(), 3, P, snapshots=0)
    with pytest.raises(ValueError, match="less than 1"):
        cz.grad(loss)(U, P, 3, 0)


def test_plain_functions_are_run_from_python():
    assert cz.checkpoint(lambda x, a: x * a, 1.0, 10, 2.0) == 1024.0
    assert cz.checkpoint(lambda x, i: x + i, 0, 5, index=True) == 10
    u = U.copy()
    assert cz.checkpoint(sweep, u, 2, P) is None
    v = U.copy()
    sweep(v, P)
    sweep(v, P)
    assert np.array_equal(u, v)
