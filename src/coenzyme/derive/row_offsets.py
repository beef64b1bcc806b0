"""How far the loads of a nest of loops are from each other, and what aligning them costs.

In iteration (i, j) of two loops ``A[i+1, j-1]`` is what ``A[i, j]`` is in iteration (i+1, j-1): the addresses
differ by one step of the outer loop, and by minus one of the inner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.tape import field_size
from coenzyme.derive.accumulations import Window
from coenzyme.derive.emission import rule_of
from coenzyme.ir.instructions import Block, Call, Instruction, Load, Phi, Select, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import Value

__all__ = ["CHEAP", "Addresses", "Offset", "Rows", "take_apart"]

Offset = tuple[int, ...]
"""A distance in iterations of the outer loops of a nest, outermost first."""

CHEAP = ("llvm.fabs.", "llvm.fma.", "llvm.fmuladd.", "llvm.minnum.", "llvm.maxnum.", "llvm.copysign.")
"""How the names of functions begin that cost no more than an addition."""

_WIDEST = 8
"""How many cells may be in registers at once."""
_MOST_OFFSETS = 9
_FARTHEST = 4
_ACCESSES_SAVED = 3
"""What a load and a store of a shadow weigh against a load that has to be repeated."""


class Addresses:
    """Addresses in a nest of loops, by the indices of the loops.

    Parameters
    ----------
    inside
        The blocks of the nest.
    indices
        The loops' own indices, outermost first.
    """

    def __init__(self, polynomials: Polynomials, inside: set[Block], indices: Sequence[Phi]) -> None:
        self.polynomials = polynomials
        self.inside = inside
        self.indices = indices

    def varies(self, value: Value) -> bool:
        """Whether `value` is computed in the nest."""
        return isinstance(value, Instruction) and value.block in self.inside

    def slopes(self, pointer: Value) -> tuple[Polynomial, ...] | None:
        """Return by how much an address moves with each loop, where that is one number in the whole nest."""
        taken = self._parts(pointer)
        return None if taken is None else taken[0]

    def start(self, pointer: Value) -> Polynomial | None:
        """Return an address in the first iteration of all loops."""
        taken = self._parts(pointer)
        return None if taken is None else taken[1]

    def distance(self, a: Value, b: Value) -> Polynomial:
        """Return by how much two addresses differ."""
        return self.polynomials.of(a) - self.polynomials.of(b)

    def _parts(self, pointer: Value) -> tuple[tuple[Polynomial, ...], Polynomial] | None:
        rest = self.polynomials.of(pointer)
        slopes: list[Polynomial] = []
        for index in self.indices:
            parts = rest.split(index)
            if parts is None or any(self.varies(v) for v in parts[0].values):
                return None
            slopes.append(parts[0])
            rest = parts[1]
        return None if any(self.varies(v) for v in rest.values) else (tuple(slopes), rest)


class Rows:
    """The active loads of the body of a nest, by the rows that they read.

    Parameters
    ----------
    innermost
        The loop of the body, a single block.
    """

    def __init__(self, addresses: Addresses, activity: Activity, innermost: Loop) -> None:
        self.addresses = addresses
        self.activity = activity
        self.innermost = innermost
        self.body = innermost.header

    def align(self, loads: Sequence[Load]) -> tuple[dict[Load, Offset], list[Window]] | None:
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
            windows.extend(Window(self.innermost, part, stride) for part in parts)
        ends = [(min(column), max(column)) for column in zip(*offsets.values(), strict=True)]
        if not any(ends[0]) or len(set(offsets.values())) > _MOST_OFFSETS:
            return None
        return None if any(last - first > _FARTHEST for first, last in ends) else (offsets, windows)

    def _stride(self, places: Mapping[Load, tuple[Offset, int]]) -> int:
        slopes = self.addresses.slopes(next(iter(places)).pointer)
        return 0 if slopes is None else slopes[-1].constant or 0

    def _clusters(self, loads: Sequence[Load]) -> Iterator[dict[Load, tuple[Offset, int]]]:
        """Yield loads whose addresses differ by whole iterations, with how many of which loop."""
        pending = list(loads)
        while pending:
            anchor = pending[0]
            slopes = self.addresses.slopes(anchor.pointer)
            places: dict[Load, tuple[Offset, int]] = {anchor: ((0,) * (len(self.addresses.indices) - 1), 0)}
            stride = 0 if slopes is None else slopes[-1].constant or 0
            if slopes is not None and abs(stride) >= field_size(anchor.type):
                for load in pending[1:]:
                    alike = load.type == anchor.type and self._same(load, anchor)
                    if not alike or self.addresses.slopes(load.pointer) != slopes:
                        continue
                    distance = self.addresses.distance(load.pointer, anchor.pointer)
                    place = take_apart(distance, slopes[:-1], stride)
                    if place is not None:
                        places[load] = place
            pending = [load for load in pending if load not in places]
            yield places

    def _same(self, a: Load, b: Load) -> bool:
        of = self.activity.objects.of
        return set(of(a.pointer)) == set(of(b.pointer))

    # -- whether it pays

    def pays(self, offsets: Mapping[Load, Offset], windows: Sequence[Window]) -> bool:
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
            if isinstance(value, Call) and not (value.callee_name or "").startswith(CHEAP):
                return None
            if not isinstance(value, Phi):
                values.extend(value.operands)
        return len(taken) + sum(isinstance(value, Load) for value in needed)


def take_apart(distance: Polynomial, slopes: Sequence[Polynomial], stride: int) -> tuple[Offset, int] | None:
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


def _plus(a: Offset, b: Offset) -> Offset:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _best_move(own: set[Offset], chosen: set[Offset]) -> Offset:
    """Return by how much to move `own` for most of it to be in `chosen`; around 0 where that is empty."""
    if not chosen:
        columns = list(zip(*own, strict=True))
        return tuple(-((min(column) + max(column)) // 2) for column in columns)
    moves = {tuple(x - y for x, y in zip(a, b, strict=True)) for a in chosen for b in own}
    return max(sorted(moves), key=lambda move: sum(_plus(offset, move) in chosen for offset in own))
