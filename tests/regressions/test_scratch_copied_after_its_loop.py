"""What a block copy reads after a loop passed for scratch that nobody reads: its cotangent got lost."""

import numba as nb
import numpy as np

from coenzyme.testing import check_derivatives


@nb.njit
def last_row_counts(x):
    rows, columns = x.shape
    scratch = np.empty(columns)
    total = 0.0
    for i in range(rows):
        for j in range(columns):
            scratch[j] = x[i, j] * x[i, j]
        for j in range(1, columns):
            scratch[j] *= scratch[j - 1]
        total += scratch[columns - 1]
    kept = scratch.copy()
    for j in range(columns):
        total += (j + 1) * kept[j]
    return total


def test_scratch_that_is_copied_after_its_loop_keeps_its_cotangent():
    report = check_derivatives(last_row_counts, np.linspace(0.5, 1.5, 12).reshape(3, 4))
    assert report.conclusive, str(report)
