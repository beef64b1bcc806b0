"""Nests over periodic grids: the cells at the borders, which find their neighbours at the other end.

In ::

    for i in range(n):
        below = i + 1 if i < n - 1 else 0
        for j in range(m):
            right = j + 1 if j < m - 1 else 0
            rate[i, j] = u[below, j] + u[i, right]

the choices are settled in all but the first or last iterations of a loop. Where it makes no difference in
which order cells are visited, the cells inside are visited first, by a nest without choices, which can be
vectorised and whose adjoint can be gathered; then the first and last cells of these rows; then the first
and last rows.

Here such nests are found; :mod:`coenzyme.derive.border_text` takes them apart. No cell may be read that the
nest writes, and none written in two iterations; the latter, as far as it depends on strides, is asked when
the program runs. Where it does not hold, or rows are short, the nest is run as it stands.
Source: index-set splitting, M. Wolfe, "High Performance Compilers for Parallel Computing" (1996), ch. 9;
loop distribution, K. Kennedy & R. Allen, "Optimizing Compilers for Modern Architectures" (2001), ch. 5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.induction import Recurrence
from coenzyme.analysis.objects import Objects, called_effect
from coenzyme.analysis.overwritten import Aliasing, may_overlap
from coenzyme.analysis.tape import field_size
from coenzyme.derive.normalise import Shape
from coenzyme.derive.subscripts import find_recurrences
from coenzyme.ir.instructions import (
    Binary,
    Block,
    Branch,
    Call,
    Cast,
    Compare,
    Freeze,
    GetElementPtr,
    Instruction,
    Load,
    Phi,
    Select,
    Store,
    Unary,
)
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import I1, I64
from coenzyme.ir.values import ConstantInt, Value
from coenzyme.rules import Effect

__all__ = ["Borders", "Region", "StoredRow", "find_borders"]

_MOST_TEXT = 250
"""How many instructions a nest may have, for its copies to compile quickly."""
_FARTHEST = 1 << 20
"""By how much an index may be moved, for comparisons not to wrap."""
_PURE = (Effect.DIFFERENTIABLE, Effect.ZERO_DERIVATIVE)
_ONE = Polynomial({(): 1})


@dataclass(frozen=True)
class StoredRow:
    """Stores of one object: what must hold for no two iterations of the nest to write one cell.

    One step of the outer loop, `step`, is to be at least ``slope · last + spread``, the extent of a row.
    """

    step: Polynomial
    slope: int
    spread: int


@dataclass(frozen=True, eq=False)
class Region:
    """Some iterations of a nest, and what is settled there.

    Attributes
    ----------
    settled
        Conditions, and which way they go.
    """

    settled: Mapping[Value, bool]


@dataclass(frozen=True, eq=False)
class Borders:
    """A nest that can be taken apart.

    Attributes
    ----------
    outer, inner
        The loops; the inner one is a single block.
    rows
        Whether the first and last iterations of the outer loop are apart.
    ends
        The iterations of the inner loop that are apart: the first, the last.
    inner_last
        The last index of the inner loop.
    inside
        The iterations with neither.
    first, last
        Those of the first and of the last iteration of the inner loop.
    stored
        What has to hold of the strides.
    recurrences
        The phis of both loops but for their own indices.
    ways
        The blocks of the outer loop that branch, and where they go for the inner loop to run.
    """

    outer: Loop
    inner: Loop
    rows: bool
    ends: tuple[bool, bool]
    inner_last: Polynomial
    inside: Region
    first: Region
    last: Region
    stored: tuple[StoredRow, ...]
    recurrences: Mapping[Phi, Recurrence]
    ways: Mapping[Block, Block]


def find_borders(
    shape: Shape, objects: Objects, aliasing: Aliasing, done: Collection[Block] = ()
) -> Borders | None:
    """Return a nest of `shape` to take apart, or None.

    Parameters
    ----------
    done
        The headers of outer loops that are left alone.
    """
    recurrences = find_recurrences(shape)
    for outer in shape.counted:
        if len(outer.children) != 1 or outer.children[0].children or outer.header in done:
            continue
        nest = _Nest(outer, outer.children[0], shape, recurrences, objects, aliasing)
        found = nest.read()
        if found is not None:
            return found
    return None


@dataclass
class _Box:
    """The bounds of the indices of both loops."""

    outer: tuple[Polynomial, Polynomial]
    inner: tuple[Polynomial, Polynomial]


class _Nest:
    def __init__(
        self,
        outer: Loop,
        inner: Loop,
        shape: Shape,
        recurrences: Mapping[Phi, Recurrence],
        objects: Objects,
        aliasing: Aliasing,
    ) -> None:
        self.outer, self.inner = outer, inner
        self.shape = shape
        self.objects = objects
        self.aliasing = aliasing
        self.recurrences = recurrences
        self.indices = {loop: shape.counted[loop].index for loop in (outer, inner) if loop in shape.counted}
        everywhere = {loop: counted.index for loop, counted in shape.counted.items()}
        self.polynomials = Polynomials(everywhere, recurrences)

    def read(self) -> Borders | None:
        """Return what there is to take apart, or None where a proof is missing."""
        if not all(self._is_whole(loop) for loop in (self.outer, self.inner)):
            return None
        if len(self.inner.blocks) > 1 or sum(len(b.instructions) for b in self.outer.blocks) > _MOST_TEXT:
            return None
        if not self._is_plain():
            return None
        ways = self._ways()
        if ways is None:
            return None
        lasts = [self._last(loop) for loop in (self.outer, self.inner)]
        if any(self._varies(v) for last in lasts for v in last.values):
            return None
        outer_last, inner_last = lasts
        conditions = self._conditions()

        def settled(rows: bool, first: bool, last: bool) -> dict[Value, bool]:
            edge = int(rows)
            box = _Box(
                (_ONE.scaled(edge), outer_last - _ONE.scaled(edge)),
                (_ONE.scaled(int(first)), inner_last - _ONE.scaled(int(last))),
            )
            return self._settle(conditions, box, lasts)

        always = settled(False, False, False)
        wanted = settled(True, True, True).keys() - always.keys()
        if not wanted:
            return None
        rows = bool(wanted - settled(False, True, True).keys())
        ends = (
            bool(wanted - settled(True, False, True).keys()),
            bool(wanted - settled(True, True, False).keys()),
        )
        stored = self._stored()
        if stored is None:
            return None
        edge = int(rows)
        across = (_ONE.scaled(edge), outer_last - _ONE.scaled(edge))
        nothing = Polynomial({})
        return Borders(
            self.outer,
            self.inner,
            rows,
            ends,
            inner_last,
            Region(settled(rows, *ends)),
            Region(self._settle(conditions, _Box(across, (nothing, nothing)), lasts)),
            Region(self._settle(conditions, _Box(across, (inner_last, inner_last)), lasts)),
            tuple(stored),
            self.recurrences,
            ways,
        )

    def _is_whole(self, loop: Loop) -> bool:
        """Whether `loop` runs a known number of whole iterations, and all it carries are indices."""
        counted = self.shape.counted.get(loop)
        return (
            counted is not None
            and counted.last is not None
            and loop.preheader is not None
            and loop.latch is not None
            and loop.exiting_edges == counted.edges
            and [a for a, _ in counted.edges] == [loop.latch]
            and all(phi is counted.index or phi in self.recurrences for phi in loop.header.phis)
        )

    def _is_plain(self) -> bool:
        """Whether the nest does nothing but read, compute and write, and leaves no value behind."""
        for block in self.outer.blocks:
            home = self.shape.loop_of(block)
            for instruction in block.instructions:
                if not _is_harmless(instruction):
                    return False
                leads = isinstance(instruction, Branch) and block is not self._latch_of(home)
                if leads and any(self._varies(o) for o in instruction.operands):
                    return False
                for user in instruction.users:
                    if user.block is None or self.shape.loop_of(user.block) not in self._seeing(home):
                        return False
        return True

    def _ways(self) -> dict[Block, Block] | None:
        """Return where branches of the outer loop go for the inner one to run, None if that is unclear."""
        found: dict[Block, Block] = {}
        for block in self.outer.blocks:
            if self.shape.loop_of(block) is not self.outer or block is self.outer.latch:
                continue
            targets = block.successors
            if len(targets) > 1:
                leading = [target for target in targets if self._leads(target)]
                if len(leading) != 1:
                    return None
                found[block] = leading[0]
        return found

    def _leads(self, block: Block) -> bool:
        """Whether an iteration of the outer loop that is in `block` may come to the inner one."""
        seen: set[Block] = set()
        pending = [block]
        while pending:
            at = pending.pop()
            if at is self.inner.header:
                return True
            if at not in seen and at in self.outer.blocks and at is not self.outer.header:
                seen.add(at)
                pending.extend(at.successors)
        return False

    def _latch_of(self, loop: Loop | None) -> Block | None:
        return None if loop is None else loop.latch

    def _seeing(self, home: Loop | None) -> tuple[Loop | None, ...]:
        """Return the loops in which a value of `home` may be used."""
        return (self.inner,) if home is self.inner else (self.outer, self.inner)

    def _varies(self, value: Value) -> bool:
        return isinstance(value, Instruction) and value.block in self.outer.blocks

    def _last(self, loop: Loop) -> Polynomial:
        last = self.shape.counted[loop].last
        assert last is not None
        return self.polynomials.of(last)

    # -- what is settled

    def _conditions(self) -> list[Value]:
        """Return what something is selected by."""
        return [
            i
            for block in self.outer.ordered_blocks
            for i in block.instructions
            if isinstance(i, Compare | Binary | Select)
            and i.type == I1
            and any(isinstance(user, Select) and user.operands[0] is i for user in i.users)
            and not any(isinstance(user, Branch) for user in i.users)
        ]

    def _settle(
        self, conditions: Iterable[Value], box: _Box, lasts: Sequence[Polynomial]
    ) -> dict[Value, bool]:
        """Return the conditions that are settled for indices in `box`."""
        view = _View(
            {loop: c.index for loop, c in self.shape.counted.items()},
            self.recurrences,
            [(self.indices[self.outer], *box.outer), (self.indices[self.inner], *box.inner)],
            lasts,
        )
        found = {condition: view.decide(condition) for condition in conditions}
        return {condition: truth for condition, truth in found.items() if truth is not None}

    # -- what is stored

    def _stored(self) -> list[StoredRow] | None:
        """Return what must hold for no two iterations to write one cell, and none what is read; or None."""
        inside = [i for block in self.outer.blocks for i in block.instructions]
        stores = [i for i in inside if isinstance(i, Store)]
        loads = [i for i in inside if isinstance(i, Load)]
        if not any(store.block in self.inner.blocks for store in stores):
            return None
        if any(self._meet(load, store) for load in loads for store in stores):
            return None
        found: list[StoredRow] = []
        pending = stores
        while pending:
            first = pending[0]
            group = [store for store in pending if self._meet(first, store)]
            row = self._row(group)
            if row is None:
                return None
            found.append(row)
            pending = [store for store in pending if store not in group]
            if any(self._meet(a, b) for a in group for b in pending):
                return None
        return found

    def _meet(self, a: Load | Store, b: Load | Store) -> bool:
        first, second = self.objects.of(a.pointer), self.objects.of(b.pointer)
        if not first or not second:
            return True
        return any(may_overlap(x, y, self.aliasing) for x in first for y in second)

    def _row(self, group: Sequence[Store]) -> StoredRow | None:
        """Return what must hold of stores to one object."""
        size = field_size(group[0].value.type)
        places = [self._place(store) for store in group]
        if any(field_size(store.value.type) != size for store in group):
            return None
        known = [place for place in places if place is not None]
        if len(known) < len(places):
            return None
        step, _, base = known[0]
        distances: list[int] = []
        for other, _, place in known:
            distance = (place - base).constant
            if other != step or distance is None:
                return None
            distances.append(distance)
        cells = [(slope, distance) for (_, slope, _), distance in zip(known, distances, strict=True)]
        if any(not _are_apart(a, b, size) for n, a in enumerate(cells) for b in cells[:n]):
            return None
        slope = max(abs(slope) for slope, _ in cells)
        spread = max(distances) - min(distances) + size
        if step.constant is not None and step.constant < spread:
            return None
        return StoredRow(step, slope, spread)

    def _place(self, store: Store) -> tuple[Polynomial, int, Polynomial] | None:
        """Return by how much the address moves with either loop, and where it begins."""
        parts = self.polynomials.of(store.pointer).split(self.indices[self.outer])
        if parts is None:
            return None
        step, rest = parts
        slope = 0
        if store.block in self.inner.blocks:
            inner = rest.split(self.indices[self.inner])
            if inner is None or inner[0].constant is None or step.split(self.indices[self.inner]) is None:
                return None
            slope, rest = inner[0].constant, inner[1]
            if abs(slope) < field_size(store.value.type):
                return None
        if any(self._varies(v) for v in (*step.values, *rest.values)):
            return None
        return step, slope, rest


def _are_apart(a: tuple[int, int], b: tuple[int, int], size: int) -> bool:
    """Whether two stores of a row, by slope and distance, never write one cell in different iterations."""
    (slope, start), (other, begin) = a, b
    if slope and other:
        # Cell by cell the same, or never.
        return slope == other and (start == begin or _misses(begin - start, slope, size))
    if not slope and not other:
        return start == begin or abs(start - begin) >= size
    if other:
        slope, start, begin = other, begin, start
    distance = begin - start
    before = distance < 0 if slope > 0 else distance > 0
    return (before and abs(distance) >= size) or _misses(distance, slope, size)


def _misses(distance: int, slope: int, size: int) -> bool:
    """Whether what is `distance` from a cell lies between cells that are `slope` apart."""
    rest = distance % abs(slope)
    return size <= rest <= abs(slope) - size


def _is_harmless(instruction: Instruction) -> bool:
    """Whether a copy of `instruction` can run in another order, but for what it reads and writes."""
    match instruction:
        case Load():
            return not instruction.flags and not instruction.ordering
        case Store():
            return instruction.value.type.is_float and not instruction.flags and not instruction.ordering
        case Call():
            return called_effect(instruction) in _PURE
        case Branch():
            return True
        case Binary():
            return not instruction.opcode.endswith(("div", "rem")) or instruction.type.is_float
        case Phi() | Unary() | Compare() | Cast() | Select() | Freeze() | GetElementPtr():
            return True
        case _:
            return False


@dataclass
class _Range:
    """What a value is at least and at most, where that is a number."""

    least: int | None
    most: int | None


class _View(Polynomials):
    """Values in some iterations of a nest: there, selections that are settled are what they select."""

    def __init__(
        self,
        indices: Mapping[Loop, Phi],
        recurrences: Mapping[Phi, Recurrence],
        bounds: Sequence[tuple[Phi, Polynomial, Polynomial]],
        lasts: Sequence[Polynomial],
    ) -> None:
        super().__init__(indices, recurrences)
        self.bounds = bounds
        self.lasts = lasts
        self.settled: dict[Value, bool | None] = {}

    def _read(self, value: Value) -> Polynomial:
        if isinstance(value, Select) and value.type == I64:
            truth = self.decide(value.operands[0])
            if truth is not None:
                return self.of(value.operands[1 if truth else 2])
        return super()._read(value)

    def decide(self, condition: Value) -> bool | None:
        """Return which way `condition` goes in all iterations, or None."""
        if isinstance(condition, ConstantInt):
            return bool(condition.value & 1)
        if condition not in self.settled:
            self.settled[condition] = None  # where it depends on itself
            self.settled[condition] = self._decide(condition)
        return self.settled[condition]

    def _decide(self, condition: Value) -> bool | None:
        match condition:
            case Compare(opcode="icmp") if condition.operands[0].type == I64:
                return self._compare(condition)
            case Binary(opcode="and" | "or"):
                return self._join(condition.opcode, [self.decide(o) for o in condition.operands])
            case Select():
                chosen = self.decide(condition.operands[0])
                if chosen is not None:
                    return self.decide(condition.operands[1 if chosen else 2])
                return None
            case _:
                return None

    @staticmethod
    def _join(opcode: str, truths: Sequence[bool | None]) -> bool | None:
        ruling = opcode == "or"
        if ruling in truths:
            return ruling
        return None if None in truths else not ruling

    def _compare(self, condition: Compare) -> bool | None:
        a, b = (self.of(operand) for operand in condition.operands)
        if not (self._is_near(a) and self._is_near(b)):
            return None
        predicate = condition.predicate
        if predicate.startswith("u"):
            # As signed ones, where neither is negative.
            if not (self._is_natural(a) and self._is_natural(b)):
                return None
            predicate = "s" + predicate[1:]
        difference = self._range(a - b)
        least, most = difference.least, difference.most
        below = None if most is None else most < 0
        above = None if least is None else least > 0
        match predicate:
            case "slt" | "sge":
                truth = True if below else (False if least is not None and least >= 0 else None)
                return truth if predicate == "slt" or truth is None else not truth
            case "sgt" | "sle":
                truth = True if above else (False if most is not None and most <= 0 else None)
                return truth if predicate == "sgt" or truth is None else not truth
            case "eq" | "ne":
                if below or above:
                    return predicate == "ne"
                return (predicate == "eq") if least == most == 0 else None
            case _:
                return None

    def _is_natural(self, value: Polynomial) -> bool:
        least = self._range(value).least
        return least is not None and least >= 0

    def _is_near(self, value: Polynomial) -> bool:
        """Whether `value` is a small number, or differs by one from an index or the last of one."""
        anchors = [Polynomial({}), *self.lasts, *(Polynomial({(index,): 1}) for index, _, _ in self.bounds)]
        distances = [(value - anchor).constant for anchor in anchors]
        return any(distance is not None and abs(distance) <= _FARTHEST for distance in distances)

    def _range(self, value: Polynomial) -> _Range:
        """Return the bounds of `value`, where they are numbers."""
        least = most = value
        for index, start, end in self.bounds:
            parts = value.split(index)
            if parts is None or parts[0].constant is None:
                return _Range(None, None)
            slope = parts[0].constant
            own = Polynomial({(index,): slope})
            low, high = (start, end) if slope > 0 else (end, start)
            least = least - own + low.scaled(slope)
            most = most - own + high.scaled(slope)
        return _Range(least.constant, most.constant)
