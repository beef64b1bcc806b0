; Local memory: a window of the last two values, written again in each iteration.
; SHADOWED x: double = 2 3 5
; SHADOWED out: double = 0
; CHECK forward: %window.shadow = alloca [2 x double]
; CHECK reverse: %window.shadow = alloca [2 x double]
; FORWARD x=1 0 0 -> out=3
; FORWARD x=0 1 0 -> out=7
; REVERSE out=1 -> x=3 7 3, out=0

define void @f(ptr %x, ptr %out) {
entry:
  %window = alloca [2 x double]
  %first = load double, ptr %x
  store double %first, ptr %window
  br label %loop

loop:
  %i = phi i64 [ 1, %entry ], [ %i.next, %loop ]
  %s = phi double [ 0.0, %entry ], [ %s.next, %loop ]
  %now = and i64 %i, 1
  %before = xor i64 %now, 1
  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  %here = getelementptr double, ptr %window, i64 %now
  store double %v, ptr %here
  %there = getelementptr double, ptr %window, i64 %before
  %a = load double, ptr %there
  %b = load double, ptr %here
  %ab = fmul double %a, %b
  %s.next = fadd double %s, %ab
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, 3
  br i1 %go, label %loop, label %done

done:
  %r = phi double [ %s.next, %loop ]
  store double %r, ptr %out
  ret void
}
