"""Whether all that a load reads was written before, in the same iteration of the loops around both.

Scratch arrays are made once and filled anew in each iteration. Where that is proved, an iteration can be
run again by itself: it finds what it needs. For each place that the load reads, in any iteration of the loops
that it does not share with the store, there must be an iteration of the store's that wrote it, and the
store's loops must have run.
Source: Tu & Padua, "Automatic array privatization" (LCPC 1993).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.induction import NEGATED_SIGNED
from coenzyme.analysis.inequalities import Inequality, are_contradictory
from coenzyme.analysis.ranges import Ranges
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block, Branch, Compare, Load, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Value

__all__ = ["Coverage"]

_System = list[Inequality[Value]]

_ONE = Polynomial({(): 1})


class Coverage:
    """Compares loads with the stores before them.

    Parameters
    ----------
    ranges
        Bounds what addresses are made of.
    """

    def __init__(self, ranges: Ranges, flow: ControlFlow, dominators: Dominators) -> None:
        self._ranges = ranges
        self._flow = flow
        self._dominators = dominators

    def covers(self, store: Store, load: Load, extent: Polynomial | None) -> bool:
        """Whether `store` has written all that `load` reads, in the same iteration of their common loops.

        Parameters
        ----------
        extent
            The bytes of the object that is read, which `load` does not read beyond.
        """
        if store.value.type != load.type or store.block is None or load.block is None:
            return False
        reading, writing = self._ranges.nest_of(load.block), self._ranges.nest_of(store.block)
        common = [a for a, b in zip(reading, writing, strict=False) if a is b]
        own = writing[len(common) :]
        domain = self._domain(reading, load.block)
        if domain is None or any(loop not in self._ranges.indices for loop in own):
            return False
        domain += self._within(load, extent)
        if not self._has_run(store, own, load, domain):
            return False
        chosen = self.solve(store, load, own)
        return chosen is not None and self._lie_inside(chosen, own, store.block, domain)

    def solve(self, store: Store, load: Load, own: Sequence[Loop]) -> dict[Value, Polynomial] | None:
        """Return the indices of the store's own loops for which it writes where `load` reads."""
        polynomials = self._ranges.polynomials
        distance = polynomials.of(load.pointer) - polynomials.of(store.pointer)
        chosen: dict[Value, Polynomial] = {}
        slopes: list[tuple[Value, tuple[Value, ...], int]] = []
        for loop in own:
            index = self._ranges.indices[loop]
            parts = distance.split(index)
            if parts is None or len(parts[0].terms) != 1:
                return None
            ((symbols, factor),) = parts[0].terms.items()
            distance = parts[1]
            slopes.append((index, symbols, -factor))
        # The index with most, or the greatest, factors, the row, first: what is left over is for the columns.
        for index, symbols, factor in sorted(slopes, key=lambda s: (-len(s[1]), -abs(s[2]))):
            taken: dict[tuple[Value, ...], int] = {}
            left: dict[tuple[Value, ...], int] = {}
            for monomial, own_factor in distance.terms.items():
                rest = list(monomial)
                fits = own_factor % factor == 0
                for symbol in symbols:
                    if symbol in rest:
                        rest.remove(symbol)
                    else:
                        fits = False
                if fits:
                    taken[tuple(rest)] = own_factor // factor
                else:
                    left[monomial] = own_factor
            chosen[index] = Polynomial(taken)
            distance = Polynomial(left)
        return chosen if distance.constant == 0 else None

    def _domain(self, nest: Sequence[Loop], block: Block) -> _System | None:
        """Return what holds of the indices of `nest` in `block`."""
        system: _System = []
        for loop in nest:
            if loop not in self._ranges.indices:
                return None
            index = Polynomial({(self._ranges.indices[loop],): 1})
            system += _not_negative(index)
            bound = self._ranges.bound(loop, block)
            if bound is not None:
                system += _not_negative(bound - index)
        return system

    def _within(self, load: Load, extent: Polynomial | None) -> _System:
        """Return that `load` reads inside its object."""
        if extent is None:
            return []
        offset = self._ranges.polynomials.of(load.pointer)
        offset = Polynomial({m: f for m, f in offset.terms.items() if not any(v.type.is_pointer for v in m)})
        return [*_not_negative(offset), *_not_negative(extent - offset - _ONE)]

    def _lie_inside(
        self, chosen: dict[Value, Polynomial], own: Sequence[Loop], block: Block, domain: _System
    ) -> bool:
        """Whether the chosen indices are indices of the loops, wherever `domain` holds."""
        for loop in own:
            index = chosen[self._ranges.indices[loop]]
            bound = self._ranges.bound(loop, block)
            if bound is None or any(v in chosen for v in (*bound.values, *index.values)):
                return False
            for excess in (index.scaled(-1) - _ONE, index - bound - _ONE):
                outside = _not_negative(excess)
                if not outside or not are_contradictory([*domain, *outside]):
                    return False
        return True

    def _has_run(self, store: Store, own: Sequence[Loop], load: Load, domain: _System) -> bool:
        """Whether all iterations of the loops of `store` have run when `load` does."""
        assert store.block is not None
        assert load.block is not None
        inner: Block = store.block
        for loop in reversed(own):
            assert loop.latch is not None
            if loop.preheader is None or [a for a, _ in loop.exiting_edges] != [loop.latch]:
                return False
            if not self._dominators.dominates(inner, loop.latch):
                return False
            inner = loop.preheader
        if not own and inner is load.block:
            return inner.instructions.index(store) < inner.instructions.index(load)
        nest = self._ranges.nest_of(inner)
        while not self._dominators.dominates(inner, load.block):
            predecessors = self._flow.predecessors[inner]
            if len(predecessors) != 1 or not self._is_taken(predecessors[0], inner, domain):
                return False
            inner = predecessors[0]
            if self._ranges.nest_of(inner) != nest:
                return False
        # On the way to the store, the load comes first: it reads what an earlier iteration has left.
        return inner is not load.block

    def _is_taken(self, source: Block, target: Block, domain: _System) -> bool:
        """Whether the edge is the one that is taken, wherever `domain` holds."""
        branch = source.terminator
        if len(set(source.successors)) == 1:
            return True
        if not isinstance(branch, Branch) or not branch.operands:
            return False
        condition = branch.operands[0]
        if not isinstance(condition, Compare) or condition.predicate not in NEGATED_SIGNED:
            return False
        a, b = (self._ranges.polynomials.of(o) for o in condition.operands)
        otherwise = condition.predicate
        if branch.targets[0] is target:
            otherwise = NEGATED_SIGNED[otherwise]
        cases = list(_cases(otherwise, a, b))
        return bool(cases) and all(case and are_contradictory([*domain, *case]) for case in cases)


def _not_negative(value: Polynomial) -> _System:
    """Return that `value` is not negative, or nothing where that is not linear."""
    factors: dict[Value, int] = {}
    for monomial, factor in value.terms.items():
        if len(monomial) > 1:
            return []
        for variable in monomial:
            factors[variable] = factor
    return [Inequality(factors, value.terms.get((), 0))]


def _cases(predicate: str, a: Polynomial, b: Polynomial) -> Iterable[_System]:
    """Yield the ways in which the comparison can hold."""
    match predicate:
        case "slt":
            yield _not_negative(b - a - _ONE)
        case "sle":
            yield _not_negative(b - a)
        case "sgt":
            yield _not_negative(a - b - _ONE)
        case "sge":
            yield _not_negative(a - b)
        case "eq":
            yield [*_not_negative(a - b), *_not_negative(b - a)]
        case _:
            yield _not_negative(a - b - _ONE)
            yield _not_negative(b - a - _ONE)
