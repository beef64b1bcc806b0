; x[i] ← x[i]·x[i-1] in place: what is read before it is overwritten goes on the tape.
; SHADOWED x: double = 2 3 5
; FIXED n: i64 = 3
; FORWARD x=1 0 0 -> x=1 3 15
; REVERSE x=0 0 1 -> x=15 10 6
; REVERSE x=1 1 1 -> x=1+3+15 2+10 6

define void @f(ptr %x, i64 %n) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 1, %entry ], [ %i.next, %loop ]
  %p = getelementptr double, ptr %x, i64 %i
  %before = add i64 %i, -1
  %q = getelementptr double, ptr %x, i64 %before
  %a = load double, ptr %p
  %b = load double, ptr %q
  %ab = fmul double %a, %b
  store double %ab, ptr %p
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done

done:
  ret void
}
