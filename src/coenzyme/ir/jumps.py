"""Instructions of C and C++ that go where, or fetch what, plain instructions cannot.

They are read, looked at and printed, so that a module which holds them can be differentiated elsewhere; no
derivative goes through them.
Source: LLVM Language Reference Manual, sections on ``indirectbr``, ``invoke``, ``callbr``, ``landingpad``,
``resume`` and ``va_arg``.
"""

from __future__ import annotations

from collections.abc import Sequence

from coenzyme.ir.instructions import Block, Call, Calling, Instruction, Terminator
from coenzyme.ir.types import Type
from coenzyme.ir.values import Constant, Value

__all__ = ["CallingJump", "IndirectBranch", "LandingPad", "Resume", "VariadicArgument"]


class IndirectBranch(Terminator):
    """``indirectbr address, [labels]``: a computed goto; the operand is the address."""

    __slots__ = ()

    def __init__(self, address: Value, targets: Sequence[Block]) -> None:
        super().__init__("indirectbr", [address], targets)


class CallingJump(Terminator, Calling):
    """``invoke`` or ``callbr``: a call that ends a block; operands and fields are those of a call.

    The targets of an ``invoke`` are where it returns to and where it unwinds to; those of a ``callbr``, of
    inline assembly, where it falls through to and the labels it may jump to.
    """

    __slots__ = (
        "argument_attributes",
        "bundles",
        "convention",
        "function_attributes",
        "function_type",
        "return_attributes",
        "tail",
    )

    def __init__(self, opcode: str, call: Call, targets: Sequence[Block]) -> None:
        super().__init__(opcode, call.operands, targets)
        self.type = call.type
        self.flags = call.flags
        self.function_type = call.function_type
        self.tail = ""
        self.convention = call.convention
        self.return_attributes = call.return_attributes
        self.argument_attributes = call.argument_attributes
        self.function_attributes = call.function_attributes
        self.bundles = call.bundles


class LandingPad(Instruction):
    """``landingpad``: what unwinding finds; the operands are the clauses', `kinds` their words."""

    __slots__ = ("is_cleanup", "kinds")

    def __init__(self, type: Type, clauses: Sequence[tuple[str, Constant]], *, is_cleanup: bool) -> None:
        super().__init__("landingpad", type, [c for _, c in clauses])
        self.kinds: list[str] = [k for k, _ in clauses]
        self.is_cleanup = is_cleanup


class Resume(Terminator):
    """``resume value``: goes on unwinding."""

    __slots__ = ()

    def __init__(self, value: Value) -> None:
        super().__init__("resume", [value], [])


class VariadicArgument(Instruction):
    """``va_arg list, type``: the next of a variable number of arguments."""

    __slots__ = ()

    def __init__(self, type: Type, arguments: Value) -> None:
        super().__init__("va_arg", type, [arguments])
