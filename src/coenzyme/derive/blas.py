"""Derivatives of BLAS calls: further BLAS calls, on shadows.

For ``C := α·op(A)·op(B) + β·C`` the forward sweep adds ``α·op(dA)·op(B) + α·op(A)·op(dB)`` to ``β·dC``; the
reverse sweep adds ``α·dC·op(B)ᵀ`` to ``op(dA)`` and ``α·op(A)ᵀ·dC`` to ``op(dB)``, then ``dC := β·dC``. Products
with vectors are special cases. A norm has the derivative ``(x·dx) / ‖x‖``, and 0 at the origin.
Source: Giles, "An extended collection of matrix derivative results" (2008), §2.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.content import blas_element
from coenzyme.analysis.objects import called_effect
from coenzyme.analysis.overwritten import Overwrites
from coenzyme.derive.blas_runtime import constant_variable, require_loop
from coenzyme.derive.context import Context
from coenzyme.derive.emission import type_named
from coenzyme.derive.shadows import Shadows
from coenzyme.ir.builder import Builder, const_float, const_int, zero
from coenzyme.ir.instructions import Alloca, Block, Call, GlobalVariable, Module, Phi, Select, Store
from coenzyme.ir.types import F32, I8, I32, I64, PTR, FloatType, FunctionType
from coenzyme.ir.values import Constant, ConstantFloat, ConstantInt, Value, read_float
from coenzyme.rules import Effect
from coenzyme.rules.blas import ROUTINES, BlasOperand, BlasRoutine, find_routine

__all__ = [
    "Copies",
    "constant_factor",
    "copy_overwritten",
    "emit_adjoint",
    "emit_tangent",
    "needed_by_product",
    "read_again",
    "routine_of",
]

Copies: TypeAlias = Mapping[tuple[Call, Value], Call]
"""For operands that may change after a call read them: the allocation of the copy that is kept."""
Flag: TypeAlias = bool | Value
"""Whether a matrix is transposed, where possible known now."""

_N, _T = ord("n"), ord("t")
_ATTRIBUTES = "nounwind willreturn memory(argmem: readwrite, inaccessiblemem: readwrite)"
_CONSTANT = re.compile(r"\bconstant (?:double|float) (\S+?)(?:,|$)")


def routine_of(call: Call) -> BlasRoutine:
    """Return the row of a BLAS `call`."""
    routine = find_routine(call.callee_name or "")
    assert routine is not None
    return routine


# -- what the reverse sweep reads


def read_again(call: Call, activity: Activity) -> list[BlasOperand]:
    """Return the operands whose primal content the adjoint of `call` reads."""
    routine = routine_of(call)
    if not activity.has_shadow(call.operands[routine.output.pointer]):
        return []
    active = [o for o in routine.inputs if activity.has_shadow(call.operands[o.pointer])]
    if len(routine.inputs) == 1:
        return active
    # A product is linear in each operand: the adjoint of one reads the others.
    return [o for o in routine.inputs if any(a is not o for a in active)]


def needed_by_product(call: Call, activity: Activity, shadows: Shadows, copies: Copies) -> list[Value]:
    """Return the primal values and shadow pointers that the adjoint of `call` reads."""
    routine = routine_of(call)
    output = call.operands[routine.output.pointer]
    if not activity.has_shadow(output):
        return []
    found: list[Value] = [shadows.of(output)]
    found.extend(a for a in call.arguments if not a.type.is_pointer)
    pointers = [call.operands[o.pointer] for o in routine.inputs]
    found.extend(shadows.of(p) for p in pointers if activity.has_shadow(p))
    again = [call.operands[o.pointer] for o in read_again(call, activity)]
    found.extend(copies.get((call, p), p) for p in again)
    return found


def copy_overwritten(
    module: Module, blocks: Iterable[Block], activity: Activity, overwrites: Overwrites
) -> dict[tuple[Call, Value], Call]:
    """Copy operands that the reverse sweep reads and that may change before, and return the copies.

    Each copy is an allocation just before the call. Whether it succeeded is to be checked later.
    """
    copies: dict[tuple[Call, Value], Call] = {}
    for block in blocks:
        for call in list(block.instructions):
            if not isinstance(call, Call) or called_effect(call) is not Effect.BLAS:
                continue
            for operand in read_again(call, activity):
                pointer = call.operands[operand.pointer]
                if (call, pointer) not in copies and overwrites.is_operand_overwritten(call, pointer):
                    copies[call, pointer] = _copy(module, call, operand)
    return copies


def _copy(module: Module, call: Call, operand: BlasOperand) -> Call:
    at = Builder.before(call)
    type = blas_element(call)
    if type is None:
        raise AssertionError("a complex product is refused before")
    view = _View(module, at, call, type, lambda v: v)
    rows, columns, leading = view.shape(operand)
    pointer = call.operands[operand.pointer]
    if operand.step is not None:
        pointer = view.first(pointer, columns, leading)
    size = at.mul(at.add(at.mul(rows, columns), const_int(I64, 1)), const_int(I64, 4 if type == F32 else 8))
    block = at.call(module.declare("malloc", FunctionType(PTR, (I64,))), [size], name="operand.copy")
    at.call(require_loop(module, "pack", type), [pointer, rows, columns, leading, block])
    return block


# -- factors


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


# -- one call, seen from a place in a sweep


class _View:
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

    def flip(self, flag: Flag) -> Flag:
        """Return the opposite flag."""
        return not flag if isinstance(flag, bool) else self.at.not_(flag)

    def shape(self, operand: BlasOperand) -> tuple[Value, Value, Value]:
        """Return the rows and columns of an operand, and how far apart columns are."""
        one = const_int(I64, 1)
        flag = False if operand.flag is None else self.flag(operand.flag)

        def size(numbers: tuple[int, int] | None) -> Value:
            if numbers is None:
                return one
            if numbers[0] == numbers[1]:
                return self.argument(numbers[0])
            return self.choose(flag, self.argument(numbers[1]), self.argument(numbers[0]))

        rows, columns = size(operand.rows), size(operand.columns)
        if operand.step is not None:
            # A vector with gaps is a matrix of one row.
            return one, rows, self.argument(operand.step)
        return rows, columns, rows if operand.leading is None else self.argument(operand.leading)

    def first(self, pointer: Value, count: Value, step: Value) -> Value:
        """Return where the first element is of a vector whose step may be negative."""
        if isinstance(step, ConstantInt) and step.value > 0:
            return pointer
        at = self.at
        back = at.mul(at.sub(const_int(I64, 1), count), step)
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
        self.at.call(self.module.declare(name, kind, _ATTRIBUTES), [letter, *arguments])

    def gemm(
        self,
        left: tuple[Flag, Value, Value],
        right: tuple[Flag, Value, Value],
        sizes: tuple[Value, Value, Value],
        factor: float,
        target: tuple[Value, Value],
    ) -> None:
        """Emit ``target += factor · op(left) · op(right)``; matrices are (flag,) pointer, leading dimension."""
        self.blas(
            "numba_xxgemm",
            [
                self.letter(left[0]),
                self.letter(right[0]),
                *sizes,
                self.number(factor),
                *left[1:],
                *right[1:],
                self.number(1.0),
                *target,
            ],
        )

    def carry_output(self, carry: float, shadow: Value) -> None:
        """Multiply the shadow of the output by `carry`."""
        rows, columns, leading = self.shape(self.routine.output)
        if carry == 0.0:
            self.loop("clear", [shadow, rows, columns, leading])
        elif carry != 1.0:
            self.loop("scale", [shadow, rows, columns, leading, const_float(self.type, carry)])


@dataclass(frozen=True)
class _Factors:
    scale: float
    carry: float


def _examine(context: Context, call: Call) -> tuple[FloatType, _Factors]:
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
    return type, _Factors(*values)


# -- forward


def emit_tangent(context: Context, call: Call, activity: Activity, shadows: Shadows, at: Builder) -> None:
    """Emit at `at`, after `call`, what it does to the tangent of its output."""
    routine = routine_of(call)
    output = call.operands[routine.output.pointer]
    if not activity.has_shadow(output):
        return
    type, factors = _examine(context, call)
    view = _View(context.module, at, call, type, lambda v: v)
    target = shadows.of(output)
    active = [o for o in routine.inputs if activity.has_shadow(call.operands[o.pointer])]
    if not active:
        view.carry_output(factors.carry, target)
    elif len(routine.inputs) == 1:
        _norm_tangent(view, shadows.of(call.operands[active[0].pointer]), output, target)
    else:
        carry = factors.carry
        for operand in active:
            _substitute(view, operand, shadows, target, factors.scale, carry)
            carry = 1.0


def _substitute(
    view: _View, operand: BlasOperand, shadows: Shadows, target: Value, scale: float, carry: float
) -> None:
    """Emit the call again with the tangent of one operand in its place."""
    routine = view.routine
    arguments = list(view.operands[: len(routine.parameters)])
    arguments[operand.pointer] = shadows.of(arguments[operand.pointer])
    arguments[routine.output.pointer] = target
    if routine.scale is not None:
        arguments[routine.scale] = view.number(scale)
    if routine.carry is not None:
        arguments[routine.carry] = view.number(carry)
        view.blas(routine.name, arguments[1:])
        return
    if carry == 0.0:
        view.blas(routine.name, arguments[1:])
        return
    # A routine that cannot add to its output does so by way of a slot.
    function = view.at.block.function
    assert function is not None
    slot = Alloca(view.type, const_int(I32, 1), "product.dot")
    function.entry.insert(0, slot)
    at = view.at
    if at.block is function.entry and at.index is not None:
        at.index += 1
    arguments[routine.output.pointer] = slot
    view.blas(routine.name, arguments[1:])
    total = at.fadd(at.load(view.type, target), at.load(view.type, slot))
    at.store(total, target)


def _norm_tangent(view: _View, shadow: Value, output: Value, target: Value) -> None:
    at = view.at
    operand = view.routine.inputs[0]
    _, count, step = view.shape(operand)
    x = view.first(view.argument(operand.pointer), count, step)
    dx = view.first(shadow, count, step)
    product = view.loop("inner", [count, x, step, dx, step])
    at.store(_divide_by_norm(view, product, at.load(view.type, output)), target)


def _divide_by_norm(view: _View, value: Value, norm: Value) -> Value:
    """Return ``value / norm``, and 0 where the norm is 0."""
    at = view.at
    is_zero = at.fcmp("oeq", norm, zero(view.type))
    quotient = at.fdiv(value, at.select(is_zero, const_float(view.type, 1.0), norm))
    return at.select(is_zero, zero(view.type), quotient)


# -- reverse


def emit_adjoint(
    context: Context,
    call: Call,
    activity: Activity,
    shadows: Shadows,
    copies: Copies,
    at: Builder,
    get: Callable[[Value], Value],
    make_slot: Callable[[FloatType], Value],
) -> None:
    """Emit the adjoint of `call` at `at`.

    Parameters
    ----------
    get
        Provides a primal value or a shadow pointer in the reverse sweep.
    make_slot
        Makes a stack slot for one element.
    """
    routine = routine_of(call)
    output = call.operands[routine.output.pointer]
    if not activity.has_shadow(output):
        return
    type, factors = _examine(context, call)
    view = _View(context.module, at, call, type, get)
    target = get(shadows.of(output))
    adjoint = _Adjoint(view, call, activity, shadows, copies, target, factors.scale)
    match routine.name:
        case "numba_xxgemm":
            adjoint.gemm()
        case "numba_xxgemv":
            adjoint.gemv()
        case "numba_xxdot":
            adjoint.dot()
        case _:
            adjoint.norm(make_slot)
    view.carry_output(factors.carry, target)


class _Adjoint:
    """Adds to the shadows of the inputs of one call."""

    def __init__(
        self,
        view: _View,
        call: Call,
        activity: Activity,
        shadows: Shadows,
        copies: Copies,
        target: Value,
        scale: float,
    ) -> None:
        self.view = view
        self.call = call
        self.activity = activity
        self.shadows = shadows
        self.copies = copies
        self.target = target
        self.scale = scale

    def shadow(self, operand: BlasOperand) -> Value | None:
        """Return the shadow of an operand, or None where it is not active."""
        pointer = self.call.operands[operand.pointer]
        return self.view.get(self.shadows.of(pointer)) if self.activity.has_shadow(pointer) else None

    def primal(self, operand: BlasOperand) -> tuple[Value, Value]:
        """Return where an operand's primal content is, and its leading dimension (the step of a vector)."""
        view = self.view
        pointer = self.call.operands[operand.pointer]
        rows, _, leading = view.shape(operand)
        copy = self.copies.get((self.call, pointer))
        return (view.get(pointer), leading) if copy is None else (view.get(copy), rows)

    def gemm(self) -> None:
        """Emit ``op(dA) += α·dC·op(B)ᵀ`` and ``op(dB) += α·op(A)ᵀ·dC``."""
        view = self.view
        a, b = view.routine.inputs
        m, n, k = (view.argument(i) for i in (3, 4, 5))
        assert a.flag is not None
        assert b.flag is not None
        assert a.leading is not None
        assert b.leading is not None
        ta, tb = view.flag(a.flag), view.flag(b.flag)
        assert view.routine.output.leading is not None
        c, ldc = self.target, view.argument(view.routine.output.leading)
        da, db = self.shadow(a), self.shadow(b)
        if da is not None:
            # Stored as it is, dA takes dC·op(B)ᵀ; stored transposed, op(B)·dCᵀ.
            other, ld = self.primal(b)
            self.product(
                ta,
                ((False, c, ldc), (view.flip(tb), other, ld), (m, k, n)),
                ((tb, other, ld), (True, c, ldc), (k, m, n)),
                (da, view.argument(a.leading)),
            )
        if db is not None:
            other, ld = self.primal(a)
            self.product(
                tb,
                ((view.flip(ta), other, ld), (False, c, ldc), (k, n, m)),
                ((True, c, ldc), (ta, other, ld), (n, k, m)),
                (db, view.argument(b.leading)),
            )

    def product(
        self,
        flag: Flag,
        plain: tuple[tuple[Flag, Value, Value], tuple[Flag, Value, Value], tuple[Value, Value, Value]],
        transposed: tuple[tuple[Flag, Value, Value], tuple[Flag, Value, Value], tuple[Value, Value, Value]],
        target: tuple[Value, Value],
    ) -> None:
        """Emit one of two products, by the flag."""
        view = self.view
        if isinstance(flag, bool):
            left, right, sizes = transposed if flag else plain
            view.gemm(left, right, sizes, self.scale, target)
            return

        def either(first: Flag, second: Flag) -> Flag:
            values = [
                const_int(I8, _T if f else _N) if isinstance(f, bool) else view.letter(f)
                for f in (first, second)
            ]
            return view.at.icmp("eq", view.choose(flag, *values), const_int(I8, _T))

        def merge(
            first: tuple[Flag, Value, Value], second: tuple[Flag, Value, Value]
        ) -> tuple[Flag, Value, Value]:
            return (
                either(first[0], second[0]),
                view.choose(flag, first[1], second[1]),
                view.choose(flag, first[2], second[2]),
            )

        sizes = tuple(view.choose(flag, t, p) for t, p in zip(transposed[2], plain[2], strict=True))
        assert len(sizes) == 3
        view.gemm(merge(transposed[0], plain[0]), merge(transposed[1], plain[1]), sizes, self.scale, target)

    def gemv(self) -> None:
        """Emit ``dx += α·op(A)ᵀ·dy`` and ``dA += α·dy·xᵀ``, or its transpose."""
        view = self.view
        a, x = view.routine.inputs
        assert a.flag is not None
        assert a.leading is not None
        trans = view.flag(a.flag)
        m, n = view.argument(2), view.argument(3)
        dy = self.target
        da, dx = self.shadow(a), self.shadow(x)
        if da is not None:
            vector, _ = self.primal(x)
            left, right = view.choose(trans, vector, dy), view.choose(trans, dy, vector)
            sizes = (m, n, const_int(I64, 1))
            view.gemm((False, left, m), (True, right, n), sizes, self.scale, (da, view.argument(a.leading)))
        if dx is not None:
            matrix, leading = self.primal(a)
            letter = view.letter(view.flip(trans))
            factors = view.number(self.scale), view.number(1.0)
            view.blas("numba_xxgemv", [letter, m, n, factors[0], matrix, leading, dy, factors[1], dx])

    def dot(self) -> None:
        """Emit ``dx += dr·y`` and ``dy += dr·x``."""
        view = self.view
        one = const_int(I64, 1)
        bar = view.at.load(view.type, self.target)
        x, y = view.routine.inputs
        for operand, other in ((x, y), (y, x)):
            shadow = self.shadow(operand)
            if shadow is not None:
                source, _ = self.primal(other)
                view.loop("add", [view.argument(2), bar, source, one, shadow, one])

    def norm(self, make_slot: Callable[[FloatType], Value]) -> None:
        """Emit ``dx += (dr / ‖x‖)·x``; the norm is computed again."""
        view = self.view
        (operand,) = view.routine.inputs
        shadow = self.shadow(operand)
        if shadow is None:
            return
        assert operand.step is not None
        count, step = view.argument(1), view.argument(operand.step)
        source, source_step = self.primal(operand)
        slot = make_slot(view.type)
        view.blas("numba_xxnrm2", [count, source, source_step, slot])
        bar = view.at.load(view.type, self.target)
        quotient = _divide_by_norm(view, bar, view.at.load(view.type, slot))
        first = view.first(source, count, source_step)
        view.loop("add", [count, quotient, first, source_step, view.first(shadow, count, step), step])
