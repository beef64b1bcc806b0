"""What a frontend hands to the engine for a function whose derivatives come from a rule.

A rule gives up to three functions in the primal's own calling convention, each lowered and simplified:

- ``forward(arguments…, tangents…) -> (result, tangent)``
- ``augmented(arguments…, shadows…) -> (result, shadow, saved)``: the shadow has the result's type
  and is zero; what is saved outlives the forward sweep;
- ``reverse(arguments…, shadows…, cotangent, saved) -> None``: adds to the shadows of the arguments.

An argument that is not differentiated has ``None`` for a tangent or shadow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coenzyme.frontends.program import ArgumentLayout, ComponentActivity, Mode, ResultLayout

__all__ = ["CustomCode", "CustomProvider", "RuleCode", "RuleFunction", "RuleProvider", "RuleUse"]


@dataclass(frozen=True)
class RuleFunction:
    """One function of a rule: verified LLVM text, and what its parameters and its result mean."""

    text: str
    entry: str
    arguments: tuple[ArgumentLayout, ...]
    result: ResultLayout


@dataclass(frozen=True)
class RuleCode:
    """The functions of a rule for one activity of its arguments.

    Attributes
    ----------
    arguments, result
        The primal's.
    shadowed
        For each argument, whether it has a shadow.
    first
        The forward derivative, or the augmented primal.
    reverse
        None in forward mode.
    """

    arguments: tuple[ArgumentLayout, ...]
    result: ResultLayout
    shadowed: tuple[bool, ...]
    first: RuleFunction
    reverse: RuleFunction | None


RuleProvider = Callable[[str, Sequence[ComponentActivity], Mode], RuleCode]
"""Returns the code for a symbol, the activity of its LLVM parameters, and a mode."""


@dataclass(frozen=True)
class RuleUse:
    """What calls of a function with a user's rule pass, as far as the rule's code depends on it.

    Attributes
    ----------
    activities
        How each LLVM parameter takes part.
    kept
        The parameters that point to what nobody writes before the reverse sweep has run.
    width
        How many directions one sweep follows.
    """

    activities: tuple[ComponentActivity, ...]
    kept: frozenset[int]
    width: int


@dataclass(frozen=True)
class CustomCode:
    """The functions of a user's rule for one use of it, in the primal's calling convention.

    - ``forward(arguments…, tangents…) -> (result, tangents of the result…)``
    - ``augmented(arguments…, shadows…) -> (result, shadows of the result…, saved)``
    - ``reverse(arguments…, shadows…, cotangents…, saved) -> (adjoints…)``
    - ``release(shadows of the result…, saved)`` gives back what the record of a call holds

    Where there are several directions, tangents, shadows, cotangents and adjoints come one lane after
    another. The adjoints of a lane are a tuple with one entry for each argument in `returned`.

    Attributes
    ----------
    arguments, result
        The primal's.
    shadowed
        For each argument, whether a tangent or shadow is passed.
    returned
        The arguments with numbers whose adjoints are returned.
    first
        The forward derivative, or the augmented primal.
    reverse, release
        None in forward mode.
    """

    arguments: tuple[ArgumentLayout, ...]
    result: ResultLayout
    shadowed: tuple[bool, ...]
    returned: tuple[int, ...]
    first: RuleFunction
    reverse: RuleFunction | None
    release: RuleFunction | None


CustomProvider = Callable[[str, RuleUse, Mode], CustomCode]
"""Returns the code for a symbol, what a call of it passes, and a mode."""
