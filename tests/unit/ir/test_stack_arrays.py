"""Arrays that are taken from the stack as the program runs become blocks of the heap."""

from __future__ import annotations

import re

import pytest

from coenzyme.codegen import verify
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from coenzyme.ir.stack_arrays import holds_stack_arrays, move_stack_arrays

_LEFT_EARLY = """
define double @f(i32 %n, i1 %early) {
entry:
  %saved = alloca ptr
  %mark = call ptr @llvm.stacksave.p0()
  store ptr %mark, ptr %saved
  %count = zext i32 %n to i64
  %a = alloca double, i64 %count, align ALIGN
  store double 1.0, ptr %a
  br i1 %early, label %out, label %on

on:
  %back = load ptr, ptr %saved
  call void @llvm.stackrestore.p0(ptr %back)
  ret double 0.0

out:
  %x = load double, ptr %a
  ret double %x
}

declare ptr @llvm.stacksave.p0()
declare void @llvm.stackrestore.p0(ptr)
"""

_IN_A_LOOP = """
define void @f(i64 %n) {
entry:
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %a = alloca double, i64 2
  store double 1.0, ptr %a
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %out

out:
  ret void
}
"""


def moved(text: str) -> str:
    assert holds_stack_arrays(text)
    module = parse_module(str(verify(text)))
    assert move_stack_arrays(module)
    return str(verify(print_module(module)))


@pytest.mark.parametrize(
    ("align", "allocation"), [(8, r"@malloc\(i64"), (64, r"@aligned_alloc\(i64 64, i64")]
)
def test_arrays_are_freed_where_their_scope_is_left_and_keep_their_alignment(
    align: int, allocation: str
) -> None:
    text = moved(_LEFT_EARLY.replace("ALIGN", str(align)))
    assert re.search(rf"call ptr {allocation}", text)
    assert not re.search(r"alloca double|stackrestore\.p0\(ptr %", text)
    blocks = re.split(r"\n\n", text[text.index("define") : text.index("\n}")])
    assert [block.count("call void @free(") for block in blocks] == [0, 1, 1]


def test_what_a_loop_takes_until_the_function_returns_stays() -> None:
    text = moved(_IN_A_LOOP)
    assert "alloca double" in text
    assert "malloc" not in text
