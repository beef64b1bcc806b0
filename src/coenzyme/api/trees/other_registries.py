"""Types that are registered as trees with other libraries: looked up where those have been imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["registered_elsewhere"]


def registered_elsewhere(x: Any, make: Callable[[Callable[..., Any], Callable[..., Any]], Any]) -> Any:
    """Return what `make` makes of the two functions that a library takes values like `x` apart with.

    Parameters
    ----------
    x
        The value.
    make
        From ``flatten(x) -> (parts, rest)`` and ``unflatten(rest, parts)``.

    Returns
    -------
    object
        None where no library that is imported knows the type. None of them is imported here.
    """
    for name, flatten, unflatten in _REGISTRIES:
        library = sys.modules.get(name)
        if library is None:
            continue
        parts, _ = flatten(library, x)
        if len(parts) == 1 and parts[0] is x:
            continue
        return make(partial(flatten, library), partial(unflatten, library))
    return None


def _of_optree(library: Any, x: Any) -> tuple[Any, Any]:
    return library.tree_flatten(x, is_leaf=lambda y: y is not x, none_is_leaf=True)


def _to_optree(library: Any, rest: Any, parts: Any) -> Any:
    return library.tree_unflatten(rest, list(parts))


def _of_jax(library: Any, x: Any) -> tuple[Any, Any]:
    return library.tree_flatten(x, is_leaf=lambda y: y is not x)


def _to_jax(library: Any, rest: Any, parts: Any) -> Any:
    return library.tree_unflatten(rest, list(parts))


def _of_torch(library: Any, x: Any) -> tuple[Any, Any]:
    return library.tree_flatten(x, is_leaf=lambda y: y is not x)


def _to_torch(library: Any, rest: Any, parts: Any) -> Any:
    return library.tree_unflatten(list(parts), rest)


_REGISTRIES = (
    ("optree", _of_optree, _to_optree),
    ("jax.tree_util", _of_jax, _to_jax),
    ("torch.utils._pytree", _of_torch, _to_torch),
)
