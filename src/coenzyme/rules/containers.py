"""What the run-time functions of typed containers do: `numba.typed.List` and `numba.typed.Dict`.

A container has a *structure*, its length, its keys, its capacity, which never depends on real numbers, and
*items*, which lie one beside the other in a payload of its own. These functions look after the structure;
items are loaded and stored like the entries of an array. The shadow of a container is a container of the same
structure: what changes the structure of one is repeated on the other.

An item never changes its place in the payload while a derivative runs, though the payload moves when it
grows. So the place is good for finding the item's shadow again in the reverse sweep: payloads do not shrink,
and an entry taken out of a dictionary leaves a hole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["ContainerAct", "ContainerRule", "find_container_rule"]


class ContainerAct(Enum):
    """What a run-time function of a container does."""

    CREATE = auto()
    """It returns a new container, or null."""
    CHANGE = auto()
    """It changes the structure."""
    ASK = auto()
    """It reads the structure, and what is no real number."""


@dataclass(frozen=True)
class ContainerRule:
    """A run-time function of a container, which is its first operand.

    Attributes
    ----------
    name
        The callee.
    act
        What it does.
    removes
        Whether items are gone afterwards.
    output
        The operand where it writes what it was asked for.
    """

    name: str
    act: ContainerAct
    removes: bool = False
    output: int | None = None


_ROWS: Mapping[str, ContainerRule] = {
    rule.name: rule
    for rule in (
        ContainerRule("coenzyme.list.new", ContainerAct.CREATE),
        ContainerRule("coenzyme.list.methods", ContainerAct.CHANGE),
        ContainerRule("coenzyme.list.resize", ContainerAct.CHANGE),
        ContainerRule("coenzyme.list.freeze", ContainerAct.CHANGE),
        ContainerRule("coenzyme.list.size", ContainerAct.ASK),
        ContainerRule("coenzyme.list.capacity", ContainerAct.ASK),
        ContainerRule("coenzyme.list.mutable", ContainerAct.ASK),
        ContainerRule("coenzyme.dict.new", ContainerAct.CREATE),
        ContainerRule("coenzyme.dict.methods", ContainerAct.CHANGE),
        ContainerRule("coenzyme.dict.insert", ContainerAct.CHANGE),
        ContainerRule("coenzyme.dict.remove", ContainerAct.CHANGE, removes=True),
        ContainerRule("coenzyme.dict.size", ContainerAct.ASK),
        ContainerRule("coenzyme.dict.find", ContainerAct.ASK),
        ContainerRule("coenzyme.dict.next", ContainerAct.ASK),
        ContainerRule("coenzyme.dict.last", ContainerAct.ASK),
        ContainerRule("coenzyme.dict.hash", ContainerAct.ASK),
        ContainerRule("coenzyme.dict.key", ContainerAct.ASK, output=2),
    )
}


def find_container_rule(callee: str) -> ContainerRule | None:
    """Return what a run-time function does to a container, or None if it is none of them.

    Examples
    --------
    >>> find_container_rule("coenzyme.list.resize").act
    <ContainerAct.CHANGE: 2>
    """
    return _ROWS.get(callee)
