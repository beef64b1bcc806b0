"""Which loads read memory that may be written again before the reverse sweep reads it.

A load whose memory is left alone is repeated in the reverse sweep; the others go on the tape. Scoped
``!noalias`` metadata is not consulted: it speaks of one iteration only.
Source: Hascoët, Naumann & Pascual (2005), "to be recorded"; DESIGN "Taping".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.dependence import Dependences, Facts
from coenzyme.analysis.objects import (
    MemoryObject,
    Objects,
    Storage,
    blas_pointers,
    called_effect,
    is_growth,
    is_internal_call,
    written_pointers,
)
from coenzyme.ir.instructions import (
    AtomicReadModifyWrite,
    Block,
    Call,
    Cast,
    CompareExchange,
    Freeze,
    Function,
    GetElementPtr,
    GlobalVariable,
    Instruction,
    Load,
    Store,
)
from coenzyme.ir.values import Argument, Value
from coenzyme.rules import ContainerRule, Effect, find_container_rule

__all__ = ["Aliasing", "Overwrites", "find_overwrites", "find_unwritten"]

_CALLER_OWNED = (Storage.ARGUMENT, Storage.REACHED, Storage.UNKNOWN)
_MOST_STORES = 100
"""Of more stores than this, each compared with each, it is not asked which of them last."""
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
    kept
        Numbers of pointer parameters: what is behind them is written by nobody before the reverse sweep ends.
    apart
        Numbers of pointer parameters to whose memory nothing else leads: where the result goes.
    """

    arguments_disjoint: bool = True
    caller_keeps: bool = True
    kept: frozenset[int] = frozenset()
    apart: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Overwrites:
    """Result of :func:`find_overwrites`.

    Attributes
    ----------
    loads
        The loads whose memory may change afterwards.
    written
        The objects that are written.
    products
        BLAS calls, with the pointers to operands that may change afterwards.
    lasting
        Stores of numbers whose place does not change afterwards, if some facts hold.
    conditional
        Loads whose memory does not change if some facts about the function's arguments hold.
    """

    loads: frozenset[Load]
    written: frozenset[MemoryObject]
    products: frozenset[tuple[Call, Value]]
    conditional: Mapping[Load, Facts] = field(default_factory=dict[Load, Facts])
    lasting: Mapping[Store, Facts] = field(default_factory=dict[Store, Facts])

    def is_overwritten(self, load: Load) -> bool:
        """Whether the memory that `load` reads may change afterwards, whatever the arguments."""
        return load in self.loads

    def is_operand_overwritten(self, call: Call, pointer: Value) -> bool:
        """Whether what a BLAS `call` reads behind `pointer` may change afterwards."""
        return (call, pointer) in self.products


def find_overwrites(
    live: Sequence[Block],
    objects: Objects,
    aliasing: Aliasing,
    dependences: Dependences | None = None,
) -> Overwrites:
    """Return the loads, and operands of BLAS calls, whose memory may change after they were read.

    Parameters
    ----------
    dependences
        Compares the addresses of loads and stores; without it, all that is written in an object counts.
    """
    search = _Search(live, objects, aliasing)
    overwritten: set[Load] = set()
    conditional: dict[Load, Facts] = {}
    products: set[tuple[Call, Value]] = set()
    for block in live:
        for position, instruction in enumerate(block.instructions):
            if isinstance(instruction, Load):
                survives = None if dependences is None else partial(dependences.survives, instruction)
                found = search.find_written(instruction.pointer, block, position, survives)
                # Only numbers are worth a check when the function is called.
                if found is None or (found and not instruction.type.is_float):
                    overwritten.add(instruction)
                elif found:
                    conditional[instruction] = found
            elif isinstance(instruction, Call) and called_effect(instruction) is Effect.BLAS:
                for pointer in blas_pointers(instruction)[0]:
                    if search.is_written_after(pointer, block, position):
                        products.add((instruction, pointer))
    lasting = {} if dependences is None else _find_lasting(live, search, dependences)
    return Overwrites(
        frozenset(overwritten), frozenset(search.writes), frozenset(products), conditional, lasting
    )


def _find_lasting(live: Sequence[Block], search: _Search, dependences: Dependences) -> dict[Store, Facts]:
    """Return the stores of computed numbers that nothing overwrites, with the facts that say so."""
    found: dict[Store, Facts] = {}
    stores = [
        (block, position, i)
        for block in live
        for position, i in enumerate(block.instructions)
        if isinstance(i, Store) and isinstance(i.value, Instruction) and i.value.type.is_float
    ]
    if len(stores) > _MOST_STORES:
        return found
    for block, position, store in stores:
        facts = search.find_written(store.pointer, block, position, partial(dependences.survives, store))
        if facts is not None:
            found[store] = facts
    return found


def find_unwritten(
    live: Sequence[Block], objects: Objects, aliasing: Aliasing, calls: Iterable[Call]
) -> dict[Call, frozenset[int]]:
    """Return for each call the pointers behind which nothing is written from then on.

    Not by the call itself either. Only calls are looked at of which it is known what they write.
    """
    search = _Search(live, objects, aliasing)
    found: dict[Call, frozenset[int]] = {}
    for call in calls:
        callee, block = call.callee, call.block
        assert isinstance(callee, Function)
        assert block is not None
        if callee.spared is None:
            continue
        written = {o for pointer in written_pointers(call) for o in objects.of(pointer)}
        position = block.instructions.index(call)
        found[call] = frozenset(
            number
            for number in callee.spared
            if not search.is_written_after(call.arguments[number], block, position)
            and not any(
                may_overlap(item, other, aliasing)
                for item in objects.of(call.arguments[number])
                for other in written
            )
        )
    return found


@dataclass(frozen=True)
class _Write:
    """Where an object may be written.

    `fresh` is the block of the allocating call where the write certainly is to the block allocated last.
    """

    instruction: Instruction
    block: int
    position: int
    fresh: int | None


class _Search:
    """Finds out whether an object may be written after a point has been passed."""

    def __init__(self, live: Sequence[Block], objects: Objects, aliasing: Aliasing) -> None:
        self.live = live
        self.objects = objects
        self.aliasing = aliasing
        self.index = {block: i for i, block in enumerate(live)}
        self.successors = [[self.index[s] for s in block.successors if s in self.index] for block in live]
        self.later = self._reachable(avoiding=None)
        self.without: dict[int, list[int]] = {}
        self.handed_out = _handed_out(objects)
        self.writes: dict[MemoryObject, list[_Write]] = {}
        for block in live:
            for position, instruction in enumerate(block.instructions):
                for item in written_objects(instruction, objects):
                    write = _Write(
                        instruction, self.index[block], position, self._fresh_block(instruction, item)
                    )
                    self.writes.setdefault(item, []).append(write)

    def is_written_after(self, pointer: Value, block: Block, position: int) -> bool:
        """Whether the memory behind `pointer` may change after the instruction at `position` in `block`."""
        return self.find_written(pointer, block, position) is None

    def find_written(
        self,
        pointer: Value,
        block: Block,
        position: int,
        survives: Callable[[Store], Facts | None] | None = None,
    ) -> Facts | None:
        """Return the facts under which what is behind `pointer` does not change from there on, or None.

        Parameters
        ----------
        survives
            Gives the facts under which a certain store does not change it, or None.
        """
        here = self.index[block]
        targets = self.objects.of(pointer)
        facts: set[Polynomial] = set()
        for item in targets:
            if self._is_kept(item):
                continue
            if not self.aliasing.caller_keeps and (item.storage in _CALLER_OWNED or item in self.handed_out):
                return None
            if item.storage is Storage.GLOBAL and _is_constant(item):
                continue
            if item.storage in (Storage.UNKNOWN, Storage.RETURNED):
                return None
            for write in self._later_writes(item, here, position):
                spared = None
                if survives is not None and isinstance(write.instruction, Store):
                    spared = survives(write.instruction)
                if spared is None:
                    return None
                facts |= spared
        return frozenset(facts) if targets else None

    def _later_writes(self, item: MemoryObject, here: int, position: int) -> Iterable[_Write]:
        for target, places in self.writes.items():
            if may_overlap(item, target, self.aliasing):
                yield from (write for write in places if self._comes_after(write, here, position))

    def _is_kept(self, item: MemoryObject) -> bool:
        origin = item.origin
        if item.storage is not Storage.ARGUMENT or not isinstance(origin, Argument):
            return False
        return origin.index in self.aliasing.kept

    def _comes_after(self, write: _Write, here: int, position: int) -> bool:
        if write.block == here and write.position > position:
            return True
        mask = self.later[here]
        if write.fresh is not None:
            # Past the allocating call, the write is to newer memory than what was read.
            if write.block == write.fresh:
                return False
            mask = self._avoiding(write.fresh)[here]
        return bool((mask >> write.block) & 1)

    def _avoiding(self, block: int) -> list[int]:
        if block not in self.without:
            self.without[block] = self._reachable(avoiding=block)
        return self.without[block]

    def _fresh_block(self, instruction: Instruction, item: MemoryObject) -> int | None:
        """Return the block of the call that allocates `item`, where the write goes straight to its result."""
        pointer = _written_pointer(instruction)
        if item.storage is not Storage.HEAP or pointer is None:
            return None
        while isinstance(pointer, GetElementPtr | Cast | Freeze) or (
            isinstance(pointer, Call) and called_effect(pointer) is Effect.MEMINFO_DATA
        ):
            pointer = pointer.operands[0]
        if pointer is not item.origin or not isinstance(pointer, Instruction) or pointer.block is None:
            return None
        return self.index.get(pointer.block)

    def _reachable(self, avoiding: int | None) -> list[int]:
        """Return, for each block, the blocks (as bits) that can run after it, not by way of `avoiding`."""
        reach = [0] * len(self.live)
        changed = True
        while changed:
            changed = False
            for i in range(len(self.live) - 1, -1, -1):
                mask = 0
                for j in self.successors[i]:
                    if j != avoiding:
                        mask |= reach[j] | (1 << j)
                if mask != reach[i]:
                    reach[i] = mask
                    changed = True
        return reach


def _written_pointer(instruction: Instruction) -> Value | None:
    """Return where `instruction` writes, if that is a single place."""
    match instruction:
        case Store():
            return instruction.pointer
        case Call() if called_effect(instruction) is Effect.BLAS:
            return blas_pointers(instruction)[1]
        case _:
            return None


def written_objects(instruction: Instruction, objects: Objects) -> Iterable[MemoryObject]:
    """Return the objects that `instruction` may write."""
    match instruction:
        case Store():
            return objects.of(instruction.pointer)
        case AtomicReadModifyWrite() | CompareExchange():
            return objects.of(instruction.operands[0])
        case Call() if is_internal_call(instruction):
            return objects.reachable(written_pointers(instruction))
        case Call() if is_growth(instruction):
            return ()
        case Call():
            return _written_by_call(instruction, objects)
        case _:
            return ()


def _written_by_call(call: Call, objects: Objects) -> Iterable[MemoryObject]:
    """Return what a function of no body may write."""
    container = find_container_rule(call.callee_name or "")
    if container is not None:
        return _written_by_container(call, container, objects)
    effect = called_effect(call)
    pointers = [a for a in call.arguments if a.type.is_pointer]
    if effect in (Effect.MEMCPY, Effect.MEMMOVE, Effect.MEMSET):
        return objects.of(pointers[0])
    if effect is Effect.REFERENCE_COUNT:
        # What the caller's containers hold may be freed when they let go of it.
        return {o for p in pointers for o in objects.of(p) if o.storage is Storage.REACHED}
    if effect in _SILENT:
        return ()
    if effect is Effect.BLAS:
        return objects.of(blas_pointers(call)[1])
    return {o for p in pointers for o in objects.of(p)}


def _written_by_container(call: Call, rule: ContainerRule, objects: Objects) -> Iterable[MemoryObject]:
    """Return what a run-time function of a typed container writes: its structure is nobody's data."""
    if rule.output is not None:
        return objects.of(call.operands[rule.output])
    if not rule.removes:
        return ()
    # What is removed is cleared, and what it held of the caller's memory may be freed.
    held = objects.reachable(call.operands[:1])
    return {*objects.of(call.operands[0]), *(o for o in held if o.storage is Storage.REACHED)}


def may_overlap(a: MemoryObject, b: MemoryObject, aliasing: Aliasing) -> bool:
    """Whether two objects may share bytes."""
    if a is b:
        return True
    if Storage.UNKNOWN in (a.storage, b.storage):
        return not (_is_local(a) or _is_local(b))
    if a.storage in _CALLER_OWNED and b.storage in _CALLER_OWNED:
        if any(_parameter(item) in aliasing.apart for item in (a, b)):
            return False
        reached = Storage.REACHED in (a.storage, b.storage)
        return reached or not aliasing.arguments_disjoint
    return False


def _parameter(item: MemoryObject) -> int:
    """Return the number of the parameter whose memory `item` is, -1 for other memory."""
    is_own = item.storage is Storage.ARGUMENT and isinstance(item.origin, Argument)
    return item.origin.index if is_own and isinstance(item.origin, Argument) else -1


def _handed_out(objects: Objects) -> set[MemoryObject]:
    """Return the objects whose address the caller finds in its own memory: what a function returns."""
    found: set[MemoryObject] = set()
    pending = [o for o in objects.contents if o.storage in _CALLER_OWNED]
    while pending:
        for held in objects.contents.get(pending.pop(), ()):
            if held not in found:
                found.add(held)
                pending.append(held)
    return found


def _is_local(item: MemoryObject) -> bool:
    return item.storage is Storage.STACK


def _is_constant(item: MemoryObject) -> bool:
    return isinstance(item.origin, GlobalVariable) and item.origin.is_constant
