"""Everyday Python that Numba compiles: tuples of all sorts, exceptions, generators, ufuncs, defaults."""

from __future__ import annotations

import numpy as np
import pytest

import coenzyme as cz
from coenzyme.testing import check_derivatives
from tests.scenarios.everyday import X, exceptions, generators, late, text_and_none, tuples, ufuncs


def later(functions, quick):
    """Return parameters, those that are not representative for the long run."""
    return [pytest.param(f, id=f.__name__, marks=[] if f in quick else pytest.mark.slow) for f in functions]


@pytest.mark.parametrize(
    "function", later((tuples, exceptions, generators, ufuncs), quick=(exceptions, generators))
)
def test_python_that_numba_compiles_is_differentiated(function):
    check_derivatives(function, X)


def test_text_none_and_defaults_are_constants(capfd):
    np.testing.assert_allclose(cz.grad(text_and_none)(X, "cubes"), 6 * X**2)
    np.testing.assert_allclose(cz.grad(text_and_none)(X, "sum", 3.0, scale=0.5), np.full(5, 1.5))
    assert capfd.readouterr().out == "cubes of 5 numbers\n"


def test_assertions_fail_in_derivatives_as_they_do_in_functions():
    with pytest.raises(AssertionError, match="positive numbers only"):
        cz.grad(text_and_none)(-X, "cubes")


def test_keyword_only_arguments_have_derivatives():
    dx = np.zeros(5)
    found = cz.autodiff(cz.Reverse, late, cz.Duplicated(X, dx), b=cz.Active(1.0))
    assert found == (None, None, pytest.approx(X[0]))
    np.testing.assert_allclose(dx, [4 * X[0] + 1.0, *(4 * X[1:])])
    assert cz.value_and_grad(late)(X, 1.0, b=2.0)[0] == pytest.approx(np.sum(X**2) + 2 * X[0])
