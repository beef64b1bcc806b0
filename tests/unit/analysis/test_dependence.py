"""Loads that no later store overwrites: proved by subscripts, and compared with runs, access by access."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import pytest

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.dependence import Dependences, Facts
from coenzyme.ir.instructions import Load, Store
from coenzyme.ir.values import Value
from tests.unit.analysis.nests import For, If, Nest, Read, Step, Write, analyse, run


def survives(steps: Sequence[Step], nest: Nest | None = None) -> Facts | None:
    """Return under which facts the load `read` survives the store `write`."""
    nest = analyse(steps) if nest is None else nest
    read, write = nest["read"], nest["write"]
    assert isinstance(read, Load)
    assert isinstance(write, Store)
    return Dependences(nest.ranges, nest.shape.exits.live).survives(read, write)


def is_overwritten(steps: Sequence[Step], n: int, m: int) -> bool:
    """Whether a run writes, later on, a cell that it has read."""
    seen: set[int] = set()
    for access in run(steps, {"n": n, "m": m}):
        if access.name == "read":
            seen.add(access.cell)
        elif access.name == "write" and access.cell in seen:
            return True
    return False


def holds(facts: Facts, nest: Nest, n: int, m: int) -> bool:
    sizes = {nest.values["n"]: n, nest.values["m"]: m}
    return all(evaluate(fact, sizes) <= 0 for fact in facts)


def evaluate(value: Polynomial, known: dict[Value, int]) -> int:
    total = 0
    for monomial, factor in value.terms.items():
        total += factor * prod(known[v] for v in monomial)
    return total


def in_place(read: str, write: str) -> list[Step]:
    body = (Read("read", "a", read), Write("write", "a", write, "read"))
    return [For("i", "n", body)]


def test_what_is_behind_or_here_before_it_is_read_survives() -> None:
    assert survives(in_place("i - 1", "i")) == frozenset()
    assert survives([For("i", "n", (Write("write", "a", "i"), Read("read", "a", "i")))]) == frozenset()


@pytest.mark.parametrize("write", ["i", "i - 1 + 1", "n - 1 - i", "i * i", "0"])
def test_what_this_or_a_later_iteration_may_write_does_not(write: str) -> None:
    steps = in_place("i", write)
    nest = analyse(steps)
    facts = survives(steps, nest)
    assert is_overwritten(steps, 5, 5)
    assert facts is None or not holds(facts, nest, 5, 5)


def test_loop_around_makes_another_pass() -> None:
    once = in_place("i - 1", "i")
    assert survives([For("t", "m", tuple(once))]) is None
    assert is_overwritten([For("t", "m", tuple(once))], 4, 2)


def test_parity_keeps_even_and_odd_cells_apart() -> None:
    assert survives(in_place("i * 2", "i * 2 + 1")) == frozenset()
    assert survives(in_place("i * 4 + 2", "i * 2")) is None


def test_other_array_is_not_compared() -> None:
    steps = [For("i", "n", (Read("read", "a", "i"), Write("write", "b", "i")))]
    assert survives(steps) is None  # whether arrays overlap is for others to say


FACTOR = [
    For(
        "i",
        "n",
        (
            For(
                "j",
                "i",
                (For("k", "j", (Read("read", "a", "i * m + k"), Write("write", "a", "i * m + j", "read"))),),
            ),
        ),
    )
]
"""A factorisation in place: ``a[i, j] -= a[i, k] …`` with k < j < i."""


def test_factorisation_survives_where_columns_lie_within_rows() -> None:
    nest = analyse(FACTOR)
    facts = survives(FACTOR, nest)
    assert facts
    assert holds(facts, nest, 6, 6)
    assert not holds(facts, nest, 8, 6)


def test_columns_that_run_over_the_end_of_a_row_are_found_out_by_the_facts() -> None:
    # With rows of length 1, a[i, k] is what a[i + k, 0] is.
    steps = [
        For(
            "i", "n", (For("j", "n", (Read("read", "a", "i * m + j"), Write("write", "a", "i * m - m + j"))),)
        )
    ]
    nest = analyse(steps)
    facts = survives(steps, nest)
    if facts is not None:
        assert is_overwritten(steps, 4, 1)
        assert not holds(facts, nest, 4, 1)


def test_condition_around_the_store_does_not_help() -> None:
    steps = [For("i", "n", (Read("read", "a", "i"), If("i", "m", (Write("write", "a", "i"),))))]
    assert survives(steps) is None


SUBSCRIPTS = ("i", "j", "i + 1", "j + 1", "0", "i - 1")


def matrix(rows: tuple[str, str], columns: tuple[str, str], inner: str, *, late: bool) -> list[Step]:
    places = [f"({row}) * m + {column}" for row, column in zip(rows, columns, strict=True)]
    body: tuple[Step, ...] = (Read("read", "a", places[0]), Write("write", "a", places[1]))
    return [For("i", "n", (For("j", inner, body[::-1] if late else body),))]


@pytest.mark.parametrize("inner", ["i", "m"])
@pytest.mark.parametrize("late", [False, True])
def test_nothing_that_is_proved_is_overwritten_in_a_run(inner: str, late: bool) -> None:
    proved = refuted = 0
    for rows in product(SUBSCRIPTS[:3], repeat=2):
        for columns in product(("j", "i", "j + 1", "0"), repeat=2):
            steps = matrix(rows, columns, inner, late=late)
            nest = analyse(steps)
            facts = survives(steps, nest)
            sizes = [(n, m) for n in (1, 3, 5) for m in (1, 3, 4, 6)]
            if facts is None:
                refuted += any(is_overwritten(steps, n, m) for n, m in sizes)
                continue
            for n, m in sizes:
                if holds(facts, nest, n, m):
                    assert not is_overwritten(steps, n, m), (rows, columns, n, m)
                    proved += 1
    assert proved > 20
    assert refuted > 20
