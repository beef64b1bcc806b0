"""Blocks of object mode in differentiated functions: run, and refused where derivatives go through them."""

from __future__ import annotations

import time
from typing import Any

import numba
import numpy as np
import pytest
from numba import objmode

import coenzyme as cz
from coenzyme.errors import UnsupportedIRError
from coenzyme.testing import check_derivatives

X = np.array([0.7, 1.3, -0.4])
NOTES: list[Any] = []


@numba.njit
def notes_and_constants(x):
    n = x.size
    with objmode(weights="float64[:]", power="int64", started="float64"):
        weights = np.arange(n) + 1.0
        power = len(str(n)) + 1
        started = time.perf_counter()
    s = 0.0
    for i in range(n):
        s += weights[i] * x[i] ** power
        with objmode():
            NOTES.append(float(s))
    copied = x.copy()
    with objmode(elapsed="float64"):
        NOTES.append(copied.sum())
        elapsed = time.perf_counter() - started
    return s if elapsed >= 0.0 else 2.0 * s


def test_blocks_that_only_look_and_give_constants_are_run() -> None:
    check_derivatives(notes_and_constants, X)
    NOTES.clear()
    np.testing.assert_allclose(cz.grad(notes_and_constants)(X), 2 * np.arange(1, 4) * X)
    np.testing.assert_allclose(NOTES, [0.49, 3.87, 4.35, 1.6])


@pytest.mark.slow
def test_second_derivatives_run_blocks_too() -> None:
    np.testing.assert_allclose(cz.hvp(notes_and_constants, X, np.ones(3)), [2.0, 4.0, 6.0])


@numba.njit
def comes_back(x):
    y = x[0] * x[1]
    with objmode(z="float64"):
        z = 2.0 * y
    return z


@numba.njit
def sees_the_argument(x):
    with objmode():
        NOTES.append(x.sum())
    return x[0] * x[1]


@numba.njit
def fills_what_came_out(x):
    with objmode(w="float64[:]"):
        w = np.ones(3)
    w[0] = x[0] * x[1]
    return np.sum(w) * x[2]


@pytest.mark.parametrize("function", [comes_back, sees_the_argument, fills_what_came_out])
def test_blocks_that_derivatives_would_go_through_are_refused(function: Any) -> None:
    with pytest.raises(UnsupportedIRError, match=r"object mode[\s\S]*test_object_mode.py[\s\S]*move"):
        cz.grad(function)(X)
    with pytest.raises(UnsupportedIRError, match="object mode"):
        cz.jvp(function, (X,), (X,))


@numba.njit
def looks_up(x, key):
    with objmode(n="int64"):
        n = {0: 1}[key]
    return x[0] ** n


def test_what_a_block_raises_comes_out_of_the_derivative() -> None:
    np.testing.assert_allclose(cz.grad(looks_up)(X, 0), [1.0, 0.0, 0.0])
    with pytest.raises(KeyError):
        cz.grad(looks_up)(X, 1)
