; power(x, n) = x · power(x, n - 1): the derivative calls the derivative.
; ACTIVE x: double = 2
; SHADOWED out: double = 0
; FIXED n: i64 = 5
; CHECK reverse: call i32 @power.reverse.
; FORWARD x=1 -> out=80
; REVERSE out=1 -> x=80, out=0

define internal i32 @power(ptr %retptr, ptr %excinfo, double %x, i64 %n) noinline {
entry:
  %less = alloca double
  %zero = icmp eq i64 %n, 0
  br i1 %zero, label %one, label %more

one:
  store double 1.0, ptr %retptr
  ret i32 0

more:
  %m = sub i64 %n, 1
  %status = call i32 @power(ptr %less, ptr %excinfo, double %x, i64 %m)
  %ok = icmp eq i32 %status, 0
  br i1 %ok, label %done, label %fail

done:
  %p = load double, ptr %less
  %xp = fmul double %x, %p
  store double %xp, ptr %retptr
  ret i32 0

fail:
  ret i32 %status
}

define i32 @f(double %x, ptr %excinfo, ptr %out, i64 %n) {
entry:
  %status = call i32 @power(ptr %out, ptr %excinfo, double %x, i64 %n)
  ret i32 %status
}
