"""Innermost loops whose adjoints go along several rows of one array's shadow at once.

The adjoint of ``B[i, j] = A[i-1, j] + A[i+1, j]`` adds to two rows of the shadow of A. For the loop over j
to be vectorised, LLVM asks when the program runs whether the rows overlap. It asks before the loop over i,
once for all rows, where it sees how they move with i; but the rows i - 1 and i + 1 of all i are nearly the
same memory, so that the answer is always yes, and the vectorised loop never runs. Where the address of a
row is not seen to be computed from i, the question is asked once for each row, and the answer is no.

The intrinsic function that hides it does nothing, and is gone after optimisation; that the address still
leads to the same array stays known.
"""

from __future__ import annotations

from collections.abc import Iterable

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.affine import Polynomials
from coenzyme.analysis.content import Contents
from coenzyme.analysis.overwritten import Aliasing, may_overlap
from coenzyme.derive.accumulations import clears_shadow
from coenzyme.derive.normalise import Shape
from coenzyme.ir.builder import Builder
from coenzyme.ir.instructions import Load, Module, Store
from coenzyme.ir.loops import Loop
from coenzyme.ir.types import PTR, FunctionType
from coenzyme.ir.values import Value

__all__ = ["find_side_by_side", "hide_origin"]

_HIDING = "llvm.strip.invariant.group.p0"
_MOST = 40
"""Of more accesses than this, each compared with each, nothing is asked: LLVM does not ask as much either."""


def find_side_by_side(
    shape: Shape, activity: Activity, contents: Contents, polynomials: Polynomials, aliasing: Aliasing
) -> frozenset[Loop]:
    """Return the innermost loops in other loops that move along several rows of one shadow."""
    found: set[Loop] = set()
    for loop in shape.counted:
        if loop.children or loop.parent is None:
            continue
        accesses = [
            i
            for block in loop.ordered_blocks
            if block in shape.live
            for i in block.instructions
            if (isinstance(i, Load) and activity.is_active(i))
            or (isinstance(i, Store) and clears_shadow(i, activity, contents))
        ]
        index = shape.counted[loop].index
        if len(accesses) <= _MOST and _has_rows(accesses, index, activity, polynomials, aliasing):
            found.add(loop)
    return frozenset(found)


def _has_rows(
    accesses: Iterable[Load | Store],
    index: Value,
    activity: Activity,
    polynomials: Polynomials,
    aliasing: Aliasing,
) -> bool:
    """Whether two accesses to overlapping memory move by as much, and are not a fixed distance apart."""
    of = activity.objects.of
    seen: list[Load | Store] = []
    for access in accesses:
        address = polynomials.of(access.pointer)
        parts = address.split(index)
        if parts is None or not parts[0].terms:
            continue
        for other in seen:
            distance = address - polynomials.of(other.pointer)
            if (
                distance.constant is None
                and index not in distance.values
                and any(may_overlap(a, b, aliasing) for a in of(access.pointer) for b in of(other.pointer))
            ):
                return True
        seen.append(access)
    return False


def hide_origin(module: Module, pointer: Value, at: Builder) -> Value:
    """Return `pointer` in a form that does not show how it was computed."""
    return at.call(module.declare(_HIDING, FunctionType(PTR, (PTR,))), [pointer])
