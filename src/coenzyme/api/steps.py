"""Loops of time steps in compiled code: as they are, and as calls that stay until they are differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import register_jitable

from coenzyme import engine
from coenzyme.api.blocks import assign
from coenzyme.api.constants import function_of, literal_of
from coenzyme.api.functions import Compiled, name_of, parameters_of
from coenzyme.api.guarded import call_holding
from coenzyme.api.memory import overlap
from coenzyme.api.replay import Loop, kept_loop, names
from coenzyme.api.revolve import default_snapshots
from coenzyme.api.source import Source
from coenzyme.api.structure import Leaf, Node, Tree, leaves_of, rebuild, tree_of
from coenzyme.errors import ActivityError, UnsupportedIRError

__all__ = ["NO_SNAPSHOTS", "kept_body", "plain_body"]

_NUMBERS = (types.Float, types.Complex, types.Integer, types.Boolean)
NO_SNAPSHOTS = "the number of snapshots is less than 1"
_SHAPE = "a step returned a state of another shape"
_OVERLAP = str(
    ActivityError(
        "an array of the state shares memory with another array that the steps take",
        function="checkpoint",
        remedy="pass a copy of one of them",
    )
)


@register_jitable
def _steps(n: int) -> int:
    return max(n, 0)


@register_jitable
def _count(n: int, snapshots: int | None) -> int:
    """Return how many snapshots to make room for."""
    if snapshots is None:
        return default_snapshots(n)
    if snapshots < 1:
        raise ValueError(NO_SNAPSHOTS)
    return max(min(snapshots, n), 1)


@dataclass(frozen=True)
class _Steps:
    """The steps of a loop, by the Numba types of what they take.

    Parameters
    ----------
    step
        The function.
    state, args
        Types of the state, and of the other arguments.
    index
        Whether a step is told its number.
    """

    step: Compiled
    state: types.Type
    args: tuple[types.Type, ...]
    index: bool

    @property
    def argtypes(self) -> tuple[types.Type, ...]:
        """The types of what a step takes."""
        return (self.state, *((types.int64,) if self.index else ()), *self.args)

    @property
    def returned(self) -> types.Type:
        """The type of what a step returns."""
        return engine.primal(self.step, self.argtypes)

    @property
    def in_place(self) -> bool:
        """Whether a step writes into the state and returns nothing."""
        return isinstance(self.returned, types.NoneType)


def _steps_of(step: Any, state: Any, args: Sequence[Any], index: Any) -> _Steps:
    given = tuple(numba.typeof(a.value) if isinstance(a, types.Omitted) else types.unliteral(a) for a in args)
    function = function_of(step, "checkpoint")
    return _Steps(function, types.unliteral(state), given, bool(literal_of(index, "index")))


def _parameters_for(count: int) -> str:
    return ", ".join(["step", "state", "n", *names("a", count), "snapshots=None", "index=False"])


def plain_body(step: Any, state: Any, args: Sequence[Any], snapshots: Any, index: Any) -> Callable[..., Any]:
    """Return the loop itself."""
    steps = _steps_of(step, state, args, index)
    source = Source()
    given = ", ".join(["state", *(["i"] if steps.index else []), *names("a", len(args))])
    source.add(f"{source.name('count', _count)}(n, snapshots)")
    source.add("for i in range(n):")
    function = source.name("step", steps.step)
    if steps.in_place:
        source.add(f"{function}({given})", depth=1)
    else:
        source.add(f"state = {function}({given})", depth=1)
        source.add("return state")
    return source.function("checkpoint", _parameters_for(len(args)))


def kept_body(step: Any, state: Any, args: Sequence[Any], snapshots: Any, index: Any) -> Callable[..., Any]:
    """Return the call of a loop that stays a call until it is differentiated."""
    steps = _steps_of(step, state, args, index)
    writer = _KeptBody(steps)
    return writer.write()


def _tree(kind: types.Type, path: str) -> Tree:
    return tree_of(kind, path, differentiated=True)


class _KeptBody:
    """Takes state and arguments apart into arrays, and puts the state together again."""

    def __init__(self, steps: _Steps) -> None:
        self.steps = steps
        self.source = Source()
        self.state = _tree(steps.state, "state")
        self.args = [_tree(kind, f"a{i}") for i, kind in enumerate(steps.args)]
        self.parts = list(leaves_of(self.state))
        for part in self.parts:
            _check_part(part, steps.step)
        self.others = [leaf for tree in self.args for leaf in leaves_of(tree)]
        # Functions are known by their types: they are not passed.
        self.passed = [leaf for leaf in self.others if not isinstance(leaf.kind, types.Dispatcher)]
        for leaf in self.passed:
            _check_argument(leaf, steps.step)

    def write(self) -> Callable[..., Any]:
        """Return the body."""
        source = self.source
        loop = Loop(self._flat_step(), len(self.parts), len(self.passed))
        self._check_effects(loop.step)
        source.add(f"n = {source.name('steps', _steps)}(n)")
        source.add(f"s = {source.name('count', _count)}(n, snapshots)")
        self._refuse_overlaps()
        operands = ["n", "s", *map(self._boxed, self.parts), *map(self._boxed, self.passed)]
        call, kept = source.name("call", call_holding), source.name("loop", kept_loop(loop))
        held = "(state,)" if self.steps.in_place else "()"
        source.add(f"made = {call}({kept}, ({', '.join(operands)}), {held})")
        if self.steps.in_place:
            for k, part in enumerate(self.parts):
                if part.is_array:
                    source.add(f"{source.name('assign', assign)}({part.path}, made[{k}])")
        else:
            position = {part.path: k for k, part in enumerate(self.parts)}

            def last(leaf: Leaf) -> str:
                made = f"made[{position[leaf.path]}]"
                return made if leaf.is_array else f"{made}[0]"

            source.add(f"return {rebuild(self.state, last, source)}")
        return source.function("checkpoint", _parameters_for(len(self.args)))

    def _boxed(self, leaf: Leaf) -> str:
        """Return the expression of what is passed for a leaf: arrays for all that may be differentiated."""
        if isinstance(leaf.kind, (types.Float, types.Complex)) or (leaf in self.parts and not leaf.is_array):
            return f"{self.source.name('full', np.full)}(1, {leaf.path})"
        return leaf.path

    def _refuse_overlaps(self) -> None:
        arrays = [part for part in self.parts if part.is_array]
        given = [leaf for leaf in self.passed if leaf.is_array]
        meet = self.source.name("overlap", overlap)
        pairs = [*combinations(arrays, 2), *product(arrays, given)]
        if pairs:
            tests = " | ".join(f"{meet}({x.path}, {y.path})" for x, y in pairs)
            self.source.add(f"if {tests}:")
            self.source.add(f"raise {self.source.name('error', ActivityError)}({_OVERLAP!r})", depth=1)

    def _flat_step(self) -> Compiled:
        """Return the step as a function of its number and arrays, which writes into the state."""
        steps, source = self.steps, Source()
        u = {part.path: f"u{k}" for k, part in enumerate(self.parts)}
        a = {leaf.path: f"a{k}" for k, leaf in enumerate(self.passed)}

        def value(leaf: Leaf) -> str:
            if isinstance(leaf.kind, types.Dispatcher):
                return source.name("function", function_of(leaf.kind, "checkpoint"))
            name = u.get(leaf.path) or a[leaf.path]
            number = leaf.path in u or isinstance(leaf.kind, (types.Float, types.Complex))
            return f"{name}[0]" if number and not leaf.is_array else name

        operands = [rebuild(self.state, value, source), *(["i"] if steps.index else [])]
        operands += [rebuild(tree, value, source) for tree in self.args]
        given = ", ".join(operands)
        function = source.name("step", steps.step)
        # The references of this frame are let go of where the step raises.
        plain = all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters_of(steps.step))
        if plain and len(parameters_of(steps.step)) == len(operands):
            held = "()" if steps.in_place else f"({', '.join(u.values())},)"
            call = f"{source.name('call', call_holding)}({function}, ({given},), {held})"
        else:
            call = f"{function}({given})"
        if steps.in_place:
            source.add(call)
        else:
            source.add(f"new = {call}")
            self._add_assignments(source, u)
        header = ["i", *u.values(), *a.values()]
        compiled: Any = numba.njit(source.function(name_of(steps.step).rpartition(".")[2], ", ".join(header)))
        return compiled

    def _add_assignments(self, source: Source, u: Mapping[str, str]) -> None:
        """Add what puts a new state into the arrays of the old one."""
        new = _tree(self.steps.returned, "new")
        if not _alike(self.state, new):
            raise ActivityError(
                f"a step takes a {self.steps.state} for the state and returns a {self.steps.returned}",
                function=name_of(self.steps.step),
                remedy="let it return a state like the one that it takes, or write into that and return None",
            )
        pairs = list(zip(self.parts, leaves_of(new), strict=True))
        shapes = [f"{fresh.path}.shape != {u[old.path]}.shape" for old, fresh in pairs if old.is_array]
        if shapes:
            source.add(f"if {' or '.join(shapes)}:")
            source.add(f"raise ValueError({_SHAPE!r})", depth=1)
        for old, fresh in pairs:
            if old.is_array:
                source.add(f"{source.name('assign', assign)}({u[old.path]}, {fresh.path})")
            else:
                source.add(f"{u[old.path]}[0] = {fresh.path}")

    def _check_effects(self, flat: Compiled) -> None:
        """Refuse steps that cannot be run again from their state."""
        boxed = [leaf for leaf in [*self.parts, *self.passed]]
        kinds = [
            _as_array(leaf) if leaf in self.parts or leaf.differentiated else leaf.kind for leaf in boxed
        ]
        found = engine.effects(flat, (types.int64, *kinds))
        if found.draws:
            raise ActivityError(
                "a step draws random numbers, and would draw others when it is run again",
                function=name_of(self.steps.step),
                remedy="draw them before the loop, and pass them as an array",
            )
        state = range(1, 1 + len(self.parts))
        outside = None if found.written is None else sorted(found.written.difference(state))
        if outside is None or outside:
            leaf = self.passed[outside[0] - state.stop] if outside else None
            raise ActivityError(
                "a step writes into memory that is not part of the state",
                function=name_of(self.steps.step),
                argument=None if leaf is None else self._argument_of(leaf),
                remedy="make it part of the state: checkpoint(step, (u, scratch), n)",
            )

    def _argument_of(self, leaf: Leaf) -> str:
        position = int(leaf.path.split("[")[0][1:]) + (2 if self.steps.index else 1)
        parameters = parameters_of(self.steps.step)
        return parameters[min(position, len(parameters) - 1)].name


def _as_array(leaf: Leaf) -> types.Type:
    """Return the type of the array that stands for a leaf."""
    if not isinstance(leaf.kind, types.Array):
        return types.Array(types.unliteral(leaf.kind), 1, "C")
    layout = leaf.kind.layout if leaf.kind.layout in "CF" else "C"
    return leaf.kind.copy(layout=layout, readonly=False)


def _alike(old: Tree, new: Tree) -> bool:
    """Whether a new state fits an old one."""
    match old, new:
        case Node(), Node():
            return len(old.children) == len(new.children) and all(map(_alike, old.children, new.children))
        case Leaf(), Leaf():
            if isinstance(old.kind, types.Array) and isinstance(new.kind, types.Array):
                return old.kind.dtype == new.kind.dtype and old.kind.ndim == new.kind.ndim
            return types.unliteral(old.kind) == types.unliteral(new.kind)
        case _:
            return False


def _is_array(kind: types.Type) -> bool:
    return isinstance(kind, types.Array) and isinstance(kind.dtype, _NUMBERS)


def _check_part(leaf: Leaf, step: Compiled) -> None:
    if not (_is_array(leaf.kind) or isinstance(leaf.kind, _NUMBERS)):
        raise UnsupportedIRError(
            f"the state of a loop with snapshots holds a value of type {leaf.kind}",
            function=name_of(step),
            remedy="make the state of numbers, arrays of numbers, and tuples of them",
        )


def _check_argument(leaf: Leaf, step: Compiled) -> None:
    constants = (types.NoneType, types.UnicodeType, types.Literal, types.EnumMember)
    if not (_is_array(leaf.kind) or isinstance(leaf.kind, (*_NUMBERS, *constants))):
        raise UnsupportedIRError(
            f"the steps of a loop with snapshots take a value of type {leaf.kind}",
            function=name_of(step),
            remedy="pass numbers, arrays of numbers, and tuples of them",
        )
