"""Trees as vectors: no copies where none are needed, names, and the way back."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, UnsupportedIRError

Pair = namedtuple("Pair", "slope x")


class Node:
    def __init__(self) -> None:
        self.w, self.me, self.rate = np.ones((2, 3)), self, 0.5


def tree():
    return {"encoder": {"bias": np.arange(3.0), "n": 3}, "layers": [Pair(2.0, np.ones(2)), "text"]}


def test_numbers_come_in_the_order_of_the_tree():
    vector, unflatten = cz.trees.flatten(tree())
    assert vector.tolist() == [0.0, 1.0, 2.0, 2.0, 1.0, 1.0]
    back = unflatten(10.0 * vector)
    assert back["encoder"]["bias"].tolist() == [0.0, 10.0, 20.0]
    assert (back["encoder"]["n"], back["layers"][1]) == (3, "text")
    assert isinstance(back["layers"][0], Pair)
    assert back["layers"][0].slope == 20.0


def test_parts_are_read_and_written_by_name():
    vector, _ = cz.trees.flatten(tree())
    bias = vector["encoder"]["bias"]
    bias[1] = 7.0
    assert vector[1] == 7.0
    vector["layers"][0]["slope"] = 5.0
    assert (vector[3], float(vector["layers"][0]["slope"])) == (5.0, 5.0)
    vector["encoder"]["bias"] = 1.0
    assert vector.tolist() == [1.0, 1.0, 1.0, 5.0, 1.0, 1.0]
    with pytest.raises(KeyError, match="decoder"):
        vector["decoder"]
    with pytest.raises(ActivityError, match="parts"):
        vector["encoder"] = 0.0
    assert type(vector + 1.0) is np.ndarray
    assert type(vector[1:]) is np.ndarray
    assert vector.sum() == 10.0


def test_trees_of_views_are_not_copied():
    vector, unflatten = cz.trees.flatten({"a": np.ones((2, 2)), "b": [np.zeros(3)]})
    model = unflatten(vector)
    assert np.shares_memory(model["a"], vector)
    again, _ = cz.trees.flatten(model)
    assert np.shares_memory(again, vector)
    again[0] = 9.0
    assert model["a"][0, 0] == 9.0
    gradient = cz.grad(lambda m: (m["a"] * m["a"]).sum() + 2.0 * m["b"][0].sum())(model)
    flat, _ = cz.trees.flatten(gradient)
    assert np.shares_memory(flat, gradient["a"])
    assert flat.tolist() == [18.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    copied, _ = cz.trees.flatten({"b": model["b"], "a": model["a"]})
    assert not np.shares_memory(copied, vector)


def test_what_is_shared_comes_once_and_circles_close():
    x = np.ones(2)
    vector, unflatten = cz.trees.flatten([x, (x, 3.0)])
    assert vector.tolist() == [1.0, 1.0, 3.0]
    back = unflatten(vector)
    assert back[0] is back[1][0]
    vector, unflatten = cz.trees.flatten(Node())
    assert vector.size == 7
    back = unflatten(vector)
    assert back.me is back
    assert np.shares_memory(back.w, vector)


def test_orders_and_dtypes_are_kept():
    tree = [np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.float32(2), np.ones(2, np.complex64)]
    vector, unflatten = cz.trees.flatten(tree)
    assert vector.dtype == np.complex128
    back = unflatten(vector)
    np.testing.assert_array_equal(back[0], tree[0])
    assert back[0].flags.f_contiguous
    assert (type(back[1]), back[2].dtype) == (np.float32, np.complex64)
    one = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    vector, unflatten = cz.trees.flatten(one)
    assert np.shares_memory(vector, one)
    np.testing.assert_array_equal(unflatten(vector), one)
    assert cz.trees.flatten(2.5)[1](np.array([4.0])) == 4.0


def test_masked_arrays_have_places_in_the_vector():
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    vector, unflatten = cz.trees.flatten({"m": masked})
    back = unflatten(3.0 * np.asarray(vector))
    assert back["m"].data.tolist() == [3.0, 6.0]
    assert back["m"].mask.tolist() == [True, False]


def test_wrong_lengths_and_records_are_refused():
    _, unflatten = cz.trees.flatten(tree())
    with pytest.raises(ActivityError, match="6 numbers"):
        unflatten(np.zeros(5))
    with pytest.raises(UnsupportedIRError, match="records"):
        cz.trees.flatten({"r": np.zeros(2, [("a", "f8")])})
