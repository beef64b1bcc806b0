"""Integers and addresses as polynomials in loop indices and in values that are taken as they are.

An address ``base + 8·(i·columns + j)`` becomes a sum of monomials with integer coefficients, so that two
accesses can be compared: where they differ by a constant, and by what an address moves as a loop advances.
Arithmetic wraps in the machine as it does here in effect: only sums and products are looked into, and an
equality of polynomials is one of the wrapped numbers.
Source: Bachmann, Wang & Zima, "Chains of recurrences" (ISSAC 1994); Pugh, "The Omega test" (1992), for what
such forms are good for.
"""

from __future__ import annotations

from collections.abc import Mapping

from coenzyme.analysis.induction import Recurrence
from coenzyme.analysis.tape import field_size
from coenzyme.ir.instructions import Binary, Cast, Freeze, GetElementPtr, Instruction, Phi
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I8, I64, FloatType, IntType, PointerType, Type
from coenzyme.ir.values import ConstantInt, Value

__all__ = ["Polynomial", "Polynomials"]

_Monomial = tuple[Value, ...]
_MOST_TERMS = 64
_MOST_FACTORS = 6


class Polynomial:
    """A sum of monomials: products of values, each with an integer coefficient; immutable."""

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[_Monomial, int]) -> None:
        self.terms = {monomial: factor for monomial, factor in terms.items() if factor}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __repr__(self) -> str:
        return " + ".join(
            "·".join([str(factor), *(f"%{getattr(v, 'name', v)}" for v in monomial)])
            for monomial, factor in self.terms.items()
        )

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self.terms)
        for monomial, factor in other.terms.items():
            terms[monomial] = terms.get(monomial, 0) + factor
        return Polynomial(terms)

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + other.scaled(-1)

    def scaled(self, factor: int) -> Polynomial:
        """Return this polynomial times an integer."""
        return Polynomial({monomial: own * factor for monomial, own in self.terms.items()})

    def __mul__(self, other: Polynomial) -> Polynomial:
        terms: dict[_Monomial, int] = {}
        for a, own in self.terms.items():
            for b, factor in other.terms.items():
                monomial = tuple(sorted((*a, *b), key=id))
                terms[monomial] = terms.get(monomial, 0) + own * factor
        return Polynomial(terms)

    @property
    def constant(self) -> int | None:
        """The value, where it is a constant."""
        if not self.terms:
            return 0
        return self.terms.get(()) if len(self.terms) == 1 else None

    @property
    def values(self) -> set[Value]:
        """The values it depends on."""
        return {value for monomial in self.terms for value in monomial}

    def split(self, index: Value) -> tuple[Polynomial, Polynomial] | None:
        """Return (slope, rest) such that this is slope·index + rest, or None where it is not linear."""
        slope: dict[_Monomial, int] = {}
        rest: dict[_Monomial, int] = {}
        for monomial, factor in self.terms.items():
            degree = sum(value is index for value in monomial)
            if degree == 0:
                rest[monomial] = factor
            elif degree == 1:
                slope[tuple(v for v in monomial if v is not index)] = factor
            else:
                return None
        return Polynomial(slope), Polynomial(rest)


class Polynomials:
    """Reads values as polynomials.

    Parameters
    ----------
    indices
        For each loop its own index, which counts from 0 by 1.
    recurrences
        Header phis that advance by a fixed step.
    loop_of
        For each header phi among them its loop.
    """

    def __init__(self, indices: Mapping[Loop, Phi], recurrences: Mapping[Phi, Recurrence]) -> None:
        self._indices = {loop.header: index for loop, index in indices.items()}
        self._recurrences = recurrences
        self._known: dict[Value, Polynomial] = {}

    def of(self, value: Value) -> Polynomial:
        """Return `value`, an integer of 64 bits or an address in bytes, as a polynomial."""
        if isinstance(value, ConstantInt):
            return Polynomial({(): value.value})
        if value not in self._known:
            found = self._read(value)
            too_much = len(found.terms) > _MOST_TERMS or any(len(m) > _MOST_FACTORS for m in found.terms)
            self._known[value] = Polynomial({(value,): 1}) if too_much else found
        return self._known[value]

    def _read(self, value: Value) -> Polynomial:
        opaque = Polynomial({(value,): 1})
        match value:
            case Phi() if value in self._recurrences:
                return self._advance(value) or opaque
            case Binary() if value.type == I64:
                return self._combine(value) or opaque
            case GetElementPtr() if len(value.operands) == 2:
                size = _size(value.source_type)
                index = value.operands[1]
                if size is None or (index.type != I64 and not isinstance(index, ConstantInt)):
                    return opaque
                return self.of(value.operands[0]) + self.of(index).scaled(size)
            case Cast(opcode="bitcast") if value.operands[0].type.is_pointer:
                return self.of(value.operands[0])
            case Freeze():
                return self.of(value.operands[0])
            case _:
                return opaque

    def _advance(self, phi: Phi) -> Polynomial | None:
        recurrence = self._recurrences[phi]
        block = phi.block
        assert block is not None
        index = self._indices.get(block)
        unit = 1 if recurrence.element is None else _size(recurrence.element)
        if index is None or unit is None or not _is_wide(phi.type) or recurrence.step.type != I64:
            return None
        steps = Polynomial({(index,): 1}) * self.of(recurrence.step)
        return self.of(recurrence.start) + steps.scaled(unit)

    def _combine(self, value: Instruction) -> Polynomial | None:
        a, b = value.operands
        match value.opcode:
            case "add":
                return self.of(a) + self.of(b)
            case "sub":
                return self.of(a) - self.of(b)
            case "mul":
                return self.of(a) * self.of(b)
            case "shl" if isinstance(b, ConstantInt) and 0 <= b.value < I64.width:
                return self.of(a).scaled(1 << b.value)
            case "xor" if isinstance(b, ConstantInt) and b.value == -1:
                return Polynomial({(): -1}) - self.of(a)
            case "or" if "disjoint" in value.flags:
                return self.of(a) + self.of(b)
            case _:
                return None


def _is_wide(type: Type) -> bool:
    return type == I64 or isinstance(type, PointerType)


def _size(type: Type) -> int | None:
    """Return how many bytes lie between two neighbours of `type`, where that is plain."""
    if isinstance(type, FloatType) and type.name in ("double", "float"):
        return field_size(type)
    if isinstance(type, PointerType):
        return 8
    if isinstance(type, IntType) and type.width in (I8.width, 16, 32, I64.width):
        return type.width // 8
    return None
