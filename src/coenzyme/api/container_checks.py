"""Checks of the shadows of typed containers, in Python, before compiled code follows their pointers.

A shadow is a container of the type, length and keys of its primal, in memory of its own. Compiled code goes
by the numbers of entries, so that the entries of a dictionary must have the same numbers in its shadow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from numba.core import types
from numba.typed.typeddict import Dict

from coenzyme.api.containers import address, clear_room, hashes, is_container, item_type, items, type_of

__all__ = ["Pairs", "holds_container", "pair_items", "share_with_containers"]

Array: TypeAlias = npt.NDArray[Any]


@dataclass
class Pairs:
    """The arrays and containers of one argument, each with its shadow.

    Attributes
    ----------
    arrays
        Arrays of floats.
    containers
        Containers, the outermost first.
    """

    arrays: list[tuple[Array, Array]]
    containers: list[tuple[Any, Any]]

    def problem(self) -> str | None:
        """Return what is wrong with how shadows lie in memory, None if nothing is."""
        return self._one_to_one() or self._apart()

    def _one_to_one(self) -> str | None:
        shadow_of: dict[int, int] = {}
        primal_of: dict[int, int] = {}
        for primal, shadow in self.containers:
            here, there = address(primal), address(shadow)
            if shadow_of.setdefault(here, there) != there or primal_of.setdefault(there, here) != here:
                return "containers are one in the primal and two in the shadow, or the other way round"
        if not set(shadow_of).isdisjoint(primal_of):
            return "a container is part of the primal and of the shadow"
        return None

    def _apart(self) -> str | None:
        spans = [(*_extent(x), x, dx) for x, dx in self.arrays if x.size > 0]
        shadows = [(*_extent(dx), x, dx) for x, dx in self.arrays if x.size > 0]
        for (_, end, x, dx), (start, _, y, dy) in _meetings(spans):
            if end > start and not _lie_alike(x, y, dx, dy):
                return "arrays in it share memory, and their shadows do not share it likewise"
        for (_, end, x, dx), (start, _, y, dy) in _meetings(shadows):
            if end > start and not _lie_alike(x, y, dx, dy):
                return "shadows of different arrays share memory"
        both = sorted([(*span[:2], 0) for span in spans] + [(*span[:2], 1) for span in shadows])
        reach = [0, 0]
        for start, end, side in both:
            if reach[1 - side] > start:
                return "the shadow shares memory with the primal"
            reach[side] = max(reach[side], end)
        return None


_Span: TypeAlias = tuple[int, int, Array, Array]


def _meetings(spans: Sequence[_Span]) -> Iterator[tuple[_Span, _Span]]:
    """Yield neighbours in memory: where no two neighbours meet, none meet."""
    ordered = sorted(spans, key=lambda span: (span[0], -span[1]))
    furthest: list[_Span] = []
    for first, second in pairwise(ordered):
        if not furthest or first[1] > furthest[0][1]:
            furthest = [first]
        yield furthest[0], second


def _extent(x: Array) -> tuple[int, int]:
    start = int(x.__array_interface__["data"][0])
    reach = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
    low = sum(r for r in reach if r < 0)
    high = sum(r for r in reach if r > 0)
    return start + low, start + high + x.itemsize


def _lie_alike(x: Array, y: Array, dx: Array, dy: Array) -> bool:
    first, second = _start(y) - _start(x), _start(dy) - _start(dx)
    apart = not np.may_share_memory(x, y) and not np.may_share_memory(dx, dy)
    return apart or first == second


def _start(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


def pair_items(primal: Any, shadow: Any, pairs: Pairs) -> str | None:
    """Add what is in a container and its shadow to `pairs`; return what does not fit, None if all does."""
    if not is_container(primal):
        return _pair_item(primal, shadow, pairs)
    if not is_container(shadow):
        return f"the primal is a typed container, its shadow is a {type(shadow).__name__}"
    if type_of(primal) != type_of(shadow):
        return f"the primal has type {type_of(primal)}, its shadow has type {type_of(shadow)}"
    if len(primal) != len(shadow):
        return f"the primal has {len(primal)} items, its shadow has {len(shadow)}"
    if isinstance(primal, Dict):
        if list(cast(Any, primal)) != list(shadow):
            return "the shadow has other keys than the primal, or in another order"
        if hashes(primal) != hashes(shadow):
            return "entries were taken out of one of the two: make the shadow of d.copy(), and pass that copy"
    else:
        clear_room(shadow)
    pairs.containers.append((primal, shadow))
    if isinstance(item_type(type_of(primal)), (types.Number, types.Boolean)):
        return None
    problems = (pair_items(x, dx, pairs) for x, dx in zip(items(primal), items(shadow), strict=True))
    return next((problem for problem in problems if problem is not None), None)


def _pair_item(primal: Any, shadow: Any, pairs: Pairs) -> str | None:
    if isinstance(primal, tuple):
        parts = zip(cast(tuple[Any, ...], primal), cast(tuple[Any, ...], shadow), strict=True)
        problems = (pair_items(x, dx, pairs) for x, dx in parts)
        return next((problem for problem in problems if problem is not None), None)
    if isinstance(primal, np.ndarray) and cast(Array, primal).dtype.kind in "fc":
        x, dx = cast(Array, primal), cast(Array, shadow)
        if x.shape != dx.shape or (x.size > 0 and x.strides != dx.strides):
            return f"an item has shape {x.shape}, its shadow has shape {dx.shape}, or their strides differ"
        if not dx.flags.writeable:
            return "the shadow of an item is read-only"
        pairs.arrays.append((x, dx))
    return None


# --- arguments beside each other ----------------------------------------------------------------------------


def share_with_containers(arguments: Sequence[Any]) -> tuple[int, int] | None:
    """Return the positions of two arguments that share memory, one of them a container; None if none do.

    Parameters
    ----------
    arguments
        Each with its shadow, in a tuple.
    """
    if not any(holds_container(x) for x in arguments):
        return None
    owner: dict[int, int] = {}
    spans: list[tuple[int, int, int]] = []
    for position, argument in enumerate(arguments):
        for x in _memory_of(argument):
            if isinstance(x, np.ndarray):
                array = cast(Array, x)
                spans += [(*_extent(array), position)] if array.size > 0 else []
            elif owner.setdefault(address(x), position) != position:
                return owner[address(x)], position
    furthest = (0, 0, -1)
    for span in sorted(spans):
        if furthest[1] > span[0] and furthest[2] != span[2]:
            first, second = sorted((furthest[2], span[2]))
            if holds_container(arguments[first]) or holds_container(arguments[second]):
                return first, second
        furthest = max(furthest, span, key=lambda s: s[1])
    return None


def holds_container(x: Any) -> bool:
    """Return whether an argument is a typed container, or a tuple with one in it."""
    return is_container(x) or (isinstance(x, tuple) and any(map(holds_container, cast(tuple[Any, ...], x))))


def _memory_of(x: Any) -> Iterator[Any]:
    """Yield the arrays and the containers in an argument."""
    if isinstance(x, np.ndarray):
        yield x
    elif isinstance(x, tuple):
        for part in cast(tuple[Any, ...], x):
            yield from _memory_of(part)
    elif is_container(x):
        yield x
        if not isinstance(item_type(type_of(x)), (types.Number, types.Boolean)):
            for item in items(x):
                yield from _memory_of(item)
