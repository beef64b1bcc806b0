"""The Numba types of a linked derivative: what it takes and what it returns."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numba.core import types

from coenzyme.frontends.program import (
    ArgumentActivity,
    ComponentActivity,
    Mode,
    Program,
    component_activities,
)

__all__ = ["LinkedSignature", "adjoint_type", "map_tuple"]


@dataclass(frozen=True)
class LinkedSignature:
    """The Numba types and the LLVM parameters of a linked derivative."""

    program: Program
    activities: tuple[ArgumentActivity, ...]
    mode: Mode
    return_active: bool
    width: int = 1
    """How many directions are followed: each comes with its own shadows, seeds and results."""
    memory_limit: int | None = None
    """How many bytes the tape may hold."""

    @cached_property
    def components(self) -> tuple[ComponentActivity, ...]:
        """Activity of each LLVM parameter of the primal."""
        found = component_activities(self.program, self.activities, self.mode, self.return_active)
        return tuple(found)

    @cached_property
    def passed(self) -> tuple[int, ...]:
        """Positions of the arguments that a caller passes."""
        return tuple(i for i, a in enumerate(self.program.arguments) if not a.omitted)

    @cached_property
    def shadowed(self) -> tuple[int, ...]:
        """Positions of the arguments that come with a shadow or a tangent."""
        return tuple(i for i, a in enumerate(self.activities) if a is ArgumentActivity.DUPLICATED)

    @cached_property
    def adjoints(self) -> tuple[int, ...]:
        """Positions of the arguments whose adjoint is returned."""
        if self.mode is not Mode.REVERSE:
            return ()
        arguments = self.program.arguments
        return tuple(
            i
            for i, activity in enumerate(self.activities)
            if activity is not ArgumentActivity.CONST and arguments[i].has_floats
        )

    @property
    def takes_seed(self) -> bool:
        """True when the caller gives the cotangent of the return."""
        return self.mode is Mode.REVERSE and self.return_active

    @property
    def seeds(self) -> int:
        """How many cotangents of the return the caller gives."""
        return self.width if self.takes_seed else 0

    @property
    def seed_in_memory(self) -> bool:
        """True when the raw function takes the seeds as its last pointer parameters."""
        return self.takes_seed and self.program.result.has_memory

    @property
    def return_value_type(self) -> Any:
        """Type of the tangent and of the seed of the return."""
        restype = self.program.restype
        return restype.type if isinstance(restype, types.Optional) else restype

    @cached_property
    def argument_types(self) -> tuple[Any, ...]:
        """Numba types of the dispatcher's arguments."""
        argtypes = self.program.argtypes
        found = [_public_type(argtypes[i]) for i in self.passed]
        found += [_shadow_type(_public_type(argtypes[i])) for i in self.shadowed] * self.width
        found += [self.return_value_type] * self.seeds
        return tuple(found)

    @cached_property
    def argument_names(self) -> tuple[str, ...]:
        """Names of the dispatcher's arguments, unique identifiers."""
        names = [self.program.arguments[i].name for i in self.passed]
        wanted = [f"d{self.program.arguments[i].name}" for i in self.shadowed] * self.width
        for name in [*wanted, *["seed"] * self.seeds]:
            while name in names:
                name += "_"  # noqa: PLW2901 - a free name is what is looked for
            names.append(name)
        return tuple(names)

    @cached_property
    def result_type(self) -> Any:
        """Numba type of what the dispatcher returns."""
        restype = self.program.restype
        match self.mode:
            case Mode.PRIMAL:
                return restype
            case Mode.FORWARD:
                second = self.return_value_type if self.return_active else types.none
            case Mode.REVERSE:
                adjoints = [adjoint_type(self.program.argtypes[i]) for i in self.adjoints]
                second = types.BaseTuple.from_types(adjoints)
        return types.BaseTuple.from_types((restype, self.for_lanes(second)))

    def for_lanes(self, kind: Any) -> Any:
        """Return the type of one value of type `kind` for each lane: a tuple where there are several."""
        if isinstance(kind, types.NoneType):
            return kind
        return types.UniTuple(kind, self.width) if self.width > 1 else kind


def _public_type(numba_type: Any) -> Any:
    """Return the type a caller passes for a parameter of `numba_type`."""
    numba_type = types.unliteral(numba_type)
    if isinstance(numba_type, types.StarArgTuple | types.StarArgUniTuple):
        return types.BaseTuple.from_types(tuple(numba_type))
    return numba_type


def _shadow_type(numba_type: Any) -> Any:
    """Return the type of a shadow: the primal's, writable."""
    match numba_type:
        case types.Array():
            return numba_type.copy(readonly=False)
        case types.BaseTuple():
            return map_tuple(numba_type, _shadow_type)
        case _:
            return numba_type


def adjoint_type(numba_type: Any) -> Any:
    """Return the type of an adjoint: the primal's where floats are, None elsewhere."""
    match numba_type:
        case types.Float() | types.Complex():
            return numba_type
        case types.Optional():
            return adjoint_type(numba_type.type)
        case types.BaseTuple():
            return map_tuple(numba_type, adjoint_type)
        case _:
            return types.none


def map_tuple(numba_type: Any, change: Callable[[Any], Any]) -> Any:
    """Return a tuple type with `change` applied to each item; a named tuple keeps its class."""
    items = [change(item) for item in numba_type]
    if isinstance(numba_type, types.BaseNamedTuple):
        if len(set(items)) == 1:
            return types.NamedUniTuple(items[0], len(items), numba_type.instance_class)
        return types.NamedTuple(items, numba_type.instance_class)
    return types.BaseTuple.from_types(items)
