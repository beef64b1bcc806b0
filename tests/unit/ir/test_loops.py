from __future__ import annotations

from hypothesis import given

from coenzyme.ir import LoopForest
from tests.unit.ir import graphs

# 0 → 1 (outer header) → 2 (inner header) ⇄ 3; 2 → 4 (outer latch) → 1; 4 → 5; 3 → 6 leaves both
NEST = [[1], [2], [3, 4], [2, 6], [1, 5], [], []]


@given(graphs.edges())
def test_loop_is_what_reaches_a_latch_without_the_header(edges: list[list[int]]) -> None:
    function = graphs.function_of(edges)
    forest = LoopForest(function)
    alive = graphs.reachable(edges, 0)
    back = graphs.reverse(edges)
    expected: dict[int, set[int]] = {}
    for header in alive:
        latches = [p for p in back[header] if p in alive and graphs.dominates(edges, header, p)]
        if latches:
            body = set().union(*(graphs.reachable(back, latch, without=header) for latch in latches))
            expected[header] = (body & alive) | {header}
    found = {int(loop.header.name[1:]): {int(b.name[1:]) for b in loop.blocks} for loop in forest.loops}
    assert found == expected


@given(graphs.edges())
def test_irreducible_flow_is_what_two_reductions_cannot_remove(edges: list[list[int]]) -> None:
    assert LoopForest(graphs.function_of(edges)).irreducible == (not graphs.is_reducible(edges))


@given(graphs.edges())
def test_nesting_follows_containment(edges: list[list[int]]) -> None:
    forest = LoopForest(graphs.function_of(edges))
    for loop in forest.loops:
        assert loop.ordered_blocks[0] is loop.header
        assert set(loop.ordered_blocks) == loop.blocks
        containing = [o for o in forest.loops if o is not loop and loop.header in o.blocks]
        assert set(loop.ancestors()) == set(containing)
        assert loop.depth == len(containing) + 1
        assert (loop in forest.top_level) == (not containing)
    for block, innermost in forest.loop_of.items():
        around = [loop for loop in forest.loops if block in loop.blocks]
        assert innermost is max(around, key=lambda loop: loop.depth, default=None)


def test_nest_has_borders_and_preheaders() -> None:
    function = graphs.function_of(NEST)
    b = function.blocks
    forest = LoopForest(function)
    outer, inner = forest.loops
    assert [outer.header, inner.header] == [b[1], b[2]]
    assert forest.postorder() == [inner, outer]
    assert outer.children == [inner]
    assert outer.preheader is b[0]
    assert inner.preheader is b[1]
    assert set(inner.exiting_edges) == {(b[2], b[4]), (b[3], b[6])}
    assert set(outer.exiting_edges) == {(b[3], b[6]), (b[4], b[5])}
    assert set(inner.exit_blocks) == {b[4], b[6]}
    assert inner.latch is b[3]
    assert set(inner.exiting_blocks) == {b[2], b[3]}
    assert not forest.irreducible


def test_preheader_must_go_nowhere_else() -> None:
    forest = LoopForest(graphs.function_of([[1, 2], [1, 2], []]))
    assert forest.loops[0].preheader is None


def test_entries_of_an_irreducible_cycle_are_named() -> None:
    function = graphs.function_of([[1, 2], [2], [1]])
    forest = LoopForest(function)
    assert forest.loops == []
    assert len(forest.irreducible_blocks) == 1
    assert forest.irreducible_blocks[0] in function.blocks[1:]
