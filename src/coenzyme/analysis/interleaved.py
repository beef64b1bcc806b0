"""Local memory whose shadows of several directions can lie side by side: element by element, lane by lane.

With n directions such memory has one shadow of n times the size: what is b bytes into the memory is n·b bytes
into the shadow, and there the n tangents of one element stand, a vector to LLVM. Every access has to
be to an element of one floating-point type, and nobody outside may ever see the shadow: no pointer into the
memory is stored, returned or passed on. Objects that one pointer may lead to share their fate, for its shadow
is one address or n.
"""

from __future__ import annotations

from collections.abc import Iterable

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.content import Contents
from coenzyme.analysis.objects import MemoryObject, Storage, called_effect, holds_pointers
from coenzyme.ir.instructions import (
    Alloca,
    Call,
    Cast,
    Compare,
    Freeze,
    Function,
    GetElementPtr,
    Instruction,
    Load,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.types import F32, F64, I64, ArrayType, IntType, Type
from coenzyme.ir.values import Value
from coenzyme.rules import Allocation, Effect, find_memory_rule

__all__ = ["Family", "find_families", "is_evenly_scaled"]

Family = frozenset[MemoryObject]
"""Objects that share their fate."""

_FOLLOWED = (Effect.MEMINFO_DATA, Effect.REFERENCE_COUNT, Effect.DEALLOCATION)
"""What may be done to a pointer by a call that the shadow takes part in as it is."""
_TRANSFERS = (Effect.MEMSET, Effect.MEMCPY, Effect.MEMMOVE)


def find_families(function: Function, activity: Activity, contents: Contents) -> dict[MemoryObject, Family]:
    """Return the objects whose shadows can be interleaved, each with those that share its fate."""
    finder = _Finder(function, activity, contents)
    for instruction in function.instructions():
        finder.visit(instruction)
    return finder.families()


def is_evenly_scaled(type: Type) -> bool:
    """Whether a ``getelementptr`` over `type` reaches n times as far where each leaf is n of them."""
    while isinstance(type, ArrayType):
        type = type.element
    return type in (F32, F64) or (isinstance(type, IntType) and type.width in (8, 16, 32, 64))


def _find_counted(function: Function) -> set[Value]:
    """Return the pointers chosen among others for nothing but to count references to their blocks.

    What such a pointer leads to may differ in kind: where a shadow serves all lanes it is let go of once.
    """
    found: set[Value] = {
        i for i in function.instructions() if isinstance(i, (Phi, Select)) and i.type.is_pointer
    }
    changed = True
    while changed:
        lost = {value for value in found if not all(_only_counts(user, found) for user in value.users)}
        found -= lost
        changed = bool(lost)
    return found


def _only_counts(user: Value, counted: set[Value]) -> bool:
    if isinstance(user, Call):
        return called_effect(user) is Effect.REFERENCE_COUNT
    return user in counted


class _Finder:
    def __init__(self, function: Function, activity: Activity, contents: Contents) -> None:
        self.activity = activity
        self.contents = contents
        self.objects = activity.objects
        self.parent: dict[MemoryObject, MemoryObject] = {}
        self.refused: set[MemoryObject] = set()
        counted = _find_counted(function)
        for pointer in self.objects.points_to:
            if pointer in counted:
                for item in self.objects.of(pointer):
                    self.root(item)
            else:
                self.unite(self.objects.of(pointer))
        for item in [*self.parent]:
            if not self.is_fit(item):
                self.refused.add(item)
        for held in self.objects.contents.values():
            self.refused |= held

    def families(self) -> dict[MemoryObject, Family]:
        lost = {self.root(item) for item in self.refused}
        members: dict[MemoryObject, set[MemoryObject]] = {}
        for item in [*self.parent]:
            root = self.root(item)
            if root not in lost:
                members.setdefault(root, set()).add(item)
        return {item: frozenset(found) for found in members.values() for item in found}

    def root(self, item: MemoryObject) -> MemoryObject:
        self.parent.setdefault(item, item)
        while self.parent[item] is not item:
            item = self.parent[item]
        return item

    def unite(self, items: Iterable[MemoryObject]) -> None:
        roots = [self.root(item) for item in items]
        for root in roots[1:]:
            self.parent[self.root(root)] = self.root(roots[0])

    def is_fit(self, item: MemoryObject) -> bool:
        """Whether `item` is memory of this call, has a shadow, and holds floats of one type only."""
        origin = item.origin
        if item.storage is Storage.HEAP:
            rule = find_memory_rule(origin.callee_name or "") if isinstance(origin, Call) else None
            if not isinstance(rule, Allocation) or rule.resizable or rule.destructor is not None:
                return False
        elif item.storage is not Storage.STACK or not isinstance(origin, Alloca):
            return False
        return (
            item in self.activity.shadowed
            and item not in self.objects.structs
            and self.contents.of(item).only_float in (F32, F64)
        )

    def refuse(self, pointer: Value) -> None:
        self.refused |= self.objects.of(pointer)

    def visit(self, instruction: Instruction) -> None:
        """Refuse objects with which `instruction` does what cannot be done to an interleaved shadow."""
        match instruction:
            case Load() | Store():
                self.visit_access(instruction)
            case GetElementPtr():
                even = len(instruction.operands) == 2 or is_evenly_scaled(instruction.source_type)
                if not even or not instruction.type.is_pointer:
                    self.refuse(instruction.operands[0])
            case Call():
                self.visit_call(instruction)
            case Phi() | Select() | Freeze() if instruction.type.is_pointer:
                pass
            case Compare():
                pass
            case Alloca():
                pass
            case Cast() if instruction.opcode == "ptrtoint":
                pass  # the address of the primal, whatever is done with it
            case _:
                for operand in instruction.operands:
                    if holds_pointers(operand.type):
                        self.refuse(operand)

    def visit_access(self, access: Load | Store) -> None:
        value = access.value if isinstance(access, Store) else access
        if holds_pointers(value.type):
            self.refuse(value)
        for item in self.objects.of(access.pointer):
            if value.type != self.contents.of(item).only_float or access.ordering:
                self.refused.add(item)

    def visit_call(self, call: Call) -> None:
        effect = called_effect(call)
        if effect is Effect.ALLOCATION:
            rule = find_memory_rule(call.callee_name or "")
            assert isinstance(rule, Allocation)
            if call.operands[rule.size[0]].type != I64:
                self.refuse(call)
        elif effect in _TRANSFERS:
            if call.arguments[2].type != I64:
                for pointer in call.arguments[:2]:
                    self.refuse(pointer)
        elif effect not in _FOLLOWED:
            for argument in call.arguments:
                if holds_pointers(argument.type):
                    self.refuse(argument)
            if holds_pointers(call.type):
                self.refuse(call)
