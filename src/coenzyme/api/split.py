"""Reverse mode in two calls: the primal now, the reverse sweep later, with a tape between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numba
import numpy as np
from numba.core import types

from coenzyme import engine
from coenzyme.analysis.passes import Pass, passes_in_force
from coenzyme.api.annotations import (
    ANNOTATIONS,
    BATCHED,
    SHADOWED,
    Active,
    Const,
    DerivativeMode,
    MixedDuplicated,
)
from coenzyme.api.autodiff import AnnotatedCall, arrays_of, batch_of
from coenzyme.api.calls import implementation
from coenzyme.api.containers import hold, watch
from coenzyme.api.functions import Compiled, as_dispatcher, bind, name_of
from coenzyme.api.halves import Run, add_forward_half, assemble, is_seeded, pair_cotangent, run_of
from coenzyme.api.instances import is_object, references_in, same_instance
from coenzyme.api.invoke import invoke
from coenzyme.api.structure import argument_name
from coenzyme.api.structured_calls import Spread
from coenzyme.api.sweeps import check_return
from coenzyme.api.trees.plan import is_structured
from coenzyme.api.validation import check_batch
from coenzyme.errors import ActivityError, ShadowError, TapeError
from coenzyme.frontends.program import Mode

__all__ = ["ForwardHalf", "ReverseHalf", "SplitCall", "Tape", "autodiff_thunk"]


@dataclass(frozen=True)
class SplitCall(AnnotatedCall):
    """A call of a forward half: from the primals, and then the shadows of those that have one."""

    label: ClassVar[str] = "forward_half"

    def primals(self, argtypes: tuple[types.Type, ...]) -> int | None:
        """Return how many of the arguments come first, for the user's function."""
        return None

    def implement(self, argtypes: tuple[types.Type, ...]) -> Callable[..., Any]:
        """Return the body for arguments of the given Numba types."""
        prepared = self._prepare(argtypes)
        add_forward_half(
            prepared.source,
            prepared.arrangement,
            prepared.lanes,
            return_active=prepared.active,
            seeded=prepared.active and self.returns is Active,
            options=engine.Options(
                arguments_disjoint=self.sharing.is_disjoint,
                caller_keeps=self.mode.arguments_kept,
                strong_zero=self.mode.strong_zero,
                memory_limit=self.mode.memory_limit,
                width=self.width,
            ),
        )
        return implementation(prepared.source, self.function, len(argtypes))

    def _return_is_active(self, restype: types.Type) -> bool:
        if self.returns is Const or (self.returns in SHADOWED and isinstance(restype, types.NoneType)):
            return False
        name = name_of(self.function)
        active = check_return(restype, name, containers=self.returns in SHADOWED)
        if self.returns is Active and not (active and is_seeded(restype)):
            raise ActivityError(
                f"the return of type {types.unliteral(restype)} cannot be Active: it is not made of numbers",
                function=name,
                remedy="pass Duplicated as the return activity; for None, Const",
            )
        return active


class _Contained:
    """Containers and instances as arguments and shadows: the reverse half needs what a call takes out."""

    def __init__(self, primals: Sequence[Any], shadows: Sequence[Any]) -> None:
        self._held = [hold(x) for x in (*primals, *shadows)]
        self._led_to = [item for x in shadows if is_object(x) for item in references_in(x)]
        self._primals = [one for x in primals for one in watch(x)]
        self._shadows = [one for x in shadows for one in watch(x)]

    def add_result(self, value: Any, shadows: Sequence[Any]) -> None:
        """Hold and watch what the forward half has returned, too."""
        self._held += [hold(x) for x in (value, *shadows)]
        self._primals += watch(value)
        self._shadows += [one for x in shadows for one in watch(x)]

    def settle(self) -> None:
        """Note the structure that the forward half has left."""
        for one in (*self._primals, *self._shadows):
            one.settle()

    @property
    def is_settled(self) -> bool:
        """Whether no structure has changed since."""
        return all(one.is_settled for one in (*self._primals, *self._shadows))

    def restore(self) -> None:
        """Put back into the shadows what the call has taken out."""
        for one in self._shadows:
            one.restore()


class Tape:
    """What the forward half leaves for the reverse half: values that the sweep needs. It is used once.

    A tape belongs to the call that made it and to no one else: tapes can be used in any order and by any
    thread. One that is dropped unused frees what it holds.
    """

    __slots__ = ("__weakref__", "_annotated", "_contained", "_owner", "_runs")

    def __init__(self, owner: _Thunk, annotated: tuple[Any, ...], run: Run, contained: _Contained) -> None:
        self._owner = owner
        self._contained = contained
        self._annotated: tuple[Any, ...] = annotated
        # Taking the only item of a list is atomic.
        self._runs: list[Run] = [run]

    @property
    def is_used(self) -> bool:
        """Whether a reverse half has used the tape up."""
        return not self._runs

    def __repr__(self) -> str:
        state = "used" if self.is_used else "fresh"
        return f"<{state} tape of {name_of(self._owner.function)}>"

    def peek(self) -> Run:
        """Return what the forward half left, and leave it."""
        try:
            return self._runs[0]
        except IndexError:
            raise self._used() from None

    def check(self, annotated: Sequence[Any]) -> None:
        """Refuse arguments other than those of the forward half.

        Raises
        ------
        TapeError
            Naming the argument.
        """
        for i, (old, new) in enumerate(zip(self._annotated, annotated, strict=False)):
            same = _is_same(old.primal, new.primal)
            if not same or not _is_same(getattr(old, "shadow", None), getattr(new, "shadow", None)):
                raise TapeError(
                    "the tape was made with another shadow"
                    if same
                    else "the tape was made with another value",
                    function=name_of(self._owner.function),
                    argument=argument_name(self._owner.function, i),
                    remedy="pass the reverse half the arguments and shadows that the forward half was given",
                )
        if not self._contained.is_settled:
            raise TapeError(
                "a container has changed its length or its keys since the forward half has run",
                function=name_of(self._owner.function),
                remedy="change nothing but items between the halves",
            )

    def take(self) -> Run:
        """Return what the forward half left; the tape is used then."""
        try:
            run = self._runs.pop()
        except IndexError:
            raise self._used() from None
        self._annotated = ()
        return run

    def restore(self) -> None:
        """Put back into the shadows of containers what the call has taken out, and let go of the rest."""
        self._contained.restore()
        self._contained = _Contained((), ())

    def _used(self) -> TapeError:
        return TapeError(
            "the tape has been used already",
            function=name_of(self._owner.function),
            remedy="run the forward half again; each tape serves one reverse sweep",
        )


@dataclass(frozen=True, eq=False)
class _Thunk:
    """What the two halves share."""

    function: Compiled
    mode: DerivativeMode
    returns: type
    kinds: tuple[type, ...]
    passes: frozenset[Pass] = field(default_factory=passes_in_force)

    def annotated(self, given: Sequence[Any]) -> tuple[Any, ...]:
        """Return the arguments, each as an object of the class that the pair was made for."""
        if len(given) != len(self.kinds):
            raise ActivityError(
                f"{len(given)} arguments were given, and the halves were made for {len(self.kinds)}",
                function=name_of(self.function),
                remedy="give one argument for each activity class",
            )
        return tuple(
            self._fitted(i, kind, x) for i, (kind, x) in enumerate(zip(self.kinds, given, strict=True))
        )

    def _fitted(self, position: int, kind: type, argument: Any) -> Any:
        if type(argument) is kind:
            return argument
        if kind is Const and type(argument) not in ANNOTATIONS and not isinstance(argument, type):
            return Const(argument)
        raise ActivityError(
            f"the argument is a {type(argument).__name__}, and the halves were made for {kind.__name__}",
            function=name_of(self.function),
            argument=argument_name(self.function, position),
            remedy=f"pass {kind.__name__}({_operands(kind)})",
        )


def _operands(kind: type) -> str:
    """Return how messages spell what an annotation takes."""
    if kind in (Const, Active):
        return "x"
    return "x, (dx1, dx2, …)" if kind in BATCHED else "x, dx"


class ForwardHalf:
    """The augmented primal of a pair made by `autodiff_thunk`."""

    def __init__(self, thunk: _Thunk) -> None:
        self._thunk = thunk

    def __call__(self, *annotated: Any, **kwargs: Any) -> tuple[Tape | StructuredTape, Any, Any]:
        """Run the function, and return a tape, its value, and the shadow of its value.

        Parameters
        ----------
        *annotated, **kwargs
            The arguments, annotated by the classes that the pair was made for.

        Returns
        -------
        tuple
            ``(tape, value, shadow)``. The value is None in the mode `ReverseSplitNoPrimal`. The shadow of a
            `Duplicated` return has the structure of the value, with a zero array for each array of floats and
            a zero array without dimensions for each float; the caller adds its cotangent. Where the function
            returns an argument, or a view of it, the shadow is that of the argument. For other returns it
            is None. In a batch it is a tuple with one for each direction. The shadow of a typed list or
            dictionary is another one, with zeros in the places of its numbers and in its arrays.
        """
        thunk = self._thunk
        function = thunk.function
        given = thunk.annotated(bind(function, annotated, kwargs) if kwargs else annotated)
        if any(is_structured(argument.primal) for argument in given):
            return _structured_forward(thunk, given)
        primals = [argument.primal for argument in given]
        batch, lanes = batch_of(function, thunk.mode, given)
        checked = check_batch(function, primals, lanes, Mode.REVERSE)
        contained = _Contained(primals, checked)
        returned = invoke(
            SplitCall(function, thunk.mode, thunk.returns, thunk.kinds, batch, passes=thunk.passes),
            (*primals, *checked),
            {},
            given=primals,
            differentiated=[i for i, kind in enumerate(thunk.kinds) if kind is not Const],
            shadows=arrays_of(lanes),
        )
        run = run_of(returned)
        shadow = run.shadows if batch else run.shadows[0]
        if run.halves.seeded or run.shadows[0] is None:
            shadow = None
        contained.add_result(run.value, run.shadows)
        contained.settle()
        return Tape(thunk, given, run, contained), run.value if thunk.mode.with_primal else None, shadow

    def __repr__(self) -> str:
        return f"<forward half of {name_of(self._thunk.function)}>"


class StructuredTape:
    """The tape of a call with arguments that were taken apart: that of the call with their leaves."""

    __slots__ = ("_leaves", "_spread", "_tape", "owner")

    def __init__(self, owner: _Thunk, leaves: _Thunk, spread: Spread, tape: Tape) -> None:
        self.owner, self._leaves, self._spread, self._tape = owner, leaves, spread, tape

    @property
    def is_used(self) -> bool:
        """Whether a reverse half has used the tape up."""
        return self._tape.is_used

    def __repr__(self) -> str:
        return repr(self._tape)

    def reverse(self, given: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Run the reverse sweep, and return what it gives for each argument."""
        owner = self.owner
        cut = len(owner.kinds) - len(kwargs)
        positional, cotangents = given[:cut], given[cut:]
        annotated = owner.annotated(bind(owner.function, positional, kwargs) if kwargs else positional)
        spread = _spread(owner, annotated, self._spread)
        return spread.finish(ReverseHalf(self._leaves)(*spread.annotated, *cotangents, self._tape))


def _spread(thunk: _Thunk, given: Sequence[Any], like: Spread | None = None) -> Spread:
    batch, lanes = batch_of(thunk.function, thunk.mode, given)
    if like is not None and not like.fits(*(argument.primal for argument in given)):
        raise TapeError(
            "the tape was made with arguments of another structure",
            function=name_of(thunk.function),
            remedy="pass the reverse half the arguments and shadows that the forward half was given",
        )
    return Spread(thunk.function, Mode.REVERSE, given, batch, lanes, like)


def _structured_forward(thunk: _Thunk, given: Sequence[Any]) -> tuple[StructuredTape, Any, Any]:
    """Run the forward half with arguments that are taken apart."""
    spread = _spread(thunk, given)
    kinds = tuple(type(leaf) for leaf in spread.annotated)
    leaves = _Thunk(spread.plan.function, thunk.mode, thunk.returns, kinds, thunk.passes)
    try:
        tape, value, shadow = ForwardHalf(leaves)(*spread.annotated)
    finally:
        spread.write_back()
    return StructuredTape(thunk, leaves, spread, cast(Tape, tape)), value, shadow


class ReverseHalf:
    """The reverse sweep of a pair made by `autodiff_thunk`."""

    def __init__(self, thunk: _Thunk) -> None:
        self._thunk = thunk

    def __call__(self, *annotated: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Run the reverse sweep, and return the derivatives of the `Active` arguments.

        Parameters
        ----------
        *annotated
            The arguments that the forward half was given; then the cotangent of the value, if the return is
            `Active`; then the tape. For a `Duplicated` return, a cotangent that is given is added to the
            shadow. In a batch the cotangent is a tuple with one for each direction.
        **kwargs
            Arguments by name.

        Returns
        -------
        tuple
            One entry for each argument: the derivative for `Active`, else None; shadows are updated in place.

        Raises
        ------
        TapeError
            If the tape has been used, was made by another pair, or was made with other arguments.
        """
        thunk = self._thunk
        function = thunk.function
        tape = annotated[-1] if annotated else None
        if isinstance(tape, StructuredTape) and tape.owner is thunk:
            return tape.reverse(annotated[:-1], kwargs)
        if not isinstance(tape, Tape) or tape._owner is not thunk:
            raise TapeError(
                f"the last argument is a {type(tape).__name__}, not a tape"
                if not isinstance(tape, Tape)
                else "the tape was made by another pair of halves",
                function=name_of(function),
                remedy="pass what the forward half of this pair returned first",
            )
        cut = len(thunk.kinds) - len(kwargs)
        positional, cotangents = annotated[:-1][:cut], annotated[:-1][cut:]
        given = thunk.annotated(bind(function, positional, kwargs) if kwargs else positional)
        run = tape.peek()
        tape.check(given)
        batch, lanes = batch_of(function, thunk.mode, given)
        seeds, added = _accept(thunk, run, _cotangents(thunk, cotangents, batch))
        run = tape.take()
        for shadow, cotangent in added:
            np.add(shadow, cotangent, out=shadow)
        adjoints = run.halves.sweep(run.memory, seeds)
        tape.restore()
        found: list[Any] = []
        for i, (tree, x) in enumerate(zip(run.halves.arrangement.trees, given, strict=False)):
            if type(x) not in (Active, MixedDuplicated):
                found.append(None)
                continue
            parts = [
                assemble(tree, dict(shadows).get(i, x.primal), one)
                for one, shadows in zip(adjoints, lanes, strict=True)
            ]
            found.append(tuple(parts) if batch else parts[0])
        return tuple(found)

    def __repr__(self) -> str:
        return f"<reverse half of {name_of(self._thunk.function)}>"


def _is_same(old: Any, new: Any) -> bool:
    """Return whether an argument is the one of before: the same array, an equal number."""
    if old is new:
        return True
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        before, after = cast(Any, old).__array_interface__, cast(Any, new).__array_interface__
        return old.strides == new.strides and all(
            before[key] == after[key] for key in ("data", "shape", "typestr", "descr")
        )
    if is_object(old) and is_object(new):
        return same_instance(old, new)
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(map(_is_same, old, new))
    if type(old) is not type(new) and numba.typeof(old) != numba.typeof(new):
        return False
    if isinstance(old, (float, complex, np.inexact)):
        # By their bits: NaN is the NaN of before.
        return np.asarray(old).tobytes() == np.asarray(new).tobytes()
    return bool(old == new)


def _refusal(thunk: _Thunk) -> Callable[[str], ShadowError]:
    def refuse(problem: str) -> ShadowError:
        return ShadowError(
            problem,
            function=name_of(thunk.function),
            argument="the cotangent of the return",
            remedy="give it the structure of the value",
        )

    return refuse


def _cotangents(thunk: _Thunk, given: Sequence[Any], batch: int) -> list[Sequence[Any]]:
    """Return what was given as cotangents of the return in each direction, at most one each."""
    if not batch or not given:
        return [given] * max(batch, 1)
    (cotangents, *more) = given
    if not isinstance(cotangents, (tuple, list)) or len(cast(Sequence[Any], cotangents)) != batch:
        raise _refusal(thunk)(f"a batch of {batch} directions needs a tuple of {batch} cotangents")
    return [[cotangent, *more] for cotangent in cast(Sequence[Any], cotangents)]


def _accept(
    thunk: _Thunk, run: Run, lanes: Sequence[Sequence[Any]]
) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """Return the seeds of the reverse half, and the arrays of shadows with what is to be added to them."""
    refuse = _refusal(thunk)
    seeds: list[Any] = []
    added: list[tuple[Any, Any]] = []
    for cotangents, shadow in zip(lanes, run.shadows, strict=True):
        if len(cotangents) > 1 or (run.halves.seeded and not cotangents):
            raise ActivityError(
                f"{len(cotangents)} cotangents of the return were given",
                function=name_of(thunk.function),
                remedy="call it as reverse(*arguments, cotangent, tape)"
                if run.halves.seeded
                else "call it as reverse(*arguments, tape)",
            )
        if run.halves.seeded:
            seeds.append(run.halves.seed(cotangents[0], run.value, refuse))
        elif cotangents and shadow is None:
            raise refuse("the return has no derivative, and a cotangent of it was given")
        elif cotangents:
            added += pair_cotangent(shadow, cotangents[0], refuse)
    return seeds, added


def autodiff_thunk(
    mode: DerivativeMode, f: Callable[..., Any], returns: type, /, *kinds: type
) -> tuple[ForwardHalf, ReverseHalf]:
    """Return the reverse derivative of `f` in two functions: the primal with a tape, and the reverse sweep.

    Parameters
    ----------
    mode
        `ReverseSplitNoPrimal` or `ReverseSplitWithPrimal`.
    f
        An ``@njit`` function, or a plain function that Numba can compile.
    returns
        The activity of the return, a class: `Active` for numbers and tuples of them, whose cotangent the
        reverse half takes; `Duplicated` for arrays and what holds them, whose shadow the forward half
        returns; `Const` for what is not differentiated.
    *kinds
        The activity of each argument, a class.

    Returns
    -------
    tuple
        ``forward, reverse``. ``tape, value, shadow = forward(*annotated)`` runs the function once, with its
        side effects. ``reverse(*annotated, tape)``, or ``reverse(*annotated, cotangent, tape)`` for an
        `Active` return, takes the same arguments and returns a tuple as `autodiff` does. Functions are
        compiled on the first call.

    Raises
    ------
    ActivityError
        If the mode is not a split mode, or an activity is no class of annotations.

    Notes
    -----
    A tape is used once; it can be dropped unused, and serves any thread. The arguments are kept alive by it.
    Between the halves anything may be written to the arguments and to the value: what the sweep needs of
    them is on the tape. ``mode.replace(arguments_kept=True)`` promises that nothing is, and makes the tape
    smaller; results are wrong if the promise is broken.

    Examples
    --------
    >>> import numpy as np, coenzyme as cz
    >>> forward, reverse = cz.autodiff_thunk(
    ...     cz.ReverseSplitWithPrimal, lambda x: x * x, cz.Duplicated, cz.Duplicated
    ... )
    >>> x, dx = np.array([1.0, 2.0]), np.zeros(2)
    >>> tape, value, shadow = forward(cz.Duplicated(x, dx))
    >>> value, shadow
    (array([1., 4.]), array([0., 0.]))
    >>> shadow += [1.0, 10.0]
    >>> reverse(cz.Duplicated(x, dx), tape)
    (None,)
    >>> dx
    array([ 2., 40.])
    """
    function = as_dispatcher(f)
    if not isinstance(cast(object, mode), DerivativeMode) or not mode.split:
        raise ActivityError(
            f"the mode is {mode!r}",
            function=name_of(function),
            remedy="pass ReverseSplitNoPrimal or ReverseSplitWithPrimal",
        )
    for kind in (returns, *kinds):
        if kind not in ANNOTATIONS:
            raise ActivityError(
                f"{kind!r} stands where an activity class is expected",
                function=name_of(function),
                remedy="pass Const, Active, Duplicated or DuplicatedNoNeed: first that of the return",
            )
    thunk = _Thunk(function, mode, returns, tuple(kinds))
    return ForwardHalf(thunk), ReverseHalf(thunk)
