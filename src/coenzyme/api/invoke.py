"""Calls from Python: what to do where compiled code refuses its arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any, cast

import numba
from numba.core import types
from numba.core.errors import NumbaError

from coenzyme import engine
from coenzyme.api.calls import Call, call_of, entry_of, in_force
from coenzyme.api.functions import Compiled, bind, explain, name_of
from coenzyme.api.sharing import AliasError, Sharing
from coenzyme.api.structure import argument_name
from coenzyme.api.validation import arrays_in, lie_alike, share_memory
from coenzyme.errors import ActivityError, CoenzymeError, CompilationError, ShadowError

__all__ = ["invoke", "recover", "resolve_sharing"]


def invoke(
    request: Call,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    given: Sequence[Any] | None = None,
    differentiated: Collection[int],
    shadows: Sequence[Mapping[int, Any]] = (),
    refused: Exception | None = None,
) -> Any:
    """Return the result of a call, compiled for the types of its arguments.

    Parameters
    ----------
    request
        What to compute.
    args, kwargs
        What the compiled function takes.
    given
        The arguments of the user's function, where `args` and `kwargs` are not those.
    differentiated
        Positions of the differentiated arguments among them.
    shadows
        For each direction, the shadows that the caller has passed, by position.
    refused
        What compiled code raised, where it has been called already.
    """
    try:
        # Of these it is certain that the function has not begun to run, and that a checked call may differ.
        if refused is not None and not isinstance(refused, (ShadowError, NumbaError)):
            raise refused
        return entry_of(in_force(request))(*args, **kwargs)
    except (NumbaError, TypeError) as error:
        return recover(
            error, request, args, kwargs, given=given, differentiated=differentiated, shadows=shadows
        )


def recover(
    error: Exception,
    request: Call,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    given: Sequence[Any] | None,
    differentiated: Collection[int],
    shadows: Sequence[Mapping[int, Any]] = (),
) -> Any:
    """Return the result of a call that compiled code has refused, or raise the error that says why not.

    Parameters
    ----------
    error
        What was raised.
    request, args, kwargs, given, differentiated, shadows
        As for `invoke`.
    """
    function = request.function
    if isinstance(error, AliasError):
        # Raised before anything has run. Compiled code compares extents; whether bytes are shared, and
        # written, is seen here.
        values = bind(function, args, kwargs) if given is None else given
        sharing = resolve_sharing(function, values, differentiated, shadows)
        return entry_of(in_force(_sharing(request, sharing)))(*args, **kwargs)
    if isinstance(error, CoenzymeError):
        raise error
    values, names = (args, kwargs) if given is None else (given, {})
    raise explain(error, function, values, names) from error


def _sharing(request: Call, sharing: Sharing) -> Call:
    """Return a call for arguments known to share memory in this way, and so the calls that it is made of."""
    changes: dict[str, Any] = {"sharing": sharing}
    inner = call_of(request.function)
    if inner is not None:
        changes["function"] = entry_of(_sharing(inner, sharing))
    return replace(cast(Any, request), **changes)


def resolve_sharing(
    function: Compiled,
    primals: Sequence[Any],
    differentiated: Collection[int],
    shadows: Sequence[Mapping[int, Any]] = (),
) -> Sharing:
    """Return how arguments share memory: `READ` where none do, or none is written, and `WRITTEN` otherwise.

    Parameters
    ----------
    function
        The function.
    primals
        All its arguments.
    differentiated
        The positions of those with a shadow.
    shadows
        For each direction, the shadows that the caller has passed, by position.

    Raises
    ------
    ActivityError
        If a write to one argument would change another, and their shadows do not follow.
    """
    owners = [(i, array) for i, primal in enumerate(primals) for array in arrays_in(primal)]
    shared = [((i, x), (j, y)) for (i, x), (j, y) in combinations(owners, 2) if share_memory(x, y)]
    if not shared or only_reads(function, tuple(numba.typeof(primal) for primal in primals)):
        return Sharing.READ
    for (i, x), (j, y) in shared:
        if i not in differentiated and j not in differentiated:
            continue
        given = [(lane[i], lane[j]) for lane in shadows if i in lane and j in lane]
        if not given or not all(lie_alike(x, y, dx, dy) for dx, dy in given):
            raise ActivityError(
                f"arguments {argument_name(function, i)!r} and {argument_name(function, j)!r} share memory, "
                "which the function may write, and their shadows do not",
                function=name_of(function),
                argument=argument_name(function, j),
                remedy="pass a copy of one; or use autodiff with shadows that overlap as the arguments do",
            )
    return Sharing.WRITTEN


@cache
def only_reads(function: Compiled, argtypes: tuple[types.Type, ...]) -> bool:
    """Return whether a function writes to none of its arrays: whether it compiles for read-only ones."""
    try:
        engine.primal(function, tuple(_read_only(kind) for kind in argtypes))
    except CompilationError:
        return False
    return True


def _read_only(kind: types.Type) -> types.Type:
    return kind.copy(readonly=True) if isinstance(kind, types.Array) else kind
