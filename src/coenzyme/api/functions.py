"""The function to differentiate: as a Numba dispatcher, with its name and signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import FunctionType
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

import numba
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError

from coenzyme.errors import ActivityError, CoenzymeError, CompilationError

__all__ = [
    "Compiled",
    "NumbaCallable",
    "as_dispatcher",
    "bind",
    "call",
    "name_of",
    "parameters_of",
    "signature_of",
]


class Compiled(Protocol):
    """What is used of Numba's dispatcher."""

    py_func: Callable[..., Any]
    targetoptions: dict[str, Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compile for the types of the arguments, where that has not been done, and call."""
        ...


class NumbaCallable:
    """A Python object that Numba code can call: it stands for its `dispatcher`."""

    dispatcher: Compiled


# A compiled function refers to its Python function, so an entry lives as long as the process.
_compiled: WeakKeyDictionary[FunctionType, Compiled] = WeakKeyDictionary()


def as_dispatcher(f: object) -> Compiled:
    """Return `f` as a Numba dispatcher; a plain function is compiled, once, on its first call.

    Raises
    ------
    ActivityError
        If `f` is not something that Numba can compile.
    """
    if isinstance(f, Dispatcher):
        return cast(Compiled, f)
    if isinstance(f, NumbaCallable):
        return f.dispatcher
    if isinstance(f, FunctionType):
        found = _compiled.get(f)
        if found is None:
            found = _compiled[f] = cast(Compiled, numba.njit(f))
        return found
    name = getattr(f, "__name__", None) or repr(f)
    if callable(f):
        raise ActivityError(
            f"a {type(f).__name__} cannot be compiled by Numba",
            function=str(name),
            remedy="wrap the call in a function: def g(x): return f(x)",
        )
    raise ActivityError(
        f"the function to differentiate is a {type(f).__name__}, which cannot be called",
        function=str(name),
        remedy="pass an @njit function or a plain Python function",
    )


def name_of(f: object) -> str:
    """Return the name that messages give to `f`."""
    python = getattr(f, "py_func", f)
    return str(getattr(python, "__qualname__", None) or repr(f))


@cache
def parameters_of(dispatcher: Compiled) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of the Python function behind a dispatcher."""
    return tuple(inspect.signature(dispatcher.py_func).parameters.values())


def bind(dispatcher: Compiled, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return all arguments by position, up to the last one given; skipped ones take their defaults.

    Raises
    ------
    ActivityError
        If the arguments do not fit the signature.
    """
    signature = inspect.Signature(parameters_of(dispatcher))
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ActivityError(
            f"wrong arguments: {error}",
            function=name_of(dispatcher),
            remedy=f"call it as {signature_of(dispatcher)}",
        ) from None
    given = len(bound.arguments)
    bound.apply_defaults()
    if not kwargs:
        return tuple(args)
    last = max((i for i, p in enumerate(signature.parameters) if p in kwargs), default=given)
    named = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    values = (*bound.args, *(bound.arguments[name] for name in named))
    return values[: max(last + 1, len(args))]


def signature_of(dispatcher: Compiled) -> str:
    """Return how a function is called, for messages."""
    signature = inspect.Signature([p.replace(annotation=p.empty) for p in parameters_of(dispatcher)])
    return f"{name_of(dispatcher).rpartition('.')[2]}{signature}"


def call(
    function: Callable[..., Any],
    dispatcher: Compiled,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    given: Sequence[Any] | None = None,
) -> Any:
    """Return ``function(*args, **kwargs)``, Numba's complaints turned into typed errors about `dispatcher`.

    Parameters
    ----------
    function
        A compiled function.
    dispatcher
        The user's function, for messages.
    given
        The arguments for the user's function, where those of `function` are not the same.
    """
    try:
        return function(*args, **kwargs)
    except CoenzymeError:
        raise
    except (NumbaError, TypeError) as error:
        raise explain(error, dispatcher, args if given is None else given, kwargs) from error


def explain(
    error: Exception, dispatcher: Compiled, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Exception:
    """Return the error that tells the user why a compiled function could not be called."""
    try:
        values = bind(dispatcher, args, kwargs)
    except ActivityError as wrong:
        return wrong
    for parameter, value in zip(parameters_of(dispatcher), values, strict=False):
        if not has_type(value):
            return ActivityError(
                f"Numba has no type for a value of {type(value).__module__}.{type(value).__qualname__}",
                function=name_of(dispatcher),
                argument=parameter.name,
                remedy="pass floats, integers, NumPy arrays, or tuples of them",
            )
    if isinstance(error, NumbaError):
        return CompilationError(
            f"Numba cannot compile the call: {error}",
            function=name_of(dispatcher),
            remedy="make the function compile under @numba.njit with arguments of these types",
        )
    return error


def has_type(value: object) -> bool:
    """Return whether Numba has a type for a value, and one that says what an array holds."""
    try:
        return bool(numba.typeof(value).is_precise())
    except (ValueError, TypeError, NumbaError):
        return False
