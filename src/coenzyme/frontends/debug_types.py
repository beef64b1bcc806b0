"""The types of a compiled function's parameters, as its debug information has them.

Source: LLVM, "Source Level Debugging with LLVM" (DISubprogram, DISubroutineType, DIDerivedType,
DICompositeType, DIBasicType); DWARF 5, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from coenzyme.frontends.c_types import CField, COther, CPointer, CScalar, CStruct, CType, CValue, Kind
from coenzyme.ir.lexer import decode_escapes

__all__ = ["DebugTypes", "Prototype"]

_NODE = re.compile(r"^(![0-9]+) = (?:distinct )?(.*)$", re.MULTILINE)
_FIELD = re.compile(r'(\w+): (?:"([^"]*)"|(![0-9]+)|([^,()"]+))')
_REFERENCE = re.compile(r"![0-9]+|null")
_SUBPROGRAM = re.compile(r"^define [^\n]*!dbg (![0-9]+) \{$", re.MULTILINE)
_NAME = re.compile(r'@(?:"([^"]+)"|([-\w.$]+))\(')
_ENCODINGS = {
    "DW_ATE_float": Kind.FLOAT,
    "DW_ATE_signed": Kind.SIGNED,
    "DW_ATE_signed_char": Kind.SIGNED,
    "DW_ATE_unsigned": Kind.UNSIGNED,
    "DW_ATE_unsigned_char": Kind.UNSIGNED,
    "DW_ATE_boolean": Kind.BOOLEAN,
    "DW_ATE_complex_float": Kind.COMPLEX,
}
_FLOAT_SIZES = {Kind.FLOAT: (4, 8), Kind.COMPLEX: (8, 16)}
_SAME = {
    "DW_TAG_typedef",
    "DW_TAG_const_type",
    "DW_TAG_volatile_type",
    "DW_TAG_restrict_type",
    "DW_TAG_atomic_type",
}
_MOST_FIELDS = 4096
_MOST_NESTED = 16


@dataclass(frozen=True)
class Prototype:
    """The types of a function.

    Attributes
    ----------
    result
        None for ``void``.
    parameters
        One type each.
    spellings
        The type of the result and of each parameter by a name that C knows it by; None where it has none.
    names
        The names of the parameters, empty where they are not known.
    """

    result: CType | None
    parameters: tuple[CType, ...]
    spellings: tuple[str | None, ...]
    names: tuple[str, ...]


class DebugTypes:
    """The debug information of a module, read on demand.

    Parameters
    ----------
    text
        The module, as LLVM prints it.
    """

    def __init__(self, text: str) -> None:
        self._nodes = dict(_NODE.findall(text))
        self._subprograms: dict[str, str] = {}
        for found in _SUBPROGRAM.finditer(text):
            name = _NAME.search(found.group())
            if name is not None:
                self._subprograms[name.group(1) or name.group(2)] = found.group(1)

    def prototype(self, symbol: str) -> Prototype | None:
        """Return the types of the function of this name; None where nothing is known about them."""
        node = self._fields(self._subprograms.get(symbol, ""))
        listed = self._list(self._fields(node.get("type", "")).get("types", ""))
        if not listed or not listed[0]:  # lines alone have empty lists
            return None
        if len(listed) > 1 and listed[-1] == "null":
            return None  # variable arguments
        result, *parameters = listed
        found = [self._resolve(p) for p in parameters]
        if any(t is None for t in found):
            return None
        return Prototype(
            None if result == "null" else self._resolve(result),
            tuple(t for t in found if t is not None),
            tuple(self._spelling(t) for t in listed),
            tuple(self._names(node).get(i, "") for i in range(1, len(parameters) + 1)),
        )

    def pointers(self) -> dict[tuple[str, int], CScalar]:
        """Return the numbers that pointers in structs lead to, by the struct's name and the pointer's offset.

        Structs of one name that differ, as C has them in several scopes, are left out.
        """
        found: dict[tuple[str, int], CScalar | None] = {}
        for node, text in self._nodes.items():
            if "DW_TAG_structure_type" not in text or "elements: !" not in text:
                continue
            name = self._fields(node).get("name", "")
            led_to = dict(self._pointers_in(node, 0)) if name else {}
            for offset, target in led_to.items():
                known = found.setdefault((name, offset), target)
                if known != target:
                    found[name, offset] = None
        return {place: target for place, target in found.items() if target is not None}

    def _pointers_in(self, node: str, start: int, depth: int = 0) -> Iterator[tuple[int, CScalar | None]]:
        """Yield the pointers in memory of a type that begins at `start`, with the numbers they lead to."""
        fields = self._fields(node)
        tag = fields.get("tag", "")
        if depth > _MOST_NESTED:
            return
        if tag in _SAME:
            yield from self._pointers_in(fields.get("baseType", ""), start, depth + 1)
        elif tag == "DW_TAG_structure_type":
            for member in self._list(fields.get("elements", "")):
                inner = self._fields(member)
                place = start + int(inner.get("offset", "0")) // 8
                yield from self._pointers_in(inner.get("baseType", ""), place, depth + 1)
        elif tag == "DW_TAG_pointer_type":
            target = self._pointer(fields.get("baseType", "null"), 0).target
            yield start, target if isinstance(target, CScalar) else None

    def _names(self, subprogram: dict[str, str]) -> dict[int, str]:
        """Return the names of a function's parameters by their numbers, which count from 1."""
        found = (self._fields(n) for n in self._list(subprogram.get("retainedNodes", "")))
        return {int(f["arg"]): f["name"] for f in found if "arg" in f and "name" in f}

    def _spelling(self, node: str) -> str | None:
        """Return a name that C code can use for a type, of those that a value can have."""
        fields = self._fields(node)
        name = fields.get("name")
        if fields.get("tag") in {"DW_TAG_const_type", "DW_TAG_volatile_type"}:
            return self._spelling(fields.get("baseType", ""))
        if name and fields.get("tag") == "DW_TAG_structure_type":
            return f"struct {name}"
        return name or None

    def _resolve(self, node: str, depth: int = 0) -> CType | None:
        """Return a type; None for ``void``."""
        fields = self._fields(node)
        kind = fields.get("", "")
        tag = fields.get("tag", "")
        if kind == "DIBasicType":
            return _scalar(fields)
        if tag in _SAME:
            base = fields.get("baseType", "null")
            return None if base == "null" else self._resolve(base, depth)
        if tag == "DW_TAG_pointer_type":
            return self._pointer(fields.get("baseType", "null"), depth)
        if tag == "DW_TAG_structure_type" and "elements" in fields:
            return self._struct(node, fields, depth)
        if tag == "DW_TAG_enumeration_type":
            signed = "DIFlagEnumClass" not in fields.get("flags", "")
            base = self._resolve(fields["baseType"], depth) if "baseType" in fields else None
            size = int(fields.get("size", "32")) // 8
            return base or CScalar(Kind.SIGNED if signed else Kind.UNSIGNED, size)
        name = fields.get("name") or tag.removeprefix("DW_TAG_").replace("_", " ") or "unknown type"
        return COther(f"union {name}" if tag == "DW_TAG_union_type" else name)

    def _pointer(self, base: str, depth: int) -> CPointer:
        is_constant = False
        while base != "null":
            fields = self._fields(base)
            tag = fields.get("tag", "")
            is_constant = is_constant or tag == "DW_TAG_const_type"
            # A pointer to an array leads to the array's elements.
            if tag not in _SAME and tag != "DW_TAG_array_type":
                break
            base = fields.get("baseType", "null")
        if base == "null":
            return CPointer(None, is_constant)
        if depth > 0:
            return CPointer(None, is_constant)  # of pointers within structs nobody asks where they lead
        target = self._resolve(base, depth)
        if isinstance(target, CPointer | CValue):
            return CPointer(COther(str(target)), is_constant)
        return CPointer(target, is_constant)

    def _struct(self, node: str, fields: dict[str, str], depth: int) -> CStruct | COther:
        found: list[CField] = []
        name = f"struct {fields.get('name', '')}".rstrip()
        for offset, field in self._places(node, 0):
            found.append(CField(offset, field))
            if len(found) > _MOST_FIELDS or isinstance(field, COther):
                return COther(f"{name} with {field}" if isinstance(field, COther) else name)
        found.sort(key=lambda f: f.offset)
        return CStruct(fields.get("name", ""), int(fields.get("size", "0")) // 8, tuple(found))

    def _places(self, node: str, start: int) -> Iterator[tuple[int, CScalar | CPointer | COther]]:
        """Yield the scalars in memory of a type that begins at `start`."""
        fields = self._fields(node)
        tag = fields.get("tag", "")
        if tag in _SAME:
            yield from self._places(fields.get("baseType", ""), start)
        elif tag == "DW_TAG_structure_type":
            for member in self._list(fields.get("elements", "")):
                inner = self._fields(member)
                if "DIFlagBitField" in inner.get("flags", ""):
                    yield start, COther("bit fields")
                elif inner.get("tag") == "DW_TAG_member" and "DIFlagStaticMember" not in inner.get(
                    "flags", ""
                ):
                    place = start + int(inner.get("offset", "0")) // 8
                    yield from self._places(inner.get("baseType", ""), place)
        elif tag == "DW_TAG_array_type":
            many = 1
            for dimension in self._list(fields.get("elements", "")):
                count = self._fields(dimension).get("count", "")
                many *= int(count) if count.isdecimal() else 0
            size = int(fields.get("size", "0")) // 8 // max(many, 1)
            for i in range(min(many, _MOST_FIELDS + 1)):
                yield from self._places(fields.get("baseType", ""), start + i * size)
        else:
            found = self._resolve(node, 1)
            yield start, found if isinstance(found, CScalar | CPointer) else COther(str(found))

    def _list(self, node: str) -> list[str]:
        text = self._nodes.get(node, "")
        return _REFERENCE.findall(text.removeprefix("!")) if text.startswith("!{") else []

    def _fields(self, node: str) -> dict[str, str]:
        text = self._nodes.get(node, "")
        fields = {
            key: decode_escapes(quoted) or reference or plain.strip()
            for key, quoted, reference, plain in _FIELD.findall(text)
        }
        fields[""] = text.removeprefix("!").split("(", 1)[0]
        return fields


def _scalar(fields: dict[str, str]) -> CScalar | COther:
    kind = _ENCODINGS.get(fields.get("encoding", ""))
    size = int(fields.get("size", "0")) // 8
    if kind is None or size not in _FLOAT_SIZES.get(kind, (1, 2, 4, 8)):
        return COther(fields.get("name", "unknown type"))
    return CScalar(kind, size)
