"""How great an integer gets in the loops around it.

Loop indices count from 0 to a bound that is known before the loop starts, itself perhaps in terms of indices
further out; the greatest value of a linear form follows by putting in the bounds from the inside out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from coenzyme.analysis.affine import Polynomial, Polynomials
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Block, Call, Instruction, Phi
from coenzyme.ir.loops import Loop
from coenzyme.ir.values import ConstantInt, Value

__all__ = ["Ranges"]


class Ranges:
    """Bounds of what is computed in loops.

    Parameters
    ----------
    polynomials
        Reads values.
    loop_of
        The innermost loop around a block.
    indices
        The loops' own indices.
    lasts
        For each loop the index of the iteration that leaves it, or a bound of that, where there is a formula.
    exits
        For each loop the blocks that leave it.
    """

    def __init__(
        self,
        polynomials: Polynomials,
        dominators: Dominators,
        loop_of: Callable[[Block], Loop | None],
        indices: Mapping[Loop, Phi],
        lasts: Mapping[Loop, Value],
        exits: Mapping[Loop, Sequence[Block]],
    ) -> None:
        self.polynomials = polynomials
        self.indices = indices
        self._dominators = dominators
        self._loop_of = loop_of
        self._lasts = lasts
        self._exits = exits

    def nest_of(self, block: Block) -> tuple[Loop, ...]:
        """Return the loops around `block`, outermost first."""
        innermost = self._loop_of(block)
        return () if innermost is None else (*list(innermost.ancestors())[::-1], innermost)

    def is_fixed(self, value: Value) -> bool:
        """Whether `value` is one and the same throughout a call of the function."""
        if isinstance(value, Instruction):
            return value.block is not None and self._loop_of(value.block) is None
        return True

    def bound(self, loop: Loop, block: Block) -> Polynomial | None:
        """Return the greatest index of `loop` in `block`, by indices around it and fixed values."""
        bound = self.reach(loop, block)
        if bound is None:
            return None
        nest = self.nest_of(block)
        outer = {self.indices[other] for other in nest[: nest.index(loop)]}
        return bound if all(v in outer or self.is_fixed(v) for v in bound.values) else None

    def reach(self, loop: Loop, block: Block) -> Polynomial | None:
        """Return the greatest index of `loop` in `block`, by whatever is known when the loop starts."""
        last = self._lasts.get(loop)
        if last is None:
            return None
        bound = self._without_clamp(self.polynomials.of(last))
        # What runs after the only way out has been passed by does not run in the iteration that takes it.
        (*others, exit) = self._exits[loop]
        if not others and exit is not block and self._dominators.dominates(exit, block):
            bound -= Polynomial({(): 1})
        return bound

    def greatest(self, value: Polynomial, block: Block) -> Polynomial | None:
        """Return the greatest that `value` can be in `block`, in terms of fixed values, or None."""
        for loop in reversed(self.nest_of(block)):
            if loop not in self.indices:
                return None
            parts = value.split(self.indices[loop])
            if parts is None or parts[0].constant is None:
                return None
            slope, value = parts[0].constant, parts[1]
            if slope > 0:
                bound = self.bound(loop, block)
                if bound is None:
                    return None
                value += bound.scaled(slope)
        return value if all(self.is_fixed(v) for v in value.values) else None

    def is_at_least(self, value: Value, limit: int, block: Block) -> bool:
        """Whether `value` is never below `limit` in `block`."""
        greatest = self.greatest(self.polynomials.of(value).scaled(-1), block)
        return greatest is not None and greatest.constant is not None and greatest.constant <= -limit

    def _without_clamp(self, bound: Polynomial) -> Polynomial:
        """Return ``p + k`` for ``max(p, c) + k`` where c + k is negative: an index that there is, is not."""
        clamped = [
            v for v in bound.values if isinstance(v, Call) and (v.callee_name or "") == "llvm.smax.i64"
        ]
        if len(clamped) != 1:
            return bound
        parts = bound.split(clamped[0])
        if parts is None or parts[0].constant != 1 or parts[1].constant is None:
            return bound
        arguments = clamped[0].arguments
        for argument, limit in (arguments, arguments[::-1]):
            if isinstance(limit, ConstantInt) and limit.value + parts[1].constant < 0:
                return self.polynomials.of(argument) + parts[1]
        return bound
