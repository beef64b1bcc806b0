"""The table of what each pass is worth."""

from dataclasses import replace

from benchmarks.catalogue import row_titled
from benchmarks.passes import MEASURED, Figures, markdown, measure_passes
from benchmarks.report import Conditions
from coenzyme.analysis.passes import Pass


def test_rows_exist_and_every_pass_is_measured_at_least_once():
    for title in MEASURED:
        assert row_titled(title).title == title
    assert {one for passes in MEASURED.values() for one in passes} == set(Pass)


def test_a_row_is_measured_with_all_passes_without_each_and_without_any():
    row = row_titled("jacobi_1d 3200, 800 steps")
    figures = measure_passes(replace(row, arguments=row.small), ("GATHER",), rounds=3)
    assert [one.without for one in figures] == ["", "GATHER", None]
    assert all(one.seconds > 0.0 for one in figures)


def test_the_table_compares_with_the_derivative_made_by_all():
    figures = [
        Figures("one", "", 2e-3, 0, 1e-3),
        Figures("one", "CUT", 3e-3, 1600, 1e-3),
        Figures("one", None, 8e-3, 3200, 1e-3),
        Figures("two", "", 1e-3, 0, 1e-3),
        Figures("two", None, 1e-3, 0, 1e-3),
    ]
    lines = markdown(Conditions.here(3, False, []), figures).splitlines()[-3:]
    assert lines[1] == "|  |  |  |  |  | all of them | 8.00 ms | 4.00 | 3.20 kB |"
    assert lines[0] == "| one | 1.00 ms | 2.00 ms | 2.00 | 0 B | `CUT` | 3.00 ms | 1.50 | 1.60 kB |"
    assert lines[2].startswith("| two |")
