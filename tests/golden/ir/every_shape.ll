; Every shape of instruction, constant, attribute and metadata that the reader knows, as LLVM prints it.
; test_round_trip.py reads it, prints it, and has LLVM print both: the two texts must be the same.
source_filename = "a \22quoted\22; name"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

module asm "nop ; not a comment"

%struct.pair = type { i64, ptr }

$c1 = comdat any

@g = internal global [4 x double] zeroinitializer, align 8
@h = external global %struct.pair
@"sp ace" = private unnamed_addr constant [4 x i8] c"a\22;\00", align 1
@tl = thread_local(initialexec) global i32 3, comdat($c1)

@al = alias ptr, ptr @g

declare void @llvm.assume(i1)

declare i32 @printf(ptr, ...)

declare double @llvm.fma.f64(double, double, double)

declare noalias noundef nonnull ptr @alloc(i64 noundef range(i64 0, 5), ptr align 8 captures(none) dereferenceable(16)) #2

declare void @byv(ptr byval(%struct.pair) align 8, ptr sret({ i64, double }) align 8)

declare void @llvm.experimental.noalias.scope.decl(metadata)

declare double @llvm.experimental.constrained.fadd.f64(double, double, metadata, metadata)

declare token @llvm.call.preallocated.setup(i32)

declare i32 @__gxx_personality_v0(...)

define internal fastcc noundef range(i32 0, 9) i32 @"f oo"(i64 %v0, double noundef %x, ptr noalias captures(none) dereferenceable(8) %p, i1 %c) unnamed_addr #2 comdat($c1) align 16 personality ptr @__gxx_personality_v0 {
b1:
  %v2 = add nuw nsw i64 %v0, 1
  %v3 = or disjoint i64 %v2, 8
  %v4 = icmp samesign ult i64 %v3, 10
  %v5 = trunc nuw nsw i64 %v3 to i32
  %v6 = zext nneg i32 %v5 to i64
  %v7 = uitofp nneg i64 %v6 to double
  %v8 = fptrunc fast double %v7 to float
  %v9 = fneg nnan ninf double %x
  %v10 = fcmp fast ogt double %x, 0x7FF0000000000000
  %v11 = select nnan i1 %v10, double %x, double %v9
  %v12 = getelementptr inbounds nuw i8, ptr %p, i64 %v6
  %v13 = getelementptr nusw { i64, [3 x double] }, ptr %p, i64 %v6, i32 1, i64 2
  %v14 = load atomic volatile i64, ptr %p syncscope("agent") acquire, align 8
  store atomic i64 %v14, ptr %p release, align 8
  store volatile double 1.500000e+300, ptr %v12, align 1, !tbaa !4
  %v15 = load double, ptr getelementptr inbounds (i8, ptr @g, i64 8), align 8, !noundef !7
  %v16 = call fast double @llvm.fma.f64(double %x, double -0.000000e+00, double 1.000000e+00)
  %v17 = call i32 (ptr, ...) @printf(ptr noundef @"sp ace", i32 -3, double %x)
  %v18 = tail call noalias noundef nonnull align 8 dereferenceable(16) ptr @alloc(i64 noundef range(i64 0, 5) 3, ptr align 8 captures(none) dereferenceable(16) @h) #8
  call void @byv(ptr byval(%struct.pair) align 8 @h, ptr sret({ i64, double }) align 8 %p) #9
  call void @llvm.assume(i1 true)
  %v19 = atomicrmw volatile add ptr %p, i64 1 syncscope("agent") seq_cst, align 8
  %v20 = cmpxchg weak ptr %p, i64 1, i64 2 acq_rel monotonic, align 8
  %v21 = extractvalue { i64, i1 } %v20, 0
  %v22 = insertvalue %struct.pair poison, i64 %v21, 0
  %v23 = extractvalue %struct.pair %v22, 1
  fence syncscope("singlethread") seq_cst
  %v24 = insertelement <2 x double> <double 1.000000e+00, double undef>, double %x, i64 0
  %v25 = shufflevector <2 x double> %v24, <2 x double> splat (double 3.000000e+00), <4 x i32> <i32 0, i32 poison, i32 3, i32 1>
  %v26 = extractelement <4 x double> %v25, i32 1
  %v27 = freeze double %v26
  %v28 = alloca %struct.pair, align 8
  %v29 = alloca i8, i64 %v6, align 16
  %v30 = alloca i32, align 4, addrspace(5)
  %v31 = inttoptr i64 ptrtoint (ptr @g to i64) to ptr
  %v32 = add i64 sub (i64 ptrtoint (ptr @g to i64), i64 ptrtoint (ptr @h to i64)), 3
  %v33 = call i64 asm sideeffect "mov $0, $1; nop", "=r,r,~{memory}"(i64 %v32)
  %v34 = call ptr %v31(i64 1)
  %v35 = insertvalue { { double, i64 }, [2 x i8] } { { double, i64 } { double 1.000000e+00, i64 2 }, [2 x i8] c"ab" }, double %x, 0, 0
  %v36 = getelementptr inbounds double, ptr %p, <2 x i64> <i64 0, i64 1>
  %v37 = fadd reassoc nsz arcp contract afn <2 x double> %v24, zeroinitializer
  %v38 = icmp eq <2 x ptr> %v36, zeroinitializer
  %v39 = fcmp uno <2 x double> %v24, %v37
  %v40 = fpext float %v8 to double
  %v41 = sext i1 %c to i64
  %v42 = bitcast double %x to i64
  %v43 = addrspacecast ptr addrspace(5) %v30 to ptr
  %v44 = load ptr addrspace(5), ptr %v43, align 8
  %v45 = add i37 1, -7
  %v46 = fadd half 0xH3C00, 0xH4000
  %v47 = fadd x86_fp80 0xK3FFF8000000000000000, 0xK3FFF8000000000000000
  call void @llvm.experimental.noalias.scope.decl(metadata !8)
  %v48 = call double @llvm.experimental.constrained.fadd.f64(double %x, double %x, metadata !"round.dynamic", metadata !"fpexcept.strict")
  %v49 = shl nuw nsw i64 %v42, 3
  %v50 = lshr exact i64 %v49, 3
  %v51 = load ptr, ptr getelementptr inbounds inrange(-8, 8) ({ [3 x ptr] }, ptr @g, i32 0, i32 0, i32 1), align 8
  %v52 = musttail call fastcc noundef range(i32 0, 9) i32 @"f oo"(i64 %v0, double %x, ptr %p, i1 %c)
  ret i32 %v52
}

define void @flow(i32 %k, i1 %c) #6 !dbg !11 {
b0:
  switch i32 %k, label %d [
    i32 0, label %a
    i32 -5, label %"b b"
    i32 7, label %a
  ], !md !7

a:
  %m = phi i32 [ %k, %b0 ], [ %k, %b0 ], [ %n, %"b b" ]
  switch i32 %m, label %d [
  ]

"b b":
  %n = phi i32 [ 3, %b0 ], [ %n2, %"x]y" ]
  %n2 = add i32 %n, %k, !dbg !13
  br i1 %c, label %"x]y", label %a, !llvm.loop !14

"x]y":
  br i1 true, label %"b b", label %d

d:
  br label %e

e:
  unreachable
}

define <2 x double> @vec(<2 x double> %v0, ptr addrspace(1) %q) {
b1:
  ret <2 x double> %v0
}

define %struct.pair @named() {
b0:
  ret %struct.pair { i64 1, ptr null }
}

define <{ i8, i32 }> @packed() #7 {
b0:
  ret <{ i8, i32 }> <{ i8 1, i32 2 }>
}

attributes #2 = { nounwind memory(argmem: read) "target-cpu"="x86-64" }
attributes #6 = { "no-builtins" }
attributes #7 = { "fn-attr"="x y" }
attributes #8 = { noinline }
attributes #9 = { nounwind memory(argmem: readwrite) }

!llvm.module.flags = !{!0, !1}
!llvm.dbg.cu = !{!2}

!0 = !{i32 2, !"Debug Info Version", i32 3}
!1 = !{i32 2, !"Dwarf Version", i32 4}
!2 = distinct !DICompileUnit(language: DW_LANG_C99, file: !3, producer: "x", isOptimized: true, runtimeVersion: 0, emissionKind: FullDebug)
!3 = !DIFile(filename: "a.py", directory: "/tmp")
!4 = !{!5, !5, i64 0}
!5 = !{!"double", !6, i64 0}
!6 = !{!"root"}
!7 = !{}
!8 = !{!9}
!9 = distinct !{!9, !10}
!10 = distinct !{!10}
!11 = distinct !DISubprogram(name: "flow", scope: !3, file: !3, line: 3, type: !12, spFlags: DISPFlagDefinition, unit: !2)
!12 = !DISubroutineType(types: !7)
!13 = !DILocation(line: 5, column: 2, scope: !11)
!14 = distinct !{!14, !15}
!15 = !{!"llvm.loop.mustprogress"}
