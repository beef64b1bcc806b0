"""One BLAS call as a sweep sees it: its arguments at a place, and the calls that are made there for it.

What is known now is decided now: constant transposition flags choose operands without a ``select``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from coenzyme.analysis.content import blas_element
from coenzyme.analysis.objects import called_effect
from coenzyme.derive.blas_runtime import constant_variable, require_loop
from coenzyme.derive.context import Context
from coenzyme.derive.emission import type_named
from coenzyme.ir.builder import Builder, const_float, const_int
from coenzyme.ir.instructions import Alloca, Block, Call, GlobalVariable, Module, Phi, Select, Store
from coenzyme.ir.types import F32, I8, I64, FloatType, FunctionType
from coenzyme.ir.values import ConstantFloat, ConstantInt, Value, read_float
from coenzyme.rules import Effect
from coenzyme.rules.blas import ROUTINES, BlasOperand, BlasRoutine, find_routine

__all__ = ["BlasView", "Factors", "Flag", "Matrix", "Product", "constant_factor", "examine", "routine_of"]

Flag: TypeAlias = bool | Value
"""Whether a matrix is transposed, where possible known now."""


@dataclass(frozen=True)
class Matrix:
    """A matrix that is passed to a product."""

    pointer: Value
    leading: Value
    transposed: Flag = False


@dataclass(frozen=True)
class Product:
    """``op(left) · op(right)``, of `rows` × `inner` and `inner` × `columns` elements."""

    left: Matrix
    right: Matrix
    rows: Value
    columns: Value
    inner: Value


_N, _T = ord("n"), ord("t")
_ATTRIBUTES = "nounwind willreturn memory(argmem: readwrite, inaccessiblemem: readwrite)"
_CONSTANT = re.compile(r"\bconstant (?:double|float) (\S+?)(?:,|$)")


def routine_of(call: Call) -> BlasRoutine:
    """Return the row of a BLAS `call`."""
    routine = find_routine(call.callee_name or "")
    assert routine is not None
    return routine


class BlasView:
    """A call's arguments as they are at one place, and the BLAS calls made there.

    Parameters
    ----------
    get
        Provides a primal value at that place.
    """

    def __init__(
        self, module: Module, at: Builder, call: Call, type: FloatType, get: Callable[[Value], Value]
    ) -> None:
        self.module = module
        self.at = at
        self.operands = call.operands
        self.routine = routine_of(call)
        self.family = (call.callee_name or "").removeprefix(self.routine.name)
        self.type = type
        self.get = get

    def argument(self, index: int) -> Value:
        """Return an argument of the call."""
        return self.get(self.operands[index])

    def flag(self, index: int) -> Flag:
        """Return whether the argument says "transposed"."""
        letter = self.operands[index]
        if isinstance(letter, ConstantInt):
            return letter.value | 0x20 != _N
        lower = self.at.or_(self.get(letter), const_int(I8, 0x20))
        return self.at.icmp("ne", lower, const_int(I8, _N))

    def choose(self, flag: Flag, a: Value, b: Value) -> Value:
        """Return `a` where the flag is set, else `b`."""
        if isinstance(flag, bool):
            return a if flag else b
        return a if a is b else self.at.select(flag, a, b)

    def letter(self, flag: Flag) -> Value:
        """Return BLAS's letter for the flag."""
        return self.choose(flag, const_int(I8, _T), const_int(I8, _N))

    def transposed(self, operand: BlasOperand) -> Flag:
        """Return whether an operand is transposed."""
        return False if operand.flag is None else self.flag(operand.flag)

    def leading(self, operand: BlasOperand) -> Value:
        """Return how far apart the columns of a matrix are."""
        assert operand.leading is not None
        return self.argument(operand.leading)

    def transpose(self, matrix: Matrix) -> Matrix:
        """Return the transpose of `matrix`."""
        return Matrix(matrix.pointer, matrix.leading, self.flip(matrix.transposed))

    def choose_product(self, flag: Flag, a: Product, b: Product) -> Product:
        """Return `a` where the flag is set, else `b`."""
        if isinstance(flag, bool):
            return a if flag else b
        return Product(
            self._choose_matrix(flag, a.left, b.left),
            self._choose_matrix(flag, a.right, b.right),
            self.choose(flag, a.rows, b.rows),
            self.choose(flag, a.columns, b.columns),
            self.choose(flag, a.inner, b.inner),
        )

    def _choose_matrix(self, flag: Flag, a: Matrix, b: Matrix) -> Matrix:
        letter = self.choose(flag, self.letter(a.transposed), self.letter(b.transposed))
        return Matrix(
            self.choose(flag, a.pointer, b.pointer),
            self.choose(flag, a.leading, b.leading),
            self.at.icmp("eq", letter, const_int(I8, _T)),
        )

    def flip(self, flag: Flag) -> Flag:
        """Return the opposite flag."""
        return not flag if isinstance(flag, bool) else self.at.not_(flag)

    def shape(self, operand: BlasOperand) -> tuple[Value, Value, Value]:
        """Return the rows and columns of an operand, and how far apart columns are."""
        one = const_int(I64, 1)
        flag = self.transposed(operand)

        def size(numbers: tuple[int, int] | None) -> Value:
            if numbers is None:
                return one
            if numbers[0] == numbers[1]:
                return self.argument(numbers[0])
            return self.choose(flag, self.argument(numbers[1]), self.argument(numbers[0]))

        rows, columns = size(operand.rows), size(operand.columns)
        if operand.step is not None:
            # A vector with gaps is a matrix of one row. The direction does not matter where it has a step.
            step = self.argument(operand.step)
            at = self.at
            backwards = at.icmp("slt", step, const_int(I64, 0))
            return one, rows, at.select(backwards, at.sub(const_int(I64, 0), step), step)
        return rows, columns, rows if operand.leading is None else self.argument(operand.leading)

    def first(self, operand: BlasOperand, pointer: Value) -> Value:
        """Return the lowest address of an operand whose pointer, or whose shadow's, is given."""
        if operand.step is None:
            return pointer
        at = self.at
        step = self.argument(operand.step)
        count = self.shape(operand)[1]
        back = at.mul(at.sub(count, const_int(I64, 1)), step)
        offset = at.select(at.icmp("slt", step, const_int(I64, 0)), back, const_int(I64, 0))
        return at.gep(self.type, pointer, [offset])

    # what is emitted

    def number(self, value: float) -> Value:
        """Return the address of a constant."""
        return constant_variable(self.module, self.type, value)

    def loop(self, kind: str, arguments: list[Value]) -> Value:
        """Emit a call of one of our own loops."""
        return self.at.call(require_loop(self.module, kind, self.type), arguments)

    def blas(self, name: str, arguments: list[Value]) -> None:
        """Emit a call of a routine; the letter of the element type comes with it."""
        routine = ROUTINES[name]
        kind = FunctionType(type_named(routine.result), tuple(type_named(t) for t in routine.parameters))
        letter = const_int(I8, ord("s" if self.type == F32 else "d"))
        # What a library is called for stays with that library.
        self.at.call(self.module.declare(f"{name}{self.family}", kind, _ATTRIBUTES), [letter, *arguments])

    def gemm(self, product: Product, factor: float, target: Matrix) -> None:
        """Emit ``target += factor · left · right``."""
        left, right = product.left, product.right
        letters = [self.letter(left.transposed), self.letter(right.transposed)]
        sizes = [product.rows, product.columns, product.inner]
        factors = self.number(factor), self.number(1.0)
        operands = [left.pointer, left.leading, right.pointer, right.leading]
        result = [target.pointer, target.leading]
        self.blas("numba_xxgemm", [*letters, *sizes, factors[0], *operands, factors[1], *result])

    def carry_output(self, carry: float, shadow: Value) -> None:
        """Multiply the shadow of the output by `carry`."""
        rows, columns, leading = self.shape(self.routine.output)
        if carry == 0.0:
            self.loop("clear", [shadow, rows, columns, leading])
        elif carry != 1.0:
            self.loop("scale", [shadow, rows, columns, leading, const_float(self.type, carry)])


# -- factors


@dataclass(frozen=True)
class Factors:
    """The numbers α and β."""

    scale: float
    carry: float


def examine(context: Context, call: Call) -> tuple[FloatType, Factors]:
    """Return the element type and the factors of `call`; raise where they are not known."""
    type = blas_element(call)
    if type is None:
        raise context.unsupported(call, "a product of complex numbers is active")
    routine = routine_of(call)
    values: list[float] = []
    for index, default in ((routine.scale, 1.0), (routine.carry, 0.0)):
        value = default if index is None else constant_factor(call, call.operands[index])
        if value is None:
            raise context.unsupported(call, "a factor of an active product is not a constant")
        values.append(value)
    return type, Factors(*values)


def constant_factor(call: Call, pointer: Value) -> float | None:
    """Return the number that `call` finds behind `pointer`, if it is always the same."""
    found: set[float] = set()
    seen: set[Value] = set()
    pending = [pointer]
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        match value:
            case Phi():
                pending.extend(value.operands)
            case Select():
                pending.extend(value.operands[1:])
            case GlobalVariable() if value.is_constant and (match := _CONSTANT.search(value.text)):
                found.add(read_float(match.group(1)))
            case Alloca() if _is_plain(value):
                found |= _reaching(call, value)
            case _:
                return None
    return found.pop() if len(found) == 1 else None


def _is_plain(slot: Alloca) -> bool:
    """Whether `slot` holds nothing but constants that are stored directly, and is written by nothing else."""
    seen: set[Value] = set()
    pending: list[Value] = [slot]
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        for user in value.users:
            match user:
                case Store() if value is slot and user.value is not slot:
                    if not isinstance(user.value, ConstantFloat):
                        return False
                case Phi() | Select():
                    pending.append(user)
                case Call() if called_effect(user) is Effect.BLAS:
                    if user.operands[routine_of(user).output.pointer] is value:
                        return False
                case _:
                    return False
    return True


def _reaching(call: Call, slot: Alloca) -> set[float]:
    """Return the constants that `slot` may hold when `call` reads it."""
    assert call.block is not None
    assert call.block.function is not None
    predecessors: dict[Block, list[Block]] = {}
    for block in call.block.function.blocks:
        if block.instructions and block.instructions[-1].is_terminator:
            for successor in block.successors:
                predecessors.setdefault(successor, []).append(block)
    found: set[float] = set()
    seen: set[Block] = set()
    pending = [(call.block, call.block.instructions.index(call))]
    while pending:
        block, end = pending.pop()
        for instruction in reversed(block.instructions[:end]):
            if isinstance(instruction, Store) and instruction.pointer is slot:
                assert isinstance(instruction.value, ConstantFloat)
                found.add(instruction.value.value)
                break
        else:
            fresh = [p for p in predecessors.get(block, ()) if p not in seen]
            seen.update(fresh)
            pending.extend((p, len(p.instructions)) for p in fresh)
    return found
