"""A list of blocks of floats seemed to be such a block itself, and its memory to mix floats with pointers."""

from __future__ import annotations

import numpy as np
import pytest

import coenzyme as cz

X = np.array([1.0, 2.0, 3.0])


def running_product(x):
    y = x.copy()
    for i in range(1, y.size):
        y[i] = y[i] * y[i - 1]
    return y.sum()


HESSIAN = np.array([[0.0, 1.0 + X[2], X[1]], [1.0 + X[2], 0.0, X[0]], [X[1], X[0], 0.0]])


@pytest.mark.parametrize("transform", [cz.jacfwd, cz.jacrev])
def test_jacobian_of_the_gradient_of_a_function_that_copies_in_a_taped_loop(transform):
    np.testing.assert_allclose(transform(cz.grad(running_product))(X), HESSIAN, rtol=1e-13)


def test_pullback_of_the_gradient_of_a_function_that_copies():
    _, pullback = cz.vjp(cz.grad(running_product), X)
    np.testing.assert_allclose(pullback(np.array([1.0, 10.0, 100.0]))[0], HESSIAN @ [1.0, 10.0, 100.0])
