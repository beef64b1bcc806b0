"""Numba functions that call what is no Numba function: of NumPy, of C by ctypes and cffi, external ones."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import ctypes
import inspect
from typing import Any

import numpy as np
from numba.core import types
from numba.core.typing import cffi_utils

from coenzyme.api.functions import as_dispatcher
from coenzyme.api.source import Source
from coenzyme.errors import ActivityError

__all__ = ["calling"]


def calling(function: Any) -> Any:
    """Return a dispatcher that calls `function`, which may be one already.

    Raises
    ------
    ActivityError
        Where it cannot be seen what `function` takes.
    """
    names = _parameters_of(function)
    if names is None:
        return as_dispatcher(function)
    source = Source()
    listed = ", ".join(names)
    source.add(f"return {source.name('function', function)}({listed})")
    name = str(getattr(function, "__name__", None) or getattr(function, "symbol", "function"))
    return as_dispatcher(source.function(name, listed))


def _parameters_of(function: Any) -> list[str] | None:
    """Return names for the parameters of what is no Python function; None for what is one."""
    if isinstance(function, types.ExternalFunction):
        return _numbered(len(function.sig.args))
    if isinstance(function, np.ufunc):
        return _numbered(function.nin)
    if isinstance(function, ctypes._CFuncPtr):  # pyright: ignore[reportPrivateUsage]
        if function.argtypes is None:
            raise ActivityError(
                "a function of ctypes does not say what it takes",
                function=str(getattr(function, "__name__", function)),
                remedy="set its argtypes and restype",
            )
        return _numbered(len(function.argtypes))
    if getattr(function, "__module__", None) is not None and _is_of_numpy(function):
        parameters = inspect.signature(function).parameters.values()
        return [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if cffi_utils.SUPPORTED and cffi_utils.is_cffi_func(function):
        return _numbered(len(cffi_utils.make_function_type(function).sig.args))
    return None


def _is_of_numpy(function: Any) -> bool:
    return callable(function) and str(function.__module__).partition(".")[0] == "numpy"


def _numbered(count: int) -> list[str]:
    return [f"x{i}" for i in range(count)]
