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

__all__ = [
    "Banded",
    "Declared",
    "Diagonal",
    "Hermitian",
    "Orthonormal",
    "PositiveDefinite",
    "SkewHermitian",
    "SkewSymmetric",
    "Symmetric",
    "Triangular",
    "Unit",
    "make_natural",
    "register",
]
