"""All numbers of a tree as one flat array, with the names of its parts, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from coenzyme.api.trees.kinds import Kind, Parts, find_kind
from coenzyme.api.trees.shadows import has_float_fields
from coenzyme.errors import ActivityError, UnsupportedIRError

__all__ = ["NamedVector", "flatten"]

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class _Slot:
    """Where a leaf is in the vector.

    Parameters
    ----------
    start
        The position of its first number.
    shape
        Its shape; None for a number.
    dtype
        Its own dtype.
    order
        In which order an array lies in the vector, ``C`` or ``F``.
    kind
        The class of a number.
    """

    start: int
    shape: tuple[int, ...] | None
    dtype: np.dtype[Any]
    order: str = "C"
    kind: Any = None

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return 1 if self.shape is None else prod(self.shape)

    def read(self, vector: Array) -> Any:
        """Return the leaf: an array is a view of the vector, if that has its dtype."""
        part = vector[self.start : self.start + self.size]
        if self.shape is None:
            return self.kind(_converted(np.asarray(part), self.dtype)[0])
        # A plain array: what is read by name is one.
        plain = np.asarray(part)
        if plain.dtype != self.dtype:
            plain = _converted(plain, self.dtype)
        return plain.reshape(self.shape, order=cast(Any, self.order))


def _converted(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return numbers in the dtype of a leaf; in real ones the imaginary parts of a vector are left out."""
    return (np.real(x) if x.dtype.kind == "c" and dtype.kind == "f" else x).astype(dtype)


class _Layout:
    """Which numbers of a tree are where in its vector.

    Parameters
    ----------
    tree
        The tree. It is kept: what has no derivative is taken from it.
    """

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self.arrays: list[tuple[_Slot, Array]] = []
        self.numbers: list[tuple[_Slot, Any]] = []
        self._slots: dict[int, _Slot] = {}
        self._numbers: dict[tuple[int, int], _Slot] = {}
        self._nodes: dict[int, tuple[Kind, Any, Parts]] = {}
        self.size = 0
        self._visit(tree, "the tree")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest dtype that holds all the numbers."""
        found = [slot.dtype for slot, _ in (*self.arrays, *self.numbers)]
        return np.result_type(*found) if found else np.dtype(float)

    def _visit(self, x: Any, path: str) -> _Slot | None:
        kind = find_kind(x)
        if isinstance(x, np.ndarray) and kind is None:
            return self._add_array(cast(Array, x), path)
        if isinstance(x, (float, complex, np.inexact)):
            slot = _Slot(self.size, None, np.asarray(x).dtype, kind=type(x))
            self.numbers.append((slot, x))
            self.size += 1
            return slot
        if kind is None or id(x) in self._nodes:
            return None
        parts = kind.take_apart(x)
        self._nodes[id(x)] = (kind, x, parts)
        for i, (label, part) in enumerate(zip(parts.labels, parts.values, strict=True)):
            if label in parts.constant:
                continue
            slot = self._visit(part, f"{path}[{label!r}]")
            if slot is not None and slot.shape is None:
                self._numbers[id(x), i] = slot
        return None

    def _add_array(self, x: Array, path: str) -> _Slot | None:
        if has_float_fields(x.dtype):
            raise UnsupportedIRError(
                f"{path} is an array of records, whose floats are not of one dtype with the rest",
                function="flatten",
                remedy="flatten its fields",
            )
        if x.dtype.kind not in "fc":
            return None
        if id(x) not in self._slots:
            order = "F" if x.flags.f_contiguous and not x.flags.c_contiguous else "C"
            slot = self._slots[id(x)] = _Slot(self.size, x.shape, x.dtype, order)
            self.arrays.append((slot, x))
            self.size += slot.size
        return self._slots[id(x)]

    # -- from a tree to its vector

    def vector(self) -> Array:
        """Return the numbers: the memory of the leaves itself, where they lie in it in their order."""
        whole = self._in_place()
        if whole is not None:
            return whole
        made = np.empty(self.size, self.dtype)
        for slot, x in self.arrays:
            made[slot.start : slot.start + slot.size] = x.ravel(order=cast(Any, slot.order))
        for slot, x in self.numbers:
            made[slot.start] = x
        return made

    def _in_place(self) -> Array | None:
        arrays = [x for _, x in self.arrays]
        if self.numbers or not arrays or len({x.dtype for x in arrays}) > 1:
            return None
        address: int | None = None
        for x in arrays:
            if not (x.flags.c_contiguous or x.flags.f_contiguous) or not x.flags.writeable:
                return None
            start = int(x.__array_interface__["data"][0])
            if address is not None and start != address:
                return None
            address = start + x.nbytes
        owner = _owner_of(arrays)
        if owner is None:
            return None
        first = int(arrays[0].__array_interface__["data"][0]) - int(owner.__array_interface__["data"][0])
        return np.asarray(_Memory(owner, first, self.size, arrays[0].dtype))

    # -- and back

    def tree_of(self, vector: Array) -> Any:
        """Return a tree like the one that the layout was made of, with the numbers of a vector."""
        made: dict[int, Any] = {}
        leaves: dict[int, Any] = {}
        pending: list[tuple[Kind, Any, Any]] = []

        def parts_of(x: Any) -> list[Any]:
            parts = self._nodes[id(x)][2]
            return [
                part
                if label in parts.constant
                else self._numbers[id(x), i].read(vector)
                if (id(x), i) in self._numbers
                else of(part)
                for i, (label, part) in enumerate(zip(parts.labels, parts.values, strict=True))
            ]

        def of(x: Any) -> Any:
            if id(x) in self._slots and isinstance(x, np.ndarray):
                if id(x) not in leaves:
                    found = self._slots[id(x)].read(vector)
                    leaves[id(x)] = np.asmatrix(found) if isinstance(x, np.matrix) else found
                return leaves[id(x)]
            if id(x) not in self._nodes:
                return x
            if id(x) not in made:
                kind = self._nodes[id(x)][0]
                if kind.filled:
                    made[id(x)] = kind.blank(x)
                    pending.append((kind, x, made[id(x)]))
                else:
                    made[id(x)] = kind.fill(None, x, parts_of(x))
            return made[id(x)]

        if not self._nodes and self.numbers:
            return self.numbers[0][0].read(vector)
        found = of(self.tree)
        while pending:
            kind, x, shell = pending.pop()
            kind.fill(shell, x, parts_of(x))
        return found

    def part(self, x: Any, label: Any, vector: NamedVector) -> Any:
        """Return the part of a node under a label, as what a vector gives by that name."""
        parts = self._nodes[id(x)][2] if id(x) in self._nodes else None
        if parts is None or label not in parts.labels:
            names = [] if parts is None else list(parts.labels)
            raise KeyError(f"{label!r} is none of {names}")
        i = parts.labels.index(label)
        slot = self._numbers.get((id(x), i)) or self._slots.get(id(parts.values[i]))
        if slot is None:
            part = parts.values[i]
            return _Part(self, part, vector) if id(part) in self._nodes else part
        if slot.shape is None:
            return np.asarray(vector)[slot.start : slot.start + 1].reshape(())
        return slot.read(np.asarray(vector))


class _Memory:
    """Numbers one after the other in the memory of an array."""

    def __init__(self, owner: Array, first: int, count: int, dtype: np.dtype[Any]) -> None:
        self.owner = owner
        start = int(owner.__array_interface__["data"][0]) + first
        self.__array_interface__ = {
            "version": 3,
            "typestr": dtype.str,
            "shape": (count,),
            "data": (start, False),
        }


def _owner_of(arrays: Sequence[Array]) -> Array | None:
    """Return the array that all of these are views of, None if there is none."""
    found: list[Any] = []
    for x in arrays:
        owner: Any = x
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        found.append(owner)
    first = found[0]
    contiguous = first.flags.c_contiguous or first.flags.f_contiguous
    return first if contiguous and all(owner is first for owner in found) else None


class NamedVector(np.ndarray[Any, np.dtype[Any]]):
    """A flat array of the numbers of a tree, whose parts are found by their names, too.

    ``v["encoder"]["bias"]`` are the numbers at that place of the tree, as a
    view: what is written to it is written to the vector. A number is an array without dimensions. Other
    indices are those of arrays. What arithmetic makes of a vector is a plain array.
    """

    _layout: _Layout | None = None

    def __array_finalize__(self, obj: Any) -> None:
        self._layout = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            return self.part(index)
        return np.asarray(self)[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, str):
            target = self.part(index)
            if not isinstance(target, np.ndarray):
                raise ActivityError(
                    f"{index!r} has parts of its own",
                    argument=index,
                    remedy="assign to each of them; numbers and arrays are assigned to",
                )
            target[...] = value
        else:
            np.asarray(self)[index] = value

    def part(self, label: Any) -> Any:
        """Return what the tree has under a label: a view of the vector, or something with parts of its own.

        Raises
        ------
        KeyError
            If there is no such label.
        """
        if self._layout is None:
            raise KeyError(f"{label!r}: this array is no whole vector of a tree")
        return self._layout.part(self._layout.tree, label, self)


class _Part:
    """A part of a vector that has parts of its own."""

    def __init__(self, layout: _Layout, node: Any, vector: NamedVector) -> None:
        self._layout, self._node, self._vector = layout, node, vector

    def __getitem__(self, label: Any) -> Any:
        return self._layout.part(self._node, label, self._vector)

    def __setitem__(self, label: Any, value: Any) -> None:
        self._layout.part(self._node, label, self._vector)[...] = value

    def __repr__(self) -> str:
        return f"<the part of a vector at a {type(self._node).__name__}>"


def flatten(tree: Any) -> tuple[NamedVector, Callable[[Any], Any]]:
    """Return the numbers of a tree as one vector with named parts, and the function that goes back.

    Parameters
    ----------
    tree
        Numbers, arrays, and what holds them: containers, objects, registered types.

    Returns
    -------
    tuple
        ``(vector, unflatten)``. The vector has one number for each float in the tree, in the order of the
        tree; an array that is in several places comes once. ``vector["encoder"]["bias"]`` is a view of a
        part, by key, name or position. ``unflatten(v)`` takes any array of that length and returns a tree
        like this one, with views of `v` in the places of arrays; all else is that of `tree`.

    Raises
    ------
    UnsupportedIRError
        If the tree holds arrays of records.

    Notes
    -----
    Nothing is copied if the leaves are arrays of one dtype that lie side by side, in order, in the memory of
    one array, as in a tree that `unflatten` has made: the vector is that memory then. Leaves of several
    dtypes have a vector of the dtype that holds them all, and `unflatten` gives them their own.

    Examples
    --------
    A tree of parameters for an optimiser of vectors:

    >>> import numpy as np, scipy.optimize, coenzyme as cz
    >>> def loss(p):
    ...     return (p["scale"] - 2.0) ** 2 + ((p["offset"]["x"] - 1.0) ** 2).sum()
    >>> start, unflatten = cz.trees.flatten({"scale": 0.0, "offset": {"x": np.zeros(2)}})
    >>> def value_and_gradient(v):
    ...     value, gradient = cz.value_and_grad(loss)(unflatten(v))
    ...     return value, cz.trees.flatten(gradient)[0]
    >>> found = scipy.optimize.minimize(value_and_gradient, start, jac=True)
    >>> np.round(unflatten(found.x)["offset"]["x"], 6)
    array([1., 1.])
    >>> start["offset"]["x"]
    array([0., 0.])
    """
    layout = _Layout(tree)
    vector = layout.vector().view(NamedVector)
    vector._layout = layout

    def unflatten(v: Any) -> Any:
        given = np.asarray(v)
        if given.shape != (layout.size,):
            raise ActivityError(
                f"the vector has shape {given.shape}, and the tree has {layout.size} numbers",
                function="unflatten",
                argument="v",
                remedy="pass an array of as many numbers",
            )
        return layout.tree_of(given)

    return vector, unflatten
