"""Functions made of nothing but control flow, and slow definitions to compare fast algorithms with."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from coenzyme.ir.instructions import Block, Branch, Function, Return, Switch
from coenzyme.ir.types import I64, VOID, FunctionType
from coenzyme.ir.values import Argument, ConstantInt

Edges = Sequence[Sequence[int]]


def function_of(edges: Edges) -> Function:
    """Return a function whose block i goes to ``edges[i]``."""
    selector = Argument(I64, "k", 0)
    function = Function("f", FunctionType(VOID, (I64,)), [selector])
    blocks = [function.add_block(Block(f"b{i}")) for i in range(len(edges))]
    for block, targets in zip(blocks, edges, strict=True):
        first, *others = [blocks[t] for t in targets] or [None]
        if first is None:
            block.append(Return())
        elif others:
            cases = [(ConstantInt(I64, i), b) for i, b in enumerate(others)]
            block.append(Switch(selector, first, cases))
        else:
            block.append(Branch([first]))
    return function


@st.composite
def edges(draw: st.DrawFn, max_blocks: int = 9) -> list[list[int]]:
    count = draw(st.integers(1, max_blocks))
    # LLVM does not let anything branch to the entry.
    targets = st.lists(st.integers(1, count - 1), max_size=3) if count > 1 else st.just([])
    return [draw(targets) for _ in range(count)]


def reachable(graph: Edges, start: int, without: int | None = None) -> set[int]:
    """Return the nodes that paths from `start` reach when `without` is taken out."""
    if start == without:
        return set()
    seen, work = {start}, [start]
    while work:
        for target in graph[work.pop()]:
            if target not in seen and target != without:
                seen.add(target)
                work.append(target)
    return seen


def reverse(graph: Edges) -> list[list[int]]:
    back: list[list[int]] = [[] for _ in graph]
    for node, targets in enumerate(graph):
        for target in targets:
            back[target].append(node)
    return back


def dominates(graph: Edges, a: int, b: int, root: int = 0) -> bool:
    """Return whether every path from `root` to `b` goes through `a`, by taking `a` out."""
    return a == b or b not in reachable(graph, root, without=a)


def is_reducible(graph: Edges) -> bool:
    """Return whether removing self loops and merging single-predecessor nodes shrinks the graph to one node.

    Source: Hecht & Ullman, "Flow Graph Reducibility" (1972), transformations T1 and T2.
    """
    alive = reachable(graph, 0)
    after = {node: set(graph[node]) - {node} for node in alive}
    while len(after) > 1:
        for node in after:
            before = [p for p in after if node in after[p]]
            if node != 0 and len(before) == 1:
                after[before[0]] |= after.pop(node)
                after[before[0]] -= {node, before[0]}
                break
        else:
            return False
    return True
