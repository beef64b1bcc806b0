"""What LLVM may assume about the memory a derivative touches: which accesses cannot meet.

Primal objects, their shadows and the tape are disjoint, throughout the function and across iterations:
an abstract object of :mod:`coenzyme.analysis.objects` stands for all memory it may ever be. That is said
with scoped-alias metadata made here; scopes that came with the input were dropped, for they speak of one
inlined call at a time.
Source: LLVM Language Reference Manual, "'noalias' and 'alias.scope' Metadata".
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import Enum, auto

from coenzyme.analysis.objects import MemoryObject, Objects, Storage
from coenzyme.ir.instructions import Instruction, Load, Module, Store
from coenzyme.ir.values import Value

__all__ = ["Scopes", "Side"]

_KNOWN = (Storage.ARGUMENT, Storage.STACK, Storage.HEAP)


class Side(Enum):
    """Which memory an access is to."""

    PRIMAL = auto()
    SHADOW = auto()
    TAPE = auto()


class Scopes:
    """Attaches scopes to the accesses of one function.

    Parameters
    ----------
    arguments_disjoint
        Whether distinct array arguments have scopes of their own.
    """

    def __init__(self, module: Module, objects: Objects, *, arguments_disjoint: bool) -> None:
        self.module = module
        self.objects = objects
        self.arguments_disjoint = arguments_disjoint
        self.scopes: dict[Hashable, str] = {}
        self.accesses: list[tuple[Instruction, frozenset[Hashable]]] = []
        self.nodes: dict[str, str] = {}

    def mark(self, access: Value, side: Side, pointer: Value | None = None, lane: int = 0) -> None:
        """Note that `access`, a load or store, is to the `side` of what the primal's `pointer` means.

        The shadows of one lane are disjoint from those of another. An access to the tape with a `pointer` may
        be to what that means in the primal instead.
        """
        assert isinstance(access, Load | Store)
        keys: set[Hashable] = {Side.TAPE} if side is Side.TAPE else set()
        if pointer is not None:
            targets = self.objects.of(pointer)
            if not targets or any(o.storage not in _KNOWN for o in targets):
                return
            own = Side.PRIMAL if side is Side.TAPE else side
            keys |= {(own, lane, self._representative(o)) for o in targets}
        self.accesses.append((access, frozenset(keys)))

    def mark_primal(self, instructions: Iterable[Instruction]) -> None:
        """Mark the primal's own loads and stores; copies of them made later do not inherit the mark."""
        for instruction in instructions:
            if isinstance(instruction, Load | Store):
                self.mark(instruction, Side.PRIMAL, instruction.pointer)

    def _representative(self, item: MemoryObject) -> Hashable:
        if item.storage is Storage.ARGUMENT and not self.arguments_disjoint:
            return Storage.ARGUMENT
        return item

    def attach(self) -> None:
        """Write the metadata; done once, when every access is known."""
        keys = list(dict.fromkeys(k for _, found in self.accesses for k in sorted(found, key=str)))
        if len(keys) < 2:
            return
        domain = self._node("distinct !{{{self}}}")
        for key in keys:
            self.scopes[key] = self._node(f"distinct !{{{{{{self}}, {domain}}}}}")
        for access, own in self.accesses:
            others = [self.scopes[k] for k in keys if k not in own]
            access.metadata["alias.scope"] = self._list([self.scopes[k] for k in keys if k in own])
            if others:
                access.metadata["noalias"] = self._list(others)

    def _node(self, pattern: str) -> str:
        name = f"!{self._next()}"
        self.module.metadata[name] = pattern.format(self=name)
        return name

    def _list(self, scopes: list[str]) -> str:
        text = f"!{{{', '.join(scopes)}}}"
        if text not in self.nodes:
            self.nodes[text] = f"!{self._next()}"
            self.module.metadata[self.nodes[text]] = text
        return self.nodes[text]

    def _next(self) -> int:
        numbers = [int(k[1:]) for k in self.module.metadata if k[1:].isdigit()]
        return max(numbers, default=-1) + 1
