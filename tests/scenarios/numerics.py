"""Small numerical methods as scientists write them."""

import math

import numpy as np

from .model import Point, Scenario, array

__all__ = ["SCENARIOS"]


def euler_oscillator(p):
    u0, u1 = 3.0, 4.0
    for _ in range(2):
        u0, u1 = u0 - 0.1 * p[0] * u1, u1 + 0.1 * p[1] * u0
    return u0 + u1


def lorenz_rk4(x, n, h):
    k = np.zeros((4, 3))
    y = np.zeros(3)
    for _ in range(n):
        for stage in range(4):
            weight = 0.0 if stage == 0 else (1.0 if stage == 3 else 0.5)
            for i in range(3):
                y[i] = x[i] if stage == 0 else x[i] + weight * h * k[stage - 1, i]
            k[stage, 0] = 10.0 * (y[1] - y[0])
            k[stage, 1] = y[0] * (28.0 - y[2]) - y[1]
            k[stage, 2] = y[0] * y[1] - 8.0 / 3.0 * y[2]
        for i in range(3):
            x[i] += h / 6.0 * (k[0, i] + 2.0 * k[1, i] + 2.0 * k[2, i] + k[3, i])


def heat_steps(u, steps, diffusivity):
    v = u.copy()
    for _ in range(steps):
        for i in range(1, u.size - 1):
            v[i] = u[i] + diffusivity * (u[i - 1] - 2.0 * u[i] + u[i + 1]) * u[i]
        u, v = v, u
    return np.sum(u * u)


def log_sum_exp(x):
    largest = x[0]
    for i in range(1, x.size):
        largest = max(largest, x[i])
    total = 0.0
    for i in range(x.size):
        total += math.exp(x[i] - largest)
    return largest + math.log(total)


def trapezoid(f_values, h):
    total = 0.5 * (f_values[0] + f_values[-1])
    for i in range(1, f_values.size - 1):
        total += f_values[i]
    return total * h


def bisection_then_step(c):
    low, high = 0.0, 4.0
    while high - low > 1e-3:
        middle = 0.5 * (low + high)
        if middle * middle > c:
            high = middle
        else:
            low = middle
    x = low
    for _ in range(6):
        x -= (x * x - c) / (2.0 * x)
    return x


def scratch_power(x, tmp):
    tmp[0] = 1.0
    for _ in range(5):
        tmp[0] *= x
    return tmp[0]


def running_maximum(x, out):
    best = x[0]
    for i in range(x.size):
        best = max(best, x[i])
        out[i] = best * min(x[i], 1.0)


def _softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


SCENARIOS = (
    Scenario("euler-oscillator", euler_oscillator, (Point((array(1, 2),), gradient=(array(-0.94, 0.53),)),)),
    Scenario(
        "lorenz-rk4", lorenz_rk4, (Point((array(1, 2, 20), 3, 0.02)), Point((array(1, 2, 20), 0, 0.02)))
    ),
    Scenario(
        "heat-steps",
        heat_steps,
        tuple(Point((array(0.2, 1, 0.4, 0.7, 0.1), n, 0.2)) for n in (0, 1, 2, 3)),
    ),
    Scenario(
        "log-sum-exp",
        log_sum_exp,
        (Point((array(1, 3, 2, -1),), gradient=lambda x: (_softmax(x),)),),
        tolerance=1e-13,
    ),
    Scenario(
        "trapezoid",
        trapezoid,
        (Point((array(1, 3, 2, -1), 0.5), gradient=(array(0.25, 0.5, 0.5, 0.25), 5.0)),),
    ),
    Scenario(
        "bisection-then-newton",
        bisection_then_step,
        (Point((2.0,), gradient=(0.5 / math.sqrt(2.0),)),),
        differences=False,
    ),
    Scenario(
        "scratch-power",
        scratch_power,
        (Point((1.2, array(9.0)), gradient=(10.368, array(0.0)), value=1.2**5),),
    ),
    Scenario("running-maximum", running_maximum, (Point((array(0.5, 2, 0.3, 3), array(0, 0, 0, 0))),)),
)
