"""Data files that are not what they should be are refused with the reason."""

import numpy as np
import pytest

from coenzyme.errors import ParseError
from coenzyme.problems.datafiles import NumberReader
from coenzyme.problems.gmm import load_gmm


@pytest.fixture
def file_holding(tmp_path):
    def write(text):
        path = tmp_path / "numbers.txt"
        path.write_text(text)
        return path

    return write


def test_numbers_are_taken_in_order(file_holding):
    numbers = NumberReader(file_holding("2 3\n0.5 1e3\n-1 nan"), shipped="")
    assert numbers.counts(2) == (2, 3)
    np.testing.assert_array_equal(numbers.array(2, 1), [[0.5], [1000.0]])
    np.testing.assert_array_equal(numbers.array(2), [-1.0, np.nan])
    numbers.finish()


def test_a_small_mixture_is_read(file_holding):
    data = load_gmm(file_holding("1 2 3   0.1 0.2   1 2   3 4   5 6 7   1.5 4"))
    np.testing.assert_array_equal(data.means, [[1.0], [2.0]])
    np.testing.assert_array_equal(data.x, [[5.0], [6.0], [7.0]])
    assert (data.gamma, data.m) == (1.5, 4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 three", "not a number"),
        ("1.5 2 3", "should state 3 counts"),
        ("1 -2 3", "should state 3 counts"),
        ("1 2 inf", "should state 3 counts"),
        ("1 2", "ends 1 numbers too early"),
        ("1 2 3   0.1 0.2   1 2   3 4   5 6 7   1.5", "too early"),
        ("1 2 3   0.1 0.2   1 2   3 4   5 6 7   1.5 4 9", "goes on for 1 numbers"),
        ("", "too early"),
    ],
)
def test_a_malformed_file_is_refused_with_the_reason(file_holding, text, reason):
    with pytest.raises(ParseError, match=reason) as refusal:
        load_gmm(file_holding(text))
    assert "numbers.txt" in str(refusal.value)
    assert refusal.value.remedy is not None


def test_a_missing_file_is_the_operating_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_gmm(tmp_path / "absent.txt")
