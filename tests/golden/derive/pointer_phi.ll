; Two buffers change places in each of three steps: next[j] = now[j]²; odd steps end in the other one.
; SHADOWED u: double = 1.5 2
; SHADOWED v: double = 0 0
; FIXED steps: i64 = 3
; CHECK forward: %now.shadow = phi ptr
; CHECK reverse: %now.shadow = phi ptr
; FORWARD u=1 0 -> v=8*1.5**7 0, u=4*1.5**3 0
; REVERSE v=0 1 -> u=0 1024, v=0 0
; REVERSE u=1 0 -> u=4*1.5**3 0, v=0 0

define void @f(ptr %u, ptr %v, i64 %steps) {
entry:
  br label %step

step:
  %t = phi i64 [ 0, %entry ], [ %t.next, %swap ]
  %now = phi ptr [ %u, %entry ], [ %next, %swap ]
  %next = phi ptr [ %v, %entry ], [ %now, %swap ]
  br label %cell

cell:
  %j = phi i64 [ 0, %step ], [ %j.next, %cell ]
  %from = getelementptr double, ptr %now, i64 %j
  %to = getelementptr double, ptr %next, i64 %j
  %x = load double, ptr %from
  %y = fmul double %x, %x
  store double %y, ptr %to
  %j.next = add i64 %j, 1
  %more = icmp slt i64 %j.next, 2
  br i1 %more, label %cell, label %swap

swap:
  %t.next = add i64 %t, 1
  %go = icmp slt i64 %t.next, %steps
  br i1 %go, label %step, label %done

done:
  ret void
}
