"""Which returns are normal, which report an error, and which blocks can still reach a normal one.

Precondition: each ``ret`` of a status returns a constant or a value computed outside its block
(:mod:`coenzyme.derive.normalise` sees to it).
Source: Numba's CPU calling convention: 0 is success, −2 success with None; all else is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from coenzyme.ir.cfg import ControlFlow
from coenzyme.ir.instructions import Block, Function, Return
from coenzyme.ir.types import VOID
from coenzyme.ir.values import ConstantInt

__all__ = ["ExitKind", "Exits", "find_exits", "normal_statuses"]

normal_statuses = (0, -2)
"""Status codes that mean success."""


class ExitKind(Enum):
    """How a returning block leaves the function."""

    NORMAL = auto()
    ERROR = auto()
    UNDECIDED = auto()
    """The status is known at run time only."""


@dataclass(frozen=True)
class Exits:
    """Result of :func:`find_exits`.

    Attributes
    ----------
    kinds
        Each block that ends in ``ret``, with how it leaves.
    live
        Blocks from which a return that may be normal is reachable, in reverse postorder.
    """

    kinds: dict[Block, ExitKind]
    live: tuple[Block, ...]


def find_exits(function: Function, flow: ControlFlow, has_status: bool) -> Exits:
    """Return the exits of `function` and the blocks that matter to its derivative.

    Parameters
    ----------
    has_status
        Whether the function returns Numba's status code; otherwise every return is normal.
    """
    kinds = {
        block: _exit_kind(block.terminator, has_status)
        for block in flow.reverse_postorder
        if isinstance(block.terminator, Return)
    }
    live = {block for block, kind in kinds.items() if kind is not ExitKind.ERROR}
    pending = list(live)
    while pending:
        for predecessor in flow.predecessors[pending.pop()]:
            if predecessor not in live:
                live.add(predecessor)
                pending.append(predecessor)
    return Exits(kinds, tuple(b for b in flow.reverse_postorder if b in live))


def _exit_kind(terminator: Return, has_status: bool) -> ExitKind:
    if not has_status or not terminator.operands or terminator.operands[0].type == VOID:
        return ExitKind.NORMAL
    status = terminator.operands[0]
    if not isinstance(status, ConstantInt):
        return ExitKind.UNDECIDED
    return ExitKind.NORMAL if status.value in normal_statuses else ExitKind.ERROR
