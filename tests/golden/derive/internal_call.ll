; A function kept out of line, called twice on the same memory: it gets an augmented half and a reverse half.
; SHADOWED x: double = 2 3
; ACTIVE k: double = 5
; CHECK forward: @scale.forward.0
; CHECK reverse: @scale.augmented.0
; CHECK reverse: @scale.reverse.0
; FORWARD x=1 0, k=0 -> x=25 300
; FORWARD x=0 0, k=1 -> x=20 80
; REVERSE x=1 0 -> x=25 0, k=20
; REVERSE x=0 1 -> x=300 0, k=80

define internal i32 @scale(ptr %retptr, ptr %excinfo, ptr %x, double %k) noinline {
entry:
  %v = load double, ptr %x
  %w = fmul double %v, %k
  store double %w, ptr %x
  store double %v, ptr %retptr
  ret i32 0
}

define i32 @f(ptr %x, ptr %excinfo, double %k) {
entry:
  %r = alloca double
  %first = call i32 @scale(ptr %r, ptr null, ptr %x, double %k)
  %ok = icmp eq i32 %first, 0
  br i1 %ok, label %again, label %fail

again:
  %old = load double, ptr %r
  %second = call i32 @scale(ptr %r, ptr null, ptr %x, double %k)
  %fine = icmp eq i32 %second, 0
  br i1 %fine, label %done, label %fail

done:
  %older = load double, ptr %r
  %sum = fadd double %old, %older
  %square = fmul double %older, %older
  %p = fmul double %square, %old
  %slot = getelementptr double, ptr %x, i64 1
  store double %p, ptr %slot
  ret i32 0

fail:
  %status = phi i32 [ %first, %entry ], [ %second, %again ]
  ret i32 %status
}
