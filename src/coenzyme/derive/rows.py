"""Nests of loops whose adjoints gather what several rows add to one cell.

In the adjoint of ``B[i, j] = A[i-1, j] + A[i, j] + A[i+1, j]``, iteration i adds to three rows of the shadow
of A, which is read and written three times over. Where no iteration of the nest touches what another one
does but by adding, what iteration i adds to row i + d may as well be added when the sweep is at that row: at
row r, a copy of the body at r - d for each distance d, all of which add to one row, in registers.

Here such nests are found, with the distances; :mod:`coenzyme.derive.row_text` emits them. What has to hold of
the numbers that are known at run time only (no two iterations store to the same cell, say) is asked when the
reverse sweep comes to the nest; where it does not hold, the sweep takes the plain way.
Source: Hückelheim et al., "Automatic differentiation for adjoint stencil loops" (2019), where the boundary is
taken apart in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.content import Contents
from coenzyme.analysis.objects import called_effect
from coenzyme.analysis.overwritten import Aliasing, may_overlap
from coenzyme.analysis.tape import Keep, TapePlan, field_size
from coenzyme.derive.accumulations import HARMLESS, Window, clears_shadow
from coenzyme.derive.normalise import Shape
from coenzyme.derive.row_offsets import CHEAP, Addresses, Offset, Rows, take_apart
from coenzyme.derive.shadows import Shadows
from coenzyme.ir.instructions import (
    Binary,
    Block,
    Branch,
    Call,
    Cast,
    Compare,
    Instruction,
    Load,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Value

__all__ = ["Analyses", "RowNest", "Span", "find_row_nests", "is_kept_in_place"]

_NEAR = 8
"""Rows up to as many apart overlap, whatever the sizes."""
_DEEPEST = 4
_MOST_TEXT = 4000
"""How many instructions the copies of a body may have, for compilation to stay quick."""
_ON_TAPE = (Keep.TAPE, Keep.EITHER)
_IN_PLACE = (Keep.INDEX, Keep.RECURRENCE, Keep.RECOMPUTE)


@dataclass(frozen=True)
class Span:
    """What an access to a shadow touches in the whole nest: where it begins, how it moves with each loop."""

    start: Polynomial
    slopes: tuple[Polynomial, ...]
    size: int

    @property
    def values(self) -> set[Value]:
        """What it depends on."""
        return self.start.values.union(*(slope.values for slope in self.slopes))


@dataclass(frozen=True, eq=False)
class RowNest:
    """Loops, each the only one in the one before, whose innermost body adds to rows of shadows.

    Attributes
    ----------
    loops
        Outermost first; the last is innermost, a single block.
    offsets
        For each active load the row it adds to, from the row of the iteration.
    windows
        The loads by the row that they add to once they are aligned, with their shifts along it.
    stores
        Those that overwrite differentiated data; no two of them to the same memory.
    updated
        For those among them that update a cell, as in ``B[i, j] += …``, the load of what was there before.
    slopes
        For each of them by how many bytes its address moves with each loop.
    conditions
        Values from outside, and what they have to be for each loop to run the next one.
    apart
        Shadows that must not overlap.
    wanted
        What is asked for before the nest is entered.
    """

    loops: tuple[Loop, ...]
    offsets: Mapping[Load, Offset]
    windows: tuple[Window, ...]
    stores: tuple[Store, ...]
    updated: Mapping[Store, Load]
    slopes: Mapping[Store, tuple[Polynomial, ...]]
    conditions: tuple[tuple[Value, bool], ...]
    apart: tuple[tuple[Span, Span], ...] = ()
    wanted: tuple[Value, ...] = ()

    @property
    def outermost(self) -> Loop:
        """The loop that stands for the nest."""
        return self.loops[0]

    @property
    def body(self) -> Block:
        """The block of the innermost loop."""
        return self.loops[-1].header

    @property
    def distances(self) -> tuple[Offset, ...]:
        """The distinct offsets; a row is read for the last time at the last of them."""
        return tuple(sorted(set(self.offsets.values())))

    def windows_at(self, distances: Collection[Offset]) -> tuple[Window, ...]:
        """Return the windows with the loads of these offsets only."""
        parts = (
            (
                window,
                {load: shift for load, shift in window.shifts.items() if self.offsets[load] in distances},
            )
            for window in self.windows
        )
        return tuple(Window(window.loop, shifts, window.stride) for window, shifts in parts if shifts)


@dataclass(frozen=True)
class _Path:
    """The blocks that an iteration of a loop runs, those of the loop inside left out."""

    blocks: tuple[Block, ...]
    conditions: tuple[tuple[Value, bool], ...]


@dataclass(frozen=True)
class Analyses:
    """What is known of the function that the nests are looked for in."""

    shape: Shape
    activity: Activity
    contents: Contents
    polynomials: Polynomials
    aliasing: Aliasing
    lanes: Sequence[Shadows]


def find_row_nests(known: Analyses) -> dict[Loop, RowNest]:
    """Return the nests that pay, by their outermost loops."""
    shape = known.shape
    found: dict[Loop, RowNest] = {}
    for innermost in shape.counted:
        if innermost.children or not _is_whole(innermost, shape) or len(innermost.blocks) > 1:
            continue
        loops = (innermost,)
        while (outer := loops[0].parent) is not None and outer.children == [loops[0]]:
            if not _is_whole(outer, shape) or len(loops) == _DEEPEST:
                break
            loops = (outer, *loops)
        for depth in range(len(loops) - 1):
            nest = _Nest(loops[depth:], known).read()
            if nest is not None:
                found[nest.outermost] = nest
                break
    return found


def is_kept_in_place(nest: RowNest, tape: TapePlan, hoisted: Mapping[Loop, tuple[Loop, ...]]) -> bool:
    """Whether all that the reverse sweep needs in `nest` is there for any iteration at any time."""
    for loop in nest.loops:
        # One place for all iterations of the nest, at least.
        if loop in tape.frames and nest.outermost not in (loop, *hoisted.get(loop, ())):
            return False
    return all(
        how in _IN_PLACE or how in _ON_TAPE
        for value, how in tape.keep.items()
        if isinstance(value, Instruction) and value.block in nest.outermost.blocks
    )


def _is_whole(loop: Loop, shape: Shape) -> bool:
    """Whether `loop` runs a known number of whole iterations."""
    counted = shape.counted.get(loop)
    return (
        counted is not None
        and counted.last is not None
        and loop.preheader is not None
        and [a for a, _ in counted.edges] == [loop.latch]
    )


class _Nest:
    """A nest of loops that may be one whose rows are gathered."""

    def __init__(self, loops: tuple[Loop, ...], known: Analyses) -> None:
        self.loops = loops
        self.shape = known.shape
        self.activity = known.activity
        self.contents = known.contents
        self.aliasing = known.aliasing
        self.lanes = known.lanes
        self.body = loops[-1].header
        indices = [known.shape.counted[loop].index for loop in loops]
        self.addresses = Addresses(known.polynomials, loops[0].blocks, indices)

    def read(self) -> RowNest | None:
        """Return what the emission needs to know, or None where a proof is missing or nothing is gained."""
        paths = [self._path(outer, inner) for outer, inner in zip(self.loops, self.loops[1:], strict=False)]
        if any(path is None or not self._is_idle(path) for path in paths):
            return None
        loads = [i for i in self.body.instructions if isinstance(i, Load) and self.activity.is_active(i)]
        stores = self._stores()
        if stores is None:
            return None
        slopes = {store: self.addresses.slopes(store.pointer) for store in stores}
        updated = self._updated(loads, stores)
        loads = [load for load in loads if load not in updated.values()]
        apart = self._apart(loads, stores, updated)
        if not loads:
            return None
        rows = Rows(self.addresses, self.activity, self.loops[-1])
        aligned = rows.align(loads)
        if aligned is None:
            return None
        offsets, windows = aligned
        copies = 2 * len(set(offsets.values())) * len(self.lanes)
        if copies * len(self.body.instructions) > _MOST_TEXT:
            return None
        conditions = [c for path in paths if path is not None for c in path.conditions]
        known = {store: found for store, found in slopes.items() if found is not None}
        lasts = [leaf for loop in self.loops for leaf in self._leaves_of_last(loop)]
        if apart is None or len(known) < len(stores) or None in lasts or not rows.pays(offsets, windows):
            return None
        leaves = [leaf for leaf in lasts if leaf is not None]
        leaves += [v for found in known.values() for slope in found for v in slope.values]
        leaves += [value for value, _ in conditions]
        leaves += [value for pair in apart for span in pair for value in span.values]
        return RowNest(
            self.loops,
            offsets,
            tuple(windows),
            tuple(stores),
            updated,
            known,
            tuple(conditions),
            tuple(apart),
            tuple(dict.fromkeys(leaves)),
        )

    # -- control flow

    def _path(self, outer: Loop, inner: Loop) -> _Path | None:
        """Return the one way round `outer` that runs `inner`."""
        blocks: list[Block] = []
        conditions: list[tuple[Value, bool]] = []
        block, entered = outer.header, False
        while True:
            if block in blocks:
                return None
            blocks.append(block)
            if block is outer.latch:
                return _Path(tuple(blocks), tuple(conditions)) if entered else None
            if block is inner.preheader:
                block, entered = self.shape.counted[inner].edges[0][1], True
                continue
            terminator = block.terminator
            if not isinstance(terminator, Branch):
                return None
            targets = block.successors
            if len(targets) == 1:
                block = targets[0]
                continue
            condition = terminator.operands[0]
            leading = [t for t in targets if self._leads(t, inner, outer)]
            if entered or len(leading) != 1 or self.addresses.varies(condition):
                return None
            conditions.append((condition, leading[0] is terminator.targets[0]))
            block = leading[0]

    @staticmethod
    def _leads(block: Block, inner: Loop, outer: Loop) -> bool:
        """Whether an iteration of `outer` that is in `block` may come to `inner`."""
        seen: set[Block] = set()
        pending = [block]
        while pending:
            at = pending.pop()
            if at is inner.header:
                return True
            if at in seen or at not in outer.blocks or at is outer.header:
                continue
            seen.add(at)
            pending.extend(at.successors)
        return False

    def _is_idle(self, path: _Path | None) -> bool:
        """Whether nothing on the way has an adjoint."""
        assert path is not None
        return not any(
            self.activity.is_active(i)
            or (isinstance(i, Store) and clears_shadow(i, self.activity, self.contents))
            or (isinstance(i, Call) and called_effect(i) not in HARMLESS)
            for block in path.blocks
            for i in block.instructions
        )

    def _leaves_of_last(self, loop: Loop) -> Iterator[Value | None]:
        """Yield the values from outside that give the last index of `loop`, None for any other."""
        last = self.shape.counted[loop].last
        assert last is not None
        pending: list[Value] = [last]
        for _ in range(50):
            if not pending:
                return
            value = pending.pop()
            if not self.addresses.varies(value):
                yield value
            elif isinstance(value, Binary | Compare | Cast | Select) and not value.type.is_float:
                pending.extend(value.operands)
            else:
                break
        yield None

    # -- what the body does

    def _stores(self) -> list[Store] | None:
        """Return the stores that take a cotangent, or None where the body does more than add and take."""
        stores: list[Store] = []
        for instruction in self.body.instructions:
            if isinstance(instruction, Store) and clears_shadow(instruction, self.activity, self.contents):
                if not instruction.value.type.is_float or self.activity.is_partial(instruction.pointer):
                    return None
                stores.append(instruction)
            elif self._does_more(instruction):
                return None
        return stores

    def _does_more(self, instruction: Instruction) -> bool:
        """Whether an instruction of the body has an adjoint that copies of it cannot have."""
        if isinstance(instruction, Call) and not (instruction.callee_name or "").startswith(CHEAP):
            return self.activity.is_active(instruction) or called_effect(instruction) not in HARMLESS
        return self.activity.is_active(instruction) and (
            isinstance(instruction, Phi)
            or any(user.block is not self.body for user in instruction.users)
            or (isinstance(instruction, Load) and self.activity.is_partial(instruction.pointer))
        )

    def _updated(self, loads: Sequence[Load], stores: Sequence[Store]) -> dict[Store, Load]:
        """Return for each store to what has been read before in the same iteration, once, that load."""
        of = self.addresses.polynomials.of
        place = {instruction: n for n, instruction in enumerate(self.body.instructions)}
        found: dict[Store, Load] = {}
        for store in stores:
            readers = [
                load
                for load in loads
                if load.type == store.value.type and of(load.pointer) == of(store.pointer)
            ]
            if len(readers) == 1 and place[readers[0]] < place[store]:
                found[store] = readers[0]
        return found

    def _apart(
        self, loads: Sequence[Load], stores: Sequence[Store], updated: Mapping[Store, Load]
    ) -> list[tuple[Span, Span]] | None:
        """Return what must not overlap for no cotangent to be taken where something is added, or taken twice.

        None where that cannot be asked.
        """
        found: list[tuple[Span, Span]] = []
        for number, store in enumerate(stores):
            others = [load for by, load in updated.items() if by is not store]
            for other in (*loads, *others, *stores[:number]):
                if not self._may_meet(store, other):
                    continue
                for shadows in self.lanes:
                    spans = [self._span(access, shadows) for access in (store, other)]
                    if spans[0] is None or spans[1] is None or _are_near(spans[0], spans[1]):
                        return None
                    found.append((spans[0], spans[1]))
        return found

    def _span(self, access: Load | Store, shadows: Shadows) -> Span | None:
        """Return what `access` touches in a shadow."""
        pointer = shadows.of(access.pointer)
        slopes, start = self.addresses.slopes(pointer), self.addresses.start(pointer)
        type = access.type if isinstance(access, Load) else access.value.type
        return None if slopes is None or start is None else Span(start, slopes, field_size(type))

    def _may_meet(self, a: Load | Store, b: Load | Store) -> bool:
        of = self.activity.objects.of
        return any(may_overlap(x, y, self.aliasing) for x in of(a.pointer) for y in of(b.pointer))


def _are_near(a: Span, b: Span) -> bool:
    """Whether two accesses are a few iterations apart, so that what they touch certainly overlaps."""
    stride = a.slopes[-1].constant
    if a.slopes != b.slopes or not stride:
        return (a.start - b.start).constant is not None
    apart = take_apart(a.start - b.start, a.slopes[:-1], stride)
    return apart is not None and all(abs(step) <= _NEAR for step in apart[0])
