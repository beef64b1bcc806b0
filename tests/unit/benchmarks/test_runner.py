"""The benchmarks' runner: what it counts, what it does about a process that fails, what it writes."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import typer

import coenzyme as cz
from benchmarks import catalogue
from benchmarks.__main__ import run
from benchmarks.measure import Job, Outcome
from benchmarks.model import Case, Library, Peer, shadow_like
from benchmarks.report import Conditions, Record, amount, duration, geometric_mean, number, write_reports
from benchmarks.tape_bytes import counting_tapes

ROW = catalogue.row_titled("Rosenbrock n = 10⁶")


def bend(x, steps):
    for _ in range(steps):
        for i in range(x.size):
            x[i] = np.sin(x[i])


def record(ours=3e-3, hand=2e-3, peers=(), errors=None, **changes):
    outcome = Outcome({"function": 1e-3, "ours": ours, "hand": hand}, {"ours": 0.5}, 1600, 0, errors or {})
    others = {"jax": Outcome({"function": 1e-3, **dict(peers)})} if peers else {}
    return Record(replace(ROW, **changes), outcome, others)


def test_the_tape_is_counted_at_its_peak():
    x, dx = np.ones(50), np.ones(50)
    with counting_tapes() as count:
        cz.autodiff(cz.Reverse, bend, cz.Duplicated(x, dx), cz.Const(4))
        assert count.peak == 8 * 50 * 4
        count.reset()
        cz.autodiff(cz.Reverse, bend, cz.Duplicated(x, dx), cz.Const(3))
        assert count.peak == 8 * 50 * 3


def test_a_case_puts_back_what_the_function_overwrites():
    row = replace(ROW, function=bend, arguments=lambda: (np.ones(3), 2), active=(0,), outputs=(0,))
    case = Case(row, row.arguments())
    case.primal()
    case.find_changed()
    assert not np.array_equal(case.arguments[0], np.ones(3))
    case.reset()
    np.testing.assert_array_equal(case.arguments[0], np.ones(3))
    np.testing.assert_array_equal(case.shadows[0], case.seeds[0])


def test_shadows_of_views_share_memory_as_the_views_do():
    whole = np.ones((4, 6))
    memory = {}
    left, right, turned = (shadow_like(x, memory) for x in (whole[:, :2], whole[:, 1:], whole[::-1].T))
    left[2, 1] = 7.0
    assert right[2, 0] == turned[1, 1] == 7.0
    assert [x.strides for x in (left, right, turned)] == [(48, 8), (48, 8), (8, -48)]


@pytest.mark.parametrize("library", [None, "jax"])
def test_a_process_that_fails_is_an_error_in_its_outcome(tmp_path, library):
    outcome = run(Job("no such row", library, str(tmp_path), 3, None))
    assert outcome.seconds == {}
    assert list(outcome.errors) == [library or "ours"]


def test_a_row_is_measured_in_a_process_of_its_own(tmp_path):
    outcome = run(Job(ROW.title, None, str(tmp_path), 3, None))
    assert outcome.errors == {}
    assert set(outcome.seconds) == {"function", "ours", "hand"}
    assert outcome.tape_bytes is not None
    with np.load(tmp_path / "derivatives.npz") as kept:
        assert len(kept.files) == len(ROW.active)


def test_a_wrong_peer_and_a_missing_package_are_errors(tmp_path, monkeypatch):
    from benchmarks import measure

    def missing(case):
        raise ModuleNotFoundError("No module named 'jax'")

    def wrong(case):
        return lambda: [case.start[i] for i in case.row.active]

    peers = (Peer(Library.JAX, "missing", missing), Peer(Library.JAX, "wrong", wrong))
    row = replace(ROW, peers=peers)
    kept = tmp_path / "derivatives.npz"
    np.savez(kept, *[np.zeros_like(row.arguments()[i]) for i in row.active])
    outcome = measure.measure_peer(row, Library.JAX, kept, 3)
    assert set(outcome.errors) == {"jax missing", "jax wrong"}
    assert set(outcome.seconds) == {"function"}
    known = measure.measure_peer(row, Library.JAX, kept, 3, function_seconds=0.25)
    assert known.seconds == {"function": 0.25}


def test_a_missed_bar_an_error_and_the_quickest_formulation_are_in_the_table():
    cells = record(bar=2.0, peers={"jax scan": 9e-3, "jax map": 4e-3}).cells()
    assert "3.00 ▲" in cells
    assert "4.00 (map)" in cells
    assert "3.00" in record(bar=3.5).cells()
    assert "✗" in record(errors={"by hand": "differs"}).cells()


def test_the_geometric_mean_is_over_the_rows_with_an_adjoint_by_hand():
    without = record()
    without.outcome.seconds.pop("hand")
    assert math.isclose(geometric_mean([record(4e-3), record(2e-3, 4e-3), without]), 1.0)
    assert geometric_mean([without]) is None


def test_reports_hold_conditions_rows_errors_and_variants(tmp_path):
    base = record(title="base")
    records = [base, record(6e-3, title="variant", variant_of="base", errors={"jax": "broken"})]
    write_reports(tmp_path, Conditions.here(5, True, []), records)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "Medians of up to 5 interleaved rounds" in table
    assert "- variant: 2.00" in table
    assert "- variant, jax: broken" in table
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [row["ratio"] for row in results["rows"]] == pytest.approx([3.0, 6.0])


def test_numbers_have_three_digits_and_units():
    assert [number(x) for x in (None, 0.1234, 9.876, 12.34, 234.5)] == ["", "0.12", "9.88", "12.3", "234"]
    assert [duration(x) for x in (2.5, 1.25e-3, 3e-6, 2e-8)] == ["2.50 s", "1.25 ms", "3.00 µs", "20 ns"]
    assert [amount(x) for x in (0, 1500, 2_000_000)] == ["0 B", "1.50 kB", "2.00 MB"]


def test_a_part_of_the_rows_is_printed_and_written_only_where_asked(tmp_path, monkeypatch):
    from benchmarks import __main__ as runner

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "measure_row", lambda row, *_: record(title=row.title))
    runner.main(only=ROW.title, peers=False)
    assert list(tmp_path.iterdir()) == []
    runner.main(only=ROW.title, peers=False, output=tmp_path / "here")
    assert {"results.json", "table.md"} <= {path.name for path in (tmp_path / "here").iterdir()}


def test_a_missing_derivative_is_a_failure_and_no_row_a_mistake(tmp_path, monkeypatch):
    from benchmarks import __main__ as runner

    monkeypatch.setattr(runner, "measure_row", lambda row, *_: record(errors={"by hand": "differs"}))
    with pytest.raises(typer.Exit) as failure:
        runner.main(only=ROW.title, peers=False)
    assert failure.value.exit_code == 1
    with pytest.raises(typer.Exit) as failure:
        runner.main(only="no such row")
    assert failure.value.exit_code == 2
