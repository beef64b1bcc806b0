"""Addresses that a nest of loops moves on and takes back again are those that the nest began with.

Numba's iteration over arrays of several dimensions adds a stride to one address in the innermost loop, takes
back what the loop has added when it is through, and goes on with the loop around it. Where a loop may not run
at all, what it has added is merged with 0, and the address with the one before::

    end    = phi [p, not run], [p + 8·n, run]
    back   = phi [0, not run], [-8·n, run]
    follow = end + back + stride

On both ways ``end + back`` is p. With that known, the address advances by a fixed step round the outer loop,
which computes it again from its index; otherwise it would be taped in each iteration.
"""

from __future__ import annotations

from collections.abc import Mapping

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.derive.normalise import Shape
from coenzyme.derive.subscripts import find_recurrences
from coenzyme.ir.instructions import Binary, Block, GetElementPtr, Instruction, Phi
from coenzyme.ir.types import I64
from coenzyme.ir.values import Value

__all__ = ["resolve_round_trips"]


def resolve_round_trips(shape: Shape) -> None:
    """Replace addresses and 64-bit integers that merge to what was there before, in place."""
    # From the inside out: what an inner loop gives back is what an outer one goes on with.
    while _Resolver(shape).run():
        pass


class _Resolver:
    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.headers = {loop.header for loop in shape.counted}
        indices = {loop: counted.index for loop, counted in shape.counted.items()}
        self.polynomials = Polynomials(indices, find_recurrences(shape))
        self.kept: set[Value] = set()
        for counted in shape.counted.values():
            self.kept |= {counted.index, *counted.ends}

    def run(self) -> bool:
        """Replace what can be, and return whether there was anything."""
        changed = False
        for block in self.shape.exits.live:
            if not block.phis:
                continue
            for instruction in list(block.instructions):
                if instruction.block is None or not instruction.users or instruction in self.kept:
                    continue
                found = self.find(instruction, block)
                if found is not None and found is not instruction:
                    instruction.replace_all_uses_with(found)
                    self.erase(instruction)
                    changed = True
        return changed

    def find(self, instruction: Instruction, block: Block) -> Value | None:
        """Return the value from before `block` that `instruction` always is."""
        if not (instruction.type.is_pointer or instruction.type == I64):
            return None
        if isinstance(instruction, Phi):
            if block in self.headers:
                return self.find_unchanged(instruction, block)
            # A value leaves its loop by a phi with one operand.
            if len(instruction.operands) == 1:
                return None
            merged = Polynomial({(instruction,): 1})
        elif isinstance(instruction, GetElementPtr | Binary) and block not in self.headers:
            merged = self.polynomials.of(instruction)
        else:
            return None
        phis = [v for v in merged.values if isinstance(v, Phi) and v.block is block]
        if not phis:
            return None
        ways = [
            _substituted(merged, {phi: self.resolved(phi.value_from(way)) for phi in phis})
            for way in self.shape.live_predecessors(block)
        ]
        if not ways or any(way != ways[0] for way in ways):
            return None
        return self.single(ways[0], instruction, block)

    def find_unchanged(self, phi: Phi, block: Block) -> Value | None:
        """Return what a header's `phi` begins with where the loop never changes it."""
        others = {id(v): v for v in phi.operands if v is not phi}
        if len(others) != 1:
            return None
        (value,) = others.values()
        return value if self.is_known(value, block) else None

    def single(self, polynomial: Polynomial, instruction: Instruction, block: Block) -> Value | None:
        """Return the one value that `polynomial` is, where it can be used in `block`."""
        if len(polynomial.terms) != 1:
            return None
        ((monomial, factor),) = polynomial.terms.items()
        if len(monomial) != 1 or factor != 1 or monomial[0].type != instruction.type:
            return None
        return monomial[0] if self.is_known(monomial[0], block) else None

    def is_known(self, value: Value, block: Block) -> bool:
        """Whether `value` can be used in `block`; a value of a loop leaves the loop by a phi only."""
        if not isinstance(value, Instruction):
            return True
        home = value.block
        if home is None or home is block or not self.shape.dominators.dominates(home, block):
            return False
        loop = self.shape.loop_of(home)
        return loop is None or block in loop.blocks

    def resolved(self, value: Value) -> Polynomial:
        """Return `value` as it is after the loops that it comes out of, by the number of their iterations."""
        found = self.polynomials.of(value)
        for inner in list(found.values):
            if not isinstance(inner, Phi) or len(inner.operands) != 1 or inner.block in self.headers:
                continue
            after = self.after(inner)
            if after is not None:
                found = _substituted(found, {inner: after})
        return found

    def after(self, phi: Phi) -> Polynomial | None:
        """Return what a value is when its loop has been left."""
        (value,) = phi.operands
        found = self.resolved(value)
        loop = self.shape.loop_of(value.block) if isinstance(value, Instruction) and value.block else None
        if loop is None or phi.block is None or phi.block in loop.blocks:
            return found
        counted = self.shape.counted[loop]
        if (
            counted.last is None
            or len(counted.edges) != 1
            or self.shape.loop_of(phi.block) is not loop.parent
        ):
            return None
        found = _substituted(found, {counted.index: self.polynomials.of(counted.last)})
        inside = any(isinstance(v, Instruction) and v.block in loop.blocks for v in found.values)
        return None if inside else found

    def erase(self, instruction: Instruction) -> None:
        """Erase an instruction that nobody uses, and what only it has used."""
        pending = [instruction]
        while pending:
            dead = pending.pop()
            if dead.block is None or dead.users or dead in self.kept:
                continue
            if isinstance(dead, Phi | GetElementPtr | Binary):
                operands = [o for o in dead.operands if isinstance(o, Instruction)]
                dead.erase()
                pending.extend(operands)


def _substituted(polynomial: Polynomial, values: Mapping[Value, Polynomial]) -> Polynomial:
    """Return `polynomial` with others in the place of some of its values."""
    result = Polynomial({})
    for monomial, factor in polynomial.terms.items():
        term = Polynomial({(): factor})
        for value in monomial:
            term *= values.get(value, Polynomial({(value,): 1}))
        result += term
    return result
