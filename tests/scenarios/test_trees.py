"""Structured arguments of every kind: identity, sharing, circles, views, sparse and registered types."""

from __future__ import annotations

import sys
import types
import warnings
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any

import attrs
import numba as nb
import numpy as np
import pytest
import scipy.sparse as sp

import coenzyme as cz
from coenzyme.errors import CoenzymeError, CompilationError, ShadowError, UnsupportedIRError

Pair = namedtuple("Pair", "slope x")


@dataclass(frozen=True)
class Frozen:
    x: Any
    rate: float
    name: str = "frozen"
    steps: int = 3


@dataclass
class Slotted:
    __slots__ = ("rate", "x")
    x: Any
    rate: float


@attrs.define
class Attrs:
    x: Any
    rate: float
    _hidden: float = 2.0


class Plain:
    def __init__(self, x: Any, rate: float) -> None:
        self.x, self.rate = x, rate
        self.nothing, self.order = None, [1, 2]

    def method(self) -> int:
        return 3


def evaluate(model):
    return (model.x * model.x).sum() * model.rate


X = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    "model",
    [Frozen(X, 3.0), Slotted(X, 3.0), Attrs(X, 3.0), Plain(X, 3.0)],
    ids=lambda model: type(model).__name__,
)
def test_objects_of_every_sort_have_gradients_of_their_sort(model):
    value, gradient = cz.value_and_grad(evaluate)(model)
    assert value == 15.0
    assert type(gradient) is type(model)
    np.testing.assert_allclose(gradient.x, 6 * X)
    assert gradient.rate == 5.0
    direction = cz.make_zero(model)
    direction.x[1] = 1.0
    assert cz.jvp(evaluate, (model,), (direction,)) == (15.0, 12.0)
    value, pullback = cz.vjp(evaluate, model)
    (cotangent,) = pullback(2.0)
    np.testing.assert_allclose(cotangent.x, 12 * X)
    np.testing.assert_allclose(pullback(1.0)[0].x, 6 * X)


def test_what_is_no_number_is_the_same_object_in_the_gradient():
    model = Plain(X, 3.0)
    model.made_by, model.generator = str.upper, np.random.default_rng(0)
    gradient = cz.grad(evaluate)(model)
    for name in ("nothing", "made_by", "generator"):
        assert getattr(gradient, name) is getattr(model, name)
    assert gradient.order == [1, 2]


def test_what_compiled_code_cannot_see_is_named_where_it_is_used():
    model = Plain(X, 3.0)
    model.weights = {1: X}
    assert cz.grad(evaluate)(model).weights is model.weights
    with pytest.raises(CompilationError, match="keys that are not texts"):
        cz.grad(lambda m: m.weights[1].sum())(model)


# -- identity


def three_places(model):
    return (model["a"] * model["b"].x).sum() + model["c"][0][0] * model["b"].rate


def test_an_array_in_three_places_has_one_gradient():
    model = {"a": X, "b": Frozen(X, 3.0), "c": [X]}
    gradient = cz.grad(three_places)(model)
    assert gradient["a"] is gradient["b"].x
    assert gradient["a"] is gradient["c"][0]
    np.testing.assert_allclose(gradient["a"], 2 * X + [3.0, 0.0])
    assert gradient["b"].rate == 1.0
    (cotangent,) = cz.vjp(three_places, model)[1](1.0)
    assert cotangent["a"] is cotangent["c"][0]
    np.testing.assert_allclose(cotangent["a"], gradient["a"])
    direction = cz.make_zero(model)
    assert direction["a"] is direction["b"].x
    direction["a"][:] = [1.0, -1.0]
    np.testing.assert_allclose(cz.jvp(three_places, (model,), (direction,))[1], gradient["a"] @ [1.0, -1.0])


def test_a_plan_made_for_other_sharing_is_not_used():
    gradient = cz.grad(three_places)
    apart = {"a": X, "b": Frozen(X.copy(), 3.0), "c": [X.copy()]}
    found = gradient(apart)
    np.testing.assert_allclose(found["a"], X)
    shared = gradient({"a": X, "b": Frozen(X, 3.0), "c": [X]})
    np.testing.assert_allclose(shared["a"], 2 * X + [3.0, 0.0])
    again = gradient(apart)
    np.testing.assert_allclose(again["c"][0], [3.0, 0.0])
    assert again["a"] is not again["c"][0]


def test_two_tangents_of_one_array_are_refused():
    model = {"a": X, "b": Frozen(X, 3.0), "c": [X]}
    wrong = {"a": X, "b": Frozen(2 * X, 0.0), "c": [X]}
    with pytest.raises(ShadowError, match="in several places"):
        cz.jvp(three_places, (model,), (wrong,))


def test_an_object_in_two_places_has_one_gradient():
    layer = Plain(X, 3.0)
    gradient = cz.grad(lambda m: evaluate(m[0]) + 10.0 * evaluate(m[1]))
    with pytest.raises(CoenzymeError):  # a closure over a plain function is no compiled code
        gradient([layer, layer, 1j, set()])
    compiled = nb.njit(evaluate)
    found = cz.grad(lambda m: compiled(m[0]) + 10.0 * compiled(m[1]))([layer, layer])
    assert found[0] is found[1]
    assert found[0].rate == 55.0
    np.testing.assert_allclose(found[0].x, 66 * X)


class Peer:
    def __init__(self, v: float) -> None:
        self.v = v
        self.peer: Any = None
        self.friends: list[Any] = []


def circle():
    first, second = Peer(2.0), Peer(3.0)
    first.peer, second.peer = second, first
    first.friends.append(first)
    return first


def test_circles_come_back_as_circles():
    zero = cz.make_zero(circle())
    assert zero.peer.peer is zero
    assert zero.friends[0] is zero
    gradient = cz.grad(lambda p: p.v * p.v * p.peer.v)(circle())
    assert gradient.peer.peer is gradient
    assert gradient.friends[0] is gradient
    assert (gradient.v, gradient.peer.v) == (12.0, 4.0)


def test_code_that_follows_a_circle_is_refused_by_name():
    with pytest.raises(CoenzymeError, match=r"reference back to the Peer it is part of .*peer\.peer"):
        cz.grad(lambda p: p.peer.peer.v)(circle())


def test_shadows_of_long_chains_of_objects_need_no_recursion():
    head = Peer(0.0)
    for i in range(3000):
        link = Peer(float(i))
        link.peer, head = head, link
    zero = cz.make_zero(head)
    assert zero.peer.peer.v == 0.0
    with pytest.raises(UnsupportedIRError, match="chain"):
        cz.grad(lambda p: p.v)(head)


# -- views


def test_gradients_of_views_are_views_of_one_array():
    base = np.arange(6.0)
    gradient = cz.grad(lambda m: (m[0] * m[0]).sum() + 3.0 * m[1].sum())([base[:2], base[2:].reshape(2, 2)])
    assert gradient[0].base is gradient[1].base
    np.testing.assert_allclose(gradient[0], [0.0, 2.0])
    np.testing.assert_allclose(gradient[1], 3.0)


def overlapping(m):
    return (m[0] * m[0]).sum() + m[1][0] * m[1][1] * m[2].sum()


def overlapping_gradient(base):
    def flat(x):
        return (x[:3] * x[:3]).sum() + x[2] * x[3] * x.sum()

    return cz.grad(flat)(base)


def test_overlapping_views_add_up_in_one_buffer():
    base = np.arange(1.0, 6.0)
    model = [base[:3], base[2:4], base]
    expected = overlapping_gradient(base)
    for gradient in (cz.grad(overlapping)(model), cz.vjp(overlapping, model)[1](1.0)[0]):
        np.testing.assert_allclose(gradient[2], expected)
        np.testing.assert_allclose(gradient[0], expected[:3])
        np.testing.assert_allclose(gradient[1], expected[2:4])
        assert np.shares_memory(gradient[0], gradient[2])


def written(m):
    m[0][:] = m[0] * m[0]
    return m[1][0] * m[1][1] + m[0][1]


def test_overlapping_views_that_are_written_share_what_is_written():
    base = np.arange(1.0, 6.0)

    def flat(x):
        x[:3] = x[:3] * x[:3]
        return x[2] * x[3] + x[1]

    expected = cz.grad(flat)(base.copy())
    x = base.copy()
    gradient = cz.grad(written)([x[:3], x[2:4]])
    np.testing.assert_allclose(x, [1.0, 4.0, 9.0, 4.0, 5.0])
    np.testing.assert_allclose(gradient[0], expected[:3])
    np.testing.assert_allclose(gradient[1], expected[2:4])


def test_inputs_with_stride_zero_sum():
    model = {"x": np.broadcast_to(np.array(2.0), (3,)), "y": np.array([1.0, 2.0, 3.0])}

    def f(m):
        return (m["x"] * m["x"] * m["y"]).sum()

    for gradient in (cz.grad(f)(model), cz.vjp(f, model)[1](1.0)[0]):
        np.testing.assert_allclose(gradient["x"], 24.0)
        assert gradient["x"].strides == (0,)
        np.testing.assert_allclose(gradient["y"], 4.0)
    alone = cz.grad(lambda x: (x * x).sum())(np.broadcast_to([1.0, 2.0], (3, 2)))
    np.testing.assert_allclose(alone, [[6.0, 12.0]] * 3)
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(4.0), 2)
    np.testing.assert_allclose(cz.grad(lambda w: w.sum())(windows), [[1, 2], [2, 2], [2, 1]])


# -- NumPy's and SciPy's


FORMATS = [f"{name}_{sort}" for name in ("csr", "csc", "coo", "dia", "bsr") for sort in ("array", "matrix")]
SLOW = [name for name in FORMATS if name not in ("csr_array", "coo_matrix")]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in FORMATS]
)
def test_what_a_sparse_array_stores_is_differentiated(name):
    dense = np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 3.0, 0.0, 4.0]])
    matrix = getattr(sp, name)(dense)

    def f(m):
        return (m["A"].data * m["A"].data).sum() * m["A"].shape[0]

    gradient = cz.grad(f)({"A": matrix})["A"]
    assert type(gradient) is type(matrix)
    np.testing.assert_allclose(gradient.toarray(), 4 * dense)
    np.testing.assert_allclose(matrix.toarray(), dense)
    assert not cz.make_zero(matrix).toarray().any()


def test_product_with_a_compressed_matrix():
    def quadratic(A, x):
        total = 0.0
        for i in range(A.shape[0]):
            for k in range(A.indptr[i], A.indptr[i + 1]):
                total += A.data[k] * x[A.indices[k]] * x[i]
        return total

    A = sp.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))
    x = np.array([0.5, 2.0])
    in_A, in_x = cz.grad(quadratic, argnums=(0, 1))(A, x)
    np.testing.assert_allclose(in_A.toarray(), np.outer(x, x) * (A.toarray() != 0))
    np.testing.assert_allclose(in_x, (A + A.T) @ x)


def test_masked_arrays_and_matrices_keep_their_types():
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])

    def f(m):
        return (m.data * m.data)[~m.mask].sum()

    gradient = cz.grad(f)(masked)
    assert isinstance(gradient, np.ma.MaskedArray)
    np.testing.assert_array_equal(gradient.mask, masked.mask)
    np.testing.assert_allclose(gradient.data, [2.0, 0.0, 6.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        found = cz.grad(lambda m: (m * m).sum())(np.matrix([[1.0, 2.0]]))
    assert isinstance(found, np.matrix)
    np.testing.assert_allclose(np.asarray(found), [[2.0, 4.0]])


def test_records_have_gradients_in_records():
    records = np.array([(1.0, 2), (3.0, 4)], dtype=np.dtype([("a", "f8"), ("n", "i8")], align=True))

    def f(m):
        total = 0.0
        for i in range(m["r"].size):
            total += m["r"][i]["a"] ** 2 * m["r"][i]["n"] * m["s"]
        return total

    value, gradient = cz.value_and_grad(f)({"r": records, "s": 2.0})
    assert value == 76.0
    np.testing.assert_allclose(gradient["r"]["a"], [8.0, 48.0])
    assert gradient["r"]["n"].tolist() == [2, 4]
    assert gradient["s"] == 38.0


# -- registered types


class Line:
    def __init__(self, slope: Any, x: Any, label: str) -> None:
        self._numbers, self.label = (slope, x), label


def test_registered_types():
    cz.trees.register(
        Line,
        lambda line: ({"slope": line._numbers[0], "x": line._numbers[1]}, line.label),
        lambda label, parts: Line(parts["slope"], parts["x"], label),
    )
    gradient = cz.grad(lambda line: line.slope * line.x.sum())(Line(2.0, X, "a"))
    assert (gradient._numbers[0], gradient.label) == (3.0, "a")
    np.testing.assert_allclose(gradient._numbers[1], 2.0)
    assert cz.make_zero(Line(2.0, X, "a"))._numbers[0] == 0.0


def test_types_registered_with_optree_are_honoured():
    optree = pytest.importorskip("optree")

    class Spring:
        def __init__(self, stiffness: float, length: float) -> None:
            self.stiffness, self.length = stiffness, length

    optree.register_pytree_node(
        Spring,
        lambda s: ((s.stiffness,), s.length),
        lambda length, parts: Spring(*parts, length),
        namespace=vars(optree.registry)["__GLOBAL_NAMESPACE"],
    )
    gradient = cz.grad(lambda s: s.stiffness * s.length**2)(Spring(2.0, 3.0))
    assert (gradient.stiffness, gradient.length) == (9.0, 3.0)


@pytest.mark.parametrize("module", ["jax.tree_util", "torch.utils._pytree"])
def test_types_registered_with_other_libraries_are_honoured(module, monkeypatch):
    class Spring:
        def __init__(self, stiffness: float, length: float) -> None:
            self.stiffness, self.length = stiffness, length

    def tree_flatten(x, is_leaf):
        assert is_leaf(1)
        assert not is_leaf(x)
        return ([x.stiffness], x.length) if isinstance(x, Spring) else ([x], None)

    library = types.ModuleType(module)
    library.tree_flatten = tree_flatten
    if module.startswith("jax"):
        library.tree_unflatten = lambda rest, parts: Spring(*parts, rest)
    else:
        library.tree_unflatten = lambda parts, rest: Spring(*parts, rest)
    monkeypatch.setitem(sys.modules, module, library)
    gradient = cz.grad(lambda s: s.stiffness * s.length**2)(Spring(2.0, 3.0))
    assert (gradient.stiffness, gradient.length) == (9.0, 3.0)


@dataclass
class Deep:
    parts: dict[str, Any] = field(default_factory=dict)


def test_nesting_of_everything():
    model = Deep({"a": [Pair(2.0, X), (Slotted(X * 2, 1.0), None)], "s": sp.csr_array(np.eye(2))})

    def f(m):
        a = m.parts["a"]
        return a[0].slope * a[0].x.sum() + a[1][0].x[1] * a[1][0].rate + m.parts["s"].data[1] ** 2

    gradient = cz.grad(f)(model)
    assert gradient.parts["a"][0].slope == 3.0
    np.testing.assert_allclose(gradient.parts["a"][0].x, 2.0)
    np.testing.assert_allclose(gradient.parts["a"][1][0].x, [0.0, 1.0])
    assert gradient.parts["a"][1][0].rate == 4.0
    assert gradient.parts["a"][1][1] is None
    np.testing.assert_allclose(gradient.parts["s"].toarray(), [[0.0, 0.0], [0.0, 2.0]])


def test_arrays_that_are_part_of_constants_too():
    def f(m, d):
        return (m["a"] * d["a"]).sum()

    for _ in range(2):
        np.testing.assert_allclose(cz.grad(f)({"a": X}, {"a": X})["a"], X)
    both = cz.grad(f, argnums=(0, 1))({"a": X}, {"a": X})
    assert both[0]["a"] is both[1]["a"]
    np.testing.assert_allclose(both[0]["a"], 2 * X)


def test_integers_and_floats_in_turns():
    gradient = cz.grad(lambda m: m["a"][0] * m["b"][0])
    for _ in range(2):
        for b in (np.array([3]), np.array([3.0])):
            found = gradient({"a": X, "b": b})
            np.testing.assert_allclose(found["a"], [3.0, 0.0])
            np.testing.assert_allclose(found["b"], [1.0] if b.dtype == float else [3])


def test_fields_that_appear_later_are_seen():
    model = Plain(X, 3.0)
    gradient = cz.grad(lambda m: m.x[0] * m.rate)
    assert not hasattr(gradient(model), "late")
    model.late = 2.0
    assert gradient(model).late == 0.0


def test_constant_objects_that_active_values_are_written_into():
    def f(w, s):
        s.rate = w[0] * w[0]
        return s.rate * w[1]

    state = Plain(X, 0.0)
    np.testing.assert_allclose(cz.grad(f)(np.array([3.0, 4.0]), state), [24.0, 9.0])
    assert state.rate == 9.0


def test_typed_containers_and_instances_inside():
    items = nb.typed.List([1.0, 2.0])
    gradient = cz.grad(lambda m: m["l"][0] * m["l"][1] * m["k"])({"l": items, "k": 3.0})
    assert (list(gradient["l"]), gradient["k"]) == ([6.0, 3.0], 2.0)
