"""What pointers in global variables lead to when a derivative begins.

The shadows of variables begin with the shadows of what the pointers lead to when the program starts. A
pointer that the program has changed since leads to memory without a shadow. Where it may be read before it is
written, the derivative looks first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coenzyme.analysis.objects import called_effect, holds_pointers, is_internal_call
from coenzyme.analysis.places import constant_offset, size_of, struct_offsets
from coenzyme.errors import UnsupportedIRError
from coenzyme.ir.builder import Builder, const_int
from coenzyme.ir.dominators import Dominators
from coenzyme.ir.instructions import (
    Call,
    Cast,
    Freeze,
    Function,
    GetElementPtr,
    GlobalVariable,
    Instruction,
    Load,
    Module,
    Phi,
    Select,
    Store,
)
from coenzyme.ir.tbaa import Accessed, accessed
from coenzyme.ir.types import I1, I8, I32, I64, PTR, ArrayType, FunctionType, StructType, Type
from coenzyme.ir.values import Value
from coenzyme.rules import Effect

__all__ = ["are_initial", "may_be_read_first"]

_MOST = 64
"""How many pointers of one variable are looked at one by one."""


def may_be_read_first(functions: Sequence[Function], parameters: Sequence[Value]) -> bool:
    """Return whether pointers behind parameters, one of each function, may be read before they are written.

    Parameters
    ----------
    functions
        The one that is called first, then those that it calls.
    """
    entry, *others = functions
    if any(_accesses(p) for f, p in zip(others, parameters[1:], strict=True) if f is not entry):
        return True
    dominators = Dominators(entry)
    found = _accesses(parameters[0])
    written = [(i, place) for i, place in found if isinstance(i, Store) and place is not None]
    return any(
        not any(place == other and dominators.dominates_instruction(store, i) for store, other in written)
        for i, place in found
        if not isinstance(i, Store)
    )


def _accesses(pointer: Value) -> list[tuple[Instruction, int | None]]:
    """Return what reads or writes pointers behind `pointer`, and how far behind it, where that is known."""
    found: list[tuple[Instruction, int | None]] = []
    pending: list[tuple[Value, int | None]] = [(pointer, 0)]
    seen: set[Value] = set()
    while pending:
        value, place = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        for user in value.users:
            match user:
                case GetElementPtr() if user.operands[0] is value:
                    offset = constant_offset(user)
                    pending.append((user, None if place is None or offset is None else place + offset))
                case Cast() | Freeze():
                    pending.append((user, place))
                case Load():
                    if holds_pointers(user.type) and not _leads_to_integers(user):
                        found.append((user, place))
                case Store():
                    if user.value.type.is_pointer:
                        found.append((user, place if user.pointer is value else None))
                case Call():
                    # What functions kept out of line do is looked at in them.
                    if called_effect(user) is not Effect.INACTIVE and not is_internal_call(user):
                        found.append((user, None))
                case _ if user.opcode == "icmp":
                    pass
                case _:
                    found.append((user, None))
    return found


def _leads_to_integers(loaded: Load) -> bool:
    """Whether nothing but integers is read and written behind a pointer, or it is only compared."""
    pending: list[Value] = [loaded]
    seen: set[Value] = set()
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        for user in value.users:
            match user:
                case GetElementPtr() | Cast() | Freeze() | Phi() | Select():
                    pending.append(user)
                case Load() if user.type.is_int and accessed(user) is Accessed.INTEGER:
                    pass
                case Store() if user.value is not value and accessed(user) is Accessed.INTEGER:
                    pass
                case Call() if called_effect(user) is Effect.INACTIVE:
                    pass
                case _ if user.opcode == "icmp":
                    pass
                case _:
                    return False
    return True


def are_initial(
    module: Module, at: Builder, variable: GlobalVariable, type: Type, initial: str
) -> Value | None:
    """Emit whether the pointers in `variable` are what they are at first; return None where there are none.

    Parameters
    ----------
    type, initial
        Of the variable its type, and its initial value as text.
    """
    if not holds_pointers(type):
        return None
    model = GlobalVariable(f"{variable.name}.at.first", f"linkonce_odr constant {type} {initial}, align 16")
    module.globals.setdefault(model.name, model)
    model = module.globals[model.name]
    size = size_of(type)
    if isinstance(type, ArrayType) and type.element == PTR and size is not None:
        compare = module.declare("memcmp", FunctionType(I32, (PTR, PTR, I64)))
        return at.icmp("eq", at.call(compare, [variable, model, const_int(I64, size[0])]), const_int(I32, 0))
    places = list(_places(type, 0))
    if size is None or len(places) > _MOST:
        raise UnsupportedIRError(
            "a global variable with so many pointers is read",
            operation=f"the global variable {variable.name}",
            remedy="pass the function a pointer to the memory, and a shadow of it",
        )
    result: Value = const_int(I1, 1)
    for place in places:
        ours, first = (
            at.load(PTR, at.gep(I8, where, [const_int(I64, place)])) for where in (variable, model)
        )
        result = at.and_(result, at.icmp("eq", ours, first))
    return result


def _places(type: Type, offset: int) -> Iterator[int]:
    """Yield where the pointers in a value of `type` are."""
    match type:
        case StructType():
            for place, element in zip(struct_offsets(type), type.elements, strict=True):
                yield from _places(element, offset + place)
        case ArrayType():
            size = size_of(type.element)
            for number in range(type.count if holds_pointers(type.element) and size is not None else 0):
                assert size is not None
                yield from _places(type.element, offset + number * size[0])
        case _:
            if type.is_pointer:
                yield offset
