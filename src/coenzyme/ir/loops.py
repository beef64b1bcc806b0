"""Natural loops and how they nest.

Source: Aho, Lam, Sethi & Ullman, "Compilers", 2nd ed., sections 9.6.4-9.6.6.
"""

from __future__ import annotations

from collections.abc import Iterator

from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block, Function

__all__ = ["Loop", "LoopForest"]


class Loop:
    """A natural loop: the blocks from which a latch is reached without leaving through the header.

    Attributes
    ----------
    header
        The only block by which control enters.
    blocks
        All blocks, those of nested loops included (unordered; see `ordered_blocks`).
    ordered_blocks
        The same, in reverse postorder: the header first.
    latches
        The blocks that go back to the header.
    parent, children, depth
        The nest; an outermost loop has depth 1.
    preheader
        The only block outside that goes to the header, where it goes nowhere else; else None.
    exiting_edges
        The (from, to) edges that leave.
    exit_blocks
        Where they lead, each once.
    """

    def __init__(self, header: Block, latches: list[Block]) -> None:
        self.header = header
        self.latches = latches
        self.blocks: set[Block] = set()
        self.ordered_blocks: list[Block] = []
        self.parent: Loop | None = None
        self.children: list[Loop] = []
        self.depth = 0
        self.preheader: Block | None = None
        self.exiting_edges: list[tuple[Block, Block]] = []
        self.exit_blocks: list[Block] = []

    def __repr__(self) -> str:
        return f"<Loop %{self.header.name}, depth {self.depth}, {len(self.blocks)} blocks>"

    def __contains__(self, block: Block) -> bool:
        return block in self.blocks

    @property
    def exiting_blocks(self) -> list[Block]:
        """The blocks that control can leave from, each once."""
        return list(dict.fromkeys(origin for origin, _ in self.exiting_edges))

    @property
    def latch(self) -> Block | None:
        """The only latch, or None where there are several."""
        return self.latches[0] if len(self.latches) == 1 else None

    def ancestors(self) -> Iterator[Loop]:
        """Iterate over the enclosing loops, innermost first."""
        loop = self.parent
        while loop is not None:
            yield loop
            loop = loop.parent


class LoopForest:
    """The loops of a function.

    Attributes
    ----------
    loops
        All loops, in reverse postorder of their headers (a loop before those inside it).
    top_level
        The outermost ones.
    loop_of
        For every reachable block the innermost loop around it, or None.
    irreducible_blocks
        Targets of retreating edges that do not dominate their sources: entries of cycles that are no
        natural loops. Empty in a reducible function.
    """

    def __init__(
        self, function: Function, cfg: ControlFlow | None = None, dominators: Dominators | None = None
    ) -> None:
        if cfg is None:
            cfg = dominators.cfg if dominators is not None else ControlFlow(function)
        self.function = function
        self.cfg = cfg
        self.dominators = dominators if dominators is not None else Dominators(cfg)
        self.loops: list[Loop] = []
        self.top_level: list[Loop] = []
        self.loop_of: dict[Block, Loop | None] = dict.fromkeys(cfg.reverse_postorder)
        self.irreducible_blocks: list[Block] = []
        self._find_headers()
        for loop in reversed(self.loops):
            self._claim_blocks(loop)
        self._nest()
        for loop in self.loops:
            self._find_borders(loop)

    @property
    def irreducible(self) -> bool:
        """Whether some cycle has more than one entry."""
        return bool(self.irreducible_blocks)

    def postorder(self) -> list[Loop]:
        """Return all loops, each after those inside it."""
        return self.loops[::-1]

    def _find_headers(self) -> None:
        position = self.cfg.position
        for block in self.cfg.reverse_postorder:
            latches: list[Block] = []
            for origin in self.cfg.predecessors[block]:
                if origin not in position or position[origin] < position[block]:
                    continue
                if self.dominators.dominates(block, origin):
                    latches.append(origin)
                elif block not in self.irreducible_blocks:
                    self.irreducible_blocks.append(block)
            if latches:
                self.loops.append(Loop(block, latches))

    def _claim_blocks(self, loop: Loop) -> None:
        # Inner loops come first, so that a block already claimed stands for its outermost loop so far.
        work = list(loop.latches)
        while work:
            block = work.pop()
            if block not in self.cfg.position:
                continue
            inner = self.loop_of[block]
            if inner is None:
                self.loop_of[block] = loop
                if block is not loop.header:
                    work.extend(self.cfg.predecessors[block])
                continue
            while inner.parent is not None:
                inner = inner.parent
            if inner is not loop:
                inner.parent = loop
                work.extend(self.cfg.predecessors[inner.header])

    def _nest(self) -> None:
        for loop in self.loops:
            if loop.parent is None:
                self.top_level.append(loop)
                loop.depth = 1
            else:
                loop.parent.children.append(loop)
                loop.depth = loop.parent.depth + 1
        for block, innermost in self.loop_of.items():
            loop = innermost
            while loop is not None:
                loop.blocks.add(block)
                loop.ordered_blocks.append(block)
                loop = loop.parent

    def _find_borders(self, loop: Loop) -> None:
        for block in loop.ordered_blocks:
            for target in self.cfg.successors[block]:
                if target not in loop.blocks:
                    loop.exiting_edges.append((block, target))
        loop.exit_blocks = list(dict.fromkeys(target for _, target in loop.exiting_edges))
        outside = [b for b in self.cfg.predecessors[loop.header] if b not in loop.blocks]
        if len(outside) == 1 and len(self.cfg.successors[outside[0]]) == 1:
            loop.preheader = outside[0]
