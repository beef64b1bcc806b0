"""The passes by which derivatives get quick, as data: each can be switched off, and nothing but time changes.

A derivative is made by the passes in a set; the empty set makes the plain one, which tapes what it cannot
trivially compute again. It is the oracle for all others, and leaving out one pass measures it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

__all__ = ["ALL_PASSES", "NO_PASSES", "Pass", "passes_in_force", "put_in_force"]


class Pass(Enum):
    """An improvement that derivatives are right without."""

    APART = "arrays that do not overlap are made known before the function is simplified"
    STACK = "small arrays of constant size that stay in the function become values"
    BORROWED = "references that are given back are not counted"
    CARRIED = "indices of array expressions that a loop carries round are resolved"
    SPECULATE = "branches around a few harmless operations become selections"
    EQUAL_PHIS = "one integer computed in two places is computed again instead of recorded"
    INVARIANT = "what a loop reads alike in every iteration is read before it"
    ROUND_TRIPS = "addresses that a nest of loops takes back are those that it began with"
    WRAPAROUND = "the test for a negative subscript goes away where the loops decide it"
    IDLE = "loops and branches in which nothing is differentiated leave no trace"
    CONTRACT = "temporary arrays are computed where they are read, instead of stored"
    REREAD = "what a loop carries round because it has read it before is read again"
    BORDERS = "borders of grids, where neighbours are found at the other end, are visited apart"
    CUT = "a cheapest set of values is taped, and the rest computed again"
    SHARED = "what one loop has taped is not taped by the next one that reads the same"
    SURVIVAL = "what is read is read again where subscripts prove that nobody overwrites it"
    STORED = "what the function has stored for good is read where it is, instead of taped"
    GATHER = "adjoints are summed in registers before they are added to memory"
    ROWS = "what several rows of a nest of loops add to one cell is gathered as well"
    SIDE_BY_SIDE = "whether rows of a shadow overlap is asked for each row, not for all at once"
    NESTS = "what a loop tapes has one place for the nest of loops around it"
    ORDERLESS = "loops without order run upwards in the reverse sweep"
    CHAINS = "what a recurrence hands from one iteration to the next stays in a register"
    FORWARDED = "what the iteration before has stored is not loaded again"
    REPLAY = "iterations that stand alone are run again, one by one, instead of taped"
    FUSE = "iterations that are run again, and that nothing waits for, are not run before"
    UNNEEDED = "what nobody asks for is left out of the forward sweep"
    LANES = "tangents of several directions are vectors, and lie side by side in local memory"
    LATE = "shadows of what an iteration allocates for itself are allocated in its reverse sweep"
    NEARBY = "tapes begin in the stack frame of the derivative"
    NEGATIVE_ZERO = "adjoints start at −0.0, to which the first addition costs nothing"

    def __repr__(self) -> str:
        return f"Pass.{self.name}"


ALL_PASSES = frozenset(Pass)
NO_PASSES: frozenset[Pass] = frozenset()

_in_force: ContextVar[frozenset[Pass]] = ContextVar("coenzyme_passes", default=ALL_PASSES)


def passes_in_force() -> frozenset[Pass]:
    """Return the passes by which derivatives are made here, in this thread or task."""
    return _in_force.get()


@contextmanager
def put_in_force(passes: frozenset[Pass]) -> Generator[None, None, None]:
    """Let derivatives be made by these passes, and no others."""
    token = _in_force.set(passes)
    try:
        yield
    finally:
        _in_force.reset(token)
