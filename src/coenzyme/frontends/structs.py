"""The instances of the user's classes as the engine sees them: structs, and what their fields point to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["NO_STRUCTS", "Field", "Struct", "Structs"]

DESTRUCTOR = "_Dtor."
"""How the names begin of the functions that take instances apart; the name of the type follows."""


@dataclass(frozen=True)
class Field:
    """One scalar in a struct.

    Attributes
    ----------
    offset
        Where it lies, in bytes.
    llvm_type
        Its type as LLVM prints it.
    pointee
        Of a pointer: the name of a struct, or the type of the numbers of an array, or None where that is not
        known.
    """

    offset: int
    llvm_type: str
    pointee: str | None = None


@dataclass(frozen=True)
class Struct:
    """What the block of an instance holds; other bytes are padding."""

    name: str
    fields: tuple[Field, ...]

    def at(self, offset: int | None) -> tuple[Field, ...]:
        """Return the field at `offset`; all of them where that is not known, or is no field's."""
        found = tuple(f for f in self.fields if f.offset == offset)
        return found or self.fields


@dataclass(frozen=True)
class Structs:
    """The structs that a program handles.

    Attributes
    ----------
    by_name
        Each struct by its name.
    parameters
        For the symbol of each function, the parameters that point to structs (numbers of LLVM's parameters),
        with the names of these.
    results
        For the symbol of each function that returns instances, what lies in the memory of its result.
    """

    by_name: Mapping[str, Struct] = field(default_factory=dict[str, Struct])
    parameters: Mapping[str, Mapping[int, str]] = field(default_factory=dict[str, Mapping[int, str]])

    results: Mapping[str, Struct] = field(default_factory=dict[str, Struct])

    def destroyed_by(self, destructor: str) -> Struct | None:
        """Return the struct that a function of this name takes apart, or None."""
        return self.by_name.get(destructor.removeprefix(DESTRUCTOR))


NO_STRUCTS = Structs()
