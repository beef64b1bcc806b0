"""Checks the derivatives of all ``double f(double *x, int n)`` of a C file against differences, in a process.

``python -m tests.unit.foreign.programs FILE quick|full [NAME…]`` prints what is wrong, and nothing else. What
counts is what comes out of the result and of the array. In the program to take differences of, ``float`` is
``double``.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES
from coenzyme.foreign.derivatives import ForeignRequest
from coenzyme.frontends.clang import compile_c
from coenzyme.frontends.program import ComponentActivity, Mode
from tests.unit.foreign.linked import Linked, link

N, STEP, WIDTH = 6, 1e-6, 3
ACTIVITIES = (ComponentActivity.DUPLICATED, ComponentActivity.CONST)


def requests(full: bool) -> Iterator[ForeignRequest]:
    """Return the derivatives to check."""
    for passes in (ALL_PASSES, NO_PASSES) if full else (ALL_PASSES,):
        for width in (1, WIDTH) if full else (1,):
            for mode in Mode:
                yield ForeignRequest(mode, ACTIVITIES, True, width=width, passes=passes)
        if full:
            yield ForeignRequest(Mode.REVERSE, ACTIVITIES, True, split=True, passes=passes)


def evaluate(linked: Linked, name: str, x: np.ndarray) -> np.ndarray:
    """Return the result, and the array as the function leaves it."""
    x = x.copy()
    function = linked.function(name, ctypes.c_double, ctypes.c_void_p, ctypes.c_int)
    result = function(x.ctypes.data, N)
    return np.array([result, *x])


def jacobian(linked: Linked, name: str, x: np.ndarray) -> np.ndarray:
    """Return what changes by each element of the array, by central differences."""
    shifts = np.eye(N) * STEP
    columns = [evaluate(linked, name, x + s) - evaluate(linked, name, x - s) for s in shifts]
    return np.array(columns).T / (2 * STEP)


def derive(linked: Linked, key: str, request: ForeignRequest, x: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return, for each direction, the tangent or cotangent that comes out, the result's in front."""
    x, shadows = x.copy(), given.copy()
    primal, record = np.zeros(1), np.zeros(1, np.uint64)
    arguments: list[object] = [primal.ctypes.data, None, x.ctypes.data, N]
    kinds: list[object] = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    for shadow in shadows:
        arguments += [shadow.ctypes.data, shadow.ctypes.data + 8]
        kinds += [ctypes.c_void_p] * 2
    symbols = linked.derived[key].symbols
    if request.split:
        arguments.append(record.ctypes.data)
        kinds.append(ctypes.c_void_p)
    status = linked.function(symbols[0], ctypes.c_int, *kinds)(*arguments)
    if request.split and status == 0:
        arguments[-1] = int(record[0])
        status = linked.function(symbols[1], ctypes.c_int, *kinds)(*arguments)
    assert status == 0, status
    return shadows


def check(text: str, smooth: Linked, name: str, full: bool) -> Iterator[str]:
    """Return what is wrong with the derivatives of one function."""
    wanted = {f"derivative.{i}": (name, request) for i, request in enumerate(requests(full))}
    linked = link(text, wanted)
    random = np.random.default_rng(0)
    x = random.uniform(0.5, 1.5, N)
    slopes = jacobian(smooth, name, x)
    for key, (_, request) in wanted.items():
        given = random.normal(size=(request.width, N + 1))
        found = derive(linked, key, request, x, given)
        for before, after in zip(given, found, strict=True):
            if request.mode is Mode.FORWARD:
                right = np.allclose(after, slopes @ before[1:], rtol=1e-5, atol=1e-6)
            else:
                right = np.allclose(after[1:], slopes.T @ before, rtol=1e-5, atol=1e-6)
            if not right:
                clever = "clever" if request.passes else "plain"
                how = f"{clever}, {'split' if request.split else request.mode.value}, width {request.width}"
                yield f"{name} ({how}): {before} to {after}, by {slopes}"


def main(path: str, extent: str, *names: str) -> None:
    """Check the functions of a file, or those of these names."""
    source = Path(path).read_text(encoding="utf-8")
    text = compile_c(path)
    smooth = link(compile_c(path, ["-Dfloat=double"]), {})
    found = re.findall(r"^double (\w+)\(double \*x, int n\)", source, re.MULTILINE)
    assert set(names) <= set(found)
    for name in names or found:
        for complaint in check(text, smooth, name, extent == "full"):
            print(complaint)


if __name__ == "__main__":
    main(*sys.argv[1:])
