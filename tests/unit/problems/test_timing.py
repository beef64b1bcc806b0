"""Interleaved timing, on calls whose order and number can be counted."""

from time import sleep

from coenzyme.problems.timing import interleaved_medians


def test_every_round_runs_every_call():
    order = []
    medians = interleaved_medians(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=4, shortest=0.0
    )
    assert list(medians) == ["a", "b"]
    # each is first called twice: once to warm up, once to see how quick it is
    assert "".join(order) == "aabb" + "ab" * 4


def test_a_spent_budget_still_leaves_three_rounds():
    order = []
    interleaved_medians({"a": lambda: order.append("a")}, rounds=50, budget=0.0, shortest=0.0)
    assert len(order) == 2 + 3


def test_quick_calls_are_repeated_within_a_round():
    count = 0

    def quick():
        nonlocal count
        count += 1

    medians = interleaved_medians({"quick": quick}, rounds=3, shortest=1e-3)
    assert count > 100
    assert 0.0 < medians["quick"] < 1e-3


def test_what_runs_before_each_call_is_not_timed():
    order = []

    def before():
        order.append("-")
        sleep(2e-3)

    medians = interleaved_medians(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")},
        rounds=3,
        shortest=0.0,
        before=before,
    )
    assert "".join(order) == "-a-a-b-b" + "-a-b" * 3
    assert max(medians.values()) < 1e-3
