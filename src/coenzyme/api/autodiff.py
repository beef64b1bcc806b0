"""Annotated calls: what Enzyme calls `autodiff`, from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
from numba.core import types
from numba.core.errors import NumbaError

from coenzyme import engine
from coenzyme.api.annotations import (
    ANNOTATIONS,
    BATCHED,
    SHADOWED,
    UNNEEDED,
    Active,
    Const,
    DerivativeMode,
    MixedDuplicated,
)
from coenzyme.api.calls import Call, Operands, add_batch, entry_of, implementation
from coenzyme.api.containers import hold, watch
from coenzyme.api.functions import Compiled, as_dispatcher, bind, name_of
from coenzyme.api.invoke import invoke
from coenzyme.api.memory import may_overlap, same_layout, visits_once
from coenzyme.api.quick import UNFIT, known_call, remember_call
from coenzyme.api.sharing import Sharing, add_alias_checks, overlap_test
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.structure import (
    Arrangement,
    argument_name,
    arrange,
    check_differentiable,
    leaves_of,
    one_of,
    rebuild,
    tree_of,
)
from coenzyme.api.structured_calls import Spread
from coenzyme.api.sweeps import add_refusal, check_return, check_writable, pair_up, positional
from coenzyme.api.trees.plan import is_structured
from coenzyme.api.validation import check_batch
from coenzyme.errors import ActivityError, CoenzymeError, ShadowError
from coenzyme.frontends.program import Mode

__all__ = ["AnnotatedCall", "arrays_of", "autodiff", "batch_of", "check_batch_width"]


@dataclass(frozen=True)
class Prepared:
    """What the body of an annotated call begins with.

    Parameters
    ----------
    source
        The body: shadows are checked so far.
    arrangement
        The function and its arguments.
    restype
        The Numba type of its value.
    active
        Whether the return is differentiated.
    lanes
        For each direction, the expressions of the shadows by the path of the leaf.
    memory
        Those of arrays.
    """

    source: Source
    arrangement: Arrangement
    restype: types.Type
    active: bool
    lanes: list[dict[str, str]]
    memory: list[dict[str, str]]


@dataclass(frozen=True)
class AnnotatedCall(Call):
    """A call of `autodiff`: from the primals, and then the shadows of those that have one.

    Parameters
    ----------
    function
        The function.
    mode
        Sweep, and whether the value is returned.
    returns
        The class that annotates the return, None where it was left out.
    kinds
        The class that annotates each argument.
    batch
        For how many directions there are shadows, all those of the first before the others; 0 where the call
        is no batch, and has one derivative in the place of a tuple of them.
    sharing
        What is known of arguments in one memory.
    """

    function: Compiled
    mode: DerivativeMode
    returns: type | None
    kinds: tuple[type, ...]
    batch: int = 0
    sharing: Sharing = Sharing.REFUSED
    label: ClassVar[str] = "derivative"

    @property
    def width(self) -> int:
        """How many directions are followed."""
        return max(self.batch, 1)

    def parameters(self) -> Sequence[Parameter]:
        """Return the primals, then what goes with them."""
        shadows = sum(kind in SHADOWED for kind in self.kinds) * self.width
        return [*positional("x", len(self.kinds)), *positional("dx", shadows)]

    def primals(self, argtypes: tuple[types.Type, ...]) -> int | None:
        """Return how many of the arguments come first, for the user's function."""
        return len(self.kinds)

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        if self.mode.split:
            raise ActivityError(
                "autodiff was given a split mode",
                function=name_of(self.function),
                remedy="use autodiff_thunk, or pass Reverse or ReverseWithPrimal",
            )
        prepared = self._prepare(argtypes)
        source, sharing, memory = prepared.source, self.sharing, prepared.memory
        if sharing is Sharing.MIRRORED:
            # The derivative that allows for a write to one array to be seen through another is several times
            # slower. Arrays that call for it are rare, and known when the function runs only.
            test = overlap_test(source, prepared.arrangement, memory, may_overlap)
            if test is None:
                sharing = Sharing.READ
            else:
                source.add(f"if not {test}:")
                self._add_sweep(prepared, Sharing.READ, depth=1)
                add_alias_checks(source, prepared.arrangement, sharing, memory)
        self._add_sweep(prepared, sharing)
        return implementation(source, self.function, len(argtypes))

    def _add_sweep(self, prepared: Prepared, sharing: Sharing, depth: int = 0) -> None:
        """Add the call of the derivative, and the return of what it gives."""
        source, sweep = prepared.source, self.mode.sweep
        seeded = prepared.active and sweep is Mode.REVERSE
        seed = source.name("seed", one_of(prepared.restype)) if seeded else None
        outcomes = add_batch(
            source,
            prepared.arrangement,
            sweep,
            [Operands(shadows, seed) for shadows in prepared.lanes],
            return_active=prepared.active,
            sharing=sharing,
            strong_zero=self.mode.strong_zero,
            memory_limit=self.mode.memory_limit,
            unneeded=self._unneeded(prepared.arrangement),
            result_needed=self.mode.with_primal,
            depth=depth,
        )
        if sweep is Mode.REVERSE:
            trees = prepared.arrangement.trees
            parts = [
                self._for_lanes([rebuild(trees[i], outcome.adjoint, source) for outcome in outcomes])
                if kind in (Active, MixedDuplicated)
                else "None"
                for i, kind in enumerate(self.kinds)
            ]
            derivative = tuple_of(parts)
        else:
            tangents = [outcome.tangent for outcome in outcomes]
            derivative = self._for_lanes(tangents) if prepared.active else "None"
        given = f"{derivative}, {outcomes[0].primal}" if self.mode.with_primal else derivative
        source.add(f"return {given}", depth=depth)

    def _unneeded(self, arrangement: Arrangement) -> frozenset[int]:
        """Return the numbers of the leaves that are annotated so that nobody needs their values on exit."""
        numbers = {leaf.path: n for n, leaf in enumerate(arrangement.leaves)}
        spared = (i for i, kind in enumerate(self.kinds) if kind in UNNEEDED)
        return frozenset(numbers[leaf.path] for i in spared for leaf in leaves_of(arrangement.trees[i]))

    def _for_lanes(self, values: list[str]) -> str:
        """Return the expression of one derivative, or of a tuple of them where the call is a batch."""
        return tuple_of(values) if self.batch else values[0]

    def _prepare(self, argtypes: tuple[types.Type, ...]) -> Prepared:
        """Return the beginning of a body: annotations and shadows are checked, and who shares memory.

        What may be shared in the same way by shadows is left to be checked.
        """
        count = len(self.kinds)
        chosen = frozenset(i for i, kind in enumerate(self.kinds) if kind is not Const)
        for i in sorted(chosen):
            self._check_annotation(i, argtypes[i])
        arrangement = arrange(self.function, argtypes[:count], chosen, containers=self.takes_containers)
        restype = engine.primal(arrangement.function, arrangement.types)
        active = self._return_is_active(restype)
        source = Source(arrangement.defaults)
        lanes = [self._shadows(source, arrangement, argtypes, lane) for lane in range(self.width)]
        arrays = {leaf.path for leaf in arrangement.leaves if leaf.is_array}
        memory = [{path: dx for path, dx in shadows.items() if path in arrays} for shadows in lanes]
        if self.sharing is not Sharing.MIRRORED:
            add_alias_checks(source, arrangement, self.sharing, memory)
        return Prepared(source, arrangement, restype, active, lanes, memory)

    @property
    def takes_containers(self) -> bool:
        """Whether containers and instances are differentiated: their shadows are checked in Python."""
        return self.sharing is not Sharing.MIRRORED

    def _check_annotation(self, position: int, kind: types.Type) -> None:
        name, argument = name_of(self.function), argument_name(self.function, position)
        check_differentiable(kind, function=name, argument=argument, containers=self.takes_containers)
        leaves = [leaf for leaf in leaves_of(tree_of(kind, "", differentiated=True)) if leaf.differentiated]
        annotation, forward = self.kinds[position], self.mode.sweep is Mode.FORWARD
        problem = None
        numbers = [leaf for leaf in leaves if not leaf.in_memory]
        mixed = 0 < len(numbers) < len(leaves)
        if annotation is Active and forward:
            problem = "is Active in forward mode", "use Duplicated(x, dx), where dx is the tangent"
        elif annotation is Active and any(leaf.in_memory for leaf in leaves):
            sort = "MixedDuplicated" if mixed else "Duplicated"
            problem = "is Active, and it lives in memory", f"use {sort}(x, make_zero(x))"
        elif annotation not in (Active, MixedDuplicated) and not forward and numbers:
            remedy = "use MixedDuplicated(x, make_zero(x))" if mixed else "use Active(x)"
            problem = "is Duplicated in reverse mode, and it is passed by value", remedy
        if problem is not None:
            raise ActivityError(
                f"an argument of type {kind} {problem[0]}",
                function=name,
                argument=argument,
                remedy=problem[1],
            )

    def _return_is_active(self, restype: types.Type) -> bool:
        requested, name = self.returns, name_of(self.function)
        if requested is Const or (requested in (None, *SHADOWED) and isinstance(restype, types.NoneType)):
            return False
        counts = isinstance(types.unliteral(restype), (types.Integer, types.Boolean))
        if requested is None and counts and any(kind in SHADOWED for kind in self.kinds):
            return False  # a number of steps or a flag, beside what is written into shadowed memory
        if self.mode.sweep is Mode.FORWARD:
            if requested is Active:
                raise ActivityError(
                    "the return is Active in forward mode",
                    function=name,
                    remedy="use Duplicated, or leave it out",
                )
            return check_return(restype, name, containers=True)
        if requested in SHADOWED:
            raise ActivityError(
                "the return is Duplicated in reverse mode",
                function=name,
                remedy="use vjp, or write the result into an argument annotated Duplicated",
            )
        if not isinstance(restype, types.Float):
            raise ActivityError(
                f"the return of type {types.unliteral(restype)} cannot be Active: it is not a real number",
                function=name,
                remedy="pass Const as the return activity; for arrays and tuples use vjp",
            )
        return True

    def _shadows(
        self, source: Source, arrangement: Arrangement, argtypes: tuple[types.Type, ...], lane: int
    ) -> dict[str, str]:
        """Return the shadow of each leaf in one direction by path, after adding the checks of its layout."""
        shadowed = [i for i, annotation in enumerate(self.kinds) if annotation in SHADOWED]
        name, k = name_of(self.function), len(self.kinds) + lane * len(shadowed)
        shadows: dict[str, str] = {}
        for i in shadowed:
            argument = argument_name(self.function, i)
            tree, kind = arrangement.trees[i], argtypes[k]
            pairs = pair_up(tree, f"a{k}", kind, function=name, argument=argument)
            check_writable(tree, kind, self.mode.sweep, function=name, argument=argument)
            k += 1
            error = ShadowError(
                "the shadow differs from its primal in shape or strides",
                function=name,
                argument=argument,
                remedy="make the shadow with make_zero(x)",
            )
            arrays = {leaf.path for leaf in leaves_of(tree) if leaf.is_array}
            for path, shadow in pairs.items():
                if path not in arrays:
                    continue
                add_refusal(source, f"{source.name('same_layout', same_layout)}({path}, {shadow})", error)
                once = f"{source.name('visits_once', visits_once)}({path})"
                add_refusal(source, once, _visited_twice(name, argument))
            shadows |= pairs
        return shadows


def _visited_twice(function: str, argument: str) -> ShadowError:
    return ShadowError(
        "an array that is differentiated visits the same memory at several indices",
        function=function,
        argument=argument,
        remedy="pass a copy of it, x.copy()",
    )


def autodiff(mode: DerivativeMode, f: Callable[..., Any], /, *annotated: Any, **kwargs: Any) -> Any:
    """Return the derivative of one call ``f(*args)`` whose arguments say how they are differentiated.

    Parameters
    ----------
    mode
        `Forward`, `ForwardWithPrimal`, `Reverse` or `ReverseWithPrimal`.
    f
        An ``@njit`` function, or a plain function that Numba can compile.
    *annotated
        The arguments, each wrapped in `Const`, `Active`, `Duplicated`, `DuplicatedNoNeed`, `MixedDuplicated`,
        or for several directions in one sweep `BatchDuplicated` or `BatchDuplicatedNoNeed`; an argument
        without annotation is `Const`. One of these classes itself may come first: the activity of the return.
        Left out, it is `Active` for a real return in reverse mode, `Duplicated` in forward mode, and `Const`
        for None, and for an integer or a truth value beside shadowed arrays.
    **kwargs
        Arguments by name, annotated in the same way.

    Returns
    -------
    object
        In reverse mode a tuple with one entry for each argument: the derivative of an `Active` one, None for
        others, whose shadows are updated in place. In forward mode the tangent of the return. With the
        primal: ``(that, value)``. For a batch, a tuple with one entry for each direction stands where one
        derivative would.

    Raises
    ------
    ActivityError
        If an annotation does not fit its argument, or the arguments do not fit the function.
    ShadowError
        If a shadow differs from its primal in shape, dtype or strides, or shares memory with an argument.

    Notes
    -----
    The call does what ``f(*args)`` does to its arguments. A shadow enters reverse mode as the
    cotangent of its memory after the call and leaves as that before the call: memory that is only read gets
    ``+=``, memory that is overwritten leaves with zero. What the shadows hold after an error is not
    specified.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> def square(x, y):
    ...     for i in range(x.size):
    ...         y[i] = x[i] * x[i]
    >>> x, dx = np.array([2.0, 3.0]), np.zeros(2)
    >>> y, dy = np.zeros(2), np.array([1.0, 10.0])
    >>> cz.autodiff(cz.Reverse, square, cz.Const, cz.Duplicated(x, dx), cz.Duplicated(y, dy))
    (None, None)
    >>> dx, dy
    (array([ 4., 60.]), array([0., 0.]))
    >>> cz.autodiff(cz.ForwardWithPrimal, lambda x: x * x, cz.Duplicated(3.0, 1.0))
    (6.0, 9.0)
    """
    refused = None
    quick = None if kwargs else known_call(mode, f, annotated)
    if quick is not None:
        try:
            result = quick(*annotated)
            if result is not UNFIT:
                return result
        except (CoenzymeError, NumbaError, TypeError) as error:
            refused = error
    function = as_dispatcher(f)
    if not isinstance(cast(object, mode), DerivativeMode):
        raise ActivityError(
            f"the mode is {mode!r}",
            function=name_of(function),
            remedy="pass Forward, ForwardWithPrimal, Reverse or ReverseWithPrimal",
        )
    returns, arguments = None, annotated
    if annotated and isinstance(annotated[0], type):
        returns, arguments = annotated[0], annotated[1:]
        if returns not in ANNOTATIONS:
            raise ActivityError(
                f"the return activity is the class {returns.__name__}",
                function=name_of(function),
                remedy="pass Const, Active, Duplicated or DuplicatedNoNeed",
            )
    if kwargs:
        arguments = bind(function, arguments, kwargs)
    given = [_annotation(function, i, argument) for i, argument in enumerate(arguments)]
    if any(is_structured(argument.primal) for argument in given):
        return _structured_call(function, mode, returns, given)
    request, result = _checked_call(function, mode, returns, given, refused)
    if not kwargs and not request.batch:
        remember_call(mode, f, annotated, given, entry_of(request))
    return result


def _structured_call(
    function: Compiled, mode: DerivativeMode, returns: type | None, given: Sequence[Any]
) -> Any:
    """Return what a call gives with arguments that are taken apart."""
    batch, lanes = batch_of(function, mode, given)
    spread = Spread(function, mode.sweep, given, batch, lanes)
    try:
        _, result = _checked_call(spread.plan.function, mode, returns, spread.annotated, None)
    finally:
        spread.write_back()
    if mode.sweep is Mode.FORWARD:
        return result
    if mode.with_primal:
        return spread.finish(result[0]), result[1]
    return spread.finish(result)


def _checked_call(
    function: Compiled,
    mode: DerivativeMode,
    returns: type | None,
    given: Sequence[Any],
    refused: Exception | None,
) -> tuple[AnnotatedCall, Any]:
    """Return a call and what it gives, after checks of everything.

    Parameters
    ----------
    refused
        Why compiled code would not take the arguments unchecked, if it was asked.
    """
    kinds = tuple(type(argument) for argument in given)
    primals = [argument.primal for argument in given]
    batch, lanes = batch_of(function, mode, given)
    checked = check_batch(function, primals, lanes, mode.sweep)
    # What a call takes out of a container is needed until the call is over.
    held = [hold(x) for x in (*primals, *checked)]
    reverse = mode.sweep is Mode.REVERSE
    watched = [one for shadow in checked if reverse for one in watch(shadow)]
    request = AnnotatedCall(function, mode, returns, kinds, batch, Sharing.SEPARATE)
    differentiated = [i for i, kind in enumerate(kinds) if kind is not Const]
    result = invoke(
        request,
        (*primals, *checked),
        {},
        given=primals,
        differentiated=differentiated,
        shadows=arrays_of(lanes),
        refused=refused,
    )
    del held
    for one in watched:
        one.restore()
    return request, result


Lane: TypeAlias = list[tuple[int, Any]]
"""The position and the shadow of each argument that has one, in one direction."""


def batch_of(function: Compiled, mode: DerivativeMode, given: Sequence[Any]) -> tuple[int, list[Lane]]:
    """Return for how many directions annotated arguments have shadows, and these shadows.

    Returns
    -------
    tuple
        The number of directions, 0 where the call is no batch, and one entry for each direction.

    Raises
    ------
    ActivityError
        If the arguments do not agree on the number of directions.
    ShadowError
        If the shadows for a batch are no tuple.
    """
    name = name_of(function)
    shadowed = [(i, argument) for i, argument in enumerate(given) if type(argument) in SHADOWED]
    counts: dict[int, int] = {}
    for i, argument in shadowed:
        if type(argument) not in BATCHED:
            continue
        if not isinstance(argument.shadow, (tuple, list)) or not argument.shadow:
            raise ShadowError(
                f"the shadows for a batch are {argument.shadow!r}"
                if isinstance(argument.shadow, (tuple, list))
                else f"the shadows for a batch are a {type(argument.shadow).__name__}",
                function=name,
                argument=argument_name(function, i),
                remedy="pass a tuple with one shadow for each direction",
            )
        counts[i] = len(cast(Sequence[Any], argument.shadow))
    width = mode.width if mode.width > 1 else next(iter(counts.values()), 0)
    if not width:
        return 0, [[(i, argument.shadow) for i, argument in shadowed]]
    check_batch_width(function, width, counts, [i for i, _ in shadowed if i not in counts])
    return width, [[(i, argument.shadow[lane]) for i, argument in shadowed] for lane in range(width)]


def check_batch_width(
    function: Compiled, width: int, counts: Mapping[int, int], single: Sequence[int]
) -> None:
    """Refuse arguments that have not one shadow for each direction.

    Parameters
    ----------
    function
        The function, for messages.
    width
        The number of directions.
    counts
        For the positions of arguments in the batch, how many shadows there are.
    single
        The positions of arguments with one shadow outside a batch.

    Raises
    ------
    ActivityError
        Naming the argument.
    """
    wrong = [(i, f"has {n} shadows") for i, n in counts.items() if n != width]
    wrong += [(i, "has one shadow") for i in single]
    for i, problem in wrong:
        raise ActivityError(
            f"the argument {problem} in a batch of {width} directions",
            function=name_of(function),
            argument=argument_name(function, i),
            remedy="pass BatchDuplicated(x, (dx1, dx2, …)) with one shadow for each direction",
        )


def arrays_of(lanes: Sequence[Lane]) -> list[dict[int, Any]]:
    """Return the shadows that are arrays, by the position of the argument, for each direction."""
    return [{i: shadow for i, shadow in lane if isinstance(shadow, np.ndarray)} for lane in lanes]


def _annotation(function: Compiled, position: int, argument: Any) -> Any:
    """Return an argument with its annotation: without one, it is constant."""
    if type(argument) in ANNOTATIONS:
        return argument
    if isinstance(argument, type):
        raise ActivityError(
            f"the class {argument.__name__} stands where an argument is expected",
            function=name_of(function),
            argument=argument_name(function, position),
            remedy="a return activity comes right after the function; an argument is annotated as Const(x)",
        )
    return Const(argument)
