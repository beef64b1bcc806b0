"""What compiled code sees in the place of dictionaries, objects, and of what it cannot see."""

from __future__ import annotations

import operator
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from numba.core import types
from numba.core.imputils import lower_constant
from numba.extending import models, register_model, typeof_impl

from coenzyme.api.source import implements

__all__ = ["Unseen", "mapping_class", "record_class"]

Fields = tuple[str, ...]


@cache
def record_class(name: str, fields: Fields) -> type:
    """Return the class of named tuples that stands for objects with these fields."""
    names = [f"field{i}" for i in range(len(fields))]
    safe: Any = namedtuple(name, names)  # pyright: ignore[reportUntypedNamedTuple]
    # Names with an underscore in front, which objects have and named tuples may not have.
    return type(name, (safe,), {"_fields": fields, "__slots__": (), "coenzyme_record": True})


@cache
def mapping_class(keys: Fields) -> type:
    """Return the class of named tuples that stands for dictionaries with these keys."""
    base: Any = record_class("Mapping", tuple(f"item{i}" for i in range(len(keys))))
    return type("Mapping", (base,), {"coenzyme_keys": keys, "__slots__": ()})


def _keys_of(kind: Any) -> Fields | None:
    found = getattr(getattr(kind, "instance_class", None), "coenzyme_keys", None)
    return cast("Fields | None", found)


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


class Unseen:
    """Stands for a value that compiled code cannot see: it may be passed on, and nothing else.

    Parameters
    ----------
    what
        What it is, for the messages of Numba.
    """

    def __init__(self, what: str) -> None:
        self.what = what


class UnseenType(types.Type):
    """The Numba type of what compiled code cannot see."""

    def __init__(self, what: str) -> None:
        super().__init__(name=what)


register_model(UnseenType)(models.OpaqueModel)


@typeof_impl.register(Unseen)
def _type_of_unseen(value: Unseen, context: Any) -> UnseenType:
    return UnseenType(value.what)


@lower_constant(UnseenType)
def _constant_unseen(context: Any, builder: Any, kind: UnseenType, value: Unseen) -> Any:
    return context.get_dummy_value()
