"""How BLAS routines are called, as Numba calls them: which argument is which operand, and how it lies.

Matrices lie column by column, columns `leading` elements apart. A row says of each operand how many rows
and columns are stored, which may depend on a transposition flag; what the routine computes, and so its
derivative, is the engine's to know (:mod:`coenzyme.derive.blas`).
Source: Dongarra et al., "A set of level 3 basic linear algebra subprograms" (1990), and
``numba/_lapack.c`` for the order of arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["KINDS", "ROUTINES", "BlasOperand", "BlasRoutine", "find_routine"]

KINDS: Mapping[str, str] = {"s": "float", "d": "double"}
"""The element types that have derivatives, by BLAS's letter (the argument ``kind``)."""


@dataclass(frozen=True)
class BlasOperand:
    """A matrix or vector that is passed.

    Attributes
    ----------
    name
        What the literature calls it.
    pointer
        The argument that says where it lies.
    rows, columns
        The arguments that say how many are stored, where the flag says "as it is" and where it says
        "transposed". None stands for 1.
    leading
        The argument that says how many elements apart columns start. None: they follow each other.
    step
        Of a vector, the argument that says how many elements apart its elements are. None stands for 1.
    flag
        The argument that `rows` and `columns` depend on.
    """

    name: str
    pointer: int
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None
    leading: int | None = None
    step: int | None = None
    flag: int | None = None


@dataclass(frozen=True)
class BlasRoutine:
    """A routine ``output := scale · f(inputs) + carry · output``.

    Attributes
    ----------
    name
        The callee.
    result, parameters
        Its type, as LLVM writes it.
    kind
        The argument that holds the letter of the element type.
    scale, carry
        The arguments that point to the factors (α and β); None stands for 1 and for 0.
    """

    name: str
    parameters: tuple[str, ...]
    inputs: tuple[BlasOperand, ...]
    output: BlasOperand
    scale: int | None = None
    carry: int | None = None
    kind: int = 0
    result: str = "i32"

    @property
    def operands(self) -> tuple[BlasOperand, ...]:
        """Inputs, then the output."""
        return (*self.inputs, self.output)


_TYPES = {"c": "i8", "n": "i64", "p": "ptr"}


def _parameters(text: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the numbers and the types of parameters described as ``name:c`` (n: a size, p: an address)."""
    pairs = [word.split(":") for word in text.split()]
    return {name: i for i, (name, _) in enumerate(pairs)}, tuple(_TYPES[letter] for _, letter in pairs)


def _dot() -> BlasRoutine:
    at, types = _parameters("kind:c conjugate:c n:n x:p y:p out:p")
    size = (at["n"], at["n"])
    return BlasRoutine(
        "numba_xxdot",
        types,
        (BlasOperand("x", at["x"], size), BlasOperand("y", at["y"], size)),
        BlasOperand("r", at["out"]),
    )


def _nrm2() -> BlasRoutine:
    at, types = _parameters("kind:c n:n x:p incx:n out:p")
    return BlasRoutine(
        "numba_xxnrm2",
        types,
        (BlasOperand("x", at["x"], (at["n"], at["n"]), step=at["incx"]),),
        BlasOperand("r", at["out"]),
    )


def _gemv() -> BlasRoutine:
    at, types = _parameters("kind:c trans:c m:n n:n alpha:p a:p lda:n x:p beta:p y:p")
    m, n, trans = at["m"], at["n"], at["trans"]
    return BlasRoutine(
        "numba_xxgemv",
        types,
        (
            BlasOperand("A", at["a"], (m, m), (n, n), leading=at["lda"], flag=trans),
            BlasOperand("x", at["x"], (n, m), flag=trans),
        ),
        BlasOperand("y", at["y"], (m, n), flag=trans),
        scale=at["alpha"],
        carry=at["beta"],
    )


def _gemm() -> BlasRoutine:
    at, types = _parameters(
        "kind:c transa:c transb:c m:n n:n k:n alpha:p a:p lda:n b:p ldb:n beta:p c:p ldc:n"
    )
    m, n, k = at["m"], at["n"], at["k"]
    return BlasRoutine(
        "numba_xxgemm",
        types,
        (
            BlasOperand("A", at["a"], (m, k), (k, m), leading=at["lda"], flag=at["transa"]),
            BlasOperand("B", at["b"], (k, n), (n, k), leading=at["ldb"], flag=at["transb"]),
        ),
        BlasOperand("C", at["c"], (m, m), (n, n), leading=at["ldc"]),
        scale=at["alpha"],
        carry=at["beta"],
    )


ROUTINES: Mapping[str, BlasRoutine] = {
    routine.name: routine for routine in (_dot(), _nrm2(), _gemv(), _gemm())
}
"""Every row, by callee."""


def find_routine(callee: str) -> BlasRoutine | None:
    """Return the row of a routine, or None if it has none.

    A family of libraries (:mod:`coenzyme.rules.blas_calls`) may follow the name.

    Examples
    --------
    >>> [operand.name for operand in find_routine("numba_xxgemv").operands]
    ['A', 'x', 'y']
    """
    return ROUTINES.get(callee.partition(".")[0])
