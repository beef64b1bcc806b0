"""Which of two integers a selection or a merge is, where inequalities decide its condition.

The extent of an array expression's result is that of one operand or of another, ``extent == 1 ? other :
extent``, and the index into an operand is ``extent > 1 ? i : 0``. What holds of both ways is shown for each,
with what the condition says there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeGuard

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.induction import NEGATED
from coenzyme.analysis.inequalities import Inequality, are_contradictory
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Binary, Block, Branch, Compare, Phi, Select
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I64
from coenzyme.ir.values import Value

__all__ = ["Gates", "ways"]

_ONE = Polynomial({(): 1})
_MOST_CASES = 60
"""With more cases to tell apart than this a question is given up."""

System = Sequence[Polynomial]
"""Polynomials that are not negative."""


@dataclass(frozen=True)
class _Gate:
    """A value that is one of two, as `condition` decides.

    Attributes
    ----------
    facts
        What else holds where it is the one and where it is the other, in each way in which that can be: the
        extents of operands agree, for example, or an error is raised.
    """

    condition: Compare
    if_true: Value
    if_false: Value
    facts: tuple[Sequence[System], Sequence[System]] = (([],), ([],))


class Gates:
    """Refutes systems of inequalities in values that are one of two others.

    Parameters
    ----------
    polynomials
        Reads values.
    loop_of
        The innermost loop around a block.
    """

    def __init__(
        self,
        polynomials: Polynomials,
        flow: ControlFlow,
        dominators: Dominators,
        loop_of: Callable[[Block], Loop | None],
    ) -> None:
        self._polynomials = polynomials
        self._loop_of = loop_of
        self._flow = flow
        self._dominators = dominators
        self._known: dict[Value, _Gate | None] = {}
        self._left = _MOST_CASES

    def follows(self, system: System, goal: Polynomial) -> bool:
        """Whether `goal` is not negative wherever the polynomials of `system` are not."""
        return self.contradicts(system, goal.scaled(-1) - _ONE)

    def contradicts(self, system: System, *claims: Polynomial) -> bool:
        """Whether `claims` cannot all be without a negative one where `system` holds."""
        self._left = _MOST_CASES
        return self._refuted([*claims, *system], ())

    def _refuted(self, system: System, decided: tuple[Value, ...]) -> bool:
        # What comes first is what was claimed: what decides it is split first.
        linear = [i for p in system if (i := _linear(p)) is not None]
        if are_contradictory(linear):
            return True
        self._left -= 1
        gate = self._first_gate(system, decided) if self._left > 0 else None
        if gate is None:
            return False
        a, b = (self._polynomials.of(o) for o in gate.condition.operands)
        for chosen in (True, False):
            known = self._equalities(system, gate.condition, chosen)
            predicate = gate.condition.predicate if chosen else NEGATED[gate.condition.predicate]
            for way, facts in product(ways(predicate, a, b), gate.facts[0 if chosen else 1]):
                if not self._refuted([*system, *known, *way, *facts], (*decided, gate.condition)):
                    return False
        return True

    def _equalities(self, system: System, condition: Compare, chosen: bool) -> list[Polynomial]:
        """Return what the values in `system` that `condition` decides are equal to."""
        found: list[Polynomial] = []
        for value in {v: None for p in system for v in self._concerned(p)}:
            gate = self._gate(value)
            if gate is not None and gate.condition is condition:
                other = self._polynomials.of(gate.if_true if chosen else gate.if_false)
                difference = Polynomial({(value,): 1}) - other
                found += [difference, difference.scaled(-1)]
        return found

    def _first_gate(self, system: System, decided: Sequence[Value]) -> _Gate | None:
        """Return a gate among the values that have to do with the first inequality."""
        reached = set(system[0].values) if system else set[Value]()
        left = list(system[1:])
        while True:
            for value in sorted(reached, key=lambda v: v.name):
                gate = self._gate(value)
                if gate is not None and gate.condition not in decided:
                    return gate
            # Those that share no value with it, last: a length that is 0 or 1 is not in what follows from it.
            near = [p for p in left if not reached.isdisjoint(self._concerned(p))] or left
            if not near:
                return None
            reached = {v for p in near for v in p.values}
            left = [p for p in left if p not in near]

    def _concerned(self, polynomial: Polynomial) -> set[Value]:
        """Return the values of `polynomial`, and those that decide which ones they are."""
        found = polynomial.values
        for value in polynomial.values:
            gate = self._gate(value)
            if gate is not None:
                for operand in gate.condition.operands:
                    found |= self._polynomials.of(operand).values
        return found

    def _gate(self, value: Value) -> _Gate | None:
        if value not in self._known:
            self._known[value] = self._find_gate(value)
        return self._known[value]

    def _find_gate(self, value: Value) -> _Gate | None:
        if isinstance(value, Phi):
            return self._merged(value)
        if not isinstance(value, Select):
            return None
        condition, if_true, if_false = value.operands
        return _Gate(condition, if_true, if_false) if _is_asked(condition) else None

    def _merged(self, phi: Phi) -> _Gate | None:
        """Return what decides which way leads to `phi`, and what it is on each."""
        block = phi.block
        assert block is not None
        above = self._dominators.immediate[block]
        # What comes out of a loop is of its last iteration.
        if above is None or any(self._loop_of(b) is not self._loop_of(block) for b in (above, *phi.incoming)):
            return None
        branch = above.terminator
        if not isinstance(branch, Branch) or not branch.operands or branch.targets[0] is branch.targets[1]:
            return None
        condition = branch.operands[0]
        sides: list[Value | None] = [None, None]
        facts: list[Sequence[System]] = [([],), ([],)]
        for value, source in phi.pairs:
            side = self._side(source, block, above, branch.targets)
            if side is None or sides[side] is not None:
                return None
            sides[side] = value
            if source is not above:
                facts[side] = self._facts(source, block)
        if_true, if_false = sides
        if if_true is None or if_false is None or not _is_asked(condition):
            return None
        return _Gate(condition, if_true, if_false, (facts[0], facts[1]))

    def _facts(self, source: Block, target: Block) -> Sequence[System]:
        """Return the ways in which control can go from `source` to `target`, one of which it has gone."""
        branch = source.terminator
        if not isinstance(branch, Branch) or not branch.operands or branch.targets[0] is branch.targets[1]:
            return ([],)
        return self._holding(branch.operands[0], branch.targets[0] is target)

    def _holding(self, condition: Value, holds: bool) -> Sequence[System]:
        """Return the ways in which `condition` can hold, or not hold."""
        if isinstance(condition, Binary) and condition.opcode in ("and", "or"):
            first, second = (self._holding(o, holds) for o in condition.operands)
            if (condition.opcode == "and") is holds:
                return [[*a, *b] for a, b in product(first, second)]
            return [*first, *second]
        if not _is_asked(condition):
            return ([],)
        a, b = (self._polynomials.of(o) for o in condition.operands)
        return list(ways(condition.predicate if holds else NEGATED[condition.predicate], a, b))

    def _side(self, source: Block, block: Block, above: Block, targets: Sequence[Block]) -> int | None:
        """Return by which of the two `targets` of `above` control goes from there to `block`."""
        for side, target in enumerate(targets):
            if source is above:
                if target is block:
                    return side
            elif self._flow.predecessors[target] == [above] and self._dominators.dominates(target, source):
                return side
        return None


def _is_asked(condition: Value) -> TypeGuard[Compare]:
    """Whether `condition` compares integers of 64 bits."""
    return (
        isinstance(condition, Compare)
        and condition.predicate in NEGATED
        and condition.operands[0].type == I64
    )


def ways(predicate: str, a: Polynomial, b: Polynomial) -> Iterable[System]:
    """Return the ways in which a comparison can hold, each as what is not negative then.

    Examples
    --------
    >>> two, five = Polynomial({(): 2}), Polynomial({(): 5})
    >>> [[p.constant for p in way] for way in ways("slt", two, five)]
    [[2]]
    """
    match predicate:
        case "slt":
            return [[b - a - _ONE]]
        case "sle":
            return [[b - a]]
        case "sgt":
            return [[a - b - _ONE]]
        case "sge":
            return [[a - b]]
        case "eq":
            return [[a - b, b - a]]
        case "ne":
            return [[a - b - _ONE], [b - a - _ONE]]
        case _:
            return _unsigned(predicate, a, b)


def _unsigned(predicate: str, a: Polynomial, b: Polynomial) -> Iterable[System]:
    limit = b.constant
    if limit is None or not 0 <= limit < 1 << 63:
        return [[]]
    match predicate:
        case "ult":
            return [[a, b - a - _ONE]]
        case "ule":
            return [[a, b - a]]
        case "uge":
            return [[a - b], [a.scaled(-1) - _ONE]]
        case "ugt":
            return [[a - b - _ONE], [a.scaled(-1) - _ONE]]
        case _:
            return [[]]


def _linear(value: Polynomial) -> Inequality[Value] | None:
    """Return that `value` is not negative, or None where it is not linear."""
    if any(len(monomial) > 1 for monomial in value.terms):
        return None
    factors = {monomial[0]: factor for monomial, factor in value.terms.items() if monomial}
    return Inequality(factors, value.terms.get((), 0))
