"""Where in the user's code an instruction comes from.

Source: LLVM, "Source Level Debugging with LLVM" (DILocation, DISubprogram, DIFile).
"""

from __future__ import annotations

import posixpath
import re

from coenzyme.errors import Location
from coenzyme.ir.instructions import Instruction, Module
from coenzyme.ir.lexer import decode_escapes

__all__ = ["SourceMap"]

_FIELD = re.compile(r'(\w+): (?:"([^"]*)"|(![0-9]+)|([^,()"]+))')
_MAX_DEPTH = 1000
_PYTHON = "DW_LANG_Python"


class SourceMap:
    """Debug locations of a module, read from its metadata on demand."""

    def __init__(self, module: Module) -> None:
        self._metadata = module.metadata
        self._chains: dict[str, tuple[Location, ...]] = {}
        self._nodes: dict[str, dict[str, str]] = {}
        self._foreign: set[str] = set()
        """Files with code in other languages than Python."""

    def locate(self, instruction: Instruction) -> Location | None:
        """Return the line to tell the user, None where nothing is known.

        In Python that is the line of the outermost function, the end of the chain: inner ones may be a
        library's.
        In other languages it is the line itself.
        """
        chain = self.chain(instruction)
        foreign = (place for place in chain if place.file in self._foreign)
        return next(foreign, chain[-1] if chain else None)

    def chain(self, instruction: Instruction) -> list[Location]:
        """Return the instruction's line, then the lines of the calls it was inlined through, inside out."""
        node = instruction.metadata.get("dbg")
        if node is None:
            return []
        found = self._chains.get(node)
        if found is None:
            found = self._chains[node] = tuple(self._follow(node))
        return list(found)

    def _follow(self, node: str) -> list[Location]:
        chain: list[Location] = []
        for _ in range(_MAX_DEPTH):
            fields = self._fields(node)
            line = fields.get("line", "0")
            file = self._file_of(fields.get("scope", ""))
            # Line 0 is LLVM's word for "no line in particular".
            if file and line.isdigit() and line != "0":
                chain.append(Location(file, int(line)))
            node = fields.get("inlinedAt", "")
            if not node:
                break
        return chain

    def _file_of(self, scope: str) -> str:
        found = ""
        for _ in range(_MAX_DEPTH):
            fields = self._fields(scope)
            if "file" in fields and not found:
                entry = self._fields(fields["file"])
                name, directory = entry.get("filename", ""), entry.get("directory", "")
                found = posixpath.join(directory, name) if directory not in {"", "."} else name
            if "unit" in fields:
                language = self._fields(fields["unit"]).get("language", _PYTHON)
                if language != _PYTHON:
                    self._foreign.add(found)
                break
            scope = fields.get("scope", "")
            if not scope:
                break
        return found

    def _fields(self, node: str) -> dict[str, str]:
        found = self._nodes.get(node)
        if found is None:
            text = self._metadata.get(node, "")
            found = self._nodes[node] = {
                key: decode_escapes(quoted) or reference or plain.strip()
                for key, quoted, reference, plain in _FIELD.findall(text)
            }
        return found
