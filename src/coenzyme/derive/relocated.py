"""Shadows that are elsewhere in the reverse sweep than they were in the forward sweep.

So it is with shadows that chunks of a parallel loop have copies of. Addresses in them are computed again,
never taped, as those in growing lists are (:mod:`coenzyme.derive.growth`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from coenzyme.analysis.objects import is_internal_call, is_ruled_call
from coenzyme.derive.context import Context
from coenzyme.ir.instructions import Block, Cast, Freeze, GetElementPtr, Instruction, Phi, Select, Store
from coenzyme.ir.values import Value

__all__ = ["find_relocated"]


def find_relocated(live: Iterable[Block], shadows: Collection[Value], context: Context) -> frozenset[Value]:
    """Return the addresses that are computed from `shadows`, which will be elsewhere.

    Raises
    ------
    UnsupportedIRError
        Where such an address would be remembered.
    """
    if not shadows:
        return frozenset()
    instructions = [i for block in live for i in block.instructions]
    found: set[Value] = set(shadows)
    changed = True
    while changed:
        changed = False
        for instruction in instructions:
            if instruction in found or not any(o in found for o in instruction.operands):
                continue
            if _remembers(instruction, found):
                message = "the address of memory that iterations share is kept"
                raise context.unsupported(instruction, message)
            if instruction.type.is_pointer and isinstance(
                instruction, GetElementPtr | Cast | Freeze | Select
            ):
                found.add(instruction)
                changed = True
    return frozenset(found) - frozenset(shadows)


def _remembers(instruction: Instruction, addresses: Collection[Value]) -> bool:
    """Whether an address is put where the reverse sweep would find the old one."""
    if isinstance(instruction, Store):
        return instruction.value in addresses
    if isinstance(instruction, Phi) or instruction.opcode in ("ptrtoint", "insertvalue", "ret"):
        return True
    return is_internal_call(instruction) and not is_ruled_call(instruction)
