"""What a row of the benchmarks is: a function, its arguments, and everything that can differentiate it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

import coenzyme as cz

__all__ = ["Array", "Call", "Candidate", "Case", "Group", "Library", "Peer", "Quoted", "Row", "seed_like"]

Array: TypeAlias = NDArray[Any]
Call: TypeAlias = Callable[[], Any]


class Group(Enum):
    """Which part of the table a row stands in; in this order."""

    ADBENCH = "ADBench"
    SIMULATION = "Simulation"
    STENCIL = "Stencils"
    LINEAR_ALGEBRA = "Linear algebra in loops"
    LEARNING = "Learning and kernels"
    LAYOUTS = "Layouts"
    IN_C = "The same in C"
    CALLS = "Calls"


class Library(Enum):
    """The packages compared with."""

    JAX = "jax"
    TORCH = "torch"
    AUTOGRAD = "autograd"
    CASADI = "casadi"


@dataclass(frozen=True)
class Peer:
    """The same derivative from another package.

    Attributes
    ----------
    library
        The package; a row may have several formulations for one, of which the quickest counts.
    formulation
        How the function was put for it, in a word or two.
    build
        Imports the package and returns a call for the case, whose result is the derivatives in the order of
        the row's `active`. What can be prepared once (conversion of data, tracing) it does before.
    """

    library: Library
    formulation: str
    build: Callable[[Case], Call]


@dataclass(frozen=True)
class Quoted:
    """Ratios measured elsewhere, on another machine, for orientation.

    Attributes
    ----------
    hand, enzyme
        Derivative time over function time, by a hand-written adjoint and by Enzyme on the same code in C.
    peer
        That of the best Python package, and which it was.
    """

    hand: float | None = None
    enzyme: float | None = None
    peer: str = ""


@dataclass(frozen=True)
class Row:
    """One function at one size, with all that differentiates it.

    Attributes
    ----------
    title
        Names the row in tables; unique.
    function
        A plain Python function as a user would write it; Numba compiles it.
    arguments
        Makes the arguments, the same each time, at the size that is timed.
    small
        Makes arguments of the same types at the size that is tested.
    active
        The positions of the arguments differentiated by: arrays and floats.
    outputs
        The positions of the arrays whose values after the call are the result, each with a cotangent
        `seed_like` it; empty where the function returns a float.
    by_hand
        The adjoint by hand, in Numba: called with the arguments, then a shadow for each array among `active`
        and `outputs` in the order of their positions. It does to arguments and shadows what
        `autodiff(Reverse, …)` does, except that arguments may be left in any state: adds to shadows of what
        is only read, takes cotangents out of what is overwritten. Returns a float for a float argument among
        `active`, or a tuple of them where there are several.
    hand_bytes
        How much memory the adjoint by hand keeps from the forward to the reverse sweep, from the arguments.
    peers
        Other packages that can express the function.
    bar
        What the ratio must not exceed.
    quoted
        Figures for orientation.
    derivative
        Makes the call of Coenzyme, where it is not one reverse sweep by `autodiff`. The call returns the
        derivatives in the order of `active`, or in whatever order `by_hand` and the peers have them.
    hand
        Likewise for an adjoint by hand that does not take arguments and shadows.
    jit
        Options for Numba.
    build
        Makes the function where it is none of Python's, and `function` only says what it computes.
    tolerance
        Within what relative error of each array's largest entry all derivatives must agree.
    variant_of
        The title of the row that this one is compared with, of which it is a variant.
    bare
        Time calls many in a row with nothing between them, for calls of less than some microseconds: nothing
        is put back then, so that the function must not overwrite its arguments.
    thorough
        Whether its test takes too long for the tests run on every change.
    """

    title: str
    group: Group
    function: Callable[..., Any]
    arguments: Callable[[], tuple[Any, ...]]
    small: Callable[[], tuple[Any, ...]]
    active: tuple[int, ...]
    outputs: tuple[int, ...] = ()
    by_hand: Callable[..., Any] | None = None
    hand_bytes: Callable[..., int] | None = None
    peers: tuple[Peer, ...] = ()
    bar: float | None = None
    quoted: Quoted = Quoted()
    derivative: Callable[[Case], Call] | None = None
    hand: Callable[[Case], Call] | None = None
    jit: tuple[tuple[str, Any], ...] = ()
    build: Callable[[], Callable[..., Any]] | None = None
    tolerance: float = 1e-9
    variant_of: str = ""
    bare: bool = False
    thorough: bool = True


@dataclass(frozen=True)
class Candidate:
    """One way to get the derivatives.

    Attributes
    ----------
    call
        What is timed.
    results
        Turns what the call returned into the derivatives.
    """

    call: Call
    results: Callable[[Any], tuple[Array, ...]]


def seed_like(array: Array) -> Array:
    """Return the cotangent of a result: between 0.5 and 1.5, no two neighbours alike.

    Examples
    --------
    >>> seed_like(np.zeros(3)).round(3)
    array([1.   , 1.479, 1.141])
    """
    steps = np.arange(array.size, dtype=np.float64).reshape(array.shape)
    return (1.0 + 0.5 * np.sin(1.28 * steps)).astype(array.dtype)


def shadow_like(x: Array, memory: dict[int, Array]) -> Array:
    """Return zeros that lie in memory as x does in its own: views of one array are views of one array here.

    Parameters
    ----------
    x
        The array.
    memory
        The bytes that stand for those of each array that has been met, by its identity; added to.
    """
    whole = x
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    block = memory.setdefault(id(whole), np.zeros(whole.nbytes, dtype=np.uint8))
    return np.ndarray(x.shape, x.dtype, block.data, x.ctypes.data - whole.ctypes.data, x.strides)


class Case:
    """A row's function compiled afresh, with the memory of its calls.

    Parameters
    ----------
    row
        The row.
    arguments
        What the calls are given, `row.arguments()` or `row.small()`.

    Attributes
    ----------
    start
        Copies of the arguments as they are on entry; for peers, which convert them.
    seeds
        The cotangents of the outputs, by position.
    shadows
        An array for each array among `active` and `outputs`, by position.
    """

    def __init__(self, row: Row, arguments: tuple[Any, ...]) -> None:
        self.row = row
        function = row.function if row.build is None else row.build()
        self.function: Callable[..., Any] = njit(**dict(row.jit))(function)
        self.arguments = arguments
        self.start = tuple(np.copy(x, order="K") if isinstance(x, np.ndarray) else x for x in arguments)
        self.seeds = {i: seed_like(arguments[i]) for i in row.outputs}
        shadowed = sorted({*row.active, *row.outputs})
        memory: dict[int, Array] = {}
        self.shadows = {
            i: shadow_like(arguments[i], memory) for i in shadowed if isinstance(arguments[i], np.ndarray)
        }
        self._changed: list[int] | None = None

    def reset(self) -> None:
        """Put back arguments that calls overwrite, and shadows, to what they are on entry."""
        arrays = range(len(self.arguments)) if self._changed is None else self._changed
        for i in arrays:
            if isinstance(self.arguments[i], np.ndarray):
                self.arguments[i][...] = self.start[i]
        for i, shadow in self.shadows.items():
            shadow[...] = self.seeds.get(i, 0.0)

    def primal(self) -> Any:
        """Return what the function returns."""
        return self.function(*self.arguments)

    def find_changed(self) -> None:
        """Find out, after a call of the primal, which arguments have to be put back between calls."""
        self._changed = [
            i
            for i, (x, start) in enumerate(zip(self.arguments, self.start, strict=True))
            if isinstance(x, np.ndarray) and not np.array_equal(x, start, equal_nan=True)
        ]

    # --- candidates ----------------------------------------------------------------------------------------

    def ours(self) -> Candidate:
        """Return the derivative by Coenzyme."""
        if self.row.derivative is not None:
            return Candidate(self.row.derivative(self), as_arrays)
        annotated = [self._annotate(i, x) for i, x in enumerate(self.arguments)]
        function = self.function
        return Candidate(lambda: cz.autodiff(cz.Reverse, function, *annotated), self._collect)

    def hand(self) -> Candidate | None:
        """Return the adjoint by hand, if there is one."""
        if self.row.hand is not None:
            return Candidate(self.row.hand(self), as_arrays)
        if self.row.by_hand is None:
            return None
        adjoint, operands = self.row.by_hand, (*self.arguments, *self.shadows.values())
        floats = [i for i in self.row.active if i not in self.shadows]

        def results(returned: Any) -> tuple[Array, ...]:
            values = returned if isinstance(returned, tuple) else (returned,)
            return self._collect(dict(zip(floats, values, strict=False)))

        return Candidate(lambda: adjoint(*operands), results)

    def peer(self, peer: Peer) -> Candidate:
        """Return the derivative by another package."""
        return Candidate(peer.build(self), as_arrays)

    def _annotate(self, position: int, x: Any) -> Any:
        if position in self.shadows:
            return cz.DuplicatedNoNeed(x, self.shadows[position])
        return cz.Active(x) if position in self.row.active else cz.Const(x)

    def _collect(self, returned: Any) -> tuple[Array, ...]:
        return tuple(np.array(self.shadows[i] if i in self.shadows else returned[i]) for i in self.row.active)


def as_arrays(returned: Sequence[Any]) -> tuple[Array, ...]:
    """Return copies of the derivatives as NumPy arrays."""
    return tuple(np.array(part) for part in returned)
