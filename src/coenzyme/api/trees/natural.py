"""Natural gradients: structural ones, made elements of the tangent space of what the primal is.

`make_natural` walks a value and its structural gradient side by side, and writes the projections into the
arrays of the gradient, so that what is shared stays shared. Declarations (`Symmetric` and its kin) say what
an array is. `scipy.sparse` containers are matrices on a fixed pattern, masked arrays are fixed where they are
masked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from coenzyme.api.trees.declared import Declared, declared_again, options_of
from coenzyme.api.trees.kinds import find_kind
from coenzyme.errors import ActivityError, ShadowError

__all__ = ["Natural", "is_natural", "make_natural"]

Array: TypeAlias = npt.NDArray[Any]
T = TypeVar("T")


def is_natural(tangent: object, function: str) -> bool:
    """Return whether natural gradients were asked for, of `function`, which was passed this `tangent`.

    Raises
    ------
    ActivityError
        If `tangent` is neither ``"structural"`` nor ``"natural"``.
    """
    if tangent not in ("structural", "natural"):
        raise ActivityError(
            f"there is no {tangent!r} gradient",
            function=function,
            argument="tangent",
            remedy='pass "structural" or "natural"',
        )
    return tangent == "natural"


def make_natural(value: Any, gradient: T) -> T:
    """Return the natural gradient at a value, for the structural one, whose arrays are overwritten.

    Parameters
    ----------
    value
        What was differentiated by: declared arrays, sparse and masked arrays, or trees of them and of
        anything else.
    gradient
        The structural gradient, in the structure of `value`.

    Returns
    -------
    object
        `gradient` itself.

    Raises
    ------
    ActivityError
        If one array is declared to be two things.
    ShadowError
        If the structures differ, or an array of the gradient cannot be written.

    Notes
    -----
    The natural gradient G is the element of the tangent space for which ⟨G, δ⟩ is the derivative along δ, for
    each δ in that space, with the inner product of whole matrices. Once is enough: of arrays that store the
    matrix whole the projection of a projection is the same, of one triangle it is not.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> A = cz.trees.Symmetric(np.eye(2))
    >>> S = cz.trees.Symmetric(np.array([[1.0, 0.0], [6.0, 0.0]]))
    >>> cz.trees.make_natural({"A": A}, {"A": S})["A"].array
    array([[1., 3.],
           [3., 0.]])
    """
    Natural([value]).project([gradient])
    return gradient


class Natural:
    """What is known of the tangent spaces of some values, before a function may have changed them.

    Parameters
    ----------
    values
        The values.

    Raises
    ------
    ActivityError
        If one array is declared to be two things.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values
        self._declared: dict[int, Declared] = {}
        self._seen: set[int] = set()
        for value in values:
            self._look(value)
        self._points = {
            number: declared_again(declared, declared.array.copy()) if declared.curved else declared
            for number, declared in self._declared.items()
        }

    def project(self, gradients: Sequence[Any]) -> None:
        """Make the structural gradients by the values natural, in place."""
        done: set[int] = set()
        for value, gradient in zip(self._values, gradients, strict=True):
            self._project(value, gradient, done)

    def _look(self, value: Any) -> None:
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, Declared):
            known = self._declared.setdefault(id(value.array), value)
            if not _says_the_same(known, value):
                raise ActivityError(
                    f"one array is declared to be {_spelt(known)} and {_spelt(value)}",
                    remedy="declare it once, or give each place an array of its own",
                )
            return
        for part in _parts(value):
            self._look(part)

    def _project(self, value: Any, gradient: Any, done: set[int]) -> None:
        if gradient is None:
            return
        if isinstance(value, Declared):
            self._project(value.array, gradient.array if isinstance(gradient, Declared) else gradient, done)
        elif id(value) in done:
            return
        elif isinstance(value, np.ndarray):
            done.add(id(value))
            self._project_array(cast(Array, value), gradient)
        elif _is_sparse(value):
            done.add(id(value))
            _write(gradient.data, _on_pattern(value, gradient.data))
        else:
            done.add(id(value))
            parts, found = _parts(value), _parts(gradient)
            if len(parts) != len(found):
                raise ShadowError(
                    f"the gradient by a {type(value).__name__} is a {type(gradient).__name__}",
                    remedy="pass a gradient in the structure of the value",
                )
            for part, derivative in zip(parts, found, strict=True):
                self._project(part, derivative, done)

    def _project_array(self, value: Array, gradient: Any) -> None:
        if value.dtype.kind not in "fc":
            return
        declared = self._points.get(id(value))
        plain = np.asarray(np.ma.getdata(gradient))
        if declared is not None:
            _write(plain, declared.natural(plain))
        elif np.ma.isMaskedArray(value):
            _write(plain, np.where(np.ma.getmaskarray(value), plain.dtype.type(0), plain))


def _says_the_same(one: Declared, other: Declared) -> bool:
    return type(one) is type(other) and options_of(one) == options_of(other)


def _spelt(declared: Declared) -> str:
    options = ", ".join(f"{name}={x}" for name, x in options_of(declared).items())
    return f"{type(declared).__name__}({options})"


def _write(array: Array, natural: Array) -> None:
    if not array.flags.writeable:
        raise ShadowError("an array of the gradient is read-only", remedy="pass a copy")
    array[...] = natural


def _parts(value: Any) -> Sequence[Any]:
    """Return the parts of a value that is no leaf."""
    kind = find_kind(value)
    return () if kind is None else kind.take_apart(value).values


def _is_sparse(value: Any) -> bool:
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value)) and hasattr(value, "data")


def _on_pattern(value: Any, gradient: Array) -> Array:
    """Return the natural gradient on the pattern of a sparse matrix, by what it stores.

    Stored numbers that lie outside of the matrix (the ends of diagonals in the DIA format) have none. Of
    several that add up to one entry of the matrix each gets its part: together they are the derivative by
    the entry.
    """
    if value.format == "dia":
        columns = np.arange(value.data.shape[1])
        rows = columns[None, :] - np.asarray(value.offsets)[:, None]
        outside = (rows < 0) | (rows >= value.shape[0]) | (columns >= value.shape[1])[None, :]
        return np.where(outside, gradient.dtype.type(0), gradient)
    if value.format not in ("coo", "csr", "csc", "bsr"):
        raise ActivityError(
            f"there is no natural gradient by a sparse matrix in the format {value.format!r}",
            remedy="convert it with tocsr()",
        )
    _, group, count = np.unique(_entries(value), return_inverse=True, return_counts=True)
    if np.all(count == 1):
        return gradient
    total = np.zeros((len(count), *gradient.shape[1:]), gradient.dtype)
    np.add.at(total, group, gradient)
    parts = count.reshape(-1, *(1 for _ in gradient.shape[1:])) ** 2
    return (total / parts).astype(gradient.dtype)[group]


def _entries(value: Any) -> npt.NDArray[np.int64]:
    """Return a number for each stored number, or block, that tells where in the matrix it belongs."""
    if value.format == "coo":
        places = value.coords if hasattr(value, "coords") else (value.row, value.col)
        return np.ravel_multi_index([np.asarray(x, np.int64) for x in places], value.shape)
    lines = np.repeat(np.arange(len(value.indptr) - 1), np.diff(value.indptr))
    width = max(value.shape)
    return lines * np.int64(width) + np.asarray(value.indices, np.int64)
