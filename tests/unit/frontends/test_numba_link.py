from __future__ import annotations

import math
import re
import subprocess
import sys
import textwrap
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba import types

from coenzyme.errors import ActivityError, GeneratedIRError
from coenzyme.frontends import ArgumentActivity, Mode
from coenzyme.frontends.numba_link import link as link_code
from coenzyme.frontends.numba_lower import lower
from tests.unit.frontends.linking import prepared, relinked

CONST, ACTIVE, DUPLICATED = ArgumentActivity
Pair = namedtuple("Pair", "scale values")

MATRIX = np.arange(12.0).reshape(3, 4)


def link(*given: Any, **options: Any) -> Any:
    """Return linked code as a function of its own."""
    return link_code(*given, **options).dispatcher


# --- the identity route: a function linked back is the function ---------------------------------------------


def scalar(x: float) -> float:
    return x * x + math.sin(x)


def quotient(a: int, b: int) -> int:
    return a // b


def choose(flag: bool, x: float) -> float:
    return x if flag else -x


def complex_square(z: complex) -> complex:
    return z * z


def weighted(a: Any) -> float:
    total = 0.0
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            total += a[i, j] * (i + 1)
    return total


def over_first_axis(a: Any) -> Any:
    return a[1, 2, 3] * a.sum(axis=0)


def doubled(a: Any) -> Any:
    return a * 2


def view(a: Any) -> Any:
    return a[1:, ::2]


def from_tuple(t: Any) -> float:
    return t[0] * t[1].sum() * t[2]


def tuple_of_results(t: Any) -> Any:
    return t[0] + t[1], t[1][0, 0], t[0].shape


def named(p: Any) -> Any:
    return Pair(p.scale * 2, p.values[0])


def temporaries(n: int) -> float:
    total = 0.0
    for k in range(n):
        t = np.zeros(k + 2)
        t[:] = k
        total += t.sum()
    return total


def closure(a: Any) -> float:
    return (a * MATRIX).sum()


def in_place(a: Any) -> None:
    a[0] *= 2


def maybe(x: float) -> Any:
    if x > 1:
        return None
    return x


def list_and_generator(a: Any) -> float:
    found = [x * 2 for x in a]
    return sum(found) + found[-1]


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (scalar, (2.0,)),
        (scalar, (np.float32(2.0),)),
        (quotient, (7, -2)),
        (choose, (True, 1.0)),
        (complex_square, (2 + 3j,)),
        (complex_square, (np.complex64(2 + 3j),)),
        (weighted, (MATRIX,)),
        (weighted, (MATRIX.T,)),
        (weighted, (MATRIX[:, ::2],)),
        (weighted, (MATRIX.astype(np.float32),)),
        (over_first_axis, (np.arange(24.0).reshape(2, 3, 4),)),
        (doubled, (MATRIX,)),
        (view, (MATRIX,)),
        (from_tuple, ((1.0, MATRIX, 2),)),
        (tuple_of_results, ((MATRIX, MATRIX + 1),)),
        (named, (Pair(1.5, MATRIX),)),
        (temporaries, (4,)),
        (closure, (MATRIX,)),
        (maybe, (0.5,)),
        (maybe, (2.0,)),
        (list_and_generator, (np.arange(1.0, 4.0),)),
        (np.linalg.det, (np.eye(3) * 2,)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_function_linked_back_is_the_function(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if function is np.linalg.det:

        def function(a: Any) -> float:
            return np.linalg.det(a)

    expected = nb.njit(function)(*args)
    found = relinked(function, *args)(*args)
    assert type(found) is type(expected)
    np.testing.assert_equal(found, expected)


def test_memory_is_written_in_place() -> None:
    a = np.ones(3)
    assert relinked(in_place, a)(a) is None
    assert a.tolist() == [2.0, 1.0, 1.0]


def test_star_arguments_are_passed_as_one_tuple() -> None:
    def f(x: float, *rest: Any) -> float:
        return x * rest[0] + rest[1]

    assert relinked(f, 2.0, 3.0, 4)(2.0, (3.0, 4)) == 10.0


def test_omitted_defaults_are_not_parameters() -> None:
    def f(x: float, y: float = 3.0) -> float:
        return x * y

    assert relinked(f, 2.0)(2.0) == 6.0


def test_read_only_arrays_are_accepted_where_the_primal_accepts_them() -> None:
    a = np.arange(3.0)
    a.flags.writeable = False

    def f(a: Any) -> float:
        return a.sum()

    assert relinked(f, a)(a) == 3.0


@pytest.mark.parametrize(
    ("body", "args", "error"),
    [
        ("if x < 0: raise ValueError('negative', 3)", (-1.0,), ValueError("negative", 3)),
        ("if x < 0: raise ValueError('negative', x)", (-1.0,), ValueError("negative", -1.0)),
        ("x = 1.0 / (x + 1.0)", (-1.0,), ZeroDivisionError("division by zero")),
        ("assert x > 0", (-1.0,), AssertionError()),
        ("np.zeros(int(x))", (-1.0,), ValueError("negative dimensions not allowed")),
    ],
)
def test_exceptions_are_those_of_the_function(body: str, args: tuple[float], error: Exception) -> None:
    space: dict[str, Any] = {"np": np, "__name__": "user_code"}
    exec(f"def f(x):\n    {body}\n    return x", space)
    again = relinked(space["f"], *args)
    with pytest.raises(type(error)) as caught:
        again(*args)
    assert caught.value.args == error.args
    assert again(1.0) == nb.njit(space["f"])(1.0)


def test_printing_finds_its_environment(capfd: pytest.CaptureFixture[str]) -> None:
    def f(x: float) -> float:
        print("value", x)
        return x

    relinked(f, 1.5)(1.5)
    assert capfd.readouterr().out == "value 1.5\n"


def test_callers_inline_it_and_keyword_arguments_work() -> None:
    again = relinked(scalar, 1.0)

    @nb.njit
    def caller(x: float) -> float:
        return again(x) + 1.0

    assert caller(2.0) == scalar(2.0) + 1.0
    assert again(x=2.0) == scalar(2.0)
    assert not re.search(r"call .*coenzyme\.again", caller.inspect_llvm(caller.signatures[0]))


def test_a_linked_function_can_be_lowered_again() -> None:
    def f(a: Any) -> float:
        return np.sort(a).sum()

    a = np.array([2.0, 1.0])
    assert relinked(relinked(f, a), a)(a) == 3.0


def test_lines_survive_in_a_function_that_has_no_subprogram_of_its_own() -> None:
    # What a derivative looks like: new functions whose instructions keep the places of the primal's.
    program, text = prepared(scalar, 1.0)
    bare = re.sub(r"^(define .*) !dbg !\d+ \{$", r"\1 {", text, flags=re.MULTILINE)
    assert bare != text
    again = link(bare, program.entry, program, [CONST], Mode.PRIMAL, "again")
    _, second = prepared(again, 1.0)
    assert again(2.0) == scalar(2.0)
    product = re.search(r"fmul double .*!dbg !(\d+)", second)
    assert product is not None
    place = re.search(rf"^!{product.group(1)} = !DILocation\(line: (\d+)", second, re.MULTILINE)
    assert place is not None
    assert int(place.group(1)) == scalar.__code__.co_firstlineno + 1


def test_other_types_are_converted_or_refused() -> None:
    again = relinked(scalar, 1.0)
    assert again(2) == scalar(2.0)
    with pytest.raises(TypeError):
        again("text")
    with pytest.raises(TypeError):
        again(np.ones(2))
    with pytest.raises(TypeError):
        again(1.0, 2.0)


LEAKS = """
import os
os.environ["NUMBA_NRT_STATS"] = "1"
import numba as nb, numpy as np
from numba.core.runtime import rtsys
from tests.unit.frontends.linking import relinked

def f(a, flag):
    t = np.zeros_like(a)
    t += a
    u = t * 2
    return u, a

def g(a, i):
    return a[i]

def live():
    stats = rtsys.get_allocation_stats()
    return stats.alloc - stats.free

a = np.ones(4)
again = relinked(f, a, True)
checked = relinked(nb.njit(boundscheck=True)(g), a, 0)
again(a, True)
before = live()
for _ in range(5):
    again(a, True)
    try:
        checked(a, 99)
    except IndexError:
        pass
print("leaked", live() - before)
"""


def test_no_memory_is_leaked_on_return_or_raise() -> None:
    # In a process of its own: the run-time system counts only if told before it starts.
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", LEAKS], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.stdout == "leaked 0\n", done.stderr


CACHED = """
import sys
import numba as nb
sys.path.insert(0, {folder!r})
from cached_caller import caller
print(caller(3.0), sum(caller.stats.cache_hits.values()))
"""


def test_callers_can_be_cached_across_processes(tmp_path: Path) -> None:
    source = """
        import numba as nb
        from tests.unit.frontends.linking import relinked

        def square(x):
            return x * x

        again = relinked(square, 1.0)

        @nb.njit(cache=True)
        def caller(x):
            return again(x) + 1.0
    """
    (tmp_path / "cached_caller.py").write_text(textwrap.dedent(source))
    root = Path(__file__).parents[3]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", CACHED.format(folder=str(tmp_path))],
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
        ).stdout
        for _ in range(2)
    ]
    assert outputs == ["10.0 0\n", "10.0 1\n"]


# --- the derivative's convention, with derivatives written by hand ------------------------------------------


def square(x: float) -> float:
    return x * x


SQUARE_FORWARD = """
define i32 @d(ptr %ret, ptr %exc, double %x, ptr %dret, double %x_dot) {
  %y = fmul double %x, %x
  store double %y, ptr %ret
  %two = fmul double %x, 2.0
  %y_dot = fmul double %two, %x_dot
  store double %y_dot, ptr %dret
  ret i32 0
}
"""
SQUARE_REVERSE = """
define i32 @d(ptr %ret, ptr %exc, double %x, ptr %dret, ptr %x_bar) {
  %y = fmul double %x, %x
  store double %y, ptr %ret
  %seed = load double, ptr %dret
  store double 0.0, ptr %dret
  %two = fmul double %x, 2.0
  %t = fmul double %two, %seed
  store double %t, ptr %x_bar
  ret i32 0
}
"""


def test_a_forward_derivative_takes_tangents_and_returns_primal_and_tangent() -> None:
    program = lower(square, (types.float64,))
    derivative = link(
        SQUARE_FORWARD, "d", program, [DUPLICATED], Mode.FORWARD, "square_dot", return_active=True
    )
    assert derivative(3.0, 2.0) == (9.0, 12.0)
    assert derivative(3.0, dx=2.0) == (9.0, 12.0)
    assert derivative.py_func.__name__ == "square_dot"


def test_a_reverse_derivative_takes_a_seed_and_returns_primal_and_adjoints() -> None:
    program = lower(square, (types.float64,))
    derivative = link(SQUARE_REVERSE, "d", program, [ACTIVE], Mode.REVERSE, "square_bar", return_active=True)
    assert derivative(3.0, 1.0) == (9.0, (6.0,))
    assert derivative(3.0, seed=0.5) == (9.0, (3.0,))

    @nb.njit
    def caller(x: float) -> float:
        return derivative(x, 1.0)[1][0]

    assert caller(3.0) == 6.0


ARRAY = "ptr %m{0}, ptr %p{0}, i64 %n{0}, i64 %s{0}, ptr %d{0}, i64 %shape{0}, i64 %stride{0}"


def dot(a: Any) -> float:
    return a[0] * a[1]


DOT_REVERSE = f"""
define i32 @d(ptr %ret, ptr %exc, {ARRAY.format("")}, ptr %dret, ptr %dm, ptr %dd) {{
  %q = getelementptr double, ptr %d, i64 1
  %x = load double, ptr %d
  %y = load double, ptr %q
  %z = fmul double %x, %y
  store double %z, ptr %ret
  %seed = load double, ptr %dret
  %dq = getelementptr double, ptr %dd, i64 1
  %x0 = load double, ptr %dd
  %y0 = load double, ptr %dq
  %x1 = fmul double %y, %seed
  %y1 = fmul double %x, %seed
  %x2 = fadd double %x0, %x1
  %y2 = fadd double %y0, %y1
  store double %x2, ptr %dd
  store double %y2, ptr %dq
  ret i32 0
}}
"""


def test_a_shadow_array_is_passed_as_its_meminfo_and_its_data() -> None:
    program = lower(dot, (types.float64[::1],))
    derivative = link(DOT_REVERSE, "d", program, [DUPLICATED], Mode.REVERSE, "dot_bar", return_active=True)
    a, da = np.array([2.0, 3.0]), np.array([10.0, 20.0])
    assert derivative(a, da, 1.0) == (6.0, ())
    assert da.tolist() == [13.0, 22.0]


def test_the_primal_may_be_read_only_but_not_its_shadow() -> None:
    a = np.array([2.0, 3.0])
    a.flags.writeable = False
    program = lower(dot, (nb.typeof(a),))
    derivative = link(DOT_REVERSE, "d", program, [DUPLICATED], Mode.REVERSE, "dot_bar", return_active=True)
    assert derivative(a, np.zeros(2), 1.0)[0] == 6.0
    with pytest.raises(TypeError):
        derivative(a, a, 1.0)


def mixed(t: Any) -> float:
    return t[0] * t[2][0]


MIXED_REVERSE = f"""
define i32 @d(ptr %ret, ptr %exc, double %x, i64 %k, {ARRAY.format("")},
              ptr %dret, ptr %x_bar, ptr %dm, ptr %dd) {{
  %v = load double, ptr %d
  %y = fmul double %x, %v
  store double %y, ptr %ret
  %seed = load double, ptr %dret
  %g = fmul double %v, %seed
  store double %g, ptr %x_bar
  %old = load double, ptr %dd
  %h = fmul double %x, %seed
  %new = fadd double %old, %h
  store double %new, ptr %dd
  ret i32 0
}}
"""


def test_a_tuple_of_floats_and_arrays_has_a_shadow_and_an_adjoint() -> None:
    argument = (2.0, 7, np.array([5.0]))
    program = lower(mixed, (nb.typeof(argument),))
    derivative = link(
        MIXED_REVERSE, "d", program, [DUPLICATED], Mode.REVERSE, "mixed_bar", return_active=True
    )
    shadow = (0.0, 0, np.array([1.0]))
    assert derivative(argument, shadow, 1.0) == (10.0, ((5.0, None, None),))
    assert shadow[2].tolist() == [3.0]


def complex_scale(z: complex, k: int) -> complex:
    return z * 2


COMPLEX_REVERSE = """
define i32 @d(ptr %ret, ptr %exc, double %re, double %im, i64 %k, ptr %dret, ptr %re_bar, ptr %im_bar) {
  %a = fmul double %re, 2.0
  %b = fmul double %im, 2.0
  %im_place = getelementptr double, ptr %ret, i64 1
  store double %a, ptr %ret
  store double %b, ptr %im_place
  %seed_place = getelementptr double, ptr %dret, i64 1
  %x = load double, ptr %dret
  %y = load double, ptr %seed_place
  %p = fmul double %x, 2.0
  %q = fmul double %y, 2.0
  store double %p, ptr %re_bar
  store double %q, ptr %im_bar
  ret i32 0
}
"""


def test_a_complex_argument_has_two_slots_and_one_adjoint() -> None:
    program = lower(complex_scale, (types.complex128, types.int64))
    derivative = link(
        COMPLEX_REVERSE, "d", program, [ACTIVE, CONST], Mode.REVERSE, "scale_bar", return_active=True
    )
    assert derivative(1 + 2j, 1, 3 - 1j) == (2 + 4j, (6 - 2j,))


def same(a: Any, x: float) -> Any:
    return a


SAME_REVERSE = f"""
declare void @NRT_incref(ptr)
define i32 @d(ptr %ret, ptr %exc, {ARRAY.format("")}, double %x, ptr %dret, ptr %x_bar, ptr %seed) {{
  call void @NRT_incref(ptr %m)
  %r1 = insertvalue {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }} undef, ptr %m, 0
  %r2 = insertvalue {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }} %r1, ptr null, 1
  %r3 = insertvalue {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }} %r2, i64 %n, 2
  %r4 = insertvalue {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }} %r3, i64 %s, 3
  %r5 = insertvalue {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }} %r4, ptr %d, 4
  %r6 = insertvalue {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }} %r5, i64 %shape, 5, 0
  %r7 = insertvalue {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }} %r6, i64 %stride, 6, 0
  store {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }} %r7, ptr %ret
  %scratch = load ptr, ptr %dret
  %clean = icmp eq ptr %scratch, null
  %place = getelementptr {{ ptr, ptr, i64, i64, ptr, [1 x i64], [1 x i64] }}, ptr %seed, i64 0, i32 4
  %data = load ptr, ptr %place
  %first = load double, ptr %data
  %found = select i1 %clean, double %first, double -1.0
  store double %found, ptr %x_bar
  ret i32 0
}}
"""


def test_the_seed_of_an_array_result_comes_as_the_last_pointer() -> None:
    program = lower(same, (types.float64[::1], types.float64))
    derivative = link(
        SAME_REVERSE, "d", program, [CONST, ACTIVE], Mode.REVERSE, "same_bar", return_active=True
    )
    a = np.array([1.0, 2.0])
    value, adjoints = derivative(a, 1.0, np.array([4.0, 5.0]))
    assert value.tolist() == [1.0, 2.0]
    assert adjoints == (4.0,)


def test_without_an_active_return_there_is_no_seed_and_no_tangent() -> None:
    text = (
        "define i32 @d(ptr %ret, ptr %exc, double %x, double %x_dot) {\n  store double 1.0, ptr %ret\n"
        "  ret i32 0\n}"
    )
    program = lower(square, (types.float64,))
    derivative = link(text, "d", program, [DUPLICATED], Mode.FORWARD, "nothing")
    assert derivative(3.0, 1.0) == (1.0, None)


@pytest.mark.parametrize(("code", "error"), [(4242, MemoryError), (4243, ValueError)])
def test_our_own_status_codes_raise(code: int, error: type[Exception]) -> None:
    text = SQUARE_REVERSE.replace("ret i32 0", f"ret i32 {code}")
    program = lower(square, (types.float64,))
    derivative = link(text, "d", program, [ACTIVE], Mode.REVERSE, "square_bar", return_active=True)
    with pytest.raises(error):
        derivative(3.0, 1.0)


def test_text_with_other_parameters_is_refused_before_anyone_calls_it() -> None:
    program = lower(square, (types.float64,))
    with pytest.raises(GeneratedIRError, match="has parameters"):
        link(SQUARE_FORWARD, "d", program, [ACTIVE], Mode.REVERSE, "wrong", return_active=True)
    with pytest.raises(GeneratedIRError, match="does not define"):
        link("define void @other() {\n  ret void\n}", "d", program, [CONST], Mode.PRIMAL, "wrong")
    with pytest.raises(GeneratedIRError, match="saved in"):
        link("define nonsense", "d", program, [CONST], Mode.PRIMAL, "wrong")


def test_activities_that_do_not_fit_are_refused() -> None:
    program = lower(dot, (types.float64[::1],))
    with pytest.raises(ActivityError, match="lives in memory"):
        link(DOT_REVERSE, "d", program, [ACTIVE], Mode.REVERSE, "wrong", return_active=True)


def test_the_same_text_can_be_linked_twice() -> None:
    program, text = prepared(square, 1.0)
    first, second = (
        link(text, program.entry, program, [CONST], Mode.PRIMAL, name) for name in ("one", "two")
    )
    assert first(2.0) == second(2.0) == 4.0


def test_the_interpreter_lock_is_released_when_the_user_asked() -> None:
    program = lower(nb.njit(nogil=True)(square), (types.float64,))
    derivative = link(SQUARE_REVERSE, "d", program, [ACTIVE], Mode.REVERSE, "square_bar", return_active=True)
    assert derivative.targetoptions["nogil"] is True
