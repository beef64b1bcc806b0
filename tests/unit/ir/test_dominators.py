from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coenzyme.ir import ControlFlow, Dominators, PostDominators, parse_module
from tests.unit.ir import graphs

DIAMOND = [[1, 2], [3], [3], []]


@given(graphs.edges())
def test_dominators_agree_with_taking_blocks_out(edges: list[list[int]]) -> None:
    function = graphs.function_of(edges)
    dominators = Dominators(function)
    alive = graphs.reachable(edges, 0)
    assert {b.name for b in dominators.immediate} == {f"b{i}" for i in alive}
    for a in alive:
        for b in alive:
            found = dominators.dominates(function.blocks[a], function.blocks[b])
            assert found == graphs.dominates(edges, a, b)


@given(graphs.edges())
def test_immediate_dominator_is_the_deepest_strict_dominator(edges: list[list[int]]) -> None:
    function = graphs.function_of(edges)
    dominators = Dominators(function)
    for block, above in dominators.immediate.items():
        strict = [b for b in dominators.immediate if b is not block and dominators.dominates(b, block)]
        if above is None:
            assert strict == []
        else:
            assert above in strict
            assert all(dominators.dominates(b, above) for b in strict)
            assert block in dominators.children[above]


@given(graphs.edges(), st.data())
def test_post_dominators_agree_with_taking_blocks_out(edges: list[list[int]], data: st.DataObject) -> None:
    function = graphs.function_of(edges)
    alive = graphs.reachable(edges, 0)
    roots = sorted(data.draw(st.sets(st.sampled_from(sorted(alive)))))
    tree = PostDominators(function, [function.blocks[r] for r in roots])
    # One virtual exit that every root goes to; the graph is then turned round.
    joined = [[t for t in targets if i in alive] for i, targets in enumerate(edges)] + [[]]
    for root in roots:
        joined[root] = [*joined[root], len(edges)]
    back = graphs.reverse(joined)
    reaching = graphs.reachable(back, len(edges)) - {len(edges)}
    assert {b.name for b in tree.immediate} == {f"b{i}" for i in reaching}
    for a in reaching:
        for b in reaching:
            found = tree.dominates(function.blocks[a], function.blocks[b])
            assert found == graphs.dominates(back, a, b, root=len(edges))


@given(graphs.edges())
def test_frontier_is_where_dominance_ends(edges: list[list[int]]) -> None:
    function = graphs.function_of(edges)
    dominators = Dominators(function)
    cfg = dominators.cfg
    found = dominators.frontiers()
    for block in cfg.reverse_postorder:
        expected = {
            target
            for target in cfg.reverse_postorder
            if any(cfg.is_reachable(p) and dominators.dominates(block, p) for p in cfg.predecessors[target])
            and (block is target or not dominators.dominates(block, target))
        }
        assert set(found[block]) == expected


def test_nearest_common_dominator_of_two_arms_is_the_fork() -> None:
    function = graphs.function_of(DIAMOND)
    fork, left, right, join = function.blocks
    dominators = Dominators(function)
    assert dominators.nearest_common(left, right) is fork
    assert dominators.nearest_common(join, left) is fork
    assert dominators.preorder()[0] is fork


def test_post_dominators_of_two_exits_have_a_virtual_root() -> None:
    function = graphs.function_of([[1, 2], [], []])
    fork, left, right = function.blocks
    assert PostDominators(function).immediate == {fork: None, left: None, right: None}
    only_left = PostDominators(ControlFlow(function), [left])
    assert only_left.immediate == {left: None, fork: left}
    assert right not in only_left


def test_a_phi_uses_its_operand_at_the_end_of_the_incoming_block() -> None:
    function = parse_module("""
define i64 @f(i64 %n) {
entry:
  %start = add i64 %n, 1
  br label %loop
loop:
  %i = phi i64 [ %start, %entry ], [ %next, %loop ]
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, 10
  br i1 %more, label %loop, label %done
done:
  ret i64 %next
}
""").functions["f"]
    named = {i.name: i for i in function.instructions() if i.name}
    dominators = Dominators(function)
    assert dominators.dominates_instruction(named["next"], named["i"])
    assert dominators.dominates_instruction(named["i"], named["next"])
    assert not dominators.dominates_instruction(named["next"], named["start"])
    assert not dominators.dominates_instruction(named["more"], named["next"])
    assert dominators.dominates_instruction(function.arguments[0], named["start"])
