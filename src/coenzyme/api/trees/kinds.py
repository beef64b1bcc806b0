"""The table of node kinds: how values that have parts are taken apart, and put together from other parts.

A row answers for the values of one sort: which parts there are, under which labels, which of them are never
differentiated, and how to make another value like this one. Whatever is in no row is a leaf. Gradients,
shadows and vectors all go by this table, so that a type registered by the user is known to all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Protocol, TypeAlias, cast

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

from coenzyme.api.annotations import ANNOTATIONS
from coenzyme.api.functions import NumbaCallable
from coenzyme.api.trees.other_registries import registered_elsewhere
from coenzyme.errors import ActivityError

__all__ = [
    "Form",
    "Kind",
    "Parts",
    "WholeKind",
    "add_kind",
    "find_kind",
    "is_function",
    "is_node",
    "register",
]

Labels: TypeAlias = tuple[Any, ...]


class Form(Enum):
    """What compiled code sees in the place of a value that has parts."""

    SEQUENCE = auto()
    """A tuple."""
    RECORD = auto()
    """Something whose attributes are the parts: a named tuple."""
    MAPPING = auto()
    """Something whose items are the parts, by keys that are texts."""
    PLAIN = auto()
    """The only part itself."""


@dataclass(frozen=True)
class Parts:
    """A value taken apart.

    Parameters
    ----------
    labels
        What the parts are called: positions, names of attributes, keys.
    values
        The parts.
    constant
        The labels of parts that have no derivative whatever they hold, such as the indices of a sparse
        matrix.
    """

    labels: Labels
    values: tuple[Any, ...]
    constant: frozenset[Any] = frozenset()


class Kind(Protocol):
    """A row of the table.

    Attributes
    ----------
    form
        What compiled code sees.
    filled
        Whether values are made empty first, and filled then: those may lead back to themselves.
    """

    form: Form
    filled: bool

    def take_apart(self, x: Any) -> Parts:
        """Return the parts of a value."""
        ...

    def blank(self, x: Any) -> Any:
        """Return a new value like `x` whose parts are not there yet."""
        ...

    def fill(self, made: Any, x: Any, parts: Sequence[Any]) -> Any:
        """Return a value like `x` with these parts: `made` itself where values are filled."""
        ...

    def put(self, x: Any, label: Any, part: Any) -> None:
        """Replace one part of a value, where values are filled."""
        ...


class _DictKind:
    form = Form.MAPPING
    filled = True

    def take_apart(self, x: Any) -> Parts:
        return Parts(tuple(x), tuple(x.values()))

    def blank(self, x: Any) -> Any:
        if type(x) is dict:
            return {}
        made = x.copy()
        made.clear()
        return made

    def fill(self, made: Any, x: Any, parts: Sequence[Any]) -> Any:
        made.update(zip(x, parts, strict=True))
        return made

    def put(self, x: Any, label: Any, part: Any) -> None:
        x[label] = part


class _ListKind:
    form = Form.SEQUENCE
    filled = True

    def take_apart(self, x: Any) -> Parts:
        return Parts(tuple(range(len(x))), tuple(x))

    def blank(self, x: Any) -> Any:
        if type(x) is list:
            return []
        made = copy.copy(x)
        made.clear()
        return made

    def fill(self, made: Any, x: Any, parts: Sequence[Any]) -> Any:
        made.extend(parts)
        return made

    def put(self, x: Any, label: Any, part: Any) -> None:
        x[label] = part


class WholeKind:
    """Values that are made whole, and cannot be changed."""

    filled = False

    def blank(self, x: Any) -> Any:
        """Return nothing."""
        return None

    def put(self, x: Any, label: Any, part: Any) -> None:
        """Refuse to."""
        raise ActivityError(
            f"a part of a {type(x).__name__} cannot be replaced", remedy="make another one with make_zero"
        )


class _TupleKind(WholeKind):
    form = Form.SEQUENCE

    def take_apart(self, x: Any) -> Parts:
        return Parts(tuple(range(len(x))), tuple(x))

    def fill(self, made: Any, x: Any, parts: Sequence[Any]) -> Any:
        return tuple(parts) if type(x) is tuple else tuple.__new__(type(x), parts)


class _NamedTupleKind(_TupleKind):
    form = Form.RECORD

    def take_apart(self, x: Any) -> Parts:
        return Parts(tuple(x._fields), tuple(x))


class _ObjectKind:
    """Dataclasses, attrs classes, and other objects whose state is in ``__dict__`` and ``__slots__``."""

    form = Form.RECORD
    filled = True

    def take_apart(self, x: Any) -> Parts:
        names = fields_of(x)
        return Parts(names, tuple(getattr(x, name) for name in names))

    def blank(self, x: Any) -> Any:
        return object.__new__(type(x))

    def fill(self, made: Any, x: Any, parts: Sequence[Any]) -> Any:
        # The class may guard its fields, as frozen dataclasses do: this makes a value, and changes none.
        for name, part in zip(fields_of(x), parts, strict=True):
            object.__setattr__(made, name, part)
        return made

    def put(self, x: Any, label: Any, part: Any) -> None:
        object.__setattr__(x, label, part)


def fields_of(x: Any) -> tuple[str, ...]:
    """Return the names of the fields of an object that are set, in the order of their declaration."""
    names: list[str] = []
    for base in reversed(type(x).__mro__):
        slots = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            name = f"_{base.__name__.lstrip('_')}{slot}" if _is_mangled(slot) else slot
            if slot not in ("__dict__", "__weakref__") and hasattr(x, name):
                names.append(name)
    names += [name for name in getattr(x, "__dict__", ()) if isinstance(cast(object, name), str)]
    declared = getattr(type(x), "__dataclass_fields__", None)
    if declared is None:
        declared = [attribute.name for attribute in getattr(type(x), "__attrs_attrs__", ())]
    there = set(names)
    first = [name for name in declared if name in there]
    return tuple(dict.fromkeys([*first, *names]))


def _is_mangled(slot: str) -> bool:
    return slot.startswith("__") and not slot.endswith("__")


@dataclass(frozen=True)
class RegisteredKind(WholeKind):
    """A type that the user, or a library for its own trees, has said how to take apart.

    Parameters
    ----------
    flatten
        From a value to its parts, a sequence or a dictionary by names, and what else makes it up.
    unflatten
        From the latter and other parts to a value.
    """

    flatten: Callable[[Any], tuple[Any, Any]]
    unflatten: Callable[[Any, Any], Any]
    form = Form.RECORD

    def take_apart(self, x: Any) -> Parts:
        """Return the parts that were named, or else positions; attributes beside them are constant."""
        found, _ = self.flatten(x)
        if isinstance(found, dict):
            named = cast(dict[Any, Any], found)
            return Parts(tuple(named), tuple(named.values()))
        values = tuple(found)
        fields = _names_of(x, values)
        if fields is None:
            return Parts(tuple(range(len(values))), values)
        rest = [name for name in fields_of(x) if name not in fields]
        labels = (*fields, *rest)
        return Parts(labels, (*values, *(getattr(x, name) for name in rest)), frozenset(rest))

    def fill(self, made: Any, x: Any, parts: Sequence[Any]) -> Any:
        """Return what `unflatten` makes."""
        found, rest = self.flatten(x)
        if isinstance(found, dict):
            return self.unflatten(rest, dict(zip(cast(dict[Any, Any], found), parts, strict=True)))
        return self.unflatten(rest, tuple(parts[: len(tuple(found))]))


def _names_of(x: Any, values: Sequence[Any]) -> tuple[str, ...] | None:
    """Return under which attributes of an object its parts are found, None where one is not."""
    fields = fields_of(x)
    found: list[str] = []
    for value in values:
        name = next((n for n in fields if getattr(x, n) is value and n not in found), None)
        if name is None:
            return None
        found.append(name)
    return tuple(found)


class _MaskedKind(WholeKind):
    """Masked arrays: the numbers that are stored, under the mask too, and the mask."""

    form = Form.RECORD

    def take_apart(self, x: Any) -> Parts:
        return Parts(("data", "mask"), (x.data, np.ma.getmaskarray(x)), frozenset({"mask"}))

    def fill(self, made: Any, x: Any, parts: Sequence[Any]) -> Any:
        return np.ma.MaskedArray(parts[0], mask=x.mask, fill_value=x.fill_value)


DICT, LIST, TUPLE, NAMED_TUPLE, OBJECT = (
    _DictKind(),
    _ListKind(),
    _TupleKind(),
    _NamedTupleKind(),
    _ObjectKind(),
)

_registered: dict[type, Kind] = {np.ma.MaskedArray: _MaskedKind()}


def add_kind(type_: type, kind: Kind) -> None:
    """Enter a row for a type."""
    _registered[type_] = kind


def register(
    type_: type, flatten: Callable[[Any], tuple[Any, Any]], unflatten: Callable[[Any, Any], Any]
) -> None:
    """Say how values of a type are taken apart for derivatives, and how gradients like them are made.

    Parameters
    ----------
    type_
        The class; subclasses are not meant.
    flatten
        From a value to ``(parts, rest)``: a dictionary of the parts that are differentiated, by the names
        under which compiled code reads them as attributes, or a sequence of them; and whatever else makes up
        a value.
    unflatten
        From ``rest`` and parts, in the form that `flatten` gave them, to a value.

    Raises
    ------
    ActivityError
        If `type_` is no class, or has been registered.

    Notes
    -----
    Where the parts are a sequence, and are the values of attributes of the object, compiled code reads them
    under the names of these, and all other attributes too, as constants. Elsewhere it sees a tuple.

    Types that are registered as pytrees with JAX, PyTorch or optree, in modules that have been imported, need
    not be registered here.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> class Line:
    ...     def __init__(self, slope, label):
    ...         self._numbers, self.label = [slope], label
    >>> cz.trees.register(
    ...     Line,
    ...     lambda line: ({"slope": line._numbers[0]}, line.label),
    ...     lambda label, parts: Line(parts["slope"], label),
    ... )
    >>> cz.grad(lambda line: line.slope**2)(Line(3.0, "first"))._numbers
    [6.0]
    """
    if not isinstance(cast(object, type_), type):
        raise ActivityError(
            f"{type_!r} is no class", function="register", argument="type_", remedy="pass a class"
        )
    if type_ in _registered:
        raise ActivityError(
            f"{type_.__name__} has been registered before",
            function="register",
            argument="type_",
            remedy="register each class once",
        )
    add_kind(type_, RegisteredKind(flatten, unflatten))


def is_function(x: object) -> bool:
    """Return whether a value is a function that compiled code can call."""
    return isinstance(x, (FunctionType, Dispatcher, NumbaCallable))


def find_kind(x: Any) -> Kind | None:
    """Return the row for a value, None if it is a leaf."""
    sort: type = type(x)
    if sort in _LEAVES:
        return None
    if sort.__module__.startswith("scipy.sparse"):
        import_module("coenzyme.api.trees.sparse")
    found = _registered.get(sort)
    if found is None and isinstance(x, np.ndarray):
        return None
    if found is None:
        # Tuples, lists and dictionaries are what they are, whatever they are registered as elsewhere.
        found = _BUILT_IN.get(sort) or _by_class(x)
    if found is None:
        found = registered_elsewhere(x, RegisteredKind) or (OBJECT if _is_object(x) else None)
    return found


def _by_class(x: Any) -> Kind | None:
    """Return the row for a tuple, list or dictionary of any class."""
    if isinstance(x, tuple):
        return NAMED_TUPLE if hasattr(cast(Any, x), "_fields") else TUPLE
    if isinstance(x, dict):
        return DICT
    return LIST if isinstance(x, list) else None


def _is_object(x: Any) -> bool:
    """Return whether a value is an object with fields, which neither Numba nor anyone else has a type for."""
    sort = type(x)
    if isinstance(x, (type, np.generic, *ANNOTATIONS)) or sort.__module__ in ("builtins", "types"):
        return False
    declared = hasattr(sort, "__dataclass_fields__") or hasattr(sort, "__attrs_attrs__")
    if not declared and (callable(x) or sort.__new__ is not object.__new__):
        return False
    return bool(fields_of(x)) and not _has_type(x)


def _has_type(x: Any) -> bool:
    try:
        return numba.typeof(x) is not None
    except Exception:
        return False


def is_node(x: Any) -> bool:
    """Return whether a value has parts."""
    return find_kind(x) is not None


_BUILT_IN: dict[type, Kind] = {dict: DICT, list: LIST, tuple: TUPLE}
_LEAVES = frozenset(
    {np.ndarray, float, int, complex, bool, str, bytes, type(None), FunctionType, BuiltinFunctionType}
    | {MethodType, np.float64, np.float32, np.int64, np.bool_}
)
