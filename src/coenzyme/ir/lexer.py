"""Words of LLVM's text, a line at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from coenzyme.errors import ParseError

__all__ = ["TokenReader", "decode_escapes", "decode_name", "join_tokens", "tokenize"]

_TOKEN = re.compile(
    r"""
      [@%$!]?"[^"]*"        # a string or a quoted name
    | c"[^"]*"              # bytes
    | [%@\#$^][-\w.$]+      # a name, an attribute group
    | ![-\w.$\\]*           # metadata
    | [-+\w.$]+             # a word or number
    | ;.*                   # a comment
    | [^\s]                 # punctuation
    """,
    re.VERBOSE,
)
_ESCAPES = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
_TIGHT_BEFORE = frozenset([",", ")", "]", ":", "="])
_TIGHT_AFTER = frozenset(["(", "["])

tokenize = _TOKEN.findall


def decode_name(spelled: str) -> str:
    """Return the name that `spelled` (without its sigil) stands for: unquoted, escapes resolved."""
    if spelled[:1] != '"':
        return spelled
    return decode_escapes(spelled[1:-1])


def decode_escapes(text: str) -> str:
    r"""Return `text` with LLVM's ``\XX`` resolved, as UTF-8 where that is possible.

    Examples
    --------
    >>> decode_escapes(r"caf\C3\A9")
    'café'
    """
    return _ESCAPES.sub(_unescape, text) if "\\" in text else text


def _unescape(match: re.Match[str]) -> str:
    return bytes.fromhex(match.group().replace("\\", "")).decode("utf-8", "surrogateescape")


def join_tokens(tokens: Sequence[str]) -> str:
    """Return LLVM's text of `tokens`, spaced as LLVM spaces attributes.

    Examples
    --------
    >>> join_tokens(["range", "(", "i64", "0", ",", "5", ")", "align", "8"])
    'range(i64 0, 5) align 8'
    """
    if len(tokens) == 1:
        return tokens[0]
    parts: list[str] = []
    previous = ""
    for token in tokens:
        tight = (
            not previous
            or token in _TIGHT_BEFORE
            or previous in _TIGHT_AFTER
            or previous == "="
            or (token == "(" and previous[-1] not in ",:")
        )
        parts.append(token if tight else f" {token}")
        previous = token
    return "".join(parts)


class TokenReader:
    """A cursor over the tokens of one line.

    Attributes
    ----------
    tokens
        The tokens, followed by two empty ones so that looking ahead needs no check.
    at
        The index of the next token.
    """

    def __init__(self) -> None:
        self.tokens: list[str] = ["", ""]
        self.at = 0
        self.line = ""
        self.line_number = 0

    def start(self, line: str, line_number: int) -> list[str]:
        """Begin with `line` and return its tokens."""
        tokens: list[str] = tokenize(line)
        if tokens and tokens[-1][0] == ";":
            tokens.pop()
        tokens += ("", "")
        self.tokens = tokens
        self.at = 0
        self.line = line
        self.line_number = line_number
        return tokens

    def next(self) -> str:
        """Return the next token and step over it."""
        token = self.tokens[self.at]
        self.at += 1
        return token

    def accept(self, token: str) -> bool:
        """Step over `token` if it comes next and return whether it did."""
        if self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def expect(self, token: str) -> None:
        """Step over `token`, which must come next."""
        if self.tokens[self.at] != token:
            raise self.error(f"expected {token!r}")
        self.at += 1

    def integer(self) -> int:
        """Return the decimal number that must come next."""
        token = self.tokens[self.at]
        if not token.isdigit():
            raise self.error("expected a number")
        self.at += 1
        return int(token)

    def balanced(self) -> list[str]:
        """Return the bracketed group that must come next, brackets included."""
        begin = self.at
        depth = 0
        while True:
            token = self.next()
            if token in {"(", "[", "{", "<"}:
                depth += 1
            elif token in {")", "]", "}", ">"}:
                depth -= 1
                if depth <= 0:
                    return self.tokens[begin : self.at]
            elif not token:
                raise self.error("unbalanced brackets")

    def finish(self) -> None:
        """Check that the whole line was read."""
        if self.tokens[self.at]:
            raise self.error("did not expect this")

    def error(self, what: str) -> ParseError:
        """Return an error that shows the line with a caret under the next token."""
        column = len(self.line)
        for index, match in enumerate(_TOKEN.finditer(self.line)):
            if index == self.at:
                column = match.start()
                break
        remedy = None
        if "*" in self.tokens:
            remedy = "LLVM text with typed pointers is not read: use llvmlite 0.46 or newer"
        return parse_error(what, self.line, self.line_number, column, remedy)


def parse_error(what: str, line: str, line_number: int, column: int, remedy: str | None = None) -> ParseError:
    """Return a ParseError that shows a window of `line` with a caret under `column`."""
    begin = max(0, column - 60)
    shown = line[begin : begin + 120]
    message = f"line {line_number}: {what}\n    {shown}\n    {' ' * (column - begin)}^"
    return ParseError(message, remedy=remedy)
