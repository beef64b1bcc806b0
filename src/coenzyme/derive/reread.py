"""What a loop carries round because it has read it before is read again.

LLVM reads ``x[i+1]`` once where a loop uses ``x[i]`` and ``x[i+1]``: the number goes round the loop to the
next iteration. Its adjoint then goes round the loop too, from each iteration to the one before, and neither
can the iterations be taken in another order, nor does the sum over neighbours look like one. Where nothing
is written to that memory from one reading to the other, the number is read where it is used, as the
function had it. LLVM is free to carry it round once more when it optimises the derivative.

Undoes: R. Bodík, R. Gupta & M. L. Soffa, "Load-reuse analysis" (PLDI 1999).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.objects import Objects, called_effect
from coenzyme.analysis.overwritten import Aliasing, may_overlap, written_objects
from coenzyme.derive.accumulations import HARMLESS
from coenzyme.derive.normalise import Shape
from coenzyme.derive.subscripts import find_recurrences
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import (
    Binary,
    Block,
    Call,
    Cast,
    GetElementPtr,
    Instruction,
    Load,
    Phi,
)
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I8, I64
from coenzyme.ir.values import Value

__all__ = ["reread_carried_loads"]

_LONGEST_WAY = 8
"""How many blocks there may be between the first reading and the loop."""


def reread_carried_loads(shape: Shape, objects: Objects, aliasing: Aliasing) -> bool:
    """Let innermost loops read again what they carry round, in place; return whether any does.

    New pointers are made, of which `objects` knows nothing.
    """
    polynomials = Polynomials(
        {loop: counted.index for loop, counted in shape.counted.items()}, find_recurrences(shape)
    )
    changed = False
    for loop in shape.counted:
        if loop.children or len(loop.blocks) > 1:
            continue
        for phi in list(loop.header.phis):
            source = _carried_load(phi, loop)
            if source is None:
                continue
            parts = polynomials.of(source.pointer).split(shape.counted[loop].index)
            if parts is None or not parts[0].constant or _varies(parts[1], loop):
                continue
            before = parts[1] - parts[0]
            inside = _computed_inside(source.pointer, loop.header)
            if inside is None:
                continue
            if _is_left_alone(phi, source, loop, before, polynomials, objects, aliasing):
                _reread(phi, source, inside, parts[0].constant)
                changed = True
    return changed


def _varies(polynomial: Polynomial, loop: Loop) -> bool:
    return any(isinstance(v, Instruction) and v.block in loop.blocks for v in polynomial.values)


def _carried_load(phi: Phi, loop: Loop) -> Load | None:
    """Return the load in `loop`, a single block, whose number `phi` is in the next iteration."""
    if not phi.type.is_float or loop.latch is None or loop.preheader is None:
        return None
    source = phi.value_from(loop.latch)
    if not isinstance(source, Load) or source.block is not loop.header or not _is_plain(source):
        return None
    return source


def _is_plain(load: Load) -> bool:
    return not load.flags and not load.ordering


def _is_left_alone(
    phi: Phi,
    source: Load,
    loop: Loop,
    before: Polynomial,
    polynomials: Polynomials,
    objects: Objects,
    aliasing: Aliasing,
) -> bool:
    """Whether `phi` is at first what is at `before`, and nothing is written there."""
    assert loop.preheader is not None
    first = phi.value_from(loop.preheader)
    if not isinstance(first, Load) or not _is_plain(first) or first.type != source.type:
        return False
    if polynomials.of(first.pointer) != before:
        return False
    way = _way(first, loop)
    if way is None:
        return False
    return not _may_write([*way, *loop.header.instructions], source, objects, aliasing)


def _way(first: Load, loop: Loop) -> list[Instruction] | None:
    """Return what runs between `first` and the loop, where there is but one way."""
    found: list[Instruction] = []
    block = loop.preheader
    for _ in range(_LONGEST_WAY):
        if block is None or block.function is None:
            return None
        if block is first.block:
            return found + block.instructions[block.instructions.index(first) + 1 :]
        found += block.instructions
        before = [b for b in block.function.blocks if block in b.successors]
        block = before[0] if len(before) == 1 else None
    return None


def _may_write(
    instructions: Iterable[Instruction], source: Load, objects: Objects, aliasing: Aliasing
) -> bool:
    """Whether what `source` reads may be written, or given back."""
    targets = objects.of(source.pointer)
    if not targets:
        return True
    for instruction in instructions:
        if isinstance(instruction, Call) and called_effect(instruction) not in HARMLESS:
            return True
        written = written_objects(instruction, objects)
        if any(may_overlap(a, b, aliasing) for a in targets for b in written):
            return True
    return False


def _computed_inside(pointer: Value, block: Block) -> list[Instruction] | None:
    """Return what computes `pointer` in `block`, in order; None where that is more than sums and products."""
    found: set[Instruction] = set()
    pending = [pointer]
    while pending:
        value = pending.pop()
        if not isinstance(value, Instruction) or value.block is not block or isinstance(value, Phi):
            continue
        if not isinstance(value, Binary | GetElementPtr | Cast) or value.opcode.endswith(("div", "rem")):
            return None
        found.add(value)
        pending.extend(value.operands)
    return sorted(found, key=block.instructions.index)


def _reread(phi: Phi, source: Load, inside: Sequence[Instruction], moved: int) -> None:
    """Replace `phi` by a load of what `source` has read an iteration before."""
    block = source.block
    assert block is not None
    # What computes the address is to come before all uses of the phi.
    for place, instruction in enumerate(inside, len(block.phis)):
        block.instructions.remove(instruction)
        block.instructions.insert(place, instruction)
    at = Builder(block, len(block.phis) + len(inside))
    at.metadata.update({k: v for k, v in source.metadata.items() if k == "dbg"})
    pointer = at.gep(I8, source.pointer, [const_int(I64, -moved)], name=f"{phi.name}.place")
    again = at.load(source.type, pointer, align=source.align, name=f"{phi.name}.again")
    phi.replace_all_uses_with(again)
    phi.erase()
