"""Reading types, constants and operands.

Source: LLVM Language Reference Manual, "Type System" and "Constants".
"""

from __future__ import annotations

from coenzyme.ir.instructions import Block, Module
from coenzyme.ir.lexer import TokenReader, decode_name, join_tokens
from coenzyme.ir.opcodes import CASTS, CONSTANT_BINARIES, VALUE_WORDS
from coenzyme.ir.types import (
    LABEL,
    METADATA,
    PTR,
    TOKEN,
    VOID,
    ArrayType,
    FloatType,
    IntType,
    NamedType,
    PointerType,
    StructType,
    Type,
    VectorType,
)
from coenzyme.ir.values import (
    BlockAddress,
    Constant,
    ConstantAggregate,
    ConstantBytes,
    ConstantExpression,
    ConstantFloat,
    ConstantInt,
    ConstantNull,
    ConstantZero,
    Global,
    InlineAssembly,
    MetadataValue,
    Poison,
    Undef,
    Value,
)

__all__ = ["ForwardReference", "ValueReader", "name_block"]

_FLOATS = ("half", "bfloat", "float", "double", "x86_fp80", "fp128", "ppc_fp128")

_NAMED_TYPES: dict[str, Type] = {
    "ptr": PTR,
    "void": VOID,
    "label": LABEL,
    "token": TOKEN,
    "metadata": METADATA,
    **{name: FloatType(name) for name in _FLOATS},
    **{f"i{width}": IntType(width) for width in (1, 8, 16, 32, 64, 128)},
}

_CLOSING = {"{": "}", "[": "]", "<": ">"}


def name_block(spelled: str) -> str:
    """Return the name of the block that LLVM spells so, its sigil included."""
    return f"b{spelled[1:]}" if spelled[1:].isdigit() else decode_name(spelled[1:])


class ForwardReference(Value):
    """Stands for a local that is used before its definition is read."""

    __slots__ = ("line", "line_number")

    def __init__(self, type: Type, line: str, line_number: int) -> None:
        super().__init__(type)
        self.line = line
        self.line_number = line_number


class ValueReader(TokenReader):
    """Reads types and operands; knows the symbols of the module and the locals of a function.

    `locals`, `forward` and `labels` are keyed by LLVM's spelling with its sigil.
    """

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.module = module
        self.types: dict[str, Type] = dict(_NAMED_TYPES)
        self.all_types_known = False
        self.symbols: dict[str, Global] = {}
        self.constants: dict[tuple[int, str], Constant] = {}
        self.locals: dict[str, Value] = {}
        self.forward: dict[str, ForwardReference] = {}
        self.labels: dict[str, Block] = {}

    # Types

    def starts_type(self, token: str) -> bool:
        """Return whether a type begins with `token`."""
        return token in self.types or token[:1] in {"{", "[", "<", "%"} or self._is_integer_type(token)

    def read_type(self) -> Type:
        """Return the type that must come next."""
        token = self.tokens[self.at]
        found = self.types.get(token)
        if found is None:
            return self._read_compound_type(token)
        self.at += 1
        if found is PTR and self.tokens[self.at] == "addrspace":
            self.at += 2
            space = self.integer()
            self.expect(")")
            return PointerType(space)
        return found

    def _is_integer_type(self, token: str) -> bool:
        if token[:1] == "i" and token[1:].isdigit():
            self.types[token] = IntType(int(token[1:]))
            return True
        return False

    def _read_compound_type(self, token: str) -> Type:
        if self._is_integer_type(token):
            self.at += 1
            return self.types[token]
        if token[:1] == "%":
            found = NamedType(decode_name(token[1:]))
            if self.all_types_known and found.name not in self.module.named_types:
                raise self.error("expected a type")
            self.at += 1
            self.types[token] = found
            return found
        if token == "{":
            return self._read_struct_type(packed=False)
        if token == "[":
            self.at += 1
            count, element = self._read_sequence_type("]")
            return ArrayType(count, element)
        if token == "<":
            if self.tokens[self.at + 1] == "{":
                self.at += 1
                found = self._read_struct_type(packed=True)
                self.expect(">")
                return found
            self.at += 1
            scalable = self.accept("vscale")
            if scalable:
                self.expect("x")
            count, element = self._read_sequence_type(">")
            return VectorType(count, element, scalable)
        raise self.error("expected a type")

    def _read_sequence_type(self, end: str) -> tuple[int, Type]:
        count = self.integer()
        self.expect("x")
        element = self.read_type()
        self.expect(end)
        return count, element

    def _read_struct_type(self, *, packed: bool) -> StructType:
        self.expect("{")
        elements: list[Type] = []
        while not self.accept("}"):
            if elements:
                self.expect(",")
            elements.append(self.read_type())
        return StructType(tuple(elements), packed)

    # Operands

    def read_typed(self) -> Value:
        """Return the operand that must come next, its type before it."""
        return self.read_value(self.read_type())

    def read_value(self, type: Type) -> Value:
        """Return the operand of a known type that must come next."""
        token = self.tokens[self.at]
        if token[:1] == "%":
            self.at += 1
            found = self.locals.get(token) or self.forward.get(token)
            if found is None:
                found = self.forward[token] = ForwardReference(type, self.line, self.line_number)
            return found
        return self.read_constant(type)

    def read_constant(self, type: Type) -> Constant:
        """Return the constant of a known type that must come next."""
        token = self.tokens[self.at]
        key = (id(type), token)
        constant = self.constants.get(key)
        if constant is None:
            if type is METADATA:
                return MetadataValue(type, self._read_metadata())
            constant = self._read_simple_constant(type, token)
            if constant is None:
                return self._read_compound_constant(type, token)
            # The constant keeps its type alive, so that the identity in the key stays valid.
            self.constants[key] = constant
        self.at += 1
        return constant

    def read_label(self) -> Block:
        """Return the block after the word ``label``."""
        self.expect("label")
        return self.block(self.next())

    def block(self, token: str) -> Block:
        """Return the block spelled `token` with its sigil, which may be defined later."""
        found = self.labels.get(token)
        if found is None:
            if token[:1] != "%":
                self.at -= 1
                raise self.error("expected the name of a block")
            found = self.labels[token] = Block(name_block(token))
        return found

    def symbol(self, token: str) -> Global:
        """Return the global spelled `token` with its sigil."""
        found = self.symbols.get(token)
        if found is None:
            name = decode_name(token[1:])
            found = self.module.functions.get(name) or self.module.globals.get(name)
            if found is None:
                raise self.error(f"{token} is not defined")
            self.symbols[token] = found
        return found

    def read_words(self) -> str:
        """Return the attributes that stand before a value, a comma or a closing bracket, as text."""
        token = self.tokens[self.at]
        if token[:1] in {"%", "@", "-"} or token.isdigit() or token in {",", ")"}:
            return ""
        begin = self.at
        while True:
            token = self.tokens[self.at]
            if token[:1] == '"':
                self.at += 1
                if self.accept("="):
                    self.at += 1
            elif not token[:1].isalpha() or token in VALUE_WORDS or token.startswith('c"'):
                break
            else:
                self.at += 1
                if self.tokens[self.at] == "(":
                    self.balanced()
                elif token in {"align", "alignstack"}:
                    self.integer()
        return join_tokens(self.tokens[begin : self.at]) if self.at > begin else ""

    def _read_simple_constant(self, type: Type, token: str) -> Constant | None:
        match token:
            case "null":
                return ConstantNull(type)
            case "zeroinitializer" | "none":
                return ConstantZero(type)
            case "poison":
                return Poison(type)
            case "undef":
                return Undef(type)
            case "true" | "false":
                assert isinstance(type, IntType)
                return ConstantInt(type, int(token == "true"))
            case _:
                pass
        first = token[:1]
        if first == "@":
            return self.symbol(token)
        if isinstance(type, IntType) and (first == "-" or first.isdigit()):
            return ConstantInt(type, int(token))
        if isinstance(type, FloatType) and (first in {"-", "+", "f"} or first.isdigit()):
            return ConstantFloat(type, token)
        return None

    def _read_compound_constant(self, type: Type, token: str) -> Constant:
        if token[:1] in _CLOSING:
            return self._read_aggregate(type)
        if token[:2] == 'c"':
            self.at += 1
            return ConstantBytes(type, token[2:-1])
        if token == "splat":
            return self._read_splat(type)
        if token == "asm":
            return self._read_assembly()
        if token == "blockaddress":
            return self._read_block_address()
        if token in CASTS or token in CONSTANT_BINARIES or token == "getelementptr":
            return self._read_expression(type, token)
        raise self.error("expected a value")

    def _read_aggregate(self, type: Type) -> Constant:
        opening = self.next()
        packed = opening == "<" and isinstance(type, StructType | NamedType) and self.accept("{")
        closing = "}" if packed else _CLOSING[opening]
        elements: list[Constant] = []
        while not self.accept(closing):
            if elements:
                self.expect(",")
            elements.append(self.read_constant(self.read_type()))
        if packed:
            self.expect(">")
        return ConstantAggregate(type, tuple(elements), packed=packed)

    def _read_splat(self, type: Type) -> Constant:
        self.at += 1
        self.expect("(")
        element = self.read_constant(self.read_type())
        self.expect(")")
        if isinstance(type, VectorType) and not type.scalable:
            return ConstantAggregate(type, (element,) * type.count)
        return ConstantExpression("splat", type, (element,))

    def _read_assembly(self) -> InlineAssembly:
        begin = self.at
        while self.tokens[self.at][:1] != '"':
            if not self.next():
                raise self.error("expected the text of the assembly")
        self.at += 1
        self.expect(",")
        self.at += 1
        text = self.tokens[begin : self.at]
        return InlineAssembly(f"{' '.join(text[:-3])} {text[-3]}, {text[-1]}")

    def _read_block_address(self) -> BlockAddress:
        self.at += 1
        self.expect("(")
        function = self.symbol(self.next())
        self.expect(",")
        token = self.next()
        if token[:1] != "%":
            self.at -= 1
            raise self.error("expected the name of a block")
        self.expect(")")
        return BlockAddress(function, name_block(token))

    def _read_expression(self, type: Type, opcode: str) -> ConstantExpression:
        self.at += 1
        flags: list[str] = []
        while self.tokens[self.at] != "(":
            word = self.next()
            if word == "inrange":
                word += join_tokens(self.balanced())
            elif not word:
                raise self.error("expected '('")
            flags.append(word)
        self.at += 1
        source: Type | None = None
        if opcode == "getelementptr":
            source = self.read_type()
            self.expect(",")
        operands = [self.read_constant(self.read_type())]
        while self.accept(","):
            operands.append(self.read_constant(self.read_type()))
        if opcode in CASTS:
            self.expect("to")
            self.read_type()
        self.expect(")")
        return ConstantExpression(opcode, type, tuple(operands), source, tuple(flags))

    def _read_metadata(self) -> str:
        begin = self.at
        while self.tokens[self.at] not in {",", ")", ""}:
            if self.tokens[self.at] in {"(", "{"}:
                self.balanced()
            else:
                if self.tokens[self.at][:1] == "%":
                    raise self.error("a local wrapped in metadata")
                self.at += 1
        return "".join(_spaced(self.tokens[begin : self.at]))


def _spaced(tokens: list[str]) -> str:
    text = join_tokens(tokens)
    return text.replace("! {", "!{").replace("!{ ", "!{").replace(" }", "}")
