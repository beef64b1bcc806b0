"""Structured values: which there are, their shadows, and one vector for all their numbers."""

from __future__ import annotations

from coenzyme.api.trees.declared import (
    Banded,
    Declared,
    Diagonal,
    Hermitian,
    Orthonormal,
    PositiveDefinite,
    SkewHermitian,
    SkewSymmetric,
    Symmetric,
    Triangular,
    Unit,
)
from coenzyme.api.trees.kinds import register
from coenzyme.api.trees.natural import make_natural
from coenzyme.api.trees.vector import NamedVector, flatten

__all__ = [
    "Banded",
    "Declared",
    "Diagonal",
    "Hermitian",
    "NamedVector",
    "Orthonormal",
    "PositiveDefinite",
    "SkewHermitian",
    "SkewSymmetric",
    "Symmetric",
    "Triangular",
    "Unit",
    "flatten",
    "make_natural",
    "register",
]
