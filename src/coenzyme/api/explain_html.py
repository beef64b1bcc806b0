"""An explanation as one HTML page that needs nothing else, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from coenzyme.api.explain import Explanation, FunctionLines, LineReport
from coenzyme.api.explain_notes import LEGEND, notes_of
from coenzyme.derive.explained import Kind

__all__ = ["fragment", "page"]

_STYLE = """
.cz-explain { --ink: #1d2129; --dim: #66707f; --line: #dfe3e8; --paper: #ffffff; --tape: 214, 69, 40;
  --taped: #b3361b; --stored: #8a6100; --block: #8a2f8a; --again: #0b6e7d; --call: #2455b8;
  color: var(--ink); background: var(--paper); font: 14px/1.45 system-ui, sans-serif; padding: 0.5rem 1rem; }
@media (prefers-color-scheme: dark) {
  .cz-explain { --ink: #e4e7ec; --dim: #98a2b3; --line: #353b45; --paper: #16181d; --tape: 255, 112, 77;
    --taped: #ff9173; --stored: #e2b64f; --block: #dd92dd; --again: #62c6d6; --call: #8db1ff; } }
.cz-explain h1 { font-size: 1.3rem; margin: 0.6rem 0 0.1rem; }
.cz-explain h2 { font-size: 1.05rem; margin: 1.6rem 0 0.4rem; }
.cz-explain h2 small, .cz-explain .dim { color: var(--dim); font-weight: normal; }
.cz-explain .scroll { overflow-x: auto; }
.cz-explain table { border-collapse: collapse; }
.cz-explain th, .cz-explain td { padding: 1px 0.7rem; vertical-align: top; text-align: left; }
.cz-explain th { color: var(--dim); font-weight: normal; border-bottom: 1px solid var(--line); }
.cz-explain td.number { text-align: right; color: var(--dim); font-variant-numeric: tabular-nums; }
.cz-explain td.bytes { text-align: right; font-variant-numeric: tabular-nums; font-weight: 600; }
.cz-explain td.code { white-space: pre; font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; }
.cz-explain td.notes { background: var(--paper); min-width: 24rem; max-width: 46rem; }
.cz-explain tr.row:hover { outline: 1px solid var(--line); }
.cz-explain .taped { color: var(--taped); } .cz-explain .stored { color: var(--stored); }
.cz-explain .block, .cz-explain .copy { color: var(--block); }
.cz-explain .again, .cz-explain .recomputed { color: var(--again); }
.cz-explain .call, .cz-explain .rule { color: var(--call); }
.cz-explain svg text { fill: var(--ink); font: 12px ui-monospace, Menlo, Consolas, monospace; }
.cz-explain svg .dim { fill: var(--dim); } .cz-explain svg rect { fill: rgb(var(--tape)); }
.cz-explain ul { padding-left: 1.2rem; margin: 0.3rem 0; }
"""
_PAGE = """
body { margin: 0; background: #ffffff; }
@media (prefers-color-scheme: dark) { body { background: #16181d; } }
"""
_BAR, _ROW, _LABEL = 320, 20, 330
_LONGEST = 40


def page(explanation: Explanation) -> str:
    """Return the page."""
    title = escape(f"{explanation.name}: what the reverse sweep keeps")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{_PAGE}</style>\n</head>\n<body>\n"
        f"{fragment(explanation)}\n</body>\n</html>\n"
    )


def fragment(explanation: Explanation) -> str:
    """Return what shows an explanation within another page."""
    parts = [f"<style>{_STYLE}</style>", *_summary(explanation)]
    chart = _chart(explanation)
    if chart:
        parts += ["<h2>Bytes on the tape, for each iteration</h2>", chart]
    largest = max((line.bytes_per_iteration for line in explanation.lines), default=0)
    for function in explanation.functions:
        parts += _function(function, largest)
    parts += [*_loops(explanation), *_legend()]
    return f'<div class="cz-explain">{"".join(parts)}</div>'


def _summary(explanation: Explanation) -> Iterator[str]:
    yield f"<h1>{escape(explanation.name)}</h1>"
    called = escape(f"{explanation.name}({explanation.signature})")
    yield f'<div class="dim">reverse sweep of {called}</div>'
    yield f"<p>Tape: <b>{escape(str(explanation.total))}</b> bytes{_number(explanation.total_evaluated)}. "
    more = " and memory of unknown size" if explanation.unknown_memory else ""
    memory = f"{escape(str(explanation.memory))} bytes{_number(explanation.memory_evaluated)}"
    yield f"Arrays kept, with their shadows: <b>{memory}</b>{more}.</p>"


def _number(value: int | None) -> str:
    return "" if value is None else f" = {value:,}"


def _chart(explanation: Explanation) -> str:
    rows = [
        (function, line)
        for function in explanation.functions
        for line in function.lines
        if line.bytes_per_iteration
    ]
    if not rows:
        return ""
    largest = max(line.bytes_per_iteration for _, line in rows)
    height = _ROW * len(rows) + 4
    width = _LABEL + _BAR + 90
    parts = [
        f'<div class="scroll"><svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="bytes on the tape by line">'
    ]
    for k, (_, line) in enumerate(rows):
        top = k * _ROW
        length = max(2, round(_BAR * line.bytes_per_iteration / largest))
        text = line.source.strip()
        shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
        parts.append(
            f'<text class="dim" x="36" y="{top + 15}" text-anchor="end">{line.number}</text>'
            f'<text x="46" y="{top + 15}">{escape(shown)}<title>{escape(text)}</title></text>'
            f'<rect x="{_LABEL}" y="{top + 4}" width="{length}" height="{_ROW - 6}" rx="2"/>'
            f'<text x="{_LABEL + length + 6}" y="{top + 15}">{line.bytes_per_iteration}</text>'
        )
    return "".join([*parts, "</svg></div>"])


def _function(function: FunctionLines, largest: int) -> Iterator[str]:
    yield f"<h2>{escape(function.name)} <small>{escape(function.file)}</small></h2>"
    yield '<div class="scroll"><table><tr><th>line</th><th title="handles differentiated values">∂</th>'
    yield "<th>source</th><th>bytes</th><th>the reverse sweep</th></tr>"
    source = "\n".join(line.source for line in function.lines)
    for line in function.lines:
        yield _row(line, function.file, source, largest)
    yield "</table></div>"


def _row(line: LineReport, file: str, source: str, largest: int) -> str:
    size = line.bytes_per_iteration
    notes = "".join(
        f'<div class="{note.kind.name.lower()}">{escape(note.text)}</div>'
        for note in notes_of(line, file, source)
    )
    shade = f' style="background: rgba(var(--tape), {0.12 + 0.38 * size / largest:.2f})"' if size else ""
    return (
        f'<tr class="row"{shade}><td class="number">{line.number}</td><td>{"∂" if line.active else ""}</td>'
        f'<td class="code">{escape(line.source) or " "}</td><td class="bytes">{size or ""}</td>'
        f'<td class="notes">{notes}</td></tr>'
    )


def _loops(explanation: Explanation) -> Iterator[str]:
    if not explanation.loops:
        return
    yield "<h2>Loops</h2><div class='scroll'><table><tr><th>line</th><th>depth</th>"
    yield "<th>bytes for each iteration</th><th>in all</th></tr>"
    for loop in explanation.loops:
        yield f'<tr><td class="number">{loop.line or "?"}</td><td class="number">{loop.depth}</td>'
        yield f'<td class="bytes">{loop.bytes_per_iteration}</td>'
        yield f"<td>{escape(str(loop.total))}{_number(loop.evaluated)}</td></tr>"
    yield "</table></div>"


def _legend() -> Iterator[str]:
    words = {
        Kind.TAPED: "8 B",
        Kind.STORED: "8 B once",
        Kind.BLOCK: "memory",
        Kind.COPY: "an operand",
        Kind.AGAIN: "reads again",
        Kind.RECOMPUTED: "computes again",
        Kind.CALL: "what its own reverse sweep needs",
        Kind.RULE: "what its rule saves",
    }
    yield '<h2>What the colours mean</h2><ul class="dim">'
    for kind, meaning in LEGEND.items():
        yield f'<li><span class="{kind.name.lower()}">{words[kind]}</span>: {meaning}</li>'
    yield "<li>n(12): how often the loop in line 12 runs, where that is not known before</li></ul>"
