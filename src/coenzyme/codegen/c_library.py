"""Functions of C's library that move or sort memory, in terms of those that the engine knows.

``realloc`` becomes an allocation, a copy and a deallocation; ``qsort`` becomes a merge sort, which calls the
program's own comparison and moves elements whose types the program shows.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from coenzyme.codegen.language_runtimes import (
    end_process_in_calls,
    runtime_functions,
    without_unused_personalities,
)
from coenzyme.rules.carrying import CARRY

__all__ = ["substitute_library", "substitute_runtimes"]

_REALLOC = f"""
define internal ptr @coenzyme.c.realloc(ptr %old, i64 %size) {{
  %new = call ptr @malloc(i64 %size)
  call void @{CARRY}(ptr %new, ptr %old, i64 %size)
  %failed = icmp eq ptr %new, null
  %freed = select i1 %failed, ptr null, ptr %old
  call void @free(ptr %freed)
  ret ptr %new
}}
"""

_REALLOCARRAY = f"""
define internal ptr @coenzyme.c.reallocarray(ptr %old, i64 %count, i64 %each) {{
  %size = mul i64 %count, %each
  %new = call ptr @malloc(i64 %size)
  call void @{CARRY}(ptr %new, ptr %old, i64 %size)
  %failed = icmp eq ptr %new, null
  %freed = select i1 %failed, ptr null, ptr %old
  call void @free(ptr %freed)
  ret ptr %new
}}
"""

_MEMALIGN = """
define internal ptr @coenzyme.c.memalign(i64 %alignment, i64 %size) {
  %least = sub i64 %alignment, 1
  %more = add i64 %size, %least
  %mask = xor i64 %least, -1
  %whole = and i64 %more, %mask
  %new = call ptr @aligned_alloc(i64 %alignment, i64 %whole)
  ret ptr %new
}
"""

_POSIX_MEMALIGN = """
define internal i32 @coenzyme.c.posix_memalign(ptr %where, i64 %alignment, i64 %size) {
  %least = sub i64 %alignment, 1
  %more = add i64 %size, %least
  %mask = xor i64 %least, -1
  %whole = and i64 %more, %mask
  %new = call ptr @aligned_alloc(i64 %alignment, i64 %whole)
  store ptr %new, ptr %where, align 8
  %failed = icmp eq ptr %new, null
  %status = select i1 %failed, i32 12, i32 0
  ret i32 %status
}
"""

_QSORT = """
define internal void @coenzyme.c.qsort(ptr %base, i64 %count, i64 %size, ptr %compare) {
entry:
  %sorted = icmp ult i64 %count, 2
  br i1 %sorted, label %out, label %begin

begin:
  %bytes = mul i64 %count, %size
  %other = call ptr @malloc(i64 %bytes)
  br label %widths

widths:
  %width = phi i64 [ 1, %begin ], [ %twice, %merged ]
  %narrow = icmp ult i64 %width, %count
  br i1 %narrow, label %copy, label %done

copy:
  call void @llvm.memcpy.p0.p0.i64(ptr align 1 %other, ptr align 1 %base, i64 %bytes, i1 false)
  %twice = shl i64 %width, 1
  br label %pairs

pairs:
  %low = phi i64 [ 0, %copy ], [ %next.low, %pair.done ]
  %more.pairs = icmp ult i64 %low, %count
  br i1 %more.pairs, label %pair, label %merged

pair:
  %left = sub i64 %count, %low
  %is.short = icmp ult i64 %left, %width
  %at.width = add i64 %low, %width
  %middle = select i1 %is.short, i64 %count, i64 %at.width
  %is.last = icmp ult i64 %left, %twice
  %at.twice = add i64 %low, %twice
  %high = select i1 %is.last, i64 %count, i64 %at.twice
  br label %elements

elements:
  %a = phi i64 [ %low, %pair ], [ %a.after, %move ]
  %b = phi i64 [ %middle, %pair ], [ %b.after, %move ]
  %k = phi i64 [ %low, %pair ], [ %k.next, %move ]
  %more = icmp ult i64 %k, %high
  br i1 %more, label %element, label %pair.done

element:
  %b.left = icmp ult i64 %b, %high
  br i1 %b.left, label %is.a.left, label %take.a

is.a.left:
  %a.left = icmp ult i64 %a, %middle
  br i1 %a.left, label %ask, label %take.b

ask:
  %a.offset = mul i64 %a, %size
  %a.place = getelementptr inbounds i8, ptr %other, i64 %a.offset
  %b.offset = mul i64 %b, %size
  %b.place = getelementptr inbounds i8, ptr %other, i64 %b.offset
  %order = call i32 %compare(ptr %a.place, ptr %b.place)
  %a.first = icmp slt i32 %order, 1
  br i1 %a.first, label %take.a, label %take.b

take.a:
  %a.next = add i64 %a, 1
  br label %move

take.b:
  %b.next = add i64 %b, 1
  br label %move

move:
  %a.after = phi i64 [ %a.next, %take.a ], [ %a, %take.b ]
  %b.after = phi i64 [ %b, %take.a ], [ %b.next, %take.b ]
  %from = phi i64 [ %a, %take.a ], [ %b, %take.b ]
  %to.offset = mul i64 %k, %size
  %to = getelementptr inbounds i8, ptr %base, i64 %to.offset
  %from.offset = mul i64 %from, %size
  %source = getelementptr inbounds i8, ptr %other, i64 %from.offset
  call void @llvm.memcpy.p0.p0.i64(ptr align 1 %to, ptr align 1 %source, i64 %size, i1 false)
  %k.next = add i64 %k, 1
  br label %elements

pair.done:
  %next.low = add i64 %low, %twice
  br label %pairs

merged:
  br label %widths

done:
  call void @free(ptr %other)
  br label %out

out:
  ret void
}
"""

_BSEARCH = """
define internal ptr @coenzyme.c.bsearch(ptr %key, ptr %base, i64 %count, i64 %size, ptr %compare) {
entry:
  br label %search

search:
  %low = phi i64 [ 0, %entry ], [ %low.next, %halve ]
  %high = phi i64 [ %count, %entry ], [ %high.next, %halve ]
  %more = icmp ult i64 %low, %high
  br i1 %more, label %ask, label %out

ask:
  %range = sub i64 %high, %low
  %half = lshr i64 %range, 1
  %middle = add i64 %low, %half
  %offset = mul i64 %middle, %size
  %place = getelementptr inbounds i8, ptr %base, i64 %offset
  %order = call i32 %compare(ptr %key, ptr %place)
  %equal = icmp eq i32 %order, 0
  br i1 %equal, label %out, label %halve

halve:
  %below = icmp slt i32 %order, 0
  %after = add i64 %middle, 1
  %low.next = select i1 %below, i64 %low, i64 %after
  %high.next = select i1 %below, i64 %middle, i64 %high
  br label %search

out:
  %found = phi ptr [ null, %search ], [ %place, %ask ]
  ret ptr %found
}
"""

_MALLOC, _FREE = "declare ptr @malloc(i64)", "declare void @free(ptr)"
_ALIGNED = "declare ptr @aligned_alloc(i64, i64)"
_CARRY = f"declare void @{CARRY}(ptr, ptr, i64)"
_COPY = "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"

_LIBRARY: dict[str, tuple[str, tuple[str, ...]]] = {
    "realloc": (_REALLOC, (_MALLOC, _FREE, _CARRY)),
    "reallocarray": (_REALLOCARRAY, (_MALLOC, _FREE, _CARRY)),
    "memalign": (_MEMALIGN, (_ALIGNED,)),
    "posix_memalign": (_POSIX_MEMALIGN, (_ALIGNED,)),
    "qsort": (_QSORT, (_MALLOC, _FREE, _COPY)),
    "bsearch": (_BSEARCH, ()),
}
"""For each function its text, under a name of our own, and what that declares."""

_DECLARED = re.compile(
    rf"^declare (?:[^@\n]* )?(?:ptr|i32|void) @({'|'.join(_LIBRARY)})\([^\n]*\n", re.MULTILINE
)
_CARRY_DEFINED = re.compile(rf"^define [^\n]*@{re.escape(CARRY)}\(.*?^}}\n", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r'@("?)([-\w.$]+)\1')


def substitute_library(text: str) -> str:
    r"""Return LLVM text with code of ours in the place of functions of C's library that are only declared.

    Examples
    --------
    >>> "define internal ptr @coenzyme.c.realloc(" in substitute_library("declare ptr @realloc(ptr, i64)\n")
    True
    """
    if f"@{CARRY}(" in text:
        # In a derivative it is defined. To differentiation it stays a name.
        text = _CARRY_DEFINED.sub(f"{_CARRY}\n", text)
    names = _DECLARED.findall(text)
    return _substitute(text, {name: _LIBRARY[name] for name in names})


def substitute_runtimes(text: str, ending: Collection[str] = ()) -> str:
    r"""Return LLVM text of a program in C++ or Rust that does without its language's run-time library.

    Parameters
    ----------
    ending
        Symbols of functions that do not return, and that nobody has: the process ends in their place.

    Examples
    --------
    >>> "call ptr @malloc(" in substitute_runtimes("declare ptr @_Znwm(i64)\n")
    True
    """
    text = end_process_in_calls(without_unused_personalities(text), ending)
    return _substitute(text, runtime_functions(text, "coenzyme.c.{}".format))


def _substitute(text: str, library: dict[str, tuple[str, tuple[str, ...]]]) -> str:
    """Return `text` with these functions, each with what it declares, in the place of declarations."""
    if not library:
        return text
    text = re.sub(rf"^declare [^@\n]*@(?:{'|'.join(library)})\([^\n]*\n", "", text, flags=re.MULTILINE)
    text = _NAME.sub(lambda m: f"@coenzyme.c.{m.group(2)}" if m.group(2) in library else m.group(0), text)
    needed = dict.fromkeys(line for name in sorted(library) for line in library[name][1])
    declared = [
        line for line in needed if not re.search(rf"^(?:declare|define) [^\n]*{_symbol(line)}\(", text, re.M)
    ]
    return "\n".join([text, *declared, *(library[name][0] for name in sorted(library))])


def _symbol(declaration: str) -> str:
    match = _NAME.search(declaration)
    assert match is not None
    return re.escape(match.group(0))
