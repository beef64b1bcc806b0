"""Arguments as one flat vector: what a derivative check perturbs.

A function's arguments are scalars, arrays and containers of them, and arrays may share memory. Every
distinct floating-point cell gets one position in a flat float64 vector; `Arguments.build` turns a
vector back into fresh arguments with the same dtypes, strides and sharing, and `Arguments.read`
collects the cells again, after a call that wrote to them. A shadow is therefore only another vector,
built the same way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Arguments", "Vector"]

Vector: TypeAlias = npt.NDArray[np.float64]
"""One float64 for each distinct floating-point cell of the arguments."""

_REAL = {
    np.dtype(of): np.dtype(real)
    for real, complex_ in ((np.float32, np.complex64), (np.float64, np.complex128))
    for of in (real, complex_)
}
"""The floats that numbers of each type are made of, complex ones of two."""


@dataclass(frozen=True)
class _Scalar:
    """A floating-point number at one position of the vector; a complex one takes two."""

    position: int
    kind: Callable[[Any], Any]
    lanes: int

    @property
    def index(self) -> npt.NDArray[np.intp]:
        """Where its floats are."""
        whole = np.arange(self.position, self.position + self.lanes)
        return whole if self.lanes > 1 else whole.reshape(())


@dataclass(frozen=True)
class _View:
    """An array over part of an owner. Offset and steps count floats; `index` has one more axis if complex."""

    owner: int
    offset: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]
    lanes: int
    writeable: bool
    index: npt.NDArray[np.intp]


@dataclass(frozen=True)
class _Branch:
    """A container and the leaves below it."""

    children: tuple[_Node, ...]
    labels: tuple[str, ...]
    rebuild: Callable[[Sequence[Any]], Any]


@dataclass(frozen=True)
class _Fixed:
    """Anything that is not differentiated."""

    value: Any


_Node: TypeAlias = "_Scalar | _View | _Branch | _Fixed"


@dataclass(frozen=True)
class _Owner:
    """A run of floats that one array, or several overlapping arrays, look into."""

    low: int
    high: int
    dtype: np.dtype[Any]
    start: int

    @property
    def size(self) -> int:
        return (self.high - self.low) // self.dtype.itemsize


def _is_scalar(x: object) -> bool:
    return isinstance(x, (float, complex, np.inexact))


def _is_float_array(x: object) -> bool:
    return isinstance(x, np.ndarray) and x.dtype in _REAL


def _parts(x: Any, lanes: int) -> Any:
    """Return the floats in numbers: of complex ones, real and imaginary parts along a last axis."""
    return x if lanes == 1 else np.stack([np.real(x), np.imag(x)], axis=-1)


def _byte_bounds(a: npt.NDArray[Any]) -> tuple[int, int]:
    """Return the first byte that `a` can touch, and the one after the last."""
    start = a.__array_interface__["data"][0]
    if a.size == 0:
        return start, start
    reach = [(n - 1) * s for n, s in zip(a.shape, a.strides, strict=True)]
    return start + sum(min(0, r) for r in reach), start + sum(max(0, r) for r in reach) + a.itemsize


def _children(x: Any) -> tuple[list[Any], tuple[str, ...], Callable[[Sequence[Any]], Any]] | None:
    """Return the parts of a container, their labels and how to put it together; None for a leaf."""
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        names: Iterable[str] = x._fields  # pyright: ignore[reportAttributeAccessIssue]
        return list(x), tuple(f".{name}" for name in names), lambda parts: type(x)(*parts)
    if isinstance(x, (tuple, list)):
        return list(x), tuple(f"[{i}]" for i in range(len(x))), type(x)
    if isinstance(x, Mapping):
        keys = list(x)
        return (
            [x[k] for k in keys],
            tuple(f"[{k!r}]" for k in keys),
            lambda parts: dict(zip(keys, parts, strict=True)),
        )
    return None


def _float_arrays(x: Any) -> list[npt.NDArray[Any]]:
    if _is_float_array(x):
        return [x]
    inside = _children(x)
    return [] if inside is None else [a for part in inside[0] for a in _float_arrays(part)]


def _merge_owners(arrays: Sequence[npt.NDArray[Any]]) -> list[_Owner]:
    """Return the runs of memory behind `arrays`, overlapping runs of one dtype merged.

    They come in the order of `arrays`: addresses differ from call to call, the vector's layout must not.
    """
    merged: list[_Owner] = []
    first_seen: list[int] = []
    spans = sorted((*_byte_bounds(a), _REAL[a.dtype].str, number) for number, a in enumerate(arrays))
    for first, last, code, number in spans:
        low, high, dtype, seen = first, last, np.dtype(code), number
        if merged and low < merged[-1].high:
            if merged[-1].dtype != dtype or (low - merged[-1].low) % dtype.itemsize:
                raise ValueError("arrays that overlap must have one dtype and one alignment")
            low, high, seen = merged[-1].low, max(high, merged[-1].high), min(seen, first_seen.pop())
            merged.pop()
        merged.append(_Owner(low, high, dtype, start=0))
        first_seen.append(seen)
    owners: list[_Owner] = []
    start = 0
    for _, owner in sorted(zip(first_seen, merged, strict=True), key=lambda pair: pair[0]):
        owners.append(replace(owner, start=start))
        start += owner.size
    return owners


class Arguments:
    """The arguments of one call, as a vector and back.

    Parameters
    ----------
    args
        The arguments. They are copied, never written.
    argnums
        Which of them are differentiated; by default all that hold numbers or arrays in single or double
        precision, real or complex.

    Attributes
    ----------
    point
        The floating-point cells, widened to float64.
    argnums
        The arguments that are differentiated.
    names
        One label for each argument, for messages.

    Notes
    -----
    Cells that only gaps of a strided array touch have a position too, hold zero, and are not `visible`.
    """

    def __init__(
        self, args: Sequence[Any], argnums: Iterable[int] | None = None, names: Sequence[str] | None = None
    ) -> None:
        chosen = set(range(len(args)) if argnums is None else argnums)
        self.names = tuple(names or (f"argument {i}" for i in range(len(args))))
        arrays = [a for i, x in enumerate(args) if i in chosen for a in _float_arrays(x)]
        self._owners = _merge_owners(arrays)
        self._size = sum(owner.size for owner in self._owners)
        cells: list[tuple[npt.NDArray[np.intp] | int, Any]] = []
        self._nodes = tuple(
            self._node(x, cells) if i in chosen else _Fixed(_copy_fixed(x)) for i, x in enumerate(args)
        )
        self.argnums = tuple(i for i, node in enumerate(self._nodes) if _has_floats(node))
        self.point: Vector = np.zeros(self._size)
        self.visible = np.zeros(self._size, dtype=bool)
        for index, value in cells:
            self.point[index] = value
            self.visible[index] = True

    def _node(self, x: Any, cells: list[tuple[npt.NDArray[np.intp] | int, Any]]) -> _Node:
        if _is_scalar(x):
            lanes = 2 if isinstance(x, (complex, np.complexfloating)) else 1
            scalar = _Scalar(self._size, type(x), lanes)
            self._size += lanes
            cells.append((scalar.index, _parts(x, lanes)))
            return scalar
        if _is_float_array(x):
            view = self._view(x)
            cells.append((view.index, _parts(x, view.lanes)))
            return view
        inside = _children(x)
        if inside is None:
            return _Fixed(_copy_fixed(x))
        parts, labels, rebuild = inside
        return _Branch(tuple(self._node(part, cells) for part in parts), labels, rebuild)

    def _view(self, a: npt.NDArray[Any]) -> _View:
        low, high = _byte_bounds(a)
        real = _REAL[a.dtype]
        number, owner = next(
            (k, o) for k, o in enumerate(self._owners) if o.low <= low and high <= o.high and o.dtype == real
        )
        offset = (a.__array_interface__["data"][0] - owner.low) // real.itemsize
        steps = tuple(s // real.itemsize for s in a.strides)
        index = np.full(a.shape, owner.start + offset, dtype=np.intp)
        for axis, step in enumerate(steps):
            along = [1] * a.ndim
            along[axis] = -1
            index += step * np.arange(a.shape[axis]).reshape(along)
        lanes = a.itemsize // real.itemsize
        if lanes > 1:
            index = index[..., None] + np.arange(lanes)
        return _View(number, offset, a.shape, steps, lanes, a.flags.writeable, index)

    @property
    def simple(self) -> bool:
        """True where every differentiated argument is a scalar or an array, no container."""
        return all(not isinstance(self._nodes[i], _Branch) for i in self.argnums)

    @property
    def memory(self) -> npt.NDArray[np.bool_]:
        """Which positions are cells of arrays: a call can write those."""
        mask = np.zeros(self._size, dtype=bool)
        for owner in self._owners:
            mask[owner.start : owner.start + owner.size] = True
        return mask & self.visible

    def written(self, after: Vector) -> npt.NDArray[np.bool_]:
        """Return the cells of every run of memory that holds something else in `after` than at the start."""
        mask = np.zeros(self._size, dtype=bool)
        for owner in self._owners:
            cells = slice(owner.start, owner.start + owner.size)
            mask[cells] = not np.array_equal(self.point[cells], after[cells], equal_nan=True)
        return mask & self.visible

    @property
    def epsilon(self) -> float:
        """The coarsest rounding unit among the arguments."""
        kinds = [owner.dtype for owner in self._owners]
        kinds += [
            np.dtype(np.float32)
            for leaf in self._leaves()
            if isinstance(leaf, _Scalar) and leaf.kind in (np.float32, np.complex64)
        ]
        return float(max((np.finfo(kind).eps for kind in kinds), default=np.finfo(np.float64).eps))

    def _leaves(self) -> list[_Node]:
        found: list[_Node] = []
        pending = list(self._nodes)
        while pending:
            node = pending.pop()
            pending.extend(node.children if isinstance(node, _Branch) else ())
            found.append(node)
        return found

    def build(self, vector: Vector, *, wide: bool = False) -> tuple[Any, ...]:
        """Return fresh arguments that hold `vector`; with `wide`, every float is float64."""
        owners = [
            np.array(vector[o.start : o.start + o.size], dtype=np.float64 if wide else o.dtype)
            for o in self._owners
        ]
        return tuple(self._materialise(node, vector, owners, wide=wide, shadow=False) for node in self._nodes)

    def shadows(self, vector: Vector) -> tuple[Any, ...]:
        """Return what `build` returns, always writeable, and None for what is not differentiated."""
        owners = [np.array(vector[o.start : o.start + o.size], dtype=o.dtype) for o in self._owners]
        return tuple(self._materialise(node, vector, owners, wide=False, shadow=True) for node in self._nodes)

    def _materialise(
        self, node: _Node, vector: Vector, owners: list[npt.NDArray[Any]], *, wide: bool, shadow: bool
    ) -> Any:
        if isinstance(node, _Scalar):
            if node.lanes > 1:
                number = complex(vector[node.position], vector[node.position + 1])
                return number if wide else node.kind(number)
            return float(vector[node.position]) if wide else node.kind(vector[node.position])
        if isinstance(node, _View):
            owner = owners[node.owner]
            strides = tuple(step * owner.itemsize for step in node.steps)
            dtype = owner.dtype if node.lanes == 1 else np.result_type(owner.dtype, np.complex64)
            array = np.ndarray(node.shape, dtype, owner, node.offset * owner.itemsize, strides)
            array.flags.writeable = node.writeable or shadow
            return array
        if isinstance(node, _Branch):
            if shadow and not _has_floats(node):
                return None
            return node.rebuild(
                [
                    self._materialise(child, vector, owners, wide=wide, shadow=shadow)
                    for child in node.children
                ]
            )
        return None if shadow else _copy_fixed(node.value)

    def read(self, args: Sequence[Any]) -> Vector:
        """Return the cells of arguments, or shadows, of this structure; absent ones (None) read as zero."""
        out: Vector = np.zeros(self._size)
        for node, x in zip(self._nodes, args, strict=True):
            self._read(node, x, out)
        return out

    def _read(self, node: _Node, x: Any, out: Vector) -> None:
        if x is None or isinstance(node, _Fixed):
            return
        if isinstance(node, _Scalar | _View):
            out[node.index] = _parts(x, node.lanes)
        else:
            inside = _children(x)
            for child, part in zip(node.children, inside[0] if inside else (), strict=True):
                self._read(child, part, out)

    def gather(self, cotangents: Sequence[Any]) -> Vector:
        """Return separate cotangents, one for each argument, as a vector: those of shared cells add up."""
        out: Vector = np.zeros(self._size)
        for node, x in zip(self._nodes, cotangents, strict=True):
            self._gather(node, x, out)
        return out

    def _gather(self, node: _Node, x: Any, out: Vector) -> None:
        if x is None or isinstance(node, _Fixed):
            return
        if isinstance(node, _Scalar | _View):
            np.add.at(out, node.index, _parts(x, node.lanes))
        else:
            inside = _children(x)
            for child, part in zip(node.children, inside[0] if inside else (), strict=True):
                self._gather(child, part, out)

    def owner_of(self, position: int) -> tuple[str, str]:
        """Return the argument that `position` belongs to, and which entry of it."""
        for name, node in zip(self.names, self._nodes, strict=True):
            entry = _find(node, position)
            if entry is not None:
                return name, entry
        return "no argument", str(position)


def _find(node: _Node, position: int) -> str | None:
    if isinstance(node, _Scalar | _View):
        where = np.argwhere(node.index == position)
        if len(where) == 0:
            return None
        place = [int(i) for i in where[0]]
        part = (".real", ".imag")[place.pop()] if node.lanes > 1 else ""
        return f"[{', '.join(map(str, place))}]{part}" if isinstance(node, _View) else part
    if isinstance(node, _Branch):
        found = (
            (label, _find(child, position)) for label, child in zip(node.labels, node.children, strict=True)
        )
        return next((label + entry for label, entry in found if entry is not None), None)
    return None


def _has_floats(node: _Node) -> bool:
    if isinstance(node, _Branch):
        return any(_has_floats(child) for child in node.children)
    return not isinstance(node, _Fixed)


def _copy_fixed(x: Any) -> Any:
    """Return a copy of data; functions pass through, since a copied dispatcher compiles again."""
    if isinstance(x, np.ndarray):
        return x.copy(order="K")
    return copy.deepcopy(x) if isinstance(x, (list, tuple, dict, set)) else x
