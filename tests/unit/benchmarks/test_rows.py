"""Every row's derivative is right: ours by finite differences, the adjoint by hand by ours."""

import numpy as np
import pytest

from benchmarks.catalogue import all_rows
from benchmarks.measure import differ
from benchmarks.model import Case, seed_like
from coenzyme.testing.differences import agrees, directional_difference

ROWS = [
    pytest.param(row, id=row.title, marks=[pytest.mark.slow] if row.thorough else []) for row in all_rows()
]


def inner_product_of_results(case, returned):
    """Return what the derivative of a reverse sweep is of: the value, or outputs times their cotangents."""
    if not case.row.outputs:
        return returned
    return sum((case.seeds[i] * case.arguments[i]).sum() for i in case.row.outputs)


def directions_like(arguments, positions):
    return [seed_like(np.atleast_1d(arguments[i])).reshape(np.shape(arguments[i])) for i in positions]


@pytest.mark.parametrize("row", ROWS)
def test_derivative_agrees_with_differences_and_the_adjoint_by_hand_with_it(row):
    case = Case(row, row.small())
    case.reset()
    ours = case.ours()
    derivatives = ours.results(ours.call())
    hand = case.hand()
    if hand is not None:
        case.reset()
        assert differ("by hand", hand.results(hand.call()), derivatives, 1e-10) == {}
    if row.derivative is None:
        directions = directions_like(case.start, row.active)

        def along(t):
            case.reset()
            arguments = list(case.arguments)
            for i, v in zip(row.active, directions, strict=True):
                if i in case.shadows:
                    arguments[i] += t * v
                else:
                    arguments[i] = arguments[i] + float(t * v)
            return inner_product_of_results(case, case.function(*arguments))

        slope = sum((g * v).sum() for g, v in zip(derivatives, directions, strict=True))
        estimate, error = directional_difference(along, 0.0, 1.0, step=10.0)  # of 1e-3, as at zero
        assert error < 1e-5 * abs(estimate)
        assert agrees(slope, estimate, error)


def test_a_wrong_derivative_is_told_apart():
    right = (np.array([1.0, -2.0]), np.array(3.0))
    assert differ("x", right, right, 1e-9) == {}
    for wrong in (
        (np.array([1.0, -2.0 - 1e-6]), np.array(3.0)),
        (np.array([1.0, -2.0]), np.array(-3.0)),
        (np.array([1.0, -2.0]), np.array(np.nan)),
        (np.array([1.0]), np.array(3.0)),
        right[:1],
    ):
        assert "x" in differ("x", wrong, right, 1e-9)


def test_a_derivative_that_is_not_finite_agrees_with_nothing():
    infinite = (np.array([np.inf]),)
    assert "x" in differ("x", infinite, infinite, 1e-9)
