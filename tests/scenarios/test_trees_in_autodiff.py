"""Annotated structured arguments: one call, several directions, and split mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, ShadowError, TapeError
from tests.scenarios.objects import chain, chain_total, make_tree, tree_total


@dataclass
class Model:
    w: Any
    rate: float
    pair: Any
    n: int


X = np.array([1.0, 2.0])


def make() -> Model:
    return Model(X, 3.0, (2.0, {"b": X}), 4)


def evaluate(m):
    return (m.w * m.pair[1]["b"]).sum() * m.rate * m.pair[0] * m.n


def check(shadow: Model, times: float = 1.0) -> None:
    np.testing.assert_allclose(shadow.w, times * 48 * X)
    assert shadow.pair[1]["b"] is shadow.w
    assert (shadow.rate, shadow.pair[0], shadow.n) == (times * 40.0, times * 60.0, 4)


def test_reverse_mode_adds_to_the_shadow_of_a_model():
    model = make()
    shadow = cz.make_zero(model)
    assert cz.autodiff(cz.ReverseWithPrimal, evaluate, cz.Duplicated(model, shadow)) == ((None,), 120.0)
    check(shadow)
    cz.autodiff(cz.Reverse, evaluate, cz.Duplicated(model, shadow))
    check(shadow, 2.0)
    cz.make_zero_into(shadow.__dict__ | {"pair": [shadow.pair[1]]})
    assert not shadow.w.any()


def test_forward_mode_reads_the_shadow_of_a_model():
    model = make()
    tangent = cz.make_zero(model)
    tangent.rate, tangent.w[0] = 1.0, 1.0
    assert cz.autodiff(cz.Forward, evaluate, cz.Duplicated(model, tangent)) == 88.0


def test_several_directions_of_a_model():
    model = make()
    shadows = cz.make_zero(model), cz.make_zero(model)
    cz.autodiff(cz.Reverse, evaluate, cz.BatchDuplicated(model, shadows))
    for shadow in shadows:
        check(shadow)
    shadows[0].w[:], shadows[1].w[:] = 0.0, 0.0
    shadows[0].rate, shadows[1].rate = 1.0, 10.0
    for shadow in shadows:
        shadow.pair = (0.0, shadow.pair[1])
    assert cz.autodiff(cz.Forward, evaluate, cz.BatchDuplicated(model, shadows)) == (40.0, 400.0)


def test_halves_of_a_model():
    model = make()
    shadow = cz.make_zero(model)
    forward, reverse = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, evaluate, cz.Active, cz.Duplicated)
    tape, value, _ = forward(cz.Duplicated(model, shadow))
    assert value == 120.0
    with pytest.raises(TapeError, match="another structure"):
        reverse(cz.Duplicated(Model(X.copy(), 3.0, (2.0, {"b": X}), 4), shadow), 1.0, tape)
    assert reverse(cz.Duplicated(model, shadow), 2.0, tape) == (None,)
    check(shadow, 2.0)
    with pytest.raises(TapeError, match="used"):
        reverse(cz.Duplicated(model, shadow), 2.0, tape)


def test_two_results_of_a_dictionary_are_seeded_apart_in_split_mode():
    model = {"x": 3.1}
    shadow = cz.make_zero(model)
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitWithPrimal, lambda d: (d["x"] ** 2, d["x"] ** 3), cz.Active, cz.Duplicated
    )
    tape, _, _ = forward(cz.Duplicated(model, shadow))
    reverse(cz.Duplicated(model, shadow), (2.7, 0.2), tape)
    assert shadow["x"] == pytest.approx(22.506, rel=1e-12)


def test_numbers_of_structures_that_are_returned():
    model = make()
    ((found,),) = [cz.autodiff(cz.Reverse, evaluate, cz.MixedDuplicated(model, cz.make_zero(model)))]
    check(found)
    assert cz.autodiff(cz.Reverse, lambda d: d["a"] * d["b"][0], cz.Active({"a": 2.0, "b": [3.0]})) == (
        {"a": 3.0, "b": [2.0]},
    )


def test_overlapping_and_broadcast_arrays_in_annotated_calls():
    base = np.arange(1.0, 6.0)
    views = [base[:3], base[2:4], base]

    def f(m):
        return (m[0] * m[0]).sum() + m[1][0] * m[1][1] * m[2].sum()

    expected = cz.grad(lambda x: (x[:3] * x[:3]).sum() + x[2] * x[3] * x.sum())(base)
    shadow = cz.make_zero(views)
    cz.autodiff(cz.Reverse, f, cz.Duplicated(views, shadow))
    np.testing.assert_allclose(shadow[2], expected)
    np.testing.assert_allclose(shadow[1], expected[2:4])
    shadow = cz.make_zero(views)
    forward, reverse = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, f, cz.Active, cz.Duplicated)
    tape, _, _ = forward(cz.Duplicated(views, shadow))
    reverse(cz.Duplicated(views, shadow), 1.0, tape)
    np.testing.assert_allclose(shadow[2], expected)
    same = np.broadcast_to(np.array(2.0), (3,))
    sums = cz.make_zero(same)
    cz.autodiff(cz.Reverse, lambda x: (x * x).sum(), cz.Duplicated(same, sums))
    np.testing.assert_allclose(sums, 12.0)
    sums[0] = 1.0
    assert cz.autodiff(cz.Forward, lambda x: (x * x).sum(), cz.Duplicated(same, sums)) == 12.0


def test_shadows_of_another_structure_are_refused():
    model = make()
    other = cz.make_zero(model)
    other.pair = (0.0, {"b": np.zeros(2)})
    with pytest.raises(ShadowError, match="several shadows"):
        cz.autodiff(cz.Reverse, evaluate, cz.Duplicated(model, other))
    other.pair = (0.0, {"c": np.zeros(2)})
    with pytest.raises(ShadowError, match="the primal is a dict with"):
        cz.autodiff(cz.Reverse, evaluate, cz.Duplicated(model, other))
    with pytest.raises(ShadowError, match="of the primal"):
        cz.autodiff(cz.Reverse, evaluate, cz.Duplicated(model, model))
    with pytest.raises(ActivityError, match="by value"):
        cz.autodiff(
            cz.Reverse, lambda t: t[0] * t[1]["b"][0], cz.Duplicated((1.0, {"b": X}), (0.0, {"b": X}))
        )


def test_constant_models_are_read():
    dx = np.zeros(2)
    cz.autodiff(cz.Reverse, lambda x, m: (x * m.w).sum(), cz.Duplicated(X.copy(), dx), cz.Const(make()))
    np.testing.assert_allclose(dx, X)


# -- linked structures: instances of jitclasses


@pytest.mark.slow
def test_halves_of_a_linked_list():
    x = np.array([1.1, 0.7, 0.3])
    head = chain(x)
    shadow = cz.make_zero(head)
    forward, reverse = cz.autodiff_thunk(cz.ReverseSplitWithPrimal, chain_total, cz.Active, cz.Duplicated)
    tape, value, _ = forward(cz.Duplicated(head, shadow))
    assert value == pytest.approx(chain_total(head))
    reverse(cz.Duplicated(head, shadow), 2.0, tape)
    found = []
    while shadow is not None:
        found.append(shadow.data)
        shadow = shadow.next
    np.testing.assert_allclose(found[::-1], slopes(lambda y: 2.0 * chain_total(chain(y)), x), rtol=1e-7)


@pytest.mark.slow
def test_halves_of_a_binary_tree():
    x = np.array([1.1, 0.7, 0.3, 1.9])
    tree = make_tree(x)
    shadow = cz.make_zero(tree)
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitWithPrimal, tree_total, cz.Active, cz.Duplicated, cz.Const
    )
    tape, value, _ = forward(cz.Duplicated(tree, shadow), cz.Const(1))
    assert value == pytest.approx(tree_total(tree, 1))
    reverse(cz.Duplicated(tree, shadow), cz.Const(1), 2.0, tape)
    expected = dict(zip(x, slopes(lambda y: 2.0 * tree_total(make_tree(y), 1), x), strict=True))
    pending, seen = [(tree, shadow)], 0
    while pending:
        node, dual = pending.pop()
        if node is not None:
            assert dual.key == pytest.approx(expected[node.key], rel=1e-7)
            pending += [(node.left, dual.left), (node.right, dual.right)]
            seen += 1
    assert seen == x.size


def slopes(f: Any, x: Any) -> Any:
    """Return the gradient by central differences."""
    step = 1e-6
    return np.array([(f(x + e) - f(x - e)) / (2 * step) for e in step * np.eye(x.size)])
