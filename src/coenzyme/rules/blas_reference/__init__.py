"""What BLAS routines compute, as LLVM text that is inlined and differentiated: made of ``reference.c``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

__all__ = ["LETTERS", "OUT_OF_MEMORY", "SOURCE", "reference_name", "reference_text", "text_path"]

LETTERS = ("d", "s")
"""BLAS's letters of the element types: double and single precision."""
OUT_OF_MEMORY = "coenzyme_out_of_memory"
"""Is called, and does not return, where there is no memory for what a routine needs."""
SOURCE = Path(__file__).parent / "reference.c"
_FUNCTION = re.compile(r"^define [^@\n]*@([-\w.$]+)\(.*?^}\n", re.MULTILINE | re.DOTALL)
_OTHER = re.compile(r"^(?:@([-\w.$]+) = .*|declare [^@\n]*@([-\w.$]+)\(.*)\n", re.MULTILINE)
_MENTION = re.compile(r"@([-\w.$]+)")
_OWN, _LIBRARY = "coenzyme_blas_", "numba_xx"


def text_path(letter: str) -> Path:
    """Return where the text for one type of elements lies."""
    return SOURCE.with_name(f"reference_{letter}.ll")


def reference_name(routine: str, family: str) -> str:
    """Return what the reference of a routine is called where it calls the library routines of `family`."""
    return f"coenzyme.reference.{routine}{family}"


def reference_text(routines: Iterable[str], family: str) -> str:
    """Return the text of the references of these routines, and of all that they call.

    Parameters
    ----------
    routines
        With the letter of the element type: ``"dgemm"``.
    family
        Is added to the name of what the text defines, and of the library's routines that it calls.
    """
    found: dict[str, str] = {}
    waiting = [f"{_OWN}{routine}" for routine in routines]
    while waiting:
        name = waiting.pop()
        if name not in found:
            text = found[name] = _pieces()[name]
            waiting += [other for other in _MENTION.findall(text) if other in _pieces()]
    return "\n".join(_renamed(text, family) for _, text in sorted(found.items()))


def _renamed(text: str, family: str) -> str:
    def new(match: re.Match[str]) -> str:
        name = match.group(1)
        if name.startswith(_OWN):
            return f"@{reference_name(name.removeprefix(_OWN), family)}"
        return f"@{name}{family}" if name.startswith(_LIBRARY) else match.group(0)

    return _MENTION.sub(new, text)


@cache
def _pieces() -> dict[str, str]:
    """Return the text of each function and constant, by name."""
    pieces: dict[str, str] = {}
    for letter in LETTERS:
        text = text_path(letter).read_text()
        # Constants of the two have one name.
        constants = {m.group(1) for m in _OTHER.finditer(text) if m.group(1)}
        for name in constants:
            text = re.sub(rf"@{re.escape(name)}(?![-\w.$])", f"@{_OWN}{letter}_{name}", text)
        for match in _FUNCTION.finditer(text):
            body = match.group(0).replace("define ", "define internal ", 1)
            pieces[match.group(1)] = body.replace(") {\n", ") alwaysinline nounwind {\n", 1)
        for match in _OTHER.finditer(text):
            pieces[match.group(1) or match.group(2)] = match.group(0)
    return pieces
