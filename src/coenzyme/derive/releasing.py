"""Functions that do nothing but free memory."""

from __future__ import annotations

from coenzyme.analysis.objects import called_effect, is_internal_call
from coenzyme.ir.instructions import Alloca, Call, Function, Instruction, Store
from coenzyme.ir.types import VOID
from coenzyme.rules import Effect

__all__ = ["is_release", "releases_only"]


def is_release(instruction: Instruction) -> bool:
    """Whether `instruction` calls a function kept out of line that does nothing but free memory."""
    if not isinstance(instruction, Call) or not is_internal_call(instruction):
        return False
    callee = instruction.callee
    assert isinstance(callee, Function)
    return releases_only(callee)


def releases_only(function: Function, assumed: frozenset[Function] = frozenset()) -> bool:
    """Whether all that `function` does is to free the memory that hangs on its arguments.

    Parameters
    ----------
    assumed
        Functions of which that is taken for granted, because the question is about them.
    """
    if function.function_type.result != VOID or function.is_declaration:
        return False
    for instruction in function.instructions():
        match instruction:
            case Store() if not isinstance(instruction.pointer, Alloca):
                return False
            case Call() if is_internal_call(instruction):
                callee = instruction.callee
                assert isinstance(callee, Function)
                known = callee is function or callee in assumed
                if not (known or releases_only(callee, assumed | {function})):
                    return False
            case Call() if called_effect(instruction) not in (Effect.DEALLOCATION, Effect.REFERENCE_COUNT):
                return False
            case _ if instruction.opcode in ("atomicrmw", "cmpxchg", "fence"):
                return False
            case _:
                pass
    return True
