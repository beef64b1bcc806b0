"""What a caller says about each argument, and about the sweep: the vocabulary of `autodiff`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from coenzyme.errors import ActivityError
from coenzyme.frontends.program import Mode

__all__ = [
    "ANNOTATIONS",
    "BATCHED",
    "SHADOWED",
    "UNNEEDED",
    "Active",
    "Annotation",
    "BatchDuplicated",
    "BatchDuplicatedNoNeed",
    "Const",
    "DerivativeMode",
    "Duplicated",
    "DuplicatedNoNeed",
    "Forward",
    "ForwardWithPrimal",
    "MixedDuplicated",
    "Reverse",
    "ReverseSplitNoPrimal",
    "ReverseSplitWithPrimal",
    "ReverseWithPrimal",
    "check_memory_limit",
]


@dataclass(eq=False, slots=True)  # not frozen: one is made for each argument of each call
class Const:
    """An argument that is not differentiated. As a return activity: no derivative of the return value.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.autodiff(cz.Reverse, lambda x, n: x**n, cz.Active(2.0), cz.Const(3))
    (12.0, None)
    """

    primal: Any


@dataclass(eq=False, slots=True)  # not frozen: one is made for each argument of each call
class Active:
    """A float in reverse mode: its derivative is returned. As a return activity: the return is seeded with 1.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.autodiff(cz.Reverse, lambda x: x * x, cz.Active, cz.Active(3.0))
    (6.0,)
    """

    primal: Any


@dataclass(eq=False, slots=True)  # not frozen: one is made for each argument of each call
class Duplicated:
    """An argument with its shadow: memory of the same shape, dtype and strides, or in forward mode a tangent.

    In reverse mode the shadow enters as the cotangent of the memory on exit, and leaves as the cotangent of
    the memory on entry: memory that is only read gets ``+=``.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> def norm2(x):
    ...     total = 0.0
    ...     for i in range(x.size):
    ...         total += x[i] * x[i]
    ...     return total
    >>> x, dx = np.array([1.0, 2.0]), np.zeros(2)
    >>> cz.autodiff(cz.Reverse, norm2, cz.Duplicated(x, dx))
    (None,)
    >>> dx
    array([2., 4.])
    """

    primal: Any
    shadow: Any


@dataclass(eq=False, slots=True)  # not frozen: one is made for each argument of each call
class DuplicatedNoNeed:
    """Like `Duplicated`, where what the call leaves in the primal memory is not needed.

    In reverse mode the call then computes no more of the function than its derivative needs, and what is in
    the memory afterwards is not specified: for linear code, a sweep less.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.autodiff(cz.Forward, lambda x: x * x, cz.DuplicatedNoNeed, cz.Duplicated(3.0, 1.0))
    6.0
    """

    primal: Any
    shadow: Any


@dataclass(eq=False, slots=True)  # not frozen: one is made for each argument of each call
class MixedDuplicated:
    """A tuple of numbers and arrays, with a shadow of the same shape.

    In reverse mode the shadows of the arrays are updated in place, and the derivative that is returned is the
    tuple with the derivatives of the numbers and these shadows; the numbers in the shadow are ignored. In
    forward mode it is `Duplicated`.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> def line(p):
    ...     slope, x = p
    ...     return slope * x.sum()
    >>> x, dx = np.array([1.0, 2.0]), np.zeros(2)
    >>> cz.autodiff(cz.Reverse, line, cz.MixedDuplicated((3.0, x), (0.0, dx)))
    ((3.0, array([3., 3.])),)
    """

    primal: Any
    shadow: Any


@dataclass(eq=False, slots=True)  # not frozen: one is made for each argument of each call
class BatchDuplicated:
    """An argument with one shadow for each of several directions, which one sweep follows together.

    The work that the directions have in common is done once. Where a call without batch has one derivative,
    it has a tuple with one for each direction.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.autodiff(
    ...     cz.Forward,
    ...     lambda x, y: x * y,
    ...     cz.BatchDuplicated(3.0, (1.0, 0.0)),
    ...     cz.BatchDuplicated(5.0, (0.0, 1.0)),
    ... )
    (5.0, 3.0)
    """

    primal: Any
    shadow: Any
    """A tuple of shadows."""


@dataclass(eq=False, slots=True)  # not frozen: one is made for each argument of each call
class BatchDuplicatedNoNeed:
    """Like `BatchDuplicated`, where what the call leaves in the primal memory is not needed.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.autodiff(cz.Forward, lambda x: x * x, cz.BatchDuplicatedNoNeed(3.0, (1.0, 10.0)))
    (6.0, 60.0)
    """

    primal: Any
    shadow: Any
    """A tuple of shadows."""


Annotation: TypeAlias = (
    Const | Active | Duplicated | DuplicatedNoNeed | MixedDuplicated | BatchDuplicated | BatchDuplicatedNoNeed
)

BATCHED = (BatchDuplicated, BatchDuplicatedNoNeed)
UNNEEDED = (DuplicatedNoNeed, BatchDuplicatedNoNeed)
SHADOWED = (Duplicated, DuplicatedNoNeed, MixedDuplicated, *BATCHED)
ANNOTATIONS = (Const, Active, *SHADOWED)


def check_memory_limit(limit: object) -> None:
    """Refuse a limit that is no number of bytes."""
    if limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and 0 <= limit < 1 << 62):
        return
    raise ActivityError(
        f"the option memory_limit is {limit!r}",
        argument="memory_limit",
        remedy="pass a number of bytes, or None",
    )


@dataclass(frozen=True)
class DerivativeMode:
    """Which sweep to run, and whether the value of the function is returned beside the derivative.

    Use the values `Forward`, `ForwardWithPrimal`, `Reverse` and `ReverseWithPrimal`, and for `autodiff_thunk`
    `ReverseSplitNoPrimal` and `ReverseSplitWithPrimal`.

    Parameters
    ----------
    sweep
        Forward carries tangents along with the values; reverse carries cotangents back.
    with_primal
        Return ``(derivative, value)`` in place of the derivative alone.
    split
        The sweep comes as two functions, one that runs the primal and one that runs the reverse sweep later.
    strong_zero
        A tangent or cotangent that is zero contributes exactly zero, also where a slope is infinite or not a
        number. In reverse mode this is so anyway of elementary functions whose slope can be infinite at a
        finite argument; here it holds of every operation, such as the product with a factor that has
        overflowed. Linear algebra on whole arrays is excepted.
    arguments_kept
        For a split sweep, a promise: between its halves nothing is written to the arguments and to the value.
        What the reverse half needs of them is then not kept on the tape.
    memory_limit
        How many bytes the reverse sweep may keep, None for as many as there are: what would be more raises
        `MemoryLimitError`, before it is allocated where the numbers of iterations are known by then. Calls
        that run at the same time on several threads, and tapes of a split sweep that are still to be used,
        share the limit. Not counted is what rules such as those of `numpy.linalg` save, snapshots of
        `checkpoint` among it.
    width
        How many directions one sweep follows; the arguments with shadows are `BatchDuplicated` then, and it
        may be left out.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.Reverse.replace(with_primal=True) == cz.ReverseWithPrimal
    True
    """

    sweep: Mode
    with_primal: bool = False
    split: bool = False
    arguments_kept: bool = False
    strong_zero: bool = False
    width: int = 1
    memory_limit: int | None = None
    known: dict[tuple[Any, ...], Callable[..., Any] | None] = field(
        default_factory=dict[tuple[Any, ...], "Callable[..., Any] | None"],
        init=False,
        repr=False,
        compare=False,
    )
    """Calls made in this mode before, for `autodiff`: see :mod:`coenzyme.api.quick`."""

    def __post_init__(self) -> None:
        """Refuse options of another type."""
        width = cast(object, self.width)
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise ActivityError(
                f"the option width of a mode is {self.width!r}",
                argument="width",
                remedy="pass the number of directions to follow in one sweep, at least 1",
            )
        check_memory_limit(self.memory_limit)
        for name in ("with_primal", "split", "arguments_kept", "strong_zero"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ActivityError(
                    f"the option {name} of a mode is {value!r}",
                    argument=name,
                    remedy="pass True or False",
                )

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes an equal mode: the calls it knows stay in this process."""
        return DerivativeMode, tuple(
            getattr(self, option.name) for option in dataclasses.fields(self) if option.init
        )

    def replace(self, **changes: Any) -> DerivativeMode:
        """Return this mode with some options changed.

        Parameters
        ----------
        **changes
            New values of the fields of `DerivativeMode`.

        Returns
        -------
        DerivativeMode
            A new value; this one stays as it is.

        Raises
        ------
        ActivityError
            For an option that does not exist, or a value that it cannot have.
        """
        known = {option.name for option in dataclasses.fields(self) if option.init}
        for name in changes:
            if name not in known:
                raise ActivityError(
                    f"a mode has no option {name!r}",
                    argument=name,
                    remedy=f"the options are {', '.join(sorted(known))}",
                )
        return dataclasses.replace(self, **changes)


Forward = DerivativeMode(Mode.FORWARD)
ForwardWithPrimal = DerivativeMode(Mode.FORWARD, with_primal=True)
Reverse = DerivativeMode(Mode.REVERSE)
ReverseWithPrimal = DerivativeMode(Mode.REVERSE, with_primal=True)
ReverseSplitNoPrimal = DerivativeMode(Mode.REVERSE, split=True)
ReverseSplitWithPrimal = DerivativeMode(Mode.REVERSE, with_primal=True, split=True)
