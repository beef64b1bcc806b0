"""The run-time functions of typed containers, as LLVM text.

The layout is that of Numba's C structures (``numba/cext/listobject.h`` and ``dictobject.h``), for containers
come from Python and go back there. A list is ``{size, item size, capacity, i32 mutable, incref, decref,
items}``. A dictionary is ``{length, table}``; the table is ``{slots, usable, entries, key size, value size,
entry size, offset, 5 methods}``, the slots, which hold numbers of entries, and at the offset behind them the
entries ``{hash, key, value}``. The hash of a hole is -1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["container_definitions"]

_SIMPLE_FIELDS = {
    "coenzyme.list.size": ("i64", 0),
    "coenzyme.list.capacity": ("i64", 16),
    "coenzyme.list.mutable": ("i32", 24),
    "coenzyme.list.items": ("ptr", 48),
    "coenzyme.dict.size": ("i64", 0),
}

_READ = """
define internal {type} @{name}(ptr %container) alwaysinline nounwind {{
entry:
  %field = getelementptr i8, ptr %container, i64 {offset}
  %value = load {type}, ptr %field, align 4
  ret {type} %value
}}
"""

_LISTS = """
define internal ptr @coenzyme.list.new(i64 %item.size, i64 %capacity) noinline nounwind {
entry:
  %slot = alloca ptr, align 8
  store ptr null, ptr %slot, align 8
  %status = call i32 @numba_list_new(ptr %slot, i64 %item.size, i64 %capacity)
  %fine = icmp eq i32 %status, 0
  br i1 %fine, label %made, label %failed

made:
  %list = load ptr, ptr %slot, align 8
  %bytes = mul i64 %item.size, %capacity
  %some = icmp sgt i64 %bytes, 0
  br i1 %some, label %clear, label %done

clear:
  %field = getelementptr i8, ptr %list, i64 48
  %items = load ptr, ptr %field, align 8
  call void @llvm.memset.p0.i64(ptr %items, i8 0, i64 %bytes, i1 false)
  br label %done

done:
  ret ptr %list

failed:
  ret ptr null
}

define internal void @coenzyme.list.methods(ptr %list, ptr %incref, ptr %decref) alwaysinline nounwind {
entry:
  %first = getelementptr i8, ptr %list, i64 32
  store ptr %incref, ptr %first, align 8
  %second = getelementptr i8, ptr %list, i64 40
  store ptr %decref, ptr %second, align 8
  ret void
}

define internal void @coenzyme.list.resize(ptr %list, i64 %size) alwaysinline nounwind {
entry:
  store i64 %size, ptr %list, align 8
  ret void
}

define internal void @coenzyme.list.freeze(ptr %list, i32 %mutable) alwaysinline nounwind {
entry:
  %field = getelementptr i8, ptr %list, i64 24
  store i32 %mutable, ptr %field, align 4
  ret void
}

define internal ptr @coenzyme.list.reserve(ptr %list, i64 %size) alwaysinline nounwind {
entry:
  %field = getelementptr i8, ptr %list, i64 16
  %capacity = load i64, ptr %field, align 8
  %enough = icmp sle i64 %size, %capacity
  br i1 %enough, label %stay, label %grow

stay:
  %items.field = getelementptr i8, ptr %list, i64 48
  %items = load ptr, ptr %items.field, align 8
  ret ptr %items

grow:
  %moved = call ptr @coenzyme.list.grow(ptr %list, i64 %size)
  ret ptr %moved
}

define internal ptr @coenzyme.list.grow(ptr %list, i64 %size) noinline nounwind {
entry:
  %item.field = getelementptr i8, ptr %list, i64 8
  %item.size = load i64, ptr %item.field, align 8
  %capacity.field = getelementptr i8, ptr %list, i64 16
  %capacity = load i64, ptr %capacity.field, align 8
  %items.field = getelementptr i8, ptr %list, i64 48
  %items = load ptr, ptr %items.field, align 8
  %half = lshr i64 %size, 1
  %more = add i64 %size, %half
  %wanted = add i64 %more, 4
  %product = call { i64, i1 } @llvm.umul.with.overflow.i64(i64 %wanted, i64 %item.size)
  %bytes = extractvalue { i64, i1 } %product, 0
  %wraps = extractvalue { i64, i1 } %product, 1
  %negative = icmp slt i64 %bytes, 0
  %absurd = or i1 %wraps, %negative
  br i1 %absurd, label %failed, label %ask

ask:
  %one = call i64 @llvm.umax.i64(i64 %bytes, i64 1)
  %new = call ptr @realloc(ptr %items, i64 %one)
  %none = icmp eq ptr %new, null
  br i1 %none, label %failed, label %clear

clear:
  %old = mul i64 %capacity, %item.size
  %added = sub i64 %bytes, %old
  %tail = getelementptr i8, ptr %new, i64 %old
  call void @llvm.memset.p0.i64(ptr %tail, i8 0, i64 %added, i1 false)
  store ptr %new, ptr %items.field, align 8
  store i64 %wanted, ptr %capacity.field, align 8
  ret ptr %new

failed:
  ret ptr null
}
"""

_DICTIONARIES = """
define internal ptr @coenzyme.dict.new(i64 %count, i64 %key.size, i64 %value.size) noinline nounwind {
entry:
  %slot = alloca ptr, align 8
  store ptr null, ptr %slot, align 8
  %status = call i32 @numba_dict_new_sized(ptr %slot, i64 %count, i64 %key.size, i64 %value.size)
  %fine = icmp eq i32 %status, 0
  %made = load ptr, ptr %slot, align 8
  %dict = select i1 %fine, ptr %made, ptr null
  ret ptr %dict
}

define internal ptr @coenzyme.dict.table(ptr %dict) alwaysinline nounwind {
entry:
  %field = getelementptr i8, ptr %dict, i64 8
  %table = load ptr, ptr %field, align 8
  ret ptr %table
}

define internal ptr @coenzyme.dict.entries(ptr %dict) alwaysinline nounwind {
entry:
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %first = call ptr @coenzyme.dict.first(ptr %table)
  ret ptr %first
}

define internal ptr @coenzyme.dict.first(ptr %table) alwaysinline nounwind {
entry:
  %field = getelementptr i8, ptr %table, i64 48
  %offset = load i64, ptr %field, align 8
  %slots = getelementptr i8, ptr %table, i64 96
  %first = getelementptr i8, ptr %slots, i64 %offset
  ret ptr %first
}

define internal ptr @coenzyme.dict.entry(ptr %dict, i64 %index) alwaysinline nounwind {
entry:
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %first = call ptr @coenzyme.dict.first(ptr %table)
  %field = getelementptr i8, ptr %table, i64 40
  %size = load i64, ptr %field, align 8
  %offset = mul i64 %index, %size
  %entry.address = getelementptr i8, ptr %first, i64 %offset
  ret ptr %entry.address
}

define internal i64 @coenzyme.dict.hash(ptr %dict, i64 %index) alwaysinline nounwind {
entry:
  %at = call ptr @coenzyme.dict.entry(ptr %dict, i64 %index)
  %hash = load i64, ptr %at, align 8
  ret i64 %hash
}

define internal void @coenzyme.dict.key(ptr %dict, i64 %index, ptr %out) alwaysinline nounwind {
entry:
  %at = call ptr @coenzyme.dict.entry(ptr %dict, i64 %index)
  %key = getelementptr i8, ptr %at, i64 8
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %field = getelementptr i8, ptr %table, i64 24
  %size = load i64, ptr %field, align 8
  call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %key, i64 %size, i1 false)
  ret void
}

define internal void @coenzyme.dict.methods(ptr %dict, ptr %m0, ptr %m1, ptr %m2, ptr %m3, ptr %m4) nounwind {
entry:
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %f0 = getelementptr i8, ptr %table, i64 56
  store ptr %m0, ptr %f0, align 8
  %f1 = getelementptr i8, ptr %table, i64 64
  store ptr %m1, ptr %f1, align 8
  %f2 = getelementptr i8, ptr %table, i64 72
  store ptr %m2, ptr %f2, align 8
  %f3 = getelementptr i8, ptr %table, i64 80
  store ptr %m3, ptr %f3, align 8
  %f4 = getelementptr i8, ptr %table, i64 88
  store ptr %m4, ptr %f4, align 8
  ret void
}

define internal i64 @coenzyme.dict.find(ptr %dict, ptr %key, i64 %hash) noinline nounwind {
entry:
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %field = getelementptr i8, ptr %table, i64 32
  %size = load i64, ptr %field, align 8
  %scratch = alloca i8, i64 %size, align 16
  %index = call i64 @numba_dict_lookup(ptr %dict, ptr %key, i64 %hash, ptr %scratch)
  ret i64 %index
}

; The number of the entry of a key, which is added with a value of zeros where it is not there; there is room.
define internal i64 @coenzyme.dict.insert(ptr %dict, ptr %key, i64 %hash) noinline nounwind {
entry:
  %known = call i64 @coenzyme.dict.find(ptr %dict, ptr %key, i64 %hash)
  %new = icmp eq i64 %known, -1
  br i1 %new, label %add, label %there

there:
  ret i64 %known

add:
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %field = getelementptr i8, ptr %table, i64 32
  %size = load i64, ptr %field, align 8
  %zeros = alloca i8, i64 %size, align 16
  call void @llvm.memset.p0.i64(ptr %zeros, i8 0, i64 %size, i1 false)
  %status = call i32 @numba_dict_insert_ez(ptr %dict, ptr %key, i64 %hash, ptr %zeros)
  %fine = icmp eq i32 %status, 0
  %count.field = getelementptr i8, ptr %table, i64 16
  %count = load i64, ptr %count.field, align 8
  %last = sub i64 %count, 1
  %index = select i1 %fine, i64 %last, i64 -3
  ret i64 %index
}

define internal void @coenzyme.dict.remove(ptr %dict, i64 %hash, i64 %index) alwaysinline nounwind {
entry:
  %status = call i32 @numba_dict_delitem(ptr %dict, i64 %hash, i64 %index)
  ret void
}

; The number of the first entry from `from` on that is no hole, or -1.
define internal i64 @coenzyme.dict.next(ptr %dict, i64 %from) noinline nounwind {
entry:
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %field = getelementptr i8, ptr %table, i64 16
  %count = load i64, ptr %field, align 8
  br label %look

look:
  %index = phi i64 [ %from, %entry ], [ %following, %see ]
  %over = icmp sge i64 %index, %count
  br i1 %over, label %none, label %see

see:
  %hash = call i64 @coenzyme.dict.hash(ptr %dict, i64 %index)
  %hole = icmp eq i64 %hash, -1
  %following = add i64 %index, 1
  br i1 %hole, label %look, label %found

found:
  ret i64 %index

none:
  ret i64 -1
}

define internal i64 @coenzyme.dict.last(ptr %dict) noinline nounwind {
entry:
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %field = getelementptr i8, ptr %table, i64 16
  %count = load i64, ptr %field, align 8
  br label %look

look:
  %above = phi i64 [ %count, %entry ], [ %index, %see ]
  %index = sub i64 %above, 1
  %over = icmp slt i64 %index, 0
  br i1 %over, label %done, label %see

see:
  %hash = call i64 @coenzyme.dict.hash(ptr %dict, i64 %index)
  %hole = icmp eq i64 %hash, -1
  br i1 %hole, label %look, label %done

done:
  ret i64 %index
}

define internal ptr @coenzyme.dict.reserve(ptr %dict) alwaysinline nounwind {
entry:
  %table = call ptr @coenzyme.dict.table(ptr %dict)
  %field = getelementptr i8, ptr %table, i64 8
  %usable = load i64, ptr %field, align 8
  %enough = icmp sgt i64 %usable, 0
  br i1 %enough, label %stay, label %grow

stay:
  %entries = call ptr @coenzyme.dict.first(ptr %table)
  ret ptr %entries

grow:
  %moved = call ptr @coenzyme.dict.grow(ptr %dict)
  ret ptr %moved
}

; Give the dictionary a larger table in which each entry keeps its number, holes included.
define internal ptr @coenzyme.dict.grow(ptr %dict) noinline nounwind {
entry:
  %slot = alloca ptr, align 8
  %table.field = getelementptr i8, ptr %dict, i64 8
  %old = load ptr, ptr %table.field, align 8
  %used = load i64, ptr %dict, align 8
  %count.field = getelementptr i8, ptr %old, i64 16
  %count = load i64, ptr %count.field, align 8
  %key.field = getelementptr i8, ptr %old, i64 24
  %key.size = load i64, ptr %key.field, align 8
  %value.field = getelementptr i8, ptr %old, i64 32
  %value.size = load i64, ptr %value.field, align 8
  %entry.field = getelementptr i8, ptr %old, i64 40
  %entry.size = load i64, ptr %entry.field, align 8
  %twice = shl i64 %used, 1
  %more = add i64 %count, 1
  %room = call i64 @llvm.smax.i64(i64 %twice, i64 %more)
  %status = call i32 @numba_dict_new_sized(ptr %slot, i64 %room, i64 %key.size, i64 %value.size)
  %fine = icmp eq i32 %status, 0
  br i1 %fine, label %made, label %failed

made:
  %shell = load ptr, ptr %slot, align 8
  %new = call ptr @coenzyme.dict.table(ptr %shell)
  call void @free(ptr %shell)
  %from = getelementptr i8, ptr %old, i64 56
  %to = getelementptr i8, ptr %new, i64 56
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 40, i1 false)
  %first.old = call ptr @coenzyme.dict.first(ptr %old)
  %first.new = call ptr @coenzyme.dict.first(ptr %new)
  %bytes = mul i64 %count, %entry.size
  call void @llvm.memcpy.p0.p0.i64(ptr %first.new, ptr %first.old, i64 %bytes, i1 false)
  %usable.field = getelementptr i8, ptr %new, i64 8
  %usable = load i64, ptr %usable.field, align 8
  %left = sub i64 %usable, %count
  store i64 %left, ptr %usable.field, align 8
  %new.count.field = getelementptr i8, ptr %new, i64 16
  store i64 %count, ptr %new.count.field, align 8
  store ptr %new, ptr %table.field, align 8
  call void @free(ptr %old)
  %slots = load i64, ptr %new, align 8
  %mask = sub i64 %slots, 1
  br label %each

each:
  %index = phi i64 [ 0, %made ], [ %index.next, %done ]
  %over = icmp sge i64 %index, %count
  br i1 %over, label %out, label %one

one:
  %offset = mul i64 %index, %entry.size
  %at = getelementptr i8, ptr %first.new, i64 %offset
  %hash = load i64, ptr %at, align 8
  %hole = icmp eq i64 %hash, -1
  br i1 %hole, label %done, label %start

start:
  %home = and i64 %hash, %mask
  br label %probe

probe:
  %place = phi i64 [ %home, %start ], [ %place.next, %probe.on ]
  %rest = phi i64 [ %hash, %start ], [ %rest.next, %probe.on ]
  %taken = call i1 @coenzyme.dict.claim(ptr %new, i64 %place, i64 %index)
  br i1 %taken, label %probe.on, label %done

probe.on:
  %rest.next = lshr i64 %rest, 5
  %five = mul i64 %place, 5
  %sum = add i64 %five, %rest.next
  %sum.one = add i64 %sum, 1
  %place.next = and i64 %sum.one, %mask
  br label %probe

done:
  %index.next = add i64 %index, 1
  br label %each

out:
  ret ptr %first.new

failed:
  ret ptr null
}

; Write the number of an entry into a slot, unless another one is there; the width depends on how many slots.
define internal i1 @coenzyme.dict.claim(ptr %table, i64 %place, i64 %index) noinline nounwind {
entry:
  %slots = load i64, ptr %table, align 8
  %start = getelementptr i8, ptr %table, i64 96
  %is.1 = icmp ule i64 %slots, 255
  br i1 %is.1, label %bytes.1, label %not.1

bytes.1:
  %p1 = getelementptr i8, ptr %start, i64 %place
  %o1 = load i8, ptr %p1, align 1
  %t1 = icmp ne i8 %o1, -1
  br i1 %t1, label %taken, label %write.1

write.1:
  %n1 = trunc i64 %index to i8
  store i8 %n1, ptr %p1, align 1
  ret i1 false

not.1:
  %is.2 = icmp ule i64 %slots, 65535
  br i1 %is.2, label %bytes.2, label %not.2

bytes.2:
  %p2 = getelementptr i16, ptr %start, i64 %place
  %o2 = load i16, ptr %p2, align 2
  %t2 = icmp ne i16 %o2, -1
  br i1 %t2, label %taken, label %write.2

write.2:
  %n2 = trunc i64 %index to i16
  store i16 %n2, ptr %p2, align 2
  ret i1 false

not.2:
  %is.4 = icmp ule i64 %slots, 4294967295
  br i1 %is.4, label %bytes.4, label %bytes.8

bytes.4:
  %p4 = getelementptr i32, ptr %start, i64 %place
  %o4 = load i32, ptr %p4, align 4
  %t4 = icmp ne i32 %o4, -1
  br i1 %t4, label %taken, label %write.4

write.4:
  %n4 = trunc i64 %index to i32
  store i32 %n4, ptr %p4, align 4
  ret i1 false

bytes.8:
  %p8 = getelementptr i64, ptr %start, i64 %place
  %o8 = load i64, ptr %p8, align 8
  %t8 = icmp ne i64 %o8, -1
  br i1 %t8, label %taken, label %write.8

write.8:
  store i64 %index, ptr %p8, align 8
  ret i1 false

taken:
  ret i1 true
}
"""

_DECLARATIONS = """
declare i32 @numba_list_new(ptr, i64, i64)
declare i32 @numba_dict_new_sized(ptr, i64, i64, i64)
declare i64 @numba_dict_lookup(ptr, ptr, i64, ptr)
declare i32 @numba_dict_insert_ez(ptr, ptr, i64, ptr)
declare i32 @numba_dict_delitem(ptr, i64, i64)
declare ptr @realloc(ptr, i64)
declare void @free(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare { i64, i1 } @llvm.umul.with.overflow.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
"""

_NAME = re.compile(r"@([-\w.]+)\(")


def _bodies() -> dict[str, str]:
    text = _LISTS + _DICTIONARIES
    for name, (type, offset) in _SIMPLE_FIELDS.items():
        text += _READ.format(name=name, type=type, offset=offset)
    found: dict[str, str] = {}
    for part in text.split("\ndefine ")[1:]:
        body = "define " + part[: part.index("\n}") + 3]
        found[_NAME.findall(body)[0]] = body
    return found


_BODIES = _bodies()
_DECLARED = {_NAME.findall(line)[0]: line for line in _DECLARATIONS.strip().splitlines()}


def container_definitions(names: Iterable[str]) -> str:
    """Return a module's text that defines these symbols, with what they call themselves.

    Parameters
    ----------
    names
        Symbols of this module; others are skipped, so that the names of all that a function calls may be
        given.
    """
    bodies: dict[str, str] = {}
    declarations: set[str] = set()
    waiting = [name for name in names if name in _BODIES]
    while waiting:
        name = waiting.pop()
        if name in bodies:
            continue
        bodies[name] = _BODIES[name]
        for callee in _NAME.findall(_BODIES[name])[1:]:
            if callee in _BODIES:
                waiting.append(callee)
            else:
                declarations.add(_DECLARED[callee])
    return (
        "\n".join((*sorted(declarations), "", *(bodies[name] for name in sorted(bodies)))) if bodies else ""
    )
