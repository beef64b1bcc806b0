; A block of Numba's runtime in each iteration: it outlives the iteration until the reverse sweep is through.
; SHADOWED x: double = 2 3
; SHADOWED out: double = 0
; CHECK reverse: call void @NRT_incref
; FORWARD x=1 0 -> out=3*4
; FORWARD x=0 1 -> out=3*9
; REVERSE out=1 -> x=12 27, out=0

declare ptr @NRT_MemInfo_alloc_aligned(i64, i32)
declare ptr @NRT_MemInfo_data_fast(ptr)
declare void @NRT_decref(ptr)

define void @f(ptr %x, ptr %out) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %s = phi double [ 0.0, %entry ], [ %s.next, %loop ]
  %p = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %p
  %block = call ptr @NRT_MemInfo_alloc_aligned(i64 16, i32 32)
  %data = call ptr @NRT_MemInfo_data_fast(ptr %block)
  %square = fmul double %v, %v
  store double %v, ptr %data
  %second = getelementptr double, ptr %data, i64 1
  store double %square, ptr %second
  %a = load double, ptr %data
  %b = load double, ptr %second
  %ab = fmul double %a, %b
  call void @NRT_decref(ptr %block)
  %s.next = fadd double %s, %ab
  %i.next = add i64 %i, 1
  %go = icmp slt i64 %i.next, 2
  br i1 %go, label %loop, label %done

done:
  %r = phi double [ %s.next, %loop ]
  store double %r, ptr %out
  ret void
}
