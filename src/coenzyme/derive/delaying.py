"""References that are let go of later, so that what they keep alive can be read until then."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from coenzyme.derive.normalise import Shape
from coenzyme.ir.cfg import incoming_edges
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import Block, Call, Phi
from coenzyme.ir.values import ConstantNull

__all__ = ["Delay", "find_delay"]


@dataclass(frozen=True)
class Delay:
    """A call that lets go of a reference, and where it can do so instead.

    Attributes
    ----------
    target
        The block that control comes to afterwards, unless the function raises.
    passed
        The blocks that run before that.
    """

    call: Call
    target: Block
    passed: frozenset[Block]

    def failing(self, shape: Shape) -> list[Block]:
        """Return the blocks in which the function gives up on its way to `target`."""
        leaving = (s for b in shape.flow.reverse_postorder if b in self.passed for s in b.successors)
        return [block for block in dict.fromkeys(leaving) if block not in shape.live]

    def apply(self, shape: Shape) -> None:
        """Move the call; where the function gives up instead, it lets go there."""
        pointer = self.call.operands[0]
        for block in self.failing(shape):
            ways = [
                (pointer if source in self.passed else ConstantNull(), source)
                for source in incoming_edges(block, shape.flow.predecessors[block])
            ]
            held = block.insert(0, Phi(pointer.type, ways, "held"))
            block.insert(len(block.phis), clone_instruction(self.call, {pointer: held}))
        twin = clone_instruction(self.call, {})
        self.call.erase()
        self.target.insert(len(self.target.phis), twin)


def find_delay(shape: Shape, call: Call, readers: Collection[Block]) -> Delay | None:
    """Return how `call`, which lets go of a reference, can do so after all of `readers`, or None."""
    start = call.block
    assert start is not None
    if start not in shape.live:
        return None
    loop = shape.loop_of(start)
    for target in shape.flow.reverse_postorder:
        if target is start or target not in shape.live or shape.loop_of(target) is not loop:
            continue
        if not shape.dominators.dominates(start, target):
            continue
        passed = _passed(shape, start, target)
        if passed is not None and passed.issuperset(readers):
            return Delay(call, target, frozenset(passed))
    return None


def _passed(shape: Shape, start: Block, target: Block) -> set[Block] | None:
    """Return the blocks on the ways from `start` to `target`, or None where one does not come there."""
    loop = shape.loop_of(start)
    passed = {start}
    pending = [start]
    while pending:
        block = pending.pop()
        if not block.successors:
            return None
        for following in block.successors:
            if following is target or following in passed or following not in shape.live:
                continue
            if loop is not None and (following is loop.header or following not in loop.blocks):
                return None
            passed.add(following)
            pending.append(following)
    return passed
