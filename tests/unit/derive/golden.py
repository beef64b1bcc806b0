"""Golden files: a function, what must appear in its printed derivatives, and the derivatives' values.

Beside the parameters (:mod:`tests.unit.derive.native`) the comments of a file say::

    ; CHECK forward: fmul double                       a line of the printed derivative holds this text
    ; FORWARD x=1 0 0, t=2 -> out=4                    shadows before and after a call
    ; REVERSE out=1 -> x=4 6 8, t=0.5, out=0

Shadows that are not mentioned are zero before, and are not looked at after. Numbers may be expressions of
Python's :mod:`math` without blanks in them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coenzyme.frontends.program import Mode

__all__ = ["FILES", "Example", "Golden", "load"]

FILES = sorted((Path(__file__).parents[2] / "golden" / "derive").glob("*.ll"))

_CHECK = re.compile(r"^; CHECK (forward|reverse): (.*)$", re.MULTILINE)
_EXAMPLE = re.compile(r"^; (FORWARD|REVERSE) (.*) -> (.*)$", re.MULTILINE)
_MODES = {"forward": Mode.FORWARD, "reverse": Mode.REVERSE}

Shadows = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Example:
    """Shadows before and after a call."""

    mode: Mode
    before: Shadows
    after: Shadows


@dataclass(frozen=True)
class Golden:
    """What one file says."""

    text: str
    checks: dict[Mode, list[str]]
    examples: list[Example]


def load(path: Path) -> Golden:
    """Return what the file at `path` says."""
    text = path.read_text(encoding="utf-8")
    checks: dict[Mode, list[str]] = {Mode.FORWARD: [], Mode.REVERSE: []}
    for mode, wanted in _CHECK.findall(text):
        checks[_MODES[mode]].append(wanted.strip())
    examples = [
        Example(_MODES[mode.lower()], _shadows(before), _shadows(after))
        for mode, before, after in _EXAMPLE.findall(text)
    ]
    return Golden(text, checks, examples)


def _shadows(text: str) -> Shadows:
    found: Shadows = {}
    for part in re.split(r",\s+", text.strip()):
        name, _, values = part.partition("=")
        found[name.strip()] = np.array([_number(v) for v in values.split()])
    return found


def _number(text: str) -> float:
    return float(eval(text, {"__builtins__": {}}, vars(math)))
