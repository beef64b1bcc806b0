"""What a frontend hands to the engine for a loop whose iterations may run at the same time.

Such a loop is lowered to a call of a *launcher*, ``i32 launch(retptr, excinfo, i64 chunks, bounds…,
values…)``, which runs a *chunk function*, ``i32 chunk(…the same…, i64 number)``, for the numbers from 0 to
``chunks - 1``. Each chunk goes through its own part of the iterations, and no element of memory that one
chunk writes is touched by another. As text the launcher is a serial loop, right as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["CHUNKS", "FIRST", "LAUNCHER", "Launch", "LaunchProvider", "LaunchedArray", "no_launch"]

LAUNCHER = "coenzyme.launch."
"""What the symbols of launchers begin with."""
CHUNKS = 2
"""The parameter of launcher and chunk function that says how many chunks there are."""
FIRST = 3
"""The parameter that holds the first index of the loop, the one that the chunks divide."""


@dataclass(frozen=True)
class LaunchedArray:
    """An array that is passed to a launcher.

    Attributes
    ----------
    data
        Number of the parameter that points to its first element.
    shape, strides
        Numbers of the parameters that hold its extents and its strides in bytes.
    element
        The floating-point type it is made of, as LLVM spells it, or None.
    size
        The bytes of one element of the array.
    axis
        The axis along which the chunks divide it, as long as the first index is not negative: each touches
        only those places whose index along that axis is one of its own. None if they do not.
    contiguous
        Whether no two of its elements share memory.
    """

    data: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    element: str | None
    size: int
    axis: int | None
    contiguous: bool


@dataclass(frozen=True)
class Launch:
    """A launcher: its chunk function, and the arrays it passes on."""

    chunk: str
    arrays: tuple[LaunchedArray, ...]


LaunchProvider = Callable[[str], Launch | None]
"""Returns what is known of a symbol if it is a launcher's."""


def no_launch(_: str) -> Launch | None:
    """Know of no launchers."""
    return None
