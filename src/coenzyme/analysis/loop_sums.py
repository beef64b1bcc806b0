"""Sums over the iterations of a loop: header phis to which each iteration adds a term and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from coenzyme.ir.instructions import Binary, Phi
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Value

__all__ = ["LoopSum", "find_loop_sums"]


@dataclass(frozen=True)
class LoopSum:
    """How a sum goes on from one iteration to the next.

    Attributes
    ----------
    total
        What the next iteration begins with: an ``fadd``, or an ``fsub`` from the sum so far.
    term
        What this iteration adds, or subtracts.
    """

    total: Binary
    term: Value


def find_loop_sums(loop: Loop) -> dict[Phi, LoopSum]:
    """Return the sums over the iterations of `loop`, which no iteration looks at."""
    latch = loop.latch
    assert latch is not None
    found: dict[Phi, LoopSum] = {}
    for phi in loop.header.phis:
        total = phi.value_from(latch)
        if not isinstance(total, Binary) or total.opcode not in ("fadd", "fsub"):
            continue
        position = next((n for n, operand in enumerate(total.operands) if operand is phi), None)
        if position is None or total.operands.count(phi) > 1 or list(phi.users) != [total]:
            continue
        is_looked_at = any(user is not phi and user.block in loop.blocks for user in total.users)
        if not is_looked_at and (position == 0 or total.opcode == "fadd"):
            found[phi] = LoopSum(total, total.operands[1 - position])
    return found
