"""Functions whose derivatives a user has written: what the engine is told of them, and their code.

A dispatcher with an attribute ``coenzyme_rule``, a `CustomRule`, stays a call until it is differentiated.
"""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from numba.core import types

from coenzyme.errors import CompilationError, UnsupportedIRError
from coenzyme.frontends.numba_layout import layout_argument, layout_result
from coenzyme.frontends.numba_rules import lowered_function
from coenzyme.frontends.numba_target import compiled_rules
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.frontends.rule_code import CustomCode, RuleFunction, RuleUse

__all__ = ["CustomRule", "Part", "Site", "find_custom", "provide_custom"]

_RESULT_PARAMETERS = 2


class Part(Enum):
    """Which function of a rule."""

    FORWARD = auto()
    AUGMENTED = auto()
    REVERSE = auto()
    RELEASE = auto()


@dataclass(frozen=True)
class Site:
    """What a rule's functions are made for.

    Attributes
    ----------
    argtypes, restype
        Of the primal.
    shadowed
        For each argument, whether it comes with a tangent or shadow.
    returned
        The arguments whose adjoints the reverse function returns: numbers.
    overwritten
        For each argument, whether its memory may be written before the reverse sweep.
    width
        How many directions there are.
    result_active
        Whether the result has a derivative that is asked for.
    """

    argtypes: tuple[Any, ...]
    restype: Any
    shadowed: tuple[bool, ...]
    returned: tuple[int, ...]
    overwritten: tuple[bool, ...]
    width: int
    result_active: bool


class CustomRule(ABC):
    """The derivatives of a function, as its user has written them.

    Attributes
    ----------
    plain
        The dispatcher of the function as it is.
    writes
        The positions of the arguments that it writes to, where the user has said so.
    """

    plain: Any
    writes: tuple[int, ...] | None

    def is_plain(self, kind: Any) -> bool:
        """Whether all memory behind a value of a type is that of arrays of numbers in it."""
        if isinstance(kind, types.BaseTuple):
            return all(map(self.is_plain, kind.types))
        if isinstance(kind, types.Array):
            return isinstance(kind.dtype, (types.Number, types.Boolean))
        simple = (types.Number, types.Boolean, types.NoneType, types.Literal, types.Omitted, types.Dispatcher)
        return isinstance(kind, simple)

    @abstractmethod
    def implement(self, part: Part, site: Site) -> Callable[..., Any]:
        """Return a Python function that Numba compiles, as `CustomCode` says."""


def find_custom(symbol: str) -> tuple[CustomRule, tuple[Any, ...], Any] | None:
    """Return the rule of a function with this symbol, its argument types and result type; None if none."""
    found = compiled_rules.get(symbol)
    return found if found is not None and isinstance(found[0], CustomRule) else None


def provide_custom(symbol: str, use: RuleUse, mode: Mode) -> CustomCode:
    """Return the code of the rule of `symbol` for one use of it."""
    return _provide(symbol, use, mode)


@lru_cache(maxsize=1024)
def _provide(symbol: str, use: RuleUse, mode: Mode) -> CustomCode:
    found = find_custom(symbol)
    assert found is not None
    rule, argtypes, restype = found
    arguments = tuple(layout_argument(f"a{i}", t) for i, t in enumerate(argtypes))
    shadowed: list[bool] = []
    overwritten: list[bool] = []
    returned: list[int] = []
    position = _RESULT_PARAMETERS
    for number, argument in enumerate(arguments):
        own = range(position, position + len(argument.components))
        position = own.stop
        how = {use.activities[n] for n in own}
        if ComponentActivity.ACTIVE in how:
            returned.append(number)
            if ComponentActivity.DUPLICATED in how:
                raise UnsupportedIRError(
                    f"an argument of type {argtypes[number]} holds numbers and arrays that vary",
                    function=symbol,
                    remedy="pass the numbers and the arrays as arguments of their own",
                )
        shadowed.append(ComponentActivity.DUPLICATED in how)
        pointers = [n for n, c in zip(own, argument.components, strict=True) if c.llvm_type == "ptr"]
        overwritten.append(not use.kept.issuperset(pointers))
    site = Site(
        argtypes,
        restype,
        tuple(shadowed),
        tuple(returned),
        tuple(overwritten),
        use.width,
        use.activities[0] is not ComponentActivity.CONST,
    )
    shadows = tuple(_writable(t) if s else types.none for t, s in zip(argtypes, shadowed, strict=True))
    given = (*argtypes, *(shadows * use.width))
    part = Part.FORWARD if mode is Mode.FORWARD else Part.AUGMENTED
    first, produced = lowered_function(rule.implement(part, site), given)
    kinds = tuple(produced)
    if any(kind != restype for kind in kinds[: 1 + use.width]):
        # Shadows are taken for what their primals are, layout included.
        raise CompilationError(
            f"a rule gives ({', '.join(map(str, kinds[: 1 + use.width]))}) for a result of type {restype}",
            function=str(rule.plain.py_func.__qualname__),
            remedy="let the rule return what the function returns, and a derivative of the same type",
        )
    reverse: RuleFunction | None = None
    release: RuleFunction | None = None
    if mode is not Mode.FORWARD:
        held = kinds[1:]
        reverse, _ = lowered_function(rule.implement(Part.REVERSE, site), (*given, *held))
        release, _ = lowered_function(rule.implement(Part.RELEASE, site), held)
    return CustomCode(
        arguments, layout_result(restype), tuple(shadowed), tuple(returned), first, reverse, release
    )


def _writable(kind: Any) -> Any:
    if isinstance(kind, types.BaseTuple) and not isinstance(kind, types.BaseNamedTuple):
        return types.Tuple.from_types([_writable(part) for part in kind.types])
    return kind.copy(readonly=False) if isinstance(kind, types.Array) else kind
