; Four ways to turn x into its next value, chosen by a table: 0 squares, 7 negates, others halve or keep.
; ACTIVE x: double = 3
; CONSTANT k: i32 = 0 1 7 0 5
; SHADOWED out: double = 0
; CHECK reverse: switch i32
; FORWARD x=1 -> out=2*3*2*4.5/2
; REVERSE out=1 -> x=27, out=0

define void @f(double %x, ptr %k, ptr %out) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %join ]
  %v = phi double [ %x, %entry ], [ %w, %join ]
  %p = getelementptr i32, ptr %k, i64 %i
  %what = load i32, ptr %p
  switch i32 %what, label %join [
    i32 0, label %square
    i32 7, label %negate
    i32 1, label %halve
    i32 2, label %halve
  ]

square:
  %a = fmul double %v, %v
  br label %join

negate:
  %b = fneg double %v
  br label %join

halve:
  %c = fmul double %v, 0.5
  br label %join

join:
  %w = phi double [ %v, %loop ], [ %a, %square ], [ %b, %negate ], [ %c, %halve ]
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, 5
  br i1 %go, label %loop, label %done

done:
  %r = phi double [ %w, %join ]
  store double %r, ptr %out
  ret void
}
