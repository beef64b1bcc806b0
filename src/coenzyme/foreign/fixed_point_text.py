"""The functions of a fixed-point iteration, as LLVM text: the loop, and its derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from coenzyme.foreign.enzyme_failure import CHANGED, FAILED
from coenzyme.frontends.program import Status
from coenzyme.ir.types import FunctionType, Type, spell_name

__all__ = ["TOOLS", "FixedPoint", "Sweep", "loop_text", "requirement_text", "sweep_text"]


class Sweep(Enum):
    """A derivative of the loop."""

    FORWARD = "derivative"
    REVERSE = "gradient"


@dataclass(frozen=True)
class FixedPoint:
    """A loop that converges.

    Attributes
    ----------
    name
        Of the function that runs it.
    types
        Of its parameters: a pointer and a size for each state and each region, then what the step takes.
    states, regions
        How many there are of these.
    step
        The function that is one iteration, and its type.
    reduction, most
        When to stop: by the squared norm of the change, and after how many iterations (−1: never).
    control
        The function that is asked whether to go on, if there is one.
    """

    name: str
    types: tuple[Type, ...]
    states: int
    regions: int
    step: tuple[str, FunctionType]
    reduction: float
    most: int
    control: str | None

    @property
    def first(self) -> int:
        """Which parameter is the first that the step takes."""
        return 2 * (self.states + self.regions)

    @property
    def parameters(self) -> str:
        """The parameters, named."""
        return ", ".join(f"{type} %p{n}" for n, type in enumerate(self.types))

    @property
    def passed(self) -> str:
        """What the step takes after the number of the iteration, of the parameters."""
        return "".join(f", {type} %p{n}" for n, type in enumerate(self.types) if n >= self.first)

    @property
    def counter(self) -> str:
        """The type of the number of the iteration."""
        return str(self.step[1].parameters[0])


def loop_text(point: FixedPoint) -> str:
    """Return the loop, and its augmented primal, which returns what the reverse sweep needs."""
    name, parameters = point.name, point.parameters
    step, kind = point.step
    call = f"call {kind.result} @{spell_name(step)}({point.counter} %i{point.passed})"
    size = [line for n in range(0, point.first, 2) for line in _grow(n)]
    return "\n".join(
        [
            f"define void @{name}({parameters}) {{",
            *_loop(point, [f"  %more = {call}"]),
            "  ret void",
            "}",
            f"define i64 @{name}.bytes({parameters}) {{",
            "  %size.0 = add i64 0, 0",
            *size,
            f"  ret i64 %size.{point.first}",
            "}",
            *_mover(point, "save", "%memory.{n}, ptr %p{n}"),
            *_mover(point, "load", "%p{n}, ptr %memory.{n}"),
            f"define {point.counter} @{name}.run({parameters}, ptr %before) {{",
            *_loop(point, [f"  call void @{name}.save({parameters}, ptr %before)", f"  %more = {call}"]),
            f"  ret {point.counter} %i",
            "}",
            f"define ptr @{name}.augmented({parameters}) {{",
            f"  %bytes = call i64 @{name}.bytes({parameters})",
            "  %both = shl i64 %bytes, 1",
            "  %all = add i64 %both, 16",
            "  %tape = call ptr @coenzyme.fixed.memory(i64 %all)",
            "  %before = getelementptr i8, ptr %tape, i64 16",
            "  %after = getelementptr i8, ptr %before, i64 %bytes",
            f"  %last = call {point.counter} @{name}.run({parameters}, ptr %before)",
            f"  call void @{name}.save({parameters}, ptr %after)",
            f"  store {point.counter} %last, ptr %tape",
            "  ret ptr %tape",
            "}",
        ]
    )


def _grow(n: int) -> Sequence[str]:
    return (
        f"  %up.{n} = add i64 %p{n + 1}, 15",
        f"  %whole.{n} = and i64 %up.{n}, -16",
        f"  %size.{n + 2} = add i64 %size.{n}, %whole.{n}",
    )


def _loop(point: FixedPoint, body: Sequence[str]) -> list[str]:
    counter = point.counter
    return [
        "entry:",
        "  br label %loop",
        "loop:",
        f"  %i = phi {counter} [ 0, %entry ], [ %next, %loop ]",
        *body,
        f"  %next = add {counter} %i, 1",
        f"  %go = icmp ne {point.step[1].result} %more, 0",
        "  br i1 %go, label %loop, label %done",
        "done:",
    ]


def _mover(point: FixedPoint, name: str, operands: str) -> list[str]:
    """Return a function that copies states and regions to memory, or from there."""
    lines = ["  %size.0 = add i64 0, 0"]
    for n in range(0, point.first, 2):
        lines += [f"  %memory.{n} = getelementptr i8, ptr %memory, i64 %size.{n}"]
        copy = "numbers" if n < 2 * point.states else "bytes"
        lines += [f"  call void @coenzyme.fixed.{copy}(ptr {operands.format(n=n)}, i64 %p{n + 1})", *_grow(n)]
    head = f"define void @{point.name}.{name}({point.parameters}, ptr %memory) {{"
    return [head, *lines, "  ret void", "}"]


def sweep_text(point: FixedPoint, sweep: Sweep, letters: str) -> str:
    """Return a derivative for parameters that have a shadow (d in `letters`) or none (c)."""
    name, parameters = point.name, point.parameters
    given = ((f"{t} %p{n}", f", {t} %s{n}" if letters[n] == "d" else "") for n, t in enumerate(point.types))
    formals = ", ".join(value + shadow for value, shadow in given)
    reverse = sweep is Sweep.REVERSE
    clear = [f"  call void @coenzyme.fixed.clear(ptr %s{n}, i64 %p{n + 1})" for n in _active(point, letters)]
    if reverse:
        formals += ", ptr %tape"
        begin = [
            "  %before = getelementptr i8, ptr %tape, i64 16",
            "  %after = getelementptr i8, ptr %before, i64 %bytes",
            f"  %i = load {point.counter}, ptr %tape",
            f"  call void @{name}.save({parameters}, ptr %now)",
        ]
        end = [*clear, f"  call void @{name}.load({parameters}, ptr %now)", "  call void @free(ptr %tape)"]
    else:
        begin = [
            "  %before = call ptr @coenzyme.fixed.memory(i64 %bytes)",
            f"  %i = call {point.counter} @{name}.run({parameters}, ptr %before)",
            *clear,
        ]
        end = ["  call void @free(ptr %before)"]
    return "\n".join(
        [
            _MARKERS,
            f"declare void @{_ENZYME[sweep]}(...)",
            f"define void @{name}.{sweep.value}.{letters}({formals}) {{",
            "entry:",
            *(f"  %{slot} = alloca double" for slot in ("first", "cumul", "reduction")),
            f"  %bytes = call i64 @{name}.bytes({parameters})",
            "  %now = call ptr @coenzyme.fixed.memory(i64 %bytes)",
            *begin,
            *(_ask(point, "-1.0", "started") if point.control else ()),
            "  br label %loop",
            "loop:",
            "  %k = phi i64 [ 0, %entry ], [ %next, %on ]",
            f"  call void @{name}.load({parameters}, ptr %before)",
            *_iteration(point, sweep, letters),
            "  br i1 %go, label %on, label %done",
            "on:",
            "  br label %loop",
            "done:",
            *end,
            "  call void @free(ptr %now)",
            "  ret void",
            "}",
        ]
    )


def _active(point: FixedPoint, letters: str) -> list[int]:
    """Return which parameters are states with a shadow."""
    return [n for n in range(0, 2 * point.states, 2) if letters[n] == "d"]


def _iteration(point: FixedPoint, sweep: Sweep, letters: str) -> list[str]:
    """Return one derivative of the last step, and the decision whether there is another one."""
    reverse, active = sweep is Sweep.REVERSE, _active(point, letters)
    arguments = "".join(
        f", ptr @enzyme_dup, ptr %p{n}, ptr %s{n}"
        if letters[n] == "d"
        else f", ptr @enzyme_const, {type} %p{n}"
        for n, type in enumerate(point.types)
        if n >= point.first
    )
    step = f"ptr @{spell_name(point.step[0])}, ptr @enzyme_const, {point.counter} %i{arguments}"
    body: list[str] = []
    if not reverse:
        body += _offsets(point)
        body += [
            f"  call void @coenzyme.fixed.numbers(ptr %at.{n}, ptr %s{n}, i64 %p{n + 1})" for n in active
        ]
    body += [f"  call void (...) @{_ENZYME[sweep]}({step})", "  %sum.0 = fadd double 0.0, 0.0"]
    if reverse:
        body.append(f"  call void @{point.name}.require({point.parameters}, ptr %after)")
    for place, n in enumerate(active):
        pair = f"ptr %s{n}, ptr {'null' if reverse else f'%at.{n}'}"
        body += [
            f"  %part.{place} = call double @coenzyme.fixed.distance({pair}, i64 %p{n + 1})",
            f"  %sum.{place + 1} = fadd double %sum.{place}, %part.{place}",
        ]
    total = f"%sum.{len(active)}"
    if point.control:
        body += _ask(point, total, "more")
    else:
        asked = f"ptr %first, double {total}, i64 %k, double {_number(point)}"
        body.append(f"  %more = call i1 @coenzyme.fixed.more({asked})")
    limit = f"sge i64 %next, {point.most}" if point.most >= 0 else "eq i64 %next, 0"
    return [
        *body,
        "  %next = add i64 %k, 1",
        f"  %many = icmp {limit}",
        "  %few = xor i1 %many, true",
        "  %go = and i1 %more, %few",
    ]


def requirement_text(point: FixedPoint) -> str:
    """Return a function that ends the program where the states are not what they were after the last step."""
    lines = ["entry:", "  %size.0 = add i64 0, 0", "  %equal.0 = add i32 0, 0"]
    for n in range(0, 2 * point.states, 2):
        lines += [
            f"  %memory.{n} = getelementptr i8, ptr %memory, i64 %size.{n}",
            f"  %here.{n} = call i32 @memcmp(ptr %p{n}, ptr %memory.{n}, i64 %p{n + 1})",
            f"  %equal.{n + 2} = or i32 %equal.{n}, %here.{n}",
            *_grow(n),
        ]
    return "\n".join(
        [
            f"define void @{point.name}.require({point.parameters}, ptr %memory) {{",
            *lines,
            f"  %same = icmp eq i32 %equal.{2 * point.states}, 0",
            "  br i1 %same, label %done, label %failed",
            "failed:",
            f"  call void @{FAILED}(i32 {CHANGED}, ptr @coenzyme.fixed.place)",
            "  unreachable",
            "done:",
            "  ret void",
            "}",
        ]
    )


def _offsets(point: FixedPoint) -> list[str]:
    """Return where in memory for states and regions each state has its place."""
    lines = ["  %size.0 = add i64 0, 0"]
    for n in range(0, 2 * point.states, 2):
        lines += [f"  %at.{n} = getelementptr i8, ptr %now, i64 %size.{n}", *_grow(n)]
    return lines


def _number(point: FixedPoint) -> str:
    return f"{point.reduction:.17e}"


def _ask(point: FixedPoint, cumul: str, name: str) -> list[str]:
    """Return a question to the program whether to go on."""
    return [
        f"  store double {cumul}, ptr %cumul",
        f"  store double {_number(point)}, ptr %reduction",
        f"  %{name}.said = call i32 @{spell_name(str(point.control))}(ptr %cumul, ptr %reduction)",
        f"  %{name} = icmp ne i32 %{name}.said, 0",
    ]


_ENZYME = {Sweep.FORWARD: "__enzyme_fwddiff.fixed", Sweep.REVERSE: "__enzyme_autodiff.fixed"}
_MARKERS = """
@enzyme_dup = external global i32
@enzyme_const = external global i32
"""

TOOLS = f"""
declare ptr @malloc(i64)
declare void @free(ptr)
declare i32 @memcmp(ptr, ptr, i64)
declare ptr @memcpy(ptr, ptr, i64)
declare void @{FAILED}(i32, ptr)
@coenzyme.fixed.place = private unnamed_addr constant [21 x i8] c"__enzyme_fixed_point\\00"

define ptr @coenzyme.fixed.memory(i64 %bytes) {{
entry:
  %memory = call ptr @malloc(i64 %bytes)
  %none = icmp eq ptr %memory, null
  %asked = icmp ne i64 %bytes, 0
  %failed = and i1 %none, %asked
  br i1 %failed, label %bad, label %good
bad:
  call void @{FAILED}(i32 {int(Status.TAPE_EXHAUSTED)}, ptr @coenzyme.fixed.place)
  unreachable
good:
  ret ptr %memory
}}

define void @coenzyme.fixed.bytes(ptr %to, ptr %from, i64 %bytes) {{
  call ptr @memcpy(ptr %to, ptr %from, i64 %bytes)
  ret void
}}

define void @coenzyme.fixed.numbers(ptr %to, ptr %from, i64 %bytes) {{
entry:
  %count = udiv i64 %bytes, 8
  %any = icmp ne i64 %count, 0
  br i1 %any, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %source = getelementptr double, ptr %from, i64 %i
  %target = getelementptr double, ptr %to, i64 %i
  %value = load double, ptr %source
  store double %value, ptr %target
  %next = add i64 %i, 1
  %go = icmp ult i64 %next, %count
  br i1 %go, label %loop, label %done
done:
  ret void
}}

define void @coenzyme.fixed.clear(ptr %to, i64 %bytes) {{
entry:
  %count = udiv i64 %bytes, 8
  %any = icmp ne i64 %count, 0
  br i1 %any, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %target = getelementptr double, ptr %to, i64 %i
  store double 0.0, ptr %target
  %next = add i64 %i, 1
  %go = icmp ult i64 %next, %count
  br i1 %go, label %loop, label %done
done:
  ret void
}}

define double @coenzyme.fixed.distance(ptr %one, ptr %other, i64 %bytes) {{
entry:
  %count = udiv i64 %bytes, 8
  %any = icmp ne i64 %count, 0
  %alone = icmp eq ptr %other, null
  br i1 %any, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %on ]
  %sum = phi double [ 0.0, %entry ], [ %more, %on ]
  %a.place = getelementptr double, ptr %one, i64 %i
  %a = load double, ptr %a.place
  br i1 %alone, label %on, label %minus
minus:
  %b.place = getelementptr double, ptr %other, i64 %i
  %b = load double, ptr %b.place
  br label %on
on:
  %c = phi double [ 0.0, %loop ], [ %b, %minus ]
  %d = fsub double %a, %c
  %square = fmul double %d, %d
  %more = fadd double %sum, %square
  %next = add i64 %i, 1
  %go = icmp ult i64 %next, %count
  br i1 %go, label %loop, label %done
done:
  %result = phi double [ 0.0, %entry ], [ %more, %on ]
  ret double %result
}}

define i1 @coenzyme.fixed.more(ptr %first, double %cumul, i64 %k, double %reduction) {{
entry:
  %begins = icmp eq i64 %k, 0
  br i1 %begins, label %note, label %compare
note:
  store double %cumul, ptr %first
  %any = fcmp ogt double %cumul, 0.0
  ret i1 %any
compare:
  %against = load double, ptr %first
  %bound = fmul double %against, %reduction
  %more = fcmp ogt double %cumul, %bound
  ret i1 %more
}}
"""
