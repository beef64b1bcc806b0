"""The cotangent of a result that holds arrays: added to the shadow of the result between the sweeps.

The shadow of such a result exists only once the forward sweep has made it, so that the seed comes in a
struct of its own, laid out like the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coenzyme.derive.emission import type_named, type_spelled
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.program import Component, ResultLayout, Role
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.instructions import Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.types import I32, I64, PTR, VOID, FloatType, FunctionType, StructType, Type
from coenzyme.ir.values import Value

__all__ = ["ArrayPlace", "FloatPlace", "ResultPlaces", "add_seed", "drop_references", "find_places"]

Path = tuple[int, ...]

SIZES = {"half": 2, "float": 4, "double": 8}


@dataclass(frozen=True)
class FloatPlace:
    """A float in the result."""

    path: Path
    type: Type


@dataclass(frozen=True)
class ArrayPlace:
    """An array in the result: where its parts are.

    `element` is the type of the floats in it, None where there are none; `lanes` of them make one entry.
    """

    meminfo: Path
    data: Path
    shape: tuple[Path, ...]
    strides: tuple[Path, ...]
    element: FloatType | None
    lanes: int = 1


@dataclass(frozen=True)
class ResultPlaces:
    """The result's LLVM type and what is in it."""

    type: Type
    floats: tuple[FloatPlace, ...]
    arrays: tuple[ArrayPlace, ...]


def find_places(layout: ResultLayout) -> ResultPlaces:
    """Return where the floats and arrays of a result are."""
    floats: list[FloatPlace] = []
    arrays: list[ArrayPlace] = []
    components = list(layout.components)
    position = 0
    while position < len(components):
        path, component = components[position]
        if component.role is Role.FLOAT:
            floats.append(FloatPlace(path, type_named(component.llvm_type)))
        if component.role is not Role.MEMINFO:
            position += 1
            continue
        end = position + 1
        while end < len(components) and components[end][1].role in (Role.PARENT, Role.DATA, Role.EXTENT):
            end += 1
        arrays.append(_array(components[position:end]))
        position = end
    type = StructType(()) if not arrays else type_spelled(layout.llvm_type)
    return ResultPlaces(type, tuple(floats), tuple(arrays))


def _array(parts: Sequence[tuple[Path, Component]]) -> ArrayPlace:
    data: Path = ()
    element: FloatType | None = None
    lanes = 1
    extents: list[Path] = []
    for path, component in parts:
        if component.role is Role.DATA:
            data = path
            if component.differentiable and component.element is not None:
                element, lanes = FloatType(component.element), component.lanes
        elif component.role is Role.EXTENT:
            extents.append(path)
    # nitems and itemsize come first
    rest = extents[2:]
    rank = len(rest) // 2
    return ArrayPlace(parts[0][0], data, tuple(rest[:rank]), tuple(rest[rank:]), element, lanes)


def _address(at: Builder, places: ResultPlaces, base: Value, path: Path) -> Value:
    indices = [const_int(I32, 0), *(const_int(I32, i) for i in path)]
    return at.gep(places.type, base, indices) if path else base


def add_seed(module: Module, at: Builder, places: ResultPlaces, shadow: Value, seed: Value) -> Value:
    """Add the seed to the shadow of the result, both given by address; return whether the shapes agree."""
    agreed: Value | None = None
    for place in places.floats:
        target = _address(at, places, shadow, place.path)
        amount = at.load(place.type, _address(at, places, seed, place.path))
        at.store(at.fadd(at.load(place.type, target), amount), target)
    for place in places.arrays:
        if place.element is None:
            continue

        def read(base: Value, path: Path, type: Type) -> Value:
            return at.load(type, _address(at, places, base, path))

        arguments = [read(shadow, place.data, PTR), read(seed, place.data, PTR)]
        # The lanes of an entry lie side by side: one more, last, axis.
        lanes: tuple[list[Value], list[Value]] = ([], [])
        if place.lanes > 1:
            lanes = [const_int(I64, place.lanes)], [const_int(I64, SIZES[place.element.name])]
        for base in (shadow, seed):
            for paths, last in zip((place.shape, place.strides), lanes, strict=True):
                arguments.extend([*(read(base, path, I64) for path in paths), *last])
        same = at.call(_adder(module, place.element, len(place.shape) + len(lanes[0])), arguments)
        agreed = same if agreed is None else at.and_(agreed, same)
    if agreed is None:
        raise UnsupportedIRError(
            "a seed was asked for a result that holds no floating-point array",
            remedy="mark the return as constant",
        )
    return agreed


def drop_references(module: Module, at: Builder, places: ResultPlaces, result: Value) -> None:
    """Drop the references that the result at `result` holds."""
    drop = module.declare("NRT_decref", FunctionType(VOID, (PTR,)))
    for place in places.arrays:
        at.call(drop, [at.load(PTR, _address(at, places, result, place.meminfo))])


def _adder(module: Module, element: FloatType, rank: int) -> Function:
    """Return a function that adds one strided array to another where their shapes agree."""
    name = f"coenzyme.seed.{element}.{rank}"
    if name not in module.functions:
        for function in parse_module(_adder_text(name, str(element), rank)).functions.values():
            module.functions.setdefault(function.name, function)
    return module.functions[name]


def _adder_text(name: str, element: str, rank: int) -> str:
    def names(kind: str) -> list[str]:
        return [f"%{kind}{i}" for i in range(rank)]

    parameters = [*names("a.n"), *names("a.s"), *names("b.n"), *names("b.s")]
    lines = [
        f"define internal i1 @{name}(ptr %a, ptr %b{''.join(f', i64 {p}' for p in parameters)}) nounwind {{",
        "entry:",
    ]
    same = "true"
    count = "1"
    for i in range(rank):
        lines += [
            f"  %eq{i} = icmp eq i64 %a.n{i}, %b.n{i}",
            f"  %same{i} = and i1 {same}, %eq{i}",
            f"  %count{i} = mul i64 {count}, %a.n{i}",
        ]
        same, count = f"%same{i}", f"%count{i}"
    lines += [
        f"  %some = icmp sgt i64 {count}, 0",
        f"  %go = and i1 {same}, %some",
        "  br i1 %go, label %body, label %out",
        "body:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %body ]",
    ]
    left = "%i"
    offset_a = offset_b = "0"
    for i in reversed(range(rank)):
        lines += [
            f"  %at{i} = urem i64 {left}, %a.n{i}",
            f"  %left{i} = udiv i64 {left}, %a.n{i}",
            f"  %a.step{i} = mul i64 %at{i}, %a.s{i}",
            f"  %b.step{i} = mul i64 %at{i}, %b.s{i}",
            f"  %a.off{i} = add i64 {offset_a}, %a.step{i}",
            f"  %b.off{i} = add i64 {offset_b}, %b.step{i}",
        ]
        left, offset_a, offset_b = f"%left{i}", f"%a.off{i}", f"%b.off{i}"
    lines += [
        f"  %to = getelementptr i8, ptr %a, i64 {offset_a}",
        f"  %from = getelementptr i8, ptr %b, i64 {offset_b}",
        f"  %old = load {element}, ptr %to",
        f"  %more = load {element}, ptr %from",
        f"  %sum = fadd {element} %old, %more",
        f"  store {element} %sum, ptr %to",
        "  %next = add nuw nsw i64 %i, 1",
        f"  %done = icmp eq i64 %next, {count}",
        "  br i1 %done, label %out, label %body",
        "out:",
        f"  ret i1 {same}",
        "}",
    ]
    return "\n".join(lines) + "\n"
