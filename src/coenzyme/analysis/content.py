"""What kinds of data each memory object holds: floats of which type, pointers, integers.

Sources: the frontend's signature and structs, and the types of loads and stores. ``memcpy`` and ``memset``
move bytes without saying what they are; this analysis says it for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from coenzyme.analysis.objects import MemoryObject, Objects, Storage, blas_pointers, called_effect
from coenzyme.analysis.places import WORD, size_of
from coenzyme.analysis.strides import Strides
from coenzyme.frontends.structs import Field
from coenzyme.ir.instructions import AtomicReadModifyWrite, Call, Function, Instruction, Load, Store
from coenzyme.ir.tbaa import Accessed, accessed
from coenzyme.ir.types import I64, PTR, ArrayType, FloatType, StructType, Type, VectorType
from coenzyme.ir.values import Argument, ConstantInt, Value
from coenzyme.rules import Effect, find_container_rule
from coenzyme.rules.blas import KINDS, find_routine

__all__ = ["Content", "Contents", "blas_element", "carries_floats", "find_contents", "float_parts"]


def float_parts(type: Type) -> set[FloatType]:
    """Return the floating-point types of which `type` is made."""
    match type:
        case FloatType():
            return {type}
        case StructType():
            return {f for element in type.elements for f in float_parts(element)}
        case ArrayType() | VectorType():
            return float_parts(type.element)
        case _:
            return set()


def carries_floats(type: Type) -> bool:
    """Whether a value of `type` can carry a derivative."""
    return bool(float_parts(type))


@dataclass
class Content:
    """What one object holds."""

    floats: set[FloatType] = field(default_factory=set[FloatType])
    integers: bool = False
    pointers: bool = False

    def include(self, type: Type) -> bool:
        """Add data of `type`; return whether that was news."""
        before = (len(self.floats), self.integers, self.pointers)
        match type:
            case StructType():
                for element in type.elements:
                    self.include(element)
            case ArrayType() | VectorType():
                self.include(type.element)
            case FloatType():
                self.floats.add(type)
            case _ if type.is_pointer:
                self.pointers = True
            case _:
                self.integers = True
        return before != (len(self.floats), self.integers, self.pointers)

    def merge(self, other: Content) -> bool:
        """Add what `other` holds; return whether that was news."""
        before = (len(self.floats), self.integers, self.pointers)
        self.floats |= other.floats
        self.integers |= other.integers
        self.pointers |= other.pointers
        return before != (len(self.floats), self.integers, self.pointers)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known to lie there."""
        return not (self.floats or self.integers or self.pointers)

    @property
    def only_float(self) -> FloatType | None:
        """The float type, where the object holds floats of one type and nothing else."""
        if len(self.floats) == 1 and not self.integers and not self.pointers:
            return next(iter(self.floats))
        return None


@dataclass(frozen=True)
class _Cell:
    """Where `pointer` points, at `offset` if that is known, `content` was seen."""

    pointer: Value
    offset: int | None
    size: int
    is_wide: bool
    content: Content


@dataclass(frozen=True)
class Contents:
    """Result of :func:`find_contents`."""

    by_object: Mapping[MemoryObject, Content]
    objects: Objects
    cells: Mapping[MemoryObject, list[_Cell]] = field(default_factory=dict[MemoryObject, "list[_Cell]"])
    """What lies where in each object, as far as accesses show it."""
    blurred: frozenset[MemoryObject] = frozenset()
    """Objects that others access, or that are moved as blocks: their cells do not say all."""
    strides: Strides | None = None

    def of(self, item: MemoryObject) -> Content:
        """Return what `item` holds."""
        return self.by_object.get(item, Content())

    def behind(self, pointer: Value) -> Content:
        """Return what the memory behind `pointer` holds, whichever object it is."""
        merged = Content()
        for item in self.objects.of(pointer):
            merged.merge(self.of(item))
        return merged

    def at(self, pointer: Value, size: int = WORD) -> Content:
        """Return what may lie in the `size` bytes to which `pointer` points."""
        merged = Content()
        for item, offset in self.objects.places_of(pointer):
            struct = self.objects.structs.get(item)
            if struct is not None:
                for part in struct.at(offset):
                    merged.include(_type_of(part))
            elif item in self.blurred or item.storage not in _PRIVATE:
                merged.merge(self.of(item))
            else:
                for cell in self.cells.get(item, ()):
                    if self._may_meet(pointer, size, item, offset, cell):
                        merged.merge(cell.content)
        return merged

    def _may_meet(
        self, pointer: Value, size: int, item: MemoryObject, offset: int | None, cell: _Cell
    ) -> bool:
        """Whether `cell` may be in the `size` bytes at `pointer`, at `offset` in `item`."""
        if cell.offset is not None and offset is not None:
            return -cell.size < cell.offset - offset < size
        if self.strides is None or cell.is_wide:
            return True
        own = self.strides.of(pointer).get(item)
        other = self.strides.of(cell.pointer).get(item)
        return own is None or other is None or own.meets(size, other, cell.size)

    def accesses_floats(self, instruction: Load | Store) -> bool:
        """Whether what `instruction` reads or overwrites, as integers, may be bits of a float."""
        said = accessed(instruction)
        if said is not None:
            return said in (Accessed.FLOAT, Accessed.DOUBLE)
        type = instruction.type if isinstance(instruction, Load) else instruction.value.type
        known = size_of(type)
        return bool(self.at(instruction.pointer, WORD if known is None else known[0]).floats)


def find_contents(function: Function, objects: Objects, elements: Mapping[Argument, Type]) -> Contents:
    """Return what the objects of `function` hold.

    Parameters
    ----------
    elements
        The element type behind pointer arguments where the frontend knows it.
    """
    found: dict[MemoryObject, Content] = {}

    def content(item: MemoryObject) -> Content:
        return found.setdefault(item, Content())

    cells: dict[MemoryObject, dict[tuple[Value, int | None, int], _Cell]] = {}
    blurred: set[MemoryObject] = set()
    for argument, element in elements.items():
        for item in objects.of(argument):
            content(item).include(element)
    copies: list[Call] = []
    for instruction in function.instructions():
        for pointer, type in _moved(instruction):
            for item, offset in objects.places_of(pointer):
                if not _finds_nothing(instruction, item, objects):
                    content(item).include(type)
                    wide = _is_wide(instruction, type)
                    place = None if wide else offset
                    known = cells.setdefault(item, {})
                    size = (size_of(type) or (WORD, WORD))[0]
                    cell = _Cell(pointer, place, size, wide, Content())
                    cell = known.setdefault((pointer, place, size), cell)
                    cell.content.include(type)
        if isinstance(instruction, Call) and called_effect(instruction) in (Effect.MEMCPY, Effect.MEMMOVE):
            copies.append(instruction)
        blurred |= _blurred(instruction, objects)
    for item, struct in objects.structs.items():
        if item in found:
            for part in struct.fields:
                content(item).include(_type_of(part))
    _spread(copies, objects, content)
    return Contents(
        found,
        objects,
        {item: list(known.values()) for item, known in cells.items()},
        frozenset(blurred),
        Strides(function, objects),
    )


_PRIVATE = (Storage.STACK, Storage.HEAP)


def _type_of(part: Field) -> Type:
    """Return the type of a field of a struct."""
    if part.llvm_type in ("float", "double"):
        return FloatType(part.llvm_type)
    return PTR if part.llvm_type == "ptr" else I64


def _spread(copies: Iterable[Call], objects: Objects, content: Callable[[MemoryObject], Content]) -> None:
    """Let what is copied hold the same on both sides."""
    changed = True
    while changed:
        changed = False
        for copy in copies:
            for target in objects.of(copy.arguments[0]):
                for source in objects.of(copy.arguments[1]):
                    changed |= content(target).merge(content(source))
                    changed |= content(source).merge(content(target))


def _is_wide(instruction: Instruction, type: Type) -> bool:
    """Whether `instruction` accesses more than a scalar of `type`."""
    return isinstance(instruction, Call) or isinstance(type, StructType | ArrayType | VectorType)


def _blurred(instruction: Instruction, objects: Objects) -> set[MemoryObject]:
    """Return the objects of which `instruction` accesses more than one place, or nobody knows which."""
    if not isinstance(instruction, Call):
        return set()
    effect = called_effect(instruction)
    if find_container_rule(instruction.callee_name or "") is not None:
        return objects.reachable(a for a in instruction.arguments if a.type.is_pointer)
    if effect in (Effect.MEMCPY, Effect.MEMMOVE):
        return {o for pointer in instruction.arguments[:2] for o in objects.of(pointer)}
    if effect in (Effect.UNKNOWN, Effect.LAPACK, Effect.REALLOCATION):
        return objects.reachable(a for a in instruction.arguments if a.type.is_pointer)
    return set()


def _finds_nothing(instruction: Instruction, item: MemoryObject, objects: Objects) -> bool:
    """Whether `instruction` would load a pointer from memory in which there is none.

    What follows a linked list may seem to load from what the list holds: objects have no fields.
    """
    if not isinstance(instruction, Load) or not instruction.type.is_pointer:
        return False
    own = item.storage in _PRIVATE and not objects.contents.get(item)
    return own or item in objects.flat


def _moved(instruction: Instruction) -> list[tuple[Value, Type]]:
    """Return the addresses and the types of what `instruction` reads or writes."""
    match instruction:
        case Load():
            return [(instruction.pointer, instruction.type)]
        case Store():
            return [(instruction.pointer, instruction.value.type)]
        case AtomicReadModifyWrite():
            return [(instruction.operands[0], instruction.type)]
        case Call() if called_effect(instruction) is Effect.BLAS:
            inputs, output = blas_pointers(instruction)
            type = blas_element(instruction)
            return [] if type is None else [(pointer, type) for pointer in (*inputs, output)]
        case _:
            return []


def blas_element(call: Call) -> FloatType | None:
    """Return the element type of a BLAS `call`, or None where it is not real."""
    routine = find_routine(call.callee_name or "")
    assert routine is not None
    kind = call.operands[routine.kind]
    name = KINDS.get(chr(kind.value & 0x7F)) if isinstance(kind, ConstantInt) else None
    return None if name is None else FloatType(name)
