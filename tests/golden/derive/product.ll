; The product of all: each factor so far is on the tape, in one piece since the loop is counted.
; SHADOWED x: double = 2 3 5
; FIXED n: i64 = 3
; SHADOWED out: double = 0
; CHECK reverse: call ptr @coenzyme.tape.push
; FORWARD x=1 0 0 -> out=15
; FORWARD x=0 1 1 -> out=16
; REVERSE out=1 -> x=15 10 6, out=0

define void @f(ptr %x, i64 %n, ptr %out) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %s = phi double [ 1.0, %entry ], [ %s.next, %loop ]
  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  %s.next = fmul double %s, %v
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done

done:
  %r = phi double [ %s.next, %loop ]
  store double %r, ptr %out
  ret void
}
