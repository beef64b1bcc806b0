; x[0] is used, then all of x is cleared: what came after has nothing to do with what went before.
; SHADOWED x: double = 3 4
; SHADOWED out: double = 0
; CHECK reverse: call void @llvm.memset
; FORWARD x=1 1 -> out=6, x=0 0
; REVERSE out=1, x=5 5 -> x=6 0, out=0

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define void @f(ptr %x, ptr %out) {
entry:
  %v = load double, ptr %x
  %q = fmul double %v, %v
  store double %q, ptr %out
  call void @llvm.memset.p0.i64(ptr %x, i8 0, i64 16, i1 false)
  ret void
}
