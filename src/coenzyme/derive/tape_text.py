"""The memory of a tape, as LLVM text: frames, and blocks that must outlive the forward sweep.

A tape stack is ``{ptr top, ptr end, ptr chunk}``. A chunk starts with what is needed to go back to the one
before it: ``{ptr chunk, ptr top, ptr end, i64 size}``. A frame never straddles two chunks. A *keep* stack
``{ptr items, i64 count, i64 capacity}`` holds the reference-counted blocks that must outlive the forward
sweep. Everything that takes the address of a stack is inlined, so that stacks live in registers.

The plain forms of both are linked blocks, one for each frame or item, which can be differentiated again.
"""

from __future__ import annotations

__all__ = [
    "HEADER",
    "MOST_BYTES",
    "PLAIN_KEEP",
    "PLAIN_TAPE",
    "POOLED_KEEP",
    "POOLED_TAPE",
    "SMALLEST",
    "pooled_tape",
]

HEADER = 32
SMALLEST = 1 << 16
MOST_BYTES = 1 << 62
POOL_SLOTS = 16
POOL_LARGEST = 1 << 26
"""Chunks of at most this many bytes stay warm between calls, one in each slot."""


def pooled_tape(header: int = HEADER) -> str:
    """Return the tape of pooled chunks that start with so many bytes for what is needed to give them back."""
    return f"""
@coenzyme.pool = internal global [{POOL_SLOTS} x ptr] zeroinitializer, align 8

declare ptr @malloc(i64)
declare ptr @realloc(ptr, i64)
declare void @free(ptr)

define internal ptr @coenzyme.tape.push(ptr %stack, i64 %bytes) alwaysinline nounwind {{
entry:
  %top = load ptr, ptr %stack, align 8
  %end.slot = getelementptr i8, ptr %stack, i64 8
  %end = load ptr, ptr %end.slot, align 8
  %a = ptrtoint ptr %top to i64
  %b = ptrtoint ptr %end to i64
  %room = sub i64 %b, %a
  %fits = icmp ule i64 %bytes, %room
  br i1 %fits, label %fast, label %slow

slow:
  %chunk.slot = getelementptr i8, ptr %stack, i64 16
  %chunk = load ptr, ptr %chunk.slot, align 8
  %new = call ptr @coenzyme.tape.grow(ptr %chunk, ptr %top, ptr %end, i64 %bytes)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %out, label %grown

grown:
  %size.slot = getelementptr i8, ptr %new, i64 24
  %size = load i64, ptr %size.slot, align 8
  %first = getelementptr i8, ptr %new, i64 {header}
  %new.end = getelementptr i8, ptr %new, i64 %size
  store ptr %new.end, ptr %end.slot, align 8
  store ptr %new, ptr %chunk.slot, align 8
  br label %fast

fast:
  %base = phi ptr [ %top, %entry ], [ %first, %grown ]
  %above = getelementptr i8, ptr %base, i64 %bytes
  store ptr %above, ptr %stack, align 8
  ; No bytes of an empty stack are no failure.
  %nothing = icmp eq ptr %base, null
  %given = select i1 %nothing, ptr inttoptr (i64 8 to ptr), ptr %base
  br label %out

out:
  %result = phi ptr [ %given, %fast ], [ null, %slow ]
  ret ptr %result
}}

define internal noalias ptr @coenzyme.tape.grow(ptr %chunk, ptr %top, ptr %end, i64 %bytes) noinline {{
entry:
  %absurd = icmp ugt i64 %bytes, {MOST_BYTES}
  br i1 %absurd, label %done, label %possible

possible:
  %none = icmp eq ptr %chunk, null
  br i1 %none, label %sized, label %older

older:
  %old.slot = getelementptr i8, ptr %chunk, i64 24
  %old = load i64, ptr %old.slot, align 8
  %twice = shl i64 %old, 1
  br label %sized

sized:
  %least = phi i64 [ {SMALLEST}, %possible ], [ %twice, %older ]
  %needed = add i64 %bytes, {header}
  %more = icmp ugt i64 %needed, %least
  %size = select i1 %more, i64 %needed, i64 %least
  %new = call ptr @coenzyme.pool.take(i64 %size)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %done, label %fill

fill:
  store ptr %chunk, ptr %new, align 8
  %top.slot = getelementptr i8, ptr %new, i64 8
  store ptr %top, ptr %top.slot, align 8
  %end.slot = getelementptr i8, ptr %new, i64 16
  store ptr %end, ptr %end.slot, align 8
  br label %done

done:
  %granted = phi ptr [ null, %entry ], [ %new, %sized ], [ %new, %fill ]
  ret ptr %granted
}}

define internal noalias ptr @coenzyme.pool.take(i64 %needed) noinline nounwind {{
entry:
  br label %head

head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %slot = getelementptr ptr, ptr @coenzyme.pool, i64 %i
  ; Another thread may come in between; but an exchange costs as much as many looks.
  %seen = load atomic ptr, ptr %slot monotonic, align 8
  %bare = icmp eq ptr %seen, null
  br i1 %bare, label %next, label %claim

claim:
  %found = atomicrmw xchg ptr %slot, ptr null acq_rel, align 8
  %empty = icmp eq ptr %found, null
  br i1 %empty, label %next, label %look

look:
  %size.slot = getelementptr i8, ptr %found, i64 24
  %size = load i64, ptr %size.slot, align 8
  %enough = icmp uge i64 %size, %needed
  br i1 %enough, label %done, label %back

back:
  %displaced = atomicrmw xchg ptr %slot, ptr %found acq_rel, align 8
  call void @free(ptr %displaced)
  br label %next

next:
  %i.next = add nuw nsw i64 %i, 1
  %last = icmp eq i64 %i.next, {POOL_SLOTS}
  br i1 %last, label %fresh, label %head

fresh:
  %new = call ptr @malloc(i64 %needed)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %done, label %label

label:
  %new.size.slot = getelementptr i8, ptr %new, i64 24
  store i64 %needed, ptr %new.size.slot, align 8
  br label %done

done:
  %result = phi ptr [ %found, %look ], [ %new, %label ], [ null, %fresh ]
  ret ptr %result
}}

define internal void @coenzyme.pool.put(ptr %chunk) noinline nounwind {{
entry:
  %size.slot = getelementptr i8, ptr %chunk, i64 24
  %size = load i64, ptr %size.slot, align 8
  %large = icmp ugt i64 %size, {POOL_LARGEST}
  br i1 %large, label %drop, label %head

head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %slot = getelementptr ptr, ptr @coenzyme.pool, i64 %i
  %seen = load atomic ptr, ptr %slot monotonic, align 8
  %bare = icmp eq ptr %seen, null
  br i1 %bare, label %claim, label %next

claim:
  %pair = cmpxchg ptr %slot, ptr null, ptr %chunk acq_rel monotonic, align 8
  %stored = extractvalue {{ ptr, i1 }} %pair, 1
  br i1 %stored, label %out, label %next

next:
  %i.next = add nuw nsw i64 %i, 1
  %last = icmp eq i64 %i.next, {POOL_SLOTS}
  br i1 %last, label %drop, label %head

drop:
  call void @free(ptr %chunk)
  br label %out

out:
  ret void
}}

define internal ptr @coenzyme.tape.pop(ptr %stack, i64 %bytes) alwaysinline nounwind {{
entry:
  %top = load ptr, ptr %stack, align 8
  %less = sub i64 0, %bytes
  %base = getelementptr i8, ptr %top, i64 %less
  store ptr %base, ptr %stack, align 8
  ret ptr %base
}}

define internal ptr @coenzyme.tape.peek(ptr %stack, i64 %bytes) alwaysinline nounwind {{
entry:
  %top = load ptr, ptr %stack, align 8
  %less = sub i64 0, %bytes
  %base = getelementptr i8, ptr %top, i64 %less
  ret ptr %base
}}

define internal void @coenzyme.tape.trim(ptr %stack) alwaysinline nounwind {{
entry:
  %top = load ptr, ptr %stack, align 8
  %chunk.slot = getelementptr i8, ptr %stack, i64 16
  %chunk = load ptr, ptr %chunk.slot, align 8
  %none = icmp eq ptr %chunk, null
  br i1 %none, label %out, label %check

check:
  %first = getelementptr i8, ptr %chunk, i64 {header}
  %empty = icmp eq ptr %top, %first
  br i1 %empty, label %drop, label %out

drop:
  %end.slot = getelementptr i8, ptr %stack, i64 8
  %old.chunk = load ptr, ptr %chunk, align 8
  %old.top.slot = getelementptr i8, ptr %chunk, i64 8
  %old.top = load ptr, ptr %old.top.slot, align 8
  %old.end.slot = getelementptr i8, ptr %chunk, i64 16
  %old.end = load ptr, ptr %old.end.slot, align 8
  call void @coenzyme.pool.put(ptr %chunk)
  store ptr %old.top, ptr %stack, align 8
  store ptr %old.end, ptr %end.slot, align 8
  store ptr %old.chunk, ptr %chunk.slot, align 8
  br label %out

out:
  ret void
}}

define internal void @coenzyme.tape.release(ptr %stack) alwaysinline nounwind {{
entry:
  %chunk.slot = getelementptr i8, ptr %stack, i64 16
  %chunk = load ptr, ptr %chunk.slot, align 8
  call void @coenzyme.tape.free_chunks(ptr %chunk)
  ret void
}}

define internal void @coenzyme.tape.free_chunks(ptr %chunk) noinline nounwind cold {{
entry:
  br label %head

head:
  %current = phi ptr [ %chunk, %entry ], [ %next, %body ]
  %none = icmp eq ptr %current, null
  br i1 %none, label %out, label %body

body:
  %next = load ptr, ptr %current, align 8
  call void @coenzyme.pool.put(ptr %current)
  br label %head

out:
  ret void
}}

define internal i1 @coenzyme.keep.push(ptr %stack, ptr %item) alwaysinline nounwind {{
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
  %bytes = shl i64 %least, 3
  %new = call ptr @realloc(ptr %items, i64 %bytes)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %out, label %grown

grown:
  store ptr %new, ptr %stack, align 8
  store i64 %least, ptr %capacity.slot, align 8
  br label %put

put:
  %current = phi ptr [ %items, %entry ], [ %new, %grown ]
  %slot = getelementptr ptr, ptr %current, i64 %count
  store ptr %item, ptr %slot, align 8
  %more = add i64 %count, 1
  store i64 %more, ptr %count.slot, align 8
  br label %out

out:
  %ok = phi i1 [ true, %put ], [ false, %grow ]
  ret i1 %ok
}}
"""


POOLED_TAPE = pooled_tape()

POOLED_KEEP = """
{declare}
{free}
define internal void @coenzyme.keep.drop.{release}(ptr %stack) alwaysinline nounwind {{
entry:
  %items = load ptr, ptr %stack, align 8
  %count.slot = getelementptr i8, ptr %stack, i64 8
  %count = load i64, ptr %count.slot, align 8
  %less = sub i64 %count, 1
  store i64 %less, ptr %count.slot, align 8
  %slot = getelementptr ptr, ptr %items, i64 %less
  %item = load ptr, ptr %slot, align 8
  call void @{release}(ptr %item)
  ret void
}}

define internal void @coenzyme.keep.release.{release}(ptr %stack) alwaysinline nounwind {{
entry:
  %items = load ptr, ptr %stack, align 8
  %count.slot = getelementptr i8, ptr %stack, i64 8
  %count = load i64, ptr %count.slot, align 8
  call void @coenzyme.keep.free.{release}(ptr %items, i64 %count)
  ret void
}}

define internal void @coenzyme.keep.free.{release}(ptr %items, i64 %count) noinline nounwind {{
entry:
  br label %head

head:
  %left = phi i64 [ %count, %entry ], [ %less, %body ]
  %none = icmp eq i64 %left, 0
  br i1 %none, label %out, label %body

body:
  %less = sub i64 %left, 1
  %slot = getelementptr ptr, ptr %items, i64 %less
  %item = load ptr, ptr %slot, align 8
  call void @{release}(ptr %item)
  br label %head

out:
  call void @free(ptr %items)
  ret void
}}
"""

PLAIN_TAPE = """
declare ptr @malloc(i64)
declare void @free(ptr)

define internal ptr @coenzyme.tape.push(ptr %stack, i64 %bytes) alwaysinline nounwind {
entry:
  %sum = add i64 %bytes, 8
  %absurd = icmp ugt i64 %bytes, 4611686018427387904
  %size = select i1 %absurd, i64 4611686018427387904, i64 %sum
  %new = call ptr @malloc(i64 %size)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %out, label %link

link:
  %below = load ptr, ptr %stack, align 8
  store ptr %below, ptr %new, align 8
  store ptr %new, ptr %stack, align 8
  %base = getelementptr i8, ptr %new, i64 8
  br label %out

out:
  %result = phi ptr [ %base, %link ], [ null, %entry ]
  ret ptr %result
}

define internal ptr @coenzyme.tape.pop(ptr %stack, i64 %bytes) alwaysinline nounwind {
entry:
  %top = load ptr, ptr %stack, align 8
  %base = getelementptr i8, ptr %top, i64 8
  ret ptr %base
}

define internal ptr @coenzyme.tape.peek(ptr %stack, i64 %bytes) alwaysinline nounwind {
entry:
  %top = load ptr, ptr %stack, align 8
  %base = getelementptr i8, ptr %top, i64 8
  ret ptr %base
}

define internal void @coenzyme.tape.trim(ptr %stack) alwaysinline nounwind {
entry:
  %top = load ptr, ptr %stack, align 8
  %below = load ptr, ptr %top, align 8
  store ptr %below, ptr %stack, align 8
  call void @free(ptr %top)
  ret void
}

define internal void @coenzyme.tape.release(ptr %stack) alwaysinline nounwind {
entry:
  %top = load ptr, ptr %stack, align 8
  br label %head

head:
  %current = phi ptr [ %top, %entry ], [ %below, %body ]
  %none = icmp eq ptr %current, null
  br i1 %none, label %out, label %body

body:
  %below = load ptr, ptr %current, align 8
  call void @free(ptr %current)
  br label %head

out:
  ret void
}

define internal i1 @coenzyme.keep.push(ptr %stack, ptr %item) alwaysinline nounwind {
entry:
  %new = call ptr @malloc(i64 16)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %out, label %link

link:
  %below = load ptr, ptr %stack, align 8
  store ptr %below, ptr %new, align 8
  %slot = getelementptr i8, ptr %new, i64 8
  store ptr %item, ptr %slot, align 8
  store ptr %new, ptr %stack, align 8
  br label %out

out:
  %ok = phi i1 [ true, %link ], [ false, %entry ]
  ret i1 %ok
}
"""

PLAIN_KEEP = """
{declare}
{free}

define internal void @coenzyme.keep.drop.{release}(ptr %stack) alwaysinline nounwind {{
entry:
  %top = load ptr, ptr %stack, align 8
  %below = load ptr, ptr %top, align 8
  %slot = getelementptr i8, ptr %top, i64 8
  %item = load ptr, ptr %slot, align 8
  store ptr %below, ptr %stack, align 8
  call void @free(ptr %top)
  call void @{release}(ptr %item)
  ret void
}}

define internal void @coenzyme.keep.release.{release}(ptr %stack) alwaysinline nounwind {{
entry:
  %top = load ptr, ptr %stack, align 8
  br label %head

head:
  %current = phi ptr [ %top, %entry ], [ %below, %body ]
  %none = icmp eq ptr %current, null
  br i1 %none, label %out, label %body

body:
  %below = load ptr, ptr %current, align 8
  %slot = getelementptr i8, ptr %current, i64 8
  %item = load ptr, ptr %slot, align 8
  call void @free(ptr %current)
  call void @{release}(ptr %item)
  br label %head

out:
  ret void
}}
"""
