"""Timing several functions against each other fairly."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["interleaved_medians", "seconds_of"]


def seconds_of(call: Callable[[], object]) -> float:
    """Return the wall-clock seconds that one call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start


def interleaved_medians(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 21,
    budget: float = 5.0,
    shortest: float = 2e-4,
    before: Callable[[], object] | None = None,
) -> dict[str, float]:
    """Return the median seconds of each call, measured in rounds that run every call once.

    Parameters
    ----------
    calls
        What to time, by name. Each is called once beforehand, so that compilation and cold memory are not
        counted.
    rounds
        How many rounds; at least three are run.
    budget
        Seconds after which no further round starts.
    shortest
        A call quicker than this is repeated within its round, and the mean counted, to stay above the clock's
        grain.
    before
        Run before each call, and not timed: puts back what calls overwrite. Calls are then timed one by one,
        so that a call of a few microseconds is overestimated by the clock's own cost.

    Notes
    -----
    Rounds are interleaved so that a machine that slows down or speeds up does so for every call alike: the
    ratio of two medians is then steadier than either.

    Examples
    --------
    >>> medians = interleaved_medians({"small": lambda: sum(range(100)), "large": lambda: sum(range(20000))})
    >>> medians["small"] < medians["large"]
    True
    """
    repeats: dict[str, int] = {}
    prepare = _nothing if before is None else before
    for name, call in calls.items():
        prepare()
        call()
        prepare()
        repeats[name] = max(1, int(shortest / max(seconds_of(call), 1e-9)))
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    start = perf_counter()
    for done in range(max(rounds, 3)):
        if done >= 3 and perf_counter() - start > budget:
            break
        for name, call in calls.items():
            count = repeats[name]
            if before is None:
                began = perf_counter()
                for _ in range(count):
                    call()
                spent = perf_counter() - began
            else:
                spent = 0.0
                for _ in range(count):
                    before()
                    spent += seconds_of(call)
            seconds[name].append(spent / count)
    return {name: median(measured) for name, measured in seconds.items()}


def _nothing() -> None:
    """Do nothing."""
