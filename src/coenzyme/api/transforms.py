"""Transforms of functions under JAX's names: gradients, pushforwards and pullbacks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numba.core.errors import NumbaError

from coenzyme.analysis.passes import ALL_PASSES, Pass, passes_in_force
from coenzyme.api.annotations import check_memory_limit
from coenzyme.api.calls import Call, entry_of, in_force
from coenzyme.api.functions import Compiled, NumbaCallable, as_dispatcher, bind, name_of, parameters_of
from coenzyme.api.gradient import GradientCall
from coenzyme.api.invoke import invoke, recover, resolve_sharing
from coenzyme.api.pullback import Pullback, run_with_pullback
from coenzyme.api.quick import known_pushforward, remember_pushforward
from coenzyme.api.sharing import refuse_written
from coenzyme.api.structure import check_argnums
from coenzyme.api.structured import (
    StructuredGradient,
    StructuredPullback,
    is_structured,
    structured_jvp,
    structured_vjp,
)
from coenzyme.api.sweeps import PushforwardCall
from coenzyme.api.tangents import check_no_tangent, tangent_for, varied_positions
from coenzyme.api.trees.natural import Natural, is_natural
from coenzyme.errors import ActivityError, CoenzymeError, CompilationError, UnsupportedIRError

__all__ = [
    "Gradient",
    "NaturalGradient",
    "Pullback",
    "Transform",
    "grad",
    "jvp",
    "normalise_argnums",
    "value_and_grad",
    "vjp",
]


class Transform(NumbaCallable):
    """A function made from another one. It is called from Python, or as a global from ``@njit`` code."""

    made_by = "transform"

    def __init__(self, request: Call, argnums: int | tuple[int, ...]) -> None:
        functools.update_wrapper(cast(Callable[..., Any], self), request.function.py_func)
        self.argnums = argnums
        self.request = request
        self._entry = entry_of(request)

    @property
    def dispatcher(self) -> Compiled:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The compiled function that it stands for."""
        return self._entry if passes_in_force() is ALL_PASSES else entry_of(in_force(self.request))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the derivative at these arguments."""
        try:
            return self.dispatcher(*args, **kwargs)
        except (NumbaError, TypeError) as error:
            chosen = argnums_as_tuple(self.argnums)
            return recover(error, self.request, args, kwargs, given=None, differentiated=chosen)

    def __repr__(self) -> str:
        return f"<{self.made_by} of {name_of(self.request.function)} with respect to argnums={self.argnums}>"


class Gradient(Transform):
    """The gradient of a function, made by `grad` or `value_and_grad`."""

    made_by = "gradient"
    request: GradientCall

    def __init__(self, request: GradientCall, argnums: int | tuple[int, ...]) -> None:
        super().__init__(request, argnums)
        self._structured: StructuredGradient | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the derivative at these arguments."""
        if self._structured is not None and not kwargs:
            found = self._structured.known(args)
            if found is not None:
                return found[0]
        try:
            if np.matrix not in map(type, args):
                return self.dispatcher(*args, **kwargs)
        except (CoenzymeError, NumbaError, TypeError) as error:
            return self._otherwise(error, args, kwargs)
        return self._of_structures(bind(self.request.function, args, kwargs))

    def _otherwise(self, error: Exception, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the derivative at arguments that compiled code has refused, or raise the reason."""
        chosen = argnums_as_tuple(self.argnums)
        try:
            return recover(error, self.request, args, kwargs, given=None, differentiated=chosen)
        except (CoenzymeError, NumbaError, TypeError) as final:
            if not any(is_structured(x, records=True) for x in (*args, *kwargs.values())):
                raise
            refused = final if isinstance(final, UnsupportedIRError) else None
        try:
            return self._of_structures(bind(self.request.function, args, kwargs))
        except CompilationError:
            # What is said of the argument as it is says more than how its parts do not fit the function.
            if refused is not None:
                raise refused from None
            raise

    def _of_structures(self, args: Sequence[Any]) -> Any:
        """Return the derivative at arguments that compiled code does not take as they are."""
        check_argnums(self.request.function, self.request.argnums, len(args))
        if self._structured is None:
            self._structured = StructuredGradient(self.request)
        return self._structured.first(args)


class NaturalPullback:
    """A pullback into the tangent spaces of what the arguments are.

    Parameters
    ----------
    natural
        What is known of these.
    structural
        The pullback to the numbers that are stored.
    """

    def __init__(self, natural: Natural, structural: Callable[[Any], tuple[Any, ...]]) -> None:
        self._natural = natural
        self._structural = structural

    def __call__(self, y_bar: Any) -> tuple[Any, ...]:
        """Return a tuple with one cotangent for each argument."""
        found = self._structural(y_bar)
        self._natural.project(found)
        return found

    def __repr__(self) -> str:
        return f"<natural {str(self._structural).strip('<>')}>"


class NaturalGradient(Gradient):
    """A gradient in the tangent spaces of what the arguments are. It is called from Python."""

    made_by = "natural gradient"

    def __init__(self, structural: Gradient) -> None:
        super().__init__(structural.request, structural.argnums)
        self._structural = structural

    @property
    def dispatcher(self) -> Compiled:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Nothing: compiled code does not know what arrays were declared to be."""
        raise ActivityError(
            "a natural gradient is called from Python only",
            function=name_of(self.request.function),
            remedy="differentiate the function itself, or its structural gradient",
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the derivative at these arguments."""
        request = self.request
        bound = bind(request.function, args, kwargs)
        chosen = [i for i in argnums_as_tuple(self.argnums) if i < len(bound)]
        natural = Natural([bound[i] for i in chosen])
        found = self._structural(*args, **kwargs)
        gradient = found[1] if request.with_value else found[0] if request.has_aux else found
        natural.project([gradient] if request.single else gradient)
        return found


def grad(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    memory_limit: int | None = None,
    tangent: str = "structural",
) -> Gradient:
    """Return the gradient of `f`: a function of the same arguments.

    Parameters
    ----------
    f
        A function that returns a real number: an ``@njit`` function, a plain function that Numba can compile,
        or the result of `grad`.
    argnums
        The position of the argument to differentiate, or a tuple of positions.
    has_aux
        `f` returns ``(value, aux)``, and only the value is differentiated.
    holomorphic
        `f` is a holomorphic function of complex arguments with a complex value: the result is its complex
        derivative.
    memory_limit
        How many bytes the reverse sweep may keep, None for as many as there are. What that counts:
        `DerivativeMode`.
    tangent
        ``"structural"``: the gradient by the numbers that are stored. ``"natural"``: the gradient in the
        tangent space of what the argument is, a symmetric one by an array declared with `trees.Symmetric`,
        for example; such a gradient is called from Python.

    Returns
    -------
    Gradient
        A function whose result is shaped and typed like the argument: an array with its shape, dtype and
        layout, a number, or a tuple. A tuple of these where `argnums` is one, and ``(gradient, aux)`` with
        `has_aux`.

    Raises
    ------
    ActivityError
        If `f` cannot be called, or, when the gradient is called, if an argument or the value has no
        derivative.
    CompilationError
        When the gradient is called, if Numba cannot compile `f` for the arguments.
    MemoryLimitError
        When the gradient is called, if the reverse sweep would keep more than it may.

    Notes
    -----
    A call of the gradient does what a call of `f` does, once: what `f` writes into its arguments
    is written. The gradient is with respect to what the arguments held before.

    By a complex argument z = x + iy the gradient of a real value is ∂/∂x + i ∂/∂y, the direction of steepest
    ascent: df = Re(conj(g) dz). This is the convention of `vjp` too, in which the pullback of a holomorphic
    function is multiplication by the conjugate of its derivative.

    With `has_aux` and an `aux` other than a float the value is differentiated on copies of the arguments, and
    `f` runs once more: it costs one more evaluation of `f`.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> def rosenbrock(a, b):
    ...     return (1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2
    >>> cz.grad(rosenbrock, argnums=(0, 1))(1.0, 2.0)
    (-400.0, 200.0)
    >>> cz.grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    array([2., 4.])
    >>> cz.grad(lambda z: z * z, holomorphic=True)(3.1 + 2.7j)
    (6.2+5.4j)
    """
    natural = is_natural(tangent, "grad")
    made = _gradient(
        f, argnums, has_aux=has_aux, with_value=False, holomorphic=holomorphic, limit=memory_limit
    )
    return NaturalGradient(made) if natural else made


def value_and_grad(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    memory_limit: int | None = None,
    tangent: str = "structural",
) -> Gradient:
    """Return a function that computes both the value of `f` and its gradient.

    Parameters
    ----------
    f, argnums, has_aux, holomorphic, memory_limit, tangent
        As for `grad`.

    Returns
    -------
    Gradient
        A function whose result is ``(value, gradient)``, or ``((value, aux), gradient)`` with `has_aux`.

    Raises
    ------
    CoenzymeError
        As for `grad`.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.value_and_grad(lambda x, n: x**n)(2.0, 3)
    (8.0, 12.0)
    """
    natural = is_natural(tangent, "value_and_grad")
    made = _gradient(
        f, argnums, has_aux=has_aux, with_value=True, holomorphic=holomorphic, limit=memory_limit
    )
    return NaturalGradient(made) if natural else made


def _gradient(
    f: object,
    argnums: int | Sequence[int],
    *,
    has_aux: bool,
    with_value: bool,
    holomorphic: bool,
    limit: int | None,
) -> Gradient:
    function = as_dispatcher(f)
    if limit is not None:
        check_memory_limit(limit)
    options = (bool(has_aux), with_value, bool(holomorphic), limit, passes_in_force())
    if type(argnums) is int:  # no bool, which equals one
        return _gradient_of(function, argnums, *options)
    return _make_gradient(function, argnums, *options)


def _make_gradient(
    function: Compiled,
    argnums: object,
    has_aux: bool,
    with_value: bool,
    holomorphic: bool,
    limit: int | None,
    passes: frozenset[Pass],
) -> Gradient:
    chosen, single = normalise_argnums(function, argnums)
    request = GradientCall(
        function, chosen, single, has_aux, with_value, holomorphic, memory_limit=limit, passes=passes
    )
    return Gradient(request, chosen[0] if single else chosen)


_gradient_of = functools.cache(_make_gradient)


def normalise_argnums(function: Compiled, argnums: object) -> tuple[tuple[int, ...], bool]:
    """Return the positions to differentiate, counted from 0, and whether a single one was asked for.

    Raises
    ------
    ActivityError
        If `argnums` is no position of an argument, and no sequence of such.
    """
    single = isinstance(argnums, (int, np.integer))
    asked = (argnums,) if single else argnums
    parameters = parameters_of(function)
    count = len(parameters)
    variable = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    valid = isinstance(asked, (tuple, list)) and len(asked) > 0
    chosen: list[int] = []
    for i in cast(Sequence[Any], asked) if valid else ():
        if (
            isinstance(i, bool)
            or not isinstance(i, (int, np.integer))
            or not (-count <= i < count or (variable and i >= 0))
        ):
            valid = False
            break
        chosen.append(int(i) + count if i < 0 else int(i))
    if not valid:
        raise ActivityError(
            f"argnums is {argnums!r}, and the function has {count} arguments",
            function=name_of(function),
            remedy="pass the position of an argument, counted from 0, or a tuple of positions",
        )
    return tuple(chosen), single


def argnums_as_tuple(argnums: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return positions as a tuple, also where there is one."""
    return argnums if isinstance(argnums, tuple) else (argnums,)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return the value of `f` and its derivative along a direction.

    Parameters
    ----------
    f
        The function.
    primals
        Its arguments.
    tangents
        The direction: for each argument a tangent of its shape; None for integers and other constants.

    Returns
    -------
    tuple
        ``(y, dy)``; `dy` is None if `f` returns None.

    Raises
    ------
    ActivityError
        If the arguments do not fit the function, or have no derivative.
    ShadowError
        If a tangent is not shaped like its primal.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> cz.jvp(lambda x, n: x**n, (2.0, 3), (1.0, None))
    (8.0, 12.0)
    >>> cz.jvp(lambda x: x * x, (np.array([1.0, 2.0]),), (np.array([1.0, 0.5]),))
    (array([1., 4.]), array([2., 2.]))
    """
    refused = None
    quick = known_pushforward(f, primals, tangents)
    if quick is not None:
        try:
            return quick(*primals, *tangents)
        except (CoenzymeError, NumbaError, TypeError) as error:
            refused = error
    given = primals, tangents
    function = as_dispatcher(f)
    for name, group in (("primals", primals), ("tangents", tangents)):
        if not isinstance(group, (tuple, list)):
            raise ActivityError(
                f"the {name} are a {type(group).__name__}",
                function=name_of(function),
                remedy="pass a tuple with one entry for each argument",
            )
    if len(primals) != len(tangents):
        raise ActivityError(
            f"there are {len(primals)} primals and {len(tangents)} tangents",
            function=name_of(function),
            remedy="give one tangent for each primal, None for integers and other constants",
        )
    if any(map(is_structured, primals)):
        return structured_jvp(function, primals, tangents)
    varied = varied_positions(function, primals)
    kept = [tangent_for(function, i, primals[i], tangents[i]) for i in varied]
    for i in set(range(len(primals))).difference(varied):
        check_no_tangent(function, i, primals[i], tangents[i])
    request = PushforwardCall(function, len(primals), len(kept))
    result = invoke(request, (*primals, *kept), {}, given=primals, differentiated=varied, refused=refused)
    remember_pushforward(f, *given, varied, entry_of(request))
    return result


def vjp(
    f: Callable[..., Any], *primals: Any, memory_limit: int | None = None, tangent: str = "structural"
) -> tuple[Any, Pullback | StructuredPullback | NaturalPullback]:
    """Return the value of `f`, and a function from a cotangent of it to those of the arguments.

    Parameters
    ----------
    f
        The function.
    *primals
        Its arguments.
    memory_limit, tangent
        As for `grad`.

    Returns
    -------
    tuple
        ``(y, pullback)``. ``pullback(y_bar)`` takes a cotangent shaped like `y` and returns a tuple with one
        cotangent for each argument, None for integers and other constants. It can be called many times.
        Dropping it frees what it holds.

    Raises
    ------
    ActivityError
        If the arguments do not fit the function, or the value has no derivative.

    Notes
    -----
    `f` runs once, on copies of the arguments, so that the pullback is at the point of this call whatever
    happens to them and to the value later. What `f` writes to its arguments is written back.

    The first call of the pullback is one reverse sweep. Each later one runs `f` again before, on copies; if
    `f` then returns another value, because it draws random numbers, say, the call raises `TapeError`.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> y, pullback = cz.vjp(lambda x, a: a * x, np.array([1.0, 2.0]), 3.0)
    >>> y
    array([3., 6.])
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 3., 30.]), 21.0)
    """
    function = as_dispatcher(f)
    if is_natural(tangent, "vjp"):
        natural = Natural(primals)
        y, pullback = vjp(f, *primals, memory_limit=memory_limit)
        return y, NaturalPullback(natural, pullback)
    check_memory_limit(memory_limit)
    if any(map(is_structured, primals)):
        return structured_vjp(function, primals, memory_limit)
    refuse_written(resolve_sharing(function, primals, varied_positions(function, primals)), function)
    return run_with_pullback(function, primals, memory_limit)
