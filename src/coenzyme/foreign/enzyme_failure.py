"""What a program does where a derivative fails: it says so on the standard error stream, and aborts."""

from __future__ import annotations

import sys

from coenzyme.derive.adopted import adopt
from coenzyme.frontends.program import Status
from coenzyme.ir.builder import Builder
from coenzyme.ir.instructions import GlobalVariable, Module
from coenzyme.ir.types import I32, PTR, VOID, FunctionType
from coenzyme.ir.values import Value

__all__ = ["CHANGED", "FAILED", "NARROW", "SPENT", "define_failure", "emit_failure"]

FAILED = "coenzyme.enzyme.failed"
"""Is called with a status, and a text that says where, and ends the program."""
SPENT = -1
"""The status where there is no tape."""
CHANGED = -3
"""The status where a step of a fixed-point iteration, run again, has another result."""
NARROW = -2
"""The status where a context has shadows for fewer directions than there are."""

_REASONS = {
    int(Status.TAPE_EXHAUSTED): "no memory is left for the tape",
    int(Status.UNKNOWN_FUNCTION): "a function is called by an address that the module does not know",
    int(Status.CHANGED_POINTER): "a global variable has been given memory without a shadow (enzyme_context)",
    SPENT: "there is no tape: its sweep has been run already, or it was never made",
    CHANGED: "what a step of a fixed-point iteration reads has been changed since (enzyme_checkpoint_region)",
    NARROW: "the context has shadows for fewer directions than there are",
}
_OTHER = "the function itself has failed"
_WRITE = "_write" if sys.platform == "win32" else "write"


def emit_failure(module: Module, at: Builder, status: Value, name: str, place: str) -> None:
    """Emit the end of the program, which says `place`; `name` is what nothing else is called."""
    if name not in module.globals:
        data = place.encode() + b"\0"
        spelled = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data)
        text = f'private unnamed_addr constant [{len(data)} x i8] c"{spelled}"'
        module.globals[name] = GlobalVariable(name, text)
    failed = module.declare(FAILED, FunctionType(VOID, (I32, PTR)), "cold noreturn nounwind")
    at.call(failed, [status, module.globals[name]])
    at.unreachable()


def define_failure(module: Module) -> None:
    """Define :data:`FAILED` where `module` calls it."""
    if FAILED not in module.functions:
        return
    texts = {"begin": "coenzyme: ", "middle": " failed: ", "end": "\\0A"}
    texts |= {f"reason.{n}": t for n, t in enumerate((*_REASONS.values(), _OTHER))}
    lines = [_constant(name, text) for name, text in texts.items()]
    reason = f"@{FAILED}.reason.{len(_REASONS)}"
    body: list[str] = []
    for number, status in enumerate(_REASONS):
        body += [
            f"  %is.{number} = icmp eq i32 %status, {status}",
            f"  %reason.{number} = select i1 %is.{number}, ptr @{FAILED}.reason.{number}, ptr {reason}",
        ]
        reason = f"%reason.{number}"
    for number, text in enumerate(
        (f"@{FAILED}.begin", "%place", f"@{FAILED}.middle", reason, f"@{FAILED}.end")
    ):
        body += [
            f"  %length.{number} = call i64 @strlen(ptr {text})",
            f"  %written.{number} = call i64 @{_WRITE}(i32 2, ptr {text}, i64 %length.{number})",
        ]
    adopt(
        module,
        "\n".join(
            [
                *lines,
                "declare i64 @strlen(ptr)",
                f"declare i64 @{_WRITE}(i32, ptr, i64)",
                "declare void @abort()",
                f"define internal void @{FAILED}(i32 %status, ptr %place) cold noreturn nounwind {{",
                *body,
                "  call void @abort()",
                "  unreachable",
                "}",
            ]
        ),
    )


def _constant(name: str, text: str) -> str:
    length = len(text.replace("\\0A", "\n")) + 1
    return f'@{FAILED}.{name} = private unnamed_addr constant [{length} x i8] c"{text}\\00"'
