; A nest left by two levels at once when the sum is large enough, else at its end: s += x[i]·x[j]; squared on the way out.
; SHADOWED x: double = 1 2 3
; SHADOWED out: double = 0
; FORWARD x=1 0 0 -> out=144
; FORWARD x=0 0 1 -> out=16
; REVERSE out=1 -> x=144 32 16, out=0

define void @f(ptr %x, ptr %out) {
entry:
  br label %outer

outer:
  %i = phi i64 [ 0, %entry ], [ %i.next, %latch ]
  %s = phi double [ 0.0, %entry ], [ %s.out, %latch ]
  %pi = getelementptr double, ptr %x, i64 %i
  %xi = load double, ptr %pi
  br label %inner

inner:
  %j = phi i64 [ 0, %outer ], [ %j.next, %next ]
  %t = phi double [ %s, %outer ], [ %u, %next ]
  %pj = getelementptr double, ptr %x, i64 %j
  %xj = load double, ptr %pj
  %xx = fmul double %xi, %xj
  %u = fadd double %t, %xx
  %large = fcmp ogt double %u, 7.5
  br i1 %large, label %enough, label %next

next:
  %j.next = add i64 %j, 1
  %more = icmp slt i64 %j.next, 3
  br i1 %more, label %inner, label %latch

latch:
  %s.out = phi double [ %u, %next ]
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, 3
  br i1 %go, label %outer, label %all

enough:
  %early = phi double [ %u, %inner ]
  %square = fmul double %early, %early
  br label %end

all:
  %late = phi double [ %s.out, %latch ]
  br label %end

end:
  %r = phi double [ %square, %enough ], [ %late, %all ]
  store double %r, ptr %out
  ret void
}
