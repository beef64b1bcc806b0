"""Expressions computed again at another place, for other indices of the loops they stand in."""

from __future__ import annotations

from collections.abc import Mapping

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.tape import field_size
from coenzyme.derive.normalise import Shape
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.instructions import (
    Binary,
    Block,
    Call,
    Cast,
    Compare,
    Freeze,
    Instruction,
    Load,
    Phi,
    Select,
    Unary,
)
from coenzyme.ir.types import I8, I64, FloatType
from coenzyme.ir.values import Value

__all__ = ["Recomputation", "is_cheap"]

_CHEAP = (
    "llvm.fabs.",
    "llvm.minnum.",
    "llvm.maxnum.",
    "llvm.minimum.",
    "llvm.maximum.",
    "llvm.copysign.",
    "llvm.fma.",
    "llvm.fmuladd.",
    "llvm.smax.",
    "llvm.smin.",
    "llvm.umax.",
    "llvm.umin.",
    "llvm.abs.",
)
_DIVISIONS = ("sdiv", "udiv", "srem", "urem", "frem")


def is_cheap(value: Value, block: Block | None) -> bool:
    """Whether what `value` is computed from in `block` is made of cheap operations."""
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        if not isinstance(current, Instruction) or current.block is not block:
            continue
        if isinstance(current, Call) and not (current.callee_name or "").startswith(_CHEAP):
            return False
        if isinstance(current, Phi):
            if current.type.is_float:
                return False
            continue
        fresh = [o for o in current.operands if o not in seen]
        seen.update(fresh)
        pending.extend(fresh)
    return True


class Recomputation:
    """A value of one nest of loops, computed again in front of a load in another one.

    Parameters
    ----------
    chosen
        The indices to compute it for, in values that the load's address is computed from.
    inside
        The blocks of the loops that these are indices of.

    Attributes
    ----------
    loads
        What it reads; filled by :meth:`is_possible`.
    operations
        How many operations on floats it takes.
    """

    def __init__(
        self,
        shape: Shape,
        polynomials: Polynomials,
        chosen: Mapping[Value, Polynomial],
        inside: set[Block],
        target: Load,
    ) -> None:
        self._shape = shape
        self._polynomials = polynomials
        self._chosen = chosen
        self._inside = inside
        self._target = target
        self._verdicts: dict[Value, bool] = {}
        self._made: dict[Value, Value] = {}
        self.loads: list[Load] = []
        self.operations = 0

    def is_possible(self, value: Value) -> bool:
        """Whether `value` is made of cheap operations, by what is at hand at the new place, and of loads."""
        if value not in self._verdicts:
            self._verdicts[value] = False  # a cycle
            self._verdicts[value] = self._is_possible(value)
        return self._verdicts[value]

    def _is_possible(self, value: Value) -> bool:
        if value in self._chosen:
            return all(self._is_at_hand(v) for v in self._chosen[value].values)
        if not isinstance(value, Instruction) or self._is_at_hand(value):
            return True
        polynomial = self._as_polynomial(value)
        if polynomial is not None:
            return all(self.is_possible(v) for v in polynomial.values)
        match value:
            case Load() if not value.ordering and not value.flags:
                self.loads.append(value)
                operands = value.operands
            case Call() if (value.callee_name or "").startswith(_CHEAP):
                operands = value.arguments
            case Binary() if value.opcode not in _DIVISIONS:
                operands = value.operands
            case Unary() | Compare() | Select() | Cast() | Freeze():
                operands = value.operands
            case _:
                return False
        if value.type.is_float and not isinstance(value, Load):
            self.operations += 1
        return all(self.is_possible(o) for o in operands)

    def _is_at_hand(self, value: Value) -> bool:
        """Whether `value` is at hand at the new place, and the same there as where it was used."""
        if not isinstance(value, Instruction):
            return True
        block, here = value.block, self._target.block
        if block is None or here is None or block in self._inside:
            return False
        loop = self._shape.loop_of(block)
        if loop is not None and here not in loop.blocks:
            return False
        return self._shape.dominators.dominates_instruction(value, self._target)

    def _as_polynomial(self, value: Instruction) -> Polynomial | None:
        """Return `value` in terms of other values, where it is an index or an address."""
        if not (value.type == I64 or value.type.is_pointer):
            return None
        found = self._polynomials.of(value)
        if value in found.values:
            return None
        pointers = [m for m in found.terms if any(v.type.is_pointer for v in m)]
        if value.type.is_pointer:
            return (
                found
                if len(pointers) == 1 and len(pointers[0]) == 1 and found.terms[pointers[0]] == 1
                else None
            )
        return None if pointers else found

    def emit(self, value: Value) -> Value:
        """Return `value` as it is computed in front of the load; it must be possible."""
        if value not in self._made:
            self._made[value] = self._emit(value)
        return self._made[value]

    def _emit(self, value: Value) -> Value:
        at = Builder.before(self._target)
        if value in self._chosen:
            return self._sum(self._chosen[value])
        if not isinstance(value, Instruction) or self._is_at_hand(value):
            return value
        polynomial = self._as_polynomial(value)
        if polynomial is not None:
            return self._address(polynomial) if value.type.is_pointer else self._sum(polynomial)
        operands = {o: self.emit(o) for o in value.operands if isinstance(o, Instruction)}
        operands |= {o: self.emit(o) for o in value.operands if o in self._chosen}
        at = Builder.before(self._target)
        return at.insert(clone_instruction(value, operands))

    def _address(self, polynomial: Polynomial) -> Value:
        """Emit an address as one step from its base."""
        base = next(m[0] for m in polynomial.terms if any(v.type.is_pointer for v in m))
        offset = Polynomial({m: f for m, f in polynomial.terms.items() if m != (base,)})
        start = self.emit(base)
        type = self._target.type
        size = field_size(type) if isinstance(type, FloatType) else 1
        if any(factor % size for factor in offset.terms.values()):
            type, size = I8, 1
        steps = self._sum(Polynomial({m: f // size for m, f in offset.terms.items()}))
        return Builder.before(self._target).gep(type, start, [steps])

    def _sum(self, polynomial: Polynomial) -> Value:
        """Emit an integer, what changes least first: it can be computed outside of the inner loops."""
        total: Value = const_int(I64, 0)
        terms = [([self.emit(v) for v in monomial], factor) for monomial, factor in polynomial.terms.items()]
        at = Builder.before(self._target)
        for values, factor in sorted(terms, key=lambda t: max((self._depth(v) for v in t[0]), default=0)):
            term: Value | None = None
            for value in sorted(values, key=self._depth):
                term = value if term is None else at.mul(term, value)
            if term is None:
                term = const_int(I64, factor)
            elif factor != 1:
                term = at.mul(term, const_int(I64, factor))
            total = at.add(total, term)
        return total

    def _depth(self, value: Value) -> int:
        if not isinstance(value, Instruction) or value.block is None:
            return 0
        loop = self._shape.loop_of(value.block)
        return 0 if loop is None else loop.depth
