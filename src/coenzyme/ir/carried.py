"""Make selections that a loop carries round, by a condition that never changes, independent of the loop.

Numba's array expressions keep the index into each operand in a variable that a loop over the result sets only
where the operand is not broadcast::

    index = select(length > 1, i, index of the iteration before)

The condition is the same in every iteration. Where it holds, the index is i; where it does not, it is what it
was before the loops, so that ``select(length > 1, i, start)`` is the same, and no value of another iteration
is needed. Where the loop runs over that very length, it is i either way.
"""

from __future__ import annotations

from coenzyme.ir.instructions import Branch, Compare, Function, Instruction, Phi, Select
from coenzyme.ir.loops import Loop, LoopForest
from coenzyme.ir.types import IntType
from coenzyme.ir.values import Constant, ConstantInt, Value

__all__ = ["resolve_carried_selections"]

_STARTS = {"ugt": 2, "sgt": 2, "ne": 2, "eq": 1, "ule": 1, "sle": 1}
"""Which operand of a selection by ``length predicate 1`` is chosen for lengths of at most 1."""


def resolve_carried_selections(function: Function) -> bool:
    """Make selections that are carried round loops independent of other iterations; return whether any was.

    Preconditions: every loop of `function` is natural, in loop-simplify and LCSSA form.
    """
    selections = [i for i in function.instructions() if isinstance(i, Select) and _is_int(i)]
    if not any(isinstance(o, Phi) for s in selections for o in s.operands[1:]):
        return False
    forest = LoopForest(function)
    changed = False
    for selection in selections:
        for side in (1, 2):
            carried = selection.operands[side]
            if isinstance(carried, Phi) and (web := _Web.around(carried, selection, side)) is not None:
                if not web.is_steady(forest):
                    continue
                selection.set_operand(side, web.start)
                web.erase_if_dead()
                _fold_index(selection, side, forest)
                changed = True
                break
    return changed


def _is_int(value: Value) -> bool:
    return isinstance(value.type, IntType)


class _Web:
    """The phis that hand a selection's earlier result on to it, and the one value they begin with."""

    def __init__(self, condition: Value, phis: dict[Phi, None], start: Constant) -> None:
        self.condition = condition
        self.phis = phis
        self.start = start

    @staticmethod
    def around(carried: Phi, selection: Select, side: int) -> _Web | None:
        """Return the web that leads to `carried`, or None where it begins with several values."""
        condition = selection.operands[0]
        phis: dict[Phi, None] = {}
        starts: dict[object, Constant] = {}
        pending: list[Value] = [carried]
        while pending:
            value = pending.pop()
            match value:
                case Phi():
                    if value not in phis:
                        phis[value] = None
                        pending.extend(value.operands)
                case Select() if value.operands[0] is condition:
                    # On the other side, it is not this one's value where the condition decides so.
                    if value is not selection:
                        pending.append(value.operands[side])
                case ConstantInt():
                    starts[value.key()] = value
                case _:
                    return None
        return _Web(condition, phis, next(iter(starts.values()))) if len(starts) == 1 else None

    def is_steady(self, forest: LoopForest) -> bool:
        """Whether the condition is the same whenever a value passes through the web."""
        if not isinstance(self.condition, Instruction):
            return True
        assert self.condition.block is not None
        loop = forest.loop_of.get(self.condition.block)
        around = set() if loop is None else {loop.header, *(a.header for a in loop.ancestors())}
        return all(phi.block not in around for phi in self.phis)

    def erase_if_dead(self) -> None:
        """Take the phis out where nothing but they themselves uses them."""
        if all(user in self.phis for phi in self.phis for user in phi.users):
            for phi in self.phis:
                phi.drop_operands()
            for phi in self.phis:
                phi.erase()


def _fold_index(selection: Select, side: int, forest: LoopForest) -> None:
    """Replace ``length > 1 ? i : 0`` by i where i counts from 0 up to, not including, that length."""
    index, start = selection.operands[3 - side], selection.operands[side]
    condition = selection.operands[0]
    if not (isinstance(start, ConstantInt) and start.value == 0 and isinstance(condition, Compare)):
        return
    length, one = condition.operands
    if not (isinstance(one, ConstantInt) and one.value == 1 and isinstance(index, Phi)):
        return
    loop = next((loop for loop in forest.loops if loop.header is index.block), None)
    if _STARTS.get(condition.predicate) == side and loop is not None and _counts_to(index, loop, length):
        selection.replace_all_uses_with(index)
        selection.erase()


def _counts_to(index: Phi, loop: Loop, length: Value) -> bool:
    """Whether `index` takes the values 0, 1, … up to `length` less one and no other."""
    if loop.preheader is None or loop.latch is None or len(index.operands) != 2:
        return False
    first, following = index.value_from(loop.preheader), index.value_from(loop.latch)
    if not (isinstance(first, ConstantInt) and first.value == 0 and isinstance(following, Instruction)):
        return False
    if following.opcode != "add" or "nuw" not in following.flags or following.operands[0] is not index:
        return False
    step, exit = following.operands[1], loop.latch.terminator
    if not (isinstance(step, ConstantInt) and step.value == 1 and isinstance(exit, Branch) and exit.operands):
        return False
    test = exit.operands[0]
    leaves_if_true = len(exit.targets) == 2 and exit.targets[0] not in loop.blocks
    return (
        isinstance(test, Compare)
        and test.predicate == "eq"
        and leaves_if_true
        and exit.targets[1] is loop.header
        and {id(o) for o in test.operands} == {id(following), id(length)}
    )
