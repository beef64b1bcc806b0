"""How much memory a tape takes: derivatives compiled in here count what they push and pop."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import llvmlite.binding as llvm

from coenzyme.derive import runtime

__all__ = ["TapeCount", "counting_tapes"]

_SYMBOL = "coenzyme_tape_count"
_COUNTING = f"""
@{_SYMBOL} = external global [2 x i64]

define internal ptr @coenzyme.tape.push(ptr %stack, i64 %bytes) alwaysinline nounwind {{
entry:
  %result = call ptr @coenzyme.uncounted.push(ptr %stack, i64 %bytes)
  %old = load i64, ptr @{_SYMBOL}, align 8
  %now = add i64 %old, %bytes
  store i64 %now, ptr @{_SYMBOL}, align 8
  %slot = getelementptr i8, ptr @{_SYMBOL}, i64 8
  %most = load i64, ptr %slot, align 8
  %higher = icmp ugt i64 %now, %most
  %peak = select i1 %higher, i64 %now, i64 %most
  store i64 %peak, ptr %slot, align 8
  ret ptr %result
}}

define internal ptr @coenzyme.tape.pop(ptr %stack, i64 %bytes) alwaysinline nounwind {{
entry:
  %result = call ptr @coenzyme.uncounted.pop(ptr %stack, i64 %bytes)
  %old = load i64, ptr @{_SYMBOL}, align 8
  %now = sub i64 %old, %bytes
  store i64 %now, ptr @{_SYMBOL}, align 8
  ret ptr %result
}}
"""


@dataclass
class TapeCount:
    """Bytes on tapes, counted by the derivatives compiled within `counting_tapes`."""

    memory: ctypes.Array[ctypes.c_int64]

    def reset(self) -> None:
        """Forget the peak."""
        self.memory[0] = self.memory[1] = 0

    @property
    def peak(self) -> int:
        """The most bytes that were on tapes at one time since the last reset."""
        return self.memory[1]


@contextmanager
def counting_tapes() -> Iterator[TapeCount]:
    """Let derivatives compiled from here on count the bytes on their tapes; on one thread only.

    Notes
    -----
    What is counted is what frames take, not the chunks they are in, which grow in powers of two. Arrays of
    the function's own that the reverse sweep still reads are kept as they are, and not counted.
    """
    count = TapeCount((ctypes.c_int64 * 2)())
    llvm.add_symbol(_SYMBOL, ctypes.addressof(count.memory))
    uncounted = runtime.POOLED_TAPE
    renamed = uncounted
    for operation in ("push", "pop"):
        name = f"@coenzyme.tape.{operation}("
        if name not in uncounted:
            raise RuntimeError(f"the tape has no operation {operation}: count what stands for it")
        renamed = renamed.replace(name, f"@coenzyme.uncounted.{operation}(")
    runtime.POOLED_TAPE = renamed + _COUNTING
    try:
        yield count
    finally:
        runtime.POOLED_TAPE = uncounted
