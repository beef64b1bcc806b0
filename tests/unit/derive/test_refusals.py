"""What cannot be differentiated is refused, with what a user needs to know; what does not matter is not."""

from __future__ import annotations

import re

import pytest

from coenzyme.errors import (
    ActivityError,
    CoenzymeError,
    GeneratedIRError,
    MissingRuleError,
    UnsupportedIRError,
)
from coenzyme.frontends.program import Mode
from tests.unit.derive.native import build

FRAME = """
; SHADOWED x: double = 1 2 3 4
; SHADOWED out: double = 0 0 0 0
; CONSTANT buffer: double = 0 0 0 0
declare double @somebody(double)
declare void @something(ptr)
declare i64 @counts(i64)
define void @f(ptr %x, ptr %out, ptr %buffer) {{
entry:
  %v = load double, ptr %x
{body}
  ret void
}}
"""

MODES = pytest.mark.parametrize("mode", [Mode.FORWARD, Mode.REVERSE])

REFUSED: dict[str, tuple[str, type[CoenzymeError], str]] = {
    "a function without a rule": (
        "  %w = call double @somebody(double %v)\n  store double %w, ptr %out",
        MissingRuleError,
        "somebody",
    ),
    "a function that may write anything": (
        "  call void @something(ptr %out)",
        MissingRuleError,
        "something",
    ),
    "a vector": (
        "  %w = load <2 x double>, ptr %x\n  %s = fmul <2 x double> %w, %w\n"
        "  store <2 x double> %s, ptr %out",
        CoenzymeError,
        "",
    ),
    "a half": (
        "  %h = fptrunc double %v to half\n  %s = fmul half %h, %h\n  %w = fpext half %s to double\n"
        "  store double %w, ptr %out",
        CoenzymeError,
        "half",
    ),
    "an atomic addition": (
        "  %o = atomicrmw fadd ptr %out, double %v monotonic",
        UnsupportedIRError,
        "atomicrmw",
    ),
    "bits": (
        "  %b = bitcast double %v to i64\n  %m = and i64 %b, -2\n  %w = bitcast i64 %m to double\n"
        "  store double %w, ptr %out",
        UnsupportedIRError,
        "bitcast",
    ),
    "constant memory in between": (
        "  store double %v, ptr %buffer\n  %w = load double, ptr %buffer\n  store double %w, ptr %out",
        ActivityError,
        "",
    ),
}


@MODES
@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_name_and_remedy(what: str, mode: Mode) -> None:
    body, kind, operation = REFUSED[what]
    with pytest.raises(kind) as caught:
        build(FRAME.format(body=body), mode)
    error = caught.value
    assert not isinstance(error, GeneratedIRError)
    assert error.function == "f"
    assert re.search(operation, f"{error.operation} {error}")
    assert error.remedy


ALLOWED = {
    "a function of an integer": "  %n = fptosi double %v to i64\n  %m = call i64 @counts(i64 %n)\n"
    "  store double %v, ptr %out",
    "a function without a rule, of constants": "  %k = load double, ptr %buffer\n"
    "  %w = call double @somebody(double %k)\n  %s = fmul double %w, %v",
    "a vector of constants": "  %w = load <2 x double>, ptr %buffer\n  %s = fmul <2 x double> %w, %w\n"
    "  store <2 x double> %s, ptr %buffer\n  store double %v, ptr %out",
    "constant memory that only receives": "  store double %v, ptr %buffer\n  store double %v, ptr %out",
}


@MODES
@pytest.mark.parametrize("what", ALLOWED)
def test_what_does_not_matter_is_not_refused(what: str, mode: Mode) -> None:
    text = FRAME.format(body=ALLOWED[what])
    if "@somebody" in ALLOWED[what] or "@counts" in ALLOWED[what]:
        text = text.replace(
            "declare double @somebody(double)",
            "define double @somebody(double %a) noinline {\n  ret double %a\n}",
        ).replace("declare i64 @counts(i64)", "define i64 @counts(i64 %a) noinline {\n  ret i64 %a\n}")
    built = build(text, mode)
    assert "@derivative" in built.text
