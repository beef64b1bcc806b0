"""Functions on vectors compute the same when their vectors are taken apart."""

# ruff: noqa: E501 - lines of LLVM text

from __future__ import annotations

import ctypes
import platform

import llvmlite.binding as llvm
import numpy as np
import pytest

from coenzyme.ir import parse_module, print_module
from coenzyme.ir.scalarise import holds_vectors, scalarise

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

# Each body reads from %a and %b and writes to %c, 64 bytes each, aligned to 64; %k is between 0 and 3.
BODIES = {
    "arithmetic": """
  %x = load <4 x double>, ptr %a, align 32
  %y = load <4 x double>, ptr %b, align 8
  %s = fadd nnan <4 x double> %x, %y
  %p = fmul <4 x double> %s, <double 1.0, double 2.0, double -0.0, double 0x7FF0000000000000>
  %n = fneg <4 x double> %p
  %q = fsub <4 x double> %n, splat (double 3.0)
  %z = fdiv <4 x double> %q, zeroinitializer
  store <4 x double> %z, ptr %c, align 16
  %up = getelementptr <4 x double>, ptr %c, i64 1
  store <4 x double> %q, ptr %up, align 32""",
    "integers": """
  %x = load <8 x i16>, ptr %a
  %y = load <8 x i16>, ptr %b
  %s = add nuw <8 x i16> %x, %y
  %m = mul <8 x i16> %s, splat (i16 -3)
  %h = lshr <8 x i16> %m, <i16 1, i16 2, i16 3, i16 4, i16 5, i16 6, i16 7, i16 8>
  %w = sext <8 x i16> %h to <8 x i32>
  %t = xor <8 x i32> %w, splat (i32 99)
  store <8 x i32> %t, ptr %c, align 4""",
    "casts": """
  %x = load <4 x double>, ptr %a
  %f = fptrunc <4 x double> %x to <4 x float>
  %i = fptosi <4 x float> %f to <4 x i32>
  %u = uitofp <4 x i32> %i to <4 x double>
  store <4 x double> %u, ptr %c""",
    "choices": """
  %x = load <4 x double>, ptr %a
  %y = load <4 x double>, ptr %b
  %less = fcmp olt <4 x double> %x, %y
  %low = select <4 x i1> %less, <4 x double> %x, <4 x double> %y
  %first = icmp eq i32 %k, 0
  %one = select i1 %first, <4 x double> %low, <4 x double> %x
  %frozen = freeze <4 x double> %one
  store <4 x double> %frozen, ptr %c
  %up = getelementptr i8, ptr %c, i64 32
  %wide = zext <4 x i1> %less to <4 x i32>
  store <4 x i32> %wide, ptr %up""",
    "bits of truth": """
  %x = load <8 x float>, ptr %a
  %less = fcmp olt <8 x float> %x, zeroinitializer
  %mask = bitcast <8 x i1> %less to i8
  store i8 %mask, ptr %c
  %up = getelementptr i8, ptr %c, i64 1
  store <8 x i1> %less, ptr %up
  %again = load <8 x i1>, ptr %up
  %other = load i8, ptr %b
  %given = bitcast i8 %other to <8 x i1>
  %both = and <8 x i1> %again, %given
  %far = getelementptr i8, ptr %c, i64 2
  store <8 x i1> %both, ptr %far""",
    "regrouped bits": """
  %x = load <2 x double>, ptr %a
  %i = bitcast <2 x double> %x to <4 x i32>
  %s = shl <4 x i32> %i, splat (i32 1)
  %d = bitcast <4 x i32> %s to <2 x double>
  store <2 x double> %d, ptr %c
  %w = load <4 x i16>, ptr %b
  %v = bitcast <4 x i16> %w to <2 x i32>
  %up = getelementptr i8, ptr %c, i64 16
  store <2 x i32> %v, ptr %up
  %three = load <3 x i16>, ptr %b
  %odd = bitcast <3 x i16> %three to <6 x i8>
  %far = getelementptr i8, ptr %c, i64 24
  store <6 x i8> %odd, ptr %far
  %six = load <6 x i8>, ptr %a
  %back = bitcast <6 x i8> %six to <2 x i24>
  %sum = add <2 x i24> %back, splat (i24 7)
  %e = extractelement <2 x i24> %sum, i32 1
  %z = zext i24 %e to i64
  %last = getelementptr i8, ptr %c, i64 40
  store i64 %z, ptr %last""",
    "bits of scalars": """
  %x = load <2 x float>, ptr %a
  %d = bitcast <2 x float> %x to double
  %i = bitcast double %d to i64
  %y = bitcast i64 %i to <2 x float>
  %s = fadd <2 x float> %x, %y
  %l = load i64, ptr %b
  %z = bitcast i64 %l to <2 x float>
  %t = fmul <2 x float> %s, %z
  %r = bitcast <2 x float> %t to i64
  store i64 %r, ptr %c
  %up = getelementptr i8, ptr %c, i64 8
  %m = load i64, ptr %b
  %w = bitcast i64 %m to <4 x i16>
  %more = add i64 %m, 1
  store <4 x i16> %w, ptr %up
  %far = getelementptr i8, ptr %c, i64 16
  store i64 %more, ptr %far""",
    "parts": """
  %x = load <4 x float>, ptr %a
  %e = extractelement <4 x float> %x, i32 2
  %v = extractelement <4 x float> %x, i32 %k
  %y = insertelement <4 x float> %x, float %e, i64 0
  %z = insertelement <4 x float> %y, float %v, i32 %k
  %w = shufflevector <4 x float> %z, <4 x float> %x, <6 x i32> <i32 7, i32 0, i32 5, i32 2, i32 2, i32 1>
  %u = shufflevector <6 x float> %w, <6 x float> poison, <2 x i32> zeroinitializer
  store <6 x float> %w, ptr %c
  %up = getelementptr i8, ptr %c, i64 32
  store <2 x float> %u, ptr %up""",
    "loop": """
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %sum = phi <2 x double> [ zeroinitializer, %entry ], [ %more, %loop ]
  %other = phi <2 x double> [ splat (double 1.0), %entry ], [ %sum, %loop ]
  %p = getelementptr <2 x double>, ptr %a, i64 %i
  %x = load <2 x double>, ptr %p
  %t = fmul <2 x double> %x, %other
  %more = fadd <2 x double> %sum, %t
  %next = add i64 %i, 1
  %go = icmp ult i64 %next, 4
  br i1 %go, label %loop, label %out
out:
  store <2 x double> %more, ptr %c""",
    "memory of its own": """
  %box = alloca [2 x <3 x double>], align 32
  %x = load <3 x double>, ptr %a, align 8
  store <3 x double> %x, ptr %box
  %second = getelementptr [2 x <3 x double>], ptr %box, i64 0, i64 1
  %y = fadd <3 x double> %x, %x
  store <3 x double> %y, ptr %second
  %one = getelementptr [2 x <3 x double>], ptr %box, i64 0, i64 1, i32 %k
  store double 5.0, ptr %one
  %z = load <3 x double>, ptr %second
  store <3 x double> %z, ptr %c, align 8
  %far = getelementptr i8, ptr %c, i64 24
  %w = load <3 x double>, ptr %box
  store <3 x double> %w, ptr %far, align 8""",
    "addresses": """
  %n = load <4 x i64>, ptr @numbers
  %p = getelementptr double, ptr %a, <4 x i64> %n
  %x = call <4 x double> @llvm.masked.gather.v4f64.v4p0(<4 x ptr> %p, i32 8, <4 x i1> splat (i1 true), <4 x double> poison)
  %i = ptrtoint <4 x ptr> %p to <4 x i64>
  %q = inttoptr <4 x i64> %i to <4 x ptr>
  %k64 = zext i32 %k to i64
  %none = insertelement <4 x i1> splat (i1 true), i1 false, i64 %k64
  %y = call <4 x double> @llvm.masked.gather.v4f64.v4p0(<4 x ptr> %q, i32 8, <4 x i1> %none, <4 x double> splat (double 9.0))
  %s = fadd <4 x double> %x, %y
  %t = getelementptr double, <4 x ptr> %p, <4 x i64> splat (i64 1)
  store <4 x double> zeroinitializer, ptr %c
  %up = getelementptr i8, ptr %c, i64 32
  store <4 x double> zeroinitializer, ptr %up
  %to = getelementptr double, ptr %c, <4 x i64> %n
  call void @llvm.masked.scatter.v4f64.v4p0(<4 x double> %s, <4 x ptr> %to, i32 8, <4 x i1> %none)""",
    "masks": """
  %x = load <4 x double>, ptr %a
  %m = fcmp ogt <4 x double> %x, zeroinitializer
  %y = call <4 x double> @llvm.masked.load.v4f64.p0(ptr %b, i32 8, <4 x i1> %m, <4 x double> %x)
  %s = fadd <4 x double> %y, %y
  store <4 x double> %x, ptr %c
  call void @llvm.masked.store.v4f64.p0(<4 x double> %s, ptr %c, i32 8, <4 x i1> <i1 true, i1 false, i1 true, i1 poison>)
  %up = getelementptr i8, ptr %c, i64 32
  store <4 x double> zeroinitializer, ptr %up
  call void @llvm.masked.store.v4f64.p0(<4 x double> %s, ptr %up, i32 8, <4 x i1> %m)""",
    "masks that come in": """
  %first = icmp eq i32 %k, 0
  br i1 %first, label %join, label %other
other:
  br label %join
join:
  %m = phi <2 x i1> [ <i1 true, i1 false>, %entry ], [ <i1 false, i1 true>, %other ]
  %y = call <2 x double> @llvm.masked.load.v2f64.p0(ptr %b, i32 8, <2 x i1> %m, <2 x double> splat (double 4.0))
  store <2 x double> %y, ptr %c""",
    "reductions": """
  %x = load <4 x double>, ptr %a
  %i = load <4 x i32>, ptr %b
  %1 = call double @llvm.vector.reduce.fadd.v4f64(double -0.0, <4 x double> %x)
  %2 = call double @llvm.vector.reduce.fmul.v4f64(double %1, <4 x double> %x)
  %3 = call double @llvm.vector.reduce.fmax.v4f64(<4 x double> %x)
  %4 = call double @llvm.vector.reduce.fminimum.v4f64(<4 x double> %x)
  %5 = call i32 @llvm.vector.reduce.add.v4i32(<4 x i32> %i)
  %6 = call i32 @llvm.vector.reduce.smax.v4i32(<4 x i32> %i)
  %7 = call i32 @llvm.vector.reduce.umin.v4i32(<4 x i32> %i)
  %8 = call i32 @llvm.vector.reduce.xor.v4i32(<4 x i32> %i)
  %9 = icmp sgt <4 x i32> %i, zeroinitializer
  %10 = call i1 @llvm.vector.reduce.or.v4i1(<4 x i1> %9)
  %11 = select i1 %10, double %2, double %1
  store double %11, ptr %c
  %up = getelementptr i8, ptr %c, i64 8
  %12 = fadd double %3, %4
  store double %12, ptr %up
  %far = getelementptr i8, ptr %c, i64 16
  store i32 %5, ptr %far
  %p6 = getelementptr i8, ptr %c, i64 20
  store i32 %6, ptr %p6
  %p7 = getelementptr i8, ptr %c, i64 24
  store i32 %7, ptr %p7
  %p8 = getelementptr i8, ptr %c, i64 28
  store i32 %8, ptr %p8""",
    "functions": """
  %x = load <4 x float>, ptr %a
  %1 = call <4 x float> @llvm.fabs.v4f32(<4 x float> %x)
  %2 = call nsz <4 x float> @llvm.sqrt.v4f32(<4 x float> %1)
  %3 = call <4 x float> @llvm.fma.v4f32(<4 x float> %2, <4 x float> %x, <4 x float> splat (float 0.5))
  %4 = call <4 x float> @llvm.powi.v4f32.i32(<4 x float> %3, i32 2)
  %5 = call <4 x float> @llvm.ldexp.v4f32.v4i32(<4 x float> %4, <4 x i32> <i32 1, i32 -1, i32 0, i32 2>)
  %6 = call <4 x float> @llvm.minnum.v4f32(<4 x float> %5, <4 x float> splat (float 8.0))
  store <4 x float> %6, ptr %c
  %i = load <4 x i32>, ptr %b
  %7 = call <4 x i32> @llvm.abs.v4i32(<4 x i32> %i, i1 false)
  %8 = call <4 x i32> @llvm.uadd.sat.v4i32(<4 x i32> %7, <4 x i32> %i)
  %9 = call <4 x i32> @llvm.ctlz.v4i32(<4 x i32> %8, i1 true)
  %10 = call <4 x i32> @llvm.fptosi.sat.v4i32.v4f32(<4 x float> %6)
  %11 = add <4 x i32> %9, %10
  %up = getelementptr i8, ptr %c, i64 16
  store <4 x i32> %11, ptr %up""",
    "subvectors": """
  %x = load <4 x double>, ptr %a
  %h = call <2 x double> @llvm.vector.extract.v2f64.v4f64(<4 x double> %x, i64 2)
  %y = call <4 x double> @llvm.vector.insert.v4f64.v2f64(<4 x double> %x, <2 x double> %h, i64 0)
  %z = call <4 x double> @llvm.vector.reverse.v4f64(<4 x double> %y)
  store <4 x double> %z, ptr %c""",
    "calls that stay": """
  %x = load <2 x double>, ptr %a
  %y = fadd <2 x double> %x, splat (double 1.0)
  %z = call <2 x double> @own(<2 x double> %y, <2 x double> %x)
  %s = fmul <2 x double> %z, %y
  store <2 x double> %s, ptr %c""",
}  # fmt: skip

DECLARATIONS = """
declare <4 x double> @llvm.masked.gather.v4f64.v4p0(<4 x ptr>, i32, <4 x i1>, <4 x double>)
declare void @llvm.masked.scatter.v4f64.v4p0(<4 x double>, <4 x ptr>, i32, <4 x i1>)
declare <4 x double> @llvm.masked.load.v4f64.p0(ptr, i32, <4 x i1>, <4 x double>)
declare <2 x double> @llvm.masked.load.v2f64.p0(ptr, i32, <2 x i1>, <2 x double>)
declare void @llvm.masked.store.v4f64.p0(<4 x double>, ptr, i32, <4 x i1>)
declare double @llvm.vector.reduce.fadd.v4f64(double, <4 x double>)
declare double @llvm.vector.reduce.fmul.v4f64(double, <4 x double>)
declare double @llvm.vector.reduce.fmax.v4f64(<4 x double>)
declare double @llvm.vector.reduce.fminimum.v4f64(<4 x double>)
declare i32 @llvm.vector.reduce.add.v4i32(<4 x i32>)
declare i32 @llvm.vector.reduce.smax.v4i32(<4 x i32>)
declare i32 @llvm.vector.reduce.umin.v4i32(<4 x i32>)
declare i32 @llvm.vector.reduce.xor.v4i32(<4 x i32>)
declare i1 @llvm.vector.reduce.or.v4i1(<4 x i1>)
declare <4 x float> @llvm.fabs.v4f32(<4 x float>)
declare <4 x float> @llvm.sqrt.v4f32(<4 x float>)
declare <4 x float> @llvm.fma.v4f32(<4 x float>, <4 x float>, <4 x float>)
declare <4 x float> @llvm.powi.v4f32.i32(<4 x float>, i32)
declare <4 x float> @llvm.ldexp.v4f32.v4i32(<4 x float>, <4 x i32>)
declare <4 x float> @llvm.minnum.v4f32(<4 x float>, <4 x float>)
declare <4 x i32> @llvm.abs.v4i32(<4 x i32>, i1)
declare <4 x i32> @llvm.uadd.sat.v4i32(<4 x i32>, <4 x i32>)
declare <4 x i32> @llvm.ctlz.v4i32(<4 x i32>, i1)
declare <4 x i32> @llvm.fptosi.sat.v4i32.v4f32(<4 x float>)
declare <2 x double> @llvm.vector.extract.v2f64.v4f64(<4 x double>, i64)
declare <4 x double> @llvm.vector.insert.v4f64.v2f64(<4 x double>, <2 x double>, i64)
declare <4 x double> @llvm.vector.reverse.v4f64(<4 x double>)
declare <2 x double> @llvm.x86.sse2.max.pd(<2 x double>, <2 x double>)
declare <2 x double> @llvm.x86.sse2.min.pd(<2 x double>, <2 x double>)
"""


def module_of(body: str) -> str:
    return f"""
@numbers = constant <4 x i64> <i64 3, i64 0, i64 2, i64 6>
define internal <2 x double> @own(<2 x double> %x, <2 x double> %y) noinline {{
  %d = fsub <2 x double> %x, %y
  %m = shufflevector <2 x double> %d, <2 x double> %x, <2 x i32> <i32 1, i32 2>
  ret <2 x double> %m
}}
{DECLARATIONS}
define void @f(ptr %a, ptr %b, ptr %c, i32 %k) {{
entry:{body}
  ret void
}}
"""


def result_of(text: str, k: int) -> np.ndarray:
    """Return the memory that a function leaves behind."""
    module = llvm.parse_assembly(text)
    module.verify()
    engine = llvm.create_mcjit_compiler(module, llvm.Target.from_default_triple().create_target_machine())
    engine.finalize_object()
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int)(engine.get_function_address("f"))
    memory = np.zeros(3 * 128 + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    rng = np.random.default_rng(k)
    for n in range(2):
        given = rng.normal(0, 2, 8) if k else rng.normal(0, 2, 16).astype(np.float32)
        memory[start + 128 * n :][:64] = given.view(np.uint8)
    call(*(memory.ctypes.data + start + 128 * n for n in range(3)), k)
    return memory[start : start + 384]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_function_without_vectors_computes_the_same(body: str) -> None:
    text = str(llvm.parse_assembly(module_of(body)))
    module = parse_module(text)
    assert scalarise(module)
    lanes = print_module(module)
    inside = lanes[lanes.index("@f(") :].split("\n}")[0]
    assert holds_vectors(inside) == ("@own" in body)
    for k in range(3):
        np.testing.assert_array_equal(result_of(lanes, k), result_of(text, k))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instructions of x86-64")
def test_minima_of_one_machine_are_choices() -> None:
    body = """
  %x = load <2 x double>, ptr %a
  %y = load <2 x double>, ptr %b
  %1 = call <2 x double> @llvm.x86.sse2.max.pd(<2 x double> %x, <2 x double> %y)
  %2 = call <2 x double> @llvm.x86.sse2.min.pd(<2 x double> %1, <2 x double> splat (double 0x7FF8000000000000))
  store <2 x double> %1, ptr %c
  %up = getelementptr i8, ptr %c, i64 16
  store <2 x double> %2, ptr %up"""
    text = module_of(body)
    module = parse_module(text)
    assert scalarise(module)
    for k in range(3):
        np.testing.assert_array_equal(result_of(print_module(module), k), result_of(text, k))


def test_a_module_without_vectors_is_left_alone() -> None:
    text = "define double @f(double %x) {\nentry:\n  ret double %x\n}\n"
    module = parse_module(text)
    assert not holds_vectors(text)
    assert not scalarise(module)


def test_lines_and_types_of_memory_stay_with_loads_and_stores() -> None:
    text = """
define void @f(ptr %p) {
entry:
  %x = load <2 x double>, ptr %p, align 16, !tbaa !0
  %y = fadd <2 x double> %x, %x, !fpmath !3
  store volatile <2 x double> %y, ptr %p, align 16, !tbaa !0
  ret void
}
!0 = !{!1, !1, i64 0}
!1 = !{!"double", !2, i64 0}
!2 = !{!"root"}
!3 = !{float 2.5}
"""
    module = parse_module(text)
    scalarise(module)
    lines = print_module(module).splitlines()
    assert sum("= load double" in line and "!tbaa !0" in line for line in lines) == 2
    assert sum("store volatile double" in line and "!tbaa !0" in line for line in lines) == 2
    assert [line.split("align ")[1][:2] for line in lines if "load" in line] == ["16", "8,"]
    assert not any("getelementptr" in line and "tbaa" in line for line in lines)
