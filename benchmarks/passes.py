"""What each pass is worth: derivatives with and without it, on rows it is for.

``python -m benchmarks.passes`` writes ``docs/benchmarks/passes.md``. Each row is measured in a process of its
own, in rounds that call everything once; what is reported are the least times.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

import coenzyme as cz
from benchmarks.__main__ import ONE_THREAD, WARM_HEAP
from benchmarks.catalogue import row_titled
from benchmarks.measure import count_bytes, differ
from benchmarks.model import Case, Row
from benchmarks.report import Conditions, amount, duration, number
from coenzyme.analysis.passes import Pass
from coenzyme.problems.timing import seconds_of

__all__ = ["MEASURED", "Figures", "markdown", "measure_passes"]

MEASURED: Mapping[str, tuple[Pass, ...]] = {
    "jacobi_1d 3200, 800 steps": (Pass.GATHER, Pass.ORDERLESS, Pass.UNNEEDED, Pass.NEGATIVE_ZERO),
    "jacobi_2d 250², 100 steps": (Pass.GATHER, Pass.ROWS, Pass.ORDERLESS, Pass.APART),
    "heat_3d 40³, 50 steps": (Pass.GATHER, Pass.ROWS, Pass.ORDERLESS),
    "hdiff 64 × 64 × 60": (Pass.ROWS, Pass.SIDE_BY_SIDE),
    "Brusselator 64², right-hand side": (Pass.BORDERS, Pass.REREAD, Pass.ROWS),
    "Brusselator 64², 100 Euler steps in place": (Pass.BORDERS, Pass.REREAD, Pass.NESTS, Pass.SIDE_BY_SIDE),
    "Jacobi sweeps, grids swapped, 250², 100 sweeps": (Pass.ROWS,),
    "seidel_2d 120², 40 sweeps": (Pass.UNNEEDED, Pass.NEGATIVE_ZERO),
    "adi 200², 20 steps": (Pass.UNNEEDED, Pass.STORED, Pass.CHAINS, Pass.FORWARDED),
    "vadv 60 × 60 × 40": (Pass.APART,),
    "atax 1900 × 2100": (Pass.GATHER, Pass.APART),
    "durbin 2000": (Pass.SHARED,),
    "syrk 240 × 200": (Pass.CUT, Pass.UNNEEDED),
    "Burgers with limiter, 1000 cells, 500 steps": (Pass.SPECULATE, Pass.WRAPAROUND),
    "cholesky in place 400²": (Pass.SURVIVAL, Pass.EQUAL_PHIS, Pass.NEGATIVE_ZERO),
    "lu in place 400²": (Pass.SURVIVAL, Pass.WRAPAROUND),
    "GMM d10 K25 n1000": (Pass.REPLAY, Pass.FUSE, Pass.CUT, Pass.INVARIANT, Pass.NEGATIVE_ZERO),
    "conv2d 8 × 32² × 3, 16 filters of 2²": (Pass.CONTRACT, Pass.LATE, Pass.ROUND_TRIPS),
    "go_fast 2000²": (Pass.CONTRACT,),
    "softmax 16 × 16 × 32 × 128": (Pass.CONTRACT, Pass.CARRIED),
    "GMM d2 K5 n1000": (Pass.NEARBY,),
    "LSTM l2 c1024": (Pass.CUT, Pass.CARRIED),
    "FFT and inverse, n = 65 536": (Pass.IDLE,),
    "Hand dense Jacobian c100": (Pass.LANES, Pass.BORROWED),
    "BA sparse Jacobian p31843, in one batch": (Pass.CUT, Pass.STACK, Pass.BORROWED),
}
"""By the title of a row, the passes that it is measured without."""

BUDGET = 10.0
"""Seconds for the timed rounds of a row."""
LONGEST = 600.0
"""Seconds after which a process is given up."""

console = Console()


@dataclass(frozen=True)
class Figures:
    """One derivative of one row.

    Attributes
    ----------
    without
        The name of the pass it is made without; empty where it is made by all of them, None by none.
    seconds, tape_bytes
        The least time of a call, and the most bytes that are on the tape.
    function_seconds
        What the function takes.
    """

    title: str
    without: str | None
    seconds: float
    tape_bytes: int
    function_seconds: float


def without(name: str | None) -> AbstractContextManager[None]:
    """Return the block in which derivatives are made without a pass, as `Figures` names it."""
    if name is None:
        return cz.debug.tape_everything()
    return cz.debug.without(*([Pass[name]] if name else []))


def measure_passes(row: Row, names: tuple[str, ...], rounds: int, budget: float = BUDGET) -> list[Figures]:
    """Return the figures of a row: with all passes, without each of those named, without any."""
    case = Case(row, row.arguments())
    case.primal()
    case.find_changed()
    calls: dict[str | None, Callable[[], object]] = {}
    expected = None
    ways: list[str | None] = ["", *names, None]
    for way in ways:
        with without(way):
            candidate = case.ours()
            case.reset()
            found = candidate.results(candidate.call())
        expected = found if expected is None else expected
        wrong = differ(f"without {way}", found, expected, row.tolerance)
        if wrong:
            raise ValueError(f"{row.title}: {wrong}")
        calls[way] = within(way, candidate.call)
    tapes: dict[str | None, int] = {}
    for way in ways:
        with without(way):
            tapes[way] = count_bytes(row)
    least = minima({"function": case.primal, **{way: calls[way] for way in ways}}, case.reset, rounds, budget)
    return [Figures(row.title, way, least[way], tapes[way], least["function"]) for way in ways]


def within(way: str | None, call: Callable[[], object]) -> Callable[[], object]:
    """Return a call that is made without a pass."""

    def made() -> object:
        with without(way):
            return call()

    return made


def minima(
    calls: Mapping[str | None, Callable[[], object]],
    before: Callable[[], object],
    rounds: int,
    budget: float,
) -> dict[str | None, float]:
    """Return the least seconds of each call in rounds that make every call once."""
    least = dict.fromkeys(calls, float("inf"))
    start = perf_counter()
    for done in range(rounds):
        if done >= 3 and perf_counter() - start > budget:
            break
        for name, call in calls.items():
            before()
            least[name] = min(least[name], seconds_of(call))
    return least


def markdown(conditions: Conditions, figures: list[Figures]) -> str:
    """Return the table."""
    lines = [
        "# What each pass is worth",
        "",
        conditions.sentences().replace("Medians", "Least times", 1),
        "What the passes do: [performance.md](../performance.md#the-passes).",
        "",
        "| row | function | gradient | ÷ function | tape | without | gradient | ÷ that with | tape |",
        "|---|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for _, group in groupby(figures, key=lambda f: f.title):
        full, *others = group
        head = [
            full.title,
            duration(full.function_seconds),
            duration(full.seconds),
            number(full.seconds / full.function_seconds),
            amount(full.tape_bytes),
        ]
        for other in others:
            name = "all of them" if other.without is None else f"`{other.without}`"
            cells = [
                name,
                duration(other.seconds),
                number(other.seconds / full.seconds),
                amount(other.tape_bytes),
            ]
            lines.append("| " + " | ".join([*head, *cells]) + " |")
            head = [""] * len(head)
    return "\n".join(lines) + "\n"


def main(
    only: Annotated[str, typer.Option(help="Measure the rows whose title matches this expression.")] = "",
    rounds: Annotated[int, typer.Option(min=3, help="Rounds of timing, at most; at least 3 are run.")] = 21,
    every: Annotated[bool, typer.Option("--every", help="Leave out each pass on each row.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="The file written; by default docs/benchmarks/passes.md for all rows.")
    ] = None,
    measured: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Time derivatives with and without each pass of the reverse mode."""
    if measured:
        names = tuple(one.name for one in (Pass if every else MEASURED[measured]))
        found = measure_passes(row_titled(measured), names, rounds)
        print(json.dumps([asdict(one) for one in found]))
        return
    titles = [title for title in MEASURED if re.search(only, title)]
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    figures: list[Figures] = []
    with Progress(console=console) as progress:
        task = progress.add_task("", total=len(titles))
        for title in titles:
            progress.update(task, description=title, refresh=True)
            figures += run(title, rounds, core, every=every)
            progress.advance(task)
    text = markdown(Conditions.here(rounds, core is not None, []), figures)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    if output is None and not only:
        output = Path("docs/benchmarks/passes.md")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


def run(title: str, rounds: int, core: int | None, *, every: bool = False) -> list[Figures]:
    """Return the figures of a row, measured in a fresh process on one core."""
    command = [sys.executable, "-m", "benchmarks.passes", "--measured", title, "--rounds", str(rounds)]
    command += ["--every"] if every else []
    done = subprocess.run(
        command,
        env=os.environ | ONE_THREAD | WARM_HEAP,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=LONGEST,
        check=True,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
    )
    return [Figures(**one) for one in json.loads(done.stdout.splitlines()[-1])]


if __name__ == "__main__":
    typer.run(main)
