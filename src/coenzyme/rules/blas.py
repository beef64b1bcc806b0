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


def _types(text: str) -> tuple[str, ...]:
    names = {"c": "i8", "n": "i64", "p": "ptr"}
    return tuple(names[letter] for letter in text.split())


def _dot() -> BlasRoutine:
    kind, conjugate, n, x, y, out = range(6)  # noqa: RUF059 - the order of the arguments
    return BlasRoutine(
        "numba_xxdot",
        _types("c c n p p p"),
        (BlasOperand("x", x, (n, n)), BlasOperand("y", y, (n, n))),
        BlasOperand("r", out),
    )


def _nrm2() -> BlasRoutine:
    kind, n, x, step, out = range(5)  # noqa: RUF059
    return BlasRoutine(
        "numba_xxnrm2",
        _types("c n p n p"),
        (BlasOperand("x", x, (n, n), step=step),),
        BlasOperand("r", out),
    )


def _gemv() -> BlasRoutine:
    kind, trans, m, n, alpha, a, lda, x, beta, y = range(10)  # noqa: RUF059
    return BlasRoutine(
        "numba_xxgemv",
        _types("c c n n p p n p p p"),
        (
            BlasOperand("A", a, (m, m), (n, n), leading=lda, flag=trans),
            BlasOperand("x", x, (n, m), flag=trans),
        ),
        BlasOperand("y", y, (m, n), flag=trans),
        scale=alpha,
        carry=beta,
    )


def _gemm() -> BlasRoutine:
    kind, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc = range(14)  # noqa: RUF059
    return BlasRoutine(
        "numba_xxgemm",
        _types("c c c n n n p p n p n p p n"),
        (
            BlasOperand("A", a, (m, k), (k, m), leading=lda, flag=transa),
            BlasOperand("B", b, (k, n), (n, k), leading=ldb, flag=transb),
        ),
        BlasOperand("C", c, (m, m), (n, n), leading=ldc),
        scale=alpha,
        carry=beta,
    )


ROUTINES: Mapping[str, BlasRoutine] = {
    routine.name: routine for routine in (_dot(), _nrm2(), _gemv(), _gemm())
}
"""Every row, by callee."""


def find_routine(callee: str) -> BlasRoutine | None:
    """Return the row of a routine, or None if it has none.

    Examples
    --------
    >>> [operand.name for operand in find_routine("numba_xxgemv").operands]
    ['A', 'x', 'y']
    """
    return ROUTINES.get(callee)
