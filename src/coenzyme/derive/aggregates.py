"""Take structs apart that LLVM loads and stores as a whole.

A load of a struct becomes the loads of its fields, a store the stores of its fields, and a field taken out
of a struct that was just put together becomes the field. What is left of structs are phis and calls, which
the sweeps refuse where they are active.
"""

from __future__ import annotations

from collections.abc import Iterator

from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.instructions import ExtractValue, Function, InsertValue, Load, Store
from coenzyme.ir.types import I32, ArrayType, StructType, Type
from coenzyme.ir.values import Constant, ConstantAggregate, ConstantZero, Poison, Undef, Value

__all__ = ["split_aggregates"]

Path = tuple[int, ...]
_MOST_FIELDS = 64


def split_aggregates(function: Function) -> None:
    """Split the loads and stores of structs and arrays in `function`, in place."""
    for instruction in list(function.instructions()):
        if isinstance(instruction, Load | Store) and not instruction.ordering:
            type = instruction.type if isinstance(instruction, Load) else instruction.value.type
            fields = list(_fields(type))
            if isinstance(type, StructType | ArrayType) and 0 < len(fields) <= _MOST_FIELDS:
                if isinstance(instruction, Load):
                    _split_load(instruction, fields)
                else:
                    _split_store(instruction, fields)
    for instruction in list(function.instructions()):
        if isinstance(instruction, ExtractValue):
            value = _field(instruction.operands[0], instruction.indices)
            if value is not None:
                instruction.replace_all_uses_with(value)
                instruction.erase()
    _drop_unused(function)


def _fields(type: Type, path: Path = ()) -> Iterator[tuple[Path, Type]]:
    """Yield the path and the type of each scalar in `type`."""
    match type:
        case StructType():
            for index, element in enumerate(type.elements):
                yield from _fields(element, (*path, index))
        case ArrayType():
            for index in range(min(type.count, _MOST_FIELDS + 1)):
                yield from _fields(type.element, (*path, index))
        case _:
            yield path, type


def _address(at: Builder, type: Type, pointer: Value, path: Path) -> Value:
    return at.gep(type, pointer, [const_int(I32, 0), *(const_int(I32, i) for i in path)])


def _split_load(load: Load, fields: list[tuple[Path, Type]]) -> None:
    at = Builder.before(load)
    whole: Value = Undef(load.type)
    for path, type in fields:
        part = at.load(type, _address(at, load.type, load.pointer, path))
        part.metadata = {k: v for k, v in load.metadata.items() if k == "dbg"}
        whole = at.insert_value(whole, part, path)
    load.replace_all_uses_with(whole)
    load.erase()


def _split_store(store: Store, fields: list[tuple[Path, Type]]) -> None:
    at = Builder.before(store)
    for path, type in fields:
        part = _field(store.value, path)
        if part is None:
            part = at.extract_value(store.value, path, type)
        if isinstance(part, Undef | Poison):
            continue
        new = at.store(part, _address(at, store.value.type, store.pointer, path))
        new.metadata = {k: v for k, v in store.metadata.items() if k == "dbg"}
    store.erase()


def _field(whole: Value, path: Path) -> Value | None:
    """Return what stands at `path` of `whole`, where that is known without an instruction."""
    while path:
        match whole:
            case InsertValue():
                common = whole.indices[: len(path)]
                if path[: len(common)] != common:
                    whole = whole.operands[0]
                elif len(whole.indices) <= len(path):
                    whole, path = whole.operands[1], path[len(whole.indices) :]
                else:
                    return None
            case ConstantAggregate():
                whole, path = whole.elements[path[0]], path[1:]
            case ConstantZero() | Undef() | Poison():
                return _constant_field(whole, path)
            case _:
                return None
    return whole


def _constant_field(whole: Constant, path: Path) -> Constant:
    type = whole.type
    for index in path:
        assert isinstance(type, StructType | ArrayType)
        type = type.elements[index] if isinstance(type, StructType) else type.element
    return zero(type) if isinstance(whole, ConstantZero) else whole.__class__(type)


def _drop_unused(function: Function) -> None:
    """Erase what put structs together for nobody."""
    pending: list[Value] = [i for i in function.instructions() if isinstance(i, InsertValue | ExtractValue)]
    while pending:
        value = pending.pop()
        if isinstance(value, InsertValue | ExtractValue) and not value.users and value.block is not None:
            pending.extend(value.operands)
            value.erase()
