"""What a row of the table is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from coenzyme.rules.expression import RESULT, Expression
from coenzyme.rules.parsing import parse_expression

__all__ = ["OperandKind", "Rule"]


class OperandKind(Enum):
    """What kind of value an operand is."""

    REAL = "real"
    """float or double, the type of the result."""
    INTEGER = "i32"
    """An integer, such as the exponent of ``powi``."""
    INTEGER_OUTPUT = "ptr"
    """Where the operation writes an integer, such as the exponent of ``frexp``."""


@dataclass(frozen=True)
class Rule:
    """The partial derivatives of an operation.

    Attributes
    ----------
    name
        The family: ``"fmul"``, ``"sin"``, ``"atan2"``. One family serves float and double.
    operands
        The operands' names, in the order of the call.
    partials
        For each operand the text of ∂(result)/∂(operand), or None where the operand is not a real number.
        The language is described in :mod:`coenzyme.rules.expression`.
    callees
        How the family is called, the preferred way first: ``"llvm.sin"`` stands for ``llvm.sin.f64`` and
        ``llvm.sin.f32``, ``"sin"`` for ``sin`` and ``sinf``, ``"coenzyme.powi"`` for what
        :mod:`coenzyme.rules.special` defines. Empty for an instruction.
    kinds
        What the operands are; left out, they are all real.
    has_pole
        Whether the result, and a partial that reads it, can be infinite where all operands are finite.
    """

    name: str
    operands: tuple[str, ...]
    partials: tuple[str | None, ...]
    callees: tuple[str, ...] = ()
    kinds: tuple[OperandKind, ...] = ()
    has_pole: bool = False

    def __post_init__(self) -> None:
        if not self.kinds:
            object.__setattr__(self, "kinds", (OperandKind.REAL,) * len(self.operands))
        assert len(self.operands) == len(self.partials) == len(self.kinds), self.name
        for partial, kind in zip(self.partials, self.kinds, strict=True):
            assert (partial is not None) == (kind is OperandKind.REAL), self.name

    @cached_property
    def expressions(self) -> tuple[Expression | None, ...]:
        """The parsed partials, one for each operand."""
        integers = frozenset(
            operand
            for operand, kind in zip(self.operands, self.kinds, strict=True)
            if kind is OperandKind.INTEGER
        )
        return tuple(
            None if partial is None else parse_expression(partial, integers) for partial in self.partials
        )

    def partial(self, operand: str | int) -> Expression | None:
        """Return the partial derivative in an operand, given by name or position."""
        index = self.operands.index(operand) if isinstance(operand, str) else operand
        return self.expressions[index]

    def names_read(self, active: Iterable[int]) -> frozenset[str]:
        """Return the operands (and ``"r"``) that the partials in the operands at these positions read."""
        partials = (self.expressions[index] for index in active)
        return frozenset[str]().union(*(partial.names for partial in partials if partial is not None))

    def is_linear(self, operand: str | int) -> bool:
        """Return whether the operation is linear in one operand while the others stand still.

        A product is: its partial in ``x`` reads neither ``x`` nor the result. Where :attr:`is_linear_map`
        holds, the operation is linear in all of its operands at once.
        """
        partial = self.partial(operand)
        index = self.operands.index(operand) if isinstance(operand, str) else operand
        return partial is not None and partial.names.isdisjoint({self.operands[index], RESULT})

    @cached_property
    def is_linear_map(self) -> bool:
        """Whether every partial is a constant: nothing of the primal is needed to differentiate."""
        return all(partial is None or partial.is_constant for partial in self.expressions)

    @cached_property
    def is_zero(self) -> bool:
        """Whether the derivative is zero wherever it exists, as that of ``floor`` is."""
        return all(partial is None or partial.constant_value == 0.0 for partial in self.expressions)
