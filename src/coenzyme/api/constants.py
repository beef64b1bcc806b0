"""Constants among the arguments of compiled code: functions and options, known by their Numba types."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
from numba.core import types
from numba.core.registry import CPUDispatcher

from coenzyme.api.functions import Compiled
from coenzyme.api.structure import parts_of
from coenzyme.errors import ActivityError

__all__ = ["function_of", "literal_of"]

_SEMANTIC_OPTIONS = ("boundscheck", "error_model", "fastmath", "nogil")


def function_of(kind: types.Type, caller: str) -> Compiled:
    """Return the function that an argument of compiled code stands for, as the CPU has it."""
    if isinstance(kind, types.Dispatcher):
        return kind.dispatcher if isinstance(kind.dispatcher, CPUDispatcher) else _for_cpu(kind.dispatcher)
    raise ActivityError(
        f"in compiled code {caller} takes a function known while compiling, and it got one of type {kind}",
        function=caller,
        remedy="pass an @njit function by its name, not as an argument of the compiled function",
    )


@cache
def _for_cpu(dispatcher: Compiled) -> Compiled:
    """Return a function as the CPU has it, while compiled code that calls `grad` is differentiated."""
    # Not another one where it can be helped: a recursive function calls the one that Numba knows it by.
    origin: Any = getattr(dispatcher, "origin", None)
    known = origin() if origin is not None else None
    if known is not None and set(known.targetoptions) <= {*_SEMANTIC_OPTIONS, "nopython"}:
        return known
    options = {name: value for name, value in dispatcher.targetoptions.items() if name in _SEMANTIC_OPTIONS}
    return numba.njit(**options)(dispatcher.py_func)


def literal_of(kind: Any, name: str) -> Any:
    """Return the value of a constant argument from its Numba type."""
    if isinstance(kind, (int, bool, str, tuple)):
        return kind
    if isinstance(kind, types.NoneType) or kind is None:
        return None
    if isinstance(kind, types.Omitted):
        return kind.value
    if isinstance(kind, types.Literal):
        return kind.literal_value
    if isinstance(kind, types.BaseTuple):
        return tuple(literal_of(part, name) for part in parts_of(kind))
    raise ActivityError(
        f"in compiled code {name} must be a constant, and it has type {kind}",
        argument=name,
        remedy="write the number itself, or make the transform outside the compiled function",
    )
