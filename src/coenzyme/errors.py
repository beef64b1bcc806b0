"""One taxonomy of errors. Every error says what happened, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "ActivityError",
    "BackendUnavailableError",
    "CoenzymeError",
    "CompilationError",
    "GeneratedIRError",
    "Location",
    "MemoryLimitError",
    "MissingRuleError",
    "ParseError",
    "PreparationMismatchError",
    "ShadowError",
    "TapeError",
    "UnsupportedIRError",
]


@dataclass(frozen=True)
class Location:
    """A place in Python source: the file, and the line counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class CoenzymeError(Exception):
    """Base of everything this library raises on purpose.

    Parameters
    ----------
    message
        What happened, in a sentence.
    function
        The user's function being differentiated.
    operation
        The operation (instruction, callee, annotation) at fault.
    argument
        The argument at fault.
    location
        The Python line the operation comes from.
    remedy
        What the user can do about it.
    """

    culprit: object = None
    """The instruction at fault, while its line is not known yet."""

    def __init__(
        self,
        message: str = "",
        *,
        function: str | None = None,
        operation: str | None = None,
        argument: str | None = None,
        location: Location | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message = message
        self.function = function
        self.operation = operation
        self.argument = argument
        self.location = location
        self.remedy = remedy
        super().__init__(self.describe())

    def describe(self) -> str:
        """Return the message with everything that is known."""
        lines = [self.message]
        fields: list[tuple[str, Any]] = [
            ("function", self.function),
            ("argument", self.argument),
            ("operation", self.operation),
            ("at", self.location),
            ("remedy", self.remedy),
        ]
        lines.extend(f"  {label}: {value}" for label, value in fields if value is not None)
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {k: v for k, v in vars(self).items() if k != "message"}
        return _rebuild, (type(self), self.message, state)


def _rebuild(kind: type[CoenzymeError], message: str, fields: dict[str, Any]) -> CoenzymeError:
    return kind(message, **fields)


class ParseError(CoenzymeError, ValueError):
    """LLVM text that the reader does not understand."""


class UnsupportedIRError(CoenzymeError, NotImplementedError):
    """A construct that the engine cannot differentiate."""


class MissingRuleError(CoenzymeError, NotImplementedError):
    """A call to a function whose derivative is not known."""


class ActivityError(CoenzymeError, TypeError):
    """Annotations that do not fit the function or its arguments."""


class ShadowError(ActivityError, ValueError):
    """A shadow whose shape, dtype, layout or memory does not fit its primal."""


class TapeError(CoenzymeError, ValueError):
    """A tape that has been used already, or that belongs to another call."""


class MemoryLimitError(CoenzymeError, MemoryError):
    """A tape that would hold more bytes than it may.

    Parameters
    ----------
    asked, limit
        How many bytes the tape asked for, with what it held already, and how many it may hold.
    """

    def __init__(self, asked: int = 0, limit: int = 0, function: str | None = None, **fields: Any) -> None:
        self.asked = asked
        self.limit = limit
        fields.setdefault(
            "remedy",
            "run the time steps by coenzyme.checkpoint, see what is kept with coenzyme.explain, "
            "or allow for more with memory_limit",
        )
        message = f"the tape of the reverse sweep asks for {asked} bytes, and the limit is {limit}"
        super().__init__(message, function=function, **fields)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes an equal error."""
        state = {k: v for k, v in vars(self).items() if k not in ("message", "asked", "limit", "function")}
        return _rebuild_limit, (self.asked, self.limit, self.function, state)


def _rebuild_limit(asked: int, limit: int, function: str | None, fields: dict[str, Any]) -> MemoryLimitError:
    return MemoryLimitError(asked, limit, function, **fields)


class PreparationMismatchError(CoenzymeError, ValueError):
    """A prepared derivative called with arguments it was not prepared for."""


class BackendUnavailableError(CoenzymeError, ImportError):
    """An optional package that is not installed."""


class CompilationError(CoenzymeError, TypeError):
    """A function that Numba cannot compile in nopython mode."""


class GeneratedIRError(CoenzymeError, RuntimeError):
    """LLVM refused what we generated: a bug in Coenzyme, with the evidence saved."""
