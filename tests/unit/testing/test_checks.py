"""The checker accepts right derivatives, and is shown rejecting ones wrong by one part in a million."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import coenzyme
from coenzyme.errors import CoenzymeError
from coenzyme.testing import Arguments, DerivativeMismatchError, check_derivatives
from coenzyme.testing.checks import NativeDerivatives


def quadratic(x, a):
    return a * float(x @ x) + math.sin(a)


def quadratic_jacobian(x, a):
    return np.concatenate([2 * a * x, [x @ x + math.cos(a)]])[None, :]


def square_in_place(x):
    for i in range(x.size):
        x[i] = x[i] * x[i]


class Stated:
    """Derivatives of one function from its Jacobian, in which one entry, or one mode, may be wrong."""

    def __init__(
        self,
        jacobian: Callable[..., Any],
        forward: float = 1.0,
        reverse: float = 1.0,
        entry: int | None = None,
    ):
        self._jacobian = jacobian
        self._factors = {"forward": forward, "reverse": reverse}
        self._entry = entry

    def _matrix(self, arguments: Arguments, mode: str) -> Any:
        matrix = np.array(self._jacobian(*arguments.build(arguments.point)))
        columns = slice(None) if self._entry is None else self._entry
        matrix[:, columns] *= self._factors[mode]
        return matrix

    def forward(self, f: Callable[..., Any], arguments: Arguments, direction: Any) -> tuple[Any, Any]:
        args = arguments.build(arguments.point)
        y = f(*args)
        outputs = np.concatenate(
            [[] if y is None else [y], np.where(arguments.memory, arguments.read(args), 0.0)]
        )
        return outputs, self._padded(arguments, "forward") @ direction

    def reverse(self, f: Callable[..., Any], arguments: Arguments, weights: Any) -> Any:
        return weights @ self._padded(arguments, "reverse")

    def _padded(self, arguments: Arguments, mode: str) -> Any:
        """Return the Jacobian of value and memory: what is not stated stays as it was."""
        matrix = self._matrix(arguments, mode)
        identity = np.diag(arguments.memory.astype(float))
        return (
            matrix
            if len(matrix) >= len(identity) and len(matrix) != 1
            else np.concatenate([matrix, identity])
        )


X = np.array([1.0, -2.0, 0.5])


def test_right_derivatives_are_accepted() -> None:
    report = check_derivatives(quadratic, X, 0.7, derivatives=Stated(quadratic_jacobian))
    assert report
    assert report.conclusive
    assert not report.mismatches


@pytest.mark.parametrize("error", [1e-6, -1e-6, 1e-3, -2.0], ids=str)
def test_wrong_forward_is_rejected(error: float) -> None:
    wrong = Stated(quadratic_jacobian, forward=1.0 + error, reverse=1.0 + error)
    with pytest.raises(DerivativeMismatchError, match="forward against finite differences"):
        check_derivatives(quadratic, X, 0.7, derivatives=wrong)


@pytest.mark.parametrize("error", [1e-6, -1e-6, 1e-3], ids=str)
def test_wrong_reverse_is_rejected(error: float) -> None:
    with pytest.raises(DerivativeMismatchError, match="reverse against forward"):
        check_derivatives(quadratic, X, 0.7, derivatives=Stated(quadratic_jacobian, reverse=1.0 + error))


def test_zero_in_place_of_a_derivative_is_rejected() -> None:
    with pytest.raises(DerivativeMismatchError):
        check_derivatives(quadratic, X, 0.7, derivatives=Stated(quadratic_jacobian, forward=0.0, reverse=0.0))


def test_nan_in_place_of_a_derivative_is_rejected() -> None:
    with pytest.raises(DerivativeMismatchError):
        check_derivatives(quadratic, X, 0.7, derivatives=Stated(quadratic_jacobian, forward=math.nan))


def test_one_wrong_entry_is_named() -> None:
    wrong = Stated(quadratic_jacobian, forward=1.0 + 1e-6, reverse=1.0 + 1e-6, entry=1)
    with pytest.raises(DerivativeMismatchError) as caught:
        check_derivatives(quadratic, X, 0.7, derivatives=wrong)
    report = caught.value.report
    assert report is not None
    assert {(c.argument, c.entry) for c in report.mismatches if c.seed is None} == {("x", "[1]")}
    entry = next(c for c in report.mismatches if c.seed is None)
    assert entry.expected == pytest.approx(-2.8, rel=1e-9)
    assert entry.got == pytest.approx(-2.8 * (1 + 1e-6), rel=1e-9)
    assert caught.value.function == "quadratic"
    assert caught.value.argument == "x"


def test_one_wrong_entry_of_a_long_argument_is_found_and_named() -> None:
    x = np.linspace(1.0, 2.0, 100)
    wrong = Stated(quadratic_jacobian, forward=1.01, reverse=1.01, entry=41)
    with pytest.raises(DerivativeMismatchError, match=r"x\[41\]"):
        check_derivatives(quadratic, x, 0.7, derivatives=wrong)


def test_wrong_value_is_rejected() -> None:
    class Off(Stated):
        def forward(self, f: Any, arguments: Arguments, direction: Any) -> tuple[Any, Any]:
            outputs, tangents = super().forward(f, arguments, direction)
            return outputs * (1 + 1e-9), tangents

    with pytest.raises(DerivativeMismatchError, match="value"):
        check_derivatives(quadratic, X, 0.7, derivatives=Off(quadratic_jacobian))


def test_memory_on_exit_counts_as_output() -> None:
    right = Stated(lambda x: np.diag(2 * x))
    assert check_derivatives(square_in_place, X, derivatives=right)
    with pytest.raises(DerivativeMismatchError):
        check_derivatives(
            square_in_place,
            X,
            derivatives=Stated(lambda x: np.diag(2 * x), forward=1 + 1e-6, reverse=1 + 1e-6),
        )


def test_the_message_shows_seed_expected_got_and_tolerance() -> None:
    with pytest.raises(DerivativeMismatchError) as caught:
        check_derivatives(
            quadratic, X, 0.7, seeds=(1234,), derivatives=Stated(quadratic_jacobian, reverse=2.0)
        )
    text = str(caught.value)
    assert "seed 1234" in text
    assert all(word in text for word in ("quadratic", "expected", "got", "tolerance", "x[0]", "remedy"))


def test_the_error_is_an_assertion_and_one_of_ours() -> None:
    assert issubclass(DerivativeMismatchError, AssertionError)
    assert issubclass(DerivativeMismatchError, CoenzymeError)


def test_the_error_survives_pickling() -> None:
    with pytest.raises(DerivativeMismatchError) as caught:
        check_derivatives(quadratic, X, 0.7, derivatives=Stated(quadratic_jacobian, reverse=2.0))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.report == caught.value.report


def test_noise_is_inconclusive_rather_than_wrong_or_right() -> None:
    def noisy(x):
        return x + 1e-3 * math.sin(1e12 * x)

    report = check_derivatives(noisy, 0.3, relative=10.0, derivatives=Stated(lambda x: [[1.0]]))
    assert not report.conclusive
    assert "inconclusive" in str(report)


def test_argnums_leave_other_arguments_alone() -> None:
    only_x = Stated(lambda x, a: quadratic_jacobian(x, a)[:, :3])
    assert check_derivatives(quadratic, X, 0.7, argnums=0, derivatives=only_x)


def test_arguments_are_not_changed() -> None:
    x = X.copy()
    check_derivatives(square_in_place, x, derivatives=Stated(lambda x: np.diag(2 * x)))
    np.testing.assert_array_equal(x, X)


def test_an_engine_whose_jvp_is_wrong_by_1e_6_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default route, through the public names, with a fault planted in one of them."""
    original = coenzyme.autodiff

    def faulty(mode: Any, f: Any, *annotated: Any) -> Any:
        result = original(mode, f, *annotated)
        return (result[0] * (1 + 1e-6), result[1]) if mode == coenzyme.ForwardWithPrimal else result

    def cubic(x):
        return x * x * x

    assert check_derivatives(cubic, 1.5)
    monkeypatch.setattr(coenzyme, "autodiff", faulty)
    with pytest.raises(DerivativeMismatchError, match="finite differences"):
        check_derivatives(cubic, 1.5)


class Pair(NamedTuple):
    left: Any
    right: Any


def test_vector_and_arguments_are_inverse() -> None:
    args = (2.0, np.arange(6.0).reshape(2, 3).T, 3, Pair(np.float32(0.5), [np.zeros(2, np.float32), "text"]))
    arguments = Arguments(args)
    again = arguments.build(arguments.point)
    assert again[0] == 2.0
    assert again[2] == 3
    assert again[1].flags.f_contiguous
    np.testing.assert_array_equal(again[1], args[1])
    assert type(again[3]) is Pair
    assert again[3].left.dtype == again[3].right[0].dtype == np.float32
    assert again[3].right[1] == "text"
    np.testing.assert_array_equal(arguments.read(again), arguments.point)
    assert arguments.argnums == (0, 1, 3)


def test_shared_memory_stays_shared() -> None:
    base = np.arange(5.0)
    x, y, z = Arguments((base[:-1], base[1:], base[::-2])).build(np.arange(5.0))
    y[0] = 9.0
    assert x[1] == 9.0
    x[2] = 7.0
    assert z[1] == 7.0
    assert x.flags.c_contiguous
    assert z.strides == (-16,)


def test_separate_arrays_stay_separate() -> None:
    arguments = Arguments((np.ones(2), np.ones(2)))
    x, y = arguments.build(arguments.point)
    x[0] = 5.0
    assert y[0] == 1.0
    assert arguments.point.size == 4


def test_the_vector_follows_the_order_of_the_arguments_not_their_addresses() -> None:
    base = np.arange(6.0)
    first, second, both = base[:2], base[3:5], base[2:]
    assert Arguments((second, first)).point.tolist() == [3.0, 4.0, 0.0, 1.0]
    assert Arguments((first, second)).point.tolist() == [0.0, 1.0, 3.0, 4.0]
    # `first` touches nothing else; `second` and `both` share a run, whose place is that of the first of them.
    assert Arguments((second, first, both)).point.tolist() == [2.0, 3.0, 4.0, 5.0, 0.0, 1.0]


def test_cotangents_of_shared_cells_add_up() -> None:
    x = np.ones(2)
    arguments = Arguments((x, x))
    np.testing.assert_array_equal(
        arguments.gather((np.array([1.0, 2.0]), np.array([10.0, 20.0]))), [11.0, 22.0]
    )


def test_gaps_between_strides_are_not_visible() -> None:
    arguments = Arguments((np.arange(6.0)[::2],))
    np.testing.assert_array_equal(arguments.visible, [True, False, True, False, True])
    np.testing.assert_array_equal(arguments.point, [0, 0, 2, 0, 4])


def test_positions_have_names() -> None:
    arguments = Arguments((1.0, np.zeros((2, 2)), Pair(0.0, 1.0)), names=("a", "m", "p"))
    assert [arguments.owner_of(k) for k in range(7)] == [
        ("m", "[0, 0]"),
        ("m", "[0, 1]"),
        ("m", "[1, 0]"),
        ("m", "[1, 1]"),
        ("a", ""),
        ("p", ".left"),
        ("p", ".right"),
    ]


def test_read_only_arguments_have_writeable_shadows() -> None:
    x = np.ones(2)
    x.flags.writeable = False
    arguments = Arguments((x,))
    assert not arguments.build(arguments.point)[0].flags.writeable
    assert arguments.shadows(arguments.point)[0].flags.writeable


def test_wide_arguments_are_double_precision() -> None:
    arguments = Arguments((np.ones(2, np.float32), np.float32(1.0)))
    x, a = arguments.build(arguments.point, wide=True)
    assert x.dtype == np.float64
    assert type(a) is float


# --- complex numbers


def cubic(z):
    return z * z * z[0]


class Altered(NativeDerivatives):
    """The library's own derivatives, with one mode changed."""

    def __init__(self, mode: str, change: Callable[[Any], Any]):
        self._mode, self._change = mode, change

    def forward(self, f: Callable[..., Any], arguments: Arguments, direction: Any) -> tuple[Any, Any]:
        outputs, tangents = super().forward(f, arguments, direction)
        return outputs, self._change(tangents) if self._mode == "forward" else tangents

    def reverse(self, f: Callable[..., Any], arguments: Arguments, weights: Any) -> Any:
        found = super().reverse(f, arguments, weights)
        return self._change(found) if self._mode == "reverse" else found


def conjugated(vector):
    return np.where(np.arange(vector.size) % 2 == 1, -vector, vector)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize(
    "change", [conjugated, lambda x: x * (1 + 1e-6), lambda x: x * (np.arange(x.size) % 2)]
)
def test_wrong_complex_derivatives_are_rejected(mode: str, change: Callable[[Any], Any]) -> None:
    z = np.array([0.4 + 0.3j, -1.2 + 0.7j])
    assert check_derivatives(cubic, z, derivatives=Altered("none", change)).conclusive
    with pytest.raises(DerivativeMismatchError):
        check_derivatives(cubic, z, derivatives=Altered(mode, change))


def test_complex_numbers_are_pairs_in_the_vector() -> None:
    z = np.array([[1 + 2j, 3 + 4j]], np.complex64)
    args = (z, 5 + 6j, np.complex64(7 + 8j), 9.0)
    arguments = Arguments(args)
    np.testing.assert_array_equal(np.sort(arguments.point), np.arange(1.0, 10.0))
    built = arguments.build(arguments.point)
    np.testing.assert_array_equal(built[0], z)
    assert [type(x) for x in built[1:]] == [complex, np.complex64, float]
    assert built[1:] == args[1:]
    np.testing.assert_array_equal(arguments.read(args), arguments.point)
    np.testing.assert_array_equal(arguments.gather(args), arguments.point)
    assert arguments.build(arguments.point, wide=True)[0].dtype == np.complex128
    assert arguments.epsilon == np.finfo(np.float32).eps


def test_parts_of_complex_numbers_have_names() -> None:
    arguments = Arguments((np.array([1 + 2j, 3 + 4j]), 5 + 6j), names=("z", "w"))
    named = {arguments.point[i]: arguments.owner_of(i) for i in range(6)}
    assert named[2.0] == ("z", "[0].imag")
    assert named[3.0] == ("z", "[1].real")
    assert named[6.0] == ("w", ".imag")


def test_the_real_part_shares_the_memory_of_the_complex_array() -> None:
    z = np.array([1 + 2j, 3 + 4j])
    arguments = Arguments((z, z.real))
    assert arguments.point.size == 4
    whole, real = arguments.build(arguments.point)
    real[1] = 30.0
    np.testing.assert_array_equal(whole, [1 + 2j, 30 + 4j])
