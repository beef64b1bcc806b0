"""From the text of a partial derivative to its tree.

The language is described in :mod:`coenzyme.rules.expression`. Python's own parser reads the text; what is
done here is to admit the few forms that the language has, to keep real numbers, integers and truth values
apart, and to compute what has no names in it, so that ``2/sqrt(pi)`` is one constant.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from functools import cache
from typing import NoReturn

from coenzyme.errors import ParseError
from coenzyme.rules.evaluation import FUNCTIONS, evaluate
from coenzyme.rules.expression import (
    Arithmetic,
    Call,
    Choice,
    Comparison,
    Connective,
    Conversion,
    Expression,
    Integer,
    Name,
    Negation,
    Node,
    Not,
    Number,
    children,
)

__all__ = ["parse_expression"]

_CONSTANTS: Mapping[str, float] = {"pi": math.pi, "inf": math.inf, "nan": math.nan}
_REAL_OPCODES: Mapping[type[ast.operator], str] = {
    ast.Add: "fadd",
    ast.Sub: "fsub",
    ast.Mult: "fmul",
    ast.Div: "fdiv",
}
_INTEGER_OPCODES: Mapping[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
_PREDICATES: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "olt",
    ast.LtE: "ole",
    ast.Gt: "ogt",
    ast.GtE: "oge",
    ast.Eq: "oeq",
    ast.NotEq: "une",
}


@cache
def parse_expression(text: str, integers: frozenset[str] = frozenset()) -> Expression:
    """Return the parsed form of an expression.

    Parameters
    ----------
    text
        Python expression syntax; see the module's description.
    integers
        Those of the names it reads that are integers.

    Raises
    ------
    ParseError
        If the text is not in the language: the message shows the place.

    Examples
    --------
    >>> partial = parse_expression("-(r/y)")
    >>> sorted(partial.names)
    ['r', 'y']
    >>> parse_expression("2/sqrt(pi)").constant_value
    1.1283791670955126
    """
    parser = _Parser(text, integers)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        parser.fail(error.msg, (error.offset or 1) - 1)
    return Expression(text, parser.real(tree.body))


class _Parser:
    """From Python's syntax tree to ours, with truth values, integers and real numbers kept apart."""

    def __init__(self, text: str, integers: frozenset[str]) -> None:
        self.text = text.strip()
        self.integers = integers

    def fail(self, reason: str, column: int) -> NoReturn:
        caret = " " * column + "^"
        raise ParseError(f"not a partial derivative: {reason}\n    {self.text}\n    {caret}")

    def real(self, tree: ast.expr) -> Node:
        match tree:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return Number(float(value))
            case ast.Name(id=name) if name in _CONSTANTS:
                return Number(_CONSTANTS[name])
            case ast.Name(id=name) if name in self.integers:
                self.fail(f"{name} is an integer: write float({name})", tree.col_offset)
            case ast.Name(id=name):
                return Name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _fold(Negation(self.real(operand)))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _REAL_OPCODES:
                return _fold(Arithmetic(_REAL_OPCODES[type(op)], self.real(left), self.real(right)))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self.call(name, arguments, tree.col_offset)
            case _:
                self.fail("expected a number, a name, + - * /, a call or where(...)", tree.col_offset)

    def call(self, name: str, arguments: list[ast.expr], column: int) -> Node:
        if name == "where":
            if len(arguments) != 3:
                self.fail("where takes a condition and two values", column)
            condition, then, otherwise = arguments
            return Choice(self.truth(condition), self.real(then), self.real(otherwise))
        if name == "float":
            if len(arguments) != 1 or not self.is_integer(arguments[0]):
                self.fail("float takes one integer", column)
            return Conversion(self.integer(arguments[0]))
        if not arguments:
            self.fail(f"{name} needs an argument", column)
        return _fold(Call(name, tuple(self.argument(argument) for argument in arguments)))

    def argument(self, tree: ast.expr) -> Node:
        return self.integer(tree) if self.is_integer(tree) else self.real(tree)

    def truth(self, tree: ast.expr) -> Node:
        match tree:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _PREDICATES:
                return Comparison(_PREDICATES[type(op)], self.real(left), self.real(right))
            case ast.BoolOp(op=op, values=[first, *rest]):
                word = "and" if isinstance(op, ast.And) else "or"
                node = self.truth(first)
                for value in rest:
                    node = Connective(word, node, self.truth(value))
                return node
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self.truth(operand))
            case _:
                self.fail("expected a single comparison, and, or, not", tree.col_offset)

    def is_integer(self, tree: ast.expr) -> bool:
        """Whether a tree reads an integer outside of ``float(...)``."""
        match tree:
            case ast.Name(id=name):
                return name in self.integers
            case ast.BinOp(left=left, right=right):
                return self.is_integer(left) or self.is_integer(right)
            case _:
                return False

    def integer(self, tree: ast.expr) -> Node:
        match tree:
            case ast.Constant(value=int() as value) if not isinstance(value, bool):
                return Integer(value)
            case ast.Name(id=name) if name in self.integers:
                return Name(name)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _INTEGER_OPCODES:
                return Arithmetic(_INTEGER_OPCODES[type(op)], self.integer(left), self.integer(right))
            case _:
                self.fail("expected an integer constant, an integer operand, + - *", tree.col_offset)


def _fold(node: Node) -> Node:
    """Return the value of ``node`` as a constant where it has one, else ``node``."""
    if not all(isinstance(child, Number) for child in children(node)):
        return node
    if isinstance(node, Call) and node.family not in FUNCTIONS:
        return node
    value = evaluate(Expression("", node), {})
    # 0.0 == -0.0: a folded minus zero could be taken for zero where equal nodes are built once.
    return node if value == 0.0 and math.copysign(1.0, value) < 0 else Number(value)
