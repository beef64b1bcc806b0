"""A function as a check calls it: flat arguments, everything that it returns written to arrays.

Around the function stands a compiled one whose arguments are numbers and arrays, no tuples. It copies what
the function returns into output arrays, so that one vector holds all that a call gives: the value, then the
memory of the arguments on exit. All modes and widths are asked for in the same way then. There are three of
them: one as described; one that copies the memory on exit to outputs too, and then overwrites all arguments,
so that the reverse sweep finds other numbers in them; and one that does not use the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt

import coenzyme
from coenzyme.api.functions import as_dispatcher, name_of
from coenzyme.api.validation import rebuild_tuple
from coenzyme.errors import ActivityError
from coenzyme.testing.arguments import Arguments, Vector

__all__ = ["Harness", "Run", "Use"]

Array = npt.NDArray[Any]


class Use(Enum):
    """What the code around the function does with what a call gives."""

    KEPT = auto()
    """It reads the value, and leaves the arguments alone."""
    OVERWRITTEN = auto()
    """It reads the value, and overwrites the arguments."""
    UNUSED = auto()
    """It drops the value."""


@dataclass(frozen=True)
class Run:
    """What a call has left.

    Attributes
    ----------
    outputs
        The value, and the memory of the arguments on exit.
    arrays
        All arrays among the arguments, those of integers too, on exit.
    derivatives
        One vector for each direction: tangents of the outputs, or cotangents of the arguments.
    """

    outputs: Vector
    arrays: tuple[Array, ...]
    derivatives: tuple[Vector, ...]


def _leaves_of(x: Any, name: str) -> list[tuple[str, Any]]:
    if not isinstance(x, tuple):
        return [(name, x)]
    parts = cast(tuple[Any, ...], x)
    fields = getattr(parts, "_fields", None)
    labels = [f".{field}" for field in fields] if fields else [f"[{i}]" for i in range(len(parts))]
    return [
        leaf for part, label in zip(parts, labels, strict=True) for leaf in _leaves_of(part, name + label)
    ]


def _is_number(x: object) -> bool:
    return isinstance(x, (float, complex, np.inexact))


def _is_written_to(x: object) -> bool:
    return isinstance(x, np.ndarray) and x.flags.writeable


class Harness:
    """A function at a point, and its derivatives there by every mode.

    Parameters
    ----------
    function
        A function that Numba can compile, with a rule or without.
    args
        The point: numbers, arrays, and tuples of them. They are copied.
    argnums
        The arguments to differentiate; all that hold floats, if None.
    names
        What the arguments are called.
    junk
        Draws the numbers that arguments are overwritten with.

    Attributes
    ----------
    arguments
        The flat arguments, as one vector.
    values
        The arrays that the value is written to.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        argnums: Sequence[int] | None,
        names: Sequence[str],
        junk: np.random.Generator,
    ) -> None:
        self.function: Any = as_dispatcher(function)
        self._args = tuple(args)
        leaves: list[tuple[str, Any]] = []
        chosen: list[int] = []
        for i, (x, name) in enumerate(zip(args, names, strict=True)):
            found = _leaves_of(x, name)
            if argnums is None or i in argnums:
                chosen.extend(range(len(leaves), len(leaves) + len(found)))
            leaves += found
        self._refuse_containers(leaves)
        self.names = tuple(name for name, _ in leaves)
        self.arguments = Arguments([x for _, x in leaves], chosen, self.names)
        flat = self._point()
        value = self.function(*self._nested(flat))
        self._value_leaves = [
            (label, x)
            for label, x in _leaves_of(value, "value")
            if _is_number(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "fc")
        ]
        self.values = Arguments(self._outputs(), names=[label for label, _ in self._value_leaves])
        self.memory = self.arguments.memory
        self.primal = Run(self._packed(value, flat), self._arrays(flat), ())
        self._junk = tuple(_other_numbers(x, junk) if _is_written_to(x) else None for x in self._point())
        self.are_arrays = tuple(isinstance(x, np.ndarray) for x in flat)
        self.own_cells = self._own_cells()
        self._compiled: dict[Use, Any] = {}

    def _own_cells(self) -> list[Vector]:
        """Return for each flat argument which cells it has that none before it has: ones, elsewhere zeros."""
        seen, found = np.zeros(self.arguments.point.size), list[Vector]()
        ones = self.arguments.shadows(np.ones(self.arguments.point.size))
        for i in range(len(self.names)):
            alone = self.arguments.read([dx if i == k else None for k, dx in enumerate(ones)])
            found.append(alone * (1.0 - seen))
            seen = np.maximum(seen, alone)
        return found

    def _refuse_containers(self, leaves: Sequence[tuple[str, Any]]) -> None:
        for name, x in leaves:
            if isinstance(x, (list, dict)) and Arguments((x,)).argnums:
                raise ActivityError(
                    f"a {type(x).__name__} of numbers cannot be given to the check",
                    function=name_of(self.function),
                    argument=name,
                    remedy="pass arrays, or tuples of arrays and numbers; or use check_derivatives",
                )

    # -- the function around the function

    def _point(self) -> list[Any]:
        return list(self.arguments.build(self.arguments.point))

    def _nested(self, flat: Sequence[Any]) -> tuple[Any, ...]:
        remaining = iter(flat)

        def rebuild(x: Any) -> Any:
            if not isinstance(x, tuple):
                return next(remaining)
            parts = cast(tuple[Any, ...], x)
            return rebuild_tuple(parts, [rebuild(part) for part in parts])

        return tuple(rebuild(x) for x in self._args)

    def _outputs(self) -> tuple[Array, ...]:
        return tuple(np.zeros(np.shape(x) or (1,), np.asarray(x).dtype) for _, x in self._value_leaves)

    def compiled(self, use: Use) -> Any:
        """Return the function around the function."""
        if use not in self._compiled:
            self._compiled[use] = self._compile(use)
        return self._compiled[use]

    def _compile(self, use: Use) -> Any:
        namespace: dict[str, Any] = {"function": self.function}
        count = iter(range(len(self.names)))

        def spelt(x: Any) -> str:
            if not isinstance(x, tuple):
                return f"a{next(count)}"
            parts = "".join(f"{spelt(part)}, " for part in cast(tuple[Any, ...], x))
            if not hasattr(cast(Any, x), "_fields"):
                return f"({parts})"
            kind = f"tuple{len(namespace)}"
            namespace[kind] = type(x)
            return f"{kind}({parts})"

        lines = [f"value = function({', '.join([spelt(x) for x in self._args])})"]
        parameters = [f"a{i}" for i in range(len(self.names))]
        if use is not Use.UNUSED:
            for i, (label, x) in enumerate(self._value_leaves):
                lines.append(
                    f"v{i}[{'...' if np.ndim(x) else '0'}] = {label}{'' if np.shape(x) else _item(x)}"
                )
                parameters.append(f"v{i}")
        if use is Use.OVERWRITTEN:
            for i, given in enumerate(self._junk):
                if given is not None:
                    parameters += [f"m{i}", f"j{i}"]
            written = [i for i, given in enumerate(self._junk) if given is not None]
            lines += [f"m{i}[...] = a{i}" for i in written]
            lines += [f"a{i}[...] = j{i}" for i in written]
        text = f"def {self._name()}({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)
        exec(compile(text, f"<check of {self._name()}>", "exec"), namespace)
        return numba.njit(namespace[self._name()])

    def _name(self) -> str:
        name = getattr(self.function.py_func, "__name__", "function")
        return f"check_{name}" if name.isidentifier() else "check_function"

    # -- calls

    def evaluate(self, x: Vector, reference: Callable[..., Any] | None = None) -> Vector:
        """Return the outputs at another point, by a plain call, or by one of `reference` in float64."""
        flat = list(self.arguments.build(x, wide=reference is not None))
        value = (reference or self.function)(*self._nested(flat))
        return self._packed(value, flat)

    def forward(
        self, directions: Sequence[Vector], use: Use = Use.KEPT, constant: frozenset[int] = frozenset()
    ) -> Run:
        """Return the tangents of the outputs along some directions.

        Parameters
        ----------
        constant
            Arguments that are passed as constants, by their positions among the flat ones.
        """
        lanes = [self.arguments.shadows(d) for d in directions]
        call = _Call(self, use, lanes, [self._outputs() for _ in lanes], constant)
        coenzyme.autodiff(coenzyme.Forward, self.compiled(use), coenzyme.Const, *call.annotated(active=False))
        found = [
            np.concatenate([self.values.read(out), self._exit(call, k)])
            for k, out in enumerate(call.d_values)
        ]
        return self._run(call, found)

    def reverse(
        self,
        weights: Sequence[Vector],
        use: Use = Use.KEPT,
        constant: frozenset[int] = frozenset(),
        *,
        split: bool = False,
    ) -> Run:
        """Return the cotangents of the arguments for some cotangents of the outputs.

        Parameters
        ----------
        constant
            As for `forward`.
        split
            Run the two halves apart, and overwrite arguments and outputs in between.
        """
        count = self.values.point.size
        of_memory = [np.where(self.memory, w[count:], 0.0) for w in weights]
        lanes = [self.arguments.shadows(w) for w in of_memory]
        call = _Call(self, use, lanes, [self.values.shadows(w[:count]) for w in weights], constant)
        annotated = call.annotated(active=True)
        function = self.compiled(use)
        if split:
            kinds = [type(x) for x in annotated]
            mode = coenzyme.ReverseSplitNoPrimal.replace(width=len(weights))
            first, second = coenzyme.autodiff_thunk(mode, function, coenzyme.Const, *kinds)
            tape, *_ = first(*annotated)
            run = self._run(call, [])
            call.overwrite()
            partials = second(*annotated, tape)
        else:
            partials = coenzyme.autodiff(coenzyme.Reverse, function, coenzyme.Const, *annotated)
            run = self._run(call, [])
        return Run(run.outputs, run.arrays, tuple(call.cotangents(partials)))

    def _run(self, call: _Call, derivatives: Sequence[Vector]) -> Run:
        values = self.values.read(call.values)
        if call.use is Use.UNUSED:
            values = self.primal.outputs[: values.size]
        flat = [call.flat[i] if m is None else m for i, m in enumerate(call.exit)]
        exit_memory = np.where(self.memory, self.arguments.read(flat), 0.0)
        return Run(np.concatenate([values, exit_memory]), self._arrays(flat), tuple(derivatives))

    def _exit(self, call: _Call, lane: int) -> Vector:
        shadows = call.lanes[lane]
        flat = [dx if dm is None else dm for dx, dm in zip(shadows, call.d_exit[lane], strict=True)]
        return np.where(self.memory, self.arguments.read(flat), 0.0)

    def _packed(self, value: Any, flat: Sequence[Any]) -> Vector:
        found = [
            np.asarray(x).reshape(np.shape(x) or (1,))
            for _, x in _leaves_of(value, "")
            if _is_number(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "fc")
        ]
        exit_memory = np.where(self.memory, self.arguments.read(flat), 0.0)
        return np.concatenate([self.values.read(found), exit_memory])

    def _arrays(self, flat: Sequence[Any]) -> tuple[Array, ...]:
        return tuple(x.copy() for x in flat if isinstance(x, np.ndarray))

    def output_of(self, position: int) -> str:
        """Return which output an entry of the vector of outputs is."""
        count = self.values.point.size
        if position < count:
            name, entry = self.values.owner_of(position)
            whole = next(x for label, x in self._value_leaves if label == name)
            return name + (entry if np.ndim(whole) else entry.removeprefix("[0]"))
        return "".join(self.arguments.owner_of(position - count)) + " on exit"


class _Call:
    """The arguments of one derivative call."""

    def __init__(
        self,
        harness: Harness,
        use: Use,
        lanes: Sequence[tuple[Any, ...]],
        d_values: Sequence[tuple[Any, ...]],
        constant: frozenset[int],
    ) -> None:
        self.use = use
        self.flat = harness._point()
        self.values = harness._outputs()
        self.lanes = [tuple(None if i in constant else dx for i, dx in enumerate(lane)) for lane in lanes]
        self.d_values = d_values
        self._arguments = harness.arguments
        self._junk = harness._junk
        self._own_cells = harness.own_cells
        copied = use is Use.OVERWRITTEN
        self.exit = [
            x.copy() if copied and given is not None else None
            for x, given in zip(self.flat, self._junk, strict=True)
        ]
        # What is to come back as the cotangent of memory on exit goes in as that of the copies; of a cell
        # that two arguments share, as that of one of the copies.
        self.d_exit = [self._shadows_of_exit(lane) for lane in self.lanes]

    def _shadows_of_exit(self, lane: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for i, dx in enumerate(lane):
            if self.exit[i] is None or dx is None:
                found.append(None)
                continue
            alone = self._arguments.read([dx if i == k else None for k in range(len(lane))])
            found.append(self._arguments.shadows(alone * self._own_cells[i])[i].copy())
        return found

    def annotated(self, *, active: bool) -> list[Any]:
        """Return the annotated arguments; numbers are `Active` or have tangents."""
        found = [
            self._annotate(x, [lane[i] for lane in self.lanes], active=active)
            for i, x in enumerate(self.flat)
        ]
        if self.use is not Use.UNUSED:
            for i, out in enumerate(self.values):
                found.append(self._annotate(out, [d[i] for d in self.d_values], active=active))
        if self.use is Use.OVERWRITTEN:
            for i, given in enumerate(self._junk):
                if given is not None:
                    copies = [d[i] for d in self.d_exit]
                    found += [self._annotate(self.exit[i], copies, active=active), coenzyme.Const(given)]
        return found

    def _annotate(self, x: Any, shadows: Sequence[Any], *, active: bool) -> Any:
        if shadows[0] is None:
            return coenzyme.Const(x)
        if active and not isinstance(x, np.ndarray):
            return coenzyme.Active(x)
        if len(shadows) == 1:
            return coenzyme.Duplicated(x, shadows[0])
        return coenzyme.BatchDuplicated(x, tuple(shadows))

    def overwrite(self) -> None:
        """Write other numbers into all arguments and outputs."""
        for x, given in zip(self.flat, self._junk, strict=True):
            if given is not None:
                x[...] = given
        for out in self.values:
            out[...] = -0.75 * out + 1.5

    def cotangents(self, partials: Sequence[Any]) -> list[Vector]:
        """Return the cotangents of the arguments after a reverse sweep, one vector for each direction."""
        wide = len(self.lanes) > 1
        found: list[Vector] = []
        for k, lane in enumerate(self.lanes):
            own = [
                partials[i][k] if wide and partials[i] is not None else partials[i] for i in range(len(lane))
            ]
            leaving = [dx if isinstance(dx, np.ndarray) else d for dx, d in zip(lane, own, strict=True)]
            found.append(self._arguments.read(leaving))
        return found


def _item(x: Any) -> str:
    return "[()]" if isinstance(x, np.ndarray) else ""


def _other_numbers(x: Array, rng: np.random.Generator) -> Array:
    """Return an array like `x` with other numbers, finite ones; of integers the same in another order."""
    if x.dtype.kind in "fc":
        scale = float(np.max(np.abs(x), initial=0.0)) or 1.0
        other = rng.uniform(0.3, 1.7, x.shape) * scale
        return (other * (1.0 + 0.5j) if x.dtype.kind == "c" else other).astype(x.dtype)
    return x.reshape(-1)[::-1].reshape(x.shape).copy()
