"""Typed lists and dictionaries, lowered so that their items are loaded and stored like those of arrays.

Numba reaches into a container by C functions that copy bytes. Our target asks the functions of
:mod:`coenzyme.rules.containers` about the structure only, and loads, stores, counts references to the items
itself, with their types in view. The layout in memory stays that of the C structures.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: basic, reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import RefType, impl_ret_borrowed, iternext_impl
from numba.extending import intrinsic
from numba.typed import dictobject, listobject
from numba.typed.dictobject import Status
from numba.typed.listobject import ListStatus
from numba.typed.typedobjectutils import _container_get_data, _get_equal, _get_incref_decref

__all__ = ["find_lowering"]

_PTR = cgutils.voidptr_t
_I64 = ir.IntType(64)
_I32 = ir.IntType(32)
_VOID = ir.VoidType()
_FAILED_COMPARISON = -3
"""What looking for a key returns where comparing keys has raised."""


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _bytes(builder: Any, pointer: Any) -> Any:
    return builder.bitcast(pointer, _PTR)


def _int(value: int) -> Any:
    return ir.Constant(_I64, value)


def _size_of(context: Any, kind: Any) -> int:
    return context.get_abi_sizeof(context.get_data_type(kind))


# --- items --------------------------------------------------------------------------------------------------


def _load(context: Any, builder: Any, kind: Any, address: Any) -> Any:
    """Return the item of a type at an address."""
    model = context.data_model_manager[kind]
    return model.load_from_data_pointer(builder, builder.bitcast(address, model.get_data_type().as_pointer()))


def _store(context: Any, builder: Any, kind: Any, item: Any, address: Any) -> None:
    """Put an item at an address, where nothing is."""
    data = context.data_model_manager[kind].as_data(builder, item)
    builder.store(data, builder.bitcast(address, data.type.as_pointer()))


def _replace(context: Any, builder: Any, kind: Any, item: Any, address: Any) -> None:
    """Put an item, with a reference of its own, in the place of another one."""
    old = _load(context, builder, kind, address) if _counts(context, kind) else None
    _store(context, builder, kind, item, address)
    context.nrt.incref(builder, kind, item)
    if old is not None:
        context.nrt.decref(builder, kind, old)


def _counts(context: Any, kind: Any) -> bool:
    return context.data_model_manager[kind].contains_nrt_meminfo()


def _optional(context: Any, builder: Any, kind: Any, found: Any, load: Callable[[], Any]) -> Any:
    """Return an optional value of a type, loaded where it was found."""
    slot = cgutils.alloca_once_value(builder, context.make_optional_none(builder, kind))
    with builder.if_then(found):
        builder.store(context.make_optional_value(builder, kind, load()), slot)
    return builder.load(slot)


def _methods(context: Any, builder: Any, kind: Any, name: str) -> list[Any]:
    """Return the functions that count references to an item given by address, null where there are none."""
    if not _counts(context, kind):
        return [_PTR(None), _PTR(None)]
    model = context.data_model_manager[kind]
    return [_bytes(builder, f) for f in _get_incref_decref(context, builder.module, model, name)]


# --- lists --------------------------------------------------------------------------------------------------


def _list_address(context: Any, builder: Any, kind: Any, pointer: Any, index: Any) -> Any:
    items = _call(builder, "coenzyme.list.items", _PTR, [pointer])
    offset = builder.mul(index, _int(_size_of(context, kind.item_type)))
    return cgutils.pointer_add(builder, items, offset)


def _list_size(builder: Any, pointer: Any) -> Any:
    return _call(builder, "coenzyme.list.size", _I64, [pointer])


def _if_mutable(builder: Any, pointer: Any, change: Callable[[], Any]) -> Any:
    """Return the status of a change, which is made where a list may be changed."""
    slot = cgutils.alloca_once_value(builder, ir.Constant(_I32, int(ListStatus.LIST_ERR_IMMUTABLE)))
    mutable = _call(builder, "coenzyme.list.mutable", _I32, [pointer])
    with builder.if_then(cgutils.is_not_null(builder, mutable)):
        status = change()
        builder.store(ir.Constant(_I32, 0) if status is None else status, slot)
    return builder.load(slot)


def _new_list(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    size = _int(_size_of(context, sig.args[0].instance_type))
    made = _call(builder, "coenzyme.list.new", _PTR, [size, args[1]])
    with cgutils.if_unlikely(builder, cgutils.is_null(builder, made)):
        context.call_conv.return_user_exc(builder, RuntimeError, ("Failed to allocate list",))
    return made


def _set_list_methods(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    methods = _methods(context, builder, sig.args[1].instance_type, "list")
    _call(builder, "coenzyme.list.methods", _VOID, [args[0], *methods])
    return context.get_dummy_value()


def _list_length(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return _list_size(builder, _container_get_data(context, builder, sig.args[0], args[0]))


def _list_capacity(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _container_get_data(context, builder, sig.args[0], args[0])
    return _call(builder, "coenzyme.list.capacity", _I64, [pointer])


def _list_is_mutable(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _container_get_data(context, builder, sig.args[0], args[0])
    return _call(builder, "coenzyme.list.mutable", _I32, [pointer])


def _freeze_list(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _container_get_data(context, builder, sig.args[0], args[0])
    mutable = context.cast(builder, args[1], sig.args[1], types.int32)
    _call(builder, "coenzyme.list.freeze", _VOID, [pointer, mutable])
    return context.get_dummy_value()


def _fix_index(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _container_get_data(context, builder, sig.args[0], args[0])
    index = args[1]
    negative = builder.icmp_signed("<", index, index.type(0))
    if index.type.width < _I64.width:
        index = builder.sext(index, _I64)
    return builder.select(negative, builder.add(index, _list_size(builder, pointer)), index)


def _get_item(*, borrowed: bool) -> Callable[..., Any]:
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _container_get_data(context, builder, sig.args[0], args[0])
        kind = sig.args[0].item_type
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        item = _load(context, builder, kind, _list_address(context, builder, sig.args[0], pointer, index))
        if not borrowed:
            context.nrt.incref(builder, kind, item)
        if not isinstance(kind, types.NoneType):
            item = context.make_optional_value(builder, kind, item)
        return context.make_tuple(builder, sig.return_type, [_I32(0), item])

    return lower


def _set_item(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    kind = sig.args[0]
    pointer = _container_get_data(context, builder, kind, args[0])

    def change() -> None:
        address = _list_address(context, builder, kind, pointer, args[1])
        _replace(context, builder, kind.item_type, args[2], address)

    return _if_mutable(builder, pointer, change)


def _append(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    kind = sig.args[0]
    pointer = _container_get_data(context, builder, kind, args[0])

    def change() -> Any:
        size = _list_size(builder, pointer)
        longer = builder.add(size, _int(1))
        room = _call(builder, "coenzyme.list.reserve", _PTR, [pointer, longer])
        none = cgutils.is_null(builder, room)
        with builder.if_then(builder.not_(none), likely=True):
            address = _list_address(context, builder, kind, pointer, size)
            _store(context, builder, kind.item_type, args[1], address)
            context.nrt.incref(builder, kind.item_type, args[1])
            _call(builder, "coenzyme.list.resize", _VOID, [pointer, longer])
        return builder.select(none, _I32(int(ListStatus.LIST_ERR_NO_MEMORY)), _I32(0))

    return _if_mutable(builder, pointer, change)


@intrinsic
def _drop(typing_context: Any, lst: Any, index: Any) -> Any:
    """Give up the reference that a list holds to an item."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.args[0]
        if _counts(context, kind.item_type):
            pointer = _container_get_data(context, builder, kind, args[0])
            address = _list_address(context, builder, kind, pointer, args[1])
            context.nrt.decref(builder, kind.item_type, _load(context, builder, kind.item_type, address))
        return context.get_dummy_value()

    return types.void(lst, types.intp), generate


@intrinsic
def _move(typing_context: Any, lst: Any, target: Any, source: Any) -> Any:
    """Move an item, with the reference to it, from one index to another."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.args[0]
        pointer = _container_get_data(context, builder, kind, args[0])
        to, start = (_list_address(context, builder, kind, pointer, index) for index in args[1:])
        item = _load(context, builder, kind.item_type, start)
        _store(context, builder, kind.item_type, item, to)
        return context.get_dummy_value()

    return types.void(lst, types.intp, types.intp), generate


@intrinsic
def _resize(typing_context: Any, lst: Any, size: Any) -> Any:
    """Set the length of a list."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _container_get_data(context, builder, sig.args[0], args[0])
        _call(builder, "coenzyme.list.resize", _VOID, [pointer, args[1]])
        return context.get_dummy_value()

    return types.void(lst, types.intp), generate


def _delete_items(lst, start, stop, step):
    if not lst._is_mutable():
        return ListStatus.LIST_ERR_IMMUTABLE
    size = len(lst)
    if step < 0:
        # the same items, from the first to the last
        last = start
        count = max((start - stop - step - 1) // -step, 0)
        start, stop, step = last + (count - 1) * step, last + 1, -step
        if count == 0:
            return ListStatus.LIST_OK
    kept = max(start, 0)
    for index in range(kept, size):
        if index < stop and (index - start) % step == 0:
            _drop(lst, index)
        else:
            _move(lst, kept, index)
            kept += 1
    _resize(lst, min(kept, size))
    return ListStatus.LIST_OK


def _delete_item(lst, index):
    if not lst._is_mutable():
        return ListStatus.LIST_ERR_IMMUTABLE
    _drop(lst, index)
    last = len(lst) - 1
    for place in range(index, last):
        _move(lst, place, place + 1)
    _resize(lst, last)
    return ListStatus.LIST_OK


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a lowering that compiles a Python function."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        indices = [types.intp] * (len(args) - 1)
        given = [context.cast(builder, a, k, types.intp) for a, k in zip(args[1:], sig.args[1:], strict=True)]
        inner = types.int64(sig.args[0], *indices)
        status = context.compile_internal(builder, function, inner, [args[0], *given])
        return context.cast(builder, status, types.int64, sig.return_type)

    return lower


@iternext_impl(RefType.BORROWED)
def _next_of_list(context: Any, builder: Any, sig: Any, args: Any, result: Any) -> None:
    iterator = context.make_helper(builder, sig.args[0], args[0])
    kind = sig.args[0].parent
    pointer = _container_get_data(context, builder, kind, iterator.parent)
    index, size = builder.load(iterator.index), _list_size(builder, pointer)
    with builder.if_then(builder.icmp_signed("!=", iterator.size, size), likely=False):
        message = ("list was mutated during iteration",)
        context.call_conv.return_user_exc(builder, RuntimeError, message)
    valid = builder.icmp_signed("<", index, size)
    result.set_valid(valid)
    with builder.if_then(valid):
        address = _list_address(context, builder, kind, pointer, index)
        result.yield_(_load(context, builder, kind.item_type, address))
        builder.store(builder.add(index, _int(1)), iterator.index)


# --- dictionaries -------------------------------------------------------------------------------------------


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _value_address(context: Any, builder: Any, kind: Any, pointer: Any, index: Any) -> Any:
    key = _aligned(_size_of(context, kind.key_type))
    value = _aligned(_size_of(context, kind.value_type))
    entries = _call(builder, "coenzyme.dict.entries", _PTR, [pointer])
    offset = builder.add(builder.mul(index, _int(8 + key + value)), _int(8 + key))
    return cgutils.pointer_add(builder, entries, offset)


def _key_bytes(context: Any, builder: Any, kind: Any, key: Any) -> Any:
    """Return where the bytes of a key are, padding cleared: keys are compared as bytes."""
    slot = cgutils.alloca_once_value(builder, context.data_model_manager[kind].as_data(builder, key))
    cgutils.memset_padding(builder, slot)
    return _bytes(builder, slot)


def _key_at(context: Any, builder: Any, kind: Any, pointer: Any, index: Any) -> Any:
    slot = cgutils.alloca_once(builder, context.get_data_type(kind.key_type))
    _call(builder, "coenzyme.dict.key", _VOID, [pointer, index, _bytes(builder, slot)])
    return _load(context, builder, kind.key_type, slot)


def _value_at(context: Any, builder: Any, kind: Any, pointer: Any, index: Any) -> Any:
    address = _value_address(context, builder, kind, pointer, index)
    return _load(context, builder, kind.value_type, address)


def _new_dict(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    count = context.cast(builder, args[0], sig.args[0], types.intp)
    sizes = [_int(_size_of(context, kind.instance_type)) for kind in sig.args[1:]]
    made = _call(builder, "coenzyme.dict.new", _PTR, [count, *sizes])
    with cgutils.if_unlikely(builder, cgutils.is_null(builder, made)):
        context.call_conv.return_user_exc(builder, RuntimeError, ("Failed to allocate dictionary",))
    return made


def _set_dict_methods(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    key, value = (kind.instance_type for kind in sig.args[1:])
    equal: Any = _PTR(None)
    if _counts(context, key):
        model = context.data_model_manager[key]
        equal = _bytes(builder, _get_equal(context, builder.module, model, "dict_key"))
    methods = [
        equal,
        *_methods(context, builder, key, "dict_key"),
        *_methods(context, builder, value, "dict_value"),
    ]
    _call(builder, "coenzyme.dict.methods", _VOID, [args[0], *methods])
    return context.get_dummy_value()


def _dict_length(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _container_get_data(context, builder, sig.args[0], args[0])
    return _call(builder, "coenzyme.dict.size", _I64, [pointer])


def _insert(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    kind, (container, key, hashed, value) = sig.args[0], args
    pointer = _container_get_data(context, builder, kind, container)
    slot = cgutils.alloca_once_value(builder, _I32(int(Status.ERR_NO_MEMORY)))
    room = _call(builder, "coenzyme.dict.reserve", _PTR, [pointer])
    with builder.if_then(cgutils.is_not_null(builder, room), likely=True):
        key_bytes = _key_bytes(context, builder, sig.args[1], key)
        index = _call(builder, "coenzyme.dict.insert", _I64, [pointer, key_bytes, hashed])
        there = builder.icmp_signed(">=", index, _int(0))
        builder.store(builder.select(there, _I32(0), _I32(int(Status.ERR_CMP_FAILED))), slot)
        with builder.if_then(there, likely=True):
            address = _value_address(context, builder, kind, pointer, index)
            _replace(context, builder, kind.value_type, value, address)
    return builder.load(slot)


def _lookup(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    kind = sig.args[0]
    pointer = _container_get_data(context, builder, kind, args[0])
    key_bytes = _key_bytes(context, builder, sig.args[1], args[1])
    index = _call(builder, "coenzyme.dict.find", _I64, [pointer, key_bytes, args[2]])

    def load() -> Any:
        value = _value_at(context, builder, kind, pointer, index)
        context.nrt.incref(builder, kind.value_type, value)
        return value

    found = builder.icmp_signed(">=", index, _int(0))
    value = _optional(context, builder, kind.value_type, found, load)
    return context.make_tuple(builder, sig.return_type, [index, value])


def _delete_key(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _container_get_data(context, builder, sig.args[0], args[0])
    hashed = context.cast(builder, args[1], sig.args[1], types.intp)
    _call(builder, "coenzyme.dict.remove", _VOID, [pointer, hashed, args[2]])
    return _I32(int(Status.OK))


def _pop_item(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    kind = sig.args[0]
    pointer = _container_get_data(context, builder, kind, args[0])
    index = _call(builder, "coenzyme.dict.last", _I64, [pointer])
    found = builder.icmp_signed(">=", index, _int(0))
    pair = types.Tuple([kind.key_type, kind.value_type])

    def take() -> Any:
        key = _key_at(context, builder, kind, pointer, index)
        value = _value_at(context, builder, kind, pointer, index)
        both = context.make_tuple(builder, pair, [key, value])
        context.nrt.incref(builder, pair, both)
        hashed = _call(builder, "coenzyme.dict.hash", _I64, [pointer, index])
        _call(builder, "coenzyme.dict.remove", _VOID, [pointer, hashed, index])
        return both

    taken = _optional(context, builder, pair, found, take)
    status = builder.select(found, _I32(int(Status.OK)), _I32(int(Status.ERR_DICT_EMPTY)))
    return cgutils.pack_struct(builder, [status, taken])


def _start_dict(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Make an iterator; its state is the number of the next entry, and the length at the start."""
    given = sig.args[0]
    if isinstance(given, types.DictType):
        kind, container = given, args[0]
        iterator = context.make_helper(builder, sig.return_type)
        iterator.parent = container
    else:
        kind = given.parent
        iterator = context.make_helper(builder, sig.return_type, args[0])
    pointer = _container_get_data(context, builder, kind, iterator.parent)
    state = cgutils.alloca_once(builder, ir.ArrayType(_I64, 2))
    builder.store(_int(0), cgutils.gep_inbounds(builder, state, 0, 0))
    length = _call(builder, "coenzyme.dict.size", _I64, [pointer])
    builder.store(length, cgutils.gep_inbounds(builder, state, 0, 1))
    iterator.state = _bytes(builder, state)
    return impl_ret_borrowed(context, builder, sig.return_type, iterator._getvalue())


@iternext_impl(RefType.BORROWED)
def _next_of_dict(context: Any, builder: Any, sig: Any, args: Any, result: Any) -> None:
    iterator = context.make_helper(builder, sig.args[0], args[0])
    kind = sig.args[0].parent
    pointer = _container_get_data(context, builder, kind, iterator.parent)
    state = builder.bitcast(iterator.state, ir.ArrayType(_I64, 2).as_pointer())
    place = cgutils.gep_inbounds(builder, state, 0, 0)
    # As Numba has it, a dictionary whose length has changed ends the iteration.
    before = builder.load(cgutils.gep_inbounds(builder, state, 0, 1))
    same = builder.icmp_signed("==", before, _call(builder, "coenzyme.dict.size", _I64, [pointer]))
    index = _call(builder, "coenzyme.dict.next", _I64, [pointer, builder.load(place)])
    valid = builder.and_(same, builder.icmp_signed(">=", index, _int(0)))
    result.set_valid(valid)
    with builder.if_then(valid):
        builder.store(builder.add(index, _int(1)), place)
        wanted = sig.args[0].iterable
        if isinstance(wanted, types.DictValuesIterableType):
            result.yield_(_value_at(context, builder, kind, pointer, index))
            return
        key = _key_at(context, builder, kind, pointer, index)
        if isinstance(wanted, types.DictKeysIterableType):
            result.yield_(key)
            return
        value = _value_at(context, builder, kind, pointer, index)
        result.yield_(context.make_tuple(builder, sig.args[0].yield_type, [key, value]))


# --- what stands for what -----------------------------------------------------------------------------------

_LOWERINGS: dict[Any, Callable[..., Any]] = {
    listobject._list_new: _new_list,
    listobject._list_set_method_table: _set_list_methods,
    listobject._list_length: _list_length,
    listobject._list_allocated: _list_capacity,
    listobject._list_is_mutable: _list_is_mutable,
    listobject._list_set_is_mutable: _freeze_list,
    listobject._list_append: _append,
    listobject.fix_index: _fix_index,
    listobject._list_getitem: _get_item(borrowed=False),
    listobject._list_getitem_borrowed: _get_item(borrowed=True),
    listobject._list_setitem: _set_item,
    listobject._list_delitem: _compiled(_delete_item),
    listobject._list_delete_slice: _compiled(_delete_items),
    dictobject._dict_new_sized: _new_dict,
    dictobject._dict_set_method_table: _set_dict_methods,
    dictobject._dict_length: _dict_length,
    dictobject._dict_insert: _insert,
    dictobject._dict_lookup: _lookup,
    dictobject._dict_delitem: _delete_key,
    dictobject._dict_popitem: _pop_item,
}
_OPERATIONS: tuple[tuple[str, Any, Callable[..., Any]], ...] = (
    ("iternext", types.ListTypeIteratorType, _next_of_list),
    ("iternext", types.DictIteratorType, _next_of_dict),
    ("getiter", types.DictItemsIterableType, _start_dict),
    ("getiter", types.DictKeysIterableType, _start_dict),
    ("getiter", types.DictValuesIterableType, _start_dict),
    ("getiter", types.DictType, _start_dict),
)


def find_lowering(function: Any, signature: Any) -> Callable[..., Any] | None:
    """Return how our target lowers a function of typed containers, None where it is none of them."""
    if isinstance(function, str):
        for name, kind, lower in _OPERATIONS:
            if function == name and isinstance(signature.args[0], kind):
                return lower
        return None
    key = getattr(function, "typing_key", None)
    try:
        return _LOWERINGS.get(key)
    except TypeError:  # what cannot be a key is none of them
        return None
