from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from coenzyme.analysis.cut import CutProblem, minimum_cut

Graph = tuple[list[int], set[int], set[int], set[tuple[int, int]]]
"""Costs of the vertices; which cannot be computed; which are asked for; what is computed from what."""


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 7))
    costs = draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    vertices = st.sets(st.integers(0, count - 1), min_size=1)
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    flows = draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    return costs, draw(vertices), draw(vertices), flows


def separates(chosen: set[int], graph: Graph) -> bool:
    """Whether nothing flows from a supply to a demand but through `chosen`, by walking."""
    _, supplies, demands, flows = graph
    reached = supplies - chosen
    while True:
        if reached & demands:
            return False
        more = {b for a, b in flows if a in reached and b not in chosen}
        if more <= reached:
            return True
        reached |= more


def cheapest(graph: Graph) -> int:
    """Return the cost of the best cut, by trying all."""
    costs = graph[0]
    everything = range(len(costs))
    cuts = (set(c) for size in range(len(costs) + 1) for c in combinations(everything, size))
    return min(sum(costs[v] for v in cut) for cut in cuts if separates(cut, graph))


def solve(graph: Graph) -> set[int]:
    costs, supplies, demands, flows = graph
    problem: CutProblem[int] = CutProblem()
    for vertex in sorted(demands):
        problem.demand(vertex)
    for vertex, cost in enumerate(costs):
        problem.add(vertex, cost)
        if vertex in supplies:
            problem.supply(vertex)
    for a, b in sorted(flows):
        problem.flow(a, b)
    return minimum_cut(problem)


@given(graphs())
def test_cut_is_as_cheap_as_the_best_of_all_subsets(graph: Graph) -> None:
    cut = solve(graph)
    assert separates(cut, graph)
    assert sum(graph[0][v] for v in cut) == cheapest(graph)


def test_of_two_equal_cuts_the_one_nearer_to_the_demand_is_taken() -> None:
    assert solve(([3, 3, 3], {0}, {2}, {(0, 1), (1, 2)})) == {2}


def test_wide_value_is_recomputed_from_the_narrow_one_it_comes_from() -> None:
    # One byte of condition decides two numbers of eight.
    assert solve(([1, 8, 8], {0}, {1, 2}, {(0, 1), (0, 2)})) == {0}


def test_long_chain_needs_no_recursion() -> None:
    length = 5000
    flows = {(i, i + 1) for i in range(length - 1)}
    costs = [2] * length
    costs[length // 2] = 1
    assert solve((costs, {0}, {length - 1}, flows)) == {length // 2}


def test_nothing_to_separate_costs_nothing() -> None:
    assert solve(([1, 1], {1}, {0}, {(0, 1)})) == set()
