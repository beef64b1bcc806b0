"""The language that partial derivatives are written in, and its lowering to instructions.

A partial is Python expression syntax over the operands of an operation: ``"y*pow(x, y - 1)"``. The name
``r`` is the result of the operation itself; ``pi``, ``inf`` and ``nan`` are constants; ``where(c, a, b)``
chooses between two values; every other call names a family of :mod:`coenzyme.rules.table` or a function
defined in :mod:`coenzyme.rules.special`. Comparisons are LLVM's ordered ones (``!=`` is the unordered
``une``), so that a NaN compares as it does in Python. ``where`` evaluates both branches.

Integer operands (the exponent of ``powi``) have their own arithmetic: ``n - 1`` is an integer subtraction
where ``n`` is an integer, and ``float(n)`` turns one into a real number.

This module has the tree and its lowering; :mod:`coenzyme.rules.parsing` makes trees of texts, once. A tree
is frozen and knows which names it reads: a tape planner asks that before anything is emitted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Protocol, TypeAlias, TypeVar

__all__ = ["RESULT", "Expression", "Target", "children", "lower"]

RESULT = "r"
"""The name by which a partial reads the result of the operation it belongs to."""

V = TypeVar("V")


class Target(Protocol[V]):
    """Where an expression is lowered to: a builder of instructions, a printer, plain numbers.

    ``V`` is the target's own kind of value. The type of the real numbers (float or double) is the target's:
    the expression does not know it.
    """

    def constant(self, value: float) -> V:
        """Return the real constant ``value``."""
        ...

    def binary(self, opcode: str, a: V, b: V) -> V:
        """Return ``fadd``, ``fsub``, ``fmul`` or ``fdiv`` of two real numbers."""
        ...

    def negate(self, a: V) -> V:
        """Return ``-a`` (LLVM's ``fneg``)."""
        ...

    def compare(self, predicate: str, a: V, b: V) -> V:
        """Return the truth value of an ``fcmp``: ``olt``, ``ole``, ``ogt``, ``oge``, ``oeq`` or ``une``."""
        ...

    def logical(self, op: str, a: V, b: V) -> V:
        """Return ``and`` or ``or`` of two truth values."""
        ...

    def logical_not(self, a: V) -> V:
        """Return the negation of a truth value."""
        ...

    def select(self, c: V, a: V, b: V) -> V:
        """Return ``a`` where the truth value ``c`` holds, else ``b``."""
        ...

    def call(self, family: str, args: tuple[V, ...]) -> V:
        """Return a call of ``family``, whose symbol :func:`coenzyme.rules.symbol_for` knows."""
        ...

    def integer_constant(self, value: int) -> V:
        """Return an integer constant (i32)."""
        ...

    def integer_binary(self, opcode: str, a: V, b: V) -> V:
        """Return ``add``, ``sub`` or ``mul`` of two integers (i32)."""
        ...

    def to_float(self, a: V) -> V:
        """Return the integer ``a`` as a real number (``sitofp``)."""
        ...


# --- nodes


@dataclass(frozen=True)
class Name:
    """An operand of the operation, or its result ``r``."""

    identifier: str


@dataclass(frozen=True)
class Number:
    """A real constant."""

    value: float


@dataclass(frozen=True)
class Integer:
    """An integer constant, in integer arithmetic only."""

    value: int


@dataclass(frozen=True)
class Arithmetic:
    """``fadd``, ``fsub``, ``fmul``, ``fdiv`` of real numbers, or ``add``, ``sub``, ``mul`` of integers."""

    opcode: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Negation:
    """Minus a real number."""

    operand: Node


@dataclass(frozen=True)
class Comparison:
    """An ``fcmp`` of two real numbers."""

    predicate: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Connective:
    """``and`` or ``or`` of two truth values."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Not:
    """The negation of a truth value."""

    operand: Node


@dataclass(frozen=True)
class Choice:
    """``where(condition, then, otherwise)``."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True)
class Call:
    """A call of a family of functions."""

    family: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Conversion:
    """``float(n)`` of an integer."""

    operand: Node


Node: TypeAlias = (
    Name
    | Number
    | Integer
    | Arithmetic
    | Negation
    | Comparison
    | Connective
    | Not
    | Choice
    | Call
    | Conversion
)


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes that ``node`` is made of, from left to right."""
    match node:
        case Arithmetic(_, left, right) | Comparison(_, left, right) | Connective(_, left, right):
            return left, right
        case Negation(operand) | Not(operand) | Conversion(operand):
            return (operand,)
        case Choice(condition, then, otherwise):
            return condition, then, otherwise
        case Call(_, arguments):
            return arguments
        case _:
            return ()


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _walk(child)


_UNBOUNDED = frozenset({"log", "pow", "powi", "digamma"})
"""Functions that are infinite at a finite number."""


_LARGEST = 1e30
"""Constants up to this in size, and inverses of those down to its own, are finite in any precision."""


def _is_bounded(node: Node, known: Mapping[str, float]) -> bool:
    match node:
        case Number(value):
            return abs(value) < _LARGEST
        case Name(identifier):
            return abs(known.get(identifier, math.inf)) < _LARGEST
        case Arithmetic("fdiv", left, right):
            divisor = right.value if isinstance(right, Number) else 0.0
            if isinstance(right, Name):
                divisor = known.get(right.identifier, 0.0)
            return abs(divisor) > 1.0 / _LARGEST and _is_bounded(left, known)
        case Choice(_, then, otherwise):
            return _is_bounded(then, known) and _is_bounded(otherwise, known)
        case Negation(operand):
            return _is_bounded(operand, known)
        case Call("copysign", (magnitude, _)):
            return _is_bounded(magnitude, known)
        case _:
            return False


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its text and its tree."""

    text: str = field(compare=False)
    root: Node

    @cached_property
    def names(self) -> frozenset[str]:
        """The operands that it reads, and ``"r"`` where it reads the result."""
        return frozenset(node.identifier for node in _walk(self.root) if isinstance(node, Name))

    @cached_property
    def families(self) -> frozenset[str]:
        """The functions that it calls."""
        return frozenset(node.family for node in _walk(self.root) if isinstance(node, Call))

    @cached_property
    def may_be_infinite(self) -> bool:
        """Whether the value can be infinite where all operands are finite and no arithmetic overflows."""
        return any(
            (isinstance(node, Arithmetic) and node.opcode == "fdiv" and not isinstance(node.right, Number))
            or (isinstance(node, Call) and node.family in _UNBOUNDED)
            for node in _walk(self.root)
        )

    def is_bounded(self, known: Mapping[str, float]) -> bool:
        """Whether the value is finite whatever the operands are, infinities and NaNs included.

        Parameters
        ----------
        known
            The values of operands that are finite constants.
        """
        return _is_bounded(self.root, known)

    @property
    def is_constant(self) -> bool:
        """Whether the value depends on nothing."""
        return isinstance(self.root, Number)

    @property
    def constant_value(self) -> float | None:
        """The value if it depends on nothing, else None."""
        return self.root.value if isinstance(self.root, Number) else None

    def __str__(self) -> str:
        return self.text


# --- lowering


def lower(expression: Expression, bindings: Mapping[str, V], target: Target[V]) -> V:
    """Return the value of an expression, built in ``target`` one instruction after another.

    Parameters
    ----------
    expression
        What to build.
    bindings
        The target's value of every name that the expression reads.
    target
        Where to build it.

    Notes
    -----
    Equal subexpressions are built once. Operands are built before what uses them, from left to right, so the
    order of the instructions depends on the text alone.
    """
    return _Lowering(bindings, target).build(expression.root)


class _Lowering(Generic[V]):
    """One expression on its way into a target."""

    def __init__(self, bindings: Mapping[str, V], target: Target[V]) -> None:
        self.bindings = bindings
        self.target = target
        self.built: dict[Node, V] = {}

    def build(self, node: Node) -> V:
        if node not in self.built:
            self.built[node] = self.make(node)
        return self.built[node]

    def make(self, node: Node) -> V:
        match node:
            case Name(identifier):
                return self.bindings[identifier]
            case Number(value):
                return self.target.constant(value)
            case Integer(value):
                return self.target.integer_constant(value)
            case Call(family, arguments):
                return self.target.call(family, tuple(self.build(argument) for argument in arguments))
            case Choice(condition, then, otherwise):
                return self.target.select(self.build(condition), self.build(then), self.build(otherwise))
            case Arithmetic() | Comparison() | Connective():
                return self.make_binary(node)
            case Negation() | Not() | Conversion():
                return self.make_unary(node)

    def make_binary(self, node: Arithmetic | Comparison | Connective) -> V:
        a, b = self.build(node.left), self.build(node.right)
        match node:
            case Arithmetic(opcode):
                of_reals = opcode.startswith("f")
                return (self.target.binary if of_reals else self.target.integer_binary)(opcode, a, b)
            case Comparison(predicate):
                return self.target.compare(predicate, a, b)
            case Connective(op):
                return self.target.logical(op, a, b)

    def make_unary(self, node: Negation | Not | Conversion) -> V:
        a = self.build(node.operand)
        match node:
            case Negation():
                return self.target.negate(a)
            case Not():
                return self.target.logical_not(a)
            case Conversion():
                return self.target.to_float(a)
