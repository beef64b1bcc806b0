"""Copies of functions and instructions."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from coenzyme.ir.instructions import Block, Function, Instruction, Phi, Terminator
from coenzyme.ir.types import FunctionType
from coenzyme.ir.values import Argument, Constant, Value

__all__ = ["clone_function", "clone_instruction"]

_I = TypeVar("_I", bound=Instruction)

# A subprogram may be attached to one definition only.
_SUBPROGRAM = re.compile(r"\s*!dbg !\d+")
_MUTABLE_TEXT_LISTS = ("argument_attributes", "cases", "kinds")


def clone_instruction(
    instruction: _I, value_map: Mapping[Value, Value], block_map: Mapping[Block, Block] | None = None
) -> _I:
    """Return a copy of `instruction` that stands in no block yet.

    Operands, targets and the blocks of phis found in the maps are replaced; the others are kept.
    """
    twin = copy.copy(instruction)
    twin.users = {}
    twin.block = None
    twin.metadata = dict(instruction.metadata)
    twin.operands = []
    for operand in instruction.operands:
        new = operand if isinstance(operand, Constant) else value_map.get(operand, operand)
        twin.add_operand(new)
    for field in _MUTABLE_TEXT_LISTS:
        if hasattr(twin, field):
            setattr(twin, field, list(getattr(instruction, field)))
    blocks = block_map or {}
    if isinstance(instruction, Terminator):
        twin.targets = [blocks.get(b, b) for b in instruction.targets]  # type: ignore[attr-defined]
    elif isinstance(instruction, Phi):
        twin.incoming = [blocks.get(b, b) for b in instruction.incoming]  # type: ignore[attr-defined]
    return twin


def clone_function(
    function: Function, new_name: str, extra_arguments: Sequence[Argument] = ()
) -> tuple[Function, dict[Value, Value], dict[Block, Block]]:
    """Return a copy of `function`, and the maps from its values and blocks to their copies.

    Parameters
    ----------
    function
        What to copy; recursive calls in the copy still go to the original.
    new_name
        The symbol of the copy, which belongs to no module yet.
    extra_arguments
        Parameters of the copy, appended as they are (their `index` is set).

    Notes
    -----
    The copy keeps the debug locations of the instructions but not the function's own ``!dbg``, which
    LLVM allows on one definition only.
    """
    arguments = [Argument(a.type, a.name, i, a.attributes) for i, a in enumerate(function.arguments)]
    value_map: dict[Value, Value] = dict(zip(function.arguments, arguments, strict=True))
    for extra in extra_arguments:
        extra.index = len(arguments)
        arguments.append(extra)
    old = function.function_type
    function_type = FunctionType(old.result, tuple(a.type for a in arguments), old.variadic)
    twin = Function(new_name, function_type, arguments, function.prefix, _SUBPROGRAM.sub("", function.suffix))
    twin.is_foreign = function.is_foreign
    block_map = {block: Block(block.name) for block in function.blocks}
    forward: list[Instruction] = []
    for block, new_block in block_map.items():
        twin.add_block(new_block)
        for instruction in block.instructions:
            new = clone_instruction(instruction, value_map, block_map)
            new_block.append(new)
            if any(isinstance(o, Instruction) and o not in value_map for o in instruction.operands):
                forward.append(new)
            value_map[instruction] = new
    # A phi, or a block that stands before its dominator in the text, uses what is copied only later.
    for new in forward:
        for index, operand in enumerate(new.operands):
            if operand in value_map:
                new.set_operand(index, value_map[operand])
    return twin, value_map, block_map
