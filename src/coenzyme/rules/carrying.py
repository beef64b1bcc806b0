"""What ``realloc`` carries over: the content of a block whose size is known to the allocator alone.

The copy is a call of its own, for the shadow of a block may have room for less than the block has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

__all__ = ["CARRIED", "CARRY", "carrying_definitions"]

CARRY = "coenzyme.carry"
"""``void (ptr to, ptr from, i64 size)``: copies `size` bytes, or all there are, to another block."""
CARRIED = "coenzyme.carried"
"""``i64 (ptr from, i64 size)``: how many bytes that are."""

_ASK = {"darwin": "malloc_size", "win32": "_msize"}.get(sys.platform, "malloc_usable_size")

_CARRIED = f"""
declare i64 @{_ASK}(ptr)

define linkonce_odr i64 @{CARRIED}(ptr %from, i64 %size) nounwind {{
entry:
  %none = icmp eq ptr %from, null
  br i1 %none, label %out, label %some

some:
  %room = call i64 @{_ASK}(ptr %from)
  %less = icmp ult i64 %room, %size
  %least = select i1 %less, i64 %room, i64 %size
  br label %out

out:
  %result = phi i64 [ 0, %entry ], [ %least, %some ]
  ret i64 %result
}}
"""

_CARRY = f"""{_CARRIED}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define linkonce_odr void @{CARRY}(ptr %to, ptr %from, i64 %size) nounwind {{
entry:
  %granted = icmp ne ptr %to, null
  br i1 %granted, label %copy, label %out

copy:
  %count = call i64 @{CARRIED}(ptr %from, i64 %size)
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %count, i1 false)
  br label %out

out:
  ret void
}}
"""


def carrying_definitions(names: Iterable[str]) -> str:
    """Return a module's text that defines those of these symbols that stand here; others are skipped."""
    wanted = set(names)
    return _CARRY if CARRY in wanted else _CARRIED if CARRIED in wanted else ""
