"""Which memory a pointer may point into, as data: abstract objects.

There is one object for each array argument (its memory-info block and its data together), each ``alloca``,
each allocating call, each global, and for each type of what an argument that is a struct leads to. The
analysis itself: :mod:`coenzyme.analysis.points_to`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from coenzyme.analysis.places import Place
from coenzyme.frontends.structs import Struct
from coenzyme.ir.instructions import (
    Call,
    Function,
    Instruction,
)
from coenzyme.ir.types import ArrayType, NamedType, StructType, Type, VectorType
from coenzyme.ir.values import (
    Argument,
    Constant,
    ConstantAggregate,
    ConstantExpression,
    ConstantNull,
    ConstantZero,
    Global,
    Poison,
    Undef,
    Value,
)
from coenzyme.rules import Allocation, BlockKind, Effect, classify, find_memory_rule
from coenzyme.rules.blas import find_routine

__all__ = [
    "MemoryObject",
    "Objects",
    "Storage",
    "blas_pointers",
    "called_effect",
    "holds_pointers",
    "is_described",
    "is_error_slot",
    "is_growth",
    "is_internal_call",
    "is_ruled_call",
    "passed_pointers",
    "returns_new_memory",
    "written_pointers",
]


class Storage(Enum):
    """Where an object lives."""

    ARGUMENT = auto()
    REACHED = auto()
    """Memory that the caller owns, reached through a pointer stored in an argument."""
    STACK = auto()
    HEAP = auto()
    RETURNED = auto()
    """Allocated by a function kept out of line, and freed where this one does not see it."""
    GLOBAL = auto()
    UNKNOWN = auto()


@dataclass(eq=False, frozen=True)
class MemoryObject:
    """An abstract piece of memory; compared by identity."""

    storage: Storage
    origin: Value | None
    label: str
    group: int | None = None

    def __repr__(self) -> str:
        return f"<{self.storage.name.lower()} {self.label}>"


NULL_GROUP = -1
"""The group of pointer arguments that are null."""

NO_OBJECTS: frozenset[MemoryObject] = frozenset()


@dataclass
class Objects:
    """Result of :func:`find_objects`.

    Attributes
    ----------
    points_to
        Objects that each pointer value may point into; constants are looked up by :meth:`of`.
    contents
        Objects that the pointers stored inside an object may point into.
    reached
        The objects found by following pointers that the caller stored in arguments.
    flat
        Objects known to hold no pointers.
    structs
        Objects that are instances of a class, or stand for several of them.
    places
        What `points_to` says, with offsets.
    unknown
        The object that stands for memory about which nothing is known.
    is_foreign
        Whether nobody declares what lies in the memory that the function is given.
    """

    unknown: MemoryObject
    points_to: dict[Value, set[MemoryObject]] = field(default_factory=dict[Value, set[MemoryObject]])
    contents: dict[MemoryObject, set[MemoryObject]] = field(
        default_factory=dict[MemoryObject, set[MemoryObject]]
    )
    reached: set[MemoryObject] = field(default_factory=set[MemoryObject])
    flat: set[MemoryObject] = field(default_factory=set[MemoryObject])
    globals: dict[str, MemoryObject] = field(default_factory=dict[str, MemoryObject])
    structs: dict[MemoryObject, Struct] = field(default_factory=dict[MemoryObject, Struct])
    places: dict[Value, set[Place]] = field(default_factory=dict[Value, set[Place]])
    is_foreign: bool = False

    def places_of(self, pointer: Value) -> set[Place]:
        """Return the places `pointer` may point to."""
        if isinstance(pointer, Constant):
            return {(item, None) for item in self._of_constant(pointer)}
        return self.places.get(pointer, set())

    def of(self, pointer: Value) -> frozenset[MemoryObject] | set[MemoryObject]:
        """Return the objects `pointer` may point into."""
        if isinstance(pointer, Constant):
            return self._of_constant(pointer)
        return self.points_to.get(pointer, NO_OBJECTS)

    def reachable(self, pointers: Iterable[Value]) -> set[MemoryObject]:
        """Return every object that can be reached from `pointers` through memory."""
        found: set[MemoryObject] = set()
        pending = [o for p in pointers for o in self.of(p)]
        while pending:
            item = pending.pop()
            if item not in found:
                found.add(item)
                pending.extend(self.contents.get(item, ()))
        return found

    def _of_constant(self, pointer: Constant) -> set[MemoryObject] | frozenset[MemoryObject]:
        match pointer:
            case Global():
                if pointer.name not in self.globals:
                    self.globals[pointer.name] = MemoryObject(Storage.GLOBAL, pointer, pointer.name)
                return {self.globals[pointer.name]}
            case ConstantExpression():
                return {
                    o for operand in pointer.operands if operand.type.is_pointer for o in self.of(operand)
                }
            case ConstantAggregate():
                return {o for part in pointer.elements if holds_pointers(part.type) for o in self.of(part)}
            case ConstantNull() | ConstantZero() | Undef() | Poison():
                return NO_OBJECTS
            case _:
                return {self.unknown}


def called_effect(call: Call) -> Effect:
    """Return what `call` does, by the name of its callee."""
    name = call.callee_name
    if name is None or (call.function_type.variadic and is_internal_call(call)):
        return Effect.UNKNOWN  # a module may have a printf of its own
    return classify(name)


def blas_pointers(call: Call) -> tuple[list[Value], Value]:
    """Return the pointers to the matrices and vectors that a BLAS `call` reads, and to the one it writes."""
    routine = find_routine(call.callee_name or "")
    assert routine is not None
    return [call.operands[o.pointer] for o in routine.inputs], call.operands[routine.output.pointer]


def is_internal_call(instruction: Instruction) -> bool:
    """Whether `instruction` calls a function that this module defines."""
    return (
        isinstance(instruction, Call)
        and isinstance(instruction.callee, Function)
        and not instruction.callee.is_declaration
    )


_GROWING = (
    "NRT_MemInfo_varsize_realloc",
    "coenzyme.grow",
    "coenzyme.list.reserve",
    "coenzyme.dict.reserve",
)


def is_growth(instruction: Instruction) -> bool:
    """Whether `instruction` gives the payload of a block another size, and perhaps another place."""
    return isinstance(instruction, Call) and instruction.callee_name in _GROWING


def is_described(item: MemoryObject, objects: Objects) -> bool:
    """Whether what accesses show of `item` is all there is, whoever else accesses it.

    That is so of the arrays and instances of Numba, whose types are known.
    """
    if item in objects.flat or item in objects.structs or (item.group is not None and not objects.is_foreign):
        return True
    rule = find_memory_rule(item.origin.callee_name or "") if isinstance(item.origin, Call) else None
    return isinstance(rule, Allocation) and rule.kind is BlockKind.MEMINFO


def is_error_slot(parameter: Argument) -> bool:
    """Whether `parameter` is where Numba's calling convention reports an exception."""
    return parameter.index == 1 and parameter.name.split(".")[0] == "excinfo"


def passed_pointers(call: Call) -> list[Value]:
    """Return the pointers that an internal `call` passes, but for Numba's error slot and code's addresses."""
    callee = call.callee
    assert isinstance(callee, Function)
    return [
        actual
        for actual, formal in zip(call.arguments, callee.arguments, strict=False)
        if actual.type.is_pointer
        and not is_error_slot(formal)
        and (callee.ruled or callee.custom or not _is_compared_only(formal))
    ]


def _is_compared_only(parameter: Argument) -> bool:
    """Whether `parameter` is compared, or handed on for that, and nothing else, as addresses of code are."""
    seen, pending = {parameter}, [parameter]
    while pending:
        item = pending.pop()
        for user in item.users:
            if user.opcode == "icmp":
                continue
            callee = user.callee if isinstance(user, Call) else None
            if not isinstance(callee, Function) or not is_internal_call(user):
                return False
            if callee.ruled or callee.custom:
                return False
            if callee.function_type.variadic:
                return False
            passed = zip(user.operands, callee.arguments, strict=False)
            new = {formal for actual, formal in passed if actual is item} - seen
            seen |= new
            pending += new
    return bool(parameter.users)


def is_ruled_call(instruction: Instruction) -> bool:
    """Whether `instruction` calls a function whose derivatives come from a rule."""
    return (
        isinstance(instruction, Call)
        and isinstance(instruction.callee, Function)
        and instruction.callee.ruled
    )


def returns_new_memory(call: Call) -> bool:
    """Whether what the result of an internal `call` leads to is new, and holds numbers."""
    callee = call.callee
    assert isinstance(callee, Function)
    return callee.ruled or (callee.custom and callee.spared is not None)


def written_pointers(call: Call) -> list[Value]:
    """Return the pointers that an internal `call` may write through."""
    if is_ruled_call(call):
        return call.arguments[:1]
    assert isinstance(call.callee, Function)
    spared = call.callee.spared or ()
    written = {a for number, a in enumerate(call.arguments) if number not in spared}
    return [pointer for pointer in passed_pointers(call) if pointer in written]


def holds_pointers(type: Type) -> bool:
    """Whether a value of `type` is, or contains, a pointer."""
    match type:
        case StructType():
            return any(holds_pointers(element) for element in type.elements)
        case ArrayType() | VectorType():
            return holds_pointers(type.element)
        case NamedType():
            return True
        case _:
            return type.is_pointer
