"""What no derivative goes through: jumps that cannot be taken back, assembly, variable arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from coenzyme.derive.context import Context
from coenzyme.errors import CoenzymeError
from coenzyme.ir.instructions import Call, Function, Instruction
from coenzyme.ir.jumps import CallingJump, IndirectBranch, LandingPad, Resume, VariadicArgument
from coenzyme.ir.values import InlineAssembly

__all__ = ["refuse_variable_arguments", "refuse_what_cannot_be_derived"]

_JUMPS = re.compile(r"_?_?(sig)?(set|long)jmp(_chk)?|llvm\.eh\.sjlj\.(set|long)jmp")
_MEMORY = re.compile(r"~\{memory\}|(^|,)[=+]?\*")


def refuse_what_cannot_be_derived(context: Context, function: Function) -> None:
    """Raise an error that names the line where `function` does what cannot be differentiated.

    Raises
    ------
    UnsupportedIRError
        For computed gotos, exceptions, ``setjmp`` and ``longjmp``, assembly that touches memory, and
        functions of a variable number of arguments.
    """
    for instruction in function.instructions():
        error = _refusal(context, instruction)
        if error is not None:
            raise error


def _refusal(context: Context, instruction: Instruction) -> CoenzymeError | None:
    match instruction:
        case IndirectBranch():
            # What several jumps were merged into has no line; what loads its address has.
            culprit = next((i for i in _sources(instruction) if context.locate(i) is not None), instruction)
            error = context.unsupported(culprit, "a computed goto", "use a switch")
            error.operation = "indirectbr"
            return error
        case CallingJump(opcode="callbr"):
            return context.unsupported(instruction, "assembly that jumps", "use an ordinary branch")
        case CallingJump() | LandingPad() | Resume():
            return context.unsupported(
                instruction,
                "a function is called that may throw an exception",
                "compile with -fno-exceptions",
            )
        case VariadicArgument():
            return _variable_arguments(context, instruction)
        case Call():
            return _refused_call(context, instruction)
        case _:
            return None


def _sources(instruction: Instruction) -> Iterator[Instruction]:
    yield instruction
    for operand in instruction.operands:
        if isinstance(operand, Instruction):
            yield operand
            yield from (o for o in operand.operands if isinstance(o, Instruction))


def _refused_call(context: Context, call: Call) -> CoenzymeError | None:
    callee = call.callee
    if isinstance(callee, InlineAssembly):
        pointers = any(a.type.is_pointer for a in call.arguments)
        if pointers or _MEMORY.search(_constraints(callee)) is not None:
            return context.unsupported(
                call,
                "assembly that may change memory",
                "write it in C, or in a function that is marked inactive",
            )
        return None
    name = call.callee_name or ""
    if name.startswith("llvm.va_start"):
        return _variable_arguments(context, call)
    if _JUMPS.fullmatch(name):
        return context.unsupported(call, "a jump out of functions", "return a value that says what happened")
    return None


def _constraints(assembly: InlineAssembly) -> str:
    """Return the constraints on the operands of inline assembly, which are its second text."""
    return assembly.text.rstrip().removesuffix('"').rsplit('"', 1)[-1]


def _variable_arguments(context: Context, instruction: Instruction) -> CoenzymeError:
    return context.unsupported(
        instruction, "a function of a variable number of arguments", "pass an array and its length"
    )


def refuse_variable_arguments(context: Context, call: Call) -> None:
    """Raise an error where `call`, which active data goes through, has a variable number of arguments."""
    if call.function_type.variadic:
        raise _variable_arguments(context, call)
