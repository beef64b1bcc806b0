"""What a frontend hands to the engine: an LLVM module, its entry, and what each parameter means.

A `Program` speaks of LLVM parameters, not of Python arguments: the entry is `i32 f(ptr retptr, ptr excinfo,
components...)`, and every Python argument is described by the components it was flattened into.  The enums of
the derivative's calling convention live here too, so that the layers below need no frontend to name them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from coenzyme.errors import ActivityError
from coenzyme.frontends.launch import LAUNCHER
from coenzyme.frontends.structs import NO_STRUCTS, Structs

__all__ = [
    "FLOATS",
    "ArgumentActivity",
    "ArgumentLayout",
    "Component",
    "ComponentActivity",
    "Mode",
    "Program",
    "ResultLayout",
    "Role",
    "Status",
    "component_activities",
]


FLOATS = frozenset({"half", "float", "double"})
"""LLVM's names of the types of real numbers."""


class Role(Enum):
    """What one flattened LLVM value stands for."""

    FLOAT = "float"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATA = "data"
    CONTAINER = "container"
    MEMINFO = "meminfo"
    PARENT = "parent"
    EXTENT = "extent"
    BLOCK = "block"
    FIELDS = "fields"
    OPAQUE = "opaque"


class Mode(Enum):
    """Which function a linked dispatcher computes."""

    PRIMAL = "primal"
    FORWARD = "forward"
    REVERSE = "reverse"


class ArgumentActivity(Enum):
    """How a Python argument takes part in the derivative."""

    CONST = "const"
    ACTIVE = "active"
    DUPLICATED = "duplicated"


class ComponentActivity(Enum):
    """How an LLVM parameter takes part in the derivative."""

    CONST = "const"
    ACTIVE = "active"
    DUPLICATED = "duplicated"


class Status(int, Enum):
    """Return codes a derivative may add to those of the primal."""

    TAPE_EXHAUSTED = 4242
    SEED_MISMATCH = 4243
    RULE_MISMATCH = 4244
    RULE_FAILED = 4245
    TAPE_LIMIT = 4246
    UNKNOWN_FUNCTION = 4247
    CHANGED_POINTER = 4248


_MEMORY = (Role.DATA, Role.CONTAINER)


@dataclass(frozen=True)
class Component:
    """One flattened LLVM value of an argument or of the result.

    Parameters
    ----------
    role
        What the value stands for.
    llvm_type
        Its LLVM type as printed, `"ptr"` for any pointer.
    element
        For `DATA`, and for the `MEMINFO` that owns it, the LLVM type of the memory behind the pointer, the
        real part's type for complex elements; None where that is no scalar type (records). For `CONTAINER`,
        the type of floats among its items. For the `BLOCK` of an instance, and for its `FIELDS`, the name of
        its struct.
    lanes
        For `DATA`, how many of these make one element of the array: two where it is complex.
    leads_to_floats
        For `BLOCK` and `FIELDS`, whether the fields are floats, or lead to some; for `DATA` and `MEMINFO`,
        whether the elements are records with floats among their fields.
    """

    role: Role
    llvm_type: str
    element: str | None = None
    lanes: int = 1
    leads_to_floats: bool = False

    @property
    def differentiable(self) -> bool:
        """True for floats, and for the memory of arrays, containers and instances that hold floats."""
        if self.role is Role.FLOAT or self.is_instance:
            return True
        return self.role in _MEMORY and (self.element in FLOATS or self.leads_to_floats)

    @property
    def is_instance(self) -> bool:
        """True for the pointers to an instance that leads to floats."""
        return self.role in {Role.BLOCK, Role.FIELDS} and self.leads_to_floats


@dataclass(frozen=True)
class ArgumentLayout:
    """The components of one Python argument, in the order of the LLVM parameters.

    An omitted default has no components and is not passed at all.
    """

    name: str
    components: tuple[Component, ...]
    differentiable: bool
    omitted: bool = False

    @property
    def has_floats(self) -> bool:
        """True when some component is a float passed by value."""
        return any(c.role is Role.FLOAT for c in self.components)

    @property
    def has_float_memory(self) -> bool:
        """True when some component points to floats, or leads to some."""
        return any(c.role is not Role.FLOAT and c.differentiable for c in self.components)


@dataclass(frozen=True)
class ResultLayout:
    """The memory behind `retptr`: its LLVM type, and the path (indices of a GEP) of each scalar in it."""

    llvm_type: str
    components: tuple[tuple[tuple[int, ...], Component], ...]
    differentiable: bool

    @property
    def has_memory(self) -> bool:
        """True when the result holds pointers to float memory (an array, or a tuple with one)."""
        return any(c.role is Role.DATA and c.differentiable for _, c in self.components)


@dataclass(frozen=True)
class Program:
    """A function lowered for differentiation: linked LLVM text, not optimised.

    Parameters
    ----------
    text
        The LLVM module, every callee that is not a run-time function included.
    entry
        Symbol of the function to differentiate.
    qualname, module, file, line
        Where the user wrote it.
    arguments, result
        What the LLVM parameters of `entry` mean.
    argtypes, restype
        The frontend's own types (Numba types for the Numba frontend).
    environments
        Symbols of environment pointers in `text` and the objects they must point to.
    nogil
        The user asked that the function run without the interpreter lock.
    structs
        The instances of classes that the code handles.
    keepalive
        Objects whose addresses `text` may contain.
    """

    text: str = field(repr=False)
    entry: str
    qualname: str
    module: str
    file: str
    line: int
    arguments: tuple[ArgumentLayout, ...]
    result: ResultLayout
    argtypes: tuple[Any, ...]
    restype: Any
    environments: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    nogil: bool = False
    structs: Structs = NO_STRUCTS
    keepalive: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def is_parallel(self) -> bool:
        """Whether there are loops in it whose iterations may run at the same time."""
        return f"@{LAUNCHER}" in self.text

    @property
    def parameter_types(self) -> tuple[str, ...]:
        """LLVM types of the entry's parameters, `retptr` and `excinfo` included."""
        return ("ptr", "ptr", *(c.llvm_type for a in self.arguments for c in a.components))


def component_activities(
    program: Program,
    activities: Sequence[ArgumentActivity],
    mode: Mode,
    return_active: bool,
) -> list[ComponentActivity]:
    """Return the activity of each LLVM parameter: `retptr`, `excinfo`, then every component in order.

    Parameters
    ----------
    program
        The function to differentiate.
    activities
        One activity for each entry of `program.arguments`.
    mode
        A float inside a `DUPLICATED` tuple is `ACTIVE` in reverse mode and `DUPLICATED` in forward mode.
    return_active
        Whether the result is differentiated.

    Raises
    ------
    ActivityError
        For an annotation that the argument's type does not allow in this mode.
    """
    if len(activities) != len(program.arguments):
        raise ActivityError(
            f"{len(activities)} activities were given for {len(program.arguments)} arguments",
            function=program.qualname,
            remedy="give one activity for each argument",
        )
    if return_active and not program.result.differentiable:
        raise ActivityError(
            f"the result of type {program.restype} cannot be differentiated",
            function=program.qualname,
            remedy="mark the return as constant, or return floating-point values",
        )
    found = [
        ComponentActivity.DUPLICATED if return_active else ComponentActivity.CONST,
        ComponentActivity.CONST,
    ]
    for position, (argument, activity) in enumerate(zip(program.arguments, activities, strict=True)):
        _check_annotation(program, position, argument, activity, mode)
        found.extend(_component_activity(c, activity, mode) for c in argument.components)
    return found


def _check_annotation(
    program: Program, position: int, argument: ArgumentLayout, activity: ArgumentActivity, mode: Mode
) -> None:
    if activity is ArgumentActivity.CONST:
        return
    kind = program.argtypes[position]
    name = argument.name
    problem = remedy = ""
    if mode is Mode.PRIMAL:
        problem, remedy = "is active in a call without derivative", "mark it constant"
    elif not argument.differentiable:
        problem, remedy = "holds no floating-point values", "mark it constant"
    elif activity is ArgumentActivity.ACTIVE and mode is Mode.FORWARD:
        problem, remedy = "is Active in forward mode", "use Duplicated with a tangent"
    elif activity is ArgumentActivity.ACTIVE and argument.has_float_memory:
        problem, remedy = "is Active but lives in memory", "use Duplicated with a shadow"
    elif activity is ArgumentActivity.DUPLICATED and mode is Mode.REVERSE and not argument.has_float_memory:
        problem, remedy = "is Duplicated in reverse mode but passed by value", "use Active"
    if problem:
        raise ActivityError(
            f"argument {name!r} of type {kind} {problem}",
            function=program.qualname,
            argument=name,
            remedy=remedy,
        )


def _component_activity(component: Component, activity: ArgumentActivity, mode: Mode) -> ComponentActivity:
    if activity is ArgumentActivity.CONST:
        return ComponentActivity.CONST
    if component.role is Role.FLOAT:
        return ComponentActivity.DUPLICATED if mode is Mode.FORWARD else ComponentActivity.ACTIVE
    holds_floats = component.element in FLOATS or component.leads_to_floats
    if component.role in {*_MEMORY, Role.MEMINFO} and holds_floats:
        return ComponentActivity.DUPLICATED
    if component.is_instance:
        return ComponentActivity.DUPLICATED
    return ComponentActivity.CONST
