"""Copies of shadows that chunks of a reverse sweep have to themselves, as LLVM text.

They are made by ``coenzyme.private.zeros`` or ``coenzyme.private.copies``, one for each chunk but the first,
which works on the shadow itself. A task of the form that :mod:`coenzyme.derive.launch_text` describes brings
them together again: number by number, the chunks in order, each part of the array by itself.
"""

from __future__ import annotations

from enum import Enum, auto

from coenzyme.derive.launch_text import TASK_PARAMETERS

__all__ = ["PRIVATE", "Sharing", "float_size", "sharing_text", "task_symbol"]

_WORDS = {"double": ("i64", 8), "float": ("i32", 4)}


class Sharing(Enum):
    """What the chunks of a reverse sweep do with the shadow of an array."""

    IN_PLACE = auto()
    SUM = auto()
    JOIN = auto()


def float_size(element: str) -> int:
    """Return the bytes of a number."""
    return _WORDS[element][1]


def sharing_text(kind: Sharing, element: str) -> str:
    """Return the functions that make private copies, and the task that brings them together again."""
    word, size = _WORDS[element]
    if kind is Sharing.SUM:
        change = f"""
  %changed = fcmp une {element} %own, 0.0
  br i1 %changed, label %change, label %following

change:
  %sum = fadd {element} %old, %own
  br label %put"""
        origin, incoming = "%before", "[ %sum, %change ]"
    else:
        change = f"""
  %base.at = getelementptr {element}, ptr %copies, i64 %e
  %base = load {element}, ptr %base.at, align {size}
  %own.bits = bitcast {element} %own to {word}
  %base.bits = bitcast {element} %base to {word}
  %old.bits = bitcast {element} %old to {word}
  %same = icmp eq {word} %own.bits, %base.bits
  br i1 %same, label %following, label %change

change:
  %first.one = icmp eq {word} %old.bits, %base.bits
  br i1 %first.one, label %put, label %add

add:
  %difference = fsub {element} %own, %base
  %sum = fadd {element} %old, %difference
  br label %put"""
        origin, incoming = "%c", "[ %sum, %add ], [ %own, %change ]"
    return f"""
define internal void @"{task_symbol(kind, element)}"({TASK_PARAMETERS}) nounwind {{
entry:
  %shadow = load ptr, ptr %frame, align 8
  %copies.at = getelementptr i8, ptr %frame, i64 8
  %copies = load ptr, ptr %copies.at, align 8
  %elements.at = getelementptr i8, ptr %frame, i64 16
  %elements = load i64, ptr %elements.at, align 8
  %stride.at = getelementptr i8, ptr %frame, i64 24
  %stride = load i64, ptr %stride.at, align 8
  %chunks.at = getelementptr i8, ptr %frame, i64 32
  %chunks = load i64, ptr %chunks.at, align 8
  %first.pointer = load ptr, ptr %first.at, align 8
  %first = ptrtoint ptr %first.pointer to i64
  %count = load i64, ptr %count.at, align 8
  %end = add i64 %first, %count
  %share = udiv i64 %elements, %chunks
  %low = mul i64 %share, %first
  %high.inner = mul i64 %share, %end
  %last = icmp eq i64 %end, %chunks
  %high = select i1 %last, i64 %elements, i64 %high.inner
  %none = icmp uge i64 %low, %high
  br i1 %none, label %out, label %copy

copy:
  %c = phi i64 [ 1, %entry ], [ %c.next, %copied ]
  %over = icmp uge i64 %c, %chunks
  br i1 %over, label %out, label %start

start:
  %before = sub i64 %c, 1
  %offset = mul i64 {origin}, %stride
  %copy.at = getelementptr i8, ptr %copies, i64 %offset
  br label %element

element:
  %e = phi i64 [ %low, %start ], [ %e.next, %following ]
  %own.at = getelementptr {element}, ptr %copy.at, i64 %e
  %own = load {element}, ptr %own.at, align {size}
  %old.at = getelementptr {element}, ptr %shadow, i64 %e
  %old = load {element}, ptr %old.at, align {size}{change}

put:
  %new = phi {element} {incoming}
  store {element} %new, ptr %old.at, align {size}
  br label %following

following:
  %e.next = add i64 %e, 1
  %finished = icmp eq i64 %e.next, %high
  br i1 %finished, label %copied, label %element

copied:
  %c.next = add i64 %c, 1
  br label %copy

out:
  ret void
}}
"""


PRIVATE = f"""
declare void @coenzyme.launch(ptr, ptr, i64, i1)
declare ptr @calloc(i64, i64)
declare ptr @malloc(i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal ptr @coenzyme.private.zeros(ptr %from, i64 %bytes, i64 %step, i64 %n, i1 %wanted) nounwind {{
entry:
  br i1 %wanted, label %take, label %out

take:
  %others = sub i64 %n, 1
  %new = call ptr @calloc(i64 %others, i64 %step)
  br label %out

out:
  %result = phi ptr [ null, %entry ], [ %new, %take ]
  ret ptr %result
}}

define internal ptr @coenzyme.private.copies(ptr %from, i64 %bytes, i64 %step, i64 %n, i1 %wanted) nounwind {{
entry:
  br i1 %wanted, label %take, label %out

take:
  %size = mul i64 %n, %step
  %new = call ptr @malloc(i64 %size)
  %none = icmp eq ptr %new, null
  br i1 %none, label %out, label %fill

fill:
  %frame = alloca [4 x i64], align 8
  %bytes.at = getelementptr i64, ptr %frame, i64 1
  %step.at = getelementptr i64, ptr %frame, i64 2
  %new.at = getelementptr i64, ptr %frame, i64 3
  store ptr %from, ptr %frame, align 8
  store i64 %bytes, ptr %bytes.at, align 8
  store i64 %step, ptr %step.at, align 8
  store ptr %new, ptr %new.at, align 8
  %many = icmp ugt i64 %bytes, 65536
  call void @coenzyme.launch(ptr @coenzyme.private.copy, ptr %frame, i64 %n, i1 %many)
  br label %out

out:
  %result = phi ptr [ null, %entry ], [ null, %take ], [ %new, %fill ]
  ret ptr %result
}}

; The task that fills copies: each chunk its own, the first one the copy that stays as it is.
define internal void @coenzyme.private.copy({TASK_PARAMETERS}) nounwind {{
entry:
  %from = load ptr, ptr %frame, align 8
  %bytes.at = getelementptr i64, ptr %frame, i64 1
  %bytes = load i64, ptr %bytes.at, align 8
  %step.at = getelementptr i64, ptr %frame, i64 2
  %step = load i64, ptr %step.at, align 8
  %new.at = getelementptr i64, ptr %frame, i64 3
  %new = load ptr, ptr %new.at, align 8
  %first.pointer = load ptr, ptr %first.at, align 8
  %first = ptrtoint ptr %first.pointer to i64
  %count = load i64, ptr %count.at, align 8
  %end = add i64 %first, %count
  br label %head

head:
  %c = phi i64 [ %first, %entry ], [ %next, %body ]
  %more = icmp ult i64 %c, %end
  br i1 %more, label %body, label %out

body:
  %offset = mul i64 %c, %step
  %target = getelementptr i8, ptr %new, i64 %offset
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %from, i64 %bytes, i1 false)
  %next = add i64 %c, 1
  br label %head

out:
  ret void
}}
"""


def task_symbol(kind: Sharing, element: str) -> str:
    """Return the symbol of the task that brings copies of a shadow together."""
    return f"coenzyme.private.{kind.name.lower()}.{element}"
