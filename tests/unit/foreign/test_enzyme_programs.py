"""C programs that call Enzyme's functions, each of which checks the derivatives that it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from coenzyme.errors import BackendUnavailableError, UnsupportedIRError
from coenzyme.foreign.cc import compile_and_resolve
from coenzyme.foreign.enzyme import Resolution
from coenzyme.foreign.running import run_main
from coenzyme.frontends.clang import find_clang

PROGRAMS = Path(__file__).parent / "programs"
NOT_CHECKS = (
    "arguments",
    "changed_input",
    "changed_pointer",
    "failing",
    "narrow_context",
    "spent_tape",
)
CHECKS = sorted(p.stem for p in PROGRAMS.glob("*.c") if p.stem not in NOT_CHECKS)
ABORTED = 128 + 6


def resolved(name: str) -> Resolution:
    """Return a program with its derivatives."""
    try:
        find_clang()
    except BackendUnavailableError as error:
        pytest.skip(error.message)
    return compile_and_resolve(PROGRAMS / f"{name}.c")


@pytest.mark.parametrize("name", CHECKS)
def test_the_derivatives_that_a_program_asks_for_are_right_at_every_level(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    text = resolved(name).text
    assert "call double @__enzyme" not in text
    for level in (0, 1, 2):
        status = run_main(text, level)
        assert status == 0, f"at -O{level}: {capfd.readouterr().err}"


def test_a_check_that_fails_ends_the_program_with_the_signal_of_abort(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run_main(resolved("failing").text, 1) == ABORTED
    assert "is 6, expected 6.000001" in capfd.readouterr().err


def test_a_sweep_that_is_run_twice_with_one_tape_ends_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_main(resolved("spent_tape").text, 0) == ABORTED
    said = capfd.readouterr()
    assert said.out == "once\n"
    assert "the derivative of step in main" in said.err
    assert "its sweep has been run already" in said.err


def test_a_context_for_fewer_directions_than_there_are_ends_the_program(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run_main(resolved("narrow_context").text, 0) == ABORTED
    assert "shadows for fewer directions" in capfd.readouterr().err


def test_a_fixed_point_whose_input_was_overwritten_ends_the_program(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run_main(resolved("changed_input").text, 0) == ABORTED
    assert "enzyme_checkpoint_region" in capfd.readouterr().err


def test_a_global_pointer_to_memory_without_a_shadow_ends_the_program(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run_main(resolved("changed_pointer").text, 2) == ABORTED
    assert "memory without a shadow" in capfd.readouterr().err


def test_a_program_gets_its_arguments_and_returns_its_status(capfd: pytest.CaptureFixture[str]) -> None:
    text = resolved("arguments").text
    assert run_main(text, 2, ("seven", "words")) == 7
    assert capfd.readouterr().out == "words\n"
    assert run_main(text, 0) == 1


def test_what_was_resolved_is_said() -> None:
    calls = resolved("markers").calls
    assert [call.called for call in calls[:2]] == ["__enzyme_autodiff", "__enzyme_autodiff"]
    assert calls[0].location.endswith("markers.c:20")
    assert str(calls[0].plan).split("\n") == [
        "autodiff",
        "  ptr #2 duplicated, shadow #3",
        "  double #5 active",
        "  ptr #7 duplicated, shadow #8",
        "  double #10 const",
        "  ptr #12 const",
        "  result double active",
    ]


def test_a_program_that_calls_what_is_nowhere_defined_is_refused() -> None:
    text = """
    declare double @nobody_defines_this(double)
    declare double @nobody_calls_this(double)
    define i32 @main(i32 %n, ptr %words) {{
      {call}
      ret i32 0
    }}
    """
    with pytest.raises(UnsupportedIRError, match="nobody_defines_this"):
        run_main(text.format(call="%x = call double @nobody_defines_this(double 1.0)"), 0)
    assert run_main(text.format(call=""), 0) == 0
