"""The runner: each row in processes of its own, one after the other, on one core."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.catalogue import all_rows
from benchmarks.measure import Job, Outcome
from benchmarks.model import Library, Row
from benchmarks.plot import draw
from benchmarks.report import Conditions, Record, console_table, write_reports

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS",
    )
} | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", "JAX_PLATFORMS": "cpu"}
WARM_HEAP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
"""For the GNU C library: memory that is freed stays with the process, of any size, for whoever allocates."""
LONG_COMPILATION = 5.0
"""Seconds of Numba's from which a function is not compiled again to be timed beside each package."""
LONGEST = 240.0
"""Seconds after which a process is given up."""

console = Console()


def main(
    only: Annotated[str, typer.Option(help="Measure the rows whose title matches this expression.")] = "",
    rounds: Annotated[int, typer.Option(min=3, help="Rounds of timing, at most; at least 3 are run.")] = 31,
    peers: Annotated[bool, typer.Option(help="Compare with other packages, where installed.")] = True,
    quick: Annotated[bool, typer.Option(help="Few rounds: figures to look at, not to quote.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The folder written; by default docs/benchmarks for all rows, none for some or --quick."
        ),
    ] = None,
) -> None:
    """Time derivatives against their functions, adjoints by hand and other packages; write table and plot.

    The exit code is 1 if a derivative is missing or wrong.
    """
    rows = [row for row in all_rows() if re.search(only, row.title)]
    if not rows:
        console.print(f"[bold red]✗[/] no row's title matches {only!r}")
        raise typer.Exit(2)
    libraries = [library for library in Library if peers and find_spec(library.value) is not None]
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    records: list[Record] = []
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(rows))
        for row in rows:
            progress.update(task, description=row.title)
            record = measure_row(row, libraries, 5 if quick else rounds, core)
            records.append(record)
            progress.advance(task)
            progress.console.print(record.line(), highlight=False)
    conditions = Conditions.here(5 if quick else rounds, core is not None, libraries)
    Console(width=max(console.width, 150)).print(console_table(records))
    if output is None and not (only or quick):
        output = Path("docs/benchmarks")
    if output is not None:
        write(output, conditions, records)
    if any(record.outcome.errors or "ours" not in record.outcome.seconds for record in records):
        raise typer.Exit(1)


def write(folder: Path, conditions: Conditions, records: list[Record]) -> None:
    """Write results, table and plot."""
    folder.mkdir(parents=True, exist_ok=True)
    write_reports(folder, conditions, records)
    if draw(records, folder / "ratios.png"):
        console.print(f"written: results.json, table.md and ratios.png in {folder}")
    else:
        console.print(f"written: results.json and table.md in {folder}; the plot needs matplotlib")


def measure_row(row: Row, libraries: list[Library], rounds: int, core: int | None) -> Record:
    """Return what was measured of a row: one process for ours, one for each package."""
    with TemporaryDirectory() as folder:
        ours = run(Job(row.title, None, folder, rounds, core))
        others: dict[str, Outcome] = {}
        known = ours.seconds.get("function")
        if ours.compilation.get("function", 0.0) < LONG_COMPILATION:
            known = None
        for library in libraries:
            if "ours" in ours.seconds and any(peer.library is library for peer in row.peers):
                others[library.value] = run(Job(row.title, library.value, folder, rounds, core, known))
    return Record(row, ours, others)


def run(job: Job) -> Outcome:
    """Return the outcome of a job in a fresh process; a process that dies is an error in it."""
    name = job.library or "ours"
    environment = os.environ | ONE_THREAD | WARM_HEAP
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.measure"],
            input=json.dumps(asdict(job)),
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(errors={name: f"not done after {LONGEST:.0f} s"})
    try:
        return Outcome(**json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        last = done.stderr.strip().splitlines()[-1:]
        return Outcome(errors={name: f"ended with exit code {done.returncode}: {' '.join(last)}"[:500]})


if __name__ == "__main__":
    typer.run(main)
