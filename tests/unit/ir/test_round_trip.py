"""What LLVM prints is read, printed and read by LLVM again without a difference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest

from coenzyme.ir import (
    ControlFlow,
    Dominators,
    LoopForest,
    clone_function,
    parse_module,
    print_function,
    print_module,
)
from coenzyme.ir.values import Constant

GOLDEN = Path(__file__).parents[2] / "golden" / "ir" / "every_shape.ll"


def as_llvm_prints(text: str) -> list[str]:
    """Return the lines of `text` printed by LLVM, without comments and debug records."""
    module = llvm.parse_assembly(text, llvm.create_context())
    module.verify()
    lines = [re.sub(r"\s*; (preds = |No predecessors).*", "", line) for line in str(module).splitlines()]
    return [line for line in lines if line.strip() and not line.lstrip().startswith((";", "#dbg_"))]


@numba.njit(fastmath=True)
def three_loops(a: Any) -> Any:
    total = np.zeros((a.shape[0], a.shape[2]))
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            for k in range(a.shape[2]):
                if a[i, j, k] < 0:
                    raise ValueError("negative", i)
                total[i, k] += np.sin(a[i, j, k])
    return total


@numba.njit
def recursion(n: int, x: float) -> float:
    return x if n <= 0 else recursion(n - 1, x) * x


@numba.njit
def tuples_and_complex(x: float) -> Any:
    return (x, (x + 1.0, 3)), complex(x, 2.0) * (1 + 2j)


@numba.njit
def lists_and_strings(n: int) -> Any:
    values = [1.0]
    for i in range(n):
        values.append(i * 1.5)
    print("sum", sum(values))
    return str(n) + "!"


@numba.njit
def slices_and_products(a: Any, b: Any) -> Any:
    b[1:-1] = 0.5 * (a[:-2] + a[2:])
    return b.copy(), (a.reshape(1, -1) @ b.reshape(-1, 1))[0, 0]


@numba.njit
def choice(k: int, x: float) -> float:
    if k == 0:
        return x
    if k == 1:
        return x * x
    if k == 2:
        return np.sqrt(x)
    return -x if k == 5 else 1 / x


PROGRAMS = [
    (three_loops, (numba.float64[:, :, ::1],)),
    (recursion, (numba.int64, numba.float64)),
    (tuples_and_complex, (numba.float64,)),
    (lists_and_strings, (numba.int64,)),
    (slices_and_products, (numba.float64[::1], numba.float64[::1])),
    (choice, (numba.int64, numba.float32)),
]


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda p: p[0].__name__)
def numba_text(request: pytest.FixtureRequest) -> str:
    """What Numba makes of a program: optimised and vectorised, with its wrappers."""
    program, signature = request.param
    program.compile(signature)
    return program.inspect_llvm(program.signatures[0])


def test_every_shape_survives() -> None:
    text = GOLDEN.read_text()
    printed = print_module(parse_module(text))
    assert as_llvm_prints(printed) == as_llvm_prints(text)
    assert print_module(parse_module(printed)) == printed


def test_numba_modules_survive(numba_text: str) -> None:
    text = "\n".join(as_llvm_prints(numba_text))
    once = print_module(parse_module(text))
    # Numbers of locals have become names, so that the first trip may differ in those alone.
    unnumbered = [re.sub(r"%\d+\b", "%#", line) for line in as_llvm_prints(text)]
    renamed = [re.sub(r"%[vb]\d+\b", "%#", line) for line in as_llvm_prints(once)]
    labels = re.compile(r"b?\d+:")
    assert [r for r in renamed if not labels.match(r)] == [u for u in unnumbered if not labels.match(u)]
    twice = print_module(parse_module(once))
    assert twice == once


def test_numba_modules_are_sound_and_clone(numba_text: str) -> None:
    module = parse_module(numba_text)
    for function in list(module.functions.values()):
        if function.is_declaration:
            continue
        cfg = ControlFlow(function)
        dominators = Dominators(cfg)
        assert not LoopForest(function, cfg, dominators).irreducible
        for block in cfg.reverse_postorder:
            for instruction in block.instructions:
                assert instruction.block is block
                for operand in instruction.operands:
                    assert isinstance(operand, Constant) or operand.users[instruction] > 0
                    assert dominators.dominates_instruction(operand, instruction)
        twin, _, _ = clone_function(function, "twin")
        assert print_function(twin).splitlines()[1:] == print_function(function).splitlines()[1:]
