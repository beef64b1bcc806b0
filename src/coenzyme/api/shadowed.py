"""Derivatives with respect to leaves whose shadows have to be made in Python.

Arrays that share memory which is written, arrays of records, typed containers and instances have shadows that
compiled code does not make. They are made beside each other, as `make_zero` does, and passed to the halves
of a split derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np

from coenzyme import engine
from coenzyme.api.annotations import Active, Const, Duplicated, ForwardWithPrimal, ReverseSplitWithPrimal
from coenzyme.api.autodiff import autodiff
from coenzyme.api.functions import name_of
from coenzyme.api.gradient import GradientCall, check_value
from coenzyme.api.halves import is_seeded
from coenzyme.api.split import autodiff_thunk
from coenzyme.api.trees.plan import Plan
from coenzyme.api.trees.shadows import Zeros, has_float_fields
from coenzyme.errors import TapeError, UnsupportedIRError

__all__ = ["gradient_with_shadows", "needs_shadows", "pullback_with_shadows", "pushforward_with_shadows"]


def needs_shadows(plan: Plan, leaves: Sequence[Any]) -> bool:
    """Return whether compiled code makes no shadow of some leaf."""
    return any(
        isinstance(leaves[i], np.ndarray) and has_float_fields(leaves[i].dtype)
        if plan.leaves[i].is_array
        else not isinstance(leaves[i], (float, complex, np.inexact))
        for i in plan.differentiated
    )


def pullback_with_shadows(
    plan: Plan, leaves: Sequence[Any], memory_limit: int | None
) -> tuple[Any, Callable[[Any], list[Any]]]:
    """Return the value, and a function, called once, from its cotangent to that of each leaf."""
    kind = engine.primal(plan.function, tuple(map(numba.typeof, leaves)))
    seeded = is_seeded(kind)
    shadows = Zeros(leaves).of(tuple(leaves))
    annotated: list[Any] = []
    for leaf, x, dx in zip(plan.leaves, leaves, shadows, strict=True):
        if not leaf.differentiated:
            annotated.append(Const(x))
        else:
            number = isinstance(x, (float, complex, np.inexact))
            annotated.append(Active(x) if number else Duplicated(x, dx))
    forward, reverse = autodiff_thunk(
        ReverseSplitWithPrimal.replace(memory_limit=memory_limit),
        plan.function,
        Active if seeded else Duplicated,
        *map(type, annotated),
    )
    tape, value, _ = forward(*annotated)

    def pull(y_bar: Any) -> list[Any]:
        if tape.is_used:
            raise TapeError(
                "the pullback has been used, and arguments share memory or cannot be copied",
                function=name_of(plan.function),
                remedy="call vjp again for each cotangent",
            )
        adjoints = reverse(*annotated, y_bar, tape)
        return [dx if adjoint is None else adjoint for adjoint, dx in zip(adjoints, shadows, strict=True)]

    return value, pull


def gradient_with_shadows(plan: Plan, request: GradientCall, leaves: Sequence[Any]) -> Any:
    """Return what the call of a gradient gives, with the derivatives by leaves."""
    name = name_of(plan.function)
    if request.has_aux or request.holomorphic:
        raise UnsupportedIRError(
            "with has_aux or holomorphic there is no gradient by arrays in one memory, records, containers",
            function=name,
            remedy="use autodiff or vjp",
        )
    kind = engine.primal(plan.function, tuple(map(numba.typeof, leaves)))
    check_value(kind, name, holomorphic=False)
    value, pull = pullback_with_shadows(plan, leaves, request.memory_limit)
    adjoints = pull(1.0)
    found = tuple(adjoints[i] for i in plan.differentiated)
    return (value, found) if request.with_value else found


def pushforward_with_shadows(plan: Plan, leaves: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return the value and the tangent of it."""
    shadows = Zeros(leaves).of(tuple(leaves))
    annotated: list[Any] = []
    for leaf, x, dx, tangent in zip(plan.leaves, leaves, shadows, tangents, strict=True):
        if not leaf.differentiated:
            annotated.append(Const(x))
        elif leaf.is_array:
            dx[...] = tangent
            annotated.append(Duplicated(x, dx))
        else:
            annotated.append(Duplicated(x, tangent))
    tangent, value = autodiff(ForwardWithPrimal, plan.function, *annotated)
    return value, tangent
