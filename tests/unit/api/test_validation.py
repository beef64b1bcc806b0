"""Shadows are checked in Python before compiled code sees them."""

from __future__ import annotations

from collections import namedtuple

import numba as nb
import numpy as np
import pytest

from coenzyme.api.validation import check_shadows, lie_alike, share_memory
from coenzyme.errors import ActivityError, ShadowError
from coenzyme.frontends.program import Mode

Pair = namedtuple("Pair", "left right")


@nb.njit
def f(x, y):
    return x[0] * y[0]


def check(primals, shadows, mode=Mode.REVERSE):
    return check_shadows(f, primals, list(enumerate(shadows)), mode)


X = np.arange(6.0)


@pytest.mark.parametrize(
    ("primal", "shadow", "words"),
    [
        pytest.param(X, np.zeros(5), "shape", id="shape"),
        pytest.param(X, np.zeros(6, np.float32), "dtype float32", id="dtype"),
        pytest.param(X, np.zeros(12)[::2], "strides", id="strides"),
        pytest.param(X.reshape(2, 3), np.zeros((2, 3), order="F"), "strides", id="order"),
        pytest.param(X, np.zeros((6, 1)), "shape", id="rank"),
        pytest.param(X, [0.0] * 6, "list", id="list"),
        pytest.param(X, 0.0, "float", id="number"),
        pytest.param(2.0, X, "tangent is a ndarray", id="array for a number"),
        pytest.param(2.0, "1", "tangent is a str", id="string for a number"),
        pytest.param((X, 1.0), (X.copy(),), "tuple of 2", id="tuple too short"),
        pytest.param((X, 1.0), X.copy(), "tuple of 2", id="no tuple"),
    ],
)
def test_shadow_unlike_its_primal_is_refused_by_name(primal, shadow, words):
    with pytest.raises(ShadowError, match=words) as caught:
        check([primal, X.copy()], [shadow])
    assert (caught.value.function, caught.value.argument) == ("f", "x")
    assert caught.value.remedy


def test_shadow_that_cannot_be_written_is_refused():
    shadow = np.zeros(6)
    shadow.flags.writeable = False
    with pytest.raises(ShadowError, match="read-only"):
        check([X, X], [shadow])


def test_tangent_of_a_read_only_array_may_be_read_only():
    x, tangent = X.copy(), np.ones(6)
    x.flags.writeable = tangent.flags.writeable = False
    assert check([x, X], [tangent], Mode.FORWARD)[0] is tangent


def test_integer_array_is_refused_as_such_whatever_its_shadow():
    with pytest.raises(ActivityError, match="int64 has no derivative") as caught:
        check([np.arange(3), X], [np.zeros(3)])
    assert "Const" in caught.value.remedy


@pytest.mark.parametrize("shape", [(0,), (1, 3), (3, 1)])
def test_strides_without_effect_are_not_compared(shape):
    primal = (
        np.zeros((4, 4))[: shape[0], : shape[1]] if len(shape) == 2 and shape[0] == 1 else np.zeros(shape)
    )
    shadow = np.zeros(shape)
    assert check([primal, X], [shadow])[0] is shadow


def test_shadow_in_the_memory_of_its_primal_is_refused():
    x = np.zeros(6)
    with pytest.raises(ShadowError, match="shares memory with argument 'x'"):
        check([x, X], [x])


def test_shadow_in_the_memory_of_a_constant_is_refused():
    y = np.zeros(6)
    with pytest.raises(ShadowError, match="shares memory with argument 'y'"):
        check([X, y], [y])


def test_interleaved_shadow_shares_no_byte_and_is_accepted():
    both = np.zeros((6, 2))
    x, dx = both[:, 0], both[:, 1]
    assert check([x, X], [dx])[0] is dx


def test_two_arrays_cannot_have_one_shadow():
    shadow = np.zeros(6)
    with pytest.raises(ShadowError, match="also that of argument 'x'") as caught:
        check([X, X.copy()], [shadow, shadow])
    assert caught.value.argument == "y"


def test_one_array_passed_twice_may_have_one_shadow():
    shadow = np.zeros(6)
    assert all(s is shadow for s in check([X, X], [shadow, shadow]))


def test_overlapping_slices_need_shadows_that_overlap_alike():
    x, dx = np.zeros(6), np.zeros(6)
    check([x[1:], x[:-1]], [dx[1:], dx[:-1]])
    with pytest.raises(ShadowError):
        check([x[1:], x[:-1]], [dx[:-1], dx[1:]])


def test_tangents_of_numbers_take_the_type_of_the_primal():
    tangent, other = check([2.0, np.float32(3)], [1, 2.0], Mode.FORWARD)
    assert type(tangent) is float
    assert type(other) is np.float32


def test_tuples_are_checked_part_by_part():
    primal, shadow = Pair(X, 1.0), Pair(np.zeros(6), 1)
    (found,) = check([primal, X.copy()], [shadow], Mode.FORWARD)
    assert isinstance(found, Pair)
    assert found.left is shadow.left
    assert found.right == 1.0
    with pytest.raises(ShadowError, match="shape"):
        check([primal, X.copy()], [Pair(np.zeros(5), 1.0)], Mode.FORWARD)


def test_memory_is_shared_where_a_byte_is():
    x = np.zeros(6)
    assert share_memory(x[:3], x[2:])
    assert not share_memory(x[:3], x[3:])
    assert not share_memory(x[::2], x[1::2])


def test_shadows_lie_alike_at_equal_offsets():
    x, dx = np.zeros(6), np.zeros(6)
    assert lie_alike(x[:4], x[1:], dx[:4], dx[1:])
    assert not lie_alike(x[:4], x[1:], dx[:4], dx[2:])
