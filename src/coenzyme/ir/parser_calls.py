"""Reading calls: attributes, conventions, signatures, arguments, operand bundles.

Source: LLVM Language Reference Manual, "'call' Instruction" and "Parameter Attributes".
"""

from __future__ import annotations

from coenzyme.ir.instructions import Call, Function, Instruction
from coenzyme.ir.jumps import CallingJump
from coenzyme.ir.lexer import join_tokens
from coenzyme.ir.opcodes import CONVENTIONS, FAST_MATH
from coenzyme.ir.parser_values import ValueReader
from coenzyme.ir.types import PTR, FunctionType, Type
from coenzyme.ir.values import Value

__all__ = ["CallReader"]

# Debug intrinsics of LLVM before debug records: the locations on instructions are all we need.
_DEBUG_PREFIX = "@llvm.dbg."


class CallReader(ValueReader):
    """Reads what comes after ``call``."""

    def read_calling_jump(self, opcode: str) -> Instruction | None:
        """Return the ``invoke`` or ``callbr`` of the current line."""
        call = self._read_call_after("")
        assert call is not None
        self.expect("to")
        targets = [self.read_label()]
        if opcode == "invoke":
            self.expect("unwind")
            targets.append(self.read_label())
        else:
            self.expect("[")
            while not self.accept("]"):
                if len(targets) > 1:
                    self.expect(",")
                targets.append(self.read_label())
        jump = CallingJump(opcode, call, targets)
        call.drop_operands()
        return jump

    def read_call(self, opcode: str) -> Instruction | None:
        """Return the call of the current line, or None where it only serves a debugger."""
        tail = ""
        if opcode != "call":
            tail = opcode
            self.expect("call")
        return self._read_call_after(tail)

    def _read_call_after(self, tail: str) -> Call | None:
        flags, convention, return_attributes = self._read_call_head()
        result = self.read_type()
        declared = self._read_signature(result) if self.tokens[self.at] == "(" else None
        if self.tokens[self.at].startswith(_DEBUG_PREFIX):
            return None
        callee = self.read_value(PTR)
        arguments, attributes = self._read_arguments()
        function_type = declared or self._signature_of(callee, result, arguments)
        call = Call(function_type, callee, arguments, "", flags)
        call.tail = tail
        call.convention = convention
        call.return_attributes = return_attributes
        call.argument_attributes = attributes
        token = self.tokens[self.at]
        if token and token != ",":
            self._read_call_tail(call)
        return call

    def _read_call_head(self) -> tuple[tuple[str, ...], str, str]:
        token = self.tokens[self.at]
        if token in self.types:
            return (), "", ""
        flags: list[str] = []
        convention = ""
        attributes: list[str] = []
        while not self.starts_type(token):
            if not token:
                raise self.error("expected a type")
            begin = self.at
            self.at += 1
            if token in FAST_MATH:
                flags.append(token)
            elif token in CONVENTIONS or (token[:2] == "cc" and token[2:].isdigit()):
                convention = token
            elif token == "cc":
                convention = f"cc {self.integer()}"
            else:
                if self.tokens[self.at] == "(":
                    self.balanced()
                attributes += self.tokens[begin : self.at]
            token = self.tokens[self.at]
        return tuple(flags), convention, join_tokens(attributes) if attributes else ""

    def _read_signature(self, result: Type) -> FunctionType:
        self.expect("(")
        parameters: list[Type] = []
        variadic = False
        while not self.accept(")"):
            if parameters:
                self.expect(",")
            if self.accept("..."):
                variadic = True
            else:
                parameters.append(self.read_type())
        return FunctionType(result, tuple(parameters), variadic)

    def _read_arguments(self) -> tuple[list[Value], list[str]]:
        self.expect("(")
        arguments: list[Value] = []
        attributes: list[str] = []
        while not self.accept(")"):
            if arguments:
                self.expect(",")
            type = self.read_type()
            attributes.append(self.read_words())
            arguments.append(self.read_value(type))
        return arguments, attributes

    def _signature_of(self, callee: Value, result: Type, arguments: list[Value]) -> FunctionType:
        parameters = tuple([a.type for a in arguments])
        if isinstance(callee, Function):
            known = callee.function_type
            if known.parameters == parameters and known.result == result and not known.variadic:
                return known
        return FunctionType(result, parameters)

    def _read_call_tail(self, call: Call) -> None:
        begin = self.at
        while self.tokens[self.at] not in {",", "[", "to", ""}:
            if self.tokens[self.at] == "(":
                self.balanced()
            else:
                self.at += 1
        if self.at > begin:
            call.function_attributes = join_tokens(self.tokens[begin : self.at])
        if self.tokens[self.at] == "[":
            bundles = self.balanced()
            if call.callee_name == "llvm.assume":
                # What is assumed in bundles is a hint that names locals; it is safe to forget.
                return
            if any(t[:1] == "%" for t in bundles):
                raise self.error("operand bundle that names a local")
            call.bundles = join_tokens(bundles)
