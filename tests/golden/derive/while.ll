; Halve until small: how often is known at run time only; the reverse sweep counts down from there.
; ACTIVE x: double = 20
; SHADOWED out: double = 0
; FORWARD x=1 -> out=2*20/64
; REVERSE out=3 -> x=6*20/64, out=0

define void @f(double %x, ptr %out) {
entry:
  br label %loop

loop:
  %v = phi double [ %x, %entry ], [ %h, %body ]
  %large = fcmp ogt double %v, 3.0
  br i1 %large, label %body, label %done

body:
  %h = fmul double %v, 0.5
  br label %loop

done:
  %r = phi double [ %v, %loop ]
  %q = fmul double %r, %r
  store double %q, ptr %out
  ret void
}
