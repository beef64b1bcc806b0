"""What Numba's loops do with their index: which arrays it divides, and whether a copy of it is changed."""

# Numba's own annotations are partial, and wrong about its properties and the types it registers at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numba.core import ir, types
from numba.core.errors import UnsupportedError
from numba.parfors.parfor import Parfor

__all__ = ["find_divided", "refuse_changed_indices"]

_EXTENTS = ("shape", "size", "ndim", "dtype")


def refuse_changed_indices(function_ir: Any) -> None:
    """Refuse a function in which a variable holds the index of a loop, or something else.

    Numba takes what is a copy of a loop's index for the index, even where the copy is changed on a branch.

    Raises
    ------
    UnsupportedError
        Naming the line.
    """
    assigned: dict[str, list[Any]] = {}
    for block in function_ir.blocks.values():
        for statement in block.find_insts(ir.Assign):
            assigned.setdefault(statement.target.name, []).append(statement)

    def is_index(statement: Any, seen: frozenset[str]) -> bool:
        value = statement.value
        if isinstance(value, ir.Expr):
            return value.op == "pair_first"
        if not isinstance(value, ir.Var) or value.name in seen:
            return False
        return any(is_index(s, seen | {value.name}) for s in assigned.get(value.name, ()))

    for name, statements in assigned.items():
        kinds = {is_index(statement, frozenset({name})) for statement in statements}
        if len(kinds) > 1:
            raise UnsupportedError("the index of a parallel loop is changed", loc=statements[-1].loc)


def find_divided(parfor: Any, typemap: Any) -> dict[str, int]:
    """Return the arrays of which each iteration of the first loop touches a part of its own, and the axis.

    That is so where all that is done with an array is to take or set its items, with the loop's index in the
    same place each time.
    """
    return _Uses(parfor, typemap).divided()


class _Uses:
    """How the body of a parfor uses its arrays."""

    def __init__(self, parfor: Any, typemap: Any) -> None:
        self.names = frozenset(parfor.params)
        self.typemap = typemap
        self.definitions: dict[str, list[Any]] = {}
        self.places: dict[str, set[int | None]] = {}
        statements = list(_statements(parfor))
        for statement in statements:
            if isinstance(statement, ir.Assign):
                self.definitions.setdefault(statement.target.name, []).append(statement.value)
        self.index = parfor.loop_nests[0].index_variable.name
        for statement in statements:
            self._visit(statement)

    def divided(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in self.names - self.definitions.keys():
            places = self.places.get(name, {None})
            place = next(iter(places))
            if len(places) == 1 and place is not None:
                found[name] = place
        return found

    def _note(self, name: str, place: int | None) -> None:
        if name in self.names:
            self.places.setdefault(name, set()).add(place)

    def _visit(self, statement: Any) -> None:
        match statement:
            case ir.Assign(value=ir.Expr(op="getitem") as item):
                self._note(item.value.name, self._place(item.index))
                self._note(item.index.name, None)
            case ir.Assign(value=ir.Expr(op="getattr") as attribute) if attribute.attr in _EXTENTS:
                pass
            case ir.SetItem():
                self._note(statement.target.name, self._place(statement.index))
                self._note(statement.index.name, None)
                self._note(statement.value.name, None)
            case ir.Del():
                pass
            case _:
                for variable in statement.list_vars():
                    self._note(variable.name, None)

    def _place(self, index: Any) -> int | None:
        """Return the axis that the first loop's index is for; None where it is not known to be there."""
        if self._is_index(index.name):
            return 0
        defined = self._definition(index.name)
        if not isinstance(defined, ir.Expr) or defined.op != "build_tuple":
            return None
        for place, item in enumerate(defined.items):
            if self._is_index(item.name):
                return place
            if not isinstance(self.typemap.get(item.name), types.Integer | types.SliceType):
                return None  # an ellipsis stands for any number of axes
        return None

    def _definition(self, name: str) -> Any:
        found = self.definitions.get(name, [])
        return found[0] if len(found) == 1 else None

    def _is_index(self, name: str) -> bool:
        while name != self.index:
            defined = self._definition(name)
            if not isinstance(defined, ir.Var):
                return False
            name = defined.name
        return True


def _statements(parfor: Any) -> Iterator[Any]:
    """Yield the statements of a parfor's body, those of parfors in it included."""
    for block in parfor.loop_body.values():
        for statement in block.body:
            if isinstance(statement, Parfor):
                yield from statement.init_block.body
                yield from _statements(statement)
            else:
                yield statement
