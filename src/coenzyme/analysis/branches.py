"""How the reverse sweep learns by which edge control came into a block.

Where the branches between a block and its immediate dominator decide it, the reverse sweep asks their
conditions again; elsewhere the forward sweep records it.
Source: Griewank & Walther (2008), §6.2 on reversing call trees and control flow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block, Branch, Switch, Terminator
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Value

__all__ = ["CameFrom", "Decision", "Test", "conditions", "find_decision"]

_BUDGET = 48
"""Largest decision tree that is asked again rather than recorded."""


@dataclass(frozen=True)
class CameFrom:
    """Control came in from `predecessor`."""

    predecessor: Block


@dataclass(frozen=True)
class Test:
    """Ask the terminator again; ``arms[i]`` goes with its target i, None where control did not get here."""

    terminator: Terminator
    arms: tuple[Decision | None, ...]


Decision: TypeAlias = CameFrom | Test


class _TooLargeError(Exception):
    """The tree is not worth asking."""


def find_decision(
    block: Block,
    live: Collection[Block],
    dominators: Dominators,
    loop_of: Callable[[Block], Loop | None],
) -> Decision | None:
    """Return the tests that tell how control came into `block`, or None where it has to be recorded."""
    origin = dominators.immediate[block]
    if origin is None or loop_of(origin) is not loop_of(block):
        return None
    try:
        return _Walk(block, origin, live, dominators, loop_of).from_terminator(origin)
    except _TooLargeError:
        return None


def conditions(decision: Decision | None) -> list[Value]:
    """Return the values that `decision` asks for."""
    match decision:
        case Test():
            own = list(decision.terminator.operands[:1])
            return own + [v for arm in decision.arms for v in conditions(arm)]
        case _:
            return []


class _Walk:
    def __init__(
        self,
        goal: Block,
        origin: Block,
        live: Collection[Block],
        dominators: Dominators,
        loop_of: Callable[[Block], Loop | None],
    ) -> None:
        self.goal = goal
        self.origin = origin
        self.live = live
        self.dominators = dominators
        self.loop_of = loop_of
        self.budget = _BUDGET

    def from_terminator(self, block: Block) -> Decision | None:
        self.budget -= 1
        if self.budget < 0:
            raise _TooLargeError
        terminator = block.terminator
        arms = tuple(self._follow(block, target) for target in terminator.targets)
        reaching = [arm for arm in arms if arm is not None]
        if not reaching:
            return None
        if all(arm == reaching[0] for arm in reaching):
            return reaching[0]
        if not isinstance(terminator, Branch | Switch):
            raise _TooLargeError
        return Test(terminator, arms)

    def _follow(self, block: Block, target: Block) -> Decision | None:
        if target is self.goal:
            return CameFrom(block)
        if target not in self.live or target is self.origin:
            return None
        if not self.dominators.dominates(self.origin, target):
            return None
        loop, home = self.loop_of(target), self.loop_of(self.goal)
        if loop is home:
            return self.from_terminator(target)
        while loop is not None and loop.parent is not home:
            loop = loop.parent
        if loop is None:
            return None
        exits = list(
            dict.fromkeys((a, b) for a, b in loop.exiting_edges if a in self.live and b in self.live)
        )
        targets = list(dict.fromkeys(b for _, b in exits))
        if len(targets) != 1 or self.loop_of(targets[0]) is not home:
            raise _TooLargeError
        if targets[0] is self.goal:
            if len(exits) != 1:
                raise _TooLargeError
            return CameFrom(exits[0][0])
        return self.from_terminator(targets[0])
