; pick(x, n) = (x, x²)[n mod 2] · pick(x, n - 1): the sweep of a call reads local memory of the call, by an address
; computed before.
; ACTIVE x: double = 2
; SHADOWED out: double = 0
; FIXED n: i64 = 5
; CHECK reverse: %pair.shadow.kept = getelementptr
; FORWARD x=1 -> out=8*128
; REVERSE out=1 -> x=8*128, out=0

define internal i32 @pick(ptr %retptr, ptr %excinfo, double %x, i64 %n) noinline {
entry:
  %less = alloca double
  %pair = alloca [3 x double]
  %zero = icmp eq i64 %n, 0
  br i1 %zero, label %one, label %more

one:
  store double 1.0, ptr %retptr
  ret i32 0

more:
  %first = getelementptr [3 x double], ptr %pair, i64 0, i64 1
  store double %x, ptr %first
  %second = getelementptr [3 x double], ptr %pair, i64 0, i64 2
  %square = fmul double %x, %x
  store double %square, ptr %second
  %odd = and i64 %n, 1
  %place = add i64 %odd, 1
  %chosen = getelementptr [3 x double], ptr %pair, i64 0, i64 %place
  %m = sub i64 %n, 1
  %status = call i32 @pick(ptr %less, ptr %excinfo, double %x, i64 %m)
  %ok = icmp eq i32 %status, 0
  br i1 %ok, label %done, label %fail

done:
  %factor = load double, ptr %chosen
  %p = load double, ptr %less
  %product = fmul double %factor, %p
  store double %product, ptr %retptr
  ret i32 0

fail:
  ret i32 %status
}

define i32 @f(double %x, ptr %excinfo, ptr %out, i64 %n) {
entry:
  %status = call i32 @pick(ptr %out, ptr %excinfo, double %x, i64 %n)
  ret i32 %status
}
