; float times float, summed in double: adjoints change their width where the values do.
; SHADOWED x: float = 1.5 -2 0.25
; SHADOWED y: double = 4
; SHADOWED out: double = 0
; CHECK reverse: fptrunc double
; FORWARD x=1 0 0, y=0 -> out=2*1.5*4
; FORWARD x=0 0 0, y=1 -> out=1.5**2+4+0.0625
; REVERSE out=1 -> x=12 -16 2, y=6.3125, out=0

define void @f(ptr %x, ptr %y, ptr %out) {
entry:
  %k = load double, ptr %y
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %s = phi double [ 0.0, %entry ], [ %s.next, %loop ]
  %p = getelementptr float, ptr %x, i64 %i
  %v = load float, ptr %p
  %q = fmul float %v, %v
  %wide = fpext float %q to double
  %scaled = fmul double %wide, %k
  %s.next = fadd double %s, %scaled
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, 3
  br i1 %go, label %loop, label %done

done:
  %r = phi double [ %s.next, %loop ]
  store double %r, ptr %out
  ret void
}
