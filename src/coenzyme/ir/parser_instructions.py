"""Reading instructions.

Source: LLVM Language Reference Manual, "Instruction Reference".
"""

from __future__ import annotations

from collections.abc import Callable

from coenzyme.ir.instructions import (
    Alloca,
    AtomicReadModifyWrite,
    Binary,
    Block,
    Branch,
    Cast,
    Compare,
    CompareExchange,
    ExtractElement,
    ExtractValue,
    Fence,
    Freeze,
    GetElementPtr,
    InsertElement,
    InsertValue,
    Instruction,
    Load,
    Phi,
    Return,
    Select,
    ShuffleVector,
    Store,
    Switch,
    Unary,
    Unreachable,
)
from coenzyme.ir.jumps import IndirectBranch, LandingPad, Resume, VariadicArgument
from coenzyme.ir.lexer import decode_name, join_tokens
from coenzyme.ir.opcodes import BINARIES, CASTS
from coenzyme.ir.parser_calls import CallReader
from coenzyme.ir.types import (
    I1,
    I32,
    VOID,
    PointerType,
    StructType,
    Type,
    VectorType,
    indexed_type,
)
from coenzyme.ir.values import Constant, ConstantInt, Value

__all__ = ["InstructionReader"]


class InstructionReader(CallReader):
    """Reads one instruction a line; see :data:`_READERS` for who reads what."""

    def read_instruction(self) -> Instruction | None:
        """Return the instruction of the current line, or None where it only serves a debugger."""
        tokens = self.tokens
        result = ""
        if tokens[1] == "=":
            result = tokens[0]
            self.at = 2
        opcode = tokens[self.at]
        read = _READERS.get(opcode)
        if read is None:
            raise self.error(f"unknown instruction {opcode!r}")
        self.at += 1
        instruction = read(self, opcode)
        if instruction is None:
            return None
        while tokens[self.at] == ",":
            self._read_attachment(instruction)
        self.finish()
        if result:
            self.define(result, instruction)
        return instruction

    def define(self, token: str, value: Value) -> None:
        """Let the local spelled `token` be `value`, also where it was used already."""
        if token[:1] != "%" or token in self.locals or value.type is VOID:
            self.at = 0
            raise self.error("defined twice" if token in self.locals else "cannot be named")
        self.locals[token] = value
        name = token[1:]
        if name[0] == '"':
            name = decode_name(name)
        elif name.isdigit():
            name = f"v{name}"
        value.name = name
        if self.forward:
            waiting = self.forward.pop(token, None)
            if waiting is not None:
                waiting.replace_all_uses_with(value)

    def _read_attachment(self, instruction: Instruction) -> None:
        self.at += 1
        kind = self.next()
        if kind[:1] != "!" or len(kind) < 2:
            self.at -= 1
            raise self.error("did not expect this")
        node = self.next()
        if node == "!" or self.tokens[self.at] == "(":
            node += join_tokens(self.balanced())
        instruction.metadata[kind[1:]] = node

    def _read_flags(self) -> tuple[str, ...]:
        """Return the words before a type."""
        token = self.tokens[self.at]
        if token in self.types:
            return ()
        flags: list[str] = []
        while not self.starts_type(token):
            if not token[:1].isalpha():
                raise self.error("expected a type")
            self.at += 1
            if self.tokens[self.at] == "(":
                token += join_tokens(self.balanced())
            flags.append(token)
            token = self.tokens[self.at]
        return tuple(flags)

    def _read_align(self) -> int:
        if self.tokens[self.at] == "," and self.tokens[self.at + 1] == "align":
            self.at += 2
            return self.integer()
        return 0

    def _read_ordering(self) -> str:
        """Return the words before a comma or the end: ``syncscope("agent") acquire``."""
        begin = self.at
        while self.tokens[self.at] not in {",", ""}:
            self.at += 1
        return join_tokens(self.tokens[begin : self.at]) if self.at > begin else ""

    # Arithmetic

    def _read_unary(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        value = self.read_typed()
        return Unary(opcode, value.type, [value], "", flags)

    def _read_binary(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        type = self.read_type()
        a = self.read_value(type)
        self.expect(",")
        return Binary(opcode, type, [a, self.read_value(type)], "", flags)

    def _read_compare(self, opcode: str) -> Instruction:
        words = self._read_flags()
        if not words:
            raise self.error("expected a predicate")
        type = self.read_type()
        a = self.read_value(type)
        self.expect(",")
        b = self.read_value(type)
        return Compare(opcode, words[-1], _truth_type(type), [a, b], "", words[:-1])

    def _read_cast(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        value = self.read_typed()
        self.expect("to")
        return Cast(opcode, self.read_type(), [value], "", flags)

    def _read_select(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        operands = self._read_operands()
        return Select(opcode, operands[1].type, operands, "", flags)

    def _read_freeze(self, opcode: str) -> Instruction:
        value = self.read_typed()
        return Freeze(opcode, value.type, [value])

    def _read_operands(self) -> list[Value]:
        operands = [self.read_typed()]
        while self.tokens[self.at] == "," and self.tokens[self.at + 1][:1] != "!":
            self.at += 1
            operands.append(self.read_typed())
        return operands

    def _read_phi(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        type = self.read_type()
        tokens = self.tokens
        phi = Phi(type, (), "", flags)
        while True:
            self.expect("[")
            value = self.read_value(type)
            self.expect(",")
            self.at += 1
            phi.add_incoming(value, self.block(tokens[self.at - 1]))
            self.expect("]")
            if tokens[self.at] != "," or tokens[self.at + 1] != "[":
                return phi
            self.at += 1

    # Memory

    def _read_alloca(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        type = self.read_type()
        count: Value = ConstantInt(I32, 1)
        align, space = 0, 0
        while self.tokens[self.at] == "," and self.tokens[self.at + 1][:1] != "!":
            self.at += 1
            if self.accept("align"):
                align = self.integer()
            elif self.accept("addrspace"):
                self.expect("(")
                space = self.integer()
                self.expect(")")
            else:
                count = self.read_typed()
        alloca = Alloca(type, count, "", align, flags)
        if space:
            alloca.type = PointerType(space)
        return alloca

    def _read_load(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        type = self.read_type()
        self.expect(",")
        pointer = self.read_typed()
        ordering = self._read_ordering()
        return Load(type, pointer, "", self._read_align(), flags, ordering)

    def _read_store(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        value = self.read_typed()
        self.expect(",")
        pointer = self.read_typed()
        ordering = self._read_ordering()
        return Store(value, pointer, self._read_align(), flags, ordering)

    def _read_gep(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        source = self.read_type()
        self.expect(",")
        operands = self._read_operands()
        type = operands[0].type
        if not isinstance(type, VectorType):
            for index in operands[1:]:
                if isinstance(index.type, VectorType):
                    type = VectorType(index.type.count, type, index.type.scalable)
                    break
        return GetElementPtr(source, operands[0], operands[1:], "", flags, type)

    def _read_atomic(self, opcode: str) -> Instruction:
        flags = ("volatile",) if self.accept("volatile") else ()
        operation = self.next()
        pointer = self.read_typed()
        self.expect(",")
        value = self.read_typed()
        return AtomicReadModifyWrite(operation, pointer, value, self._read_atomic_tail(), "", flags)

    def _read_exchange(self, opcode: str) -> Instruction:
        flags = self._read_flags()
        operands = [self.read_typed()]
        for _ in range(2):
            self.expect(",")
            operands.append(self.read_typed())
        type = StructType((operands[1].type, I1))
        return CompareExchange(type, operands, self._read_atomic_tail(), "", flags)

    def _read_fence(self, opcode: str) -> Instruction:
        return Fence(self._read_ordering())

    def _read_atomic_tail(self) -> str:
        text = self._read_ordering()
        align = self._read_align()
        return f"{text}, align {align}" if align else text

    # Aggregates and vectors

    def _read_indices(self) -> tuple[int, ...]:
        indices: list[int] = []
        while self.tokens[self.at] == "," and self.tokens[self.at + 1][:1] != "!":
            self.at += 1
            indices.append(self.integer())
        return tuple(indices)

    def _read_extract_value(self, opcode: str) -> Instruction:
        aggregate = self.read_typed()
        indices = self._read_indices()
        return ExtractValue(
            indexed_type(aggregate.type, indices, self.module.named_types), aggregate, indices
        )

    def _read_insert_value(self, opcode: str) -> Instruction:
        aggregate = self.read_typed()
        self.expect(",")
        element = self.read_typed()
        return InsertValue(aggregate, element, self._read_indices())

    def _read_extract_element(self, opcode: str) -> Instruction:
        operands = self._read_operands()
        return ExtractElement(opcode, indexed_type(operands[0].type, (0,)), operands)

    def _read_insert_element(self, opcode: str) -> Instruction:
        operands = self._read_operands()
        return InsertElement(opcode, operands[0].type, operands)

    def _read_shuffle(self, opcode: str) -> Instruction:
        operands = self._read_operands()
        mask = operands[2].type
        if not isinstance(mask, VectorType):
            raise self.error("a mask that is no vector")
        element = indexed_type(operands[0].type, (0,))
        return ShuffleVector(opcode, VectorType(mask.count, element, mask.scalable), operands)

    # Terminators

    def _read_branch(self, opcode: str) -> Instruction:
        if self.tokens[self.at] == "label":
            return Branch([self.read_label()])
        condition = self.read_typed()
        self.expect(",")
        then = self.read_label()
        self.expect(",")
        return Branch([then, self.read_label()], condition)

    def _read_switch(self, opcode: str) -> Instruction:
        value = self.read_typed()
        self.expect(",")
        default = self.read_label()
        self.expect("[")
        cases: list[tuple[Constant, Block]] = []
        while not self.accept("]"):
            case = self.read_constant(self.read_type())
            self.expect(",")
            cases.append((case, self.read_label()))
        return Switch(value, default, cases)

    def _read_indirect_branch(self, opcode: str) -> Instruction:
        address = self.read_typed()
        self.expect(",")
        self.expect("[")
        targets: list[Block] = []
        while not self.accept("]"):
            if targets:
                self.expect(",")
            targets.append(self.read_label())
        return IndirectBranch(address, targets)

    def _read_landing_pad(self, opcode: str) -> Instruction:
        type = self.read_type()
        is_cleanup = self.accept("cleanup")
        clauses: list[tuple[str, Constant]] = []
        while self.tokens[self.at] in {"catch", "filter"}:
            kind = self.next()
            clauses.append((kind, self.read_constant(self.read_type())))
        return LandingPad(type, clauses, is_cleanup=is_cleanup)

    def _read_resume(self, opcode: str) -> Instruction:
        return Resume(self.read_typed())

    def _read_variadic(self, opcode: str) -> Instruction:
        arguments = self.read_typed()
        self.expect(",")
        return VariadicArgument(self.read_type(), arguments)

    def _read_return(self, opcode: str) -> Instruction:
        type = self.read_type()
        return Return(None if type is VOID else self.read_value(type))

    def _read_unreachable(self, opcode: str) -> Instruction:
        return Unreachable()


def _truth_type(type: Type) -> Type:
    return VectorType(type.count, I1, type.scalable) if isinstance(type, VectorType) else I1


_R = InstructionReader
_READERS: dict[str, Callable[[InstructionReader, str], Instruction | None]] = {
    **dict.fromkeys(BINARIES, _R._read_binary),
    **dict.fromkeys(CASTS, _R._read_cast),
    **dict.fromkeys(("call", "tail", "musttail", "notail"), _R.read_call),
    "fneg": _R._read_unary,
    "icmp": _R._read_compare,
    "fcmp": _R._read_compare,
    "select": _R._read_select,
    "freeze": _R._read_freeze,
    "phi": _R._read_phi,
    "alloca": _R._read_alloca,
    "load": _R._read_load,
    "store": _R._read_store,
    "getelementptr": _R._read_gep,
    "atomicrmw": _R._read_atomic,
    "cmpxchg": _R._read_exchange,
    "fence": _R._read_fence,
    "extractvalue": _R._read_extract_value,
    "insertvalue": _R._read_insert_value,
    "extractelement": _R._read_extract_element,
    "insertelement": _R._read_insert_element,
    "shufflevector": _R._read_shuffle,
    **dict.fromkeys(("invoke", "callbr"), _R.read_calling_jump),
    "indirectbr": _R._read_indirect_branch,
    "landingpad": _R._read_landing_pad,
    "resume": _R._read_resume,
    "va_arg": _R._read_variadic,
    "br": _R._read_branch,
    "switch": _R._read_switch,
    "ret": _R._read_return,
    "unreachable": _R._read_unreachable,
}
