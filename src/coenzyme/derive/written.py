"""Which memory of its caller's a function writes, without a derivative of it."""

from __future__ import annotations

from coenzyme.analysis.objects import MemoryObject, Storage
from coenzyme.analysis.overwritten import find_overwrites
from coenzyme.analysis.points_to import find_objects
from coenzyme.derive.derivative import Request
from coenzyme.derive.normalise import normalise
from coenzyme.ir.clone import clone_function
from coenzyme.ir.instructions import Function
from coenzyme.ir.types import Type
from coenzyme.ir.values import Argument

__all__ = ["find_written_parameters", "returns_own_memory"]

_NEW = (Storage.HEAP, Storage.RETURNED)
_FOREIGN = (Storage.REACHED, Storage.UNKNOWN)


def find_written_parameters(function: Function, request: Request) -> frozenset[int] | None:
    """Return the numbers of the pointer parameters that `function` writes behind, unless it raises.

    Parameters
    ----------
    function
        A function of a module; it is left as it is.
    request
        What is known of its parameters.

    Returns
    -------
    frozenset of int or None
        None where it may write to memory that is not directly behind a parameter.
    """
    copy, _, _ = clone_function(function, f"{function.name}.examined", [])
    elements: dict[Argument, Type] = {copy.arguments[i]: t for i, t in request.elements.items()}
    groups = {copy.arguments[i]: g for i, g in request.groups.items()}
    shape = normalise(copy, elements, request.has_status)
    objects = find_objects(copy, groups, elements, request.structs)
    written = find_overwrites(shape.exits.live, objects, request.aliasing).written
    if any(item.storage in _FOREIGN for item in written):
        return None
    return frozenset(n for item in written for n in _parameters(item, request))


def returns_own_memory(function: Function, request: Request) -> bool:
    """Whether what the result of `function` leads to is memory that it has allocated.

    Parameters
    ----------
    function
        A function of a module, by Numba's convention; it is left as it is.
    request
        What is known of its parameters.
    """
    copy, _, _ = clone_function(function, f"{function.name}.examined", [])
    elements: dict[Argument, Type] = {copy.arguments[i]: t for i, t in request.elements.items()}
    groups = {copy.arguments[i]: g for i, g in request.groups.items()}
    objects = find_objects(copy, groups, elements, request.structs)
    results = objects.of(copy.arguments[0])
    led_to = {o for item in results for o in objects.contents.get(item, ())}
    return all(item.storage in _NEW for item in led_to)


def _parameters(item: MemoryObject, request: Request) -> list[int]:
    """Return the parameters that an object is behind: all pointers of one array."""
    if item.storage is not Storage.ARGUMENT:
        return []
    if item.group is not None and item.group in request.groups.values():
        return [n for n, group in request.groups.items() if group == item.group]
    return [item.origin.index] if isinstance(item.origin, Argument) else []
