"""Small arrays that stay in the function become values: which, which not, and the derivatives."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest

import coenzyme as cz
from coenzyme import engine
from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.codegen import prepare
from coenzyme.derive.promotion import LARGEST, MOST, may_promote, promote_small_blocks
from coenzyme.ir.parser import parse_module
from coenzyme.ir.printer import print_module
from tests.unit.derive.shapes import agree, gradients, made

X = np.array([0.7, 1.3, 0.4, 1.1, 0.9, 0.31])

# --- what is promoted ---------------------------------------------------------------------------------------

TEXT = """
declare ptr @NRT_MemInfo_alloc_aligned(i64, i32)
declare ptr @NRT_MemInfo_alloc_dtor_safe(i64, ptr)
declare ptr @NRT_MemInfo_data_fast(ptr)
declare void @NRT_incref(ptr)
declare void @NRT_decref(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @keep(ptr)

define i32 @f(ptr %result, ptr %excinfo, double %x, i64 %n) {{
entry:
  %m = call ptr {allocation}
  %none = icmp eq ptr %m, null
  br i1 %none, label %failed, label %go
failed:
  ret i32 1
go:
  %p = call ptr @NRT_MemInfo_data_fast(ptr %m)
  {body}
  call void @NRT_decref(ptr %m)
  ret i32 0
}}
"""
ALLOCATION = "@NRT_MemInfo_alloc_aligned(i64 24, i32 32)"
SQUARED = """
  store double %x, ptr %p
  %q = getelementptr i8, ptr %p, i64 16
  store double %x, ptr %q
  call void @NRT_incref(ptr %m)
  %a = load double, ptr %p
  call void @NRT_decref(ptr %m)
  %b = load double, ptr %q
  %c = fmul double %a, %b
  store double %c, ptr %result
"""


def promoted(body: str, allocation: str = ALLOCATION) -> str:
    """Return the function after the pass and LLVM's simplification, or nothing where it does not apply."""
    module = parse_module(TEXT.format(body=body, allocation=allocation))
    if not promote_small_blocks(module):
        assert print_module(module) == print_module(
            parse_module(TEXT.format(body=body, allocation=allocation))
        )
        return ""
    return prepare(print_module(module), "f")


def test_block_becomes_values_and_its_failure_and_its_counts_go_away() -> None:
    text = promoted(SQUARED)
    assert "fmul double %x, %x" in text
    assert not any(word in text for word in ("NRT_", "alloca", "load", "ret i32 1", "icmp"))


def test_blocks_that_are_cleared_and_copied_become_values() -> None:
    body = """
  call void @llvm.memset.p0.i64(ptr %p, i8 0, i64 24, i1 false)
  store double %x, ptr %p
  call void @llvm.memcpy.p0.p0.i64(ptr %result, ptr %p, i64 16, i1 false)
"""
    text = promoted(body)
    assert "NRT_" not in text
    assert "alloca" not in text


def test_what_nobody_has_written_is_zero() -> None:
    text = promoted("%a = load double, ptr %p\n  store double %a, ptr %result")
    assert "store i64 0" in text or "store double 0.0" in text


OVERLAP = """
  store double %x, ptr %p
  %start = ptrtoint ptr %p to i64
  %end = add i64 %start, 24
  %other = ptrtoint ptr %result to i64
  %other.end = add i64 %other, 24
  %a = icmp {before} i64 %start, %other.end
  %b = icmp {after} i64 %end, %other
  %both = and i1 %a, %b
  %w = select i1 %both, double 2.0, double 1.0
  store double %w, ptr %result
"""


@pytest.mark.parametrize(
    ("before", "after"), [("ult", "ugt"), ("slt", "sgt"), ("ule", "uge"), ("sle", "sge")]
)
def test_block_overlaps_no_other_memory(before: str, after: str) -> None:
    text = promoted(OVERLAP.format(before=before, after=after))
    assert "store double 1.0" in text
    assert "alloca" not in text


@pytest.mark.parametrize(
    ("predicate", "offset", "answer"),
    [
        ("eq", 0, 1),
        ("eq", 8, 0),
        ("ne", 0, 0),
        ("ne", 8, 1),
        ("ult", 8, 1),
        ("ult", 0, 0),
        ("ule", 0, 1),
        ("ugt", 8, 0),
        ("uge", 0, 1),
        ("slt", -8, 0),
        ("sge", -8, 1),
        ("sgt", -8, 1),
        ("sle", -8, 0),
    ],
)
def test_places_of_one_block_compare_by_their_offsets(predicate: str, offset: int, answer: int) -> None:
    body = f"""
  store double %x, ptr %p
  %q = getelementptr i8, ptr %p, i64 {offset}
  %c = icmp {predicate} ptr %p, %q
  %w = select i1 %c, double 1.0, double 0.0
  store double %w, ptr %result
"""
    assert f"store double {answer}.0" in promoted(body)


def test_block_is_none_of_the_others() -> None:
    body = """
  store double %x, ptr %p
  %a = icmp eq ptr %p, %result
  %b = icmp eq ptr %result, %p
  %c = icmp ne ptr %p, null
  %d = or i1 %a, %b
  %e = xor i1 %c, %d
  %w = select i1 %e, double 1.0, double 0.0
  store double %w, ptr %result
"""
    assert "store double 1.0" in promoted(body)


REFUSED = {
    "an offset that varies": """
  %q = getelementptr double, ptr %p, i64 %n
  store double %x, ptr %q""",
    "its address returned": "store ptr %m, ptr %result",
    "the address of its data returned": "store ptr %p, ptr %result",
    "its address given away": "call void @keep(ptr %m)",
    "the address of its data given away": "call void @keep(ptr %p)",
    "a number made of its address": "%i = ptrtoint ptr %p to i64\n  store i64 %i, ptr %result",
    "a choice": """
  %c = icmp eq i64 %n, 0
  %q = select i1 %c, ptr %p, ptr %result
  store double %x, ptr %q""",
    "a load behind its end": """
  %q = getelementptr i8, ptr %p, i64 24
  %a = load double, ptr %q
  store double %a, ptr %result""",
    "a load across its end": """
  %q = getelementptr i8, ptr %p, i64 20
  %a = load double, ptr %q
  store double %a, ptr %result""",
    "a load before its start": """
  %q = getelementptr i8, ptr %p, i64 -8
  %a = load double, ptr %q
  store double %a, ptr %result""",
    "a volatile store": "store volatile double %x, ptr %p",
    "an atomic store": "store atomic double %x, ptr %p seq_cst, align 8",
    "a copy of unknown length": "call void @llvm.memcpy.p0.p0.i64(ptr %result, ptr %p, i64 %n, i1 false)",
    "a copy beyond its end": "call void @llvm.memcpy.p0.p0.i64(ptr %result, ptr %p, i64 32, i1 false)",
    "a difference of addresses": """
  %i = ptrtoint ptr %p to i64
  %j = ptrtoint ptr %result to i64
  %d = sub i64 %i, %j
  %c = icmp sgt i64 %d, 0
  %w = select i1 %c, double %x, double 1.0
  store double %w, ptr %result""",
    "a number of bits of its address": """
  %i = ptrtoint ptr %p to i64
  %j = and i64 %i, 31
  %c = icmp eq i64 %j, 0
  %w = select i1 %c, double %x, double 1.0
  store double %w, ptr %result""",
    "a load of its header": "%a = load i64, ptr %m\n  store i64 %a, ptr %result",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_block_of_which_more_is_used_stays(body: str) -> None:
    assert not promoted(body)


@pytest.mark.parametrize(
    "allocation",
    [
        "@NRT_MemInfo_alloc_aligned(i64 %n, i32 32)",
        f"@NRT_MemInfo_alloc_aligned(i64 {LARGEST + 8}, i32 32)",
        "@NRT_MemInfo_alloc_aligned(i64 -8, i32 32)",
        "@NRT_MemInfo_alloc_aligned(i64 24, i32 24)",
        "@NRT_MemInfo_alloc_dtor_safe(i64 24, ptr @keep)",
    ],
)
def test_block_of_another_kind_stays(allocation: str) -> None:
    assert not promoted(SQUARED, allocation)


def test_blocks_of_a_function_are_small_together() -> None:
    count = MOST // LARGEST + 2
    calls = "\n".join(
        f"  %m{i} = call ptr @NRT_MemInfo_alloc_aligned(i64 {LARGEST}, i32 32)" for i in range(count)
    )
    module = parse_module(
        f"declare ptr @NRT_MemInfo_alloc_aligned(i64, i32)\ndefine void @f() {{\n{calls}\n  ret void\n}}"
    )
    assert promote_small_blocks(module)
    assert print_module(module).count("call ptr @NRT_MemInfo_alloc_aligned") == count - MOST // LARGEST


TURNED = """
declare ptr @NRT_MemInfo_alloc_aligned(i64, i32)
declare ptr @NRT_MemInfo_data_fast(ptr)
declare void @NRT_decref(ptr)

define void @f(ptr %x, i64 %n) {{
entry:
  %first = call ptr @NRT_MemInfo_alloc_aligned(i64 16, i32 32)
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %latch ]
  %m = phi ptr [ %first, %entry ], [ {again}, %latch ]
  %p = call ptr @NRT_MemInfo_data_fast(ptr %m)
  %a = load double, ptr %p
  %b = fadd double %a, 1.0
  store double %b, ptr %p
  %c = load double, ptr %p
  %at = getelementptr double, ptr %x, i64 %i
  store double %c, ptr %at
  br label %latch
latch:
  %j = add nuw nsw i64 %i, 1
  %next = call ptr @NRT_MemInfo_alloc_aligned(i64 16, i32 32)
  {then}
  %more = icmp slt i64 %j, %n
  br i1 %more, label %loop, label %out
out:
  ret void
}}
"""


def test_allocation_that_a_turned_loop_repeats_at_its_end_is_one_block_for_each_iteration() -> None:
    module = parse_module(TURNED.format(again="%next", then=""))
    assert promote_small_blocks(module)
    text = prepare(print_module(module), "f")
    assert "NRT_" not in text
    assert "alloca" not in text
    assert "store double 1.0" in text


@pytest.mark.parametrize(
    ("again", "then"),
    [
        ("%first", ""),  # one block for all iterations
        ("%m", ""),
        ("%next", "%q = call ptr @NRT_MemInfo_data_fast(ptr %next)\n  store double 2.0, ptr %q"),
    ],
)
def test_blocks_that_live_longer_than_an_iteration_are_not_merged(again: str, then: str) -> None:
    module = parse_module(TURNED.format(again=again, then=then))
    before = print_module(module)
    promote_small_blocks(module)
    # What is allocated for nothing may go.
    for line in ("%first = call ptr @NRT_MemInfo_alloc_aligned", "%m = phi ptr", "(ptr %m)"):
        assert line in print_module(module)
        assert line in before


def test_texts_without_small_allocations_are_not_looked_at() -> None:
    assert may_promote("%m = tail call ptr @NRT_MemInfo_alloc_aligned(i64 24, i32 32)")
    assert not may_promote("%m = call ptr @NRT_MemInfo_alloc_aligned(i64 %n, i32 32)")
    assert not may_promote("declare ptr @NRT_MemInfo_alloc_aligned(i64, i32)")


# --- derivatives --------------------------------------------------------------------------------------------


@nb.njit
def three(a, b):
    r = np.empty(3)
    r[0] = a * b
    r[1] = a + b
    r[2] = a - b * b
    return r


@nb.njit
def of_helpers(x):
    s = 0.0
    for i in range(x.size - 1):
        r = three(x[i], x[i + 1])
        q = three(r[0], r[2])
        s += r[0] * r[1] * q[2] + q[1] * r[2]
    return s


@nb.njit
def written_on_one_way(x):
    s = 0.0
    for i in range(x.size):
        t = np.zeros(2)
        if x[i] > 0.5:
            t[0] = x[i] * x[i]
        if x[i] < 1.2:
            t[1] = np.sin(x[i])
        s += t[0] * t[1] + t[0]
    return s


@nb.njit
def state_before_the_loop(x):
    t = np.zeros(3)
    s = 0.0
    for i in range(x.size):
        t[0] += x[i]
        t[1] = t[0] * t[2] + x[i]
        t[2] = t[1] * 0.5
        s += t[0] * t[2]
    return s


@nb.njit
def views(x):
    s = 0.0
    for i in range(x.size):
        t = np.empty((2, 2))
        t[0] = x[i]
        t[1, 0] = x[i] * 2
        t[1, 1] = np.exp(x[i])
        r = t[1]
        c = t[:, 0]
        c[1] *= r[1]
        r[0] += c[0]
        s += r[0] * c[1]
    return s


@nb.njit
def expressions(x):
    s = 0.0
    for i in range(x.size):
        t = np.array([x[i], 1.0, x[i] * x[i]])
        u = t * t + 1.0
        s += np.sum(u * t)
    return s


@nb.njit
def complex_numbers(x):
    s = 0.0
    for i in range(x.size):
        c = np.empty(2, np.complex128)
        c[0] = complex(x[i], 1.0)
        c[1] = c[0] * c[0]
        s += c[1].real * c[1].imag
    return s


@nb.njit
def loop_within(x):
    s = 0.0
    for i in range(x.size):
        t = np.array([x[i], s])
        while t[0] < 3.0:
            u = np.array([t[0] * 1.7, t[1] + t[0]])
            t[0] = u[0]
            t[1] = u[1]
        s += t[1] * 0.1
    return s


@nb.njit
def carried(x):
    s = 0.0
    v = np.ones(2)
    for i in range(x.size):
        w = np.empty(2)
        w[0] = v[0] * x[i]
        w[1] = v[1] + v[0]
        v = w
        s += v[0] * v[1]
    return s


@nb.njit
def one_of_two(x):
    s = 0.0
    for i in range(x.size):
        a = np.empty(2)
        a[0] = x[i]
        a[1] = 2 * x[i]
        b = np.empty(2)
        b[0] = x[i] * x[i]
        b[1] = 3.0
        c = a if x[i] > 0.8 else b
        c[0] = c[0] * c[1]
        s += a[0] * b[0] + c[0]
    return s


@nb.njit
def subscript_that_varies(x):
    s = 0.0
    for i in range(x.size):
        t = np.zeros(4)
        t[i % 4] = x[i] * x[i]
        t[(i + 1) % 4] += x[i]
        s += t[0] * t[1] + t[2] * t[3] + t[i % 4]
    return s


@nb.njit
def copies(x):
    s = 0.0
    for i in range(x.size):
        t = np.array([x[i], 2.0])
        u = t.copy()
        u[0] *= u[0]
        t[:] = u
        s += t[0] * u[1]
    return s


@nb.njit
def into_rows(x):
    rows = x.reshape((2, 3)).copy()
    s = 0.0
    for i in range(2):
        rows[i] = three(rows[i, 1], rows[1 - i, 2])
        s += rows[i, 0] * rows[1 - i, 1]
    return s


@nb.njit
def left_early(x):
    s = 0.0
    t = np.ones(2)
    for i in range(x.size):
        t = np.empty(2)
        t[0] = x[i]
        t[1] = x[i] ** 2
        if t[1] > 1.6:
            break
        s += t[0] * t[1]
    return s + t[0] * t[1]


@nb.njit
def of_subscripts(x):
    s = 0.0
    for i in range(x.size):
        k = np.zeros(3, np.int64)
        k[0] = i
        k[1] = k[0] + 1
        s += x[k[0]] * x[k[0]] * k[1]
    return s


@nb.njit
def recursive(x, n):
    t = np.empty(2)
    t[0] = x * x
    t[1] = np.sin(x)
    if n == 0:
        return t[0] * t[1]
    return t[0] + t[1] * recursive(t[1] * x, n - 1)


@nb.njit
def calls_recursive(x):
    return recursive(x[0], 3) * x[1]


GONE = (
    of_helpers,
    written_on_one_way,
    state_before_the_loop,
    views,
    expressions,
    complex_numbers,
    loop_within,
    copies,
    of_subscripts,
    calls_recursive,
)
STAYING = (into_rows, carried, one_of_two, subscript_that_varies, left_early)
QUICK = (of_helpers, carried)


@pytest.mark.parametrize(
    "f", [pytest.param(f, marks=[] if f in QUICK else [pytest.mark.slow]) for f in GONE + STAYING]
)
def test_derivatives_are_those_of_the_plain_plan(f: Any) -> None:
    allocations = made(f, X).text.count("call ptr @NRT_MemInfo_alloc")
    assert (allocations == 0) == (f in GONE)
    agree(f, X)
    exact = gradients(f, X)[0]
    step = 1e-6
    for i in range(X.size):
        up, down = X.copy(), X.copy()
        up[i] += step
        down[i] -= step
        assert exact[i] - gradients_start()[i] == pytest.approx((f(up) - f(down)) / (2 * step), rel=1e-6)


def gradients_start() -> Any:
    """Return the cotangents that `gradients` starts from."""
    return np.random.default_rng(0).uniform(0.5, 1.5, X.shape)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_loops_that_hardly_run_are_right_too(count: int) -> None:
    agree(of_helpers, X[:count].copy())


def test_left_out_the_arrays_stay() -> None:
    text = made(of_helpers, X, passes=ALL_PASSES - {Pass.STACK}).text
    assert "call ptr @NRT_MemInfo_alloc" in text
    assert "call ptr @NRT_MemInfo_alloc" in made(of_helpers, X, passes=NO_PASSES).text


@nb.njit
def raises(x):
    s = 0.0
    for i in range(x.size):
        t = np.empty(2)
        t[0] = x[i]
        t[1] = x[i] * x[i]
        if t[1] > 1.6:
            raise ValueError("too large")
        s += t[0] * t[1]
    return s


def test_errors_between_allocation_and_release_are_raised() -> None:
    gradient = cz.grad(raises)
    np.testing.assert_allclose(gradient(X[:1].copy()), 3.0 * X[:1] ** 2)
    with pytest.raises(ValueError, match="too large"):
        gradient(X.copy())


@pytest.mark.slow
@pytest.mark.parametrize("f", [of_helpers, views, expressions])
def test_directions_together_halves_and_second_derivatives_agree_with_the_plain_plan(f: Any) -> None:
    found: list[list[Any]] = []
    for passes in ((), tuple(Pass)):
        with cz.debug.without(*passes):
            shadows = np.zeros((3, X.size))
            cz.autodiff(cz.Reverse, f, cz.Active, cz.BatchDuplicated(X.copy(), tuple(shadows)))
            _, pullback = cz.vjp(f, X.copy())
            tangents = [cz.jvp(f, (X.copy(),), (seed,))[1] for seed in np.eye(3, X.size)]
            found.append([shadows, cz.hessian(f)(X.copy()), pullback(1.0), tangents])
    for quick, plain in zip(*found, strict=True):
        np.testing.assert_allclose(np.asarray(quick), np.asarray(plain), rtol=1e-10, atol=1e-12)
        assert np.any(plain)


def test_functions_keep_their_text_when_asked_without() -> None:
    kinds = (nb.typeof(X),)
    assert "NRT_MemInfo_alloc" in engine.prepared(of_helpers, kinds)
    assert "NRT_MemInfo_alloc" not in engine.prepared(of_helpers, kinds, promoted=True)
