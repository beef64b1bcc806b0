"""From LLVM's text to objects: modules and the frames of functions.

The text is read by lines, as LLVM prints it: one instruction a line, a ``switch`` over several. Symbols
are collected first, so that bodies can name what stands below them. What the engine does not change
(attribute groups, metadata, initialisers) is kept as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from coenzyme.errors import ParseError
from coenzyme.ir.instructions import Block, Function, GlobalVariable, Module
from coenzyme.ir.lexer import decode_name, join_tokens, parse_error
from coenzyme.ir.parser_instructions import InstructionReader
from coenzyme.ir.parser_values import name_block
from coenzyme.ir.types import FunctionType, Type
from coenzyme.ir.values import Argument

__all__ = ["parse_module"]

_LABEL = re.compile(r'\s*("[^"]*"|[-\w.$]+):\s*(?:;.*)?\Z')
_CONTINUED = " " * 8
"""How LLVM begins the lines on which it goes on with a landing pad, or with a call that ends a block."""
_ON_SEVERAL_LINES = re.compile(r"(?:%\S+ = )?(?:invoke|landingpad|callbr) ")
_NUMBERED_ADDRESS = re.compile(r'(blockaddress\(@(?:"[^"]*"|[-\w.$]+), )(%\d+)\)')
_SWITCH_END = re.compile(r"\](?:, !.*)?\s*\Z")
_HEADER_WORDS = ("target ", "source_filename", "module asm")


def parse_module(text: str) -> Module:
    """Return the module that LLVM's `text` denotes.

    Parameters
    ----------
    text
        As printed by LLVM 20 or newer (opaque pointers).

    Raises
    ------
    ParseError
        If something is not understood; the message shows the line with a caret.

    Notes
    -----
    Numbered locals get names (``%0`` → ``v0``, blocks ``b0``). Debug records, calls of ``llvm.dbg.*`` and the
    operand bundles of ``llvm.assume`` are left out.
    """
    return _ModuleReader(text).read()


@dataclass
class _Body:
    """The lines of a function's body, ``lines[begin:end]``, and the spellings of its parameters."""

    function: Function
    parameters: list[str]
    begin: int
    end: int


class _ModuleReader(InstructionReader):
    def __init__(self, text: str) -> None:
        super().__init__(Module())
        self.lines = text.split("\n")

    def read(self) -> Module:
        """Read everything: first the frame, then the bodies."""
        bodies = self._read_frame()
        self.all_types_known = True
        for body in bodies:
            try:
                self._read_body(body)
            except ParseError as error:
                error.function = error.function or body.function.name
                raise
            except (AssertionError, IndexError, TypeError, ValueError) as error:
                raise self.error(str(error) or "not understood") from error
        return self.module

    def _read_frame(self) -> list[_Body]:
        bodies: list[_Body] = []
        index = 0
        module = self.module
        while index < len(self.lines):
            line = self.lines[index]
            index += 1
            first = line[:1]
            if not first or first == ";" or line.isspace():
                continue
            if first == "^":
                continue  # a summary for link-time optimisation
            if first == "!" or line.startswith("attributes "):
                key, _, value = line.removeprefix("attributes ").partition(" = ")
                (module.metadata if first == "!" else module.attributes)[key] = value
            elif first in {"@", "%", "$"}:
                self._read_definition(line, index)
            elif line.startswith(_HEADER_WORDS):
                module.header.append(line)
            elif line.startswith(("define ", "declare ")):
                defined = line.startswith("define ")
                function, parameters = self._read_prototype(line, index, defined=defined)
                if defined:
                    end = self._find_end(index)
                    bodies.append(_Body(function, parameters, index, end))
                    index = end + 1
            elif not line.startswith("uselistorder"):
                self.start(line, index)
                raise self.error("not understood")
        return bodies

    def _find_end(self, begin: int) -> int:
        for index in range(begin, len(self.lines)):
            if self.lines[index][:1] == "}":
                return index
        raise self.error("no '}' closes this function")

    def _read_definition(self, line: str, line_number: int) -> None:
        """Read a global, a named type or a comdat."""
        spelled, equals, value = line.partition(" = ")
        if not equals:
            self.start(line, line_number)
            raise self.error("expected a definition")
        name = decode_name(spelled[1:])
        if spelled[0] == "@":
            # The text is kept as it is, but blocks that had numbers have names here.
            value = _NUMBERED_ADDRESS.sub(lambda m: f"{m.group(1)}%{name_block(m.group(2))})", value)
            variable = self.module.globals[name] = GlobalVariable(name, value)
            self.symbols[spelled] = variable
        elif spelled[0] == "$":
            self.module.comdats[name] = value
        else:
            self.start(line, line_number)
            self.at = 2
            self.expect("type")
            self.module.named_types[name] = None if self.accept("opaque") else self.read_type()
            self.finish()

    def _read_prototype(self, line: str, line_number: int, *, defined: bool) -> tuple[Function, list[str]]:
        tokens = self.start(line, line_number)
        self.at = 1
        while not self.starts_type(tokens[self.at]):
            if not self.next():
                raise self.error("expected a type")
            if tokens[self.at] == "(":
                self.balanced()
        prefix = join_tokens(tokens[1 : self.at]) if self.at > 1 else ""
        result = self.read_type()
        spelled = self.next()
        if spelled[:1] != "@":
            self.at -= 1
            raise self.error("expected the name of a function")
        arguments, parameters, variadic = self._read_parameters()
        begin = self.at
        self.at = len(tokens) - (3 if defined else 2)
        if defined:
            self.expect("{")
            self.at -= 1
        suffix = join_tokens(tokens[begin : self.at]) if self.at > begin else ""
        types: tuple[Type, ...] = tuple(a.type for a in arguments)
        function = Function(
            decode_name(spelled[1:]), FunctionType(result, types, variadic), arguments, prefix, suffix
        )
        if function.name in self.module.functions:
            raise self.error("defined twice")
        self.symbols[spelled] = self.module.add_function(function)
        return function, parameters

    def _read_parameters(self) -> tuple[list[Argument], list[str], bool]:
        arguments: list[Argument] = []
        spellings: list[str] = []
        self.expect("(")
        while not self.accept(")"):
            if arguments:
                self.expect(",")
            if self.accept("..."):
                self.expect(")")
                return arguments, spellings, True
            type = self.read_type()
            argument = Argument(type, "", len(arguments), self.read_words())
            arguments.append(argument)
            spellings.append(self.next() if self.tokens[self.at][:1] == "%" else "")
        return arguments, spellings, False

    # Bodies

    def _read_body(self, body: _Body) -> None:
        self.locals = {}
        self.forward = {}
        self.labels = {}
        slot = 0
        for argument, spelled in zip(body.function.arguments, body.parameters, strict=True):
            if not spelled or spelled[1:].isdigit():
                self.define(f"%{slot}", argument)
                slot += 1
            else:
                self.define(spelled, argument)
        self._read_blocks(body, f"%{slot}")
        self._check_complete(body.function)

    def _read_blocks(self, body: _Body, entry: str) -> None:
        lines = self.lines
        block: Block | None = None
        index = body.begin
        while index < body.end:
            line = lines[index]
            index += 1
            if line[:1] != " " or line[-1:] == ":":
                if not line or line[0] == ";" or line.isspace():
                    continue
                label = _LABEL.match(line)
                if label is not None:
                    block = self._begin_block(body.function, f"%{label.group(1)}", line, index)
                    continue
            stripped = line.lstrip()
            if not stripped or stripped.startswith(("#dbg_", ";", "uselistorder")):
                continue
            number = index
            if stripped.startswith("switch "):
                while not _SWITCH_END.search(lines[index - 1]) and index < body.end:
                    line = f"{line} {lines[index].strip()}"
                    index += 1
            elif lines[index][:8] == _CONTINUED and _ON_SEVERAL_LINES.match(stripped):
                while lines[index][:8] == _CONTINUED:
                    line = f"{line} {lines[index].strip()}"
                    index += 1
            if block is None:
                block = self._begin_block(body.function, entry, line, number)
            self.start(line, number)
            instruction = self.read_instruction()
            if instruction is not None:
                instruction.block = block
                block.instructions.append(instruction)

    def _begin_block(self, function: Function, spelled: str, line: str, line_number: int) -> Block:
        block = self.block(spelled)
        if block.function is not None:
            self.start(line, line_number)
            raise self.error("defined twice")
        return function.add_block(block)

    def _check_complete(self, function: Function) -> None:
        for spelled, waiting in self.forward.items():
            column = max(waiting.line.find(spelled), 0)
            raise parse_error(f"{spelled} is not defined", waiting.line, waiting.line_number, column)
        for spelled, block in self.labels.items():
            if block.function is None:
                raise self.error(f"no block is labelled {spelled}")
        for block in function.blocks:
            if not block.instructions or not block.instructions[-1].is_terminator:
                raise self.error(f"block %{block.name} has no terminator")
