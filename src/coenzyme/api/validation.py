"""Checks on values that are made in Python, before anything reaches compiled code."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import Any, TypeAlias, cast

import numba
import numpy as np
import numpy.typing as npt

from coenzyme.api.container_checks import Pairs, pair_items, share_with_containers
from coenzyme.api.containers import is_container
from coenzyme.api.functions import Compiled, name_of
from coenzyme.api.instances import Pairing, arrays_in_instance, is_object, lead_to_same
from coenzyme.api.structure import argument_name, check_differentiable
from coenzyme.errors import ActivityError, CoenzymeError, ShadowError
from coenzyme.frontends.program import Mode

__all__ = ["arrays_in", "check_batch", "check_shadows", "lie_alike", "rebuild_tuple", "share_memory"]

Array: TypeAlias = npt.NDArray[Any]

_REMEDY = "make the shadow with make_zero(x)"
_MAX_WORK = 10_000


def check_shadows(
    function: Compiled, primals: Sequence[Any], shadows: Sequence[tuple[int, Any]], mode: Mode
) -> list[Any]:
    """Return the shadows as compiled code takes them: numbers in the type of their primal.

    Parameters
    ----------
    function
        The function, for messages.
    primals
        All arguments.
    shadows
        The position and the shadow of each argument that has one.
    mode
        Forward or reverse.

    Raises
    ------
    ActivityError
        For a primal that has no shadow.
    ShadowError
        If a shadow differs from its primal in shape, dtype or strides, cannot be written, or shares memory in
        a way that would mix up derivatives.
    """
    pairs: list[tuple[int, Array, Array]] = []
    _check_containers(function, primals, shadows)
    found: list[Any] = []
    instances = Pairing(lambda problem: ShadowError(problem, function=name_of(function), remedy=_REMEDY))
    for position, shadow in shadows:
        found.append(_pair(function, position, primals[position], shadow, pairs, instances))
    instances.check()
    for position, primal, shadow in pairs:
        problem = _mismatch(primal, shadow, mode)
        if problem is not None:
            raise _refusal(function, position, primal, problem)
    _check_memory(function, primals, pairs)
    if any(holds_object(primal) for primal in primals):
        _check_primals(function, primals, pairs, {position for position, _ in shadows})
    return found


def check_batch(
    function: Compiled, primals: Sequence[Any], lanes: Sequence[Sequence[tuple[int, Any]]], mode: Mode
) -> list[Any]:
    """Return the shadows of all directions, those of the first first, as `check_shadows` does for one.

    Parameters
    ----------
    lanes
        For each direction the position and the shadow of each argument that has one.

    Raises
    ------
    ActivityError, ShadowError
        As `check_shadows` does; and if shadows of two directions share memory.
    """
    found = [x for shadows in lanes if shadows for x in check_shadows(function, primals, shadows, mode)]
    for first, second in combinations(lanes, 2):
        for i, one in first:
            for _, other in second:
                meet = any(share_memory(x, y) for x in arrays_in(one) for y in arrays_in(other))
                if meet or lead_to_same(one, other) or share_with_containers((one, other)) is not None:
                    raise _refusal(
                        function,
                        i,
                        primals[i],
                        "shadows of two directions share memory",
                        "give each direction shadows of its own: make_zero(x)",
                    )
    return found


def _pair(
    function: Compiled,
    position: int,
    primal: Any,
    shadow: Any,
    pairs: list[tuple[int, Array, Array]],
    instances: Pairing,
) -> Any:
    """Return a shadow as compiled code takes it, after adding its arrays, with their primals, to `pairs`."""
    if isinstance(primal, np.ndarray):
        if isinstance(shadow, np.ndarray):
            pairs.append((position, cast(Array, primal), cast(Array, shadow)))
            return shadow
        raise _refusal(
            function, position, primal, f"the primal is an array, its shadow is a {type(shadow).__name__}"
        )
    if isinstance(primal, tuple):
        parts = cast(tuple[Any, ...], primal)
        if not isinstance(shadow, tuple) or len(cast(tuple[Any, ...], shadow)) != len(parts):
            raise _refusal(
                function, position, primal, f"the primal is a tuple of {len(parts)}, its shadow is {shadow!r}"
            )
        others = cast(tuple[Any, ...], shadow)
        return rebuild_tuple(
            primal,
            [_pair(function, position, p, d, pairs, instances) for p, d in zip(parts, others, strict=True)],
        )
    if isinstance(primal, (float, complex, np.inexact)):
        numbers: tuple[type, ...] = (int, float, np.integer, np.floating)
        if isinstance(primal, (complex, np.complexfloating)):
            numbers = (*numbers, complex, np.complexfloating)
        if isinstance(shadow, numbers):
            return cast(Any, type(primal))(shadow)
        problem = f"the primal is a {type(primal).__name__}, its tangent is a {type(shadow).__name__}"
        raise _refusal(function, position, primal, problem)
    if is_container(primal):
        return _pair_container(function, position, primal, shadow)
    if is_object(primal):
        known = len(instances.arrays)
        instances.add(primal, shadow)
        pairs += [(position, x, dx) for x, dx in instances.arrays[known:]]
        return shadow
    # Whatever else has a shadow is refused by type, before code is made; in a tuple it is a constant.
    return primal


def _check_containers(function: Compiled, primals: Sequence[Any], shadows: Sequence[tuple[int, Any]]) -> None:
    """Refuse containers that share memory with other arguments, and shadows that share it with arguments."""
    both: list[Any] = list(primals)
    for position, shadow in shadows:
        both[position] = (primals[position], shadow)
    clash = share_with_containers(both)
    if clash is not None:
        names = [argument_name(function, i) for i in clash]
        raise ActivityError(
            f"arguments {names[0]!r} and {names[1]!r}, or their shadows, share memory",
            function=name_of(function),
            argument=names[1],
            remedy="pass a copy of one, with a shadow of its own",
        )


def _pair_container(function: Compiled, position: int, primal: Any, shadow: Any) -> Any:
    pairs = Pairs([], [])
    problem = pair_items(primal, shadow, pairs) or pairs.problem()
    if problem is not None:
        raise _refusal(function, position, primal, problem)
    return shadow


def rebuild_tuple(like: tuple[Any, ...], parts: Sequence[Any]) -> tuple[Any, ...]:
    """Return a tuple, or a named tuple of the class of `like`, from its parts."""
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)


def _refusal(
    function: Compiled, position: int, primal: Any, problem: str, remedy: str = _REMEDY
) -> CoenzymeError:
    """Return the error for a shadow, or that for its primal where it has no derivative anyway."""
    name, argument = name_of(function), argument_name(function, position)
    try:
        kind = numba.typeof(primal)
        check_differentiable(kind, function=name, argument=argument, containers=True)
    except CoenzymeError as error:
        return error
    return ShadowError(problem, function=name, argument=argument, remedy=remedy)


def _mismatch(primal: Array, shadow: Array, mode: Mode) -> str | None:
    """Return what is wrong with the shadow of an array, None if nothing is."""
    if shadow.dtype != primal.dtype:
        return f"the primal has dtype {primal.dtype}, its shadow has dtype {shadow.dtype}"
    if shadow.shape != primal.shape:
        return f"the primal has shape {primal.shape}, its shadow has shape {shadow.shape}"
    if shadow.strides != primal.strides and shadow.size > 0:
        steps = zip(primal.shape, primal.strides, shadow.strides, strict=True)
        if any(n > 1 and a != b for n, a, b in steps):
            return f"the primal has strides {primal.strides}, its shadow has strides {shadow.strides}"
    if not shadow.flags.writeable and (mode is Mode.REVERSE or primal.flags.writeable):
        return "the shadow is read-only, and it must be written"
    return None


def _check_memory(
    function: Compiled, primals: Sequence[Any], pairs: Sequence[tuple[int, Array, Array]]
) -> None:
    """Refuse shadows that lie in the memory of a primal, or of another primal's shadow."""
    owners = [(i, array) for i, primal in enumerate(primals) for array in arrays_in(primal)]
    arrays = [*(array for _, array in owners), *(shadow for _, _, shadow in pairs)]
    for a, b in _meeting(arrays):
        first, second = sorted((a, b))
        if second < len(owners):
            continue
        j, y, dy = pairs[second - len(owners)]
        if first < len(owners):
            problem = f"the shadow shares memory with argument {argument_name(function, owners[first][0])!r}"
            raise _refusal(function, j, y, problem, "give the shadow memory of its own: make_zero(x)")
        i, x, dx = pairs[first - len(owners)]
        if not lie_alike(x, y, dx, dy):
            problem = (
                f"the shadow is also that of argument {argument_name(function, i)!r}, which is other memory"
            )
            raise _refusal(function, j, y, problem, "give each array a shadow of its own: make_zero(x)")


def _check_primals(
    function: Compiled,
    primals: Sequence[Any],
    pairs: Sequence[tuple[int, Array, Array]],
    shadowed: Collection[int],
) -> None:
    """Refuse arrays in one memory whose shadows are not: compiled code does not look into instances."""
    constants = [(i, x) for i, primal in enumerate(primals) if i not in shadowed for x in arrays_in(primal)]
    owners = [*pairs, *((i, x, None) for i, x in constants)]
    for a, b in _meeting([array for _, array, _ in owners]):
        (i, x, dx), (j, y, dy) = owners[a], owners[b]
        if dx is None and dy is None:
            continue
        if dx is None or dy is None or not lie_alike(x, y, dx, dy):
            names = " and ".join(repr(argument_name(function, k)) for k in sorted({i, j}))
            raise ActivityError(
                f"arrays of {names} share memory, and their shadows do not",
                function=name_of(function),
                argument=argument_name(function, j),
                remedy="make the shadows together: make_zero((x, y))",
            )


def _meeting(arrays: Sequence[Array]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of positions of arrays that have a byte in common."""
    bounds = sorted((*_extent(array), i) for i, array in enumerate(arrays))
    open_now: list[tuple[int, int]] = []
    for low, high, i in bounds:
        open_now = [(end, j) for end, j in open_now if end > low]
        for _, j in open_now:
            if share_memory(arrays[j], arrays[i]):
                yield j, i
        if high > low:
            open_now.append((high, i))


def _extent(x: Array) -> tuple[int, int]:
    """Return the first address of an array, and the one after its last."""
    reach = [(n - 1) * step for n, step in zip(x.shape, x.strides, strict=True)]
    if x.size == 0:
        return _start(x), _start(x)
    low = _start(x) + sum(r for r in reach if r < 0)
    return low, _start(x) + sum(r for r in reach if r > 0) + x.itemsize


def lie_alike(x: Array, y: Array, dx: Array, dy: Array) -> bool:
    """Return whether two shadows lie to each other in memory as their primals do."""
    return share_memory(x, y) and _start(dy) - _start(dx) == _start(y) - _start(x)


def arrays_in(x: Any) -> Iterator[Array]:
    """Yield the arrays in an argument."""
    if isinstance(x, np.ndarray):
        yield cast(Array, x)
    elif isinstance(x, (tuple, list)):
        for part in cast(Sequence[Any], x):
            yield from arrays_in(part)
    elif is_object(x):
        yield from arrays_in_instance(x)


def holds_object(x: Any) -> bool:
    """Return whether an argument is, or holds, an instance of a class."""
    if isinstance(x, (tuple, list)):
        return any(holds_object(part) for part in cast(Sequence[Any], x))
    return is_object(x)


def share_memory(x: Array, y: Array) -> bool:
    """Return whether two arrays have a byte in common; True where that is too hard to tell."""
    if not np.may_share_memory(x, y):
        return False
    try:
        return bool(np.shares_memory(x, y, max_work=cast(Any, _MAX_WORK)))
    except RuntimeError:  # TooHardError, which NumPy has moved between modules
        return True


def _start(x: Array) -> int:
    return int(x.__array_interface__["data"][0])
