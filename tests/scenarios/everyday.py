"""Functions in everyday Python that Numba compiles."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

__all__ = ["X", "exceptions", "generators", "late", "text_and_none", "tuples", "ufuncs"]

X = np.array([1.3, 0.75, 2.15, 0.4, 1.9])


class Sample(NamedTuple):
    """Numbers beside an array."""

    x: float
    y: float
    w: np.ndarray


@nb.njit
def tuples(x):
    sample = Sample(x[0], x[1] * 2, x * x)
    other = Sample(sample.y, sample.x, sample.w[1:])
    mixed = (x[0], 3, x * 2.0, "abc", x.reshape((5, 1)), True)
    s = 0.0
    for _ in range(3):
        sample, other = other, sample
        s += sample.x * other.y * sample.w[0] * other.w[-1]
    a, n, v, text, m, flag = mixed
    return s + a * n * v.sum() * len(text) + m[2, 0] ** 2 * (2.0 if flag else 1.0)


@nb.njit
def root(v):
    if v < 1.0:
        raise ValueError("too small")
    return math.sqrt(v)


@nb.njit
def exceptions(x):
    s = 0.0
    y = x.copy()
    for i in range(x.size):
        try:
            y[i] = root(y[i]) * (1.0 + s)
            s += y[i] * x[i]
        except Exception:
            y[i] = x[i] ** 3 * (1.0 + y[i])
    for i in range(x.size):
        try:
            if x[i] > 2.0:
                raise ValueError("too large")  # noqa: TRY301 - what is tested
            s += x[i] ** 2
        except Exception:
            s += 3 * x[i]
    return s + (y * y).sum()


@nb.njit
def powers(x, n):
    a = 1.0
    for i in range(n):
        a = a * x[i % x.size]
        yield a + i


@nb.njit
def generators(x):
    s = 0.0
    for v in powers(x, 7):
        s += v * v
    return s + sum([v * x[0] for v in x])


@nb.vectorize
def product_with_sine(a, b):
    return a * math.sin(b)


@nb.vectorize(["float64(float64, float64)"])
def one_of_two(a, b):
    return a * math.sin(b) + b if a > b else a * b


@nb.guvectorize(["void(float64[:], float64[:], float64[:])"], "(n),(n)->()", nopython=True)
def inner(a, b, out):
    s = 0.0
    for i in range(a.size):
        s += a[i] * b[i]
    out[0] = s


@nb.njit
def ufuncs(x):
    out = np.empty(x.size)
    one_of_two(x, x[::-1], out)
    rows = x.reshape((5, 1)) * out
    sums = np.zeros(5)
    inner(rows, rows, sums)
    return (product_with_sine(x, x[0]) * sums).sum() + one_of_two(x[0], x[1])


@nb.njit
def text_and_none(x, mode, none=None, scale=2.0):
    assert x.size > 2
    assert x[0] > 0, "positive numbers only"
    if mode == "cubes":
        print("cubes of", x.size, "numbers")
        s = (x * x * x).sum()
    else:
        s = x.sum()
    if none is not None:
        s *= none
    return s * scale


@nb.njit
def late(x, a=2.0, *, b=3.0):
    return (x**2).sum() * a + b * x[0]
