"""What programs are made of, chosen at random.

Every choice prefers its first option, the simplest, so that hypothesis shrinks towards small programs. What
is
generated keeps in bounds and ends: each integer's interval is known, and values stay near 1, so that finite
differences of a program say something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.property.programs import (
    SIZE,
    Array,
    Binary,
    Body,
    Break,
    Choice,
    Clear,
    Compare,
    CompareIntegers,
    Condition,
    Continue,
    Counter,
    Either,
    Element,
    Entry,
    For,
    FromInteger,
    Fused,
    Helper,
    If,
    Integer,
    IntegerOperation,
    Invoke,
    Junction,
    Local,
    Move,
    Number,
    Point,
    Pointer,
    Program,
    Raise,
    Real,
    Return,
    Row,
    Scope,
    SetElement,
    SetEntry,
    SetInteger,
    SetLocal,
    Single,
    Statement,
    Swap,
    Switch,
    Truncated,
    Unary,
    While,
    Whole,
    Window,
    Wrapped,
    uses,
)

__all__ = ["Below", "Generator", "Names"]

T = TypeVar("T")
Below = Callable[[int], int]
"""Returns a number from 0 to less than its argument."""

_BOUNDED = ("sin", "tanh", "bell", "atan")
_UNARY = ("neg", "sin", "cos", "tanh", "atan", "fabs", "bell", "root", "logarithm", "swell")
_BINARY = ("+", "*", "-", "divide", "min", "max", "power", "distance", "angle", "copysign")
_NUMBERS = (0.5, -0.75, 1.25, 0.0, 0.3, -0.2)
_WORK = 120
"""How often the innermost body may run."""


@dataclass
class Names:
    """What may be named here.

    Attributes
    ----------
    shielded
        Arrays that may not be written.
    rows
        Whether ``c`` may be named.
    frozen
        Lists whose length must stay.
    """

    reals: list[str]
    integers: dict[str, tuple[int, int]]
    arrays: list[str]
    variables: list[str]
    settable: list[str]
    rows: bool = True
    depth: int = 0
    work: int = 1
    in_loop: bool = False
    in_helper: bool = False
    shielded: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    borrowed: list[str] = field(default_factory=list[str])
    """Arrays that end before the function does: no variable may keep them."""


class Generator:
    def __init__(self, below: Below) -> None:
        self.below = below
        self.scope = Names([], {}, [], [], [])
        self.helpers: list[Helper] = []
        self.constant: tuple[str, ...] = ()
        self.budget = 0
        self.fresh = 0

    # -- choices

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def chance(self, one_in: int) -> bool:
        """Return True once in `one_in` times; the simplest choice is False."""
        return self.below(one_in) == one_in - 1

    def weighted(self, options: Sequence[tuple[int, T]]) -> T:
        number = self.below(sum(weight for weight, _ in options))
        for weight, option in options:
            number -= weight
            if number < 0:
                return option
        raise AssertionError

    def name(self, stem: str) -> str:
        self.fresh += 1
        return f"{stem}{self.fresh}"

    @contextmanager
    def inside(self, **changes: Any):
        before = self.scope
        after = Names(**{**before.__dict__, "integers": dict(before.integers), "arrays": list(before.arrays)})
        after.depth += 1
        for key, value in changes.items():
            setattr(after, key, value)
        self.scope = after
        yield after
        self.scope = before

    # -- integers

    def bounded(self, low: int, high: int) -> Integer:
        """Return an integer in [low, high]."""
        fitting: list[Integer] = []
        for name, (least, most) in self.scope.integers.items():
            for shift in (0, 1, -1):
                if low <= least + shift and most + shift <= high:
                    variable = Counter(name)
                    fitting.append(variable if shift == 0 else IntegerOperation("+", variable, Whole(shift)))
        constant = Whole(low + self.below(high - low + 1))
        kind = self.below(8)
        if kind < 1 or (not fitting and kind < 3):
            return constant
        if fitting and kind < 6:
            return self.pick(fitting[::-1])
        if low == 0 and high == SIZE - 1 and self.chance(3):
            return Entry(self.bounded(0, SIZE - 1))
        return Wrapped(self.anything(2), low, high - low + 1)

    def anything(self, depth: int) -> Integer:
        if depth and self.chance(2):
            operator = self.pick(("+", "-", "*"))
            return IntegerOperation(operator, self.anything(depth - 1), self.anything(depth - 1))
        kind = self.below(10)
        if kind == 9 and depth:
            return Truncated(self.atom())
        if kind == 8 and depth:
            return Entry(self.bounded(0, SIZE - 1))
        if kind > 2 and self.scope.integers:
            return Counter(self.pick(list(self.scope.integers)))
        return Whole(self.below(5))

    def interval(self, tree: Integer) -> tuple[int, int]:
        match tree:
            case Whole(value):
                return value, value
            case Counter(name):
                return self.scope.integers[name]
            case IntegerOperation(_, left, Whole(shift)):
                low, high = self.interval(left)
                return low + shift, high + shift
            case Wrapped(_, low, width):
                return low, low + width - 1
            case _:
                return 0, SIZE - 1

    # -- arrays

    def pointer(self, *, written: bool = False, kept: bool = False) -> Pointer:
        """Return an array to read, to write, or to keep in a variable."""
        names = [n for n in self.scope.arrays if not (kept and n in self.scope.borrowed)]
        shielded = (*self.constant, *self.scope.shielded)
        names = [n for n in names if not ((written or kept) and n in shielded)]
        options: list[tuple[int, Callable[[], Pointer]]] = [(6, lambda: Array(self.pick(names[::-1])))]
        if self.scope.variables:
            options.append((3, lambda: Array(self.pick(self.scope.variables))))
        if self.scope.rows:
            options.append((2, lambda: Row(self.bounded(0, SIZE - 1))))
            options.append((1, lambda: Window(self.bounded(0, SIZE * (SIZE - 1)))))
        if self.scope.depth < 6 and "b" not in self.constant:
            options.append((1, lambda: self.either(written=written, kept=kept)))
        return self.weighted(options)()

    def either(self, *, written: bool, kept: bool) -> Pointer:
        with self.inside(depth=9):
            condition = self.condition(0)
            return Either(
                condition, self.pointer(written=written, kept=kept), self.pointer(written=written, kept=kept)
            )

    # -- numbers

    def atom(self) -> Real:
        kind = self.below(12)
        if kind < 4:
            return Local(self.pick(self.scope.reals))
        if kind < 10:
            return Element(self.pointer(), self.bounded(0, SIZE - 1))
        if kind == 10:
            return Number(self.pick(_NUMBERS))
        return FromInteger(self.anything(0))

    def real(self, depth: int) -> Real:
        if depth == 0:
            return self.atom()
        kind = self.below(16)
        if kind < 3:
            return self.atom()
        if kind < 7:
            return Unary(self.pick(_UNARY), self.real(depth - 1))
        if kind < 13:
            return Binary(self.pick(_BINARY), self.real(depth - 1), self.real(depth - 1))
        if kind == 13:
            return Choice(self.condition(depth - 1), self.real(depth - 1), self.real(depth - 1))
        if kind == 14:
            return Fused(self.real(depth - 1), self.real(depth - 1), self.real(depth - 1))
        return Single(self.real(depth - 1)) if self.chance(3) else self.atom()

    def near_one(self) -> Real:
        """Return a number that is no larger than what it is made of."""
        if self.below(5) < 2:
            return Binary("*", Number(self.pick((0.5, -0.7))), Binary("+", self.atom(), self.atom()))
        return Unary(self.pick(_BOUNDED), self.real(2 + self.below(2)))

    def condition(self, depth: int) -> Condition:
        kind = self.below(8)
        if kind < 3:
            left, right = self.anything(1), self.anything(1)
            return CompareIntegers(self.pick(("<", "==", ">", "!=", "<=", ">=")), left, right)
        if kind < 7 or depth == 0:
            right = Number(self.pick(_NUMBERS)) if self.chance(2) else self.atom()
            return Compare(self.pick(("<", ">", "<=", ">=")), self.real(min(depth, 1)), right)
        return Junction(self.pick(("and", "or")), self.condition(depth - 1), self.condition(depth - 1))

    # -- statements

    def body(self, most: int) -> Body:
        statements: list[Statement] = []
        for _ in range(1 + self.below(most)):
            if self.budget <= 0:
                break
            self.budget -= 1
            statements.extend(self.statement())
            if isinstance(statements[-1], Break | Continue | Return):
                break
        return tuple(statements)

    def statement(self) -> Sequence[Statement]:
        scope = self.scope
        options: list[tuple[int, Callable[[], Statement | Sequence[Statement]]]] = [
            (6, self.set_element),
            (5, lambda: SetLocal(self.pick(scope.settable), self.near_one())),
            (
                1,
                lambda: SetInteger(
                    self.pick(("l",) if scope.in_helper else ("k", "l")), self.bounded(0, SIZE - 1)
                ),
            ),
            (1, lambda: SetEntry(self.bounded(0, SIZE - 1), self.bounded(0, SIZE - 1))),
            (2, self.move),
        ]
        if scope.variables:
            options += [
                (2, lambda: Swap("u", "v")),
                (1, lambda: Point(self.pick(("u", "v")), self.pointer(kept=True))),
            ]
        if self.helpers:
            options.append((2, self.invoke))
        if scope.depth < 4:
            options += [(3, self.branch), (1, self.switch)]
            if scope.work < _WORK:
                options += [(6, self.loop), (2, self.while_loop)]
            options.append((1, self.local_array))
        if scope.in_loop and scope.depth > 1:
            options.append((2, self.leave))
        if scope.depth > 0:
            options.append((1, lambda: self.guarded(Return(self.near_one()))))
            options.append((1, self.complain))
        made = self.weighted([*options, *self.more_statements()])()
        return made if isinstance(made, Sequence) else (made,)

    def more_statements(self) -> list[tuple[int, Callable[[], Statement | Sequence[Statement]]]]:
        """Return what else there is to choose from, and how often."""
        return []

    def set_element(self) -> Statement:
        target, index = self.pointer(written=True), self.bounded(0, SIZE - 1)
        kind = self.below(8)
        if kind < 4:
            return SetElement(target, index, "", self.near_one())
        if kind < 6:
            return SetElement(target, index, "+", Binary("*", Number(0.25), self.near_one()))
        return SetElement(target, index, "*", Unary(self.pick(("cos", "sin", "tanh")), self.real(1)))

    def move(self) -> Statement:
        count = self.bounded(1, SIZE - 1)
        most = SIZE - self.interval(count)[1]
        at, start = self.bounded(0, most), self.bounded(0, most)
        target = self.pointer(written=True)
        if self.chance(3):
            return Clear(target, at, count)
        source = self.pointer()
        return Move(target, at, source, start, count, False)

    def invoke(self) -> Statement:
        helper = self.pick(self.helpers)
        array, other, index = self.pointer(written=True), self.pointer(), self.bounded(0, SIZE - 1)
        return Invoke(self.pick(self.scope.settable), helper.name, array, other, index, self.real(1))

    def branch(self) -> Statement:
        condition = self.condition(1)
        with self.inside():
            then = self.body(3)
            otherwise = self.body(3) if self.below(2) else ()
        return If(condition, then, otherwise)

    def switch(self) -> Statement:
        count = 3 + self.below(2)
        value = self.bounded(0, count)
        with self.inside():
            return Switch(value, tuple(self.body(2) for _ in range(count)))

    def loop(self) -> Statement:
        start, stop = self.bounded(0, 1), self.bounded(1, SIZE)
        step = self.weighted(((5, 1), (2, -1), (1, 2), (1, -2)))
        if self.chance(3):
            stop = Counter("size")
        if step < 0:
            start, stop = (self.bounded(2, SIZE - 1), self.bounded(0, 1))
            if self.chance(2):
                stop = Whole(-1)
        first, last = self.interval(start), self.interval(stop)
        within = (first[0], last[1] - 1) if step > 0 else (last[0] + 1, first[1])
        trips = max(1, (within[1] - within[0]) // abs(step) + 1)
        index = self.name("i")
        with self.inside(in_loop=True) as scope:
            scope.integers[index] = within
            scope.work *= trips
            return For(index, start, stop, step, self.body(4))

    def while_loop(self) -> Statement:
        limit = self.bounded(1, SIZE)
        most = self.interval(limit)[1]
        counter = self.name("q")
        condition = self.condition(1)
        with self.inside(in_loop=True) as scope:
            scope.integers[counter] = (0, most - 1)
            scope.work *= most
            return While(counter, limit, condition, self.body(4))

    def local_array(self) -> Statement:
        name, on_heap = self.name("w"), self.chance(2)
        copied = self.pointer() if self.chance(2) else None
        with self.inside() as scope:
            scope.arrays = [*scope.arrays, name]
            scope.borrowed = [*scope.borrowed, name]
            return Scope(name, on_heap, copied, self.body(4))

    def leave(self) -> Statement:
        return self.guarded(self.pick((Break(), Continue())))

    def guarded(self, statement: Statement) -> Statement:
        return If(self.condition(1), (statement,), ())

    def complain(self) -> Statement:
        return Raise(Compare(">", self.atom(), Number(self.pick((1.9, 1.2)))))

    # -- programs

    def helper(self, name: str, called: str | None) -> Helper:
        """Return a function that, where `called` says so, calls itself or another that calls it."""
        self.scope = Names(
            ["x", "y", "z"],
            {"k": (0, SIZE - 1), "l": (0, SIZE - 1), "n": (0, 4), "m": (0, 4), "size": (SIZE, SIZE)},
            ["r", "q"],
            [],
            ["y", "z", "x"],
            rows=self.chance(2),
            shielded=("q",),
            in_helper=True,
            work=_WORK // 12,
        )
        self.budget = 6
        body = self.body(3)
        if called is not None:
            # Until k is 0.
            stop = If(CompareIntegers("<=", Counter("k"), Whole(0)), (Return(self.near_one()),), ())
            body = (stop, *body, *self.again(called), *self.body(2))
            if self.chance(3):
                body = (*body, *self.again(called))
        return Helper(name, body, self.near_one())

    def again(self, called: str) -> Body:
        """Return a call with a smaller k, and something that is not linear in what it returns."""
        target = self.pick(("y", "z", "x"))
        fewer = IntegerOperation("+", Counter("k"), Whole(-1))
        call = Invoke(target, called, self.pointer(written=True), self.pointer(), fewer, self.near_one())
        product = Binary("*", Local(target), Binary("+", Local(target), self.atom()))
        return (call, SetLocal(target, Unary(self.pick(_BOUNDED), product)))

    def make_helpers(self) -> None:
        count = self.pick((0, 0, 1, 2))
        names = [self.name("h") for _ in range(count)]
        mutual = count > 1 and self.chance(3)
        if mutual:
            # Neither may call the other but with a smaller k.
            self.helpers = [self.helper(name, other) for name, other in zip(names, names[::-1], strict=True)]
        else:
            for name in names:
                self.helpers.append(self.helper(name, name if self.chance(4) else None))

    def second(self, body: Body, result: Real) -> str:
        if uses((body, result, tuple(self.helpers)), Single):
            # Differences of what is rounded so say nothing.
            return ""
        options = ["forward over reverse", "reverse over forward"]
        if not any(uses(helper.body, Invoke) for helper in self.helpers):
            options.append("reverse over reverse")
        return self.pick(options)

    def program(self) -> Program:
        self.make_helpers()
        shared = 1 + self.below(SIZE) if self.chance(6) else 0
        self.constant = () if shared else self.pick(((), (), (), ("b",), ("t",), ("b", "s")))
        self.scope = Names(
            ["x", "y", "z", "s", "t"],
            {
                "k": (0, SIZE - 1),
                "l": (0, SIZE - 1),
                "n": (0, 4),
                "m": (0, 4),
                "size": (SIZE, SIZE),
            },
            ["a", "b"],
            ["u", "v"],
            ["x", "y", "z"],
        )
        self.budget = 24
        body = self.body(7)
        result = Binary("+", self.near_one(), self.near_one())
        called = tuple(h.name for h in self.helpers)
        return Program(
            body,
            result,
            tuple(self.helpers),
            n=self.below(5),
            m=self.below(5),
            seed=self.below(1000),
            shared=shared,
            constant=self.constant,
            relaxed=self.chance(5),
            out_of_line=called if self.chance(6) else (),
            level=3 if self.chance(3) else 1,
            width=self.pick((2, 3)) if self.chance(4) else 1,
            careful=self.chance(6),
            second=self.second(body, result) if self.chance(5) else "",
        )
