"""Objects and dictionaries whose numbers a function assigns to: ``state.count += 1``.

Compiled code has the numbers in memory, an array without dimensions for each. Assignments are writes to it,
with the derivatives that writes to arrays have, and what it holds after the call goes back into the object.
"""

# Numba's own annotations are partial, and wrong about the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from __future__ import annotations

import dis
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import numba
from numba.core import cgutils, ir, types
from numba.core.dispatcher import Dispatcher
from numba.core.imputils import impl_ret_borrowed, lower_getattr_generic, lower_setattr_generic
from numba.core.rewrites.registry import Rewrite, register_rewrite
from numba.core.typeconv.castgraph import Conversion
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, lower_builtin, models, register_model
from numba.np.arrayobj import load_item, make_array, store_item

from coenzyme.api.functions import NumbaCallable
from coenzyme.api.source import implements
from coenzyme.errors import UnsupportedIRError

__all__ = ["Assigned", "assigned_in", "make_state", "state_maker"]


# --- what a function assigns to -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Assigned:
    """What a function, or one that it mentions, may assign to.

    Parameters
    ----------
    attributes
        Names of attributes.
    keys
        Texts that may be keys of items.
    """

    attributes: frozenset[str]
    keys: frozenset[str]


def assigned_in(function: Any) -> Assigned:
    """Return what a function, and those that it mentions, may assign to."""
    attributes: set[str] = set()
    keys: set[str] = set()
    for code in _codes(function):
        operations = list(dis.get_instructions(code))
        attributes |= {str(i.argval) for i in operations if i.opname == "STORE_ATTR"}
        if any(i.opname == "STORE_SUBSCR" for i in operations):
            keys |= {constant for constant in code.co_consts if isinstance(constant, str)}
    return Assigned(frozenset(attributes), frozenset(keys))


def _codes(function: Any) -> Iterator[CodeType]:
    """Yield the code of a function, and of all functions that it leads to by name."""
    seen: set[int] = set()
    pending: list[Any] = [function]
    while pending:
        found = pending.pop()
        if isinstance(found, NumbaCallable):
            found = found.dispatcher
        if not isinstance(found, Dispatcher) or id(found.py_func) in seen:
            continue
        found = cast(FunctionType, found.py_func)
        seen.add(id(found))
        codes = [found.__code__]
        while codes:
            code = codes.pop()
            yield code
            codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
            named = [found.__globals__[name] for name in code.co_names if name in found.__globals__]
            pending += named
            for module in named:
                if isinstance(module, ModuleType):
                    pending += [vars(module).get(name) for name in code.co_names]
        for cell in found.__closure__ or ():
            try:
                pending.append(cell.cell_contents)
            except ValueError:  # a cell that is still empty
                continue


# --- in compiled code ---------------------------------------------------------------------------------------


class StateType(types.NamedTuple):
    """The Numba type of what stands for an object or a dictionary whose numbers are assigned to.

    Parameters
    ----------
    parts
        The types of its parts, cells among them.
    instance_class
        The class of named tuples with its names.
    cells
        The names, or keys, of the parts that are cells.
    keys
        The keys of a dictionary; None for an object.
    """

    def __init__(
        self, parts: Any, instance_class: Any, cells: frozenset[str], keys: tuple[str, ...] | None
    ) -> None:
        super().__init__(parts, instance_class)
        self.cells, self.keys = cells, keys
        self.labels: tuple[str, ...] = keys or tuple(self.fields)
        self.name = f"State({instance_class.__name__}{sorted(cells)}{self.name})"

    @property
    def key(self) -> Any:
        """What equal types share."""
        return super().key, self.cells, self.keys

    def type_of(self, label: str) -> Any:
        """Return the type of the part that code sees under a label."""
        part = self.types[self.labels.index(label)]
        return part.dtype if label in self.cells else part


register_model(StateType)(models.TupleModel)


class StateMaker:
    """Makes what stands for an object or a dictionary from its parts."""

    def __init__(self, kind: Any, cells: frozenset[str], keys: tuple[str, ...] | None) -> None:
        self.kind, self.cells, self.keys = kind, cells, keys


class _MakerType(types.Opaque):
    def __init__(self, maker: StateMaker) -> None:
        self.maker = maker
        super().__init__(f"coenzyme.StateMaker({id(maker)})")


register_model(_MakerType)(models.OpaqueModel)


@numba.extending.typeof_impl.register(StateMaker)
def _type_of_maker(maker: StateMaker, context: Any) -> _MakerType:
    return _MakerType(maker)


@numba.core.imputils.lower_constant(_MakerType)
def _constant_maker(context: Any, builder: Any, kind: Any, maker: Any) -> Any:
    return context.get_dummy_value()


_makers: dict[Any, StateMaker] = {}


def state_maker(kind: Any, cells: frozenset[str], keys: tuple[str, ...] | None) -> StateMaker:
    """Return what `make_state` takes: one for equal arguments."""
    return _makers.setdefault((kind, cells, keys), StateMaker(kind, cells, keys))


@intrinsic
def make_state(typing_context: Any, maker: Any, parts: Any) -> Any:
    """Return what stands for an object, from its parts in a temporary tuple."""
    how = maker.maker
    state = StateType([types.unliteral(part) for part in parts.types], how.kind, how.cells, how.keys)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = [
            context.cast(builder, value, given, wanted)
            for value, given, wanted in zip(
                cgutils.unpack_tuple(builder, args[1]), parts.types, state.types, strict=True
            )
        ]
        return impl_ret_borrowed(context, builder, state, context.make_tuple(builder, state, values))

    return state(maker, parts), generate


@infer_getattr
class _StateAttributes(AttributeTemplate):
    key = StateType

    def generic_resolve(self, state: StateType, attr: str) -> Any:
        if state.keys is None and attr in state.labels:
            return state.type_of(attr)
        return None


def _read(context: Any, builder: Any, state: StateType, value: Any, label: str) -> Any:
    index = state.labels.index(label)
    kind = state.types[index]
    part = builder.extract_value(value, index)
    if label not in state.cells:
        return impl_ret_borrowed(context, builder, kind, part)
    return load_item(context, builder, kind, make_array(kind)(context, builder, part).data)


def _write(context: Any, builder: Any, state: StateType, value: Any, label: str, new: Any) -> None:
    index = state.labels.index(label)
    kind = state.types[index]
    cell = make_array(kind)(context, builder, builder.extract_value(value, index))
    store_item(context, builder, kind, new, cell.data)


@lower_getattr_generic(StateType)
def _get_attribute(context: Any, builder: Any, state: Any, value: Any, attr: str) -> Any:
    return _read(context, builder, state, value, attr)


@lower_setattr_generic(StateType)
def _set_attribute(context: Any, builder: Any, signature: Any, args: Any, attr: str) -> None:
    _write(context, builder, signature.args[0], args[0], attr, args[1])


@register_rewrite("after-inference")
class _CheckAssignments(Rewrite):
    """Refuses assignments that would change what a field holds: Numba's own would convert it."""

    def match(self, func_ir: Any, block: Any, typemap: Any, calltypes: Any) -> Any:
        """Raise for such assignments; nothing is rewritten."""
        for instruction in block.find_insts(ir.SetAttr):
            state = typemap[instruction.target.name]
            if isinstance(state, StateType):
                _check_assignment(state, instruction.attr, typemap[instruction.value.name])
            elif hasattr(getattr(state, "instance_class", None), "coenzyme_record"):
                raise UnsupportedIRError(
                    f"the function assigns to {instruction.attr!r} of a {state.instance_class.__name__}, "
                    "whose fields cannot be assigned to",
                    argument=instruction.attr,
                    remedy="return the new value; or make it an object whose fields are there and can change",
                )
        return False


def _check_assignment(state: StateType, label: str, given: Any) -> None:
    if label not in state.cells:
        raise UnsupportedIRError(
            f"the function assigns to {label!r}, which is no number: only numbers can be replaced",
            argument=label,
            remedy="write into the array, with x[...] = value; or return the new value",
        )
    held = state.type_of(label)
    allowed = (Conversion.exact, Conversion.promote, Conversion.safe)
    if numba.core.registry.cpu_target.typing_context.can_convert(types.unliteral(given), held) not in allowed:
        raise UnsupportedIRError(
            f"the function assigns a value of type {types.unliteral(given)} to {label!r}, which holds {held}",
            argument=label,
            remedy=f"let {label} begin as a value of the type it becomes, such as 0.0 for 0",
        )


@intrinsic(prefer_literal=True)
def _read_item(typing_context: Any, state: Any, key: Any) -> Any:
    label = key.literal_value
    found = state.type_of(label)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _read(context, builder, state, args[0], label)

    return found(state, key), generate


@intrinsic(prefer_literal=True)
def _write_item(typing_context: Any, state: Any, key: Any, value: Any) -> Any:
    label = key.literal_value
    held = state.type_of(label)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        new = context.cast(builder, args[2], signature.args[2], held)
        _write(context, builder, state, args[0], label, new)
        return context.get_dummy_value()

    return types.none(state, key, value), generate


# Intrinsics: they take one parameter less than their definitions.
_item_of_state: Any = _read_item
_put_item: Any = _write_item


@lower_builtin(operator.getitem, types.Buffer, types.EllipsisType)
def _whole_array(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Lower ``x[...]``, which ``x[...] -= step`` reads: Numba types it, and no more."""
    return impl_ret_borrowed(context, builder, signature.return_type, args[0])


@implements(operator.getitem, prefer_literal=True)
def _get_item(state: Any, key: Any) -> Callable[..., Any] | None:
    if not isinstance(state, StateType) or state.keys is None or not isinstance(key, types.StringLiteral):
        return None
    if key.literal_value not in state.labels:
        return None
    return lambda state, key: _item_of_state(state, key)  # noqa: PLW0108 - Numba wants a function


@implements(operator.contains, prefer_literal=True)
def _contains(state: Any, key: Any) -> Callable[..., Any] | None:
    if not isinstance(state, StateType) or state.keys is None or not isinstance(key, types.StringLiteral):
        return None
    found = key.literal_value in state.labels
    return lambda state, key: found


@implements(operator.setitem, prefer_literal=True)
def _set_item(state: Any, key: Any, value: Any) -> Callable[..., Any] | None:
    if not isinstance(state, StateType) or state.keys is None or not isinstance(key, types.StringLiteral):
        return None
    label = key.literal_value
    if label not in state.labels:
        raise UnsupportedIRError(
            f"the function adds {label!r} to a dictionary",
            argument=label,
            remedy="let the key be there before the call",
        )
    _check_assignment(state, label, value)
    return lambda state, key, value: _put_item(state, key, value)  # noqa: PLW0108 - as above
