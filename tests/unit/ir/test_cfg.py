from __future__ import annotations

import llvmlite.binding as llvm
from hypothesis import given

from coenzyme.ir import ControlFlow, parse_module, print_module, remove_unreachable, split_edge
from tests.unit.ir import graphs

SWITCH = """
define i64 @f(i64 %k) {
entry:
  switch i64 %k, label %join [
    i64 0, label %join
    i64 1, label %other
  ]
other:
  br label %join
dead:
  %d = add i64 %k, %e
  %e = add i64 %d, 1
  br label %join
join:
  %p = phi i64 [ 1, %entry ], [ 1, %entry ], [ 2, %other ], [ %e, %dead ]
  ret i64 %p
}
"""


@given(graphs.edges())
def test_reverse_postorder_holds_reachable_blocks_once_entry_first(edges: list[list[int]]) -> None:
    function = graphs.function_of(edges)
    cfg = ControlFlow(function)
    names = [int(b.name[1:]) for b in cfg.reverse_postorder]
    assert names[0] == 0
    assert sorted(names) == sorted(graphs.reachable(edges, 0))


def test_reverse_postorder_visits_an_acyclic_graph_in_topological_order() -> None:
    edges = [[1, 2, 4], [3], [3, 4], [4], []]
    cfg = ControlFlow(graphs.function_of(edges))
    for block, targets in cfg.successors.items():
        assert all(cfg.position[block] < cfg.position[t] for t in targets)


def test_parallel_edges_make_one_predecessor() -> None:
    function = parse_module(SWITCH).functions["f"]
    entry, other, dead, join = function.blocks
    cfg = ControlFlow(function)
    assert cfg.predecessors[join] == [entry, other, dead]
    assert cfg.successors[entry] == [join, other]
    assert not cfg.is_reachable(dead)


def test_removing_unreachable_blocks_drops_their_phi_entries() -> None:
    module = parse_module(SWITCH)
    function = module.functions["f"]
    assert remove_unreachable(function) == 1
    assert [b.name for b in function.blocks] == ["entry", "other", "join"]
    assert [b.name for b in function.blocks[-1].phis[0].incoming] == ["entry", "entry", "other"]
    llvm.parse_assembly(print_module(module), llvm.create_context()).verify()
    assert list(function.arguments[0].users) == [function.entry.terminator]
    assert remove_unreachable(function) == 0


def test_splitting_parallel_edges_puts_one_block_on_all_of_them() -> None:
    module = parse_module(SWITCH)
    function = module.functions["f"]
    remove_unreachable(function)
    entry, other, join = function.blocks
    middle = split_edge(entry, join)
    assert entry.terminator.targets == [middle, middle, other]
    assert set(join.phis[0].incoming) == {other, middle}
    assert function.blocks.index(middle) == 1
    llvm.parse_assembly(print_module(module), llvm.create_context()).verify()


def test_splitting_an_edge_keeps_the_order_of_phi_operands() -> None:
    module = parse_module(SWITCH)
    function = module.functions["f"]
    remove_unreachable(function)
    _, other, join = function.blocks
    middle = split_edge(other, join)
    assert [b.name for b in join.phis[0].incoming] == ["entry", "entry", middle.name]
    llvm.parse_assembly(print_module(module), llvm.create_context()).verify()
