"""What the source declares of the numbers behind pointers: parameters and members of structs.

C's ``double *`` leads to doubles, whoever moves them as blocks or as integers. Debug information knows the
declarations; here they are noted on the accesses that LLVM has made of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from coenzyme.ir.instructions import (
    Call,
    Cast,
    Freeze,
    GetElementPtr,
    Instruction,
    Load,
    Module,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.tbaa import Accessed, accessed, member_accessed, members, note_accessed
from coenzyme.ir.types import IntType
from coenzyme.ir.values import Argument, ConstantNull, Value

__all__ = ["note_declared_types"]

_WIDTHS = {Accessed.DOUBLE: 64, Accessed.FLOAT: 32}
_TRANSFERS = ("llvm.memcpy.", "llvm.memmove.", "memcpy", "memmove")
_SETS = ("llvm.memset.", "memset")


def note_declared_types(
    module: Module,
    parameters: Mapping[Argument, Accessed],
    pointers: Mapping[tuple[str, int], Accessed],
) -> None:
    """Let :func:`~coenzyme.ir.tbaa.accessed` know what is moved as integers or as a block.

    Parameters
    ----------
    parameters
        Floats that parameters lead to.
    pointers
        Floats that the pointers in structs lead to, by the name of the struct and the offset.
    """
    for function in module.functions.values():
        noted = _Declared(module, parameters, pointers)
        for instruction in function.instructions():
            _note(instruction, noted)


def _note(instruction: Instruction, declared: _Declared) -> None:
    if accessed(instruction) is not None or members(instruction) is not None:
        return
    match instruction:
        case Load():
            found = declared.behind(instruction.pointer)
            fits = found is not None and instruction.type == IntType(_WIDTHS[found])
        case Store():
            found = declared.behind(instruction.pointer)
            fits = found is not None and instruction.value.type == IntType(_WIDTHS[found])
        case Call() if (instruction.callee_name or "").startswith((*_TRANSFERS, *_SETS)):
            sets = (instruction.callee_name or "").startswith(_SETS)
            ends = instruction.arguments[: 1 if sets else 2]
            kinds = {declared.behind(end) for end in ends} - {None}
            found = kinds.pop() if len(kinds) == 1 else None
            fits = True
        case _:
            return
    if found is not None and fits:
        note_accessed(instruction, found)


class _Declared:
    """What lies behind the pointers of a function."""

    def __init__(
        self,
        module: Module,
        parameters: Mapping[Argument, Accessed],
        pointers: Mapping[tuple[str, int], Accessed],
    ) -> None:
        self._module = module
        self._parameters = parameters
        self._pointers = pointers

    def behind(self, pointer: Value) -> Accessed | None:
        """Return the floats that `pointer` leads to, whichever of its sources it comes from."""
        found: set[Accessed | None] = set()
        seen: set[Value] = set()
        pending = [pointer]
        while pending:
            item = pending.pop()
            if item in seen or isinstance(item, ConstantNull):
                continue
            seen.add(item)
            match item:
                case GetElementPtr() | Freeze():
                    pending.append(item.operands[0])
                case Cast() if item.operands[0].type.is_pointer:
                    pending.append(item.operands[0])
                case Phi():
                    pending += item.operands
                case Select():
                    pending += item.operands[1:]
                case Argument():
                    found.add(self._parameters.get(item))
                case Load():
                    member = member_accessed(self._module, item)
                    found.add(None if member is None else self._pointers.get(member))
                case _:
                    found.add(None)
        return found.pop() if len(found) == 1 else None
