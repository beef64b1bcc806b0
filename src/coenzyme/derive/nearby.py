"""Tapes that begin in the stack frame of the derivative: what is small needs no other memory.

A tape takes its chunks from a pool that threads share; to ask for one, and to give it back, costs as much as
a few dozen operations. A function of a few numbers tapes less than that is worth, and so does an iteration
that is run again in the reverse sweep, thousands of times. So a stack starts with some bytes of the frame of
the function; what is beyond goes into chunks, on top of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import Alloca, Block, Instruction
from coenzyme.ir.types import I8, I32, I64, ArrayType
from coenzyme.ir.values import Value

__all__ = ["begin_nearby"]

MOST = 4096
"""Bytes of a frame, for all tapes of a function together."""
LEAST = 128
"""A tape gets no fewer, unless it gets none."""
_LINE = 64


def begin_nearby(stacks: Sequence[Value]) -> list[Instruction]:
    """Return what lets empty `stacks` begin in the frame of the function to whose entry it is added."""
    size = MOST // max(1, len(stacks)) // _LINE * _LINE
    made: list[Instruction] = []
    for stack in stacks if size >= LEAST else ():
        block = Block("detached")
        memory = Alloca(ArrayType(size // 8, I64), const_int(I32, 1), "tape.begin")
        memory.align = _LINE
        block.append(memory)
        at = Builder(block)
        at.store(memory, stack)
        at.store(at.gep(I8, memory, [const_int(I64, size)]), at.gep(I8, stack, [const_int(I64, 8)]))
        made += block.instructions
    return made
