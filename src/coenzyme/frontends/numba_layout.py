"""What the LLVM parameters of a Numba function mean, read off its types and their data models."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numba.core import types
from numba.core.registry import cpu_target

from coenzyme.frontends.numba_roles import RECORDS, RoleOf, fits, places_in, roles_of, spell
from coenzyme.frontends.numba_structs import find_structs, holds_floats
from coenzyme.frontends.program import ArgumentLayout, Component, ResultLayout, Role
from coenzyme.frontends.structs import Struct

__all__ = ["layout_argument", "layout_result"]


_NONE: Mapping[str, Struct] = {}


def layout_argument(name: str, numba_type: Any) -> ArgumentLayout:
    """Return the components that an argument of `numba_type` is flattened into."""
    model = cpu_target.target_context.data_model_manager[numba_type]
    flat = tuple(_flatten(model.get_argument_type()))
    roles = tuple(roles_of(numba_type))
    if len(flat) != len(roles) or not all(fits(t, r) for t, r in zip(flat, roles, strict=True)):
        # A type whose data model we do not know: pass it through, never differentiate it.
        components = tuple(Component(Role.OPAQUE, spell(t)) for t in flat)
    else:
        structs = find_structs([numba_type])
        components = tuple(_component(t, r, structs) for t, r in zip(flat, roles, strict=True))
    return ArgumentLayout(
        name=name,
        components=components,
        differentiable=any(c.differentiable for c in components),
        omitted=isinstance(numba_type, types.Omitted),
    )


def layout_result(numba_type: Any) -> ResultLayout:
    """Return the layout of the memory that `retptr` points to for a result of `numba_type`."""
    llvm_type = cpu_target.target_context.call_conv.get_return_type(numba_type).pointee
    if isinstance(numba_type, types.NoneType):
        return ResultLayout(spell(llvm_type), (), False)
    if isinstance(numba_type, types.Optional):
        numba_type = numba_type.type
    places = list(places_in(llvm_type, ()))
    roles = list(roles_of(numba_type))
    if len(places) == len(roles) and all(fits(t, r) for (_, t), r in zip(places, roles, strict=True)):
        components = tuple((path, _component(t, r)) for (path, t), r in zip(places, roles, strict=True))
    else:
        components = tuple((path, Component(Role.OPAQUE, spell(t))) for path, t in places)
    return ResultLayout(spell(llvm_type), components, any(c.differentiable for _, c in components))


def _component(llvm_type: Any, role: RoleOf, structs: Mapping[str, Struct] = _NONE) -> Component:
    if role[1] == RECORDS:
        return Component(role[0], spell(llvm_type), leads_to_floats=True)
    lanes = role[2] if len(role) > 2 else 1
    floats = role[1] is not None and holds_floats(role[1], structs)
    return Component(role[0], spell(llvm_type), role[1], lanes, floats)


def _flatten(nested: Any) -> Iterator[Any]:
    if isinstance(nested, tuple | list):
        for item in nested:
            yield from _flatten(item)
    else:
        yield nested
