"""Zero shadows of trees: one for each object, which lead to each other as the objects do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from coenzyme.api.containers import is_container, zeros_in
from coenzyme.api.instances import is_object, zero_instances
from coenzyme.api.trees.kinds import Kind, find_kind
from coenzyme.api.trees.regions import regions_of

__all__ = ["Zeros", "array_key", "arrays_below", "clear_fields", "has_float_fields", "has_numbers"]

Array: TypeAlias = npt.NDArray[Any]


def has_float_fields(dtype: np.dtype[Any]) -> bool:
    """Return whether records of a dtype have floats among their fields."""
    fields = (dtype.fields or {}).values()
    return any(kind.base.kind in "fc" or has_float_fields(kind.base) for kind, *_ in fields)


def clear_fields(records: Array) -> None:
    """Set the floats in an array of records to zero."""
    for name in records.dtype.names or ():
        field = records[name]
        if field.dtype.kind in "fc":
            field[...] = 0
        else:
            clear_fields(field)


def has_numbers(x: Array) -> bool:
    """Return whether an array holds floats, in records perhaps."""
    return x.dtype.kind in "fc" or has_float_fields(x.dtype)


def array_key(x: Array) -> tuple[Any, ...]:
    """Return what two arrays share if they are one: some containers make an object of an item each time."""
    return x.__array_interface__["data"][0], x.shape, x.strides, x.dtype.str


def arrays_below(x: Any) -> list[Array]:
    """Return the arrays with floats in a tree, each of them once."""
    found: dict[int, Array] = {}
    seen: dict[int, Any] = {}
    pending: list[tuple[Any, bool]] = [(x, False)]
    while pending:
        value, constant = pending.pop()
        if id(value) in seen:
            continue
        kind = find_kind(value)
        if kind is not None:
            seen[id(value)] = value
            parts = kind.take_apart(value)
            pairs = zip(parts.labels, parts.values, strict=True)
            pending += [(part, label in parts.constant) for label, part in pairs]
        elif isinstance(value, np.ndarray) and not constant and has_numbers(cast(Array, value)):
            found[id(value)] = cast(Array, value)
    return list(found.values())


class Zeros:
    """Makes zero shadows of the values of one call, in which an object that is found twice has one shadow.

    Parameters
    ----------
    tree
        All that shadows will be made of: arrays in one memory have shadows in one buffer.
    """

    def __init__(self, tree: Any) -> None:
        self._arrays: dict[Any, Array] = {}
        self._seen: dict[Any, Any] = {}
        self._nodes: dict[int, tuple[Any, Any]] = {}
        self._pending: list[tuple[Kind, Any, Any]] = []
        for region in regions_of(arrays_below(tree)):
            for x, zero in zip(region.arrays, region.zeros(), strict=True):
                if len(region.arrays) > 1 or x.strides != zero.strides or not _is_plain(x):
                    self._arrays.setdefault(array_key(x), _with_constants(x, zero))

    def of(self, x: Any) -> Any:
        """Return the zero shadow of a value in the tree."""
        found = self._shadow(x)
        # A chain of objects is as long as it likes: those that are filled are not gone into by recursion.
        while self._pending:
            kind, value, made = self._pending.pop()
            kind.fill(made, value, self._parts(kind, value))
        return found

    def _parts(self, kind: Kind, x: Any) -> list[Any]:
        parts = kind.take_apart(x)
        pairs = zip(parts.labels, parts.values, strict=True)
        return [part if label in parts.constant else self._shadow(part) for label, part in pairs]

    def _shadow(self, x: Any) -> Any:
        if isinstance(x, (float, complex, np.inexact)):
            return cast(Any, type(x))(0)
        kind = find_kind(x)
        if kind is not None:
            return self._shadow_of_node(kind, x)
        if isinstance(x, np.ndarray):
            return self._shadow_of_array(cast(Array, x))
        if is_container(x):
            address = x._opaque.data
            if address not in self._seen:
                self._seen[address] = zeros_in(x, self._shadow)
            return self._seen[address]
        if is_object(x):
            return zero_instances(x, self._shadow_of_field, self._seen)
        return x

    def _shadow_of_node(self, kind: Kind, x: Any) -> Any:
        if id(x) in self._nodes:
            return self._nodes[id(x)][1]
        if not kind.filled:
            made = kind.fill(None, x, self._parts(kind, x))
        else:
            made = kind.blank(x)
            self._pending.append((kind, x, made))
        self._nodes[id(x)] = (x, made)
        return made

    def _shadow_of_array(self, x: Array) -> Array:
        if not has_numbers(x):
            return x
        key = array_key(x)
        if key not in self._arrays:
            order = "C" if x.flags.c_contiguous else "F"
            zero = np.zeros(x.shape, x.dtype, order) if _is_plain(x) else regions_of([x])[0].zeros()[0]
            self._arrays[key] = _with_constants(x, zero)
        found = self._arrays[key]
        if isinstance(x, np.matrix) and not isinstance(found, np.matrix):
            found = self._arrays[key] = found.view(np.matrix)
        return found

    def _shadow_of_field(self, x: Any, shadow: Callable[[Any], Any]) -> Any:
        """Return the shadow of what a field of an instance holds; `shadow` gives that of an instance."""
        if is_object(x):
            return shadow(x)
        if isinstance(x, tuple):
            parts = [self._shadow_of_field(part, shadow) for part in cast(tuple[Any, ...], x)]
            return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
        return self._shadow(x)


def _is_plain(x: Array) -> bool:
    return bool(x.flags.c_contiguous or x.flags.f_contiguous)


def _with_constants(x: Array, zero: Array) -> Array:
    """Return a shadow in which what has no derivative is that of the primal: the integers in records."""
    if x.dtype.fields is not None:
        zero[...] = x
        clear_fields(zero)
    return zero
