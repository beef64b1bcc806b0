"""Typed containers that a function returns: their shadows come from the forward half of a derivative."""

from __future__ import annotations

import numpy as np
import pytest
from numba import types
from numba.core.runtime import _nrt_python, rtsys
from numba.typed import Dict, List

import coenzyme as cz
from coenzyme.errors import ShadowError, TapeError

_nrt_python.memsys_enable_stats()


def squares(x):
    found = List()
    for i in range(x.size):
        found.append(x[i] * x[i])
    return found


def scaled(x):
    found = List()
    for i in range(3):
        found.append(x * x[i])
    return found, x.sum()


def named(x):
    found = Dict.empty(types.unicode_type, types.float64)
    found["first"] = x[0] * x[1]
    found["last"] = x[-1] * x[-1]
    return found


def _halves_of(function):
    return cz.autodiff_thunk(cz.ReverseSplitWithPrimal, function, cz.Duplicated, cz.Duplicated)


def test_a_returned_list_of_numbers_has_a_shadow() -> None:
    forward, reverse = _halves_of(squares)
    x, dx = np.array([1.0, 2.0, 3.0]), np.zeros(3)
    tape, value, shadow = forward(cz.Duplicated(x, dx))
    assert list(value) == [1.0, 4.0, 9.0]
    assert list(shadow) == [0.0, 0.0, 0.0]
    for i in range(3):
        shadow[i] = 1.0 + i
    assert reverse(cz.Duplicated(x, dx), tape) == (None,)
    np.testing.assert_allclose(dx, [2.0, 8.0, 18.0])


def test_a_returned_list_of_arrays_beside_a_number_has_a_shadow() -> None:
    forward, reverse = _halves_of(scaled)
    x, dx = np.array([1.0, 2.0, 3.0]), np.zeros(3)
    tape, (arrays, _), (shadows, of_number) = forward(cz.Duplicated(x, dx))
    assert [list(a) for a in arrays] == [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]]
    for shadow in shadows:
        shadow[:] = 1.0
    of_number += 10.0
    reverse(cz.Duplicated(x, dx), tape)
    np.testing.assert_allclose(dx, 12.0 + 10.0)


def test_a_returned_dictionary_has_a_shadow() -> None:
    forward, reverse = _halves_of(named)
    x, dx = np.array([1.0, 2.0, 3.0]), np.zeros(3)
    tape, value, shadow = forward(cz.Duplicated(x, dx))
    assert dict(value) == {"first": 2.0, "last": 9.0}
    shadow["first"], shadow["last"] = 1.0, 10.0
    reverse(cz.Duplicated(x, dx), tape)
    np.testing.assert_allclose(dx, [2.0, 1.0, 60.0])


def test_a_returned_list_that_grows_between_the_halves_is_refused() -> None:
    forward, reverse = _halves_of(squares)
    x, dx = np.array([1.0, 2.0, 3.0]), np.zeros(3)
    for grown in (0, 1):
        tape, *returned = forward(cz.Duplicated(x, dx))
        returned[grown].append(1.0)
        with pytest.raises(TapeError, match="changed its length"):
            reverse(cz.Duplicated(x, dx), tape)


def test_cotangents_of_returned_containers_are_not_passed() -> None:
    forward, reverse = _halves_of(squares)
    x, dx = np.array([1.0, 2.0, 3.0]), np.zeros(3)
    tape, *_ = forward(cz.Duplicated(x, dx))
    with pytest.raises(ShadowError, match="added to the items of its shadow"):
        reverse(cz.Duplicated(x, dx), [1.0, 2.0, 3.0], tape)


def test_a_hundred_halves_with_returned_containers_leave_nothing_behind() -> None:
    halves = _halves_of(scaled)
    x, dx = np.array([1.0, 2.0, 3.0]), np.zeros(3)

    def live() -> tuple[int, int]:
        statistics = rtsys.get_allocation_stats()
        return statistics.mi_alloc - statistics.mi_free, statistics.alloc - statistics.free

    def once(*, swept: bool) -> None:
        tape, _, _ = halves[0](cz.Duplicated(x, dx))
        if swept:
            halves[1](cz.Duplicated(x, dx), tape)

    once(swept=True)
    before = live()
    for i in range(100):
        once(swept=i % 2 == 0)
    assert live() == before
