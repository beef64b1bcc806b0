"""Scratch that is written before it is read: proved by subscripts, and compared with runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

from coenzyme.analysis.affine import Polynomial
from coenzyme.analysis.coverage import Coverage
from coenzyme.ir.instructions import Load, Store
from tests.unit.analysis.nests import For, If, Read, Step, Write, analyse, run


def covers(steps: Sequence[Step], extent: str | None = None) -> bool:
    """Return whether `write` has written all that `read` reads, in the same iteration of ``t``."""
    nest = analyse([For("t", "n", tuple(steps))])
    read, write = nest["read"], nest["write"]
    assert isinstance(read, Load)
    assert isinstance(write, Store)
    size = None if extent is None else Polynomial({(nest.values[extent],): 8})
    return Coverage(nest.ranges, nest.shape.flow, nest.shape.dominators).covers(write, read, size)


def is_written_before(steps: Sequence[Step], sizes: dict[str, int]) -> bool:
    """Whether a run of one iteration writes each cell before it reads it."""
    written: set[int] = set()
    for access in run(steps, {**sizes, "t": 0}):
        if access.name == "write":
            written.add(access.cell)
        elif access.name == "read" and access.cell not in written:
            return False
    return True


def filled(count: str, place: str) -> Step:
    return For("i", count, (Write("write", "a", place),))


def used(count: str, place: str) -> Step:
    return For("j", count, (Read("read", "a", place),))


def test_scratch_filled_and_read_in_full_is_covered() -> None:
    assert covers([filled("m", "i"), used("m", "j")])
    assert covers([filled("m", "m - 1 - i"), used("m", "j")])
    assert covers([filled("m", "i"), used("m - 2", "j + 1")])
    assert covers([For("i", "m", (Write("write", "a", "i"), Read("read", "a", "i")))])


def test_rows_and_columns_are_solved_for_one_after_the_other() -> None:
    row = For("k", "m", (Write("write", "a", "i * m + k"),), guarded=False)
    rows = If("0", "m", (For("i", "n", (row,)),))
    triangle = For("i", "n", (For("k", "i", (Write("write", "a", "i * m + k"),)),))
    reading = For("j", "n", (For("l", "m", (Read("read", "a", "j * m + l"),)),))
    assert covers([rows, reading])
    assert not covers([triangle, reading])


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([used("m", "j"), filled("m", "i")], id="read before it is written"),
        pytest.param([filled("m", "i"), used("n", "j")], id="read further than written"),
        pytest.param([filled("m", "i + 1"), used("m", "j")], id="first cell"),
        pytest.param([filled("m - 1", "i"), used("m", "j")], id="last cell"),
        pytest.param([filled("m", "i * 2"), used("m", "j")], id="every other cell"),
        pytest.param([filled("m", "0"), used("m", "j")], id="one cell"),
        pytest.param([If("n", "9", (filled("m", "i"),)), used("m", "j")], id="under a condition"),
        pytest.param(
            [For("i", "m", (If("i", "n", (Write("write", "a", "i"),)),)), used("m", "j")],
            id="under a condition in the loop",
        ),
        pytest.param(
            [For("i", "m", (Write("write", "a", "i"), Read("read", "a", "i - 1")))],
            id="written by another iteration of a common loop",
        ),
        pytest.param(
            [For("i", "m", (Read("read", "a", "i"), Write("write", "a", "i")))], id="read first, in one loop"
        ),
        pytest.param([filled("m", "i"), used("m", "j * j")], id="no linear place"),
    ],
)
def test_what_may_be_older_is_not_covered(steps: list[Step]) -> None:
    assert not covers(steps)


def test_what_is_read_lies_within_the_array() -> None:
    # As far as n says, the load reads beyond what was written; but the array ends there.
    steps = [filled("m", "i"), used("n", "j")]
    assert covers(steps, extent="m")
    assert not covers(steps, extent="n")


def test_what_is_written_in_an_earlier_iteration_of_the_common_loop_does_not_count() -> None:
    assert not covers([If("0", "t", (used("m", "j"),)), filled("m", "i")])


def test_nothing_that_is_proved_is_read_before_it_is_written_in_a_run() -> None:
    counts = ("m", "n", "m - 1", "m + 1")
    proved = refuted = 0
    for count, other in product(counts, repeat=2):
        for place, source in product(("i", "i + 1", "m - 1 - i", "i * 2"), ("j", "j + 1", "j * 2")):
            steps = [filled(count, place), used(other, source)]
            sizes = [{"n": n, "m": m} for n in (0, 2, 5) for m in (1, 2, 4)]
            fine = all(is_written_before(steps, known) for known in sizes)
            if covers(steps):
                assert fine, steps
                proved += 1
            else:
                refuted += not fine
    assert proved > 10
    assert refuted > 60
