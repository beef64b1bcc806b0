from __future__ import annotations

import pytest

from coenzyme.errors import ActivityError
from coenzyme.frontends import (
    ArgumentActivity,
    ArgumentLayout,
    Component,
    ComponentActivity,
    Mode,
    Program,
    ResultLayout,
    Role,
    component_activities,
)

CONST, ACTIVE, DUPLICATED = ArgumentActivity
c, a, d = ComponentActivity

SCALAR = Component(Role.FLOAT, "double")
COUNT = Component(Role.INTEGER, "i64")


def array(element: str) -> tuple[Component, ...]:
    extent = Component(Role.EXTENT, "i64")
    return (
        Component(Role.MEMINFO, "ptr", element),
        Component(Role.PARENT, "ptr"),
        extent,
        extent,
        Component(Role.DATA, "ptr", element),
        extent,
        extent,
    )


def program(*components: tuple[Component, ...]) -> Program:
    arguments = tuple(
        ArgumentLayout(f"x{i}", parts, any(p.differentiable for p in parts))
        for i, parts in enumerate(components)
    )
    result = ResultLayout("double", (((), SCALAR),), True)
    types = tuple(f"type{i}" for i in range(len(components)))
    return Program("", "f", "f", "m", "m.py", 1, arguments, result, types, "float64")


def test_data_and_meminfo_of_a_shadowed_array_are_duplicated() -> None:
    found = component_activities(program(array("double")), [DUPLICATED], Mode.REVERSE, True)
    assert found == [d, c, d, c, c, c, d, c, c]


def test_a_constant_return_leaves_retptr_constant() -> None:
    assert component_activities(program((SCALAR,)), [ACTIVE], Mode.REVERSE, False) == [c, c, a]


def test_a_float_in_a_shadowed_tuple_is_active_in_reverse_and_duplicated_in_forward() -> None:
    mixed = program((SCALAR, COUNT, *array("double")))
    assert component_activities(mixed, [DUPLICATED], Mode.REVERSE, True)[2:4] == [a, c]
    assert component_activities(mixed, [DUPLICATED], Mode.FORWARD, True)[2:4] == [d, c]


def test_integer_memory_in_a_shadowed_tuple_is_constant() -> None:
    mixed = program((*array("i64"), *array("float")))
    found = component_activities(mixed, [DUPLICATED], Mode.REVERSE, True)[2:]
    assert found[:7] == [c] * 7
    assert found[7] is d


@pytest.mark.parametrize(
    ("components", "activity", "mode", "complaint"),
    [
        (array("double"), ACTIVE, Mode.REVERSE, "lives in memory"),
        (array("i64"), DUPLICATED, Mode.REVERSE, "no floating-point values"),
        ((SCALAR,), ACTIVE, Mode.FORWARD, "Active in forward mode"),
        ((SCALAR,), DUPLICATED, Mode.REVERSE, "passed by value"),
        ((COUNT,), ACTIVE, Mode.REVERSE, "no floating-point values"),
        ((SCALAR,), DUPLICATED, Mode.PRIMAL, "call without derivative"),
    ],
)
def test_an_annotation_the_type_does_not_allow_is_refused(
    components: tuple[Component, ...], activity: ArgumentActivity, mode: Mode, complaint: str
) -> None:
    with pytest.raises(ActivityError, match=complaint) as caught:
        component_activities(program(components), [activity], mode, True)
    assert caught.value.argument == "x0"
    assert caught.value.function == "f"
    assert caught.value.remedy


def test_a_wrong_number_of_activities_is_refused() -> None:
    with pytest.raises(ActivityError, match="2 activities were given for 1"):
        component_activities(program((SCALAR,)), [CONST, CONST], Mode.REVERSE, True)


def test_parameter_types_list_the_whole_signature() -> None:
    assert program((SCALAR,), (COUNT,)).parameter_types == ("ptr", "ptr", "double", "i64")
