"""How the reverse sweep goes back where ways of the primal meet."""

from __future__ import annotations

from dataclasses import dataclass

from coenzyme.analysis.branches import CameFrom, Decision, find_decision
from coenzyme.analysis.idle import Idle
from coenzyme.derive.normalise import Shape
from coenzyme.ir.builder import const_int
from coenzyme.ir.cfg import incoming_edges
from coenzyme.ir.instructions import Block, Phi
from coenzyme.ir.types import I8, I32, IntType

__all__ = ["Merge", "find_merges", "merging_blocks"]


@dataclass(frozen=True)
class Merge:
    """How the reverse sweep leaves a block with several predecessors.

    `decision` asks the branches again; where it is None, `recorded` holds the number of the predecessor.
    """

    predecessors: tuple[Block, ...]
    decision: Decision | None
    recorded: Phi | None


def merging_blocks(shape: Shape) -> list[Block]:
    """Return the blocks with several predecessors, but for the headers of loops."""
    headers = {loop.header for loop in shape.counted}
    return [b for b in shape.exits.live if b not in headers and len(shape.live_predecessors(b)) > 1]


def find_merges(shape: Shape, idle: Idle) -> dict[Block, Merge]:
    """Decide for each merging block; where it must be recorded, insert the phi that records."""
    found: dict[Block, Merge] = {}
    for block in merging_blocks(shape):
        predecessors = shape.live_predecessors(block)
        decision: Decision | None = CameFrom(predecessors[0])
        if block not in idle.merges:
            decision = find_decision(block, shape.live, shape.dominators, shape.loop_of)
        recorded = None
        if decision is None:
            # Wide enough for the number of ways in.
            type = next(t for t in (I8, IntType(16), I32) if len(predecessors) <= 1 << (t.width - 1))
            recorded = Phi(type, (), f"{block.name}.came.from")
            for predecessor in incoming_edges(block, shape.flow.predecessors[block]):
                number = predecessors.index(predecessor) if predecessor in predecessors else 0
                recorded.add_incoming(const_int(type, number), predecessor)
            block.insert(0, recorded)
        found[block] = Merge(tuple(predecessors), decision, recorded)
    return found
