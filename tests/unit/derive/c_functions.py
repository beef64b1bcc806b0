"""Derive functions written in C or LLVM text, compile them, and compare with finite differences.

A function is described by one letter for each parameter, after one for its result (``v`` for none): ``d``,
``f`` and ``l`` are double, float and long double, ``i`` and ``n`` int and long; a capital letter is a pointer
to an array of them. Real numbers and arrays are differentiated, integers are not.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from coenzyme.analysis.passes import ALL_PASSES, Pass
from coenzyme.codegen import optimise, verify
from coenzyme.foreign.derivatives import ForeignRequest, derive_foreign
from coenzyme.foreign.visibility import show
from coenzyme.frontends.clang import compile_c
from coenzyme.frontends.program import ComponentActivity, Mode
from coenzyme.ir import parse_module, print_module

__all__ = ["CFunction", "from_c"]

Numbers = NDArray[Any]

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
llvm.initialize_native_asmparser()

_C_TYPES: dict[str, Any] = {
    "d": ctypes.c_double,
    "f": ctypes.c_float,
    "l": ctypes.c_longdouble,
    "i": ctypes.c_int,
    "n": ctypes.c_long,
}
_DTYPES: dict[str, Any] = {"d": np.float64, "f": np.float32, "l": np.longdouble, "i": np.int32, "n": np.int64}
_REAL = "dfl"
_STEP = {"d": 1e-6, "f": 2e-3, "l": 1e-7}
_ROUNDING = {"d": 1e-13, "f": 1e-5, "l": 1e-16}
_TOLERANCE = {"d": 1e-7, "f": 3e-3, "l": 1e-9}


def from_c(source: str, name: str, letters: str, *, flags: Sequence[str] = ()) -> CFunction:
    """Return the function `name` of C code."""
    return CFunction(compile_c(source, flags), name, letters)


@dataclass
class _Machine:
    """Machine code, and how to call what is in it."""

    engine: Any

    @classmethod
    def of(cls, *texts: str) -> _Machine:
        module = llvm.parse_assembly(optimise(texts[0], 2))
        for text in texts[1:]:
            module.link_in(llvm.parse_assembly(text))
        module.verify()
        machine = llvm.Target.from_default_triple().create_target_machine()
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
        engine.run_static_constructors()
        return cls(engine)

    def call(self, name: str, result: Any, types: Sequence[Any], arguments: Sequence[Any]) -> Any:
        address = self.engine.get_function_address(name)
        assert address, name
        return ctypes.CFUNCTYPE(result, *types)(address)(*arguments)


class CFunction:
    """A function, its derivatives, and a comparison of them with finite differences."""

    def __init__(self, text: str, name: str, letters: str, *, passes: frozenset[Pass] = ALL_PASSES) -> None:
        module = parse_module(str(verify(text)))
        show(module)
        self.text, self.name, self.passes = print_module(module), name, passes
        self.result, self.letters = letters[0], letters[1:]
        self.primal_code = _Machine.of(text)
        self._derived: dict[Mode, tuple[str, _Machine]] = {}

    def derived(self, mode: Mode) -> tuple[str, _Machine]:
        """Return the text of a derivative, and its machine code."""
        if mode not in self._derived:
            made = derive_foreign(self.text, self.name, self._request(mode), "derivative")
            code = re.sub(r"^(target (?:triple|datalayout).*)$", r"\1", made.text, flags=re.MULTILINE)
            self._derived[mode] = made.text, _Machine.of(self.text, code)
        return self._derived[mode]

    def _request(self, mode: Mode) -> ForeignRequest:
        number = ComponentActivity.ACTIVE if mode is Mode.REVERSE else ComponentActivity.DUPLICATED
        activities = tuple(
            ComponentActivity.CONST if c.lower() not in _REAL else number if c.islower() else
            ComponentActivity.DUPLICATED for c in self.letters
        )  # fmt: skip
        return ForeignRequest(mode, activities, self.result in _REAL, passes=self.passes)

    # -- calls

    def _types(self, letters: str) -> list[Any]:
        return [_C_TYPES[c] if c.islower() else ctypes.c_void_p for c in letters]

    def _copies(self, values: Sequence[Any]) -> list[Any]:
        return [np.array(v, dtype=_DTYPES[c.lower()]) for c, v in zip(self.letters, values, strict=True)]

    def _given(self, copies: Sequence[Any]) -> list[Any]:
        return [
            _scalar(a) if c.islower() else a.ctypes.data for c, a in zip(self.letters, copies, strict=True)
        ]

    def primal(self, values: Sequence[Any]) -> list[Numbers]:
        """Return what comes out: the arrays after the call, in place of numbers nothing, then the result."""
        copies = self._copies(values)
        result = None if self.result == "v" else _C_TYPES[self.result]
        found = self.primal_code.call(self.name, result, self._types(self.letters), self._given(copies))
        out = [a for c, a in zip(self.letters, copies, strict=True) if self._is_array(c)]
        return [*out, np.array(found, dtype=_DTYPES[self.result])] if self.result in _REAL else out

    def _is_array(self, letter: str) -> bool:
        return letter.isupper() and letter.lower() in _REAL

    def _run(self, mode: Mode, values: Sequence[Any], shadows: Sequence[Any], seed: Any) -> list[Any]:
        """Call a derivative: shadows of real parameters come and go, then what belongs to the result."""
        _, code = self.derived(mode)
        copies = self._copies(values)
        real = [c for c in self.letters if c.lower() in _REAL]
        extras = [np.array(s, dtype=_DTYPES[c.lower()]) for c, s in zip(real, shadows, strict=True)]
        by_value = [c.islower() and mode is Mode.FORWARD for c in real]
        result = np.zeros(4)
        bar = np.array(seed, dtype=_DTYPES.get(self.result, np.float64))
        types = [ctypes.c_void_p] * 2 + self._types(self.letters)
        arguments: list[Any] = [result.ctypes.data, None, *self._given(copies)]
        if self.result in _REAL:
            types.append(ctypes.c_void_p)
            arguments.append(bar.ctypes.data)
        for c, extra, plain in zip(real, extras, by_value, strict=True):
            types.append(_C_TYPES[c] if plain else ctypes.c_void_p)
            arguments.append(_scalar(extra) if plain else extra.ctypes.data)
        assert code.call("derivative", ctypes.c_int, types, arguments) == 0
        self.value = result.view(_DTYPES.get(self.result, np.float64))[0]
        return [*extras, bar] if self.result in _REAL else extras

    # -- checks

    def tangent(self, values: Sequence[Any], directions: Sequence[Any]) -> list[Numbers]:
        """Return the tangents of what comes out, in the order of :meth:`primal`."""
        found = self._run(Mode.FORWARD, values, directions, 0)
        real = [c for c in self.letters if c.lower() in _REAL]
        arrays = [a for c, a in zip(real, found, strict=False) if c.isupper()]
        return [*arrays, found[-1]] if self.result in _REAL else arrays

    def gradient(self, values: Sequence[Any], weights: Sequence[Any]) -> list[Numbers]:
        """Return the adjoints of the real parameters, given those of what comes out."""
        real = [c for c in self.letters if c.lower() in _REAL]
        left = list(weights)
        shadows = [left.pop(0) if c.isupper() else 0.0 for c in real]
        seed = left.pop(0) if self.result in _REAL else 0.0
        return self._run(Mode.REVERSE, values, shadows, seed)[: len(real)]

    def check(self, *values: Any, seed: int = 0, tolerance: float | None = None) -> None:
        """Compare forward and reverse mode with central differences in a random direction."""
        rng = np.random.default_rng(seed)
        real = [c for c in self.letters if c.lower() in _REAL]
        given = [v for c, v in zip(self.letters, values, strict=True) if c.lower() in _REAL]
        directions = [rng.uniform(0.5, 1.5, np.shape(v)) for v in given]
        kinds = {c.lower() for c in [*real, *([self.result] if self.result in _REAL else [])]}
        weakest = "f" if "f" in kinds else "d" if "d" in kinds else "l"
        expected = self._difference(values, directions, _STEP[weakest])
        bound = _TOLERANCE[weakest] if tolerance is None else tolerance
        tangents = self.tangent(values, directions)
        if self.result in _REAL:
            np.testing.assert_allclose(self.value, self.primal(values)[-1], rtol=_ROUNDING[self.result])
        for found, wanted in zip(tangents, expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound)
        weights = [rng.uniform(0.5, 1.5, np.shape(o)) for o in expected]
        adjoints = self.gradient(values, weights)
        left = sum(float(np.sum(w * e)) for w, e in zip(weights, expected, strict=True))
        right = sum(float(np.sum(a * d)) for a, d in zip(adjoints, directions, strict=True))
        np.testing.assert_allclose(right, left, rtol=10 * bound, atol=10 * bound)

    def _difference(self, values: Sequence[Any], directions: Sequence[Any], step: float) -> list[Numbers]:
        def moved(by: float) -> list[Any]:
            left = list(directions)
            return [
                np.asarray(v, dtype=_DTYPES[c.lower()]) + _DTYPES[c.lower()](by) * left.pop(0)
                if c.lower() in _REAL
                else v
                for c, v in zip(self.letters, values, strict=True)
            ]

        up, down = self.primal(moved(step)), self.primal(moved(-step))
        return [(u - d) / (2 * step) for u, d in zip(up, down, strict=True)]


def _scalar(value: Numbers) -> Any:
    # ctypes takes a long double as a Python float: what tests give fits into one.
    return float(value) if value.dtype.kind == "f" else int(value)
