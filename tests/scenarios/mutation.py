"""Functions that write into their arguments, and arguments that share memory."""

import numba as nb
import numpy as np

from .model import Point, Scenario, array

__all__ = ["SCENARIOS"]


def take_out(a, v):
    r = a[0] * v
    a[0] = 0.0
    return r


def square_into(x, y):
    for i in range(x.size):
        y[i] = x[i] * x[i]


def multiply_in_matrix_view(x):
    m = x.reshape((2, 2)).T
    m[0, 0] *= m[0, 1]
    m[1, 1] *= m[1, 0]
    return x[0] + x[1] + x[2] + x[3]


def product_of_copy(x):
    y = x.copy()
    x[0] = 5.0
    x[1] = -1.0
    return y[0] * y[1]


def shift_left(a):
    a[:-1] = a[1:]


def double_twice(x):
    for _ in range(2):
        y = x.copy()
        x += y
    return x[0]


def first(x):
    return x[0]


def dot(x, y):
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


def squares_into(target, source):
    for i in range(target.size):
        target[i] = source[i] * source[i]


def prefix_sum(x):
    for i in range(1, x.size):
        x[i] += x[i - 1] * x[i]


def swap_rounds(u, v, n):
    for _ in range(n):
        for i in range(u.size):
            v[i] = u[i] * u[i - 1] + v[i]
        u, v = v, u
    return u[0] * u[1] + v[2]


def conditional_store(x, y):
    for i in range(x.size):
        if x[i] > 0.0:
            y[i] = x[i] * y[i]
        elif i > 1:
            y[i] = 2.0


def find_first_above(x, limit):
    for i in range(x.size):
        if x[i] > limit:
            x[i] *= x[i]
            return x[i] * i
    return -x[0]


def write_then_raise(x, y):
    for i in range(x.size):
        if x[i] < 0.0:
            raise ValueError("negative entry", i)
        y[i] = x[i] * y[i]
    return y[0]


@nb.njit(boundscheck=True)
def guarded_entry(x, i):
    x[0] = x[0] * x[1]
    return x[i] * x[0]


def overwrite_with_constants(x):
    total = x[0] * x[1]
    x[:] = 7.0
    return total + x[0]


def swap_entries(x):
    x[0], x[2] = x[2] * x[2], x[0]


def gauss_seidel(u, f):
    for _ in range(2):
        for i in range(1, u.size - 1):
            u[i] = 0.5 * (u[i - 1] + u[i + 1] - f[i] * u[i])


def augmented_slices(a, b):
    a[1:3] += b[:2] * a[:2]
    a[:] *= 2.0


def counters_and_floats(x, counts):
    total = 0.0
    for i in range(x.size):
        counts[i] += i
        total += x[i] * counts[i]
    return total


def _overlapping(n):
    base = np.arange(1.0, n + 1.0)
    return base[:-1], base[1:]


SHARED = array(1.5, -2.0, 0.5)

SCENARIOS = (
    Scenario(
        "take-out",
        take_out,
        (
            Point((array(2.2), 3.3), gradient=(array(3.3), 2.2), value=2.2 * 3.3, memory={0: array(0)}),
            Point((array(2.2), 3.3), gradient=(array(3.3), 2.2), entering={0: array(5)}),
        ),
    ),
    Scenario(
        "square-into",
        square_into,
        (
            Point(
                (array(2, 3), array(0, 0)),
                gradient=(array(4, 60), array(0, 0)),
                entering={1: array(1, 10)},
                memory={1: array(4, 9)},
            ),
            Point(
                (array(2, 3), array(0, 0)),
                gradient=(array(5, 61), array(0, 0)),
                entering={0: array(1, 1), 1: array(1, 10)},
            ),
            Point((array(), array()), gradient=(array(), array())),
        ),
    ),
    Scenario(
        "matrix-view",
        multiply_in_matrix_view,
        (
            Point(
                (array(1, 2, 3, 4),), gradient=(array(3, 5, 2, 2),), value=16.0, memory={0: array(3, 2, 3, 8)}
            ),
        ),
    ),
    Scenario(
        "product-of-copy",
        product_of_copy,
        (Point((array(2, 3),), gradient=(array(3, 2),), value=6.0, memory={0: array(5, -1)}),),
    ),
    Scenario(
        "shift-left",
        shift_left,
        (
            Point(
                (array(1, 2, 3, 4),),
                gradient=(array(0, 1, 1, 2),),
                entering={0: array(1, 1, 1, 1)},
                memory={0: array(2, 3, 4, 4)},
            ),
        ),
    ),
    Scenario(
        "double-twice", double_twice, (Point((array(1, 2, 3),), gradient=(array(4, 0, 0),), value=4.0),)
    ),
    Scenario(
        "accumulation",
        first,
        (
            Point((array(3),), gradient=(array(2),), entering={0: array(1)}),
            Point((array(3),), gradient=(array(1),)),
        ),
    ),
    Scenario(
        "same-array-twice",
        dot,
        (
            Point((SHARED, SHARED), gradient=(2 * SHARED, 2 * SHARED)),
            Point((array(1, 2), array(3, 4)), gradient=(array(3, 4), array(1, 2)), value=11.0),
            Point((array(), array()), gradient=(array(), array()), value=0.0),
        ),
        transforms=False,
    ),
    Scenario(
        "overlapping-slices",
        squares_into,
        (
            Point(_overlapping(4), entering={0: array(1, 1, 1)}, gradient=(array(0, 4, 6), array(4, 6, 8))),
            Point(_overlapping(4)[::-1], memory={0: array(1, 1, 1)}),
        ),
        transforms=False,
    ),
    Scenario("in-place-prefix-sum", prefix_sum, (Point((array(0.5, -1.2, 2.0, 0.3),)), Point((array(2),)))),
    Scenario(
        "swapped-buffers",
        swap_rounds,
        tuple(Point((array(0.5, 1.2, -0.7), array(1.0, 0.4, 0.9), n)) for n in (0, 1, 2, 3)),
    ),
    Scenario("conditional-store", conditional_store, (Point((array(1, -1, 2, -2), array(3, 4, 5, 6))),)),
    Scenario(
        "search-with-exit",
        find_first_above,
        (
            Point((array(1, 2, 3), 1.5), gradient=(array(0, 4, 0), None)),
            Point((array(1, 2, 3), 5.0), gradient=(array(-1, 0, 0), None)),
        ),
        argnums=(0,),
    ),
    Scenario(
        "raise-after-write",
        write_then_raise,
        (
            Point((array(1, 2), array(3, 4)), gradient=(array(3, 0), array(1, 0))),
            Point((array(1, -2), array(3, 4)), error=ValueError),
        ),
    ),
    Scenario(
        "bounds-checked",
        guarded_entry,
        (
            Point((array(2, 3, 4), 2), gradient=(array(12, 8, 6), None), value=24.0),
            Point((array(2, 3, 4), 3), error=IndexError),
        ),
    ),
    Scenario(
        "overwrite-with-constants",
        overwrite_with_constants,
        (Point((array(2, 3),), gradient=(array(3, 2),)),),
    ),
    Scenario(
        "swap-entries",
        swap_entries,
        (Point((array(2, 3, 4),), entering={0: array(1, 10, 100)}, gradient=(array(100, 10, 8),)),),
    ),
    Scenario(
        "gauss-seidel", gauss_seidel, (Point((array(1, 0.5, -0.3, 2, 0.1), array(0, 0.2, 0.4, -0.1, 0))),)
    ),
    Scenario("augmented-slices", augmented_slices, (Point((array(1, 2, 3, 4), array(0.5, -1, 2))),)),
    Scenario(
        "integer-array-argument",
        counters_and_floats,
        (Point((array(1, 2, 3), np.array([2, 3, 4])), gradient=(array(2, 4, 6), None)),),
    ),
)
