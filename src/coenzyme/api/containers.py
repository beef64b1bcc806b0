"""Typed containers as arguments: which are differentiated, zero shadows, what calls take out of them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core import types
from numba.typed.typeddict import Dict
from numba.typed.typedlist import List

from coenzyme.errors import UnsupportedIRError

__all__ = [
    "address",
    "check_items",
    "clear_room",
    "hashes",
    "hold",
    "is_container",
    "is_container_type",
    "item_type",
    "items",
    "type_of",
    "watch",
    "zeros_in",
]

Array: TypeAlias = npt.NDArray[Any]

_WIDTHS = (32, 64)
_LIST = 7
_TABLE = 12
"""Words before the slots of a dictionary's table: counts and sizes, then five methods."""


def is_container_type(kind: types.Type) -> bool:
    """Return whether a Numba type is that of a typed list or dictionary."""
    return isinstance(kind, (types.ListType, types.DictType))


def is_container(x: object) -> bool:
    """Return whether a value is a typed list or dictionary."""
    return isinstance(x, (List, Dict))


def check_items(kind: types.Type) -> str | None:
    """Return what about the items of a container type is not differentiated, None if nothing is."""
    if isinstance(kind, types.ListType):
        return check_items(cast(Any, kind).item_type)
    if isinstance(kind, types.DictType):
        return check_items(cast(Any, kind).value_type)
    if isinstance(kind, types.BaseTuple):
        problems = (check_items(part) for part in cast(Any, kind).types)
        return next((problem for problem in problems if problem is not None), None)
    if isinstance(kind, types.Array):
        inner = kind.dtype
        plain = isinstance(inner, (types.Integer, types.Boolean))
        return None if kind.aligned and (plain or _is_float(inner)) else f"its items hold {kind}"
    plain = isinstance(kind, (types.Integer, types.Boolean, types.UnicodeType, types.NoneType))
    return None if plain or _is_float(kind) else f"its items hold {kind}"


def _is_float(kind: types.Type) -> bool:
    if isinstance(kind, types.Complex):
        return True
    return isinstance(kind, types.Float) and kind.bitwidth in _WIDTHS


# --- what is in a container ---------------------------------------------------------------------------------


def items(x: Any) -> list[Any]:
    """Return the items of a list, or the values of a dictionary."""
    return list(x.values()) if isinstance(x, Dict) else list(x)


def address(x: Any) -> int:
    """Return an address that two containers share only if they are one."""
    return int(x._opaque.data)


def _table(x: Any) -> tuple[int, Any]:
    """Return the address of the first entry of a dictionary, and the words of its table: counts, sizes, …."""
    body = ctypes.c_void_p.from_address(address(x)).value
    assert body is not None
    table = (ctypes.c_int64 * 2).from_address(body)[1]
    words = (ctypes.c_int64 * _TABLE).from_address(table)
    return table + 8 * _TABLE + words[6], words


def hashes(x: Any) -> tuple[int, ...]:
    """Return the hash of each entry of a dictionary by its number, -1 for what was taken out."""
    first, words = _table(x)
    return tuple(ctypes.c_int64.from_address(first + i * words[5]).value for i in range(words[2]))


def _entry_bytes(x: Any, number: int, count: int) -> bytes:
    """Return the first bytes of the value of an entry of a dictionary, which may have been taken out."""
    first, words = _table(x)
    key_size = -(-words[3] // 8) * 8
    return ctypes.string_at(first + number * words[5] + 8 + key_size, count)


def _words(x: Any) -> Any:
    """Return the words of a list's C structure: length, size of an item, capacity, …, items."""
    body = ctypes.c_void_p.from_address(address(x)).value
    assert body is not None
    return (ctypes.c_int64 * _LIST).from_address(body)


def clear_room(x: Any) -> None:
    """Clear the memory of a list that has no items yet: what is added to a shadow has the cotangent zero."""
    words = _words(x)
    length, size, capacity, items = words[0], words[1], words[2], words[_LIST - 1]
    if capacity > length:
        ctypes.memset(items + length * size, 0, (capacity - length) * size)


def type_of(x: Any) -> Any:
    """Return the Numba type of a value."""
    return numba.typeof(x)


def hold(x: Any) -> list[Any]:
    """Return something that keeps alive all that is in a container, whatever becomes of it."""
    if is_container(x):
        counted = not isinstance(item_type(type_of(x)), (types.Number, types.Boolean))
        return [x, *(hold(item) for item in items(x))] if counted else [x]
    if isinstance(x, tuple):
        return [hold(part) for part in cast(tuple[Any, ...], x)]
    return [x]


def item_type(kind: Any) -> Any:
    """Return the type of the items of a container type."""
    return kind.value_type if isinstance(kind, types.DictType) else kind.item_type


# --- what a call takes out ----------------------------------------------------------------------------------


class Watch:
    """Puts back into the shadow of a container, after a reverse sweep, what the call took out.

    Between the halves of a split derivative it sees to it that the structure stays as it is.

    What was in the primal on entry has a cotangent. It is where it was: lists keep their capacity, and
    removed entries of dictionaries leave holes. Only numbers are put back; arrays are in the hands of
    whoever has them.
    """

    def __init__(self, shadow: Any) -> None:
        self._shadow = shadow
        self._item = item_type(type_of(shadow))
        self._keys = list(cast(Any, shadow)) if isinstance(shadow, Dict) else []
        self._hashes = hashes(shadow) if isinstance(shadow, Dict) else ()
        self._length = len(cast(Any, shadow))
        self._state: tuple[int, ...] = ()

    def settle(self) -> None:
        """Note the structure that the forward half has left."""
        self._state = self._structure()

    @property
    def is_settled(self) -> bool:
        """Whether the structure is that of before."""
        return self._state == self._structure()

    def _structure(self) -> tuple[int, ...]:
        if isinstance(self._shadow, Dict):
            return (_table(self._shadow)[0], *hashes(self._shadow))
        words = _words(self._shadow)
        return words[0], words[2], words[_LIST - 1]

    def restore(self) -> None:
        """Put back what is gone."""
        if isinstance(self._shadow, Dict):
            self._restore_entries()
        elif len(self._shadow) < self._length and not _has_references(self._item):
            _words(self._shadow)[0] = self._length

    def _restore_entries(self) -> None:
        now = hashes(self._shadow)
        there = [i for i, hashed in enumerate(self._hashes) if hashed != -1]
        gone = [(k, i) for k, i in zip(self._keys, there, strict=True) if i >= len(now) or now[i] == -1]
        if not gone or _has_references(self._item):
            return
        if not isinstance(self._item, types.Number):
            raise UnsupportedIRError(
                f"the call has taken {gone[0][0]!r} out of a dictionary of {self._item}: "
                "the derivative with respect to it cannot be put into the shadow",
                remedy="let the function work on a copy of the dictionary",
            )
        dtype = np.dtype(str(self._item))
        found = [(key, _entry_bytes(self._shadow, i, dtype.itemsize)) for key, i in gone]
        for key, raw in found:
            self._shadow[key] = np.frombuffer(raw, dtype)[0]


def watch(shadow: Any) -> Iterator[Watch]:
    """Yield a watch over each container in a shadow."""
    if is_container(shadow):
        yield Watch(shadow)
        if _has_references(item_type(type_of(shadow))):
            for item in items(shadow):
                yield from watch(item)
    elif isinstance(shadow, tuple):
        for part in cast(tuple[Any, ...], shadow):
            yield from watch(part)


def _has_references(kind: types.Type) -> bool:
    if isinstance(kind, types.BaseTuple):
        return any(_has_references(part) for part in cast(Any, kind).types)
    return not isinstance(kind, (types.Number, types.Boolean, types.NoneType))


# --- zeros --------------------------------------------------------------------------------------------------


def zeros_in(x: Any, make: Any) -> Any:
    """Return a container like `x`, with what `make` makes of each item."""
    kind = type_of(x)
    if isinstance(x, Dict):
        made: Any = Dict.empty(kind.key_type, kind.value_type)
        for key, item in x.items():
            made[key] = make(item)
        return made
    made = List.empty_list(kind.item_type)
    for item in x:
        made.append(make(item))
    return made
