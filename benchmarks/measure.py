"""Measure one row in a process of its own: ``python -m benchmarks.measure`` reads a job, prints the outcome.

The process that starts this one sets the numbers of threads to one, before anything is imported.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import coenzyme as cz
from benchmarks.catalogue import row_titled
from benchmarks.model import Array, Call, Case, Library, Row
from benchmarks.tape_bytes import counting_tapes
from coenzyme.problems.timing import interleaved_medians, seconds_of

__all__ = ["Job", "Outcome", "differ", "measure"]

BUDGET = 5.0
"""Seconds for the timed rounds of a row."""
SLOW = 1.0
"""Seconds above which one call after the first is all that a package is timed by."""


@dataclass(frozen=True)
class Job:
    """What to measure.

    Attributes
    ----------
    title
        The row.
    library
        The package to compare with; None for Coenzyme and the adjoint by hand.
    folder
        Where the derivatives by Coenzyme are kept, for the packages to be compared with.
    rounds
        How many rounds of timing.
    core
        The core to run on, where the system can tell.
    function_seconds
        What a call of the function takes, where it is not to be compiled once more to be timed again.
    """

    title: str
    library: str | None
    folder: str
    rounds: int
    core: int | None
    function_seconds: float | None = None


@dataclass
class Outcome:
    """What was measured: times in seconds, by the name of what was called, `function` and `ours` among them.

    Attributes
    ----------
    seconds
        Medians of interleaved rounds.
    compilation
        What the first call took.
    tape_bytes, hand_bytes
        What is kept from the forward to the reverse sweep.
    errors
        By name, why something has no time.
    """

    seconds: dict[str, float] = field(default_factory=dict[str, float])
    compilation: dict[str, float] = field(default_factory=dict[str, float])
    tape_bytes: int | None = None
    hand_bytes: int | None = None
    errors: dict[str, str] = field(default_factory=dict[str, str])


def measure(job: Job) -> Outcome:
    """Return the outcome of a job."""
    row = row_titled(job.title)
    kept = Path(job.folder) / "derivatives.npz"
    if job.library is None:
        return measure_ours(row, kept, job.rounds)
    return measure_peer(row, Library(job.library), kept, job.rounds, job.function_seconds)


def measure_ours(row: Row, kept: Path, rounds: int) -> Outcome:
    """Return times of the function, our derivative and the adjoint by hand, and the size of the tape."""
    start_compilers()
    outcome = Outcome()
    case = Case(row, row.arguments())
    outcome.compilation["function"] = seconds_of(case.primal)
    case.find_changed()
    case.reset()
    ours = case.ours()
    outcome.compilation["ours"], returned = first_call(ours.call)
    derivatives = ours.results(returned)
    np.savez(kept, *derivatives)
    calls = {"function": case.primal, "ours": ours.call}
    hand = case.hand()
    if hand is not None:
        case.reset()
        found = hand.results(hand.call())
        outcome.errors |= differ("by hand", found, derivatives, row.tolerance)
        calls["hand"] = hand.call
    outcome.seconds = interleaved_medians(calls, rounds=rounds, budget=BUDGET, before=resets(case))
    for name in ("function", "ours"):
        outcome.compilation[name] -= outcome.seconds[name]
    if row.hand_bytes is not None:
        outcome.hand_bytes = int(row.hand_bytes(*case.start))
    outcome.tape_bytes = count_bytes(row)
    return outcome


def measure_peer(
    row: Row, library: Library, kept: Path, rounds: int, function_seconds: float | None = None
) -> Outcome:
    """Return times of the function and of each formulation for one package."""
    with np.load(kept) as saved:
        expected = tuple(saved[name] for name in saved.files)
    outcome = Outcome()
    case = Case(row, row.arguments())
    calls: dict[str, Callable[[], object]] = {}
    slow: dict[str, float] = {}
    if function_seconds is None:
        case.primal()
        case.find_changed()
        calls["function"] = case.primal
    else:
        slow["function"] = function_seconds
    for peer in row.peers:
        if peer.library is not library:
            continue
        name = f"{library.value} {peer.formulation}"
        try:
            candidate = case.peer(peer)
            outcome.compilation[name], returned = first_call(candidate.call)
            wrong = differ(name, candidate.results(returned), expected, row.tolerance)
        except Exception as error:
            wrong = {name: f"{type(error).__name__}: {error}"[:500]}
        outcome.errors |= wrong
        if wrong:
            continue
        case.reset()
        seconds = seconds_of(candidate.call)
        if seconds < SLOW:
            calls[name] = candidate.call
        else:
            slow[name] = seconds
    outcome.seconds = interleaved_medians(calls, rounds=rounds, budget=BUDGET, before=resets(case)) | slow
    return outcome


def first_call(call: Call) -> tuple[float, Any]:
    """Return the seconds that a call takes, and what it returns."""
    start = perf_counter()
    returned = call()
    return perf_counter() - start, returned


def resets(case: Case) -> Callable[[], object] | None:
    """Return what runs before each call; None where the row asks for bare calls in a row."""
    return None if case.row.bare else case.reset


def count_bytes(row: Row) -> int:
    """Return how many bytes are on the tape of one call at most."""
    with counting_tapes() as count:
        case = Case(row, row.arguments())
        ours = case.ours()
        case.reset()
        ours.call()
        count.reset()
        case.reset()
        ours.call()
        return count.peak


def differ(
    name: str, found: tuple[Array, ...], expected: tuple[Array, ...], tolerance: float
) -> dict[str, str]:
    """Return, by name, in what derivatives differ from those expected; nothing where they agree.

    Notes
    -----
    Entries may differ by the tolerance times the largest entry of their array.
    """
    if len(found) != len(expected):
        return {name: f"{len(found)} derivatives instead of {len(expected)}"}
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        if a.size != b.size:
            return {name: f"derivative {k} has {a.size} entries instead of {b.size}"}
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return {name: f"derivative {k} is not finite, or should not be"}
        scale = np.abs(b).max(initial=0.0)
        error = np.abs(a.reshape(-1) - b.reshape(-1)).max(initial=0.0)
        if error > tolerance * scale:
            return {name: f"derivative {k} differs by {error:.2g} where its largest entry is {scale:.2g}"}
    return {}


def start_compilers() -> None:
    """Compile something first: the typing tables that this builds belong to no row's latency."""

    def total(x: Array, y: Array) -> None:
        for i in range(x.size):
            y[i] += x[i] * x[i]

    x = np.ones(3)
    cz.autodiff(cz.Reverse, total, cz.Duplicated(x, np.zeros(3)), cz.Duplicated(np.ones(3), np.ones(3)))


def main() -> None:
    """Read a job from standard input, and print its outcome as the last line."""
    job = Job(**json.load(sys.stdin))
    if job.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {job.core})
    try:
        outcome = measure(job)
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome(errors={job.library or "ours": f"{type(error).__name__}: {error}"[:1000]})
    print("\n" + json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
