"""Tangents, cotangents and copies of arguments, made in Python in the form that compiled code takes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core.errors import NumbaError

from coenzyme.api.functions import Compiled, name_of
from coenzyme.api.structure import argument_name, holds_floats
from coenzyme.api.validation import rebuild_tuple
from coenzyme.api.zero import copy_with_strides
from coenzyme.errors import ActivityError, ShadowError

__all__ = ["check_no_tangent", "copied", "has_floats", "tangent_for", "varied_positions"]

Array: TypeAlias = npt.NDArray[Any]


def has_floats(x: Any) -> bool:
    """Return whether a value has a derivative, as compiled code sees it."""
    if isinstance(x, (float, np.ndarray)):
        return isinstance(x, float) or cast(Array, x).dtype.kind in "fc"
    try:
        return holds_floats(numba.typeof(x))
    except (ValueError, TypeError, NumbaError):
        return False


def varied_positions(function: Compiled, primals: Sequence[Any]) -> list[int]:
    """Return the positions of the arguments that have a derivative.

    Raises
    ------
    ActivityError
        If none has.
    """
    found = [i for i, primal in enumerate(primals) if has_floats(primal)]
    if not found:
        raise ActivityError(
            "no argument has a derivative",
            function=name_of(function),
            remedy="pass at least one float, or one array of floats",
        )
    return found


def tangent_for(function: Compiled, position: int, primal: Any, tangent: Any) -> Any:
    """Return a tangent in the type of its primal.

    Raises
    ------
    ShadowError
        If it is not shaped like the primal.
    """
    problem = f"the tangent is a {type(tangent).__name__}"
    if isinstance(primal, np.ndarray):
        fitted = _array_like(cast(Array, primal), tangent)
        if isinstance(fitted, np.ndarray):
            return fitted
        problem = fitted
    elif isinstance(primal, tuple):
        parts = cast(tuple[Any, ...], primal)
        if isinstance(tangent, (tuple, list)) and len(cast(Sequence[Any], tangent)) == len(parts):
            pairs = zip(parts, cast(Sequence[Any], tangent), strict=True)
            fitted_parts = [tangent_for(function, position, p, t) if has_floats(p) else p for p, t in pairs]
            return rebuild_tuple(parts, fitted_parts)
    elif isinstance(primal, (float, np.floating)):
        if _is_number(tangent, "fiu"):
            return type(primal)(tangent)
        if _is_number(tangent, "c"):
            problem = "the tangent is complex, for a real primal"
    elif isinstance(primal, (complex, np.complexfloating)):
        if _is_number(tangent, "fiuc"):
            return type(primal)(tangent)
    else:
        return primal  # refused by type, before compiled code is made
    raise ShadowError(
        problem,
        function=name_of(function),
        argument=argument_name(function, position),
        remedy=f"give it the shape of the primal, a {type(primal).__name__}",
    )


def _is_number(x: Any, kinds: str) -> bool:
    """Return whether a value is a number of one of these kinds, in NumPy's letters."""
    if isinstance(x, (bool, int, float, complex, np.generic)) or (isinstance(x, np.ndarray) and x.ndim == 0):
        kind = np.asarray(cast(Any, x)).dtype.kind
        return kind in kinds or (kind == "b" and isinstance(x, bool))
    return False


def _array_like(primal: Array, tangent: Any) -> Array | str:
    """Return a tangent or cotangent as an array of the primal's dtype, or what is wrong with it."""
    array = np.asarray(tangent)
    if array.dtype.kind not in ("fiubc" if primal.dtype.kind == "c" else "fiub"):
        return f"its values are {array.dtype}, for a primal of {primal.dtype}"
    if array.shape != primal.shape:
        return f"it has shape {array.shape}, for a primal of shape {primal.shape}"
    return array.astype(primal.dtype, copy=False)


def check_no_tangent(function: Compiled, position: int, primal: Any, tangent: Any) -> None:
    """Refuse a tangent other than None or 0 for an argument that has no derivative.

    Raises
    ------
    ActivityError
        If there is one.
    """
    if tangent is None or tangent is primal or not np.any(np.asarray(tangent)):
        return
    raise ActivityError(
        f"an argument of type {type(primal).__name__} has no derivative, and a tangent was given for it",
        function=name_of(function),
        argument=argument_name(function, position),
        remedy="pass None as its tangent, or convert the argument to floats",
    )


def copied(x: Any) -> Any:
    """Return a copy of an argument; arrays keep their strides where that is possible."""
    if isinstance(x, np.ndarray):
        array = cast(Array, x)
        try:
            copy_of = copy_with_strides(array)
        except ShadowError:
            copy_of = array.copy()
        if not array.flags.writeable:
            copy_of.flags.writeable = False
        return copy_of
    if isinstance(x, tuple):
        parts = cast(tuple[Any, ...], x)
        return rebuild_tuple(parts, [copied(part) for part in parts])
    return copy.deepcopy(x) if isinstance(x, (list, set, dict)) else x
