"""Shadows made in compiled code have the layout of their primals, and nothing leaks."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest
from numba.core import types

import coenzyme as cz
from coenzyme.api.copying import copy_into
from coenzyme.api.memory import (
    any_overlap,
    as_type,
    copy_like,
    mirrors,
    overlap,
    same_layout,
    same_shape,
    zero_like,
)
from coenzyme.errors import ActivityError, ShadowError

CUBE = np.arange(24.0).reshape(2, 3, 4)

LAYOUTS = [
    pytest.param(CUBE, id="C"),
    pytest.param(np.asfortranarray(CUBE), id="F"),
    pytest.param(CUBE.transpose(1, 0, 2), id="permuted"),
    pytest.param(CUBE[:, ::-2, 1:], id="reversed slice"),
    pytest.param(np.arange(6.0)[::-1], id="reversed"),
    pytest.param(np.array(3.0), id="no dimension"),
    pytest.param(np.zeros((0, 3)), id="empty"),
    pytest.param(np.zeros((4, 0))[::2], id="empty slice"),
    pytest.param(np.arange(3, dtype=np.float32), id="float32"),
    pytest.param(CUBE[:1, :, :1], id="length one"),
]


@nb.njit
def zeros(x):
    return zero_like(x)


@nb.njit
def meet(x, y):
    return overlap(x, y)


@nb.njit
def laid_out_alike(x, y):
    return same_layout(x, y)


@nb.njit
def shaped_alike(x, y):
    return same_shape(x, y)


@nb.njit
def alike(x, y, dx, dy):
    return mirrors(x, y, dx, dy)


@nb.njit
def copy(x):
    return copy_like(x)


@pytest.mark.parametrize("x", LAYOUTS)
def test_zeros_have_shape_dtype_and_strides_of_the_primal(x):
    found = zeros(x)
    assert (found.shape, found.dtype) == (x.shape, x.dtype)
    if x.size:
        assert found.strides == x.strides
    assert not found.any()
    found[...] = 1.0
    assert found.sum() == x.size


@pytest.mark.parametrize("x", LAYOUTS)
def test_copy_has_values_and_strides_and_memory_of_its_own(x):
    found = copy(x)
    np.testing.assert_array_equal(found, x)
    if x.size:
        assert found.strides == x.strides
    assert not np.shares_memory(found, x)


def test_shadow_of_a_read_only_array_can_be_written():
    x = np.ones(3)
    x.flags.writeable = False
    assert zeros(x).flags.writeable


def test_zero_of_a_number_has_its_type():
    assert zeros(3.0) == 0.0
    assert zeros(np.float32(3)) == 0.0


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(np.broadcast_to(1.0, (3,)), id="broadcast"),
        pytest.param(np.lib.stride_tricks.sliding_window_view(np.arange(5.0), 3), id="windows"),
    ],
)
def test_array_that_visits_memory_twice_has_no_shadow(x):
    with pytest.raises(ActivityError, match="same memory at several indices"):
        zeros(x)


def test_arrays_with_a_byte_in_common_overlap():
    x = np.zeros(10)
    assert meet(x[:5], x[4:])
    assert not meet(x[:5], x[5:])
    assert not meet(x[::2], x[1::2])
    assert meet(x[::2], x[1::3])
    assert meet(x[::-1], x[:1])
    assert not meet(x[:0], x)


def test_layout_is_compared_where_it_counts():
    same = laid_out_alike
    x = np.zeros((3, 4))
    assert same(x, np.zeros((3, 4)))
    assert not same(x, np.zeros((4, 4)))
    assert not same(x, np.asfortranarray(x))
    assert same(x[:, :1], np.zeros((3, 4))[:, :1])
    assert not same(x[:, :1], np.zeros((3, 1)))
    assert same(x[:1, :1], np.zeros((1, 1)))
    assert same(x[:0], np.zeros((0, 4), order="F"))


def test_shapes_are_compared_without_strides():
    same = shaped_alike
    assert same(np.zeros((3, 4)), np.zeros((3, 4), order="F"))
    assert not same(np.zeros(3), np.zeros(4))
    assert same(1.0, 2.0)


def test_mirrors_compares_offsets():
    x, dx = np.zeros(6), np.zeros(6)
    assert alike(x, x[2:], dx, dx[2:])
    assert not alike(x, x[2:], dx, dx[1:])


def test_array_of_other_rank_is_no_shadow():
    kind = types.float64[:, ::1]
    with pytest.raises(ShadowError, match="stands for the shadow"):
        nb.njit(lambda x: as_type(x, kind))(np.zeros(3))


def test_number_is_cast_to_the_type_of_its_primal():
    kind = types.float32
    assert nb.njit(lambda x: as_type(x, kind))(0.1) == np.float32(0.1)


@pytest.mark.parametrize(
    "source",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24.0).reshape(4, 6)[::-2, ::2],
        np.zeros((0, 3)),
        np.array(2.0),
        np.arange(3.0) + 1j,
        np.arange(4, dtype=np.float32),
    ],
    ids=["C", "F", "strided", "empty", "scalar", "complex", "single"],
)
def test_a_copy_has_every_element_whatever_the_layouts(source):
    @nb.njit
    def run(target, source):
        copy_into(target, source)

    for target in (np.full(source.shape, 9, source.dtype), np.full(source.T.shape, 9, source.dtype).T):
        run(target, source)
        assert np.array_equal(target, source)


def test_a_copy_into_read_only_memory_is_refused():
    out = np.zeros(2)
    out.flags.writeable = False
    with pytest.raises(cz.errors.CoenzymeError):
        cz.hvp_into(out, lambda x: (x**3).sum(), np.ones(2), np.ones(2))


@nb.njit
def some_meet(x, y, z):
    return any_overlap((x,), (y, z))


def test_overlap_is_found_among_many_arrays():
    memory = np.arange(40.0)
    a, b, c = memory[:10], memory[10:20], memory[20:30]
    assert not some_meet(a, b, c)
    assert some_meet(a, b, memory[15:25])
    assert some_meet(a, memory[9:11], c)
    assert some_meet(c, a, memory[29:])
    assert not some_meet(a[:0], memory, c[:0])
    assert not some_meet(memory[::-1][:10], b[::-1], a[::2])
    assert some_meet(memory[::4], b[::-1][:0], c)


def test_two_arrays_that_are_only_read_may_overlap():
    @nb.njit
    def between(x, y, z):
        return any_overlap((x, y), (z,))

    memory = np.arange(10.0)
    assert not between(memory[:6], memory[4:], np.zeros(3))
    assert between(memory[:6], memory[4:], memory[9:])


def view_of(memory, rng):
    """Return a random view of one or two dimensions, of steps of any size and sign."""
    start = rng.integers(0, 60)
    part = memory[start : start + rng.integers(40, 400)]
    if rng.integers(2):
        return part[:: int(rng.choice([1, 2, 3, -2, 5]))]
    columns = int(rng.integers(2, 12))
    table = part[: part.size // columns * columns].reshape(-1, columns)
    first, last = sorted(rng.integers(0, columns + 1, 2))
    table = table[:: int(rng.choice([1, 2, -1, 3])), first : last : int(rng.choice([1, 2]))]
    return table.T if rng.integers(2) else table


def test_what_is_said_not_to_overlap_shares_no_byte():
    rng = np.random.default_rng(5)
    memory = np.arange(1000.0)
    proven = missed = 0
    for _ in range(1500):
        x, y = view_of(memory, rng), view_of(memory, rng)
        said = meet(x, y)
        assert said or not np.shares_memory(x, y)
        if np.may_share_memory(x, y):
            proven += not said
            missed += said and not np.shares_memory(x, y)
        else:
            assert not said
    # Few are interleaved in a way that the test does not see.
    assert proven > 5 * missed > 0


def test_interleaved_arrays_do_not_overlap():
    memory = np.arange(100.0)
    matrix = memory.reshape(10, 10)
    records = np.zeros(9, [("a", "f8"), ("b", "f4"), ("c", "f8"), ("d", "f8", (2, 2))])
    assert not meet(matrix[:, :5], matrix[:, 5:])
    assert not meet(memory[::2], memory[1::2])
    assert not meet(memory[::-2], memory[:-1:2])
    assert not meet(records["a"], records["c"])
    assert not meet(records["c"], records["d"])
    assert not meet(records["b"], records["a"][::2])
    assert meet(matrix[:, :6], matrix[:, 5:])
    assert meet(memory[::2], memory[2::3])
    assert meet(records["d"], records["d"][:, 1])
    assert meet(memory[50:51], memory[::2])
    assert not meet(memory[51:52], memory[::2])
