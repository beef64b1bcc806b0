"""Bring a private copy of a function into the form that the sweeps assume.

After :func:`normalise`: no unreachable block and no marker intrinsics; each return has one status of
its own; each loop that matters has a preheader, one latch, an index that counts its header's executions
from 0, and, where it is counted, its last index computed in the preheader; floats that were moved as
integers are floats again.

Precondition: loop-simplify and LCSSA form, as :mod:`coenzyme.codegen.prepare` leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from coenzyme.analysis.exits import Exits, find_exits
from coenzyme.analysis.induction import CountedExit, find_counted_exit
from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.derive.aggregates import split_aggregates
from coenzyme.derive.block_moves import resolve_block_moves
from coenzyme.derive.equal_phis import merge_equal_computations
from coenzyme.derive.growth import merge_payload_addresses
from coenzyme.derive.restore import restore_floats
from coenzyme.derive.sunk_loads import lift_sunk_loads
from coenzyme.errors import UnsupportedIRError
from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.cfg import ControlFlow, incoming_edges, remove_unreachable
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import Alloca, Block, Call, Function, Instruction, Load, Phi, Return, Store
from coenzyme.ir.loops import Loop, LoopForest
from coenzyme.ir.speculate import speculate_branches
from coenzyme.ir.types import I64, IntType, Type
from coenzyme.ir.values import Argument, Constant, Value

__all__ = ["Counted", "Shape", "normalise"]

_MARKERS = (
    "llvm.lifetime.",
    "llvm.dbg.",
    "llvm.experimental.noalias.scope.decl",
    "llvm.assume",
    "llvm.invariant.",
)
_MOST_ALIGNMENT = 16
_SCOPED_METADATA = ("noalias", "alias.scope", "prof")


@dataclass
class Counted:
    """What is known about how often one loop runs.

    Attributes
    ----------
    index
        The loop's own counter, an ``i64`` phi from 0 by 1.
    last
        An upper bound of the index, known in the preheader, or None.
    exit_index
        For each live exit edge, the index of the iteration that took it.
    edges
        The live exit edges.
    """

    index: Phi
    last: Value | None
    edges: list[tuple[Block, Block]]
    exit_index: dict[tuple[Block, Block], Value] = field(default_factory=dict[tuple[Block, Block], Value])

    @property
    def ends(self) -> list[Value]:
        """What tells how often the loop has run."""
        return [*self.exit_index.values(), *([] if self.last is None else [self.last])]


@dataclass
class Shape:
    """The control flow of a normalised function."""

    function: Function
    flow: ControlFlow
    dominators: Dominators
    forest: LoopForest
    exits: Exits
    live: frozenset[Block]
    counted: dict[Loop, Counted]

    def loop_of(self, block: Block) -> Loop | None:
        """Return the innermost loop around `block`."""
        return self.forest.loop_of[block]

    def live_predecessors(self, block: Block) -> list[Block]:
        """Return the predecessors of `block` that matter."""
        return [p for p in self.flow.predecessors[block] if p in self.live]


def normalise(
    function: Function,
    elements: dict[Argument, Type],
    has_status: bool,
    passes: frozenset[Pass] = ALL_PASSES,
) -> Shape:
    """Normalise `function` in place and return its shape.

    Parameters
    ----------
    elements
        Element types behind pointer arguments, as far as they are known.
    has_status
        Whether the function returns Numba's status code.
    passes
        The passes to make the derivative by.
    """
    remove_unreachable(function)
    _strip(function)
    _split_returns(function)
    split_aggregates(function)
    merge_payload_addresses(function)
    lift_sunk_loads(function)
    if Pass.SPECULATE in passes:
        speculate_branches(function)
    if Pass.EQUAL_PHIS in passes:
        merge_equal_computations(function)
    resolve_block_moves(function, elements, at_last=False)
    restore_floats(function, elements)
    if resolve_block_moves(function, elements, at_last=True):
        restore_floats(function, elements)
    _unfold_roots(function)
    flow = ControlFlow(function)
    dominators = Dominators(flow)
    forest = LoopForest(function, flow, dominators)
    exits = find_exits(function, flow, has_status)
    live = frozenset(exits.live)
    if any(block in live for block in forest.irreducible_blocks):
        raise UnsupportedIRError(
            "a loop that is entered at two places",
            function=function.name,
            remedy="rewrite the jump into the loop",
        )
    counted = {loop: _count(loop, live, dominators, function) for loop in forest.loops if loop.header in live}
    return Shape(function, flow, dominators, forest, exits, live, counted)


def _strip(function: Function) -> None:
    for block in function.blocks:
        for instruction in list(block.instructions):
            if isinstance(instruction, Call):
                name = instruction.callee_name or ""
                if name.startswith(_MARKERS):
                    instruction.erase()
                    continue
                if instruction.tail in ("tail", "musttail"):
                    instruction.tail = ""
            if isinstance(instruction, Alloca | Load | Store):
                # Stack memory may move to a record on the heap.
                instruction.align = min(instruction.align, _MOST_ALIGNMENT)
            for kind in _SCOPED_METADATA:
                instruction.metadata.pop(kind, None)


def _unfold_roots(function: Function) -> None:
    """Let powers with exponent 1/2 have the slope of a square root at 0.

    LLVM writes ``pow(x, 0.5)`` as ``fabs(sqrt(x))``, for the sign of the root of -0. What the absolute value
    has at 0 is a kink, with slope 0; adding +0 does the same to the sign, and has the slope 1.
    """
    for instruction in list(function.instructions()):
        if _calls(instruction, "llvm.fabs.") and _calls(instruction.operands[0], "llvm.sqrt."):
            root = instruction.operands[0]
            at = Builder.before(instruction)
            instruction.replace_all_uses_with(at.fadd(root, zero(root.type)))
            instruction.erase()


def _calls(value: Value, prefix: str) -> bool:
    return isinstance(value, Call) and (value.callee_name or "").startswith(prefix)


def _split_returns(function: Function) -> None:
    """Give each way into a block that only returns a merged status a return of its own."""
    changed = True
    while changed:
        changed = False
        for block in list(function.blocks):
            last = block.instructions[-1]
            if not isinstance(last, Return) or not last.operands:
                continue
            merged = last.operands[0]
            if not isinstance(merged, Phi) or merged.block is not block or len(merged.operands) < 2:
                continue
            for predecessor in list(dict.fromkeys(merged.incoming)):
                _return_from(function, block, predecessor)
            for instruction in list(block.instructions):
                instruction.drop_operands()
            function.blocks.remove(block)
            changed = True


def _return_from(function: Function, block: Block, predecessor: Block) -> None:
    """Copy the returning `block` for the edge from `predecessor`."""
    twin = function.add_block(Block(f"{block.name}.from.{predecessor.name}"))
    values: dict[Value, Value] = {}
    for instruction in block.instructions:
        if isinstance(instruction, Phi):
            # A phi, though it has one entry only: a value of a loop leaves the loop by a phi.
            value = instruction.value_from(predecessor)
            values[instruction] = twin.append(Phi(instruction.type, [(value, predecessor)], instruction.name))
        elif isinstance(instruction, Return):
            merged = instruction.operands[0]
            status = merged.value_from(predecessor) if isinstance(merged, Phi) else merged
            twin.append(Return(status if isinstance(status, Constant) else values[merged]))
        else:
            values[instruction] = twin.append(clone_instruction(instruction, values))
    predecessor.terminator.replace_target(block, twin)


def _count(loop: Loop, live: frozenset[Block], dominators: Dominators, function: Function) -> Counted:
    if loop.preheader is None or loop.latch is None:
        raise UnsupportedIRError(
            "a loop without a single entry and a single back edge",
            function=function.name,
            remedy="report the function: the preparation should have given the loop its canonical form",
        )
    index = Phi(I64, (), f"{loop.header.name}.index")
    loop.header.insert(0, index)
    following = Builder(loop.latch, len(loop.latch.instructions) - 1).insert(_increment(index))
    index.add_incoming(const_int(I64, 0), loop.preheader)
    index.add_incoming(following, loop.latch)
    edges = [(a, b) for a, b in dict.fromkeys(loop.exiting_edges) if a in live and b in live]
    found = find_counted_exit(loop, edges, dominators)
    last = None
    # A loop that can be left early is not given room for all the iterations it might have had.
    if found is not None and len(edges) == 1:
        last = _last_index(Builder(loop.preheader, len(loop.preheader.instructions) - 1), found)
    result = Counted(index, last, edges)
    merged: dict[Block, Value] = {}
    for edge in edges:
        if len(edges) == 1 and last is not None:
            result.exit_index[edge] = last
        else:
            if edge[1] not in merged:
                merged[edge[1]] = _index_at_exit(loop, edge[1], index)
            result.exit_index[edge] = merged[edge[1]]
    return result


def _increment(index: Phi) -> Instruction:
    from coenzyme.ir.instructions import Binary  # noqa: PLC0415

    return Binary("add", I64, [index, const_int(I64, 1)], f"{index.name}.next", ("nuw", "nsw"))


def _index_at_exit(loop: Loop, target: Block, index: Phi) -> Value:
    """Return a phi in the exit block that says in which iteration the loop was left."""
    phi = Phi(I64, (), f"{index.name}.exit")
    target.insert(0, phi)
    for predecessor in incoming_edges(target, loop.ordered_blocks):
        phi.add_incoming(index, predecessor)
    return phi


def _last_index(at: Builder, counted: CountedExit) -> Value:
    """Emit the smallest i at which ``start + offset + i·step`` no longer satisfies the predicate."""
    type = counted.bound.type
    assert isinstance(type, IntType)
    first = at.add(counted.start, const_int(type, counted.offset))
    up = counted.step > 0
    distance = at.sub(counted.bound, first) if up else at.sub(first, counted.bound)
    step = abs(counted.step)
    if counted.predicate == "ne":
        result = distance
    else:
        inclusive = counted.predicate.endswith("e")
        # Where the bound is excluded, the last value that stays is at most one less. Nothing here wraps.
        reach = distance if inclusive else at.sub(distance, const_int(type, 1))
        quotient = reach if step == 1 else at.udiv(reach, const_int(type, step))
        count = at.add(quotient, const_int(type, 1))
        stays = at.icmp(counted.predicate, first, counted.bound)
        result = at.select(stays, count, const_int(type, 0))
    if type.width < I64.width:
        result = at.cast("zext", result, I64)
    elif type.width > I64.width:
        result = at.cast("trunc", result, I64)
    return result
