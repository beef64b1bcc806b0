"""What a loop reads from one place in every iteration is read once, before it.

LLVM moves such a load out of the loop where it can tell that no store in the loop meets it. It cannot tell
that for two arrays that the function has allocated by Numba's runtime; our objects do. A load that stays in
the loop would be taped in every iteration; before it, once.
"""

from __future__ import annotations

from coenzyme.analysis.objects import MemoryObject, Objects, called_effect
from coenzyme.analysis.overwritten import Aliasing, may_overlap, written_objects
from coenzyme.derive.normalise import Shape
from coenzyme.ir.instructions import Block, Call, Instruction, Load
from coenzyme.ir.loops import Loop
from coenzyme.rules import Effect

__all__ = ["hoist_invariant_loads"]

_RETURNING = (Effect.DIFFERENTIABLE, Effect.ZERO_DERIVATIVE, Effect.MEMINFO_DATA, Effect.REFERENCE_COUNT)


def hoist_invariant_loads(shape: Shape, objects: Objects, aliasing: Aliasing) -> int:
    """Move loads of numbers out of the loops that do not change them, in place; return how many moved.

    Only loads that the first iteration comes to at once move: where the loop is entered, they are executed.
    """
    moved = 0
    for loop in shape.forest.postorder():
        if loop.header not in shape.live or loop.preheader is None:
            continue
        candidates = [load for load in _first_loads(loop.header) if _is_known_before(load, loop)]
        if not candidates:
            continue
        inside = (i for block in loop.blocks for i in block.instructions)
        written = {item for i in inside for item in written_objects(i, objects)}
        for load in candidates:
            if not _is_met(load, written, objects, aliasing):
                loop.header.instructions.remove(load)
                loop.preheader.insert(len(loop.preheader.instructions) - 1, load)
                moved += 1
    return moved


def _first_loads(header: Block) -> list[Load]:
    """Return the loads of numbers in a block that nothing before them keeps from being executed."""
    found: list[Load] = []
    for instruction in header.instructions:
        if isinstance(instruction, Call) and called_effect(instruction) not in _RETURNING:
            break
        if isinstance(instruction, Load) and instruction.type.is_float and _is_plain(instruction):
            found.append(instruction)
    return found


def _is_plain(load: Load) -> bool:
    return not load.ordering and "volatile" not in load.flags


def _is_known_before(load: Load, loop: Loop) -> bool:
    pointer = load.pointer
    return not isinstance(pointer, Instruction) or pointer.block not in loop.blocks


def _is_met(load: Load, written: set[MemoryObject], objects: Objects, aliasing: Aliasing) -> bool:
    """Whether what is written may be what `load` reads."""
    targets = objects.of(load.pointer)
    return not targets or any(may_overlap(a, b, aliasing) for a in targets for b in written)
