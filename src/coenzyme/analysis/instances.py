"""Which execution of a store has written what a load reads.

One nest of loops fills an array, another one reads it. Where the store's subscripts are those of a dense
array, each of its executions writes a cell of its own, and the load's address says which of them it was: the
indices that its loops had then. That these are indices they really had, and that the loops were run at all,
is shown from what the loops around the load say, for both ways of what is broadcast.
Source: Feautrier, "Dataflow analysis of array and scalar references" (1991), for the question; the answer
here is for the one case of a single store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.coverage import Coverage
from coenzyme.analysis.gates import Gates, ways
from coenzyme.analysis.induction import NEGATED_SIGNED
from coenzyme.analysis.ranges import Ranges
from coenzyme.analysis.tape import field_size
from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block, Branch, Compare, Instruction, Load, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Value

__all__ = ["Instances"]

_ONE = Polynomial({(): 1})


class Instances:
    """Finds the executions of stores that loads read from.

    Parameters
    ----------
    ranges
        Bounds what addresses are made of.
    gates
        Decides inequalities.
    """

    def __init__(self, ranges: Ranges, gates: Gates, flow: ControlFlow, dominators: Dominators) -> None:
        self._ranges = ranges
        self._gates = gates
        self._flow = flow
        self._dominators = dominators
        self._coverage = Coverage(ranges, flow, dominators)

    def own_loops(self, store: Store, load: Load) -> tuple[Loop, ...]:
        """Return the loops around `store` that are not around `load`, outermost first."""
        reading, writing = self._nests(store, load)
        common = sum(a is b for a, b in zip(reading, writing, strict=False))
        return writing[common:]

    def find(self, store: Store, load: Load) -> Mapping[Value, Polynomial] | None:
        """Return the indices that the store's own loops had when it wrote what `load` reads.

        None unless `store` has been executed with them before, in the same iteration of the loops around
        both, wherever `load` is, and has written to that place then only. The indices are made of values
        from which the load's own address is computed.
        """
        reading, writing = self._nests(store, load)
        own = self.own_loops(store, load)
        indices = self._ranges.indices
        if store.value.type != load.type or any(loop not in indices for loop in (*reading, *writing)):
            return None
        inside = {block for loop in own for block in loop.blocks}
        chosen = self._coverage.solve(store, load, own)
        if chosen is None or any(_is_within(v, inside) for p in chosen.values() for v in p.values):
            return None
        if not self._is_dense(store, own, inside):
            return None
        assert load.block is not None
        assert store.block is not None
        system = self._domain(reading, load.block)
        for loop in own:
            index = chosen[indices[loop]]
            bound = self._ranges.reach(loop, store.block)
            if bound is None or not self._gates.follows(system, index):
                return None
            if not self._gates.follows(system, _substituted(bound, chosen) - index):
                return None
        return chosen if self._has_run(store, own, load, chosen, system) else None

    def _nests(self, store: Store, load: Load) -> tuple[tuple[Loop, ...], tuple[Loop, ...]]:
        assert load.block is not None
        assert store.block is not None
        return self._ranges.nest_of(load.block), self._ranges.nest_of(store.block)

    def _domain(self, nest: Sequence[Loop], block: Block) -> list[Polynomial]:
        """Return what is not negative in `block`, by the loops of `nest`."""
        system: list[Polynomial] = []
        for loop in nest:
            index = Polynomial({(self._ranges.indices[loop],): 1})
            bound = self._ranges.reach(loop, block)
            system += [index] if bound is None else [index, bound - index]
        return system

    def _is_dense(self, store: Store, own: Sequence[Loop], inside: set[Block]) -> bool:
        """Whether each execution of `store` in its own loops writes a cell of its own, without gaps."""
        assert store.block is not None
        address = self._ranges.polynomials.of(store.pointer)
        left: dict[Loop, Polynomial] = {}
        for loop in own:
            parts = address.split(self._ranges.indices[loop])
            if parts is None:
                return False
            left[loop], address = parts
        if any(_is_within(v, inside) for p in (address, *left.values()) for v in p.values):
            return False
        extent = Polynomial({(): field_size(store.value.type)})
        while left:
            next = [loop for loop, slope in left.items() if slope == extent]
            if len(next) != 1:
                return False
            bound = self._ranges.reach(next[0], store.block)
            if bound is None or any(_is_within(v, inside) for v in bound.values):
                return False
            extent *= bound + _ONE
            del left[next[0]]
        return True

    def _has_run(
        self,
        store: Store,
        own: Sequence[Loop],
        load: Load,
        chosen: Mapping[Value, Polynomial],
        system: Sequence[Polynomial],
    ) -> bool:
        """Whether the iteration of `store` with the `chosen` indices, and all others, are over at `load`."""
        assert store.block is not None
        assert load.block is not None
        inner: Block | None = store.block
        for loop in reversed(own):
            assert loop.latch is not None
            if loop.preheader is None or [a for a, _ in loop.exiting_edges] != [loop.latch]:
                return False
            # No iteration leaves the store out, or each of this loop would not.
            inner = self._climb(inner, loop.latch, chosen, system)
            if inner is None:
                return False
            inner = loop.preheader
        if not own and inner is load.block:
            return inner.instructions.index(store) < inner.instructions.index(load)
        inner = self._climb(inner, load.block, chosen, system)
        # On the way to the store, the load comes first: it reads what an earlier iteration has left.
        return inner is not None and inner is not load.block

    def _climb(
        self,
        block: Block,
        end: Block,
        chosen: Mapping[Value, Polynomial],
        system: Sequence[Polynomial],
    ) -> Block | None:
        """Return a block in front of `end` from which control certainly goes to `block`, or None."""
        nest = self._ranges.nest_of(block)
        while not self._dominators.dominates(block, end):
            predecessors = self._flow.predecessors[block]
            if len(predecessors) != 1 or not self._is_taken(predecessors[0], block, chosen, system):
                return None
            block = predecessors[0]
            if self._ranges.nest_of(block) != nest:
                return None
        return block

    def _is_taken(
        self,
        source: Block,
        target: Block,
        chosen: Mapping[Value, Polynomial],
        system: Sequence[Polynomial],
    ) -> bool:
        """Whether the edge is the one that is taken, wherever `system` holds."""
        branch = source.terminator
        if len(set(source.successors)) == 1:
            return True
        if not isinstance(branch, Branch) or not branch.operands:
            return False
        condition = branch.operands[0]
        if not isinstance(condition, Compare) or condition.predicate not in NEGATED_SIGNED:
            return False
        a, b = (_substituted(self._ranges.polynomials.of(o), chosen) for o in condition.operands)
        otherwise = condition.predicate
        if branch.targets[0] is target:
            otherwise = NEGATED_SIGNED[otherwise]
        return all(self._gates.contradicts(system, *way) for way in ways(otherwise, a, b))


def _is_within(value: Value, blocks: set[Block]) -> bool:
    return isinstance(value, Instruction) and value.block in blocks


def _substituted(polynomial: Polynomial, values: Mapping[Value, Polynomial]) -> Polynomial:
    """Return `polynomial` with others in the place of some of its values."""
    result = Polynomial({})
    for monomial, factor in polynomial.terms.items():
        term = Polynomial({(): factor})
        for value in monomial:
            term *= values.get(value, Polynomial({(value,): 1}))
        result += term
    return result
