"""Structured values as arguments: taken apart for compiled code, put together again after.

Numba has no types for dictionaries of several types, lists of arrays, or dataclasses. Compiled code is given
their leaves, numbers and arrays, and sees named tuples in the place of the containers: ``model["rate"]``,
``model.rate``, ``layers[i]``. Arrays stay where they are, so that what a function writes into them is
written. What depends on the structure of the arguments is worked out once (:mod:`coenzyme.api.trees.plan`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numba.core.errors import NumbaError

from coenzyme.analysis.passes import passes_in_force
from coenzyme.api.calls import entry_of, in_force
from coenzyme.api.functions import Compiled, name_of
from coenzyme.api.gradient import GradientCall
from coenzyme.api.invoke import invoke, recover
from coenzyme.api.pullback import run_with_pullback
from coenzyme.api.shadowed import (
    gradient_with_shadows,
    needs_shadows,
    pullback_with_shadows,
    pushforward_with_shadows,
)
from coenzyme.api.sharing import AliasError, Sharing
from coenzyme.api.structure import argument_name
from coenzyme.api.sweeps import PushforwardCall
from coenzyme.api.tangents import check_no_tangent, tangent_for
from coenzyme.api.trees.apart import only_read, read_alone
from coenzyme.api.trees.plan import Plan, holds_numbers, is_structured, mismatch, plan_call
from coenzyme.api.trees.regions import regions_of
from coenzyme.api.trees.shadows import has_numbers
from coenzyme.api.trees.sums import gathered
from coenzyme.errors import ActivityError, CoenzymeError, ShadowError

__all__ = ["StructuredGradient", "StructuredPullback", "is_structured", "structured_jvp", "structured_vjp"]

_PLANS = 16
"""How many structures a gradient remembers for each number of arguments."""


def _planned(function: Compiled, args: Sequence[Any], argnums: Sequence[int]) -> Plan:
    """Return a plan, after a check that every argument that is asked for has a derivative."""
    plan = plan_call(function, args, argnums)
    with_derivative = {leaf.argument for leaf in plan.leaves if leaf.differentiated}
    for i in argnums:
        # What is part of another argument, too, is a leaf of that one.
        if i not in with_derivative and not holds_numbers(args[i]):
            raise ActivityError(
                f"an argument of type {type(args[i]).__name__} has no derivative: it holds no floats",
                function=name_of(function),
                argument=argument_name(function, i),
                remedy="pass floats and arrays of floats, or leave it out of argnums",
            )
    return plan


class StructuredGradient:
    """The gradient of a function of structured arguments, for the structures that it has been called with.

    Parameters
    ----------
    request
        The gradient as it was asked for.
    """

    def __init__(self, request: GradientCall) -> None:
        self._request = request
        self._known: dict[int, list[tuple[Plan, Any, GradientCall]]] = {}

    def known(self, args: Sequence[Any]) -> tuple[Any] | None:
        """Return the gradient in a tuple, None where no plan is known for arguments of this structure."""
        passes = passes_in_force()
        for plan, entry, request in self._known.get(len(args), ()):
            if request.passes is passes or request.passes == passes:
                taken = plan.extract(*args)
                if taken is None:
                    continue
                try:
                    return (self._run(plan, entry, request, *taken),)
                except ActivityError:
                    # Refused before anything ran, if so: the plan takes dtypes for granted, which cost time.
                    if all(has_numbers(taken[0][i]) for i in plan.differentiated if plan.leaves[i].is_array):
                        raise
        return None

    def first(self, args: Sequence[Any]) -> Any:
        """Return the gradient, for arguments of a structure that has not been met before."""
        plan = _planned(self._request.function, args, self._request.argnums)
        request = in_force(
            replace(
                self._request,
                function=plan.function,
                argnums=plan.differentiated,
                single=False,
                sharing=Sharing.SEPARATE,
            )
        )
        entry = entry_of(request)
        taken = plan.extract(*args)
        assert taken is not None
        result = self._run(plan, entry, cast(GradientCall, request), *taken)
        plans = self._known.setdefault(len(args), [])
        plans.insert(0, (plan, entry, cast(GradientCall, request)))
        del plans[_PLANS:]
        return result

    def _run(
        self, plan: Plan, entry: Any, request: GradientCall, leaves: tuple[Any, ...], rest: tuple[Any, ...]
    ) -> Any:
        apart = plan.in_one_memory
        try:
            found = entry(*leaves)
        except (CoenzymeError, NumbaError, TypeError) as error:
            found, apart = _gradient_otherwise(error, plan, request, leaves)
        finally:
            if plan.write_back is not None:
                plan.write_back(leaves, rest)
        derivatives = (
            found if not (request.with_value or request.has_aux) else found[1 if request.with_value else 0]
        )
        if apart:
            derivatives = _in_shape(plan, leaves, derivatives)
        made = plan.rebuild(leaves, rest, derivatives)
        gradient = made[0] if self._request.single else made
        if request.with_value:
            return found[0], gradient
        return (gradient, found[1]) if request.has_aux else gradient


def _in_shape(plan: Plan, leaves: Sequence[Any], found: Sequence[Any]) -> list[Any]:
    """Return derivatives by leaves, those by views of one memory in one memory."""
    numbers = [(k, i) for k, i in enumerate(plan.differentiated) if plan.leaves[i].is_array]
    derivatives = list(found)
    arrays = gathered([leaves[i] for _, i in numbers], [derivatives[k] for k, _ in numbers])
    for (k, _), array in zip(numbers, arrays, strict=True):
        derivatives[k] = array
    return derivatives


def _gradient_otherwise(
    error: Exception, plan: Plan, request: GradientCall, leaves: tuple[Any, ...]
) -> tuple[Any, bool]:
    """Return what the gradient of the leaves gives where compiled code has refused them.

    Returns
    -------
    tuple
        The result, and whether its derivatives by arrays are as if each array were alone.

    Raises
    ------
    Exception
        What makes it impossible.
    """
    if needs_shadows(plan, leaves):
        return gradient_with_shadows(plan, request, leaves), False
    given = read_alone(plan, leaves)
    if given is None or (isinstance(error, AliasError) and not only_read(plan, leaves)):
        return gradient_with_shadows(plan, request, leaves), False
    if given is leaves and not isinstance(error, AliasError):
        return recover(
            error, request, leaves, {}, given=None, differentiated=request.argnums
        ), plan.in_one_memory
    return entry_of(replace(request, sharing=Sharing.READ))(*given), True


def structured_jvp(function: Compiled, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return the value of a function of structured arguments, and its derivative along a direction."""
    plan = plan_call(function, primals, tuple(range(len(primals))))
    if not plan.differentiated:
        raise _without_derivative(function)
    taken = plan.extract(*primals)
    assert taken is not None
    leaves, rest = taken
    beside = _tangents_of(function, plan, primals, tangents)
    try:
        return _pushforward(plan, leaves, beside)
    finally:
        if plan.write_back is not None:
            plan.write_back(leaves, rest)


def _pushforward(plan: Plan, leaves: tuple[Any, ...], beside: Sequence[Any]) -> tuple[Any, Any]:
    given = read_alone(plan, leaves)
    if given is None or needs_shadows(plan, leaves):
        return pushforward_with_shadows(plan, leaves, beside)
    kept = [tangent_for(plan.function, i, given[i], beside[i]) for i in plan.differentiated]
    for i, leaf in enumerate(plan.leaves):
        if not leaf.differentiated:
            check_no_tangent(plan.function, i, leaves[i], None if leaf.is_cell else beside[i])
    request = PushforwardCall(plan.function, len(leaves), len(kept), Sharing.SEPARATE)
    try:
        return invoke(request, (*given, *kept), {}, given=given, differentiated=plan.differentiated)
    except AliasError:
        return pushforward_with_shadows(plan, leaves, beside)


def _without_derivative(function: Compiled) -> ActivityError:
    return ActivityError(
        "no argument has a derivative",
        function=name_of(function),
        remedy="pass at least one float, or one array of floats",
    )


def _tangents_of(
    function: Compiled, plan: Plan, primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Any, ...]:
    """Return what is given as the tangent of each leaf."""
    beside: list[Any] = []
    for i, (x, dx) in enumerate(zip(primals, tangents, strict=True)):
        # Of an argument without floats no tangent is asked for.
        beside.append(x if dx is None and not holds_numbers(x) else dx)
        if (problem := mismatch(x, beside[i])) is not None:
            raise ShadowError(
                f"{problem}, and its tangent has another structure",
                function=name_of(function),
                argument=argument_name(function, i),
                remedy="give the tangent the structure of the primal",
            )
    found = plan.read_like(*beside)
    if found is None:
        raise ShadowError(
            "a tangent has another structure than its primal",
            function=name_of(function),
            remedy="give the tangent the structure of the primal",
        )
    for number, other in found[1]:
        first = found[0][number]
        if other is not first and not np.array_equal(np.asarray(first), np.asarray(other)):
            raise ShadowError(
                f"{plan.leaves[number].path} is one array in several places, and has other tangents there",
                function=name_of(function),
                remedy="give it one tangent: make_zero makes trees that share what the primal shares",
            )
    return found[0]


class StructuredPullback:
    """The map from a cotangent of a value to those of structured arguments, made by `vjp`."""

    def __init__(
        self, plan: Plan, pull: Any, leaves: tuple[Any, ...], rest: tuple[Any, ...], *, apart: bool
    ) -> None:
        self._plan, self._pull, self._apart = plan, pull, apart
        self._leaves, self._rest = leaves, rest

    def __call__(self, y_bar: Any) -> tuple[Any, ...]:
        """Return a tuple with one cotangent for each argument, None where there is none."""
        plan = self._plan
        cotangents = self._pull(y_bar)
        found: Sequence[Any] = [cotangents[i] for i in plan.differentiated]
        if self._apart:
            found = _in_shape(plan, self._leaves, found)
        made = iter(plan.rebuild(self._leaves, self._rest, found))
        return tuple(next(made) if has else None for has in plan.has_derivative)

    def __repr__(self) -> str:
        return f"<pullback of {name_of(self._plan.function)}>"


def structured_vjp(
    function: Compiled, primals: Sequence[Any], memory_limit: int | None
) -> tuple[Any, StructuredPullback]:
    """Return the value of a function of structured arguments, and its pullback."""
    chosen = tuple(i for i, x in enumerate(primals) if holds_numbers(x))
    if not chosen:
        raise _without_derivative(function)
    plan = replace(
        plan_call(function, primals, chosen), has_derivative=tuple(i in chosen for i in range(len(primals)))
    )
    taken = plan.extract(*primals)
    assert taken is not None
    leaves, rest = taken
    alone = read_alone(plan, leaves)
    arrays = [leaves[i] for i in plan.differentiated if plan.leaves[i].is_array]
    shared = any(len(region.arrays) > 1 for region in regions_of(arrays))
    apart = not (needs_shadows(plan, leaves) or alone is None or (shared and not only_read(plan, leaves)))
    try:
        if apart:
            y, pull = run_with_pullback(plan.function, leaves, memory_limit)
        else:
            y, pull = pullback_with_shadows(plan, leaves, memory_limit)
    finally:
        if plan.write_back is not None:
            plan.write_back(leaves, rest)
    return y, StructuredPullback(plan, pull, leaves, rest, apart=apart)
