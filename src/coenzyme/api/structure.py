"""Numba types of arguments, taken apart into the numbers and arrays that the engine differentiates.

A tuple is a tree whose leaves are numbers and arrays. The engine is given the leaves, each as an argument of
its own, so that the two sorts may stand in one tuple; a function that takes leaves and rebuilds the tuples is
generated where needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import Parameter
from typing import Any, TypeAlias, cast

import numba
import numpy as np
from numba.core import types

from coenzyme.api.containers import check_items, is_container_type
from coenzyme.api.functions import Compiled, name_of, parameters_of, signature_of
from coenzyme.api.instances import holds_instance_floats
from coenzyme.api.source import Source
from coenzyme.errors import ActivityError, CoenzymeError, UnsupportedIRError
from coenzyme.frontends.numba_roles import record_holds_floats
from coenzyme.frontends.numba_structs import is_instance
from coenzyme.frontends.program import ArgumentActivity, Mode

__all__ = [
    "Arrangement",
    "Leaf",
    "Node",
    "Tree",
    "argument_name",
    "arrange",
    "check_argnums",
    "check_differentiable",
    "holds_floats",
    "imaginary_unit_of",
    "is_complex",
    "leaves_of",
    "one_of",
    "parts_of",
    "rebuild",
    "scalar_of",
    "tree_of",
    "zero_of",
]

_WIDTHS = (32, 64)


@dataclass(frozen=True)
class Leaf:
    """A number, an array, or anything that is passed through: one argument of the engine.

    Parameters
    ----------
    path
        The expression that reads it, in a function whose arguments are called ``a0``, ``a1``, ….
    kind
        Its Numba type.
    differentiated
        Whether it has a derivative.
    """

    path: str
    kind: types.Type
    differentiated: bool

    @property
    def is_array(self) -> bool:
        """True for arrays, which have shadows; numbers have adjoints."""
        return isinstance(self.kind, types.Array)

    @property
    def in_memory(self) -> bool:
        """True for arrays, typed containers and instances, whose derivatives are shadows."""
        return self.is_array or is_container_type(self.kind) or is_instance(self.kind)

    def activity(self, mode: Mode) -> ArgumentActivity:
        """Return what the engine is told about this argument."""
        if not self.differentiated:
            return ArgumentActivity.CONST
        if self.in_memory or mode is Mode.FORWARD:
            return ArgumentActivity.DUPLICATED
        return ArgumentActivity.ACTIVE


@dataclass(frozen=True)
class Node:
    """A tuple or named tuple."""

    kind: types.BaseTuple
    children: tuple[Tree, ...]


Tree: TypeAlias = Leaf | Node


def parts_of(kind: types.BaseTuple) -> tuple[types.Type, ...]:
    """Return the types of the entries of a tuple."""
    return tuple(cast(Any, kind).types)


def leaves_of(tree: Tree) -> Iterator[Leaf]:
    """Yield the leaves of a tree from left to right."""
    if isinstance(tree, Leaf):
        yield tree
    else:
        for child in tree.children:
            yield from leaves_of(child)


def holds_floats(kind: types.Type) -> bool:
    """Return whether values of a type have a derivative: floats, arrays of them, tuples with such parts."""
    if isinstance(kind, types.BaseTuple):
        return any(holds_floats(part) for part in parts_of(kind))
    if isinstance(kind, (types.Array, types.List, types.ListType, types.Set)):
        return holds_floats(kind.dtype)
    if isinstance(kind, types.DictType):
        return holds_floats(cast(Any, kind).value_type)
    if isinstance(kind, types.Optional):
        return holds_floats(kind.type)
    return isinstance(kind, (types.Float, types.Complex)) or holds_instance_floats(kind)


def _holds_records(kind: types.Type) -> bool:
    """Return whether values of a type are arrays of records with floats, which have shadows in `autodiff`."""
    return isinstance(kind, types.Array) and record_holds_floats(kind.dtype)


def check_differentiable(kind: types.Type, *, function: str, argument: str, containers: bool = False) -> None:
    """Refuse the types that have no derivative, or none yet.

    Parameters
    ----------
    kind
        The type of an argument.
    function, argument
        Names for the message.
    containers
        Whether typed lists and dictionaries, and instances, are differentiated.

    Raises
    ------
    ActivityError
        For integers, booleans, strings and other values without a derivative.
    UnsupportedIRError
        For lists and other types that are not differentiated.
    """
    if isinstance(kind, types.BaseTuple) and holds_floats(kind):
        for part in parts_of(kind):
            if holds_floats(part):
                check_differentiable(part, function=function, argument=argument, containers=containers)
        return
    if containers and holds_instance_floats(kind):
        return
    problem = _problem_of_instance(kind) or _problem(kind, containers=containers)
    if problem is not None:
        sort, message, remedy = problem
        raise sort(message, function=function, argument=argument, remedy=remedy)


def _problem(kind: types.Type, *, containers: bool = False) -> tuple[type[CoenzymeError], str, str] | None:
    if is_container_type(kind) and holds_floats(kind):
        return _problem_of_container(kind, containers=containers)
    if isinstance(kind, types.Array):
        return _problem_of_array(kind, records=containers)
    if isinstance(kind, types.Complex):
        return None
    if isinstance(kind, types.Float):
        if kind.bitwidth in _WIDTHS:
            return None
        return UnsupportedIRError, f"{kind} is not differentiated", "convert it to float64"
    if isinstance(kind, (types.Integer, types.Boolean)):
        return ActivityError, f"a value of type {kind} has no derivative", "pass a float, such as 2.0 for 2"
    if isinstance(kind, (types.List, types.Set)):
        return (
            UnsupportedIRError,
            f"a container of type {kind} is not differentiated",
            "pass a NumPy array, a tuple, or a numba.typed.List",
        )
    return (
        ActivityError,
        f"a value of type {kind} has no derivative",
        "annotate it Const, or leave it out of argnums",
    )


def _problem_of_array(kind: types.Array, *, records: bool) -> tuple[type[CoenzymeError], str, str] | None:
    if not kind.aligned:
        packed = isinstance(kind.dtype, types.Record)
        remedy = "make its dtype with align=True" if packed else "pass a copy of it, x.copy()"
        return UnsupportedIRError, f"an array of type {kind} is not aligned", remedy
    if record_holds_floats(kind.dtype):
        if records:
            return None
        remedy = "annotate it in autodiff or autodiff_thunk, called from Python; or leave it out"
        return ActivityError, f"an array of {kind.dtype} has no derivative here", remedy
    inner = _problem(kind.dtype)
    if inner is None or isinstance(kind.dtype, (types.Complex, types.Float)):
        return inner
    remedy = "leave it out of argnums or annotate it Const; or convert it with x.astype(float)"
    return ActivityError, f"an array of {kind.dtype} has no derivative", remedy


def _problem_of_instance(kind: types.Type) -> tuple[type[CoenzymeError], str, str] | None:
    if not holds_instance_floats(kind):
        return None
    return (
        UnsupportedIRError,
        f"an instance, of type {kind}, is differentiated by autodiff alone, called from Python",
        "use autodiff with Duplicated(obj, make_zero(obj)), or leave it out of argnums",
    )


def _problem_of_container(
    kind: types.Type, *, containers: bool
) -> tuple[type[CoenzymeError], str, str] | None:
    if not containers:
        return (
            UnsupportedIRError,
            f"a container of type {kind} is differentiated by autodiff alone, called from Python",
            "use cz.autodiff with cz.Duplicated(x, cz.make_zero(x)), or pass a NumPy array or a tuple",
        )
    problem = check_items(kind)
    if problem is None:
        return None
    return (
        UnsupportedIRError,
        f"a container of type {kind} is not differentiated: {problem}",
        "let its items be floats, arrays of floats, tuples or containers of them",
    )


def argument_name(function: Compiled, position: int) -> str:
    """Return what messages call the argument at a position."""
    names = [p.name for p in parameters_of(function) if p.kind is not Parameter.VAR_POSITIONAL]
    return names[position] if position < len(names) else f"number {position}"


@dataclass(frozen=True)
class Arrangement:
    """A function whose arguments are all leaves, and how its caller's arguments map to them.

    Parameters
    ----------
    function
        The user's function, or one that rebuilds the tuples and calls it.
    trees
        One tree for each argument of the user's function, left-out ones with their defaults included.
    defaults
        Names of defaults in paths, and their values.
    """

    function: Compiled
    trees: tuple[Tree, ...]
    defaults: dict[str, Any]

    @property
    def count(self) -> int:
        """How many arguments the caller gives."""
        return len(self.trees) - len(self.defaults)

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """The arguments of `function`."""
        return tuple(leaf for tree in self.trees for leaf in leaves_of(tree))

    @property
    def types(self) -> tuple[types.Type, ...]:
        """The Numba types of the arguments of `function`."""
        return tuple(leaf.kind for leaf in self.leaves)

    def activities(self, mode: Mode) -> tuple[ArgumentActivity, ...]:
        """Return what the engine is told about each argument."""
        return tuple(leaf.activity(mode) for leaf in self.leaves)


def check_argnums(function: Compiled, argnums: Sequence[int], given: int) -> None:
    """Refuse positions at which there is no argument.

    Raises
    ------
    ActivityError
        If one of `argnums` is not below `given`.
    """
    for i in argnums:
        if not 0 <= i < given:
            raise ActivityError(
                f"argnums names argument {i}, and the call has {given}",
                function=name_of(function),
                remedy="count arguments from 0",
            )


@cache
def arrange(
    function: Compiled,
    argtypes: tuple[types.Type, ...],
    differentiated: frozenset[int],
    *,
    containers: bool = False,
) -> Arrangement:
    """Return how to call `function` with the tuples among its differentiated arguments taken apart.

    Parameters
    ----------
    function
        The user's function.
    argtypes
        Numba types of the arguments that are passed; defaults are filled in for the rest.
    differentiated
        Positions of the differentiated arguments.
    containers
        Whether typed lists and dictionaries, and instances, may be among them.
    """
    parameters = parameters_of(function)
    required = [p for p in parameters if p.default is p.empty and p.kind is not Parameter.VAR_POSITIONAL]
    variable = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
    if len(argtypes) < len(required) or (len(argtypes) > len(parameters) and not variable):
        raise ActivityError(
            f"wrong arguments: {len(argtypes)} were given",
            function=name_of(function),
            remedy=f"call it as {signature_of(function)}",
        )
    for i in sorted(differentiated):
        name = argument_name(function, i)
        check_differentiable(argtypes[i], function=name_of(function), argument=name, containers=containers)
    defaults = {
        f"_default_{p.name}": p.default for p in parameters[len(argtypes) :] if p.default is not p.empty
    }
    trees = [tree_of(kind, f"a{i}", differentiated=i in differentiated) for i, kind in enumerate(argtypes)]
    trees += [Leaf(name, numba.typeof(value), False) for name, value in defaults.items()]
    # A variable number of arguments becomes a fixed one in the same way.
    if any(isinstance(t, Node) for t in trees) or variable:
        function = _with_leaves(function, trees)
    return Arrangement(function, tuple(trees), defaults)


def tree_of(kind: types.Type, path: str, *, differentiated: bool) -> Tree:
    """Return the leaves of a type, as expressions on `path`; a constant is one leaf."""
    if differentiated and isinstance(kind, types.BaseTuple):
        return Node(
            kind,
            tuple(
                tree_of(part, f"{path}[{i}]", differentiated=True) for i, part in enumerate(parts_of(kind))
            ),
        )
    return Leaf(path, kind, differentiated and (holds_floats(kind) or _holds_records(kind)))


def _with_leaves(function: Compiled, trees: Sequence[Tree]) -> Compiled:
    source = Source()
    parameters: list[str] = []

    def parameter(_: Leaf) -> str:
        parameters.append(f"a{len(parameters)}")
        return parameters[-1]

    arguments = [rebuild(tree, parameter, source) for tree in trees]
    source.add(f"return {source.name('function', function)}({', '.join(arguments)})")
    return numba.njit(source.function(name_of(function).rpartition(".")[2], ", ".join(parameters)))


def rebuild(tree: Tree, expression: Callable[[Leaf], str], source: Source) -> str:
    """Return the expression that builds a tree's tuples from an expression for each leaf."""
    if isinstance(tree, Leaf):
        return expression(tree)
    parts = [rebuild(child, expression, source) for child in tree.children]
    if isinstance(tree.kind, types.BaseNamedTuple):
        return f"{source.name('structure', cast(Any, tree.kind).instance_class)}({', '.join(parts)})"
    return f"({''.join(f'{part}, ' for part in parts)})"


def one_of(kind: types.Type) -> Any:
    """Return 1 as a constant of a floating-point type, real or complex."""
    return _number(kind, 1)


def zero_of(kind: types.Type) -> Any:
    """Return 0 as a constant of a floating-point type, real or complex."""
    return _number(kind, 0)


def imaginary_unit_of(kind: types.Type) -> Any:
    """Return i as a constant of a complex type."""
    return _number(kind, 1j)


def _number(kind: types.Type, value: complex) -> Any:
    scalar = np.dtype(str(kind)).type(value)
    # Of a constant in double precision Numba takes the type from Python's own types.
    return scalar.item() if kind in (types.float64, types.complex128) else scalar


def scalar_of(kind: types.Type) -> types.Type:
    """Return the type of the entries of an array, and that of a number itself."""
    return kind.dtype if isinstance(kind, types.Array) else kind


def is_complex(kind: types.Type) -> bool:
    """Return whether a number, or the entries of an array, are complex."""
    return isinstance(scalar_of(kind), types.Complex)
