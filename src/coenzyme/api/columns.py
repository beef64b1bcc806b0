"""The sweeps that fill a Jacobian: a pushforward for each column, or a pullback for each row.

The value of a function and its arguments are trees of numbers and arrays. A Jacobian is a tree of the value's
shape; in the place of each of its leaves stands one entry for each argument, shaped like that; and in the
place of each leaf of that stands the array of the partial derivatives of the one leaf by the other.

A complex number is a pair of real ones to the sweeps. Where a real number depends on a complex one, x + iy,
the entry is ∂/∂x + i ∂/∂y, the gradient, from a sweep along 1 and another along i, or from one pullback.
Where a complex number depends on a real one, it is the derivative of the real part plus i times that of the
imaginary part. Where both are complex the function must be holomorphic: one sweep gives the derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numba.core import types

from coenzyme.api.calls import Operands, Outcome, add_batch, cast
from coenzyme.api.memory import copy_like, zero_like
from coenzyme.api.parts import combine, conjugate, store_column
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.structure import (
    Arrangement,
    Leaf,
    Tree,
    imaginary_unit_of,
    is_complex,
    leaves_of,
    one_of,
    rebuild,
    scalar_of,
    tree_of,
    zero_of,
)
from coenzyme.errors import ActivityError
from coenzyme.frontends.program import Mode

__all__ = ["Blocks", "Sweeps", "add_copies", "check_complex"]

Blocks = dict[tuple[str, str], str]
"""For the paths of a leaf of the value and one of an argument, the expression of the partial derivatives."""


def check_complex(
    outputs: Sequence[Leaf], inputs: Sequence[Leaf], function: str, *, holomorphic: bool
) -> None:
    """Refuse derivatives of complex values by complex arguments that are not declared to be holomorphic.

    Raises
    ------
    ActivityError
        If the function is complex and not declared to be holomorphic, or the other way around.
    """
    for group, name in ((inputs, "arguments"), (outputs, "value")):
        if holomorphic and not all(is_complex(leaf.kind) for leaf in group):
            raise ActivityError(
                f"with holomorphic=True the {name} must be complex, and there are real ones",
                function=function,
                remedy="leave holomorphic out, or convert with astype(complex)",
            )
    crossing = any(is_complex(leaf.kind) for leaf in inputs) and any(
        is_complex(leaf.kind) for leaf in outputs
    )
    if crossing and not holomorphic:
        raise ActivityError(
            "a complex value of complex arguments has a derivative only if the function is holomorphic",
            function=function,
            remedy="pass holomorphic=True if it is; or use jvp or vjp, one direction at a time",
        )


def add_copies(source: Source, arrangement: Arrangement) -> dict[str, str]:
    """Add copies of the arrays that the function can write, and return their names by path."""
    copies: dict[str, str] = {}
    for leaf in arrangement.leaves:
        if isinstance(leaf.kind, types.Array) and leaf.kind.mutable:
            copies[leaf.path] = source.variable("saved")
            source.add(f"{copies[leaf.path]} = {source.name('copy_like', copy_like)}({leaf.path})")
    return copies


def _shape(*leaves: Leaf) -> str:
    """Return the expression of the shapes of arrays, one after the other; numbers have none."""
    return " + ".join(f"{leaf.path}.shape" for leaf in leaves if leaf.is_array)


def _size(leaf: Leaf) -> str:
    return f"{leaf.path}.size" if leaf.is_array else "1"


@dataclass(frozen=True)
class Sweeps:
    """The sweeps of one Jacobian, which are added to a body.

    Parameters
    ----------
    source
        The body.
    arrangement
        The function and its arguments.
    restype
        The Numba type of the value.
    copies
        The names of copies of the arguments, by path.
    holomorphic
        Whether complex values are differentiated by complex arguments.
    chunk
        How many directions one sweep follows, at least for entries of one array.
    evaluated
        Whether ``y`` is the value of the function in the body already. Columns do without.
    reads
        Whether the function only reads its arguments, so that sweeps leave them and their tangents alone.
    """

    source: Source
    arrangement: Arrangement
    restype: types.Type
    copies: Mapping[str, str]
    holomorphic: bool
    chunk: int
    evaluated: bool = True
    reads: bool = False

    @property
    def tree(self) -> Tree:
        """The leaves of the value."""
        return tree_of(self.restype, "y", differentiated=True)

    @property
    def outputs(self) -> list[Leaf]:
        """The leaves of the value that have derivatives."""
        return [leaf for leaf in leaves_of(self.tree) if leaf.differentiated]

    def columns(self, chosen: Sequence[Leaf]) -> Blocks:
        """Add pushforwards along the entries of each chosen leaf of the arguments."""
        blocks: Blocks = {}
        nothing = self._nothing() if self.reads else {}
        for leaf in chosen:
            if leaf.is_array:
                blocks |= self._array_columns(leaf, nothing)
                continue
            runs = self._push(leaf, self._units(leaf), nothing)
            for out in self.outputs:
                blocks[out.path, leaf.path] = self._combined([_tangent_of(run, out) for run in runs])
        return blocks

    def rows(self, chosen: Sequence[Leaf]) -> Blocks:
        """Add pullbacks of the entries of each leaf of the value, for the chosen leaves of the arguments."""
        blocks: Blocks = {}
        for out in self.outputs:
            if out.is_array:
                blocks |= self._array_rows(out, chosen)
                continue
            runs = self._pull(out, self._units(out))
            for leaf in chosen:
                blocks[out.path, leaf.path] = self._combined([self._adjoint(run, leaf) for run in runs])
        return blocks

    def _units(self, leaf: Leaf) -> list[str]:
        """Return the directions of an entry: 1, and i where the real and imaginary parts are on their own."""
        kind = scalar_of(leaf.kind)
        units = [self.source.name("one", one_of(kind))]
        if is_complex(kind) and not self.holomorphic:
            units.append(self.source.name("unit", imaginary_unit_of(kind)))
        return units

    def _combined(self, parts: Sequence[str]) -> str:
        return f"{self.source.name('combine', combine)}({', '.join(parts)})" if len(parts) > 1 else parts[0]

    def _adjoint(self, run: Outcome, leaf: Leaf) -> str:
        # The transpose of multiplication by a complex number is that by its conjugate.
        found = run.adjoint(leaf)
        return f"{self.source.name('conjugate', conjugate)}({found})" if self.holomorphic else found

    def _fresh(self) -> dict[str, str]:
        """Return expressions for arguments that one evaluation may write to."""
        return {
            path: f"{self.source.name('copy_like', copy_like)}({saved})"
            for path, saved in self.copies.items()
        }

    def _zero(self, leaf: Leaf) -> str:
        if leaf.is_array:
            return f"{self.source.name('zero_like', zero_like)}({leaf.path})"
        return self.source.name("zero", zero_of(leaf.kind))

    def _nothing(self) -> dict[str, str]:
        """Add tangents that are zero, to be used by all directions of all sweeps, and return their names."""
        leaves = [leaf for leaf in self.arrangement.leaves if leaf.differentiated]
        found: dict[str, str] = {}
        for leaf in leaves if len(leaves) > 1 else ():
            found[leaf.path] = self.source.variable("nothing")
            self.source.add(f"{found[leaf.path]} = {self._zero(leaf)}")
        return found

    def _push(
        self, leaf: Leaf, tangents: Sequence[str], nothing: Mapping[str, str], depth: int = 0
    ) -> list[Outcome]:
        """Add the pushforward of tangents of one leaf; `nothing` has the names of zero tangents of others."""
        zeros = {
            x.path: nothing.get(x.path) or self._zero(x) for x in self.arrangement.leaves if x.differentiated
        }
        lanes = [
            Operands({**zeros, leaf.path: tangent}, values=values)
            for tangent, values in zip(tangents, self._values(len(tangents)), strict=True)
        ]
        return add_batch(self.source, self.arrangement, Mode.FORWARD, lanes, return_active=True, depth=depth)

    def _pull(self, out: Leaf, cotangents: Sequence[str], depth: int = 0) -> list[Outcome]:
        """Add the pullback of cotangents of one leaf of the value."""

        def part(leaf: Leaf, cotangent: str) -> str:
            if leaf.path == out.path:
                return cast(self.source, cotangent, out.kind) if out.is_array else cotangent
            if not leaf.differentiated:
                return leaf.path
            zero = self._zero(leaf)
            return cast(self.source, zero, leaf.kind) if leaf.is_array else zero

        lanes = [
            Operands(None, rebuild(self.tree, partial(part, cotangent=cotangent), self.source), values)
            for cotangent, values in zip(cotangents, self._values(len(cotangents)), strict=True)
        ]
        return add_batch(self.source, self.arrangement, Mode.REVERSE, lanes, return_active=True, depth=depth)

    def _values(self, width: int) -> list[dict[str, str]]:
        """Return what replaces the values of arguments in each lane: all lanes share the one evaluation."""
        return [self._fresh(), *({} for _ in range(width - 1))]

    def _matrix(self, out: Leaf, leaf: Leaf, rows: str, columns: str, again: str | None = None) -> str:
        """Add an empty matrix for the partial derivatives of a leaf by another, and return its name.

        Where it is made again, in a branch of a loop, it has the name that it had.
        """
        kind: Any = scalar_of(out.kind)
        dtype = np.dtype(str(kind))
        if is_complex(leaf.kind) and not is_complex(kind):
            dtype = np.result_type(dtype, np.complex64)
        name = again or self.source.variable("jacobian")
        empty = self.source.name("empty", np.empty)
        made = f"{empty}(({rows}, {columns}), {self.source.name('dtype', dtype)})"
        self.source.add(f"{name} = {made}", depth=2 if again else 0)
        return name

    def _unit_arrays(self, leaf: Leaf, entries: Sequence[str], zeros: Sequence[str] = ()) -> list[str]:
        """Add arrays that are a unit at one entry and zero elsewhere, within a loop, and return their names.

        All units of the first entry come first. Where there is no such entry any more, the array is zero.

        Parameters
        ----------
        leaf
            What the arrays are like.
        entries
            The entries.
        zeros
            The names of arrays full of zeros to use, if any.
        """
        units = self._units(leaf)
        names = list(zeros)
        for n, k in enumerate(k for k in entries for _ in units):
            if not zeros:
                names.append(self._zero_array(leaf, depth=1))
            self._set(leaf, names[n], k, units[n % len(units)])
        return names

    def _zero_array(self, leaf: Leaf, depth: int = 0) -> str:
        name = self.source.variable("direction")
        self.source.add(f"{name} = {self._zero(leaf)}", depth=depth)
        return name

    def _set(self, leaf: Leaf, array: str, entry: str, value: str) -> None:
        """Add the store to an entry of an array like a leaf, within a loop, if there is such an entry."""
        self.source.add(f"if {entry} < {leaf.path}.size:", depth=1)
        self.source.add(f"{array}.flat[{entry}] = {value}", depth=2)

    def _store(self, matrix: str, leaf: Leaf, entries: Sequence[str], found: Sequence[str]) -> None:
        """Add the stores of derivatives along the entries of a leaf, all units of the first entry first."""
        store = self.source.name("store_column", store_column)
        units = len(found) // len(entries)
        for i, k in enumerate(entries):
            combined = self._combined(found[i * units : (i + 1) * units])
            self.source.add(f"if {k} < {leaf.path}.size:", depth=1)
            self.source.add(f"{store}({matrix}, {k}, {combined})", depth=2)

    def _count(self, leaf: Leaf) -> int:
        """Return how many entries of a leaf one sweep follows."""
        return max(1, self.chunk // len(self._units(leaf)))

    def _loop(self, leaf: Leaf, *, once: bool = False) -> list[str]:
        """Add the head of a loop over the entries of a leaf, and return the entries of one sweep.

        Parameters
        ----------
        leaf
            The leaf.
        once
            Whether there is a sweep even if the leaf has no entries.
        """
        k, size = self.source.variable("k"), f"{leaf.path}.size"
        count = self._count(leaf)
        self.source.add(f"for {k} in range(0, {f'max(1, {size})' if once else size}, {count}):")
        return [k, *(f"{k} + {i}" for i in range(1, count))]

    def _array_columns(self, leaf: Leaf, nothing: Mapping[str, str]) -> Blocks:
        outputs, units = self.outputs, self._units(leaf)
        size = f"{leaf.path}.size"
        rows = {out.path: _size(out) if self.evaluated or not out.is_array else "0" for out in outputs}
        matrices = {out.path: self._matrix(out, leaf, rows[out.path], size) for out in outputs}
        zeros = [self._zero_array(leaf) for _ in units * self._count(leaf)] if self.reads else []
        shapes = self._shapes()
        entries = self._loop(leaf, once=not self.evaluated)
        directions = self._unit_arrays(leaf, entries, zeros)
        runs = self._push(leaf, directions, nothing, depth=1)
        if not self.evaluated:
            self._take_shapes(runs[0].primal, shapes, matrices, leaf, entries[0])
        for out in outputs:
            self._store(matrices[out.path], leaf, entries, [_tangent_of(run, out) for run in runs])
        zero = self.source.name("zero", zero_of(scalar_of(leaf.kind)))
        for direction, k in zip(zeros, (k for k in entries for _ in units), strict=False):
            self._set(leaf, direction, k, zero)
        return {
            (out.path, leaf.path): f"{matrices[out.path]}.reshape({shapes[out.path]}{leaf.path}.shape)"
            for out in outputs
        }

    def _shapes(self) -> dict[str, str]:
        """Return, by path, the shape of each leaf of the value, to put another one behind it."""
        found: dict[str, str] = {}
        for out in self.outputs:
            if not isinstance(out.kind, types.Array):
                found[out.path] = ""
            elif self.evaluated:
                found[out.path] = f"{out.path}.shape + "
            else:
                shape = self.source.variable("shape")
                self.source.add(f"{shape} = {tuple_of(['0'] * out.kind.ndim)}")
                found[out.path] = f"{shape} + "
        return found

    def _take_shapes(
        self, value: str, shapes: Mapping[str, str], matrices: Mapping[str, str], leaf: Leaf, entry: str
    ) -> None:
        """Add what the first sweep does: it says how large the value is."""
        arrays = [out for out in self.outputs if out.is_array]
        if arrays:
            self.source.add(f"if {entry} == 0:", depth=1)
        for out in arrays:
            found = value + out.path.removeprefix("y")
            self.source.add(f"{shapes[out.path].removesuffix(' + ')} = {found}.shape", depth=2)
            self._matrix(out, leaf, f"{found}.size", f"{leaf.path}.size", matrices[out.path])

    def _array_rows(self, out: Leaf, chosen: Sequence[Leaf]) -> Blocks:
        source = self.source
        size = f"{out.path}.size"
        matrices = {leaf.path: self._matrix(out, leaf, _size(leaf), size) for leaf in chosen}
        entries = self._loop(out)
        runs = self._pull(out, self._unit_arrays(out, entries), depth=1)
        for leaf in chosen:
            self._store(matrices[leaf.path], out, entries, [self._adjoint(run, leaf) for run in runs])
        ascontiguous = source.name("ascontiguousarray", np.ascontiguousarray)
        return {
            (out.path, leaf.path): f"{ascontiguous}({matrices[leaf.path]}.T).reshape({_shape(out, leaf)})"
            for leaf in chosen
        }


def _tangent_of(run: Outcome, out: Leaf) -> str:
    return run.tangent + out.path.removeprefix("y")
