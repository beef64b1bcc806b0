"""Which memory a pointer may point into: an inclusion-based points-to analysis.

Objects are abstract: one for each array argument (its memory-info block and its data together), each
``alloca``, each allocating call, each global. Flow-insensitive, field-insensitive.
Source: Andersen, "Program Analysis and Specialization for the C Programming Language" (1994), ch. 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from coenzyme.ir.instructions import (
    Alloca,
    AtomicReadModifyWrite,
    Call,
    CompareExchange,
    Function,
    GlobalVariable,
    Instruction,
    Load,
    Store,
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
from coenzyme.rules import Effect, classify
from coenzyme.rules.blas import find_routine

__all__ = [
    "MemoryObject",
    "Objects",
    "Storage",
    "blas_pointers",
    "called_effect",
    "find_objects",
    "holds_pointers",
    "is_error_slot",
    "is_growth",
    "is_internal_call",
    "is_ruled_call",
    "passed_pointers",
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
    unknown
        The object that stands for memory about which nothing is known.
    """

    unknown: MemoryObject
    points_to: dict[Value, set[MemoryObject]] = field(default_factory=dict[Value, set[MemoryObject]])
    contents: dict[MemoryObject, set[MemoryObject]] = field(
        default_factory=dict[MemoryObject, set[MemoryObject]]
    )
    reached: set[MemoryObject] = field(default_factory=set[MemoryObject])
    flat: set[MemoryObject] = field(default_factory=set[MemoryObject])
    globals: dict[str, MemoryObject] = field(default_factory=dict[str, MemoryObject])

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
    return Effect.UNKNOWN if name is None else classify(name)


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


def is_error_slot(parameter: Argument) -> bool:
    """Whether `parameter` is where Numba's calling convention reports an exception."""
    return parameter.index == 1 and parameter.name.split(".")[0] == "excinfo"


def passed_pointers(call: Call) -> list[Value]:
    """Return the pointers that an internal `call` passes, but for Numba's error slot."""
    callee = call.callee
    assert isinstance(callee, Function)
    return [
        actual
        for actual, formal in zip(call.arguments, callee.arguments, strict=False)
        if actual.type.is_pointer and not is_error_slot(formal)
    ]


def is_ruled_call(instruction: Instruction) -> bool:
    """Whether `instruction` calls a function whose derivatives come from a rule."""
    return (
        isinstance(instruction, Call)
        and isinstance(instruction.callee, Function)
        and instruction.callee.ruled
    )


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


def _is_floats(type: Type) -> bool:
    """Whether `type` is made of floats alone."""
    match type:
        case StructType():
            return all(_is_floats(element) for element in type.elements)
        case ArrayType() | VectorType():
            return _is_floats(type.element)
        case _:
            return type.is_float


def find_objects(
    function: Function,
    groups: Mapping[Argument, int],
    elements: Mapping[Argument, Type] | None = None,
) -> Objects:
    """Return the objects of `function`.

    Parameters
    ----------
    groups
        Pointer arguments that belong together (the parts of one array) share a number, which is not negative;
        :data:`NULL_GROUP` says that the argument is null.
    elements
        The scalar types behind pointer arguments, as far as they are known: such memory holds no pointers.
    """
    return _Solver(function, groups, elements or {}).solve()


class _Solver:
    """Iterates the inclusion constraints to their least fixed point."""

    def __init__(
        self, function: Function, groups: Mapping[Argument, int], elements: Mapping[Argument, Type]
    ) -> None:
        self.function = function
        self.result = Objects(MemoryObject(Storage.UNKNOWN, None, "unknown memory"))
        self.reached: dict[MemoryObject, MemoryObject] = {}
        self.changed = False
        self.from_call: dict[Call, MemoryObject] = {}
        self.flat = self.result.flat
        self.escaped: set[MemoryObject] = set()
        """Objects whose address was turned into an integer."""
        self._start(groups)
        for argument in elements:
            self.flat |= self.result.points_to.get(argument, set())

    def _start(self, groups: Mapping[Argument, int]) -> None:
        by_group: dict[int, MemoryObject] = {}
        for argument in self.function.arguments:
            if not argument.type.is_pointer:
                continue
            if is_error_slot(argument):
                # The description of an exception is nobody's data, wherever it is put.
                target = MemoryObject(Storage.ARGUMENT, argument, argument.name)
                self.result.points_to[argument] = {target}
                self.flat.add(target)
                continue
            group = groups.get(argument)
            if group == NULL_GROUP:
                self.result.points_to[argument] = set()
                continue
            if group is None:
                target = MemoryObject(Storage.ARGUMENT, argument, argument.name)
            else:
                if group not in by_group:
                    by_group[group] = MemoryObject(Storage.ARGUMENT, argument, argument.name, group)
                target = by_group[group]
            self.result.points_to[argument] = {target}

    def solve(self) -> Objects:
        relevant = [i for i in self.function.instructions() if self._is_relevant(i)]
        self.changed = True
        while self.changed:
            self.changed = False
            for instruction in relevant:
                self._visit(instruction)
        return self.result

    @staticmethod
    def _is_relevant(instruction: Instruction) -> bool:
        return (
            holds_pointers(instruction.type)
            or isinstance(instruction, Call | AtomicReadModifyWrite | CompareExchange)
            or (isinstance(instruction, Store) and holds_pointers(instruction.value.type))
            or instruction.opcode == "ptrtoint"
        )

    def _include(self, value: Value, objects: Iterable[MemoryObject]) -> None:
        current = self.result.points_to.setdefault(value, set())
        before = len(current)
        current.update(objects)
        self.changed |= len(current) != before

    def _store_into(self, targets: Iterable[MemoryObject], objects: Iterable[MemoryObject]) -> None:
        objects = set(objects)
        for target in targets:
            if target in self.flat:
                continue
            current = self.result.contents.setdefault(target, set())
            before = len(current)
            current.update(objects)
            self.changed |= len(current) != before

    def _loaded_from(self, targets: Iterable[MemoryObject]) -> set[MemoryObject]:
        found: set[MemoryObject] = set()
        for target in targets:
            if target in self.flat:
                continue
            found.update(self.result.contents.get(target, ()))
            if target.storage is Storage.REACHED:
                # One object stands for all that is behind it, however far: chains of pointers have no end.
                found.add(target)
            elif target.storage is Storage.ARGUMENT:
                if target not in self.reached:
                    self.reached[target] = MemoryObject(
                        Storage.REACHED, target.origin, f"memory behind {target.label}", target.group
                    )
                    self.result.reached.add(self.reached[target])
                found.add(self.reached[target])
            elif target.storage is Storage.UNKNOWN or (
                target.storage is Storage.GLOBAL
                and isinstance(target.origin, GlobalVariable)
                and not target.origin.is_constant
            ):
                found.add(self.result.unknown)
        return found

    def _visit(self, instruction: Instruction) -> None:
        result = self.result
        match instruction:
            case Alloca():
                if instruction not in result.points_to:
                    item = MemoryObject(Storage.STACK, instruction, instruction.name or "local")
                    self._include(instruction, {item})
                    if _is_floats(instruction.allocated_type):
                        self.flat.add(item)
            case Load():
                self._include(instruction, self._loaded_from(result.of(instruction.pointer)))
            case Store():
                self._store_into(result.of(instruction.pointer), result.of(instruction.value))
            case Call():
                self._visit_call(instruction)
            case AtomicReadModifyWrite() | CompareExchange():
                if holds_pointers(instruction.type):
                    self._include(instruction, {result.unknown})
            case _ if instruction.opcode == "inttoptr":
                self._include(instruction, {result.unknown} | self.escaped)
            case _ if instruction.opcode == "ptrtoint":
                before = len(self.escaped)
                self.escaped |= result.of(instruction.operands[0])
                self.changed |= len(self.escaped) != before
            case _:
                for operand in instruction.operands:
                    if holds_pointers(operand.type):
                        self._include(instruction, result.of(operand))

    def _visit_internal_call(self, call: Call) -> None:
        """Assume that a function kept out of line links whatever it reaches, and what it allocates."""
        callee = call.callee
        assert isinstance(callee, Function)
        if call not in self.from_call:
            self.from_call[call] = MemoryObject(Storage.RETURNED, call, "memory from a call")
        if callee.ruled:
            # The arrays it returns are new, and hold numbers.
            self.flat.add(self.from_call[call])
            self._store_into(self.result.of(call.arguments[0]), {self.from_call[call]})
        elif callee.spared is None:
            reached = self.result.reachable(written_pointers(call)) | {self.from_call[call]}
            self._store_into(reached, reached)
            if holds_pointers(call.type):
                self._include(call, reached)

    def _visit_call(self, call: Call) -> None:
        effect = called_effect(call)
        pointers = [a for a in call.arguments if a.type.is_pointer]
        match effect:
            case Effect.ALLOCATION | Effect.CONTAINER:
                if call not in self.result.points_to:
                    self._include(call, {MemoryObject(Storage.HEAP, call, call.name or "allocation")})
            case _ if effect is Effect.MEMINFO_DATA or is_growth(call):
                self._include(call, self.result.of(pointers[0]))
            case Effect.MEMCPY | Effect.MEMMOVE:
                self._store_into(self.result.of(pointers[0]), self._loaded_from(self.result.of(pointers[1])))
            case Effect.UNKNOWN if is_internal_call(call):
                self._visit_internal_call(call)
            case Effect.UNKNOWN | Effect.REALLOCATION:
                reached = self.result.reachable(pointers)
                self._store_into(reached, reached | {self.result.unknown})
                if holds_pointers(call.type):
                    self._include(call, reached | {self.result.unknown})
            case Effect.INACTIVE | Effect.ZERO_DERIVATIVE:
                # Memory of the run-time system, such as the state of a random generator: nothing of ours.
                if holds_pointers(call.type) and call not in self.result.points_to:
                    item = MemoryObject(Storage.GLOBAL, call, f"memory from {call.callee_name}")
                    self._include(call, {item})
            case _:
                if holds_pointers(call.type):
                    self._include(call, {self.result.unknown})
