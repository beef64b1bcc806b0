"""All rows, found in the modules of `benchmarks.problems`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import benchmarks.problems
from benchmarks.model import Group, Row

__all__ = ["all_rows", "row_titled"]


@cache
def all_rows() -> tuple[Row, ...]:
    """Return the rows in the order of the table: by group, then by module, then as they stand there."""
    names = sorted(module.name for module in iter_modules(benchmarks.problems.__path__))
    rows = [row for name in names for row in import_module(f"benchmarks.problems.{name}").ROWS]
    titles = [row.title for row in rows]
    twice = {title for title in titles if titles.count(title) > 1}
    if twice:
        raise ValueError(f"several rows are called {sorted(twice)}")
    order = list(Group)
    return tuple(sorted(rows, key=lambda row: order.index(row.group)))


def row_titled(title: str) -> Row:
    """Return the row of this title."""
    return next(row for row in all_rows() if row.title == title)
