"""Gradients, pushforwards and pullbacks called from Python."""

from __future__ import annotations

import gc
import sys
from collections import namedtuple

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import ActivityError, CompilationError, ShadowError, UnsupportedIRError

State = namedtuple("State", "position mass steps")


@nb.njit
def rosenbrock(a, b):
    return (1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2


@nb.njit
def power(x, n=3):
    return x**n


@nb.njit
def cubes(x):
    total = 0.0
    for value in x.flat:
        total += value**3
    return total


@nb.njit
def doubled_in_place(x, y):
    total = 0.0
    for i in range(x.size):
        x[i] *= 2.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@nb.njit
def dot(x, y):
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@nb.njit
def root(x):
    for i in range(x.size):
        if x[i] < 0.0:
            raise ValueError("negative")
    return np.sqrt(x).sum()


# --- grad --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [
        (0, -400.0),
        (1, 200.0),
        (-1, 200.0),
        ((0, 1), (-400.0, 200.0)),
        ([1], (200.0,)),
        ((1, 0), (200.0, -400.0)),
    ],
)
def test_gradient_has_the_structure_of_argnums(argnums, expected):
    assert cz.grad(rosenbrock, argnums)(1.0, 2.0) == expected


def test_value_comes_before_the_gradient():
    assert cz.value_and_grad(rosenbrock)(1.0, 2.0) == (100.0, -400.0)


def test_keywords_and_defaults_pass_through():
    gradient = cz.grad(power)
    assert gradient(2.0) == 12.0
    assert gradient(2.0, 2) == gradient(x=2.0, n=2) == gradient(2.0, n=2) == 4.0


def test_default_can_be_differentiated():
    @nb.njit
    def scaled(x, factor=2.0):
        return x * factor

    assert cz.grad(scaled, 1)(3.0) == 3.0


def test_variable_number_of_arguments_is_supported():
    def product(x, *rest):
        return x * rest[0] * rest[1]

    assert cz.grad(product, (0, 2))(2.0, 3.0, 4.0) == (12.0, 6.0)


CUBE = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(CUBE, id="C"),
        pytest.param(np.asfortranarray(CUBE), id="F"),
        pytest.param(CUBE.transpose(2, 0, 1)[::-1], id="strided"),
        pytest.param(np.arange(6.0)[::2], id="every other"),
        pytest.param(np.array(3.0), id="no dimension"),
        pytest.param(np.zeros((0, 2)), id="empty"),
        pytest.param(np.arange(4, dtype=np.float32), id="float32"),
        pytest.param(np.array([np.nan, np.inf, 1.0]), id="nan and inf"),
    ],
)
def test_gradient_is_shaped_typed_and_laid_out_like_the_argument(x):
    gradient = cz.grad(cubes)(x)
    assert (gradient.shape, gradient.dtype) == (x.shape, x.dtype)
    if x.size:
        assert gradient.strides == x.strides
    np.testing.assert_allclose(gradient, 3 * x**2, rtol=1e-6)


def test_read_only_array_that_is_read_has_a_gradient():
    x = np.array([1.0, 2.0])
    x.flags.writeable = False
    np.testing.assert_allclose(cz.grad(cubes)(x), [3.0, 12.0])


def test_numpy_scalars_are_numbers():
    assert cz.grad(power)(np.float64(2.0)) == 12.0
    assert cz.grad(power)(np.float32(2.0)) == 12.0


def test_gradient_is_at_entry_and_side_effects_happen_once():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_allclose(cz.grad(doubled_in_place)(x, y), [6.0, 8.0])
    np.testing.assert_array_equal(x, [2.0, 4.0])


def test_gradient_with_respect_to_nested_tuples_keeps_their_structure():
    def energy(state, pair):
        return 0.5 * state.mass * (state.position**2).sum() * pair[1][0]

    state = State(np.array([1.0, 2.0]), 3.0, 7)
    by_state, by_pair = cz.grad(energy, (0, 1))(state, (1.0, (2.0, np.ones(1))))
    np.testing.assert_allclose(by_state.position, [6.0, 12.0])
    assert (type(by_state), by_state.mass, by_state.steps) == (State, 5.0, 7)
    assert by_pair[:1] + by_pair[1][:1] == (0.0, 7.5)


@pytest.mark.parametrize("kind", ["float", "int", "array"])
def test_aux_is_returned_and_not_differentiated(kind):
    aux = {"float": lambda x: 2.0 * x[0], "int": lambda x: 7, "array": lambda x: 3.0 * x}[kind]
    chosen = nb.njit(aux)

    @nb.njit
    def f(x):
        x[0] += 1.0
        return cubes(x), chosen(x)

    x = np.array([1.0, 2.0])
    gradient, returned = cz.grad(f, has_aux=True)(x)
    np.testing.assert_allclose(gradient, [12.0, 12.0])
    np.testing.assert_array_equal(returned, aux(np.array([2.0, 2.0])))
    np.testing.assert_array_equal(x, [2.0, 2.0])
    (value, _), gradient = cz.value_and_grad(f, has_aux=True)(np.array([1.0, 2.0]))
    assert value == 16.0


def test_one_array_passed_twice_has_two_gradients_where_it_is_read():
    x = np.array([1.0, 2.0])
    left, right = cz.grad(dot, (0, 1))(x, x)
    np.testing.assert_array_equal(left, x)
    np.testing.assert_array_equal(right, x)
    assert left is not right


def test_one_array_passed_twice_is_refused_where_it_is_written():
    x = np.array([1.0, 2.0])
    with pytest.raises(ActivityError, match="share memory") as caught:
        cz.grad(doubled_in_place, (0, 1))(x, x)
    assert caught.value.function == "doubled_in_place"
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_interleaved_arrays_are_written_and_differentiated():
    both = np.array([[1.0, 3.0], [2.0, 4.0]])
    np.testing.assert_allclose(cz.grad(doubled_in_place)(both[:, 0], both[:, 1]), [6.0, 8.0])


def test_constants_in_one_memory_may_be_written():
    @nb.njit
    def f(x, a, b):
        a[0] = 5.0
        return x * b[0]

    a = np.array([1.0])
    assert cz.grad(f)(2.0, a, a) == 5.0


def test_exception_of_the_function_is_that_of_the_gradient():
    gradient = cz.grad(root)
    x = np.array([1.0, -1.0])
    before = sys.getrefcount(x)
    for _ in range(5):
        with pytest.raises(ValueError, match="negative"):
            gradient(x)
    gc.collect()
    assert sys.getrefcount(x) == before


@pytest.mark.parametrize(
    ("f", "args", "kind", "words"),
    [
        pytest.param(power, (2,), ActivityError, "int64 has no derivative", id="int"),
        pytest.param(power, (True,), ActivityError, "bool", id="bool"),
        pytest.param(power, (1j,), ActivityError, "complex128", id="complex"),
        pytest.param(cubes, (np.arange(3),), ActivityError, "array of int64", id="integer array"),
        pytest.param(cubes, (np.ones(3, complex),), ActivityError, "complex128", id="complex array"),
        pytest.param(cubes, (np.ones(3, np.float16),), UnsupportedIRError, "float16", id="half"),
        pytest.param(cubes, ([1.0],), UnsupportedIRError, "container", id="list"),
        pytest.param(cubes, (np.ones(3, object),), ActivityError, "no type", id="objects"),
        pytest.param(power, (None,), ActivityError, "no derivative", id="None"),
        pytest.param(power, (object(),), ActivityError, "no type", id="object"),
        pytest.param(power, (), ActivityError, "missing", id="too few"),
        pytest.param(power, (1.0, 2, 3), ActivityError, "too many", id="too many"),
        pytest.param(lambda x: 3, (1.0,), ActivityError, "returns int64", id="int returned"),
        pytest.param(lambda x: None, (1.0,), ActivityError, "returns none", id="None returned"),
        pytest.param(lambda x: x, (np.ones(2),), ActivityError, "returns array", id="array returned"),
        pytest.param(lambda x: (x, x), (1.0,), ActivityError, "returns UniTuple", id="tuple returned"),
        pytest.param(lambda x: undefined, (1.0,), CompilationError, "undefined", id="not compilable"),  # noqa: F821
    ],
)
def test_what_has_no_gradient_is_refused_with_a_remedy(f, args, kind, words):
    with pytest.raises(kind, match=words) as caught:
        cz.grad(f)(*args)
    assert caught.value.function is not None
    assert caught.value.remedy is not None


def test_wrong_keyword_is_refused():
    with pytest.raises(ActivityError, match="unexpected keyword"):
        cz.grad(power)(1.0, m=2)


def test_aux_without_a_pair_is_refused():
    with pytest.raises(ActivityError, match="value, aux"):
        cz.grad(power, has_aux=True)(1.0)


def test_gradients_of_one_function_share_their_code():
    assert cz.grad(power).dispatcher is cz.grad(power).dispatcher
    assert cz.grad(power).dispatcher is not cz.grad(power, 1).dispatcher


# --- jvp ---------------------------------------------------------------------------------------------------


def test_pushforward_of_a_number():
    assert cz.jvp(rosenbrock, (1.0, 2.0), (1.0, 1.0)) == (100.0, -200.0)


def test_pushforward_leaves_the_tangents_alone():
    x, y, tangent = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([1.0, 0.0])
    assert cz.jvp(doubled_in_place, (x, y), (tangent, np.zeros(2))) == (22.0, 6.0)
    np.testing.assert_array_equal(tangent, [1.0, 0.0])


def test_tangent_may_differ_in_layout_and_be_integers():
    x = np.ones((2, 3))
    tangent = np.arange(6).reshape(3, 2).T
    assert cz.jvp(cubes, (x,), (tangent,)) == (6.0, 45.0)


def test_pushforward_through_a_tuple():
    def f(pair, n):
        return pair[0] * n, pair[1] * pair[1]

    (a, b), (da, db) = cz.jvp(f, ((2.0, np.array([3.0])), 4), ((1.0, [0.5]), None))
    assert (a, da) == (8.0, 4.0)
    np.testing.assert_allclose((b, db), ([9.0], [3.0]))


@pytest.mark.parametrize(
    ("primals", "tangents", "kind", "words"),
    [
        ((1.0, 2.0), (1.0,), ActivityError, "1 tangents"),
        (1.0, 1.0, ActivityError, "primals are a float"),
        ((1.0, 2.0), (1.0, None), ShadowError, "NoneType"),
        ((1.0, 2.0), (1.0, np.ones(2)), ShadowError, "ndarray"),
        ((1.0, 2), (1.0, 1.0), ActivityError, "has no derivative, and a tangent"),
        ((1, 2), (None, None), ActivityError, "no argument has a derivative"),
    ],
)
def test_tangents_that_do_not_fit_are_refused(primals, tangents, kind, words):
    with pytest.raises(kind, match=words):
        cz.jvp(rosenbrock, primals, tangents)


def test_tangent_of_another_shape_is_refused():
    with pytest.raises(ShadowError, match="shape"):
        cz.jvp(cubes, (np.ones(3),), (np.ones(1),))


# --- vjp ---------------------------------------------------------------------------------------------------


def test_pullback_can_be_called_again_whatever_happens_to_the_arguments():
    x = np.array([1.0, 2.0])
    value, pullback = cz.vjp(lambda x, n, a: a * x**n, x, 2, 3.0)
    np.testing.assert_array_equal(value, [3.0, 12.0])
    x[:] = 0.0
    for _ in range(2):
        x_bar, n_bar, a_bar = pullback([1.0, 10.0])
        np.testing.assert_allclose(x_bar, [6.0, 120.0])
        assert (n_bar, a_bar) == (None, 41.0)


def test_pullback_of_a_function_that_writes_runs_on_copies():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    value, pullback = cz.vjp(doubled_in_place, x, y)
    assert value == 22.0
    np.testing.assert_array_equal(x, [2.0, 4.0])
    np.testing.assert_allclose(pullback(1.0)[0], [6.0, 8.0])
    np.testing.assert_array_equal(x, [2.0, 4.0])


def test_pullback_of_strided_and_tuple_values():
    def f(x):
        return x[::2], x[0] * x[1], 3

    _, pullback = cz.vjp(f, np.array([1.0, 2.0, 3.0]))
    (x_bar,) = pullback((np.array([1.0, 10.0]), 100.0, None))
    np.testing.assert_allclose(x_bar, [201.0, 100.0, 10.0])


@pytest.mark.parametrize("cotangent", [1.0, np.ones(3), [1.0], None, "x"])
def test_cotangent_unlike_the_value_is_refused(cotangent):
    _, pullback = cz.vjp(lambda x: 2.0 * x, np.ones(2))
    with pytest.raises(ShadowError):
        pullback(cotangent)


def test_value_without_a_derivative_has_no_pullback():
    with pytest.raises(ActivityError, match="no derivative"):
        cz.vjp(lambda x: 3, 1.0)
