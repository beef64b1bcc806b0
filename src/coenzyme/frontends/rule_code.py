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

__all__ = ["RuleCode", "RuleFunction", "RuleProvider"]


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
