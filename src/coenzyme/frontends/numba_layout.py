"""What the LLVM parameters of a Numba function mean, read off its types and their data models."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir as llvmir
from numba.core import types
from numba.core.registry import cpu_target

from coenzyme.frontends.program import ArgumentLayout, Component, ResultLayout, Role

__all__ = ["layout_argument", "layout_result"]

_Path = tuple[int, ...]
_Role = tuple[Role, str | None] | tuple[Role, str | None, int]


def layout_argument(name: str, numba_type: Any) -> ArgumentLayout:
    """Return the components that an argument of `numba_type` is flattened into."""
    model = cpu_target.target_context.data_model_manager[numba_type]
    flat = tuple(_flatten(model.get_argument_type()))
    roles = tuple(_roles(numba_type))
    if len(flat) != len(roles) or not all(_fits(t, r) for t, r in zip(flat, roles, strict=True)):
        # A type whose data model we do not know: pass it through, never differentiate it.
        components = tuple(Component(Role.OPAQUE, _spell(t)) for t in flat)
    else:
        components = tuple(_component(t, r) for t, r in zip(flat, roles, strict=True))
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
        return ResultLayout(_spell(llvm_type), (), False)
    if isinstance(numba_type, types.Optional):
        numba_type = numba_type.type
    places = list(_places(llvm_type, ()))
    roles = list(_roles(numba_type))
    if len(places) == len(roles) and all(_fits(t, r) for (_, t), r in zip(places, roles, strict=True)):
        components = tuple((path, _component(t, r)) for (path, t), r in zip(places, roles, strict=True))
    else:
        components = tuple((path, Component(Role.OPAQUE, _spell(t))) for path, t in places)
    return ResultLayout(_spell(llvm_type), components, any(c.differentiable for _, c in components))


def _component(llvm_type: Any, role: _Role) -> Component:
    return Component(role[0], _spell(llvm_type), role[1], role[2] if len(role) > 2 else 1)


def _roles(ty: Any) -> Iterator[_Role]:
    """Yield role and element type of each component of a value of type `ty`, and the lanes of its data."""
    ty = types.unliteral(ty)
    match ty:
        case types.Array():
            element = _element_type(ty.dtype)
            yield Role.MEMINFO, element
            yield Role.PARENT, None
            yield Role.EXTENT, None
            yield Role.EXTENT, None
            yield Role.DATA, element, _lanes(ty.dtype)
            for _ in range(2 * ty.ndim):
                yield Role.EXTENT, None
        case types.ListType() | types.DictType() if (element := _float_in(ty)) is not None:
            yield Role.MEMINFO, element
            yield Role.CONTAINER, element
        case types.BaseTuple():
            for item in ty:
                yield from _roles(item)
        case types.Complex():
            yield Role.FLOAT, None
            yield Role.FLOAT, None
        case types.Float():
            yield Role.FLOAT, None
        case types.Boolean():
            yield Role.BOOLEAN, None
        case types.Integer() | types.IntegerLiteral():
            yield Role.INTEGER, None
        case types.Optional():
            yield from _roles(ty.type)
            yield Role.BOOLEAN, None
        case types.Omitted():
            return
        case _:
            yield Role.OPAQUE, None


def _float_in(ty: Any) -> str | None:
    """Return the type of the first float among the items of a typed container, None if there is none."""
    match ty:
        case types.ListType():
            return _float_in(ty.item_type)
        case types.DictType():
            return _float_in(ty.value_type)
        case types.BaseTuple():
            return next((found for part in ty if (found := _float_in(part)) is not None), None)
        case types.Array():
            return _float_in(ty.dtype)
        case types.Float() | types.Complex():
            return _element_type(ty)
        case _:
            return None


def _element_type(dtype: Any) -> str | None:
    match dtype:
        case types.Complex():
            return _element_type(dtype.underlying_float)
        case types.Float() | types.Integer() | types.Boolean():
            return _spell(cpu_target.target_context.get_data_type(dtype))
        case types.BaseTuple() if len(set(dtype)) == 1:
            return _element_type(dtype[0])
        case _:
            return None


def _lanes(dtype: Any) -> int:
    """Return how many scalars make one element of an array."""
    match dtype:
        case types.Complex():
            return 2
        case types.BaseTuple() if len(set(dtype)) == 1:
            return len(dtype) * _lanes(dtype[0])
        case _:
            return 1


def _fits(llvm_type: Any, role: _Role) -> bool:
    match role[0]:
        case Role.FLOAT:
            return isinstance(llvm_type, llvmir.HalfType | llvmir.FloatType | llvmir.DoubleType)
        case Role.INTEGER | Role.BOOLEAN | Role.EXTENT:
            return isinstance(llvm_type, llvmir.IntType)
        case Role.DATA | Role.MEMINFO | Role.PARENT | Role.CONTAINER:
            return isinstance(llvm_type, llvmir.PointerType)
        case Role.OPAQUE:
            return True


def _flatten(nested: Any) -> Iterator[Any]:
    if isinstance(nested, tuple | list):
        for item in nested:
            yield from _flatten(item)
    else:
        yield nested


def _places(llvm_type: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """Yield the path and type of every scalar in an aggregate type."""
    match llvm_type:
        case llvmir.ArrayType():
            for i in range(llvm_type.count):
                yield from _places(llvm_type.element, (*path, i))
        case llvmir.BaseStructType():
            for i, field in enumerate(llvm_type.elements or ()):
                yield from _places(field, (*path, i))
        case _:
            yield path, llvm_type


def _spell(llvm_type: Any) -> str:
    """Return an LLVM type as LLVM prints it: pointers have no pointee."""
    match llvm_type:
        case llvmir.PointerType():
            return "ptr"
        case llvmir.ArrayType():
            return f"[{llvm_type.count} x {_spell(llvm_type.element)}]"
        case llvmir.LiteralStructType():
            inner = ", ".join(_spell(t) for t in llvm_type.elements)
            return f"<{{{inner}}}>" if llvm_type.packed else f"{{ {inner} }}" if inner else "{}"
        case _:
            return str(llvm_type)
