from __future__ import annotations

import ctypes
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coenzyme.derive.runtime import TapeMemory, require
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from tests.unit.derive.native import compile_text

KINDS = list(TapeMemory)


class Stack(ctypes.Structure):
    _fields_ = (("top", ctypes.c_void_p), ("end", ctypes.c_void_p), ("chunk", ctypes.c_void_p))


class Tape:
    """The tape functions of one kind of memory, as machine code."""

    def __init__(self, kind: TapeMemory) -> None:
        module = parse_module("")
        for name in ("push", "pop", "trim", "release"):
            require(module, f"coenzyme.tape.{name}", kind)
        text = print_module(module).replace("define internal", "define")
        self.engine = compile_text(text, 1)
        self.push = self.function("push", ctypes.c_void_p, ctypes.c_int64)
        self.pop = self.function("pop", ctypes.c_void_p, ctypes.c_int64)
        self.trim = self.function("trim", None)
        self.release = self.function("release", None)

    def function(self, name: str, result: object, *more: object):
        prototype = ctypes.CFUNCTYPE(result, ctypes.POINTER(Stack), *more)
        return prototype(self.engine.get_function_address(f"coenzyme.tape.{name}"))


tape_of = cache(Tape)

# Small records, some larger than the smallest chunk.
sizes = st.lists(
    st.one_of(st.integers(1, 40), st.integers(1, 9000), st.integers(8000, 40000)).map(lambda n: 8 * n),
    max_size=30,
)


@settings(max_examples=40)
@pytest.mark.parametrize("kind", KINDS)
@given(sizes=sizes)
def test_what_was_pushed_last_is_popped_first_and_unharmed(kind: TapeMemory, sizes: list[int]) -> None:
    tape, stack = tape_of(kind), Stack()
    for number, size in enumerate(sizes):
        base = tape.push(stack, size)
        assert base
        assert base % 8 == 0
        ctypes.memset(base, number + 1, size)
    for number, size in reversed(list(enumerate(sizes))):
        base = tape.pop(stack, size)
        assert ctypes.string_at(base, size) == bytes([number + 1]) * size
        tape.trim(stack)
    assert not stack.chunk


@pytest.mark.parametrize("kind", KINDS)
def test_pushes_and_pops_in_turns(kind: TapeMemory) -> None:
    tape, stack = tape_of(kind), Stack()
    for turn in range(200):
        for k in range(3):
            ctypes.memset(tape.push(stack, 24_000), turn + k & 255, 24_000)
        for k in (2, 1):
            assert ctypes.string_at(tape.pop(stack, 24_000), 24_000) == bytes([turn + k & 255]) * 24_000
            tape.trim(stack)
    for turn in reversed(range(200)):
        assert ctypes.string_at(tape.pop(stack, 24_000), 24_000) == bytes([turn & 255]) * 24_000
        tape.trim(stack)
    assert not stack.chunk


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_memory_can_hold_is_refused_and_the_tape_goes_on(kind: TapeMemory) -> None:
    tape, stack = tape_of(kind), Stack()
    first = tape.push(stack, 64)
    ctypes.memset(first, 7, 64)
    for absurd in (1 << 60, (1 << 63) - 8, -8, -64):
        assert not tape.push(stack, absurd)
    assert tape.push(stack, 64)
    tape.pop(stack, 64)
    tape.trim(stack)
    assert ctypes.string_at(tape.pop(stack, 64), 64) == bytes([7]) * 64
    tape.release(stack)


@pytest.mark.parametrize("kind", KINDS)
def test_release_of_a_full_or_an_empty_tape(kind: TapeMemory) -> None:
    tape, stack = tape_of(kind), Stack()
    tape.release(stack)
    for _ in range(50):
        tape.push(stack, 50_000)
    tape.release(stack)
