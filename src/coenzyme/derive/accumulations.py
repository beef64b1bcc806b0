"""Innermost loops whose adjoints may be added up in another order, or be visited in another one.

Where a loop only reads an array, its reverse sweep only adds to the array's shadow, and sums may be taken
in any order. So what goes to one place in every iteration is summed in a register, and what neighbouring
iterations add to the same cell, as in the adjoint of a stencil, is gathered in registers until the cell is
complete: one load and one store instead of one for each neighbour, and no iteration waits for another's
store. Where no iteration touches what another one does but by adding, the loop may run upwards in reverse
as well, which vectorises better.
Source: Hückelheim et al., "Automatic differentiation for adjoint stencil loops" (2019), which transposes the
access pattern; the rolling registers are scalar replacement, Callahan, Carr & Kennedy (1990).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.content import Contents, carries_floats
from coenzyme.analysis.loop_sums import find_loop_sums
from coenzyme.analysis.objects import called_effect
from coenzyme.analysis.overwritten import Aliasing, may_overlap
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.analysis.tape import field_size
from coenzyme.derive.normalise import Shape
from coenzyme.ir.instructions import Block, Call, Instruction, Load, Phi, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import Type
from coenzyme.ir.values import Value
from coenzyme.rules import Effect

__all__ = ["HARMLESS", "Accumulations", "Sum", "Window", "clears_shadow", "find_accumulations"]

HARMLESS = (Effect.DIFFERENTIABLE, Effect.ZERO_DERIVATIVE, Effect.INACTIVE, Effect.MEMINFO_DATA)
_WIDEST = 8
"""How many cells may be in registers at once."""


@dataclass(frozen=True, eq=False)
class Sum:
    """Loads of the same place in every iteration: its adjoint is summed over the loop."""

    loop: Loop
    loads: tuple[Load, ...]


@dataclass(frozen=True, eq=False)
class Window:
    """Loads of neighbouring cells: in iteration i, load l reads cell ``i + shifts[l]``.

    Attributes
    ----------
    stride
        The bytes from one cell to the next.
    """

    loop: Loop
    shifts: Mapping[Load, int]
    stride: int

    def reading(self, shift: int) -> Load:
        """Return a load of the cell at `shift`."""
        return next(load for load, own in self.shifts.items() if own == shift)

    @property
    def first(self) -> int:
        """The smallest shift."""
        return min(self.shifts.values())

    @property
    def last(self) -> int:
        """The greatest shift."""
        return max(self.shifts.values())


@dataclass(frozen=True)
class Accumulations:
    """Result of :func:`find_accumulations`.

    Attributes
    ----------
    group_of
        The sum or window that a load belongs to.
    groups
        All of them, by loop.
    orderless
        Loops whose iterations may be reversed in any order.
    renewed
        Stores to a place that was read before in their block: the reverse sweep adds to it right after it has
        taken what is there, and starts from a zero that additions leave no trace of.
    """

    group_of: Mapping[Load, Sum | Window] = field(default_factory=dict[Load, "Sum | Window"])
    groups: Mapping[Loop, tuple[Sum | Window, ...]] = field(
        default_factory=dict[Loop, "tuple[Sum | Window, ...]"]
    )
    orderless: frozenset[Loop] = frozenset()
    renewed: frozenset[Store] = frozenset()


@dataclass(frozen=True)
class _Access:
    """What the reverse sweep does to one cell of a shadow in each iteration of a loop."""

    instruction: Load | Store
    address: Polynomial
    type: Type
    every: bool
    """It is done in every iteration."""


def clears_shadow(store: Store, activity: Activity, contents: Contents) -> bool:
    """Whether `store` overwrites differentiated data, whose cotangent ends there."""
    if not activity.has_shadow(store.pointer):
        return False
    if carries_floats(store.value.type):
        return True
    overwrites_floats = store.value.type.is_int and contents.accesses_floats(store)
    return overwrites_floats and not contents.behind(store.pointer).pointers


def find_accumulations(
    shape: Shape,
    activity: Activity,
    contents: Contents,
    polynomials: Polynomials,
    aliasing: Aliasing,
    stands_alone: Callable[[Call], bool],
    passes: frozenset[Pass] = ALL_PASSES,
) -> Accumulations:
    """Return the sums and windows of every innermost loop, and the loops that have no order.

    Parameters
    ----------
    stands_alone
        Says of a call whether its adjoint only adds to what others see.
    passes
        Which of them to look for.
    """
    group_of: dict[Load, Sum | Window] = {}
    groups: dict[Loop, tuple[Sum | Window, ...]] = {}
    orderless: set[Loop] = set()
    for loop in shape.counted:
        calls = _find_calls(loop, shape)
        if calls is None or not all(stands_alone(call) for call in calls):
            continue
        inside = _Inside(loop, shape, activity, contents, polynomials, aliasing)
        found = () if calls or Pass.GATHER not in passes else tuple(inside.groups())
        for group in found:
            for load in group.loads if isinstance(group, Sum) else group.shifts:
                group_of[load] = group
        if found:
            groups[loop] = found
        if Pass.ORDERLESS in passes and inside.is_regular() and inside.has_no_order():
            orderless.add(loop)
    in_use = Pass.NEGATIVE_ZERO in passes
    renewed = find_renewed(shape.live, activity, polynomials) if in_use else frozenset[Store]()
    return Accumulations(group_of, groups, frozenset(orderless), renewed)


def find_renewed(live: Iterable[Block], activity: Activity, polynomials: Polynomials) -> frozenset[Store]:
    """Return the stores to a place that was read before in their block, as in ``x[i] += …``."""
    found: set[Store] = set()
    for block in live:
        read: set[tuple[Polynomial, Type]] = set()
        for instruction in block.instructions:
            if isinstance(instruction, Load) and activity.is_active(instruction):
                read.add((polynomials.of(instruction.pointer), instruction.type))
            elif (
                isinstance(instruction, Store)
                and activity.has_shadow(instruction.pointer)
                and (polynomials.of(instruction.pointer), instruction.value.type) in read
            ):
                found.add(instruction)
    return frozenset(found)


def _find_calls(loop: Loop, shape: Shape) -> list[Call] | None:
    """Return the calls in `loop` that may touch shadows, or None where it is no innermost, counted loop.

    Such a loop runs whole iterations only.
    """
    counted = shape.counted[loop]
    if loop.children or counted.last is None or [a for a, _ in counted.edges] != [loop.latch]:
        return None
    return [
        i
        for block in _live_blocks(loop, shape)
        for i in block.instructions
        if isinstance(i, Call) and called_effect(i) not in HARMLESS
    ]


def _live_blocks(loop: Loop, shape: Shape) -> Iterable[Block]:
    return (block for block in loop.ordered_blocks if block in shape.live)


class _Inside:
    """One loop: what its reverse sweep adds to shadows, and what it takes out of them."""

    def __init__(
        self,
        loop: Loop,
        shape: Shape,
        activity: Activity,
        contents: Contents,
        polynomials: Polynomials,
        aliasing: Aliasing,
    ) -> None:
        self.loop = loop
        self.shape = shape
        self.activity = activity
        self.aliasing = aliasing
        self.index = shape.counted[loop].index
        self.adding: list[_Access] = []
        self.taking: list[_Access] = []
        for block in _live_blocks(loop, shape):
            assert loop.latch is not None
            every = shape.dominators.dominates(block, loop.latch)
            for instruction in block.instructions:
                if isinstance(instruction, Load) and activity.is_active(instruction):
                    address = polynomials.of(instruction.pointer)
                    self.adding.append(_Access(instruction, address, instruction.type, every))
                elif isinstance(instruction, Store) and clears_shadow(instruction, activity, contents):
                    address = polynomials.of(instruction.pointer)
                    self.taking.append(_Access(instruction, address, instruction.value.type, every))

    # -- in which order

    def has_no_order(self) -> bool:
        """Whether no iteration's adjoint reads what another one's has changed."""
        sums = self._sums()
        for block in _live_blocks(self.loop, self.shape):
            for instruction in block.instructions:
                if not self.activity.is_active(instruction) or instruction in sums:
                    continue
                if isinstance(instruction, Phi) and block is self.loop.header:
                    return False
                if any(self._is_outside(user) for user in instruction.users):
                    return False
        accesses = self.adding + self.taking
        return all(
            self._is_own_cell(taken)
            and all(
                other.address == taken.address and other.type == taken.type
                for other in accesses
                if other is not taken and self._may_meet(other, taken)
            )
            for taken in self.taking
        )

    def is_regular(self) -> bool:
        """Whether each address moves by as much in every iteration.

        Otherwise the loop will not be vectorised, and is quicker run in the direction of the loops around it,
        which memory is fetched ahead in.
        """
        return all(self._moved(access) is not None for access in self.adding + self.taking)

    def _sums(self) -> set[Instruction]:
        """Return the header phis that add up a term of each iteration, and their additions.

        The adjoint of the sum is that of each partial sum: all iterations find the same.
        """
        return {i for phi, found in find_loop_sums(self.loop).items() for i in (phi, found.total)}

    def _is_outside(self, user: Instruction) -> bool:
        return user.block is not None and user.block not in self.loop.blocks

    def _is_own_cell(self, access: _Access) -> bool:
        """Whether no other iteration has the same cell."""
        moved = self._moved(access)
        return (
            moved is not None
            and moved.constant is not None
            and abs(moved.constant) >= field_size(access.type)
        )

    def _moved(self, access: _Access) -> Polynomial | None:
        """Return by how many bytes the address moves from one iteration to the next, if by a fixed number."""
        parts = access.address.split(self.index)
        if parts is None or any(self._varies(v) for part in parts for v in part.values):
            return None
        return parts[0]

    def _varies(self, value: Value) -> bool:
        return isinstance(value, Instruction) and value.block in self.loop.blocks

    def _may_meet(self, a: _Access, b: _Access) -> bool:
        of = self.activity.objects.of
        return any(
            may_overlap(x, y, self.aliasing)
            for x in of(a.instruction.pointer)
            for y in of(b.instruction.pointer)
        )

    # -- sums and windows

    def groups(self) -> Iterable[Sum | Window]:
        """Yield the sums and windows, each load in at most one."""
        free = [
            access
            for access in self.adding
            if access.every
            and not self.activity.is_partial(access.instruction.pointer)
            and not any(self._may_meet(access, taken) for taken in self.taking)
        ]
        sums: dict[tuple[Polynomial, Type], list[Load]] = {}
        rows: dict[tuple[int, Type], list[tuple[Load, Polynomial]]] = {}
        for access in free:
            moved, load = self._moved(access), access.instruction
            assert isinstance(load, Load)
            if moved is None or moved.constant is None:
                continue
            if moved.constant == 0:
                sums.setdefault((access.address, access.type), []).append(load)
            elif abs(moved.constant) >= field_size(access.type):
                rows.setdefault((moved.constant, access.type), []).append((load, access.address))
        for loads in sums.values():
            yield Sum(self.loop, tuple(loads))
        for (stride, _), members in rows.items():
            yield from self._windows(stride, members)

    def _windows(self, stride: int, members: list[tuple[Load, Polynomial]]) -> Iterable[Window]:
        pending = list(members)
        while pending:
            anchor, place = pending[0]
            shifts: dict[Load, int] = {}
            for load, address in pending:
                distance = (address - place).constant
                if distance is not None and distance % stride == 0 and self._same_memory(load, anchor):
                    shifts[load] = distance // stride
            pending = [member for member in pending if member[0] not in shifts]
            if len(shifts) > 1 and max(shifts.values()) - min(shifts.values()) < _WIDEST:
                yield Window(self.loop, shifts, stride)

    def _same_memory(self, a: Load, b: Load) -> bool:
        of = self.activity.objects.of
        return set(of(a.pointer)) == set(of(b.pointer))
