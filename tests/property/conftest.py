"""Says at the end of a run what came of the random programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.property import TALLY


def pytest_terminal_summary(terminalreporter: Any) -> None:
    tally: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, value in report.user_properties:
                    if name == TALLY:
                        tally.update(value)
    if tally:
        terminalreporter.section("random programs")
        for verdict, number in tally.most_common():
            terminalreporter.line(f"{number:7} {verdict}")
