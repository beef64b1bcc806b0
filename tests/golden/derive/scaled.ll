; y[i] ← x[0]·y[i]: x[0] is read once, its adjoint summed in a register, in any order, and added to memory once.
; SHADOWED x: double = 3
; SHADOWED y: double = 1 2 5
; FIXED n: i64 = 3
; CHECK reverse: %a.bar
; CHECK reverse: fadd reassoc
; FORWARD x=1, y=0 1 0 -> x=1, y=1 2+3 5
; REVERSE x=0.5, y=1 10 100 -> x=0.5+1+20+500, y=3 30 300

define void @f(ptr %x, ptr %y, i64 %n) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %p = getelementptr double, ptr %y, i64 %i
  %a = load double, ptr %x
  %b = load double, ptr %p
  %ab = fmul double %a, %b
  store double %ab, ptr %p
  %i.next = add nuw nsw i64 %i, 1
  %done = icmp eq i64 %i.next, %n
  br i1 %done, label %out, label %loop

out:
  ret void
}
