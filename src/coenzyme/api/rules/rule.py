"""Functions with derivatives that their user has written."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportPrivateUsage=false

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic

from coenzyme.api.functions import as_dispatcher
from coenzyme.api.rules.calling import calling
from coenzyme.api.rules.code import RuleFunctions, write
from coenzyme.api.source import Source
from coenzyme.engine import effects
from coenzyme.errors import ActivityError, MissingRuleError
from coenzyme.frontends.custom_rules import CustomRule, Part, Site
from coenzyme.frontends.given_rules import Partials, type_use
from coenzyme.frontends.numba_target import has_twin

__all__ = ["RuleDispatcher", "UserRule", "dispatcher_like", "rule"]


class UserRule(CustomRule):
    """The rule of one function: what of it has been given so far."""

    def __init__(self, plain: Any, writes: tuple[int, ...] | None) -> None:
        self.plain = plain
        self.writes = writes
        self.names = tuple(inspect.signature(plain.py_func).parameters)
        self.jvp: Any = None
        self.fwd: Any = None
        self.bwd: Any = None
        self.partials: Partials | None = None
        self.with_config: set[str] = set()
        self.with_shadows = False

    @property
    def qualname(self) -> str:
        """The name of the function."""
        return str(self.plain.py_func.__qualname__)

    def implement(self, part: Part, site: Site) -> Callable[..., Any]:
        """Return a Python function that Numba compiles."""
        forward = part is Part.FORWARD
        if (self.jvp if forward else self.bwd) is None:
            raise self.missing(forward=forward)
        written = self.writes
        found = effects(self.plain, site.argtypes).written if written is None else frozenset(written)
        functions = RuleFunctions(
            self.names,
            self.jvp,
            self.fwd,
            self.bwd,
            frozenset(self.with_config),
            self.with_shadows,
            found,
        )
        return write(functions, part, site)

    def missing(self, *, forward: bool) -> MissingRuleError:
        """Return the error about a rule that is not there."""
        mode, how = ("forward", "defjvp") if forward else ("reverse", "defvjp")
        there = [n for n, f in (("forward", self.jvp), ("reverse", self.bwd)) if f is not None]
        having = f"a rule for {there[0]} mode only" if there else "no derivatives yet"
        return MissingRuleError(
            f"{self.qualname} has {having}, and is differentiated in {mode} mode",
            function=self.qualname,
            operation=self.qualname,
            remedy=f"give it one by {how}, or both by defpartials where its arguments are numbers",
        )

    def define_jvp(self, jvp: Any) -> None:
        """Take the rule for forward mode."""
        self._require_new("defpartials", self.partials)
        self._require_new("defjvp", self.jvp)
        self.jvp, config, _ = self._read("jvp", jvp, ["primals", "tangents"])
        self._note("jvp", config)

    def define_vjp(self, fwd: Any, bwd: Any) -> None:
        """Take the rule for reverse mode."""
        self._require_new("defpartials", self.partials)
        self._require_new("defvjp", self.bwd)
        first, config, _ = self._read("fwd", fwd, self.names)
        second, other, shadows = self._read("bwd", bwd, ["residuals", "cotangent"], shadows=True)
        self.fwd, self.bwd, self.with_shadows = first, second, shadows
        self._note("fwd", config)
        self._note("bwd", other)

    def define_partials(self, functions: Sequence[Any], own: Callable[[], Any]) -> Partials:
        """Take the partial derivatives."""
        self._require_new("defpartials", self.partials)
        self._require_new("defvjp or defjvp", self.jvp or self.bwd)
        count = len(self.names)
        if len(functions) not in (1, count):
            raise ActivityError(
                f"{len(functions)} partials are given for {count} arguments of {self.qualname}",
                function=self.qualname,
                remedy="give one function for each argument, or one that returns all as a tuple",
            )
        made: list[Any] = []
        for number in range(count):
            together = len(functions) == 1
            function = functions[0 if together else number]
            if function is None:
                made.append(_nothing(count))
                continue
            dispatcher = as_dispatcher(function)
            taken = len(inspect.signature(dispatcher.py_func).parameters)
            if taken not in (count, count + 1):
                raise ActivityError(
                    f"a partial of {self.qualname} takes {taken} arguments, and should take {count}",
                    function=self.qualname,
                    remedy=f"let it take ({', '.join(self.names)}), or the value before these",
                )
            place = number if together and count > 1 else None
            made.append(_partial(dispatcher, count, place, with_value=taken > count))
        self.partials = Partials(own(), made)
        return self.partials

    def _note(self, what: str, config: bool) -> None:
        if config:
            self.with_config.add(what)

    def _require_new(self, how: str, found: Any) -> None:
        if found is not None:
            raise ActivityError(
                f"{self.qualname} has been given a rule by {how} before",
                function=self.qualname,
                remedy="give each function one rule for each mode",
            )

    def _read(
        self, what: str, function: Any, wanted: Sequence[str], *, shadows: bool = False
    ) -> tuple[Any, bool, bool]:
        """Return a function of the rule as a dispatcher, and whether it takes a config, and shadows."""
        dispatcher = as_dispatcher(function)
        parameters = list(inspect.signature(dispatcher.py_func).parameters)
        takes_config = parameters[:1] == ["config"] and len(parameters) > len(wanted)
        if takes_config:
            del parameters[0]
        takes_shadows = shadows and parameters[-1:] == ["shadows"]
        if takes_shadows:
            del parameters[-1]
        if len(parameters) != len(wanted):
            raise ActivityError(
                f"{what} of {self.qualname} takes {len(parameters)} arguments, and should take {len(wanted)}",
                function=self.qualname,
                remedy=f"define it with the parameters ({', '.join(wanted)})",
            )
        return dispatcher, takes_config, takes_shadows


class RuleDispatcher(CPUDispatcher):
    """A compiled function that stays a call until it is differentiated, by rules of its user.

    It is called like any function compiled by Numba, from Python and from compiled code.
    """

    coenzyme_rule: UserRule
    coenzyme_stand_in: Any = None

    def defpartials(self, *partials: Any, check: Sequence[Any] | None = None) -> None:
        """Give the partial derivatives of a function of numbers; every mode and order follows.

        Parameters
        ----------
        partials
            One function that returns all of them as a tuple, or one for each argument, None where there is
            none. They take the arguments of the function, after its value if they have one parameter more.
            Where they raise, the derivative is NaN. Of a function of complex numbers they are the complex
            derivatives.
        check
            Arguments, at which the partial derivatives are compared with central differences at once.

        Raises
        ------
        ActivityError
            For another number of functions or parameters, where there is a rule already, or where a partial
            derivative is not what differences say.

        Examples
        --------
        >>> import coenzyme as cz
        >>> @cz.rule
        ... def cube(x):
        ...     return x * x * x
        >>> cube.defpartials(lambda x: 3 * x * x, check=(2.0,))
        >>> cz.grad(cube)(2.0), cz.grad(cz.grad(cube))(2.0)
        (12.0, 12.0)
        """
        rule = self.coenzyme_rule
        if has_twin(self):
            raise ActivityError(
                f"{rule.qualname} has been compiled into a derivative before it has partial derivatives",
                function=rule.qualname,
                remedy="give them where the function is defined",
            )
        own = rule.define_partials(partials, lambda: dispatcher_like(rule.plain, CPUDispatcher))
        if check is not None:
            try:
                _compare(rule, own, check)
            except ActivityError:
                rule.partials = None
                raise
        self.coenzyme_stand_in = _stand_in(rule, own)

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Give the derivative for reverse mode.

        Parameters
        ----------
        fwd
            ``fwd(*args) -> (value, residuals)``. It does all that the function does. What of the residuals
            shares memory with arguments that may be overwritten is copied.
        bwd
            ``bwd(residuals, cotangent) -> (cotangents…)``: a tuple with one for each argument, None where
            there is none. That of an array has its shape, and is added to its shadow. With one more
            parameter, `shadows`, it gets the shadows of the arguments too, and may change those of arrays in
            place; the cotangents of arrays may be None then.

        Either may be preceded by a parameter called `config`.

        Raises
        ------
        ActivityError
            For another number of parameters, or where there is such a rule already.
        """
        self.coenzyme_rule.define_vjp(fwd, bwd)

    def defjvp(self, jvp: Callable[..., Any]) -> Callable[..., Any]:
        """Give the derivative for forward mode; return `jvp`, so that this is a decorator.

        Parameters
        ----------
        jvp
            ``jvp(primals, tangents) -> (value, tangent)``: tuples with one entry for each argument. The
            tangent of a constant is zero, that of an integer None. It does all that the function does, and
            changes tangents of arrays as that changes the arrays.

        It may be preceded by a parameter called `config`.

        Raises
        ------
        ActivityError
            For another number of parameters, or where there is such a rule already.
        """
        self.coenzyme_rule.define_jvp(jvp)
        return jvp


def rule(function: Any = None, *, writes: Sequence[str] | None = None) -> Any:
    """Return `function` as one whose derivatives are given by its user.

    Parameters
    ----------
    function
        A function compiled by Numba, or one that Numba can compile or call: a function of
        NumPy, of `ctypes` or `cffi`, a `numba.types.ExternalFunction`. What comes back is to be called then.
    writes
        The names of the arguments whose memory it writes to; left out, this is read from its code.

    Returns
    -------
    RuleDispatcher
        Called as before, from Python and from compiled code. Its methods `defpartials`, `defvjp` and `defjvp`
        give the derivatives.

    Raises
    ------
    ActivityError
        For what Numba cannot compile, a function with rules already, or names that are no arguments.

    Notes
    -----
    The function stays a call until it is differentiated; then its rule is used in the place of its code, in
    loops, in other functions with rules, and where it calls itself. To differentiate it in a mode for which
    it has no rule is an error.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> @cz.rule
    ... def norm(x):
    ...     return np.sqrt((x * x).sum())
    >>> def fwd(x):
    ...     value = norm(x)
    ...     return value, (x, value)
    >>> def bwd(residuals, cotangent):
    ...     x, value = residuals
    ...     return (cotangent * x / value,)
    >>> norm.defvjp(fwd, bwd)
    >>> cz.grad(norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    if function is None:
        return lambda function: rule(function, writes=writes)
    plain = _plain(calling(function))
    names = list(inspect.signature(plain.py_func).parameters)
    unknown = [n for n in writes or () if n not in names]
    if unknown:
        raise ActivityError(
            f"{plain.py_func.__qualname__} has no argument called {unknown[0]!r}",
            function=plain.py_func.__qualname__,
            remedy=f"name some of {', '.join(names)}",
        )
    made = dispatcher_like(plain, RuleDispatcher)
    made.coenzyme_rule = UserRule(plain, None if writes is None else tuple(names.index(n) for n in writes))
    return made


def _plain(dispatcher: Any) -> Any:
    if isinstance(dispatcher, RuleDispatcher):
        raise ActivityError(
            f"{dispatcher.py_func.__qualname__} is a function with rules already",
            function=dispatcher.py_func.__qualname__,
            remedy="give it derivatives by its methods",
        )
    return dispatcher


def dispatcher_like(dispatcher: Any, kind: type[Any]) -> Any:
    """Return a dispatcher of another class for the same function, options and declared signatures."""
    made = kind(
        dispatcher.py_func,
        locals=dict(dispatcher.locals),
        targetoptions=dict(dispatcher.targetoptions),
        pipeline_class=dispatcher._compiler.pipeline_class,
    )
    if not dispatcher._can_compile:
        for signature in dispatcher.nopython_signatures:
            made.compile(signature)
        made.disable_compile()
    return made


# --- partial derivatives


def _nothing(count: int) -> Any:
    source = Source()
    source.add("return None")
    return as_dispatcher(source.function("partial", ", ".join(["value", *_names(count)])))


def _partial(function: Any, count: int, place: int | None, *, with_value: bool) -> Any:
    """Return a partial derivative as a function of the value and the arguments."""
    source = Source()
    given = ["value", *_names(count)]
    call = f"{source.name('partial', function)}({', '.join(given if with_value else given[1:])})"
    source.add(f"return {call}" if place is None else f"return {call}[{place}]")
    return as_dispatcher(source.function("partial", ", ".join(given)))


def _names(count: int) -> list[str]:
    return [f"x{i}" for i in range(count)]


def _stand_in(rule: UserRule, partials: Partials) -> Any:
    """Return what is compiled to be differentiated in the place of a function with partial derivatives."""
    given = ", ".join(rule.names)
    source = Source({"type_use": type_use, "partials": partials})
    source.add(f"return type_use(partials, ({given},))")
    use = intrinsic(source.function(rule.qualname, f"typing_context, {given}"))
    source = Source()
    source.add(f"return {source.name('use', use)}({given})")
    function = source.function(rule.qualname, given)
    function.__defaults__ = rule.plain.py_func.__defaults__
    return function


_STEP = 1e-5
_CLOSE = 1e-6


def _compare(rule: UserRule, partials: Partials, at: Sequence[Any]) -> None:
    """Raise where partial derivatives are not what central differences say."""
    value = rule.plain(*at)
    for number, x in enumerate(at):
        if not isinstance(x, (float, complex)):
            continue
        found = partials.partials[number](value, *at)
        step = _STEP * max(abs(x), 1.0)
        ends = [rule.plain(*at[:number], x + s, *at[number + 1 :]) for s in (step, -step)]
        expected = (ends[0] - ends[1]) / (2 * step)
        found = 0.0 if found is None else found
        if not abs(found - expected) <= _CLOSE * max(abs(expected), abs(found), 1.0):
            raise ActivityError(
                f"the partial of {rule.qualname} in {rule.names[number]} is {found}, and differences"
                f" say {expected}",
                function=rule.qualname,
                argument=rule.names[number],
                remedy="check its formula",
            )
