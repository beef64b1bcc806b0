"""The two halves of a derivative as dispatchers, on hand-written LLVM text and on the engine's."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

from coenzyme import engine
from coenzyme.errors import GeneratedIRError, TapeError
from coenzyme.frontends import ArgumentActivity, Program
from coenzyme.frontends.numba_link_split import SplitSymbols, link_split
from coenzyme.frontends.numba_lower import lower

CONST, ACTIVE, DUPLICATED = ArgumentActivity.CONST, ArgumentActivity.ACTIVE, ArgumentActivity.DUPLICATED

SQUARE = """
declare ptr @malloc(i64)
declare void @free(ptr)

define i32 @{name}.augmented(ptr %result, ptr %error, double %x, ptr %result.shadow, ptr %where) {{
  %y = fmul double %x, %x
  store double %y, ptr %result
  %record = call ptr @malloc(i64 8)
  store double %x, ptr %record
  store ptr %record, ptr %where
  ret i32 {status}
}}

define i32 @{name}.reverse(ptr %result, ptr %error, double %x, ptr %result.shadow, ptr %bar, ptr %record) {{
  %kept = load double, ptr %record
  %seed = load double, ptr %result.shadow
  %twice = fmul double %kept, 2.0
  %adjoint = fmul double %twice, %seed
  store double %adjoint, ptr %bar
  call void @free(ptr %record)
  ret i32 0
}}

define void @{name}.discard(ptr %record) {{
  call void @free(ptr %record)
  ret void
}}
"""


def symbols(name: str) -> SplitSymbols:
    return SplitSymbols(f"{name}.augmented", f"{name}.reverse", f"{name}.discard")


def square(name: str, status: int = 0) -> tuple[Program, str]:
    program = lower(lambda x: x * x, (nb.float64,))
    return program, SQUARE.format(name=name, status=status)


def test_seed_of_a_number_is_passed_to_the_reverse_half() -> None:
    program, text = square("test.split.seeded")
    halves = link_split(
        text, symbols("test.split.seeded"), program, [ACTIVE], "square", return_active=True, seeded=True
    )
    value, (tape, shadow) = halves.forward(3.0)
    assert (value, shadow) == (9.0, None)
    assert halves.reverse(tape, 10.0) == (60.0,)


def test_shadow_of_a_number_is_an_array_without_dimensions() -> None:
    program, text = square("test.split.shadow")
    halves = link_split(
        text, symbols("test.split.shadow"), program, [ACTIVE], "square", return_active=True, seeded=False
    )
    _, (tape, shadow) = halves.forward(3.0)
    shadow[...] = 10.0
    assert halves.reverse(tape) == (60.0,)
    with pytest.raises(TapeError, match="used already"):
        halves.reverse(tape)


def test_memory_that_is_not_granted_becomes_a_memory_error() -> None:
    program, text = square("test.split.exhausted", status=4242)
    halves = link_split(
        text, symbols("test.split.exhausted"), program, [ACTIVE], "square", return_active=True, seeded=True
    )
    with pytest.raises(MemoryError):
        halves.forward(3.0)


def test_text_that_is_no_llvm_is_our_bug() -> None:
    program, _ = square("test.split.nothing")
    with pytest.raises(GeneratedIRError):
        link_split(
            "define nonsense", symbols("x"), program, [ACTIVE], "square", return_active=True, seeded=True
        )


def test_halves_are_remembered() -> None:
    f = nb.njit(lambda x: x * x)
    first, second = (
        engine.split_derivative(f, (nb.float64,), (ACTIVE,), return_active=True, seeded=True)
        for _ in range(2)
    )
    assert first is second


def test_writing_to_the_result_alone_is_no_writing_to_arguments() -> None:
    f = nb.njit(lambda x: x * x)
    kinds = (nb.float64[::1],)
    assert not engine.split_derivative(f, kinds, (DUPLICATED,), return_active=True, seeded=False).writes


def test_writing_to_arguments_is_known() -> None:
    def f(x, y):
        y[0] = x[0]

    kinds = (nb.float64[::1], nb.float64[::1])
    made = engine.split_derivative(
        nb.njit(f), kinds, (DUPLICATED, DUPLICATED), return_active=False, seeded=False
    )
    assert made.writes
    x, y, dx, dy = np.ones(2), np.zeros(2), np.zeros(2), np.ones(2)
    value, (tape, shadow) = made.forward(x, y, dx, dy)
    assert (value, shadow) == (None, None)
    assert made.reverse(tape) == ()
    np.testing.assert_array_equal(dx, [1.0, 0.0])
    np.testing.assert_array_equal(dy, [0.0, 1.0])


def test_constants_and_shadows_come_in_the_order_of_the_arguments() -> None:
    def f(a, x, n, y, b):
        return a * np.sum(x) * n + b * np.sum(y)

    array = nb.float64[::1]
    made = engine.split_derivative(
        nb.njit(f),
        (nb.float64, array, nb.int64, array, nb.float64),
        (ACTIVE, DUPLICATED, CONST, CONST, ACTIVE),
        return_active=True,
        seeded=True,
    )
    x, y, dx = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.zeros(2)
    value, (tape, _) = made.forward(2.0, x, 5, y, 7.0, dx)
    assert value == 79.0
    assert made.reverse(tape, 10.0) == (150.0, 70.0)
    np.testing.assert_array_equal(dx, [100.0, 100.0])
