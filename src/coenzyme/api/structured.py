"""Python's own containers and objects as arguments: taken apart for compiled code, put together again after.

Numba has no types for dictionaries of several types, lists of arrays, or dataclasses. Their items become
entries of tuples, of named tuples where they have names, which compiled code reads as it would the original:
``model["rate"]``, ``model.rate``, ``layers[i]``. Arrays stay where they are, so that what a function
writes into them is written. An object stays one object: what is found in two places is given once, and its
gradient is the sum of those of the places.
"""

from __future__ import annotations

import copy
import operator
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import FunctionType
from typing import Any, TypeAlias, cast

import numpy as np
from numba.core import types

from coenzyme.api.annotations import ANNOTATIONS
from coenzyme.api.functions import as_dispatcher, has_type
from coenzyme.api.source import implements
from coenzyme.api.validation import rebuild_tuple

__all__ = ["Packing", "is_structured", "pack_tangents", "unpack_all"]

Fields: TypeAlias = tuple[str, ...]
Refusal: TypeAlias = Callable[[int, str], Exception]

_LONGEST_LIST = 100
"""Compiled code has one argument for each item."""


def is_structured(value: Any) -> bool:
    """Return whether a value has to be taken apart before compiled code can see it."""
    if isinstance(value, tuple):
        return any(map(is_structured, cast(tuple[Any, ...], value)))
    if isinstance(value, list):
        return len(cast(list[Any], value)) <= _LONGEST_LIST
    return isinstance(value, (dict, FunctionType)) or _is_object(value)


def _is_object(value: Any) -> bool:
    """Whether a value is an object with fields of its own that Numba has no type for."""
    if isinstance(value, ANNOTATIONS):
        return False
    return _fields_of(value) is not None and not has_type(value)


def _fields_of(value: Any) -> Fields | None:
    """Return the names of the fields of an object; None for what is not made of fields."""
    if isinstance(value, (type, np.ndarray, np.generic)) or callable(value):
        return None
    declared = getattr(type(value), "__dataclass_fields__", None)
    if declared is None:
        attributes = getattr(type(value), "__attrs_attrs__", None)
        declared = None if attributes is None else [attribute.name for attribute in attributes]
    names = vars(value) if declared is None and hasattr(value, "__dict__") else declared
    if names is None or type(value).__module__ == "builtins":
        return None
    return tuple(names)


@cache
def _record(name: str, fields: Fields) -> type:
    """Return the class of named tuples that stands for objects with these fields."""
    return namedtuple(name, fields)  # pyright: ignore[reportUntypedNamedTuple]


@cache
def _mapping(keys: Fields) -> type:
    """Return the class of named tuples that stands for dictionaries with these keys."""
    made: Any = _record("Mapping", tuple(f"item{i}" for i in range(len(keys))))
    made = type("Mapping", (made,), {})
    made.coenzyme_keys = keys
    return made


def _keys_of(kind: Any) -> Fields | None:
    found = getattr(getattr(kind, "instance_class", None), "coenzyme_keys", None)
    return cast("Fields | None", found)


class Packing:
    """Arguments taken apart, and how derivatives are put together again.

    Parameters
    ----------
    values
        The arguments.

    Attributes
    ----------
    native
        The arguments as compiled code takes them.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = tuple(values)
        self.native = tuple(self._pack(value) for value in values)

    def _pack(self, value: Any) -> Any:
        if isinstance(value, dict):
            items = cast(Mapping[Any, Any], value)
            if all(isinstance(key, str) for key in items):
                return _mapping(tuple(items))(*map(self._pack, items.values()))
            return value
        if isinstance(value, list):
            return tuple(map(self._pack, cast(list[Any], value)))
        if isinstance(value, tuple):
            parts = cast(tuple[Any, ...], value)
            return rebuild_tuple(parts, [self._pack(part) for part in parts])
        if isinstance(value, FunctionType):
            return as_dispatcher(value)
        if _is_object(value):
            fields = _fields_of(value)
            assert fields is not None
            made: Any = _record(type(value).__name__.lstrip("_") or "Record", fields)
            return made(*(self._pack(getattr(value, name)) for name in fields))
        return value

    def restore_all(self, derivatives: Sequence[tuple[int, Any]]) -> list[Any]:
        """Return derivatives by arguments, each with its position, in the structure of the arguments."""
        gathered: dict[int, Any] = {}
        for position, derivative in derivatives:
            _gather(self.values[position], derivative, gathered)
        return [_restored(self.values[position], found, gathered) for position, found in derivatives]


def pack_tangents(primals: Sequence[Any], tangents: Sequence[Any], refuse: Refusal) -> tuple[Any, ...]:
    """Return tangents as compiled code takes them, item by item beside the primals that are taken apart.

    Parameters
    ----------
    refuse
        Makes the error for a tangent of another structure than the argument at a position.
    """
    pairs = zip(primals, tangents, strict=True)
    return tuple(_tangent_of(x, dx, partial(refuse, i)) for i, (x, dx) in enumerate(pairs))


def _tangent_of(value: Any, tangent: Any, refuse: Callable[[str], Exception]) -> Any:
    """Return the tangent of a value in the order of its items: by key or by name, if they have any."""
    parts: list[tuple[Any, Any]]
    if isinstance(value, dict):
        items = cast(Mapping[Any, Any], value)
        if not isinstance(tangent, dict) or set(cast(Mapping[Any, Any], tangent)) != set(items):
            raise refuse(f"the primal is a dictionary with the keys {list(items)}")
        parts = [(x, tangent[key]) for key, x in items.items()]
    elif isinstance(value, (list, tuple)):
        sequence = cast(Sequence[Any], value)
        if not isinstance(tangent, (list, tuple)) or len(cast(Sequence[Any], tangent)) != len(sequence):
            raise refuse(f"the primal has {len(sequence)} items")
        parts = list(zip(sequence, cast(Sequence[Any], tangent), strict=True))
    elif _is_object(value):
        fields = _fields_of(value) or ()
        if type(tangent) is not type(value):
            raise refuse(f"the primal is a {type(value).__name__}")
        parts = [(getattr(value, name), getattr(tangent, name)) for name in fields]
    else:
        return tangent
    return tuple(_tangent_of(x, dx, refuse) for x, dx in parts)


def _gather(value: Any, derivative: Any, gathered: dict[int, Any]) -> None:
    """Add up the derivatives by arrays that are found in several places."""
    if isinstance(value, np.ndarray):
        if _has_derivative(cast(Any, value)):
            before = gathered.get(id(value))
            gathered[id(value)] = derivative if before is None else before + derivative
        return
    for part, found in _pairs(value, derivative):
        _gather(part, found, gathered)


def _has_derivative(array: Any) -> bool:
    return array.dtype.kind in "fc"


def _pairs(value: Any, derivative: Any) -> list[tuple[Any, Any]]:
    """Return the parts of a container, each with its derivative."""
    if isinstance(value, dict):
        return list(zip(cast(Mapping[Any, Any], value).values(), derivative, strict=True))
    if isinstance(value, (list, tuple)):
        return list(zip(cast(Sequence[Any], value), derivative, strict=True))
    if isinstance(derivative, tuple) and _is_object(value):
        fields = _fields_of(value)
        assert fields is not None
        return [(getattr(value, name), d) for name, d in zip(fields, derivative, strict=True)]
    return []


def _restored(value: Any, derivative: Any, gathered: Mapping[int, Any]) -> Any:
    if isinstance(value, np.ndarray):
        return gathered[id(value)] if _has_derivative(cast(Any, value)) else value
    if isinstance(value, FunctionType):
        return value
    pairs = _pairs(value, derivative)
    parts = [_restored(part, found, gathered) for part, found in pairs]
    if isinstance(value, dict):
        return dict(zip(cast(Mapping[Any, Any], value), parts, strict=True))
    if isinstance(value, list):
        return parts
    if isinstance(value, tuple):
        return rebuild_tuple(cast(tuple[Any, ...], value), parts)
    if isinstance(derivative, tuple) and _is_object(value):
        made = copy.copy(value)
        for name, part in zip(_fields_of(value) or (), parts, strict=True):
            object.__setattr__(made, name, part)
        return made
    return derivative


def unpack_all(packing: Packing, positions: Sequence[int], derivatives: Any, *, single: bool) -> Any:
    """Return the derivatives by some arguments, as a transform returned them, in the arguments' structure."""
    found = [derivatives] if single else list(derivatives)
    restored = packing.restore_all(list(zip(positions, found, strict=True)))
    return restored[0] if single else tuple(restored)


@implements(operator.getitem, prefer_literal=True)
def _item_of_mapping(mapping: Any, key: Any) -> Callable[..., Any] | None:
    keys = _keys_of(mapping)
    if keys is None or not isinstance(key, types.StringLiteral):
        return None
    index = keys.index(key.literal_value) if key.literal_value in keys else None
    if index is None:
        return None
    return lambda mapping, key: mapping[index]


@implements(operator.contains, prefer_literal=True)
def _mapping_contains(mapping: Any, key: Any) -> Callable[..., Any] | None:
    keys = _keys_of(mapping)
    if keys is None or not isinstance(key, types.StringLiteral):
        return None
    found = key.literal_value in keys
    return lambda mapping, key: found
