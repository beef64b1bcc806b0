"""Programs for Numba: lists, array expressions, and arrays that outlive the block they are made in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.property.generator import Generator
from tests.property.programs import (
    SIZE,
    TEMPORARIES,
    Append,
    Binary,
    Each,
    Extend,
    Fill,
    Integer,
    Length,
    ListElement,
    Listing,
    Number,
    Pointer,
    Pop,
    Program,
    Real,
    Reversed,
    Scope,
    SetItem,
    Statement,
    Temporary,
    Total,
    Unary,
    uses,
)

__all__ = ["GeneratorForNumba"]


class GeneratorForNumba(Generator):
    """Chooses from more kinds of statements and expressions."""

    def program(self) -> Program:
        """Return a program, as Numba optimises it."""
        made = super().program()
        grows = uses((made.body, made.helpers), Listing)
        # Second derivatives of lists that grow are not supported.
        return replace(made, relaxed=False, out_of_line=(), level=1, second="" if grows else made.second)

    def pointer(self, *, written: bool = False, kept: bool = False) -> Pointer:
        # Python keeps an array for as long as a variable does.
        borrowed, self.scope.borrowed = self.scope.borrowed, []
        found = super().pointer(written=written, kept=kept)
        self.scope.borrowed = borrowed
        return found

    def seen(self) -> Pointer:
        """Return an array to read, in either direction."""
        return Reversed(self.pointer()) if self.chance(4) else self.pointer()

    def temporary(self) -> Temporary:
        return Temporary(self.pick(tuple(TEMPORARIES)), self.seen(), self.seen())

    def anything(self, depth: int) -> Integer:
        if self.scope.lists and self.chance(8):
            return Length(self.pick(self.scope.lists))
        return super().anything(depth)

    def atom(self) -> Real:
        if self.scope.lists and self.chance(3):
            return ListElement(self.pick(self.scope.lists), self.anything(1))
        if self.chance(12):
            return Total(self.pointer(), self.pointer() if self.chance(2) else None)
        return super().atom()

    def more_statements(self) -> list[tuple[int, Callable[[], Statement | Sequence[Statement]]]]:
        scope = self.scope
        options: list[tuple[int, Callable[[], Statement | Sequence[Statement]]]] = [(2, self.fill)]
        if scope.depth < 4:
            options += [(1, self.local_array), (3, self.listing)]
        if scope.lists:
            options.append((3, self.set_item))
            if scope.depth < 4:
                options.append((2, self.each))
        if self.growing():
            options += [(4, self.append), (2, self.pop), (1, self.extend)]
        return options

    def growing(self) -> list[str]:
        return [name for name in self.scope.lists if name not in self.scope.frozen]

    def fill(self) -> Statement:
        return Fill(self.pointer(written=True), self.temporary())

    def local_array(self) -> Statement:
        made = super().local_array()
        assert isinstance(made, Scope)
        return replace(made, copied=self.temporary()) if self.chance(2) else made

    def listing(self) -> Statement:
        values: tuple[Real, ...] | Pointer
        if self.chance(3):
            values = self.pointer()
        else:
            values = tuple(self.near_one() for _ in range(1 + self.below(3)))
        name = self.name("e")
        with self.inside() as scope:
            scope.lists = (*scope.lists, name)
            return Listing(name, values, self.body(5))

    def append(self) -> Statement:
        name = self.pick(self.growing())
        at = self.bounded(0, SIZE - 1) if self.chance(4) else None
        return Append(name, self.near_one(), at)

    def extend(self) -> Statement:
        return Extend(self.pick(self.growing()), self.pointer())

    def pop(self) -> Statement:
        at = self.bounded(0, SIZE - 1) if self.chance(4) else None
        return Pop(self.pick(self.scope.settable), self.pick(self.growing()), at)

    def set_item(self) -> Statement:
        name, index = self.pick(self.scope.lists), self.anything(1)
        match self.below(4):
            case 0 | 1:
                return SetItem(name, index, "", self.near_one())
            case 2:
                return SetItem(name, index, "+", Binary("*", Number(0.25), self.near_one()))
            case _:
                return SetItem(name, index, "*", Unary(self.pick(("cos", "sin", "tanh")), self.real(1)))

    def each(self) -> Statement:
        name, item = self.pick(self.scope.lists), self.name("g")
        with self.inside(in_loop=True) as scope:
            scope.frozen = (*scope.frozen, name)
            scope.reals = [*scope.reals, item]
            scope.work *= SIZE
            return Each(item, name, self.body(3))
