from __future__ import annotations

import math
import re
import threading
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba import types
from numba.extending import overload

from coenzyme.errors import BackendUnavailableError, CompilationError
from coenzyme.frontends.numba_lower import lower, require_supported_numba
from tests.unit.frontends.linking import prepared, relinked


def test_an_old_numba_is_refused_by_name() -> None:
    with pytest.raises(BackendUnavailableError, match=r"Numba 0\.62\.1 is too old"):
        require_supported_numba("0.62.1")
    require_supported_numba("0.63.0rc1")
    require_supported_numba("1.0")


def test_runtime_calls_stay_calls() -> None:
    def f(n: int) -> float:
        return np.zeros(n).sum()

    text = lower(f, (types.int64,)).text
    assert "declare noalias ptr @NRT_MemInfo_alloc_aligned" in text or "@NRT_MemInfo_alloc" in text
    assert not re.search(r"^define [^@]*@NRT_", text, re.MULTILINE)


def test_the_text_is_not_optimised_and_defines_every_callee() -> None:
    @nb.njit
    def square(x: float) -> float:
        return x * x

    def f(x: float) -> float:
        return square(x) + 1.0

    program = lower(f, (types.float64,))
    assert re.search(r"^define .*6square", program.text, re.MULTILINE)
    assert f"@{program.entry}(" in program.text
    assert program.qualname.endswith("f")
    assert program.file == __file__


def test_numba_errors_name_function_and_line() -> None:
    @nb.njit
    def f(x: Any) -> Any:
        y = x + 1
        return y.nonsense

    with pytest.raises(CompilationError) as caught:
        lower(f, (types.float64,))
    error = caught.value
    assert "nonsense" in str(error)
    assert error.function is not None
    assert error.function.endswith("f")
    assert error.location is not None
    assert error.location.file == __file__
    assert error.remedy


def test_arguments_that_do_not_fit_are_refused() -> None:
    def f(x: float) -> float:
        return x

    with pytest.raises(CompilationError, match="do not fit"):
        lower(f, (types.float64, types.float64))
    with pytest.raises(CompilationError, match="do not fit"):
        lower(f, ())


def test_something_that_is_no_function_is_refused() -> None:
    with pytest.raises(CompilationError, match="not a Python function"):
        lower(math.sin, (types.float64,))


def test_object_mode_is_refused() -> None:
    with pytest.raises(CompilationError, match="object mode"):
        lower(nb.jit(lambda x: x, forceobj=True), (types.float64,))


def test_keywords_defaults_and_star_arguments_are_folded() -> None:
    def f(x: float, y: float = 2.0, *rest: float) -> float:
        return x * y + len(rest)

    program = lower(f, (types.float64,), {})
    assert [a.omitted for a in program.arguments] == [False, True, False]
    program = lower(f, (types.float64, types.float64, types.float64, types.int64))
    assert [len(a.components) for a in program.arguments] == [1, 1, 2]
    program = lower(f, (), {"y": types.float64, "x": types.float32})
    assert [str(t) for t in program.argtypes[:2]] == ["float32", "float64"]


@pytest.mark.parametrize("fastmath", [True, False])
def test_fastmath_is_honoured(fastmath: bool) -> None:
    @nb.njit(fastmath=fastmath)
    def f(x: float) -> float:
        return x * 3.0

    assert ("fmul fast" in lower(f, (types.float64,)).text) is fastmath


def test_options_of_a_caller_do_not_leak_into_the_lowered_function() -> None:
    from numba.core.compiler import Flags
    from numba.core.targetconfig import ConfigStack

    def f(x: float) -> float:
        return x * 3.0

    flags = Flags()
    flags.fastmath = True
    with ConfigStack().enter(flags):
        assert "fmul fast" not in lower(f, (types.float64,)).text


@pytest.mark.parametrize(("model", "raises"), [("python", True), ("numpy", False)])
def test_error_model_is_honoured(model: str, raises: bool) -> None:
    @nb.njit(error_model=model)
    def f(x: float) -> float:
        return 1.0 / x

    assert ("ZeroDivisionError" in lower(f, (types.float64,)).text) is raises


@pytest.mark.parametrize("options", [{"boundscheck": True}, {"debug": True}])
def test_bounds_are_checked_when_asked(options: dict[str, bool]) -> None:
    @nb.njit(**options)
    def f(a: Any, i: int) -> float:
        return a[i]

    again = relinked(f, np.zeros(2), 0)
    with pytest.raises(IndexError):
        again(np.zeros(2), 5)


def test_debug_adds_no_stack_slots() -> None:
    def f(x: float) -> float:
        y = x * 2
        z = y + x
        return z

    plain = lower(nb.njit(f), (types.float64,)).text
    debug = lower(nb.njit(debug=True)(f), (types.float64,)).text
    assert debug.count("alloca") == plain.count("alloca")
    assert "llvm.dbg.declare" not in debug


def test_parallel_loops_are_lowered_as_calls_of_launchers_or_in_series() -> None:
    @nb.njit(parallel=True)
    def f(a: Any) -> float:
        total = 0.0
        for i in nb.prange(a.size):
            total += a[i]
        return total

    parallel = lower(f, (types.float64[::1],))
    assert parallel.is_parallel
    assert "numba_parallel_for" not in parallel.text
    serial = lower(f, (types.float64[::1],), in_series=True)
    assert not serial.is_parallel
    assert "get_num_threads" not in serial.text


def test_parallel_loop_that_cannot_be_launched_is_lowered_in_series() -> None:
    @nb.njit(parallel=True)
    def f(a: Any) -> float:
        last = 0.0
        for i in nb.prange(a.size):
            last = a[i]
        return last

    assert not lower(f, (types.float64[::1],)).is_parallel


def test_declared_signatures_are_honoured_by_callers_and_at_the_top() -> None:
    @nb.njit("f4(f4)")
    def single(x: float) -> float:
        return x * x

    def caller(x: float) -> float:
        return single(x)

    program = lower(single, (types.float64,))
    assert program.argtypes == (types.float32,)
    assert program.restype == types.float32
    assert relinked(caller, 1.1)(1.1) == float(np.float32(1.1) * np.float32(1.1))


def test_self_recursion_with_and_without_signature() -> None:
    @nb.njit("f8(f8,i8)")
    def declared(x: float, n: int) -> float:
        return 1.0 if n == 0 else x * declared(x, n - 1)

    @nb.njit
    def inferred(x: float, n: int) -> float:
        if n == 0:
            return 1.0
        return x * inferred(x, n - 1)

    for function in (declared, inferred):
        assert relinked(function, 2.0, 5)(2.0, 5) == 32.0


@nb.njit
def is_even(n: int) -> bool:
    if n == 0:
        return True
    return is_odd(n - 1)


@nb.njit
def is_odd(n: int) -> bool:
    if n == 0:
        return False
    return is_even(n - 1)


def test_mutual_recursion_from_either_end() -> None:
    for function, expected in ((is_even, False), (is_odd, True)):
        _, text = prepared(function, 7)
        assert "numba.unresolved" not in text
        assert relinked(function, 7)(7) is expected


# Line 1 of the source below is line 1 of the file the code object names.
SOURCE = """\
def helper(x):
    return math.sin(x)
def f(a):
    s = 0.0
    for i in range(a.size):
        s += (
            helper(a[i])
            * a[i])
    return s + a.sum()
"""


def lines_of(text: str, pattern: str) -> list[list[tuple[str, int]]]:
    """Return, for each instruction that matches, its places from the innermost to the outermost function."""
    nodes = dict(re.findall(r"^!(\d+) = (.*)$", text, re.MULTILINE))

    def file_of(scope: str) -> str:
        node = nodes[scope]
        file = re.search(r"file: !(\d+)", node)
        assert file is not None
        name = re.search(r'filename: "([^"]*)"', nodes[file.group(1)])
        assert name is not None
        return name.group(1)

    found = []
    for number in re.findall(rf"^.*{pattern}.*!dbg !(\d+)", text, re.MULTILINE):
        chain = []
        place: str | None = number
        while place is not None:
            node = nodes[place]
            line = re.search(r"line: (\d+)", node)
            scope = re.search(r"scope: !(\d+)", node)
            outer = re.search(r"inlinedAt: !(\d+)", node)
            assert line is not None
            assert scope is not None
            chain.append((file_of(scope.group(1)), int(line.group(1))))
            place = outer.group(1) if outer else None
        found.append(chain)
    return found


def compiled_source(name: str = "user_code.py") -> dict[str, Any]:
    space: dict[str, Any] = {"math": math, "__name__": "user_code"}
    exec(compile(SOURCE, name, "exec"), space)
    space["helper"] = nb.njit(space["helper"])
    return space


def test_instructions_carry_the_users_lines_through_inlining() -> None:
    space = compiled_source()
    _, text = prepared(space["f"], np.zeros(3))
    product = lines_of(text, "fmul double")
    # Which line of an expression that spans several an operation belongs to depends on the version of Python.
    assert len(product) == 1
    assert product[0][-1] in {("user_code.py", line) for line in (6, 7, 8)}
    sine = lines_of(text, r"call double @llvm\.sin\.f64")
    assert sine[0][0] == ("user_code.py", 2)
    assert sine[0][-1] in {("user_code.py", line) for line in (6, 7)}


def test_numbas_own_code_counts_as_the_line_that_calls_it() -> None:
    _, text = prepared(compiled_source()["f"], np.zeros(3))
    files = set(re.findall(r'!DIFile\(filename: "([^"]*)"', text))
    assert files == {"user_code.py"}
    assert ("user_code.py", 9) in {chain[-1] for chain in lines_of(text, "fadd double")}


def test_line_numbers_do_not_change_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from coenzyme.frontends import numba_lines

    def normalised(text: str) -> str:
        text = re.sub(r",? !dbg !\d+", "", text)
        text = "\n".join(line for line in text.split("\n") if not line.startswith("!"))
        # Symbols carry a number that counts compilations.
        text = re.sub(r"@[-\w.$]+", "@", text)
        return re.sub(r"![0-9]+", "!", text).strip()

    _, with_lines = prepared(compiled_source()["f"], np.zeros(3))
    monkeypatch.setattr(numba_lines._LineLower, "init", numba_lines.lowering.Lower.init)
    _, without = prepared(compiled_source()["f"], np.zeros(3))
    assert "!dbg" in with_lines
    assert "!dbg" not in without
    assert normalised(with_lines) == normalised(without)


def relink_on_the_spot(function: Any, a: Any) -> Any:
    raise NotImplementedError


@overload(relink_on_the_spot)
def _overload(function: Any, a: Any) -> Any:
    again = relinked_types(function.dispatcher, a)

    def implementation(function: Any, a: Any) -> Any:
        return again(a)

    return implementation


def relinked_types(function: Any, numba_type: Any) -> Any:
    from coenzyme.codegen import prepare
    from coenzyme.frontends import ArgumentActivity, Mode
    from coenzyme.frontends.numba_link import link

    program = lower(function, (numba_type,))
    text = prepare(program.text, program.entry)
    return link(text, program.entry, program, [ArgumentActivity.CONST], Mode.PRIMAL, "again").dispatcher


def test_lowering_while_numba_types_a_caller_leaves_the_caller_intact() -> None:
    @nb.njit
    def user(a: Any) -> float:
        return np.sort(a).sum() + np.cumsum(a)[-1] + a.copy().max()

    @nb.njit
    def outer(a: Any) -> float:
        # The same library functions on both sides: they must not find each other's implementations.
        before = np.cumsum(a)[-1] + a.copy().max()
        return before + relink_on_the_spot(user, a) + np.sort(a)[0]

    a = np.arange(5.0)
    assert outer(a) == 14.0 + (10.0 + 10.0 + 4.0) + 0.0


def test_functions_are_lowered_from_several_threads() -> None:
    results: list[tuple[float, float]] = []

    def work(k: int) -> None:
        def f(a: Any) -> float:
            return np.sum(a * k)

        results.append((relinked(f, np.ones(3))(np.ones(3)), 3.0 * k))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(found == wanted for found, wanted in results)
