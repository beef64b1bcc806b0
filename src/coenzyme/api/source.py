"""Functions generated as source, for Numba to compile, with as many arguments as the user's function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import count
from typing import Any, TypeVar

from numba.extending import overload

__all__ = ["Source", "implements", "tuple_of"]

F = TypeVar("F", bound=Callable[..., Any])


def implements(function: Callable[..., Any], **options: Any) -> Callable[[F], F]:
    """Return the decorator of what Numba calls an overload: it types `function` in compiled code.

    Numba compares the parameters of an overload with those of its implementation, annotations included: they
    are taken off.
    """

    def register(typing: F) -> F:
        @wraps(typing)
        def unannotated(*args: Any, **kwargs: Any) -> Any:
            body = typing(*args, **kwargs)
            if body is not None:
                body.__annotations__ = {}
            return body

        typing.__annotations__ = {}
        overload(function, **options)(unannotated)
        return typing

    return register


class Source:
    """The body of a function under construction, and the objects that its names stand for.

    Parameters
    ----------
    names
        Names that are given from the start, and what they stand for.

    Examples
    --------
    >>> source = Source()
    >>> source.add(f"return {source.name('scale', 3.0)} * x")
    >>> source.function("triple", "x")(2.0)
    6.0
    """

    def __init__(self, names: Mapping[str, Any] | None = None) -> None:
        self._lines: list[str] = []
        self._names: dict[str, Any] = dict(names or {})
        self._fresh = count()

    @property
    def text(self) -> str:
        """The lines so far."""
        return "\n".join(self._lines)

    @property
    def values(self) -> tuple[Any, ...]:
        """What the names stand for, in the order in which they were given."""
        return tuple(self._names.values())

    def add(self, line: str, *, depth: int = 0) -> None:
        """Append a line, indented by `depth` levels within the function."""
        self._lines.append("    " * (depth + 1) + line)

    def name(self, stem: str, value: Any) -> str:
        """Return a fresh name that stands for `value`."""
        name = f"_{stem}_{next(self._fresh)}"
        self._names[name] = value
        return name

    def variable(self, stem: str) -> str:
        """Return a fresh name for a local variable."""
        return f"{stem}_{next(self._fresh)}"

    def function(self, name: str, parameters: str) -> Callable[..., Any]:
        """Return the function; `name` is made an identifier, `parameters` is its parameter list."""
        identifier = "".join(c if c.isalnum() else "_" for c in name)
        if not identifier.isidentifier():
            identifier = f"_{identifier}"
        text = f"def {identifier}({parameters}):\n" + "\n".join(self._lines)
        namespace: dict[str, Any] = {**self._names, "__name__": __name__}
        exec(compile(text, f"<coenzyme {identifier}>", "exec"), namespace)
        return namespace[identifier]


def tuple_of(parts: Sequence[str]) -> str:
    """Return the expression of a tuple from those of its entries."""
    return f"({''.join(f'{part}, ' for part in parts)})"
