"""Loops of time steps whose derivative takes bounded memory: `checkpoint`, in Python and compiled code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, TypeVar

from numba.core.typing.templates import AbstractTemplate, infer_global

from coenzyme.api.replay import names
from coenzyme.api.source import Source, implements
from coenzyme.api.steps import NO_SNAPSHOTS, kept_body, plain_body
from coenzyme.frontends.numba_target import TARGET_NAME

__all__ = ["checkpoint"]

S = TypeVar("S")


def checkpoint(
    step: Callable[..., Any],
    state: S,
    n: int,
    *args: Any,
    snapshots: int | None = None,
    index: bool = False,
) -> S | None:
    """Run ``step(state, *args)`` `n` times, with a derivative that takes bounded memory.

    In reverse mode a loop keeps something of each of its iterations. This one keeps `snapshots` states, runs
    stretches of steps again from them, and needs the memory of a single step beyond that.

    Parameters
    ----------
    step
        One step. It writes into the arrays of the state and returns None, or it returns the next state; in
        compiled code it is an ``@njit`` function.
    state
        A number, an array, or a tuple of them, of any nesting. What a step writes into is part of the state.
    n
        The number of steps.
    *args
        What else each step takes and no step changes: numbers and arrays, whose derivatives are added up
        over all steps, tuples of them, and other constants.
    snapshots
        How many states are kept at most, at least one. More take more memory and less time. Left out, it is
        the least number with which no step is run more than three times on the way back, about (6 n)^(1/3).
    index
        Whether a step is told its number: ``step(state, i, *args)``.

    Returns
    -------
    object
        The last state where each step returns one; None where the steps write into the state.

    Raises
    ------
    ValueError
        For fewer than one snapshot, or a step that returns a state of another shape.
    ActivityError
        Where the loop is differentiated: for arrays of the state that share memory with others, and for steps
        that write into `args` or draw random numbers.
    UnsupportedIRError
        Where the loop is differentiated: for lists, dictionaries and instances among state and `args`.

    Notes
    -----
    The derivative is that of the plain loop. With s snapshots and r the least number for which
    (s + r)!/(s! r!) ≥ n, the reverse sweep runs r n − (s + r)!/((s + 1)! (r − 1)!) steps again, which is the
    least possible, and the derivative of each step once. It all takes the memory of s + 3 states, of a copy
    of the arrays in `args`, and of what the reverse sweep of one step keeps. What a step does besides
    computing, printing say, happens each time it is run. In forward mode there are no snapshots.
    Where a step raises in a loop that is differentiated, the state is left as it was before the loop.

    Source: Griewank & Walther, "Algorithm 799: revolve: an implementation of checkpointing for the reverse or
    adjoint mode of computational differentiation" (2000).

    Examples
    --------
    >>> import numba as nb, numpy as np, coenzyme as cz
    >>> @nb.njit
    ... def step(u, dt):
    ...     for i in range(u.size):
    ...         u[i] += dt * np.sin(u[i])
    >>> def loss(u, dt):
    ...     v = u.copy()
    ...     cz.checkpoint(step, v, 1000, dt, snapshots=8)
    ...     return np.sum(v)
    >>> cz.grad(loss)(np.array([0.5, 1.0]), 1e-3).round(6)
    array([1.954386, 1.101705])
    """
    if snapshots is not None and snapshots < 1:
        raise ValueError(NO_SNAPSHOTS)
    last: S | None = state
    for i in range(n):
        last = step(state, i, *args) if index else step(state, *args)
        if last is not None:
            state = last
    return last


# --- in compiled code --------------------------------------------------------------------------------------


class _Template(AbstractTemplate):
    """Types `checkpoint` by its number of arguments: Numba has no overload of such a signature."""

    key = checkpoint
    prefer_literal = True
    _impl_cache: ClassVar[dict[Any, Any]] = {}  # a sign to our target: it makes a table of its own

    def generic(self, args: Sequence[Any], kws: Mapping[str, Any]) -> Any:
        """Return the signature of a call."""
        function = _with_arguments(max(len(args) - 3, 0))
        self.context.refresh()  # it may be new
        inner: Any = self.context.resolve_value_type(function)
        signature = inner.get_call_type(self.context, args, kws)
        if signature is not None:
            self._impl_cache[signature.args] = inner.get_impl_key(signature)
        return signature

    def get_impl_key(self, sig: Any) -> Any:
        """Return what the code of a call is known by."""
        return self._impl_cache[sig.args]

    def get_template_info(self) -> dict[str, Any]:
        """Return what Numba's messages say of this function."""
        code, line, path = self.get_source_code_info(checkpoint)
        return {
            "kind": "overload",
            "name": "checkpoint",
            "sig": "checkpoint(step, state, n, *args, snapshots=None, index=False)",
            "filename": path,
            "lines": (line, line + len(code) - 1),
            "docstring": "",
        }


register: Any = infer_global  # it returns what its value is for
register(checkpoint)(_Template)


@cache
def _with_arguments(count: int) -> Callable[..., Any]:
    """Return `checkpoint` for so many arguments of a step, as a function that Numba has an overload of."""
    others = names("a", count)
    parameters = ", ".join(["step", "state", "n", *others, "snapshots=None", "index=False"])
    source = Source()
    source.add("raise NotImplementedError")
    function = source.function("checkpoint", parameters)
    for target, body in (("generic", plain_body), (TARGET_NAME, kept_body)):
        source = Source()
        given = ", ".join(["step", "state", f"({''.join(f'{a}, ' for a in others)})", "snapshots", "index"])
        source.add(f"return {source.name('body', body)}({given})")
        implements(function, target=target, prefer_literal=True)(source.function("checkpoint", parameters))
    return function
