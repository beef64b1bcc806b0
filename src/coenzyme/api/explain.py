"""What a reverse sweep keeps, line by line: `explain`."""

from __future__ import annotations

import ast
import linecache
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
from numba.core import types

from coenzyme import engine
from coenzyme.api.functions import Compiled, as_dispatcher, bind, name_of, parameters_of
from coenzyme.api.structure import arrange, check_argnums, holds_floats
from coenzyme.derive.amounts import Amount
from coenzyme.derive.explained import Explained, Item, KeptLoop, Kind
from coenzyme.errors import ActivityError, Location
from coenzyme.frontends.program import Mode

__all__ = ["Explanation", "FunctionLines", "LineReport", "LoopReport", "explain"]


@dataclass(frozen=True)
class LineReport:
    """One line of the source.

    Attributes
    ----------
    number, source
        The line, and its text.
    active
        Whether it handles differentiated values.
    items
        What the reverse sweep makes use of that this line makes.
    """

    number: int
    source: str
    active: bool
    items: tuple[Item, ...]

    @property
    def bytes_per_iteration(self) -> int:
        """How many bytes one run of the line puts on the tape."""
        sizes = [item.size.evaluate({}) for item in self.items if item.kind is Kind.TAPED and item.size]
        return sum(size for size in sizes if size is not None)


@dataclass(frozen=True)
class LoopReport:
    """One loop.

    Attributes
    ----------
    line
        Where it begins, None where that is not known.
    depth
        1 for an outermost loop.
    bytes_per_iteration
        What one iteration puts on the tape.
    total
        What all iterations together do, those of outer loops included; ``n(line)`` stands for a number of
        iterations that is not known before.
    evaluated
        The same as a number, where the arguments were given and it is known before.
    """

    line: int | None
    depth: int
    bytes_per_iteration: int
    total: Amount
    evaluated: int | None


@dataclass(frozen=True)
class FunctionLines:
    """One function of the source: the one that is differentiated, or one that it calls.

    Attributes
    ----------
    name, file
        What it is called, and where it is.
    lines
        Its lines.
    """

    name: str
    file: str
    lines: tuple[LineReport, ...]


@dataclass(frozen=True)
class Explanation:
    """What the reverse sweep of a function keeps, made by `explain`.

    Attributes
    ----------
    name
        The function.
    signature
        The types of its arguments.
    functions
        The functions of the source that take part, the one that was asked for first.
    loops
        The loops that put something on the tape.
    stored_once
        How many bytes are kept once for each call.
    memory
        The bytes of the arrays that are kept, with their shadows.
    unknown_memory
        Whether there are arrays whose size is not known before.
    known
        The extents of the arguments, if these were given, by name.
    """

    name: str
    signature: str
    functions: tuple[FunctionLines, ...]
    loops: tuple[LoopReport, ...]
    stored_once: int
    memory: Amount
    unknown_memory: bool
    known: Mapping[str, int]

    @property
    def total_evaluated(self) -> int | None:
        """What a call puts on the tape, where the arguments were given and it is known before."""
        return self.total.evaluate(self.known) if self.known else None

    @property
    def memory_evaluated(self) -> int | None:
        """The bytes of the arrays that are kept, where the arguments were given and it is known before."""
        return self.memory.evaluate(self.known) if self.known else None

    @property
    def lines(self) -> tuple[LineReport, ...]:
        """The lines of all functions."""
        return tuple(line for function in self.functions for line in function.lines)

    @property
    def tape_bytes_per_iteration(self) -> dict[int, int]:
        """What one iteration of each loop puts on the tape, by the line that the loop begins in."""
        found: defaultdict[int, int] = defaultdict(int)
        for loop in self.loops:
            found[loop.line or 0] += loop.bytes_per_iteration
        return dict(found)

    @cached_property
    def total(self) -> Amount:
        """What a call puts on the tape."""
        total = Amount.number(self.stored_once)
        for loop in self.loops:
            total = total + loop.total
        return total

    def __str__(self) -> str:
        from coenzyme.api.explain_text import as_text  # noqa: PLC0415 - rich takes its time to import

        return as_text(self)

    def __repr__(self) -> str:
        return f"<explanation of {self.name}({self.signature}): {self.total} bytes of tape>"

    def _repr_html_(self) -> str:
        from coenzyme.api.explain_html import fragment  # noqa: PLC0415

        return fragment(self)

    def to_html(self) -> str:
        """Return one page that needs no other file."""
        from coenzyme.api.explain_html import page  # noqa: PLC0415

        return page(self)

    def save(self, path: str | Path) -> None:
        """Write the page to a file."""
        Path(path).write_text(self.to_html(), encoding="utf-8")


def explain(
    f: Callable[..., Any], *arguments: Any, argnums: int | Sequence[int] | None = None
) -> Explanation:
    """Return what the reverse sweep of `f` keeps of each line, and why.

    Parameters
    ----------
    f
        The function.
    *arguments
        Arguments of `f`, or their Numba types.
    argnums
        Positions of the arguments that are differentiated; by default all that hold floats.

    Returns
    -------
    Explanation
        It prints as a table beside the source, shows itself as HTML in a notebook, and holds the facts as
        data: `lines`, `loops`, `tape_bytes_per_iteration`.

    Raises
    ------
    ActivityError
        If the arguments do not fit.
    CompilationError, MissingRuleError, UnsupportedIRError
        As `grad` does.

    Notes
    -----
    Nothing is compiled to machine code, and `f` does not run. Arguments instead of types make totals numbers.

    Examples
    --------
    >>> import numba as nb, coenzyme as cz
    >>> def product(x):
    ...     p = 1.0
    ...     for i in range(x.size):
    ...         p *= x[i]
    ...     return p
    >>> report = cz.explain(product, nb.float64[::1])
    >>> report.tape_bytes_per_iteration
    {3: 8}
    >>> str(report.loops[0].total)
    '8·x.size'
    """
    function = as_dispatcher(f)
    given = [isinstance(argument, types.Type) for argument in arguments]
    if any(given) and not all(given):
        raise ActivityError(
            "some arguments are Numba types and some are values",
            function=name_of(function),
            remedy="pass all types, or all values",
        )
    values = () if any(given) else bind(function, arguments, {})
    kinds = tuple(arguments) if any(given) else tuple(map(numba.typeof, values))
    chosen = _chosen(function, kinds, argnums)
    arrangement = arrange(function, kinds, chosen)
    parameters = [parameter.name for parameter in parameters_of(function)]
    names = [_named(leaf.path, parameters) for leaf in arrangement.leaves]
    restype = engine.primal(arrangement.function, arrangement.types)
    found = engine.explained(
        arrangement.function,
        arrangement.types,
        arrangement.activities(Mode.REVERSE),
        holds_floats(types.unliteral(restype)),
        names,
    )
    known = _extents(dict(zip(parameters, values, strict=False)))
    signature = ", ".join(f"{name}: {kind}" for name, kind in zip(parameters, kinds, strict=False))
    return _assemble(function, signature, found, known)


def _chosen(
    function: Compiled, kinds: Sequence[types.Type], argnums: int | Sequence[int] | None
) -> frozenset[int]:
    if argnums is None:
        return frozenset(i for i, kind in enumerate(kinds) if holds_floats(types.unliteral(kind)))
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    check_argnums(function, positions, len(kinds))
    return frozenset(positions)


def _named(path: str, parameters: Sequence[str]) -> str:
    """Return the user's expression for a leaf, whose path begins with the number of its argument."""
    number, bracket, rest = path.partition("[")
    position = number.removeprefix("a")
    name = parameters[int(position)] if position.isdigit() and int(position) < len(parameters) else number
    return name.removeprefix("_default_") + bracket + rest


def _extents(values: Mapping[str, Any]) -> dict[str, int]:
    """Return the integers that an amount may refer to."""
    known: dict[str, int] = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            array = cast("np.ndarray[Any, Any]", value)
            known[f"{name}.size"] = array.size
            known |= {f"{name}.shape[{i}]": n for i, n in enumerate(array.shape)}
        elif isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            known[name] = int(value)
        elif isinstance(value, tuple):
            parts = cast("tuple[Any, ...]", value)
            known |= _extents({f"{name}[{i}]": part for i, part in enumerate(parts)})
    return known


# --- by lines -----------------------------------------------------------------------------------------------


def _assemble(
    function: Compiled, signature: str, found: Sequence[Explained], known: Mapping[str, int]
) -> Explanation:
    items: defaultdict[Location, list[Item]] = defaultdict(list)
    code = function.py_func.__code__
    start = Location(code.co_filename, code.co_firstlineno)
    active: set[Location] = set()
    loops: list[LoopReport] = []
    once, memory, unknown = 0, Amount(), False
    for part in found:
        active |= part.active
        loops += _loops(part, known)
        for item in part.items:
            items[item.location[0] if item.location else start].append(item)
            if item.kind is Kind.STORED and item.size is not None:
                once += item.size.evaluate({}) or 0
            if item.kind in (Kind.BLOCK, Kind.COPY):
                unknown = unknown or item.size is None
                memory = memory + (item.size or Amount()) * _runs(part, item.loop)
    places = {*items, *active, start}
    functions = [
        FunctionLines(name, file, tuple(_lines(file, first, last, items, active)))
        for (file, first, last), name in _functions(places, start).items()
    ]
    return Explanation(
        name_of(function), signature, tuple(functions), tuple(loops), once, memory, unknown, known
    )


def _loops(part: Explained, known: Mapping[str, int]) -> Iterable[LoopReport]:
    for loop in part.loops:
        if not loop.frame:
            continue
        total = Amount.number(loop.frame) * _runs(part, part.loops.index(loop))
        yield LoopReport(
            _line_of(loop), loop.depth, loop.frame, total, total.evaluate(known) if known else None
        )


def _runs(part: Explained, position: int | None) -> Amount:
    """Return how often the body of a loop runs in a call; once where there is none."""
    times = Amount.number(1)
    while position is not None:
        loop = part.loops[position]
        times, position = times * _count(loop), loop.parent
    return times


def _count(loop: KeptLoop) -> Amount:
    if loop.count is not None:
        return loop.count
    return Amount.of(f"n({_line_of(loop) or '?'})")


def _line_of(loop: KeptLoop) -> int | None:
    """Return the line that a loop begins in; for a loop over the entries of an array, its own line.

    What is left of the beginning of a loop is often its body's: the loops of the source tell it.
    """
    if loop.location is None:
        return None
    line, nest = loop.location.line, list[int]()
    function, _, _ = _enclosing(loop.location)
    for node in ast.walk(_tree(loop.location.file)):
        if isinstance(node, (ast.For, ast.While)) and function <= node.lineno <= line <= (
            node.end_lineno or 0
        ):
            nest.append(node.lineno)
    return sorted(nest)[loop.depth - 1] if loop.depth <= len(nest) else line


def _functions(places: set[Location], start: Location) -> dict[tuple[str, int, int], str]:
    """Return the functions of the source that places are in, as files and lines, with their names."""
    found: dict[tuple[str, int, int], str] = {}
    ordered = sorted(places, key=lambda p: (p != start, p.file != start.file, p.file, p.line))
    for place in ordered:
        first, last, name = _enclosing(place)
        found.setdefault((place.file, first, last), name)
    return found


def _enclosing(place: Location) -> tuple[int, int, str]:
    """Return the first and last line of the function around a place, and its name."""
    best = (place.line, place.line, Path(place.file).name)
    for node in ast.walk(_tree(place.file)):
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)) or node.end_lineno is None:
            continue
        first = node.lineno
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            first = min(first, *(decorator.lineno for decorator in node.decorator_list))
        if first <= place.line <= node.end_lineno and (best[0] == best[1] or first >= best[0]):
            best = (first, node.end_lineno, getattr(node, "name", "<lambda>"))
    return best


def _tree(file: str) -> ast.Module:
    """Return what a file says, nothing where it cannot be read."""
    try:
        return _parsed("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.Module([], [])


@lru_cache(maxsize=8)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _lines(
    file: str, first: int, last: int, items: Mapping[Location, list[Item]], active: set[Location]
) -> Iterable[LineReport]:
    text = [linecache.getline(file, number).rstrip("\n") for number in range(first, last + 1)]
    margin = min((len(line) - len(line.lstrip()) for line in text if line.strip()), default=0)
    for number, line in enumerate(text, start=first):
        place = Location(file, number)
        yield LineReport(number, line[margin:], place in active, tuple(items.get(place, ())))
