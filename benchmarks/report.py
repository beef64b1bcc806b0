"""What was measured, as a table on the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

import llvmlite.binding
from rich.markup import escape
from rich.table import Table

from benchmarks.measure import Outcome
from benchmarks.model import Library, Row

__all__ = ["Conditions", "Record", "console_table", "geometric_mean", "write_reports"]

HEADINGS = (
    "row",
    "function",
    "gradient",
    "ratio",
    "at most",
    "by hand",
    "ours ÷ hand",
    "tape",
    "tape by hand",
    *(library.name.capitalize() for library in Library),
    "Enzyme",
    "hand",
    "Numba compiles",
    "gradient compiles",
)
TITLES = {"Jax": "JAX", "Torch": "PyTorch", "Autograd": "autograd", "Casadi": "CasADi"}


@dataclass(frozen=True)
class Conditions:
    """Where and how it was measured."""

    rounds: int
    pinned: bool
    machine: str
    versions: dict[str, str]
    date: str

    @classmethod
    def here(cls, rounds: int, pinned: bool, libraries: list[Library]) -> Conditions:
        """Return the conditions in this process."""
        packages = ("coenzyme", "numba", "llvmlite", "numpy", *(library.value for library in libraries))
        versions = {"Python": platform.python_version()}
        versions |= {package: metadata.version(package) for package in packages}
        machine = f"{processor()} ({llvmlite.binding.get_host_cpu_name()}), {platform.system()}"
        return cls(rounds, pinned, machine, versions, datetime.now(timezone.utc).date().isoformat())

    def sentences(self) -> str:
        """Return the conditions in words."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"Medians of up to {self.rounds} interleaved rounds after warm-up, warm heap, one core"
            f"{', pinned' if self.pinned else ''}, every library on one thread, double precision. "
            f"{self.machine}; {versions}; {self.date}."
        )


@dataclass(frozen=True)
class Record:
    """What was measured of one row.

    Attributes
    ----------
    row
        The row.
    outcome
        Of the function, our derivative and the adjoint by hand.
    others
        Of each package, timed beside the function once more.
    """

    row: Row
    outcome: Outcome
    others: dict[str, Outcome]

    def ratio(self, name: str) -> float | None:
        """Return the time of `ours` or `hand` over that of the function."""
        seconds = self.outcome.seconds
        return seconds[name] / seconds["function"] if name in seconds and "function" in seconds else None

    @property
    def over_hand(self) -> float | None:
        """How many times the time of the adjoint by hand ours takes."""
        seconds = self.outcome.seconds
        return seconds["ours"] / seconds["hand"] if {"ours", "hand"} <= seconds.keys() else None

    def peer_ratios(self, library: str) -> dict[str, float]:
        """Return the ratio of each formulation for a package, the quickest first."""
        seconds = self.others[library].seconds if library in self.others else {}
        found = {name: seconds[name] / seconds["function"] for name in seconds if name != "function"}
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def best_peer(self) -> float | None:
        """Return the smallest ratio of any package."""
        ratios = [ratio for library in self.others for ratio in self.peer_ratios(library).values()]
        return min(ratios, default=None)

    def errors(self) -> dict[str, str]:
        """Return all that went wrong, by name."""
        found = dict(self.outcome.errors)
        for outcome in self.others.values():
            found |= outcome.errors
        return found

    def line(self) -> str:
        """Return the row in one line, for the terminal."""
        ours, hand = number(self.ratio("ours")), number(self.ratio("hand"))
        peers = ", ".join(
            f"{name} {number(ratio)}"
            for library in self.others
            for name, ratio in self.peer_ratios(library).items()
        )
        text = f"{escape(self.row.title)}: [bold]{ours}[/], by hand {hand}" + (f", {peers}" if peers else "")
        for name, error in self.errors().items():
            text += f"\n  [bold red]✗[/] {escape(name)}: {escape(error)}"
        return text

    def cells(self) -> list[str]:
        """Return the row's cells in the table, as `HEADINGS` has them."""
        row, outcome = self.row, self.outcome
        ours = self.ratio("ours")
        missed = ours is not None and row.bar is not None and ours > row.bar
        peers = [self._peer_cell(library) for library in Library]
        return [
            row.title,
            duration(outcome.seconds.get("function")),
            duration(outcome.seconds.get("ours")),
            "✗" if ours is None else number(ours) + (" ▲" if missed else ""),
            number(row.bar),
            "✗" if "by hand" in outcome.errors else number(self.ratio("hand")),
            number(self.over_hand),
            amount(outcome.tape_bytes),
            amount(outcome.hand_bytes),
            *peers,
            number(row.quoted.enzyme),
            number(row.quoted.hand),
            duration(outcome.compilation.get("function")),
            duration(outcome.compilation.get("ours")),
        ]

    def _peer_cell(self, library: Library) -> str:
        ratios = self.peer_ratios(library.value)
        if ratios:
            name, ratio = next(iter(ratios.items()))
            return f"{number(ratio)} ({name.removeprefix(library.value).strip()})"
        return "✗" if library.value in self.others else ""

    def as_json(self) -> dict[str, Any]:
        """Return everything known of the row in the terms of JSON."""
        quoted = self.row.quoted
        return {
            "title": self.row.title,
            "group": self.row.group.value,
            "bar": self.row.bar,
            "quoted": {"hand": quoted.hand, "enzyme": quoted.enzyme, "peer": quoted.peer},
            "ratio": self.ratio("ours"),
            "hand_ratio": self.ratio("hand"),
            "seconds": self.outcome.seconds,
            "compilation_seconds": self.outcome.compilation,
            "tape_bytes": self.outcome.tape_bytes,
            "hand_bytes": self.outcome.hand_bytes,
            "peers": {library: self.peer_ratios(library) for library in self.others},
            "peer_compilation_seconds": {k: v.compilation for k, v in self.others.items()},
            "errors": self.errors(),
        }


def processor() -> str:
    """Return the name of the processor as its maker has it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def geometric_mean(records: list[Record]) -> float | None:
    """Return the geometric mean of our time over that of the adjoint by hand, over the rows that have one."""
    logarithms = [math.log(r.over_hand) for r in records if r.over_hand is not None]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None


# --- formats -----------------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    """Return a ratio with three digits, empty if there is none."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """Return a duration in its unit, empty if there is none."""
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def amount(size: int | None) -> str:
    """Return a number of bytes in its unit, empty if there is none."""
    if size is None:
        return ""
    for unit, bytes in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes:
            return f"{number(size / bytes)} {unit}"
    return f"{size} B"


# --- tables ------------------------------------------------------------------------------------------------


def console_table(records: list[Record]) -> Table:
    """Return the table for the terminal: the columns that matter most."""
    table = Table(title="gradient time / function time", caption=mean_sentence(records))
    shown = [0, 1, 2, 3, 4, 5, 7, 8]
    for i in shown:
        table.add_column(HEADINGS[i], justify="left" if i == 0 else "right", no_wrap=i == 0)
    table.add_column("best peer", justify="right")
    for record in records:
        cells = record.cells()
        table.add_row(*(escape(cells[i]) for i in shown), number(record.best_peer()))
    return table


def mean_sentence(records: list[Record]) -> str:
    """Return the geometric mean in words."""
    mean = geometric_mean(records)
    if mean is None:
        return ""
    count = sum(record.over_hand is not None for record in records)
    return f"ours ÷ by hand: geometric mean {mean:.2f} over {count} rows"


def write_reports(folder: Path, conditions: Conditions, records: list[Record]) -> None:
    """Write ``results.json`` and ``table.md``."""
    results = {
        "conditions": vars(conditions),
        "ours_over_hand_geometric_mean": geometric_mean(records),
        "rows": [record.as_json() for record in records],
    }
    (folder / "results.json").write_text(
        json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "table.md").write_text(markdown(conditions, records), encoding="utf-8")


def variants(records: list[Record]) -> str:
    """Return how far apart the ratios of the variants of one row are, in Markdown."""
    lines: list[str] = []
    for base in records:
        family = [r for r in records if base.row.title in (r.row.title, r.row.variant_of)]
        ratios = {r.row.title: ratio for r in family if (ratio := r.ratio("ours")) is not None}
        if len(ratios) > 1:
            best = min(ratios.values())
            lines += [f"- {title}: {number(ratio / best)}" for title, ratio in ratios.items()]
    return "## Ratio over that of the best variant\n\n" + "\n".join(lines) if lines else ""


def markdown(conditions: Conditions, records: list[Record]) -> str:
    """Return the tables, one for each group, in Markdown."""
    parts = [
        "# Benchmarks",
        conditions.sentences(),
        mean_sentence(records) + "." if geometric_mean(records) is not None else "",
        "How to run and how to read this: [performance.md](../performance.md).",
        "![ratios](ratios.png)",
    ]
    for group, members in groupby(records, key=lambda record: record.row.group):
        lines = [f"## {group.value}", "", "| " + " | ".join(TITLES.get(h, h) for h in HEADINGS) + " |"]
        lines.append("|---|" + "---:|" * (len(HEADINGS) - 1))
        lines += ["| " + " | ".join(record.cells()) + " |" for record in members]
        parts.append("\n".join(lines))
    parts.append(variants(records))
    errors = [f"- {r.row.title}, {name}: {text}" for r in records for name, text in r.errors().items()]
    if errors:
        parts.append("## Errors\n\n" + "\n".join(errors))
    return "\n\n".join(part for part in parts if part) + "\n"
