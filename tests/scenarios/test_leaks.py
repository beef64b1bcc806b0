"""Derivatives leave nothing behind, call after call: watched from within a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba import types
from numba.typed import Dict, List

import coenzyme as cz
from tests.scenarios.lists import list_of_arrays, stack_machine
from tests.scenarios.objects import body_in_loop, make_body, replaced, tree_of_numbers

ROOT = Path(__file__).parents[2]
CALLS = 100
X = np.array([0.7, 1.3, -0.4, 2.1, -1.7, -0.9, 0.3])


def solutions(x):
    a = x[:4].copy().reshape((2, 2)) + 3.0 * np.eye(2)
    b = x[4:6].copy()
    s = 0.0
    for _ in range(3):
        b = np.linalg.solve(a, b)
        s += np.sum(b * b)
    return s


@nb.njit(parallel=True)
def parallel_loop(x):
    s = 0.0
    for i in nb.prange(x.shape[0]):
        t = np.empty(3)
        for j in range(3):
            t[j] = x[(i * j) % x.shape[0]]
        s += np.sum(t * t)
    return s


def typed_containers(x):
    arrays = List()
    named = Dict.empty(types.int64, types.float64[::1])
    for i in range(5):
        arrays.append(x * x[i])
        named[i % 3] = arrays[i]
    arrays.pop(0)
    del named[1]
    return np.sum(named[0]) + np.sum(arrays[0])


def instance_as_argument(mode: cz.DerivativeMode) -> None:
    """Run a derivative with an instance that nothing is left of afterwards."""
    body = make_body(X)
    cz.autodiff(mode, replaced, cz.Duplicated(body, cz.make_zero(body)), cz.Duplicated(X, X.copy()))


_LOCAL = (
    list_of_arrays,
    stack_machine,
    solutions,
    parallel_loop,
    typed_containers,
    body_in_loop,
    tree_of_numbers,
)
FUNCTIONS = {f.__name__: f for f in _LOCAL}


def _blocks() -> int:
    from numba.core.runtime import rtsys

    stats = rtsys.get_allocation_stats()
    return int(stats.alloc - stats.free)


def _growth(call: Callable[[], Any]) -> int:
    call()
    before = _blocks()
    for _ in range(CALLS):
        call()
    return _blocks() - before


def _measure(name: str) -> list[int]:
    if name == "held":
        held: list[Any] = []
        gradient = cz.grad(lambda x: np.sum(x * x))
        return [_growth(lambda: held.append(gradient(X)))]
    if name == "instance_as_argument":
        return [_growth(partial(instance_as_argument, mode)) for mode in (cz.Reverse, cz.Forward)]
    if name == "batch":
        shadows = tuple(np.zeros((3, X.size)))
        annotated = cz.BatchDuplicated(X, shadows)
        modes = (cz.Reverse, cz.Forward)
        return [_growth(partial(cz.autodiff, mode, list_of_arrays, annotated)) for mode in modes]
    if name == "twice":
        hessian, by_rows = cz.hessian(stack_machine), cz.jacrev(cz.grad(stack_machine))
        return [_growth(lambda: hessian(X)), _growth(lambda: by_rows(X))]
    function = FUNCTIONS[name]
    gradient = cz.grad(function)
    return [_growth(lambda: gradient(X)), _growth(lambda: cz.jvp(function, (X,), (X,)))]


def _in_child(name: str) -> list[int]:
    code = (
        f"import json; from tests.scenarios.test_leaks import _measure; print(json.dumps(_measure({name!r})))"
    )
    environment = {**os.environ, "NUMBA_NRT_STATS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


NAMES = [*FUNCTIONS, "instance_as_argument", "batch", "twice"]
_SLOW = {"list_of_arrays", "body_in_loop", "tree_of_numbers"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ()) for name in NAMES]
)
def test_a_hundred_derivatives_leave_no_block_behind(name: str) -> None:
    assert _in_child(name) == [0, 0]


def test_blocks_that_are_held_are_counted() -> None:
    assert _in_child("held") == [CALLS]
