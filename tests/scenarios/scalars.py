"""Scalar functions, loops and branches over scalars."""

import math

import numba as nb
import numpy as np
from scipy import special

from .model import Point, Scenario

__all__ = ["SCENARIOS"]


def rosenbrock(a, b):
    return (1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2


def asin_of_sum(x):
    return math.asin(0.2 + math.sin(x))


def bessel_j0(x):
    term = 1.0
    total = term
    k = 0
    while abs(term) > 1e-12:
        k += 1
        term *= -(x * x) / (4.0 * k * k)
        total += term
    return total


def power_series(x, n):
    total = 0.0
    power = 1.0
    for i in range(1, n):
        power *= x
        total += power / i
    return total


def product_of_multiples(x):
    result = 1.0
    for i in range(1, 4):
        result *= i * x
    return result


def sum_above_five(x):
    total = 0.0
    for i in range(1, 5):
        if i * x > 5.0:
            total += i * x
    return total


def scaled_by_count(x):
    count = 0
    for y in (0.5, x, 1.5):
        if y > 1.0:
            count += 1
    return x * count


def hypot_of_double(x):
    return np.hypot(x, 2.0 * x)


def sum_of_cumsum(x):
    return np.sum(np.cumsum(np.array([1.0, x, x, 3.0])))


def early_return(x):
    if x < 1.0:
        return x * x
    y = math.exp(x)
    if y > 10.0:
        return 3.0 * y
    return x * y


def break_when_large(x):
    total = x
    for i in range(100):
        total = total * x + i
        if total > 50.0:
            break
    return total


def continue_over_odd(x, n):
    total = 0.0
    for i in range(n):
        if i % 2 == 1:
            continue
        total += x**i
    return total


def raise_for_negative(x):
    if x < 0.0:
        raise ValueError("x must not be negative")
    return math.sqrt(x) * x


def divide(x, y):
    return x / y


@nb.njit
def recursive_power(x, n):
    if n == 0:
        return 1.0
    return x * recursive_power(x, n - 1)


@nb.njit
def even_factor(x, n):
    if n == 0:
        return 1.0
    return x * odd_factor(x, n - 1)


@nb.njit
def odd_factor(x, n):
    if n == 0:
        return 1.0
    return math.sin(x) * even_factor(x, n - 1)


def switch(x, which):
    if which == 0:
        y = x * x
    elif which == 1:
        y = math.sin(x)
    elif which == 2:
        y = 1.0 / (x * x)
    elif which == 3:
        y = 4.0
    else:
        y = -x
    return y * x


def nonlinear_fibonacci(x, n):
    a, b = 1.0, x
    for _ in range(n):
        a, b = b, a + math.sin(b) * x
    return b


def collatz_like(x, n):
    while n != 1:
        if n % 2 == 0:
            n //= 2
            x = 0.5 * x + 1.0 / x
        else:
            n = 3 * n + 1
            x = x * 1.5 - 0.1 * x * x
    return x


def several_exits(x, limit):
    y = x
    k = 0
    while True:
        y = y * 1.3 + 0.1 * x * x
        if y > limit:
            return y * k
        k += 1
        if k > 6:
            break
        if y < 0.0:
            return -y
    return y * x


def newton_root(a):
    x = 1.0
    for _ in range(50):
        step = (x * x - a) / (2.0 * x)
        x -= step
        if abs(step) < 1e-14:
            break
    return x


def count_down(x, n):
    y = 1.0
    for i in range(n, 0, -1):
        y = y * x / i + 1.0
    return y


def integers_and_flags(n, flag, x, scale=2.0):
    if flag:
        return scale * x ** (n + 1) + n
    return x * n


def triangular_sum(x, n):
    total = 0.0
    for i in range(n):
        for j in range(i + 1):
            total += math.cos(x * i) * math.sin(x * j)
    return total


def returns_argument(x):
    return x


def constant(x):
    return 3.0 if x > 0.0 else 4.0


@nb.njit(fastmath=True)
def relaxed_arithmetic(x, y):
    total = 0.0
    for i in range(10):
        total += x * i + y * i * i + math.exp(-x * y)
    return total


SCALE = 1.7


def _captures(factor):
    def scaled(x):
        return factor * x * x * SCALE

    return scaled


def _triangular_slope(x, n):
    return sum(
        -i * math.sin(x * i) * math.sin(x * j) + j * math.cos(x * i) * math.cos(x * j)
        for i in range(n)
        for j in range(i + 1)
    )


SCENARIOS = (
    Scenario(
        "rosenbrock",
        rosenbrock,
        (
            Point((1.0, 2.0), gradient=(-400.0, 200.0), value=100.0),
            Point((1.0, 3.0), gradient=(-800.0, 400.0), value=400.0),
        ),
    ),
    Scenario("asin-of-sum", asin_of_sum, (Point((3.0,), gradient=(-1.05316137364,)),), tolerance=1e-11),
    Scenario(
        "bessel-series", bessel_j0, (Point((1.0,), gradient=(-special.j1(1.0),), value=special.j0(1.0)),)
    ),
    Scenario(
        "power-series",
        power_series,
        (Point((0.5, 400), gradient=(2.0, None)), Point((0.5, 0), gradient=(0.0, None))),
    ),
    Scenario("product-of-multiples", product_of_multiples, (Point((2.0,), gradient=(72.0,), value=48.0),)),
    Scenario("sum-above-five", sum_above_five, (Point((2.0,), gradient=(7.0,), value=14.0),)),
    Scenario(
        "scaled-by-count", scaled_by_count, (Point((2.0,), gradient=(2.0,)), Point((0.7,), gradient=(1.0,)))
    ),
    Scenario("hypot-of-double", hypot_of_double, (Point((2.0,), gradient=(math.sqrt(5.0),)),)),
    Scenario("sum-of-cumsum", sum_of_cumsum, (Point((2.0,), gradient=(5.0,), value=17.0),)),
    Scenario(
        "early-return",
        early_return,
        (
            Point((0.5,), gradient=(1.0,)),
            Point((1.5,), gradient=(2.5 * math.exp(1.5),)),
            Point((3.0,), gradient=(3.0 * math.exp(3.0),)),
        ),
    ),
    Scenario("break-when-large", break_when_large, (Point((1.6,)), Point((3.0,)), Point((0.45,)))),
    Scenario(
        "continue-over-odd",
        continue_over_odd,
        (Point((1.5, 6), gradient=(2 * 1.5 + 4 * 1.5**3, None)), Point((1.5, 0), gradient=(0.0, None))),
    ),
    Scenario(
        "raise-for-negative",
        raise_for_negative,
        (Point((2.0,), gradient=(1.5 * math.sqrt(2.0),)), Point((-1.0,), error=ValueError)),
    ),
    Scenario(
        "division-by-zero",
        divide,
        (Point((3.0, 2.0), gradient=(0.5, -0.75)), Point((3.0, 0.0), error=ZeroDivisionError)),
    ),
    Scenario(
        "recursive-power",
        recursive_power,
        (Point((1.3, 5), gradient=(5 * 1.3**4, None)), Point((1.3, 0), gradient=(0.0, None))),
    ),
    Scenario("mutual-recursion", even_factor, (Point((1.3, 4)), Point((1.3, 3)), Point((1.3, 0)))),
    Scenario(
        "switch",
        switch,
        (
            Point((1.2, 0), gradient=(3 * 1.2**2, None)),
            Point((1.2, 1), gradient=(math.sin(1.2) + 1.2 * math.cos(1.2), None)),
            Point((1.2, 2), gradient=(-1 / 1.44, None)),
            Point((1.2, 3), gradient=(4.0, None)),
            Point((1.2, 9), gradient=(-2.4, None)),
        ),
    ),
    Scenario("nonlinear-fibonacci", nonlinear_fibonacci, (Point((0.7, 9)), Point((0.7, 1)), Point((0.7, 0)))),
    Scenario("collatz-like", collatz_like, (Point((1.1, 6)), Point((1.1, 1)))),
    Scenario(
        "several-exits",
        several_exits,
        (Point((2.0, 9.0)), Point((0.3, 90.0)), Point((-1.0, 9.0))),
        argnums=(0,),
    ),
    Scenario("newton-root", newton_root, (Point((2.0,), gradient=(0.5 / math.sqrt(2.0),)),)),
    Scenario("count-down", count_down, (Point((1.5, 6)), Point((1.5, 0), gradient=(0.0, None)))),
    Scenario(
        "integers-and-flags",
        integers_and_flags,
        (
            Point((3, True, 1.5, 2.0), gradient=(None, None, 8.0 * 1.5**3, 1.5**4)),
            Point((3, False, 1.5, 2.0), gradient=(None, None, 3.0, 0.0)),
        ),
    ),
    Scenario(
        "default-argument", integers_and_flags, (Point((3, True, 1.5), gradient=(None, None, 8.0 * 1.5**3)),)
    ),
    Scenario(
        "triangular-sum",
        triangular_sum,
        (Point((0.7, 5), gradient=lambda x, n: (_triangular_slope(x, n), None)),),
    ),
    Scenario("returns-argument", returns_argument, (Point((2.5,), gradient=(1.0,), value=2.5),)),
    Scenario("constant", constant, (Point((2.5,), gradient=(0.0,)), Point((-2.5,), gradient=(0.0,)))),
    Scenario("fastmath", relaxed_arithmetic, (Point((0.4, 0.6)),)),
    Scenario("closure-over-scalars", _captures(3.0), (Point((1.5,), gradient=(6.0 * 1.7 * 1.5,)),)),
    Scenario(
        "float32-scalar",
        rosenbrock,
        (Point((np.float32(1.0), np.float32(2.0)), gradient=(-400.0, 200.0)),),
        tolerance=1e-5,
    ),
)
