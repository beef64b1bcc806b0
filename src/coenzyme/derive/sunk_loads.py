"""Undo one thing that LLVM does to lists: ``l[0] if … else m[1]`` becomes one load from either address.

The address of what lies in a list that grows is asked for again in the reverse sweep, which cannot be done
for a merge of several. A load right behind the merge is as well done on each of the ways that lead there.
"""

from __future__ import annotations

from coenzyme.analysis.objects import called_effect, is_growth
from coenzyme.ir.cfg import ControlFlow, split_edge
from coenzyme.ir.clone import clone_instruction
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import (
    Block,
    Call,
    Cast,
    Freeze,
    Function,
    GetElementPtr,
    Instruction,
    Load,
    Phi,
    Select,
)
from coenzyme.ir.loops import LoopForest
from coenzyme.ir.values import Value
from coenzyme.rules import Effect

__all__ = ["lift_sunk_loads"]

Chain = list[Instruction]
"""Address computations that begin at a phi, and the load they are for."""

_HARMLESS = (Effect.DIFFERENTIABLE, Effect.ZERO_DERIVATIVE, Effect.MEMINFO_DATA)


def lift_sunk_loads(function: Function) -> None:
    """Load before a merge of addresses in lists what is loaded right behind it."""
    found: list[tuple[Phi, list[Chain], Block]] = []
    for block in function.blocks:
        for phi in block.phis:
            if phi.type.is_pointer and any(_is_in_payload(operand) for operand in phi.operands):
                chains = _find_chains(phi, phi, block)
                if chains:
                    found.append((phi, chains, block))
    if found:
        flow = ControlFlow(function)
        forest = LoopForest(function, flow, Dominators(flow))
        for phi, chains, block in found:
            _lift(phi, chains, block, forest)


def _is_in_payload(value: Value) -> bool:
    """Whether `value` is an address in a block whose payload is asked for."""
    if isinstance(value, GetElementPtr | Cast | Freeze):
        return _is_in_payload(value.operands[0])
    if isinstance(value, Select):
        return any(_is_in_payload(operand) for operand in value.operands[1:])
    return isinstance(value, Call) and (called_effect(value) is Effect.MEMINFO_DATA or is_growth(value))


def _find_chains(value: Value, phi: Phi, block: Block) -> list[Chain] | None:
    """Return what `value` is used for, if that is to load in `block` before anything there writes."""
    found: list[Chain] = []
    for user in value.users:
        if user.block is not block or not user.operands or user.operands[0] is not value:
            return None
        if isinstance(user, Load):
            if not _is_early(user, block):
                return None
            found.append([user])
        elif isinstance(user, GetElementPtr) and all(_is_known_before(o, block) for o in user.operands[1:]):
            inner = _find_chains(user, phi, block)
            if inner is None:
                return None
            found.extend([user, *chain] for chain in inner)
        else:
            return None
    return found


def _is_known_before(value: Value, block: Block) -> bool:
    """Whether `value` is known, or can be, at the end of every block that leads to `block`."""
    return not isinstance(value, Instruction) or value.block is not block or isinstance(value, Phi)


def _is_early(load: Load, block: Block) -> bool:
    before = block.instructions[: block.instructions.index(load)]
    return all(
        called_effect(i) in _HARMLESS
        if isinstance(i, Call)
        else i.opcode not in ("store", "atomicrmw", "cmpxchg", "fence")
        for i in before
    )


def _lift(phi: Phi, chains: list[Chain], block: Block, forest: LoopForest) -> None:
    for predecessor in list(dict.fromkeys(phi.incoming)):
        if len(set(predecessor.terminator.targets)) > 1:
            loop = forest.loop_of[predecessor]
            _split(predecessor, block, leaves=loop is not None and block not in loop.blocks)
    for chain in chains:
        load = chain[-1]
        merged = Phi(load.type, (), load.name)
        block.insert(len(block.phis), merged)
        for _, edge in phi.pairs:
            address: Instruction | None = None
            for step in chain:
                copy = clone_instruction(step, {})
                operands = [_on(edge, operand, block) for operand in step.operands]
                for number, operand in enumerate(operands):
                    copy.set_operand(number, operand)
                if address is not None:
                    copy.set_operand(0, address)
                edge.insert(len(edge.instructions) - 1, copy)
                address = copy
            assert address is not None
            merged.add_incoming(address, edge)
        load.replace_all_uses_with(merged)
    for chain in chains:
        for step in reversed(chain):
            if not step.users and step.block is not None:
                step.erase()
    phi.erase()


def _split(predecessor: Block, block: Block, *, leaves: bool) -> None:
    """Put a block on an edge; where that leaves a loop, what comes in along it takes a phi."""
    middle = split_edge(predecessor, block)
    for phi in block.phis if leaves else ():
        place = phi.incoming.index(middle)
        value = phi.operands[place]
        if isinstance(value, Instruction):
            own = Phi(value.type, [(value, predecessor)], value.name)
            middle.insert(0, own)
            phi.set_operand(place, own)


def _on(edge: Block, value: Value, block: Block) -> Value:
    """Return what `value`, known at the start of `block`, is on the way from `edge`."""
    return value.value_from(edge) if isinstance(value, Phi) and value.block is block else value
