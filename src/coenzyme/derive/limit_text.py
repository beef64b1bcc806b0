"""Tapes with a limit, as LLVM text: what they hold is counted, and refused beyond it.

The count is that of all tapes of one derivative that are alive at a time, functions kept out of line and
threads included: it changes where a chunk of tape, a kept block or a record comes or goes. A chunk's header
has one more word, what was counted for it; so has an item of a keep stack. What was refused last is kept in
mind until it is reported.
"""

from __future__ import annotations

from coenzyme.derive.tape_text import HEADER, MOST_BYTES, SMALLEST, pooled_tape

__all__ = ["LIMITED_KEEP", "LIMITED_RELEASE", "limited_tape"]

_HEADER = HEADER + 16

_LIMIT = """
@coenzyme.limit.used = internal global i64 0, align 8
@coenzyme.limit.refused = internal global i64 0, align 8

define internal i1 @coenzyme.limit.take(i64 %bytes) noinline nounwind {{
entry:
  %old = atomicrmw add ptr @coenzyme.limit.used, i64 %bytes monotonic, align 8
  %sum = add i64 %old, %bytes
  %fits = icmp ule i64 %sum, {limit}
  br i1 %fits, label %granted, label %refused

granted:
  ret i1 true

refused:
  %ignored = atomicrmw sub ptr @coenzyme.limit.used, i64 %bytes monotonic, align 8
  store atomic i64 %sum, ptr @coenzyme.limit.refused monotonic, align 8
  ret i1 false
}}

define internal void @coenzyme.limit.give(i64 %bytes) noinline nounwind {{
entry:
  %ignored = atomicrmw sub ptr @coenzyme.limit.used, i64 %bytes monotonic, align 8
  ret void
}}

; The status to leave with where memory was not granted; what was refused goes where the error would be.
define internal i32 @coenzyme.limit.status(ptr %error, i32 %refusal, i32 %failure) noinline nounwind {{
entry:
  %bytes = atomicrmw xchg ptr @coenzyme.limit.refused, i64 0 monotonic, align 8
  %failed = icmp eq i64 %bytes, 0
  br i1 %failed, label %failure.out, label %refusal.out

failure.out:
  ret i32 %failure

refusal.out:
  %number = inttoptr i64 %bytes to ptr
  store ptr %number, ptr %error, align 8
  ret i32 %refusal
}}

define internal ptr @coenzyme.limit.record(i64 %bytes) noinline nounwind {{
entry:
  %fits = call i1 @coenzyme.limit.take(i64 %bytes)
  br i1 %fits, label %granted, label %out

granted:
  %record = call ptr @calloc(i64 1, i64 %bytes)
  %failed = icmp eq ptr %record, null
  br i1 %failed, label %back, label %out

back:
  call void @coenzyme.limit.give(i64 %bytes)
  br label %out

out:
  %result = phi ptr [ null, %entry ], [ %record, %granted ], [ null, %back ]
  ret ptr %result
}}

declare ptr @calloc(i64, i64)
"""

_GROW = """
define internal noalias ptr @coenzyme.limit.grow(ptr %chunk, ptr %top, ptr %end, i64 %bytes) noinline {{
entry:
  %absurd = icmp ugt i64 %bytes, {most}
  %needed.exactly = add i64 %bytes, {header}
  %needed = select i1 %absurd, i64 {most}, i64 %needed.exactly
  %none = icmp eq ptr %chunk, null
  br i1 %none, label %sized, label %older

older:
  %old.slot = getelementptr i8, ptr %chunk, i64 24
  %old = load i64, ptr %old.slot, align 8
  %twice = shl i64 %old, 1
  br label %sized

sized:
  %least = phi i64 [ {smallest}, %entry ], [ %twice, %older ]
  %more = icmp ugt i64 %needed, %least
  %ample = select i1 %more, i64 %needed, i64 %least
  %fits = call i1 @coenzyme.limit.take(i64 %ample)
  br i1 %fits, label %allocate, label %least.size

least.size:
  ; All that is left, or as much as must be.
  %used = load atomic i64, ptr @coenzyme.limit.used monotonic, align 8
  %left = sub i64 {limit}, %used
  %suffices = icmp sge i64 %left, %needed
  %rest = select i1 %suffices, i64 %left, i64 %needed
  %rest.fits = call i1 @coenzyme.limit.take(i64 %rest)
  br i1 %rest.fits, label %forget, label %out

forget:
  store atomic i64 0, ptr @coenzyme.limit.refused monotonic, align 8
  br label %allocate

allocate:
  %size = phi i64 [ %ample, %sized ], [ %rest, %forget ]
  %new = call ptr @coenzyme.pool.take(i64 %size)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %back, label %fill

back:
  call void @coenzyme.limit.give(i64 %size)
  br label %out

fill:
  store ptr %chunk, ptr %new, align 8
  %top.slot = getelementptr i8, ptr %new, i64 8
  store ptr %top, ptr %top.slot, align 8
  %end.slot = getelementptr i8, ptr %new, i64 16
  store ptr %end, ptr %end.slot, align 8
  %counted.slot = getelementptr i8, ptr %new, i64 {counted}
  store i64 %size, ptr %counted.slot, align 8
  br label %out

out:
  %granted = phi ptr [ null, %least.size ], [ null, %back ], [ %new, %fill ]
  ret ptr %granted
}}

define internal void @coenzyme.limit.put(ptr %chunk) noinline nounwind {{
entry:
  %counted.slot = getelementptr i8, ptr %chunk, i64 {counted}
  %counted = load i64, ptr %counted.slot, align 8
  call void @coenzyme.limit.give(i64 %counted)
  call void @coenzyme.pool.put(ptr %chunk)
  ret void
}}
"""

LIMITED_KEEP = """
; The item is kept whether or not it was granted: all that is kept is given back on the way out.
define internal i1 @coenzyme.limit.keep(ptr %stack, ptr %item, i64 %bytes) nounwind {
entry:
  %items = load ptr, ptr %stack, align 8
  %count.slot = getelementptr i8, ptr %stack, i64 8
  %count = load i64, ptr %count.slot, align 8
  %capacity.slot = getelementptr i8, ptr %stack, i64 16
  %capacity = load i64, ptr %capacity.slot, align 8
  %full = icmp eq i64 %count, %capacity
  br i1 %full, label %grow, label %put

grow:
  %twice = shl i64 %capacity, 1
  %least = or i64 %twice, 8
  %size = shl i64 %least, 4
  %new = call ptr @realloc(ptr %items, i64 %size)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %out, label %grown

grown:
  store ptr %new, ptr %stack, align 8
  store i64 %least, ptr %capacity.slot, align 8
  br label %put

put:
  %current = phi ptr [ %items, %entry ], [ %new, %grown ]
  %fits = call i1 @coenzyme.limit.take(i64 %bytes)
  %counted = select i1 %fits, i64 %bytes, i64 0
  %offset = shl i64 %count, 4
  %slot = getelementptr i8, ptr %current, i64 %offset
  store ptr %item, ptr %slot, align 8
  %counted.slot = getelementptr i8, ptr %slot, i64 8
  store i64 %counted, ptr %counted.slot, align 8
  %more = add i64 %count, 1
  store i64 %more, ptr %count.slot, align 8
  br label %out

out:
  %ok = phi i1 [ %fits, %put ], [ false, %grow ]
  ret i1 %ok
}
"""

LIMITED_RELEASE = """
declare void @coenzyme.limit.give(i64)
{declare}
{free}

define internal void @coenzyme.keep.drop.{release}(ptr %stack) nounwind {{
entry:
  %items = load ptr, ptr %stack, align 8
  %count.slot = getelementptr i8, ptr %stack, i64 8
  %count = load i64, ptr %count.slot, align 8
  %less = sub i64 %count, 1
  store i64 %less, ptr %count.slot, align 8
  %offset = shl i64 %less, 4
  %slot = getelementptr i8, ptr %items, i64 %offset
  %item = load ptr, ptr %slot, align 8
  %counted.slot = getelementptr i8, ptr %slot, i64 8
  %counted = load i64, ptr %counted.slot, align 8
  call void @coenzyme.limit.give(i64 %counted)
  call void @{release}(ptr %item)
  ret void
}}

define internal void @coenzyme.keep.release.{release}(ptr %stack) noinline nounwind {{
entry:
  %items = load ptr, ptr %stack, align 8
  %count.slot = getelementptr i8, ptr %stack, i64 8
  %count = load i64, ptr %count.slot, align 8
  br label %head

head:
  %left = phi i64 [ %count, %entry ], [ %less, %body ]
  %none = icmp eq i64 %left, 0
  br i1 %none, label %out, label %body

body:
  %less = sub i64 %left, 1
  %offset = shl i64 %less, 4
  %slot = getelementptr i8, ptr %items, i64 %offset
  %item = load ptr, ptr %slot, align 8
  %counted.slot = getelementptr i8, ptr %slot, i64 8
  %counted = load i64, ptr %counted.slot, align 8
  call void @coenzyme.limit.give(i64 %counted)
  call void @{release}(ptr %item)
  br label %head

out:
  call void @free(ptr %items)
  ret void
}}
"""


def limited_tape(limit: int) -> str:
    """Return the tape of pooled chunks of which at most `limit` bytes may be in use."""
    tape = pooled_tape(_HEADER)
    tape = tape.replace("call ptr @coenzyme.tape.grow(", "call ptr @coenzyme.limit.grow(")
    tape = tape.replace("call void @coenzyme.pool.put(", "call void @coenzyme.limit.put(")
    numbers = {"limit": limit, "header": _HEADER, "counted": HEADER, "most": MOST_BYTES, "smallest": SMALLEST}
    return tape + (_LIMIT + _GROW).format(**numbers) + LIMITED_KEEP
