; Moved one place up within itself: x = (x0, x0, x1, x3). Then two places down: x = (x0, x1, x1, x3).
; SHADOWED x: double = 1 2 3 4
; CHECK reverse: call void @coenzyme.adjoint.move.double
; FORWARD x=1 2 3 4 -> x=1 2 2 4
; REVERSE x=1 10 100 1000 -> x=1 110 0 1000

declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)

define void @f(ptr %x) {
entry:
  %second = getelementptr double, ptr %x, i64 1
  call void @llvm.memmove.p0.p0.i64(ptr %second, ptr %x, i64 16, i1 false)
  %third = getelementptr double, ptr %x, i64 2
  call void @llvm.memmove.p0.p0.i64(ptr %second, ptr %third, i64 8, i1 false)
  ret void
}
