"""What every step of a derivation shares: the module, and how to speak of what goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coenzyme.analysis.objects import is_internal_call
from coenzyme.derive.emission import known_operands
from coenzyme.derive.runtime import TapeMemory, require
from coenzyme.errors import (
    ActivityError,
    CoenzymeError,
    Location,
    MissingRuleError,
    UnsupportedIRError,
)
from coenzyme.ir.instructions import Call, Function, Instruction, Module
from coenzyme.ir.types import VectorType
from coenzyme.ir.values import InlineAssembly
from coenzyme.rules import OUTSIDE, Rule
from coenzyme.rules.expression import Expression

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """The module that a derivative is added to, and the user's view of what is derived.

    Attributes
    ----------
    locate
        Finds the Python line of an instruction.
    function_name
        The user's name of the function being differentiated.
    """

    module: Module
    locate: Callable[[Instruction], Location | None]
    function_name: str
    memory: TapeMemory = TapeMemory.POOLED
    strong_zero: bool = False
    """A zero tangent or adjoint times any partial is zero, an infinite one and a NaN included."""
    guards_tangents: bool = False
    """In forward mode, a zero tangent times an infinite partial is zero, as it is in reverse mode."""
    width: int = 1
    """How many directions one sweep follows: each has its own shadows, tangents and adjoints, a *lane*."""
    memory_limit: int | None = None
    """How many bytes the tapes that are alive at one time may hold."""

    @property
    def is_differentiated_again(self) -> bool:
        """Whether a reverse sweep may be differentiated: only one with a tape of ordinary memory can be."""
        return self.memory is TapeMemory.PLAIN

    def doubts(self, rule: Rule, expression: Expression, instruction: Instruction) -> bool:
        """Whether a tangent times this partial of `instruction` is to be zero where the tangent is."""
        if self.strong_zero:
            return not expression.is_constant
        if not self.guards_tangents or not (rule.has_pole or expression.may_be_infinite):
            return False
        return not expression.is_bounded(known_operands(rule, instruction))

    def require(self, name: str) -> Function:
        """Return the run-time function called `name`."""
        return require(self.module, name, self.memory, self.memory_limit)

    def unsupported(
        self,
        instruction: Instruction,
        message: str,
        remedy: str | None = None,
    ) -> UnsupportedIRError:
        """Return an error that says what about `instruction` cannot be differentiated."""
        return UnsupportedIRError(
            message,
            function=self.function_name,
            operation=operation_name(instruction),
            location=self.locate(instruction),
            remedy=remedy or "write a rule for the function that does it",
        )

    def partial(self, instruction: Instruction, constant: Sequence[str]) -> CoenzymeError:
        """Return an error that says that `instruction` sees differentiated memory in some runs only.

        Parameters
        ----------
        constant
            The constant arguments whose memory it sees in others.
        """
        message = "a pointer leads to differentiated memory in some runs and to constant memory in others"
        if not constant:
            return self.unsupported(instruction, message)
        return ActivityError(
            message,
            function=self.function_name,
            argument=constant[0],
            operation=operation_name(instruction),
            location=self.locate(instruction),
            remedy="mark the argument Duplicated, or copy it",
        )

    def missing_rule(self, instruction: Instruction) -> MissingRuleError:
        """Return an error that says that no derivative of `instruction` is known."""
        if instruction.opcode in ("extractvalue", "extractelement"):
            origin = instruction.operands[0]
            if isinstance(origin, Call) and not is_internal_call(origin):
                instruction = origin
        parts = () if isinstance(instruction, Call) else (instruction, *instruction.operands)
        if any(isinstance(value.type, VectorType) for value in parts):
            return MissingRuleError(
                "a vector of active numbers does not come apart: it is passed to a function that is not"
                " inlined, or to an operation of one machine",
                function=self.function_name,
                operation=operation_name(instruction),
                location=self.locate(instruction),
                remedy="pass the numbers one by one, or through memory",
            )
        subject = "a function called with" if isinstance(instruction, Call) else "an operation on"
        return MissingRuleError(
            f"no derivative is known for {subject} active data",
            function=self.function_name,
            operation=operation_name(instruction),
            location=self.locate(instruction),
            remedy="write a rule for it, or mark the function that does it inactive",
        )


def operation_name(instruction: Instruction) -> str:
    """Return the name of the function called, or the opcode."""
    if isinstance(instruction, Call) and isinstance(instruction.callee, InlineAssembly):
        return "asm"
    name = instruction.callee_name if isinstance(instruction, Call) else None
    if name is not None and name.startswith(OUTSIDE):
        return "with objmode"
    return name or instruction.opcode
