"""Whether a store can overwrite, later on, what a load has read, by the addresses of both in every iteration.

Objects alone say that a factorisation in place overwrites all that it reads. Their subscripts say more: in
``A[i, j] -= A[i, k] * A[j, k]`` with k < j < i, no later iteration writes to ``A[i, k]`` or ``A[j, k]``, so
that the reverse sweep finds both where they were. The proof compares addresses as polynomials, takes rows and
columns apart where the columns stay inside a row, and refutes, for each order in which the store can come
after the load, that the two meet.

What is asked for beyond the loops' bounds, that a column lies within its row, say, when only the number of
rows bounds it, becomes a *fact* about the function's arguments that has to be checked when it is called.
Source: Maydan, Hennessy & Lam, "Efficient and exact data dependence analysis" (PLDI 1991); Pugh, "The Omega
test" (1992); Grosser et al., "Optimistic delinearization of parametrically sized arrays" (ICS 2015).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.inequalities import Inequality, are_contradictory
from coenzyme.analysis.ranges import Ranges
from coenzyme.analysis.tape import field_size
from coenzyme.ir.instructions import Block, Instruction, Load, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import Type
from coenzyme.ir.values import Argument, Value

__all__ = ["Dependences", "Facts"]

Facts = frozenset[Polynomial]
"""Polynomials in the function's arguments that must not be positive."""

_Variable = tuple[str, Value]
_Symbols = tuple[Value, ...]


@dataclass(frozen=True)
class _Place:
    """One access: its array, its subscripts by what multiplies them, the loops around it from outside in."""

    instruction: Instruction
    base: Value
    subscripts: Mapping[_Symbols, Polynomial]
    size: int
    nest: tuple[Loop, ...]

    @property
    def block(self) -> Block:
        """Where the access stands."""
        assert self.instruction.block is not None
        return self.instruction.block

    def at(self, level: _Symbols) -> Polynomial:
        """Return the subscript that is multiplied with `level`."""
        return self.subscripts.get(level, Polynomial({}))


class Dependences:
    """Answers whether loads find their memory unchanged.

    Parameters
    ----------
    ranges
        Bounds what addresses are made of.
    live
        The blocks that matter.
    """

    def __init__(self, ranges: Ranges, live: Iterable[Block]) -> None:
        self._ranges = ranges
        self._indices = ranges.indices
        self._live = frozenset(live)
        self._places: dict[Instruction, _Place | None] = {}

    def survives(self, access: Load | Store, store: Store) -> Facts | None:
        """Return the facts under which no execution of `store` after one of `access` writes where that was.

        None where there is no telling.
        """
        read, written = self._place(access), self._place(store)
        if read is None or written is None or read.size != written.size or read.base != written.base:
            return None
        levels = sorted({*read.subscripts, *written.subscripts}, key=len)
        facts: set[Polynomial] = set()
        for inner, outer in pairwise(levels):
            extent = _quotient(outer, inner)
            for place in (read, written):
                within = None if extent is None else self._stays_within(place.at(inner), extent, place)
                if within is None:
                    return None
                facts |= within
        system = self._system(read, written, levels)
        if system is None or not all(
            are_contradictory([*system, *order]) for order in self._orders(read, written)
        ):
            return None
        return frozenset(facts)

    # -- places

    def _place(self, instruction: Load | Store) -> _Place | None:
        if instruction not in self._places:
            self._places[instruction] = self._find_place(instruction)
        return self._places[instruction]

    def _find_place(self, instruction: Load | Store) -> _Place | None:
        type: Type = instruction.type if isinstance(instruction, Load) else instruction.value.type
        if not (type.is_float or type.is_int):
            return None
        block = instruction.block
        assert block is not None
        nest = self._ranges.nest_of(block)
        if any(loop not in self._indices for loop in nest):
            return None
        address = self._ranges.polynomials.of(instruction.pointer)
        own: set[Value] = {self._indices[loop] for loop in nest}
        if any(not self._ranges.is_fixed(value) for value in address.values - own):
            return None
        return _take_apart(instruction, address, field_size(type), nest, own)

    # -- rows and columns

    def _stays_within(self, subscript: Polynomial, extent: Polynomial, place: _Place) -> Facts | None:
        """Return the facts that keep ``0 ≤ subscript < extent``, or None."""
        facts: set[Polynomial] = set()
        least = self._ranges.greatest(subscript.scaled(-1), place.block)
        greatest = self._ranges.greatest(subscript, place.block)
        if least is None or greatest is None:
            return None
        for excess in (least, greatest - extent + Polynomial({(): 1})):
            known = excess.constant
            if known is not None:
                if known > 0:
                    return None
            elif all(isinstance(v, Argument) for v in excess.values):
                facts.add(excess)
            else:
                return None
        return frozenset(facts)

    # -- the system

    def _system(
        self, read: _Place, written: _Place, levels: Sequence[_Symbols]
    ) -> list[Inequality[_Variable]] | None:
        """Return what holds where the two accesses meet."""
        system: list[Inequality[_Variable]] = []
        for level in levels:
            difference = _difference(
                self._linear(read.at(level), "read", read),
                self._linear(written.at(level), "written", written),
            )
            if difference is None:
                return None
            factors, constant = difference
            system.append(Inequality(factors, constant))
            system.append(Inequality({v: -f for v, f in factors.items()}, -constant))
        for side, place in (("read", read), ("written", written)):
            for loop in place.nest:
                index = (side, self._indices[loop])
                system.append(Inequality({index: 1}, 0))
                bound = self._ranges.bound(loop, place.block)
                linear = None if bound is None else self._linear(bound, side, place)
                if linear is not None:
                    factors, constant = linear
                    system.append(Inequality({**factors, index: factors.get(index, 0) - 1}, constant))
        return system

    def _linear(self, value: Polynomial, side: str, place: _Place) -> tuple[dict[_Variable, int], int] | None:
        own = {self._indices[loop] for loop in place.nest}
        factors: dict[_Variable, int] = {}
        constant = 0
        for monomial, factor in value.terms.items():
            if not monomial:
                constant = factor
            elif len(monomial) == 1:
                variable = (side if monomial[0] in own else "fixed", monomial[0])
                factors[variable] = factors.get(variable, 0) + factor
            else:
                return None
        return factors, constant

    def _orders(self, read: _Place, written: _Place) -> Iterable[list[Inequality[_Variable]]]:
        """Yield the ways in which the store can come after the load, as relations of the loops' indices."""
        common = [a for a, b in zip(read.nest, written.nest, strict=False) if a is b]
        same: list[Inequality[_Variable]] = []
        for loop in common:
            index = self._indices[loop]
            earlier, later = ("read", index), ("written", index)
            yield [*same, Inequality({later: 1, earlier: -1}, -1)]
            same = [*same, Inequality({later: 1, earlier: -1}, 0), Inequality({later: -1, earlier: 1}, 0)]
        if self._follows(read.instruction, written.instruction, common[-1] if common else None):
            yield same

    def _follows(self, first: Instruction, second: Instruction, loop: Loop | None) -> bool:
        """Whether `second` may run after `first` in one iteration of `loop`, or at all."""
        start, goal = first.block, second.block
        assert start is not None
        assert goal is not None
        if start is goal and start.instructions.index(second) > start.instructions.index(first):
            return True
        seen: set[Block] = set()
        pending = [start]
        while pending:
            for following in pending.pop().successors:
                if following in seen or following not in self._live:
                    continue
                if loop is not None and (following is loop.header or following not in loop.blocks):
                    continue
                if following is goal:
                    return True
                seen.add(following)
                pending.append(following)
        return False


def _take_apart(
    instruction: Instruction, address: Polynomial, size: int, nest: tuple[Loop, ...], moving: set[Value]
) -> _Place | None:
    """Return the place of an access at ``base + size·(subscript₀ + extent₁·subscript₁ + …)``."""
    base: Value | None = None
    parts: dict[_Symbols, dict[tuple[Value, ...], int]] = {(): {}}
    for monomial, factor in address.terms.items():
        if any(value.type.is_pointer for value in monomial):
            if len(monomial) != 1 or factor != 1 or base is not None:
                return None
            base = monomial[0]
            continue
        variables = tuple(v for v in monomial if v in moving)
        if len(variables) > 1 or factor % size:
            return None
        symbols = tuple(v for v in monomial if v not in moving)
        parts.setdefault(symbols, {})[variables] = factor // size
    if base is None:
        return None
    return _Place(instruction, base, {s: Polynomial(terms) for s, terms in parts.items()}, size, nest)


def _quotient(outer: _Symbols, inner: _Symbols) -> Polynomial | None:
    """Return what `inner` is multiplied with to give `outer`, or None."""
    left = list(outer)
    for value in inner:
        if value not in left:
            return None
        left.remove(value)
    return Polynomial({tuple(left): 1}) if left else None


def _difference(
    a: tuple[dict[_Variable, int], int] | None, b: tuple[dict[_Variable, int], int] | None
) -> tuple[dict[_Variable, int], int] | None:
    if a is None or b is None:
        return None
    factors = dict(a[0])
    for variable, own in b[0].items():
        factors[variable] = factors.get(variable, 0) - own
    return factors, a[1] - b[1]
