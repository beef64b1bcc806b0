"""The code around the functions of a user's rule, in the form that the engine calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numba.core import types

from coenzyme.api.blocks import assign
from coenzyme.api.memory import copy_like
from coenzyme.api.rules import runtime
from coenzyme.api.rules.config import Config, ConfigType, config_of
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.structure import parts_of
from coenzyme.frontends.custom_rules import Part, Site

__all__ = ["RuleFunctions", "write"]


@dataclass(frozen=True)
class RuleFunctions:
    """The functions of a rule, as dispatchers, and which of them take a config or shadows.

    Attributes
    ----------
    names
        The names of the arguments of the function that the rule is for.
    written
        The positions of the arguments that the function writes to; None where that is not known.
    """

    names: tuple[str, ...]
    jvp: Any
    fwd: Any
    bwd: Any
    with_config: frozenset[str]
    with_shadows: bool
    written: frozenset[int] | None


def write(functions: RuleFunctions, part: Part, site: Site) -> Callable[..., Any]:
    """Return a function that Numba compiles, as `CustomCode` describes it."""
    code = _Code(functions, site)
    match part:
        case Part.FORWARD:
            return code.forward()
        case Part.AUGMENTED:
            return code.augmented()
        case Part.REVERSE:
            return code.reverse()
        case Part.RELEASE:
            return code.release()


class _Code:
    def __init__(self, functions: RuleFunctions, site: Site) -> None:
        self.functions = functions
        self.site = site
        self.source = Source()
        self.arguments = [f"a{i}" for i in range(len(site.argtypes))]
        self.shadows = [[f"d{lane}_{i}" for i in range(len(site.argtypes))] for lane in range(site.width)]

    @property
    def given(self) -> list[str]:
        """The parameters that primal arguments and shadows are."""
        return [*self.arguments, *(name for lane in self.shadows for name in lane)]

    def helper(self, name: str) -> str:
        """Return the name of a function of `runtime`."""
        return self.source.name(name, getattr(runtime, name))

    def call(self, what: str, operands: Sequence[str]) -> str:
        """Return the call of a function of the rule."""
        name = self.source.name(what, getattr(self.functions, what))
        if what in self.functions.with_config:
            kind = self.source.name("kind", ConfigType(self.config()))
            operands = [f"{self.source.name('config', config_of)}({kind})", *operands]
        return f"{name}({', '.join(operands)})"

    def config(self) -> Config:
        """Return what the rule is told."""
        names = self.functions.names
        unsafe = {n for n, o in zip(names, self.site.overwritten, strict=False) if o}
        return Config(True, self.site.result_active, self.site.width, names, frozenset(unsafe))

    def finish(self, parameters: Sequence[str], name: str) -> Callable[..., Any]:
        """Return the function."""
        return self.source.function(f"rule_{name}", ", ".join(parameters))

    def provide_shadows(self) -> None:
        """Add what makes shadows that may be missing."""
        present = self.helper("present")
        for lane in self.shadows:
            for d, a, shadowed in zip(lane, self.arguments, self.site.shadowed, strict=True):
                if shadowed:
                    self.source.add(f"{d}s = {present}({d}, {a})")

    def passed(self, lane: int) -> list[str]:
        """Return the tangents or shadows as the rule gets them: zeros for constants.

        Numba compiles code for both where it is not known whether something is None, so that None were of
        little use.
        """
        zero = self.helper("zero_tangent")
        pairs = zip(self.shadows[lane], self.arguments, self.site.shadowed, strict=True)
        return [f"{d}s" if shadowed else f"{zero}({a})" for d, a, shadowed in pairs]

    def check_value(self, returned: str) -> None:
        """Add the variable `value`, which is what the function returns."""
        kind = self.source.name("kind", self.site.restype)
        self.source.add(f"value = {self.helper('value_as')}({returned}, {kind})")
        self.source.add(f"{self.helper('require_own')}(value, {tuple_of(self.given)})")

    def forward(self) -> Callable[..., Any]:
        """Return the forward derivative."""
        self.provide_shadows()
        copy, put = self.source.name("copy", copy_like), self.source.name("put", assign)
        mutated = self.mutated() if self.site.width > 1 else []
        for number in mutated:
            self.source.add(f"before{number} = {copy}(a{number})")
        own = self.helper("own")
        for lane in range(self.site.width):
            for number in mutated if lane else []:
                # Every lane finds what the first one has found.
                self.source.add(f"{put}(a{number}, before{number})")
            call = self.call("jvp", [tuple_of(self.arguments), tuple_of(self.passed(lane))])
            self.source.add(f"primal{lane}, tangent{lane} = {self.helper('pair')}({call})")
            if lane == 0:
                self.check_value("primal0")
            self.source.add(f"result{lane} = {own}(tangent{lane}, value)")
        results = [f"result{lane}" for lane in range(self.site.width)]
        self.source.add(f"return {tuple_of(['value', *results])}")
        return self.finish(self.given, "forward")

    def mutated(self) -> list[int]:
        """Return the arguments whose memory the function may write."""
        kinds = self.site.argtypes
        written = self.functions.written
        return [
            n
            for n, kind in enumerate(kinds)
            if isinstance(kind, types.Array) and kind.mutable and (written is None or n in written)
        ]

    def augmented(self) -> Callable[..., Any]:
        """Return the augmented primal."""
        self.source.add(f"primal, residuals = {self.helper('pair')}({self.call('fwd', self.arguments)})")
        self.check_value("primal")
        unsafe = [a for a, o in zip(self.arguments, self.site.overwritten, strict=True) if o]
        known = all(_is_known(kind) for kind in self.site.argtypes)
        guarded = tuple_of(unsafe) if known else "None"
        self.source.add(f"saved = {self.helper('keep')}(residuals, {guarded}, value)")
        zeros = [f"{self.helper('zeros_of')}(value)" for _ in self.shadows]
        self.source.add(f"return {tuple_of(['value', *zeros, 'saved'])}")
        return self.finish(self.given, "augmented")

    def reverse(self) -> Callable[..., Any]:
        """Return the reverse sweep."""
        self.provide_shadows()
        entries = self.helper("entries")
        cotangents = [f"bar{lane}" for lane in range(self.site.width)]
        adjoints: list[str] = []
        for lane, shadows in enumerate(self.shadows):
            operands = ["saved", cotangents[lane]]
            if self.functions.with_shadows:
                operands.append(tuple_of(self.passed(lane)))
            found = f"found{lane}"
            self.source.add(f"{found} = {entries}({self.call('bwd', operands)}, {tuple_of(self.arguments)})")
            for number, shadowed in enumerate(self.site.shadowed):
                if shadowed:
                    self.source.add(f"{self.helper('add_cotangent')}({shadows[number]}s, {found}[{number}])")
            numbers = [f"{self.helper('number')}({found}[{n}], a{n})" for n in self.site.returned]
            adjoints.append(tuple_of(numbers))
        self.source.add(f"return {tuple_of(adjoints) if self.site.returned else None}")
        return self.finish([*self.given, *cotangents, "saved"], "reverse")

    def release(self) -> Callable[..., Any]:
        """Return what gives back what a record holds."""
        held = [*(f"bar{lane}" for lane in range(self.site.width)), "saved"]
        for name in held:
            self.source.add(f"{self.helper('release')}({name})")
        self.source.add("return None")
        return self.finish(held, "release")


def _is_known(kind: Any) -> bool:
    """Whether all memory behind a value of a type is that of arrays in it."""
    if isinstance(kind, types.BaseTuple):
        return all(map(_is_known, parts_of(kind)))
    if isinstance(kind, (types.Array, types.Number, types.Boolean, types.NoneType, types.UnicodeType)):
        return True
    return isinstance(kind, (types.Omitted, types.Literal, types.Callable, types.Dispatcher))
