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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.content import Contents
from coenzyme.analysis.objects import called_effect
from coenzyme.analysis.overwritten import Aliasing, may_overlap
from coenzyme.analysis.tape import Keep, TapePlan, field_size
from coenzyme.derive.accumulations import HARMLESS, Window, clears_shadow
from coenzyme.derive.emission import rule_of
from coenzyme.derive.normalise import Shape
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

__all__ = ["Analyses", "Offset", "RowNest", "Span", "find_row_nests", "is_kept_in_place"]

Offset = tuple[int, ...]
"""A distance in iterations of the outer loops of a nest, outermost first."""

_WIDEST = 8
"""How many cells may be in registers at once."""
_MOST_OFFSETS = 9
_FARTHEST = 4
_DEEPEST = 4
_CHEAP = ("llvm.fabs.", "llvm.fma.", "llvm.fmuladd.", "llvm.minnum.", "llvm.maxnum.", "llvm.copysign.")
_ACCESSES_SAVED = 3
"""What a load and a store of a shadow weigh against a load that has to be repeated."""
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


def is_kept_in_place(nest: RowNest, tape: TapePlan) -> bool:
    """Whether all that the reverse sweep needs in `nest` can be computed for any iteration at any time."""
    return not any(loop in tape.frames for loop in nest.loops) and all(
        how in _IN_PLACE
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
        self.polynomials = known.polynomials
        self.aliasing = known.aliasing
        self.lanes = known.lanes
        self.inside = loops[0].blocks
        self.body = loops[-1].header
        self.indices = [known.shape.counted[loop].index for loop in loops]

    def read(self) -> RowNest | None:
        """Return what the emission needs to know, or None where a proof is missing or nothing is gained."""
        paths = [self._path(outer, inner) for outer, inner in zip(self.loops, self.loops[1:], strict=False)]
        if any(path is None or not self._is_idle(path) for path in paths):
            return None
        loads = [i for i in self.body.instructions if isinstance(i, Load) and self.activity.is_active(i)]
        stores = self._stores()
        if stores is None or not loads:
            return None
        slopes = {store: self._slopes(store.pointer) for store in stores}
        apart = self._apart(loads, stores)
        aligned = self._aligned(loads)
        if aligned is None:
            return None
        offsets, windows = aligned
        conditions = [c for path in paths if path is not None for c in path.conditions]
        known = {store: found for store, found in slopes.items() if found is not None}
        lasts = [leaf for loop in self.loops for leaf in self._leaves_of_last(loop)]
        if apart is None or len(known) < len(stores) or None in lasts or not self._pays(offsets, windows):
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
            if entered or len(leading) != 1 or self._varies(condition):
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

    def _varies(self, value: Value) -> bool:
        return isinstance(value, Instruction) and value.block in self.inside

    def _leaves_of_last(self, loop: Loop) -> Iterator[Value | None]:
        """Yield the values from outside that give the last index of `loop`, None for any other."""
        last = self.shape.counted[loop].last
        assert last is not None
        pending: list[Value] = [last]
        for _ in range(50):
            if not pending:
                return
            value = pending.pop()
            if not self._varies(value):
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
        if isinstance(instruction, Call) and not (instruction.callee_name or "").startswith(_CHEAP):
            return self.activity.is_active(instruction) or called_effect(instruction) not in HARMLESS
        return self.activity.is_active(instruction) and (
            isinstance(instruction, Phi)
            or any(user.block is not self.body for user in instruction.users)
            or (isinstance(instruction, Load) and self.activity.is_partial(instruction.pointer))
        )

    def _apart(self, loads: Sequence[Load], stores: Sequence[Store]) -> list[tuple[Span, Span]] | None:
        """Return what must not overlap for no cotangent to be taken where something is added, or taken twice.

        None where that cannot be asked.
        """
        found: list[tuple[Span, Span]] = []
        for number, store in enumerate(stores):
            for other in (*loads, *stores[:number]):
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
        slopes, start = self._slopes(pointer), self._rest(pointer)
        type = access.type if isinstance(access, Load) else access.value.type
        return None if slopes is None or start is None else Span(start, slopes, field_size(type))

    def _may_meet(self, a: Load | Store, b: Load | Store) -> bool:
        of = self.activity.objects.of
        return any(may_overlap(x, y, self.aliasing) for x in of(a.pointer) for y in of(b.pointer))

    # -- addresses

    def _slopes(self, pointer: Value) -> tuple[Polynomial, ...] | None:
        """Return by how much an address moves with each loop, where that is one number in the whole nest."""
        taken = self._parts(pointer)
        return None if taken is None else taken[0]

    def _rest(self, pointer: Value) -> Polynomial | None:
        """Return an address in the first iteration of all loops."""
        taken = self._parts(pointer)
        return None if taken is None else taken[1]

    def _parts(self, pointer: Value) -> tuple[tuple[Polynomial, ...], Polynomial] | None:
        rest = self.polynomials.of(pointer)
        slopes: list[Polynomial] = []
        for index in self.indices:
            parts = rest.split(index)
            if parts is None or any(self._varies(v) for v in parts[0].values):
                return None
            slopes.append(parts[0])
            rest = parts[1]
        return None if any(self._varies(v) for v in rest.values) else (tuple(slopes), rest)

    def _aligned(self, loads: Sequence[Load]) -> tuple[dict[Load, Offset], list[Window]] | None:
        """Return the row of each load, and the loads of one row in windows."""
        clusters = list(self._clusters(loads))
        clusters.sort(key=lambda places: -len({offset for offset, _ in places.values()}))
        offsets: dict[Load, Offset] = {}
        windows: list[Window] = []
        for places, stride in zip(clusters, map(self._stride, clusters), strict=True):
            chosen = set(offsets.values())
            own = {offset for offset, _ in places.values()}
            move = _best_move(own, chosen)
            offsets |= {load: _plus(offset, move) for load, (offset, _) in places.items()}
            shifts = {load: shift for load, (_, shift) in places.items()}
            parts = [shifts]
            if max(shifts.values()) - min(shifts.values()) >= _WIDEST:
                parts = [
                    {m: s for m, s in shifts.items() if s == own} for own in sorted(set(shifts.values()))
                ]
            windows.extend(Window(self.loops[-1], part, stride) for part in parts)
        ends = [(min(column), max(column)) for column in zip(*offsets.values(), strict=True)]
        if not any(ends[0]) or len(set(offsets.values())) > _MOST_OFFSETS:
            return None
        return None if any(last - first > _FARTHEST for first, last in ends) else (offsets, windows)

    def _stride(self, places: Mapping[Load, tuple[Offset, int]]) -> int:
        slopes = self._slopes(next(iter(places)).pointer)
        return 0 if slopes is None else slopes[-1].constant or 0

    def _clusters(self, loads: Sequence[Load]) -> Iterator[dict[Load, tuple[Offset, int]]]:
        """Yield loads whose addresses differ by whole iterations, with how many of which loop."""
        pending = list(loads)
        while pending:
            anchor = pending[0]
            slopes = self._slopes(anchor.pointer)
            places: dict[Load, tuple[Offset, int]] = {anchor: ((0,) * (len(self.loops) - 1), 0)}
            stride = 0 if slopes is None else slopes[-1].constant or 0
            if slopes is not None and abs(stride) >= field_size(anchor.type):
                for load in pending[1:]:
                    alike = load.type == anchor.type and self._same(load, anchor)
                    if not alike or self._slopes(load.pointer) != slopes:
                        continue
                    distance = self.polynomials.of(load.pointer) - self.polynomials.of(anchor.pointer)
                    place = _take_apart(distance, slopes[:-1], stride)
                    if place is not None:
                        places[load] = place
            pending = [load for load in pending if load not in places]
            yield places

    def _same(self, a: Load, b: Load) -> bool:
        of = self.activity.objects.of
        return set(of(a.pointer)) == set(of(b.pointer))

    # -- whether it pays

    def _pays(self, offsets: Mapping[Load, Offset], windows: Sequence[Window]) -> bool:
        """Whether fewer accesses are saved than are repeated."""
        before = len({(n, offsets[load]) for n, window in enumerate(windows) for load in window.shifts})
        once = self._reads(offsets)
        again = 0
        for offset in set(offsets.values()):
            own = self._reads([load for load, its in offsets.items() if its == offset])
            if own is None or once is None:
                return False
            again += own
        return once is not None and again - once < _ACCESSES_SAVED * (before - len(windows))

    def _reads(self, loads: Iterable[Load]) -> int | None:
        """Return how many loads it takes to know what is added for `loads`, None where it takes more."""
        onward: set[Instruction] = set()
        pending: list[Instruction] = list(loads)
        while pending:
            instruction = pending.pop()
            if instruction not in onward:
                onward.add(instruction)
                pending.extend(u for u in instruction.users if u.block is self.body)
        onward = {i for i in onward if isinstance(i, Store) or self.activity.is_active(i)}
        taken = [i for i in onward if isinstance(i, Store)]
        needed: set[Value] = set()
        values = [
            value
            for instruction in onward
            if self.activity.is_active(instruction) and not isinstance(instruction, Load)
            for value in _needed_for(instruction, onward)
        ]
        while values:
            value = values.pop()
            if value in needed or not isinstance(value, Instruction) or value.block is not self.body:
                continue
            needed.add(value)
            if isinstance(value, Call) and not (value.callee_name or "").startswith(_CHEAP):
                return None
            if not isinstance(value, Phi):
                values.extend(value.operands)
        return len(taken) + sum(isinstance(value, Load) for value in needed)


def _take_apart(distance: Polynomial, slopes: Sequence[Polynomial], stride: int) -> tuple[Offset, int] | None:
    """Return the numbers of iterations, of outer loops and of the inner one, that make up `distance`."""
    steps: list[int] = []
    for slope in slopes:
        step = 0
        if slope.terms:
            leading = max(slope.terms, key=len)
            step = round(distance.terms.get(leading, 0) / slope.terms[leading])
        steps.append(step)
        distance -= slope.scaled(step)
    left = distance.constant
    return None if left is None or left % stride else (tuple(steps), left // stride)


def _needed_for(instruction: Instruction, operands: set[Instruction]) -> list[Value]:
    """Return what the adjoint of `instruction` reads to give these among its operands what is theirs."""
    if isinstance(instruction, Select):
        return [instruction.operands[0]]
    rule = rule_of(instruction)
    if rule is None:
        return []
    names = rule.names_read(i for i in range(len(rule.operands)) if instruction.operands[i] in operands)
    found = [o for o, name in zip(instruction.operands, rule.operands, strict=False) if name in names]
    return [*found, instruction] if "r" in names else found


def _are_near(a: Span, b: Span) -> bool:
    """Whether two accesses are a few iterations apart, so that what they touch certainly overlaps."""
    stride = a.slopes[-1].constant
    if a.slopes != b.slopes or not stride:
        return (a.start - b.start).constant is not None
    apart = _take_apart(a.start - b.start, a.slopes[:-1], stride)
    return apart is not None and all(abs(step) <= _WIDEST for step in apart[0])


def _plus(a: Offset, b: Offset) -> Offset:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _best_move(own: set[Offset], chosen: set[Offset]) -> Offset:
    """Return by how much to move `own` for most of it to be in `chosen`; around 0 where that is empty."""
    if not chosen:
        columns = list(zip(*own, strict=True))
        return tuple(-((min(column) + max(column)) // 2) for column in columns)
    moves = {tuple(x - y for x, y in zip(a, b, strict=True)) for a in chosen for b in own}
    return max(sorted(moves), key=lambda move: sum(_plus(offset, move) in chosen for offset in own))
