"""Functions that stay calls until they are differentiated, with derivatives written as Numba code.

`keep` registers a Python function with a `NumbaRule`. Where our target compiles the function, its symbol is
remembered, `is_ruled` knows it, and `provide` lowers the rule's functions for the types it was compiled for.
`replace` puts such a function in the place of one that Numba implements itself.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
from numba.core import types
from numba.core.typing.templates import builtin_registry
from numba.extending import overload

from coenzyme.codegen import prepare
from coenzyme.errors import CompilationError
from coenzyme.frontends.numba_layout import layout_argument, layout_result
from coenzyme.frontends.numba_lower import lower
from coenzyme.frontends.numba_target import TARGET_NAME, compiled_rules, rule_of_function
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.frontends.rule_code import RuleCode, RuleFunction

__all__ = ["NumbaRule", "environments_of", "is_ruled", "keep", "lowered_function", "provide", "replace"]

Implementation = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class NumbaRule:
    """The derivatives of a function, as Python functions that Numba compiles.

    The function writes nothing but its result, which shares no memory with its arguments.

    Attributes
    ----------
    forward
        ``forward(*arguments, *tangents) -> (result, tangent)``.
    augmented
        ``augmented(*arguments, *shadows) -> (result, shadow, saved)``; the shadow is zero.
    reverse
        ``reverse(*arguments, *shadows, cotangent, saved)`` adds to the shadows. The arguments may have been
        overwritten since: what is needed of them must have been saved.

    A tangent or shadow is None where the argument is constant.
    """

    forward: Implementation
    augmented: Implementation
    reverse: Implementation


def keep(function: Implementation, rule: NumbaRule) -> Any:
    """Return a dispatcher of `function`, whose calls stay calls until they are differentiated by `rule`."""
    rule_of_function[function] = rule
    return numba.njit(function)


def replace(original: Callable[..., Any], rule: NumbaRule) -> None:
    """Let our target call `original`, a function that Numba implements by an overload, by way of a rule."""
    implementations = _overloads_of(original)
    parameters = list(inspect.signature(implementations[0]).parameters.values())
    names = [p.name for p in parameters]

    def plain() -> None:
        raise NotImplementedError

    for implementation in implementations:
        overload(plain, target=TARGET_NAME)(implementation)
    listed = ", ".join(names)
    declared = ", ".join(
        p.name if p.default is inspect.Parameter.empty else f"{p.name}=_default_{p.name}" for p in parameters
    )
    namespace: dict[str, Any] = {"_plain": plain, "__name__": __name__}
    namespace |= {f"_default_{p.name}": p.default for p in parameters}
    exec(
        compile(
            f"def {original.__name__}({listed}):\n    return _plain({listed})\n",
            f"<coenzyme {original.__name__}>",
            "exec",
        ),
        namespace,
    )
    namespace["_kept"] = keep(namespace[original.__name__], rule)
    exec(
        compile(
            f"def choose({declared}):\n"
            f"    def call({declared}):\n"
            f"        return _kept({listed})\n"
            f"    return call\n",
            f"<coenzyme {original.__name__}>",
            "exec",
        ),
        namespace,
    )
    overload(original, target=TARGET_NAME)(namespace["choose"])


def _overloads_of(original: Callable[..., Any]) -> list[Any]:
    """Return Numba's own overload functions of `original`."""
    kinds = [kind for value, kind in builtin_registry.globals if value is original]
    found = [t._overload_func for kind in kinds for t in kind.templates if hasattr(t, "_overload_func")]
    assert found, original
    return [getattr(f, "__func__", f) for f in found]


def is_ruled(symbol: str) -> bool:
    """Whether calls of `symbol` are differentiated by a rule."""
    return symbol in compiled_rules


_environments: dict[str, Any] = {}


def environments_of(text: str) -> dict[str, Any]:
    """Return what the environment pointers of rules' functions in `text` must point to."""
    return {symbol: environment for symbol, environment in _environments.items() if symbol in text}


def provide(symbol: str, activities: Sequence[ComponentActivity], mode: Mode) -> RuleCode:
    """Return the code of the rule of `symbol` for parameters of these activities."""
    return _provide(symbol, tuple(activities), mode)


@lru_cache(maxsize=1024)
def _provide(symbol: str, activities: tuple[ComponentActivity, ...], mode: Mode) -> RuleCode:
    rule, argtypes, restype = compiled_rules[symbol]
    arguments = tuple(layout_argument(f"a{i}", t) for i, t in enumerate(argtypes))
    shadowed: list[bool] = []
    position = 2
    for argument in arguments:
        own = activities[position : position + len(argument.components)]
        shadowed.append(any(a is not ComponentActivity.CONST for a in own))
        position += len(argument.components)
    shadows = tuple(_writable(t) if s else types.none for t, s in zip(argtypes, shadowed, strict=True))
    first = rule.forward if mode is Mode.FORWARD else rule.augmented
    made, produced = lowered_function(first, (*argtypes, *shadows))
    for part, kind in zip(("result", "derivative"), produced, strict=False):
        # Shadows are taken for what their primals are, layout included.
        if kind != restype:
            raise CompilationError(
                f"the {part} that a rule gives has type {kind}, not {restype}",
                function=first.__qualname__,
                remedy="let the rule return what the function returns, and a derivative of the same type",
            )
    reverse = None
    if mode is not Mode.FORWARD:
        reverse, _ = lowered_function(rule.reverse, (*argtypes, *shadows, produced[1], produced[2]))
    return RuleCode(arguments, layout_result(restype), tuple(shadowed), made, reverse)


def _writable(kind: Any) -> Any:
    return kind.copy(readonly=False) if isinstance(kind, types.Array) else kind


@lru_cache(maxsize=1024)
def lowered_function(function: Implementation, argtypes: tuple[Any, ...]) -> tuple[RuleFunction, Any]:
    """Return a function of a rule as simplified text, and the type of what it returns."""
    program = lower(function, argtypes)
    text = prepare(program.text, program.entry, is_ruled)
    _environments.update(program.environments)
    return RuleFunction(text, program.entry, program.arguments, program.result), program.restype
