"""What an explanation says of one line, in words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coenzyme.api.explain import LineReport
from coenzyme.derive.explained import Item, Kind
from coenzyme.errors import Location

__all__ = ["LEGEND", "Note", "notes_of"]

LEGEND = {
    Kind.TAPED: "kept for each iteration of the loop around it",
    Kind.STORED: "kept once for each call",
    Kind.BLOCK: "an array of the function's own that lives until the reverse sweep is done",
    Kind.COPY: "a copy of an operand",
    Kind.AGAIN: "read from memory again by the reverse sweep",
    Kind.RECOMPUTED: "computed again by the reverse sweep",
    Kind.CALL: "a call that is kept out of line",
    Kind.RULE: "a call with a rule for its derivatives",
}

_ORDER = list(LEGEND)


@dataclass(frozen=True)
class Note:
    """One sentence about a line.

    Attributes
    ----------
    kind
        What it is about.
    text
        The sentence.
    """

    kind: Kind
    text: str


def notes_of(line: LineReport, file: str, source: str) -> list[Note]:
    """Return what there is to say of a line of a file, the most expensive first.

    Parameters
    ----------
    source
        The text of the function, which tells the names of variables.
    """
    counted = Counter(
        (item.kind, _subject(item, source), _rest(item, line, file))
        for item in line.items
        if item.kind is not Kind.STORED
    )
    once: defaultdict[str, int] = defaultdict(int)
    for item in line.items:
        if item.kind is Kind.STORED and item.size is not None:
            once[item.why] += item.size.evaluate({}) or 0
    for why, size in once.items():
        counted[Kind.STORED, f"{size} B once", f": {why}"] = 1
    ordered = sorted(counted.items(), key=lambda entry: (_ORDER.index(entry[0][0]), entry[0][1]))
    return [
        Note(kind, f"{'' if count == 1 else f'{count} × '}{subject}{rest}")
        for (kind, subject, rest), count in ordered
    ]


def _subject(item: Item, source: str) -> str:
    name = item.name.split(".")[0]
    # LLVM keeps the names of variables; what it makes up itself is in no line.
    known = name.isidentifier() and re.search(rf"\b{re.escape(name)}\b", source)
    what = f"the variable {name}" if item.what == "a variable" and known else item.what
    match item.kind:
        case Kind.TAPED:
            return f"{what} ({item.size} B)"
        case Kind.BLOCK | Kind.COPY:
            return f"{what} ({'size unknown' if item.size is None else f'{item.size} B'})"
        case Kind.AGAIN:
            return f"reads {what} again"
        case Kind.RECOMPUTED:
            return f"computes {what} again"
        case _:
            return what


def _rest(item: Item, line: LineReport, file: str) -> str:
    others = [place for place in item.needed_by if (place.file, place.line) != (file, line.number)]
    places = ["this line"] if len(others) < len(item.needed_by) else []
    places += [_listed(others, file)] if others else []
    used = f"; for {' and '.join(places)}" if places else ""
    return (f": {item.why}" if item.why else "") + used


def _listed(places: Sequence[Location], file: str) -> str:
    here = [str(place.line) for place in places if place.file == file]
    there = [f"{Path(place.file).name}:{place.line}" for place in places if place.file != file]
    parts = [f"line{'s' if len(here) > 1 else ''} {', '.join(here)}"] if here else []
    return ", ".join([*parts, *there])
