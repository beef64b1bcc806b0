"""Annotated calls: what Enzyme calls `autodiff`, from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, ClassVar, cast

import numpy as np
from numba.core import types

from coenzyme import engine
from coenzyme.api.annotations import Active, Const, DerivativeMode, Duplicated, DuplicatedNoNeed
from coenzyme.api.calls import Call, Operands, add_derivative, implementation, tuple_of
from coenzyme.api.functions import Compiled, as_dispatcher, bind, name_of
from coenzyme.api.invoke import invoke
from coenzyme.api.memory import same_layout
from coenzyme.api.sharing import Sharing, add_alias_checks
from coenzyme.api.source import Source
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
from coenzyme.api.sweeps import add_refusal, check_return, pair_up, positional
from coenzyme.api.validation import check_shadows
from coenzyme.errors import ActivityError, ShadowError
from coenzyme.frontends.program import Mode

__all__ = ["AnnotatedCall", "autodiff"]

_SHADOWED = (Duplicated, DuplicatedNoNeed)
_ANNOTATIONS = (Const, Active, *_SHADOWED)


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
    sharing
        What is known of arguments in one memory.
    """

    function: Compiled
    mode: DerivativeMode
    returns: type | None
    kinds: tuple[type, ...]
    sharing: Sharing = Sharing.REFUSED
    label: ClassVar[str] = "derivative"

    def parameters(self) -> Sequence[Parameter]:
        """Return the primals, then what goes with them."""
        return [*positional("x", len(self.kinds)), *positional("dx", sum(k in _SHADOWED for k in self.kinds))]

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        if self.mode.split:
            raise ActivityError(
                "autodiff was given a split mode",
                function=name_of(self.function),
                remedy="use autodiff_thunk, or pass Reverse or ReverseWithPrimal",
            )
        count = len(self.kinds)
        chosen = frozenset(i for i, kind in enumerate(self.kinds) if kind is not Const)
        for i in sorted(chosen):
            self._check_annotation(i, argtypes[i])
        arrangement = arrange(self.function, argtypes[:count], chosen)
        restype = engine.primal(arrangement.function, arrangement.types)
        active = self._return_is_active(restype)
        source = Source(arrangement.defaults)
        shadows = self._shadows(source, arrangement, argtypes)
        arrays = {leaf.path for leaf in arrangement.leaves if leaf.is_array}
        memory = {path: shadow for path, shadow in shadows.items() if path in arrays}
        add_alias_checks(source, arrangement, self.sharing, memory)
        sweep = self.mode.sweep
        seed = source.name("seed", one_of(restype)) if active and sweep is Mode.REVERSE else None
        outcome = add_derivative(
            source,
            arrangement,
            sweep,
            Operands(shadows, seed),
            return_active=active,
            sharing=self.sharing,
            strong_zero=self.mode.strong_zero,
        )
        derivative = outcome.tangent
        if sweep is Mode.REVERSE:
            parts = [
                rebuild(arrangement.trees[i], outcome.adjoint, source) if kind is Active else "None"
                for i, kind in enumerate(self.kinds)
            ]
            derivative = tuple_of(parts)
        source.add(
            f"return {derivative}, {outcome.primal}" if self.mode.with_primal else f"return {derivative}"
        )
        return implementation(source, self.function, len(argtypes))

    def _check_annotation(self, position: int, kind: types.Type) -> None:
        name, argument = name_of(self.function), argument_name(self.function, position)
        check_differentiable(kind, function=name, argument=argument)
        leaves = [leaf for leaf in leaves_of(tree_of(kind, "", differentiated=True)) if leaf.differentiated]
        annotation, forward = self.kinds[position], self.mode.sweep is Mode.FORWARD
        problem = None
        if annotation is Active and forward:
            problem = "is Active in forward mode", "use Duplicated(x, dx), where dx is the tangent"
        elif annotation is Active and any(leaf.is_array for leaf in leaves):
            problem = "is Active, and it lives in memory", "use Duplicated(x, make_zero(x))"
        elif annotation is not Active and not forward and not all(leaf.is_array for leaf in leaves):
            problem = "is Duplicated in reverse mode, and it is passed by value", "use Active(x)"
        if problem is not None:
            raise ActivityError(
                f"an argument of type {kind} {problem[0]}",
                function=name,
                argument=argument,
                remedy=problem[1],
            )

    def _return_is_active(self, restype: types.Type) -> bool:
        requested, name = self.returns, name_of(self.function)
        if requested is Const or (requested in (None, *_SHADOWED) and isinstance(restype, types.NoneType)):
            return False
        counts = isinstance(types.unliteral(restype), (types.Integer, types.Boolean))
        if requested is None and counts and any(kind in _SHADOWED for kind in self.kinds):
            return False  # a number of steps or a flag, beside what is written into shadowed memory
        if self.mode.sweep is Mode.FORWARD:
            if requested is Active:
                raise ActivityError(
                    "the return is Active in forward mode",
                    function=name,
                    remedy="use Duplicated, or leave it out",
                )
            return check_return(restype, name)
        if requested in _SHADOWED:
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
        self, source: Source, arrangement: Arrangement, argtypes: tuple[types.Type, ...]
    ) -> dict[str, str]:
        """Return the shadow of each leaf by path, after adding the checks of its layout."""
        name, k = name_of(self.function), len(self.kinds)
        shadows: dict[str, str] = {}
        for i, annotation in enumerate(self.kinds):
            if annotation not in _SHADOWED:
                continue
            argument = argument_name(self.function, i)
            pairs = pair_up(arrangement.trees[i], f"a{k}", argtypes[k], function=name, argument=argument)
            k += 1
            error = ShadowError(
                "the shadow differs from its primal in shape or strides",
                function=name,
                argument=argument,
                remedy="make the shadow with make_zero(x)",
            )
            for path, shadow in pairs.items():
                add_refusal(source, f"{source.name('same_layout', same_layout)}({path}, {shadow})", error)
            shadows |= pairs
        return shadows


def autodiff(mode: DerivativeMode, f: Callable[..., Any], /, *annotated: Any, **kwargs: Any) -> Any:
    """Return the derivative of one call ``f(*args)`` whose arguments say how they are differentiated.

    Parameters
    ----------
    mode
        `Forward`, `ForwardWithPrimal`, `Reverse` or `ReverseWithPrimal`.
    f
        An ``@njit`` function, or a plain function that Numba can compile.
    *annotated
        The arguments, each wrapped in `Const`, `Active`, `Duplicated` or `DuplicatedNoNeed`; an argument
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
        primal: ``(that, value)``.

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
    function = as_dispatcher(f)
    if not isinstance(cast(object, mode), DerivativeMode):
        raise ActivityError(
            f"the mode is {mode!r}",
            function=name_of(function),
            remedy="pass Forward, ForwardWithPrimal, Reverse or ReverseWithPrimal",
        )
    returns = None
    if annotated and isinstance(annotated[0], type):
        returns, annotated = annotated[0], annotated[1:]
        if returns not in _ANNOTATIONS:
            raise ActivityError(
                f"the return activity is the class {returns.__name__}",
                function=name_of(function),
                remedy="pass Const, Active, Duplicated or DuplicatedNoNeed",
            )
    if kwargs:
        annotated = bind(function, annotated, kwargs)
    kinds: list[type] = []
    primals: list[Any] = []
    shadows: list[tuple[int, Any]] = []
    for position, argument in enumerate(annotated):
        kind = type(argument)
        if kind in _SHADOWED:
            shadows.append((position, argument.shadow))
            primals.append(argument.primal)
        elif kind in _ANNOTATIONS:
            primals.append(argument.primal)
        else:
            kind = Const
            primals.append(_unannotated(function, position, argument))
        kinds.append(kind)
    checked = check_shadows(function, primals, shadows, mode.sweep) if shadows else []
    return invoke(
        AnnotatedCall(function, mode, returns, tuple(kinds)),
        (*primals, *checked),
        {},
        given=primals,
        differentiated=[i for i, kind in enumerate(kinds) if kind is not Const],
        shadows={i: shadow for i, shadow in shadows if isinstance(shadow, np.ndarray)},
    )


def _unannotated(function: Compiled, position: int, argument: Any) -> Any:
    if isinstance(argument, type):
        raise ActivityError(
            f"the class {argument.__name__} stands where an argument is expected",
            function=name_of(function),
            argument=argument_name(function, position),
            remedy="a return activity comes right after the function; an argument is annotated as Const(x)",
        )
    return argument
