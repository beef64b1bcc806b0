"""Powers of complex numbers, written out so that they can be differentiated.

Numba squares where it finds the exponent to be 2, and calls a C function of its run time otherwise. Our
target calls that function always, ``numba_cpow(ptr a, ptr b, ptr result)``, and defines it, in LLVM's text.

A constant whole exponent is taken by squaring, which is smooth at zero too. (That an exponent happens to be a
whole number says nothing about how the power changes with it, so only constants are asked.) Otherwise, with
b = c + id, the power is |a|ᶜ·exp(−d·arg a), turned by c·arg a + d·ln|a|, as in C.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types

__all__ = ["define_powers", "is_power", "lower_power", "lower_powers_of_arrays"]

_KINDS = {"numba_cpow": ("double", "f64", ""), "numba_cpowf": ("float", "f32", "f")}

_TEXT = """
declare i1 @llvm.is.constant.{kind}({real})
declare {real} @llvm.rint.{kind}({real})
declare {real} @llvm.fabs.{kind}({real})
declare {real} @llvm.sqrt.{kind}({real})
declare {real} @llvm.pow.{kind}({real}, {real})
declare {real} @llvm.exp.{kind}({real})
declare {real} @llvm.log.{kind}({real})
declare {real} @llvm.cos.{kind}({real})
declare {real} @llvm.sin.{kind}({real})
declare {real} @atan2{suffix}({real}, {real})

define void @{name}(ptr %a, ptr %b, ptr %result) {{
entry:
  %a.imag = getelementptr {real}, ptr %a, i64 1
  %b.imag = getelementptr {real}, ptr %b, i64 1
  %ar = load {real}, ptr %a
  %ai = load {real}, ptr %a.imag
  %br = load {real}, ptr %b
  %bi = load {real}, ptr %b.imag
  %constant.re = call i1 @llvm.is.constant.{kind}({real} %br)
  %constant.im = call i1 @llvm.is.constant.{kind}({real} %bi)
  %nearest = call {real} @llvm.rint.{kind}({real} %br)
  %size = call {real} @llvm.fabs.{kind}({real} %br)
  %whole = fcmp oeq {real} %nearest, %br
  %small = fcmp ole {real} %size, 64.0
  %real = fcmp oeq {real} %bi, 0.0
  %known.real = and i1 %constant.im, %real
  %known = and i1 %constant.re, %known.real
  %counted = and i1 %whole, %small
  %multiply = and i1 %known, %counted
  br i1 %multiply, label %squares, label %general

squares:
  %count = fptosi {real} %size to i32
  %negative = fcmp olt {real} %br, 0.0
  br label %square

square:
  %left = phi i32 [ %count, %squares ], [ %rest, %square ]
  %pr = phi {real} [ %ar, %squares ], [ %pr.next, %square ]
  %pi = phi {real} [ %ai, %squares ], [ %pi.next, %square ]
  %r = phi {real} [ 1.0, %squares ], [ %r.next, %square ]
  %i = phi {real} [ 0.0, %squares ], [ %i.next, %square ]
  %bit = and i32 %left, 1
  %odd = icmp ne i32 %bit, 0
  %rr = fmul {real} %r, %pr
  %ii = fmul {real} %i, %pi
  %ri = fmul {real} %r, %pi
  %ir = fmul {real} %i, %pr
  %r.times = fsub {real} %rr, %ii
  %i.times = fadd {real} %ri, %ir
  %r.next = select i1 %odd, {real} %r.times, {real} %r
  %i.next = select i1 %odd, {real} %i.times, {real} %i
  %prr = fmul {real} %pr, %pr
  %pii = fmul {real} %pi, %pi
  %pri = fmul {real} %pr, %pi
  %pr.next = fsub {real} %prr, %pii
  %pi.next = fadd {real} %pri, %pri
  %rest = lshr i32 %left, 1
  %more = icmp ne i32 %rest, 0
  br i1 %more, label %square, label %squared

squared:
  %sr = phi {real} [ %r.next, %square ]
  %si = phi {real} [ %i.next, %square ]
  br i1 %negative, label %invert, label %done

invert:
  ; 1/(sr + i si), scaled by the larger part
  %sr.size = call {real} @llvm.fabs.{kind}({real} %sr)
  %si.size = call {real} @llvm.fabs.{kind}({real} %si)
  %sr.larger = fcmp oge {real} %sr.size, %si.size
  %large = select i1 %sr.larger, {real} %sr, {real} %si
  %minor = select i1 %sr.larger, {real} %si, {real} %sr
  %ratio = fdiv {real} %minor, %large
  %ratio.minor = fmul {real} %ratio, %minor
  %scale = fadd {real} %large, %ratio.minor
  %one.over = fdiv {real} 1.0, %scale
  %ratio.over = fdiv {real} %ratio, %scale
  %inverse.re = select i1 %sr.larger, {real} %one.over, {real} %ratio.over
  %inverse.im.minus = select i1 %sr.larger, {real} %ratio.over, {real} %one.over
  %inverse.im = fneg {real} %inverse.im.minus
  br label %done

general:
  %ar.zero = fcmp oeq {real} %ar, 0.0
  %ai.zero = fcmp oeq {real} %ai, 0.0
  %zero = and i1 %ar.zero, %ai.zero
  br i1 %zero, label %at.zero, label %polar

at.zero:
  ; 1 for b = 0; a for b = 1, where the slope is 1; no number for Re b < 0 and for b that are not real
  %one = fcmp oeq {real} %br, 1.0
  %none = fcmp oeq {real} %br, 0.0
  %above = fcmp ogt {real} %br, 1.0
  %below = fcmp olt {real} %br, 0.0
  %linear = and i1 %one, %real
  %unit = and i1 %none, %real
  %wild = xor i1 %real, true
  %lost = or i1 %below, %wild
  ; between 0 and 1 the slope is infinite
  %steep = call {real} @llvm.pow.{kind}({real} %ar, {real} %br)
  %flat = select i1 %above, {real} 0.0, {real} %steep
  %powered = select i1 %linear, {real} %ar, {real} %flat
  %started = select i1 %unit, {real} 1.0, {real} %powered
  %zero.re = select i1 %lost, {real} 0x7FF8000000000000, {real} %started
  %straight = select i1 %linear, {real} %ai, {real} 0.0
  %zero.im = select i1 %lost, {real} 0x7FF8000000000000, {real} %straight
  br label %done

polar:
  %ar.size = call {real} @llvm.fabs.{kind}({real} %ar)
  %ai.size = call {real} @llvm.fabs.{kind}({real} %ai)
  %ar.larger = fcmp oge {real} %ar.size, %ai.size
  %longer = select i1 %ar.larger, {real} %ar.size, {real} %ai.size
  %shorter = select i1 %ar.larger, {real} %ai.size, {real} %ar.size
  %slope = fdiv {real} %shorter, %longer
  %slope.square = fmul {real} %slope, %slope
  %under = fadd {real} 1.0, %slope.square
  %root = call {real} @llvm.sqrt.{kind}({real} %under)
  %length = fmul {real} %longer, %root
  %angle = call {real} @atan2{suffix}({real} %ai, {real} %ar)
  %power = call {real} @llvm.pow.{kind}({real} %length, {real} %br)
  %phase.re = fmul {real} %angle, %br
  br i1 %known.real, label %turn, label %damp

damp:
  %logarithm = call {real} @llvm.log.{kind}({real} %length)
  %turned = fmul {real} %angle, %bi
  %damped = fneg {real} %turned
  %damping = call {real} @llvm.exp.{kind}({real} %damped)
  %radius.damped = fmul {real} %power, %damping
  %phase.im = fmul {real} %logarithm, %bi
  %phase.sum = fadd {real} %phase.re, %phase.im
  br label %turn

turn:
  %radius = phi {real} [ %power, %polar ], [ %radius.damped, %damp ]
  %phase = phi {real} [ %phase.re, %polar ], [ %phase.sum, %damp ]
  %cosine = call {real} @llvm.cos.{kind}({real} %phase)
  %sine = call {real} @llvm.sin.{kind}({real} %phase)
  %polar.re = fmul {real} %radius, %cosine
  %polar.im = fmul {real} %radius, %sine
  br label %done

done:
  %re = phi {real} [ %sr, %squared ], [ %inverse.re, %invert ], [ %zero.re, %at.zero ], [ %polar.re, %turn ]
  %im = phi {real} [ %si, %squared ], [ %inverse.im, %invert ], [ %zero.im, %at.zero ], [ %polar.im, %turn ]
  %result.imag = getelementptr {real}, ptr %result, i64 1
  store {real} %re, ptr %result
  store {real} %im, ptr %result.imag
  ret void
}}
"""


def is_power(function: Any, signature: Any) -> bool:
    """Return whether a call, by its Numba types, is the power of a complex number."""
    arguments = signature.args
    if len(arguments) != 2 or not all(isinstance(kind, types.Complex) for kind in arguments):
        return False
    key = function.get_impl_key(signature) if isinstance(function, types.Callable) else function
    return key in (operator.pow, operator.ipow, pow)


def lower_power(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Emit the call of the function that `define_powers` defines."""
    (kind, *_) = signature.args
    a, b = (context.make_helper(builder, kind, value=value) for value in args)
    result = context.make_helper(builder, kind)
    pointers = [number._getpointer() for number in (a, b, result)]
    name = "numba_cpow" if kind == types.complex128 else "numba_cpowf"
    called = ir.FunctionType(ir.VoidType(), [pointers[0].type] * 3)
    builder.call(cgutils.get_or_insert_function(builder.module, called, name), pointers)
    return result._getvalue()


def lower_powers_of_arrays(ufunc: Any, loops: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a ufunc is lowered, by the types of its loops: powers of complex numbers as above."""
    if ufunc is not np.power:
        return loops
    return {**loops, **{loop: lower_power for loop in ("FF->F", "DD->D") if loop in loops}}


def define_powers(module: Any) -> None:
    """Define the powers that a module of llvmlite calls, in place."""
    for name, (real, kind, suffix) in _KINDS.items():
        if any(f.name == name and f.is_declaration for f in module.functions):
            text = _TEXT.format(name=name, real=real, kind=kind, suffix=suffix)
            module.link_in(binding.parse_assembly(text))
