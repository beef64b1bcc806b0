"""Small programs as trees, and what they look like as Python source.

A program works on three arrays (``a`` and ``b`` of `SIZE` cells, ``c`` of `SIZE` rows), a table of integers
``p``,
two numbers ``s`` and ``t`` and three integers ``n``, ``m``, ``size``. It may write into everything,
and returns a number.
Its locals are the numbers x, y, z, the integers k, l and the array variables u, v.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["PRELUDE", "SIZE", "TEMPORARIES", "Program", "Statement", "python_source", "size_of", "uses"]

SIZE = 4


# --- integers


@dataclass(frozen=True)
class Whole:
    value: int


@dataclass(frozen=True)
class Counter:
    """A loop's index, a local or a parameter."""

    name: str


@dataclass(frozen=True)
class IntegerOperation:
    operator: str
    left: Integer
    right: Integer


@dataclass(frozen=True)
class Wrapped:
    """``low + value % width`` as Python has it: never negative."""

    value: Integer
    low: int
    width: int


@dataclass(frozen=True)
class Entry:
    """An entry of the table, in range(SIZE)."""

    index: Integer


@dataclass(frozen=True)
class Truncated:
    """``int(4*value)``."""

    value: Real


@dataclass(frozen=True)
class Length:
    """The length of a list."""

    name: str


Integer: TypeAlias = "Whole | Counter | IntegerOperation | Wrapped | Entry | Truncated | Length"


# --- arrays


@dataclass(frozen=True)
class Array:
    name: str


@dataclass(frozen=True)
class Row:
    """A row of ``c``."""

    index: Integer


@dataclass(frozen=True)
class Window:
    """`SIZE` cells of ``c`` that begin anywhere."""

    start: Integer


@dataclass(frozen=True)
class Reversed:
    array: Pointer


@dataclass(frozen=True)
class Either:
    condition: Condition
    yes: Pointer
    no: Pointer


Pointer: TypeAlias = "Array | Row | Window | Reversed | Either"


@dataclass(frozen=True)
class Temporary:
    """A new array, made of others by an operation of NumPy."""

    operation: str
    left: Pointer
    right: Pointer


# --- numbers


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Local:
    name: str


@dataclass(frozen=True)
class Element:
    array: Pointer
    index: Integer


@dataclass(frozen=True)
class Unary:
    operator: str
    value: Real


@dataclass(frozen=True)
class Binary:
    operator: str
    left: Real
    right: Real


@dataclass(frozen=True)
class Fused:
    """``left*right + addend``, rounded once where the machine can."""

    left: Real
    right: Real
    addend: Real


@dataclass(frozen=True)
class Choice:
    condition: Condition
    yes: Real
    no: Real


@dataclass(frozen=True)
class FromInteger:
    """``0.25*value``."""

    value: Integer


@dataclass(frozen=True)
class Single:
    """Rounded to single precision."""

    value: Real


@dataclass(frozen=True)
class ListElement:
    """``name[index % len(name)]``."""

    name: str
    index: Integer


@dataclass(frozen=True)
class Total:
    """A quarter of the sum of an array, or of the product of two."""

    array: Pointer
    other: Pointer | None


Real: TypeAlias = (
    "Number | Local | Element | Unary | Binary | Fused | Choice | FromInteger | Single | ListElement | Total"
)


# --- conditions


@dataclass(frozen=True)
class Compare:
    operator: str
    left: Real
    right: Real


@dataclass(frozen=True)
class CompareIntegers:
    operator: str
    left: Integer
    right: Integer


@dataclass(frozen=True)
class Junction:
    operator: str
    left: Condition
    right: Condition


Condition: TypeAlias = "Compare | CompareIntegers | Junction"


# --- statements


@dataclass(frozen=True)
class SetLocal:
    name: str
    value: Real


@dataclass(frozen=True)
class Invoke:
    """``name = helper(array, other, index, value)``; the helper may write into the first array."""

    name: str
    helper: str
    array: Pointer
    other: Pointer
    index: Integer
    value: Real


@dataclass(frozen=True)
class SetInteger:
    name: str
    value: Integer


@dataclass(frozen=True)
class SetElement:
    array: Pointer
    index: Integer
    operator: str
    """Empty, or that of an augmented assignment."""
    value: Real


@dataclass(frozen=True)
class SetEntry:
    index: Integer
    value: Integer


@dataclass(frozen=True)
class Point:
    name: str
    value: Pointer


@dataclass(frozen=True)
class Swap:
    left: str
    right: str


@dataclass(frozen=True)
class Move:
    """``target[at:at+count] = source[start:start+count]``; they may overlap."""

    target: Pointer
    at: Integer
    source: Pointer
    start: Integer
    count: Integer
    apart: bool
    """Whether they never overlap."""


@dataclass(frozen=True)
class Clear:
    target: Pointer
    at: Integer
    count: Integer


@dataclass(frozen=True)
class If:
    condition: Condition
    then: Body
    otherwise: Body


@dataclass(frozen=True)
class Switch:
    value: Integer
    cases: tuple[Body, ...]
    """What to do for 0, 1, …; the last is for everything else."""


@dataclass(frozen=True)
class For:
    index: str
    start: Integer
    stop: Integer
    step: int
    body: Body


@dataclass(frozen=True)
class While:
    counter: str
    limit: Integer
    condition: Condition
    body: Body


@dataclass(frozen=True)
class Break:
    pass


@dataclass(frozen=True)
class Continue:
    pass


@dataclass(frozen=True)
class Return:
    value: Real


@dataclass(frozen=True)
class Raise:
    condition: Condition


@dataclass(frozen=True)
class Scope:
    """A local array, on the stack or on the heap, filled with zeros or with a copy, or a temporary."""

    name: str
    on_heap: bool
    copied: Pointer | Temporary | None
    body: Body


@dataclass(frozen=True)
class Fill:
    """``target[:] = value``."""

    target: Pointer
    value: Temporary


@dataclass(frozen=True)
class Listing:
    """A local list of numbers, which is never empty."""

    name: str
    values: tuple[Real, ...] | Pointer
    """What it holds at first: these, or half of what is in an array."""
    body: Body


@dataclass(frozen=True)
class Append:
    name: str
    value: Real
    at: Integer | None
    """Where it is inserted; at the end, if nowhere else."""


@dataclass(frozen=True)
class Extend:
    name: str
    array: Pointer


@dataclass(frozen=True)
class Pop:
    """Take a number out, unless it is the last one."""

    target: str
    name: str
    at: Integer | None


@dataclass(frozen=True)
class SetItem:
    name: str
    index: Integer
    operator: str
    value: Real


@dataclass(frozen=True)
class Each:
    item: str
    name: str
    body: Body


Statement: TypeAlias = (
    "SetLocal | Invoke | SetInteger | SetElement | SetEntry | Point | Swap | Move | Clear | If | Switch | For"
    " | While | Break | Continue | Return | Raise | Scope | Fill | Listing | Append | Extend | Pop | SetItem"
    " | Each"
)
Body: TypeAlias = "tuple[Statement, ...]"


@dataclass(frozen=True)
class Helper:
    """A function of arrays ``r`` and ``q``, an integer ``k`` and a number ``x``.

    Its other locals are y, z and l. It writes into ``r`` alone, which ``q`` may overlap.
    """

    name: str
    body: Body
    result: Real


@dataclass(frozen=True)
class Program:
    """A program and the call it is checked with.

    Attributes
    ----------
    seed
        Of the arrays' entries.
    shared
        How many cells at the end of ``a`` are the first of ``b``.
    constant
        Arrays and numbers that are not differentiated; they are never written.
    relaxed
        Whether floating-point operations may be reassociated.
    out_of_line
        Helpers whose calls are kept.
    level
        How hard LLVM optimises the derivative.
    width
        How many directions are followed at once, where that is more than one.
    second
        Which second derivative is made, if one is.
    careful
        Whether derivatives that let arrays overlap are made of a program whose arrays do not.
    """

    body: Body
    result: Real
    helpers: tuple[Helper, ...] = ()
    n: int = 3
    m: int = 2
    seed: int = 0
    shared: int = 0
    constant: tuple[str, ...] = ()
    relaxed: bool = False
    out_of_line: tuple[str, ...] = ()
    level: int = 1
    width: int = 1
    careful: bool = False
    second: str = ""


def uses(tree: object, *kinds: type) -> bool:
    """Return whether a node of one of these kinds occurs in the tree."""
    if isinstance(tree, kinds):
        return True
    if isinstance(tree, tuple):
        return any(uses(item, *kinds) for item in tree)
    if dataclasses.is_dataclass(tree):
        return any(uses(getattr(tree, f.name), *kinds) for f in dataclasses.fields(tree))
    return False


def size_of(tree: object) -> int:
    """Return the number of nodes."""
    if isinstance(tree, tuple):
        return sum(size_of(item) for item in tree)
    if dataclasses.is_dataclass(tree):
        return 1 + sum(size_of(getattr(tree, f.name)) for f in dataclasses.fields(tree))
    return 0


# --- Python

PRELUDE = """\
from math import atan, atan2, copysign, cos, exp, fabs, log, sin, sqrt, tanh

import numpy as np
from numpy import float32, float64, zeros


def bell(x):
    return exp(-(x*x))


def root(x):
    return sqrt(1.0 + x*x)


def logarithm(x):
    return log(1.0 + x*x)


def swell(x):
    return exp(sin(x))


def divide(x, y):
    return x/(1.5 + y*y)


def power(x, y):
    return (1.0 + x*x)**sin(y)


def distance(x, y):
    return sqrt(0.5 + x*x + y*y)


def angle(x, y):
    return atan2(x, 2.0 + sin(y))


"""

INFIX = ("+", "-", "*")
TEMPORARIES = {
    "product": "0.5*{l}*{r}",
    "sine": "np.sin({l} + {r})",
    "difference": "{l} - 0.5*{r}",
    "quotient": "{l}/(1.0 + {r}**2)",
    "choice": "np.where({l} > 0.0, {l}, 0.5*{r})",
    "running": "np.cumsum(0.25*{l})*{r}",
    "sorted": "np.sort({l})",
    "joined": "np.concatenate(({l}[1:], {r}[:1]))",
}
"""Operations of NumPy."""


def _integer(tree: Integer) -> str:
    match tree:
        case Whole(value):
            return str(value)
        case Counter(name):
            return name
        case IntegerOperation(operator, left, right):
            return f"({_integer(left)} {operator} {_integer(right)})"
        case Wrapped(value, 0, width):
            return (
                f"{_integer(value)} % {width}"
                if isinstance(value, Counter)
                else f"({_integer(value)}) % {width}"
            )
        case Wrapped(value, low, width):
            return f"({low} + ({_integer(value)}) % {width})"
        case Entry(index):
            return f"p[{_integer(index)}]"
        case Truncated(value):
            return f"int(4.0*{_real(value)})"
        case Length(name):
            return f"len({name})"


def _pointer(tree: Pointer) -> str:
    match tree:
        case Array(name):
            return name
        case Row(index):
            return f"c[{_integer(index)}]"
        case Window(start):
            i = _integer(start)
            return f"c.reshape(size*size)[{i}:{i} + size]"
        case Reversed(array):
            return f"{_pointer(array)}[::-1]"
        case Either(condition, yes, no):
            return f"({_pointer(yes)} if {_condition(condition)} else {_pointer(no)})"


def _temporary(tree: Temporary) -> str:
    return TEMPORARIES[tree.operation].format(l=_pointer(tree.left), r=_pointer(tree.right))


def _real(tree: Real) -> str:  # noqa: PLR0911 - one case for each kind
    match tree:
        case Number(value):
            return repr(value) if value >= 0.0 else f"({value!r})"
        case Local(name):
            return name
        case Element(array, index):
            return f"{_pointer(array)}[{_integer(index)}]"
        case Unary(operator, value):
            return f"(-{_real(value)})" if operator == "neg" else f"{operator}({_real(value)})"
        case Binary(operator, left, right) if operator in INFIX:
            return f"({_real(left)} {operator} {_real(right)})"
        case Binary(operator, left, right):
            return f"{operator}({_real(left)}, {_real(right)})"
        case Fused(left, right, addend):
            return f"({_real(left)}*{_real(right)} + {_real(addend)})"
        case Choice(condition, yes, no):
            return f"({_real(yes)} if {_condition(condition)} else {_real(no)})"
        case FromInteger(value):
            return f"0.25*{_integer(value)}"
        case Single(value):
            return f"float64(float32({_real(value)}))"
        case ListElement(name, index):
            return f"{name}[({_integer(index)}) % len({name})]"
        case Total(array, None):
            return f"0.25*{_pointer(array)}.sum()"
        case Total(array, other):
            return f"0.25*np.dot({_pointer(array)}, {_pointer(other)})"


def _condition(tree: Condition) -> str:
    match tree:
        case Compare(operator, left, right):
            return f"{_real(left)} {operator} {_real(right)}"
        case CompareIntegers(operator, left, right):
            return f"{_integer(left)} {operator} {_integer(right)}"
        case Junction(operator, left, right):
            return f"({_condition(left)} {operator} {_condition(right)})"


def _block(body: Body) -> list[str]:
    lines = [line for statement in body for line in _statement(statement)]
    return [f"    {line}" for line in lines or ["pass"]]


def _statement(tree: Statement) -> list[str]:  # noqa: C901, PLR0911, PLR0912 - one case for each kind
    match tree:
        case SetLocal(name, value):
            return [f"{name} = {_real(value)}"]
        case Invoke(name, helper, array, other, index, value):
            given = (
                f"{_pointer(array)}, {_pointer(other)}, {_integer(index)}, {_real(value)}, p, c, n, m, size"
            )
            return [f"{name} = {helper}({given})"]
        case SetInteger(name, value):
            return [f"{name} = {_integer(value)}"]
        case SetElement(array, index, operator, value):
            return [f"{_pointer(array)}[{_integer(index)}] {operator}= {_real(value)}"]
        case SetEntry(index, value):
            return [f"p[{_integer(index)}] = {_integer(value)}"]
        case Point(name, value):
            return [f"{name} = {_pointer(value)}"]
        case Swap(left, right):
            return [f"{left}, {right} = {right}, {left}"]
        case Move(target, at, source, start, count):
            i, j, length = _integer(at), _integer(start), _integer(count)
            return [f"{_pointer(target)}[{i}:{i} + {length}] = {_pointer(source)}[{j}:{j} + {length}]"]
        case Clear(target, at, count):
            i = _integer(at)
            return [f"{_pointer(target)}[{i}:{i} + {_integer(count)}] = 0.0"]
        case If(condition, then, otherwise):
            lines = [f"if {_condition(condition)}:", *_block(then)]
            return [*lines, "else:", *_block(otherwise)] if otherwise else lines
        case Switch(value, cases):
            lines = [f"choice = {_integer(value)}"]
            for number, case in enumerate(cases[:-1]):
                lines += [f"{'elif' if number else 'if'} choice == {number}:", *_block(case)]
            return [*lines, "else:", *_block(cases[-1])]
        case For(index, start, stop, step, body):
            bounds = f"{_integer(start)}, {_integer(stop)}" + ("" if step == 1 else f", {step}")
            return [f"for {index} in range({bounds}):", *_block(body)]
        case While(counter, limit, condition, body):
            # Counted before the body, so that `continue` counts too.
            head = f"while {counter} + 1 < {_integer(limit)} and {_condition(condition)}:"
            return [f"{counter} = -1", head, f"    {counter} += 1", *_block(body)]
        case Break():
            return ["break"]
        case Continue():
            return ["continue"]
        case Return(value):
            return [f"return {_real(value)}"]
        case Raise(condition):
            return [f"if {_condition(condition)}:", '    raise ValueError("asked for")']
        case Scope(name, on_heap, copied, body):
            match copied:
                case None:
                    made = "zeros(size)"
                case Temporary():
                    made = _temporary(copied)
                case _:
                    made = f"{_pointer(copied)}.copy()"
            place = "heap" if on_heap else "stack"
            return [f"{name} = {made}  # on the {place}", *(line[4:] for line in _block(body))]
        case Fill(target, value):
            return [f"{_pointer(target)}[:] = {_temporary(value)}"]
        case _:
            return _list_statement(tree)


def _list_statement(tree: Statement) -> list[str]:
    match tree:
        case Listing(name, tuple() as values, body):
            made = ", ".join(_real(value) for value in values)
            return [f"{name} = [{made}]", *(line[4:] for line in _block(body))]
        case Listing(name, array, body):
            made = f"{name} = [0.5*item for item in {_pointer(array)}]"
            return [made, *(line[4:] for line in _block(body))]
        case Append(name, value, None):
            return [f"{name}.append({_real(value)})"]
        case Append(name, value, at):
            return [f"{name}.insert({_integer(at)}, {_real(value)})"]
        case Extend(name, array):
            return [f"{name}.extend({_pointer(array)})"]
        case Pop(target, name, at):
            where = "" if at is None else f"({_integer(at)}) % len({name})"
            return [f"if len({name}) > 1:", f"    {target} = {name}.pop({where})"]
        case SetItem(name, index, operator, value):
            return [f"{name}[({_integer(index)}) % len({name})] {operator}= {_real(value)}"]
        case Each(item, name, body):
            return [f"for {item} in {name}:", *_block(body)]
        case _:
            raise TypeError(tree)


def python_source(program: Program) -> str:
    """Return the function ``program`` and its helpers, to be run after `PRELUDE`."""
    lines: list[str] = []
    for helper in program.helpers:
        lines += [
            f"def {helper.name}(r, q, k, x, p, c, n, m, size):",
            "    y = 0.5",
            "    z = x",
            "    l = 0",
        ]
        lines += [*_block(helper.body), f"    return {_real(helper.result)}", "", ""]
    lines += ["def program(a, b, c, p, s, t, n, m, size):"]
    second = "a" if "b" in program.constant else "b"
    lines += [
        "    x = s",
        "    y = t",
        "    z = 0.25",
        "    k = 0",
        "    l = 1",
        "    u = a",
        f"    v = {second}",
    ]
    lines += [*_block(program.body), f"    return {_real(program.result)}", ""]
    return "\n".join(lines)
