"""What calls of Enzyme's functions mean, by their arguments alone."""

from __future__ import annotations

import pytest

from coenzyme.errors import ActivityError, UnsupportedIRError
from coenzyme.foreign.enzyme_arguments import plan_call
from coenzyme.foreign.enzyme_plan import Actual, CallPlan, EnzymeMode
from coenzyme.frontends.program import ComponentActivity
from coenzyme.ir.types import F64, I32, I64, PTR, VOID, FunctionType, StructType, Type

ACTIVE, CONST, DUPLICATED = (
    ComponentActivity.ACTIVE,
    ComponentActivity.CONST,
    ComponentActivity.DUPLICATED,
)
FUNCTION = Actual(PTR)
NUMBER, POINTER, INTEGER = Actual(F64), Actual(PTR), Actual(I32)


def marker(name: str) -> Actual:
    return Actual(I32, f"enzyme_{name}")


def plan(mode: EnzymeMode, types: tuple[Type, ...], *actuals: Actual, returns: Type = F64) -> CallPlan:
    return plan_call(mode, FunctionType(returns, types), (FUNCTION, *actuals))


def test_types_say_how_arguments_take_part_in_reverse_mode() -> None:
    made = plan(EnzymeMode.AUTODIFF, (PTR, I32, F64), POINTER, POINTER, INTEGER, NUMBER)
    assert [p.activity for p in made.parameters] == [DUPLICATED, CONST, ACTIVE]
    assert [p.position for p in made.parameters] == [1, 3, 4]
    assert [lane.position for lane in made.parameters[0].shadows] == [2]
    assert made.return_activity is ACTIVE
    assert made.results == (F64,)


def test_types_say_how_arguments_take_part_in_forward_mode() -> None:
    made = plan(EnzymeMode.FORWARD, (PTR, I32, F64), POINTER, POINTER, INTEGER, NUMBER, NUMBER)
    assert [p.activity for p in made.parameters] == [DUPLICATED, CONST, DUPLICATED]
    assert made.parameters[2].shadows[0].position == 5
    assert made.results == (F64,)


def test_a_marker_says_more_than_a_type() -> None:
    made = plan(
        EnzymeMode.AUTODIFF, (PTR, F64, F64), marker("const"), POINTER, marker("const"), NUMBER, NUMBER
    )
    assert [p.activity for p in made.parameters] == [CONST, CONST, ACTIVE]
    assert [p.position for p in made.parameters] == [2, 4, 5]


def test_a_shadow_beside_an_integer_is_passed_over() -> None:
    made = plan(EnzymeMode.AUTODIFF, (I32, F64), marker("dup"), INTEGER, INTEGER, NUMBER)
    assert [p.activity for p in made.parameters] == [CONST, ACTIVE]
    assert made.parameters[1].position == 4


def test_directions_have_shadows_of_their_own_or_at_a_distance() -> None:
    apart = plan(
        EnzymeMode.FORWARD,
        (PTR,),
        marker("width"),
        Actual(I32, value=3),
        POINTER,
        *3 * (POINTER,),
        returns=VOID,
    )
    assert [str(lane) for lane in apart.parameters[0].shadows] == ["#4", "#5", "#6"]
    together = plan(
        EnzymeMode.FORWARD,
        (PTR,),
        *(marker("dupv"), Actual(I64, value=16), POINTER, POINTER, marker("width"), Actual(I32, value=2)),
        returns=VOID,
    )
    assert [str(lane) for lane in together.parameters[0].shadows] == ["#4 + 0·#2", "#4 + 1·#2"]


def test_shadows_may_follow_all_arguments() -> None:
    made = plan(
        EnzymeMode.AUTODIFF,
        (PTR, F64, PTR),
        *(marker("dup"), POINTER, marker("const"), NUMBER, marker("dup"), POINTER),
        *(marker("interleave"), POINTER, POINTER),
    )
    assert [[lane.position for lane in p.shadows] for p in made.parameters] == [[8], [], [9]]


def test_the_halves_of_a_split_derivative_return_and_take_the_tape() -> None:
    first = plan(EnzymeMode.AUGMENTED, (PTR,), POINTER, POINTER)
    assert first.results == (PTR, F64)
    second = plan(EnzymeMode.REVERSE, (PTR,), POINTER, POINTER, NUMBER, POINTER)
    assert (second.seeds, second.tape, second.tape_is_memory) == ((3,), 4, False)
    unwanted = plan(EnzymeMode.AUGMENTED, (PTR,), marker("noret"), POINTER, POINTER)
    assert unwanted.results == (PTR,)
    pointer = plan(EnzymeMode.AUGMENTED, (PTR,), POINTER, POINTER, returns=PTR)
    assert pointer.results == (PTR, PTR, PTR)


def test_the_tape_may_be_in_memory_of_the_caller() -> None:
    where = (marker("allocated"), Actual(I32, value=24), marker("tape"), POINTER)
    made = plan(EnzymeMode.AUGMENTED, (PTR,), *where, POINTER, POINTER, returns=VOID)
    assert (made.tape, made.tape_is_memory, made.results) == (4, True, ())
    with pytest.raises(ActivityError, match="must hold 8 bytes"):
        plan(EnzymeMode.AUGMENTED, (PTR,), *where[2:], POINTER, POINTER, returns=VOID)


def test_a_large_struct_that_is_returned_has_a_shadow_before_the_arguments_in_reverse_mode() -> None:
    struct = StructType((F64, F64, F64))
    function = FunctionType(VOID, (PTR, F64))
    made = plan_call(EnzymeMode.AUTODIFF, function, (FUNCTION, POINTER, NUMBER), structure=struct)
    assert made.parameters[0].position is None
    assert made.parameters[0].shadows[0].position == 1
    assert made.parameters[1].position == 2


@pytest.mark.parametrize(
    ("actuals", "said"),
    [
        ((), "takes 1 arguments, and fewer are passed"),
        ((POINTER,), "the shadow of the last argument is missing"),
        ((POINTER, POINTER, POINTER), "more arguments than the function has parameters, from #3 on"),
        ((marker("out"), POINTER), "argument 2 is a ptr"),
        ((marker("width"), INTEGER, POINTER, POINTER), "a positive integer that is known"),
        ((marker("tape"),), "something must follow it"),
        ((marker("primal_return"), POINTER, POINTER), "there is none"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(actuals: tuple[Actual, ...], said: str) -> None:
    with pytest.raises(ActivityError, match=said):
        plan(EnzymeMode.AUTODIFF, (PTR,), *actuals, returns=VOID)


def test_numbers_have_no_shadow_in_reverse_mode() -> None:
    with pytest.raises(ActivityError, match="a real number in reverse mode"):
        plan(EnzymeMode.AUTODIFF, (F64,), marker("dup"), NUMBER, NUMBER)


def test_a_marker_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnsupportedIRError, match="a marker is not known"):
        plan(EnzymeMode.AUTODIFF, (F64,), marker("bogus"), NUMBER)


def test_the_reverse_sweep_needs_the_tape() -> None:
    with pytest.raises(ActivityError, match="is not given the tape"):
        plan(EnzymeMode.REVERSE, (PTR,), POINTER, POINTER, returns=VOID)
