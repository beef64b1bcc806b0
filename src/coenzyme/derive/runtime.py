"""The few functions that derivatives call: tape chunks, kept memory, block adjoints. LLVM text.

A tape stack is ``{ptr top, ptr end, ptr chunk}``. A chunk starts with what is needed to go back to the one
before it: ``{ptr chunk, ptr top, ptr end, i64 size}``. A frame never straddles two chunks. A *keep* stack
``{ptr items, i64 count, i64 capacity}`` holds the reference-counted blocks that must outlive the forward
sweep. A stack of *records*, those of calls whose
reverse sweep is still to come, is linked through the records themselves, so that keeping one cannot fail.
Everything that takes the address of a stack is inlined, so that stacks live in registers.
"""

from __future__ import annotations

from enum import Enum, auto

from coenzyme.ir.instructions import Function, Module
from coenzyme.ir.parser import parse_module
from coenzyme.ir.types import I64, PTR, FloatType, StructType

__all__ = ["DESTROY", "GROW", "KEEP_STACK", "RECORD_HEADER", "STACK", "TapeMemory", "adopt", "require"]


GROW = "coenzyme.grow"
"""Gives the payload of a counted block another size, but never a smaller one, and clears what it adds."""
DESTROY = "coenzyme.destroy"
"""Frees a counted block whatever its count."""


class TapeMemory(Enum):
    """Where the tape's memory comes from."""

    POOLED = auto()
    """Chunks that stay warm between calls: fast, and opaque to a second differentiation."""
    PLAIN = auto()
    """One block for each frame, linked: slower, and made of nothing but what the engine can differentiate."""


STACK = StructType((PTR, PTR, PTR))
KEEP_STACK = StructType((PTR, I64, I64))
RECORD_HEADER = 16
"""A record starts with the number of the return that was taken, and the record below it on its stack."""

HEADER = 32
SMALLEST = 1 << 16
MOST_BYTES = 1 << 62
POOL_SLOTS = 16
POOL_LARGEST = 1 << 26
"""Chunks of at most this many bytes stay warm between calls, one in each slot."""

_TEXT = f"""
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
  %first = getelementptr i8, ptr %new, i64 {HEADER}
  %new.end = getelementptr i8, ptr %new, i64 %size
  store ptr %new.end, ptr %end.slot, align 8
  store ptr %new, ptr %chunk.slot, align 8
  br label %fast

fast:
  %base = phi ptr [ %top, %entry ], [ %first, %grown ]
  %above = getelementptr i8, ptr %base, i64 %bytes
  store ptr %above, ptr %stack, align 8
  br label %out

out:
  %result = phi ptr [ %base, %fast ], [ null, %slow ]
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
  %needed = add i64 %bytes, {HEADER}
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

define internal void @coenzyme.tape.trim(ptr %stack) alwaysinline nounwind {{
entry:
  %top = load ptr, ptr %stack, align 8
  %chunk.slot = getelementptr i8, ptr %stack, i64 16
  %chunk = load ptr, ptr %chunk.slot, align 8
  %none = icmp eq ptr %chunk, null
  br i1 %none, label %out, label %check

check:
  %first = getelementptr i8, ptr %chunk, i64 {HEADER}
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

_KEEP = """
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

_PLAIN = """
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

_PLAIN_KEEP = """
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

_GROW = """
declare ptr @NRT_MemInfo_varsize_realloc(ptr, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

; A counted block: {count, destructor, its argument, payload, size, allocator}.
define internal ptr @coenzyme.grow(ptr %block, i64 %size) nounwind {
entry:
  %payload.slot = getelementptr i8, ptr %block, i64 24
  %size.slot = getelementptr i8, ptr %block, i64 32
  %old = load i64, ptr %size.slot, align 8
  %enough = icmp ule i64 %size, %old
  br i1 %enough, label %stay, label %grow

stay:
  %payload = load ptr, ptr %payload.slot, align 8
  ret ptr %payload

grow:
  %new = call ptr @NRT_MemInfo_varsize_realloc(ptr %block, i64 %size)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %out, label %clear

clear:
  %added = sub i64 %size, %old
  %tail = getelementptr i8, ptr %new, i64 %old
  call void @llvm.memset.p0.i64(ptr %tail, i8 0, i64 %added, i1 false)
  br label %out

out:
  ret ptr %new
}
"""

_RECORDS = """
define internal void @coenzyme.records.push(ptr %stack, ptr %record) alwaysinline nounwind {
entry:
  %none = icmp eq ptr %record, null
  br i1 %none, label %out, label %link

link:
  %below = load ptr, ptr %stack, align 8
  %slot = getelementptr i8, ptr %record, i64 8
  store ptr %below, ptr %slot, align 8
  store ptr %record, ptr %stack, align 8
  br label %out

out:
  ret void
}

define internal ptr @coenzyme.records.pop(ptr %stack) alwaysinline nounwind {
entry:
  %record = load ptr, ptr %stack, align 8
  %slot = getelementptr i8, ptr %record, i64 8
  %below = load ptr, ptr %slot, align 8
  store ptr %below, ptr %stack, align 8
  ret ptr %record
}
"""

_RELEASE_RECORDS = """
declare void @"{discard}"(ptr)

define internal void @"coenzyme.records.release.{discard}"(ptr %stack) alwaysinline nounwind {{
entry:
  %top = load ptr, ptr %stack, align 8
  br label %head

head:
  %current = phi ptr [ %top, %entry ], [ %below, %body ]
  %none = icmp eq ptr %current, null
  br i1 %none, label %out, label %body

body:
  %slot = getelementptr i8, ptr %current, i64 8
  %below = load ptr, ptr %slot, align 8
  call void @"{discard}"(ptr %current)
  br label %head

out:
  ret void
}}
"""

_DESTROY = """
declare void @NRT_decref(ptr)

; A counted block starts with its count.
define internal void @coenzyme.destroy(ptr %block) nounwind {
entry:
  store i64 1, ptr %block, align 8
  call void @NRT_decref(ptr %block)
  ret void
}
"""

_BLOCKS = """
define internal void @coenzyme.adjoint.copy.{name}(ptr %target, ptr %source, i64 %bytes) alwaysinline {{
entry:
  %count = udiv i64 %bytes, {size}
  %none = icmp eq i64 %count, 0
  br i1 %none, label %out, label %body

body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %from = getelementptr {type}, ptr %target, i64 %i
  %to = getelementptr {type}, ptr %source, i64 %i
  %bar = load {type}, ptr %from, align {size}
  store {type} 0.0, ptr %from, align {size}
  %old = load {type}, ptr %to, align {size}
  %sum = fadd {type} %old, %bar
  store {type} %sum, ptr %to, align {size}
  %next = add nuw nsw i64 %i, 1
  %done = icmp eq i64 %next, %count
  br i1 %done, label %out, label %body

out:
  ret void
}}

define internal void @coenzyme.adjoint.move.{name}(ptr %target, ptr %source, i64 %bytes) alwaysinline {{
entry:
  %count = udiv i64 %bytes, {size}
  %none = icmp eq i64 %count, 0
  br i1 %none, label %out, label %which

which:
  %up = icmp ugt ptr %source, %target
  br i1 %up, label %up.head, label %down.head

up.head:
  br label %up.body

up.body:
  %i = phi i64 [ %count, %up.head ], [ %i.next, %up.body ]
  %i.next = sub i64 %i, 1
  %i.from = getelementptr {type}, ptr %target, i64 %i.next
  %i.to = getelementptr {type}, ptr %source, i64 %i.next
  %i.bar = load {type}, ptr %i.from, align {size}
  store {type} 0.0, ptr %i.from, align {size}
  %i.old = load {type}, ptr %i.to, align {size}
  %i.sum = fadd {type} %i.old, %i.bar
  store {type} %i.sum, ptr %i.to, align {size}
  %i.done = icmp eq i64 %i.next, 0
  br i1 %i.done, label %out, label %up.body

down.head:
  br label %down.body

down.body:
  %j = phi i64 [ 0, %down.head ], [ %j.next, %down.body ]
  %j.from = getelementptr {type}, ptr %target, i64 %j
  %j.to = getelementptr {type}, ptr %source, i64 %j
  %j.bar = load {type}, ptr %j.from, align {size}
  store {type} 0.0, ptr %j.from, align {size}
  %j.old = load {type}, ptr %j.to, align {size}
  %j.sum = fadd {type} %j.old, %j.bar
  store {type} %j.sum, ptr %j.to, align {size}
  %j.next = add nuw nsw i64 %j, 1
  %j.done = icmp eq i64 %j.next, %count
  br i1 %j.done, label %out, label %down.body

out:
  ret void
}}
"""


def block_name(kind: str, type: FloatType) -> str:
    """Return the name of the function that takes a block transfer of `type` back."""
    return f"coenzyme.adjoint.{kind}.{type}"


def require(module: Module, name: str, memory: TapeMemory = TapeMemory.POOLED) -> Function:
    """Return the run-time function called `name`, adding what it needs to `module`."""
    pooled = memory is TapeMemory.POOLED
    if name not in module.functions:
        if name.startswith("coenzyme.adjoint."):
            type = name.rsplit(".", 1)[1]
            text = _BLOCKS.format(name=type, type=type, size={"double": 8, "float": 4}[type])
        elif name.startswith(("coenzyme.keep.drop.", "coenzyme.keep.release.")):
            release = name.split(".", 3)[3]
            free = "" if release == "free" else "declare void @free(ptr)"
            declare = "" if release == DESTROY else f"declare void @{release}(ptr)"
            if release == DESTROY:
                free = f"{free}\n{_DESTROY}"
            text = (_KEEP if pooled else _PLAIN_KEEP).format(release=release, free=free, declare=declare)
        elif name == GROW:
            text = _GROW
        elif name.startswith("coenzyme.records.release."):
            text = _RELEASE_RECORDS.format(discard=name.split(".", 3)[3])
        elif name.startswith("coenzyme.records."):
            text = _RECORDS
        else:
            text = _TEXT if pooled else _PLAIN
        adopt(module, text)
    return module.functions[name]


def adopt(module: Module, text: str) -> None:
    """Add the functions and variables of LLVM `text` to `module`, but for those it has."""
    added = parse_module(text)
    for function in added.functions.values():
        module.functions.setdefault(function.name, function)
    for variable in added.globals.values():
        module.globals.setdefault(variable.name, variable)
    _rebind(module)


def _rebind(module: Module) -> None:
    """Let calls in added functions go to the module's own functions of the same name."""
    for function in module.functions.values():
        if not function.name.startswith("coenzyme."):
            continue
        for instruction in function.instructions():
            for index, operand in enumerate(instruction.operands):
                if isinstance(operand, Function) and operand is not module.functions.get(
                    operand.name, operand
                ):
                    instruction.set_operand(index, module.functions[operand.name])
