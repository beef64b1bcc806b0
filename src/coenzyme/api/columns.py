"""The sweeps that fill a Jacobian: a pushforward for each column, or a pullback for each row.

The value of a function and its arguments are trees of numbers and arrays. A Jacobian is a tree of the value's
shape; in the place of each of its leaves stands one entry for each argument, shaped like that; and in the
place of each leaf of that stands the array of the partial derivatives of the one leaf by the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numba.core import types

from coenzyme.api.calls import Operands, add_derivative, cast
from coenzyme.api.memory import copy_like, zero_like
from coenzyme.api.source import Source, implements
from coenzyme.api.structure import Arrangement, Leaf, Tree, leaves_of, one_of, rebuild, tree_of, zero_of
from coenzyme.frontends.program import Mode

__all__ = ["Blocks", "add_columns", "add_copies", "add_rows"]

Blocks = dict[tuple[str, str], str]
"""For the paths of a leaf of the value and one of an argument, the expression of the partial derivatives."""


def store_column(jacobian: Any, column: int, values: Any) -> None:
    """Write a number, or the entries of an array, down a column of a matrix, in compiled code."""
    raise NotImplementedError


@implements(store_column)
def _store_column(jacobian: Any, column: Any, values: Any) -> Callable[..., None]:
    if not isinstance(values, types.Array):

        def store_number(jacobian: Any, column: Any, values: Any) -> None:
            jacobian[0, column] = values

        return store_number

    def store_array(jacobian: Any, column: Any, values: Any) -> None:
        for row, value in enumerate(values.flat):
            jacobian[row, column] = value

    return store_array


def add_copies(source: Source, arrangement: Arrangement) -> dict[str, str]:
    """Add copies of the arrays that the function can write, and return their names by path."""
    copies: dict[str, str] = {}
    for leaf in arrangement.leaves:
        if isinstance(leaf.kind, types.Array) and leaf.kind.mutable:
            copies[leaf.path] = source.variable("saved")
            source.add(f"{copies[leaf.path]} = {source.name('copy_like', copy_like)}({leaf.path})")
    return copies


def _fresh(source: Source, copies: Mapping[str, str]) -> dict[str, str]:
    """Return expressions for arguments that one evaluation may write to."""
    return {path: f"{source.name('copy_like', copy_like)}({saved})" for path, saved in copies.items()}


def _dtype_of(source: Source, leaf: Leaf) -> str:
    kind: Any = leaf.kind.dtype if isinstance(leaf.kind, types.Array) else leaf.kind
    return source.name("dtype", np.dtype(str(kind)))


def _shape(*leaves: Leaf) -> str:
    """Return the expression of the shapes of arrays, one after the other; numbers have none."""
    return " + ".join(f"{leaf.path}.shape" for leaf in leaves if leaf.is_array)


def _size(leaf: Leaf) -> str:
    return f"{leaf.path}.size" if leaf.is_array else "1"


def _differentiated(leaves: Sequence[Leaf]) -> list[Leaf]:
    return [leaf for leaf in leaves if leaf.differentiated]


def add_columns(
    source: Source, arrangement: Arrangement, chosen: Sequence[Leaf], copies: Mapping[str, str], restype: Any
) -> Blocks:
    """Add a loop of pushforwards along the entries of each chosen leaf.

    Parameters
    ----------
    source
        The body, in which ``y`` is the value of the function.
    arrangement
        The function and its arguments.
    chosen
        The leaves of the arguments to differentiate by.
    copies
        The names of copies of the arguments, by path.
    restype
        The Numba type of the value.
    """
    outputs = _differentiated(list(leaves_of(tree_of(restype, "y", differentiated=True))))
    blocks: Blocks = {}
    for leaf in chosen:
        tangents: dict[str, str] = {}
        for other in _differentiated(arrangement.leaves):
            zero = f"{source.name('zero_like', zero_like)}({other.path})"
            tangents[other.path] = zero if other.is_array else source.name("zero", zero_of(other.kind))
        if leaf.is_array:
            blocks |= _add_array_columns(source, arrangement, leaf, tangents, copies, restype)
            continue
        tangents[leaf.path] = source.name("one", one_of(leaf.kind))
        operands = Operands(tangents, values=_fresh(source, copies))
        outcome = add_derivative(source, arrangement, Mode.FORWARD, operands, return_active=True)
        for out in outputs:
            blocks[out.path, leaf.path] = outcome.tangent + out.path.removeprefix("y")
    return blocks


def _add_array_columns(
    source: Source,
    arrangement: Arrangement,
    leaf: Leaf,
    tangents: dict[str, str],
    copies: Mapping[str, str],
    restype: Any,
) -> Blocks:
    outputs = _differentiated(list(leaves_of(tree_of(restype, "y", differentiated=True))))
    k, tangent = source.variable("k"), source.variable("tangent")
    matrices = {out.path: source.variable("jacobian") for out in outputs}
    empty = source.name("empty", np.empty)
    for out in outputs:
        size = f"({_size(out)}, {leaf.path}.size)"
        source.add(f"{matrices[out.path]} = {empty}({size}, {_dtype_of(source, out)})")
    source.add(f"for {k} in range({leaf.path}.size):")
    source.add(f"{tangent} = {source.name('zero_like', zero_like)}({leaf.path})", depth=1)
    source.add(f"{tangent}.flat[{k}] = 1.0", depth=1)
    operands = Operands({**tangents, leaf.path: tangent}, values=_fresh(source, copies))
    outcome = add_derivative(source, arrangement, Mode.FORWARD, operands, return_active=True, depth=1)
    store = source.name("store_column", store_column)
    for out in outputs:
        column = outcome.tangent + out.path.removeprefix("y")
        source.add(f"{store}({matrices[out.path]}, {k}, {column})", depth=1)
    return {(out.path, leaf.path): f"{matrices[out.path]}.reshape({_shape(out, leaf)})" for out in outputs}


def add_rows(
    source: Source, arrangement: Arrangement, chosen: Sequence[Leaf], copies: Mapping[str, str], restype: Any
) -> Blocks:
    """Add a loop of pullbacks along the entries of each leaf of the value; parameters as `add_columns`."""
    tree = tree_of(restype, "y", differentiated=True)
    blocks: Blocks = {}
    for out in _differentiated(list(leaves_of(tree))):
        if out.is_array:
            blocks |= _add_array_rows(source, arrangement, chosen, copies, (tree, out))
            continue
        seed = _seed(source, tree, out, source.name("one", one_of(out.kind)))
        operands = Operands(None, seed, _fresh(source, copies))
        outcome = add_derivative(source, arrangement, Mode.REVERSE, operands, return_active=True)
        for leaf in chosen:
            blocks[out.path, leaf.path] = outcome.adjoint(leaf)
    return blocks


def _seed(source: Source, tree: Tree, chosen: Leaf, expression: str) -> str:
    """Return the expression of a cotangent that is `expression` at one leaf, and zero elsewhere."""

    def part(leaf: Leaf) -> str:
        if leaf.path == chosen.path:
            return expression
        if not leaf.differentiated:
            return leaf.path
        if leaf.is_array:
            return cast(source, f"{source.name('zero_like', zero_like)}({leaf.path})", leaf.kind)
        return source.name("zero", zero_of(leaf.kind))

    return rebuild(tree, part, source)


def _add_array_rows(
    source: Source,
    arrangement: Arrangement,
    chosen: Sequence[Leaf],
    copies: Mapping[str, str],
    place: tuple[Tree, Leaf],
) -> Blocks:
    tree, out = place
    matrices = {leaf.path: source.variable("jacobian") for leaf in chosen}
    empty = source.name("empty", np.empty)
    for leaf in chosen:
        size = f"({_size(leaf)}, {out.path}.size)"
        source.add(f"{matrices[leaf.path]} = {empty}({size}, {_dtype_of(source, out)})")
    k, row = source.variable("k"), source.variable("seed")
    source.add(f"for {k} in range({out.path}.size):")
    source.add(f"{row} = {source.name('zero_like', zero_like)}({out.path})", depth=1)
    source.add(f"{row}.flat[{k}] = 1.0", depth=1)
    seed = _seed(source, tree, out, cast(source, row, out.kind))
    operands = Operands(None, seed, _fresh(source, copies))
    outcome = add_derivative(source, arrangement, Mode.REVERSE, operands, return_active=True, depth=1)
    store = source.name("store_column", store_column)
    for leaf in chosen:
        source.add(f"{store}({matrices[leaf.path]}, {k}, {outcome.adjoint(leaf)})", depth=1)
    ascontiguous = source.name("ascontiguousarray", np.ascontiguousarray)
    return {
        (out.path, leaf.path): f"{ascontiguous}({matrices[leaf.path]}.T).reshape({_shape(out, leaf)})"
        for leaf in chosen
    }
