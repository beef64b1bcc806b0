"""An explanation on a terminal: tables beside the source."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from coenzyme.api.explain import Explanation, FunctionLines
from coenzyme.api.explain_notes import notes_of
from coenzyme.derive.explained import Kind

__all__ = ["as_text", "render"]

_STYLES = {
    Kind.TAPED: "bold red",
    Kind.STORED: "yellow",
    Kind.BLOCK: "magenta",
    Kind.COPY: "magenta",
    Kind.AGAIN: "cyan",
    Kind.RECOMPUTED: "cyan",
    Kind.CALL: "blue",
    Kind.RULE: "blue",
}
_WIDTH = 110


def render(explanation: Explanation) -> RenderableType:
    """Return what to print of an explanation."""
    return Group(*_parts(explanation))


def as_text(explanation: Explanation) -> str:
    """Return an explanation as plain text."""
    console = Console(file=StringIO(), width=_WIDTH, color_system=None, legacy_windows=False)
    console.print(render(explanation))
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def _parts(explanation: Explanation) -> Iterator[RenderableType]:
    yield Text.assemble(
        "reverse sweep of ", (explanation.name, "bold"), f"({explanation.signature})", overflow="fold"
    )
    yield Text.assemble(
        "tape: ", (f"{explanation.total} bytes", "bold"), _number(explanation.total_evaluated)
    )
    more = " and memory of unknown size" if explanation.unknown_memory else ""
    yield Text.assemble(
        "arrays kept, with their shadows: ",
        (f"{explanation.memory} bytes", "bold"),
        _number(explanation.memory_evaluated) + more,
    )
    for function in explanation.functions:
        yield _table(function)
    if explanation.loops:
        yield _loops(explanation)


def _number(value: int | None) -> str:
    return "" if value is None else f" = {value:,} bytes"


def _table(function: FunctionLines) -> Table:
    table = Table(title=f"{function.name}  {function.file}", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("line", justify="right", no_wrap=True, style="dim")
    table.add_column("∂", no_wrap=True)
    table.add_column("B/iteration", justify="right", no_wrap=True, style="bold red")
    table.add_column("source, and what the reverse sweep keeps of it")
    code = "\n".join(line.source for line in function.lines)
    coloured = Syntax(code, "python", background_color="default").highlight(code).split("\n")
    for line, source in zip(function.lines, coloured, strict=False):
        indent = len(line.source) - len(line.source.lstrip()) + 4
        notes = [
            Padding(Text(note.text, _STYLES[note.kind]), (0, 0, 0, indent))
            for note in notes_of(line, function.file, code)
        ]
        size = line.bytes_per_iteration
        shown = Group(source, *notes)
        table.add_row(str(line.number), "∂" if line.active else "", str(size) if size else "", shown)
    return table


def _loops(explanation: Explanation) -> Table:
    table = Table(title="loops", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("line", "depth", "B/iteration", "in all"):
        table.add_column(heading, justify="right")
    for loop in explanation.loops:
        total = str(loop.total)
        if loop.evaluated is not None and total != str(loop.evaluated):
            total = f"{total} = {loop.evaluated:,}"
        table.add_row(str(loop.line or "?"), str(loop.depth), str(loop.bytes_per_iteration), total)
    return table
