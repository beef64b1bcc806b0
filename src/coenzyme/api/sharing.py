"""Arguments in one memory: what compiled code assumes of them, and checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import combinations
from typing import Any

from coenzyme.api.functions import Compiled, name_of
from coenzyme.api.memory import any_overlap, mirrors, overlap
from coenzyme.api.source import Source, tuple_of
from coenzyme.api.structure import Arrangement
from coenzyme.errors import ActivityError

__all__ = ["AliasError", "Sharing", "add_alias_checks", "overlap_test", "refuse_written"]


class Sharing(Enum):
    """What is known of array arguments that lie in one memory.

    A write to one argument is a write to every other one in the same memory. The derivative of a function
    that writes must allow for that, and shadows must share memory as their primals do.
    """

    REFUSED = "arguments that may share memory are refused before anything runs"
    SEPARATE = "arguments and shadows that may share memory are refused before anything runs"
    MIRRORED = "arguments may share memory if their shadows do so in the same way, and are refused otherwise"
    READ = "the caller has checked that arguments in one memory are only read"
    WRITTEN = "the caller has checked that shadows lie as their primals do"

    @property
    def is_disjoint(self) -> bool:
        """Whether a write to one argument is never seen through another."""
        return self in (Sharing.REFUSED, Sharing.SEPARATE, Sharing.READ)


class AliasError(ActivityError):
    """Arguments that may lie in one memory: compiled code does not see what is written."""


def add_alias_checks(
    source: Source, arrangement: Arrangement, sharing: Sharing, lanes: Sequence[Mapping[str, str]] = ()
) -> None:
    """Add the lines that refuse arguments in one memory, as far as `sharing` asks for it.

    Parameters
    ----------
    source
        The body.
    arrangement
        The function and its arguments.
    sharing
        What is known already.
    lanes
        For each direction, the expressions of shadows that the caller has passed, by the path of the primal.
    """
    if sharing in (Sharing.READ, Sharing.WRITTEN):
        return
    if sharing is Sharing.SEPARATE:
        test = overlap_test(source, arrangement, lanes)
        if test is not None:
            _refuse(source, arrangement, test)
        return
    arrays = [leaf for leaf in arrangement.leaves if leaf.is_array]
    meet = source.name("overlap", overlap)
    tests: list[str] = []
    for x, y in combinations(arrays, 2):
        if not (x.kind.mutable or y.kind.mutable):
            continue
        test = f"{meet}({x.path}, {y.path})"
        if sharing is Sharing.MIRRORED and not (x.differentiated or y.differentiated):
            continue
        if sharing is Sharing.MIRRORED and lanes and x.path in lanes[0] and y.path in lanes[0]:
            alike = source.name("mirrors", mirrors)
            apart = [f"(not {alike}({x.path}, {y.path}, {dx[x.path]}, {dx[y.path]}))" for dx in lanes]
            test = f"({test} & ({' | '.join(apart)}))"
        tests.append(test)
    if sharing is Sharing.MIRRORED:
        for shadows in lanes:
            tests += [f"{meet}({x.path}, {shadow})" for x in arrays for shadow in shadows.values()]
            tests += [
                f"({meet}({dx}, {dy}) & (not {meet}({x}, {y})))"
                for (x, dx), (y, dy) in combinations(shadows.items(), 2)
            ]
        for first, second in combinations(lanes, 2):
            tests += [f"{meet}({dx}, {dy})" for dx in first.values() for dy in second.values()]
    if tests:
        _refuse(source, arrangement, " | ".join(tests))


def overlap_test(
    source: Source,
    arrangement: Arrangement,
    lanes: Sequence[Mapping[str, str]],
    intrinsic: Callable[..., Any] = any_overlap,
) -> str | None:
    """Return the expression that tells whether arrays share memory, None where there is nothing to share.

    Parameters
    ----------
    source
        The body.
    arrangement
        The function and its arguments.
    lanes
        For each direction, the expressions of shadows by the path of the primal.
    intrinsic
        What compares the arrays: `any_overlap` or `may_overlap`.
    """
    arrays = [leaf for leaf in arrangement.leaves if leaf.is_array]
    read = [leaf.path for leaf in arrays if not leaf.kind.mutable]
    others = [leaf.path for leaf in arrays if leaf.kind.mutable]
    others += [shadow for shadows in lanes for shadow in shadows.values()]
    if not others or len(read) + len(others) < 2:
        return None
    return f"{source.name(intrinsic.__name__, intrinsic)}({tuple_of(read)}, {tuple_of(others)})"


def _refuse(source: Source, arrangement: Arrangement, test: str) -> None:
    error = AliasError(
        "array arguments share memory and their shadows do not, or a shadow lies in an argument's memory",
        function=name_of(arrangement.function),
        remedy="pass a copy of one; or use autodiff with shadows that overlap as the arguments do",
    )
    source.add(f"if {test}:")
    source.add(f"raise {source.name('alias_error', AliasError)}({str(error)!r})", depth=1)


def refuse_written(sharing: Sharing, function: Compiled) -> None:
    """Refuse arguments in one memory that is written, where derivatives are taken on a copy of each.

    Raises
    ------
    ActivityError
        If that is the case.
    """
    if sharing is Sharing.WRITTEN:
        raise ActivityError(
            "arguments share memory, which the function writes",
            function=name_of(function),
            remedy="pass a copy of one of them",
        )
