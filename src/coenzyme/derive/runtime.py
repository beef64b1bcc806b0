"""The few functions that derivatives call: tape and kept memory, records of calls, block adjoints.

A stack of *records*, those of calls whose reverse sweep is still to come, is linked through the records
themselves, so that keeping one cannot fail. How tapes lie in memory: :mod:`coenzyme.derive.tape_text`.
"""

from __future__ import annotations

from enum import Enum, auto

from coenzyme.derive.adopted import adopt
from coenzyme.derive.limit_text import LIMITED_RELEASE, limited_tape
from coenzyme.derive.tape_text import PLAIN_KEEP, PLAIN_TAPE, POOLED_KEEP, POOLED_TAPE
from coenzyme.ir.instructions import Function, Module
from coenzyme.ir.types import I64, PTR, FloatType, StructType, Type

__all__ = [
    "DESTROY",
    "GROW",
    "KEEP_STACK",
    "RECORD_HEADER",
    "STACK",
    "TapeMemory",
    "block_name",
    "field_function",
    "require",
]


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
  store {type} zeroinitializer, ptr %from, align {size}
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
  store {type} zeroinitializer, ptr %i.from, align {size}
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
  store {type} zeroinitializer, ptr %j.from, align {size}
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

_STRIDED = """
define internal void @coenzyme.strided.{name}(ptr %to, i64 %by, ptr %from, i64 %per, i64 %n) alwaysinline {{
entry:
  %count = udiv i64 %n, {size}
  %none = icmp eq i64 %count, 0
  br i1 %none, label %out, label %body

body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %from.index = mul i64 %i, %per
  %cell = getelementptr {type}, ptr %from, i64 %from.index
  %to.index = mul i64 %i, %by
  %place = getelementptr {type}, ptr %to, i64 %to.index
  %value = load {type}, ptr %cell, align {size}
  store {type} %value, ptr %place, align {size}
  %next = add nuw nsw i64 %i, 1
  %done = icmp eq i64 %next, %count
  br i1 %done, label %out, label %body

out:
  ret void
}}
"""
"""Copies every so-manieth element."""


_FIELDS = """
define internal void @coenzyme.fields.{kind}.{type}(ptr %target, ptr %source, i64 %n, i64 %step) nounwind {{
entry:
  %count = udiv i64 %n, %step
  %none = icmp eq i64 %count, 0
  br i1 %none, label %out, label %which

which:
  %last = sub i64 %count, 1
  %before = icmp ult ptr %target, %source
  br label %body

body:
  %i = phi i64 [ 0, %which ], [ %next, %body ]
  %mirrored = sub i64 %last, %i
  %k = select i1 %before, i64 {first}, i64 {second}
  %offset = mul i64 %k, %step
  %to = getelementptr i8, ptr %target, i64 %offset
  %from = getelementptr i8, ptr %source, i64 %offset
{body}
  %next = add nuw nsw i64 %i, 1
  %done = icmp eq i64 %next, %count
  br i1 %done, label %out, label %body

out:
  ret void
}}
"""
"""Does something to a field of each of several records, in the order in which overlapping ones allow it."""

_FIELD_BODIES = {
    "copy": """  %value = load {type}, ptr %from, align 1
  store {type} %value, ptr %to, align 1""",
    "clear": "  store {type} zeroinitializer, ptr %to, align 1",
    "adjoint": """  %bar = load {type}, ptr %to, align 1
  store {type} zeroinitializer, ptr %to, align 1
  %old = load {type}, ptr %from, align 1
  %sum = fadd {type} %old, %bar
  store {type} %sum, ptr %from, align 1""",
}


def field_function(kind: str, type: Type) -> str:
    """Return the name of the function that copies, clears or takes back a field of records."""
    return f"coenzyme.fields.{kind}.{type}"


def _field_text(name: str) -> str:
    kind, type = name.split(".")[2:]
    # A copy upwards in memory begins at the end; its adjoint undoes the last step first.
    first, second = ("%mirrored", "%i") if kind == "adjoint" else ("%i", "%mirrored")
    body = _FIELD_BODIES[kind].format(type=type)
    return _FIELDS.format(kind=kind, type=type, first=first, second=second, body=body)


def block_name(kind: str, type: FloatType) -> str:
    """Return the name of the function that takes a block transfer of `type` back."""
    return f"coenzyme.adjoint.{kind}.{type}"


def require(
    module: Module, name: str, memory: TapeMemory = TapeMemory.POOLED, limit: int | None = None
) -> Function:
    """Return the run-time function called `name`, adding what it needs to `module`."""
    pooled = memory is TapeMemory.POOLED
    if name not in module.functions:
        if name.startswith("coenzyme.adjoint."):
            type = name.rsplit(".", 1)[1]
            text = _BLOCKS.format(name=type, type=type, size=FloatType(type).size)
        elif name.startswith("coenzyme.fields."):
            text = _field_text(name)
        elif name.startswith("coenzyme.strided."):
            type = name.rsplit(".", 1)[1]
            text = _STRIDED.format(name=type, type=type, size=FloatType(type).size)
        elif name.startswith(("coenzyme.keep.drop.", "coenzyme.keep.release.")):
            release = name.split(".", 3)[3]
            free = "" if release == "free" else "declare void @free(ptr)"
            declare = "" if release == DESTROY else f"declare void @{release}(ptr)"
            if release == DESTROY:
                free = f"{free}\n{_DESTROY}"
            form = PLAIN_KEEP if not pooled else POOLED_KEEP if limit is None else LIMITED_RELEASE
            if form is LIMITED_RELEASE:
                require(module, "coenzyme.limit.give", memory, limit)
            text = form.format(release=release, free=free, declare=declare)
        elif name == GROW:
            text = _GROW
        elif name.startswith("coenzyme.records.release."):
            text = _RELEASE_RECORDS.format(discard=name.split(".", 3)[3])
        elif name.startswith("coenzyme.records."):
            text = _RECORDS
        else:
            text = PLAIN_TAPE if not pooled else POOLED_TAPE if limit is None else limited_tape(limit)
        adopt(module, text)
    return module.functions[name]
