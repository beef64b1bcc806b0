; The product up to the first negative number, left from within the loop; with all positive, its square.
; SHADOWED x: double = 2 3 -5 7
; SHADOWED out: double = 0
; FIXED n: i64 = 4
; FORWARD x=1 0 0 0 -> out=3
; FORWARD x=0 0 1 1 -> out=0
; REVERSE out=1 -> x=3 2 0 0, out=0

define i32 @f(ptr %x, ptr %excinfo, ptr %out, i64 %n) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %s = phi double [ 1.0, %entry ], [ %s.next, %next ]
  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  %negative = fcmp olt double %v, 0.0
  br i1 %negative, label %early, label %next

next:
  %s.next = fmul double %s, %v
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, %n
  br i1 %go, label %loop, label %done

early:
  %so.far = phi double [ %s, %loop ]
  store double %so.far, ptr %out
  ret i32 0

done:
  %r = phi double [ %s.next, %next ]
  %square = fmul double %r, %r
  store double %square, ptr %out
  ret i32 0
}
