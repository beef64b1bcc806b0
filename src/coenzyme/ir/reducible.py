"""Give every cycle a single entry.

Where a cycle can be entered at several blocks, all ways to them lead through a new block, which remembers
where control was bound for and branches there: it is the cycle's only entry, the header of a natural loop.
Nothing is copied.

Source: the transformation that LLVM's pass `fix-irreducible` performs, after Havlak, "Nesting of reducible
and irreducible loops" (1997).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.cfg import ControlFlow, remove_unreachable, split_edge
from coenzyme.ir.instructions import Block, Function, Phi
from coenzyme.ir.types import I32

__all__ = ["make_reducible"]


def make_reducible(function: Function) -> bool:
    """Change `function` so that all of its cycles are natural loops; return whether there was a change.

    The loops are in no canonical form afterwards.
    """
    changed = False
    remove_unreachable(function)
    while True:
        flow = ControlFlow(function)
        entries = _find_entries(flow, set(flow.reverse_postorder))
        if entries is None:
            return changed
        _join(function, flow, entries)
        changed = True


def _find_entries(flow: ControlFlow, region: set[Block]) -> list[Block] | None:
    """Return the entries of an outermost cycle in `region` that has several, or None."""
    for component in _components(flow, region):
        entries = [
            b
            for b in flow.reverse_postorder
            if b in component and any(p not in component for p in flow.predecessors[b] if p in flow.position)
        ]
        if len(entries) > 1:
            return entries
        inside = component - set(entries)
        found = _find_entries(flow, inside) if entries else None
        if found is not None:
            return found
    return None


def _components(flow: ControlFlow, region: set[Block]) -> Iterator[set[Block]]:
    """Yield the sets of blocks in `region` that reach each other within it (Kosaraju's algorithm)."""
    order: list[Block] = []
    seen: set[Block] = set()
    for root in flow.reverse_postorder:
        if root in region and root not in seen:
            order.extend(_postorder(root, flow.successors, region, seen))
    seen = set()
    for root in reversed(order):
        if root not in seen:
            component = set(_postorder(root, flow.predecessors, region, seen))
            if len(component) > 1 or root in flow.successors[root]:
                yield component


def _postorder(
    root: Block, neighbours: dict[Block, list[Block]], region: set[Block], seen: set[Block]
) -> Iterable[Block]:
    seen.add(root)
    work = [(root, iter(neighbours[root]))]
    while work:
        block, following = work[-1]
        target = next((t for t in following if t in region and t not in seen), None)
        if target is None:
            work.pop()
            yield block
        else:
            seen.add(target)
            work.append((target, iter(neighbours[target])))


def _join(function: Function, flow: ControlFlow, entries: list[Block]) -> None:
    """Let all edges to `entries` go through one new block."""
    guard = Block(f"{entries[0].name}.entered")
    guard.function = function
    function.blocks.insert(function.blocks.index(entries[0]), guard)
    ways: list[tuple[Block, int]] = []
    for number, entry in enumerate(entries):
        for predecessor in dict.fromkeys(flow.predecessors[entry]):
            ways.append((split_edge(predecessor, entry), number))
    bound_for = Phi(I32, [(const_int(I32, number), way) for way, number in ways], f"{guard.name}.for")
    guard.append(bound_for)
    for number, entry in enumerate(entries):
        for phi in entry.phis:
            merged = Phi(phi.type, (), phi.name)
            for way, target in ways:
                merged.add_incoming(phi.value_from(way) if target == number else zero(phi.type), way)
            guard.insert(len(guard.phis), merged)
            phi.replace_all_uses_with(merged)
            phi.erase()
    for way, number in ways:
        way.terminator.replace_target(entries[number], guard)
    cases = [(const_int(I32, number), entry) for number, entry in enumerate(entries)]
    Builder(guard).switch(bound_for, entries[0], cases[1:])
