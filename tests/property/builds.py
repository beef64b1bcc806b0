"""Which derivatives of a program are made and compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.frontends.program import Mode
from tests.property.programs import Program

__all__ = ["Build", "builds", "second_modes"]

_SECOND = {
    "forward over reverse": (Mode.REVERSE, Mode.FORWARD),
    "reverse over forward": (Mode.FORWARD, Mode.REVERSE),
    "reverse over reverse": (Mode.REVERSE, Mode.REVERSE),
}


@dataclass(frozen=True)
class Build:
    """One derivative of a program, and how it is made.

    Attributes
    ----------
    disjoint
        Whether it may assume that the arrays do not overlap.
    width
        How many directions it follows at once.
    needed
        Whether the caller asks for the result, and for what the arrays hold at the end.
    """

    name: str
    mode: Mode
    passes: frozenset[Pass]
    disjoint: bool
    width: int = 1
    needed: bool = True


def builds(program: Program) -> dict[str, Build]:
    """Return the derivatives to make, by their names; the first is `forward`, of one direction."""
    disjoint = program.shared == 0
    made = [
        Build("forward", Mode.FORWARD, ALL_PASSES, disjoint),
        Build("reverse", Mode.REVERSE, ALL_PASSES, disjoint),
        Build("naive", Mode.REVERSE, NO_PASSES, disjoint),
        Build("reverse.unneeded", Mode.REVERSE, ALL_PASSES, disjoint, needed=False),
    ]
    if program.width > 1:
        made += [replace(b, name=f"{b.name}.wide", width=program.width) for b in tuple(made)]
    if program.careful and disjoint:
        made += [
            Build("forward.careful", Mode.FORWARD, ALL_PASSES, False),
            Build("reverse.careful", Mode.REVERSE, ALL_PASSES, False),
        ]
    return {build.name: build for build in made}


def second_modes(program: Program) -> tuple[Mode, Mode]:
    """Return how the first derivative is made, and how that is differentiated."""
    return _SECOND[program.second]
