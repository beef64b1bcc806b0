"""The control-flow graph of a function, and the two edits that keep its phis right.

Source: Cooper & Torczon, "Engineering a Compiler", 2nd ed., section 9.2 (orders of blocks).
"""

from __future__ import annotations

from collections.abc import Iterable

from coenzyme.ir.instructions import Block, Branch, Function, Instruction, Phi
from coenzyme.ir.values import Poison

__all__ = [
    "ControlFlow",
    "incoming_edges",
    "remove_unreachable",
    "split_block",
    "split_block_at",
    "split_edge",
]


class ControlFlow:
    """Who can go where, as the function stood when this was made.

    Attributes
    ----------
    successors, predecessors
        For every block, the neighbouring blocks, each once; predecessors in the order of the text.
    reverse_postorder
        The blocks reachable from the entry, each before its successors except along back edges.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.successors: dict[Block, list[Block]] = {b: b.successors for b in function.blocks}
        self.predecessors: dict[Block, list[Block]] = {b: [] for b in function.blocks}
        for block, targets in self.successors.items():
            for target in targets:
                self.predecessors[target].append(block)
        self.reverse_postorder: list[Block] = self._order()
        self.position: dict[Block, int] = {b: i for i, b in enumerate(self.reverse_postorder)}

    @property
    def entry(self) -> Block:
        """The block control enters by."""
        return self.function.blocks[0]

    def is_reachable(self, block: Block) -> bool:
        """Return whether control can get from the entry to `block`."""
        return block in self.position

    def _order(self) -> list[Block]:
        seen = {self.entry}
        order: list[Block] = []
        stack = [(self.entry, iter(self.successors[self.entry]))]
        while stack:
            block, rest = stack[-1]
            for target in rest:
                if target not in seen:
                    seen.add(target)
                    stack.append((target, iter(self.successors[target])))
                    break
            else:
                order.append(block)
                stack.pop()
        order.reverse()
        return order


def remove_unreachable(function: Function) -> int:
    """Delete the blocks that the entry does not reach and return how many there were.

    Phis of the remaining blocks lose the entries of the deleted ones.
    """
    cfg = ControlFlow(function)
    dead = [b for b in function.blocks if not cfg.is_reachable(b)]
    for block in dead:
        for target in cfg.successors[block]:
            if cfg.is_reachable(target):
                for phi in target.phis:
                    remove_incoming(phi, block)
    for block in dead:
        for instruction in block.instructions:
            instruction.drop_operands()
            # Only other dead instructions can still use it: a live use would not be dominated.
            instruction.replace_all_uses_with(Poison(instruction.type))
        block.function = None
    function.blocks = [b for b in function.blocks if cfg.is_reachable(b)]
    return len(dead)


def incoming_edges(block: Block, predecessors: Iterable[Block]) -> list[Block]:
    """Return the predecessors once for each edge: what the incoming blocks of a phi in `block` have to be."""
    return [p for p in predecessors for target in p.terminator.targets if target is block]


def remove_incoming(phi: Phi, block: Block) -> None:
    """Take the entries that come from `block` out of `phi`."""
    kept = [(v, b) for v, b in phi.pairs if b is not block]
    if len(kept) == len(phi.incoming):
        return
    phi.drop_operands()
    phi.incoming.clear()
    for value, origin in kept:
        phi.add_incoming(value, origin)


def split_edge(predecessor: Block, successor: Block) -> Block:
    """Return a new block put on the edge from `predecessor` to `successor`.

    Parallel edges between the two (a switch with several cases) all go through the new block, and the
    phis of `successor` name it once in the place of `predecessor`.
    """
    function = predecessor.function
    assert function is not None
    assert successor in predecessor.terminator.targets, "no such edge"
    middle = Block(f"{predecessor.name}.to.{successor.name}")
    middle.function = function
    middle.append(Branch([successor]))
    function.blocks.insert(function.blocks.index(predecessor) + 1, middle)
    predecessor.terminator.replace_target(successor, middle)
    for phi in successor.phis:
        value = phi.value_from(predecessor)
        place = phi.incoming.index(predecessor)
        if phi.incoming.count(predecessor) == 1:
            phi.incoming[place] = middle
        else:
            remove_incoming(phi, predecessor)
            phi.add_incoming(value, middle)
    return middle


def split_block(function: Function, instruction: Instruction) -> Block:
    """Move what follows `instruction` into a new block and return it; the old block is left open.

    The phis of the successors are told that they are now entered from the new block.
    """
    block = instruction.block
    assert block is not None
    assert block.function is function
    return split_block_at(block, block.instructions.index(instruction) + 1)


def split_block_at(block: Block, position: int) -> Block:
    """Move the instructions of `block` from `position` on into a new block, as `split_block` does."""
    function = block.function
    assert function is not None
    rest = Block(f"{block.name}.rest")
    rest.function = function
    function.blocks.insert(function.blocks.index(block) + 1, rest)
    for moved in block.instructions[position:]:
        moved.block = rest
        rest.instructions.append(moved)
    del block.instructions[position:]
    for successor in rest.successors:
        for phi in successor.phis:
            phi.incoming = [rest if b is block else b for b in phi.incoming]
    return rest
