"""Which loads read memory that may be written again before the reverse sweep reads it.

A load whose memory is left alone is repeated in the reverse sweep; the others go on the tape. Scoped
``!noalias`` metadata is not consulted: it speaks of one iteration only.
Source: Hascoët, Naumann & Pascual (2005), "to be recorded"; DESIGN "Taping".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coenzyme.analysis.objects import (
    MemoryObject,
    Objects,
    Storage,
    blas_pointers,
    called_effect,
    is_internal_call,
    passed_pointers,
)
from coenzyme.ir.instructions import (
    AtomicReadModifyWrite,
    Block,
    Call,
    CompareExchange,
    GlobalVariable,
    Instruction,
    Load,
    Store,
)
from coenzyme.ir.values import Value
from coenzyme.rules import Effect

__all__ = ["Aliasing", "Overwrites", "find_overwrites"]

_CALLER_OWNED = (Storage.ARGUMENT, Storage.REACHED, Storage.UNKNOWN)
_SILENT = (
    Effect.ALLOCATION,
    Effect.DEALLOCATION,
    Effect.REFERENCE_COUNT,
    Effect.MEMINFO_DATA,
)


@dataclass(frozen=True)
class Aliasing:
    """What may be assumed of the caller's memory.

    Attributes
    ----------
    arguments_disjoint
        Distinct array arguments do not overlap.
    caller_keeps
        The caller's memory is not written between the end of the forward sweep and the reverse sweep.
    """

    arguments_disjoint: bool = True
    caller_keeps: bool = True


@dataclass(frozen=True)
class Overwrites:
    """Result of :func:`find_overwrites`."""

    loads: frozenset[Load]
    written: frozenset[MemoryObject]
    products: frozenset[tuple[Call, Value]]
    """BLAS calls, with the pointers to operands that may change afterwards."""

    def is_overwritten(self, load: Load) -> bool:
        """Whether the memory that `load` reads may change afterwards."""
        return load in self.loads

    def is_operand_overwritten(self, call: Call, pointer: Value) -> bool:
        """Whether what a BLAS `call` reads behind `pointer` may change afterwards."""
        return (call, pointer) in self.products


def find_overwrites(live: Sequence[Block], objects: Objects, aliasing: Aliasing) -> Overwrites:
    """Return the loads, and operands of BLAS calls, in `live` whose memory may change after they were read."""
    later = _blocks_reachable_after(live)
    index = {block: i for i, block in enumerate(live)}
    writes: dict[MemoryObject, list[tuple[int, int]]] = {}
    for block in live:
        for position, instruction in enumerate(block.instructions):
            for item in written_objects(instruction, objects):
                writes.setdefault(item, []).append((index[block], position))
    overwritten: set[Load] = set()
    products: set[tuple[Call, Value]] = set()
    for block in live:
        for position, instruction in enumerate(block.instructions):
            mask, here = later[index[block]], (index[block], position)
            if isinstance(instruction, Load):
                if _is_hit(instruction.pointer, here, mask, writes, objects, aliasing):
                    overwritten.add(instruction)
            elif isinstance(instruction, Call) and called_effect(instruction) is Effect.BLAS:
                for pointer in blas_pointers(instruction)[0]:
                    if _is_hit(pointer, here, mask, writes, objects, aliasing):
                        products.add((instruction, pointer))
    return Overwrites(frozenset(overwritten), frozenset(writes), frozenset(products))


def written_objects(instruction: Instruction, objects: Objects) -> Iterable[MemoryObject]:
    """Return the objects that `instruction` may write."""
    match instruction:
        case Store():
            return objects.of(instruction.pointer)
        case AtomicReadModifyWrite() | CompareExchange():
            return objects.of(instruction.operands[0])
        case Call() if is_internal_call(instruction):
            return objects.reachable(passed_pointers(instruction))
        case Call():
            effect = called_effect(instruction)
            pointers = [a for a in instruction.arguments if a.type.is_pointer]
            if effect in (Effect.MEMCPY, Effect.MEMMOVE, Effect.MEMSET):
                return objects.of(pointers[0])
            if effect in _SILENT:
                return ()
            if effect is Effect.BLAS:
                return objects.of(blas_pointers(instruction)[1])
            return {o for p in pointers for o in objects.of(p)}
        case _:
            return ()


def _is_hit(
    pointer: Value,
    here: tuple[int, int],
    mask: int,
    writes: dict[MemoryObject, list[tuple[int, int]]],
    objects: Objects,
    aliasing: Aliasing,
) -> bool:
    for item in objects.of(pointer):
        if not aliasing.caller_keeps and item.storage in _CALLER_OWNED:
            return True
        if item.storage is Storage.GLOBAL and _is_constant(item):
            continue
        if item.storage is Storage.UNKNOWN:
            return True
        for target, places in writes.items():
            if not may_overlap(item, target, aliasing):
                continue
            for block, position in places:
                if (mask >> block) & 1 or (block == here[0] and position > here[1]):
                    return True
    return not objects.of(pointer)


def may_overlap(a: MemoryObject, b: MemoryObject, aliasing: Aliasing) -> bool:
    """Whether two objects may share bytes."""
    if a is b:
        return True
    if Storage.UNKNOWN in (a.storage, b.storage):
        return not (_is_local(a) or _is_local(b))
    if a.storage in _CALLER_OWNED and b.storage in _CALLER_OWNED:
        reached = Storage.REACHED in (a.storage, b.storage)
        return reached or not aliasing.arguments_disjoint
    return False


def _is_local(item: MemoryObject) -> bool:
    return item.storage is Storage.STACK


def _is_constant(item: MemoryObject) -> bool:
    return isinstance(item.origin, GlobalVariable) and item.origin.is_constant


def _blocks_reachable_after(live: Sequence[Block]) -> list[int]:
    """Return, for each block, the set (as bits) of blocks that can run after it has ended."""
    index = {block: i for i, block in enumerate(live)}
    reach = [0] * len(live)
    changed = True
    while changed:
        changed = False
        for i in range(len(live) - 1, -1, -1):
            mask = 0
            for successor in live[i].successors:
                j = index.get(successor)
                if j is not None:
                    mask |= reach[j] | (1 << j)
            if mask != reach[i]:
                reach[i] = mask
                changed = True
    return reach
