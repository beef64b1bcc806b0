"""Parts of a function that the reverse sweep has nothing to do in.

A search for the place of an element, the bits of an index in another order: loops and branches of integers
alone. The reverse sweep passes through them on its way back, but how often such a loop has run, and which way
a branch has gone, need not be known. Any way back will do; what happens there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block
from coenzyme.ir.loops import Loop

__all__ = ["NOTHING_IDLE", "Idle", "find_idle"]

_MOST_BLOCKS = 200
"""How large a part is looked through."""


@dataclass(frozen=True)
class Idle:
    """Where the reverse sweep may take any way.

    Attributes
    ----------
    loops
        Loops that may be taken to have run once.
    merges
        Blocks with several predecessors, each of which may be taken for the one that control came from.
    """

    loops: frozenset[Loop]
    merges: frozenset[Block]


NOTHING_IDLE = Idle(frozenset(), frozenset())


def find_idle(
    loops: Collection[Loop],
    merges: Collection[Block],
    predecessors: Callable[[Block], Collection[Block]],
    dominators: Dominators,
    has_work: Callable[[Block], bool],
    merges_numbers: Callable[[Block], bool],
) -> Idle:
    """Return the parts of a function in which the reverse sweep has nothing to do.

    Parameters
    ----------
    loops, merges
        The loops, and the blocks with several predecessors that are no headers of loops.
    predecessors
        The predecessors of a block by which the reverse sweep may leave it.
    dominators
        Of the function.
    has_work
        Whether the reverse sweep does anything in a block, the adjoints of its phis included.
    merges_numbers
        Whether a block has phis with adjoints: its predecessors are told apart then.
    """
    idle = {loop for loop in loops if not any(has_work(block) for block in loop.blocks)}
    passed: set[Block] = {block for loop in idle for block in loop.blocks}
    found = {block for block in merges if block in passed}
    for block in merges:
        origin = dominators.immediate[block]
        if block in found or origin is None or merges_numbers(block):
            continue
        between = _between(origin, block, predecessors)
        if between is not None and not any(has_work(other) for other in between):
            found |= {block, *(other for other in merges if other in between)}
    return Idle(frozenset(idle), frozenset(found))


def _between(
    origin: Block, block: Block, predecessors: Callable[[Block], Collection[Block]]
) -> set[Block] | None:
    """Return the blocks on the ways from `origin` to `block`, None where there are too many."""
    between: set[Block] = set()
    pending = [p for p in predecessors(block) if p is not origin]
    while pending:
        other = pending.pop()
        if other in between:
            continue
        if len(between) == _MOST_BLOCKS or other is block:
            return None
        between.add(other)
        pending.extend(p for p in predecessors(other) if p is not origin)
    return between
