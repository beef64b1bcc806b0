"""From a Numba dispatcher or a plain Python function to a `Program`."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportReturnType=false

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import numba
from numba.core import types
from numba.core.compiler import Flags
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import NumbaError
from numba.core.registry import CPUDispatcher
from numba.core.targetconfig import ConfigStack

from coenzyme.errors import BackendUnavailableError, CoenzymeError, CompilationError, Location
from coenzyme.frontends.numba_layout import layout_argument, layout_result
from coenzyme.frontends.numba_power import define_powers
from coenzyme.frontends.numba_structs import find_structs
from coenzyme.frontends.numba_target import (
    IRDispatcher,
    IRLibrary,
    find_twin,
    ir_target,
    loops_in_series,
    twin_type,
)
from coenzyme.frontends.program import Program
from coenzyme.frontends.structs import DESTRUCTOR, NO_STRUCTS, Structs

__all__ = ["as_dispatcher", "fold_arguments", "lower", "require_supported_numba"]

_OLDEST_NUMBA = (0, 63)
_UNRESOLVED = ".numba.unresolved$"

Function = CPUDispatcher | Callable[..., Any]


def require_supported_numba(version: str = numba.__version__) -> None:
    """Refuse a Numba older than 0.63, whose LLVM still has typed pointers.

    Raises
    ------
    BackendUnavailableError
        Naming the version found and the oldest that works.
    """
    release = tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[:2])
    if release < _OLDEST_NUMBA:
        oldest = ".".join(map(str, _OLDEST_NUMBA))
        raise BackendUnavailableError(
            f"Numba {version} is too old: Coenzyme needs Numba {oldest} or newer",
            remedy=f"pip install 'numba>={oldest}'",
        )


def as_dispatcher(function: Function) -> CPUDispatcher:
    """Return `function` as a dispatcher; a plain Python function gets the options of a bare `@njit`."""
    if isinstance(function, CPUDispatcher):
        return function
    if not inspect.isfunction(function):
        raise CompilationError(
            f"{function!r} is not a Python function or a Numba dispatcher",
            function=getattr(function, "__qualname__", repr(function)),
            remedy="pass a function decorated with @numba.njit, or a plain Python function",
        )
    return _compile_plain(function)


@functools.lru_cache(maxsize=256)
def _compile_plain(function: Callable[..., Any]) -> CPUDispatcher:
    # One dispatcher for each function, so that lowering it twice compiles once.
    return numba.njit(function)


@functools.lru_cache(maxsize=256)
def _caller_of(dispatcher: CPUDispatcher) -> CPUDispatcher:
    """Return a function that does nothing but call one which has a rule: calls are what rules are for."""
    function = dispatcher.py_func
    parameters = list(inspect.signature(function).parameters.values())
    bare = [
        p.replace(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty) for p in parameters
    ]
    given = ", ".join(str(p) for p in bare)
    name = function.__name__ if function.__name__.isidentifier() else "function"
    code = function.__code__
    # Errors name the user's function, and where it is.
    text = "\n" * max(code.co_firstlineno - 1, 0) + f"def {name}({given}): return _ruled({given})"
    namespace: dict[str, Any] = {"_ruled": dispatcher, "__name__": function.__module__}
    exec(compile(text, code.co_filename, "exec"), namespace)
    caller = namespace[name]
    caller.__qualname__ = function.__qualname__
    caller.__defaults__ = function.__defaults__
    return numba.njit(caller)


def fold_arguments(
    function: Function, argtypes: Iterable[Any], keywords: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """Return one type for each parameter: keywords in place, defaults `Omitted`, `*args` one tuple."""
    dispatcher = as_dispatcher(function)
    try:
        return tuple(dispatcher._compiler.fold_argument_types(tuple(argtypes), dict(keywords or {}))[1])
    except (TypeError, NumbaError) as problem:
        raise CompilationError(
            f"the arguments do not fit the parameters of {dispatcher.py_func.__qualname__!r}: {problem}",
            function=dispatcher.py_func.__qualname__,
            remedy=f"call it as {dispatcher.py_func.__name__}{inspect.signature(dispatcher.py_func)}",
        ) from problem


def lower(
    function: Function,
    argtypes: Iterable[Any],
    keywords: Mapping[str, Any] | None = None,
    *,
    in_series: bool = False,
) -> Program:
    """Return `function`, and all it calls, as one unoptimised LLVM module for arguments of these types.

    Parameters
    ----------
    function
        A dispatcher, whose options are honoured, or a plain Python function.
    argtypes, keywords
        Numba types of the positional and keyword arguments, as at a call.
    in_series
        Lower the loops of functions with `parallel=True` as plain loops too.

    Raises
    ------
    CompilationError
        When Numba cannot compile the function in nopython mode.
    BackendUnavailableError
        When the installed Numba is too old.

    Notes
    -----
    Lowering takes about a third of the time Numba needs to compile the function.  A dispatcher is lowered
    once for each tuple of types; the globals it reads are frozen then.
    """
    require_supported_numba()
    dispatcher = as_dispatcher(function)
    if hasattr(dispatcher, "coenzyme_rule") or hasattr(dispatcher, "coenzyme_inactive"):
        dispatcher = _caller_of(dispatcher)
    folded = fold_arguments(dispatcher, argtypes, keywords)
    if dispatcher.targetoptions.get("forceobj"):
        raise CompilationError(
            "a function in object mode cannot be differentiated",
            function=dispatcher.py_func.__qualname__,
            remedy="remove forceobj=True",
        )
    with global_compiler_lock, loops_in_series() if in_series else nullcontext():
        twin = find_twin(dispatcher)
        try:
            compiled, argtypes = _compile(twin, folded)
        except CoenzymeError:
            raise  # from the code that types one of our own functions
        except (NumbaError, NotImplementedError) as problem:
            raise _describe(problem, dispatcher) from problem
        return _describe_program(dispatcher, compiled, argtypes)


def _compile(twin: IRDispatcher, argtypes: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    twins = tuple(twin_type(t) for t in argtypes)
    with ConfigStack().enter(_default_flags()):
        if twin.declared:
            # A closed dispatcher converts arguments to one of its declared signatures.
            signature = types.Dispatcher(twin).get_call_type(ir_target.typing_context, twins, {})
            return twin.overloads[tuple(signature.args)], tuple(signature.args)
        twin.compile(twins)
    return twin.overloads[twins], argtypes


def _default_flags() -> Any:
    """Return the flags a function starts from when no caller's options are inherited."""
    flags = Flags()
    flags.nrt = True
    flags.error_model = "python"
    return flags


def _describe_program(dispatcher: CPUDispatcher, compiled: Any, argtypes: tuple[Any, ...]) -> Program:
    descriptor = compiled.fndesc
    text = str(_link(compiled.library))
    known = ir_target.target_context.environments
    code = dispatcher.py_func.__code__
    restype = compiled.signature.return_type
    return Program(
        text=text,
        entry=descriptor.llvm_func_name,
        qualname=descriptor.qualname,
        module=descriptor.modname,
        file=code.co_filename,
        line=code.co_firstlineno,
        arguments=tuple(layout_argument(n, t) for n, t in zip(descriptor.args, argtypes, strict=True)),
        result=layout_result(restype),
        argtypes=argtypes,
        restype=restype,
        environments={name: known[name] for name in _environment_names(text) if name in known},
        nogil=bool(dispatcher.targetoptions.get("nogil")),
        structs=_structs_in(text, argtypes),
        keepalive=(dispatcher, compiled.library),
    )


def _structs_in(text: str, argtypes: tuple[Any, ...]) -> Structs:
    """Return the instances of classes that `text` may handle."""
    context = ir_target.target_context
    made = [kind for name, kind in context.instances.items() if f"{DESTRUCTOR}{name}" in text]
    by_name = find_structs([*argtypes, *made])
    parameters = {symbol: found for symbol, found in context.parameters.items() if symbol in text}
    results = {symbol: found for symbol, found in context.results.items() if symbol in text}
    return Structs(by_name, parameters, results) if by_name else NO_STRUCTS


def _environment_names(text: str) -> set[str]:
    lines = (line for line in text.splitlines() if line.startswith("@_ZN08NumbaEnv"))
    return {line[1:].split(" ", 1)[0] for line in lines}


def _link(library: IRLibrary) -> Any:
    """Return one module with `library`, all it needs, and the functions its recursive calls refer to."""
    merged = library.module.clone()
    linked: set[Any] = {library}
    pending = [library]
    while pending:
        for needed in pending.pop().closure():
            if needed not in linked:
                linked.add(needed)
                _merge(merged, needed)
        # A recursive call goes through a cell named after its target, which the caller's library does not
        # list.
        for cell in merged.global_variables:
            if cell.name.startswith(_UNRESOLVED):
                target = ir_target.target_context.libraries.get(cell.name[len(_UNRESOLVED) :])
                if target is not None and target not in linked:
                    linked.add(target)
                    _merge(merged, target)
                    pending.append(target)
    define_powers(merged)
    return merged


def _merge(merged: Any, library: Any) -> None:
    if isinstance(library, IRLibrary):
        merged.link_in(library.module, preserve=True)
    else:
        merged.link_in(library._get_module_for_linking(), preserve=True)


def _describe(problem: BaseException, dispatcher: CPUDispatcher) -> CompilationError:
    """Return Numba's error as ours, with the place in the user's code if Numba knows it."""
    where = getattr(problem, "loc", None)
    code = dispatcher.py_func.__code__
    file, line = code.co_filename, code.co_firstlineno
    if where is not None and getattr(where, "line", None):
        file, line = where.filename, where.line
    return CompilationError(
        f"Numba cannot compile {dispatcher.py_func.__qualname__!r}: {problem}",
        function=dispatcher.py_func.__qualname__,
        location=Location(file, line),
        remedy="make the function compile under @numba.njit with arguments of these types",
    )
