; A copy hands its adjoint back to what it was copied from, and keeps none.
; SHADOWED x: double = 1 2 3
; SHADOWED y: double = 7 8 9
; CHECK reverse: call void @coenzyme.adjoint.copy.double
; FORWARD x=1 2 3, y=4 5 6 -> x=2 2 3, y=1 2 6
; REVERSE x=1 10 100, y=2 20 200 -> x=4 30 100, y=0 0 200

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define void @f(ptr %x, ptr %y) {
entry:
  call void @llvm.memcpy.p0.p0.i64(ptr %y, ptr %x, i64 16, i1 false)
  %v = load double, ptr %x
  %q = fmul double %v, %v
  store double %q, ptr %x
  ret void
}
