"""What lies in the blocks that ``memcpy`` and its kin move: floats, pointers and integers, by their offsets.

Sources, each about an offset in an object: the types of loads and stores, what the front end says of them
(``!tbaa``, ``!tbaa.struct``), and the types of stack variables and of structs that addresses are taken in.
Where they contradict each other, or say nothing, there is no layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import gcd

from coenzyme.analysis.objects import MemoryObject, Objects, Storage, called_effect, is_internal_call
from coenzyme.analysis.places import scaled, size_of, struct_offsets
from coenzyme.analysis.strides import Stride, Strides
from coenzyme.ir.instructions import Alloca, Call, Function, GetElementPtr, Instruction, Load, Store
from coenzyme.ir.tbaa import Accessed, accessed, members, read_note, write_note
from coenzyme.ir.types import F32, F64, PTR, ArrayType, FloatType, IntType, StructType, Type, VectorType
from coenzyme.ir.values import ConstantInt, Value
from coenzyme.rules import Effect
from coenzyme.rules.carrying import CARRY

__all__ = ["Layout", "Layouts"]

_MOST_LEAVES = 4096
_KEY = "coenzyme.layout"
_SCALARS: dict[str, Type] = {
    "double": F64,
    "float": F32,
    "x86_fp80": FloatType("x86_fp80"),
    "ptr": PTR,
}
_TYPES = {Accessed.DOUBLE: F64, Accessed.FLOAT: F32, Accessed.POINTER: PTR}


@dataclass(frozen=True)
class Layout:
    """What lies in each `step` bytes of a block.

    Attributes
    ----------
    fields
        Offsets, in order, with the types there: floats, pointers, integers.
    vague
        The offsets of integers that may be floats moved as such.
    is_private
        Whether what nobody is seen to access in the block is accessed by nobody.
    """

    step: int
    fields: tuple[tuple[int, Type], ...]
    vague: frozenset[int] = frozenset()
    is_private: bool = False

    @classmethod
    def attached_to(cls, call: Call) -> Layout | None:
        """Return the layout of what `call` moves or sets, if it has been found."""
        text = read_note(call, _KEY)
        if text is None:
            return None
        step, *parts = text.split()
        fields = [part.split(":") for part in parts]
        return cls(int(step), tuple((int(offset), _SCALARS[name]) for offset, name in fields))

    def attach_to(self, call: Call) -> None:
        """Let :meth:`attached_to` find this layout, which must not be vague; integers are left out."""
        fields = [f"{offset}:{type}" for offset, type in self.fields if str(type) in _SCALARS]
        write_note(call, _KEY, " ".join([str(self.step), *fields]))

    @property
    def only_type(self) -> Type | None:
        """The type, where the block is an array of one."""
        types = {type for _, type in self.fields}
        covered = sum(_size(type) for _, type in self.fields)
        return types.pop() if len(types) == 1 and covered == self.step else None


@dataclass(frozen=True)
class _Evidence:
    """That `type` lies at each of some places; None for the padding of a struct."""

    stride: Stride
    size: int
    type: Type | None
    is_certain: bool = True
    """Whether it is more than an integer in IR: LLVM moves other things as such, and unions may look so."""


class Layouts:
    """The layouts of the blocks that are moved in `function`."""

    def __init__(self, function: Function, objects: Objects) -> None:
        self._objects = objects
        self._strides = Strides(function, objects)
        self._evidence: dict[MemoryObject, list[_Evidence]] = {}
        self._moved: dict[MemoryObject, int] = {}
        self._handed_on: set[MemoryObject] = set()
        for instruction in function.instructions():
            self._note(instruction)

    def of(self, call: Call) -> Layout | None:
        """Return the layout of the block that `call` moves or sets, or None where it is not known."""
        said = accessed(call)
        if said in _TYPES and members(call) is None:
            return Layout(_size(_TYPES[said]), ((0, _TYPES[said]),))
        pointers = [call.operands[0]]
        if called_effect(call) is not Effect.MEMSET:
            pointers.append(call.operands[1])
        size = call.operands[2]
        found = [_shifted(e, s) for p in pointers for e, s in self._near(p)]
        # Of what is carried over, there may be less than is asked for: only a layout of elements serves.
        if isinstance(size, ConstantInt) and call.callee_name != CARRY:
            whole = self._arrange(found, size.value, call, exact=True)
            if whole is not None:
                return whole
        steps = [e.stride.step for e in found if e.stride.step]
        step = gcd(*steps) if steps else 0
        constant, stride = (size.value, 0) if isinstance(size, ConstantInt) else scaled(size)
        step = gcd(step, constant, stride)
        return self._arrange(found, step, call, exact=False) if step else None

    def _near(self, pointer: Value) -> Iterator[tuple[_Evidence, Stride]]:
        for item, stride in self._strides.of(pointer).items():
            for evidence in self._evidence.get(item, ()):
                yield evidence, stride

    def _arrange(self, found: Iterable[_Evidence], step: int, call: Call, *, exact: bool) -> Layout | None:
        """Return what the evidence says of `step` bytes; evidence is about offsets in the block."""
        cells: dict[int, set[Type]] = {}
        spread: dict[int, set[Type]] = {}
        vague: list[tuple[int, int]] = []
        padding: set[int] = set()
        if step > 8 * _MOST_LEAVES:
            return None
        for evidence in found:
            if evidence.stride.step == 0 and evidence.stride.offset < 0:
                continue  # in front of the block
            for offset in _places(evidence.stride, step, exact=exact):
                if evidence.type is None:
                    padding.update(range(offset, offset + evidence.size))
                elif not evidence.is_certain:
                    vague.append((offset, evidence.size))
                elif offset < 0 or offset + evidence.size > step:
                    if not exact:
                        return None
                else:
                    # What runs over an array runs, for all that is seen of it, over what lies beside it.
                    known = cells if exact and evidence.stride.step == 0 else spread
                    known.setdefault(offset, set()).add(evidence.type)
        covered: set[int] = set()
        fields: list[tuple[int, Type]] = []
        spread = _beside(spread, cells, padding, step)
        for offset, types in sorted([*cells.items(), *spread.items()]):
            type = next(iter(types))
            if len(types) > 1 or offset in covered:
                return None
            fields.append((offset, type))
            covered.update(range(offset, offset + _size(type)))
        doubtful: set[int] = set()
        for offset, size in sorted(vague):
            own = set(range(offset, offset + size))
            if own.isdisjoint(covered) and offset >= 0 and offset + size <= step and not own & padding:
                fields.append((offset, IntType(8 * size)))
                doubtful.add(offset)
                covered |= own
        seen = covered | padding
        is_private = self._is_private(call)
        if not fields or (not seen.issuperset(range(step)) and not is_private):
            return None
        fields.sort(key=lambda f: f[0])
        return Layout(step, tuple(fields), frozenset(doubtful), is_private)

    def _is_private(self, call: Call) -> bool:
        """Whether what nobody is seen to access in the block is accessed by nobody."""
        pointers = call.operands[:1] if called_effect(call) is Effect.MEMSET else call.operands[:2]
        return any(
            all(
                item.storage in (Storage.STACK, Storage.HEAP)
                and item not in self._handed_on
                and self._moved.get(item, 0) <= 1
                for item in self._objects.of(pointer)
            )
            for pointer in pointers
        )

    # -- evidence

    def _note(self, instruction: Instruction) -> None:
        match instruction:
            case Alloca():
                for item in self._objects.of(instruction):
                    for offset, type, size in _leaves(instruction.allocated_type):
                        self._add(item, _Evidence(Stride(offset, 0), size, type, not _is_integer(type)))
            case GetElementPtr() if isinstance(instruction.source_type, StructType | ArrayType):
                self._note_address(instruction)
            case Load():
                self._note_access(instruction, instruction.pointer, instruction.type)
            case Store():
                self._note_access(instruction, instruction.pointer, instruction.value.type)
            case Call() if called_effect(instruction) in (Effect.MEMCPY, Effect.MEMMOVE, Effect.MEMSET):
                self._note_transfer(instruction)
            case Call() if is_internal_call(instruction):
                reached = self._objects.reachable(a for a in instruction.arguments if a.type.is_pointer)
                self._handed_on |= reached
            case _:
                pass

    def _add(self, item: MemoryObject, evidence: _Evidence) -> None:
        self._evidence.setdefault(item, []).append(evidence)

    def _note_address(self, address: GetElementPtr) -> None:
        known = size_of(address.source_type)
        if known is None:
            return
        first = address.operands[1]
        constant, stride = scaled(first)
        leaves = list(_leaves(address.source_type))
        for item, base in self._strides.of(address.operands[0]).items():
            start = base.shift(constant * known[0], stride * known[0])
            for offset, type, size in leaves:
                self._add(item, _Evidence(start.shift(offset, 0), size, type, not _is_integer(type)))

    def _note_access(self, access: Load | Store, pointer: Value, type: Type) -> None:
        said = accessed(access)
        known = size_of(type)
        around = members(access) or []
        for item, stride in self._strides.of(pointer).items():
            for member in around:
                kind = _TYPES.get(member.type, IntType(8 * member.size))
                self._add(item, _Evidence(stride.shift(member.offset, 0), member.size, kind))
            if said in _TYPES:
                self._add(item, _Evidence(stride, _size(_TYPES[said]), _TYPES[said]))
            elif known is not None:
                for offset, leaf, size in _leaves(type):
                    certain = said is not None or not _is_integer(leaf)
                    self._add(item, _Evidence(stride.shift(offset, 0), size, leaf, certain))

    def _note_transfer(self, call: Call) -> None:
        pointers = call.operands[:1] if called_effect(call) is Effect.MEMSET else call.operands[:2]
        around = members(call)
        said = accessed(call)
        for pointer in pointers:
            for item, stride in self._strides.of(pointer).items():
                self._moved[item] = self._moved.get(item, 0) + (len(pointers) - 1)
                if said in _TYPES:
                    size = _size(_TYPES[said])
                    self._add(item, _Evidence(stride.shift(0, size), size, _TYPES[said]))
                for member in around or ():
                    kind = _TYPES.get(member.type, IntType(8 * member.size))
                    self._add(item, _Evidence(stride.shift(member.offset, 0), member.size, kind))


def _beside(
    spread: dict[int, set[Type]], cells: dict[int, set[Type]], padding: set[int], step: int
) -> dict[int, set[Type]]:
    """Return what of `spread` tells of places of which `cells` do not."""
    taken = {b for o, ts in cells.items() for b in range(o, o + max(_size(t) for t in ts))}
    if padding.union(taken).issuperset(range(step)):
        return {}  # what lies somewhere in memory of many types lies elsewhere
    return {o: ts for o, ts in spread.items() if o not in taken}


def _shifted(evidence: _Evidence, block: Stride) -> _Evidence:
    """Return `evidence` with offsets from the start of a block."""
    step = gcd(evidence.stride.step, block.step)
    offset = evidence.stride.offset - block.offset
    return _Evidence(
        Stride(offset % step if step else offset, step), evidence.size, evidence.type, evidence.is_certain
    )


def _places(stride: Stride, size: int, *, exact: bool) -> Iterable[int]:
    """Return the offsets in a block of `size` bytes, or in a period of that many, where `stride` may be."""
    if not exact:
        return (
            (stride.offset % size,)
            if stride.step == 0
            else range(stride.offset % stride.step, size, stride.step)
        )
    if stride.step == 0:
        return (stride.offset,) if 0 <= stride.offset < size else ()
    return range(stride.offset % stride.step, size, stride.step)


def _is_integer(type: Type | None) -> bool:
    return isinstance(type, IntType)


def _size(type: Type) -> int:
    known = size_of(type)
    assert known is not None
    return known[0]


def _leaves(type: Type, start: int = 0) -> Iterator[tuple[int, Type | None, int]]:
    """Return the scalars of `type` with their offsets and sizes, and the gaps of structs, of type None."""
    known = size_of(type)
    if known is None or known[0] > 8 * _MOST_LEAVES:
        return
    match type:
        case StructType():
            offsets = struct_offsets(type)
            end = 0
            for offset, element in zip(offsets, type.elements, strict=True):
                if offset > end:
                    yield start + end, None, offset - end
                yield from _leaves(element, start + offset)
                end = offset + _size(element)
            if known[0] > end:
                yield start + end, None, known[0] - end
        case ArrayType():
            inner = _size(type.element)
            if type.element == IntType(8):
                return  # characters, which may be anything
            for number in range(type.count):
                yield from _leaves(type.element, start + number * inner)
        case VectorType():
            return
        case _:
            if type != IntType(8):
                yield start, type, known[0]
