"""By how much an address moves from one iteration of a loop to the next."""

from __future__ import annotations

from coenzyme.analysis.affine import Polynomial
from coenzyme.ir.instructions import Instruction, Phi
from coenzyme.ir.loops import Loop

__all__ = ["move_between_iterations"]


def move_between_iterations(address: Polynomial, loop: Loop, index: Phi) -> Polynomial | None:
    """Return by how many bytes `address` moves as the index of `loop` advances, if by a fixed number."""
    parts = address.split(index)
    if parts is None:
        return None
    values = [v for part in parts for v in part.values]
    if any(isinstance(v, Instruction) and v.block in loop.blocks for v in values):
        return None
    return parts[0]
