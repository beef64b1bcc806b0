"""What the scalars of a Numba value stand for."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir as llvmir
from numba.core import types
from numba.core.registry import cpu_target

from coenzyme.frontends.program import Role

__all__ = ["RECORDS", "Path", "RoleOf", "fits", "places_in", "record_holds_floats", "roles_of", "spell"]

Path = tuple[int, ...]
RECORDS = "records"
"""Stands for the type of the elements of an array of records with floats among their fields."""
RoleOf = tuple[Role, str | None] | tuple[Role, str | None, int]


def roles_of(ty: Any) -> Iterator[RoleOf]:
    """Yield role and element type of each component of a value of type `ty`, and the lanes of its data."""
    ty = ty.get() if isinstance(ty, types.DeferredType) else types.unliteral(ty)
    match ty:
        case types.Array():
            element = RECORDS if record_holds_floats(ty.dtype) else element_of(ty.dtype)
            yield Role.MEMINFO, element
            yield Role.PARENT, None
            yield Role.EXTENT, None
            yield Role.EXTENT, None
            yield Role.DATA, element, _lanes(ty.dtype)
            for _ in range(2 * ty.ndim):
                yield Role.EXTENT, None
        case types.ListType() | types.DictType() if (element := float_in(ty)) is not None:
            yield Role.MEMINFO, element
            yield Role.CONTAINER, element
        case types.BaseTuple():
            for item in ty:
                yield from roles_of(item)
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
            yield from roles_of(ty.type)
            yield Role.BOOLEAN, None
        case types.ClassInstanceType():
            yield Role.BLOCK, ty.name
            yield Role.FIELDS, ty.name
        case types.StructRef():
            yield Role.BLOCK, ty.name
        case types.Omitted():
            return
        case _:
            yield Role.OPAQUE, None


def record_holds_floats(ty: Any) -> bool:
    """Return whether a type is one of records with floats among their fields."""
    if isinstance(ty, types.NestedArray):
        return record_holds_floats(ty.dtype) or isinstance(ty.dtype, types.Float)
    if not isinstance(ty, types.Record):
        return False
    fields = (ty.typeof(name) for name in ty.fields)
    return any(isinstance(field, types.Float) or record_holds_floats(field) for field in fields)


def float_in(ty: Any) -> str | None:
    """Return the type of the first float among the items of a typed container, None if there is none."""
    match ty:
        case types.ListType():
            return float_in(ty.item_type)
        case types.DictType():
            return float_in(ty.value_type)
        case types.BaseTuple():
            return next((found for part in ty if (found := float_in(part)) is not None), None)
        case types.Array():
            return float_in(ty.dtype)
        case types.Float() | types.Complex():
            return element_of(ty)
        case _:
            return None


def element_of(dtype: Any) -> str | None:
    """Return the type of the numbers in an array, or None where they are not of one type."""
    match dtype:
        case types.Complex():
            return element_of(dtype.underlying_float)
        case types.Float() | types.Integer() | types.Boolean():
            return spell(cpu_target.target_context.get_data_type(dtype))
        case types.BaseTuple() if len(set(dtype)) == 1:
            return element_of(dtype[0])
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


def fits(llvm_type: Any, role: RoleOf) -> bool:
    """Return whether a value of an LLVM type can stand for what a role says."""
    match role[0]:
        case Role.FLOAT:
            return isinstance(llvm_type, llvmir.HalfType | llvmir.FloatType | llvmir.DoubleType)
        case Role.INTEGER | Role.BOOLEAN | Role.EXTENT:
            return isinstance(llvm_type, llvmir.IntType)
        case Role.DATA | Role.MEMINFO | Role.PARENT | Role.CONTAINER | Role.BLOCK | Role.FIELDS:
            return isinstance(llvm_type, llvmir.PointerType)
        case Role.OPAQUE:
            return True


def places_in(llvm_type: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the path and type of every scalar in an aggregate type."""
    match llvm_type:
        case llvmir.ArrayType():
            for i in range(llvm_type.count):
                yield from places_in(llvm_type.element, (*path, i))
        case llvmir.BaseStructType():
            for i, field in enumerate(llvm_type.elements or ()):
                yield from places_in(field, (*path, i))
        case _:
            yield path, llvm_type


def spell(llvm_type: Any) -> str:
    """Return an LLVM type as LLVM prints it: pointers have no pointee."""
    match llvm_type:
        case llvmir.PointerType():
            return "ptr"
        case llvmir.ArrayType():
            return f"[{llvm_type.count} x {spell(llvm_type.element)}]"
        case llvmir.LiteralStructType():
            inner = ", ".join(spell(t) for t in llvm_type.elements)
            return f"<{{{inner}}}>" if llvm_type.packed else f"{{ {inner} }}" if inner else "{}"
        case _:
            return str(llvm_type)
