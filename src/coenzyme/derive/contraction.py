"""Temporary arrays that are computed where they are read, instead of stored.

An array expression is a nest of loops that fills a new array, and the next one reads it. To the derivative
that array costs most of all: its shadow is allocated, cleared, added to and read as well, and memory has to
deliver all that. Where one store fills an array, and where each load's address says which execution of
the store it reads from, the load becomes the expression that was stored, for those indices. Nobody reads the
array then, nothing is stored into it, and it has no shadow.
Source: Gao, Olsen, Sarkar & Thekkath, "Collective loop fusion for array contraction" (LCPC 1992).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from coenzyme.analysis.gates import Gates
from coenzyme.analysis.instances import Instances
from coenzyme.analysis.objects import MemoryObject, Objects, Storage, called_effect, is_growth
from coenzyme.analysis.overwritten import Aliasing, may_overlap, written_objects
from coenzyme.derive.delaying import find_delay
from coenzyme.derive.normalise import Shape
from coenzyme.derive.recomputing import Recomputation, is_cheap
from coenzyme.derive.subscripts import find_ranges, find_recurrences
from coenzyme.ir.instructions import (
    Block,
    Call,
    Cast,
    Compare,
    Freeze,
    GetElementPtr,
    GlobalVariable,
    Instruction,
    Load,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.values import Value
from coenzyme.rules import Allocation, BlockKind, Effect, ReferenceCount, find_memory_rule

__all__ = ["contract_temporaries"]

_MOST_OPERATIONS = 24
_MOST_LOADS = 8
_MOST_REPEATED = 2
"""How many operations are repeated where a cell is read more than once."""
_RELEASING = (
    Effect.REFERENCE_COUNT,
    Effect.DEALLOCATION,
    Effect.REALLOCATION,
    Effect.STRUCTURE,
    Effect.UNKNOWN,
)


def contract_temporaries(shape: Shape, objects: Objects, aliasing: Aliasing, *, in_reverse: bool) -> bool:
    """Compute what temporary arrays hold where it is read, in place; return whether anything changed.

    Parameters
    ----------
    in_reverse
        Whether this is for a reverse sweep, which gives all shadows back when the function raises.
    """
    changed = False
    # In the order of the text: what an array is computed from has been contracted before it is looked at.
    for block in shape.flow.reverse_postorder:
        for call in list(block.instructions):
            if isinstance(call, Call) and block in shape.live and _is_plain(call):
                uses = _uses(call, shape, objects)
                if uses is not None:
                    changed |= _Contraction(shape, objects, aliasing, in_reverse, uses).run()
    return changed


def _is_plain(call: Call) -> bool:
    """Whether `call` allocates a block that only counts references, and whose payload stays where it is."""
    rule = find_memory_rule(call.callee_name or "")
    return (
        isinstance(rule, Allocation)
        and rule.kind is BlockKind.MEMINFO
        and rule.destructor is None
        and not rule.resizable
    )


@dataclass
class _Uses:
    """What is done with an array that nobody else knows: one store, and loads."""

    stores: list[Store] = field(default_factory=list[Store])
    loads: list[Load] = field(default_factory=list[Load])


def _uses(call: Call, shape: Shape, objects: Objects) -> _Uses | None:
    """Return the only store to what `call` allocates, and the loads; None where there may be others."""
    found = _Uses()
    pending: list[Instruction] = [call]
    seen: set[Instruction] = {call}
    while pending:
        value = pending.pop()
        for user in value.users:
            if user in seen:
                continue
            seen.add(user)
            match user:
                case Store() if user.value is not value and not user.ordering and not user.flags:
                    found.stores.append(user)
                case Load() if not user.ordering and not user.flags:
                    found.loads.append(user)
                case GetElementPtr() | Cast() | Freeze() | Select() | Phi() if user.type.is_pointer:
                    pending.append(user)
                case Compare():
                    pass
                case Call() if called_effect(user) is Effect.MEMINFO_DATA:
                    pending.append(user)
                case Call() if called_effect(user) is Effect.REFERENCE_COUNT:
                    pass
                case _:
                    return None
    places = [*found.stores, *found.loads]
    if len(found.stores) != 1 or not found.loads or any(i.block not in shape.live for i in places):
        return None
    # What may be another array as well, others may write to.
    if any(set(objects.of(i.pointer)) != set(objects.of(call)) for i in places):
        return None
    return found if found.stores[0].value.type.is_float else None


class _Contraction:
    """The contraction of one array."""

    def __init__(
        self, shape: Shape, objects: Objects, aliasing: Aliasing, in_reverse: bool, uses: _Uses
    ) -> None:
        self.shape = shape
        self.objects = objects
        self.aliasing = aliasing
        self.in_reverse = in_reverse
        (self.store,) = uses.stores
        self.loads = uses.loads
        # Recurrences may have gone with another array.
        ranges = find_ranges(shape, find_recurrences(shape))
        self.polynomials = ranges.polynomials
        gates = Gates(ranges.polynomials, shape.flow, shape.dominators, shape.loop_of)
        self.instances = Instances(ranges, gates, shape.flow, shape.dominators)
        self.released: dict[Call, set[Block]] = {}

    def run(self) -> bool:
        """Replace all loads, if all can be, and take out the store."""
        if not is_cheap(self.store.value, self.store.block):
            return False
        found: list[Recomputation] = []
        for load in self.loads:
            new = self.find(load)
            if new is None:
                return False
            found.append(new)
        if not self.pays(found):
            return False
        delays = [find_delay(self.shape, call, readers) for call, readers in self.released.items()]
        if any(d is None or (d.failing(self.shape) and not self.in_reverse) for d in delays):
            return False
        for delay in delays:
            assert delay is not None
            delay.apply(self.shape)
        for load, new in zip(self.loads, found, strict=True):
            load.replace_all_uses_with(new.emit(self.store.value))
            load.erase()
            for source in new.loads:
                twin = new.emit(source)
                assert isinstance(twin, Load)
                for old, made in ((source, twin), (source.pointer, twin.pointer)):
                    self.objects.points_to.setdefault(made, set(self.objects.of(old)))
        _erase(self.store, self.shape)
        return True

    def find(self, load: Load) -> Recomputation | None:
        """Return how to compute what `load` reads, or None."""
        chosen = self.instances.find(self.store, load)
        if chosen is None:
            return None
        own = self.instances.own_loops(self.store, load)
        inside = {block for loop in own for block in loop.blocks}
        new = Recomputation(self.shape, self.polynomials, chosen, inside, load)
        if not new.is_possible(self.store.value) or len(new.loads) > _MOST_LOADS:
            return None
        between = self.between(load)
        return new if all(self.finds_the_same(source, between, load) for source in new.loads) else None

    def pays(self, found: Sequence[Recomputation]) -> bool:
        """Whether computing again costs less than what is kept in memory otherwise."""
        new = found[0]
        assert self.store.block is not None
        depth = len(self.nest(self.store.block))
        if any(load.block is None or len(self.nest(load.block)) > depth for load in self.loads):
            return False
        if len(self.loads) == 1:
            return new.operations <= _MOST_OPERATIONS
        return len(new.loads) <= 1 and new.operations <= _MOST_REPEATED

    def nest(self, block: Block) -> list[object]:
        """Return the loops around `block`."""
        loop = self.shape.loop_of(block)
        return [] if loop is None else [loop, *loop.ancestors()]

    def between(self, load: Load) -> list[Block]:
        """Return the blocks that may run between the store and `load`, theirs and their loops' included."""
        start, end = self.store.block, load.block
        assert start is not None
        assert end is not None
        loop = self.shape.loop_of(start)
        while loop is not None and end not in loop.blocks:
            loop = loop.parent

        flow, header = self.shape.flow, None if loop is None else loop.header

        def reachable(block: Block, neighbours: dict[Block, list[Block]]) -> set[Block]:
            seen, pending = {block}, [block]
            while pending:
                current = pending.pop()
                for next in neighbours[current]:
                    # Nothing that comes round the loop around both is between them.
                    target = next if neighbours is flow.successors else current
                    if next in seen or target is header or (loop is not None and next not in loop.blocks):
                        continue
                    seen.add(next)
                    pending.append(next)
            return seen

        found = reachable(start, flow.successors) & reachable(end, flow.predecessors)
        return [block for block in flow.reverse_postorder if block in found]

    def finds_the_same(self, source: Load, between: Iterable[Block], load: Load) -> bool:
        """Whether `source` finds in the place of `load`, after the blocks `between`, what it has found."""
        targets = self.objects.of(source.pointer)
        if not targets or not all(_is_known(item) for item in targets):
            return False
        for block in between:
            for instruction in block.instructions:
                written = written_objects(instruction, self.objects)
                if any(may_overlap(a, b, self.aliasing) for a in targets for b in written):
                    return False
                if isinstance(instruction, Call) and not self.is_kept(targets, instruction, load):
                    return False
        return True

    def is_kept(self, targets: Iterable[MemoryObject], call: Call, load: Load) -> bool:
        """Whether memory is still there after `call`, or will be if `call` waits for `load`."""
        if called_effect(call) not in _RELEASING:
            return True
        if is_growth(call):
            return False
        rule = find_memory_rule(call.callee_name or "")
        if isinstance(rule, ReferenceCount) and rule.change > 0:
            return True
        local = [item for item in targets if item.storage is Storage.HEAP]
        if not local:
            return True  # the caller's
        freed = self.objects.reachable(a for a in call.arguments if a.type.is_pointer)
        if freed.isdisjoint(local) and not any(item.storage is Storage.UNKNOWN for item in freed):
            return True
        if not isinstance(rule, ReferenceCount):
            return False
        assert load.block is not None
        self.released.setdefault(call, set()).add(load.block)
        return True


def _is_known(item: MemoryObject) -> bool:
    """Whether `item` is memory of which it is known who writes and frees it."""
    if item.storage is Storage.GLOBAL:
        return isinstance(item.origin, GlobalVariable) and item.origin.is_constant
    return item.storage in (Storage.ARGUMENT, Storage.HEAP, Storage.STACK)


def _erase(store: Store, shape: Shape) -> None:
    """Erase `store` and what only it has used."""
    kept: set[Value] = set()
    for counted in shape.counted.values():
        kept |= {counted.index, *counted.ends}
    pending = [o for o in store.operands if isinstance(o, Instruction)]
    store.erase()
    while pending:
        dead = pending.pop()
        if dead.block is None or dead.users or dead in kept:
            continue
        if isinstance(dead, Phi | Store) or dead.is_terminator:
            continue
        if isinstance(dead, Call) and not (dead.callee_name or "").startswith("llvm."):
            continue
        operands = [o for o in dead.operands if isinstance(o, Instruction)]
        dead.erase()
        pending.extend(operands)
