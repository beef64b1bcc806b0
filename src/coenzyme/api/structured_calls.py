"""Annotated calls with structured arguments: annotations of arguments become annotations of their leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from coenzyme.api.annotations import BATCHED, Active, Const, Duplicated, MixedDuplicated
from coenzyme.api.functions import Compiled, name_of
from coenzyme.api.structure import argument_name
from coenzyme.api.trees.apart import in_common, only_read, read_alone
from coenzyme.api.trees.kinds import find_kind
from coenzyme.api.trees.plan import mismatch, plan_call
from coenzyme.api.trees.sums import add_into
from coenzyme.api.zero import zeros_with_strides
from coenzyme.errors import ActivityError, ShadowError
from coenzyme.frontends.program import Mode

__all__ = ["Spread"]

Lane = Sequence[tuple[int, Any]]


class Spread:
    """Annotated arguments as annotated leaves, and results for leaves as results for arguments.

    Parameters
    ----------
    function
        The user's function.
    sweep
        Forward or reverse.
    given
        Its arguments, all annotated.
    batch
        For how many directions there are shadows, 0 where the call is no batch.
    lanes
        For each direction the position and the shadow of each argument that has one.
    like
        The same arguments, spread before: shadows that were made for that are used again.

    Attributes
    ----------
    plan
        How the arguments are taken apart.
    annotated
        The leaves.
    """

    def __init__(
        self,
        function: Compiled,
        sweep: Mode,
        given: Sequence[Any],
        batch: int,
        lanes: Sequence[Lane],
        like: Spread | None = None,
    ) -> None:
        self._function, self._sweep, self._given, self._batch, self._lanes = (
            function,
            sweep,
            given,
            batch,
            lanes,
        )
        primals = [argument.primal for argument in given]
        self._chosen = tuple(i for i, argument in enumerate(given) if not isinstance(argument, Const))
        self.plan = plan_call(function, primals, self._chosen) if like is None else like.plan
        taken = self.plan.extract(*primals)
        if taken is None:
            raise ActivityError(
                "the arguments have another structure than before", function=name_of(function)
            )
        self._leaves, self._rest = taken if like is None else (like._leaves, taken[1])
        self._beside = [self._shadows(primals, dict(lane)) for lane in lanes]
        self._beside = [self._with_cells(k, beside, like) for k, beside in enumerate(self._beside)]
        self._check_numbers()
        self._temporary: list[dict[int, Any]] = [{} for _ in lanes]
        given = self._apart() if like is None else like.given
        if like is not None:
            self._temporary = like._temporary
        self.given = given
        self.annotated = self._annotate(given)

    def fits(self, *primals: Any) -> bool:
        """Return whether arguments are made of the very arrays that these are made of."""
        taken = self.plan.extract(*primals)
        if taken is None:
            return False
        pairs = zip(self.plan.leaves, taken[0], self._leaves, strict=True)
        return all(_is_same(x, y) for leaf, x, y in pairs if leaf.is_array and not leaf.is_cell)

    def _shadows(self, primals: Sequence[Any], lane: dict[int, Any]) -> tuple[Any, ...]:
        """Return the shadow of each leaf in one direction; the leaf itself where it has none."""
        name = name_of(self._function)
        others = [lane.get(i, x) for i, x in enumerate(primals)]
        for i in lane:
            problem = mismatch(primals[i], others[i], own=True)
            if problem is not None:
                raise ShadowError(
                    f"{problem}: the shadow has another structure",
                    function=name,
                    argument=argument_name(self._function, i),
                    remedy="make the shadow with make_zero(x)",
                )
        found = self.plan.read_like(*others)
        if found is None:
            raise ShadowError(
                "a shadow has another structure than its primal",
                function=name,
                remedy="make the shadow with make_zero(x)",
            )
        for number, other in found[1]:
            first = found[0][number]
            if other is not first and self.plan.leaves[number].differentiated and not _is_same(first, other):
                raise ShadowError(
                    f"{self.plan.leaves[number].path} is one array in several places with several shadows",
                    function=name,
                    remedy="make the shadow with make_zero(x)",
                )
        return found[0]

    def _with_cells(self, k: int, beside: Sequence[Any], like: Spread | None) -> tuple[Any, ...]:
        """Return shadows of leaves, those of numbers that the function assigns to in memory."""
        found = list(beside)
        for i, leaf in enumerate(self.plan.leaves):
            if leaf.is_cell and leaf.differentiated:
                cell = np.array(beside[i], self._leaves[i].dtype)
                if like is not None:  # the memory that the forward half was given, with what it holds now
                    like._beside[k][i][...] = cell
                    cell = like._beside[k][i]
                found[i] = cell
        return tuple(found)

    def write_back(self) -> None:
        """Put numbers that the function has assigned to into their objects, and in forward mode tangents."""
        if self.plan.write_back is None:
            return
        self.plan.write_back(self._leaves, self._rest)
        if self._sweep is Mode.FORWARD:
            for k, beside in enumerate(self._beside):
                values = [beside[i] for i in self.plan.differentiated]
                trees = self.plan.rebuild(self._leaves, self._rest, values)
                for place, i in enumerate(self._chosen):
                    _take_over(dict(self._lanes[k])[i], trees[place], {})

    def _check_numbers(self) -> None:
        """Refuse numbers whose cotangent would have no place to go: in tuples that nothing holds."""
        if self._sweep is Mode.FORWARD:
            return
        for i in self._chosen:
            x = self._given[i]
            if not isinstance(x, (Active, MixedDuplicated)) and _is_by_value(x.primal):
                raise ActivityError(
                    f"an argument of type {type(x.primal).__name__} is Duplicated in reverse mode, and "
                    "its numbers are passed by value",
                    function=name_of(self._function),
                    argument=argument_name(self._function, i),
                    remedy="use MixedDuplicated(x, make_zero(x)), or Active(x) where there are only numbers",
                )

    def _annotate(self, given: Sequence[Any]) -> tuple[Any, ...]:
        found: list[Any] = []
        for i, (leaf, x) in enumerate(zip(self.plan.leaves, given, strict=True)):
            annotation = type(self._given[leaf.argument])
            if not leaf.differentiated:
                found.append(Const(x))
            elif self._sweep is Mode.REVERSE and (annotation is Active or _is_number(x)):
                found.append(Active(x))
            else:
                shadows = tuple(
                    temporary.get(i, beside[i])
                    for temporary, beside in zip(self._temporary, self._beside, strict=True)
                )
                sort = Duplicated if annotation is MixedDuplicated else annotation
                found.append(cast(Any, sort)(x, shadows if annotation in BATCHED else shadows[0]))
        return tuple(found)

    def _apart(self) -> tuple[Any, ...]:
        """Return the leaves, after giving arrays that share memory and are only read shadows that do not."""
        plan, leaves = self.plan, self._leaves
        common = in_common(plan, leaves)
        if not common:
            return leaves
        given = read_alone(plan, leaves)
        if given is None:
            raise ActivityError(
                "an array that is written visits the same memory at several indices",
                function=name_of(self._function),
                remedy="pass a copy of it",
            )
        if given is leaves and not only_read(plan, leaves):
            return leaves  # their shadows lie to each other as they do, which is checked
        for i in common:
            for temporary, beside in zip(self._temporary, self._beside, strict=True):
                if self._sweep is Mode.FORWARD:
                    temporary[i] = np.array(beside[i], order="C") if given[i] is not leaves[i] else beside[i]
                else:
                    temporary[i] = (
                        np.zeros_like(given[i])
                        if given[i] is not leaves[i]
                        else zeros_with_strides(leaves[i])
                    )
        return given

    def finish(self, adjoints: Sequence[Any]) -> tuple[Any, ...]:
        """Return what reverse mode returns for the arguments, after bringing shadows up to date.

        Parameters
        ----------
        adjoints
            What it has returned for the leaves.
        """
        rebuilt: list[tuple[Any, ...]] = []
        for k, (temporary, beside) in enumerate(zip(self._temporary, self._beside, strict=True)):
            for i, shadow in temporary.items():
                add_into(beside[i], shadow)
            rebuilt.append(self._finish_lane(k, beside, adjoints))
        found: list[Any] = [None] * len(self._given)
        for place, i in enumerate(self._chosen):
            if isinstance(self._given[i], (Active, MixedDuplicated)):
                parts = tuple(trees[place] for trees in rebuilt)
                found[i] = parts if self._batch else parts[0]
        return tuple(found)

    def _finish_lane(self, k: int, beside: Sequence[Any], adjoints: Sequence[Any]) -> tuple[Any, ...]:
        values: list[Any] = []
        for i in self.plan.differentiated:
            adjoint = adjoints[i]
            if adjoint is None:
                values.append(beside[i])
                continue
            adjoint = adjoint[k] if self._batch else adjoint
            annotation = self._given[self.plan.leaves[i].argument]
            values.append(
                adjoint if isinstance(annotation, (Active, MixedDuplicated)) else beside[i] + adjoint
            )
        trees = self.plan.rebuild(self._leaves, self._rest, values)
        for place, i in enumerate(self._chosen):
            if not isinstance(self._given[i], (Active, MixedDuplicated)):
                _take_over(dict(self._lanes[k])[i], trees[place], {})
        return trees


def _is_number(x: Any) -> bool:
    return isinstance(x, (float, complex, np.inexact))


def _is_same(x: Any, y: Any) -> bool:
    """Return whether two shadows are one."""
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        return False
    first, second = x.__array_interface__, y.__array_interface__
    return all(first[key] == second[key] for key in ("data", "shape", "typestr")) and x.strides == y.strides


def _is_by_value(x: Any) -> bool:
    """Return whether a value is a number, or is made whole of others and numbers."""
    kind = find_kind(x)
    if kind is None:
        return _is_number(x)
    if kind.filled:
        return False
    parts = kind.take_apart(x)
    pairs = zip(parts.labels, parts.values, strict=True)
    return any(_is_by_value(part) for label, part in pairs if label not in parts.constant)


def _take_over(old: Any, new: Any, seen: dict[int, Any]) -> Any:
    """Put the numbers of one tree into the other, in place; return what is to stand in the place of `old`."""
    kind = find_kind(old)
    if kind is None:
        return new if _is_number(old) else old
    if id(old) in seen:
        return seen[id(old)]
    if kind.filled:
        seen[id(old)] = old
    parts, others = kind.take_apart(old), kind.take_apart(new)
    found = [
        part if label in parts.constant else _take_over(part, other, seen)
        for label, part, other in zip(parts.labels, parts.values, others.values, strict=True)
    ]
    if kind.filled:
        for label, part, other in zip(parts.labels, parts.values, found, strict=True):
            if other is not part:
                kind.put(old, label, other)
        return old
    same = all(a is b for a, b in zip(parts.values, found, strict=True))
    seen[id(old)] = old if same else kind.fill(None, old, found)
    return seen[id(old)]
