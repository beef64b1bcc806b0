"""Functions in which nothing is differentiated."""

from __future__ import annotations

from typing import Any

from numba.core.registry import CPUDispatcher

from coenzyme.api.functions import as_dispatcher
from coenzyme.api.rules.rule import dispatcher_like

__all__ = ["inactive"]


class _InactiveDispatcher(CPUDispatcher):
    """A compiled function through which no derivative goes."""

    coenzyme_inactive = True


def inactive(function: Any) -> Any:
    """Return `function` as one in which nothing differentiable happens.

    Parameters
    ----------
    function
        A function compiled by Numba, or one that Numba can compile.

    Returns
    -------
    CPUDispatcher
        Called as before, from Python and from compiled code. What it returns has no derivative, whatever it
        was computed from. Derivatives run it as it is, once.

    Notes
    -----
    It may do what has no derivative: counting, logging, choices of steps, searches. Shadows of memory that it
    writes to stay as they are, so that it should write to no memory that is differentiated.

    Examples
    --------
    >>> import coenzyme as cz
    >>> @cz.inactive
    ... def scale(x):
    ...     return 10.0 * x
    >>> cz.grad(lambda x: x * scale(x))(3.0)
    30.0
    """
    return dispatcher_like(as_dispatcher(function), _InactiveDispatcher)
