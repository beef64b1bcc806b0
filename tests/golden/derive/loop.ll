; The sum of squares: the loop runs backwards, nothing is taped.
; SHADOWED x: double = 1 2 3
; FIXED n: i64 = 3
; SHADOWED out: double = 0
; CHECK forward: phi double
; CHECK reverse: .reverse.index
; FORWARD x=1 0 0 -> out=2, x=1 0 0
; FORWARD x=1 1 1 -> out=12
; REVERSE out=1 -> x=2 4 6, out=0
; REVERSE out=0.5, x=10 20 30 -> x=11 22 33

define void @f(ptr %x, i64 %n, ptr %out) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %s = phi double [ 0.0, %entry ], [ %s.next, %loop ]
  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  %q = fmul double %v, %v
  %s.next = fadd double %s, %q
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done

done:
  %r = phi double [ %s.next, %loop ]
  store double %r, ptr %out
  ret void
}
