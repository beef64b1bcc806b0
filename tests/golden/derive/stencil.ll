; y[i] ← x[i] + x[i+1]·x[i+2]: what three iterations add to one cell is gathered in registers.
; SHADOWED x: double = 2 3 5 7 11
; SHADOWED y: double = 0 0 0
; FIXED n: i64 = 3
; CHECK reverse: %c.cell
; FORWARD x=1 1 0 0 0 -> y=1+5 1 0
; FORWARD x=0 0 0 0 1 -> y=0 0 7
; REVERSE y=1 0 0 -> x=1 5 3 0 0, y=0 0 0
; REVERSE y=1 10 100 -> x=1 5+10 3+70+100 50+1100 700, y=0 0 0

define void @f(ptr %x, ptr %y, i64 %n) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %p = getelementptr double, ptr %x, i64 %i
  %i.next = add nuw nsw i64 %i, 1
  %q = getelementptr double, ptr %x, i64 %i.next
  %i.after = add nuw nsw i64 %i, 2
  %r = getelementptr double, ptr %x, i64 %i.after
  %s = getelementptr double, ptr %y, i64 %i
  %a = load double, ptr %p
  %b = load double, ptr %q
  %c = load double, ptr %r
  %bc = fmul double %b, %c
  %sum = fadd double %a, %bc
  store double %sum, ptr %s
  %done = icmp eq i64 %i.next, %n
  br i1 %done, label %out, label %loop

out:
  ret void
}
