"""Bad input gets a typed error that names function, argument and remedy, or the right answer."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import pytest
from llvmlite import binding
from numba.core import types

import coenzyme as cz
from coenzyme.errors import (
    ActivityError,
    CoenzymeError,
    CompilationError,
    MissingRuleError,
    ShadowError,
    UnsupportedIRError,
)

X = np.array([1.0, 2.0, 3.0])


@nb.njit
def norm2(x):
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i]
    return total


@nb.njit
def double_in_place(x):
    for i in range(x.size):
        x[i] = x[i] * x[i]


@nb.njit
def scaled(x, factor):
    total = 0.0
    for i in range(x.size):
        total += factor * x[i] * x[i]
    return total


@nb.njit
def power(x, n):
    return x**n


@nb.njit
def count_positive(x):
    count = 0
    for i in range(x.size):
        if x[i] > 0.0:
            count += 1
    return count


def tanh(x):
    return np.tanh(x)


def exp(x):
    return np.exp(x)


def uses_a_dictionary_of_objects(x):
    return {"key": object(), 3: x}["key"]


def undefined_name(x):
    return x * not_defined_anywhere  # noqa: F821


_stranger = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(lambda x: 3.0 * x)
binding.add_symbol("a_stranger_to_the_tables", ctypes.cast(_stranger, ctypes.c_void_p).value)
_external = types.ExternalFunction("a_stranger_to_the_tables", types.float64(types.float64))


@nb.njit
def calls_a_stranger(x):
    return x * _external(x)


def _assert_names(error: CoenzymeError, function: str, argument: str | None) -> None:
    text = str(error)
    assert function in text, text
    assert error.function, text
    assert error.remedy, f"no remedy: {text}"
    assert error.remedy in text
    if argument is not None:
        assert error.argument == argument, text
        assert argument in text


def _duplicated(dx: Any, x: Any = X) -> Any:
    return cz.Duplicated(x.copy() if isinstance(x, np.ndarray) else x, dx)


def _sum_2d(m):
    return m.sum()


@nb.njit
def _doubled(x):
    return 2.0 * x


@nb.njit
def dot_product(x, y):
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


def _read_only(x: Any) -> Any:
    x.flags.writeable = False
    return x


def _with_overlap(shadow: Callable[[Any], Any]) -> Any:
    base = np.arange(4.0)
    x = base[: shadow(base).size] if shadow(base).size < base.size else base
    return cz.autodiff(cz.Reverse, norm2, cz.Duplicated(x, shadow(base)))


def _with_overlap_of_another() -> Any:
    x, y = X.copy(), X.copy()
    return cz.autodiff(cz.Reverse, dot_product, cz.Duplicated(x, y), cz.Const(y))


REFUSED: dict[
    str, tuple[Callable[[], Any], type[CoenzymeError] | tuple[type[CoenzymeError], ...], str, str | None]
] = {
    "shadow-of-wrong-shape": (
        lambda: cz.autodiff(cz.Reverse, norm2, _duplicated(np.zeros(2))),
        ShadowError,
        "norm2",
        "x",
    ),
    "shadow-of-wrong-rank": (
        lambda: cz.autodiff(cz.Reverse, norm2, _duplicated(np.zeros((3, 1)))),
        ShadowError,
        "norm2",
        "x",
    ),
    "shadow-of-wrong-dtype": (
        lambda: cz.autodiff(cz.Reverse, norm2, _duplicated(np.zeros(3, np.float32))),
        ShadowError,
        "norm2",
        "x",
    ),
    "shadow-of-wrong-strides": (
        lambda: cz.autodiff(cz.Reverse, norm2, _duplicated(np.zeros(6)[::2])),
        ShadowError,
        "norm2",
        "x",
    ),
    "shadow-of-the-other-order": (
        lambda: cz.autodiff(
            cz.Reverse, nb.njit(_sum_2d), cz.Duplicated(np.ones((2, 3)), np.zeros((2, 3), order="F"))
        ),
        ShadowError,
        "_sum_2d",
        "m",
    ),
    "shadow-of-wrong-shape-in-forward": (
        lambda: cz.autodiff(cz.Forward, norm2, _duplicated(np.zeros(4))),
        ShadowError,
        "norm2",
        "x",
    ),
    "shadow-is-a-list": (
        lambda: cz.autodiff(cz.Reverse, norm2, _duplicated([0.0, 0.0, 0.0])),
        ShadowError,
        "norm2",
        "x",
    ),
    "shadow-is-none": (lambda: cz.autodiff(cz.Reverse, norm2, _duplicated(None)), ShadowError, "norm2", "x"),
    "shadow-is-a-number": (
        lambda: cz.autodiff(cz.Reverse, norm2, _duplicated(0.0)),
        ShadowError,
        "norm2",
        "x",
    ),
    "shadow-of-a-number-is-an-array": (
        lambda: cz.autodiff(cz.Forward, power, cz.Duplicated(2.0, np.ones(1)), 3),
        ShadowError,
        "power",
        "x",
    ),
    "shadow-is-read-only": (
        lambda: cz.autodiff(cz.Reverse, norm2, _duplicated(_read_only(np.zeros(3)))),
        ShadowError,
        "norm2",
        "x",
    ),
    "shadow-is-the-argument": (lambda: _with_overlap(lambda x: x), ShadowError, "norm2", "x"),
    "shadow-overlaps-the-argument": (lambda: _with_overlap(lambda x: x[1:]), ShadowError, "norm2", "x"),
    "shadow-overlaps-another-argument": (
        _with_overlap_of_another,
        ShadowError,
        "dot_product",
        "x",
    ),
    "integer-array-duplicated": (
        lambda: cz.autodiff(cz.Reverse, norm2, cz.Duplicated(np.arange(3), np.zeros(3, np.int64))),
        ActivityError,
        "norm2",
        "x",
    ),
    "integer-array-with-float-shadow": (
        lambda: cz.autodiff(cz.Reverse, norm2, cz.Duplicated(np.arange(3), np.zeros(3))),
        ActivityError,
        "norm2",
        "x",
    ),
    "integer-array-in-grad": (lambda: cz.grad(norm2)(np.arange(3)), ActivityError, "norm2", "x"),
    "boolean-array-in-grad": (lambda: cz.grad(norm2)(np.array([True, False])), ActivityError, "norm2", "x"),
    "integer-active": (
        lambda: cz.autodiff(cz.Reverse, power, cz.Active(2), cz.Const(3)),
        ActivityError,
        "power",
        "x",
    ),
    "integer-in-grad": (lambda: cz.grad(power, argnums=1)(2.0, 3), ActivityError, "power", "n"),
    "active-on-an-array": (
        lambda: cz.autodiff(cz.Reverse, norm2, cz.Active(X.copy())),
        ActivityError,
        "norm2",
        "x",
    ),
    "active-in-forward": (
        lambda: cz.autodiff(cz.Forward, power, cz.Active(2.0), 3),
        ActivityError,
        "power",
        "x",
    ),
    "duplicated-number-in-reverse": (
        lambda: cz.autodiff(cz.Reverse, power, cz.Duplicated(2.0, 1.0), 3),
        ActivityError,
        "power",
        "x",
    ),
    "complex-array": (lambda: cz.grad(norm2)(X + 1j), CoenzymeError, "norm2", None),
    "half-precision-array": (lambda: cz.grad(norm2)(X.astype(np.float16)), CoenzymeError, "norm2", "x"),
    "extended-precision-array": (
        lambda: cz.grad(norm2)(X.astype(np.longdouble)),
        CoenzymeError,
        "norm2",
        "x",
    ),
    "object-array": (lambda: cz.grad(norm2)(X.astype(object)), CoenzymeError, "norm2", "x"),
    "list-in-place-of-an-array": (lambda: cz.grad(norm2)([1.0, 2.0]), CoenzymeError, "norm2", "x"),
    "string-in-place-of-an-array": (lambda: cz.grad(norm2)("text"), CoenzymeError, "norm2", "x"),
    "none-in-place-of-an-array": (lambda: cz.grad(norm2)(None), CoenzymeError, "norm2", "x"),
    "annotation-inside-annotation": (
        lambda: cz.autodiff(cz.Reverse, norm2, cz.Const(cz.Duplicated(X, X))),
        CoenzymeError,
        "norm2",
        "x",
    ),
    "annotation-as-value-of-grad": (lambda: cz.grad(norm2)(cz.Duplicated(X, X)), CoenzymeError, "norm2", "x"),
    "function-without-rule": (
        lambda: cz.grad(calls_a_stranger)(2.0),
        (MissingRuleError, UnsupportedIRError),
        "calls_a_stranger",
        None,
    ),
    "function-without-rule-in-forward": (
        lambda: cz.jvp(calls_a_stranger, (2.0,), (1.0,)),
        (MissingRuleError, UnsupportedIRError),
        "calls_a_stranger",
        None,
    ),
    "not-compilable": (
        lambda: cz.grad(uses_a_dictionary_of_objects)(2.0),
        CompilationError,
        "uses_a_dictionary_of_objects",
        None,
    ),
    "undefined-name": (lambda: cz.grad(undefined_name)(2.0), CompilationError, "undefined_name", None),
    "builtin-function": (lambda: cz.grad(len)(X), CoenzymeError, "len", None),
    "ufunc": (lambda: cz.grad(np.sin)(1.0), CoenzymeError, "sin", None),
    "not-a-function": (lambda: cz.grad(3.0)(1.0), CoenzymeError, "3.0", None),
    "result-is-an-integer": (lambda: cz.grad(count_positive)(X), ActivityError, "count_positive", None),
    "result-is-an-integer-but-active": (
        lambda: cz.autodiff(cz.Reverse, count_positive, cz.Active, _duplicated(np.zeros(3))),
        ActivityError,
        "count_positive",
        None,
    ),
    "result-is-an-array-in-grad": (lambda: cz.grad(_doubled)(X), ActivityError, "_doubled", None),
    "result-is-none-in-grad": (
        lambda: cz.grad(double_in_place)(X.copy()),
        ActivityError,
        "double_in_place",
        None,
    ),
    "too-few-arguments": (lambda: cz.grad(scaled)(X), ActivityError, "scaled", None),
    "too-many-arguments": (lambda: cz.grad(norm2)(X, 1.0), ActivityError, "norm2", None),
    "too-few-arguments-to-autodiff": (
        lambda: cz.autodiff(cz.Reverse, scaled, _duplicated(np.zeros(3))),
        ActivityError,
        "scaled",
        None,
    ),
    "unknown-keyword": (lambda: cz.grad(scaled)(X, factr=1.0), ActivityError, "scaled", None),
    "unknown-keyword-to-autodiff": (
        lambda: cz.autodiff(cz.Reverse, scaled, _duplicated(np.zeros(3)), factr=1.0),
        ActivityError,
        "scaled",
        None,
    ),
    "argnums-out-of-range": (lambda: cz.grad(norm2, argnums=1)(X), ActivityError, "norm2", None),
    "argnums-not-integer": (lambda: cz.grad(norm2, argnums="x")(X), ActivityError, "norm2", None),
    "mode-is-a-string": (
        lambda: cz.autodiff("reverse", norm2, _duplicated(np.zeros(3))),
        ActivityError,
        "norm2",
        None,
    ),
    "return-activity-among-arguments": (
        lambda: cz.autodiff(cz.Reverse, scaled, _duplicated(np.zeros(3)), cz.Active),
        ActivityError,
        "scaled",
        "factor",
    ),
    "tangents-too-few": (lambda: cz.jvp(scaled, (X, 2.0), (X,)), CoenzymeError, "scaled", None),
    "tangent-of-wrong-shape": (lambda: cz.jvp(norm2, (X,), (np.ones(2),)), ShadowError, "norm2", "x"),
    "tangent-for-an-integer": (lambda: cz.jvp(power, (2.0, 3), (1.0, 1.0)), ActivityError, "power", "n"),
    "primals-are-an-array": (lambda: cz.jvp(norm2, X, X), CoenzymeError, "norm2", None),
    "cotangent-of-wrong-shape": (lambda: cz.vjp(_doubled, X)[1](np.ones(2)), CoenzymeError, "_doubled", None),
    "cotangent-is-complex": (lambda: cz.vjp(norm2, X)[1](1j), CoenzymeError, "norm2", None),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaPendingDeprecationWarning")
def test_bad_input_is_refused_by_name(name: str) -> None:
    call, kind, function, argument = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    _assert_names(caught.value, function, argument)


def test_missing_rule_names_the_operation() -> None:
    with pytest.raises((MissingRuleError, UnsupportedIRError), match="a_stranger_to_the_tables"):
        cz.grad(calls_a_stranger)(2.0)


def test_a_refused_call_changes_nothing() -> None:
    x, dx = X.copy(), np.full(2, 7.0)
    with pytest.raises(ShadowError):
        cz.autodiff(cz.Reverse, double_in_place, cz.Duplicated(x, dx))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(dx, 7.0)


def test_result_that_is_an_integer_has_no_tangent() -> None:
    """Forward of an integer result: a typed error, or no tangent; not a number."""
    try:
        tangent = cz.autodiff(cz.Forward, count_positive, cz.Duplicated(X, np.ones(3)))
    except CoenzymeError as error:
        _assert_names(error, "count_positive", None)
    else:
        assert tangent is None


def test_function_returning_an_integer_has_zero_gradient_if_const() -> None:
    dx = np.zeros(3)
    cz.autodiff(cz.Reverse, count_positive, cz.Const, cz.Duplicated(X, dx))
    np.testing.assert_array_equal(dx, 0.0)


def test_nan_stays_in_its_own_entry() -> None:
    got = cz.grad(norm2)(np.array([np.nan, 2.0, np.inf]))
    np.testing.assert_array_equal(got, [np.nan, 4.0, np.inf])


def test_nan_and_infinity_reach_the_tangent() -> None:
    _, tangent = cz.jvp(norm2, (np.array([1.0, np.inf]),), (np.array([1.0, 1.0]),))
    assert tangent == np.inf
    _, tangent = cz.jvp(norm2, (np.array([np.nan, 1.0]),), (np.array([1.0, 0.0]),))
    assert np.isnan(tangent)


def test_infinite_argument_of_a_saturating_function_has_slope_zero() -> None:
    assert cz.grad(tanh)(np.inf) == 0.0
    assert cz.grad(exp)(-np.inf) == 0.0


def test_zero_length_arrays_have_zero_length_gradients() -> None:
    value, gradient = cz.value_and_grad(norm2)(np.empty(0))
    assert value == 0.0
    assert gradient.shape == (0,)
    assert cz.autodiff(cz.Reverse, double_in_place, cz.Duplicated(np.empty(0), np.empty(0))) == (None,)
    assert cz.jvp(norm2, (np.empty(0),), (np.empty(0),)) == (0.0, 0.0)
    assert cz.grad(_sum_2d)(np.empty((0, 3))).shape == (0, 3)


def test_read_only_argument_that_is_only_read_is_differentiated() -> None:
    x, dx = _read_only(X.copy()), np.zeros(3)
    cz.autodiff(cz.Reverse, norm2, cz.Duplicated(x, dx))
    np.testing.assert_array_equal(dx, 2 * X)
    np.testing.assert_array_equal(cz.grad(norm2)(x), 2 * X)


def test_gradient_of_a_read_only_argument_can_be_written() -> None:
    assert cz.grad(norm2)(_read_only(X.copy())).flags.writeable


def test_read_only_argument_that_is_written_is_refused() -> None:
    with pytest.raises(CoenzymeError) as caught:
        cz.autodiff(cz.Reverse, double_in_place, cz.Duplicated(_read_only(X.copy()), np.ones(3)))
    _assert_names(caught.value, "double_in_place", None)


def test_broadcast_shadow_that_visits_one_cell_twice_is_refused() -> None:
    shadow = np.lib.stride_tricks.as_strided(np.zeros(1), (3,), (0,))
    with pytest.raises(CoenzymeError) as caught:
        cz.autodiff(cz.Reverse, norm2, cz.Duplicated(X.copy(), shadow))
    _assert_names(caught.value, "norm2", "x")


def test_big_endian_array_is_refused() -> None:
    with pytest.raises(CoenzymeError) as caught:
        cz.grad(norm2)(X.astype(">f8"))
    _assert_names(caught.value, "norm2", "x")


def test_an_error_inside_the_function_is_not_mistaken_for_bad_input() -> None:
    @nb.njit
    def checked(x):
        if x < 0.0:
            raise TypeError("negative")
        return x * x

    with pytest.raises(TypeError, match="negative") as caught:
        cz.grad(checked)(-1.0)
    assert not isinstance(caught.value, CoenzymeError)


def test_errors_can_be_caught_by_their_builtin_kind() -> None:
    with pytest.raises(ValueError, match="shape"):
        cz.autodiff(cz.Reverse, norm2, cz.Duplicated(X.copy(), np.zeros(2)))
    with pytest.raises(TypeError):
        cz.grad(norm2)(np.arange(3))
