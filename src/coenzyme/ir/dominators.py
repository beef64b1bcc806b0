"""Dominators and post-dominators.

Source: Cooper, Harvey & Kennedy, "A Simple, Fast Dominance Algorithm" (2001), figures 3 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence

from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.instructions import Block, Function, Instruction, Phi
from coenzyme.ir.values import Value

__all__ = ["Dominators", "PostDominators"]


class _Tree:
    """A dominator tree over the blocks that its root reaches; None stands for a virtual root.

    Attributes
    ----------
    immediate
        The immediate (post-)dominator of each block of the tree; None for the children of the root.
    children
        The blocks that each block immediately (post-)dominates.
    """

    def __init__(self, order: Sequence[Block], parents: Sequence[int]) -> None:
        # parents[i] is the position in order of the parent of order[i], or -1.
        self.immediate: dict[Block, Block | None] = {}
        self.children: dict[Block | None, list[Block]] = {None: []}
        for block, parent in zip(order, parents, strict=True):
            above = order[parent] if parent >= 0 else None
            self.immediate[block] = above
            self.children[block] = []
            self.children[above].append(block)
        self._number()

    def _number(self) -> None:
        self._first: dict[Block, int] = {}
        self._last: dict[Block, int] = {}
        self.depth: dict[Block, int] = {}
        clock = 0
        stack: list[tuple[Block, bool]] = [(b, False) for b in reversed(self.children[None])]
        while stack:
            block, done = stack.pop()
            if done:
                self._last[block] = clock
                continue
            clock += 1
            self._first[block] = clock
            above = self.immediate[block]
            self.depth[block] = 0 if above is None else self.depth[above] + 1
            stack.append((block, True))
            stack.extend((b, False) for b in reversed(self.children[block]))

    def __contains__(self, block: Block) -> bool:
        return block in self._first

    def dominates(self, a: Block, b: Block) -> bool:
        """Return whether every path from the root to `b` goes through `a`; O(1).

        A block (post-)dominates itself. A block outside the tree is dominated by every block, as no
        path leads to it.
        """
        if a is b or b not in self._first:
            return True
        if a not in self._first:
            return False
        return self._first[a] < self._first[b] <= self._last[a]

    def nearest_common(self, a: Block, b: Block) -> Block | None:
        """Return the deepest block that dominates both, or None for the virtual root."""
        x: Block | None = a
        y: Block | None = b
        while x is not y:
            if x is None or y is None:
                return None
            if self.depth[x] < self.depth[y]:
                y = self.immediate[y]
            else:
                x = self.immediate[x]
        return x

    def preorder(self) -> list[Block]:
        """Return the blocks of the tree, parents before children."""
        return sorted(self._first, key=self._first.__getitem__)


class Dominators(_Tree):
    """The dominator tree of a function's reachable blocks."""

    def __init__(self, graph: Function | ControlFlow) -> None:
        self.cfg = graph if isinstance(graph, ControlFlow) else ControlFlow(graph)
        order = self.cfg.reverse_postorder
        position = self.cfg.position
        predecessors = [
            [position[p] for p in self.cfg.predecessors[block] if p in position] for block in order
        ]
        super().__init__(order, _immediate_dominators(predecessors))

    def dominates_instruction(self, value: Value, user: Instruction) -> bool:
        """Return whether `value` is available wherever `user` uses it, or would in place of its operands.

        A phi uses an operand at the end of the block it comes in from. Where `value` is not an operand
        of `user`, it must be available in front of `user`.
        """
        if not isinstance(value, Instruction):
            return True
        assert value.block is not None
        assert user.block is not None
        if isinstance(user, Phi) and value in user.operands:
            return all(self.dominates(value.block, b) for v, b in user.pairs if v is value)
        if value.block is not user.block:
            return self.dominates(value.block, user.block)
        for instruction in value.block.instructions:
            if instruction is user:
                return False
            if instruction is value:
                return True
        raise AssertionError("neither instruction stands in its block")

    def frontiers(self) -> dict[Block, list[Block]]:
        """Return for each block where its dominance ends: the joins it reaches but does not dominate.

        Source: figure 5.
        """
        found: dict[Block, dict[Block, None]] = {b: {} for b in self.immediate}
        for block, above in self.immediate.items():
            for predecessor in self.cfg.predecessors[block]:
                runner: Block | None = predecessor if predecessor in self else above
                while runner is not above and runner is not None:
                    found[runner][block] = None
                    runner = self.immediate[runner]
        return {b: list(joins) for b, joins in found.items()}


class PostDominators(_Tree):
    """The post-dominator tree of the blocks from which a root can be reached.

    Parameters
    ----------
    graph
        The function or its control flow.
    roots
        The blocks taken as exits, joined by a virtual one; all blocks without successors by default.
    """

    def __init__(self, graph: Function | ControlFlow, roots: Sequence[Block] | None = None) -> None:
        self.cfg = graph if isinstance(graph, ControlFlow) else ControlFlow(graph)
        if roots is None:
            roots = [b for b in self.cfg.reverse_postorder if not self.cfg.successors[b]]
        self.roots = list(roots)
        order = self._reverse_order()
        # The virtual exit has position 0, so that every other is shifted by one.
        position = {block: i + 1 for i, block in enumerate(order)}
        exits = set(self.roots)
        towards_exit: list[list[int]] = [[]]
        for block in order:
            after = [position[s] for s in self.cfg.successors[block] if s in position]
            towards_exit.append([0, *after] if block in exits else after)
        parents = _immediate_dominators(towards_exit)
        super().__init__(order, [p - 1 for p in parents[1:]])

    def _reverse_order(self) -> list[Block]:
        seen: set[Block] = set()
        order: list[Block] = []
        for root in self.roots:
            if root in seen:
                continue
            seen.add(root)
            stack = [(root, iter(self.cfg.predecessors[root]))]
            while stack:
                block, rest = stack[-1]
                for origin in rest:
                    if origin not in seen and self.cfg.is_reachable(origin):
                        seen.add(origin)
                        stack.append((origin, iter(self.cfg.predecessors[origin])))
                        break
                else:
                    order.append(block)
                    stack.pop()
        order.reverse()
        return order


def _immediate_dominators(predecessors: Sequence[Sequence[int]]) -> list[int]:
    """Return the immediate dominator of each node of a graph numbered in reverse postorder.

    Node 0 is the root, whose entry is −1. Source: figure 3; `intersect` is its lower half.
    """
    unknown = -2
    parents = [unknown] * len(predecessors)
    if parents:
        parents[0] = 0
    changed = True
    while changed:
        changed = False
        for node in range(1, len(predecessors)):
            best = unknown
            for a in predecessors[node]:
                if parents[a] == unknown:
                    continue
                if best == unknown:
                    best = a
                    continue
                b = a
                while b != best:
                    while b > best:
                        b = parents[b]
                    while best > b:
                        best = parents[best]
            if parents[node] != best:
                parents[node] = best
                changed = True
    if parents:
        parents[0] = -1
    return parents
