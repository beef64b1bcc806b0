; A pointer and a number that travel in a struct, loaded and stored as a whole.
; SHADOWED x: double = 3
; SHADOWED out: double = 0
; FORWARD x=1 -> out=27
; REVERSE out=1 -> x=27, out=0

define void @f(ptr %x, ptr %out) {
entry:
  %box = alloca { ptr, i8 }
  %pair = alloca { double, i8 }
  %first = insertvalue { ptr, i8 } zeroinitializer, ptr %x, 0
  store { ptr, i8 } %first, ptr %box
  %whole = load { ptr, i8 }, ptr %box
  %p = extractvalue { ptr, i8 } %whole, 0
  %v = load double, ptr %p
  %square = fmul double %v, %v
  %second = insertvalue { double, i8 } { double 0.0, i8 7 }, double %square, 0
  store { double, i8 } %second, ptr %pair
  %again = load { double, i8 }, ptr %pair
  %u = extractvalue { double, i8 } %again, 0
  %q = fmul double %u, %v
  store double %q, ptr %out
  ret void
}
