"""What the blocks of instances of jitclasses and StructRefs hold, read off Numba's types."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llvmlite import ir as llvmir
from numba.core import types
from numba.core.registry import cpu_target

from coenzyme.frontends.numba_roles import fits, places_in, roles_of, spell
from coenzyme.frontends.program import FLOATS, Role
from coenzyme.frontends.structs import Field, Struct

__all__ = [
    "find_structs",
    "holds_floats",
    "is_instance",
    "result_struct",
    "struct_fields",
    "struct_parameters",
]


def is_instance(kind: Any) -> bool:
    """Return whether values of a Numba type refer to a struct."""
    return isinstance(kind, types.ClassInstanceType | types.StructRef)


def struct_fields(kind: Any) -> dict[str, Any]:
    """Return the names and types of the fields of an instance."""
    return dict(kind.struct if isinstance(kind, types.ClassInstanceType) else kind.field_dict)


def find_structs(kinds: Iterable[Any]) -> dict[str, Struct]:
    """Return the structs to which values of the given Numba types lead, by name."""
    found: dict[str, Struct] = {}
    pending = [instance for kind in kinds for instance in _instances(kind)]
    while pending:
        instance = pending.pop()
        if instance.name in found:
            continue
        members = tuple(struct_fields(instance).values())
        found[instance.name] = Struct(instance.name, tuple(_pack(members)[0]))
        pending.extend(inner for member in members for inner in _instances(member))
    return found


def holds_floats(name: str, structs: Mapping[str, Struct]) -> bool:
    """Return whether floats can be reached from the struct called `name`."""
    seen: set[str] = set()
    pending = [name]
    while pending:
        current = pending.pop()
        if current in seen or current not in structs:
            continue
        seen.add(current)
        for part in structs[current].fields:
            if part.llvm_type in FLOATS or part.pointee in FLOATS:
                return True
            if part.pointee is not None:
                pending.append(part.pointee)
    return False


def struct_parameters(argtypes: Iterable[Any]) -> dict[int, str]:
    """Return which LLVM parameters of a function point to structs, with the names of these."""
    roles = [role for kind in argtypes for role in roles_of(kind)]
    return {
        number: role[1]
        for number, role in enumerate(roles, start=2)  # after retptr and excinfo
        if role[0] in (Role.BLOCK, Role.FIELDS) and role[1] is not None
    }


def result_struct(restype: Any) -> Struct | None:
    """Return what lies in the memory of a function's result, where that leads to instances."""
    value = restype.type if isinstance(restype, types.Optional) else restype
    if not any(True for _ in _instances(value)):
        return None
    return Struct("result", tuple(_lay_out(value)[0]))


def _instances(kind: Any) -> Iterator[Any]:
    """Yield the types of the instances in a value of a type."""
    match kind:
        case types.DeferredType():
            yield from _instances(kind.get())
        case types.Optional():
            yield from _instances(kind.type)
        case types.BaseTuple():
            for part in kind:
                yield from _instances(part)
        case types.List() | types.ListType() | types.Set():
            yield from _instances(kind.dtype)
        case types.DictType():
            yield from _instances(kind.value_type)
        case _ if is_instance(kind):
            yield kind
        case _:
            return


def _lay_out(kind: Any) -> tuple[list[Field], int, int]:
    """Return the scalars of a value of a type in memory, its size and its alignment."""
    match kind:
        case types.DeferredType():
            return _lay_out(kind.get())
        case types.Optional():
            return _pack((kind.type, types.boolean))
        case types.BaseTuple():
            return _pack(kind.types)
        case _:
            return _lay_out_plain(kind)


def _pack(kinds: Iterable[Any]) -> tuple[list[Field], int, int]:
    """Return what :func:`_lay_out` does of a struct of values of some types."""
    return _join([_lay_out(kind) for kind in kinds])


def _join(parts: Iterable[tuple[list[Field], int, int]]) -> tuple[list[Field], int, int]:
    found: list[Field] = []
    end, largest = 0, 1
    for fields, size, align in parts:
        start = -(-end // align) * align
        found += [Field(start + f.offset, f.llvm_type, f.pointee) for f in fields]
        end, largest = start + size, max(largest, align)
    return found, -(-end // largest) * largest, largest


def _lay_out_plain(kind: Any) -> tuple[list[Field], int, int]:
    llvm_type = cpu_target.target_context.data_model_manager[kind].get_data_type()
    scalars = [t for _, t in places_in(llvm_type)]
    roles = list(roles_of(kind))
    if len(scalars) != len(roles) or not all(fits(t, r) for t, r in zip(scalars, roles, strict=True)):
        pointees: list[str | None] = [None] * len(scalars)
    else:
        pointees = [_pointee(*role[:2]) for role in roles]
    fields, size, align = _walk(llvm_type)
    named = [Field(f.offset, f.llvm_type, p) for f, p in zip(fields, pointees, strict=True)]
    return named, size, align


def _pointee(role: Role, element: str | None) -> str | None:
    return element if role in (Role.DATA, Role.MEMINFO, Role.BLOCK, Role.FIELDS) else None


def _walk(llvm_type: Any) -> tuple[list[Field], int, int]:
    match llvm_type:
        case llvmir.ArrayType():
            return _join([_walk(llvm_type.element)] * llvm_type.count)
        case llvmir.BaseStructType():
            parts = [_walk(t) for t in llvm_type.elements or ()]
            return _join([(f, size, 1) for f, size, _ in parts] if llvm_type.packed else parts)
        case _:
            size = _size(llvm_type)
            return [Field(0, spell(llvm_type))], size, size


def _size(llvm_type: Any) -> int:
    match llvm_type:
        case llvmir.IntType():
            return next((s for s in (1, 2, 4, 8) if llvm_type.width <= 8 * s), -(-llvm_type.width // 8))
        case llvmir.HalfType():
            return 2
        case llvmir.FloatType():
            return 4
        case _:
            return 8
