"""Kinds of SciPy's sparse arrays and matrices. Imported when one is met first."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import scipy.sparse

from coenzyme.api.trees.kinds import Form, Parts, WholeKind, add_kind

__all__: list[str] = []


@dataclass(frozen=True)
class SparseKind(WholeKind):
    """A format of sparse arrays: what is stored is differentiated, where it is stored is constant.

    Parameters
    ----------
    constants
        What tells where the entries of ``data`` are.
    """

    constants: tuple[str, ...]
    form = Form.RECORD

    def take_apart(self, x: Any) -> Parts:
        """Return the stored numbers, the indices, and the shape."""
        names = tuple(name for name in self.constants if x.ndim == 2 or name not in ("row", "col"))
        return Parts(("data", *names), (x.data, *(getattr(x, name) for name in names)), frozenset(names))

    def fill(self, made: Any, x: Any, parts: Sequence[Any]) -> Any:
        """Return a value with the indices of `x` and other numbers."""
        made = copy.copy(x)
        made.data = parts[0]
        return made


_COMPRESSED = SparseKind(("indices", "indptr", "shape"))
_FORMATS = {
    "csr": _COMPRESSED,
    "csc": _COMPRESSED,
    "bsr": SparseKind(("indices", "indptr", "shape", "blocksize")),
    "coo": SparseKind(("row", "col", "coords", "shape")),
    "dia": SparseKind(("offsets", "shape")),
}
for _name, _kind in _FORMATS.items():
    for _sort in ("array", "matrix"):
        add_kind(getattr(scipy.sparse, f"{_name}_{_sort}"), _kind)
