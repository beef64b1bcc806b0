"""Calls that have been made before are not checked in Python, and lose none of their checks."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numba as nb
import numpy as np
import pytest
from numba.typed import List

import coenzyme as cz
from coenzyme.api import autodiff as autodiff_module
from coenzyme.api import quick, second_order, transforms
from coenzyme.errors import ActivityError, CoenzymeError, ShadowError


@nb.njit
def weighted(x, w):
    total = 0.0
    for i in range(x.size):
        total += w[i] * x[i] * x[i]
    return total


@nb.njit
def square_into(x, y):
    for i in range(x.size):
        y[i] = x[i] * x[i]


X = np.array([1.0, 2.0, 3.0])
W = np.array([1.0, 10.0, 100.0])


def reverse(x, dx, w=W):
    return cz.autodiff(cz.Reverse, weighted, cz.Active, cz.Duplicated(x, dx), cz.Const(w))


def known():
    dx = np.zeros(3)
    for _ in range(2):
        dx[:] = 0.0
        assert reverse(X, dx) == (None, None)
        assert np.array_equal(dx, 2.0 * W * X)


def test_a_known_annotated_call_makes_no_checks_in_python(monkeypatch):
    known()

    def checked(*_):
        raise AssertionError("checked in Python")

    monkeypatch.setattr(autodiff_module, "check_batch", checked)
    known()
    with pytest.raises(AssertionError, match="checked in Python"):
        reverse(X, np.zeros(2))


def test_a_known_pushforward_makes_no_checks_in_python(monkeypatch):
    expected = cz.jvp(weighted, (X, W), (W, X))
    monkeypatch.setattr(transforms, "tangent_for", None)
    assert cz.jvp(weighted, (X, W), (W, X)) == expected


def test_a_known_product_with_the_hessian_makes_no_checks_in_python(monkeypatch):
    expected = cz.hvp(weighted, X, X, W)
    monkeypatch.setattr(second_order, "tangent_for", None)
    assert np.array_equal(cz.hvp(weighted, X, X, W), expected)
    assert np.array_equal(expected, 2.0 * W * X)


def read_only(x):
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    ("shadow", "problem"),
    [
        (lambda x: np.zeros(2), "shape"),
        (lambda x: np.zeros((3, 1)), "shape"),
        (lambda x: np.zeros(3, np.float32), "dtype"),
        (lambda x: np.zeros(3, np.int64), "dtype"),
        (lambda x: np.zeros(6)[::2], "strides"),
        (lambda x: read_only(np.zeros(3)), "read-only"),
        (lambda x: x, "shares memory with argument 'x'"),
        (lambda x: W, "shares memory with argument 'w'"),
        (lambda x: 1.0, "its shadow is a float"),
        (lambda x: None, "its shadow is a NoneType"),
    ],
)
def test_a_bad_shadow_is_refused_after_a_good_one(shadow, problem):
    known()
    with pytest.raises(ShadowError, match=problem):
        reverse(X, shadow(X))
    known()


def test_one_shadow_for_two_arrays_is_refused_after_good_ones():
    def call(dx, dy):
        y = np.zeros(3)
        cz.autodiff(cz.Reverse, square_into, cz.Duplicated(X, dx), cz.Duplicated(y, dy))

    for _ in range(2):
        dx = np.zeros(3)
        call(dx, np.ones(3))
        assert np.array_equal(dx, 2.0 * X)
    with pytest.raises(ShadowError, match="is also that of argument 'x'"):
        call(dx, dx)
    block = np.zeros(6)
    block[1::2] = 1.0
    # Interleaved, with no element in common: the extents meet, and the checks in Python see that all is well.
    strided = np.zeros(6)[::2]
    strided[:] = X
    y = np.zeros(6)[::2]
    cz.autodiff(cz.Reverse, square_into, cz.Duplicated(strided, block[::2]), cz.Duplicated(y, block[1::2]))
    assert np.array_equal(block[::2], 2.0 * X)


def test_containers_are_checked_in_python_after_arrays():
    @nb.njit
    def total(x):
        found = 0.0
        for i in range(len(x)):
            found += x[i] * x[i]
        return found

    for _ in range(2):
        dx = np.zeros(3)
        cz.autodiff(cz.Reverse, total, cz.Duplicated(X, dx))
        assert np.array_equal(dx, 2.0 * X)
    items = List(X)
    shadow = cz.make_zero(items)
    cz.autodiff(cz.Reverse, total, cz.Duplicated(items, shadow))
    assert list(shadow) == list(2.0 * X)
    with pytest.raises(ShadowError):
        cz.autodiff(cz.Reverse, total, cz.Duplicated(items, List([0.0])))


def test_tangents_are_converted_after_ones_that_need_no_conversion():
    def square(x):
        return x * x

    for _ in range(2):
        assert cz.autodiff(cz.Forward, square, cz.Duplicated(3.0, 1.0)) == 6.0
    assert cz.autodiff(cz.Forward, square, cz.Duplicated(3.0, 2)) == 12.0
    assert cz.autodiff(cz.Forward, square, cz.Duplicated(3.0, True)) == 6.0
    with pytest.raises(ShadowError):
        cz.autodiff(cz.Forward, square, cz.Duplicated(3.0, 1.0j))
    for _ in range(2):
        assert cz.jvp(square, (X,), (X,))[1].tolist() == (2.0 * X * X).tolist()
    assert cz.jvp(square, (X,), (np.array([1, 0, 0]),))[1].tolist() == [2.0, 0.0, 0.0]
    with pytest.raises(ShadowError):
        cz.jvp(square, (X,), (np.zeros(2),))


def test_a_tangent_is_not_taken_for_that_of_another_argument():
    def scaled(x, n):
        return (x * n).sum()

    n = np.array([1, 2, 3])
    for _ in range(2):
        assert cz.jvp(scaled, (X, n), (W, None)) == (14.0, 321.0)
    with pytest.raises(ShadowError):
        cz.jvp(scaled, (n, X), (W, None))


def test_a_function_that_raises_is_not_run_again():
    @nb.njit
    def counting(x, calls):
        calls[0] += 1
        if x[0] < 0.0:
            raise TypeError("negative")
        return x[0] * x[0]

    calls = np.zeros(1, np.int64)

    def call(x):
        cz.autodiff(cz.Reverse, counting, cz.Duplicated(x, np.zeros(3)), cz.Const(calls))

    call(X)
    call(X)
    calls[0] = 0
    with pytest.raises(TypeError, match="negative") as raised:
        call(-X)
    assert not isinstance(raised.value, CoenzymeError)
    assert calls[0] == 1


def test_known_calls_are_safe_on_threads():
    known()

    def work(seed):
        x = np.random.default_rng(seed).normal(size=3)
        for _ in range(200):
            dx = np.zeros(3)
            reverse(x, dx)
            assert np.array_equal(dx, 2.0 * W * x)
            with pytest.raises(ShadowError):
                reverse(x, np.zeros(4))
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_a_mode_that_knows_calls_can_be_pickled():
    known()
    assert cz.Reverse.known
    again = pickle.loads(pickle.dumps(cz.Reverse))
    assert again == cz.Reverse
    assert not again.known


def test_gradients_of_one_function_are_made_once():
    assert cz.grad(weighted) is cz.grad(weighted)
    assert cz.grad(weighted) is not cz.grad(weighted, 1)
    assert cz.grad(weighted) is not cz.value_and_grad(weighted)
    with pytest.raises(ActivityError):
        cz.grad(weighted, False)
    with pytest.raises(ActivityError):
        cz.grad(weighted, (False,))


def test_what_python_has_to_look_into_is_not_plain():
    assert quick.are_plain((X, 1.0, 2, None))
    for value in (List([1.0]), (X,), [X], {"x": X}, np.ma.array([1.0])):
        assert not quick.are_plain((value,))
