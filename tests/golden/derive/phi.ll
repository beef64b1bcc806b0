; max(x, y) squared by branches: the condition is asked again.
; ACTIVE x: double = 2
; ACTIVE y: double = 3
; SHADOWED out: double = 0
; FORWARD x=1, y=0 -> out=0
; FORWARD x=5, y=1 -> out=6
; REVERSE out=1 -> x=0, y=6, out=0

define void @f(double %x, double %y, ptr %out) {
entry:
  %c = fcmp ogt double %x, %y
  br i1 %c, label %first, label %second

first:
  %a = fmul double %x, %x
  br label %join

second:
  %b = fmul double %y, %y
  br label %join

join:
  %r = phi double [ %a, %first ], [ %b, %second ]
  store double %r, ptr %out
  ret void
}
