"""Subscripts of 32 bits are computed in 64.

C programs count with ``int``, and extend a subscript where it is used: ``a[i * n + j]`` multiplies and adds
in 32 bits. Overflow of a signed number has no meaning in C, so that the sum may as well be taken of the
extended parts. That is done while the code still says of every operation that it cannot overflow; later, much
of what is known of a subscript would lie hidden behind its extension.

Extended are all parts of a subscript down to what is no arithmetic: arguments, loads, results of calls. What
compares or converts such a part reads the wide one, so that a loop keeps one index.

Source: the idea is that of LLVM's induction variable widening, without its restriction to single loops.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from coenzyme.ir.instructions import (
    Binary,
    Cast,
    Compare,
    Function,
    Instruction,
    Module,
    Phi,
    Select,
    Terminator,
)
from coenzyme.ir.types import I64, IntType
from coenzyme.ir.values import ConstantInt, Poison, Undef, Value

__all__ = ["holds_narrow_subscripts", "widen_subscripts"]

_EXTENSION = re.compile(r"= (?:sext|zext nneg) i32 %\S+ to i64")
_I32 = IntType(32)
_EXACT = frozenset({"add", "sub", "mul", "shl"})
_SIGNED = frozenset({"eq", "ne", "slt", "sle", "sgt", "sge"})


def holds_narrow_subscripts(text: str) -> bool:
    """Return whether LLVM `text` extends a number of 32 bits to 64.

    Examples
    --------
    >>> holds_narrow_subscripts("%j = sext i32 %i to i64"), holds_narrow_subscripts("%j = add i64 %i, 1")
    (True, False)
    """
    return _EXTENSION.search(text) is not None


def widen_subscripts(module: Module) -> bool:
    """Compute what is extended to 64 bits in 64 bits; return whether there was any such thing.

    Preconditions: local variables are values already, where they can be.
    """
    changed = False
    for function in module.functions.values():
        if not function.is_declaration:
            changed |= _Widening(function).run()
    return changed


class _Widening:
    """The wide counterparts of the narrow numbers of one function."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._wide: dict[Value, Value] = {}
        self._pending: list[Phi] = []

    def run(self) -> bool:
        instructions = list(self._function.instructions())
        if any(isinstance(i, Terminator) and i.type == _I32 for i in instructions):
            return False  # what a call that may throw returns cannot be extended behind it
        roots = [i for i in instructions if _is_extension(i)]
        wanted = [root for root in roots if _is_arithmetic(root.operands[0])]
        for root in wanted:
            root.replace_all_uses_with(self._widen(root.operands[0]))
            root.erase()
        self._complete()
        if wanted:
            self._follow()
        return bool(wanted)

    def _follow(self) -> None:
        """Let comparisons and conversions read what there is of their operands in 64 bits."""
        for user in list(self._readers()):
            if isinstance(user, Compare):
                for place, operand in enumerate(list(user.operands)):
                    user.set_operand(place, self._widen(operand))
                user.flags = tuple(f for f in user.flags if f != "samesign")
            else:
                user.set_operand(0, self._widen(user.operands[0]))
        self._complete()

    def _readers(self) -> Iterator[Instruction]:
        for instruction in self._function.instructions():
            if not any(_is_arithmetic(o) and o in self._wide for o in instruction.operands):
                continue
            if isinstance(instruction, Compare):
                if instruction.opcode == "icmp" and instruction.predicate in _SIGNED:
                    yield instruction
            elif isinstance(instruction, Cast) and instruction.opcode == "sitofp":
                yield instruction

    def _complete(self) -> None:
        """Give the wide phis what comes into them."""
        while self._pending:
            narrow = self._pending.pop()
            wide = self._wide[narrow]
            assert isinstance(wide, Phi)
            for value, block in narrow.pairs:
                wide.add_incoming(self._widen(value), block)

    def _widen(self, value: Value) -> Value:
        """Return `value`, of 32 bits, sign-extended to 64."""
        if isinstance(value, ConstantInt):
            return ConstantInt(I64, value.value)
        if isinstance(value, (Undef, Poison)):
            return ConstantInt(I64, 0)  # any number will do
        known = self._wide.get(value)
        if known is None:
            known = self._compute(value) if isinstance(value, Instruction) else self._extend(value)
            self._wide[value] = known
        return known

    def _compute(self, value: Instruction) -> Value:
        match value:
            case Phi():
                wide = Phi(I64)
                self._pending.append(value)
                return self._place(wide, value)
            case Select() if isinstance(value.operands[0].type, IntType):
                condition, yes, no = value.operands
                chosen = Select("select", I64, [condition, self._widen(yes), self._widen(no)])
                return self._place(chosen, value)
            case Binary() if _is_exact(value):
                parts = [self._widen(operand) for operand in value.operands]
                return self._place(Binary(value.opcode, I64, parts, flags=("nsw",)), value)
            case Cast(opcode="sext" | "zext"):
                return self._place(Cast(value.opcode, I64, [value.operands[0]]), value)
            case _:
                return self._extend(value)

    def _extend(self, value: Value) -> Value:
        """Extend what is not looked into, where it comes into being."""
        extension = Cast("sext", I64, [value])
        if isinstance(value, Instruction):
            return self._place(extension, value)
        self._function.entry.insert(0, extension)
        return extension

    def _place(self, wide: Instruction, narrow: Instruction) -> Instruction:
        """Put `wide` behind `narrow`, of which it is the counterpart."""
        block = narrow.block
        assert block is not None
        assert not isinstance(narrow, Terminator)
        if "dbg" in narrow.metadata:
            wide.metadata["dbg"] = narrow.metadata["dbg"]
        wide.name = narrow.name  # printing tells them apart
        index = block.instructions.index(narrow) + 1
        if isinstance(narrow, Phi) and not isinstance(wide, Phi):
            index = len(block.phis)
        block.insert(index, wide)
        return wide


def _is_extension(instruction: Instruction) -> bool:
    return (
        isinstance(instruction, Cast)
        and instruction.type == I64
        and instruction.operands[0].type == _I32
        and (instruction.opcode == "sext" or (instruction.opcode == "zext" and "nneg" in instruction.flags))
    )


def _is_exact(value: Binary) -> bool:
    """Whether the operation on extended operands gives the extended result."""
    if "nsw" not in value.flags or value.opcode not in _EXACT:
        return False
    amount = value.operands[1]
    return value.opcode != "shl" or (isinstance(amount, ConstantInt) and 0 <= amount.value < _I32.width)


def _is_arithmetic(value: Value) -> bool:
    """Whether the wide counterpart of `value` is more than its extension."""
    return isinstance(value, (Phi, Select)) or (isinstance(value, Binary) and _is_exact(value))
