; Two ways to end meet in one return, which tells them apart by its status: -2 is success without a value.
; SHADOWED x: double = 2 3
; SHADOWED out: double = 0
; FIXED which: i64 = 0
; FORWARD x=1 0 -> out=4
; REVERSE out=1 -> x=4 0, out=0

define i32 @f(ptr %x, ptr %excinfo, ptr %out, i64 %which) {
entry:
  %v = load double, ptr %x
  %p = getelementptr double, ptr %x, i64 1
  %w = load double, ptr %p
  %zero = icmp eq i64 %which, 0
  br i1 %zero, label %square, label %others

square:
  %a = fmul double %v, %v
  store double %a, ptr %out
  br label %end

others:
  %bad = icmp slt i64 %which, 0
  br i1 %bad, label %end, label %cube

cube:
  %b = fmul double %w, %w
  %c = fmul double %b, %w
  store double %c, ptr %out
  br label %end

end:
  %status = phi i32 [ 0, %square ], [ 1, %others ], [ -2, %cube ]
  ret i32 %status
}
