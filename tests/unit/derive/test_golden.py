from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.frontends.program import Mode
from tests.unit.derive.golden import FILES, load
from tests.unit.derive.native import Built, Kind, build

WAYS = [
    pytest.param(Mode.FORWARD, ALL_PASSES, 2, id="forward"),
    pytest.param(Mode.REVERSE, ALL_PASSES, 3, id="reverse"),
    pytest.param(Mode.REVERSE, NO_PASSES, 0, id="reverse, naive plan, not optimised"),
]


@pytest.mark.parametrize(("mode", "passes", "level"), WAYS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_derivative_of_the_file_is_what_the_file_says(
    path: Path, mode: Mode, passes: frozenset[Pass], level: int
) -> None:
    golden = load(path)
    examples = [e for e in golden.examples if e.mode is mode]
    assert examples, f"{path.name} shows no example of {mode.value}"
    built = build(golden.text, mode, passes=passes, level=level)
    if passes is ALL_PASSES:
        for wanted in golden.checks[mode]:
            assert wanted in built.text
    for example in examples:
        after = built.call(example.before)
        for name, expected in example.after.items():
            tolerance = 1e-6 if after[name].dtype == np.float32 else 1e-13
            np.testing.assert_allclose(after[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)
        assert built.leaked == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_both_modes_agree_in_every_direction(path: Path) -> None:
    text = load(path).text
    forward, reverse = build(text, Mode.FORWARD), build(text, Mode.REVERSE)
    rng = np.random.default_rng(0)
    memory = [p for p in forward.parameters if p.kind is Kind.SHADOWED]
    inputs = [p for p in forward.parameters if p.kind in (Kind.SHADOWED, Kind.ACTIVE)]
    tolerance = 1e-5 if any(p.type == "float" for p in inputs) else 1e-12
    for _ in range(3):
        x_dot = {p.name: rng.uniform(-1, 1, p.value.size) for p in inputs}
        y_bar = {p.name: rng.uniform(0.5, 1.5, p.value.size) for p in memory}
        y_dot, x_bar = forward.call(x_dot), reverse.call(y_bar)
        left = sum(float(y_bar[p.name] @ y_dot[p.name]) for p in memory)
        right = sum(float(x_bar[p.name] @ x_dot[p.name]) for p in inputs)
        assert left == pytest.approx(right, rel=tolerance, abs=tolerance)
        assert_same_memory(forward, reverse)


def assert_same_memory(one: Built, other: Built) -> None:
    for name, value in one.memory.items():
        np.testing.assert_array_equal(value, other.memory[name])


def test_a_wrong_derivative_in_a_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "wrong.ll"
    right = next(p for p in FILES if p.stem == "loop").read_text(encoding="utf-8")
    path.write_text(
        right.replace("REVERSE out=1 -> x=2 4 6", "REVERSE out=1 -> x=2 4 6.00001"), encoding="utf-8"
    )
    assert path.read_text(encoding="utf-8") != right
    with pytest.raises(AssertionError, match="x"):
        test_derivative_of_the_file_is_what_the_file_says(path, Mode.REVERSE, ALL_PASSES, 3)
