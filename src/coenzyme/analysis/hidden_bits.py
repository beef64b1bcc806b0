"""Integers that may be the bits of floats or pointers, in memory of which no type is known.

C and LLVM code may move any data as integers: words of a struct, bytes in a loop, halves of a double. Where
nothing tells what an integer is, neither the front end (``!tbaa``) nor its use, it is taken for what lies
beside it: where that is active, moving the integer on has no derivative that could be known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from coenzyme.analysis.content import Contents
from coenzyme.analysis.objects import MemoryObject, Objects, Storage, is_described, is_internal_call
from coenzyme.ir.instructions import (
    Binary,
    Call,
    Cast,
    Freeze,
    Function,
    GetElementPtr,
    Instruction,
    Load,
    Phi,
    Return,
    Select,
    Store,
)
from coenzyme.ir.tbaa import Accessed, accessed
from coenzyme.ir.types import ArrayType, IntType, StructType, Type, VectorType
from coenzyme.ir.values import Argument, ConstantInt, Value

__all__ = ["HiddenBits", "is_bits", "is_float_moved"]

_PRIVATE = (Storage.STACK, Storage.HEAP)
_LARGEST_COUNT = 1 << 16
"""What is added to counts, and to neither the bits of a float nor, as a rule, an address."""
_ARITHMETIC = ("add", "sub", "mul")
_INTEGERS_ONLY = ("mul", "sdiv", "udiv", "srem", "urem")
_WIDTHS = ("sext", "zext", "trunc")


class HiddenBits:
    """The integers of one function that may be bits of something else.

    Parameters
    ----------
    instructions
        Those that are analysed.
    handed_on
        The objects that functions kept out of line get hold of.
    """

    def __init__(
        self,
        instructions: Collection[Instruction],
        objects: Objects,
        contents: Contents,
        handed_on: Collection[MemoryObject],
    ) -> None:
        self._objects = objects
        self._contents = contents
        self._handed_on = handed_on
        self._is_typed = any(accessed(i) is not None for i in instructions)
        """Whether the front end says what is an integer."""
        self._counts: dict[Value, bool] = {}

    def may_be_floats(
        self, load: Load, active: Collection[MemoryObject], filled: Collection[MemoryObject]
    ) -> bool:
        """Whether `load` reads an integer that may be bits of an active float, though nothing shows it.

        Parameters
        ----------
        active
            The memory in which active numbers may lie.
        filled
            The memory into which integers have been put that may be bits.
        """
        return self._is_doubtful(load) and any(
            item in active and (item in filled or self.is_open(item))
            for item in self._objects.of(load.pointer)
        )

    def is_open(self, item: MemoryObject) -> bool:
        """Whether there may be more in `item` than accesses show."""
        if is_described(item, self._objects) or item.storage is Storage.GLOBAL:
            return False
        return item.storage not in _PRIVATE or item in self._handed_on

    def may_be_pointers(self, load: Load, shadowed: Collection[MemoryObject]) -> bool:
        """Whether `load` reads an integer that may be an address in memory that has a shadow."""
        if not self._is_doubtful(load):
            return False
        for item in self._objects.of(load.pointer):
            if is_described(item, self._objects):
                continue
            held = self._objects.contents.get(item, ())
            if any(o in shadowed for o in held) and (
                item in self._handed_on
                or item in self._contents.blurred
                or self._contents.at(load.pointer).pointers
            ):
                return True
        return False

    def is_counted(self, value: Value) -> bool:
        """Whether `value`, or what it is merged with, is used as an integer, in a subscript for instance."""
        if value not in self._counts:
            self._counts[value] = self._finds_count(value)
        return self._counts[value]

    def _is_doubtful(self, load: Load) -> bool:
        if not is_bits(load.type) or self.is_counted(load):
            return False
        return accessed(load) is not Accessed.INTEGER or _becomes_float(load)

    def _finds_count(self, value: Value) -> bool:
        seen: set[Value] = set()
        pending = [value]
        while pending:
            item = pending.pop()
            if item in seen:
                continue
            seen.add(item)
            if any(self._counts_with(user, item) for user in item.users):
                return True
            pending += [u for u in item.users if isinstance(u, Phi | Select | Freeze) or u.opcode in _WIDTHS]
        return False

    def _counts_with(self, user: Instruction, value: Value) -> bool:
        match user:
            case GetElementPtr():
                return user.operands[0] is not value
            case Phi() | Select():
                return any(
                    isinstance(o, ConstantInt) and 0 < abs(o.value) < _LARGEST_COUNT for o in user.operands
                )
            case Binary() if user.opcode in _INTEGERS_ONLY:
                return True
            case Binary() if user.opcode in _ARITHMETIC:
                step = next((o for o in user.operands if isinstance(o, ConstantInt)), None)
                # Where integers are known by their types, the others may be anything.
                return not self._is_typed and step is not None and abs(step.value) < _LARGEST_COUNT
            case _:
                return user.opcode in ("sitofp", "uitofp")

    def leaves(self, value: Value) -> Instruction | None:
        """Return an instruction that takes `value`, or what is computed from it, out of sight.

        That is a store of what is no integer for certain, a return, or a call of a function that does it;
        None where there is none.
        """
        return _leaving(value, set(), self)

    def is_let_go(self, call: Call, value: Value) -> bool:
        """Whether a function of this module that is called with `value` lets it out of sight."""
        return is_internal_call(call) and any(_parameters(call, value, set(), self))


def is_bits(type: Type) -> bool:
    """Whether `type` is made of integers, which may be anything's bits."""
    match type:
        case IntType():
            return type.width > 1
        case VectorType() | ArrayType():
            return is_bits(type.element)
        case StructType():
            return any(is_bits(element) for element in type.elements)
        case _:
            return False


def _leaving(value: Value, seen: set[Value], bits: HiddenBits) -> Instruction | None:
    pending = [value]
    # What an address of this function's becomes is known here.
    casts = ("bitcast", "inttoptr") if isinstance(value, Argument) else ("bitcast",)
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        for user in item.users:
            match user:
                case Store():
                    if user.value is item and accessed(user) is not Accessed.INTEGER:
                        return user
                case Return():
                    return user
                case Call():
                    if is_internal_call(user) and any(_parameters(user, item, seen, bits)):
                        return user
                case Cast() if user.opcode in casts and not is_bits(user.type):
                    return user
                case _ if is_bits(user.type) and not _is_distance(user) and not bits.is_counted(user):
                    if not isinstance(user, Load):
                        pending.append(user)
                case _:
                    pass
    return None


def _is_distance(user: Instruction) -> bool:
    """Whether `user` is the difference of two addresses."""
    return user.opcode == "sub" and all(isinstance(o, Cast) and o.opcode == "ptrtoint" for o in user.operands)


def _becomes_float(load: Load) -> bool:
    """Whether what `load` reads is moved, as it is, into a float."""
    return any(
        isinstance(user, Cast) and user.opcode == "bitcast" and not is_bits(user.type)
        for member in _moved(load)
        for user in member.users
    )


def is_float_moved(value: Value) -> bool:
    """Whether `value` is, as they are, the bits of a float."""
    pending, seen = [value], set[Value]()
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, Cast) and item.opcode == "bitcast" and not is_bits(item.operands[0].type):
            return True
        if isinstance(item, Phi | Select | Freeze):
            pending += item.operands
    return False


def _moved(start: Value) -> set[Value]:
    """Return the values that `start` may be, as it is."""
    found, pending = set[Value](), [start]
    while pending:
        item = pending.pop()
        if item not in found:
            found.add(item)
            pending += [u for u in item.users if isinstance(u, Phi | Select | Freeze)]
    return found


def _parameters(call: Call, value: Value, seen: set[Value], bits: HiddenBits) -> Iterable[bool]:
    """Yield for each parameter that is `value` whether the function that is called lets it out of sight."""
    callee = call.callee
    assert isinstance(callee, Function)
    for actual, formal in zip(call.arguments, callee.arguments, strict=False):
        if actual is value:
            assert isinstance(formal, Argument)
            yield not bits.is_counted(formal) and _leaving(formal, seen, bits) is not None
