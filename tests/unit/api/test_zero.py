"""Zero shadows made from Python."""

from __future__ import annotations

from collections import namedtuple

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError

Point = namedtuple("Point", "x n")


def test_zero_shadow_keeps_strides():
    x = np.arange(24.0).reshape(4, 6)[::-1, ::2]
    dx = cz.make_zero(x)
    assert (dx.shape, dx.strides, dx.dtype) == (x.shape, x.strides, x.dtype)
    assert not dx.any()


def test_zero_shadow_of_a_structure_passes_constants_through():
    labels = np.array([1, 2])
    found = cz.make_zero({"p": Point(np.ones(2), 3), "l": [1.5, labels, "text"], "f": np.float32(2)})
    assert isinstance(found["p"], Point)
    np.testing.assert_array_equal(found["p"].x, 0.0)
    assert found["p"].n == 3
    assert found["l"] == [0.0, labels, "text"]
    assert type(found["f"]) is np.float32


def test_shared_array_has_one_shadow():
    x = np.ones(2)
    first, second = cz.make_zero((x, x))
    assert first is second


def test_shadow_of_a_broadcast_array_is_broadcast():
    zero = cz.make_zero(np.broadcast_to(1.0, (3,)))
    assert (zero.shape, zero.strides) == ((3,), (0,))
    zero[0] = 2.0
    assert zero.tolist() == [2.0, 2.0, 2.0]


def test_shadow_is_cleared_in_place():
    shadow = {"a": np.ones(2), "n": np.array([1]), "c": 2.0, "t": (np.ones(1),), "l": [1.0]}
    cz.make_zero_into(shadow)
    assert not shadow["a"].any()
    assert not shadow["t"][0].any()
    assert (shadow["c"], shadow["l"], shadow["n"][0]) == (0.0, [0.0], 1)


@pytest.mark.parametrize("value", [1.0, (1.0,)])
def test_number_that_cannot_be_replaced_is_refused(value):
    with pytest.raises(ActivityError, match="in place"):
        cz.make_zero_into(value)


def test_read_only_shadow_cannot_be_cleared():
    dx = np.ones(2)
    dx.flags.writeable = False
    with pytest.raises(ShadowError, match="read-only"):
        cz.make_zero_into(dx)


def test_make_zero_works_in_compiled_code():
    @nb.njit
    def made(x):
        return cz.make_zero(x)

    x = np.asfortranarray(np.ones((2, 3)))
    assert made(x).flags.f_contiguous
    assert made(2.0) == 0.0


class Sequence(list):
    pass


def test_subclasses_of_lists_stay_what_they_are():
    found = cz.make_zero(Sequence([1.0, np.ones(2)]))
    assert type(found) is Sequence
    assert (found[0], found[1].tolist()) == (0.0, [0.0, 0.0])
