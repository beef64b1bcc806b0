"""The derivatives of a loop of steps, as functions that Numba compiles: one body for each choice of types.

The loop works on copies of the arrays that the state is made of, and returns them. On the way there the
augmented loop stores snapshots, as many as it was allowed; the reverse sweep runs stretches of steps again
from them, and through one step at a time runs the derivative of that step.

Source: Griewank & Walther, "Algorithm 799: revolve" (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from inspect import Parameter
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from numba.core import types

from coenzyme.analysis.passes import Pass, passes_in_force
from coenzyme.api.annotations import Const, Duplicated, Forward, Reverse
from coenzyme.api.autodiff import AnnotatedCall
from coenzyme.api.blocks import add_into, copy_block
from coenzyme.api.calls import Call, apply, entry_of
from coenzyme.api.functions import Compiled
from coenzyme.api.guarded import call_holding
from coenzyme.api.memory import overlap, zero_like
from coenzyme.api.revolve import steps_before_snapshot
from coenzyme.api.sharing import Sharing
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.sweeps import positional
from coenzyme.frontends.numba_rules import NumbaRule, keep

__all__ = ["Loop", "kept_loop"]


@dataclass(frozen=True)
class Loop:
    """A loop of steps on arrays.

    Parameters
    ----------
    step
        ``step(i, *state, *parameters)`` writes into the arrays of the state, and into nothing else.
    state
        How many arrays the state is made of.
    parameters
        How many other arguments a step takes.
    passes
        The passes by which derivatives of a step are made.
    """

    step: Compiled
    state: int
    parameters: int
    passes: frozenset[Pass] = field(default_factory=passes_in_force)

    @cached_property
    def arguments(self) -> list[str]:
        """The names of a loop's arguments: steps, snapshots, state, parameters."""
        return ["n", "s", *names("u", self.state), *names("a", self.parameters)]


def names(stem: str, count: int) -> list[str]:
    """Return numbered names."""
    return [f"{stem}{i}" for i in range(count)]


@cache
def kept_loop(loop: Loop) -> Any:
    """Return the dispatcher of a loop, which stays a call until it is differentiated."""
    count = len(loop.arguments)
    parts = {
        _Run: loop.arguments,
        _Tangent: [*loop.arguments, *names("d", count)],
        _Record: [*loop.arguments, *names("d", count)],
        _Replay: [*loop.arguments, *names("d", count), "cotangent", "saved"],
    }
    made: dict[type, Callable[..., Any]] = {}
    for kind, given in parts.items():
        source = Source()
        call = source.name("loop", kind(loop.step, loop, passes=loop.passes))
        source.add(f"return {source.name('apply', apply)}({call}, {tuple_of(given)})")
        made[kind] = source.function(f"checkpoint_{kind.label}", ", ".join(given))
    return keep(made[_Run], NumbaRule(made[_Tangent], made[_Record], made[_Replay]))


@dataclass(frozen=True)
class _LoopCall(Call):
    function: Compiled
    loop: Loop
    label: ClassVar[str]

    def parameters(self) -> Sequence[Parameter]:
        """Return the arguments of the loop, and what goes with them."""
        return positional("x", len(self.loop.arguments))

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        body = _Body(self.loop, argtypes)
        self.write(body)
        return body.source.function(f"checkpoint_{self.label}", ", ".join(body.given))

    def write(self, body: _Body) -> None:
        """Write the body."""
        raise NotImplementedError


class _Body:
    """The body of a loop under construction.

    Parameters
    ----------
    loop
        The loop.
    argtypes
        The Numba types of its arguments, and of all that goes with them.
    """

    def __init__(self, loop: Loop, argtypes: tuple[types.Type, ...]) -> None:
        self.loop = loop
        self.source = Source()
        count = len(loop.arguments)
        rest = argtypes[count:]
        extra = ["cotangent", "saved"][: max(len(rest) - count, 0)]
        self.given = [*loop.arguments, *names("d", min(len(rest), count)), *extra]
        self.kinds = argtypes[:count]
        self.shadow_kinds = rest[:count]
        self.u, self.a = names("u", loop.state), names("a", loop.parameters)
        self.w, self.dw = names("w", loop.state), names("dw", loop.state)
        self.state_kinds = self.kinds[2 : 2 + loop.state]
        self.parameter_kinds = self.kinds[2 + loop.state :]
        self.step = self.source.name("step", loop.step)
        self.call = self.source.name("call", call_holding)
        self.zeros = self.source.name("zeros", zero_like)

    def add(self, line: str, depth: int = 0) -> None:
        """Append a line."""
        self.source.add(line, depth=depth)

    def arrays_in(self, parameters: Sequence[str]) -> list[str]:
        """Return those of the loop's parameters, under these names, that are arrays."""
        kinds = self.parameter_kinds
        return [name for name, kind in zip(parameters, kinds, strict=True) if isinstance(kind, types.Array)]

    def shadows(self) -> tuple[list[str | None], list[str | None]]:
        """Return the names of the shadows of state and parameters, None where there is none."""
        present = [
            None if isinstance(kind, types.NoneType) else f"d{i}" for i, kind in enumerate(self.shadow_kinds)
        ]
        return present[2 : 2 + self.loop.state], present[2 + self.loop.state :]

    def run_step(self, i: str, parameters: Sequence[str], held: Sequence[str], depth: int) -> None:
        """Add step number `i` on the working state."""
        operands = tuple_of([i, *self.w, *parameters])
        kept = tuple_of([*self.w, *self.arrays_in(parameters), *held])
        self.add(f"{self.call}({self.step}, {operands}, {kept})", depth)

    def run_derivative(
        self,
        mode: Any,
        i: str,
        parameters: Sequence[str],
        dparameters: Sequence[str | None],
        held: Sequence[str],
        depth: int,
    ) -> None:
        """Add the derivative of step number `i` on the working state."""
        dstate = [d if is_float(k) else None for d, k in zip(self.dw, self.state_kinds, strict=True)]
        shadows = [*dstate, *dparameters]
        kinds = (Const, *(Const if d is None else Duplicated for d in shadows))
        # The state is copied and shares no memory; whatever else does is only read.
        request = AnnotatedCall(self.loop.step, mode, None, kinds, 0, Sharing.READ)
        operands = tuple_of([i, *self.w, *parameters, *(d for d in shadows if d is not None)])
        kept = tuple_of(
            [*self.w, *self.dw, *self.arrays_in(parameters), *(d for d in dparameters if d), *held]
        )
        self.add(
            f"{self.call}({self.source.name('derivative', entry_of(request))}, {operands}, {kept})", depth
        )

    def copy_state(self) -> None:
        """Add copies of the initial state: the working state."""
        for w, u in zip(self.w, self.u, strict=True):
            self.add(f"{w} = {u}.copy()")

    def copy(
        self, targets: Iterable[str], row: str, sources: Iterable[str], from_row: str, depth: int
    ) -> None:
        """Add copies between arrays, seen as rows of the size of a state."""
        block = self.source.name("copy", copy_block)
        for target, source, w in zip(targets, sources, self.w, strict=True):
            self.add(f"{block}({target}, {row}, {source}, {from_row}, {w}.size)", depth)

    def run_stretch(self, until: str, parameters: Sequence[str], held: Sequence[str], depth: int) -> None:
        """Add what takes the working state from number `i` to ``until - 1``, with snapshots on the way."""
        ahead = self.source.name("ahead", steps_before_snapshot)
        self.add(f"while i < {until} - 1:", depth)
        self.add("if used == 0 or places[used - 1] != i:", depth + 1)
        self.copy(names("store", self.loop.state), "used", self.w, "0", depth + 2)
        self.add("places[used] = i", depth + 2)
        self.add("used += 1", depth + 2)
        self.add(f"target = i + {ahead}({until} - i, places.size - used + 1)", depth + 1)
        self.add("for j in range(i, target):", depth + 1)
        self.run_step("j", parameters, held, depth + 2)
        self.add("i = target", depth + 1)


def is_float(kind: types.Type) -> bool:
    """Whether an array holds what is differentiated."""
    return isinstance(kind, types.Array) and isinstance(kind.dtype, (types.Float, types.Complex))


class _Run(_LoopCall):
    """The loop itself."""

    label: ClassVar[str] = "loop"

    def write(self, body: _Body) -> None:
        """Write the body."""
        body.copy_state()
        body.add("for j in range(n):")
        body.run_step("j", body.a, [], 1)
        body.add(f"return {tuple_of(body.w)}")


class _Tangent(_LoopCall):
    """The loop with its tangent."""

    label: ClassVar[str] = "tangent"

    def write(self, body: _Body) -> None:
        """Write the body."""
        state, parameters = body.shadows()
        body.copy_state()
        for w, dw, du in zip(body.w, body.dw, state, strict=True):
            body.add(f"{dw} = {body.zeros}({w})" if du is None else f"{dw} = {du}.copy()")
        body.add("for j in range(n):")
        body.run_derivative(Forward, "j", body.a, parameters, [], 1)
        body.add(f"return {tuple_of(body.w)}, {tuple_of(body.dw)}")


class _Record(_LoopCall):
    """The loop with snapshots; what is saved is ``(parameters, snapshots, last state, places, used)``."""

    label: ClassVar[str] = "augmented"

    def write(self, body: _Body) -> None:
        """Write the body."""
        copies, last, stores = (
            names("b", len(body.a)),
            names("last", len(body.w)),
            names("store", len(body.w)),
        )
        for b, a in zip(copies, body.a, strict=True):
            # Parameters may change before the reverse sweep runs steps with them again.
            body.add(f"{b} = {a}.copy()" if a in body.arrays_in(body.a) else f"{b} = {a}")
        body.copy_state()
        empty = body.source.name("empty", np.empty)
        for store, w in zip(stores, body.w, strict=True):
            body.add(f"{store} = {empty}((s, {w}.size), {w}.dtype)")
        body.add(f"places = {empty}(s, {body.source.name('int64', np.int64)})")
        for ended, w in zip(last, body.w, strict=True):
            body.add(f"{ended} = {w}.copy()")
        held = [*stores, "places", *last]
        body.add("used = 0")
        body.add("i = 0")
        body.run_stretch("n", copies, held, 0)
        body.add("if n > 0:")
        body.copy(last, "0", body.w, "0", 1)
        body.run_step("n - 1", copies, held, 1)
        shadows = tuple_of([f"{body.zeros}({w})" for w in body.w])
        saved = tuple_of([tuple_of(copies), tuple_of(stores), tuple_of(last), "places", "used"])
        body.add(f"return {tuple_of(body.w)}, {shadows}, {saved}")


class _Replay(_LoopCall):
    """The way back."""

    label: ClassVar[str] = "reverse"

    def write(self, body: _Body) -> None:
        """Write the body."""
        state, parameters = body.shadows()
        copies, stores = names("b", len(body.a)), names("store", len(body.w))
        for k, w in enumerate(body.w):
            body.add(f"{w} = saved[2][{k}]")
            body.add(f"{stores[k]} = saved[1][{k}]")
            body.add(f"{body.dw[k]} = cotangent[{k}]")
        for k, b in enumerate(copies):
            body.add(f"{b} = saved[0][{k}]")
        body.add("places, used = saved[3], saved[4]")
        bars = [None if d is None else f"bar{k}" for k, d in enumerate(parameters)]
        pairs = [
            (bar, d) for bar, d in zip(bars, parameters, strict=True) if bar is not None and d is not None
        ]
        meet = body.source.name("overlap", overlap)
        clashes = " or ".join(f"{meet}({x}, {y})" for (_, x), (_, y) in combinations(pairs, 2))
        if clashes:
            body.add(f"shared = {clashes}")
        for bar, d in pairs:
            # The derivative of a step takes shadows to be disjoint.
            body.add(f"{bar} = {body.zeros}({d}) if shared else {d}" if clashes else f"{bar} = {d}")
        # What is used after the loop is alive in it.
        later = [*(du for du in state if du is not None), *(d for _, d in pairs if clashes)]
        held = [*stores, "places", *later]
        body.add("fine = n")
        body.add("while fine > 0:")
        body.run_derivative(Reverse, "fine - 1", copies, bars, held, 1)
        body.add("fine -= 1", 1)
        body.add("if fine > 0:", 1)
        body.add("while places[used - 1] >= fine:", 2)
        body.add("used -= 1", 3)
        body.add("i = places[used - 1]", 2)
        body.copy(body.w, "0", stores, "used - 1", 2)
        again = [*held, *body.dw, *(bar for bar, _ in pairs)]
        body.run_stretch("fine", copies, again, 2)
        add = body.source.name("add", add_into)
        for du, dw in zip(state, body.dw, strict=True):
            if du is not None:
                body.add(f"{add}({du}, {dw})")
        if clashes:
            body.add("if shared:")
            for bar, d in pairs:
                body.add(f"{add}({d}, {bar})", 1)
