"""What was read through a pointer of unknown origin counted as constant: the gradient was silently zero."""

from __future__ import annotations

import pytest

from coenzyme.analysis.tape import Policy
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

THROUGH = {
    "an integer, to read": "%a = ptrtoint ptr %x to i64\n  %p = inttoptr i64 %a to ptr\n"
    "  %v = load double, ptr %p" + SQUARE.format(target="%out"),
    "an integer, to write": "%a = ptrtoint ptr %out to i64\n  %p = inttoptr i64 %a to ptr\n"
    "  %v = load double, ptr %x" + SQUARE.format(target="%p"),
    "a container of a library": "call void @make(ptr %box)\n  %list = load ptr, ptr %box\n"
    "  %u = load double, ptr %x\n  store double %u, ptr %item\n  call void @put(ptr %list, ptr %item)\n"
    "  call void @get(ptr %list, ptr %item)\n  %v = load double, ptr %item" + SQUARE.format(target="%out"),
}


@pytest.mark.parametrize("mode", [Mode.FORWARD, Mode.REVERSE])
@pytest.mark.parametrize("body", THROUGH.values(), ids=THROUGH.keys())
def test_number_that_cannot_be_followed_is_refused(body: str, mode: Mode) -> None:
    with pytest.raises(CoenzymeError) as caught:
        build(FUNCTION.format(body=body), mode, policy=Policy.CUT)
    assert not isinstance(caught.value, GeneratedIRError)
    assert caught.value.remedy
