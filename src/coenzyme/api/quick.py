"""Calls from Python that have been made before, with arguments that compiled code checks by itself.

Checks of shadows in Python take twenty times as long as a call. Compiled code makes the same ones for numbers
and arrays: dtypes, ranks and whether an array can be written belong to the types that it is compiled for;
shapes, strides and extents are compared when it runs, before the function does. It raises where anything is
doubtful; then, and for all other arguments, the checks in Python decide and word the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from coenzyme.analysis.passes import passes_in_force
from coenzyme.api.annotations import ANNOTATIONS, SHADOWED, DerivativeMode
from coenzyme.api.functions import Compiled
from coenzyme.api.source import Source

__all__ = [
    "UNFIT",
    "are_plain",
    "known_call",
    "known_product",
    "known_pushforward",
    "remember_call",
    "remember_product",
    "remember_pushforward",
]

Key: TypeAlias = tuple[Any, ...]

_pushforwards: dict[Key, Callable[..., Any]] = {}
_products: dict[Key, Callable[..., Any]] = {}

UNFIT = object()
"""What a known call returns for arguments that need to be checked in Python."""

PLAIN = frozenset(
    {np.ndarray, float, int, complex, bool, type(None), str}
    | {np.float64, np.float32, np.complex128, np.complex64, np.int64, np.int32, np.bool_}
)
"""The types of the arguments that compiled code checks: they hold no objects that Python has to look into."""


def are_plain(values: Sequence[Any]) -> bool:
    """Return whether compiled code can check all of these values."""
    return PLAIN.issuperset(map(type, values))


def known_call(mode: DerivativeMode, f: object, annotated: tuple[Any, ...]) -> Callable[..., Any] | None:
    """Return what `remember_call` has kept for annotations of the same classes, None if there is nothing.

    It takes the annotated arguments, and returns the result or `UNFIT`, or raises what compiled code does.
    """
    try:
        return mode.known.get(_key(f, annotated))
    except (AttributeError, TypeError):  # no mode, or a function that cannot be one
        return None


def remember_call(
    mode: DerivativeMode, f: object, annotated: tuple[Any, ...], given: Sequence[Any], entry: Compiled
) -> None:
    """Keep how to make a call, for `known_call`, if compiled code can check its arguments.

    Parameters
    ----------
    mode, f, annotated
        What the user gave.
    given
        The arguments, all annotated.
    entry
        What was called with the primals and the shadows.
    """
    key = _key(f, annotated)
    shadows = [argument.shadow for argument in given if isinstance(argument, SHADOWED)]
    if key not in mode.known and are_plain([*(argument.primal for argument in given), *shadows]):
        mode.known[key] = _caller(annotated, entry)


def _key(f: object, annotated: tuple[Any, ...]) -> tuple[Any, ...]:
    if annotated and type(annotated[0]) is type:
        return (f, passes_in_force(), annotated[0], *map(type, annotated))
    return (f, passes_in_force(), *map(type, annotated))


def _caller(annotated: tuple[Any, ...], entry: Compiled) -> Callable[..., Any]:
    """Return a function from annotated arguments to what `entry` makes of them.

    It is generated: a loop over the arguments would take longer than the call.
    """
    source = Source({"plain": PLAIN, "unfit": UNFIT})
    primals: list[str] = []
    shadows: list[str] = []
    for i, argument in enumerate(annotated):
        if isinstance(argument, type):
            continue
        read = f"a{i}.primal" if isinstance(argument, ANNOTATIONS) else f"a{i}"
        source.add(f"x{i} = {read}")
        primals.append(f"x{i}")
        if isinstance(argument, SHADOWED):
            source.add(f"dx{i} = a{i}.shadow")
            shadows.append(f"dx{i}")
    tests = [f"type({name}) in plain" for name in (*primals, *shadows)]
    call = f"{source.name('entry', cast(Any, entry))}({', '.join([*primals, *shadows])})"
    source.add(f"return {call} if {' and '.join(tests) or True} else unfit")
    return source.function("known_call", ", ".join(f"a{i}" for i in range(len(annotated))))


def known_pushforward(
    f: object, primals: Sequence[Any], tangents: Sequence[Any]
) -> Callable[..., Any] | None:
    """Return what `remember_pushforward` has kept for values of the same types, None if there is nothing.

    It takes the primals and then the tangents, and returns the result or raises what compiled code does.
    """
    if not (isinstance(primals, tuple) and isinstance(tangents, tuple)):
        return None
    try:
        return _pushforwards.get(
            (f, passes_in_force(), len(primals), *map(type, primals), *map(type, tangents))
        )
    except TypeError:  # what is not hashed is no function
        return None


def remember_pushforward(
    f: object, primals: Sequence[Any], tangents: Sequence[Any], varied: Sequence[int], entry: Compiled
) -> None:
    """Keep how to make a call of `jvp`, for `known_pushforward`, if compiled code can check its arguments.

    Parameters
    ----------
    f, primals, tangents
        What the user gave.
    varied
        The positions of the arguments that hold floats.
    entry
        What was called with the primals and their tangents.
    """
    if not (isinstance(primals, tuple) and isinstance(tangents, tuple)) or not are_plain(
        (*primals, *tangents)
    ):
        return
    for i in set(range(len(primals))).difference(varied):
        # By its Python type alone an array may have a derivative or not.
        if tangents[i] is not None or isinstance(primals[i], np.ndarray):
            return
    count = len(primals)
    source = Source()
    given = ", ".join([*(f"x{i}" for i in range(count)), *(f"dx{i}" for i in varied)])
    source.add(f"return {source.name('entry', cast(Any, entry))}({given})")
    parameters = ", ".join([*(f"x{i}" for i in range(count)), *(f"dx{i}" for i in range(count))])
    key = (f, passes_in_force(), count, *map(type, primals), *map(type, tangents))
    _pushforwards.setdefault(key, source.function("known_pushforward", parameters))


def known_product(product: object, f: object, args: tuple[Any, ...]) -> Callable[..., Any] | None:
    """Return what `remember_product` has kept for arguments of the same types, None if there is nothing."""
    try:
        return _products.get((id(product), f, passes_in_force(), *map(type, args)))
    except TypeError:
        return None


def remember_product(product: object, f: object, args: tuple[Any, ...], entry: Compiled) -> None:
    """Keep the function that computes a product with the Hessian, if compiled code can check its arguments.

    Parameters
    ----------
    product
        What is returned; an object that lives as long as the process.
    f
        The user's function.
    args
        What `entry` was called with.
    entry
        The compiled function.
    """
    if are_plain(args):
        key = (id(product), f, passes_in_force(), *map(type, args))
        _products.setdefault(key, cast("Callable[..., Any]", entry))
