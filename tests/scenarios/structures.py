"""Tuples and named tuples as arguments and results."""

import math
from typing import NamedTuple

import numpy as np

from .model import Point, Scenario, array

__all__ = ["SCENARIOS"]


class Ellipse(NamedTuple):
    """Two half-axes and a weight for each sample."""

    a: float
    b: float
    weights: np.ndarray


def of_pair(pair, scale):
    return scale * pair[0] * math.sin(pair[1])


def of_named(ellipse):
    total = 0.0
    for i in range(ellipse.weights.size):
        total += ellipse.weights[i] * (ellipse.a**2 + i * ellipse.b)
    return total


def polar(x, y):
    return math.hypot(x, y), math.atan2(y, x)


def array_and_norm(x):
    y = np.sin(x)
    return y, np.sum(x * x)


def local_tuples(x):
    pair = (x, x * x)
    total = 0.0
    for i in range(2):
        pair = (pair[1], pair[0] * x)
        total += pair[0] * (i + 1)
    return total


def pair_of_arrays(pair):
    u, v = pair
    for i in range(u.size):
        u[i] = u[i] * v[i]
    return u[0] * v[1]


def product_of_slice_made_contiguous(x):
    c = np.ascontiguousarray(x.reshape((3, 4))[:, 1:3])
    return np.sum(c * c * c[0, 0])


def item_of_local_list_of_tuples(x, k):
    pairs = [(x * 2.0, True), (x * x, False)]
    a, positive = pairs[k]
    s = np.sum(a * x)
    return s if positive else -s


def view_chosen_by_branch(x, k):
    y = x[1:] * 2.0 if k > 2 else x[::2] * x[::2]
    z = y
    for t in range(3):
        z = z * y if t % 2 else z + y
    return np.sum(z)


SCENARIOS = (
    Scenario(
        "pair-argument",
        of_pair,
        (Point(((2.0, 0.5), 3.0), gradient=((3 * math.sin(0.5), 6 * math.cos(0.5)), 2 * math.sin(0.5))),),
    ),
    Scenario(
        "named-tuple-argument",
        of_named,
        (
            Point(
                (Ellipse(2.0, 3.0, array(1, 2)),),
                gradient=(Ellipse(12.0, 2.0, array(4, 7)),),
            ),
        ),
    ),
    Scenario("pair-of-results", polar, (Point((3.0, 4.0)),)),
    Scenario("array-and-number", array_and_norm, (Point((array(1, 2, 3),)),)),
    Scenario("local-tuples", local_tuples, (Point((1.5,), gradient=(9.0,)),)),
    Scenario(
        "pair-of-arrays",
        pair_of_arrays,
        (Point(((array(2, 3), array(4, 5)),), gradient=((array(20, 0), array(10, 8)),)),),
    ),
    Scenario(
        "slice-made-contiguous",
        product_of_slice_made_contiguous,
        (Point((np.linspace(0.5, 1.6, 12),)),),
    ),
    Scenario(
        "local-list-of-tuples",
        item_of_local_list_of_tuples,
        (Point((array(1, 2, 3), 0)), Point((array(1, 2, 3), 1), gradient=(array(-3, -12, -27), None))),
        argnums=(0,),
    ),
    Scenario(
        "view-chosen-by-branch",
        view_chosen_by_branch,
        (Point((array(1, 2, 3, 4), 0)), Point((array(1, 2, 3, 4), 3))),
        argnums=(0,),
    ),
)
