"""Instances of jitclasses and StructRefs as arguments: what they hold, and whether their shadows fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core import types
from numba.experimental import structref
from numba.experimental.jitclass import _box  # pyright: ignore[reportAttributeAccessIssue]
from numba.experimental.jitclass.base import imp_dtor
from numba.extending import intrinsic

from coenzyme.api.source import Source
from coenzyme.errors import UnsupportedIRError
from coenzyme.frontends.numba_structs import find_structs, is_instance, struct_fields
from coenzyme.frontends.numba_structs import holds_floats as struct_holds_floats

__all__ = [
    "Pairing",
    "arrays_in_instance",
    "holds_instance_floats",
    "is_object",
    "lead_to_same",
    "references_in",
    "same_instance",
    "zero_instances",
]

Array = npt.NDArray[Any]
Zero = Callable[[Any], Any]
"""From a value that a field holds to its zero shadow."""


class _Sort(Enum):
    """What is done with a field to make a shadow."""

    ZERO = auto()
    """It is a number, and stays 0."""
    CONSTANT = auto()
    """It has no derivative, and is that of the primal."""
    MADE = auto()
    """It holds arrays or instances: its shadow is made of it."""


def is_object(x: object) -> bool:
    """Return whether a Python object is an instance of a jitclass or a StructRef."""
    return isinstance(x, _box.Box | structref.StructRefProxy)


def same_instance(x: Any, y: Any) -> bool:
    """Return whether two Python objects stand for one instance."""
    return x is y or (numba.typeof(x) == numba.typeof(y) and _address(x) == _address(y))


def lead_to_same(x: Any, y: Any) -> bool:
    """Return whether two values lead to one instance."""
    first, second = ({_address(item) for item in references_in(value) if is_object(item)} for value in (x, y))
    return not first.isdisjoint(second)


@cache
def holds_instance_floats(kind: types.Type) -> bool:
    """Return whether values of a Numba type are instances that hold floats, or lead to some."""
    return is_instance(kind) and struct_holds_floats(kind.name, find_structs([kind]))


def zero_instances(x: Any, zero: Callable[[Any, Zero], Any], seen: dict[Any, Any]) -> Any:
    """Return a zero shadow of an instance, and of all the instances that it leads to.

    Parameters
    ----------
    x
        The instance.
    zero
        Makes the shadow of what is no instance; its second argument is for the instances in it.
    seen
        The shadows of the instances that were met before, by address; new ones are added.

    Raises
    ------
    UnsupportedIRError
        If a field holds floats in a container that has no shadow.
    """
    pending: list[tuple[Any, Any]] = []

    def shadow(instance: Any) -> Any:
        key = ("instance", _address(instance))
        if key not in seen:
            seen[key] = _blank(numba.typeof(instance))(instance)
            pending.append((instance, seen[key]))
        return seen[key]

    result = shadow(x)
    # A list is as long as it likes: no recursion.
    while pending:
        primal, made = pending.pop()
        for name in _made_fields(numba.typeof(primal)):
            value = _getter(name)(primal)
            if value is not None:
                _setter(name)(made, shadow(value) if is_object(value) else zero(value, shadow))
    return result


def references_in(x: Any) -> Iterator[Any]:
    """Yield the arrays of floats and the instances in a value, and in all that it leads to."""
    seen: set[int] = set()
    pending: list[Any] = [x]
    while pending:
        value = pending.pop()
        if isinstance(value, np.ndarray):
            yield cast(Array, value)
        elif isinstance(value, tuple):
            pending.extend(cast(tuple[Any, ...], value))
        elif is_object(value) and _address(value) not in seen:
            yield value
            seen.add(_address(value))
            pending.extend(_getter(name)(value) for name in _made_fields(numba.typeof(value)))


def arrays_in_instance(x: Any) -> Iterator[Array]:
    """Yield the arrays of floats in an instance and in all that it leads to."""
    return (cast(Array, value) for value in references_in(x) if isinstance(value, np.ndarray))


@dataclass
class Pairing:
    """Goes through instances and their shadows side by side.

    Parameters
    ----------
    refuse
        Makes the error for a shadow that does not fit.
    """

    refuse: Callable[[str], Exception]
    arrays: list[tuple[Array, Array]] = field(default_factory=list[tuple[Array, Array]])
    """The arrays that were met, each with its shadow."""
    shadows: dict[int, int] = field(default_factory=dict[int, int])
    """For the address of each instance that of its shadow."""

    def add(self, primal: Any, shadow: Any) -> None:
        """Note what two instances lead to.

        Raises
        ------
        Exception
            What `refuse` makes: if their types differ, if one leads where the other does not, if two
            instances have one shadow, or one has two.
        """
        pending: list[tuple[str, Any, Any]] = [("", primal, shadow)]
        while pending:
            path, x, dx = pending.pop()
            if is_object(x):
                if self._is_new(path, x, dx):
                    pending += [
                        (f"{path}.{name}", _getter(name)(x), _getter(name)(dx))
                        for name in _made_fields(numba.typeof(x))
                    ]
            elif isinstance(x, np.ndarray) and isinstance(dx, np.ndarray):
                if x.dtype.kind in "fc":
                    self.arrays.append((cast(Array, x), cast(Array, dx)))
            elif isinstance(x, tuple) and isinstance(dx, tuple):
                parts = zip(cast(tuple[Any, ...], x), cast(tuple[Any, ...], dx), strict=True)
                pending += [(f"{path}[{i}]", a, b) for i, (a, b) in enumerate(parts)]
            elif (x is None) != (dx is None):
                raise self.refuse(f"{path[1:]} is {'' if x is None else 'not '}None, and in the shadow it is")

    def _is_new(self, path: str, x: Any, dx: Any) -> bool:
        """Note that one instance is the shadow of another; return whether that was not known yet."""
        what = path[1:] or "the primal"
        if not is_object(dx) or numba.typeof(dx) != numba.typeof(x):
            raise self.refuse(f"{what} is an instance of {numba.typeof(x)}, its shadow is {dx!r}")
        at, there = _address(x), _address(dx)
        if at in self.shadows:
            if self.shadows[at] != there:
                raise self.refuse(f"{what} is reached in two ways, and has a shadow in each")
            return False
        self.shadows[at] = there
        return True

    def check(self) -> None:
        """Refuse shadows that are primals, or shadows of two instances.

        Raises
        ------
        Exception
            What `refuse` makes.
        """
        found = set(self.shadows.values())
        if len(found) < len(self.shadows):
            raise self.refuse("two instances have one shadow")
        if found & self.shadows.keys():
            raise self.refuse("the shadow leads to an instance of the primal")


def _address(x: Any) -> int:
    return int(_box.box_get_meminfoptr(x)) if isinstance(x, _box.Box) else int(x._meminfo.data)


@cache
def _made_fields(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields of an instance whose shadow is made of theirs."""
    return tuple(name for name, part in struct_fields(kind).items() if _sort(part, kind, name) is _Sort.MADE)


def _sort(part: Any, kind: Any, name: str) -> _Sort:
    """Return what is done with the field called `name` of an instance, a value of type `part`."""
    match part:
        case types.DeferredType():
            return _sort(part.get(), kind, name)
        case types.Float() | types.Complex():
            return _Sort.ZERO
        case types.Optional():
            return _Sort.CONSTANT if _sort(part.type, kind, name) is _Sort.CONSTANT else _Sort.MADE
        case types.BaseTuple():
            sorts = {_sort(inner, kind, name) for inner in cast(Any, part).types}
            return _Sort.CONSTANT if sorts <= {_Sort.CONSTANT} else _Sort.MADE
        case types.Array():
            return _Sort.MADE if isinstance(part.dtype, types.Float | types.Complex) else _Sort.CONSTANT
        case types.List() | types.ListType() | types.Set() | types.DictType():
            inner = part.value_type if isinstance(part, types.DictType) else part.dtype
            if _sort(inner, kind, name) is _Sort.CONSTANT:
                return _Sort.CONSTANT
            raise UnsupportedIRError(
                f"the field {name!r} of {kind} is a container of floats, which has no shadow",
                argument=name,
                remedy="use an array, or annotate the instance Const",
            )
        case _:
            return _Sort.MADE if is_instance(part) else _Sort.CONSTANT


@cache
def _getter(name: str) -> Any:
    source = Source()
    source.add(f"return x.{name}")
    return numba.njit(source.function(f"get_{name}", "x"))


@cache
def _setter(name: str) -> Any:
    source = Source()
    source.add(f"x.{name} = value")
    return numba.njit(source.function(f"set_{name}", "x, value"))


@cache
def _blank(kind: Any) -> Any:
    """Return a function that makes an instance with the constants of another, and zeros elsewhere."""
    source = Source()
    source.add(f"new = {source.name('new_like', _new_like)}(x)")
    for name, part in struct_fields(kind).items():
        if _sort(part, kind, name) is _Sort.CONSTANT:
            source.add(f"new.{name} = x.{name}")
    source.add("return new")
    return numba.njit(source.function("zero_instance", "x"))


@intrinsic
def _new_like(typing_context: Any, x: Any) -> Any:
    """Return a new instance of the class of `x`, its fields zero: what comes before ``__init__``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        model = context.data_model_manager[x.get_data_type()]
        by_value = isinstance(x, types.StructRef)
        held = model.get_value_type() if by_value else model.get_data_type()
        size = context.get_constant(types.uintp, context.get_abi_sizeof(held))
        block = context.nrt.meminfo_alloc_dtor(builder, size, imp_dtor(context, builder.module, x))
        payload = builder.bitcast(context.nrt.meminfo_data(builder, block), held.as_pointer())
        builder.store(held(None), payload)
        instance = context.make_helper(builder, x)
        instance.meminfo = block
        if not by_value:
            instance.data = payload
        return instance._getvalue()

    return x(x), generate
