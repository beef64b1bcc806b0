"""What a call of Enzyme's functions means: where the value and the shadows of each parameter are.

Enzyme's functions take the function to differentiate and its arguments, each of which may be preceded by
markers, integers whose names say how it takes part. Without a marker the type of the parameter says it: a
pointer is duplicated, its shadow the next argument; a real number has its derivative returned, or, in forward
mode, a tangent as the next argument; an integer is constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from coenzyme.frontends.program import ComponentActivity
from coenzyme.ir.types import PTR, VOID, ArrayType, FloatType, StructType, Type, VectorType

__all__ = [
    "TAPE_BYTES",
    "Actual",
    "CallPlan",
    "EnzymeMode",
    "Lane",
    "Parameter",
    "classify_type",
]


TAPE_BYTES = 8
"""The size of a tape as the caller sees it: an address."""


class EnzymeMode(Enum):
    """Which of Enzyme's functions is called."""

    AUTODIFF = "autodiff"
    FORWARD = "fwddiff"
    AUGMENTED = "augmentfwd"
    REVERSE = "reverse"
    SIZE = "augmentsize"

    @property
    def is_forward(self) -> bool:
        """Whether tangents are computed."""
        return self is EnzymeMode.FORWARD

    @property
    def is_split(self) -> bool:
        """Whether the two sweeps are run by calls of their own."""
        return self not in (EnzymeMode.AUTODIFF, EnzymeMode.FORWARD)


@dataclass(frozen=True)
class Actual:
    """An argument of such a call.

    Attributes
    ----------
    type
        Its type.
    marker
        The name of the marker that it is, such as ``enzyme_dup``.
    value
        Its value, where it is a constant integer.
    width
        How many directions it has shadows for, where it is a context of which that is known.
    """

    type: Type
    marker: str | None = None
    value: int | None = None
    width: int | None = None


@dataclass(frozen=True)
class Lane:
    """Where the shadow of an argument is for one direction.

    Attributes
    ----------
    position
        Which argument of the call.
    offset
        Which argument of the call is the distance in bytes between the shadows of two directions.
    number
        Which direction.
    """

    position: int
    offset: int | None = None
    number: int = 0

    def __str__(self) -> str:
        return (
            f"#{self.position}" if self.offset is None else f"#{self.position} + {self.number}·#{self.offset}"
        )


@dataclass(frozen=True)
class Parameter:
    """How one parameter of the function takes part.

    Attributes
    ----------
    type, activity
        Of the parameter.
    position
        Which argument of the call is its value; None for memory that the result is written to, where the
        caller does not want it.
    shadows
        Where its shadows are, one for each direction; none where it has none.
    """

    type: Type
    activity: ComponentActivity
    position: int | None
    shadows: tuple[Lane, ...] = ()

    def __str__(self) -> str:
        value = "–" if self.position is None else f"#{self.position}"
        shadows = f", shadow {', '.join(map(str, self.shadows))}" if self.shadows else ""
        return f"{self.type} {value} {self.activity.name.lower()}{shadows}"


@dataclass(frozen=True)
class CallPlan:
    """What a call means; arguments of the call are referred to by their positions.

    Attributes
    ----------
    mode
        What is called.
    parameters
        One for each parameter of the function.
    width
        How many directions there are.
    returns
        The type of what the function returns.
    return_activity
        How the result takes part.
    seeds
        The arguments that are the seeds of the result, one for each direction; none where they are 1.
    primal_return
        Whether what the function returns is wanted.
    tape
        The argument that is the tape, or the memory for it.
    tape_is_memory
        Whether `tape` is memory of the caller's that holds the tape, `allocated` bytes of it.
    keeps_tape
        Whether the reverse sweep must leave the tape as it is.
    context
        The argument that is the context with the shadows of global variables.
    structure
        The type of the memory that the function writes its result to by its first parameter, if it does.
    strong_zero
        Whether a product with a zero is zero, whatever the other factor is.
    """

    mode: EnzymeMode
    parameters: tuple[Parameter, ...]
    width: int
    returns: Type
    return_activity: ComponentActivity
    seeds: tuple[int, ...] = ()
    primal_return: bool = False
    tape: int | None = None
    tape_is_memory: bool = False
    keeps_tape: bool = False
    context: int | None = None
    structure: Type | None = None
    strong_zero: bool = False

    @property
    def results(self) -> tuple[Type, ...]:
        """The types of what the call returns, in order."""
        found: list[Type] = []
        if self.mode is EnzymeMode.AUGMENTED and not self.tape_is_memory:
            found.append(PTR)
        if self.primal_return:
            found.append(self.returns)
        duplicated = self.return_activity is ComponentActivity.DUPLICATED
        if duplicated and self.mode in (EnzymeMode.FORWARD, EnzymeMode.AUGMENTED):
            found += [self.returns] * self.width
        if self.mode in (EnzymeMode.AUTODIFF, EnzymeMode.REVERSE):
            for parameter in self.parameters:
                if parameter.activity is ComponentActivity.ACTIVE:
                    found += [parameter.type] * self.width
        return tuple(found)

    def __str__(self) -> str:
        width = f", {self.width} wide" if self.width > 1 else ""
        lines = [f"{self.mode.value}{width}", *map(str, self.parameters)]
        if self.returns != VOID:
            lines.append(f"result {self.returns} {self.return_activity.name.lower()}")
        return "\n  ".join(lines)


def classify_type(type: Type, *, forward: bool) -> ComponentActivity:
    """Return how a parameter, or a result, of this type takes part where nobody says it."""
    match type:
        case FloatType():
            return ComponentActivity.DUPLICATED if forward else ComponentActivity.ACTIVE
        case VectorType() | ArrayType():
            return classify_type(type.element, forward=forward)
        case StructType():
            found = {classify_type(element, forward=forward) for element in type.elements}
            if ComponentActivity.DUPLICATED in found:
                return ComponentActivity.DUPLICATED
            return ComponentActivity.ACTIVE if ComponentActivity.ACTIVE in found else ComponentActivity.CONST
        case _:
            return ComponentActivity.DUPLICATED if type.is_pointer else ComponentActivity.CONST
