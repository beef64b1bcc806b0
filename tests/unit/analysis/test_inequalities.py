"""Contradictions between inequalities, compared with the search of a whole box of integers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

from coenzyme.analysis.inequalities import Inequality, are_contradictory

NAMES = ("x", "y", "z")
REACH = 3


def box() -> list[Inequality[str]]:
    """Return what keeps all variables between −REACH and REACH."""
    return [Inequality({name: sign}, REACH) for name in NAMES for sign in (1, -1)]


def random_system(rng: random.Random, count: int) -> list[Inequality[str]]:
    return [
        Inequality({name: rng.randint(-3, 3) for name in NAMES}, rng.randint(-6, 4)) for _ in range(count)
    ]


def is_solvable(system: Sequence[Inequality[str]]) -> bool:
    """Whether an integer point of the box fulfils `system`."""
    for point in product(range(-REACH, REACH + 1), repeat=len(NAMES)):
        known = dict(zip(NAMES, point, strict=True))
        if all(sum(f * known[v] for v, f in i.factors.items()) + i.constant >= 0 for i in system):
            return True
    return False


def test_random_systems_are_contradictory_only_where_no_integers_fulfil_them() -> None:
    rng = random.Random(0)
    found = missed = solvable = 0
    for _ in range(300):
        system = random_system(rng, rng.randint(1, 6))
        contradictory = are_contradictory([*box(), *system])
        if is_solvable(system):
            solvable += 1
            assert not contradictory, [(i.factors, i.constant) for i in system]
        else:
            found += contradictory
            missed += not contradictory
    assert solvable > 80
    # A system may have rational solutions only; that is rare.
    assert found > 80
    assert missed < found / 10


def test_lowest_terms_round_the_constant_towards_what_integers_fulfil() -> None:
    assert Inequality({"x": 4, "y": -6}, 5).key() == (frozenset({("x", 2), ("y", -3)}), 2)
    assert Inequality({"x": 2}, -1).key() == (frozenset({("x", 1)}), -1)
    # 2·x = 1 has a rational solution, and no integer one.
    assert are_contradictory([Inequality({"x": 2}, -1), Inequality({"x": -2}, 1)])
    assert not are_contradictory([Inequality({"x": 2}, -2), Inequality({"x": -2}, 2)])


def test_no_inequalities_and_constants() -> None:
    assert not are_contradictory([])
    assert not are_contradictory([Inequality[str]({}, 0)])
    assert are_contradictory([Inequality[str]({"x": 0}, -1)])


def test_large_systems_are_given_up_and_not_called_contradictory() -> None:
    rng = random.Random(1)
    names = [f"v{k}" for k in range(30)]
    system = [Inequality({name: rng.choice((-1, 1)) for name in names}, 5) for _ in range(60)]
    impossible = [Inequality({names[0]: 1, names[1]: 1}, -1), Inequality({names[0]: -1, names[1]: -1}, 0)]
    assert are_contradictory(impossible)
    assert not are_contradictory(system)
