; x·y where x < y, else x; each operand gets the adjoint only where it was chosen.
; SHADOWED x: double = 1 5
; SHADOWED y: double = 4 2
; SHADOWED out: double = 0 0
; CHECK forward: select i1
; CHECK reverse: select i1
; FORWARD x=1 1, y=0 0 -> out=4 1
; FORWARD x=0 0, y=1 1 -> out=1 0
; REVERSE out=1 10 -> x=4 10, y=1 0, out=0 0

define void @f(ptr %x, ptr %y, ptr %out) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %px = getelementptr double, ptr %x, i64 %i
  %py = getelementptr double, ptr %y, i64 %i
  %po = getelementptr double, ptr %out, i64 %i
  %u = load double, ptr %px
  %v = load double, ptr %py
  %c = fcmp olt double %u, %v
  %uv = fmul double %u, %v
  %r = select i1 %c, double %uv, double %u
  store double %r, ptr %po
  %i.next = add i64 %i, 1
  %go = icmp ne i64 %i.next, 2
  br i1 %go, label %loop, label %done

done:
  ret void
}
