from __future__ import annotations

import re
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba import types

from coenzyme.codegen import optimise, prepare, verify
from coenzyme.codegen.marking import find_recursive, mark, state_results
from coenzyme.errors import GeneratedIRError
from coenzyme.frontends.numba_lower import lower

CALLS = """
define i32 @entry(ptr %p) {
  %r = call i32 @"outer one"(ptr %p)
  %n = call i32 @even(i32 4)
  %s = add i32 %r, %n
  ret i32 %s
}
define i32 @"outer one"(ptr %p) noinline optnone {
  %r = call i32 @leaf(ptr %p)
  ret i32 %r
}
define i32 @leaf(ptr %p) #0 {
  store double 1.0, ptr %p
  ret i32 0
}
define i32 @even(i32 %n) {
  %z = icmp eq i32 %n, 0
  br i1 %z, label %done, label %more
done:
  ret i32 1
more:
  %cell = load ptr, ptr @".numba.unresolved$odd"
  %m = sub i32 %n, 1
  %r = call i32 %cell(i32 %m)
  ret i32 %r
}
define i32 @odd(i32 %n) {
  %z = icmp eq i32 %n, 0
  br i1 %z, label %done, label %more
done:
  ret i32 0
more:
  %m = sub i32 %n, 1
  %r = call i32 @even(i32 %m)
  ret i32 %r
}
define void @unused() {
  ret void
}
@".numba.unresolved$odd" = external global ptr
attributes #0 = { noinline }
"""


def defined(text: str) -> set[str]:
    return set(re.findall(r'^define [^@]*@"?([^"(]*)"?\(', text, re.MULTILINE))


def test_functions_on_cycles_are_found_through_the_cells_of_recursive_calls() -> None:
    assert find_recursive(CALLS) == {"even", "odd"}


def test_everything_but_cycles_is_inlined() -> None:
    text = prepare(CALLS, "entry")
    assert defined(text) == {"entry", "even", "odd"}
    assert "numba.unresolved" not in text
    assert "store double 1.0" in text.split("define")[1]


def test_a_function_with_a_rule_stays_a_call() -> None:
    text = prepare(CALLS, "entry", keep_out_of_line=lambda name: name == "leaf")
    assert "leaf" in defined(text)
    assert "outer one" not in defined(text)
    assert re.search(r"call i32 @leaf\(", text)


def test_marks_keep_attributes_of_parameters_and_replace_those_of_declarations() -> None:
    text = (
        'declare ptr @NRT_MemInfo_alloc_aligned(i64, i32) "old"\n'
        "define linkonce_odr i32 @f(ptr noalias captures(none) %p) noinline !dbg !1 {\n  ret i32 0\n}"
    )
    lines = mark(text, "g", lambda _: False).split("\n")
    assert lines[0] == (
        "declare noalias ptr @NRT_MemInfo_alloc_aligned(i64, i32)"
        " nounwind willreturn memory(inaccessiblemem: readwrite)"
    )
    assert lines[1] == (
        'define internal i32 @f(ptr noalias captures(none) %p) nounwind "no-builtins" alwaysinline !dbg !1 {'
    )


def kernel(a: Any, b: Any, n: int) -> Any:
    t = np.zeros_like(a)
    for i in range(n):
        for j in range(a.shape[1]):
            if a[i, j] > 0:
                t[i, j] = np.exp(-(a[i, j] ** 2)) * b[j]
            for k in range(3):
                t[i, j] += k * b[k]
    return (t * 2 + a).sum() + np.median(b)


KERNEL_TYPES = (types.float64[:, ::1], types.float64[::1], types.int64)


@pytest.fixture(scope="module")
def text() -> str:
    program = lower(nb.njit(kernel), KERNEL_TYPES)
    return prepare(program.text, program.entry)


def test_every_instruction_has_a_name(text: str) -> None:
    assert not re.findall(r"^\s+%\d+ =|^\d+:", text, re.MULTILINE)
    assert not re.findall(r"\(.*%\d+\b", "\n".join(x for x in text.split("\n") if x.startswith("define")))


def test_there_are_no_vectors_and_no_alias_scopes(text: str) -> None:
    assert not re.findall(r"<\d+ x ", text)
    assert "!noalias" not in text
    assert "!alias.scope" not in text
    assert "noalias.scope.decl" not in text


def test_metadata_left_is_metadata_used(text: str) -> None:
    nodes = re.findall(r"^!(\d+) = ", text, re.MULTILINE)
    assert all(len(re.findall(rf"!{n}\b", text)) > 1 for n in nodes)


def test_no_environment_is_left_that_nothing_reads(text: str) -> None:
    assert "NumbaEnv" not in text


def test_short_loops_of_constant_length_are_unrolled() -> None:
    def f(a: Any) -> float:
        total = 0.0
        for k in range(3):
            total += a[k]
        return total

    program = lower(nb.njit(f), (types.float64[::1],))
    assert " phi " not in prepare(program.text, program.entry)


def loops(text: str) -> list[tuple[set[str], dict[str, list[str]], str]]:
    """Return (blocks, successors, header) of each natural loop of each function, by definition."""
    found = []
    for body in re.findall(r"^define .*?^}", text, re.MULTILINE | re.DOTALL):
        succ: dict[str, list[str]] = {}
        for block in re.split(r"\n\n", body.split("{\n", 1)[1]):
            label = re.search(r"^([-\w.$]+|\"[^\"]*\"):", block, re.MULTILINE)
            assert label is not None
            targets = re.findall(r"label %([-\w.$]+)", block[label.end() :])
            succ[label.group(1)] = targets
        entry = next(iter(succ))

        def reach(start: str, avoid: str | None, succ: dict[str, list[str]] = succ) -> set[str]:
            seen: set[str] = set()
            work = [start]
            while work:
                node = work.pop()
                if node not in seen and node != avoid:
                    seen.add(node)
                    work += succ[node]
            return seen

        for tail, targets in succ.items():
            for head in targets:
                if tail in reach(entry, head) or head not in reach(entry, None):
                    continue  # not a back edge: the head does not dominate the tail
                blocks = {head} | {b for b in reach(head, None) if tail in reach(b, head)}
                found.append((blocks, succ, head))
    return found


def test_every_loop_has_a_preheader_one_latch_and_exits_of_its_own(text: str) -> None:
    every = loops(text)
    assert len(every) > 3
    for blocks, succ, head in every:
        into = [b for b, targets in succ.items() if head in targets]
        outside = [b for b in into if b not in blocks]
        assert len(outside) == 1
        assert succ[outside[0]] == [head]
        assert len([b for b in into if b in blocks]) == 1
        exits = {t for b in blocks for t in succ[b] if t not in blocks}
        for exit_block in exits:
            assert all(b in blocks for b, targets in succ.items() if exit_block in targets)


def test_preparing_twice_is_allowed_and_settles() -> None:
    program = lower(nb.njit(kernel), KERNEL_TYPES)
    once = prepare(program.text, program.entry)
    twice = prepare(once, program.entry)
    assert defined(once) == defined(twice)
    assert len(twice) <= len(once) * 1.02


def test_optimise_brings_vectors_back() -> None:
    def f(a: Any) -> None:
        for i in range(a.size):
            a[i] = a[i] * 2.0

    program = lower(nb.njit(f), (types.float64[::1],))
    prepared = prepare(program.text, program.entry)
    assert "x double>" not in prepared
    assert "x double>" in optimise(prepared)


def test_invalid_text_is_reported_with_its_evidence() -> None:
    broken = "define i32 @f() {\n  ret i64 0\n}"
    with pytest.raises(GeneratedIRError, match="report it") as caught:
        verify(broken, function="loss")
    assert caught.value.function == "loss"
    saved = re.search(r"saved in (\S+)", str(caught.value))
    assert saved is not None
    with open(saved.group(1), encoding="utf-8") as file:
        assert file.read() == broken


def test_text_that_parses_but_does_not_verify_is_refused() -> None:
    broken = """
    define i32 @f(i1 %c) {
      br i1 %c, label %x, label %y
    x:
      %v = add i32 1, 1
      br label %y
    y:
      ret i32 %v
    }
    """
    with pytest.raises(GeneratedIRError, match="dominate"):
        verify(broken)


def test_deferred_types_are_spelled_out() -> None:
    text = prepare(
        """
%deferred.12.data = type { { ptr, i64 } }
declare void @g(ptr)

define i32 @f() {
entry:
  %local = alloca { i8, %deferred.12.data }
  call void @g(ptr %local)
  ret i32 0
}
""",
        "f",
    )
    assert "deferred" not in text
    assert "alloca { i8, { { ptr, i64 } } }" in text


RAISING = """define linkonce_odr i32 @_Zol_raise_with_shape_context_{name}(ptr %p) noinline {{
  br i1 {test}, label %a, label %b
a:
  ret i32 {first}
b:
  ret i32 {second}
}}
"""


def test_what_a_function_that_only_raises_returns_is_stated_where_it_is_one_number() -> None:
    one = RAISING.format(name="one", test="true", first="1", second="1")
    two = RAISING.format(name="two", test="true", first="1", second="2")
    other = one.replace("_Zol_raise_with_shape_context_one", "raises")
    computed = RAISING.format(name="computed", test="true", first="%x", second="%x")
    stated = state_results(other + one + two + computed + one.replace("_one", "_more"))
    assert stated.count("range(i32 1, 2) i32 @_Zol_raise_with_shape_context_") == 2
    assert "linkonce_odr range(i32 1, 2) i32 @_Zol_raise_with_shape_context_more" in stated
    assert re.sub(r"range\(i32 1, 2\) ", "", stated) == other + one + two + computed + one.replace(
        "_one", "_more"
    )
    assert state_results(stated) == stated


def test_function_that_raises_out_of_line_returns_an_error_for_sure() -> None:
    @nb.njit
    def put(out, x):
        out[:] = x

    @nb.njit
    def f(out, x):
        for _ in range(3):
            put(out, x)
            out *= 2.0
        return out[0]

    program = lower(f, (nb.float64[::1], nb.float64[::1]))
    text = prepare(program.text, program.entry)
    call = re.search(r"(%\S+) = (?:tail )?call i32 @\w*ol_raise_with_shape_context", text)
    assert call is not None
    assert len(re.findall(rf"{re.escape(call.group(1))}\b", text)) == 1
