"""Which memory a function that is kept out of line leaves alone, by its code."""

from __future__ import annotations

from coenzyme.analysis.objects import MemoryObject, Storage, called_effect, is_internal_call
from coenzyme.analysis.overwritten import written_objects
from coenzyme.analysis.points_to import find_objects
from coenzyme.ir.instructions import Call, Function, Load, Store
from coenzyme.rules import Effect

__all__ = ["find_spared"]

_OWN = (Storage.STACK, Storage.HEAP)


def find_spared(function: Function) -> frozenset[int] | None:
    """Return the pointer parameters behind which `function` writes nothing; None where that is not known.

    It is not known of functions that move pointers, or call others.
    """
    objects = find_objects(function, {})
    written: set[MemoryObject] = set()
    for instruction in function.instructions():
        match instruction:
            case Store() if instruction.value.type.is_pointer:
                return None
            case Load() if instruction.type.is_pointer:
                return None
            case Call() if is_internal_call(instruction):
                return None
            case Call():
                effect = called_effect(instruction)
                if effect in (Effect.UNKNOWN, Effect.REALLOCATION, Effect.LAPACK, Effect.OUTSIDE):
                    return None
                if effect in (Effect.MEMCPY, Effect.MEMMOVE) and any(
                    item.storage not in _OWN for item in objects.of(instruction.arguments[1])
                ):
                    return None  # it may move pointers
            case _:
                pass
        written |= set(written_objects(instruction, objects))
    if any(item.storage not in (*_OWN, Storage.ARGUMENT) for item in written):
        return None
    pointers = [a for a in function.arguments if a.type.is_pointer]
    return frozenset(a.index for a in pointers if objects.of(a).isdisjoint(written))
