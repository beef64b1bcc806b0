"""Smaller programs that fail as a given one does (delta debugging on trees).

Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (2002), with the tree's
own edits
in place of ranges of lines.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any

from tests.property import programs
from tests.property.programs import Array, Counter, Local, Number, Program, Whole, size_of

__all__ = ["reduce"]


def _members(alias: object) -> tuple[type, ...]:
    return tuple(vars(programs)[name.strip()] for name in str(alias).split("|"))


_STATEMENTS = _members(programs.Statement)
_SIMPLEST: tuple[tuple[tuple[type, ...], tuple[Any, ...]], ...] = (
    (_members(programs.Real), (Number(0.5), Local("x"), Local("s"))),
    (_members(programs.Integer), (Whole(0), Whole(1), Whole(2), Counter("k"), Counter("n"))),
    (_members(programs.Pointer), (Array("a"), Array("b"), Array("u"))),
)


def reduce(program: Program, fails: Callable[[Program], bool], most: int = 600) -> Program:
    """Return a smaller program for which `fails` still holds.

    Parameters
    ----------
    most
        How many programs may be tried.
    """
    tried = 0
    progress = True
    while progress:
        progress = False
        for candidate in sorted(dict.fromkeys(_edits(program)), key=size_of):
            if tried >= most:
                return program
            tried += 1
            if fails(candidate):
                program, progress = candidate, True
                break
    return program


def _edits(program: Program) -> Iterator[Program]:
    yield from _edits_of(program)
    for changes in (
        {"shared": 0},
        {"width": 1},
        {"careful": False},
        {"second": ""},
        {"relaxed": False},
        {"out_of_line": ()},
        {"level": 1},
        {"constant": ()},
        {"helpers": ()},
    ):
        changed = dataclasses.replace(program, **typing.cast("Any", changes))
        if changed != program:
            yield changed


def _edits_of(tree: Any) -> Iterator[Any]:
    """Yield `tree` with one edit inside it."""
    for field in dataclasses.fields(tree):
        value = getattr(tree, field.name)
        for edited in _edits_of_field(value):
            yield dataclasses.replace(tree, **{field.name: edited})


def _edits_of_field(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        if len(value) > 1 and all(isinstance(item, tuple) for item in value):
            yield value[1:]
        for i, item in enumerate(value):
            before, after = value[:i], value[i + 1 :]
            if isinstance(item, _STATEMENTS):
                yield before + after
                for field in dataclasses.fields(item):
                    inner = getattr(item, field.name)
                    if isinstance(inner, tuple) and all(isinstance(s, _STATEMENTS) for s in inner):
                        yield before + inner + after
            for edited in _edits_of_field(item):
                yield (*before, edited, *after)
    elif dataclasses.is_dataclass(value):
        for kinds, simplest in _SIMPLEST:
            if isinstance(value, kinds):
                yield from (s for s in simplest if s != value and size_of(s) <= size_of(value))
                if kinds is _SIMPLEST[0][0]:
                    inside = (getattr(value, field.name) for field in dataclasses.fields(value))
                    yield from (part for part in inside if isinstance(part, kinds))
        yield from _edits_of(value)
