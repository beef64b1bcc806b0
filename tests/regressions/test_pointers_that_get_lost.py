"""What was read through a pointer of unknown origin counted as constant: the gradient was silently zero."""

from __future__ import annotations

import numpy as np
import pytest

from coenzyme.errors import CoenzymeError, GeneratedIRError
from coenzyme.frontends.program import Mode
from tests.unit.derive.native import build

FUNCTION = """
; SHADOWED x: double = 3
; SHADOWED out: double = 0
declare void @make(ptr)
declare void @put(ptr, ptr)
declare void @get(ptr, ptr)
define void @f(ptr %x, ptr %out) {{
entry:
  %box = alloca ptr
  %item = alloca double
  {body}
  ret void
}}
"""

SQUARE = """
  %q = fmul double %v, %v
  store double %q, ptr {target}
"""

REFUSED = {
    "an integer, to read": "%a = ptrtoint ptr %x to i64\n  %b = or i64 %a, 0\n  %p = inttoptr i64 %b to ptr\n"
    "  %v = load double, ptr %p" + SQUARE.format(target="%out"),
    "an integer, to write": "%a = ptrtoint ptr %out to i64\n  %b = or i64 %a, 0\n"
    "  %p = inttoptr i64 %b to ptr\n"
    "  %v = load double, ptr %x" + SQUARE.format(target="%p"),
    "a container of a library": "call void @make(ptr %box)\n  %list = load ptr, ptr %box\n"
    "  %u = load double, ptr %x\n  store double %u, ptr %item\n  call void @put(ptr %list, ptr %item)\n"
    "  call void @get(ptr %list, ptr %item)\n  %v = load double, ptr %item" + SQUARE.format(target="%out"),
}

FOLLOWED = {
    "an integer that is read": "%a = ptrtoint ptr %x to i64\n  %p = inttoptr i64 %a to ptr\n"
    "  %v = load double, ptr %p" + SQUARE.format(target="%out"),
    "an integer that is written": "%a = ptrtoint ptr %out to i64\n  %p = inttoptr i64 %a to ptr\n"
    "  %v = load double, ptr %x" + SQUARE.format(target="%p"),
    "a struct that is read": "store ptr %x, ptr %box\n  %whole = load { ptr, i8 }, ptr %box\n"
    "  %p = extractvalue { ptr, i8 } %whole, 0\n  %v = load double, ptr %p" + SQUARE.format(target="%out"),
    "a struct that is written": "%whole = insertvalue { ptr, i8 } zeroinitializer, ptr %x, 0\n"
    "  store { ptr, i8 } %whole, ptr %box\n  %p = load ptr, ptr %box\n  %v = load double, ptr %p"
    + SQUARE.format(target="%out"),
    "a struct in a struct": "%inner = insertvalue { ptr, i8 } zeroinitializer, ptr %x, 0\n"
    "  %outer = insertvalue { i8, { ptr, i8 } } undef, { ptr, i8 } %inner, 1\n"
    "  %part = extractvalue { i8, { ptr, i8 } } %outer, 1\n  store { ptr, i8 } %part, ptr %box\n"
    "  %p = load ptr, ptr %box\n  %v = load double, ptr %p" + SQUARE.format(target="%out"),
}


@pytest.mark.parametrize("mode", [Mode.FORWARD, Mode.REVERSE])
@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_number_that_cannot_be_followed_is_refused(body: str, mode: Mode) -> None:
    with pytest.raises(CoenzymeError) as caught:
        build(FUNCTION.format(body=body), mode)
    assert not isinstance(caught.value, GeneratedIRError)
    assert caught.value.remedy


@pytest.mark.parametrize("body", FOLLOWED.values(), ids=FOLLOWED.keys())
def test_number_behind_a_struct_is_followed(body: str) -> None:
    declared = "\n".join(line for line in FUNCTION.split("\n") if not line.startswith("declare"))
    text = declared.format(body=body)
    assert build(text, Mode.FORWARD).call({"x": np.array([1.0])})["out"] == 6.0
    assert build(text, Mode.REVERSE).call({"out": np.array([1.0])})["x"] == 6.0
