"""Which memory a pointer may point into: an inclusion-based points-to analysis.

Flow-insensitive; fields are told apart by their offsets, where these are constant, and what the caller's
structs lead to by the types of their fields.
Source: Andersen, "Program Analysis and Specialization for the C Programming Language" (1994), ch. 4.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from coenzyme.analysis.objects import (
    NULL_GROUP,
    MemoryObject,
    Objects,
    Storage,
    called_effect,
    holds_pointers,
    is_error_slot,
    is_growth,
    is_internal_call,
    returns_new_memory,
    written_pointers,
)
from coenzyme.analysis.places import WORD, Place, constant_offset, shift
from coenzyme.frontends.structs import NO_STRUCTS, Struct, Structs
from coenzyme.ir.instructions import (
    Alloca,
    AtomicReadModifyWrite,
    Call,
    CompareExchange,
    Function,
    GetElementPtr,
    GlobalVariable,
    Instruction,
    Load,
    Store,
)
from coenzyme.ir.types import ArrayType, StructType, Type, VectorType
from coenzyme.ir.values import Argument, Value
from coenzyme.rules import Allocation, Effect, find_memory_rule

__all__ = ["find_objects"]


def _is_floats(type: Type) -> bool:
    """Whether `type` is made of floats alone."""
    match type:
        case StructType():
            return all(_is_floats(element) for element in type.elements)
        case ArrayType() | VectorType():
            return _is_floats(type.element)
        case _:
            return type.is_float


def _is_constant(item: MemoryObject) -> bool:
    """Whether nobody can store to `item`: a function, a captured array, or another table of the module's."""
    origin = item.origin
    return isinstance(origin, Function) or (isinstance(origin, GlobalVariable) and origin.is_constant)


def find_objects(
    function: Function,
    groups: Mapping[Argument, int],
    elements: Mapping[Argument, Type] | None = None,
    structs: Structs = NO_STRUCTS,
    parameters: Mapping[Argument, str] | None = None,
    families: Mapping[Argument, Hashable] | None = None,
) -> Objects:
    """Return the objects of `function`.

    Parameters
    ----------
    groups
        Pointer arguments that belong together (the parts of one array) share a number, which is not negative;
        :data:`NULL_GROUP` says that the argument is null.
    elements
        The scalar types behind pointer arguments, as far as they are known: such memory holds no pointers.
    structs
        The instances of classes that the program handles.
    parameters
        The names of the structs behind pointer arguments.
    families
        Arguments that are structs may share what they lead to if they have the same value here.
    """
    solver = _Solver(function, elements or {}, structs, families or {})
    return solver.solve(groups, parameters or {})


_MOST_OFFSETS = 16
"""A pointer to more places of one object than these may be anywhere in it."""


class _Solver:
    """Iterates the inclusion constraints to their least fixed point."""

    def __init__(
        self,
        function: Function,
        elements: Mapping[Argument, Type],
        structs: Structs,
        families: Mapping[Argument, Hashable],
    ) -> None:
        self.function = function
        self.elements = elements
        self.structs = structs
        self.families = families
        unknown = MemoryObject(Storage.UNKNOWN, None, "unknown memory")
        self.result = Objects(unknown, is_foreign=function.is_foreign)
        self.reached: dict[tuple[Hashable, str | None], MemoryObject] = {}
        """For each family of arguments, and each type of what they lead to, what that is."""
        self.family: dict[MemoryObject, Hashable] = {}
        self.held: dict[MemoryObject, dict[int | None, set[Place]]] = {}
        """The pointers stored in each object, by where they lie."""
        self.changed = False
        self.from_call: dict[Call, set[MemoryObject]] = {}
        self.flat = self.result.flat
        self.escaped: set[Place] = set()
        """Places whose address was turned into an integer."""

    def _start(self, groups: Mapping[Argument, int], parameters: Mapping[Argument, str]) -> None:
        by_group: dict[int, MemoryObject] = {}
        for argument in self.function.arguments:
            if not argument.type.is_pointer:
                continue
            if is_error_slot(argument):
                # The description of an exception is nobody's data, wherever it is put.
                target = MemoryObject(Storage.ARGUMENT, argument, argument.name)
                self._include(argument, {(target, 0)})
                self.flat.add(target)
                continue
            group = groups.get(argument)
            if group == NULL_GROUP:
                self.result.points_to[argument] = set()
                continue
            struct = self._struct_of(argument, groups, parameters)
            if group is not None and group in by_group:
                target = by_group[group]
            elif struct is not None:
                target = self._instance(argument, struct, group)
            else:
                target = MemoryObject(Storage.ARGUMENT, argument, argument.name, group)
            if group is not None:
                by_group[group] = target
            self._include(argument, {(target, 0 if struct is not None or group is None else None)})

    def _struct_of(
        self, argument: Argument, groups: Mapping[Argument, int], parameters: Mapping[Argument, str]
    ) -> Struct | None:
        """Return the struct to which `argument`, and all that may point into the same memory, point."""
        group = groups.get(argument)
        members = [argument] if group is None else [a for a, g in groups.items() if g == group]
        names = {parameters.get(a) for a in members}
        name = names.pop()
        return None if names or name is None else self.structs.by_name.get(name)

    def _instance(self, argument: Argument, struct: Struct, group: int | None) -> MemoryObject:
        """Return the object that stands for all instances of `struct` to which `argument` leads.

        It may be reached through itself, and be shared with other arguments.
        """
        key = (self.families.get(argument), struct.name)
        if key not in self.reached:
            found = MemoryObject(Storage.REACHED, argument, argument.name, group)
            self.reached[key] = found
            self.family[found] = key[0]
            self.result.reached.add(found)
            self.result.structs[found] = struct
        return self.reached[key]

    def solve(self, groups: Mapping[Argument, int], parameters: Mapping[Argument, str]) -> Objects:
        """Return the solution for arguments as :func:`find_objects` takes them."""
        self._start(groups, parameters)
        for argument in self.elements:
            self.flat |= self.result.points_to.get(argument, set())
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

    def _include(self, value: Value, places: Iterable[Place]) -> None:
        known = self.result.places.setdefault(value, set())
        current = self.result.points_to.setdefault(value, set())
        before = len(known)
        self._widen(known, places)
        self.changed |= len(known) != before
        current.update(item for item, _ in known)

    def _widen(self, known: set[Place], new: Iterable[Place]) -> None:
        """Add `new` places to those `known`; of an object with too many places, all."""
        for item, offset in list(new):
            if (item, offset) in known or (item, None) in known:
                continue
            if offset is not None and sum(i is item for i, _ in known) >= _MOST_OFFSETS:
                offset = None  # noqa: PLW2901 - anywhere in it
            known.add((item, offset))

    def _store_into(self, targets: Iterable[Place], places: Iterable[Place]) -> None:
        places = set(places)
        if not places:
            return
        for target, offset in targets:
            if target in self.flat or _is_constant(target):
                continue
            at = offset if offset is not None and offset % WORD == 0 else None
            current = self.held.setdefault(target, {}).setdefault(at, set())
            before = len(current)
            self._widen(current, places)
            self.changed |= len(current) != before
            self.result.contents.setdefault(target, set()).update(item for item, _ in current)

    def _loaded_from(self, targets: Iterable[Place]) -> set[Place]:
        found: set[Place] = set()
        for target, offset in targets:
            if target in self.flat:
                continue
            struct = self.result.structs.get(target)
            held = self._held_at(target, offset)
            found |= held if struct is None else self._fitting(held, struct, offset)
            if struct is not None and target.storage is Storage.REACHED:
                found |= self._fitting(self._held_behind(without_struct=True), struct, offset)
                pointees = {f.pointee for f in struct.at(offset) if f.llvm_type == "ptr"}
                found |= {self._reach(target, pointee) for pointee in pointees}
            elif target.storage is Storage.REACHED:
                # One object stands for all that is behind it, however far: chains of pointers have no end.
                found |= {(target, None)} | self._held_behind(without_struct=False)
            elif target.storage is Storage.ARGUMENT:
                found.add(self._reach(target, None))
            elif target.storage is Storage.UNKNOWN or (
                target.storage is Storage.GLOBAL
                and isinstance(target.origin, GlobalVariable)
                and not target.origin.is_constant
            ):
                found.add((self.result.unknown, None))
        return found

    def _held_at(self, target: MemoryObject, offset: int | None) -> set[Place]:
        held = self.held.get(target, {})
        if offset is None:
            return {place for places in held.values() for place in places}
        return held.get(offset, set()) | held.get(None, set())

    def _held_behind(self, *, without_struct: bool) -> set[Place]:
        """Return what is stored in memory that the caller's pointers lead to.

        What is known by its type may also be reached by a pointer of which no type is known.
        """
        found: set[Place] = set()
        for item in self.result.reached:
            if not (without_struct and (item in self.result.structs or item in self.flat)):
                found |= self._held_at(item, None)
        return found

    def _fitting(self, held: set[Place], struct: Struct, offset: int | None) -> set[Place]:
        """Return the places among those `held` by a struct to which its field at `offset` may point."""
        names = {f.pointee for f in struct.at(offset) if f.llvm_type == "ptr"}
        if None in names:
            return held
        to_struct = names <= self.structs.by_name.keys()
        found: set[Place] = set()
        for item, at in held:
            kind = self.result.structs.get(item)
            if kind is not None and kind.name in names:
                found.add((item, 0))
            elif kind is None and not (to_struct and self._is_no_instance(item)):
                found.add((item, at))
        return found

    def _is_no_instance(self, item: MemoryObject) -> bool:
        """Whether `item`, not known to be a struct, is none: instances live in counted blocks."""
        return item.storage in (Storage.STACK, Storage.GLOBAL, Storage.RETURNED) or item in self.flat

    def _reach(self, source: MemoryObject, pointee: str | None) -> Place:
        """Return what is behind a pointer that the caller stored in `source`."""
        key = (self.family.get(source, source.origin), pointee)
        found = self.reached.get(key)
        struct = None if pointee is None else self.structs.by_name.get(pointee)
        if found is None:
            found = MemoryObject(
                Storage.REACHED, source.origin, f"memory behind {source.label}", source.group
            )
            self.reached[key] = found
            self.family[found] = key[0]
            self.result.reached.add(found)
            if struct is not None:
                self.result.structs[found] = struct
            elif pointee is not None:
                self.flat.add(found)
        return found, None if struct is None else 0

    def _visit(self, instruction: Instruction) -> None:
        result = self.result
        match instruction:
            case Alloca():
                if instruction not in result.points_to:
                    item = MemoryObject(Storage.STACK, instruction, instruction.name or "local")
                    self._include(instruction, {(item, 0)})
                    if _is_floats(instruction.allocated_type):
                        self.flat.add(item)
            case GetElementPtr():
                by = constant_offset(instruction)
                self._include(instruction, {shift(p, by) for p in result.places_of(instruction.operands[0])})
            case Load():
                self._include(instruction, self._loaded_from(result.places_of(instruction.pointer)))
            case Store():
                self._store_into(result.places_of(instruction.pointer), result.places_of(instruction.value))
            case Call():
                self._visit_call(instruction)
            case AtomicReadModifyWrite() | CompareExchange():
                if holds_pointers(instruction.type):
                    self._include(instruction, {(result.unknown, None)})
            case _ if instruction.opcode == "inttoptr":
                self._include(instruction, {(result.unknown, None)} | self.escaped)
            case _ if instruction.opcode == "ptrtoint":
                before = len(self.escaped)
                self.escaped |= {(o, None) for o in result.of(instruction.operands[0])}
                self.changed |= len(self.escaped) != before
            case _:
                for operand in instruction.operands:
                    if holds_pointers(operand.type):
                        self._include(instruction, result.places_of(operand))

    def _visit_call(self, call: Call) -> None:
        effect = called_effect(call)
        pointers = [a for a in call.arguments if a.type.is_pointer]
        places = self.result.places_of
        match effect:
            case Effect.ALLOCATION | Effect.CONTAINER:
                if call not in self.result.points_to:
                    item = MemoryObject(Storage.HEAP, call, call.name or "allocation")
                    self._include(call, {(item, 0)})
                    self._describe(item, call)
            case _ if effect is Effect.MEMINFO_DATA or is_growth(call):
                self._include(call, places(pointers[0]))
            case Effect.MEMCPY | Effect.MEMMOVE:
                targets = {(o, None) for o in self.result.of(pointers[0])}
                sources = {(o, None) for o in self.result.of(pointers[1])}
                self._store_into(targets, self._loaded_from(sources))
            case Effect.UNKNOWN | Effect.INACTIVE if is_internal_call(call):
                self._visit_internal(call)
            case Effect.UNKNOWN | Effect.REALLOCATION:
                reached = {(o, None) for o in self.result.reachable(pointers)}
                self._store_into(reached, reached | {(self.result.unknown, None)})
                if holds_pointers(call.type):
                    self._include(call, reached | {(self.result.unknown, None)})
            case Effect.OUTSIDE:
                self._visit_outside(call)
            case Effect.INACTIVE | Effect.ZERO_DERIVATIVE:
                # Memory of the run-time system, such as the state of a random generator: nothing of ours.
                if holds_pointers(call.type) and call not in self.result.points_to:
                    item = MemoryObject(Storage.GLOBAL, call, f"memory from {call.callee_name}")
                    self._include(call, {(item, None)})
            case _:
                if holds_pointers(call.type):
                    self._include(call, {(self.result.unknown, None)})

    def _visit_outside(self, call: Call) -> None:
        """Note that the arrays that come out of a block of object mode are nobody's yet."""
        if call not in self.from_call:
            made = MemoryObject(Storage.RETURNED, call, "memory from a block of object mode")
            self.from_call[call] = {made}
            self.flat.add(made)
        targets = {(o, None) for o in self.result.of(call.arguments[0])}
        self._store_into(targets, {(o, None) for o in self.from_call[call]})

    def _describe(self, item: MemoryObject, call: Call) -> None:
        """Note what is known of a new block: the function that takes it apart says what it is."""
        rule = find_memory_rule(call.callee_name or "")
        if isinstance(rule, Allocation) and rule.destructor is not None:
            destructor = call.operands[rule.destructor]
            struct = self.structs.destroyed_by(destructor.name) if isinstance(destructor, Function) else None
            if struct is not None:
                self.result.structs[item] = struct

    def _visit_internal(self, call: Call) -> None:
        """Assume that a function kept out of line links whatever it reaches, and what it allocates."""
        callee = call.callee
        assert isinstance(callee, Function)
        if callee.spared is not None and not (callee.ruled or callee.custom):
            return
        new = self._returned_by(call)
        if returns_new_memory(call):
            # The arrays it returns are new, and hold numbers.
            self.flat |= new
            result = {(item, None) for item in self.result.of(call.arguments[0])}
            self._store_into(result, {(item, None) for item in new})
            return
        reached = {(o, None) for o in self.result.reachable(written_pointers(call)) | new}
        self._store_into(reached, reached)
        if holds_pointers(call.type):
            self._include(call, reached)

    def _returned_by(self, call: Call) -> set[MemoryObject]:
        """Return what stands for the memory that `call` allocates: instances by their types, and the rest."""
        if call in self.from_call:
            return self.from_call[call]
        found = {MemoryObject(Storage.RETURNED, call, "memory from a call")}
        if not returns_new_memory(call):
            for struct in self.structs.by_name.values():
                item = MemoryObject(Storage.RETURNED, call, "instance from a call")
                self.result.structs[item] = struct
                found.add(item)
            self._describe_result(call)
        self.from_call[call] = found
        return found

    def _describe_result(self, call: Call) -> None:
        """Note what the memory holds into which `call` puts its result."""
        callee, where = call.callee, call.arguments[0] if call.arguments else None
        assert isinstance(callee, Function)
        result = self.structs.results.get(callee.name)
        if result is not None and isinstance(where, Alloca):
            for item in self.result.of(where):
                self.result.structs[item] = result
