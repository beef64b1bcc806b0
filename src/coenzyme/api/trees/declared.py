"""Arrays that are said to be more than arrays: symmetric, triangular, orthonormal and so on.

A declaration holds an array and says what the matrix in it is. Compiled code sees the array. The structural
gradient of a declared array is that by the numbers in it; the natural one is the element G of the tangent
space T of the matrices so declared for which ⟨G, δ⟩ is the derivative along δ, for each δ in T, where
⟨G, δ⟩ = Re Σ conj(G) δ runs over the whole matrix. Where the array is the whole matrix, G is the orthogonal
projection of the structural gradient S onto T. Where it is one triangle of the matrix, an entry off the
diagonal stands for two, and half of its derivative goes to each.

Source: Absil, Mahony & Sepulchre, Optimization Algorithms on Matrix Manifolds (2008), section 3.6 (gradients
on submanifolds) and example 3.6.2 (orthonormal columns); Magnus & Neudecker, The elimination matrix, SIAM J.
Algebraic Discrete Methods 1 (1980), for what one triangle stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from coenzyme.api.trees.kinds import Form, Parts, add_kind
from coenzyme.errors import ActivityError

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
    "declared_again",
    "options_of",
]

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Declared:
    """An array, and what is known of it. Stacks of matrices have the matrices in their last two axes.

    Parameters
    ----------
    array
        The array, shape (…, n, n) unless the declaration says otherwise. It is held, not copied.
    """

    array: Array
    curved: ClassVar[bool] = False
    """Whether the tangent space depends on where the array is."""
    square: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what cannot be so declared."""
        if not isinstance(cast(object, self.array), np.ndarray) or np.ma.isMaskedArray(self.array):
            raise self._refusal(f"it was given a {type(self.array).__name__}", "pass an array")
        problem = self._problem()
        if problem:
            raise self._refusal(problem, "pass an array of matrices, or of vectors, in its last axes")

    def _refusal(self, problem: str, remedy: str) -> ActivityError:
        return ActivityError(f"{type(self).__name__}: {problem}", argument="array", remedy=remedy)

    def _problem(self) -> str | None:
        """Return why the array is none of the kind; None if it may be."""
        shape = self.array.shape
        if len(shape) < 2:
            return f"an array of shape {shape} holds no matrix"
        if self.square and shape[-1] != shape[-2]:
            return f"a matrix of shape {shape[-2:]} is not square"
        return None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its entries."""
        return self.array.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the array that is held, as NumPy asks for it."""
        if copy:
            return np.array(self.array, dtype=dtype)
        return np.asarray(self.array, dtype=dtype)

    def whole(self, tangent: Array) -> Array:
        """Return the whole tangent, the one whose inner products count, for one stored as the array is."""
        return tangent.copy()

    def natural(self, gradient: Array) -> Array:
        """Return the natural gradient, stored as the array is, for a structural one shaped like the array."""
        raise NotImplementedError


def options_of(declared: Declared) -> dict[str, Any]:
    """Return what a declaration says beside its kind."""
    return {name: x for name, x in vars(declared).items() if name != "array"}


def declared_again(declared: Declared, array: Array) -> Declared:
    """Return the same declaration of another array."""
    return type(declared)(array, **options_of(declared))


def _transposed(a: Array, *, conjugate: bool = False) -> Array:
    b = np.swapaxes(a, -1, -2)
    return b.conj() if conjugate else b


@dataclass(frozen=True, eq=False)
class _Mirrored(Declared):
    """A matrix that equals its transpose, its conjugate transpose, or the negative of one of them."""

    lower: bool | None = None
    sign: ClassVar[float] = 1.0
    conjugate: ClassVar[bool] = False

    def _mirror(self, a: Array) -> Array:
        return self.sign * _transposed(a, conjugate=self.conjugate)

    def _stored(self, a: Array) -> Array:
        if self.lower is None:
            return a
        return np.tril(a) if self.lower else np.triu(a)

    def whole(self, tangent: Array) -> Array:
        """Return the whole tangent, also where one triangle is stored."""
        if self.lower is None:
            return tangent.copy()
        half = self._stored(tangent)
        strict = np.tril(half, -1) if self.lower else np.triu(half, 1)
        # A diagonal that has to be real, imaginary or zero is made so: LAPACK does not read the rest of it.
        diagonal = half - strict
        return strict + self._mirror(strict) + 0.5 * (diagonal + self._mirror(diagonal))

    def natural(self, gradient: Array) -> Array:
        """Return (S ± Sᵀ)/2, of which what is stored: half of S stands on each side of the diagonal."""
        own = self._stored(gradient)
        return self._stored(0.5 * (own + self._mirror(own)))


@dataclass(frozen=True, eq=False)
class Symmetric(_Mirrored):
    """A symmetric matrix, real or complex.

    Parameters
    ----------
    array
        The matrix, shape (…, n, n).
    lower
        Which triangle holds it: True for the lower one, False for the upper one, None (the default) if the
        whole matrix is stored. What is in the other triangle is no part of it.

    Notes
    -----
    The natural gradient is (S + Sᵀ)/2. Of a matrix stored by one triangle it is stored in that triangle, with
    zeros in the other one, and `whole` returns all of it; S has nothing in the other triangle, so that what
    stands off the diagonal is half of what the function says by its own storage.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> def form(A):
    ...     return A[0, 0] + 6.0 * A[1, 0]
    >>> A = cz.trees.Symmetric(np.eye(2))
    >>> cz.grad(form)(A).array
    array([[1., 0.],
           [6., 0.]])
    >>> cz.grad(form, tangent="natural")(A).array
    array([[1., 3.],
           [3., 0.]])
    """


@dataclass(frozen=True, eq=False)
class Hermitian(_Mirrored):
    """A matrix that equals its conjugate transpose; a symmetric one, if it is real.

    Parameters
    ----------
    array, lower
        As for `Symmetric`.

    Notes
    -----
    The natural gradient is (S + Sᴴ)/2: its diagonal is real.
    """

    conjugate: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class PositiveDefinite(Hermitian):
    """A positive definite matrix, symmetric or Hermitian.

    Parameters
    ----------
    array, lower
        As for `Symmetric`.

    Notes
    -----
    Positive definite matrices are open among the Hermitian ones: the tangent space is that of `Hermitian`.
    The inner product is the Euclidean one, not the affine-invariant one ⟨A⁻¹ξ, A⁻¹η⟩.
    """


@dataclass(frozen=True, eq=False)
class SkewSymmetric(_Mirrored):
    """A matrix that equals the negative of its transpose, real or complex.

    Parameters
    ----------
    array, lower
        As for `Symmetric`.

    Notes
    -----
    The natural gradient is (S − Sᵀ)/2.
    """

    sign: ClassVar[float] = -1.0


@dataclass(frozen=True, eq=False)
class SkewHermitian(_Mirrored):
    """A matrix that equals the negative of its conjugate transpose.

    Parameters
    ----------
    array, lower
        As for `Symmetric`.

    Notes
    -----
    The natural gradient is (S − Sᴴ)/2: its diagonal is imaginary.
    """

    sign: ClassVar[float] = -1.0
    conjugate: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class _Masked(Declared):
    """A matrix that is zero, or constant, outside of some of its entries."""

    def _free(self, a: Array) -> Array:
        raise NotImplementedError

    def whole(self, tangent: Array) -> Array:
        """Return the entries that are free, and zeros."""
        return self._free(tangent)

    def natural(self, gradient: Array) -> Array:
        """Return the gradient by the entries that are free, and zeros."""
        return self._free(gradient)


@dataclass(frozen=True, eq=False)
class Triangular(_Masked):
    """A triangular matrix, shape (…, m, n).

    Parameters
    ----------
    array
        The matrix. What it holds in the other triangle is no part of it.
    lower
        Whether it is lower triangular.
    unit_diagonal
        Whether its diagonal is 1, whatever is stored there.

    Notes
    -----
    The natural gradient is the triangle of S, without the diagonal if that is fixed.
    """

    lower: bool = True
    unit_diagonal: bool = False
    square: ClassVar[bool] = False

    def _free(self, a: Array) -> Array:
        offset = int(self.unit_diagonal)
        return np.tril(a, -offset) if self.lower else np.triu(a, offset)


@dataclass(frozen=True, eq=False)
class Diagonal(_Masked):
    """A diagonal matrix: its diagonal, shape (n,), or all of it, shape (…, n, n).

    Parameters
    ----------
    array
        The diagonal or the matrix.

    Notes
    -----
    The natural gradient is the diagonal of S; that of a diagonal is the structural one.
    """

    def _problem(self) -> str | None:
        return None if self.array.ndim == 1 else super()._problem()

    def _free(self, a: Array) -> Array:
        return a.copy() if a.ndim == 1 else np.where(np.eye(a.shape[-1], dtype=bool), a, a.dtype.type(0))

    def whole(self, tangent: Array) -> Array:
        """Return the whole tangent, also where the diagonal is stored."""
        return np.diag(tangent) if tangent.ndim == 1 else self._free(tangent)


@dataclass(frozen=True, eq=False)
class Banded(_Masked):
    """A banded matrix, stored whole, shape (…, m, n).

    Parameters
    ----------
    array
        The matrix.
    lower, upper
        How many diagonals below and above the main one hold it.

    Notes
    -----
    The natural gradient is the band of S.
    """

    lower: int = 1
    upper: int = 1
    square: ClassVar[bool] = False

    def _problem(self) -> str | None:
        if self.lower < 0 or self.upper < 0:
            return f"{self.lower} diagonals below and {self.upper} above are not counts"
        return super()._problem()

    def _free(self, a: Array) -> Array:
        return np.triu(np.tril(a, self.upper), -self.lower)


@dataclass(frozen=True, eq=False)
class Orthonormal(Declared):
    """A matrix Q with orthonormal columns, QᴴQ = 1, shape (…, m, n): a rotation, where it is square and real.

    Parameters
    ----------
    array
        The matrix.

    Notes
    -----
    Tangents at Q are the δ with Qᴴδ + δᴴQ = 0. The natural gradient is S − Q (QᴴS + SᴴQ)/2.
    """

    square: ClassVar[bool] = False
    curved: ClassVar[bool] = True

    def _problem(self) -> str | None:
        if self.array.ndim >= 2 and self.array.shape[-2] < self.array.shape[-1]:
            return f"a matrix of shape {self.array.shape[-2:]} has more columns than rows"
        return super()._problem()

    def natural(self, gradient: Array) -> Array:
        """Return the projection of the gradient onto the tangents at the matrix."""
        q = self.array
        inner = _transposed(q, conjugate=True) @ gradient
        return gradient - q @ (0.5 * (inner + _transposed(inner, conjugate=True)))


@dataclass(frozen=True, eq=False)
class Unit(Declared):
    """Vectors of length 1, shape (…, n): directions, or the quaternions of rotations.

    Parameters
    ----------
    array
        The vectors, along the last axis.

    Notes
    -----
    Tangents at q are orthogonal to it, Re ⟨q, δ⟩ = 0. The natural gradient is S − q Re ⟨q, S⟩.
    """

    curved: ClassVar[bool] = True

    def _problem(self) -> str | None:
        return None if self.array.ndim else "a number is no vector"

    def natural(self, gradient: Array) -> Array:
        """Return the projection of the gradient onto the tangents at the vectors."""
        q = self.array
        along = np.sum((q.conj() * gradient).real, axis=-1, keepdims=True)
        return gradient - q * along


class _DeclaredKind:
    """Declarations: compiled code sees the array."""

    form = Form.PLAIN
    filled = False

    def take_apart(self, x: Declared) -> Parts:
        return Parts(("array",), (x.array,))

    def blank(self, x: Declared) -> Any:
        return None

    def fill(self, made: Any, x: Declared, parts: Sequence[Any]) -> Declared:
        return declared_again(x, parts[0])

    def put(self, x: Declared, label: Any, part: Any) -> None:
        raise AssertionError(label)


for _sort in (
    Banded,
    Diagonal,
    Hermitian,
    Orthonormal,
    PositiveDefinite,
    SkewHermitian,
    SkewSymmetric,
    Symmetric,
    Triangular,
    Unit,
):
    add_kind(_sort, _DeclaredKind())
