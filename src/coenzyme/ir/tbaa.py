"""What a front end says of the types behind accesses to memory.

C's rule is that memory is accessed by its own type, or as characters; a front end that relies on it attaches
``!tbaa`` to loads and stores. Only scalar types of C and C++ are read here; characters may be anything.
Source: LLVM Language Reference, "tbaa Metadata".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from coenzyme.ir.instructions import Instruction, Module

__all__ = [
    "Accessed",
    "Member",
    "accessed",
    "member_accessed",
    "members",
    "note_accessed",
    "note_accessed_types",
    "read_note",
    "write_note",
]

_KEY, _MEMBERS = "coenzyme.accessed", "coenzyme.members"
_STRING = re.compile(r'!"((?:[^"\\]|\\.)*)"')
_ROOTS = ("Simple C/C++ TBAA", "Simple C++ TBAA")
_INTEGERS = {
    "bool": 1,
    "_Bool": 1,
    "short": 2,
    "char16_t": 2,
    "int": 4,
    "wchar_t": 4,
    "char32_t": 4,
    "long": 8,
    "long long": 8,
    "__int128": 16,
}
"""The sizes of integer types; that of ``long`` is smaller where the next member is nearer."""
_MOST_MEMBERS = 200
_POINTER = re.compile(r"any pointer|any p\d+ pointer|p\d+ .*|vtable pointer")


class Accessed(Enum):
    """The type of what is accessed."""

    INTEGER = "integer"
    POINTER = "pointer"
    FLOAT = "float"
    DOUBLE = "double"


@dataclass(frozen=True)
class Member:
    """What lies some bytes from where an access is."""

    offset: int
    size: int
    type: Accessed


def members(instruction: Instruction) -> list[Member] | None:
    """Return what the front end says of what lies around what `instruction` accesses or moves."""
    text = read_note(instruction, _MEMBERS)
    if text is None:
        return None
    found: list[Member] = []
    for part in text.split():
        offset, size, name = part.split(":")
        found.append(Member(int(offset), int(size), Accessed(name)))
    return found


def accessed(instruction: Instruction) -> Accessed | None:
    """Return the type that the front end gives to what `instruction` accesses, if it says so."""
    found = read_note(instruction, _KEY)
    return None if found is None else Accessed(found)


def note_accessed(instruction: Instruction, type: Accessed) -> None:
    """Let :func:`accessed` say `type` of `instruction`."""
    write_note(instruction, _KEY, type.value)


def read_note(instruction: Instruction, kind: str) -> str | None:
    """Return the text that was noted on `instruction`, or None."""
    node = instruction.metadata.get(kind)
    return None if node is None else node[len('!{!"') : -len('"}')]


def write_note(instruction: Instruction, kind: str, text: str) -> None:
    """Attach `text`, which has no quotation marks, to `instruction` as metadata."""
    instruction.metadata[kind] = f'!{{!"{text}"}}'


def note_accessed_types(module: Module) -> None:
    """Let :func:`accessed` and :func:`members` know what the metadata of `module` says."""
    nodes = _TypeNodes(module)
    for function in module.functions.values():
        for instruction in function.instructions():
            tag = instruction.metadata.get("tbaa")
            found = None if tag is None else nodes.of_tag(tag)
            if found is not None:
                note_accessed(instruction, found)
            moved = instruction.metadata.get("tbaa.struct")
            around = nodes.around(tag) if moved is None and tag is not None else None
            if moved is not None:
                around = nodes.moved(moved)
            if around is not None:
                text = " ".join(f"{m.offset}:{m.size}:{m.type.value}" for m in around)
                write_note(instruction, _MEMBERS, text)


def member_accessed(module: Module, instruction: Instruction) -> tuple[str, int] | None:
    """Return the struct in which the member is that `instruction` accesses, and its offset there."""
    tag = instruction.metadata.get("tbaa")
    nodes = _TypeNodes(module)
    parts = [] if tag is None else nodes.parts(tag)
    if len(parts) < 3 or parts[0] == parts[1]:
        return None
    name = _STRING.fullmatch((nodes.parts(parts[0]) or [""])[0])
    offset = _number(parts[2])
    return None if name is None or not name.group(1) or offset is None else (name.group(1), offset)


class _TypeNodes:
    """The types that the metadata of a module describes, read on demand."""

    def __init__(self, module: Module) -> None:
        self._metadata = module.metadata
        self._known: dict[str, Accessed | None] = {}

    def of_tag(self, tag: str) -> Accessed | None:
        """Return the type that the access tag `tag` gives."""
        parts = self.parts(tag)
        if parts and parts[0].startswith('!"'):
            return self.of_scalar(tag)  # a scalar type, which older front ends use as a tag
        return self.of_scalar(parts[1]) if len(parts) > 1 else None

    def around(self, tag: str) -> list[Member] | None:
        """Return the members of the struct in which an access with the path `tag` is, from where that is."""
        parts = self.parts(tag)
        if len(parts) < 3 or parts[0] == parts[1]:
            return None
        at = _number(parts[2])
        found = None if at is None else self._members(parts[0])
        if found is None or at is None or len(found) > _MOST_MEMBERS:
            return None
        return [Member(m.offset - at, m.size, m.type) for m in found]

    def moved(self, node: str) -> list[Member] | None:
        """Return what the fields of a moved struct are, as ``!tbaa.struct`` says; not those of characters."""
        parts = self.parts(node)
        found: list[Member] = []
        for offset, size, tag in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
            where, length, type = _number(offset), _number(size), self.of_tag(tag)
            if where is None or length is None:
                return None
            if type is not None:
                found.append(Member(where, length, type))
        return found

    def _members(self, node: str, depth: int = 0) -> list[Member] | None:
        """Return the scalars of the struct type `node`, characters left out."""
        parts = self.parts(node)
        if not parts or not parts[0].startswith('!"') or depth > 8:
            return None
        found: list[Member] = []
        places = [_number(part) for part in parts[2::2]]
        for number, (inner, offset) in enumerate(zip(parts[1::2], places, strict=False)):
            if offset is None:
                return None
            following = next((p for p in places[number + 1 :] if p is not None and p > offset), None)
            type = self.of_scalar(inner)
            if type is not None:
                size = self._size(inner, type)
                found.append(
                    Member(offset, size if following is None else min(size, following - offset), type)
                )
            elif not self._is_scalar(inner):
                within = self._members(inner, depth + 1)
                if within is None:
                    return None
                found.extend(Member(offset + m.offset, m.size, m.type) for m in within)
        return found

    def _is_scalar(self, node: str) -> bool:
        return len(self.parts(node)) <= 3 and self._is_of_c(node)

    def _size(self, node: str, type: Accessed) -> int:
        if type is Accessed.INTEGER:
            match = _STRING.fullmatch(self.parts(node)[0])
            assert match is not None
            return _INTEGERS[match.group(1)]
        return 4 if type is Accessed.FLOAT else 8

    def of_scalar(self, node: str) -> Accessed | None:
        """Return the type that the scalar type `node` stands for, None for characters and what is unknown."""
        if node not in self._known:
            self._known[node] = self._read(node)
        return self._known[node]

    def parts(self, node: str) -> list[str]:
        """Return the operands of a node as text."""
        text = self._metadata.get(node, "").strip()
        match = re.fullmatch(r"(?:distinct )?!\{(.*)\}", text)
        return [] if match is None else [part.strip() for part in _split(match.group(1))]

    def _read(self, node: str) -> Accessed | None:
        parts = self.parts(node)
        if len(parts) not in (2, 3) or not self._is_of_c(node):
            return None
        match = _STRING.fullmatch(parts[0])
        name = "" if match is None else match.group(1)
        if name in _INTEGERS:
            return Accessed.INTEGER
        if name in ("float", "double"):
            return Accessed(name)
        return Accessed.POINTER if _POINTER.fullmatch(name) else None

    def _is_of_c(self, node: str) -> bool:
        """Whether the scalar type `node` belongs to the types of C or C++."""
        seen: set[str] = set()
        while node not in seen:
            seen.add(node)
            parts = self.parts(node)
            if len(parts) == 1:
                match = _STRING.fullmatch(parts[0])
                return match is not None and match.group(1) in _ROOTS
            if len(parts) < 2:
                return False
            node = parts[1]
        return False


def _number(text: str) -> int | None:
    match = re.fullmatch(r"i64 (-?\d+)", text)
    return None if match is None else int(match.group(1))


def _split(text: str) -> list[str]:
    """Return the parts of `text` between commas that stand in no string."""
    found: list[str] = [""]
    quoted = False
    for character in text:
        quoted ^= character == '"'
        if character == "," and not quoted:
            found.append("")
        else:
            found[-1] += character
    return found
