"""What it costs to follow several directions in vectors, or one beside the other, and the cheaper choice.

A vector takes the tangents of all lanes at once; but a loop that works on vectors is not vectorised over its
iterations, and shadows of the caller's lie apart: there a vector is put together lane by lane. So the choice
is made by loops, together with that of the local memory whose shadows lie side by side: where LLVM can
vectorise a loop over the entries of arrays, it is left to do so.

The unit is an instruction. The figures are rough: what matters is what the innermost loops do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.analysis.content import Contents, carries_floats
from coenzyme.analysis.interleaved import Family, find_families
from coenzyme.analysis.objects import MemoryObject, called_effect
from coenzyme.analysis.tape import field_size
from coenzyme.derive.emission import rule_of
from coenzyme.derive.interleaving import NOT_INTERLEAVED, Interleaving
from coenzyme.derive.normalise import Shape
from coenzyme.derive.subscripts import find_recurrences
from coenzyme.ir.instructions import Block, Call, Cast, Freeze, Instruction, Load, Phi, Select, Store
from coenzyme.ir.loops import Loop
from coenzyme.rules import Effect

__all__ = ["plan_interleaving"]

_BYTES = 32
"""How much of a vector one instruction takes, at the least."""
_REPEATED = 16
"""How often a loop is taken to run."""
_STREAMED = 2
"""How many iterations a vectorised loop does for the price of one: its checks and its rest cost as well."""
_GATHERED = 1.5
"""Instructions for each element of a vector that is put together, or taken apart."""
_VECTORISED = ("llvm.sqrt", "llvm.fabs", "llvm.fma", "llvm.copysign", "sqrt", "fabs")
"""How the functions begin that there are vector instructions for."""


@dataclass
class _Region:
    """The blocks of which the innermost loop is the same."""

    weight: float
    blocks: list[Block] = field(default_factory=list[Block])
    primal: int = 0
    """Instructions of the function itself, as far as they count."""
    single: int = 0
    """Operations on the tangents of one lane."""
    joint: int = 0
    """Operations on vectors that do as much for all lanes."""
    accesses: dict[Family, int] = field(default_factory=dict[Family, int])
    """How often shadows are accessed that may lie side by side."""
    apart: int = 0
    """How often others are."""
    at_once: int = 1
    """How many iterations LLVM can do at once, if shadows lie apart."""

    def cost(self, width: int, joint: int, interleaved: frozenset[Family]) -> tuple[float, float]:
        """Return what the region costs with vectors, and without."""
        together = sum(n for family, n in self.accesses.items() if family in interleaved)
        apart = self.apart + sum(self.accesses.values()) - together
        vectors = self.primal + self.joint + joint * together + _GATHERED * width * apart
        numbers = self.primal + width * (self.single + together + apart)
        return self.weight * vectors, self.weight * numbers / (1 if together else self.at_once)


def plan_interleaving(shape: Shape, activity: Activity, contents: Contents, width: int) -> Interleaving:
    """Return how to follow `width` directions through a function without shadows as yet."""
    families = find_families(shape.function, activity, contents)
    regions = _Surveyor(shape, activity, width).survey(families)
    joint = _vectors_of(width, 8)

    def cost(interleaved: frozenset[Family]) -> float:
        return sum(min(region.cost(width, joint, interleaved)) for region in regions)

    chosen = _cheapest(frozenset(families.values()), cost)
    blocks = [
        block
        for region in regions
        for block in region.blocks
        if operator.lt(*region.cost(width, joint, chosen))
    ]
    if not blocks:
        return NOT_INTERLEAVED
    objects = frozenset(item for family in chosen for item in family)
    return Interleaving(width, activity, objects, frozenset(blocks))


def _cheapest(families: frozenset[Family], cost: Callable[[frozenset[Family]], float]) -> frozenset[Family]:
    """Return the families to interleave: all but those without which it is cheaper, or none."""
    chosen, least = families, cost(families)
    for family in sorted(families, key=lambda f: min(item.label for item in f)):
        without = cost(chosen - {family})
        if without < least:
            chosen, least = chosen - {family}, without
    return frozenset() if cost(frozenset()) <= least else chosen


def _vectors_of(width: int, size: int) -> int:
    """Return how many instructions work on a vector of `width` elements of `size` bytes."""
    return -(-width * size // _BYTES)


class _Surveyor:
    """Counts what is to be done in each region."""

    def __init__(self, shape: Shape, activity: Activity, width: int) -> None:
        self.shape = shape
        self.activity = activity
        self.width = width
        indices = {loop: counted.index for loop, counted in shape.counted.items()}
        self.polynomials = Polynomials(indices, find_recurrences(shape))

    def survey(self, families: Mapping[MemoryObject, Family]) -> list[_Region]:
        """Return the regions of the function."""
        regions: dict[Loop | None, _Region] = {}
        for block in self.shape.exits.live:
            loop = self.shape.loop_of(block)
            if loop not in regions:
                regions[loop] = _Region(float(_REPEATED ** (loop.depth if loop is not None else 0)))
            region = regions[loop]
            region.blocks.append(block)
            for instruction in block.instructions:
                self.count(instruction, region, families)
        for loop, region in regions.items():
            if loop is not None and not loop.children and self.is_vectorised(loop):
                region.at_once = _STREAMED
        return list(regions.values())

    def count(
        self, instruction: Instruction, region: _Region, families: Mapping[MemoryObject, Family]
    ) -> None:
        # Integers are computed beside floats, and branches are predicted.
        if isinstance(instruction, Load | Store | Call) or instruction.type.is_float:
            region.primal += not isinstance(instruction, Phi)
        if self.is_access(instruction):
            assert isinstance(instruction, (Load, Store))
            family = next((families.get(o) for o in self.activity.objects.of(instruction.pointer)), None)
            if family is None:
                region.apart += 1
            else:
                region.accesses[family] = region.accesses.get(family, 0) + 1
            return
        if self.activity.is_active(instruction) and instruction.type.is_float:
            number = self.operations(instruction)
            region.single += number
            region.joint += number * _vectors_of(self.width, field_size(instruction.type))

    def operations(self, instruction: Instruction) -> int:
        """Return how many operations make the tangent of `instruction`."""
        if isinstance(instruction, Select | Freeze | Cast):
            return 1
        rule = None if isinstance(instruction, Phi) else rule_of(instruction)
        if rule is None:
            return 0
        active = [
            expression
            for expression, operand in zip(rule.expressions, instruction.operands, strict=False)
            if expression is not None and self.activity.is_active(operand)
        ]
        return sum(not expression.is_constant for expression in active) + max(0, len(active) - 1)

    def is_access(self, instruction: Instruction) -> bool:
        """Whether the shadow of what `instruction` accesses is accessed as well."""
        match instruction:
            case Load():
                return self.activity.is_active(instruction)
            case Store():
                return carries_floats(instruction.value.type) and self.activity.has_shadow(
                    instruction.pointer
                )
            case _:
                return False

    def is_vectorised(self, loop: Loop) -> bool:
        """Whether LLVM can be expected to vectorise an innermost loop over its iterations."""
        counted = self.shape.counted.get(loop)
        if counted is None or counted.last is None or loop.latch is None:
            return False
        if any(self.activity.is_active(phi) for phi in loop.header.phis):
            return False
        accesses: list[Load | Store] = []
        for block in loop.blocks:
            for instruction in block.instructions:
                if isinstance(instruction, Call) and not self.is_vector_function(instruction):
                    return False
                if self.is_access(instruction):
                    assert isinstance(instruction, (Load, Store))
                    if not self.shape.dominators.dominates(block, loop.latch):
                        return False
                    accesses.append(instruction)
        return self.are_rows(accesses, counted.index)

    @staticmethod
    def is_vector_function(call: Call) -> bool:
        if called_effect(call) is Effect.INACTIVE:
            return True
        return (call.callee_name or "").startswith(_VECTORISED)

    def are_rows(self, accesses: list[Load | Store], index: Phi) -> bool:
        """Whether iterations go through arrays cell by cell, none of them waiting for what another stores."""
        slopes: list[tuple[Load | Store, int, Polynomial]] = []
        for access in accesses:
            value = access.value if isinstance(access, Store) else access
            parts = self.polynomials.of(access.pointer).split(index)
            slope = None if parts is None else parts[0].constant
            if parts is None or slope is None or not value.type.is_float:
                return False
            if abs(slope) != field_size(value.type) and (slope or isinstance(access, Store)):
                return False
            slopes.append((access, slope, parts[1]))
        for store, step, start in slopes:
            for load, other, first in slopes if isinstance(store, Store) else ():
                distance = (first - start).constant
                if isinstance(load, Load) and step == other and distance and distance * step < 0:
                    return False
        return any(isinstance(access, Store) for access in accesses)
