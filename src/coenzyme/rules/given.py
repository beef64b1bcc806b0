"""Rows of the table that users give: functions with closed-form partial derivatives, and inactive functions.

A row is made when it is first asked for. The functions that its expressions call, and the function itself,
come as LLVM text, which is added to a derivative once that is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from coenzyme.rules.rule import Rule

__all__ = [
    "GIVEN",
    "Given",
    "declare_inactive",
    "find_given",
    "find_given_family",
    "given_texts",
    "holds_inactive",
    "is_declared_inactive",
    "register_given",
]

GIVEN = "coenzyme.given."
"""What the names of such functions begin with."""

Signature = tuple[str, tuple[str, ...], str]
"""The name of a function, the types of its parameters and of its result, as LLVM writes them."""


@dataclass(frozen=True)
class Given:
    """A row that a user has given.

    Attributes
    ----------
    rule
        Its partials call the functions in `families`.
    float_type
        The type it works in.
    families
        By the names they have in expressions, how functions are called.
    texts
        By their names, LLVM modules that define functions.
    """

    rule: Rule
    float_type: str
    families: Mapping[str, Signature]
    texts: Mapping[str, str]


_makers: dict[str, Callable[[], Given]] = {}
_made: dict[str, Given] = {}
_inactive: set[str] = set()


def register_given(name: str, make: Callable[[], Given]) -> None:
    """Let calls of `name` be differentiated by the row that `make` returns."""
    _makers[name] = make


def find_given(name: str) -> Given | None:
    """Return the row of a function that a user has given, None if there is none."""
    if name not in _made and name in _makers:
        _made[name] = _makers[name]()
    return _made.get(name)


def find_given_family(family: str) -> Signature | None:
    """Return how a function is called that a user's partial derivatives call; None if there is none."""
    found = (given.families.get(family) for given in _made.values())
    return next((signature for signature in found if signature is not None), None)


def given_texts(names: Iterable[str], *, again: bool) -> list[str]:
    """Return the modules that define those of `names` that users have given.

    Parameters
    ----------
    again
        What is defined will be differentiated: functions with a row of their own stay names.
    """
    wanted = [name for name in names if name.startswith(GIVEN)]
    rows = list(_made.values())
    return [
        row.texts[name]
        for name in wanted
        if not (again and name in _makers)
        for row in rows
        if name in row.texts
    ]


def declare_inactive(name: str) -> None:
    """Let nothing that calls of `name` do be differentiated."""
    _inactive.add(name)


def holds_inactive(text: str) -> bool:
    """Whether LLVM text names a function that a user has declared inactive."""
    return any(name in text for name in _inactive)


def is_declared_inactive(name: str) -> bool:
    """Whether a user says that nothing differentiable happens in a function."""
    return name in _inactive
