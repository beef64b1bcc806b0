"""Where the shadows of a module's variables lie in a block of memory that a program asks for: a context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

__all__ = ["CONTEXT_HEADER", "ShadowLayout"]

CONTEXT_HEADER = 16
"""Bytes before the first lane; they begin with how many lanes there are."""


@dataclass(frozen=True)
class ShadowLayout:
    """The shadows in one lane.

    Attributes
    ----------
    offsets
        Of each variable its name and how many bytes behind the beginning of a lane its shadow begins.
    stride
        How many bytes behind a lane the next one begins.
    refused
        Variables that cannot have a shadow there, and why.
    """

    offsets: tuple[tuple[str, int], ...]
    stride: int
    refused: tuple[tuple[str, str], ...] = ()

    @cached_property
    def _offset_of(self) -> Mapping[str, int]:
        return dict(self.offsets)

    def place(self, variable: str, lane: int) -> int | None:
        """Return how far into a context the shadow of `variable` is, None if it has none."""
        offset = self._offset_of.get(variable)
        return None if offset is None else CONTEXT_HEADER + lane * self.stride + offset
