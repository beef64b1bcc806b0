from __future__ import annotations

from pathlib import Path

import pytest

from coenzyme.analysis.passes import ALL_PASSES, NO_PASSES, Pass
from coenzyme.analysis.tape import Keep, field_size
from coenzyme.derive.plan import ReversePlan
from coenzyme.frontends.program import Mode
from tests.unit.derive.golden import FILES, load
from tests.unit.derive.native import build

BY_NAME = {path.stem: path for path in FILES}


def plan_of(name: str, passes: frozenset[Pass] = ALL_PASSES) -> ReversePlan:
    plan = build(load(BY_NAME[name]).text, Mode.REVERSE, passes=passes, level=0).plan
    assert plan is not None
    return plan


def taped_bytes(plan: ReversePlan) -> int:
    return sum(field_size(v.type) for frame in plan.tape.frames.values() for v in frame.fields)


def taped_names(plan: ReversePlan) -> set[str]:
    return {v.name for v, how in plan.tape.keep.items() if how is Keep.TAPE}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_clever_plan_tapes_no_more_than_the_naive_one(path: Path) -> None:
    assert taped_bytes(plan_of(path.stem)) <= taped_bytes(plan_of(path.stem, NO_PASSES))


@pytest.mark.parametrize("passes", [ALL_PASSES, NO_PASSES], ids=["cut", "naive"])
@pytest.mark.parametrize("name", ["loop", "memset", "memcpy", "phi"])
def test_nothing_is_taped_where_memory_stays_as_it_was(name: str, passes: frozenset[Pass]) -> None:
    assert plan_of(name, passes).tape.frames == {}


def test_only_the_running_product_is_taped() -> None:
    assert taped_names(plan_of("product")) == {"s"}


def test_both_values_read_from_what_is_overwritten_are_taped_by_the_naive_plan() -> None:
    plan = plan_of("overwritten", NO_PASSES)
    assert taped_names(plan) == {"a", "b"}
    assert {load.name for load in plan.overwrites.loads} == {"a", "b"}


def test_a_value_that_no_later_iteration_overwrites_is_not_taped() -> None:
    # x[i] = x[i] * x[i - 1]: what stands before x[i] is final.
    plan = plan_of("overwritten")
    assert taped_names(plan) == {"a"}
    assert {load.name for load in plan.overwrites.loads} == {"a"}


def test_blocks_read_again_outlive_the_forward_sweep() -> None:
    plan = plan_of("allocation")
    assert [call.name for call in plan.kept] == ["block"]


def test_branches_are_asked_again_and_not_recorded() -> None:
    for name in ("phi", "switch", "select"):
        assert all(merge.recorded is None for merge in plan_of(name).merges.values())


def test_shadow_pointers_that_cannot_be_computed_again_are_taped() -> None:
    # Which buffer is which depends on the number of the step.
    assert taped_names(plan_of("pointer_phi")) >= {"now.shadow", "next.shadow"}
