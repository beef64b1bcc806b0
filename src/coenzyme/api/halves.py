"""The two halves of a split reverse derivative, as calls of compiled code and as Python sees them."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numba.core import types

from coenzyme import engine
from coenzyme.api.calls import cast, with_scratch
from coenzyme.api.containers import is_container
from coenzyme.api.memory import call_derivative, writable, zero_like
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.structure import Arrangement, Leaf, Tree, parts_of
from coenzyme.api.validation import rebuild_tuple
from coenzyme.frontends.program import ArgumentActivity, Mode

__all__ = [
    "Halves",
    "Run",
    "add_forward_half",
    "assemble",
    "is_seeded",
    "pair_cotangent",
    "run_of",
    "seed_of",
]


@dataclass(frozen=True, eq=False)
class Halves:
    """A compiled pair of halves, for arguments of certain types.

    Parameters
    ----------
    derivative
        The pair.
    arrangement
        The function and its arguments.
    activities
        What the engine was told of each leaf.
    seeded
        Whether the reverse half takes the cotangent of the value.
    width
        How many directions are followed.
    """

    derivative: engine.SplitDerivative
    arrangement: Arrangement
    activities: tuple[ArgumentActivity, ...]
    seeded: bool
    width: int

    @property
    def value_type(self) -> types.Type:
        """The Numba type of the value, where it is not None."""
        kind = self.derivative.restype
        return kind.type if isinstance(kind, types.Optional) else kind

    def seed(self, cotangent: Any, value: Any, refuse: Callable[[str], Exception]) -> Any:
        """Return a cotangent of the value as the reverse half takes it.

        Parameters
        ----------
        cotangent
            Shaped like the value; None where that is None.
        value
            What the function returned.
        refuse
            Makes the error for a cotangent of another structure.
        """
        if value is None:
            if cotangent is not None:
                raise refuse("the value is None, and a cotangent of it was given")
            return _zero_seed(self.value_type)
        return seed_of(self.value_type, cotangent, refuse)

    def sweep(self, memory: Any, seeds: Sequence[Any]) -> list[dict[str, Any]]:
        """Run the reverse half, and return for each direction the adjoints of numbers by their paths.

        Parameters
        ----------
        memory
            The tape.
        seeds
            The cotangent of a seeded value, for each direction.
        """
        reverse = self.derivative.reverse
        returned = reverse(memory, *seeds) if self.seeded else reverse(memory)
        active = [
            leaf.path
            for leaf, activity in zip(self.arrangement.leaves, self.activities, strict=True)
            if activity is ArgumentActivity.ACTIVE
        ]
        lanes = (returned,) if self.width == 1 else returned
        return [dict(zip(active, adjoints, strict=True)) for adjoints in lanes]

    def shadowed(self) -> list[Leaf]:
        """Return the leaves that have a shadow."""
        pairs = zip(self.arrangement.leaves, self.activities, strict=True)
        return [leaf for leaf, activity in pairs if activity is ArgumentActivity.DUPLICATED]


@dataclass(frozen=True)
class Run:
    """What the forward half has left.

    Parameters
    ----------
    halves
        The pair it belongs to.
    value
        What the function returned.
    memory
        The tape, in memory of Numba's runtime.
    shadows
        The shadow of the value in each direction: arrays where it has floats; None where it has none.
    made
        The shadows of arguments that were made for this run, in order.
    """

    halves: Halves
    value: Any
    memory: Any
    shadows: tuple[Any, ...]
    made: tuple[Any, ...]


# A body returns the number of its pair; the body keeps the pair alive.
_known: WeakValueDictionary[int, Halves] = WeakValueDictionary()
_numbers = count()


def run_of(returned: tuple[int, Any, Any, Any, tuple[Any, ...]]) -> Run:
    """Return what a body made by `add_forward_half` has returned."""
    number, value, memory, shadow, made = returned
    halves = _known[number]
    several = isinstance(shadow, tuple) and halves.width > 1
    return Run(halves, value, memory, shadow if several else (shadow,) * halves.width, made)


def add_forward_half(
    source: Source,
    arrangement: Arrangement,
    lanes: Sequence[Mapping[str, str]] | None,
    *,
    return_active: bool,
    seeded: bool,
    options: engine.Options,
) -> None:
    """Add the call of a forward half to a body, and the return of what :func:`run_of` takes.

    Parameters
    ----------
    source
        The body.
    arrangement
        The function and its arguments.
    lanes
        For each direction the shadow of each array leaf, by path; None where all are to be made.
    return_active, seeded
        Whether the return is differentiated, and whether its cotangent is passed to the reverse half.
    options
        How the halves are made.
    """
    made, activities = with_scratch(
        arrangement,
        arrangement.activities(Mode.REVERSE),
        lambda a: engine.split_derivative(
            arrangement.function,
            arrangement.types,
            a,
            return_active=return_active,
            seeded=seeded,
            options=options,
        ),
    )
    halves = Halves(made, arrangement, activities, seeded, options.width)
    number = next(_numbers)
    _known[number] = halves
    values = [leaf.path for leaf in arrangement.leaves]
    if lanes is None:
        arrays, others = [leaf.path for leaf in halves.shadowed()] * options.width, []
    else:
        arrays: list[str] = []
        others = [
            cast(source, shadows[leaf.path], writable(leaf.kind))
            if leaf.path in shadows
            else f"{source.name('zero_like', zero_like)}({leaf.path})"
            for shadows in lanes
            for leaf in halves.shadowed()
        ]
    forward = source.name("engine", halves.derivative.forward)
    source.name("halves", halves)
    groups = ", ".join(tuple_of(group) for group in (values, arrays, others))
    source.add(f"value, rest, made = {source.name('call_derivative', call_derivative)}({forward}, {groups})")
    source.add(f"return {number}, value, rest[0], rest[1], made")


def is_seeded(kind: types.Type) -> bool:
    """Return whether a value is made of numbers alone, so that its cotangent can be passed by value."""
    if isinstance(kind, types.Optional):
        kind = kind.type
    if isinstance(kind, types.BaseTuple):
        return all(is_seeded(part) for part in parts_of(kind))
    return isinstance(types.unliteral(kind), (types.Number, types.Boolean))


def seed_of(kind: types.Type, cotangent: Any, refuse: Callable[[str], Exception]) -> Any:
    """Return a cotangent in the very type that a reverse half takes.

    Parameters
    ----------
    kind
        The Numba type of the value.
    cotangent
        Shaped like the value; what stands for integers is ignored.
    refuse
        Makes the error for a cotangent of another structure.
    """
    if isinstance(kind, types.BaseTuple):
        parts = parts_of(kind)
        if not isinstance(cotangent, (tuple, list)) or len(cotangent) != len(parts):
            raise refuse(f"the value is a tuple of {len(parts)}, its cotangent is {cotangent!r}")
        found = [seed_of(part, given, refuse) for part, given in zip(parts, cotangent, strict=True)]
        named = isinstance(kind, types.BaseNamedTuple)
        return typing.cast(Any, kind).instance_class(*found) if named else tuple(found)
    if not isinstance(kind, (types.Float, types.Complex)):
        return False if isinstance(kind, types.Boolean) else 0
    sorts = "fiubc" if isinstance(kind, types.Complex) else "fiub"
    if np.ndim(cotangent) != 0 or np.asarray(cotangent).dtype.kind not in sorts:
        raise refuse(f"the value is a number, its cotangent is {cotangent!r}")
    return np.dtype(kind.name).type(cotangent)


def _zero_seed(kind: types.Type) -> Any:
    if isinstance(kind, types.BaseTuple):
        return seed_of(kind, [_zero_seed(part) for part in parts_of(kind)], ValueError)
    return seed_of(kind, 0, ValueError)


def pair_cotangent(shadow: Any, cotangent: Any, refuse: Callable[[str], Exception]) -> list[tuple[Any, Any]]:
    """Return the arrays of the shadow of a value, each with what is to be added to it.

    Parameters
    ----------
    shadow
        As the forward half returned it.
    cotangent
        Shaped like the value; what stands where there is no shadow is ignored.
    refuse
        Makes the error for a cotangent of another structure.
    """
    if shadow is None:
        return []
    if is_container(shadow):
        raise refuse("the cotangent of a typed container is added to the items of its shadow, and not passed")
    if isinstance(shadow, tuple):
        if not isinstance(cotangent, (tuple, list)) or len(cotangent) != len(shadow):
            raise refuse(
                f"the value is a tuple of {len(shadow)}, its cotangent is a {type(cotangent).__name__}"
            )
        pairs = zip(shadow, cotangent, strict=True)
        return [pair for part, given in pairs for pair in pair_cotangent(part, given, refuse)]
    array = np.asarray(cotangent)
    if array.dtype.kind not in ("fiubc" if shadow.dtype.kind == "c" else "fiub"):
        raise refuse(f"the values of the cotangent are {array.dtype}, those of the value {shadow.dtype}")
    if array.shape != shadow.shape:
        raise refuse(f"the cotangent has shape {array.shape}, the value {shadow.shape}")
    return [(shadow, array.astype(shadow.dtype, copy=False))]


def assemble(tree: Tree, primal: Any, adjoints: Mapping[str, Any]) -> Any:
    """Return the adjoint of an argument from those of its leaves; what has none stays as it is."""
    if isinstance(tree, Leaf):
        return adjoints.get(tree.path, primal)
    parts: tuple[Any, ...] = primal
    return rebuild_tuple(
        parts, [assemble(child, part, adjoints) for child, part in zip(tree.children, parts, strict=True)]
    )
