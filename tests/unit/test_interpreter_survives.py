"""Mistakes that native code would turn into a crash, a leak or a race, made in child processes."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

# All cases run in one child process, to save its start.
RISKY: dict[str, str] = {
    "shadow-too-short": """
        wrong = cz.Duplicated(np.ones(10_000), np.zeros(1))
        expect(ShadowError, lambda: cz.autodiff(cz.Reverse, norm2, wrong))
        """,
    "shadow-too-short-inside-compiled-code": """
        @nb.njit
        def call(x, dx):
            cz.autodiff(cz.Reverse, norm2, cz.Duplicated(x, dx))
        expect(CoenzymeError, lambda: call(np.ones(10_000), np.zeros(1)))
        """,
    "shadow-of-other-strides-inside-compiled-code": """
        @nb.njit
        def call(x, dx):
            cz.autodiff(cz.Reverse, norm2, cz.Duplicated(x, dx))
        expect(CoenzymeError, lambda: call(np.ones(20_000)[::2], np.zeros(10_000)[::1]))
        """,
    "misaligned-array": """
        x = np.frombuffer(bytearray(81), np.uint8)[1:].view(np.float64)
        expect((CoenzymeError, None), lambda: cz.grad(norm2)(x))
        """,
    "structured-array": """
        x = np.zeros(3, [("a", np.float64), ("b", np.int32)])
        expect(CoenzymeError, lambda: cz.grad(first_field)(x))
        """,
    "freed-arguments": """
        def local():
            y, pullback = cz.vjp(norm2, np.ones(1_000_000))
            return pullback
        pullback = local()
        assert pullback(1.0)[0][0] == 2.0
        assert pullback(1.0)[0][-1] == 2.0
        """,
    "deep-recursion": """
        expect((CoenzymeError, RecursionError, MemoryError, None), lambda: cz.grad(tower)(1.0000001, 2_000))
        """,
    "threads": """
        from concurrent.futures import ThreadPoolExecutor
        gradient = cz.grad(norm2)
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(gradient, [np.full(1_000, float(k)) for k in range(64)]))
        assert all((r == 2.0 * k).all() for k, r in enumerate(results))
        """,
    "threads-while-compiling": """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda k: cz.grad(nb.njit(lambda x: x * x * k))(1.5), range(4)))
        assert results == [3.0 * k for k in range(4)], results
        """,
    "tape-is-freed-when-the-function-raises": """
        x, dx = np.full(200_000, 1.0 + 1e-7), np.zeros(200_000)
        x[-1] = -1.0
        grown = growth(lambda: expect(
            ValueError, lambda: cz.autodiff(cz.Reverse, product_of_squares, cz.Duplicated(x, dx))
        ))
        assert grown < 100, f"{grown} MiB"
        """,
    "gradient-is-freed-when-the-function-raises": """
        x = np.full(200_000, 1.0 + 1e-7)
        x[-1] = -1.0
        gradient = cz.grad(product_of_squares)
        grown = growth(lambda: expect(ValueError, lambda: gradient(x)))
        assert grown < 100, f"{grown} MiB"
        """,
    "a-raise-abandons-what-numba-abandons": """
        x, dx = np.ones(200), np.zeros(200)
        x[-1] = -1.0
        inside = nb.njit(lambda x: sum_of_roots(x))

        def abandoned(call):
            before = unreleased()
            for _ in range(50):
                expect(ValueError, call)
            return unreleased() - before

        by_numba = abandoned(lambda: inside(x))
        # The forward sweep abandons the shadow of the temporary with the temporary (docs/limitations.md).
        for mode, times in ((cz.Reverse, 1), (cz.Forward, 2)):
            by_us = abandoned(lambda: cz.autodiff(mode, sum_of_roots, cz.Duplicated(x, dx)))
            assert by_us <= times * by_numba, f"{by_us}, Numba itself {by_numba}"
        """,
    "calls-do-not-leak": """
        x = np.ones(200_000)
        gradient = cz.grad(sum_of_roots)
        grown = growth(lambda: gradient(x))
        assert grown < 100, f"{grown} MiB"
        """,
    "index-out-of-bounds-under-boundscheck": """
        expect(IndexError, lambda: cz.grad(entry)(np.ones(3), 5))
        expect(IndexError, lambda: cz.jvp(entry, (np.ones(3), 5), (np.ones(3), None)))
        """,
}

PREAMBLE = '''
import json, resource, traceback
import numba as nb, numpy as np, coenzyme as cz
from numba.core.runtime import _nrt_python, rtsys
from coenzyme.errors import CoenzymeError, ShadowError

@nb.njit
def norm2(x):
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i]
    return total

@nb.njit
def first_field(x):
    return x[0]["a"] * x[1]["a"]

@nb.njit
def tower(x, n):
    if n == 0:
        return 1.0
    return x * tower(x, n - 1)

@nb.njit
def sum_of_roots(x):
    y = np.empty(x.size)
    for i in range(x.size):
        if x[i] < 0.0:
            raise ValueError("negative")
        y[i] = np.sqrt(x[i]) * np.exp(x[i])
    return y.sum()

@nb.njit
def product_of_squares(x):
    total = 1.0
    for i in range(x.size):
        if x[i] < 0.0:
            raise ValueError("negative")
        total = total * x[i] * x[i] + np.sin(total)
    return total

@nb.njit(boundscheck=True)
def entry(x, i):
    return x[i] * x[i]

def expect(kinds, call):
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    try:
        result = call()
    except tuple(kind for kind in kinds if kind is not None) as error:
        return error
    assert None in kinds, f"returned {result!r}"

def growth(call):
    """Return by how many MiB 200 calls let memory grow, counting arrays not released as 1 MiB each."""
    for _ in range(20):
        call()
    memory, arrays = resident(), unreleased()
    for _ in range(200):
        call()
    return resident() - memory + unreleased() - arrays

def resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * resource.getpagesize() / 2**20

def unreleased():
    stats = rtsys.get_allocation_stats()
    return stats.mi_alloc - stats.mi_free

_nrt_python.memsys_enable_stats()

def report(name, body):
    print(json.dumps([name, "begun"]), flush=True)
    try:
        body()
        verdict = "passed"
    except BaseException:
        verdict = traceback.format_exc(limit=-3)[-1500:]
    print(json.dumps([name, verdict]), flush=True)
'''


def _as_function(name: str, body: str) -> str:
    identifier = name.replace("-", "_")
    inside = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return f"def {identifier}():\n{inside}\nreport({name!r}, {identifier})\n"


@pytest.fixture(scope="module")
def run_isolated() -> Callable[[str], tuple[int, str, str]]:
    """Return a runner of source text in a fresh interpreter, giving exit status, output and errors."""

    def run(source: str) -> tuple[int, str, str]:
        command = [sys.executable, "-X", "faulthandler", "-c", source]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def verdicts(run_isolated: Callable[[str], tuple[int, str, str]]) -> dict[str, str]:
    """Return what became of each case; one that kills its process is named, the rest go on in another."""
    found: dict[str, str] = {}
    while len(found) < len(RISKY):
        source = PREAMBLE + "".join(
            _as_function(name, body) for name, body in RISKY.items() if name not in found
        )
        status, output, errors = run_isolated(source)
        for line in output.splitlines():
            name, verdict = json.loads(line)
            found[name] = verdict
        if status == 0:
            break
        crashed = [name for name, verdict in found.items() if verdict == "begun"]
        assert crashed, f"the child process did not start: {errors}"
        found[crashed[-1]] = f"the interpreter died with status {status}\n{errors[-3000:]}"
    return found


@pytest.mark.parametrize("name", RISKY)
def test_interpreter_survives(name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[name] == "passed", verdicts[name]


def test_a_crash_in_a_child_process_would_be_seen(
    run_isolated: Callable[[str], tuple[int, str, str]],
) -> None:
    status, _, errors = run_isolated("import ctypes; ctypes.string_at(0)")
    assert status < 0
    assert "Segmentation fault" in errors or "fatal" in errors.lower()
