"""A minimum vertex cut between what must be stored and what is asked for.

Source: Dinic, "Algorithm for solution of a problem of maximum flow in networks with power estimation"
(1970); its use for the tape: Moses et al., "Reverse-mode automatic differentiation and optimization of
GPU kernels via Enzyme" (SC 2021), §4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["CutProblem", "minimum_cut"]

_INFINITE = 1 << 60
_SOURCE, _SINK = 0, 1


T = TypeVar("T", bound=Hashable)


class CutProblem(Generic[T]):
    """Vertices with costs; which of them come from nowhere else, feed each other, and are asked for."""

    def __init__(self) -> None:
        self._number: dict[T, int] = {}
        self._heads: list[list[int]] = [[], []]
        self._target: list[int] = []
        self._capacity: list[int] = []

    def _vertex(self, item: T) -> int:
        if item not in self._number:
            self._number[item] = len(self._heads)
            self._heads += [[], []]
        return self._number[item]

    def _edge(self, a: int, b: int, capacity: int) -> None:
        self._heads[a].append(len(self._target))
        self._target.append(b)
        self._capacity.append(capacity)
        self._heads[b].append(len(self._target))
        self._target.append(a)
        self._capacity.append(0)

    def add(self, item: T, cost: int) -> None:
        """Add `item`, which costs `cost` to store."""
        number = self._vertex(item)
        self._edge(number, number + 1, cost)

    def supply(self, item: T) -> None:
        """Say that `item` cannot be computed from others."""
        self._edge(_SOURCE, self._vertex(item), _INFINITE)

    def demand(self, item: T) -> None:
        """Say that `item` is asked for."""
        self._edge(self._vertex(item) + 1, _SINK, _INFINITE)

    def flow(self, source: T, user: T) -> None:
        """Say that `user` is computed from `source`."""
        self._edge(self._vertex(source) + 1, self._vertex(user), _INFINITE)

    def solve(self) -> set[T]:
        """Return the vertices of the minimum cut that is nearest to the demand."""
        while self._level():
            progress = [0] * len(self._heads)
            while self._push(progress):
                pass
        reaching = self._reaching_sink()
        return {item for item, n in self._number.items() if n not in reaching and n + 1 in reaching}

    def _level(self) -> bool:
        self._depth = [-1] * len(self._heads)
        self._depth[_SOURCE] = 0
        queue = deque([_SOURCE])
        while queue:
            a = queue.popleft()
            for edge in self._heads[a]:
                b = self._target[edge]
                if self._capacity[edge] and self._depth[b] < 0:
                    self._depth[b] = self._depth[a] + 1
                    queue.append(b)
        return self._depth[_SINK] >= 0

    def _push(self, progress: list[int]) -> bool:
        """Send flow along one shortest path; without recursion, for paths can be long."""
        path: list[int] = []
        a = _SOURCE
        while a != _SINK:
            while progress[a] < len(self._heads[a]):
                edge = self._heads[a][progress[a]]
                b = self._target[edge]
                if self._capacity[edge] and self._depth[b] == self._depth[a] + 1:
                    path.append(edge)
                    a = b
                    break
                progress[a] += 1
            else:
                if a == _SOURCE:
                    return False
                edge = path.pop()
                a = self._target[edge ^ 1]
                progress[a] += 1
        amount = min(self._capacity[edge] for edge in path)
        for edge in path:
            self._capacity[edge] -= amount
            self._capacity[edge ^ 1] += amount
        return True

    def _reaching_sink(self) -> set[int]:
        """Return the vertices from which the sink can still be reached."""
        found = {_SINK}
        queue = deque([_SINK])
        while queue:
            b = queue.popleft()
            for edge in self._heads[b]:
                a = self._target[edge]
                if self._capacity[edge ^ 1] and a not in found:
                    found.add(a)
                    queue.append(a)
        return found


def minimum_cut(problem: CutProblem[T]) -> set[T]:
    """Return a set of vertices of least cost that separates supply from demand."""
    return problem.solve()
