"""A number that a loop carries round in each lane stays what it is where other code wants it as a vector."""

from __future__ import annotations

import numpy as np

import coenzyme as cz


def wave(x):
    return np.exp(-x) * np.sin(x * x) + x.sum()


def test_sum_that_is_wanted_as_a_vector_behind_its_loop() -> None:
    x = np.linspace(0.1, 1.0, 6)
    slope = np.exp(-x) * (2.0 * x * np.cos(x * x) - np.sin(x * x))
    np.testing.assert_allclose(cz.jacfwd(wave, chunk_size=4)(x), np.diag(slope) + 1.0, rtol=1e-12)
