"""Linear algebra written as loops."""

import numpy as np

from .model import Point, Scenario, array

__all__ = ["SCENARIOS"]


def matmul_into(a, b, c):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


def accumulate_matmul(a, b, c):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                c[i, j] += a[i, k] * b[k, j]


def sum_of_square(x):
    total = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[0]):
            for k in range(x.shape[0]):
                total += x[i, k] * x[k, j]
    return total


def cholesky(a):
    for j in range(a.shape[0]):
        for k in range(j):
            for i in range(j, a.shape[0]):
                a[i, j] -= a[i, k] * a[j, k]
        pivot = np.sqrt(a[j, j])
        for i in range(j, a.shape[0]):
            a[i, j] /= pivot


def forward_substitution(lower, b):
    x = b.copy()
    for i in range(b.size):
        for j in range(i):
            x[i] -= lower[i, j] * x[j]
        x[i] /= lower[i, i]
    return x


A = array([1, 2, -1], [0.5, 3, 1])
B = array([2, 1], [-1, 0.5], [3, 4])
G = array([1, 10], [-2, 0.3])
SPD = array([4, 1, 0.5], [1, 3, -0.2], [0.5, -0.2, 2])

SCENARIOS = (
    Scenario(
        "matmul-into",
        matmul_into,
        (
            Point(
                (A, B, np.ones((2, 2))),
                gradient=(G @ B.T, A.T @ G, np.zeros((2, 2))),
                entering={2: G},
                memory={2: A @ B},
            ),
            Point(
                (A, B, np.ones((2, 2))),
                gradient=(1 + G @ B.T, 2 + A.T @ G, np.zeros((2, 2))),
                entering={0: np.ones_like(A), 1: 2 * np.ones_like(B), 2: G},
            ),
        ),
    ),
    Scenario(
        "accumulated-matmul",
        accumulate_matmul,
        (
            Point(
                (A, B, np.ones((2, 2))),
                gradient=(G @ B.T, A.T @ G, G),
                entering={2: G},
                memory={2: 1 + A @ B},
            ),
        ),
    ),
    Scenario(
        "sum-of-square",
        sum_of_square,
        (Point((array([1, 3], [2, 4]),), gradient=(array([7, 9], [11, 13]),)),),
    ),
    Scenario("cholesky-in-place", cholesky, (Point((SPD,)),)),
    Scenario(
        "forward-substitution",
        forward_substitution,
        (Point((np.tril(SPD), array(1, 2, 3))),),
    ),
)
