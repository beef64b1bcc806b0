"""Compiled calls on disk, so that another process need not differentiate and compile them again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from inspect import Parameter
from typing import TYPE_CHECKING, Any

import numba
from numba.core import types
from numba.core.caching import NullCache

from coenzyme import engine
from coenzyme.api.functions import Compiled, parameters_of
from coenzyme.codegen import is_linked
from coenzyme.derive.foreign_blas import blas_families
from coenzyme.frontends.numba_cache import (
    counts,
    digest_of,
    is_plain_type,
    load_compiled,
    program_text,
    save_compiled,
    store,
)

if TYPE_CHECKING:
    from coenzyme.api.calls import Call

__all__ = ["CallCache"]

_PLAIN_DEFAULTS = (bool, int, float, complex, str, type(None))


class CallCache(NullCache):  # pyright: ignore[reportUntypedBaseClass]
    """What a dispatcher asks for compiled code before it compiles, and gives it to afterwards.

    Parameters
    ----------
    call
        The call that the dispatcher is for.
    call_of
        Returns the call that a function was made for, None if it is the user's own.
    """

    def __init__(self, call: Call, call_of: Callable[[Compiled], Call | None]) -> None:
        self._call = call
        self._call_of = call_of
        self._keys: dict[tuple[types.Type, ...], str | None] = {}

    def key(self, argtypes: tuple[types.Type, ...]) -> str | None:
        """Return the key of the code for arguments of these types; None where it is not kept."""
        if store() is None:
            return None
        if argtypes not in self._keys:
            self._keys[argtypes] = self._find_key(argtypes)
            counts["refused"] += self._keys[argtypes] is None
        return self._keys[argtypes]

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return compiled code, None if there is none."""
        key = self.key(tuple(sig))
        return None if key is None else load_compiled(key, target_context)

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Keep compiled code."""
        key = self.key(tuple(sig))
        if key is not None:
            save_compiled(key, cres)

    def _find_key(self, argtypes: tuple[types.Type, ...]) -> str | None:
        call = self._call
        calls = [call]
        while (inner := self._call_of(call.function)) is not None:
            call = inner
            calls.append(call)
        given = argtypes
        for c in calls:
            count = c.primals(given)
            if count is None:
                return None
            given = given[:count]
        if not all(map(is_plain_type, argtypes)):
            return None
        parameters = parameters_of(call.function)
        if any(p.kind is Parameter.VAR_POSITIONAL for p in parameters):
            return None
        defaults = [p.default for p in parameters[len(given) :]]
        if any(type(value) not in _PLAIN_DEFAULTS for value in defaults):
            return None  # not given, or a constant of compiled code that its name does not determine
        kinds = (*given, *map(numba.typeof, defaults))
        try:
            program = engine.lowered(call.function, kinds)
            text = program_text(program, lambda: engine.prepared(call.function, kinds))
        except Exception:  # said again, in better words, by whoever compiles it
            return None
        if text is None or not is_plain_type(types.unliteral(program.restype)):
            return None
        described = [_describe(c) for c in calls]
        options = sorted(call.function.targetoptions.items())
        linked = sorted(blas_families(text, is_linked))
        return digest_of(repr((described, argtypes, kinds, program.restype, defaults, options, linked)), text)


def _describe(call: Call) -> str:
    """Return what a call does, apart from its function."""
    names = [f.name for f in dataclasses.fields(call) if f.name not in ("function", "passes")]
    fields = {name: getattr(call, name) for name in names}
    # A set has another order in another process.
    passes = sorted(p.name for p in call.passes)
    return f"{type(call).__qualname__}({fields}, {passes})"
