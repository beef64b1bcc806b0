"""Arrays of every layout, temporaries, views, array expressions, reductions, functions that return arrays."""

import math

import numba as nb
import numpy as np

from .model import Point, Scenario, array

__all__ = ["SCENARIOS"]


def cubes(x):
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i] * x[i]
    return total


def neighbours_2d(x):
    total = 0.0
    for i in range(x.shape[0]):
        for j in range(1, x.shape[1]):
            total += x[i, j] * x[i, j - 1] * (i + 1)
    return total


def scale_in_place_3d(x):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            for k in range(x.shape[2]):
                x[i, j, k] *= x[i, j, k] + x[i, 0, 0]


def through_views(x):
    row = x[1]
    column = x[:, 1]
    block = x[:2, 1:]
    total = 0.0
    for i in range(column.size):
        total += row[i] * column[i]
    block[0, 0] = total
    return block[0, 0] * block[1, 1] + x[-1, -1]


def reversed_view(x):
    y = x[::-1]
    total = 0.0
    for i in range(y.size):
        total += y[i] * x[i] * i
    return total


def elements(x):
    total = 1.0
    for element in x:
        total = total * element + element
    return total


def with_zeros(x):
    y = np.zeros(x.size + 1)
    for i in range(x.size):
        y[i + 1] = y[i] + x[i] * x[i]
    return y[-1] * y[1]


def with_empty(x):
    y = np.empty((2, x.size))
    for i in range(x.size):
        y[0, i] = math.sin(x[i])
        y[1, i] = y[0, i] * x[i]
    return np.sum(y)


def with_ones_like(x):
    y = np.ones_like(x)
    for i in range(x.size):
        y[i] *= x[i]
        y[0] += y[i] * y[i]
    return y[0]


def temporaries_in_loop(x, n):
    total = 0.0
    for k in range(n):
        y = np.zeros_like(x)
        for i in range(x.size):
            y[i] = x[i] ** 2 + total * k
        total += y.sum()
    return total


def expression(x, y):
    return np.sum(np.sin(x) * y)


def broadcast(a, x):
    b = a * x - x[0]
    b += 1.0
    return np.sum(b * b / (1.0 + a * a))


def mean_and_extremes(x):
    return np.mean(x) * np.max(x) - np.min(x) * np.sum(x)


def product(x):
    return np.prod(x)


def sum_of_cumprod(x):
    return np.sum(np.cumprod(x))


def axis_sums(x):
    return np.sum(np.sum(x, axis=0) ** 2)


def scaled_copy(x, factor):
    return factor * x * x


def filled(x, n):
    out = np.zeros((n, x.size))
    for i in range(n):
        for j in range(x.size):
            out[i, j] = x[j] ** (i + 1)
    return out


def view_of_argument(x):
    x[0] = x[1] * x[2]
    return x[:2]


@nb.njit
def _smooth(x, i):
    return math.log1p(x[i] * x[i])


@nb.njit
def _halved(x):
    return 0.5 * x


def with_callees(x):
    total = 0.0
    y = _halved(x)
    for i in range(x.size):
        total += _smooth(y, i) * _smooth(x, i)
    return total


@nb.njit
def _scale_rows(x, out, factor):
    for i in range(x.size):
        out[i] = factor * x[i] * out[i]
    return factor * out[0]


def with_writing_callee(x, out):
    a = _scale_rows(x, out, 2.0)
    return _scale_rows(x, out, a)


COEFFICIENTS = np.array([2.0, -1.0, 0.5])


def _captured_array():
    weights = COEFFICIENTS.copy()

    def weighted(x):
        total = 0.0
        for i in range(x.size):
            total += weights[i] * x[i] * x[i]
        return total

    return weighted


def negative_indices(x):
    return x[-1] * x[-2] + x[x.size - 1] ** 2


def fancy_selection(x, index):
    total = 0.0
    for i in index:
        total += x[i] * x[i]
    return total


def slice_expression(x):
    return np.sum((x[1:] - x[:-1]) ** 2)


def reshaped(x):
    m = x.reshape(2, 3)
    t = m.T
    return t[2, 0] * m[1, 1] + np.sum(m[0] * m[1])


def number_array(a, b):
    m = np.array([[a, b], [b * b, a * b]])
    return m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]


def pointer_chosen_by_branch(x, y, flag):
    z = x if flag else y
    total = 0.0
    for i in range(z.size):
        z[i] = z[i] * x[i]
        total += z[i]
    return total


def _matrix(rows, columns):
    return np.cos(np.arange(rows * columns, dtype=np.float64)).reshape(rows, columns) + 0.3


STRIDED = np.linspace(0.3, 2.0, 12)[1::3]
REVERSED = np.linspace(0.3, 2.0, 4)[::-1]


def _neighbour_gradient(x):
    weights = np.arange(1.0, x.shape[0] + 1.0)[:, None]
    out = np.zeros(x.shape)
    out[:, 1:] += weights * x[:, :-1]
    out[:, :-1] += weights * x[:, 1:]
    return (out,)


SCENARIOS = (
    Scenario(
        "contiguous-and-strided-vectors",
        cubes,
        tuple(
            Point((x,), gradient=lambda x: (3 * x * x,))
            for x in (STRIDED.copy(), STRIDED, REVERSED, np.empty(0), STRIDED[:1])
        ),
    ),
    Scenario(
        "float32-vector",
        cubes,
        (
            Point((array(1, 2, 3, dtype=np.float32),), gradient=lambda x: (3 * x * x,)),
            Point((np.arange(6, dtype=np.float32)[::2],), gradient=lambda x: (3 * x * x,)),
        ),
        tolerance=1e-6,
    ),
    Scenario(
        "matrix-layouts",
        neighbours_2d,
        tuple(
            Point((x,), gradient=_neighbour_gradient)
            for x in (
                _matrix(3, 4),
                np.asfortranarray(_matrix(3, 4)),
                _matrix(6, 8)[::2, ::-2],
                np.empty((0, 3)),
            )
        ),
    ),
    Scenario(
        "rank-3-layouts",
        scale_in_place_3d,
        (
            Point((_matrix(2, 6).reshape(2, 3, 2),)),
            Point((np.asfortranarray(_matrix(2, 6).reshape(2, 3, 2)),)),
            Point((_matrix(4, 9).reshape(4, 3, 3)[::2, :, ::2],)),
        ),
    ),
    Scenario("through-views", through_views, (Point((_matrix(3, 3),)),)),
    Scenario("reversed-view", reversed_view, (Point((array(1, 2, 3, 4),)),)),
    Scenario(
        "elements", elements, (Point((array(0.5, 2, -1),)), Point((np.empty(0),), gradient=(np.empty(0),)))
    ),
    Scenario("zeros-temporary", with_zeros, (Point((array(0.5, 2, -1),)),)),
    Scenario("empty-temporary", with_empty, (Point((array(0.5, 2, -1),)),)),
    Scenario("ones-like-temporary", with_ones_like, (Point((array(0.5, 2, -1),)),)),
    Scenario(
        "temporaries-in-loop", temporaries_in_loop, (Point((array(0.5, 2, -1), 3)), Point((array(0.5, 2), 0)))
    ),
    Scenario(
        "array-expression",
        expression,
        (Point((array(0.5, 2, -1), array(1, 2, 3)), gradient=lambda x, y: (np.cos(x) * y, np.sin(x))),),
    ),
    Scenario("broadcast", broadcast, (Point((1.5, array(0.5, 2, -1))),)),
    Scenario("mean-and-extremes", mean_and_extremes, (Point((array(0.5, 2, -1, 1),)),)),
    Scenario(
        "product",
        product,
        (
            Point((array(5, 0, 6),), gradient=(array(0, 30, 0),), value=0.0),
            Point((array(2, 3),), gradient=(array(3, 2),)),
            Point((array(0, 0, 6),), gradient=(array(0, 0, 0),)),
        ),
    ),
    Scenario(
        "sum-of-cumprod",
        sum_of_cumprod,
        (Point((array(1, 2, 3, 4),), gradient=(array(33, 16, 10, 6),), value=33.0),),
    ),
    Scenario(
        "axis-sums",
        axis_sums,
        (Point((_matrix(2, 3),), gradient=lambda x: (np.broadcast_to(2 * x.sum(axis=0), x.shape),)),),
    ),
    Scenario(
        "returned-expression",
        scaled_copy,
        (Point((array(1, 2, 3), 2.0), jacobian=lambda x, a: (np.diag(2 * a * x), x * x)),),
    ),
    Scenario(
        "returned-matrix",
        filled,
        (
            Point(
                (array(0.5, 2), 3),
                jacobian=lambda x, n: (np.array([np.diag((i + 1) * x**i) for i in range(n)]), None),
            ),
        ),
    ),
    Scenario(
        "returned-view",
        view_of_argument,
        (Point((array(1, 2, 3),), jacobian=(array([0, 3, 2], [0, 1, 0]),)),),
    ),
    Scenario("callees", with_callees, (Point((array(0.5, 2, -1),)),)),
    Scenario("callee-that-writes", with_writing_callee, (Point((array(0.5, 2, -1), array(1, 2, 3))),)),
    Scenario(
        "closure-over-array",
        _captured_array(),
        (Point((array(1, 2, 3),), gradient=lambda x: (2 * COEFFICIENTS * x,)),),
    ),
    Scenario("negative-indices", negative_indices, (Point((array(1, 2, 3),), gradient=(array(0, 3, 8),)),)),
    Scenario(
        "indexed-by-integers",
        fancy_selection,
        (Point((array(1, 2, 3), np.array([2, 0, 2])), gradient=(array(2, 0, 12), None)),),
    ),
    Scenario(
        "slice-expression",
        slice_expression,
        (Point((array(1, 3, 2, 5),)), Point((array(1),), gradient=(array(0),))),
    ),
    Scenario("reshaped", reshaped, (Point((np.arange(1.0, 7.0),)),)),
    Scenario(
        "array-of-numbers",
        number_array,
        (Point((2.0, 3.0), gradient=lambda a, b: (2 * a * b, a * a - 3 * b * b)),),
    ),
    Scenario(
        "array-chosen-by-branch",
        pointer_chosen_by_branch,
        (Point((array(1, 2), array(3, 4), True)), Point((array(1, 2), array(3, 4), False))),
    ),
)
