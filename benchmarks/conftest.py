"""The `compare` fixture, which times a gradient against its function, and the table of all that it saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

import coenzyme as cz
from coenzyme.problems.timing import interleaved_medians, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture


@dataclass(frozen=True)
class Comparison:
    """What one problem showed, in seconds."""

    problem: str
    function: float
    gradient: float
    by_hand: float | None
    function_compilation: float
    gradient_compilation: float


@dataclass
class Comparer:
    """Compares derivatives with their functions and keeps the results for the table."""

    benchmark: BenchmarkFixture
    results: list[Comparison]

    def __call__(
        self,
        problem: str,
        *,
        function: Callable[[], object],
        gradient: Callable[[], object],
        by_hand: Callable[[], object] | None = None,
    ) -> None:
        """Time the first calls, which compile, then interleaved rounds; then let pytest-benchmark do so."""
        function_compilation = seconds_of(function)
        gradient_compilation = seconds_of(gradient)
        calls = {"function": function, "gradient": gradient}
        if by_hand is not None:
            calls["by_hand"] = by_hand
        medians = interleaved_medians(calls, rounds=51)
        comparison = Comparison(
            problem,
            medians["function"],
            medians["gradient"],
            medians.get("by_hand"),
            function_compilation,
            gradient_compilation,
        )
        self.results.append(comparison)
        self.benchmark.extra_info.update(vars(comparison))
        self.benchmark.pedantic(gradient, rounds=10)


COMPARISONS = pytest.StashKey[list[Comparison]]()


@pytest.fixture
def compare(benchmark: BenchmarkFixture, request: pytest.FixtureRequest, compilers_started: None) -> Comparer:
    return Comparer(benchmark, request.config.stash.setdefault(COMPARISONS, []))


@pytest.fixture(scope="session")
def compilers_started() -> None:
    """Compile something first: the typing tables that this builds belong to no problem's latency."""

    def total(x: np.ndarray) -> float:
        result = 0.0
        for i in range(x.size):
            result += x[i] * x[i]
        return result

    cz.value_and_grad(total)(np.ones(3))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    comparisons = config.stash.get(COMPARISONS, [])
    if not comparisons:
        return
    table = Table(title="derivative time / function time (medians of interleaved rounds)")
    table.add_column("problem", no_wrap=True)
    for heading in (
        "function",
        "derivative",
        "ratio",
        "by hand",
        "Numba compiles",
        "derivative compiles",
        "ratio",
    ):
        table.add_column(heading, justify="right")
    for row in comparisons:
        table.add_row(
            row.problem,
            f"{row.function * 1e3:.3f} ms",
            f"{row.gradient * 1e3:.3f} ms",
            f"[bold]{row.gradient / row.function:.2f}[/]",
            "–" if row.by_hand is None else f"{row.by_hand / row.function:.2f}",
            f"{row.function_compilation:.2f} s",
            f"{row.gradient_compilation:.2f} s",
            f"{row.gradient_compilation / row.function_compilation:.1f}",
        )
    terminalreporter.write_line("")
    Console(width=130).print(table)
