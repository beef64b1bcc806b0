"""A limit on the memory of tapes: what is beyond it is refused, and nothing stays behind."""

from __future__ import annotations

import pickle

import numba as nb
import numpy as np
import pytest
from numba import float64
from numba.core.runtime import _nrt_python, rtsys

import coenzyme as cz
from coenzyme import engine
from coenzyme.errors import ActivityError, CoenzymeError, MemoryLimitError
from coenzyme.frontends.program import ArgumentActivity, Mode

X = np.linspace(0.5, 1.0, 10_000)


def counted(x):
    s = 1.0
    for i in range(x.size):
        s = np.sin(s) * x[i]
    return s


def uncounted(x):
    s = x[0]
    while s < 100.0:
        s = s * 1.0001 + np.sin(s) * 1e-6
    return s


def with_temporaries(x):
    u = x
    for _ in range(20):
        u = np.sin(u) * u
    return np.sum(u)


@nb.njit
def nested(x, k):
    if k == 0:
        return np.sin(x)
    return nested(np.sin(x) * x, k - 1) * x


def recursive(x):
    return nested(x[0], 300)


def test_a_tape_of_known_size_is_refused_before_anything_of_it_is_allocated():
    gradient = cz.grad(counted, memory_limit=50_000)
    with pytest.raises(
        MemoryLimitError, match=r"asks for \d+ bytes, and the limit is 50000[\s\S]*checkpoint"
    ) as info:
        gradient(X)
    assert X.size * 8 <= info.value.asked <= X.size * 24
    assert info.value.limit == 50_000
    assert info.value.function == "counted"
    assert isinstance(info.value, CoenzymeError)
    assert isinstance(info.value, MemoryError)
    small = X[:1000]
    assert np.array_equal(gradient(small), cz.grad(counted)(small))


def test_tapes_that_grow_are_refused_when_they_pass_the_limit():
    gradient = cz.grad(uncounted, memory_limit=100_000)
    with pytest.raises(MemoryLimitError) as info:
        gradient(X)
    assert 100_000 < info.value.asked < 101_000
    assert np.array_equal(cz.grad(uncounted, memory_limit=10**7)(X), cz.grad(uncounted)(X))


@pytest.fixture
def _counted_allocations():
    """Let Numba's run time count allocations."""
    enabled = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    yield
    if not enabled:
        _nrt_python.memsys_disable_stats()


def outstanding():
    stats = rtsys.get_allocation_stats()
    return stats.alloc - stats.free


@pytest.mark.usefixtures("_counted_allocations")
def test_blocks_that_are_kept_count_and_are_given_back():
    gradient = cz.grad(with_temporaries, memory_limit=10 * X.nbytes)
    lost = []
    for _ in range(3):
        before = outstanding()
        with pytest.raises(MemoryLimitError):
            gradient(X)
        lost.append(outstanding() - before)
    # What the function itself holds when it is left in the middle, its array and what it makes of it.
    assert max(lost) <= 2
    few = X[:50]
    assert np.array_equal(gradient(few), cz.grad(with_temporaries)(few))
    before = outstanding()
    gradient(few)
    assert outstanding() == before


@pytest.mark.slow
def test_functions_kept_out_of_line_count():
    with pytest.raises(MemoryLimitError):
        cz.grad(recursive, memory_limit=5_000)(X)
    assert np.array_equal(cz.grad(recursive, memory_limit=10**6)(X), cz.grad(recursive)(X))


@pytest.mark.slow
def test_tapes_that_wait_share_the_limit():
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitWithPrimal.replace(memory_limit=400_000), counted, cz.Active, cz.Duplicated
    )
    dx = np.zeros_like(X)
    waiting = []
    with pytest.raises(MemoryLimitError):
        waiting.extend(forward(cz.Duplicated(X, dx)) for _ in range(10))
    for tape, _, _ in waiting:
        reverse(cz.Duplicated(X, dx), 1.0, tape)
    waiting.clear()
    forward(cz.Duplicated(X, dx))


@pytest.mark.slow
def test_autodiff_vjp_and_compiled_code_take_a_limit():
    mode = cz.Reverse.replace(memory_limit=100)
    with pytest.raises(MemoryLimitError):
        cz.autodiff(mode, counted, cz.Active, cz.Duplicated(X, np.zeros_like(X)))
    with pytest.raises(MemoryLimitError):
        cz.vjp(counted, X, memory_limit=100)
    f = nb.njit(counted)
    with pytest.raises(MemoryLimitError):
        nb.njit(lambda x: cz.grad(f, memory_limit=100)(x))(X)  # noqa: PLW0108 - compiled


def test_without_a_limit_nothing_is_counted():
    given = (counted, (float64[::1],), (ArgumentActivity.DUPLICATED,), Mode.REVERSE, True)
    assert "coenzyme.limit" not in engine.derivative(*given).text
    assert "coenzyme.limit" in engine.derivative(*given, engine.Options(memory_limit=1000)).text


def test_a_limit_is_a_number_of_bytes():
    for limit in (-1, 1.5, True, "1 GB"):
        with pytest.raises(ActivityError, match="memory_limit"):
            cz.grad(counted, memory_limit=limit)
        with pytest.raises(ActivityError, match="memory_limit"):
            cz.Reverse.replace(memory_limit=limit)


def test_the_error_can_be_sent_to_another_process():
    error = pickle.loads(pickle.dumps(MemoryLimitError(2000, 1000, "loss")))
    assert (error.asked, error.limit, error.function) == (2000, 1000, "loss")
    assert str(error) == str(MemoryLimitError(2000, 1000, "loss"))
