"""Derivatives of BLAS calls: further BLAS calls, on shadows.

For ``C := α·op(A)·op(B) + β·C`` the forward sweep adds ``α·op(dA)·op(B) + α·op(A)·op(dB)`` to ``β·dC``.
The reverse sweep adds ``α·dC·op(B)ᵀ`` to ``op(dA)`` and ``α·op(A)ᵀ·dC`` to ``op(dB)``, then sets ``dC`` to
``β·dC``. Products with vectors are special cases. A norm has the derivative ``(x·dx) / ‖x‖``, and 0 at the
origin.
Source: Giles, "An extended collection of matrix derivative results" (2008), §2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from coenzyme.analysis.activity import Activity
from coenzyme.analysis.content import blas_element
from coenzyme.analysis.objects import called_effect
from coenzyme.analysis.overwritten import Overwrites
from coenzyme.derive.blas_runtime import require_loop
from coenzyme.derive.blas_view import BlasView, Matrix, Product, examine, routine_of
from coenzyme.derive.context import Context
from coenzyme.derive.shadows import Shadows
from coenzyme.ir.builder import Builder, const_float, const_int, zero
from coenzyme.ir.instructions import Alloca, Block, Call, Module
from coenzyme.ir.types import F32, I32, I64, PTR, FloatType, FunctionType
from coenzyme.ir.values import Value
from coenzyme.rules import Effect
from coenzyme.rules.blas import BlasOperand

__all__ = [
    "Copies",
    "Products",
    "copy_overwritten",
    "emit_adjoint",
    "emit_tangent",
    "needed_by_product",
    "read_again",
]

Copies: TypeAlias = Mapping[tuple[Call, Value], Call]
"""For operands that may change after a call read them: the allocation of the copy that is kept."""


@dataclass(frozen=True)
class Products:
    """What the derivatives of the BLAS calls of one function depend on."""

    activity: Activity
    shadows: Shadows
    copies: Copies = field(default_factory=dict[tuple[Call, Value], Call])


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


def needed_by_product(call: Call, products: Products) -> list[Value]:
    """Return the primal values and shadow pointers that the adjoint of `call` reads."""
    activity, shadows, copies = products.activity, products.shadows, products.copies
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
    view = BlasView(module, at, call, type, lambda v: v)
    rows, columns, leading = view.shape(operand)
    pointer = view.first(operand, call.operands[operand.pointer])
    size = at.mul(at.add(at.mul(rows, columns), const_int(I64, 1)), const_int(I64, 4 if type == F32 else 8))
    block = at.call(module.declare("malloc", FunctionType(PTR, (I64,))), [size], name="operand.copy")
    at.call(require_loop(module, "pack", type), [pointer, rows, columns, leading, block])
    return block


# -- forward


def emit_tangent(context: Context, call: Call, products: Products, at: Builder) -> None:
    """Emit at `at`, after `call`, what it does to the tangent of its output."""
    activity, shadows = products.activity, products.shadows
    routine = routine_of(call)
    output = call.operands[routine.output.pointer]
    if not activity.has_shadow(output):
        return
    type, factors = examine(context, call)
    view = BlasView(context.module, at, call, type, lambda v: v)
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
    view: BlasView, operand: BlasOperand, shadows: Shadows, target: Value, scale: float, carry: float
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


def _norm_tangent(view: BlasView, shadow: Value, output: Value, target: Value) -> None:
    at = view.at
    operand = view.routine.inputs[0]
    _, count, step = view.shape(operand)
    x = view.first(operand, view.argument(operand.pointer))
    dx = view.first(operand, shadow)
    product = view.loop("inner", [count, x, step, dx, step])
    at.store(_divide_by_norm(view, product, at.load(view.type, output)), target)


def _divide_by_norm(view: BlasView, value: Value, norm: Value) -> Value:
    """Return ``value / norm``, and 0 where the norm is 0."""
    at = view.at
    is_zero = at.fcmp("oeq", norm, zero(view.type))
    quotient = at.fdiv(value, at.select(is_zero, const_float(view.type, 1.0), norm))
    return at.select(is_zero, zero(view.type), quotient)


# -- reverse


def emit_adjoint(
    context: Context,
    call: Call,
    products: Products,
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
    if not products.activity.has_shadow(output):
        return
    type, factors = examine(context, call)
    view = BlasView(context.module, at, call, type, get)
    target = get(products.shadows.of(output))
    adjoint = _Adjoint(view, call, products, target, factors.scale)
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

    def __init__(self, view: BlasView, call: Call, products: Products, target: Value, scale: float) -> None:
        self.view = view
        self.call = call
        self.products = products
        self.target = target
        self.scale = scale

    def shadow(self, operand: BlasOperand) -> Value | None:
        """Return the shadow of an operand, or None where it is not active."""
        pointer = self.call.operands[operand.pointer]
        if not self.products.activity.has_shadow(pointer):
            return None
        return self.view.get(self.products.shadows.of(pointer))

    def primal(self, operand: BlasOperand) -> tuple[Value, Value]:
        """Return where an operand's primal content is, and its leading dimension (the step of a vector)."""
        view = self.view
        pointer = self.call.operands[operand.pointer]
        rows, _, leading = view.shape(operand)
        copy = self.products.copies.get((self.call, pointer))
        if copy is not None:
            return view.get(copy), rows
        return view.first(operand, view.get(pointer)), leading

    def gemm(self) -> None:
        """Emit ``op(dA) += α·dC·op(B)ᵀ`` and ``op(dB) += α·op(A)ᵀ·dC``."""
        view = self.view
        a, b = view.routine.inputs
        m, n, k = (view.argument(i) for i in (3, 4, 5))
        ta, tb = view.transposed(a), view.transposed(b)
        bar = Matrix(self.target, view.leading(view.routine.output))
        da, db = self.shadow(a), self.shadow(b)
        if da is not None:
            other = Matrix(*self.primal(b), tb)
            # Stored as it is, dA takes dC·op(B)ᵀ; stored transposed, op(B)·dCᵀ.
            product = view.choose_product(
                ta,
                Product(other, view.transpose(bar), k, m, n),
                Product(bar, view.transpose(other), m, k, n),
            )
            view.gemm(product, self.scale, Matrix(da, view.leading(a)))
        if db is not None:
            other = Matrix(*self.primal(a), ta)
            product = view.choose_product(
                tb,
                Product(view.transpose(bar), other, n, k, m),
                Product(view.transpose(other), bar, k, n, m),
            )
            view.gemm(product, self.scale, Matrix(db, view.leading(b)))

    def gemv(self) -> None:
        """Emit ``dx += α·op(A)ᵀ·dy`` and ``dA += α·dy·xᵀ``, or its transpose."""
        view = self.view
        a, x = view.routine.inputs
        trans = view.transposed(a)
        m, n = view.argument(2), view.argument(3)
        dy = self.target
        da, dx = self.shadow(a), self.shadow(x)
        if da is not None:
            vector, _ = self.primal(x)
            left, right = view.choose(trans, vector, dy), view.choose(trans, dy, vector)
            # A loop, for BLAS's general product is slow at this, and Numba has no other.
            factor = const_float(view.type, self.scale)
            view.loop("outer", [da, m, n, view.leading(a), factor, left, right])
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
        _, count, step = view.shape(operand)
        source, source_step = self.primal(operand)
        slot = make_slot(view.type)
        view.blas("numba_xxnrm2", [count, source, source_step, slot])
        bar = view.at.load(view.type, self.target)
        quotient = _divide_by_norm(view, bar, view.at.load(view.type, slot))
        view.loop("add", [count, quotient, source, source_step, view.first(operand, shadow), step])
