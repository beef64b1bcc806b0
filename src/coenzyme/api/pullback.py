"""Pullbacks: the value of a function now, the cotangents of its arguments whenever they are asked for.

The forward half of a split derivative runs on private copies of the arguments, so that neither they nor
the value can change under the tape. What the function does to its arguments is then done to the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from numba.core import types

from coenzyme import engine
from coenzyme.api.calls import Call, entry_of, implementation
from coenzyme.api.functions import Compiled, call, name_of
from coenzyme.api.halves import Run, add_forward_half, assemble, is_seeded, pair_cotangent, run_of
from coenzyme.api.source import Source
from coenzyme.api.structure import arrange, holds_floats, leaves_of
from coenzyme.api.sweeps import check_return, positional
from coenzyme.api.tangents import copied
from coenzyme.api.validation import arrays_in, rebuild_tuple
from coenzyme.errors import ShadowError, TapeError

__all__ = ["Pullback", "PullbackCall", "run_with_pullback"]

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class PullbackCall(Call):
    """The value of a function and what its pullback needs, from the arguments.

    Parameters
    ----------
    function
        The function.
    count
        How many arguments it is given.
    caller_keeps
        Whether no one else has the arguments.
    memory_limit
        How many bytes the tape may hold.
    """

    function: Compiled
    count: int
    caller_keeps: bool
    memory_limit: int | None = None
    label: ClassVar[str] = "pullback"

    def parameters(self) -> Sequence[Parameter]:
        """Return the primals."""
        return positional("x", self.count)

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        chosen = frozenset(i for i, kind in enumerate(argtypes) if holds_floats(kind))
        arrangement = arrange(self.function, argtypes, chosen)
        restype = engine.primal(arrangement.function, arrangement.types)
        active = check_return(restype, name_of(self.function))
        source = Source(arrangement.defaults)
        add_forward_half(
            source,
            arrangement,
            None,
            return_active=active,
            seeded=active and is_seeded(restype),
            options=engine.Options(caller_keeps=self.caller_keeps, memory_limit=self.memory_limit),
        )
        return implementation(source, self.function, len(argtypes))


def run_with_pullback(
    function: Compiled, primals: Sequence[Any], memory_limit: int | None = None
) -> tuple[Any, Pullback]:
    """Return the value of a function, run once, and its pullback."""
    private = all(map(_is_copied_whole, primals))
    entry = entry_of(PullbackCall(function, len(primals), private, memory_limit))
    given = tuple(copied(primal) for primal in primals)
    try:
        run = run_of(call(entry, function, given, {}, given=primals))
    except BaseException:
        _write_back(primals, given)
        raise
    saved = given
    if run.halves.derivative.writes:
        # The caller's arguments are still as they were.
        saved = tuple(copied(primal) for primal in primals)
        _write_back(primals, given)
    owners = list(zip(arrays_in(given), arrays_in(tuple(primals)), strict=True))
    return _handed_out(run.value, owners), Pullback(function, entry, saved, run, repeatable=private)


class Pullback:
    """The map from a cotangent of a value to the cotangents of the arguments, made by `vjp`.

    Parameters
    ----------
    function
        The function.
    entry
        Runs its forward half.
    primals
        The arguments as they were before the call.
    run
        What the forward half left.
    repeatable
        Whether no one else has the arguments, so that the forward half can run on them again.
    """

    def __init__(
        self,
        function: Compiled,
        entry: Callable[..., Any],
        primals: tuple[Any, ...],
        run: Run,
        *,
        repeatable: bool,
    ) -> None:
        self._function = function
        self._entry = entry
        self._primals = primals
        self._value = run.value
        self._halves = run.halves
        self._repeatable = repeatable
        # Taking the only item of a list is atomic.
        self._runs = [run]

    def __call__(self, y_bar: Any) -> tuple[Any, ...]:
        """Return a tuple with one cotangent for each argument.

        Raises
        ------
        ShadowError
            If the cotangent is not shaped like the value.
        TapeError
            From the second call on, if the function cannot be run again as it ran first: it draws random
            numbers, say, or takes an argument that cannot be copied.
        """
        try:
            run = self._runs.pop()
        except IndexError:
            run = self._run_again()
        try:
            seed, added = self._accept(run, y_bar)
        except ShadowError:
            self._runs.append(run)
            raise
        for shadow, cotangent in added:
            np.add(shadow, cotangent, out=shadow)
        halves = self._halves
        (found,) = halves.sweep(run.memory, [seed])
        found.update(zip((leaf.path for leaf in halves.shadowed()), run.made, strict=True))
        return tuple(
            assemble(tree, primal, found) if any(x.differentiated for x in leaves_of(tree)) else None
            for tree, primal in zip(halves.arrangement.trees, self._primals, strict=False)
        )

    def __repr__(self) -> str:
        return f"<pullback of {name_of(self._function)}>"

    def _accept(self, run: Run, y_bar: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        """Return the seed of the reverse half, and the arrays of the shadow with what is added to them."""
        if self._halves.seeded:
            return self._halves.seed(y_bar, self._value, self._refuse), []
        if self._value is None and y_bar is not None:
            raise self._refuse("the value is None, and a cotangent of it was given")
        return None, pair_cotangent(run.shadows[0], y_bar, self._refuse)

    def _refuse(self, problem: str) -> ShadowError:
        return ShadowError(
            problem,
            function=name_of(self._function),
            argument="the cotangent of the return",
            remedy=f"give it the structure of the value, a {type(self._value).__name__}",
        )

    def _run_again(self) -> Run:
        name = name_of(self._function)
        if not self._repeatable:
            raise TapeError(
                "the pullback has been used, and the function takes an argument that cannot be copied",
                function=name,
                remedy="call vjp again for each cotangent; or pass arrays, numbers and tuples of them",
            )
        primals = self._primals
        if self._halves.derivative.writes:
            primals = tuple(copied(primal) for primal in primals)
        run = run_of(call(self._entry, self._function, primals, {}))
        if not _is_equal(run.value, self._value):
            raise TapeError(
                "the pullback has been used, and the function, run again, returned another value",
                function=name,
                remedy="call vjp again for each cotangent; or draw random numbers outside of the function",
            )
        return run


def _is_copied_whole(x: Any) -> bool:
    """Return whether :func:`copied` leaves nothing that its caller can change."""
    if isinstance(x, tuple):
        return all(map(_is_copied_whole, cast(tuple[Any, ...], x)))
    if x is None or callable(x):
        return True
    kinds = (bool, int, float, complex, str, bytes, np.generic, np.ndarray, list, set, dict)
    return type(x) in kinds or isinstance(x, np.generic)


def _write_back(own: Sequence[Any], private: Sequence[Any]) -> None:
    """Do to the caller's arguments what was done to copies of them."""
    for x, y in zip(own, private, strict=True):
        if isinstance(x, np.ndarray):
            if x.flags.writeable:
                x[...] = y
        elif isinstance(x, tuple):
            _write_back(cast(tuple[Any, ...], x), y)
        elif isinstance(x, list):
            x[:] = y
        elif isinstance(x, set):
            x.clear()
            x.update(y)


def _handed_out(value: Any, owners: Sequence[tuple[Array, Array]]) -> Any:
    """Return a value that shares no memory with a tape.

    Parameters
    ----------
    value
        What the forward half returned.
    owners
        The arrays that it was given, each with the caller's array that it is a copy of: a view of the one
        becomes a view of the other.
    """
    if isinstance(value, tuple):
        parts = cast(tuple[Any, ...], value)
        return rebuild_tuple(parts, [_handed_out(part, owners) for part in parts])
    if not isinstance(value, np.ndarray):
        return value
    array = cast(Array, value)
    for private, own in owners:
        if np.may_share_memory(array, private) and private.strides == own.strides:
            if _address(array) == _address(private) and (array.shape, array.strides) == (
                own.shape,
                own.strides,
            ):
                return own
            return _Window(array, _address(own) + _address(array) - _address(private), own).view()
    return copied(array)


def _address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


class _Window:
    """An array that lies in the memory of another one."""

    def __init__(self, like: Array, address: int, owner: Array) -> None:
        self.owner = owner
        self.__array_interface__ = {
            **like.__array_interface__,
            "data": (address, not (like.flags.writeable and owner.flags.writeable)),
            "strides": like.strides,
        }

    def view(self) -> Array:
        """Return the array."""
        return np.asarray(self)


def _is_equal(x: Any, y: Any) -> bool:
    """Return whether two values of one function are the same, bit by bit."""
    if isinstance(x, tuple):
        return all(map(_is_equal, x, y))
    if isinstance(x, (np.ndarray, float, complex)):
        a, b = np.asarray(x), np.asarray(y)
        return a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(x == y)
