"""Subscripts of a normalised function: how its indices advance, how far they go, and where they wrap around.

Numba takes ``a[i]`` with a negative i from the end. Where the loops say that i is not negative, the choice
goes away, and with it what keeps LLVM from vectorising the access and the engine from comparing it with
others.
"""

from __future__ import annotations

from collections.abc import Mapping

from coenzyme.analysis.affine import Polynomials
from coenzyme.analysis.induction import Recurrence, find_recurrence
from coenzyme.analysis.ranges import Ranges
from coenzyme.derive.normalise import Shape
from coenzyme.ir.instructions import Compare, Phi, Select
from coenzyme.ir.types import I64
from coenzyme.ir.values import ConstantInt

__all__ = ["drop_wraparounds", "find_ranges", "find_recurrences"]

_BELOW = {"slt": 0, "sle": 1}
_ABOVE = {"sge": 0, "sgt": 1}
_MORE = _BELOW | _ABOVE
"""By how much more than the limit a value must be at least for the question to have but one answer."""


def find_recurrences(shape: Shape) -> dict[Phi, Recurrence]:
    """Return the header phis of `shape` that advance by a fixed step, but for the loops' own indices."""
    found: dict[Phi, Recurrence] = {}
    for loop, counted in shape.counted.items():
        for phi in loop.header.phis:
            if phi is counted.index or phi.type.is_float:
                continue
            recurrence = find_recurrence(phi, loop)
            if recurrence is not None:
                found[phi] = recurrence
    return found


def find_ranges(shape: Shape, recurrences: Mapping[Phi, Recurrence]) -> Ranges:
    """Return the bounds of what is computed in the loops of `shape`."""
    indices = {loop: counted.index for loop, counted in shape.counted.items()}
    lasts = {loop: counted.last for loop, counted in shape.counted.items() if counted.last is not None}
    exits = {loop: [a for a, _ in counted.edges] for loop, counted in shape.counted.items()}
    return Ranges(Polynomials(indices, recurrences), shape.dominators, shape.loop_of, indices, lasts, exits)


def drop_wraparounds(shape: Shape) -> None:
    """Decide the questions whether an index is below a limit that the loops around it decide, in place.

    LLVM asks ``i > 0`` where the subscript is i − 1. What tells how often a loop runs stays as it is.
    """
    ranges = find_ranges(shape, find_recurrences(shape))
    lasts = {counted.last for counted in shape.counted.values()}
    for block in shape.live:
        for instruction in list(block.instructions):
            if not isinstance(instruction, Compare) or instruction.operands[0].type != I64:
                continue
            index, limit = instruction.operands
            more = _MORE.get(instruction.predicate)
            if more is None or not isinstance(limit, ConstantInt):
                continue
            choices = [u for u in instruction.users if isinstance(u, Select) and u not in lasts]
            if choices and ranges.is_at_least(index, limit.value + more, block):
                answer = instruction.predicate in _ABOVE
                for choice in choices:
                    if choice.operands[0] is instruction:
                        choice.replace_all_uses_with(choice.operands[1 if answer else 2])
                        choice.erase()
                if not instruction.users:
                    instruction.erase()
