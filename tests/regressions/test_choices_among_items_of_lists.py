"""A choice between an item of a list that grows and another number was refused.

LLVM makes one load of the two, from an address that is one or the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coenzyme.testing import check_derivatives

X = np.array([0.3, 0.4, 0.6, 0.7])


def _choose_from_lists(a: Any) -> float:
    squares, numbers = [a[0]], [a[1]]
    for i in range(3):
        squares.append(a[i] * a[i])
        numbers.append(a[i])
    total = 0.0
    for i in range(3):
        total += squares[i] if a[i] > 0.45 else numbers[i]
    return total


def _choose_from_list_or_array(a: Any) -> float:
    squares = [a[0]]
    best = a[0]
    for i in range(3):
        squares.append(a[i] * a[i])
        best = squares[-1] if squares[-1] > best else best
    return best * (squares[0] if a[0] > 0.1 else a[1])


def test_an_item_of_one_of_two_lists_may_be_chosen() -> None:
    assert check_derivatives(_choose_from_lists, X).conclusive


def test_an_item_of_a_list_or_of_an_array_may_be_chosen() -> None:
    assert check_derivatives(_choose_from_list_or_array, X).conclusive
