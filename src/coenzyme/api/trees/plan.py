"""How the arguments of one call are taken apart: worked out once for each structure, and then only looked up.

A plan is made of three functions, written for one structure. One reads the leaves, and notices where an
argument is no longer of this structure; one, compiled, puts the leaves together into what the user's function
takes, and calls that; one builds a gradient. What depends on the structure is settled when they are written:
which objects occur where and how often, which leaves are differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from types import FunctionType
from typing import Any, TypeAlias, cast

import numba
import numpy as np

from coenzyme.api.functions import Compiled, NumbaCallable, as_dispatcher, has_type, name_of
from coenzyme.api.source import Source
from coenzyme.api.structure import argument_name
from coenzyme.api.tangents import has_floats
from coenzyme.api.trees.cells import assigned_in, make_state, state_maker
from coenzyme.api.trees.kinds import (
    DICT,
    LIST,
    NAMED_TUPLE,
    OBJECT,
    TUPLE,
    Form,
    Kind,
    find_kind,
    is_function,
)
from coenzyme.api.trees.records import Unseen, mapping_class, record_class
from coenzyme.api.trees.regions import overlaps_itself
from coenzyme.api.trees.shadows import has_float_fields, has_numbers
from coenzyme.errors import UnsupportedIRError

__all__ = ["Leaf", "Plan", "holds_numbers", "is_structured", "mismatch", "plan_call"]

Extracted: TypeAlias = tuple[tuple[Any, ...], tuple[Any, ...]]

_LONGEST = 100
"""Lists beyond this are left to Numba: compiled code has one argument for each item."""


_DEEPEST = 40
"""Compiled code has a type for each link of a chain."""


@dataclass(frozen=True)
class Leaf:
    """A value that compiled code is given.

    Parameters
    ----------
    argument
        The position of the argument that it is part of: the first of them.
    path
        What it is called in messages: ``model.layers[0].weight``.
    differentiated
        Whether it has a derivative.
    is_array
        Whether it is an array.
    is_cell
        Whether it is an array that holds a number which the function may assign to.
    """

    argument: int
    path: str
    differentiated: bool
    is_array: bool
    is_cell: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """How the arguments of a call are taken apart, and gradients put together.

    Parameters
    ----------
    function
        Takes the leaves, and calls the user's function with what they are the leaves of.
    leaves
        What is known of the leaves.
    extract
        From the arguments to their leaves and what else a gradient is made of; None where they have another
        structure.
    rebuild
        From what `extract` has returned and the derivatives to the gradients, in a tuple.
    read_like
        From values of the structure of the arguments, such as shadows, to what stands in the place of each
        leaf, and what stands in the places of arrays that were met before, with the numbers of their leaves;
        None where they have another structure.
    write_back
        From the leaves, and what else `extract` has returned: puts the numbers that the function has assigned
        to into their objects. None where it assigns to none.
    in_one_memory
        Whether arrays that are differentiated are views of one array, or overlap otherwise.
    """

    function: Compiled
    leaves: tuple[Leaf, ...]
    extract: Callable[..., Extracted | None]
    rebuild: Callable[[tuple[Any, ...], tuple[Any, ...], Sequence[Any]], tuple[Any, ...]]
    read_like: Callable[..., tuple[tuple[Any, ...], tuple[tuple[int, Any], ...]] | None]
    write_back: Callable[[tuple[Any, ...], tuple[Any, ...]], None] | None
    in_one_memory: bool
    text: str = field(repr=False)
    has_derivative: tuple[bool, ...] = ()
    """For each argument whether it is differentiated."""

    @property
    def differentiated(self) -> tuple[int, ...]:
        """The numbers of the leaves that have a derivative."""
        return tuple(i for i, leaf in enumerate(self.leaves) if leaf.differentiated)


def plan_call(function: Compiled, args: Sequence[Any], argnums: Sequence[int]) -> Plan:
    """Return a plan for arguments of which those at `argnums` are differentiated."""
    return _Planner(function, args, argnums).plan()


def is_structured(value: Any, *, records: bool = False) -> bool:
    """Return whether a value has to be taken apart before compiled code can see it.

    Parameters
    ----------
    records
        Whether arrays of records and matrices count, which compiled code sees, and makes no derivatives of.
    """
    kind = find_kind(value)
    if isinstance(value, tuple) and kind in (TUPLE, NAMED_TUPLE):
        return any(is_structured(part, records=records) for part in cast(tuple[Any, ...], value))
    if kind is LIST:
        return len(cast(list[Any], value)) <= _LONGEST
    if isinstance(value, np.ndarray) and kind is None:
        array = cast(Any, value)
        special = records and (type(array) is np.matrix or has_float_fields(array.dtype))
        return special or overlaps_itself(array)
    return kind is not None or isinstance(value, FunctionType)


def holds_numbers(x: Any) -> bool:
    """Return whether something in a tree has a derivative."""
    seen: dict[int, Any] = {}
    pending: list[Any] = [x]
    while pending:
        value = pending.pop()
        kind = find_kind(value)
        if kind is None:
            found = has_numbers(value) if isinstance(value, np.ndarray) else has_floats(value)
            if found:
                return True
        elif id(value) not in seen:
            seen[id(value)] = value
            parts = kind.take_apart(value)
            pairs = zip(parts.labels, parts.values, strict=True)
            pending += [part for label, part in pairs if label not in parts.constant]
    return False


def mismatch(x: Any, dx: Any, *, own: bool = False) -> str | None:
    """Return what is wrong with the structure of a shadow or tangent, None if nothing is.

    Parameters
    ----------
    own
        Whether objects that are changed in place must have one shadow each, which is not themselves.
    """
    seen: dict[int, Any] = {}
    pending: list[tuple[Any, Any]] = [(x, dx)]
    while pending:
        value, shadow = pending.pop()
        kind = find_kind(value)
        if kind is None:
            continue
        if id(value) in seen:
            if own and kind.filled and seen[id(value)] is not shadow:
                return f"a {type(value).__name__} is in several places, and has several shadows"
            continue
        seen[id(value)] = shadow
        if own and kind.filled and shadow is value:
            return f"a {type(value).__name__} of the primal is in its shadow"
        parts = kind.take_apart(value)
        sequence = kind in (LIST, TUPLE, NAMED_TUPLE)
        if not (isinstance(shadow, (list, tuple)) if sequence else type(shadow) is type(value)):
            return f"the primal is a {type(value).__name__}, not a {type(shadow).__name__}"
        if sequence:
            others: Sequence[Any] = cast(Sequence[Any], shadow)
            if len(others) != len(parts.values):
                return f"the primal has {len(parts.values)} items"
        else:
            taken = kind.take_apart(shadow)
            if set(taken.labels) != set(parts.labels):
                return f"the primal is a {type(value).__name__} with {list(parts.labels)}"
            by_label = dict(zip(taken.labels, taken.values, strict=True))
            others = [by_label[label] for label in parts.labels]
        pending += list(zip(parts.values, others, strict=True))
    return None


_functions: dict[tuple[Any, ...], Compiled] = {}


@dataclass(frozen=True)
class _Found:
    """What stands for a value in the three functions.

    Parameters
    ----------
    native
        The expression of it in compiled code.
    gradient
        The expression of its gradient.
    """

    native: str
    gradient: str


class _Planner:
    def __init__(self, function: Compiled, args: Sequence[Any], argnums: Sequence[int]) -> None:
        self._function = function
        self._args = args
        self._chosen = set(argnums)
        self._argnums = tuple(argnums)
        self._read, self._call, self._made, self._like = Source(), Source(), Source(), Source()
        self._put = Source()
        self._read.add("try:")
        self._like.add("try:")
        self._again: list[str] = []
        self._back: list[str] = []
        self._types: dict[int, type] = {}
        self._assigned = assigned_in(function)
        self._leaves: list[Leaf] = []
        self._parameters: list[str] = []
        self._rest: list[str] = []
        self._known: dict[tuple[int, bool], tuple[Any, _Found | None, str]] = {}
        self._nodes: list[str] = []
        self._arrays: list[tuple[str, Any]] = []
        self._shells: dict[tuple[int, bool], str] = {}
        self._depth = 0
        self._closing = _closing_nodes(args)

    def plan(self) -> Plan:
        found = [
            self._visit(x, f"a{i}", i, argument_name(self._function, i), varies=i in self._chosen)
            for i, x in enumerate(self._args)
        ]
        self._add_types()
        self._add_identities()
        leaves = "".join(f"{name}, " for name in self._read_leaves())
        rest = "".join(f"{name}, " for name in self._rest)
        self._read.add(f"return leaves, ({rest})", depth=1)
        self._read.add("except (AttributeError, KeyError, IndexError, TypeError):")
        self._read.add("return None", depth=1)
        extract = self._read.function("extract", ", ".join(f"a{i}" for i in range(len(self._args))))
        again = "".join(f"{pair}, " for pair in self._again)
        self._like.add(f"return ({leaves}), ({again})", depth=1)
        self._like.add("except (AttributeError, KeyError, IndexError, TypeError):")
        self._like.add("return None", depth=1)
        like = self._like.function("read_like", ", ".join(f"a{i}" for i in range(len(self._args))))
        self._made.add(f"return ({''.join(f'{found[i].gradient}, ' for i in self._argnums)})")
        rebuild = self._made.function("rebuild", "l, r, d")
        function, text = self._compiled([one.native for one in found])
        varied = [x for _, x in self._arrays]
        back = None
        if self._back:
            for line in self._back:
                self._put.add(line)
            back = self._put.function("write_back", "l, r")
        return Plan(function, tuple(self._leaves), extract, rebuild, like, back, _is_one_memory(varied), text)

    def _read_leaves(self) -> list[str]:
        return [f"l{i}" for i in range(len(self._leaves))]

    def _compiled(self, arguments: Sequence[str]) -> tuple[Compiled, str]:
        """Return the function of the leaves; equal structures have one."""
        function = self._call.name("function", self._function)
        self._call.add(f"return {function}({', '.join(arguments)})")
        name = name_of(self._function).rpartition(".")[2]
        made = self._call.function(name, ", ".join(self._parameters))
        text = self._call.text
        key = (self._function, text, tuple(self._parameters), tuple(map(id, self._call.values)))
        found = _functions.get(key)
        if found is None:
            made.__qualname__ = name_of(self._function)
            options = {k: v for k, v in self._function.targetoptions.items() if k in _OPTIONS}
            found = _functions[key] = cast(Compiled, numba.njit(**options)(made))
        return found, text

    # -- one value

    def _visit(self, x: Any, read: str, argument: int, path: str, *, varies: bool) -> _Found:
        kind = find_kind(x)
        if kind is LIST and len(x) > _LONGEST:
            kind = None
        if kind is not None and not _fits_form(kind, x):
            return self._add_unseen(x, read, f"a {type(x).__name__} with keys that are not texts")
        if kind is None and not isinstance(x, np.ndarray):
            return self._visit_value(x, read, argument, path, varies=varies)
        key = (id(x), varies)
        if key in self._known:
            _, found, first = self._known[key]
            self._add_guard(f"{read} is not {first}")
            if kind is None:
                self._again.append(f"({first[1:]}, {read})")
            return found or self._back_reference(x, key, path)
        if kind is not None and self._depth >= _DEEPEST:
            raise self._too_deep(path)
        name = f"n{len(self._known)}" if kind is not None else f"l{len(self._leaves)}"
        self._add_reading(name, read)
        if kind is None:
            self._types[len(self._leaves)] = type(x)
        else:
            self._add_guard(f"type({name}) is not {self._read.name('type', type(x))}")
        if kind in (LIST, TUPLE, NAMED_TUPLE):
            self._like.add(f"if not isinstance({name}, (list, tuple)): return None", depth=1)
        elif kind is not None:
            self._like.add(f"if type({name}) is not {self._like.name('type', type(x))}: return None", depth=1)
        twin = self._known.get((id(x), not varies))
        if twin is None:
            self._nodes.append(name)
        else:  # part of a constant argument, too
            self._add_guard(f"{name} is not {twin[2]}")
        self._known[key] = (x, None, name)
        if kind is None:
            found = self._add_array(x, name, argument, path, varies=varies)
        else:
            found = self._visit_node(kind, x, name, argument, path, varies=varies)
        self._known[key] = (x, found, name)
        return found

    def _visit_value(self, x: Any, read: str, argument: int, path: str, *, varies: bool) -> _Found:
        if x is None:
            self._add_guard(f"{read} is not None")
            return _Found("None", "None")
        if is_function(x):
            if isinstance(x, FunctionType):
                function: Any = as_dispatcher(x)
            else:
                function = x.dispatcher if isinstance(x, NumbaCallable) else x
            self._add_guard(f"{read} is not {self._read.name('function', x)}")
            return _Found(self._call.name("function", function), self._made.name("function", x))
        if not has_type(x):
            return self._add_unseen(x, read, f"a {type(x).__module__}.{type(x).__name__}")
        name = f"l{len(self._leaves)}"
        self._add_reading(name, read)
        self._types[len(self._leaves)] = type(x)
        return self._add_leaf(argument, path, differentiated=varies and has_floats(x), is_array=False)

    def _add_array(self, x: Any, name: str, argument: int, path: str, *, varies: bool) -> _Found:
        differentiated = varies and has_numbers(x)
        if differentiated:
            self._arrays.append((name, x))
        else:
            self._add_guard(f"{name}.dtype.kind != {x.dtype.kind!r}")
        found = self._add_leaf(argument, path, differentiated=differentiated, is_array=True)
        if differentiated and isinstance(x, np.matrix):
            wrap = self._made.name("as_matrix", np.asmatrix)
            number = len(self._leaves) - 1
            self._made.add(f"m{number} = {wrap}({found.gradient})")
            return _Found(found.native, f"m{number}")
        return found

    def _add_leaf(
        self, argument: int, path: str, *, differentiated: bool, is_array: bool, is_cell: bool = False
    ) -> _Found:
        number = len(self._leaves)
        count = sum(leaf.differentiated for leaf in self._leaves)
        self._leaves.append(Leaf(argument, path, differentiated, is_array, is_cell))
        parameter = "".join(c if c.isalnum() else "_" for c in path) + f"_{number}"
        self._parameters.append(parameter)
        return _Found(parameter, f"d[{count}]" if differentiated else f"l[{number}]")

    def _add_unseen(self, x: Any, read: str, what: str) -> _Found:
        name = f"u{len(self._rest)}"
        self._read.add(f"{name} = {read}", depth=1)
        self._add_guard(f"type({name}) is not {self._read.name('type', type(x))}")
        self._rest.append(name)
        return _Found(self._call.name("unseen", _unseen(what)), f"r[{len(self._rest) - 1}]")

    def _back_reference(self, x: Any, key: tuple[int, bool], path: str) -> _Found:
        shell = self._shells.get(key)
        if shell is None:
            raise UnsupportedIRError(
                f"{path} leads back to a {type(x).__name__} that it is part of, and which is made whole",
                function=name_of(self._function),
                remedy="let the circle go through a list, a dictionary or an object with fields",
            )
        what = f"a reference back to the {type(x).__name__} it is part of ({path})"
        return _Found(self._call.name("unseen", _unseen(what)), shell)

    def _too_deep(self, path: str) -> UnsupportedIRError:
        return UnsupportedIRError(
            f"objects lead to each other in a chain of more than {_DEEPEST}: {path[:60]}…",
            function=name_of(self._function),
            remedy="make the links of the chain instances of a @numba.experimental.jitclass",
        )

    def _add_reading(self, name: str, expression: str) -> None:
        for source in (self._read, self._like):
            source.add(f"{name} = {expression}", depth=1)

    def _add_guard(self, test: str, *, of_shadows: bool = False) -> None:
        for source in (self._read, self._like) if of_shadows else (self._read,):
            source.add(f"if {test}: return None", depth=1)

    # -- values with parts

    def _visit_node(self, kind: Kind, x: Any, name: str, argument: int, path: str, *, varies: bool) -> _Found:
        key, shell = (id(x), varies), None
        self._depth += 1
        if id(x) in self._closing and kind.filled:
            shell = self._shells[key] = f"s{len(self._shells)}"
            blank = self._made.name("blank", partial(kind.blank, x))
            self._made.add(f"{shell} = {blank}()")
        parts = kind.take_apart(x)
        reads = self._reads(kind, x, name, parts.labels)
        cells = self._cells(kind, x, parts.labels, parts.values)
        found = [
            self._visit_cell(part, label, name, kind, argument, _extended(path, kind, label), varies=varies)
            if label in cells
            else self._visit(
                part,
                reads[i],
                argument,
                _extended(path, kind, label),
                varies=varies and label not in parts.constant,
            )
            for i, (label, part) in enumerate(zip(parts.labels, parts.values, strict=True))
        ]
        self._depth -= 1
        native = self._add_native(kind, x, parts.labels, [one.native for one in found], cells)
        gradient = self._add_gradient(kind, x, name, shell, parts.labels, [one.gradient for one in found])
        return _Found(native, gradient)

    def _reads(self, kind: Kind, x: Any, name: str, labels: Sequence[Any]) -> list[str]:
        """Return the expressions that read the parts of a node, after a check that there are no others."""
        if kind is OBJECT:
            if hasattr(x, "__dict__"):
                self._add_guard(f"len({name}.__dict__) != {len(x.__dict__)}")
            return [
                f"{name}.{label}" if label.isidentifier() else f"getattr({name}, {label!r})"
                for label in labels
            ]
        if kind in (LIST, TUPLE, NAMED_TUPLE):
            self._add_guard(f"len({name}) != {len(labels)}", of_shadows=True)
            return [f"{name}[{i}]" for i in range(len(labels))]
        if kind is DICT:
            self._add_guard(f"len({name}) != {len(labels)}", of_shadows=True)
            return [f"{name}[{label!r}]" for label in labels]
        taken = f"{name}p"
        for source in (self._read, self._like):
            source.add(f"{taken} = {source.name('take_apart', kind.take_apart)}({name})", depth=1)
            source.add(f"if {taken}.labels != {source.name('labels', tuple(labels))}: return None", depth=1)
        return [f"{taken}.values[{i}]" for i in range(len(labels))]

    def _cells(self, kind: Kind, x: Any, labels: Sequence[Any], values: Sequence[Any]) -> frozenset[str]:
        """Return the labels of the numbers that the function may assign to."""
        if kind is OBJECT and not _is_frozen(x):
            names = self._assigned.attributes
        elif kind is DICT:
            names = self._assigned.keys
        else:
            return frozenset()
        numbers = (bool, int, float, complex, np.number, np.bool_)
        pairs = zip(labels, values, strict=True)
        return frozenset(label for label, part in pairs if label in names and isinstance(part, numbers))

    def _visit_cell(
        self, x: Any, label: str, node: str, kind: Kind, argument: int, path: str, *, varies: bool
    ) -> _Found:
        """Return what stands for a number that the function may assign to: an array without dimensions."""
        name = f"l{len(self._leaves)}"
        sort = self._read.name("type", type(x))
        read = f"{node}[{label!r}]" if kind is DICT else f"getattr({node}, {label!r})"
        self._like.add(f"{name} = {read}", depth=1)
        self._read.add(f"v{name} = {read}", depth=1)
        self._add_guard(f"type(v{name}) is not {sort}")
        self._read.add(f"{name} = {self._read.name('array', np.array)}(v{name})", depth=1)
        differentiated = varies and isinstance(x, (float, complex, np.inexact))
        self._types[len(self._leaves)] = np.ndarray
        found = self._add_leaf(argument, path, differentiated=differentiated, is_array=True, is_cell=True)
        number, place = len(self._leaves) - 1, len(self._rest)
        self._rest.append(node)
        type_, put = self._put.name("type", type(x)), self._put.name("put", kind.put)
        self._back.append(f"{put}(r[{place}], {label!r}, {type_}(l[{number}][()]))")
        return _Found(found.native, f"{self._made.name('type', type(x))}({found.gradient}[()])")

    def _add_native(
        self, kind: Kind, x: Any, labels: Sequence[Any], parts: Sequence[str], cells: frozenset[str]
    ) -> str:
        """Return the name of what stands for a node in compiled code, after making it."""
        if kind.form is Form.PLAIN:
            return parts[0]
        name = self._call.variable("node")
        if kind in (OBJECT, DICT) and (cells or self._is_assigned(kind, x, labels)):
            if kind is DICT:
                maker = state_maker(mapping_class(tuple(labels)), cells, tuple(labels))
            else:
                sort = record_class(type(x).__name__.lstrip("_") or "Record", tuple(labels))
                maker = state_maker(sort, cells, None)
            given = "".join(f"{part}, " for part in parts)
            made = (
                f"{self._call.name('make_state', make_state)}({self._call.name('maker', maker)}, ({given}))"
            )
        elif kind.form is Form.MAPPING:
            made = f"{self._call.name('mapping', mapping_class(tuple(labels)))}({', '.join(parts)})"
        elif kind.form is Form.RECORD and all(isinstance(label, str) for label in labels):
            sort = type(x) if kind is NAMED_TUPLE else None
            if sort is None:
                sort = record_class(type(x).__name__.lstrip("_") or "Record", tuple(labels))
            made = f"{self._call.name('record', sort)}({', '.join(parts)})"
        else:
            made = f"({''.join(f'{part}, ' for part in parts)})"
        self._call.add(f"{name} = {made}")
        return name

    def _is_assigned(self, kind: Kind, x: Any, labels: Sequence[Any]) -> bool:
        """Return whether the function may assign to a field of an object that holds something else."""
        return kind is OBJECT and not _is_frozen(x) and not self._assigned.attributes.isdisjoint(labels)

    def _add_gradient(
        self, kind: Kind, x: Any, name: str, shell: str | None, labels: Sequence[Any], parts: Sequence[str]
    ) -> str:
        """Return the name of the gradient of a node, after making it."""
        made = self._made.variable("made")
        given = "".join(f"{part}, " for part in parts)
        if shell is not None:
            fill = self._made.name("fill", kind.fill)
            self._rest.append(name)
            self._made.add(f"{fill}({shell}, r[{len(self._rest) - 1}], ({given}))")
            return shell
        if kind is LIST and type(x) is list:
            self._made.add(f"{made} = [{given}]")
        elif kind is TUPLE and type(x) is tuple:
            self._made.add(f"{made} = ({given})")
        elif kind is DICT and type(x) is dict:
            items = ", ".join(f"{label!r}: {part}" for label, part in zip(labels, parts, strict=True))
            self._made.add(f"{made} = {{{items}}}")
        elif kind is OBJECT and _is_all_in_dict(x, labels):
            items = ", ".join(f"{label!r}: {part}" for label, part in zip(labels, parts, strict=True))
            new, sort = self._made.name("new", object.__new__), self._made.name("type", type(x))
            self._made.add(f"{made} = {new}({sort})")
            self._made.add(f"{made}.__dict__.update({{{items}}})")
        else:
            self._rest.append(name)
            original = f"r[{len(self._rest) - 1}]"
            blank, fill = self._made.name("blank", kind.blank), self._made.name("fill", kind.fill)
            self._made.add(f"{made} = {fill}({blank}({original}), {original}, ({given}))")
        return made

    # -- identity

    def _add_types(self) -> None:
        """Add the check of the types of all leaves at once: a test for each takes longer."""
        self._read.add(f"leaves = ({''.join(f'{name}, ' for name in self._read_leaves())})", depth=1)
        types = tuple(self._types[i] for i in range(len(self._leaves)))
        self._add_guard(f"tuple(map(type, leaves)) != {self._read.name('types', types)}")

    def _add_identities(self) -> None:
        """Add the check that what is found in one place is found nowhere else, apart from what is planned."""
        owners = [name for name, x in self._arrays if x.base is None]
        views = [name for name, x in self._arrays if x.base is not None]
        if owners:
            base, none = self._read.name("base", attrgetter("base")), self._read.name("none", {None})
            self._add_guard(f"set(map({base}, ({''.join(f'{name}, ' for name in owners)}))) != {none}")
        nodes = "".join(f"{name}, " for name in self._nodes)
        count = len(self._nodes)
        if views and not _is_one_memory([x for _, x in self._arrays]):
            nodes += "".join(f"{name}.base, " for name in views)
            count += len(views)
        if count > 1:
            self._add_guard(f"len(set(map(id, ({nodes})))) != {count}")


_OPTIONS = ("fastmath", "parallel", "boundscheck", "error_model", "nogil")


def _unseen(what: str) -> Unseen:
    return _all_unseen.setdefault(what, Unseen(what))


_all_unseen: dict[str, Unseen] = {}


def _fits_form(kind: Kind, x: Any) -> bool:
    """Return whether compiled code can see a value by its labels: dictionaries by texts only."""
    return kind.form is not Form.MAPPING or all(isinstance(key, str) for key in x)


def _is_frozen(x: Any) -> bool:
    """Return whether fields of an object cannot be assigned to."""
    parameters = getattr(type(x), "__dataclass_params__", None)
    return bool(getattr(parameters, "frozen", False))


def _is_all_in_dict(x: Any, labels: Sequence[str]) -> bool:
    return hasattr(x, "__dict__") and set(x.__dict__) == set(labels)


def _extended(path: str, kind: Kind, label: Any) -> str:
    if kind.form is Form.PLAIN:
        return path
    return f"{path}.{label}" if kind.form is Form.RECORD else f"{path}[{label!r}]"


def _is_one_memory(arrays: Sequence[Any]) -> bool:
    """Return whether some of several arrays are views of one array."""
    owners: dict[int, int] = {}
    for x in arrays:
        base = x
        while isinstance(base.base, np.ndarray):
            base = base.base
        owners[id(base)] = owners.get(id(base), 0) + 1
    return any(count > 1 for count in owners.values())


def _closing_nodes(args: Sequence[Any]) -> set[int]:
    """Return the identities of the values that lead back to themselves, as far as a walk closes there."""
    closing: set[int] = set()
    done: set[int] = set()
    for x in args:
        open_now: set[int] = set()
        stack: list[tuple[Any, Any]] = []

        def enter(value: Any, open_now: set[int] = open_now, stack: list[tuple[Any, Any]] = stack) -> None:
            if id(value) in open_now:
                closing.add(id(value))
                return
            kind = find_kind(value)
            if kind is None or id(value) in done:
                return
            open_now.add(id(value))
            stack.append((value, iter(kind.take_apart(value).values)))

        enter(x)
        while stack:
            value, parts = stack[-1]
            part = next(parts, stack)
            if part is stack:
                stack.pop()
                open_now.discard(id(value))
                done.add(id(value))
            else:
                enter(part)
    return closing
