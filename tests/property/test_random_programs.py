"""Random programs: forward, reverse and finite differences agree on the whole Jacobian matrix of each.

Of some, derivatives that follow several directions at once and derivatives that let the arrays overlap must
say the same as the others, and second derivatives the same as finite differences of the gradient.

`COENZYME_FUZZ` says how many programs there are; those that `make test` has take about two minutes.
"""

from __future__ import annotations

import functools
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.property import TALLY
from tests.property.checks import Outcome, Verdict, check, check_by_numba
from tests.property.counterexamples import COUNTEREXAMPLES
from tests.property.generate import generate
from tests.property.lower import lower
from tests.property.mutants import (
    check_with_a_rule_that_is_wrong_at_second_order,
    check_with_a_wrong_adjoint,
    check_with_a_wrong_lane,
    check_with_a_wrong_rule,
    crash,
)
from tests.property.programs import (
    PRELUDE,
    Array,
    Binary,
    Element,
    For,
    Number,
    Program,
    SetElement,
    Unary,
    Whole,
    python_source,
)
from tests.property.programs import (
    Counter as Index,
)
from tests.property.reduce import reduce
from tests.property.texts import derivative_text
from tests.property.workshop import Workshop

_FUZZING = "COENZYME_FUZZ" in os.environ
_PROGRAMS = int(os.environ.get("COENZYME_FUZZ", "64"))
_BY_NUMBA = max(16, _PROGRAMS // 40)
"""Numba compiles in seconds what the builder gives LLVM in a third of one."""

_PART = 128
_PART_BY_NUMBA = 8
_MOST_REDUCED = 2
"""How many failures of a part are reduced, which takes a minute each."""

Check = Callable[[Program], Outcome]


@functools.cache
def _choices(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


@st.composite
def programs(draw: st.DrawFn, *, numba: bool = False) -> Program:
    return generate(lambda count: draw(_choices(count)) if count > 1 else 0, numba=numba)


# No shrinking by hypothesis: `reduce` edits the tree, which goes faster than drawing other choices.
_SETTINGS = settings(
    deadline=None,
    # The same programs in every run of the tests, others in every run of the fuzzer.
    derandomize=not _FUZZING,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def workshop(request: pytest.FixtureRequest) -> Iterator[Workshop]:
    made = Workshop(request.param)
    yield made
    made.close()


def _workshop_for(chosen: Check) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("workshop", [chosen], indirect=True, ids=[""])


def _parts(count: int, size: int) -> list[int]:
    """Return the sizes of equal parts, which processes share among themselves."""
    parts = math.ceil(count / size)
    return [count // parts + (i < count % parts) for i in range(parts)]


@pytest.mark.parametrize("part", range(len(_parts(_PROGRAMS, _PART))))
@_workshop_for(check)
def test_forward_reverse_and_differences_agree_on_programs_from_the_builder(
    part: int, workshop: Workshop, record_property: Callable[[str, object], None]
) -> None:
    _test_programs(_parts(_PROGRAMS, _PART)[part], workshop, record_property, numba=False)


@pytest.mark.parametrize("part", range(len(_parts(_BY_NUMBA, _PART_BY_NUMBA))))
@_workshop_for(check_by_numba)
def test_forward_reverse_and_differences_agree_on_programs_compiled_by_numba(
    part: int, workshop: Workshop, record_property: Callable[[str, object], None]
) -> None:
    _test_programs(_parts(_BY_NUMBA, _PART_BY_NUMBA)[part], workshop, record_property, numba=True)


def _test_programs(
    count: int, workshop: Workshop, record_property: Callable[[str, object], None], *, numba: bool
) -> None:
    tally: Counter[str] = Counter()
    reports: list[str] = []

    # One failure does not end it: all programs are counted.
    @settings(_SETTINGS, max_examples=count)
    @given(programs(numba=numba))
    def run(program: Program) -> None:
        outcome = workshop.check(program)
        tally[
            f"{outcome.verdict.value} {outcome.check if outcome.verdict is Verdict.REFUSED else ''}".strip()
        ] += 1
        if outcome.bad:
            reports.append(_report(program, outcome, workshop, reduced=len(reports) < _MOST_REDUCED))

    run()
    record_property(TALLY, dict(tally))
    if reports:
        pytest.fail("\n\n".join(reports), pytrace=False)
    assert tally[Verdict.PASSED.value] > 0.6 * sum(tally.values()), tally


def _report(program: Program, outcome: Outcome, workshop: Workshop, *, reduced: bool) -> str:
    """Reduce a program that failed, and say all that is needed to look into it."""

    def fails(candidate: Program) -> bool:
        found = workshop.check(candidate)
        return (found.verdict, found.check) == (outcome.verdict, outcome.check)

    small = reduce(program, fails, most=250) if reduced else program
    outcome = workshop.check(small)
    return "\n".join(
        [
            f"{outcome.verdict.value}: {outcome.check}",
            outcome.details,
            f"The call: n={small.n}, m={small.m}, shared={small.shared}, constant={small.constant}",
            python_source(small),
            f"As a tree, for {Path(__file__).with_name('counterexamples.py').name}:",
            repr(small),
            f"As LLVM: {_save(small)}",
        ]
    )


def _save(program: Program) -> Path:
    """Write the program and, where they can be made, its derivatives to a file."""
    try:
        text = derivative_text(program)
    except Exception as error:
        text = f"; no derivative: {type(error).__name__}\n{lower(program)}"
    with tempfile.NamedTemporaryFile(
        "w", prefix="program-", suffix=".ll", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    return Path(file.name)


@pytest.mark.parametrize("name", COUNTEREXAMPLES)
@_workshop_for(check)
def test_a_program_that_failed_once_passes(name: str, workshop: Workshop) -> None:
    program = COUNTEREXAMPLES[name]
    outcome = workshop.check(program)
    assert outcome.verdict in (Verdict.PASSED, Verdict.RAISED), f"{outcome}\n{python_source(program)}"


# Each a[i] becomes the sine of its product with b[i].
_SINES = Program(
    (
        For(
            "i",
            Whole(0),
            Index("size"),
            1,
            (
                SetElement(
                    Array("a"),
                    Index("i"),
                    "",
                    Unary(
                        "sin", Binary("*", Element(Array("a"), Index("i")), Element(Array("b"), Index("i")))
                    ),
                ),
            ),
        ),
    ),
    Number(0.5),
)


@_workshop_for(check)
def test_the_program_of_sines_passes(workshop: Workshop) -> None:
    assert workshop.check(_SINES) == Outcome(Verdict.PASSED)


@_workshop_for(check_with_a_wrong_rule)
def test_a_rule_that_is_wrong_by_one_part_in_a_million_is_found(workshop: Workshop) -> None:
    outcome = workshop.check(_SINES)
    assert (outcome.verdict, outcome.check) == (Verdict.FAILED, "forward agrees with finite differences")


@_workshop_for(check_with_a_wrong_adjoint)
def test_an_adjoint_that_is_wrong_by_one_part_in_a_million_is_found(workshop: Workshop) -> None:
    outcome = workshop.check(_SINES)
    assert (outcome.verdict, outcome.check) == (Verdict.FAILED, "reverse agrees with forward")


@_workshop_for(check_with_a_rule_that_is_wrong_at_second_order)
@pytest.mark.parametrize("second", ["forward over reverse", "reverse over forward", "reverse over reverse"])
def test_a_second_derivative_that_is_wrong_by_one_part_in_a_million_is_found(
    workshop: Workshop, second: str
) -> None:
    assert workshop.check(_SINES) == Outcome(Verdict.PASSED)
    outcome = workshop.check(replace(_SINES, second=second))
    assert (outcome.verdict, outcome.check) == (Verdict.FAILED, f"{second} agrees with finite differences")


@_workshop_for(check_with_a_wrong_lane)
def test_a_direction_beside_others_that_is_wrong_by_one_part_in_a_million_is_found(
    workshop: Workshop,
) -> None:
    assert workshop.check(_SINES) == Outcome(Verdict.PASSED)
    outcome = workshop.check(replace(_SINES, width=2))
    assert (outcome.verdict, outcome.check) == (Verdict.FAILED, "reverse.wide agrees with forward")


@_workshop_for(crash)
def test_a_crash_is_an_outcome_and_the_next_program_gets_a_new_process(workshop: Workshop) -> None:
    assert [workshop.check(_SINES).verdict for _ in range(2)] == [Verdict.CRASHED] * 2


def test_a_failing_program_is_reduced_to_what_makes_it_fail() -> None:
    padding = SetElement(Array("b"), Whole(0), "", Number(1.25))
    program = Program((padding, *_SINES.body, padding), Unary("cos", Number(0.3)))
    small = reduce(program, lambda candidate: "a[i] = sin(" in python_source(candidate))
    assert "b[" not in python_source(small)
    assert python_source(small).count("\n") < python_source(program).count("\n")


@pytest.mark.parametrize("numba", [False, True])
def test_generated_programs_are_python(numba: bool) -> None:
    @settings(_SETTINGS, max_examples=50)
    @given(programs(numba=numba))
    def compiles(program: Program) -> None:
        compile(PRELUDE + python_source(program), "program", "exec")

    compiles()
