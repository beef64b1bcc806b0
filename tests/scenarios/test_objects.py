"""Instances of jitclasses and StructRefs: inside functions, as arguments, and where they are refused."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, CoenzymeError, ShadowError, UnsupportedIRError
from coenzyme.testing import check_derivatives
from tests.scenarios.objects import (
    LOCAL,
    Node,
    Peer,
    X,
    cell_in_loop,
    chain,
    chain_total,
    circle,
    make_body,
    make_cell,
    make_tree,
    mixed_numbers,
    move,
    pair_of_bodies,
    peers,
    replaced,
    run_cell,
    tree_of_numbers,
    tree_total,
)

QUICK = (tree_of_numbers,)
Y = np.array([1.1, 0.7, 0.3])


def later(functions, quick=QUICK):
    """Return parameters, those that are not representative for the long run."""
    return [pytest.param(f, id=f.__name__, marks=[] if f in quick else pytest.mark.slow) for f in functions]


# -- made inside


@pytest.mark.parametrize("function", later(LOCAL))
def test_instances_made_inside_are_differentiated(function):
    check_derivatives(function, X)


@pytest.mark.parametrize("function", later(LOCAL, quick=(pair_of_bodies,)))
def test_second_derivatives_through_instances(function):
    step = 1e-6
    gradient = cz.grad(function)
    expected = (gradient(X + step * X[::-1]) - gradient(X - step * X[::-1])) / (2 * step)
    np.testing.assert_allclose(cz.hvp(function, X, X[::-1].copy()), expected, rtol=1e-6)


@pytest.mark.slow
def test_fields_of_several_precisions():
    def in_double_precision(x):
        real = 0.1 * x[0]
        small, wave = real * real, complex(real, 1.0)
        for i in range(3):
            wave = wave * complex(0.1 * x[i], real)
            small = small + 0.1 * x[i]
            real = real + small * wave.imag
        return real + wave.real * 2.0 + small

    expected = cz.grad(in_double_precision)(X)
    np.testing.assert_allclose(cz.grad(mixed_numbers)(X), expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(cz.jvp(mixed_numbers, (X,), (X,))[1], expected @ X, rtol=1e-6)


def test_classes_compile_for_numba_after_they_were_differentiated():
    @nb.njit
    def later_method(x):
        body = make_body(x)
        body.step(x[1])
        return body.twice + body[1]

    cz.grad(later_method)(X)
    assert later_method(X) == pytest.approx(later_method.py_func(X))


# -- arguments


@nb.njit
def moved(x):
    return move(make_body(x), x)


@nb.njit
def replaced_inside(x):
    return replaced(make_body(x), x)


def test_reverse_mode_fills_the_shadow_of_an_instance():
    body = make_body(Y)
    shadow, dx = cz.make_zero(body), np.zeros(3)
    cz.autodiff(cz.Reverse, move, cz.Duplicated(body, shadow), cz.Duplicated(Y, dx))
    total = dx + shadow.w * 2 * Y
    total[0] += shadow.a
    np.testing.assert_allclose(total, cz.grad(moved)(Y), rtol=1e-12)
    assert (body.n, shadow.n) == (6, 6)


def test_forward_mode_reads_the_shadow_of_an_instance():
    body, direction = make_body(Y), np.array([0.3, -0.2, 0.5])
    shadow = cz.make_zero(body)
    shadow.a, shadow.w[:] = direction[0], 2 * Y * direction
    tangent, value = cz.autodiff(
        cz.ForwardWithPrimal, move, cz.Duplicated(body, shadow), cz.Duplicated(Y, direction)
    )
    assert tangent == pytest.approx(cz.grad(moved)(Y) @ direction, rel=1e-12)
    assert value == moved(Y)


def test_arrays_that_are_replaced_keep_their_shadows_until_the_sweep_is_over():
    body = make_body(Y)
    shadow, dx = cz.make_zero(body), np.zeros(3)
    held = shadow.w
    cz.autodiff(cz.Reverse, replaced, cz.Duplicated(body, shadow), cz.Duplicated(Y, dx))
    total = dx + held * 2 * Y
    total[0] += shadow.a
    np.testing.assert_allclose(total, cz.grad(replaced_inside)(Y), rtol=1e-12)
    assert shadow.w.shape == body.w.shape
    # Nobody but the instance holds the array here.
    body = make_body(Y)
    cz.autodiff(cz.Reverse, replaced, cz.Duplicated(body, cz.make_zero(body)), cz.Const(Y))


@pytest.mark.slow
def test_halves_do_not_mind_what_happens_to_instances_between_them():
    body = make_body(Y)
    shadow, dx = cz.make_zero(body), np.zeros(3)
    held = shadow.w
    forward, reverse = cz.autodiff_thunk(
        cz.ReverseSplitWithPrimal, replaced, cz.Active, cz.Duplicated, cz.Duplicated
    )
    annotated = cz.Duplicated(body, shadow), cz.Duplicated(Y, dx)
    tape, value, _ = forward(*annotated)
    body.a, body.w, shadow.w = 77.0, np.zeros(3), np.zeros(3)
    reverse(*annotated, 1.0, tape)
    total = dx + held * 2 * Y
    total[0] += shadow.a
    np.testing.assert_allclose(total, cz.grad(replaced_inside)(Y), rtol=1e-12)
    assert value == pytest.approx(replaced_inside(Y))


def test_list_as_argument():
    head = chain(Y)
    shadow = cz.make_zero(head)
    cz.autodiff(cz.Reverse, chain_total, cz.Duplicated(head, shadow))
    found = []
    while shadow is not None:
        found.append(shadow.data)
        shadow = shadow.next
    np.testing.assert_allclose(found[::-1], cz.grad(lambda x: chain_total(chain(x)))(Y), rtol=1e-12)


def keys(tree: Any) -> list[float]:
    return [] if tree is None else [tree.key, *keys(tree.left), *keys(tree.right)]


@pytest.mark.slow
def test_tree_walked_recursively_as_argument():
    tree = make_tree(X)
    shadow = cz.make_zero(tree)
    cz.autodiff(cz.Reverse, tree_total, cz.Duplicated(tree, shadow), cz.Const(1))
    expected = dict(zip(X, cz.grad(lambda x: tree_total(make_tree(x), 1))(X), strict=True))
    np.testing.assert_allclose(keys(shadow), [expected[key] for key in keys(tree)], rtol=1e-12)


@pytest.mark.slow
def test_structref_as_argument():
    cell = make_cell(Y)
    shadow, dx = cz.make_zero(cell), np.zeros(3)
    first = shadow.w
    cz.autodiff(cz.Reverse, run_cell, cz.Duplicated(cell, shadow), cz.Duplicated(Y, dx))
    total = dx + 2 * first
    total[0] += shadow.x
    total[:2] += shadow.pair[2] * Y[0]
    total[0] += shadow.pair[2] @ Y[:2]
    # A float in a tuple is by value everywhere but here: the shadow's is the cotangent.
    total[1] += shadow.pair[0]
    np.testing.assert_allclose(total, cz.grad(cell_in_loop)(Y), rtol=1e-12)


@pytest.mark.slow
def test_instances_that_lead_to_each_other():
    values, step = np.array([1.3, 0.4]), 1e-6
    expected = [
        (circle(peers(values + e), Y) - circle(peers(values - e), Y)) / (2 * step) for e in step * np.eye(2)
    ]
    first = peers(values)
    shadow = cz.make_zero(first)
    cz.autodiff(cz.Reverse, circle, cz.Duplicated(first, shadow), cz.Const(Y))
    np.testing.assert_allclose([shadow.v, shadow.peer.v], expected, rtol=1e-8)
    for instance in (first, shadow):
        instance.peer = None  # Numba counts references


def test_one_instance_as_two_arguments():
    def both(a, b, x):
        a.a = a.a * x[0]
        b.w[0] = b.a * a.w[1]
        return a.w[0] * b.w[2]

    def once(x):
        body = make_body(x)
        return both_compiled(body, body, x)

    both_compiled = nb.njit(both)
    body = make_body(Y)
    shadow, dx = cz.make_zero(body), np.zeros(3)
    pair = cz.Duplicated(body, shadow)
    cz.autodiff(cz.Reverse, both_compiled, pair, pair, cz.Duplicated(Y, dx))
    total = dx + shadow.w * 2 * Y
    total[0] += shadow.a
    np.testing.assert_allclose(total, cz.grad(once)(Y), rtol=1e-12)


def test_constant_instance_is_read():
    np.testing.assert_allclose(
        cz.grad(lambda x, body: np.sum(x * body.w) * body.a * body.n)(Y, make_body(Y)), Y * Y * Y[0] * 3
    )


# -- shadows


def test_zero_shadow_of_instances_keeps_integers_and_sharing():
    body = make_body(Y)
    zero, again = cz.make_zero((body, body))
    assert zero is again
    assert (zero.a, zero.n) == (0.0, 3)
    np.testing.assert_array_equal(zero.w, np.zeros(3))
    first = peers((1.0, 2.0))
    first.w = np.ones(2)
    shadow = cz.make_zero(first)
    shadow.peer.peer.v = 5.0
    assert shadow.v == 5.0
    assert shadow.peer.w is None
    np.testing.assert_array_equal(shadow.w, np.zeros(2))
    for instance in (first, shadow):
        instance.peer = None


def test_zero_shadow_of_a_long_list_needs_no_recursion():
    assert cz.make_zero(chain(np.linspace(0.0, 1.0, 3000))).next.data == 0.0


def other_length() -> Any:
    return make_body(Y), make_body(Y[:2])


def itself() -> Any:
    body = make_body(Y)
    return body, body


def another_class() -> Any:
    return make_body(Y), chain(Y)


def shorter_list() -> Any:
    return chain(Y), Node(0.0, None)


def missing_array() -> Any:
    first = Peer(1.0)
    first.w = np.ones(2)
    return first, Peer(0.0)


@pytest.mark.parametrize("pair", [other_length, itself, another_class, shorter_list, missing_array])
def test_shadows_that_do_not_fit_are_refused(pair):
    primal, shadow = pair()
    with pytest.raises(ShadowError, match="make_zero"):
        cz.autodiff(cz.Reverse, lambda x: 1.0, cz.Duplicated(primal, shadow))


def test_two_instances_with_one_shadow_are_refused():
    first, second = make_body(Y), make_body(Y)
    shadow = cz.make_zero(first)
    with pytest.raises(ShadowError, match="two instances have one shadow"):
        cz.autodiff(cz.Reverse, lambda a, b: 1.0, cz.Duplicated(first, shadow), cz.Duplicated(second, shadow))


def test_array_of_an_instance_that_is_an_argument_too_needs_the_same_shadow():
    body = make_body(Y)
    body.w = Y
    shadow = cz.make_zero(body)
    with pytest.raises(ActivityError, match="share memory"):
        cz.autodiff(cz.Reverse, move, cz.Duplicated(body, shadow), cz.Duplicated(Y, np.zeros(3)))


# -- what cannot be handled says so


@pytest.mark.parametrize(
    "call",
    [
        lambda body: cz.grad(move)(body, Y),
        lambda body: cz.jvp(move, (body, Y), (body, Y)),
        lambda body: cz.vjp(move, body, Y),
        lambda body: cz.jacobian(move, argnums=0)(body, Y),
    ],
)
def test_transforms_refuse_instances_and_say_what_to_do(call):
    with pytest.raises(UnsupportedIRError, match=r"autodiff with Duplicated\(obj, make_zero\(obj\)\)"):
        call(make_body(Y))


@nb.njit
def annotated_inside(body, shadow, x):
    return cz.autodiff(cz.Reverse, move, cz.Duplicated(body, shadow), cz.Const(x))


@nb.njit
def shadow_made_inside(body):
    return cz.make_zero(body).a


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: annotated_inside(b, cz.make_zero(b), Y), "called from Python"),
        (shadow_made_inside, "call make_zero from Python"),
        (lambda b: cz.autodiff(cz.Reverse, move, cz.Active(b), Y), "Duplicated"),
        (lambda b: cz.grad(move, argnums=1)(b, Y), "'body'|argument: body"),
    ],
)
def test_instances_in_the_wrong_place_are_refused(call, message):
    with pytest.raises(CoenzymeError, match=message):
        call(make_body(Y))
