"""Take structs apart that LLVM loads and stores as a whole.

A load of a struct becomes the loads of its fields, a store the stores of its fields, a phi or a select of
structs those of their fields, and a field taken out of a struct that was just put together becomes the
field. What is left of structs are calls, which the sweeps refuse where they are active.
"""

from __future__ import annotations

from collections.abc import Iterator

from coenzyme.ir.builder import Builder, const_int, zero
from coenzyme.ir.instructions import (
    ExtractValue,
    Function,
    InsertValue,
    Instruction,
    Load,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.types import I32, ArrayType, FloatType, IntType, StructType, Type
from coenzyme.ir.values import Constant, ConstantAggregate, ConstantZero, Poison, Undef, Value

__all__ = ["split_aggregates"]

Path = tuple[int, ...]
_MOST_FIELDS = 64


def split_aggregates(function: Function) -> None:
    """Split the loads and stores of structs and arrays in `function`, in place."""
    phis: dict[Phi, list[tuple[Path, Phi]]] = {}
    for instruction in list(function.instructions()):
        if not isinstance(instruction, Load | Store | Phi | Select):
            continue
        type = instruction.value.type if isinstance(instruction, Store) else instruction.type
        fields = list(_fields(type))
        if not isinstance(type, StructType | ArrayType) or not 0 < len(fields) <= _MOST_FIELDS:
            continue
        match instruction:
            case Load() if not instruction.ordering:
                _split_load(instruction, fields)
            case Store() if not instruction.ordering:
                _split_store(instruction, fields)
            case Select():
                _split_select(instruction, fields)
            case Phi():
                phis[instruction] = _split_phi(instruction, fields)
            case _:
                pass
    _join_phis(phis)
    changed = True
    while changed:
        changed = False
        for instruction in list(function.instructions()):
            if isinstance(instruction, ExtractValue):
                value = _field(instruction.operands[0], instruction.indices) or _parts(instruction)
                if value is not None:
                    instruction.replace_all_uses_with(value)
                    instruction.erase()
                    changed = True
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


def _after(value: Value, function: Function) -> Builder:
    """Return a builder where `value` can be used."""
    if not isinstance(value, Instruction):
        return Builder(function.entry, 0)
    block = value.block
    assert block is not None
    index = len(block.phis) if isinstance(value, Phi) else block.instructions.index(value) + 1
    return Builder(block, index)


def _split_phi(phi: Phi, fields: list[tuple[Path, Type]]) -> list[tuple[Path, Phi]]:
    """Replace `phi` by one phi for each field; they get their values once all are there."""
    block = phi.block
    assert block is not None
    parts: list[tuple[Path, Phi]] = []
    whole: Value = Undef(phi.type)
    for path, type in fields:
        part = Phi(type, (), f"{phi.name}.{'.'.join(map(str, path))}")
        block.insert(block.instructions.index(phi), part)
        parts.append((path, part))
    at = Builder(block, len(block.phis))
    for path, part in parts:
        whole = at.insert_value(whole, part, path)
    phi.replace_all_uses_with(whole)
    return parts


def _join_phis(phis: dict[Phi, list[tuple[Path, Phi]]]) -> None:
    taken: dict[tuple[Value, Path], Value] = {}
    for phi, parts in phis.items():
        block = phi.block
        assert block is not None
        assert block.function is not None
        for value, source in phi.pairs:
            for path, part in parts:
                field = _field(value, path)
                if field is None:
                    if (value, path) not in taken:
                        at = _after(value, block.function)
                        taken[value, path] = at.extract_value(value, path, part.type)
                    field = taken[value, path]
                part.add_incoming(field, source)
        phi.erase()


def _split_select(select: Select, fields: list[tuple[Path, Type]]) -> None:
    at = Builder.before(select)
    condition, first, second = select.operands
    whole: Value = Undef(select.type)
    for path, type in fields:
        sides = [_field(v, path) or at.extract_value(v, path, type) for v in (first, second)]
        whole = at.insert_value(whole, at.select(condition, sides[0], sides[1]), path)
    select.replace_all_uses_with(whole)
    select.erase()


def _alignment(type: Type, align: int) -> int:
    """Return what can be said of the alignment of a field of a `type` at an address aligned to `align`."""
    if isinstance(type, StructType) and type.packed:
        return 1
    return align


def _least(align: int, type: Type) -> int:
    """Return the alignment of a scalar of `type` in memory aligned to `align`; 0 is the natural one."""
    match type:
        case IntType():
            natural = -(-type.width // 8)
        case FloatType("float"):
            natural = 4
        case _:
            natural = 8
    return align if 0 < align < natural else 0


def _split_load(load: Load, fields: list[tuple[Path, Type]]) -> None:
    at = Builder.before(load)
    whole: Value = Undef(load.type)
    for path, type in fields:
        align = _least(_alignment(load.type, load.align), type)
        part = at.load(type, _address(at, load.type, load.pointer, path), align=align)
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
        align = _least(_alignment(store.value.type, store.align), type)
        new = at.store(part, _address(at, store.value.type, store.pointer, path), align=align)
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


def _parts(taken: ExtractValue) -> Value | None:
    """Put a struct that is taken out of another together from its scalars, where they are known."""
    fields = list(_fields(taken.type))
    if not isinstance(taken.type, StructType | ArrayType) or len(fields) > _MOST_FIELDS:
        return None
    found = [(path, _field(taken.operands[0], (*taken.indices, *path))) for path, _ in fields]
    at = Builder.before(taken)
    whole: Value = Undef(taken.type)
    for path, part in found:
        if part is not None:
            whole = at.insert_value(whole, part, path)
    return whole if all(part is not None for _, part in found) else None


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
