from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from coenzyme.analysis.branches import CameFrom, Decision, conditions, find_decision
from coenzyme.analysis.branches import Test as Asked
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block, Branch, Function, Return, Switch
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.types import I1, I64, VOID, FunctionType
from coenzyme.ir.values import Argument, ConstantInt
from tests.unit.analysis.reading import read
from tests.unit.ir import graphs


def function_of(edges: graphs.Edges) -> Function:
    """Return a function like that of :func:`graphs.function_of`, each block with a condition of its own."""
    conditions_ = [Argument(I1 if len(t) == 2 else I64, f"c{i}", i) for i, t in enumerate(edges)]
    function = Function("f", FunctionType(VOID, tuple(c.type for c in conditions_)), conditions_)
    blocks = [function.add_block(Block(f"b{i}")) for i in range(len(edges))]
    for block, targets, condition in zip(blocks, edges, conditions_, strict=True):
        to = [blocks[t] for t in targets]
        if not to:
            block.append(Return())
        elif len(to) == 1:
            block.append(Branch(to))
        elif len(to) == 2:
            block.append(Branch(to, condition))
        else:
            cases = [(ConstantInt(I64, i), b) for i, b in enumerate(to[1:])]
            block.append(Switch(condition, to[0], cases))
    return function


class Walk:
    """Decisions of one function, checked along random walks through it."""

    def __init__(self, function: Function, dead_ends: set[int]) -> None:
        self.flow = ControlFlow(function)
        self.dominators = Dominators(self.flow)
        self.forest = LoopForest(function, self.flow, self.dominators)
        blocks = function.blocks
        # Returns in `dead_ends` stand for errors: only what can reach another return matters.
        ends = {b for i, b in enumerate(blocks) if isinstance(b.terminator, Return) and i not in dead_ends}
        self.live = {b for b in self.flow.reverse_postorder if b in ends or self.leads_to(b, ends)}
        headers = {loop.header for loop in self.forest.loops}
        self.decisions: dict[Block, Decision] = {}
        for block in self.live:
            predecessors = [p for p in self.flow.predecessors[block] if p in self.live]
            if block in headers or len(set(predecessors)) < 2:
                continue
            decision = find_decision(block, self.live, self.dominators, self.forest.loop_of.__getitem__)
            if decision is not None:
                self.decisions[block] = decision
        self.entry = function.entry

    @staticmethod
    def leads_to(block: Block, ends: set[Block]) -> bool:
        seen: set[Block] = set()
        pending = [block]
        while pending:
            for successor in pending.pop().successors:
                if successor not in seen:
                    seen.add(successor)
                    pending.append(successor)
        return bool(seen & ends)

    def run(self, choices: random.Random, steps: int = 60) -> int:
        """Take one walk inside the live blocks; return how many decisions were checked on it."""
        taken: dict[Block, int] = {}
        block, checked = self.entry, 0
        for _ in range(steps):
            arms = [i for i, t in enumerate(block.terminator.targets) if t in self.live]
            if not arms:
                break
            arm = choices.choice(arms)
            taken[block] = arm
            target = block.terminator.targets[arm]
            loop = self.forest.loop_of[target]
            if loop is not None and loop.header is target:
                # A new iteration: what was decided inside before is gone.
                taken = {b: a for b, a in taken.items() if b not in loop.blocks}
            if target in self.decisions:
                assert self.ask(self.decisions[target], taken) is block
                checked += 1
            block = target
        return checked

    @staticmethod
    def ask(decision: Decision, taken: dict[Block, int]) -> Block:
        while isinstance(decision, Asked):
            asked = decision.terminator.block
            assert asked is not None
            arm = decision.arms[taken[asked]]
            assert arm is not None
            decision = arm
        return decision.predecessor


@st.composite
def mostly_forward(draw: st.DrawFn) -> list[list[int]]:
    """Return edges of which most lead a little further, and some back."""
    count = draw(st.integers(4, 14))
    edges: list[list[int]] = []
    for i in range(count - 1):
        further = st.integers(i + 1, min(i + 3, count - 1))
        back = st.integers(1, i) if i else further
        edges.append(draw(st.lists(st.one_of(further, further, further, back), min_size=1, max_size=3)))
    return [*edges, []]


@settings(max_examples=200)
@given(mostly_forward(), st.sets(st.integers(0, 9), max_size=2), st.randoms(use_true_random=False))
def test_decision_finds_the_edge_that_was_taken(
    edges: list[list[int]], cut_off: set[int], choices: random.Random
) -> None:
    # Some blocks end in a return that stands for an error instead.
    edges = [[] if i in cut_off and i else targets for i, targets in enumerate(edges)]
    function = function_of(edges)
    if not graphs.is_reducible(edges):
        return
    walk = Walk(function, cut_off)
    if function.entry in walk.live:
        for _ in range(10):
            walk.run(choices)


DIAMONDS = [[1, 2], [3, 4], [5], [5], [5], [6, 7], [8], [8], []]


def test_nested_branches_are_asked_again() -> None:
    function = function_of(DIAMONDS)
    walk = Walk(function, set())
    b = function.blocks
    inner = Asked(b[1].terminator, (CameFrom(b[3]), CameFrom(b[4])))  # type: ignore[arg-type]
    assert walk.decisions[b[5]] == Asked(b[0].terminator, (inner, CameFrom(b[2])))  # type: ignore[arg-type]
    assert walk.decisions[b[8]] == Asked(b[5].terminator, (CameFrom(b[6]), CameFrom(b[7])))  # type: ignore[arg-type]
    assert sum(walk.run(random.Random(seed)) for seed in range(20)) == 40


def test_branch_to_an_error_is_not_asked() -> None:
    # b1 either raises (b3) or goes on to b4, where b2 comes too.
    function = function_of([[1, 2], [3, 4], [4], [], []])
    walk = Walk(function, {3})
    b = function.blocks
    assert walk.decisions[b[4]] == Asked(b[0].terminator, (CameFrom(b[1]), CameFrom(b[2])))  # type: ignore[arg-type]


def test_conditions_are_those_of_all_tests() -> None:
    function = function_of(DIAMONDS)
    decision = Walk(function, set()).decisions[function.blocks[5]]
    assert [v.name for v in conditions(decision)] == ["c0", "c1"]
    assert conditions(None) == []


def test_way_out_of_a_loop_of_two_exits_is_recorded() -> None:
    f = read("""
define void @f(i1 %a, i1 %b) {
entry:
  br label %loop
loop:
  br i1 %a, label %first, label %latch
latch:
  br i1 %b, label %loop, label %second
first:
  br label %join
second:
  br label %join
join:
  ret void
}
""")
    live = set(f.function.blocks)
    assert find_decision(f.block("join"), live, f.dominators, f.forest.loop_of.__getitem__) is None


def test_large_trees_are_recorded_instead() -> None:
    count = 60
    edges = [[i + 1, count] for i in range(count - 1)] + [[count], []]
    function = function_of(edges)
    assert function.blocks[count] not in Walk(function, set()).decisions
