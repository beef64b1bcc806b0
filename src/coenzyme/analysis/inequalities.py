"""Whether linear inequalities over the integers can hold together.

Fourier and Motzkin's elimination, over the rationals: what has no rational solution has no integer one.
Source: Dantzig & Eaves, "Fourier-Motzkin elimination and its dual" (1973); Pugh, "The Omega test" (1992), for
the strengthening of a constraint by the greatest common divisor of its coefficients.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import reduce
from math import gcd
from typing import Generic, TypeVar

__all__ = ["Inequality", "are_contradictory"]

V = TypeVar("V", bound=Hashable)

_MOST = 400
"""With more inequalities than this the question is given up."""


class Inequality(Generic[V]):
    """``Σ factors[v]·v + constant ≥ 0``, in lowest terms."""

    __slots__ = ("constant", "factors")

    def __init__(self, factors: Mapping[V, int], constant: int) -> None:
        self.factors = {v: f for v, f in factors.items() if f}
        divisor = reduce(gcd, self.factors.values(), 0)
        if divisor > 1:
            self.factors = {v: f // divisor for v, f in self.factors.items()}
            constant = constant // divisor  # rounded down: the values are integers
        self.constant = constant

    def key(self) -> tuple[frozenset[tuple[V, int]], int]:
        """Return what identifies the inequality."""
        return frozenset(self.factors.items()), self.constant

    def combined(self, other: Inequality[V], variable: V) -> Inequality[V]:
        """Return the sum of multiples of two inequalities in which `variable` cancels."""
        a, b = self.factors[variable], other.factors[variable]
        assert a > 0 > b
        factors = {v: f * -b for v, f in self.factors.items()}
        for v, f in other.factors.items():
            factors[v] = factors.get(v, 0) + f * a
        return Inequality(factors, self.constant * -b + other.constant * a)


def are_contradictory(inequalities: Iterable[Inequality[V]]) -> bool:
    """Return whether no integers fulfil all `inequalities`; where that is hard to say, False.

    Examples
    --------
    >>> x_above_y = Inequality({"x": 1, "y": -1}, -1)
    >>> are_contradictory([x_above_y, Inequality({"y": 1, "x": -1}, 0)])
    True
    >>> are_contradictory([x_above_y])
    False
    """
    system = {i.key(): i for i in inequalities}
    while True:
        if any(not i.factors and i.constant < 0 for i in system.values()):
            return True
        remaining = {v for i in system.values() for v in i.factors}
        if not remaining:
            return False
        variable = min(remaining, key=lambda v: _growth(system.values(), v))
        above = [i for i in system.values() if i.factors.get(variable, 0) > 0]
        below = [i for i in system.values() if i.factors.get(variable, 0) < 0]
        kept = [i for i in system.values() if variable not in i.factors]
        combined = [a.combined(b, variable) for a in above for b in below]
        system = {i.key(): i for i in (*kept, *combined) if i.factors or i.constant < 0}
        if len(system) > _MOST:
            return False


def _growth(inequalities: Iterable[Inequality[V]], variable: V) -> int:
    """Return how many inequalities the elimination of `variable` adds."""
    signs = [f for i in inequalities if (f := i.factors.get(variable, 0))]
    above = sum(f > 0 for f in signs)
    return above * (len(signs) - above) - len(signs)
